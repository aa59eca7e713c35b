// ragged · qwen3, untied · 2 layers, hidden 64, 4/2 heads of 24 · context 64, 4 slots · exact

!embed = tensor<331x64xf32>
!norm = tensor<64xf32>
!lm_head = tensor<331x64xf32>
!q = tensor<96x64xf32>
!k = tensor<48x64xf32>
!v = tensor<48x64xf32>
!head_norm = tensor<24xf32>
!o = tensor<64x96xf32>
!gate = tensor<100x64xf32>
!up = tensor<100x64xf32>
!down = tensor<64x100xf32>
!tokens = tensor<4xi32>
!k_cache = tensor<2x4x2x24x64xf32>
!v_cache = tensor<2x4x2x64x24xf32>
!next = tensor<4xi32>
!logits = tensor<4x331xf32>
!angle = tensor<4x2x12xf32>
!cached_mask = tensor<4x64xi1>
!hidden = tensor<4x64xf32>
!new_k = tensor<1x4x2x24x1xf32>
!new_v = tensor<1x4x2x1x24xf32>
!column = tensor<4x1xf32>
!each_row = tensor<4xf32>
!norm_f32 = tensor<64xf32>
!q_each_head = tensor<16x24xf32>
!column_2 = tensor<16x1xf32>
!each_row_2 = tensor<16xf32>
!head_norm_f32 = tensor<24xf32>
!k_each_head = tensor<8x24xf32>
!column_3 = tensor<8x1xf32>
!each_row_3 = tensor<8xf32>
!q_row = tensor<4x96xf32>
!k_row = tensor<4x48xf32>
!q_heads = tensor<4x2x2x24xf32>
!new_heads = tensor<4x2x1x24xf32>
!k_lanes = tensor<2x8x24x64xf32>
!k_past = tensor<4x2x24x64xf32>
!v_lanes = tensor<2x8x64x24xf32>
!v_past = tensor<4x2x64x24xf32>
!scores = tensor<4x2x2x64xf32>
!seen = tensor<4x2x2x64xi1>
!own_scores = tensor<4x2x2x1xf32>
!each_query = tensor<4x2x2xf32>
!angles = tensor<4x12xf32>
!q_pairs = tensor<4x4x2x12xf32>
!k_pairs = tensor<4x2x2x12xf32>
!mask_index = tensor<4x64xi32>
!inner = tensor<4x100xf32>
!vocab_index = tensor<4x331xi32>
!new_keys = tensor<2x4x2x24x1xf32>
!new_values = tensor<2x4x2x1x24xf32>
!key_row = tensor<2x1x2x24x1xf32>
!value_row = tensor<2x1x2x1x24xf32>

module @ragged {
  // One token of each of slots 0..3, every row at its own position.
  func.func public @ragged(
      %embed: !embed,
      %final_norm: !norm,
      %lm_head: !lm_head,
      %layer0_attn_norm: !norm, %layer0_q: !q, %layer0_k: !k, %layer0_v: !v, %layer0_q_norm: !head_norm,
      %layer0_k_norm: !head_norm, %layer0_o: !o, %layer0_mlp_norm: !norm, %layer0_gate: !gate, %layer0_up: !up,
      %layer0_down: !down,
      %layer1_attn_norm: !norm, %layer1_q: !q, %layer1_k: !k, %layer1_v: !v, %layer1_q_norm: !head_norm,
      %layer1_k_norm: !head_norm, %layer1_o: !o, %layer1_mlp_norm: !norm, %layer1_gate: !gate, %layer1_up: !up,
      %layer1_down: !down,
      %tokens: !tokens, %positions: !tokens,
      %k: !k_cache {tf.aliasing_output = 2 : i32},
      %v: !v_cache {tf.aliasing_output = 3 : i32})
      -> (!next, !logits, !k_cache, !v_cache) {

    %first_slot = arith.constant 0 : index
    // a layer's index is opaque to the compiler, so that one compiled attention serves all
    %layer0_index = arith.constant 0 : index
    %layer0 = util.optimization_barrier %layer0_index : index
    %layer1_index = arith.constant 1 : index
    %layer1 = util.optimization_barrier %layer1_index : index

    %cos, %sin = call @rotary_angles(%positions) : (!tokens) -> (!angle, !angle)
    %cached_mask = call @cached_mask(%positions) : (tensor<4xi32>) -> !cached_mask
    %x0 = call @embedding(%embed, %tokens) : (!embed, !tokens) -> !hidden

    %x1, %new_k0, %new_v0 = call @layer(
        %x0, %layer0_attn_norm, %layer0_q, %layer0_k, %layer0_v, %layer0_q_norm, %layer0_k_norm, %layer0_o,
        %layer0_mlp_norm, %layer0_gate, %layer0_up, %layer0_down, %layer0, %first_slot, %cos, %sin, %cached_mask,
        %k, %v)
        : (!hidden, !norm, !q, !k, !v, !head_norm, !head_norm, !o, !norm, !gate, !up, !down, index, index, !angle,
           !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x2, %new_k1, %new_v1 = call @layer(
        %x1, %layer1_attn_norm, %layer1_q, %layer1_k, %layer1_v, %layer1_q_norm, %layer1_k_norm, %layer1_o,
        %layer1_mlp_norm, %layer1_gate, %layer1_up, %layer1_down, %layer1, %first_slot, %cos, %sin, %cached_mask,
        %k, %v)
        : (!hidden, !norm, !q, !k, !v, !head_norm, !head_norm, !o, !norm, !gate, !up, !down, index, index, !angle,
           !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)

    %normed = call @rms_norm(%x2, %final_norm) : (!hidden, !norm) -> !hidden
    %logits = call @head(%normed, %lm_head) : (!hidden, !lm_head) -> !logits
    %next = call @argmax(%logits) : (!logits) -> !next
    %k_out, %v_out = call @cache_write(%k, %v, %new_k0, %new_k1, %new_v0, %new_v1, %positions)
        : (!k_cache, !v_cache, !new_k, !new_k, !new_v, !new_v, !tokens)
        -> (!k_cache, !v_cache)
    return %next, %logits, %k_out, %v_out : !next, !logits, !k_cache, !v_cache
  }

  // x + attention(norm(x)), then x + mlp(norm(x)).
  func.func private @layer(
      %x: !hidden, %attn_norm: !norm, %q: !q, %k: !k, %v: !v, %q_norm: !head_norm, %k_norm: !head_norm, %o: !o,
      %mlp_norm: !norm, %gate: !gate, %up: !up, %down: !down, %layer: index, %first_slot: index, %cos: !angle,
      %sin: !angle, %cached: !cached_mask, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (!hidden, !norm) -> !hidden
    %attended, %new_k, %new_v = call @attention(
        %x_normed, %q, %k, %v, %q_norm, %k_norm, %o, %layer, %first_slot, %cos, %sin, %cached, %k_cache, %v_cache)
        : (!hidden, !q, !k, !v, !head_norm, !head_norm, !o, index, index, !angle, !angle, !cached_mask, !k_cache,
           !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x_mid = stablehlo.add %x, %attended : !hidden
    %mid_normed = call @rms_norm(%x_mid, %mlp_norm) : (!hidden, !norm) -> !hidden
    %fed = call @mlp(%mid_normed, %gate, %up, %down) : (!hidden, !gate, !up, !down) -> !hidden
    %y = stablehlo.add %x_mid, %fed : !hidden
    return %y, %new_k, %new_v : !hidden, !new_k, !new_v
  }

  // x / sqrt(mean(x²) + eps) · weight, in f32.
  func.func private @rms_norm(%x: !hidden, %weight: !norm) -> !hidden {
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %size = stablehlo.constant dense<64.0> : !column
    %eps = stablehlo.constant dense<0.001> : !column
    %square = stablehlo.multiply %x, %x : !hidden
    %sum = stablehlo.reduce(%square init: %zero) applies stablehlo.add across dimensions = [1]
        : (!hidden, tensor<f32>) -> !each_row
    %sums = stablehlo.reshape %sum : (!each_row) -> !column
    %mean = stablehlo.divide %sums, %size : !column
    %shifted = stablehlo.add %mean, %eps : !column
    %scale = stablehlo.rsqrt %shifted : !column
    %scales = stablehlo.broadcast_in_dim %scale, dims = [0, 1] : (!column) -> !hidden
    %normed = stablehlo.multiply %x, %scales : !hidden
    %weights = stablehlo.broadcast_in_dim %weight, dims = [1] : (!norm_f32) -> !hidden
    %y = stablehlo.multiply %normed, %weights : !hidden
    return %y : !hidden
  }

  // x / sqrt(mean(x²) + eps) · weight, in f32.
  func.func private @rms_norm_q(%x: !q_each_head, %weight: !head_norm) -> !q_each_head {
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %size = stablehlo.constant dense<24.0> : !column_2
    %eps = stablehlo.constant dense<0.001> : !column_2
    %square = stablehlo.multiply %x, %x : !q_each_head
    %sum = stablehlo.reduce(%square init: %zero) applies stablehlo.add across dimensions = [1]
        : (!q_each_head, tensor<f32>) -> !each_row_2
    %sums = stablehlo.reshape %sum : (!each_row_2) -> !column_2
    %mean = stablehlo.divide %sums, %size : !column_2
    %shifted = stablehlo.add %mean, %eps : !column_2
    %scale = stablehlo.rsqrt %shifted : !column_2
    %scales = stablehlo.broadcast_in_dim %scale, dims = [0, 1] : (!column_2) -> !q_each_head
    %normed = stablehlo.multiply %x, %scales : !q_each_head
    %weights = stablehlo.broadcast_in_dim %weight, dims = [1] : (!head_norm_f32) -> !q_each_head
    %y = stablehlo.multiply %normed, %weights : !q_each_head
    return %y : !q_each_head
  }

  // x / sqrt(mean(x²) + eps) · weight, in f32.
  func.func private @rms_norm_k(%x: !k_each_head, %weight: !head_norm) -> !k_each_head {
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %size = stablehlo.constant dense<24.0> : !column_3
    %eps = stablehlo.constant dense<0.001> : !column_3
    %square = stablehlo.multiply %x, %x : !k_each_head
    %sum = stablehlo.reduce(%square init: %zero) applies stablehlo.add across dimensions = [1]
        : (!k_each_head, tensor<f32>) -> !each_row_3
    %sums = stablehlo.reshape %sum : (!each_row_3) -> !column_3
    %mean = stablehlo.divide %sums, %size : !column_3
    %shifted = stablehlo.add %mean, %eps : !column_3
    %scale = stablehlo.rsqrt %shifted : !column_3
    %scales = stablehlo.broadcast_in_dim %scale, dims = [0, 1] : (!column_3) -> !k_each_head
    %normed = stablehlo.multiply %x, %scales : !k_each_head
    %weights = stablehlo.broadcast_in_dim %weight, dims = [1] : (!head_norm_f32) -> !k_each_head
    %y = stablehlo.multiply %normed, %weights : !k_each_head
    return %y : !k_each_head
  }

  // Attention: softmax over two parts, the cached keys and the step's own, by a common maximum.
  // Returns the new keys and values, too, which the step writes, those of all layers at once.
  func.func private @attention(
      %x: !hidden, %q: !q, %k: !k, %v: !v, %q_norm: !head_norm, %k_norm: !head_norm, %o: !o, %layer: index,
      %first_slot: index, %cos: !angle, %sin: !angle, %cached: !cached_mask, %k_cache: !k_cache,
      %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {

    %q_flat = stablehlo.dot_general %x, %q, contracting_dims = [1] x [1]
        : (tensor<4x64xf32>, tensor<96x64xf32>) -> !q_row

    %k_flat = stablehlo.dot_general %x, %k, contracting_dims = [1] x [1]
        : (tensor<4x64xf32>, tensor<48x64xf32>) -> !k_row

    %v_flat = stablehlo.dot_general %x, %v, contracting_dims = [1] x [1]
        : (tensor<4x64xf32>, tensor<48x64xf32>) -> !k_row

    %q_each_head = stablehlo.reshape %q_flat : (!q_row) -> !q_each_head
    %q_each_normed = call @rms_norm_q(%q_each_head, %q_norm) : (!q_each_head, !head_norm) -> !q_each_head
    %q_normed = stablehlo.reshape %q_each_normed : (!q_each_head) -> !q_row
    %k_each_head = stablehlo.reshape %k_flat : (!k_row) -> !k_each_head
    %k_each_normed = call @rms_norm_k(%k_each_head, %k_norm) : (!k_each_head, !head_norm) -> !k_each_head
    %k_normed = stablehlo.reshape %k_each_normed : (!k_each_head) -> !k_row
    %q_turned = call @rotary_q(%q_normed, %cos, %sin) : (!q_row, !angle, !angle) -> !q_row
    %k_turned = call @rotary_k(%k_normed, %cos, %sin) : (!k_row, !angle, !angle) -> !k_row

    // queries [slots, kv_heads, group · new, head_dim], keys and values [slots, kv_heads, new, head_dim];
    // group: the query heads of a kv head, new: the step's tokens of a slot
    %q_heads = stablehlo.reshape %q_turned : (!q_row) -> !q_heads
    %k_heads = stablehlo.reshape %k_turned : (!k_row) -> !new_heads
    %v_heads = stablehlo.reshape %v_flat : (!k_row) -> !new_heads
    %scale = stablehlo.constant dense<0.20412415> : !q_heads
    %q_scaled = stablehlo.multiply %q_heads, %scale : !q_heads



    // slots and kv_heads as one dimension, so that the products read the layer where it lies
    %kv_heads = arith.constant 2 : index
    %first = arith.muli %first_slot, %kv_heads : index
    %k_all = stablehlo.reshape %k_cache : (!k_cache) -> !k_lanes
    %k_layer = tensor.extract_slice %k_all[%layer, %first, 0, 0]
        [1, 8, 24, 64] [1, 1, 1, 1] : !k_lanes to tensor<8x24x64xf32>
    %k_past = stablehlo.reshape %k_layer : (tensor<8x24x64xf32>) -> !k_past
    %v_all = stablehlo.reshape %v_cache : (!v_cache) -> !v_lanes
    %v_layer = tensor.extract_slice %v_all[%layer, %first, 0, 0]
        [1, 8, 64, 24] [1, 1, 1, 1] : !v_lanes to tensor<8x64x24xf32>
    %v_past = stablehlo.reshape %v_layer : (tensor<8x64x24xf32>) -> !v_past

    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %none = stablehlo.constant dense<0.0> : tensor<f32>
    %past_raw = stablehlo.dot_general %q_scaled, %k_past,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2]
        : (tensor<4x2x2x24xf32>, !k_past) -> !scores
    %past_seen = stablehlo.broadcast_in_dim %cached, dims = [0, 3] : (!cached_mask) -> !seen
    %past_hidden = stablehlo.broadcast_in_dim %minus_inf, dims = [] : (tensor<f32>) -> !scores
    %past = stablehlo.select %past_seen, %past_raw, %past_hidden : !seen, !scores

    %own = stablehlo.dot_general %q_scaled, %k_heads,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [3]
        : (tensor<4x2x2x24xf32>, tensor<4x2x1x24xf32>) -> !own_scores

    %past_max = stablehlo.reduce(%past init: %minus_inf) applies stablehlo.maximum across dimensions = [3]
        : (!scores, tensor<f32>) -> !each_query
    %own_max = stablehlo.reduce(%own init: %minus_inf) applies stablehlo.maximum across dimensions = [3]
        : (!own_scores, tensor<f32>) -> !each_query
    %max = stablehlo.maximum %past_max, %own_max : !each_query
    %past_maxes = stablehlo.broadcast_in_dim %max, dims = [0, 1, 2] : (!each_query) -> !scores
    %past_below = stablehlo.subtract %past, %past_maxes : !scores
    %past_exp = stablehlo.exponential %past_below : !scores
    %past_sum = stablehlo.reduce(%past_exp init: %none) applies stablehlo.add across dimensions = [3]
        : (!scores, tensor<f32>) -> !each_query
    %own_maxes = stablehlo.broadcast_in_dim %max, dims = [0, 1, 2] : (!each_query) -> !own_scores
    %own_below = stablehlo.subtract %own, %own_maxes : !own_scores
    %own_exp = stablehlo.exponential %own_below : !own_scores
    %own_sum = stablehlo.reduce(%own_exp init: %none) applies stablehlo.add across dimensions = [3]
        : (!own_scores, tensor<f32>) -> !each_query

    %past_out = stablehlo.dot_general %past_exp, %v_past,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2]
        : (tensor<4x2x2x64xf32>, !v_past) -> !q_heads
    %own_out = stablehlo.dot_general %own_exp, %v_heads,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2]
        : (tensor<4x2x2x1xf32>, tensor<4x2x1x24xf32>) -> !q_heads
    %sum = stablehlo.add %past_sum, %own_sum : !each_query
    %sums = stablehlo.broadcast_in_dim %sum, dims = [0, 1, 2] : (!each_query) -> !q_heads
    %weighted = stablehlo.add %past_out, %own_out : !q_heads
    %heads_out = stablehlo.divide %weighted, %sums : !q_heads

    %flat_out = stablehlo.reshape %heads_out : (!q_heads) -> !q_row
    %new_k = stablehlo.reshape %k_heads : (tensor<4x2x1x24xf32>) -> !new_k
    %new_v = stablehlo.reshape %v_heads : (tensor<4x2x1x24xf32>) -> !new_v

    %y = stablehlo.dot_general %flat_out, %o, contracting_dims = [1] x [1]
        : (tensor<4x96xf32>, tensor<64x96xf32>) -> !hidden
    return %y, %new_k, %new_v : !hidden, !new_k, !new_v
  }

  // cos and ∓sin of position · frequency, laid over a head's two halves: [rows, 2, head_dim / 2].
  func.func private @rotary_angles(%positions: !tokens) -> (!angle, !angle) {
    // theta^(-2i / head_dim), theta 10000: radians a position
    %frequency = stablehlo.constant dense<[
        1.0, 0.4641589, 0.21544346, 0.1, 0.046415888, 0.021544347, 0.01, 0.004641589, 0.0021544348, 0.001,
        0.0004641589, 0.00021544346]> : tensor<12xf32>
    %sign = stablehlo.constant dense<[-1.0, 1.0]> : tensor<2xf32>
    %position = stablehlo.convert %positions : (!tokens) -> tensor<4xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<4xf32>) -> !angles
    %by_pair = stablehlo.broadcast_in_dim %frequency, dims = [1] : (tensor<12xf32>) -> !angles
    %angle = stablehlo.multiply %by_row, %by_pair : !angles
    %cos_half = stablehlo.cosine %angle : !angles
    %sin_half = stablehlo.sine %angle : !angles
    %cos = stablehlo.broadcast_in_dim %cos_half, dims = [0, 2] : (!angles) -> !angle
    %sin_both = stablehlo.broadcast_in_dim %sin_half, dims = [0, 2] : (!angles) -> !angle
    %signs = stablehlo.broadcast_in_dim %sign, dims = [1] : (tensor<2xf32>) -> !angle
    %sin = stablehlo.multiply %sin_both, %signs : !angle
    return %cos, %sin : !angle, !angle
  }

  // Each head's halves (a, b) turned by the angle: (a·cos - b·sin, b·cos + a·sin).
  func.func private @rotary_q(%x: !q_row, %cos: !angle, %sin: !angle) -> !q_row {
    %halves = stablehlo.reshape %x : (!q_row) -> !q_pairs
    %swapped = stablehlo.reverse %halves, dims = [2] : !q_pairs
    %cos_all = stablehlo.broadcast_in_dim %cos, dims = [0, 2, 3] : (!angle) -> !q_pairs
    %sin_all = stablehlo.broadcast_in_dim %sin, dims = [0, 2, 3] : (!angle) -> !q_pairs
    %kept = stablehlo.multiply %halves, %cos_all : !q_pairs
    %crossed = stablehlo.multiply %swapped, %sin_all : !q_pairs
    %turned = stablehlo.add %kept, %crossed : !q_pairs
    %y = stablehlo.reshape %turned : (!q_pairs) -> !q_row
    return %y : !q_row
  }

  // Each head's halves (a, b) turned by the angle: (a·cos - b·sin, b·cos + a·sin).
  func.func private @rotary_k(%x: !k_row, %cos: !angle, %sin: !angle) -> !k_row {
    %halves = stablehlo.reshape %x : (!k_row) -> !k_pairs
    %swapped = stablehlo.reverse %halves, dims = [2] : !k_pairs
    %cos_all = stablehlo.broadcast_in_dim %cos, dims = [0, 2, 3] : (!angle) -> !k_pairs
    %sin_all = stablehlo.broadcast_in_dim %sin, dims = [0, 2, 3] : (!angle) -> !k_pairs
    %kept = stablehlo.multiply %halves, %cos_all : !k_pairs
    %crossed = stablehlo.multiply %swapped, %sin_all : !k_pairs
    %turned = stablehlo.add %kept, %crossed : !k_pairs
    %y = stablehlo.reshape %turned : (!k_pairs) -> !k_row
    return %y : !k_row
  }

  // Which cached positions a slot's new tokens see: those before `past`.
  func.func private @cached_mask(%past: tensor<4xi32>) -> !cached_mask {
    %position = stablehlo.iota dim = 1 : !mask_index
    %pasts = stablehlo.broadcast_in_dim %past, dims = [0] : (tensor<4xi32>) -> !mask_index
    %mask = stablehlo.compare LT, %position, %pasts : (!mask_index, !mask_index) -> !cached_mask
    return %mask : !cached_mask
  }

  // down(silu(gate(x)) · up(x))
  func.func private @mlp(%x: !hidden, %gate: !gate, %up: !up, %down: !down) -> !hidden {

    %gated = stablehlo.dot_general %x, %gate, contracting_dims = [1] x [1]
        : (tensor<4x64xf32>, tensor<100x64xf32>) -> !inner

    %raised = stablehlo.dot_general %x, %up, contracting_dims = [1] x [1]
        : (tensor<4x64xf32>, tensor<100x64xf32>) -> !inner

    %sigmoid = stablehlo.logistic %gated : !inner
    %activated = stablehlo.multiply %gated, %sigmoid : !inner
    %inner = stablehlo.multiply %activated, %raised : !inner

    %y = stablehlo.dot_general %inner, %down, contracting_dims = [1] x [1]
        : (tensor<4x100xf32>, tensor<64x100xf32>) -> !hidden
    return %y : !hidden
  }

  // Row `token` of the table for each token.
  func.func private @embedding(%embed: !embed, %tokens: !tokens) -> !hidden {
    %x_ids = stablehlo.reshape %tokens : (!tokens) -> tensor<4x1xi32>
    %x = "stablehlo.gather"(%embed, %x_ids) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 64>, indices_are_sorted = false}>
        : (!embed, tensor<4x1xi32>) -> tensor<4x64xf32>
    return %x : !hidden
  }

  // Logits over the vocabulary.
  func.func private @head(%x: !hidden, %lm_head: !lm_head) -> !logits {

    %logits = stablehlo.dot_general %x, %lm_head, contracting_dims = [1] x [1]
        : (tensor<4x64xf32>, tensor<331x64xf32>) -> !logits
    return %logits : !logits
  }

  // The lowest index that holds a row's maximum.
  func.func private @argmax(%logits: !logits) -> !next {
    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %past_end = stablehlo.constant dense<331> : tensor<i32>
    %max = stablehlo.reduce(%logits init: %minus_inf) applies stablehlo.maximum across dimensions = [1]
        : (!logits, tensor<f32>) -> tensor<4xf32>
    %maxes = stablehlo.broadcast_in_dim %max, dims = [0] : (tensor<4xf32>) -> !logits
    %is_max = stablehlo.compare EQ, %logits, %maxes : (!logits, !logits) -> tensor<4x331xi1>
    %index = stablehlo.iota dim = 1 : !vocab_index
    %past_ends = stablehlo.broadcast_in_dim %past_end, dims = [] : (tensor<i32>) -> !vocab_index
    %candidates = stablehlo.select %is_max, %index, %past_ends : tensor<4x331xi1>, !vocab_index
    %lowest = stablehlo.reduce(%candidates init: %past_end) applies stablehlo.minimum across dimensions = [1]
        : (!vocab_index, tensor<i32>) -> !next
    return %lowest : !next
  }

  // Row by row, each slot's new keys and values at its own position.
  func.func private @cache_write(
      %k: !k_cache, %v: !v_cache, %new_k0: !new_k, %new_k1: !new_k, %new_v0: !new_v, %new_v1: !new_v,
      %positions: !tokens)
      -> (!k_cache, !v_cache) {
    %keys = stablehlo.concatenate
        %new_k0, %new_k1, dim = 0
        : (!new_k, !new_k) -> !new_keys
    %values = stablehlo.concatenate
        %new_v0, %new_v1, dim = 0
        : (!new_v, !new_v) -> !new_values
    %zero = stablehlo.constant dense<0> : tensor<i32>
    %slot0 = stablehlo.constant dense<0> : tensor<i32>
    %at0 = stablehlo.slice %positions [0:1] : (!tokens) -> tensor<1xi32>
    %position0 = stablehlo.reshape %at0 : (tensor<1xi32>) -> tensor<i32>
    %keys0 = stablehlo.slice %keys [0:2, 0:1, 0:2, 0:24, 0:1]
        : (!new_keys) -> !key_row
    %values0 = stablehlo.slice %values [0:2, 0:1, 0:2, 0:1, 0:24]
        : (!new_values) -> !value_row
    %k_1 = stablehlo.dynamic_update_slice %k, %keys0, %zero, %slot0, %zero, %zero, %position0
        : (!k_cache, !key_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_1 = stablehlo.dynamic_update_slice %v, %values0, %zero, %slot0, %zero, %position0, %zero
        : (!v_cache, !value_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    %slot1 = stablehlo.constant dense<1> : tensor<i32>
    %at1 = stablehlo.slice %positions [1:2] : (!tokens) -> tensor<1xi32>
    %position1 = stablehlo.reshape %at1 : (tensor<1xi32>) -> tensor<i32>
    %keys1 = stablehlo.slice %keys [0:2, 1:2, 0:2, 0:24, 0:1]
        : (!new_keys) -> !key_row
    %values1 = stablehlo.slice %values [0:2, 1:2, 0:2, 0:1, 0:24]
        : (!new_values) -> !value_row
    %k_2 = stablehlo.dynamic_update_slice %k_1, %keys1, %zero, %slot1, %zero, %zero, %position1
        : (!k_cache, !key_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_2 = stablehlo.dynamic_update_slice %v_1, %values1, %zero, %slot1, %zero, %position1, %zero
        : (!v_cache, !value_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    %slot2 = stablehlo.constant dense<2> : tensor<i32>
    %at2 = stablehlo.slice %positions [2:3] : (!tokens) -> tensor<1xi32>
    %position2 = stablehlo.reshape %at2 : (tensor<1xi32>) -> tensor<i32>
    %keys2 = stablehlo.slice %keys [0:2, 2:3, 0:2, 0:24, 0:1]
        : (!new_keys) -> !key_row
    %values2 = stablehlo.slice %values [0:2, 2:3, 0:2, 0:1, 0:24]
        : (!new_values) -> !value_row
    %k_3 = stablehlo.dynamic_update_slice %k_2, %keys2, %zero, %slot2, %zero, %zero, %position2
        : (!k_cache, !key_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_3 = stablehlo.dynamic_update_slice %v_2, %values2, %zero, %slot2, %zero, %position2, %zero
        : (!v_cache, !value_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    %slot3 = stablehlo.constant dense<3> : tensor<i32>
    %at3 = stablehlo.slice %positions [3:4] : (!tokens) -> tensor<1xi32>
    %position3 = stablehlo.reshape %at3 : (tensor<1xi32>) -> tensor<i32>
    %keys3 = stablehlo.slice %keys [0:2, 3:4, 0:2, 0:24, 0:1]
        : (!new_keys) -> !key_row
    %values3 = stablehlo.slice %values [0:2, 3:4, 0:2, 0:1, 0:24]
        : (!new_values) -> !value_row
    %k_4 = stablehlo.dynamic_update_slice %k_3, %keys3, %zero, %slot3, %zero, %zero, %position3
        : (!k_cache, !key_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_4 = stablehlo.dynamic_update_slice %v_3, %values3, %zero, %slot3, %zero, %position3, %zero
        : (!v_cache, !value_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    return %k_4, %v_4 : !k_cache, !v_cache
  }
}

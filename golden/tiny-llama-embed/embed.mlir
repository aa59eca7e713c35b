// embed · llama, tied · 2 layers, hidden 64, 4/2 heads of 16 · context 64, 4 slots, chunk 16 · exact

!embed = tensor<331x64xf32>
!norm = tensor<64xf32>
!q = tensor<64x64xf32>
!k = tensor<32x64xf32>
!v = tensor<32x64xf32>
!o = tensor<64x64xf32>
!gate = tensor<96x64xf32>
!up = tensor<96x64xf32>
!down = tensor<64x96xf32>
!tokens = tensor<16xi32>
!k_cache = tensor<2x4x2x16x64xf32>
!v_cache = tensor<2x4x2x64x16xf32>
!hidden = tensor<16x64xf32>
!angle = tensor<16x2x8xf32>
!cached_mask = tensor<1x64xi1>
!causal_mask = tensor<32x16xi1>
!new_k = tensor<1x1x2x16x16xf32>
!new_v = tensor<1x1x2x16x16xf32>
!column = tensor<16x1xf32>
!each_row = tensor<16xf32>
!norm_f32 = tensor<64xf32>
!q_row = tensor<16x64xf32>
!k_row = tensor<16x32xf32>
!q_heads = tensor<1x2x32x16xf32>
!new_heads = tensor<1x2x16x16xf32>
!k_lanes = tensor<2x8x16x64xf32>
!k_past = tensor<1x2x16x64xf32>
!v_lanes = tensor<2x8x64x16xf32>
!v_past = tensor<1x2x64x16xf32>
!scores = tensor<1x2x32x64xf32>
!seen = tensor<1x2x32x64xi1>
!own_scores = tensor<1x2x32x16xf32>
!own_seen = tensor<1x2x32x16xi1>
!each_query = tensor<1x2x32xf32>
!new_columns = tensor<1x2x16x16xf32>
!angles = tensor<16x8xf32>
!q_pairs = tensor<16x4x2x8xf32>
!k_pairs = tensor<16x2x2x8xf32>
!mask_index = tensor<1x64xi32>
!pairs = tensor<2x16x16xi32>
!inner = tensor<16x96xf32>
!new_keys = tensor<2x1x2x16x16xf32>
!new_values = tensor<2x1x2x16x16xf32>
!key_padded = tensor<2x1x2x16x32xf32>
!key_index = tensor<2x1x2x16x16xi32>
!key_flag = tensor<2x1x2x16x16xi1>
!value_padded = tensor<2x1x2x32x16xf32>
!value_index = tensor<2x1x2x16x16xi32>
!value_flag = tensor<2x1x2x16x16xi1>

module @embed {
  // `length` tokens of `slot` from position `start`; their rows after the final norm.
  func.func public @embed(
      %embed: !embed,
      %final_norm: !norm,
      %layer0_attn_norm: !norm, %layer0_q: !q, %layer0_k: !k, %layer0_v: !v, %layer0_o: !o,
      %layer0_mlp_norm: !norm, %layer0_gate: !gate, %layer0_up: !up, %layer0_down: !down,
      %layer1_attn_norm: !norm, %layer1_q: !q, %layer1_k: !k, %layer1_v: !v, %layer1_o: !o,
      %layer1_mlp_norm: !norm, %layer1_gate: !gate, %layer1_up: !up, %layer1_down: !down,
      %tokens: !tokens, %slot: tensor<i32>, %start: tensor<i32>, %length: tensor<i32>,
      %k: !k_cache {tf.aliasing_output = 1 : i32},
      %v: !v_cache {tf.aliasing_output = 2 : i32})
      -> (!hidden, !k_cache, !v_cache) {
    %offsets = stablehlo.iota dim = 0 : !tokens
    %starts = stablehlo.broadcast_in_dim %start, dims = [] : (tensor<i32>) -> !tokens
    %positions = stablehlo.add %starts, %offsets : !tokens
    %slot_value = tensor.extract %slot[] : tensor<i32>
    %first_slot = arith.index_cast %slot_value : i32 to index
    %length_value = tensor.extract %length[] : tensor<i32>
    %length_index = arith.index_cast %length_value : i32 to index

    %starts_at = stablehlo.reshape %start : (tensor<i32>) -> tensor<1xi32>
    // a layer's index is opaque to the compiler, so that one compiled attention serves all
    %layer0_index = arith.constant 0 : index
    %layer0 = util.optimization_barrier %layer0_index : index
    %layer1_index = arith.constant 1 : index
    %layer1 = util.optimization_barrier %layer1_index : index

    %cos, %sin = call @rotary_angles(%positions) : (!tokens) -> (!angle, !angle)
    %cached_mask = call @cached_mask(%starts_at) : (tensor<1xi32>) -> !cached_mask
    %causal_mask = call @causal_mask() : () -> !causal_mask
    %x0 = call @embedding(%embed, %tokens) : (!embed, !tokens) -> !hidden

    %x1, %new_k0, %new_v0 = call @layer(
        %x0, %layer0_attn_norm, %layer0_q, %layer0_k, %layer0_v, %layer0_o, %layer0_mlp_norm, %layer0_gate,
        %layer0_up, %layer0_down, %layer0, %first_slot, %cos, %sin, %cached_mask, %causal_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x2, %new_k1, %new_v1 = call @layer(
        %x1, %layer1_attn_norm, %layer1_q, %layer1_k, %layer1_v, %layer1_o, %layer1_mlp_norm, %layer1_gate,
        %layer1_up, %layer1_down, %layer1, %first_slot, %cos, %sin, %cached_mask, %causal_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)

    %normed = call @rms_norm(%x2, %final_norm) : (!hidden, !norm) -> !hidden

    %k_out, %v_out = call @cache_write(%k, %v, %new_k0, %new_k1, %new_v0, %new_v1, %slot, %start, %length)
        : (!k_cache, !v_cache, !new_k, !new_k, !new_v, !new_v, tensor<i32>, tensor<i32>, tensor<i32>)
        -> (!k_cache, !v_cache)
    return %normed, %k_out, %v_out : !hidden, !k_cache, !v_cache
  }

  // x + attention(norm(x)), then x + mlp(norm(x)).
  func.func private @layer(
      %x: !hidden, %attn_norm: !norm, %q: !q, %k: !k, %v: !v, %o: !o, %mlp_norm: !norm, %gate: !gate, %up: !up,
      %down: !down, %layer: index, %first_slot: index, %cos: !angle, %sin: !angle, %cached: !cached_mask,
      %causal: !causal_mask, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (!hidden, !norm) -> !hidden
    %attended, %new_k, %new_v = call @attention(
        %x_normed, %q, %k, %v, %o, %layer, %first_slot, %cos, %sin, %cached, %causal, %k_cache, %v_cache)
        : (!hidden, !q, !k, !v, !o, index, index, !angle, !angle, !cached_mask, !causal_mask, !k_cache, !v_cache)
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
    %eps = stablehlo.constant dense<1.0e-05> : !column
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

  // Attention: softmax over two parts, the cached keys and the step's own, by a common maximum.
  // Returns the new keys and values, too, which the step writes, those of all layers at once.
  func.func private @attention(
      %x: !hidden, %q: !q, %k: !k, %v: !v, %o: !o, %layer: index, %first_slot: index, %cos: !angle, %sin: !angle,
      %cached: !cached_mask, %causal: !causal_mask, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {

    %q_flat = stablehlo.dot_general %x, %q, contracting_dims = [1] x [1]
        : (tensor<16x64xf32>, tensor<64x64xf32>) -> !q_row

    %k_flat = stablehlo.dot_general %x, %k, contracting_dims = [1] x [1]
        : (tensor<16x64xf32>, tensor<32x64xf32>) -> !k_row

    %v_flat = stablehlo.dot_general %x, %v, contracting_dims = [1] x [1]
        : (tensor<16x64xf32>, tensor<32x64xf32>) -> !k_row

    %q_turned = call @rotary_q(%q_flat, %cos, %sin) : (!q_row, !angle, !angle) -> !q_row
    %k_turned = call @rotary_k(%k_flat, %cos, %sin) : (!k_row, !angle, !angle) -> !k_row

    // queries [slots, kv_heads, group · new, head_dim], keys and values [slots, kv_heads, new, head_dim];
    // group: the query heads of a kv head, new: the step's tokens of a slot
    %q_rows = stablehlo.reshape %q_turned : (!q_row) -> tensor<16x4x16xf32>
    %q_by_head = stablehlo.transpose %q_rows, dims = [1, 0, 2] : (tensor<16x4x16xf32>) -> tensor<4x16x16xf32>
    %q_heads = stablehlo.reshape %q_by_head : (tensor<4x16x16xf32>) -> !q_heads
    %k_rows = stablehlo.reshape %k_turned : (!k_row) -> tensor<16x2x16xf32>
    %k_by_head = stablehlo.transpose %k_rows, dims = [1, 0, 2] : (tensor<16x2x16xf32>) -> tensor<2x16x16xf32>
    %k_heads = stablehlo.reshape %k_by_head : (tensor<2x16x16xf32>) -> !new_heads
    %v_rows = stablehlo.reshape %v_flat : (!k_row) -> tensor<16x2x16xf32>
    %v_by_head = stablehlo.transpose %v_rows, dims = [1, 0, 2] : (tensor<16x2x16xf32>) -> tensor<2x16x16xf32>
    %v_heads = stablehlo.reshape %v_by_head : (tensor<2x16x16xf32>) -> !new_heads
    %scale = stablehlo.constant dense<0.25> : !q_heads
    %q_scaled = stablehlo.multiply %q_heads, %scale : !q_heads



    // slots and kv_heads as one dimension, so that the products read the layer where it lies
    %kv_heads = arith.constant 2 : index
    %first = arith.muli %first_slot, %kv_heads : index
    %k_all = stablehlo.reshape %k_cache : (!k_cache) -> !k_lanes
    %k_layer = tensor.extract_slice %k_all[%layer, %first, 0, 0]
        [1, 2, 16, 64] [1, 1, 1, 1] : !k_lanes to tensor<2x16x64xf32>
    %k_past = stablehlo.reshape %k_layer : (tensor<2x16x64xf32>) -> !k_past
    %v_all = stablehlo.reshape %v_cache : (!v_cache) -> !v_lanes
    %v_layer = tensor.extract_slice %v_all[%layer, %first, 0, 0]
        [1, 2, 64, 16] [1, 1, 1, 1] : !v_lanes to tensor<2x64x16xf32>
    %v_past = stablehlo.reshape %v_layer : (tensor<2x64x16xf32>) -> !v_past

    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %none = stablehlo.constant dense<0.0> : tensor<f32>
    %past_raw = stablehlo.dot_general %q_scaled, %k_past,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2]
        : (tensor<1x2x32x16xf32>, !k_past) -> !scores
    %past_seen = stablehlo.broadcast_in_dim %cached, dims = [0, 3] : (!cached_mask) -> !seen
    %past_hidden = stablehlo.broadcast_in_dim %minus_inf, dims = [] : (tensor<f32>) -> !scores
    %past = stablehlo.select %past_seen, %past_raw, %past_hidden : !seen, !scores

    %own_raw = stablehlo.dot_general %q_scaled, %k_heads,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [3]
        : (tensor<1x2x32x16xf32>, tensor<1x2x16x16xf32>) -> !own_scores
    %own_seen = stablehlo.broadcast_in_dim %causal, dims = [2, 3] : (!causal_mask) -> !own_seen
    %own_hidden = stablehlo.broadcast_in_dim %minus_inf, dims = [] : (tensor<f32>) -> !own_scores
    %own = stablehlo.select %own_seen, %own_raw, %own_hidden : !own_seen, !own_scores

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
        : (tensor<1x2x32x64xf32>, !v_past) -> !q_heads
    %own_out = stablehlo.dot_general %own_exp, %v_heads,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2]
        : (tensor<1x2x32x16xf32>, tensor<1x2x16x16xf32>) -> !q_heads
    %sum = stablehlo.add %past_sum, %own_sum : !each_query
    %sums = stablehlo.broadcast_in_dim %sum, dims = [0, 1, 2] : (!each_query) -> !q_heads
    %weighted = stablehlo.add %past_out, %own_out : !q_heads
    %heads_out = stablehlo.divide %weighted, %sums : !q_heads

    %out_by_head = stablehlo.reshape %heads_out : (!q_heads) -> tensor<4x16x16xf32>
    %out_rows = stablehlo.transpose %out_by_head, dims = [1, 0, 2] : (tensor<4x16x16xf32>) -> tensor<16x4x16xf32>
    %flat_out = stablehlo.reshape %out_rows : (tensor<16x4x16xf32>) -> !q_row
    %k_columns = stablehlo.transpose %k_heads, dims = [0, 1, 3, 2] : (tensor<1x2x16x16xf32>) -> !new_columns
    %new_k = stablehlo.reshape %k_columns : (!new_columns) -> !new_k
    %new_v = stablehlo.reshape %v_heads : (tensor<1x2x16x16xf32>) -> !new_v

    %y = stablehlo.dot_general %flat_out, %o, contracting_dims = [1] x [1]
        : (tensor<16x64xf32>, tensor<64x64xf32>) -> !hidden
    return %y, %new_k, %new_v : !hidden, !new_k, !new_v
  }

  // cos and ∓sin of position · frequency, laid over a head's two halves: [rows, 2, head_dim / 2].
  func.func private @rotary_angles(%positions: !tokens) -> (!angle, !angle) {
    // theta^(-2i / head_dim), theta 10000: radians a position
    %frequency = stablehlo.constant dense<[
        1.0, 0.31622776, 0.1, 0.031622775, 0.01, 0.0031622776, 0.001, 0.00031622776]> : tensor<8xf32>
    %sign = stablehlo.constant dense<[-1.0, 1.0]> : tensor<2xf32>
    %position = stablehlo.convert %positions : (!tokens) -> tensor<16xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<16xf32>) -> !angles
    %by_pair = stablehlo.broadcast_in_dim %frequency, dims = [1] : (tensor<8xf32>) -> !angles
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
  func.func private @cached_mask(%past: tensor<1xi32>) -> !cached_mask {
    %position = stablehlo.iota dim = 1 : !mask_index
    %pasts = stablehlo.broadcast_in_dim %past, dims = [0] : (tensor<1xi32>) -> !mask_index
    %mask = stablehlo.compare LT, %position, %pasts : (!mask_index, !mask_index) -> !cached_mask
    return %mask : !cached_mask
  }

  // Which of the chunk's own tokens each of its queries sees: itself and those before.
  func.func private @causal_mask() -> !causal_mask {
    %query = stablehlo.iota dim = 1 : !pairs
    %key = stablehlo.iota dim = 2 : !pairs
    %seen = stablehlo.compare LE, %key, %query : (!pairs, !pairs) -> tensor<2x16x16xi1>
    %mask = stablehlo.reshape %seen : (tensor<2x16x16xi1>) -> !causal_mask
    return %mask : !causal_mask
  }

  // down(silu(gate(x)) · up(x))
  func.func private @mlp(%x: !hidden, %gate: !gate, %up: !up, %down: !down) -> !hidden {

    %gated = stablehlo.dot_general %x, %gate, contracting_dims = [1] x [1]
        : (tensor<16x64xf32>, tensor<96x64xf32>) -> !inner

    %raised = stablehlo.dot_general %x, %up, contracting_dims = [1] x [1]
        : (tensor<16x64xf32>, tensor<96x64xf32>) -> !inner

    %sigmoid = stablehlo.logistic %gated : !inner
    %activated = stablehlo.multiply %gated, %sigmoid : !inner
    %inner = stablehlo.multiply %activated, %raised : !inner

    %y = stablehlo.dot_general %inner, %down, contracting_dims = [1] x [1]
        : (tensor<16x96xf32>, tensor<64x96xf32>) -> !hidden
    return %y : !hidden
  }

  // Row `token` of the table for each token.
  func.func private @embedding(%embed: !embed, %tokens: !tokens) -> !hidden {
    %x_ids = stablehlo.reshape %tokens : (!tokens) -> tensor<16x1xi32>
    %x = "stablehlo.gather"(%embed, %x_ids) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 64>, indices_are_sorted = false}>
        : (!embed, tensor<16x1xi32>) -> tensor<16x64xf32>
    return %x : !hidden
  }

  // The new keys and values of `slot`, at start..start+length-1 and nowhere else.
  func.func private @cache_write(
      %k: !k_cache, %v: !v_cache, %new_k0: !new_k, %new_k1: !new_k, %new_v0: !new_v, %new_v1: !new_v,
      %slot: tensor<i32>, %start: tensor<i32>, %length: tensor<i32>)
      -> (!k_cache, !v_cache) {
    %keys = stablehlo.concatenate
        %new_k0, %new_k1, dim = 0
        : (!new_k, !new_k) -> !new_keys
    %values = stablehlo.concatenate
        %new_v0, %new_v1, dim = 0
        : (!new_v, !new_v) -> !new_values
    %zero = stablehlo.constant dense<0> : tensor<i32>
    %latest = stablehlo.constant dense<48> : tensor<i32>
    %chunk = stablehlo.constant dense<16> : tensor<i32>
    %filler = stablehlo.constant dense<0.0> : tensor<f32>
    %block = stablehlo.minimum %start, %latest : tensor<i32>
    %end = stablehlo.add %start, %length : tensor<i32>
    %moved_back = stablehlo.subtract %start, %block : tensor<i32>
    %shift = stablehlo.subtract %chunk, %moved_back : tensor<i32>

    %key_padded = stablehlo.pad %keys, %filler, low = [0, 0, 0, 0, 16], high = [0, 0, 0, 0, 0],
        interior = [0, 0, 0, 0, 0]
        : (!new_keys, tensor<f32>) -> !key_padded
    %key_moved = stablehlo.dynamic_slice %key_padded, %zero, %zero, %zero, %zero, %shift,
        sizes = [2, 1, 2, 16, 16]
        : (!key_padded, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !new_keys
    %key_held = stablehlo.dynamic_slice %k, %zero, %slot, %zero, %zero, %block,
        sizes = [2, 1, 2, 16, 16]
        : (!k_cache, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !new_keys
    %key_index = stablehlo.iota dim = 4 : !key_index
    %key_block = stablehlo.broadcast_in_dim %block, dims = [] : (tensor<i32>) -> !key_index
    %key_start = stablehlo.broadcast_in_dim %start, dims = [] : (tensor<i32>) -> !key_index
    %key_end = stablehlo.broadcast_in_dim %end, dims = [] : (tensor<i32>) -> !key_index
    %key_position = stablehlo.add %key_index, %key_block : !key_index
    %key_after = stablehlo.compare GE, %key_position, %key_start : (!key_index, !key_index) -> !key_flag
    %key_before = stablehlo.compare LT, %key_position, %key_end : (!key_index, !key_index) -> !key_flag
    %key_written = stablehlo.and %key_after, %key_before : !key_flag
    %key_update = stablehlo.select %key_written, %key_moved, %key_held : !key_flag, !new_keys

    %value_padded = stablehlo.pad %values, %filler, low = [0, 0, 0, 16, 0], high = [0, 0, 0, 0, 0],
        interior = [0, 0, 0, 0, 0]
        : (!new_values, tensor<f32>) -> !value_padded
    %value_moved = stablehlo.dynamic_slice %value_padded, %zero, %zero, %zero, %shift, %zero,
        sizes = [2, 1, 2, 16, 16]
        : (!value_padded, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !new_values
    %value_held = stablehlo.dynamic_slice %v, %zero, %slot, %zero, %block, %zero,
        sizes = [2, 1, 2, 16, 16]
        : (!v_cache, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !new_values
    %value_index = stablehlo.iota dim = 3 : !value_index
    %value_block = stablehlo.broadcast_in_dim %block, dims = [] : (tensor<i32>) -> !value_index
    %value_start = stablehlo.broadcast_in_dim %start, dims = [] : (tensor<i32>) -> !value_index
    %value_end = stablehlo.broadcast_in_dim %end, dims = [] : (tensor<i32>) -> !value_index
    %value_position = stablehlo.add %value_index, %value_block : !value_index
    %value_after = stablehlo.compare GE, %value_position, %value_start : (!value_index, !value_index) -> !value_flag
    %value_before = stablehlo.compare LT, %value_position, %value_end : (!value_index, !value_index) -> !value_flag
    %value_written = stablehlo.and %value_after, %value_before : !value_flag
    %value_update = stablehlo.select %value_written, %value_moved, %value_held : !value_flag, !new_values

    %k_out = stablehlo.dynamic_update_slice %k, %key_update, %zero, %slot, %zero, %zero, %block
        : (!k_cache, !new_keys, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_out = stablehlo.dynamic_update_slice %v, %value_update, %zero, %slot, %zero, %block, %zero
        : (!v_cache, !new_values, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    return %k_out, %v_out : !k_cache, !v_cache
  }
}

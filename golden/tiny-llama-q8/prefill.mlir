// prefill · llama, tied · 2 layers, hidden 64, 4/1 heads of 16 · context 64, 4 slots, chunk 16 · exact, q8

!embed = tensor<331x64xi8>
!embed_scales = tensor<331x2xf16>
!norm = tensor<64xf32>
!q = tensor<64x64xi8>
!q_scales = tensor<64x2xf16>
!q_bias = tensor<64xf32>
!k = tensor<16x64xi8>
!k_scales = tensor<16x2xf16>
!k_bias = tensor<16xf32>
!v = tensor<16x64xi8>
!v_scales = tensor<16x2xf16>
!v_bias = tensor<16xf32>
!o = tensor<64x64xi8>
!o_scales = tensor<64x2xf16>
!o_bias = tensor<64xf32>
!gate = tensor<100x64xi8>
!gate_scales = tensor<100x2xf16>
!up = tensor<100x64xi8>
!up_scales = tensor<100x2xf16>
!down = tensor<64x128xi8>
!down_scales = tensor<64x4xf16>
!tokens = tensor<16xi32>
!k_cache = tensor<2x4x1x16x64xf32>
!v_cache = tensor<2x4x1x64x16xf32>
!last_logits = tensor<331xf32>
!angle = tensor<16x2x8xf32>
!cached_mask = tensor<1x64xi1>
!causal_mask = tensor<64x16xi1>
!hidden = tensor<16x64xf32>
!new_k = tensor<1x1x1x16x16xf32>
!new_v = tensor<1x1x1x16x16xf32>
!last_hidden = tensor<1x64xf32>
!logits = tensor<1x331xf32>
!next = tensor<1xi32>
!column = tensor<16x1xf32>
!each_row = tensor<16xf32>
!norm_f32 = tensor<64xf32>
!q_row = tensor<16x64xf32>
!k_row = tensor<16x16xf32>
!q_heads = tensor<1x1x64x16xf32>
!new_heads = tensor<1x1x16x16xf32>
!k_lanes = tensor<2x4x16x64xf32>
!k_past = tensor<1x1x16x64xf32>
!v_lanes = tensor<2x4x64x16xf32>
!v_past = tensor<1x1x64x16xf32>
!scores = tensor<1x1x64x64xf32>
!seen = tensor<1x1x64x64xi1>
!own_scores = tensor<1x1x64x16xf32>
!own_seen = tensor<1x1x64x16xi1>
!each_query = tensor<1x1x64xf32>
!new_columns = tensor<1x1x16x16xf32>
!angles = tensor<16x8xf32>
!q_pairs = tensor<16x4x2x8xf32>
!k_pairs = tensor<16x1x2x8xf32>
!mask_index = tensor<1x64xi32>
!pairs = tensor<4x16x16xi32>
!inner = tensor<16x100xf32>
!vocab_index = tensor<1x331xi32>
!new_keys = tensor<2x1x1x16x16xf32>
!new_values = tensor<2x1x1x16x16xf32>
!key_padded = tensor<2x1x1x16x32xf32>
!key_index = tensor<2x1x1x16x16xi32>
!key_flag = tensor<2x1x1x16x16xi1>
!value_padded = tensor<2x1x1x32x16xf32>
!value_index = tensor<2x1x1x16x16xi32>
!value_flag = tensor<2x1x1x16x16xi1>

module @prefill {
  // `length` tokens of `slot` from position `start`; the logits are the last one's.
  func.func public @prefill(
      %embed: !embed, %embed_scales: !embed_scales,
      %final_norm: !norm,
      %layer0_attn_norm: !norm, %layer0_q: !q, %layer0_q_scales: !q_scales, %layer0_q_bias: !q_bias, %layer0_k: !k,
      %layer0_k_scales: !k_scales, %layer0_k_bias: !k_bias, %layer0_v: !v, %layer0_v_scales: !v_scales,
      %layer0_v_bias: !v_bias, %layer0_o: !o, %layer0_o_scales: !o_scales, %layer0_o_bias: !o_bias,
      %layer0_mlp_norm: !norm, %layer0_gate: !gate, %layer0_gate_scales: !gate_scales, %layer0_up: !up,
      %layer0_up_scales: !up_scales, %layer0_down: !down, %layer0_down_scales: !down_scales,
      %layer1_attn_norm: !norm, %layer1_q: !q, %layer1_q_scales: !q_scales, %layer1_q_bias: !q_bias, %layer1_k: !k,
      %layer1_k_scales: !k_scales, %layer1_k_bias: !k_bias, %layer1_v: !v, %layer1_v_scales: !v_scales,
      %layer1_v_bias: !v_bias, %layer1_o: !o, %layer1_o_scales: !o_scales, %layer1_o_bias: !o_bias,
      %layer1_mlp_norm: !norm, %layer1_gate: !gate, %layer1_gate_scales: !gate_scales, %layer1_up: !up,
      %layer1_up_scales: !up_scales, %layer1_down: !down, %layer1_down_scales: !down_scales,
      %tokens: !tokens, %slot: tensor<i32>, %start: tensor<i32>, %length: tensor<i32>,
      %k: !k_cache {tf.aliasing_output = 2 : i32},
      %v: !v_cache {tf.aliasing_output = 3 : i32})
      -> (tensor<i32>, !last_logits, !k_cache, !v_cache) {
    %offsets = stablehlo.iota dim = 0 : !tokens
    %starts = stablehlo.broadcast_in_dim %start, dims = [] : (tensor<i32>) -> !tokens
    %positions = stablehlo.add %starts, %offsets : !tokens
    %slot_value = tensor.extract %slot[] : tensor<i32>
    %first_slot = arith.index_cast %slot_value : i32 to index
    %length_value = tensor.extract %length[] : tensor<i32>
    %length_index = arith.index_cast %length_value : i32 to index
    %one = arith.constant 1 : index
    %last = arith.subi %length_index, %one : index
    %starts_at = stablehlo.reshape %start : (tensor<i32>) -> tensor<1xi32>
    // a layer's index is opaque to the compiler, so that one compiled attention serves all
    %layer0_index = arith.constant 0 : index
    %layer0 = util.optimization_barrier %layer0_index : index
    %layer1_index = arith.constant 1 : index
    %layer1 = util.optimization_barrier %layer1_index : index

    %cos, %sin = call @rotary_angles(%positions) : (!tokens) -> (!angle, !angle)
    %cached_mask = call @cached_mask(%starts_at) : (tensor<1xi32>) -> !cached_mask
    %causal_mask = call @causal_mask() : () -> !causal_mask
    %x0 = call @embedding(%embed, %embed_scales, %tokens) : (!embed, !embed_scales, !tokens) -> !hidden

    %x1, %new_k0, %new_v0 = call @layer(
        %x0, %layer0_attn_norm, %layer0_q, %layer0_q_scales, %layer0_q_bias, %layer0_k, %layer0_k_scales,
        %layer0_k_bias, %layer0_v, %layer0_v_scales, %layer0_v_bias, %layer0_o, %layer0_o_scales, %layer0_o_bias,
        %layer0_mlp_norm, %layer0_gate, %layer0_gate_scales, %layer0_up, %layer0_up_scales, %layer0_down,
        %layer0_down_scales, %layer0, %first_slot, %cos, %sin, %cached_mask, %causal_mask, %k, %v)
        : (!hidden, !norm, !q, !q_scales, !q_bias, !k, !k_scales, !k_bias, !v, !v_scales, !v_bias, !o, !o_scales,
           !o_bias, !norm, !gate, !gate_scales, !up, !up_scales, !down, !down_scales, index, index, !angle, !angle,
           !cached_mask, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x2, %new_k1, %new_v1 = call @layer(
        %x1, %layer1_attn_norm, %layer1_q, %layer1_q_scales, %layer1_q_bias, %layer1_k, %layer1_k_scales,
        %layer1_k_bias, %layer1_v, %layer1_v_scales, %layer1_v_bias, %layer1_o, %layer1_o_scales, %layer1_o_bias,
        %layer1_mlp_norm, %layer1_gate, %layer1_gate_scales, %layer1_up, %layer1_up_scales, %layer1_down,
        %layer1_down_scales, %layer1, %first_slot, %cos, %sin, %cached_mask, %causal_mask, %k, %v)
        : (!hidden, !norm, !q, !q_scales, !q_bias, !k, !k_scales, !k_bias, !v, !v_scales, !v_bias, !o, !o_scales,
           !o_bias, !norm, !gate, !gate_scales, !up, !up_scales, !down, !down_scales, index, index, !angle, !angle,
           !cached_mask, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)

    %normed = call @rms_norm(%x2, %final_norm) : (!hidden, !norm) -> !hidden
    %normed_last = tensor.extract_slice %normed[%last, 0] [1, 64] [1, 1] : !hidden to !last_hidden
    %row_logits = call @head(%normed_last, %embed, %embed_scales) : (!last_hidden, !embed, !embed_scales) -> !logits
    %row_next = call @argmax(%row_logits) : (!logits) -> !next
    %next = stablehlo.reshape %row_next : (tensor<1xi32>) -> tensor<i32>
    %logits = stablehlo.reshape %row_logits : (!logits) -> !last_logits

    %k_out, %v_out = call @cache_write(%k, %v, %new_k0, %new_k1, %new_v0, %new_v1, %slot, %start, %length)
        : (!k_cache, !v_cache, !new_k, !new_k, !new_v, !new_v, tensor<i32>, tensor<i32>, tensor<i32>)
        -> (!k_cache, !v_cache)
    return %next, %logits, %k_out, %v_out : tensor<i32>, !last_logits, !k_cache, !v_cache
  }

  // x + attention(norm(x)), then x + mlp(norm(x)).
  func.func private @layer(
      %x: !hidden, %attn_norm: !norm, %q: !q, %q_scales: !q_scales, %q_bias: !q_bias, %k: !k, %k_scales: !k_scales,
      %k_bias: !k_bias, %v: !v, %v_scales: !v_scales, %v_bias: !v_bias, %o: !o, %o_scales: !o_scales,
      %o_bias: !o_bias, %mlp_norm: !norm, %gate: !gate, %gate_scales: !gate_scales, %up: !up,
      %up_scales: !up_scales, %down: !down, %down_scales: !down_scales, %layer: index, %first_slot: index,
      %cos: !angle, %sin: !angle, %cached: !cached_mask, %causal: !causal_mask, %k_cache: !k_cache,
      %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (!hidden, !norm) -> !hidden
    %attended, %new_k, %new_v = call @attention(
        %x_normed, %q, %q_scales, %q_bias, %k, %k_scales, %k_bias, %v, %v_scales, %v_bias, %o, %o_scales, %o_bias,
        %layer, %first_slot, %cos, %sin, %cached, %causal, %k_cache, %v_cache)
        : (!hidden, !q, !q_scales, !q_bias, !k, !k_scales, !k_bias, !v, !v_scales, !v_bias, !o, !o_scales, !o_bias,
           index, index, !angle, !angle, !cached_mask, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x_mid = stablehlo.add %x, %attended : !hidden
    %mid_normed = call @rms_norm(%x_mid, %mlp_norm) : (!hidden, !norm) -> !hidden
    %fed = call @mlp(%mid_normed, %gate, %gate_scales, %up, %up_scales, %down, %down_scales)
        : (!hidden, !gate, !gate_scales, !up, !up_scales, !down, !down_scales)
        -> !hidden
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
      %x: !hidden, %q: !q, %q_scales: !q_scales, %q_bias: !q_bias, %k: !k, %k_scales: !k_scales, %k_bias: !k_bias,
      %v: !v, %v_scales: !v_scales, %v_bias: !v_bias, %o: !o, %o_scales: !o_scales, %o_bias: !o_bias,
      %layer: index, %first_slot: index, %cos: !angle, %sin: !angle, %cached: !cached_mask, %causal: !causal_mask,
      %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %q_flat_sum_signed = stablehlo.convert %q : (tensor<64x64xi8>) -> tensor<64x64xi32>
    %q_flat_sum_byte = stablehlo.constant dense<255> : tensor<64x64xi32>
    %q_flat_sum_integers = stablehlo.and %q_flat_sum_signed, %q_flat_sum_byte : tensor<64x64xi32>
    %q_flat_sum_numbers = stablehlo.convert %q_flat_sum_integers : (tensor<64x64xi32>) -> tensor<64x64xf32>
    %q_flat_sum_groups = stablehlo.reshape %q_flat_sum_numbers : (tensor<64x64xf32>) -> tensor<64x2x32xf32>
    %q_flat_sum_w_zero = stablehlo.constant dense<128.0> : tensor<64x2x32xf32>
    %q_flat_sum_centred = stablehlo.subtract %q_flat_sum_groups, %q_flat_sum_w_zero : tensor<64x2x32xf32>
    %q_flat_sum_scales_f32 = stablehlo.convert %q_scales : (tensor<64x2xf16>) -> tensor<64x2xf32>
    %q_flat_sum_each_scale = stablehlo.broadcast_in_dim %q_flat_sum_scales_f32, dims = [0, 1]
        : (tensor<64x2xf32>) -> tensor<64x2x32xf32>
    %q_flat_sum_values = stablehlo.multiply %q_flat_sum_centred, %q_flat_sum_each_scale : tensor<64x2x32xf32>
    %q_flat_sum_w = stablehlo.reshape %q_flat_sum_values : (tensor<64x2x32xf32>) -> tensor<64x64xf32>
    %q_flat_sum = stablehlo.dot_general %x, %q_flat_sum_w, contracting_dims = [1] x [1]
        : (!hidden, tensor<64x64xf32>) -> !q_row
    %q_flat_shift = stablehlo.broadcast_in_dim %q_bias, dims = [1] : (tensor<64xf32>) -> !q_row
    %q_flat = stablehlo.add %q_flat_sum, %q_flat_shift : !q_row
    %k_flat_sum_signed = stablehlo.convert %k : (tensor<16x64xi8>) -> tensor<16x64xi32>
    %k_flat_sum_byte = stablehlo.constant dense<255> : tensor<16x64xi32>
    %k_flat_sum_integers = stablehlo.and %k_flat_sum_signed, %k_flat_sum_byte : tensor<16x64xi32>
    %k_flat_sum_numbers = stablehlo.convert %k_flat_sum_integers : (tensor<16x64xi32>) -> tensor<16x64xf32>
    %k_flat_sum_groups = stablehlo.reshape %k_flat_sum_numbers : (tensor<16x64xf32>) -> tensor<16x2x32xf32>
    %k_flat_sum_w_zero = stablehlo.constant dense<128.0> : tensor<16x2x32xf32>
    %k_flat_sum_centred = stablehlo.subtract %k_flat_sum_groups, %k_flat_sum_w_zero : tensor<16x2x32xf32>
    %k_flat_sum_scales_f32 = stablehlo.convert %k_scales : (tensor<16x2xf16>) -> tensor<16x2xf32>
    %k_flat_sum_each_scale = stablehlo.broadcast_in_dim %k_flat_sum_scales_f32, dims = [0, 1]
        : (tensor<16x2xf32>) -> tensor<16x2x32xf32>
    %k_flat_sum_values = stablehlo.multiply %k_flat_sum_centred, %k_flat_sum_each_scale : tensor<16x2x32xf32>
    %k_flat_sum_w = stablehlo.reshape %k_flat_sum_values : (tensor<16x2x32xf32>) -> tensor<16x64xf32>
    %k_flat_sum = stablehlo.dot_general %x, %k_flat_sum_w, contracting_dims = [1] x [1]
        : (!hidden, tensor<16x64xf32>) -> !k_row
    %k_flat_shift = stablehlo.broadcast_in_dim %k_bias, dims = [1] : (tensor<16xf32>) -> !k_row
    %k_flat = stablehlo.add %k_flat_sum, %k_flat_shift : !k_row
    %v_flat_sum_signed = stablehlo.convert %v : (tensor<16x64xi8>) -> tensor<16x64xi32>
    %v_flat_sum_byte = stablehlo.constant dense<255> : tensor<16x64xi32>
    %v_flat_sum_integers = stablehlo.and %v_flat_sum_signed, %v_flat_sum_byte : tensor<16x64xi32>
    %v_flat_sum_numbers = stablehlo.convert %v_flat_sum_integers : (tensor<16x64xi32>) -> tensor<16x64xf32>
    %v_flat_sum_groups = stablehlo.reshape %v_flat_sum_numbers : (tensor<16x64xf32>) -> tensor<16x2x32xf32>
    %v_flat_sum_w_zero = stablehlo.constant dense<128.0> : tensor<16x2x32xf32>
    %v_flat_sum_centred = stablehlo.subtract %v_flat_sum_groups, %v_flat_sum_w_zero : tensor<16x2x32xf32>
    %v_flat_sum_scales_f32 = stablehlo.convert %v_scales : (tensor<16x2xf16>) -> tensor<16x2xf32>
    %v_flat_sum_each_scale = stablehlo.broadcast_in_dim %v_flat_sum_scales_f32, dims = [0, 1]
        : (tensor<16x2xf32>) -> tensor<16x2x32xf32>
    %v_flat_sum_values = stablehlo.multiply %v_flat_sum_centred, %v_flat_sum_each_scale : tensor<16x2x32xf32>
    %v_flat_sum_w = stablehlo.reshape %v_flat_sum_values : (tensor<16x2x32xf32>) -> tensor<16x64xf32>
    %v_flat_sum = stablehlo.dot_general %x, %v_flat_sum_w, contracting_dims = [1] x [1]
        : (!hidden, tensor<16x64xf32>) -> !k_row
    %v_flat_shift = stablehlo.broadcast_in_dim %v_bias, dims = [1] : (tensor<16xf32>) -> !k_row
    %v_flat = stablehlo.add %v_flat_sum, %v_flat_shift : !k_row

    %q_turned = call @rotary_q(%q_flat, %cos, %sin) : (!q_row, !angle, !angle) -> !q_row
    %k_turned = call @rotary_k(%k_flat, %cos, %sin) : (!k_row, !angle, !angle) -> !k_row

    // queries [slots, kv_heads, group · new, head_dim], keys and values [slots, kv_heads, new, head_dim];
    // group: the query heads of a kv head, new: the step's tokens of a slot
    %q_rows = stablehlo.reshape %q_turned : (!q_row) -> tensor<16x4x16xf32>
    %q_by_head = stablehlo.transpose %q_rows, dims = [1, 0, 2] : (tensor<16x4x16xf32>) -> tensor<4x16x16xf32>
    %q_heads = stablehlo.reshape %q_by_head : (tensor<4x16x16xf32>) -> !q_heads
    %k_rows = stablehlo.reshape %k_turned : (!k_row) -> tensor<16x1x16xf32>
    %k_by_head = stablehlo.transpose %k_rows, dims = [1, 0, 2] : (tensor<16x1x16xf32>) -> tensor<1x16x16xf32>
    %k_heads = stablehlo.reshape %k_by_head : (tensor<1x16x16xf32>) -> !new_heads
    %v_rows = stablehlo.reshape %v_flat : (!k_row) -> tensor<16x1x16xf32>
    %v_by_head = stablehlo.transpose %v_rows, dims = [1, 0, 2] : (tensor<16x1x16xf32>) -> tensor<1x16x16xf32>
    %v_heads = stablehlo.reshape %v_by_head : (tensor<1x16x16xf32>) -> !new_heads
    %scale = stablehlo.constant dense<0.25> : !q_heads
    %q_scaled = stablehlo.multiply %q_heads, %scale : !q_heads



    // slots and kv_heads as one dimension, so that the products read the layer where it lies
    %kv_heads = arith.constant 1 : index
    %first = arith.muli %first_slot, %kv_heads : index
    %k_all = stablehlo.reshape %k_cache : (!k_cache) -> !k_lanes
    %k_layer = tensor.extract_slice %k_all[%layer, %first, 0, 0]
        [1, 1, 16, 64] [1, 1, 1, 1] : !k_lanes to tensor<1x16x64xf32>
    %k_past = stablehlo.reshape %k_layer : (tensor<1x16x64xf32>) -> !k_past
    %v_all = stablehlo.reshape %v_cache : (!v_cache) -> !v_lanes
    %v_layer = tensor.extract_slice %v_all[%layer, %first, 0, 0]
        [1, 1, 64, 16] [1, 1, 1, 1] : !v_lanes to tensor<1x64x16xf32>
    %v_past = stablehlo.reshape %v_layer : (tensor<1x64x16xf32>) -> !v_past

    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %none = stablehlo.constant dense<0.0> : tensor<f32>
    %past_raw = stablehlo.dot_general %q_scaled, %k_past,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2]
        : (tensor<1x1x64x16xf32>, !k_past) -> !scores
    %past_seen = stablehlo.broadcast_in_dim %cached, dims = [0, 3] : (!cached_mask) -> !seen
    %past_hidden = stablehlo.broadcast_in_dim %minus_inf, dims = [] : (tensor<f32>) -> !scores
    %past = stablehlo.select %past_seen, %past_raw, %past_hidden : !seen, !scores

    %own_raw = stablehlo.dot_general %q_scaled, %k_heads,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [3]
        : (tensor<1x1x64x16xf32>, tensor<1x1x16x16xf32>) -> !own_scores
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
        : (tensor<1x1x64x64xf32>, !v_past) -> !q_heads
    %own_out = stablehlo.dot_general %own_exp, %v_heads,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2]
        : (tensor<1x1x64x16xf32>, tensor<1x1x16x16xf32>) -> !q_heads
    %sum = stablehlo.add %past_sum, %own_sum : !each_query
    %sums = stablehlo.broadcast_in_dim %sum, dims = [0, 1, 2] : (!each_query) -> !q_heads
    %weighted = stablehlo.add %past_out, %own_out : !q_heads
    %heads_out = stablehlo.divide %weighted, %sums : !q_heads

    %out_by_head = stablehlo.reshape %heads_out : (!q_heads) -> tensor<4x16x16xf32>
    %out_rows = stablehlo.transpose %out_by_head, dims = [1, 0, 2] : (tensor<4x16x16xf32>) -> tensor<16x4x16xf32>
    %flat_out = stablehlo.reshape %out_rows : (tensor<16x4x16xf32>) -> !q_row
    %k_columns = stablehlo.transpose %k_heads, dims = [0, 1, 3, 2] : (tensor<1x1x16x16xf32>) -> !new_columns
    %new_k = stablehlo.reshape %k_columns : (!new_columns) -> !new_k
    %new_v = stablehlo.reshape %v_heads : (tensor<1x1x16x16xf32>) -> !new_v
    %y_sum_signed = stablehlo.convert %o : (tensor<64x64xi8>) -> tensor<64x64xi32>
    %y_sum_byte = stablehlo.constant dense<255> : tensor<64x64xi32>
    %y_sum_integers = stablehlo.and %y_sum_signed, %y_sum_byte : tensor<64x64xi32>
    %y_sum_numbers = stablehlo.convert %y_sum_integers : (tensor<64x64xi32>) -> tensor<64x64xf32>
    %y_sum_groups = stablehlo.reshape %y_sum_numbers : (tensor<64x64xf32>) -> tensor<64x2x32xf32>
    %y_sum_w_zero = stablehlo.constant dense<128.0> : tensor<64x2x32xf32>
    %y_sum_centred = stablehlo.subtract %y_sum_groups, %y_sum_w_zero : tensor<64x2x32xf32>
    %y_sum_scales_f32 = stablehlo.convert %o_scales : (tensor<64x2xf16>) -> tensor<64x2xf32>
    %y_sum_each_scale = stablehlo.broadcast_in_dim %y_sum_scales_f32, dims = [0, 1]
        : (tensor<64x2xf32>) -> tensor<64x2x32xf32>
    %y_sum_values = stablehlo.multiply %y_sum_centred, %y_sum_each_scale : tensor<64x2x32xf32>
    %y_sum_w = stablehlo.reshape %y_sum_values : (tensor<64x2x32xf32>) -> tensor<64x64xf32>
    %y_sum = stablehlo.dot_general %flat_out, %y_sum_w, contracting_dims = [1] x [1]
        : (!q_row, tensor<64x64xf32>) -> !hidden
    %y_shift = stablehlo.broadcast_in_dim %o_bias, dims = [1] : (tensor<64xf32>) -> !hidden
    %y = stablehlo.add %y_sum, %y_shift : !hidden
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
    %seen = stablehlo.compare LE, %key, %query : (!pairs, !pairs) -> tensor<4x16x16xi1>
    %mask = stablehlo.reshape %seen : (tensor<4x16x16xi1>) -> !causal_mask
    return %mask : !causal_mask
  }

  // down(silu(gate(x)) · up(x))
  func.func private @mlp(
      %x: !hidden, %gate: !gate, %gate_scales: !gate_scales, %up: !up, %up_scales: !up_scales, %down: !down,
      %down_scales: !down_scales)
      -> !hidden {
    %gated_signed = stablehlo.convert %gate : (tensor<100x64xi8>) -> tensor<100x64xi32>
    %gated_byte = stablehlo.constant dense<255> : tensor<100x64xi32>
    %gated_integers = stablehlo.and %gated_signed, %gated_byte : tensor<100x64xi32>
    %gated_numbers = stablehlo.convert %gated_integers : (tensor<100x64xi32>) -> tensor<100x64xf32>
    %gated_groups = stablehlo.reshape %gated_numbers : (tensor<100x64xf32>) -> tensor<100x2x32xf32>
    %gated_w_zero = stablehlo.constant dense<128.0> : tensor<100x2x32xf32>
    %gated_centred = stablehlo.subtract %gated_groups, %gated_w_zero : tensor<100x2x32xf32>
    %gated_scales_f32 = stablehlo.convert %gate_scales : (tensor<100x2xf16>) -> tensor<100x2xf32>
    %gated_each_scale = stablehlo.broadcast_in_dim %gated_scales_f32, dims = [0, 1]
        : (tensor<100x2xf32>) -> tensor<100x2x32xf32>
    %gated_values = stablehlo.multiply %gated_centred, %gated_each_scale : tensor<100x2x32xf32>
    %gated_w = stablehlo.reshape %gated_values : (tensor<100x2x32xf32>) -> tensor<100x64xf32>
    %gated = stablehlo.dot_general %x, %gated_w, contracting_dims = [1] x [1]
        : (!hidden, tensor<100x64xf32>) -> !inner
    %raised_signed = stablehlo.convert %up : (tensor<100x64xi8>) -> tensor<100x64xi32>
    %raised_byte = stablehlo.constant dense<255> : tensor<100x64xi32>
    %raised_integers = stablehlo.and %raised_signed, %raised_byte : tensor<100x64xi32>
    %raised_numbers = stablehlo.convert %raised_integers : (tensor<100x64xi32>) -> tensor<100x64xf32>
    %raised_groups = stablehlo.reshape %raised_numbers : (tensor<100x64xf32>) -> tensor<100x2x32xf32>
    %raised_w_zero = stablehlo.constant dense<128.0> : tensor<100x2x32xf32>
    %raised_centred = stablehlo.subtract %raised_groups, %raised_w_zero : tensor<100x2x32xf32>
    %raised_scales_f32 = stablehlo.convert %up_scales : (tensor<100x2xf16>) -> tensor<100x2xf32>
    %raised_each_scale = stablehlo.broadcast_in_dim %raised_scales_f32, dims = [0, 1]
        : (tensor<100x2xf32>) -> tensor<100x2x32xf32>
    %raised_values = stablehlo.multiply %raised_centred, %raised_each_scale : tensor<100x2x32xf32>
    %raised_w = stablehlo.reshape %raised_values : (tensor<100x2x32xf32>) -> tensor<100x64xf32>
    %raised = stablehlo.dot_general %x, %raised_w, contracting_dims = [1] x [1]
        : (!hidden, tensor<100x64xf32>) -> !inner

    %sigmoid = stablehlo.logistic %gated : !inner
    %activated = stablehlo.multiply %gated, %sigmoid : !inner
    %inner = stablehlo.multiply %activated, %raised : !inner
    %y_signed = stablehlo.convert %down : (tensor<64x128xi8>) -> tensor<64x128xi32>
    %y_byte = stablehlo.constant dense<255> : tensor<64x128xi32>
    %y_integers = stablehlo.and %y_signed, %y_byte : tensor<64x128xi32>
    %y_numbers = stablehlo.convert %y_integers : (tensor<64x128xi32>) -> tensor<64x128xf32>
    %y_groups = stablehlo.reshape %y_numbers : (tensor<64x128xf32>) -> tensor<64x4x32xf32>
    %y_w_zero = stablehlo.constant dense<128.0> : tensor<64x4x32xf32>
    %y_centred = stablehlo.subtract %y_groups, %y_w_zero : tensor<64x4x32xf32>
    %y_scales_f32 = stablehlo.convert %down_scales : (tensor<64x4xf16>) -> tensor<64x4xf32>
    %y_each_scale = stablehlo.broadcast_in_dim %y_scales_f32, dims = [0, 1]
        : (tensor<64x4xf32>) -> tensor<64x4x32xf32>
    %y_values = stablehlo.multiply %y_centred, %y_each_scale : tensor<64x4x32xf32>
    %y_w_whole = stablehlo.reshape %y_values : (tensor<64x4x32xf32>) -> tensor<64x128xf32>
    %y_w = stablehlo.slice %y_w_whole [0:64, 0:100] : (tensor<64x128xf32>) -> tensor<64x100xf32>
    %y = stablehlo.dot_general %inner, %y_w, contracting_dims = [1] x [1]
        : (!inner, tensor<64x100xf32>) -> !hidden
    return %y : !hidden
  }

  // Row `token` of the table for each token.
  func.func private @embedding(%embed: !embed, %embed_scales: !embed_scales, %tokens: !tokens) -> !hidden {
    %x_ids = stablehlo.reshape %tokens : (!tokens) -> tensor<16x1xi32>
    %x_row = "stablehlo.gather"(%embed, %x_ids) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 64>, indices_are_sorted = false}>
        : (!embed, tensor<16x1xi32>) -> tensor<16x64xi8>
    %x_row_scales = "stablehlo.gather"(%embed_scales, %x_ids) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 2>, indices_are_sorted = false}>
        : (!embed_scales, tensor<16x1xi32>) -> tensor<16x2xf16>
    %x_signed = stablehlo.convert %x_row : (tensor<16x64xi8>) -> tensor<16x64xi32>
    %x_byte = stablehlo.constant dense<255> : tensor<16x64xi32>
    %x_integers = stablehlo.and %x_signed, %x_byte : tensor<16x64xi32>
    %x_numbers = stablehlo.convert %x_integers : (tensor<16x64xi32>) -> tensor<16x64xf32>
    %x_groups = stablehlo.reshape %x_numbers : (tensor<16x64xf32>) -> tensor<16x2x32xf32>
    %x_w_zero = stablehlo.constant dense<128.0> : tensor<16x2x32xf32>
    %x_centred = stablehlo.subtract %x_groups, %x_w_zero : tensor<16x2x32xf32>
    %x_scales_f32 = stablehlo.convert %x_row_scales : (tensor<16x2xf16>) -> tensor<16x2xf32>
    %x_each_scale = stablehlo.broadcast_in_dim %x_scales_f32, dims = [0, 1]
        : (tensor<16x2xf32>) -> tensor<16x2x32xf32>
    %x_values = stablehlo.multiply %x_centred, %x_each_scale : tensor<16x2x32xf32>
    %x = stablehlo.reshape %x_values : (tensor<16x2x32xf32>) -> tensor<16x64xf32>
    return %x : !hidden
  }

  // Logits over the vocabulary.
  func.func private @head(%x: !last_hidden, %embed: !embed, %embed_scales: !embed_scales) -> !logits {
    %logits_signed = stablehlo.convert %embed : (tensor<331x64xi8>) -> tensor<331x64xi32>
    %logits_byte = stablehlo.constant dense<255> : tensor<331x64xi32>
    %logits_integers = stablehlo.and %logits_signed, %logits_byte : tensor<331x64xi32>
    %logits_numbers = stablehlo.convert %logits_integers : (tensor<331x64xi32>) -> tensor<331x64xf32>
    %logits_groups = stablehlo.reshape %logits_numbers : (tensor<331x64xf32>) -> tensor<331x2x32xf32>
    %logits_w_zero = stablehlo.constant dense<128.0> : tensor<331x2x32xf32>
    %logits_centred = stablehlo.subtract %logits_groups, %logits_w_zero : tensor<331x2x32xf32>
    %logits_scales_f32 = stablehlo.convert %embed_scales : (tensor<331x2xf16>) -> tensor<331x2xf32>
    %logits_each_scale = stablehlo.broadcast_in_dim %logits_scales_f32, dims = [0, 1]
        : (tensor<331x2xf32>) -> tensor<331x2x32xf32>
    %logits_values = stablehlo.multiply %logits_centred, %logits_each_scale : tensor<331x2x32xf32>
    %logits_w = stablehlo.reshape %logits_values : (tensor<331x2x32xf32>) -> tensor<331x64xf32>
    %logits = stablehlo.dot_general %x, %logits_w, contracting_dims = [1] x [1]
        : (!last_hidden, tensor<331x64xf32>) -> !logits
    return %logits : !logits
  }

  // The lowest index that holds a row's maximum.
  func.func private @argmax(%logits: !logits) -> !next {
    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %past_end = stablehlo.constant dense<331> : tensor<i32>
    %max = stablehlo.reduce(%logits init: %minus_inf) applies stablehlo.maximum across dimensions = [1]
        : (!logits, tensor<f32>) -> tensor<1xf32>
    %maxes = stablehlo.broadcast_in_dim %max, dims = [0] : (tensor<1xf32>) -> !logits
    %is_max = stablehlo.compare EQ, %logits, %maxes : (!logits, !logits) -> tensor<1x331xi1>
    %index = stablehlo.iota dim = 1 : !vocab_index
    %past_ends = stablehlo.broadcast_in_dim %past_end, dims = [] : (tensor<i32>) -> !vocab_index
    %candidates = stablehlo.select %is_max, %index, %past_ends : tensor<1x331xi1>, !vocab_index
    %lowest = stablehlo.reduce(%candidates init: %past_end) applies stablehlo.minimum across dimensions = [1]
        : (!vocab_index, tensor<i32>) -> !next
    return %lowest : !next
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
        sizes = [2, 1, 1, 16, 16]
        : (!key_padded, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !new_keys
    %key_held = stablehlo.dynamic_slice %k, %zero, %slot, %zero, %zero, %block,
        sizes = [2, 1, 1, 16, 16]
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
        sizes = [2, 1, 1, 16, 16]
        : (!value_padded, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !new_values
    %value_held = stablehlo.dynamic_slice %v, %zero, %slot, %zero, %block, %zero,
        sizes = [2, 1, 1, 16, 16]
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

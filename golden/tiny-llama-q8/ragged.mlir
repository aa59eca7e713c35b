// ragged · llama, tied · 2 layers, hidden 64, 4/1 heads of 16 · context 64, 4 slots · exact, q8

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
!tokens = tensor<4xi32>
!k_cache = tensor<2x4x1x16x64xf32>
!v_cache = tensor<2x4x1x64x16xf32>
!next = tensor<4xi32>
!logits = tensor<4x331xf32>
!angle = tensor<4x2x8xf32>
!cached_mask = tensor<4x64xi1>
!hidden = tensor<4x64xf32>
!new_k = tensor<1x4x1x16x1xf32>
!new_v = tensor<1x4x1x1x16xf32>
!column = tensor<4x1xf32>
!each_row = tensor<4xf32>
!norm_f32 = tensor<64xf32>
!q_row = tensor<4x64xf32>
!k_row = tensor<4x16xf32>
!q_heads = tensor<4x1x4x16xf32>
!new_heads = tensor<4x1x1x16xf32>
!k_lanes = tensor<2x4x16x64xf32>
!k_past = tensor<4x1x16x64xf32>
!v_lanes = tensor<2x4x64x16xf32>
!v_past = tensor<4x1x64x16xf32>
!scores = tensor<4x1x4x64xf32>
!seen = tensor<4x1x4x64xi1>
!own_scores = tensor<4x1x4x1xf32>
!each_query = tensor<4x1x4xf32>
!angles = tensor<4x8xf32>
!q_pairs = tensor<4x4x2x8xf32>
!k_pairs = tensor<4x1x2x8xf32>
!mask_index = tensor<4x64xi32>
!inner = tensor<4x100xf32>
!vocab_index = tensor<4x331xi32>
!new_keys = tensor<2x4x1x16x1xf32>
!new_values = tensor<2x4x1x1x16xf32>
!key_row = tensor<2x1x1x16x1xf32>
!value_row = tensor<2x1x1x1x16xf32>

module @ragged {
  // One token of each of slots 0..3, every row at its own position.
  func.func public @ragged(
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
    %x0 = call @embedding(%embed, %embed_scales, %tokens) : (!embed, !embed_scales, !tokens) -> !hidden

    %x1, %new_k0, %new_v0 = call @layer(
        %x0, %layer0_attn_norm, %layer0_q, %layer0_q_scales, %layer0_q_bias, %layer0_k, %layer0_k_scales,
        %layer0_k_bias, %layer0_v, %layer0_v_scales, %layer0_v_bias, %layer0_o, %layer0_o_scales, %layer0_o_bias,
        %layer0_mlp_norm, %layer0_gate, %layer0_gate_scales, %layer0_up, %layer0_up_scales, %layer0_down,
        %layer0_down_scales, %layer0, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_scales, !q_bias, !k, !k_scales, !k_bias, !v, !v_scales, !v_bias, !o, !o_scales,
           !o_bias, !norm, !gate, !gate_scales, !up, !up_scales, !down, !down_scales, index, index, !angle, !angle,
           !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x2, %new_k1, %new_v1 = call @layer(
        %x1, %layer1_attn_norm, %layer1_q, %layer1_q_scales, %layer1_q_bias, %layer1_k, %layer1_k_scales,
        %layer1_k_bias, %layer1_v, %layer1_v_scales, %layer1_v_bias, %layer1_o, %layer1_o_scales, %layer1_o_bias,
        %layer1_mlp_norm, %layer1_gate, %layer1_gate_scales, %layer1_up, %layer1_up_scales, %layer1_down,
        %layer1_down_scales, %layer1, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_scales, !q_bias, !k, !k_scales, !k_bias, !v, !v_scales, !v_bias, !o, !o_scales,
           !o_bias, !norm, !gate, !gate_scales, !up, !up_scales, !down, !down_scales, index, index, !angle, !angle,
           !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)

    %normed = call @rms_norm(%x2, %final_norm) : (!hidden, !norm) -> !hidden
    %logits = call @head(%normed, %embed, %embed_scales) : (!hidden, !embed, !embed_scales) -> !logits
    %next = call @argmax(%logits) : (!logits) -> !next
    %k_out, %v_out = call @cache_write(%k, %v, %new_k0, %new_k1, %new_v0, %new_v1, %positions)
        : (!k_cache, !v_cache, !new_k, !new_k, !new_v, !new_v, !tokens)
        -> (!k_cache, !v_cache)
    return %next, %logits, %k_out, %v_out : !next, !logits, !k_cache, !v_cache
  }

  // x + attention(norm(x)), then x + mlp(norm(x)).
  func.func private @layer(
      %x: !hidden, %attn_norm: !norm, %q: !q, %q_scales: !q_scales, %q_bias: !q_bias, %k: !k, %k_scales: !k_scales,
      %k_bias: !k_bias, %v: !v, %v_scales: !v_scales, %v_bias: !v_bias, %o: !o, %o_scales: !o_scales,
      %o_bias: !o_bias, %mlp_norm: !norm, %gate: !gate, %gate_scales: !gate_scales, %up: !up,
      %up_scales: !up_scales, %down: !down, %down_scales: !down_scales, %layer: index, %first_slot: index,
      %cos: !angle, %sin: !angle, %cached: !cached_mask, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (!hidden, !norm) -> !hidden
    %attended, %new_k, %new_v = call @attention(
        %x_normed, %q, %q_scales, %q_bias, %k, %k_scales, %k_bias, %v, %v_scales, %v_bias, %o, %o_scales, %o_bias,
        %layer, %first_slot, %cos, %sin, %cached, %k_cache, %v_cache)
        : (!hidden, !q, !q_scales, !q_bias, !k, !k_scales, !k_bias, !v, !v_scales, !v_bias, !o, !o_scales, !o_bias,
           index, index, !angle, !angle, !cached_mask, !k_cache, !v_cache)
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
      %layer: index, %first_slot: index, %cos: !angle, %sin: !angle, %cached: !cached_mask, %k_cache: !k_cache,
      %v_cache: !v_cache)
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
    %q_heads = stablehlo.reshape %q_turned : (!q_row) -> !q_heads
    %k_heads = stablehlo.reshape %k_turned : (!k_row) -> !new_heads
    %v_heads = stablehlo.reshape %v_flat : (!k_row) -> !new_heads
    %scale = stablehlo.constant dense<0.25> : !q_heads
    %q_scaled = stablehlo.multiply %q_heads, %scale : !q_heads



    // slots and kv_heads as one dimension, so that the products read the layer where it lies
    %kv_heads = arith.constant 1 : index
    %first = arith.muli %first_slot, %kv_heads : index
    %k_all = stablehlo.reshape %k_cache : (!k_cache) -> !k_lanes
    %k_layer = tensor.extract_slice %k_all[%layer, %first, 0, 0]
        [1, 4, 16, 64] [1, 1, 1, 1] : !k_lanes to tensor<4x16x64xf32>
    %k_past = stablehlo.reshape %k_layer : (tensor<4x16x64xf32>) -> !k_past
    %v_all = stablehlo.reshape %v_cache : (!v_cache) -> !v_lanes
    %v_layer = tensor.extract_slice %v_all[%layer, %first, 0, 0]
        [1, 4, 64, 16] [1, 1, 1, 1] : !v_lanes to tensor<4x64x16xf32>
    %v_past = stablehlo.reshape %v_layer : (tensor<4x64x16xf32>) -> !v_past

    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %none = stablehlo.constant dense<0.0> : tensor<f32>
    %past_raw = stablehlo.dot_general %q_scaled, %k_past,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2]
        : (tensor<4x1x4x16xf32>, !k_past) -> !scores
    %past_seen = stablehlo.broadcast_in_dim %cached, dims = [0, 3] : (!cached_mask) -> !seen
    %past_hidden = stablehlo.broadcast_in_dim %minus_inf, dims = [] : (tensor<f32>) -> !scores
    %past = stablehlo.select %past_seen, %past_raw, %past_hidden : !seen, !scores

    %own = stablehlo.dot_general %q_scaled, %k_heads,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [3]
        : (tensor<4x1x4x16xf32>, tensor<4x1x1x16xf32>) -> !own_scores

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
        : (tensor<4x1x4x64xf32>, !v_past) -> !q_heads
    %own_out = stablehlo.dot_general %own_exp, %v_heads,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2]
        : (tensor<4x1x4x1xf32>, tensor<4x1x1x16xf32>) -> !q_heads
    %sum = stablehlo.add %past_sum, %own_sum : !each_query
    %sums = stablehlo.broadcast_in_dim %sum, dims = [0, 1, 2] : (!each_query) -> !q_heads
    %weighted = stablehlo.add %past_out, %own_out : !q_heads
    %heads_out = stablehlo.divide %weighted, %sums : !q_heads

    %flat_out = stablehlo.reshape %heads_out : (!q_heads) -> !q_row
    %new_k = stablehlo.reshape %k_heads : (tensor<4x1x1x16xf32>) -> !new_k
    %new_v = stablehlo.reshape %v_heads : (tensor<4x1x1x16xf32>) -> !new_v
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
    %position = stablehlo.convert %positions : (!tokens) -> tensor<4xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<4xf32>) -> !angles
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
  func.func private @cached_mask(%past: tensor<4xi32>) -> !cached_mask {
    %position = stablehlo.iota dim = 1 : !mask_index
    %pasts = stablehlo.broadcast_in_dim %past, dims = [0] : (tensor<4xi32>) -> !mask_index
    %mask = stablehlo.compare LT, %position, %pasts : (!mask_index, !mask_index) -> !cached_mask
    return %mask : !cached_mask
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
    %x_ids = stablehlo.reshape %tokens : (!tokens) -> tensor<4x1xi32>
    %x_row = "stablehlo.gather"(%embed, %x_ids) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 64>, indices_are_sorted = false}>
        : (!embed, tensor<4x1xi32>) -> tensor<4x64xi8>
    %x_row_scales = "stablehlo.gather"(%embed_scales, %x_ids) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 2>, indices_are_sorted = false}>
        : (!embed_scales, tensor<4x1xi32>) -> tensor<4x2xf16>
    %x_signed = stablehlo.convert %x_row : (tensor<4x64xi8>) -> tensor<4x64xi32>
    %x_byte = stablehlo.constant dense<255> : tensor<4x64xi32>
    %x_integers = stablehlo.and %x_signed, %x_byte : tensor<4x64xi32>
    %x_numbers = stablehlo.convert %x_integers : (tensor<4x64xi32>) -> tensor<4x64xf32>
    %x_groups = stablehlo.reshape %x_numbers : (tensor<4x64xf32>) -> tensor<4x2x32xf32>
    %x_w_zero = stablehlo.constant dense<128.0> : tensor<4x2x32xf32>
    %x_centred = stablehlo.subtract %x_groups, %x_w_zero : tensor<4x2x32xf32>
    %x_scales_f32 = stablehlo.convert %x_row_scales : (tensor<4x2xf16>) -> tensor<4x2xf32>
    %x_each_scale = stablehlo.broadcast_in_dim %x_scales_f32, dims = [0, 1]
        : (tensor<4x2xf32>) -> tensor<4x2x32xf32>
    %x_values = stablehlo.multiply %x_centred, %x_each_scale : tensor<4x2x32xf32>
    %x = stablehlo.reshape %x_values : (tensor<4x2x32xf32>) -> tensor<4x64xf32>
    return %x : !hidden
  }

  // Logits over the vocabulary.
  func.func private @head(%x: !hidden, %embed: !embed, %embed_scales: !embed_scales) -> !logits {
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
        : (!hidden, tensor<331x64xf32>) -> !logits
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
    %keys0 = stablehlo.slice %keys [0:2, 0:1, 0:1, 0:16, 0:1]
        : (!new_keys) -> !key_row
    %values0 = stablehlo.slice %values [0:2, 0:1, 0:1, 0:1, 0:16]
        : (!new_values) -> !value_row
    %k_1 = stablehlo.dynamic_update_slice %k, %keys0, %zero, %slot0, %zero, %zero, %position0
        : (!k_cache, !key_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_1 = stablehlo.dynamic_update_slice %v, %values0, %zero, %slot0, %zero, %position0, %zero
        : (!v_cache, !value_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    %slot1 = stablehlo.constant dense<1> : tensor<i32>
    %at1 = stablehlo.slice %positions [1:2] : (!tokens) -> tensor<1xi32>
    %position1 = stablehlo.reshape %at1 : (tensor<1xi32>) -> tensor<i32>
    %keys1 = stablehlo.slice %keys [0:2, 1:2, 0:1, 0:16, 0:1]
        : (!new_keys) -> !key_row
    %values1 = stablehlo.slice %values [0:2, 1:2, 0:1, 0:1, 0:16]
        : (!new_values) -> !value_row
    %k_2 = stablehlo.dynamic_update_slice %k_1, %keys1, %zero, %slot1, %zero, %zero, %position1
        : (!k_cache, !key_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_2 = stablehlo.dynamic_update_slice %v_1, %values1, %zero, %slot1, %zero, %position1, %zero
        : (!v_cache, !value_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    %slot2 = stablehlo.constant dense<2> : tensor<i32>
    %at2 = stablehlo.slice %positions [2:3] : (!tokens) -> tensor<1xi32>
    %position2 = stablehlo.reshape %at2 : (tensor<1xi32>) -> tensor<i32>
    %keys2 = stablehlo.slice %keys [0:2, 2:3, 0:1, 0:16, 0:1]
        : (!new_keys) -> !key_row
    %values2 = stablehlo.slice %values [0:2, 2:3, 0:1, 0:1, 0:16]
        : (!new_values) -> !value_row
    %k_3 = stablehlo.dynamic_update_slice %k_2, %keys2, %zero, %slot2, %zero, %zero, %position2
        : (!k_cache, !key_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_3 = stablehlo.dynamic_update_slice %v_2, %values2, %zero, %slot2, %zero, %position2, %zero
        : (!v_cache, !value_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    %slot3 = stablehlo.constant dense<3> : tensor<i32>
    %at3 = stablehlo.slice %positions [3:4] : (!tokens) -> tensor<1xi32>
    %position3 = stablehlo.reshape %at3 : (tensor<1xi32>) -> tensor<i32>
    %keys3 = stablehlo.slice %keys [0:2, 3:4, 0:1, 0:16, 0:1]
        : (!new_keys) -> !key_row
    %values3 = stablehlo.slice %values [0:2, 3:4, 0:1, 0:1, 0:16]
        : (!new_values) -> !value_row
    %k_4 = stablehlo.dynamic_update_slice %k_3, %keys3, %zero, %slot3, %zero, %zero, %position3
        : (!k_cache, !key_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_4 = stablehlo.dynamic_update_slice %v_3, %values3, %zero, %slot3, %zero, %position3, %zero
        : (!v_cache, !value_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    return %k_4, %v_4 : !k_cache, !v_cache
  }
}

// ragged · llama, tied · 16 layers, hidden 2048, 32/8 heads of 64 · context 2048, 8 slots · fast

!embed = tensor<128256x2048xbf16>
!norm = tensor<2048xbf16>
!q = tensor<2048x2048xbf16>
!k = tensor<512x2048xbf16>
!v = tensor<512x2048xbf16>
!o = tensor<2048x2048xbf16>
!gate = tensor<8192x2048xbf16>
!up = tensor<8192x2048xbf16>
!down = tensor<2048x8192xbf16>
!tokens = tensor<8xi32>
!k_cache = tensor<16x8x8x64x2048xbf16>
!v_cache = tensor<16x8x8x2048x64xbf16>
!next = tensor<8xi32>
!logits = tensor<8x128256xf32>
!angle = tensor<8x2x32xf32>
!cached_mask = tensor<8x2048xi1>
!hidden = tensor<8x2048xf32>
!new_k = tensor<1x8x8x64x1xbf16>
!new_v = tensor<1x8x8x1x64xbf16>
!column = tensor<8x1xf32>
!each_row = tensor<8xf32>
!norm_f32 = tensor<2048xf32>
!q_row = tensor<8x2048xf32>
!k_row = tensor<8x512xf32>
!q_heads = tensor<8x8x4x64xf32>
!new_heads = tensor<8x8x1x64xf32>
!k_lanes = tensor<16x64x64x2048xbf16>
!k_past = tensor<8x8x64x2048xbf16>
!v_lanes = tensor<16x64x2048x64xbf16>
!v_past = tensor<8x8x2048x64xbf16>
!scores = tensor<8x8x4x2048xf32>
!seen = tensor<8x8x4x2048xi1>
!own_scores = tensor<8x8x4x1xf32>
!each_query = tensor<8x8x4xf32>
!angles = tensor<8x32xf32>
!q_pairs = tensor<8x32x2x32xf32>
!k_pairs = tensor<8x8x2x32xf32>
!mask_index = tensor<8x2048xi32>
!inner = tensor<8x8192xf32>
!vocab_index = tensor<8x128256xi32>
!new_keys = tensor<16x8x8x64x1xbf16>
!new_values = tensor<16x8x8x1x64xbf16>
!key_row = tensor<16x1x8x64x1xbf16>
!value_row = tensor<16x1x8x1x64xbf16>

module @ragged {
  // One token of each of slots 0..7, every row at its own position.
  func.func public @ragged(
      %embed: !embed,
      %final_norm: !norm,
      %layer0_attn_norm: !norm, %layer0_q: !q, %layer0_k: !k, %layer0_v: !v, %layer0_o: !o,
      %layer0_mlp_norm: !norm, %layer0_gate: !gate, %layer0_up: !up, %layer0_down: !down,
      %layer1_attn_norm: !norm, %layer1_q: !q, %layer1_k: !k, %layer1_v: !v, %layer1_o: !o,
      %layer1_mlp_norm: !norm, %layer1_gate: !gate, %layer1_up: !up, %layer1_down: !down,
      %layer2_attn_norm: !norm, %layer2_q: !q, %layer2_k: !k, %layer2_v: !v, %layer2_o: !o,
      %layer2_mlp_norm: !norm, %layer2_gate: !gate, %layer2_up: !up, %layer2_down: !down,
      %layer3_attn_norm: !norm, %layer3_q: !q, %layer3_k: !k, %layer3_v: !v, %layer3_o: !o,
      %layer3_mlp_norm: !norm, %layer3_gate: !gate, %layer3_up: !up, %layer3_down: !down,
      %layer4_attn_norm: !norm, %layer4_q: !q, %layer4_k: !k, %layer4_v: !v, %layer4_o: !o,
      %layer4_mlp_norm: !norm, %layer4_gate: !gate, %layer4_up: !up, %layer4_down: !down,
      %layer5_attn_norm: !norm, %layer5_q: !q, %layer5_k: !k, %layer5_v: !v, %layer5_o: !o,
      %layer5_mlp_norm: !norm, %layer5_gate: !gate, %layer5_up: !up, %layer5_down: !down,
      %layer6_attn_norm: !norm, %layer6_q: !q, %layer6_k: !k, %layer6_v: !v, %layer6_o: !o,
      %layer6_mlp_norm: !norm, %layer6_gate: !gate, %layer6_up: !up, %layer6_down: !down,
      %layer7_attn_norm: !norm, %layer7_q: !q, %layer7_k: !k, %layer7_v: !v, %layer7_o: !o,
      %layer7_mlp_norm: !norm, %layer7_gate: !gate, %layer7_up: !up, %layer7_down: !down,
      %layer8_attn_norm: !norm, %layer8_q: !q, %layer8_k: !k, %layer8_v: !v, %layer8_o: !o,
      %layer8_mlp_norm: !norm, %layer8_gate: !gate, %layer8_up: !up, %layer8_down: !down,
      %layer9_attn_norm: !norm, %layer9_q: !q, %layer9_k: !k, %layer9_v: !v, %layer9_o: !o,
      %layer9_mlp_norm: !norm, %layer9_gate: !gate, %layer9_up: !up, %layer9_down: !down,
      %layer10_attn_norm: !norm, %layer10_q: !q, %layer10_k: !k, %layer10_v: !v, %layer10_o: !o,
      %layer10_mlp_norm: !norm, %layer10_gate: !gate, %layer10_up: !up, %layer10_down: !down,
      %layer11_attn_norm: !norm, %layer11_q: !q, %layer11_k: !k, %layer11_v: !v, %layer11_o: !o,
      %layer11_mlp_norm: !norm, %layer11_gate: !gate, %layer11_up: !up, %layer11_down: !down,
      %layer12_attn_norm: !norm, %layer12_q: !q, %layer12_k: !k, %layer12_v: !v, %layer12_o: !o,
      %layer12_mlp_norm: !norm, %layer12_gate: !gate, %layer12_up: !up, %layer12_down: !down,
      %layer13_attn_norm: !norm, %layer13_q: !q, %layer13_k: !k, %layer13_v: !v, %layer13_o: !o,
      %layer13_mlp_norm: !norm, %layer13_gate: !gate, %layer13_up: !up, %layer13_down: !down,
      %layer14_attn_norm: !norm, %layer14_q: !q, %layer14_k: !k, %layer14_v: !v, %layer14_o: !o,
      %layer14_mlp_norm: !norm, %layer14_gate: !gate, %layer14_up: !up, %layer14_down: !down,
      %layer15_attn_norm: !norm, %layer15_q: !q, %layer15_k: !k, %layer15_v: !v, %layer15_o: !o,
      %layer15_mlp_norm: !norm, %layer15_gate: !gate, %layer15_up: !up, %layer15_down: !down,
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
    %layer2_index = arith.constant 2 : index
    %layer2 = util.optimization_barrier %layer2_index : index
    %layer3_index = arith.constant 3 : index
    %layer3 = util.optimization_barrier %layer3_index : index
    %layer4_index = arith.constant 4 : index
    %layer4 = util.optimization_barrier %layer4_index : index
    %layer5_index = arith.constant 5 : index
    %layer5 = util.optimization_barrier %layer5_index : index
    %layer6_index = arith.constant 6 : index
    %layer6 = util.optimization_barrier %layer6_index : index
    %layer7_index = arith.constant 7 : index
    %layer7 = util.optimization_barrier %layer7_index : index
    %layer8_index = arith.constant 8 : index
    %layer8 = util.optimization_barrier %layer8_index : index
    %layer9_index = arith.constant 9 : index
    %layer9 = util.optimization_barrier %layer9_index : index
    %layer10_index = arith.constant 10 : index
    %layer10 = util.optimization_barrier %layer10_index : index
    %layer11_index = arith.constant 11 : index
    %layer11 = util.optimization_barrier %layer11_index : index
    %layer12_index = arith.constant 12 : index
    %layer12 = util.optimization_barrier %layer12_index : index
    %layer13_index = arith.constant 13 : index
    %layer13 = util.optimization_barrier %layer13_index : index
    %layer14_index = arith.constant 14 : index
    %layer14 = util.optimization_barrier %layer14_index : index
    %layer15_index = arith.constant 15 : index
    %layer15 = util.optimization_barrier %layer15_index : index

    %cos, %sin = call @rotary_angles(%positions) : (!tokens) -> (!angle, !angle)
    %cached_mask = call @cached_mask(%positions) : (tensor<8xi32>) -> !cached_mask
    %x0 = call @embedding(%embed, %tokens) : (!embed, !tokens) -> !hidden

    %x1, %new_k0, %new_v0 = call @layer(
        %x0, %layer0_attn_norm, %layer0_q, %layer0_k, %layer0_v, %layer0_o, %layer0_mlp_norm, %layer0_gate,
        %layer0_up, %layer0_down, %layer0, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x2, %new_k1, %new_v1 = call @layer(
        %x1, %layer1_attn_norm, %layer1_q, %layer1_k, %layer1_v, %layer1_o, %layer1_mlp_norm, %layer1_gate,
        %layer1_up, %layer1_down, %layer1, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x3, %new_k2, %new_v2 = call @layer(
        %x2, %layer2_attn_norm, %layer2_q, %layer2_k, %layer2_v, %layer2_o, %layer2_mlp_norm, %layer2_gate,
        %layer2_up, %layer2_down, %layer2, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x4, %new_k3, %new_v3 = call @layer(
        %x3, %layer3_attn_norm, %layer3_q, %layer3_k, %layer3_v, %layer3_o, %layer3_mlp_norm, %layer3_gate,
        %layer3_up, %layer3_down, %layer3, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x5, %new_k4, %new_v4 = call @layer(
        %x4, %layer4_attn_norm, %layer4_q, %layer4_k, %layer4_v, %layer4_o, %layer4_mlp_norm, %layer4_gate,
        %layer4_up, %layer4_down, %layer4, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x6, %new_k5, %new_v5 = call @layer(
        %x5, %layer5_attn_norm, %layer5_q, %layer5_k, %layer5_v, %layer5_o, %layer5_mlp_norm, %layer5_gate,
        %layer5_up, %layer5_down, %layer5, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x7, %new_k6, %new_v6 = call @layer(
        %x6, %layer6_attn_norm, %layer6_q, %layer6_k, %layer6_v, %layer6_o, %layer6_mlp_norm, %layer6_gate,
        %layer6_up, %layer6_down, %layer6, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x8, %new_k7, %new_v7 = call @layer(
        %x7, %layer7_attn_norm, %layer7_q, %layer7_k, %layer7_v, %layer7_o, %layer7_mlp_norm, %layer7_gate,
        %layer7_up, %layer7_down, %layer7, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x9, %new_k8, %new_v8 = call @layer(
        %x8, %layer8_attn_norm, %layer8_q, %layer8_k, %layer8_v, %layer8_o, %layer8_mlp_norm, %layer8_gate,
        %layer8_up, %layer8_down, %layer8, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x10, %new_k9, %new_v9 = call @layer(
        %x9, %layer9_attn_norm, %layer9_q, %layer9_k, %layer9_v, %layer9_o, %layer9_mlp_norm, %layer9_gate,
        %layer9_up, %layer9_down, %layer9, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x11, %new_k10, %new_v10 = call @layer(
        %x10, %layer10_attn_norm, %layer10_q, %layer10_k, %layer10_v, %layer10_o, %layer10_mlp_norm, %layer10_gate,
        %layer10_up, %layer10_down, %layer10, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x12, %new_k11, %new_v11 = call @layer(
        %x11, %layer11_attn_norm, %layer11_q, %layer11_k, %layer11_v, %layer11_o, %layer11_mlp_norm, %layer11_gate,
        %layer11_up, %layer11_down, %layer11, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x13, %new_k12, %new_v12 = call @layer(
        %x12, %layer12_attn_norm, %layer12_q, %layer12_k, %layer12_v, %layer12_o, %layer12_mlp_norm, %layer12_gate,
        %layer12_up, %layer12_down, %layer12, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x14, %new_k13, %new_v13 = call @layer(
        %x13, %layer13_attn_norm, %layer13_q, %layer13_k, %layer13_v, %layer13_o, %layer13_mlp_norm, %layer13_gate,
        %layer13_up, %layer13_down, %layer13, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x15, %new_k14, %new_v14 = call @layer(
        %x14, %layer14_attn_norm, %layer14_q, %layer14_k, %layer14_v, %layer14_o, %layer14_mlp_norm, %layer14_gate,
        %layer14_up, %layer14_down, %layer14, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x16, %new_k15, %new_v15 = call @layer(
        %x15, %layer15_attn_norm, %layer15_q, %layer15_k, %layer15_v, %layer15_o, %layer15_mlp_norm, %layer15_gate,
        %layer15_up, %layer15_down, %layer15, %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !k, !v, !o, !norm, !gate, !up, !down, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)

    %normed = call @rms_norm(%x16, %final_norm) : (!hidden, !norm) -> !hidden
    %logits = call @head(%normed, %embed) : (!hidden, !embed) -> !logits
    %next = call @argmax(%logits) : (!logits) -> !next
    %k_out, %v_out = call @cache_write(
        %k, %v, %new_k0, %new_k1, %new_k2, %new_k3, %new_k4, %new_k5, %new_k6, %new_k7, %new_k8, %new_k9, %new_k10,
        %new_k11, %new_k12, %new_k13, %new_k14, %new_k15, %new_v0, %new_v1, %new_v2, %new_v3, %new_v4, %new_v5,
        %new_v6, %new_v7, %new_v8, %new_v9, %new_v10, %new_v11, %new_v12, %new_v13, %new_v14, %new_v15, %positions)
        : (!k_cache, !v_cache, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k,
           !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v,
           !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !tokens)
        -> (!k_cache, !v_cache)
    return %next, %logits, %k_out, %v_out : !next, !logits, !k_cache, !v_cache
  }

  // x + attention(norm(x)), then x + mlp(norm(x)).
  func.func private @layer(
      %x: !hidden, %attn_norm: !norm, %q: !q, %k: !k, %v: !v, %o: !o, %mlp_norm: !norm, %gate: !gate, %up: !up,
      %down: !down, %layer: index, %first_slot: index, %cos: !angle, %sin: !angle, %cached: !cached_mask,
      %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (!hidden, !norm) -> !hidden
    %attended, %new_k, %new_v = call @attention(
        %x_normed, %q, %k, %v, %o, %layer, %first_slot, %cos, %sin, %cached, %k_cache, %v_cache)
        : (!hidden, !q, !k, !v, !o, index, index, !angle, !angle, !cached_mask, !k_cache, !v_cache)
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
    %size = stablehlo.constant dense<2048.0> : !column
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
    %weight_f32 = stablehlo.convert %weight : (tensor<2048xbf16>) -> tensor<2048xf32>
    %weights = stablehlo.broadcast_in_dim %weight_f32, dims = [1] : (!norm_f32) -> !hidden
    %y = stablehlo.multiply %normed, %weights : !hidden
    return %y : !hidden
  }

  // Attention: softmax over two parts, the cached keys and the step's own, by a common maximum.
  // Returns the new keys and values, too, which the step writes, those of all layers at once.
  func.func private @attention(
      %x: !hidden, %q: !q, %k: !k, %v: !v, %o: !o, %layer: index, %first_slot: index, %cos: !angle, %sin: !angle,
      %cached: !cached_mask, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {

    %q_flat_in = stablehlo.convert %x : (tensor<8x2048xf32>) -> tensor<8x2048xbf16>
    %q_flat = stablehlo.dot_general %q_flat_in, %q, contracting_dims = [1] x [1]
        : (tensor<8x2048xbf16>, tensor<2048x2048xbf16>) -> !q_row

    %k_flat_in = stablehlo.convert %x : (tensor<8x2048xf32>) -> tensor<8x2048xbf16>
    %k_flat = stablehlo.dot_general %k_flat_in, %k, contracting_dims = [1] x [1]
        : (tensor<8x2048xbf16>, tensor<512x2048xbf16>) -> !k_row

    %v_flat_in = stablehlo.convert %x : (tensor<8x2048xf32>) -> tensor<8x2048xbf16>
    %v_flat = stablehlo.dot_general %v_flat_in, %v, contracting_dims = [1] x [1]
        : (tensor<8x2048xbf16>, tensor<512x2048xbf16>) -> !k_row

    %q_turned = call @rotary_q(%q_flat, %cos, %sin) : (!q_row, !angle, !angle) -> !q_row
    %k_turned = call @rotary_k(%k_flat, %cos, %sin) : (!k_row, !angle, !angle) -> !k_row

    // queries [slots, kv_heads, group · new, head_dim], keys and values [slots, kv_heads, new, head_dim];
    // group: the query heads of a kv head, new: the step's tokens of a slot
    %q_heads = stablehlo.reshape %q_turned : (!q_row) -> !q_heads
    %k_heads = stablehlo.reshape %k_turned : (!k_row) -> !new_heads
    %v_heads = stablehlo.reshape %v_flat : (!k_row) -> !new_heads
    %scale = stablehlo.constant dense<0.125> : !q_heads
    %q_scaled = stablehlo.multiply %q_heads, %scale : !q_heads
    %k_heads_bf16 = stablehlo.convert %k_heads : (tensor<8x8x1x64xf32>) -> tensor<8x8x1x64xbf16>
    %v_heads_bf16 = stablehlo.convert %v_heads : (tensor<8x8x1x64xf32>) -> tensor<8x8x1x64xbf16>


    %q_scaled_bf16 = stablehlo.convert %q_scaled : (tensor<8x8x4x64xf32>) -> tensor<8x8x4x64xbf16>

    // slots and kv_heads as one dimension, so that the products read the layer where it lies
    %kv_heads = arith.constant 8 : index
    %first = arith.muli %first_slot, %kv_heads : index
    %k_all = stablehlo.reshape %k_cache : (!k_cache) -> !k_lanes
    %k_layer = tensor.extract_slice %k_all[%layer, %first, 0, 0]
        [1, 64, 64, 2048] [1, 1, 1, 1] : !k_lanes to tensor<64x64x2048xbf16>
    %k_past = stablehlo.reshape %k_layer : (tensor<64x64x2048xbf16>) -> !k_past
    %v_all = stablehlo.reshape %v_cache : (!v_cache) -> !v_lanes
    %v_layer = tensor.extract_slice %v_all[%layer, %first, 0, 0]
        [1, 64, 2048, 64] [1, 1, 1, 1] : !v_lanes to tensor<64x2048x64xbf16>
    %v_past = stablehlo.reshape %v_layer : (tensor<64x2048x64xbf16>) -> !v_past

    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %none = stablehlo.constant dense<0.0> : tensor<f32>
    %past_raw = stablehlo.dot_general %q_scaled_bf16, %k_past,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2]
        : (tensor<8x8x4x64xbf16>, !k_past) -> !scores
    %past_seen = stablehlo.broadcast_in_dim %cached, dims = [0, 3] : (!cached_mask) -> !seen
    %past_hidden = stablehlo.broadcast_in_dim %minus_inf, dims = [] : (tensor<f32>) -> !scores
    %past = stablehlo.select %past_seen, %past_raw, %past_hidden : !seen, !scores

    %own = stablehlo.dot_general %q_scaled_bf16, %k_heads_bf16,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [3]
        : (tensor<8x8x4x64xbf16>, tensor<8x8x1x64xbf16>) -> !own_scores

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
    %past_exp_bf16 = stablehlo.convert %past_exp : (tensor<8x8x4x2048xf32>) -> tensor<8x8x4x2048xbf16>
    %own_maxes = stablehlo.broadcast_in_dim %max, dims = [0, 1, 2] : (!each_query) -> !own_scores
    %own_below = stablehlo.subtract %own, %own_maxes : !own_scores
    %own_exp = stablehlo.exponential %own_below : !own_scores
    %own_sum = stablehlo.reduce(%own_exp init: %none) applies stablehlo.add across dimensions = [3]
        : (!own_scores, tensor<f32>) -> !each_query
    %own_exp_bf16 = stablehlo.convert %own_exp : (tensor<8x8x4x1xf32>) -> tensor<8x8x4x1xbf16>

    %past_out = stablehlo.dot_general %past_exp_bf16, %v_past,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2]
        : (tensor<8x8x4x2048xbf16>, !v_past) -> !q_heads
    %own_out = stablehlo.dot_general %own_exp_bf16, %v_heads_bf16,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2]
        : (tensor<8x8x4x1xbf16>, tensor<8x8x1x64xbf16>) -> !q_heads
    %sum = stablehlo.add %past_sum, %own_sum : !each_query
    %sums = stablehlo.broadcast_in_dim %sum, dims = [0, 1, 2] : (!each_query) -> !q_heads
    %weighted = stablehlo.add %past_out, %own_out : !q_heads
    %heads_out = stablehlo.divide %weighted, %sums : !q_heads

    %flat_out = stablehlo.reshape %heads_out : (!q_heads) -> !q_row
    %new_k = stablehlo.reshape %k_heads_bf16 : (tensor<8x8x1x64xbf16>) -> !new_k
    %new_v = stablehlo.reshape %v_heads_bf16 : (tensor<8x8x1x64xbf16>) -> !new_v

    %y_in = stablehlo.convert %flat_out : (tensor<8x2048xf32>) -> tensor<8x2048xbf16>
    %y = stablehlo.dot_general %y_in, %o, contracting_dims = [1] x [1]
        : (tensor<8x2048xbf16>, tensor<2048x2048xbf16>) -> !hidden
    return %y, %new_k, %new_v : !hidden, !new_k, !new_v
  }

  // cos and ∓sin of position · frequency, laid over a head's two halves: [rows, 2, head_dim / 2].
  func.func private @rotary_angles(%positions: !tokens) -> (!angle, !angle) {
    // theta^(-2i / head_dim), theta 500000, llama3 scaling by 32: radians a position
    %frequency = stablehlo.constant dense<[
        1.0, 0.6636012, 0.4403666, 0.29222783, 0.19392274, 0.12868737, 0.0853971, 0.056669623, 0.03760603,
        0.024955409, 0.01656044, 0.010989528, 0.0072926646, 0.0048394212, 0.003211446, 0.0012905479, 0.0004295568,
        9.708288e-05, 1.9461639e-05, 1.29147675e-05, 8.570256e-06, 5.6872323e-06, 3.7740542e-06, 2.5044671e-06,
        1.6619674e-06, 1.1028836e-06, 7.31875e-07, 4.856731e-07, 3.222933e-07, 2.1387423e-07, 1.419272e-07,
        9.4183065e-08]> : tensor<32xf32>
    %sign = stablehlo.constant dense<[-1.0, 1.0]> : tensor<2xf32>
    %position = stablehlo.convert %positions : (!tokens) -> tensor<8xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<8xf32>) -> !angles
    %by_pair = stablehlo.broadcast_in_dim %frequency, dims = [1] : (tensor<32xf32>) -> !angles
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
  func.func private @cached_mask(%past: tensor<8xi32>) -> !cached_mask {
    %position = stablehlo.iota dim = 1 : !mask_index
    %pasts = stablehlo.broadcast_in_dim %past, dims = [0] : (tensor<8xi32>) -> !mask_index
    %mask = stablehlo.compare LT, %position, %pasts : (!mask_index, !mask_index) -> !cached_mask
    return %mask : !cached_mask
  }

  // down(silu(gate(x)) · up(x))
  func.func private @mlp(%x: !hidden, %gate: !gate, %up: !up, %down: !down) -> !hidden {

    %gated_in = stablehlo.convert %x : (tensor<8x2048xf32>) -> tensor<8x2048xbf16>
    %gated = stablehlo.dot_general %gated_in, %gate, contracting_dims = [1] x [1]
        : (tensor<8x2048xbf16>, tensor<8192x2048xbf16>) -> !inner

    %raised_in = stablehlo.convert %x : (tensor<8x2048xf32>) -> tensor<8x2048xbf16>
    %raised = stablehlo.dot_general %raised_in, %up, contracting_dims = [1] x [1]
        : (tensor<8x2048xbf16>, tensor<8192x2048xbf16>) -> !inner

    %sigmoid = stablehlo.logistic %gated : !inner
    %activated = stablehlo.multiply %gated, %sigmoid : !inner
    %inner = stablehlo.multiply %activated, %raised : !inner

    %y_in = stablehlo.convert %inner : (tensor<8x8192xf32>) -> tensor<8x8192xbf16>
    %y = stablehlo.dot_general %y_in, %down, contracting_dims = [1] x [1]
        : (tensor<8x8192xbf16>, tensor<2048x8192xbf16>) -> !hidden
    return %y : !hidden
  }

  // Row `token` of the table for each token.
  func.func private @embedding(%embed: !embed, %tokens: !tokens) -> !hidden {
    %x_ids = stablehlo.reshape %tokens : (!tokens) -> tensor<8x1xi32>
    %x_found = "stablehlo.gather"(%embed, %x_ids) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 2048>, indices_are_sorted = false}>
        : (!embed, tensor<8x1xi32>) -> tensor<8x2048xbf16>
    %x = stablehlo.convert %x_found : (tensor<8x2048xbf16>) -> tensor<8x2048xf32>
    return %x : !hidden
  }

  // Logits over the vocabulary.
  func.func private @head(%x: !hidden, %embed: !embed) -> !logits {

    %logits_in = stablehlo.convert %x : (tensor<8x2048xf32>) -> tensor<8x2048xbf16>
    %logits = stablehlo.dot_general %logits_in, %embed, contracting_dims = [1] x [1]
        : (tensor<8x2048xbf16>, tensor<128256x2048xbf16>) -> !logits
    return %logits : !logits
  }

  // The lowest index that holds a row's maximum.
  func.func private @argmax(%logits: !logits) -> !next {
    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %past_end = stablehlo.constant dense<128256> : tensor<i32>
    %max = stablehlo.reduce(%logits init: %minus_inf) applies stablehlo.maximum across dimensions = [1]
        : (!logits, tensor<f32>) -> tensor<8xf32>
    %maxes = stablehlo.broadcast_in_dim %max, dims = [0] : (tensor<8xf32>) -> !logits
    %is_max = stablehlo.compare EQ, %logits, %maxes : (!logits, !logits) -> tensor<8x128256xi1>
    %index = stablehlo.iota dim = 1 : !vocab_index
    %past_ends = stablehlo.broadcast_in_dim %past_end, dims = [] : (tensor<i32>) -> !vocab_index
    %candidates = stablehlo.select %is_max, %index, %past_ends : tensor<8x128256xi1>, !vocab_index
    %lowest = stablehlo.reduce(%candidates init: %past_end) applies stablehlo.minimum across dimensions = [1]
        : (!vocab_index, tensor<i32>) -> !next
    return %lowest : !next
  }

  // Row by row, each slot's new keys and values at its own position.
  func.func private @cache_write(
      %k: !k_cache, %v: !v_cache, %new_k0: !new_k, %new_k1: !new_k, %new_k2: !new_k, %new_k3: !new_k,
      %new_k4: !new_k, %new_k5: !new_k, %new_k6: !new_k, %new_k7: !new_k, %new_k8: !new_k, %new_k9: !new_k,
      %new_k10: !new_k, %new_k11: !new_k, %new_k12: !new_k, %new_k13: !new_k, %new_k14: !new_k, %new_k15: !new_k,
      %new_v0: !new_v, %new_v1: !new_v, %new_v2: !new_v, %new_v3: !new_v, %new_v4: !new_v, %new_v5: !new_v,
      %new_v6: !new_v, %new_v7: !new_v, %new_v8: !new_v, %new_v9: !new_v, %new_v10: !new_v, %new_v11: !new_v,
      %new_v12: !new_v, %new_v13: !new_v, %new_v14: !new_v, %new_v15: !new_v, %positions: !tokens)
      -> (!k_cache, !v_cache) {
    %keys = stablehlo.concatenate
        %new_k0, %new_k1, %new_k2, %new_k3, %new_k4, %new_k5, %new_k6, %new_k7, %new_k8, %new_k9, %new_k10,
        %new_k11, %new_k12, %new_k13, %new_k14, %new_k15, dim = 0
        : (!new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k,
           !new_k, !new_k, !new_k) -> !new_keys
    %values = stablehlo.concatenate
        %new_v0, %new_v1, %new_v2, %new_v3, %new_v4, %new_v5, %new_v6, %new_v7, %new_v8, %new_v9, %new_v10,
        %new_v11, %new_v12, %new_v13, %new_v14, %new_v15, dim = 0
        : (!new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v,
           !new_v, !new_v, !new_v) -> !new_values
    %zero = stablehlo.constant dense<0> : tensor<i32>
    %slot0 = stablehlo.constant dense<0> : tensor<i32>
    %at0 = stablehlo.slice %positions [0:1] : (!tokens) -> tensor<1xi32>
    %position0 = stablehlo.reshape %at0 : (tensor<1xi32>) -> tensor<i32>
    %keys0 = stablehlo.slice %keys [0:16, 0:1, 0:8, 0:64, 0:1]
        : (!new_keys) -> !key_row
    %values0 = stablehlo.slice %values [0:16, 0:1, 0:8, 0:1, 0:64]
        : (!new_values) -> !value_row
    %k_1 = stablehlo.dynamic_update_slice %k, %keys0, %zero, %slot0, %zero, %zero, %position0
        : (!k_cache, !key_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_1 = stablehlo.dynamic_update_slice %v, %values0, %zero, %slot0, %zero, %position0, %zero
        : (!v_cache, !value_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    %slot1 = stablehlo.constant dense<1> : tensor<i32>
    %at1 = stablehlo.slice %positions [1:2] : (!tokens) -> tensor<1xi32>
    %position1 = stablehlo.reshape %at1 : (tensor<1xi32>) -> tensor<i32>
    %keys1 = stablehlo.slice %keys [0:16, 1:2, 0:8, 0:64, 0:1]
        : (!new_keys) -> !key_row
    %values1 = stablehlo.slice %values [0:16, 1:2, 0:8, 0:1, 0:64]
        : (!new_values) -> !value_row
    %k_2 = stablehlo.dynamic_update_slice %k_1, %keys1, %zero, %slot1, %zero, %zero, %position1
        : (!k_cache, !key_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_2 = stablehlo.dynamic_update_slice %v_1, %values1, %zero, %slot1, %zero, %position1, %zero
        : (!v_cache, !value_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    %slot2 = stablehlo.constant dense<2> : tensor<i32>
    %at2 = stablehlo.slice %positions [2:3] : (!tokens) -> tensor<1xi32>
    %position2 = stablehlo.reshape %at2 : (tensor<1xi32>) -> tensor<i32>
    %keys2 = stablehlo.slice %keys [0:16, 2:3, 0:8, 0:64, 0:1]
        : (!new_keys) -> !key_row
    %values2 = stablehlo.slice %values [0:16, 2:3, 0:8, 0:1, 0:64]
        : (!new_values) -> !value_row
    %k_3 = stablehlo.dynamic_update_slice %k_2, %keys2, %zero, %slot2, %zero, %zero, %position2
        : (!k_cache, !key_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_3 = stablehlo.dynamic_update_slice %v_2, %values2, %zero, %slot2, %zero, %position2, %zero
        : (!v_cache, !value_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    %slot3 = stablehlo.constant dense<3> : tensor<i32>
    %at3 = stablehlo.slice %positions [3:4] : (!tokens) -> tensor<1xi32>
    %position3 = stablehlo.reshape %at3 : (tensor<1xi32>) -> tensor<i32>
    %keys3 = stablehlo.slice %keys [0:16, 3:4, 0:8, 0:64, 0:1]
        : (!new_keys) -> !key_row
    %values3 = stablehlo.slice %values [0:16, 3:4, 0:8, 0:1, 0:64]
        : (!new_values) -> !value_row
    %k_4 = stablehlo.dynamic_update_slice %k_3, %keys3, %zero, %slot3, %zero, %zero, %position3
        : (!k_cache, !key_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_4 = stablehlo.dynamic_update_slice %v_3, %values3, %zero, %slot3, %zero, %position3, %zero
        : (!v_cache, !value_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    %slot4 = stablehlo.constant dense<4> : tensor<i32>
    %at4 = stablehlo.slice %positions [4:5] : (!tokens) -> tensor<1xi32>
    %position4 = stablehlo.reshape %at4 : (tensor<1xi32>) -> tensor<i32>
    %keys4 = stablehlo.slice %keys [0:16, 4:5, 0:8, 0:64, 0:1]
        : (!new_keys) -> !key_row
    %values4 = stablehlo.slice %values [0:16, 4:5, 0:8, 0:1, 0:64]
        : (!new_values) -> !value_row
    %k_5 = stablehlo.dynamic_update_slice %k_4, %keys4, %zero, %slot4, %zero, %zero, %position4
        : (!k_cache, !key_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_5 = stablehlo.dynamic_update_slice %v_4, %values4, %zero, %slot4, %zero, %position4, %zero
        : (!v_cache, !value_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    %slot5 = stablehlo.constant dense<5> : tensor<i32>
    %at5 = stablehlo.slice %positions [5:6] : (!tokens) -> tensor<1xi32>
    %position5 = stablehlo.reshape %at5 : (tensor<1xi32>) -> tensor<i32>
    %keys5 = stablehlo.slice %keys [0:16, 5:6, 0:8, 0:64, 0:1]
        : (!new_keys) -> !key_row
    %values5 = stablehlo.slice %values [0:16, 5:6, 0:8, 0:1, 0:64]
        : (!new_values) -> !value_row
    %k_6 = stablehlo.dynamic_update_slice %k_5, %keys5, %zero, %slot5, %zero, %zero, %position5
        : (!k_cache, !key_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_6 = stablehlo.dynamic_update_slice %v_5, %values5, %zero, %slot5, %zero, %position5, %zero
        : (!v_cache, !value_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    %slot6 = stablehlo.constant dense<6> : tensor<i32>
    %at6 = stablehlo.slice %positions [6:7] : (!tokens) -> tensor<1xi32>
    %position6 = stablehlo.reshape %at6 : (tensor<1xi32>) -> tensor<i32>
    %keys6 = stablehlo.slice %keys [0:16, 6:7, 0:8, 0:64, 0:1]
        : (!new_keys) -> !key_row
    %values6 = stablehlo.slice %values [0:16, 6:7, 0:8, 0:1, 0:64]
        : (!new_values) -> !value_row
    %k_7 = stablehlo.dynamic_update_slice %k_6, %keys6, %zero, %slot6, %zero, %zero, %position6
        : (!k_cache, !key_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_7 = stablehlo.dynamic_update_slice %v_6, %values6, %zero, %slot6, %zero, %position6, %zero
        : (!v_cache, !value_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    %slot7 = stablehlo.constant dense<7> : tensor<i32>
    %at7 = stablehlo.slice %positions [7:8] : (!tokens) -> tensor<1xi32>
    %position7 = stablehlo.reshape %at7 : (tensor<1xi32>) -> tensor<i32>
    %keys7 = stablehlo.slice %keys [0:16, 7:8, 0:8, 0:64, 0:1]
        : (!new_keys) -> !key_row
    %values7 = stablehlo.slice %values [0:16, 7:8, 0:8, 0:1, 0:64]
        : (!new_values) -> !value_row
    %k_8 = stablehlo.dynamic_update_slice %k_7, %keys7, %zero, %slot7, %zero, %zero, %position7
        : (!k_cache, !key_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_8 = stablehlo.dynamic_update_slice %v_7, %values7, %zero, %slot7, %zero, %position7, %zero
        : (!v_cache, !value_row, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    return %k_8, %v_8 : !k_cache, !v_cache
  }
}

// decode · qwen2, tied · 24 layers, hidden 896, 14/2 heads of 64 · context 2048, 8 slots · fast

!embed = tensor<151936x896xbf16>
!norm = tensor<896xbf16>
!q = tensor<896x896xbf16>
!q_bias = tensor<896xbf16>
!k = tensor<128x896xbf16>
!k_bias = tensor<128xbf16>
!v = tensor<128x896xbf16>
!v_bias = tensor<128xbf16>
!o = tensor<896x896xbf16>
!gate = tensor<4864x896xbf16>
!up = tensor<4864x896xbf16>
!down = tensor<896x4864xbf16>
!k_cache = tensor<24x8x2x64x2048xbf16>
!v_cache = tensor<24x8x2x2048x64xbf16>
!last_logits = tensor<151936xf32>
!tokens = tensor<1xi32>
!angle = tensor<1x2x32xf32>
!cached_mask = tensor<1x2048xi1>
!hidden = tensor<1x896xf32>
!new_k = tensor<1x1x2x64x1xbf16>
!new_v = tensor<1x1x2x1x64xbf16>
!logits = tensor<1x151936xf32>
!next = tensor<1xi32>
!column = tensor<1x1xf32>
!each_row = tensor<1xf32>
!norm_f32 = tensor<896xf32>
!q_row = tensor<1x896xf32>
!k_row = tensor<1x128xf32>
!q_heads = tensor<1x2x7x64xf32>
!new_heads = tensor<1x2x1x64xf32>
!k_lanes = tensor<24x16x64x2048xbf16>
!k_past = tensor<1x2x64x2048xbf16>
!v_lanes = tensor<24x16x2048x64xbf16>
!v_past = tensor<1x2x2048x64xbf16>
!scores = tensor<1x2x7x2048xf32>
!seen = tensor<1x2x7x2048xi1>
!own_scores = tensor<1x2x7x1xf32>
!each_query = tensor<1x2x7xf32>
!angles = tensor<1x32xf32>
!q_pairs = tensor<1x14x2x32xf32>
!k_pairs = tensor<1x2x2x32xf32>
!mask_index = tensor<1x2048xi32>
!inner = tensor<1x4864xf32>
!vocab_index = tensor<1x151936xi32>
!new_keys = tensor<24x1x2x64x1xbf16>
!new_values = tensor<24x1x2x1x64xbf16>

module @decode {
  // One token of slot 0, at `position`.
  func.func public @decode(
      %embed: !embed,
      %final_norm: !norm,
      %layer0_attn_norm: !norm, %layer0_q: !q, %layer0_q_bias: !q_bias, %layer0_k: !k, %layer0_k_bias: !k_bias,
      %layer0_v: !v, %layer0_v_bias: !v_bias, %layer0_o: !o, %layer0_mlp_norm: !norm, %layer0_gate: !gate,
      %layer0_up: !up, %layer0_down: !down,
      %layer1_attn_norm: !norm, %layer1_q: !q, %layer1_q_bias: !q_bias, %layer1_k: !k, %layer1_k_bias: !k_bias,
      %layer1_v: !v, %layer1_v_bias: !v_bias, %layer1_o: !o, %layer1_mlp_norm: !norm, %layer1_gate: !gate,
      %layer1_up: !up, %layer1_down: !down,
      %layer2_attn_norm: !norm, %layer2_q: !q, %layer2_q_bias: !q_bias, %layer2_k: !k, %layer2_k_bias: !k_bias,
      %layer2_v: !v, %layer2_v_bias: !v_bias, %layer2_o: !o, %layer2_mlp_norm: !norm, %layer2_gate: !gate,
      %layer2_up: !up, %layer2_down: !down,
      %layer3_attn_norm: !norm, %layer3_q: !q, %layer3_q_bias: !q_bias, %layer3_k: !k, %layer3_k_bias: !k_bias,
      %layer3_v: !v, %layer3_v_bias: !v_bias, %layer3_o: !o, %layer3_mlp_norm: !norm, %layer3_gate: !gate,
      %layer3_up: !up, %layer3_down: !down,
      %layer4_attn_norm: !norm, %layer4_q: !q, %layer4_q_bias: !q_bias, %layer4_k: !k, %layer4_k_bias: !k_bias,
      %layer4_v: !v, %layer4_v_bias: !v_bias, %layer4_o: !o, %layer4_mlp_norm: !norm, %layer4_gate: !gate,
      %layer4_up: !up, %layer4_down: !down,
      %layer5_attn_norm: !norm, %layer5_q: !q, %layer5_q_bias: !q_bias, %layer5_k: !k, %layer5_k_bias: !k_bias,
      %layer5_v: !v, %layer5_v_bias: !v_bias, %layer5_o: !o, %layer5_mlp_norm: !norm, %layer5_gate: !gate,
      %layer5_up: !up, %layer5_down: !down,
      %layer6_attn_norm: !norm, %layer6_q: !q, %layer6_q_bias: !q_bias, %layer6_k: !k, %layer6_k_bias: !k_bias,
      %layer6_v: !v, %layer6_v_bias: !v_bias, %layer6_o: !o, %layer6_mlp_norm: !norm, %layer6_gate: !gate,
      %layer6_up: !up, %layer6_down: !down,
      %layer7_attn_norm: !norm, %layer7_q: !q, %layer7_q_bias: !q_bias, %layer7_k: !k, %layer7_k_bias: !k_bias,
      %layer7_v: !v, %layer7_v_bias: !v_bias, %layer7_o: !o, %layer7_mlp_norm: !norm, %layer7_gate: !gate,
      %layer7_up: !up, %layer7_down: !down,
      %layer8_attn_norm: !norm, %layer8_q: !q, %layer8_q_bias: !q_bias, %layer8_k: !k, %layer8_k_bias: !k_bias,
      %layer8_v: !v, %layer8_v_bias: !v_bias, %layer8_o: !o, %layer8_mlp_norm: !norm, %layer8_gate: !gate,
      %layer8_up: !up, %layer8_down: !down,
      %layer9_attn_norm: !norm, %layer9_q: !q, %layer9_q_bias: !q_bias, %layer9_k: !k, %layer9_k_bias: !k_bias,
      %layer9_v: !v, %layer9_v_bias: !v_bias, %layer9_o: !o, %layer9_mlp_norm: !norm, %layer9_gate: !gate,
      %layer9_up: !up, %layer9_down: !down,
      %layer10_attn_norm: !norm, %layer10_q: !q, %layer10_q_bias: !q_bias, %layer10_k: !k,
      %layer10_k_bias: !k_bias, %layer10_v: !v, %layer10_v_bias: !v_bias, %layer10_o: !o, %layer10_mlp_norm: !norm,
      %layer10_gate: !gate, %layer10_up: !up, %layer10_down: !down,
      %layer11_attn_norm: !norm, %layer11_q: !q, %layer11_q_bias: !q_bias, %layer11_k: !k,
      %layer11_k_bias: !k_bias, %layer11_v: !v, %layer11_v_bias: !v_bias, %layer11_o: !o, %layer11_mlp_norm: !norm,
      %layer11_gate: !gate, %layer11_up: !up, %layer11_down: !down,
      %layer12_attn_norm: !norm, %layer12_q: !q, %layer12_q_bias: !q_bias, %layer12_k: !k,
      %layer12_k_bias: !k_bias, %layer12_v: !v, %layer12_v_bias: !v_bias, %layer12_o: !o, %layer12_mlp_norm: !norm,
      %layer12_gate: !gate, %layer12_up: !up, %layer12_down: !down,
      %layer13_attn_norm: !norm, %layer13_q: !q, %layer13_q_bias: !q_bias, %layer13_k: !k,
      %layer13_k_bias: !k_bias, %layer13_v: !v, %layer13_v_bias: !v_bias, %layer13_o: !o, %layer13_mlp_norm: !norm,
      %layer13_gate: !gate, %layer13_up: !up, %layer13_down: !down,
      %layer14_attn_norm: !norm, %layer14_q: !q, %layer14_q_bias: !q_bias, %layer14_k: !k,
      %layer14_k_bias: !k_bias, %layer14_v: !v, %layer14_v_bias: !v_bias, %layer14_o: !o, %layer14_mlp_norm: !norm,
      %layer14_gate: !gate, %layer14_up: !up, %layer14_down: !down,
      %layer15_attn_norm: !norm, %layer15_q: !q, %layer15_q_bias: !q_bias, %layer15_k: !k,
      %layer15_k_bias: !k_bias, %layer15_v: !v, %layer15_v_bias: !v_bias, %layer15_o: !o, %layer15_mlp_norm: !norm,
      %layer15_gate: !gate, %layer15_up: !up, %layer15_down: !down,
      %layer16_attn_norm: !norm, %layer16_q: !q, %layer16_q_bias: !q_bias, %layer16_k: !k,
      %layer16_k_bias: !k_bias, %layer16_v: !v, %layer16_v_bias: !v_bias, %layer16_o: !o, %layer16_mlp_norm: !norm,
      %layer16_gate: !gate, %layer16_up: !up, %layer16_down: !down,
      %layer17_attn_norm: !norm, %layer17_q: !q, %layer17_q_bias: !q_bias, %layer17_k: !k,
      %layer17_k_bias: !k_bias, %layer17_v: !v, %layer17_v_bias: !v_bias, %layer17_o: !o, %layer17_mlp_norm: !norm,
      %layer17_gate: !gate, %layer17_up: !up, %layer17_down: !down,
      %layer18_attn_norm: !norm, %layer18_q: !q, %layer18_q_bias: !q_bias, %layer18_k: !k,
      %layer18_k_bias: !k_bias, %layer18_v: !v, %layer18_v_bias: !v_bias, %layer18_o: !o, %layer18_mlp_norm: !norm,
      %layer18_gate: !gate, %layer18_up: !up, %layer18_down: !down,
      %layer19_attn_norm: !norm, %layer19_q: !q, %layer19_q_bias: !q_bias, %layer19_k: !k,
      %layer19_k_bias: !k_bias, %layer19_v: !v, %layer19_v_bias: !v_bias, %layer19_o: !o, %layer19_mlp_norm: !norm,
      %layer19_gate: !gate, %layer19_up: !up, %layer19_down: !down,
      %layer20_attn_norm: !norm, %layer20_q: !q, %layer20_q_bias: !q_bias, %layer20_k: !k,
      %layer20_k_bias: !k_bias, %layer20_v: !v, %layer20_v_bias: !v_bias, %layer20_o: !o, %layer20_mlp_norm: !norm,
      %layer20_gate: !gate, %layer20_up: !up, %layer20_down: !down,
      %layer21_attn_norm: !norm, %layer21_q: !q, %layer21_q_bias: !q_bias, %layer21_k: !k,
      %layer21_k_bias: !k_bias, %layer21_v: !v, %layer21_v_bias: !v_bias, %layer21_o: !o, %layer21_mlp_norm: !norm,
      %layer21_gate: !gate, %layer21_up: !up, %layer21_down: !down,
      %layer22_attn_norm: !norm, %layer22_q: !q, %layer22_q_bias: !q_bias, %layer22_k: !k,
      %layer22_k_bias: !k_bias, %layer22_v: !v, %layer22_v_bias: !v_bias, %layer22_o: !o, %layer22_mlp_norm: !norm,
      %layer22_gate: !gate, %layer22_up: !up, %layer22_down: !down,
      %layer23_attn_norm: !norm, %layer23_q: !q, %layer23_q_bias: !q_bias, %layer23_k: !k,
      %layer23_k_bias: !k_bias, %layer23_v: !v, %layer23_v_bias: !v_bias, %layer23_o: !o, %layer23_mlp_norm: !norm,
      %layer23_gate: !gate, %layer23_up: !up, %layer23_down: !down,
      %token: tensor<i32>, %position: tensor<i32>,
      %k: !k_cache {tf.aliasing_output = 2 : i32},
      %v: !v_cache {tf.aliasing_output = 3 : i32})
      -> (tensor<i32>, !last_logits, !k_cache, !v_cache) {
    %tokens = stablehlo.reshape %token : (tensor<i32>) -> tensor<1xi32>
    %first_slot = arith.constant 0 : index
    %positions = stablehlo.reshape %position : (tensor<i32>) -> tensor<1xi32>
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
    %layer16_index = arith.constant 16 : index
    %layer16 = util.optimization_barrier %layer16_index : index
    %layer17_index = arith.constant 17 : index
    %layer17 = util.optimization_barrier %layer17_index : index
    %layer18_index = arith.constant 18 : index
    %layer18 = util.optimization_barrier %layer18_index : index
    %layer19_index = arith.constant 19 : index
    %layer19 = util.optimization_barrier %layer19_index : index
    %layer20_index = arith.constant 20 : index
    %layer20 = util.optimization_barrier %layer20_index : index
    %layer21_index = arith.constant 21 : index
    %layer21 = util.optimization_barrier %layer21_index : index
    %layer22_index = arith.constant 22 : index
    %layer22 = util.optimization_barrier %layer22_index : index
    %layer23_index = arith.constant 23 : index
    %layer23 = util.optimization_barrier %layer23_index : index

    %cos, %sin = call @rotary_angles(%positions) : (!tokens) -> (!angle, !angle)
    %cached_mask = call @cached_mask(%positions) : (tensor<1xi32>) -> !cached_mask
    %x0 = call @embedding(%embed, %tokens) : (!embed, !tokens) -> !hidden

    %x1, %new_k0, %new_v0 = call @layer(
        %x0, %layer0_attn_norm, %layer0_q, %layer0_q_bias, %layer0_k, %layer0_k_bias, %layer0_v, %layer0_v_bias,
        %layer0_o, %layer0_mlp_norm, %layer0_gate, %layer0_up, %layer0_down, %layer0, %first_slot, %cos, %sin,
        %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x2, %new_k1, %new_v1 = call @layer(
        %x1, %layer1_attn_norm, %layer1_q, %layer1_q_bias, %layer1_k, %layer1_k_bias, %layer1_v, %layer1_v_bias,
        %layer1_o, %layer1_mlp_norm, %layer1_gate, %layer1_up, %layer1_down, %layer1, %first_slot, %cos, %sin,
        %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x3, %new_k2, %new_v2 = call @layer(
        %x2, %layer2_attn_norm, %layer2_q, %layer2_q_bias, %layer2_k, %layer2_k_bias, %layer2_v, %layer2_v_bias,
        %layer2_o, %layer2_mlp_norm, %layer2_gate, %layer2_up, %layer2_down, %layer2, %first_slot, %cos, %sin,
        %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x4, %new_k3, %new_v3 = call @layer(
        %x3, %layer3_attn_norm, %layer3_q, %layer3_q_bias, %layer3_k, %layer3_k_bias, %layer3_v, %layer3_v_bias,
        %layer3_o, %layer3_mlp_norm, %layer3_gate, %layer3_up, %layer3_down, %layer3, %first_slot, %cos, %sin,
        %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x5, %new_k4, %new_v4 = call @layer(
        %x4, %layer4_attn_norm, %layer4_q, %layer4_q_bias, %layer4_k, %layer4_k_bias, %layer4_v, %layer4_v_bias,
        %layer4_o, %layer4_mlp_norm, %layer4_gate, %layer4_up, %layer4_down, %layer4, %first_slot, %cos, %sin,
        %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x6, %new_k5, %new_v5 = call @layer(
        %x5, %layer5_attn_norm, %layer5_q, %layer5_q_bias, %layer5_k, %layer5_k_bias, %layer5_v, %layer5_v_bias,
        %layer5_o, %layer5_mlp_norm, %layer5_gate, %layer5_up, %layer5_down, %layer5, %first_slot, %cos, %sin,
        %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x7, %new_k6, %new_v6 = call @layer(
        %x6, %layer6_attn_norm, %layer6_q, %layer6_q_bias, %layer6_k, %layer6_k_bias, %layer6_v, %layer6_v_bias,
        %layer6_o, %layer6_mlp_norm, %layer6_gate, %layer6_up, %layer6_down, %layer6, %first_slot, %cos, %sin,
        %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x8, %new_k7, %new_v7 = call @layer(
        %x7, %layer7_attn_norm, %layer7_q, %layer7_q_bias, %layer7_k, %layer7_k_bias, %layer7_v, %layer7_v_bias,
        %layer7_o, %layer7_mlp_norm, %layer7_gate, %layer7_up, %layer7_down, %layer7, %first_slot, %cos, %sin,
        %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x9, %new_k8, %new_v8 = call @layer(
        %x8, %layer8_attn_norm, %layer8_q, %layer8_q_bias, %layer8_k, %layer8_k_bias, %layer8_v, %layer8_v_bias,
        %layer8_o, %layer8_mlp_norm, %layer8_gate, %layer8_up, %layer8_down, %layer8, %first_slot, %cos, %sin,
        %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x10, %new_k9, %new_v9 = call @layer(
        %x9, %layer9_attn_norm, %layer9_q, %layer9_q_bias, %layer9_k, %layer9_k_bias, %layer9_v, %layer9_v_bias,
        %layer9_o, %layer9_mlp_norm, %layer9_gate, %layer9_up, %layer9_down, %layer9, %first_slot, %cos, %sin,
        %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x11, %new_k10, %new_v10 = call @layer(
        %x10, %layer10_attn_norm, %layer10_q, %layer10_q_bias, %layer10_k, %layer10_k_bias, %layer10_v,
        %layer10_v_bias, %layer10_o, %layer10_mlp_norm, %layer10_gate, %layer10_up, %layer10_down, %layer10,
        %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x12, %new_k11, %new_v11 = call @layer(
        %x11, %layer11_attn_norm, %layer11_q, %layer11_q_bias, %layer11_k, %layer11_k_bias, %layer11_v,
        %layer11_v_bias, %layer11_o, %layer11_mlp_norm, %layer11_gate, %layer11_up, %layer11_down, %layer11,
        %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x13, %new_k12, %new_v12 = call @layer(
        %x12, %layer12_attn_norm, %layer12_q, %layer12_q_bias, %layer12_k, %layer12_k_bias, %layer12_v,
        %layer12_v_bias, %layer12_o, %layer12_mlp_norm, %layer12_gate, %layer12_up, %layer12_down, %layer12,
        %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x14, %new_k13, %new_v13 = call @layer(
        %x13, %layer13_attn_norm, %layer13_q, %layer13_q_bias, %layer13_k, %layer13_k_bias, %layer13_v,
        %layer13_v_bias, %layer13_o, %layer13_mlp_norm, %layer13_gate, %layer13_up, %layer13_down, %layer13,
        %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x15, %new_k14, %new_v14 = call @layer(
        %x14, %layer14_attn_norm, %layer14_q, %layer14_q_bias, %layer14_k, %layer14_k_bias, %layer14_v,
        %layer14_v_bias, %layer14_o, %layer14_mlp_norm, %layer14_gate, %layer14_up, %layer14_down, %layer14,
        %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x16, %new_k15, %new_v15 = call @layer(
        %x15, %layer15_attn_norm, %layer15_q, %layer15_q_bias, %layer15_k, %layer15_k_bias, %layer15_v,
        %layer15_v_bias, %layer15_o, %layer15_mlp_norm, %layer15_gate, %layer15_up, %layer15_down, %layer15,
        %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x17, %new_k16, %new_v16 = call @layer(
        %x16, %layer16_attn_norm, %layer16_q, %layer16_q_bias, %layer16_k, %layer16_k_bias, %layer16_v,
        %layer16_v_bias, %layer16_o, %layer16_mlp_norm, %layer16_gate, %layer16_up, %layer16_down, %layer16,
        %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x18, %new_k17, %new_v17 = call @layer(
        %x17, %layer17_attn_norm, %layer17_q, %layer17_q_bias, %layer17_k, %layer17_k_bias, %layer17_v,
        %layer17_v_bias, %layer17_o, %layer17_mlp_norm, %layer17_gate, %layer17_up, %layer17_down, %layer17,
        %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x19, %new_k18, %new_v18 = call @layer(
        %x18, %layer18_attn_norm, %layer18_q, %layer18_q_bias, %layer18_k, %layer18_k_bias, %layer18_v,
        %layer18_v_bias, %layer18_o, %layer18_mlp_norm, %layer18_gate, %layer18_up, %layer18_down, %layer18,
        %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x20, %new_k19, %new_v19 = call @layer(
        %x19, %layer19_attn_norm, %layer19_q, %layer19_q_bias, %layer19_k, %layer19_k_bias, %layer19_v,
        %layer19_v_bias, %layer19_o, %layer19_mlp_norm, %layer19_gate, %layer19_up, %layer19_down, %layer19,
        %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x21, %new_k20, %new_v20 = call @layer(
        %x20, %layer20_attn_norm, %layer20_q, %layer20_q_bias, %layer20_k, %layer20_k_bias, %layer20_v,
        %layer20_v_bias, %layer20_o, %layer20_mlp_norm, %layer20_gate, %layer20_up, %layer20_down, %layer20,
        %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x22, %new_k21, %new_v21 = call @layer(
        %x21, %layer21_attn_norm, %layer21_q, %layer21_q_bias, %layer21_k, %layer21_k_bias, %layer21_v,
        %layer21_v_bias, %layer21_o, %layer21_mlp_norm, %layer21_gate, %layer21_up, %layer21_down, %layer21,
        %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x23, %new_k22, %new_v22 = call @layer(
        %x22, %layer22_attn_norm, %layer22_q, %layer22_q_bias, %layer22_k, %layer22_k_bias, %layer22_v,
        %layer22_v_bias, %layer22_o, %layer22_mlp_norm, %layer22_gate, %layer22_up, %layer22_down, %layer22,
        %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x24, %new_k23, %new_v23 = call @layer(
        %x23, %layer23_attn_norm, %layer23_q, %layer23_q_bias, %layer23_k, %layer23_k_bias, %layer23_v,
        %layer23_v_bias, %layer23_o, %layer23_mlp_norm, %layer23_gate, %layer23_up, %layer23_down, %layer23,
        %first_slot, %cos, %sin, %cached_mask, %k, %v)
        : (!hidden, !norm, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, !norm, !gate, !up, !down, index, index,
           !angle, !angle, !cached_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)

    %normed = call @rms_norm(%x24, %final_norm) : (!hidden, !norm) -> !hidden
    %row_logits = call @head(%normed, %embed) : (!hidden, !embed) -> !logits
    %row_next = call @argmax(%row_logits) : (!logits) -> !next
    %next = stablehlo.reshape %row_next : (tensor<1xi32>) -> tensor<i32>
    %logits = stablehlo.reshape %row_logits : (!logits) -> !last_logits

    %k_out, %v_out = call @cache_write(
        %k, %v, %new_k0, %new_k1, %new_k2, %new_k3, %new_k4, %new_k5, %new_k6, %new_k7, %new_k8, %new_k9, %new_k10,
        %new_k11, %new_k12, %new_k13, %new_k14, %new_k15, %new_k16, %new_k17, %new_k18, %new_k19, %new_k20,
        %new_k21, %new_k22, %new_k23, %new_v0, %new_v1, %new_v2, %new_v3, %new_v4, %new_v5, %new_v6, %new_v7,
        %new_v8, %new_v9, %new_v10, %new_v11, %new_v12, %new_v13, %new_v14, %new_v15, %new_v16, %new_v17, %new_v18,
        %new_v19, %new_v20, %new_v21, %new_v22, %new_v23, %position)
        : (!k_cache, !v_cache, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k,
           !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k,
           !new_k, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v,
           !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v,
           tensor<i32>)
        -> (!k_cache, !v_cache)
    return %next, %logits, %k_out, %v_out : tensor<i32>, !last_logits, !k_cache, !v_cache
  }

  // x + attention(norm(x)), then x + mlp(norm(x)).
  func.func private @layer(
      %x: !hidden, %attn_norm: !norm, %q: !q, %q_bias: !q_bias, %k: !k, %k_bias: !k_bias, %v: !v, %v_bias: !v_bias,
      %o: !o, %mlp_norm: !norm, %gate: !gate, %up: !up, %down: !down, %layer: index, %first_slot: index,
      %cos: !angle, %sin: !angle, %cached: !cached_mask, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (!hidden, !norm) -> !hidden
    %attended, %new_k, %new_v = call @attention(
        %x_normed, %q, %q_bias, %k, %k_bias, %v, %v_bias, %o, %layer, %first_slot, %cos, %sin, %cached, %k_cache,
        %v_cache)
        : (!hidden, !q, !q_bias, !k, !k_bias, !v, !v_bias, !o, index, index, !angle, !angle, !cached_mask,
           !k_cache, !v_cache)
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
    %size = stablehlo.constant dense<896.0> : !column
    %eps = stablehlo.constant dense<1.0e-06> : !column
    %square = stablehlo.multiply %x, %x : !hidden
    %sum = stablehlo.reduce(%square init: %zero) applies stablehlo.add across dimensions = [1]
        : (!hidden, tensor<f32>) -> !each_row
    %sums = stablehlo.reshape %sum : (!each_row) -> !column
    %mean = stablehlo.divide %sums, %size : !column
    %shifted = stablehlo.add %mean, %eps : !column
    %scale = stablehlo.rsqrt %shifted : !column
    %scales = stablehlo.broadcast_in_dim %scale, dims = [0, 1] : (!column) -> !hidden
    %normed = stablehlo.multiply %x, %scales : !hidden
    %weight_f32 = stablehlo.convert %weight : (tensor<896xbf16>) -> tensor<896xf32>
    %weights = stablehlo.broadcast_in_dim %weight_f32, dims = [1] : (!norm_f32) -> !hidden
    %y = stablehlo.multiply %normed, %weights : !hidden
    return %y : !hidden
  }

  // Attention: softmax over two parts, the cached keys and the step's own, by a common maximum.
  // Returns the new keys and values, too, which the step writes, those of all layers at once.
  func.func private @attention(
      %x: !hidden, %q: !q, %q_bias: !q_bias, %k: !k, %k_bias: !k_bias, %v: !v, %v_bias: !v_bias, %o: !o,
      %layer: index, %first_slot: index, %cos: !angle, %sin: !angle, %cached: !cached_mask, %k_cache: !k_cache,
      %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {

    %q_flat_sum_in = stablehlo.convert %x : (tensor<1x896xf32>) -> tensor<1x896xbf16>
    %q_flat_sum = stablehlo.dot_general %q_flat_sum_in, %q, contracting_dims = [1] x [1]
        : (tensor<1x896xbf16>, tensor<896x896xbf16>) -> !q_row
    %q_bias_f32 = stablehlo.convert %q_bias : (tensor<896xbf16>) -> tensor<896xf32>
    %q_flat_shift = stablehlo.broadcast_in_dim %q_bias_f32, dims = [1] : (tensor<896xf32>) -> !q_row
    %q_flat = stablehlo.add %q_flat_sum, %q_flat_shift : !q_row

    %k_flat_sum_in = stablehlo.convert %x : (tensor<1x896xf32>) -> tensor<1x896xbf16>
    %k_flat_sum = stablehlo.dot_general %k_flat_sum_in, %k, contracting_dims = [1] x [1]
        : (tensor<1x896xbf16>, tensor<128x896xbf16>) -> !k_row
    %k_bias_f32 = stablehlo.convert %k_bias : (tensor<128xbf16>) -> tensor<128xf32>
    %k_flat_shift = stablehlo.broadcast_in_dim %k_bias_f32, dims = [1] : (tensor<128xf32>) -> !k_row
    %k_flat = stablehlo.add %k_flat_sum, %k_flat_shift : !k_row

    %v_flat_sum_in = stablehlo.convert %x : (tensor<1x896xf32>) -> tensor<1x896xbf16>
    %v_flat_sum = stablehlo.dot_general %v_flat_sum_in, %v, contracting_dims = [1] x [1]
        : (tensor<1x896xbf16>, tensor<128x896xbf16>) -> !k_row
    %v_bias_f32 = stablehlo.convert %v_bias : (tensor<128xbf16>) -> tensor<128xf32>
    %v_flat_shift = stablehlo.broadcast_in_dim %v_bias_f32, dims = [1] : (tensor<128xf32>) -> !k_row
    %v_flat = stablehlo.add %v_flat_sum, %v_flat_shift : !k_row

    %q_turned = call @rotary_q(%q_flat, %cos, %sin) : (!q_row, !angle, !angle) -> !q_row
    %k_turned = call @rotary_k(%k_flat, %cos, %sin) : (!k_row, !angle, !angle) -> !k_row

    // queries [slots, kv_heads, group · new, head_dim], keys and values [slots, kv_heads, new, head_dim];
    // group: the query heads of a kv head, new: the step's tokens of a slot
    %q_heads = stablehlo.reshape %q_turned : (!q_row) -> !q_heads
    %k_heads = stablehlo.reshape %k_turned : (!k_row) -> !new_heads
    %v_heads = stablehlo.reshape %v_flat : (!k_row) -> !new_heads
    %scale = stablehlo.constant dense<0.125> : !q_heads
    %q_scaled = stablehlo.multiply %q_heads, %scale : !q_heads
    %k_heads_bf16 = stablehlo.convert %k_heads : (tensor<1x2x1x64xf32>) -> tensor<1x2x1x64xbf16>
    %v_heads_bf16 = stablehlo.convert %v_heads : (tensor<1x2x1x64xf32>) -> tensor<1x2x1x64xbf16>


    %q_scaled_bf16 = stablehlo.convert %q_scaled : (tensor<1x2x7x64xf32>) -> tensor<1x2x7x64xbf16>

    // slots and kv_heads as one dimension, so that the products read the layer where it lies
    %kv_heads = arith.constant 2 : index
    %first = arith.muli %first_slot, %kv_heads : index
    %k_all = stablehlo.reshape %k_cache : (!k_cache) -> !k_lanes
    %k_layer = tensor.extract_slice %k_all[%layer, %first, 0, 0]
        [1, 2, 64, 2048] [1, 1, 1, 1] : !k_lanes to tensor<2x64x2048xbf16>
    %k_past = stablehlo.reshape %k_layer : (tensor<2x64x2048xbf16>) -> !k_past
    %v_all = stablehlo.reshape %v_cache : (!v_cache) -> !v_lanes
    %v_layer = tensor.extract_slice %v_all[%layer, %first, 0, 0]
        [1, 2, 2048, 64] [1, 1, 1, 1] : !v_lanes to tensor<2x2048x64xbf16>
    %v_past = stablehlo.reshape %v_layer : (tensor<2x2048x64xbf16>) -> !v_past

    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %none = stablehlo.constant dense<0.0> : tensor<f32>
    %past_raw = stablehlo.dot_general %q_scaled_bf16, %k_past,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2]
        : (tensor<1x2x7x64xbf16>, !k_past) -> !scores
    %past_seen = stablehlo.broadcast_in_dim %cached, dims = [0, 3] : (!cached_mask) -> !seen
    %past_hidden = stablehlo.broadcast_in_dim %minus_inf, dims = [] : (tensor<f32>) -> !scores
    %past = stablehlo.select %past_seen, %past_raw, %past_hidden : !seen, !scores

    %own = stablehlo.dot_general %q_scaled_bf16, %k_heads_bf16,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [3]
        : (tensor<1x2x7x64xbf16>, tensor<1x2x1x64xbf16>) -> !own_scores

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
    %past_exp_bf16 = stablehlo.convert %past_exp : (tensor<1x2x7x2048xf32>) -> tensor<1x2x7x2048xbf16>
    %own_maxes = stablehlo.broadcast_in_dim %max, dims = [0, 1, 2] : (!each_query) -> !own_scores
    %own_below = stablehlo.subtract %own, %own_maxes : !own_scores
    %own_exp = stablehlo.exponential %own_below : !own_scores
    %own_sum = stablehlo.reduce(%own_exp init: %none) applies stablehlo.add across dimensions = [3]
        : (!own_scores, tensor<f32>) -> !each_query
    %own_exp_bf16 = stablehlo.convert %own_exp : (tensor<1x2x7x1xf32>) -> tensor<1x2x7x1xbf16>

    %past_out = stablehlo.dot_general %past_exp_bf16, %v_past,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2]
        : (tensor<1x2x7x2048xbf16>, !v_past) -> !q_heads
    %own_out = stablehlo.dot_general %own_exp_bf16, %v_heads_bf16,
        batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2]
        : (tensor<1x2x7x1xbf16>, tensor<1x2x1x64xbf16>) -> !q_heads
    %sum = stablehlo.add %past_sum, %own_sum : !each_query
    %sums = stablehlo.broadcast_in_dim %sum, dims = [0, 1, 2] : (!each_query) -> !q_heads
    %weighted = stablehlo.add %past_out, %own_out : !q_heads
    %heads_out = stablehlo.divide %weighted, %sums : !q_heads

    %flat_out = stablehlo.reshape %heads_out : (!q_heads) -> !q_row
    %new_k = stablehlo.reshape %k_heads_bf16 : (tensor<1x2x1x64xbf16>) -> !new_k
    %new_v = stablehlo.reshape %v_heads_bf16 : (tensor<1x2x1x64xbf16>) -> !new_v

    %y_in = stablehlo.convert %flat_out : (tensor<1x896xf32>) -> tensor<1x896xbf16>
    %y = stablehlo.dot_general %y_in, %o, contracting_dims = [1] x [1]
        : (tensor<1x896xbf16>, tensor<896x896xbf16>) -> !hidden
    return %y, %new_k, %new_v : !hidden, !new_k, !new_v
  }

  // cos and ∓sin of position · frequency, laid over a head's two halves: [rows, 2, head_dim / 2].
  func.func private @rotary_angles(%positions: !tokens) -> (!angle, !angle) {
    // theta^(-2i / head_dim), theta 1e+06: radians a position
    %frequency = stablehlo.constant dense<[
        1.0, 0.64938164, 0.4216965, 0.27384198, 0.17782794, 0.115478195, 0.07498942, 0.048696753, 0.031622775,
        0.020535251, 0.013335214, 0.008659643, 0.0056234132, 0.0036517412, 0.0023713738, 0.0015399265, 0.001,
        0.0006493816, 0.00042169652, 0.00027384196, 0.00017782794, 0.0001154782, 7.4989424e-05, 4.869675e-05,
        3.1622778e-05, 2.053525e-05, 1.3335214e-05, 8.659643e-06, 5.6234135e-06, 3.6517413e-06, 2.3713737e-06,
        1.5399265e-06]> : tensor<32xf32>
    %sign = stablehlo.constant dense<[-1.0, 1.0]> : tensor<2xf32>
    %position = stablehlo.convert %positions : (!tokens) -> tensor<1xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<1xf32>) -> !angles
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
  func.func private @cached_mask(%past: tensor<1xi32>) -> !cached_mask {
    %position = stablehlo.iota dim = 1 : !mask_index
    %pasts = stablehlo.broadcast_in_dim %past, dims = [0] : (tensor<1xi32>) -> !mask_index
    %mask = stablehlo.compare LT, %position, %pasts : (!mask_index, !mask_index) -> !cached_mask
    return %mask : !cached_mask
  }

  // down(silu(gate(x)) · up(x))
  func.func private @mlp(%x: !hidden, %gate: !gate, %up: !up, %down: !down) -> !hidden {

    %gated_in = stablehlo.convert %x : (tensor<1x896xf32>) -> tensor<1x896xbf16>
    %gated = stablehlo.dot_general %gated_in, %gate, contracting_dims = [1] x [1]
        : (tensor<1x896xbf16>, tensor<4864x896xbf16>) -> !inner

    %raised_in = stablehlo.convert %x : (tensor<1x896xf32>) -> tensor<1x896xbf16>
    %raised = stablehlo.dot_general %raised_in, %up, contracting_dims = [1] x [1]
        : (tensor<1x896xbf16>, tensor<4864x896xbf16>) -> !inner

    %sigmoid = stablehlo.logistic %gated : !inner
    %activated = stablehlo.multiply %gated, %sigmoid : !inner
    %inner = stablehlo.multiply %activated, %raised : !inner

    %y_in = stablehlo.convert %inner : (tensor<1x4864xf32>) -> tensor<1x4864xbf16>
    %y = stablehlo.dot_general %y_in, %down, contracting_dims = [1] x [1]
        : (tensor<1x4864xbf16>, tensor<896x4864xbf16>) -> !hidden
    return %y : !hidden
  }

  // Row `token` of the table for each token.
  func.func private @embedding(%embed: !embed, %tokens: !tokens) -> !hidden {
    %x_ids = stablehlo.reshape %tokens : (!tokens) -> tensor<1x1xi32>
    %x_found = "stablehlo.gather"(%embed, %x_ids) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 896>, indices_are_sorted = false}>
        : (!embed, tensor<1x1xi32>) -> tensor<1x896xbf16>
    %x = stablehlo.convert %x_found : (tensor<1x896xbf16>) -> tensor<1x896xf32>
    return %x : !hidden
  }

  // Logits over the vocabulary.
  func.func private @head(%x: !hidden, %embed: !embed) -> !logits {

    %logits_in = stablehlo.convert %x : (tensor<1x896xf32>) -> tensor<1x896xbf16>
    %logits = stablehlo.dot_general %logits_in, %embed, contracting_dims = [1] x [1]
        : (tensor<1x896xbf16>, tensor<151936x896xbf16>) -> !logits
    return %logits : !logits
  }

  // The lowest index that holds a row's maximum.
  func.func private @argmax(%logits: !logits) -> !next {
    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %past_end = stablehlo.constant dense<151936> : tensor<i32>
    %max = stablehlo.reduce(%logits init: %minus_inf) applies stablehlo.maximum across dimensions = [1]
        : (!logits, tensor<f32>) -> tensor<1xf32>
    %maxes = stablehlo.broadcast_in_dim %max, dims = [0] : (tensor<1xf32>) -> !logits
    %is_max = stablehlo.compare EQ, %logits, %maxes : (!logits, !logits) -> tensor<1x151936xi1>
    %index = stablehlo.iota dim = 1 : !vocab_index
    %past_ends = stablehlo.broadcast_in_dim %past_end, dims = [] : (tensor<i32>) -> !vocab_index
    %candidates = stablehlo.select %is_max, %index, %past_ends : tensor<1x151936xi1>, !vocab_index
    %lowest = stablehlo.reduce(%candidates init: %past_end) applies stablehlo.minimum across dimensions = [1]
        : (!vocab_index, tensor<i32>) -> !next
    return %lowest : !next
  }

  // The new keys and values of slot 0 at `position`.
  func.func private @cache_write(
      %k: !k_cache, %v: !v_cache, %new_k0: !new_k, %new_k1: !new_k, %new_k2: !new_k, %new_k3: !new_k,
      %new_k4: !new_k, %new_k5: !new_k, %new_k6: !new_k, %new_k7: !new_k, %new_k8: !new_k, %new_k9: !new_k,
      %new_k10: !new_k, %new_k11: !new_k, %new_k12: !new_k, %new_k13: !new_k, %new_k14: !new_k, %new_k15: !new_k,
      %new_k16: !new_k, %new_k17: !new_k, %new_k18: !new_k, %new_k19: !new_k, %new_k20: !new_k, %new_k21: !new_k,
      %new_k22: !new_k, %new_k23: !new_k, %new_v0: !new_v, %new_v1: !new_v, %new_v2: !new_v, %new_v3: !new_v,
      %new_v4: !new_v, %new_v5: !new_v, %new_v6: !new_v, %new_v7: !new_v, %new_v8: !new_v, %new_v9: !new_v,
      %new_v10: !new_v, %new_v11: !new_v, %new_v12: !new_v, %new_v13: !new_v, %new_v14: !new_v, %new_v15: !new_v,
      %new_v16: !new_v, %new_v17: !new_v, %new_v18: !new_v, %new_v19: !new_v, %new_v20: !new_v, %new_v21: !new_v,
      %new_v22: !new_v, %new_v23: !new_v, %position: tensor<i32>)
      -> (!k_cache, !v_cache) {
    %keys = stablehlo.concatenate
        %new_k0, %new_k1, %new_k2, %new_k3, %new_k4, %new_k5, %new_k6, %new_k7, %new_k8, %new_k9, %new_k10,
        %new_k11, %new_k12, %new_k13, %new_k14, %new_k15, %new_k16, %new_k17, %new_k18, %new_k19, %new_k20,
        %new_k21, %new_k22, %new_k23, dim = 0
        : (!new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k,
           !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k) -> !new_keys
    %values = stablehlo.concatenate
        %new_v0, %new_v1, %new_v2, %new_v3, %new_v4, %new_v5, %new_v6, %new_v7, %new_v8, %new_v9, %new_v10,
        %new_v11, %new_v12, %new_v13, %new_v14, %new_v15, %new_v16, %new_v17, %new_v18, %new_v19, %new_v20,
        %new_v21, %new_v22, %new_v23, dim = 0
        : (!new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v,
           !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v) -> !new_values
    %zero = stablehlo.constant dense<0> : tensor<i32>
    %k_out = stablehlo.dynamic_update_slice %k, %keys, %zero, %zero, %zero, %zero, %position
        : (!k_cache, !new_keys, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !k_cache
    %v_out = stablehlo.dynamic_update_slice %v, %values, %zero, %zero, %zero, %position, %zero
        : (!v_cache, !new_values, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> !v_cache
    return %k_out, %v_out : !k_cache, !v_cache
  }
}

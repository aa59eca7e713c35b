// prefill · qwen2, tied · 24 layers, hidden 896, 14/2 heads of 64 · context 2048, 8 slots, chunk 64 · fast
module @prefill {
  func.func public @prefill(
      %embed: tensor<151936x896xbf16>,
      %final_norm: tensor<896xbf16>,
      %layer0_attn_norm: tensor<896xbf16>, %layer0_q: tensor<896x896xbf16>, %layer0_q_bias: tensor<896xbf16>, %layer0_k: tensor<128x896xbf16>, %layer0_k_bias: tensor<128xbf16>, %layer0_v: tensor<128x896xbf16>, %layer0_v_bias: tensor<128xbf16>, %layer0_o: tensor<896x896xbf16>, %layer0_mlp_norm: tensor<896xbf16>, %layer0_gate: tensor<4864x896xbf16>, %layer0_up: tensor<4864x896xbf16>, %layer0_down: tensor<896x4864xbf16>,
      %layer1_attn_norm: tensor<896xbf16>, %layer1_q: tensor<896x896xbf16>, %layer1_q_bias: tensor<896xbf16>, %layer1_k: tensor<128x896xbf16>, %layer1_k_bias: tensor<128xbf16>, %layer1_v: tensor<128x896xbf16>, %layer1_v_bias: tensor<128xbf16>, %layer1_o: tensor<896x896xbf16>, %layer1_mlp_norm: tensor<896xbf16>, %layer1_gate: tensor<4864x896xbf16>, %layer1_up: tensor<4864x896xbf16>, %layer1_down: tensor<896x4864xbf16>,
      %layer2_attn_norm: tensor<896xbf16>, %layer2_q: tensor<896x896xbf16>, %layer2_q_bias: tensor<896xbf16>, %layer2_k: tensor<128x896xbf16>, %layer2_k_bias: tensor<128xbf16>, %layer2_v: tensor<128x896xbf16>, %layer2_v_bias: tensor<128xbf16>, %layer2_o: tensor<896x896xbf16>, %layer2_mlp_norm: tensor<896xbf16>, %layer2_gate: tensor<4864x896xbf16>, %layer2_up: tensor<4864x896xbf16>, %layer2_down: tensor<896x4864xbf16>,
      %layer3_attn_norm: tensor<896xbf16>, %layer3_q: tensor<896x896xbf16>, %layer3_q_bias: tensor<896xbf16>, %layer3_k: tensor<128x896xbf16>, %layer3_k_bias: tensor<128xbf16>, %layer3_v: tensor<128x896xbf16>, %layer3_v_bias: tensor<128xbf16>, %layer3_o: tensor<896x896xbf16>, %layer3_mlp_norm: tensor<896xbf16>, %layer3_gate: tensor<4864x896xbf16>, %layer3_up: tensor<4864x896xbf16>, %layer3_down: tensor<896x4864xbf16>,
      %layer4_attn_norm: tensor<896xbf16>, %layer4_q: tensor<896x896xbf16>, %layer4_q_bias: tensor<896xbf16>, %layer4_k: tensor<128x896xbf16>, %layer4_k_bias: tensor<128xbf16>, %layer4_v: tensor<128x896xbf16>, %layer4_v_bias: tensor<128xbf16>, %layer4_o: tensor<896x896xbf16>, %layer4_mlp_norm: tensor<896xbf16>, %layer4_gate: tensor<4864x896xbf16>, %layer4_up: tensor<4864x896xbf16>, %layer4_down: tensor<896x4864xbf16>,
      %layer5_attn_norm: tensor<896xbf16>, %layer5_q: tensor<896x896xbf16>, %layer5_q_bias: tensor<896xbf16>, %layer5_k: tensor<128x896xbf16>, %layer5_k_bias: tensor<128xbf16>, %layer5_v: tensor<128x896xbf16>, %layer5_v_bias: tensor<128xbf16>, %layer5_o: tensor<896x896xbf16>, %layer5_mlp_norm: tensor<896xbf16>, %layer5_gate: tensor<4864x896xbf16>, %layer5_up: tensor<4864x896xbf16>, %layer5_down: tensor<896x4864xbf16>,
      %layer6_attn_norm: tensor<896xbf16>, %layer6_q: tensor<896x896xbf16>, %layer6_q_bias: tensor<896xbf16>, %layer6_k: tensor<128x896xbf16>, %layer6_k_bias: tensor<128xbf16>, %layer6_v: tensor<128x896xbf16>, %layer6_v_bias: tensor<128xbf16>, %layer6_o: tensor<896x896xbf16>, %layer6_mlp_norm: tensor<896xbf16>, %layer6_gate: tensor<4864x896xbf16>, %layer6_up: tensor<4864x896xbf16>, %layer6_down: tensor<896x4864xbf16>,
      %layer7_attn_norm: tensor<896xbf16>, %layer7_q: tensor<896x896xbf16>, %layer7_q_bias: tensor<896xbf16>, %layer7_k: tensor<128x896xbf16>, %layer7_k_bias: tensor<128xbf16>, %layer7_v: tensor<128x896xbf16>, %layer7_v_bias: tensor<128xbf16>, %layer7_o: tensor<896x896xbf16>, %layer7_mlp_norm: tensor<896xbf16>, %layer7_gate: tensor<4864x896xbf16>, %layer7_up: tensor<4864x896xbf16>, %layer7_down: tensor<896x4864xbf16>,
      %layer8_attn_norm: tensor<896xbf16>, %layer8_q: tensor<896x896xbf16>, %layer8_q_bias: tensor<896xbf16>, %layer8_k: tensor<128x896xbf16>, %layer8_k_bias: tensor<128xbf16>, %layer8_v: tensor<128x896xbf16>, %layer8_v_bias: tensor<128xbf16>, %layer8_o: tensor<896x896xbf16>, %layer8_mlp_norm: tensor<896xbf16>, %layer8_gate: tensor<4864x896xbf16>, %layer8_up: tensor<4864x896xbf16>, %layer8_down: tensor<896x4864xbf16>,
      %layer9_attn_norm: tensor<896xbf16>, %layer9_q: tensor<896x896xbf16>, %layer9_q_bias: tensor<896xbf16>, %layer9_k: tensor<128x896xbf16>, %layer9_k_bias: tensor<128xbf16>, %layer9_v: tensor<128x896xbf16>, %layer9_v_bias: tensor<128xbf16>, %layer9_o: tensor<896x896xbf16>, %layer9_mlp_norm: tensor<896xbf16>, %layer9_gate: tensor<4864x896xbf16>, %layer9_up: tensor<4864x896xbf16>, %layer9_down: tensor<896x4864xbf16>,
      %layer10_attn_norm: tensor<896xbf16>, %layer10_q: tensor<896x896xbf16>, %layer10_q_bias: tensor<896xbf16>, %layer10_k: tensor<128x896xbf16>, %layer10_k_bias: tensor<128xbf16>, %layer10_v: tensor<128x896xbf16>, %layer10_v_bias: tensor<128xbf16>, %layer10_o: tensor<896x896xbf16>, %layer10_mlp_norm: tensor<896xbf16>, %layer10_gate: tensor<4864x896xbf16>, %layer10_up: tensor<4864x896xbf16>, %layer10_down: tensor<896x4864xbf16>,
      %layer11_attn_norm: tensor<896xbf16>, %layer11_q: tensor<896x896xbf16>, %layer11_q_bias: tensor<896xbf16>, %layer11_k: tensor<128x896xbf16>, %layer11_k_bias: tensor<128xbf16>, %layer11_v: tensor<128x896xbf16>, %layer11_v_bias: tensor<128xbf16>, %layer11_o: tensor<896x896xbf16>, %layer11_mlp_norm: tensor<896xbf16>, %layer11_gate: tensor<4864x896xbf16>, %layer11_up: tensor<4864x896xbf16>, %layer11_down: tensor<896x4864xbf16>,
      %layer12_attn_norm: tensor<896xbf16>, %layer12_q: tensor<896x896xbf16>, %layer12_q_bias: tensor<896xbf16>, %layer12_k: tensor<128x896xbf16>, %layer12_k_bias: tensor<128xbf16>, %layer12_v: tensor<128x896xbf16>, %layer12_v_bias: tensor<128xbf16>, %layer12_o: tensor<896x896xbf16>, %layer12_mlp_norm: tensor<896xbf16>, %layer12_gate: tensor<4864x896xbf16>, %layer12_up: tensor<4864x896xbf16>, %layer12_down: tensor<896x4864xbf16>,
      %layer13_attn_norm: tensor<896xbf16>, %layer13_q: tensor<896x896xbf16>, %layer13_q_bias: tensor<896xbf16>, %layer13_k: tensor<128x896xbf16>, %layer13_k_bias: tensor<128xbf16>, %layer13_v: tensor<128x896xbf16>, %layer13_v_bias: tensor<128xbf16>, %layer13_o: tensor<896x896xbf16>, %layer13_mlp_norm: tensor<896xbf16>, %layer13_gate: tensor<4864x896xbf16>, %layer13_up: tensor<4864x896xbf16>, %layer13_down: tensor<896x4864xbf16>,
      %layer14_attn_norm: tensor<896xbf16>, %layer14_q: tensor<896x896xbf16>, %layer14_q_bias: tensor<896xbf16>, %layer14_k: tensor<128x896xbf16>, %layer14_k_bias: tensor<128xbf16>, %layer14_v: tensor<128x896xbf16>, %layer14_v_bias: tensor<128xbf16>, %layer14_o: tensor<896x896xbf16>, %layer14_mlp_norm: tensor<896xbf16>, %layer14_gate: tensor<4864x896xbf16>, %layer14_up: tensor<4864x896xbf16>, %layer14_down: tensor<896x4864xbf16>,
      %layer15_attn_norm: tensor<896xbf16>, %layer15_q: tensor<896x896xbf16>, %layer15_q_bias: tensor<896xbf16>, %layer15_k: tensor<128x896xbf16>, %layer15_k_bias: tensor<128xbf16>, %layer15_v: tensor<128x896xbf16>, %layer15_v_bias: tensor<128xbf16>, %layer15_o: tensor<896x896xbf16>, %layer15_mlp_norm: tensor<896xbf16>, %layer15_gate: tensor<4864x896xbf16>, %layer15_up: tensor<4864x896xbf16>, %layer15_down: tensor<896x4864xbf16>,
      %layer16_attn_norm: tensor<896xbf16>, %layer16_q: tensor<896x896xbf16>, %layer16_q_bias: tensor<896xbf16>, %layer16_k: tensor<128x896xbf16>, %layer16_k_bias: tensor<128xbf16>, %layer16_v: tensor<128x896xbf16>, %layer16_v_bias: tensor<128xbf16>, %layer16_o: tensor<896x896xbf16>, %layer16_mlp_norm: tensor<896xbf16>, %layer16_gate: tensor<4864x896xbf16>, %layer16_up: tensor<4864x896xbf16>, %layer16_down: tensor<896x4864xbf16>,
      %layer17_attn_norm: tensor<896xbf16>, %layer17_q: tensor<896x896xbf16>, %layer17_q_bias: tensor<896xbf16>, %layer17_k: tensor<128x896xbf16>, %layer17_k_bias: tensor<128xbf16>, %layer17_v: tensor<128x896xbf16>, %layer17_v_bias: tensor<128xbf16>, %layer17_o: tensor<896x896xbf16>, %layer17_mlp_norm: tensor<896xbf16>, %layer17_gate: tensor<4864x896xbf16>, %layer17_up: tensor<4864x896xbf16>, %layer17_down: tensor<896x4864xbf16>,
      %layer18_attn_norm: tensor<896xbf16>, %layer18_q: tensor<896x896xbf16>, %layer18_q_bias: tensor<896xbf16>, %layer18_k: tensor<128x896xbf16>, %layer18_k_bias: tensor<128xbf16>, %layer18_v: tensor<128x896xbf16>, %layer18_v_bias: tensor<128xbf16>, %layer18_o: tensor<896x896xbf16>, %layer18_mlp_norm: tensor<896xbf16>, %layer18_gate: tensor<4864x896xbf16>, %layer18_up: tensor<4864x896xbf16>, %layer18_down: tensor<896x4864xbf16>,
      %layer19_attn_norm: tensor<896xbf16>, %layer19_q: tensor<896x896xbf16>, %layer19_q_bias: tensor<896xbf16>, %layer19_k: tensor<128x896xbf16>, %layer19_k_bias: tensor<128xbf16>, %layer19_v: tensor<128x896xbf16>, %layer19_v_bias: tensor<128xbf16>, %layer19_o: tensor<896x896xbf16>, %layer19_mlp_norm: tensor<896xbf16>, %layer19_gate: tensor<4864x896xbf16>, %layer19_up: tensor<4864x896xbf16>, %layer19_down: tensor<896x4864xbf16>,
      %layer20_attn_norm: tensor<896xbf16>, %layer20_q: tensor<896x896xbf16>, %layer20_q_bias: tensor<896xbf16>, %layer20_k: tensor<128x896xbf16>, %layer20_k_bias: tensor<128xbf16>, %layer20_v: tensor<128x896xbf16>, %layer20_v_bias: tensor<128xbf16>, %layer20_o: tensor<896x896xbf16>, %layer20_mlp_norm: tensor<896xbf16>, %layer20_gate: tensor<4864x896xbf16>, %layer20_up: tensor<4864x896xbf16>, %layer20_down: tensor<896x4864xbf16>,
      %layer21_attn_norm: tensor<896xbf16>, %layer21_q: tensor<896x896xbf16>, %layer21_q_bias: tensor<896xbf16>, %layer21_k: tensor<128x896xbf16>, %layer21_k_bias: tensor<128xbf16>, %layer21_v: tensor<128x896xbf16>, %layer21_v_bias: tensor<128xbf16>, %layer21_o: tensor<896x896xbf16>, %layer21_mlp_norm: tensor<896xbf16>, %layer21_gate: tensor<4864x896xbf16>, %layer21_up: tensor<4864x896xbf16>, %layer21_down: tensor<896x4864xbf16>,
      %layer22_attn_norm: tensor<896xbf16>, %layer22_q: tensor<896x896xbf16>, %layer22_q_bias: tensor<896xbf16>, %layer22_k: tensor<128x896xbf16>, %layer22_k_bias: tensor<128xbf16>, %layer22_v: tensor<128x896xbf16>, %layer22_v_bias: tensor<128xbf16>, %layer22_o: tensor<896x896xbf16>, %layer22_mlp_norm: tensor<896xbf16>, %layer22_gate: tensor<4864x896xbf16>, %layer22_up: tensor<4864x896xbf16>, %layer22_down: tensor<896x4864xbf16>,
      %layer23_attn_norm: tensor<896xbf16>, %layer23_q: tensor<896x896xbf16>, %layer23_q_bias: tensor<896xbf16>, %layer23_k: tensor<128x896xbf16>, %layer23_k_bias: tensor<128xbf16>, %layer23_v: tensor<128x896xbf16>, %layer23_v_bias: tensor<128xbf16>, %layer23_o: tensor<896x896xbf16>, %layer23_mlp_norm: tensor<896xbf16>, %layer23_gate: tensor<4864x896xbf16>, %layer23_up: tensor<4864x896xbf16>, %layer23_down: tensor<896x4864xbf16>,
      %tokens: tensor<64xi32>, %slot: tensor<i32>, %start: tensor<i32>, %length: tensor<i32>,
      %k: tensor<24x8x2x64x2048xbf16> {tf.aliasing_output = 2 : i32},
      %v: tensor<24x8x2x2048x64xbf16> {tf.aliasing_output = 3 : i32})
      -> (tensor<i32>, tensor<151936xf32>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) {
    %offsets = stablehlo.iota dim = 0 : tensor<64xi32>
    %starts = stablehlo.broadcast_in_dim %start, dims = [] : (tensor<i32>) -> tensor<64xi32>
    %positions = stablehlo.add %starts, %offsets : tensor<64xi32>
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

    %cos, %sin = call @rotary_angles(%positions) : (tensor<64xi32>) -> (tensor<64x2x32xf32>, tensor<64x2x32xf32>)
    %cached = call @cached_mask(%starts_at) : (tensor<1xi32>) -> tensor<1x2048xi1>
    %causal = call @causal_mask() : () -> tensor<448x64xi1>
    %x0 = call @embedding(%embed, %tokens) : (tensor<151936x896xbf16>, tensor<64xi32>) -> tensor<64x896xf32>

    %x1, %new_k0, %new_v0 = call @layer(%x0, %layer0_attn_norm, %layer0_q, %layer0_q_bias, %layer0_k, %layer0_k_bias, %layer0_v, %layer0_v_bias, %layer0_o, %layer0_mlp_norm, %layer0_gate, %layer0_up, %layer0_down, %layer0, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x2, %new_k1, %new_v1 = call @layer(%x1, %layer1_attn_norm, %layer1_q, %layer1_q_bias, %layer1_k, %layer1_k_bias, %layer1_v, %layer1_v_bias, %layer1_o, %layer1_mlp_norm, %layer1_gate, %layer1_up, %layer1_down, %layer1, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x3, %new_k2, %new_v2 = call @layer(%x2, %layer2_attn_norm, %layer2_q, %layer2_q_bias, %layer2_k, %layer2_k_bias, %layer2_v, %layer2_v_bias, %layer2_o, %layer2_mlp_norm, %layer2_gate, %layer2_up, %layer2_down, %layer2, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x4, %new_k3, %new_v3 = call @layer(%x3, %layer3_attn_norm, %layer3_q, %layer3_q_bias, %layer3_k, %layer3_k_bias, %layer3_v, %layer3_v_bias, %layer3_o, %layer3_mlp_norm, %layer3_gate, %layer3_up, %layer3_down, %layer3, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x5, %new_k4, %new_v4 = call @layer(%x4, %layer4_attn_norm, %layer4_q, %layer4_q_bias, %layer4_k, %layer4_k_bias, %layer4_v, %layer4_v_bias, %layer4_o, %layer4_mlp_norm, %layer4_gate, %layer4_up, %layer4_down, %layer4, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x6, %new_k5, %new_v5 = call @layer(%x5, %layer5_attn_norm, %layer5_q, %layer5_q_bias, %layer5_k, %layer5_k_bias, %layer5_v, %layer5_v_bias, %layer5_o, %layer5_mlp_norm, %layer5_gate, %layer5_up, %layer5_down, %layer5, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x7, %new_k6, %new_v6 = call @layer(%x6, %layer6_attn_norm, %layer6_q, %layer6_q_bias, %layer6_k, %layer6_k_bias, %layer6_v, %layer6_v_bias, %layer6_o, %layer6_mlp_norm, %layer6_gate, %layer6_up, %layer6_down, %layer6, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x8, %new_k7, %new_v7 = call @layer(%x7, %layer7_attn_norm, %layer7_q, %layer7_q_bias, %layer7_k, %layer7_k_bias, %layer7_v, %layer7_v_bias, %layer7_o, %layer7_mlp_norm, %layer7_gate, %layer7_up, %layer7_down, %layer7, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x9, %new_k8, %new_v8 = call @layer(%x8, %layer8_attn_norm, %layer8_q, %layer8_q_bias, %layer8_k, %layer8_k_bias, %layer8_v, %layer8_v_bias, %layer8_o, %layer8_mlp_norm, %layer8_gate, %layer8_up, %layer8_down, %layer8, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x10, %new_k9, %new_v9 = call @layer(%x9, %layer9_attn_norm, %layer9_q, %layer9_q_bias, %layer9_k, %layer9_k_bias, %layer9_v, %layer9_v_bias, %layer9_o, %layer9_mlp_norm, %layer9_gate, %layer9_up, %layer9_down, %layer9, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x11, %new_k10, %new_v10 = call @layer(%x10, %layer10_attn_norm, %layer10_q, %layer10_q_bias, %layer10_k, %layer10_k_bias, %layer10_v, %layer10_v_bias, %layer10_o, %layer10_mlp_norm, %layer10_gate, %layer10_up, %layer10_down, %layer10, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x12, %new_k11, %new_v11 = call @layer(%x11, %layer11_attn_norm, %layer11_q, %layer11_q_bias, %layer11_k, %layer11_k_bias, %layer11_v, %layer11_v_bias, %layer11_o, %layer11_mlp_norm, %layer11_gate, %layer11_up, %layer11_down, %layer11, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x13, %new_k12, %new_v12 = call @layer(%x12, %layer12_attn_norm, %layer12_q, %layer12_q_bias, %layer12_k, %layer12_k_bias, %layer12_v, %layer12_v_bias, %layer12_o, %layer12_mlp_norm, %layer12_gate, %layer12_up, %layer12_down, %layer12, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x14, %new_k13, %new_v13 = call @layer(%x13, %layer13_attn_norm, %layer13_q, %layer13_q_bias, %layer13_k, %layer13_k_bias, %layer13_v, %layer13_v_bias, %layer13_o, %layer13_mlp_norm, %layer13_gate, %layer13_up, %layer13_down, %layer13, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x15, %new_k14, %new_v14 = call @layer(%x14, %layer14_attn_norm, %layer14_q, %layer14_q_bias, %layer14_k, %layer14_k_bias, %layer14_v, %layer14_v_bias, %layer14_o, %layer14_mlp_norm, %layer14_gate, %layer14_up, %layer14_down, %layer14, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x16, %new_k15, %new_v15 = call @layer(%x15, %layer15_attn_norm, %layer15_q, %layer15_q_bias, %layer15_k, %layer15_k_bias, %layer15_v, %layer15_v_bias, %layer15_o, %layer15_mlp_norm, %layer15_gate, %layer15_up, %layer15_down, %layer15, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x17, %new_k16, %new_v16 = call @layer(%x16, %layer16_attn_norm, %layer16_q, %layer16_q_bias, %layer16_k, %layer16_k_bias, %layer16_v, %layer16_v_bias, %layer16_o, %layer16_mlp_norm, %layer16_gate, %layer16_up, %layer16_down, %layer16, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x18, %new_k17, %new_v17 = call @layer(%x17, %layer17_attn_norm, %layer17_q, %layer17_q_bias, %layer17_k, %layer17_k_bias, %layer17_v, %layer17_v_bias, %layer17_o, %layer17_mlp_norm, %layer17_gate, %layer17_up, %layer17_down, %layer17, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x19, %new_k18, %new_v18 = call @layer(%x18, %layer18_attn_norm, %layer18_q, %layer18_q_bias, %layer18_k, %layer18_k_bias, %layer18_v, %layer18_v_bias, %layer18_o, %layer18_mlp_norm, %layer18_gate, %layer18_up, %layer18_down, %layer18, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x20, %new_k19, %new_v19 = call @layer(%x19, %layer19_attn_norm, %layer19_q, %layer19_q_bias, %layer19_k, %layer19_k_bias, %layer19_v, %layer19_v_bias, %layer19_o, %layer19_mlp_norm, %layer19_gate, %layer19_up, %layer19_down, %layer19, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x21, %new_k20, %new_v20 = call @layer(%x20, %layer20_attn_norm, %layer20_q, %layer20_q_bias, %layer20_k, %layer20_k_bias, %layer20_v, %layer20_v_bias, %layer20_o, %layer20_mlp_norm, %layer20_gate, %layer20_up, %layer20_down, %layer20, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x22, %new_k21, %new_v21 = call @layer(%x21, %layer21_attn_norm, %layer21_q, %layer21_q_bias, %layer21_k, %layer21_k_bias, %layer21_v, %layer21_v_bias, %layer21_o, %layer21_mlp_norm, %layer21_gate, %layer21_up, %layer21_down, %layer21, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x23, %new_k22, %new_v22 = call @layer(%x22, %layer22_attn_norm, %layer22_q, %layer22_q_bias, %layer22_k, %layer22_k_bias, %layer22_v, %layer22_v_bias, %layer22_o, %layer22_mlp_norm, %layer22_gate, %layer22_up, %layer22_down, %layer22, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x24, %new_k23, %new_v23 = call @layer(%x23, %layer23_attn_norm, %layer23_q, %layer23_q_bias, %layer23_k, %layer23_k_bias, %layer23_v, %layer23_v_bias, %layer23_o, %layer23_mlp_norm, %layer23_gate, %layer23_up, %layer23_down, %layer23, %first_slot, %cos, %sin, %cached, %causal, %k, %v)
        : (tensor<64x896xf32>, tensor<896xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)

    %normed = call @rms_norm(%x24, %final_norm) : (tensor<64x896xf32>, tensor<896xbf16>) -> tensor<64x896xf32>
    %normed_last = tensor.extract_slice %normed[%last, 0] [1, 896] [1, 1] : tensor<64x896xf32> to tensor<1x896xf32>
    %row_logits = call @head(%normed_last, %embed) : (tensor<1x896xf32>, tensor<151936x896xbf16>) -> tensor<1x151936xf32>
    %row_next = call @argmax(%row_logits) : (tensor<1x151936xf32>) -> tensor<1xi32>
    %next = stablehlo.reshape %row_next : (tensor<1xi32>) -> tensor<i32>
    %logits = stablehlo.reshape %row_logits : (tensor<1x151936xf32>) -> tensor<151936xf32>

    %k_out, %v_out = call @cache_write(%k, %v,
        %new_k0, %new_k1, %new_k2, %new_k3, %new_k4, %new_k5, %new_k6, %new_k7, %new_k8, %new_k9, %new_k10, %new_k11, %new_k12, %new_k13, %new_k14, %new_k15, %new_k16, %new_k17, %new_k18, %new_k19, %new_k20, %new_k21, %new_k22, %new_k23,
        %new_v0, %new_v1, %new_v2, %new_v3, %new_v4, %new_v5, %new_v6, %new_v7, %new_v8, %new_v9, %new_v10, %new_v11, %new_v12, %new_v13, %new_v14, %new_v15, %new_v16, %new_v17, %new_v18, %new_v19, %new_v20, %new_v21, %new_v22, %new_v23,
        %slot, %start, %length)
        : (tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>,
        tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>,
        tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>,
        tensor<i32>, tensor<i32>, tensor<i32>) -> (tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>)
    return %next, %logits, %k_out, %v_out : tensor<i32>, tensor<151936xf32>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>
  }

  // Row `token` of the table for each token.
  func.func private @embedding(%table: tensor<151936x896xbf16>, %tokens: tensor<64xi32>) -> tensor<64x896xf32> {
    %ids = stablehlo.reshape %tokens : (tensor<64xi32>) -> tensor<64x1xi32>
    %found = "stablehlo.gather"(%table, %ids) <{
        dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 896>, indices_are_sorted = false}>
        : (tensor<151936x896xbf16>, tensor<64x1xi32>) -> tensor<64x896xbf16>
    %x = stablehlo.convert %found : (tensor<64x896xbf16>) -> tensor<64x896xf32>
    return %x : tensor<64x896xf32>
  }

  // x / sqrt(mean(x²) + eps) · weight, in f32.
  func.func private @rms_norm(%x: tensor<64x896xf32>, %weight: tensor<896xbf16>) -> tensor<64x896xf32> {
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %size = stablehlo.constant dense<896.0> : tensor<64x1xf32>
    %eps = stablehlo.constant dense<1.0e-06> : tensor<64x1xf32>
    %square = stablehlo.multiply %x, %x : tensor<64x896xf32>
    %sum = stablehlo.reduce(%square init: %zero) applies stablehlo.add across dimensions = [1] : (tensor<64x896xf32>, tensor<f32>) -> tensor<64xf32>
    %sums = stablehlo.reshape %sum : (tensor<64xf32>) -> tensor<64x1xf32>
    %mean = stablehlo.divide %sums, %size : tensor<64x1xf32>
    %shifted = stablehlo.add %mean, %eps : tensor<64x1xf32>
    %scale = stablehlo.rsqrt %shifted : tensor<64x1xf32>
    %scales = stablehlo.broadcast_in_dim %scale, dims = [0, 1] : (tensor<64x1xf32>) -> tensor<64x896xf32>
    %normed = stablehlo.multiply %x, %scales : tensor<64x896xf32>
    %weight_f32 = stablehlo.convert %weight : (tensor<896xbf16>) -> tensor<896xf32>
    %weights = stablehlo.broadcast_in_dim %weight_f32, dims = [1] : (tensor<896xf32>) -> tensor<64x896xf32>
    %y = stablehlo.multiply %normed, %weights : tensor<64x896xf32>
    return %y : tensor<64x896xf32>
  }

  // cos and ∓sin of position · frequency, laid over a head's two halves: [rows, 2, head_dim / 2].
  func.func private @rotary_angles(%positions: tensor<64xi32>) -> (tensor<64x2x32xf32>, tensor<64x2x32xf32>) {
    // theta^(-2i / head_dim), theta 1e+06: radians a position
    %frequency = stablehlo.constant dense<[1.0, 0.64938164, 0.4216965, 0.27384198, 0.17782794, 0.115478195, 0.07498942, 0.048696753, 0.031622775, 0.020535251, 0.013335214, 0.008659643, 0.0056234132, 0.0036517412, 0.0023713738, 0.0015399265, 0.001, 0.0006493816, 0.00042169652, 0.00027384196, 0.00017782794, 0.0001154782, 7.4989424e-05, 4.869675e-05, 3.1622778e-05, 2.053525e-05, 1.3335214e-05, 8.659643e-06, 5.6234135e-06, 3.6517413e-06, 2.3713737e-06, 1.5399265e-06]> : tensor<32xf32>
    %sign = stablehlo.constant dense<[-1.0, 1.0]> : tensor<2xf32>
    %position = stablehlo.convert %positions : (tensor<64xi32>) -> tensor<64xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<64xf32>) -> tensor<64x32xf32>
    %by_pair = stablehlo.broadcast_in_dim %frequency, dims = [1] : (tensor<32xf32>) -> tensor<64x32xf32>
    %angle = stablehlo.multiply %by_row, %by_pair : tensor<64x32xf32>
    %cos_half = stablehlo.cosine %angle : tensor<64x32xf32>
    %sin_half = stablehlo.sine %angle : tensor<64x32xf32>
    %cos = stablehlo.broadcast_in_dim %cos_half, dims = [0, 2] : (tensor<64x32xf32>) -> tensor<64x2x32xf32>
    %sin_both = stablehlo.broadcast_in_dim %sin_half, dims = [0, 2] : (tensor<64x32xf32>) -> tensor<64x2x32xf32>
    %signs = stablehlo.broadcast_in_dim %sign, dims = [1] : (tensor<2xf32>) -> tensor<64x2x32xf32>
    %sin = stablehlo.multiply %sin_both, %signs : tensor<64x2x32xf32>
    return %cos, %sin : tensor<64x2x32xf32>, tensor<64x2x32xf32>
  }

  // Each head's halves (a, b) turned by the angle: (a·cos - b·sin, b·cos + a·sin).
  func.func private @rotary_q(%x: tensor<64x896xf32>, %cos: tensor<64x2x32xf32>, %sin: tensor<64x2x32xf32>) -> tensor<64x896xf32> {
    %halves = stablehlo.reshape %x : (tensor<64x896xf32>) -> tensor<64x14x2x32xf32>
    %swapped = stablehlo.reverse %halves, dims = [2] : tensor<64x14x2x32xf32>
    %cos_all = stablehlo.broadcast_in_dim %cos, dims = [0, 2, 3] : (tensor<64x2x32xf32>) -> tensor<64x14x2x32xf32>
    %sin_all = stablehlo.broadcast_in_dim %sin, dims = [0, 2, 3] : (tensor<64x2x32xf32>) -> tensor<64x14x2x32xf32>
    %kept = stablehlo.multiply %halves, %cos_all : tensor<64x14x2x32xf32>
    %crossed = stablehlo.multiply %swapped, %sin_all : tensor<64x14x2x32xf32>
    %turned = stablehlo.add %kept, %crossed : tensor<64x14x2x32xf32>
    %y = stablehlo.reshape %turned : (tensor<64x14x2x32xf32>) -> tensor<64x896xf32>
    return %y : tensor<64x896xf32>
  }
  func.func private @rotary_k(%x: tensor<64x128xf32>, %cos: tensor<64x2x32xf32>, %sin: tensor<64x2x32xf32>) -> tensor<64x128xf32> {
    %halves = stablehlo.reshape %x : (tensor<64x128xf32>) -> tensor<64x2x2x32xf32>
    %swapped = stablehlo.reverse %halves, dims = [2] : tensor<64x2x2x32xf32>
    %cos_all = stablehlo.broadcast_in_dim %cos, dims = [0, 2, 3] : (tensor<64x2x32xf32>) -> tensor<64x2x2x32xf32>
    %sin_all = stablehlo.broadcast_in_dim %sin, dims = [0, 2, 3] : (tensor<64x2x32xf32>) -> tensor<64x2x2x32xf32>
    %kept = stablehlo.multiply %halves, %cos_all : tensor<64x2x2x32xf32>
    %crossed = stablehlo.multiply %swapped, %sin_all : tensor<64x2x2x32xf32>
    %turned = stablehlo.add %kept, %crossed : tensor<64x2x2x32xf32>
    %y = stablehlo.reshape %turned : (tensor<64x2x2x32xf32>) -> tensor<64x128xf32>
    return %y : tensor<64x128xf32>
  }

  // Which cached positions a slot's new tokens see: those before `past`.
  func.func private @cached_mask(%past: tensor<1xi32>) -> tensor<1x2048xi1> {
    %position = stablehlo.iota dim = 1 : tensor<1x2048xi32>
    %pasts = stablehlo.broadcast_in_dim %past, dims = [0] : (tensor<1xi32>) -> tensor<1x2048xi32>
    %mask = stablehlo.compare LT, %position, %pasts : (tensor<1x2048xi32>, tensor<1x2048xi32>) -> tensor<1x2048xi1>
    return %mask : tensor<1x2048xi1>
  }

  // Which of the chunk's own tokens each of its queries sees: itself and those before.
  func.func private @causal_mask() -> tensor<448x64xi1> {
    %query = stablehlo.iota dim = 1 : tensor<7x64x64xi32>
    %key = stablehlo.iota dim = 2 : tensor<7x64x64xi32>
    %seen = stablehlo.compare LE, %key, %query : (tensor<7x64x64xi32>, tensor<7x64x64xi32>) -> tensor<7x64x64xi1>
    %mask = stablehlo.reshape %seen : (tensor<7x64x64xi1>) -> tensor<448x64xi1>
    return %mask : tensor<448x64xi1>
  }

  // Softmax over two parts: the cached keys and the step's own, joined by a common maximum.
  // Returns the new keys and values too; the step writes all layers' at once.
  func.func private @attention(
      %x: tensor<64x896xf32>, %q: tensor<896x896xbf16>, %q_bias: tensor<896xbf16>, %k: tensor<128x896xbf16>, %k_bias: tensor<128xbf16>, %v: tensor<128x896xbf16>, %v_bias: tensor<128xbf16>, %o: tensor<896x896xbf16>,
      %layer: index, %first_slot: index, %cos: tensor<64x2x32xf32>, %sin: tensor<64x2x32xf32>, %cached: tensor<1x2048xi1>, %causal: tensor<448x64xi1>,
      %k_cache: tensor<24x8x2x64x2048xbf16>, %v_cache: tensor<24x8x2x2048x64xbf16>)
      -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>) {
    %q_flat_in = stablehlo.convert %x : (tensor<64x896xf32>) -> tensor<64x896xbf16>
    %q_flat_sum = stablehlo.dot_general %q_flat_in, %q, contracting_dims = [1] x [1] : (tensor<64x896xbf16>, tensor<896x896xbf16>) -> tensor<64x896xf32>
    %q_flat_bias = stablehlo.convert %q_bias : (tensor<896xbf16>) -> tensor<896xf32>
    %q_flat_shift = stablehlo.broadcast_in_dim %q_flat_bias, dims = [1] : (tensor<896xf32>) -> tensor<64x896xf32>
    %q_flat = stablehlo.add %q_flat_sum, %q_flat_shift : tensor<64x896xf32>
    %k_flat_in = stablehlo.convert %x : (tensor<64x896xf32>) -> tensor<64x896xbf16>
    %k_flat_sum = stablehlo.dot_general %k_flat_in, %k, contracting_dims = [1] x [1] : (tensor<64x896xbf16>, tensor<128x896xbf16>) -> tensor<64x128xf32>
    %k_flat_bias = stablehlo.convert %k_bias : (tensor<128xbf16>) -> tensor<128xf32>
    %k_flat_shift = stablehlo.broadcast_in_dim %k_flat_bias, dims = [1] : (tensor<128xf32>) -> tensor<64x128xf32>
    %k_flat = stablehlo.add %k_flat_sum, %k_flat_shift : tensor<64x128xf32>
    %v_flat_in = stablehlo.convert %x : (tensor<64x896xf32>) -> tensor<64x896xbf16>
    %v_flat_sum = stablehlo.dot_general %v_flat_in, %v, contracting_dims = [1] x [1] : (tensor<64x896xbf16>, tensor<128x896xbf16>) -> tensor<64x128xf32>
    %v_flat_bias = stablehlo.convert %v_bias : (tensor<128xbf16>) -> tensor<128xf32>
    %v_flat_shift = stablehlo.broadcast_in_dim %v_flat_bias, dims = [1] : (tensor<128xf32>) -> tensor<64x128xf32>
    %v_flat = stablehlo.add %v_flat_sum, %v_flat_shift : tensor<64x128xf32>
    %q_turned = call @rotary_q(%q_flat, %cos, %sin) : (tensor<64x896xf32>, tensor<64x2x32xf32>, tensor<64x2x32xf32>) -> tensor<64x896xf32>
    %k_turned = call @rotary_k(%k_flat, %cos, %sin) : (tensor<64x128xf32>, tensor<64x2x32xf32>, tensor<64x2x32xf32>) -> tensor<64x128xf32>

    // queries [slots, kv_heads, group · new, head_dim], keys and values [slots, kv_heads, new, head_dim]
    %q_rows = stablehlo.reshape %q_turned : (tensor<64x896xf32>) -> tensor<64x14x64xf32>
    %q_by_head = stablehlo.transpose %q_rows, dims = [1, 0, 2] : (tensor<64x14x64xf32>) -> tensor<14x64x64xf32>
    %q_heads = stablehlo.reshape %q_by_head : (tensor<14x64x64xf32>) -> tensor<1x2x448x64xf32>
    %k_rows = stablehlo.reshape %k_turned : (tensor<64x128xf32>) -> tensor<64x2x64xf32>
    %k_by_head = stablehlo.transpose %k_rows, dims = [1, 0, 2] : (tensor<64x2x64xf32>) -> tensor<2x64x64xf32>
    %k_heads = stablehlo.reshape %k_by_head : (tensor<2x64x64xf32>) -> tensor<1x2x64x64xf32>
    %v_rows = stablehlo.reshape %v_flat : (tensor<64x128xf32>) -> tensor<64x2x64xf32>
    %v_by_head = stablehlo.transpose %v_rows, dims = [1, 0, 2] : (tensor<64x2x64xf32>) -> tensor<2x64x64xf32>
    %v_heads = stablehlo.reshape %v_by_head : (tensor<2x64x64xf32>) -> tensor<1x2x64x64xf32>
    %scale = stablehlo.constant dense<0.125> : tensor<1x2x448x64xf32>
    %q_scaled = stablehlo.multiply %q_heads, %scale : tensor<1x2x448x64xf32>
    %k_heads_bf16 = stablehlo.convert %k_heads : (tensor<1x2x64x64xf32>) -> tensor<1x2x64x64xbf16>
    %v_heads_bf16 = stablehlo.convert %v_heads : (tensor<1x2x64x64xf32>) -> tensor<1x2x64x64xbf16>
    %q_scaled_bf16 = stablehlo.convert %q_scaled : (tensor<1x2x448x64xf32>) -> tensor<1x2x448x64xbf16>

    // slots and kv_heads as one dimension, so that the products read the layer where it lies
    %kv_heads = arith.constant 2 : index
    %first = arith.muli %first_slot, %kv_heads : index
    %k_all = stablehlo.reshape %k_cache : (tensor<24x8x2x64x2048xbf16>) -> tensor<24x16x64x2048xbf16>
    %k_layer = tensor.extract_slice %k_all[%layer, %first, 0, 0] [1, 2, 64, 2048] [1, 1, 1, 1] : tensor<24x16x64x2048xbf16> to tensor<2x64x2048xbf16>
    %k_past = stablehlo.reshape %k_layer : (tensor<2x64x2048xbf16>) -> tensor<1x2x64x2048xbf16>
    %v_all = stablehlo.reshape %v_cache : (tensor<24x8x2x2048x64xbf16>) -> tensor<24x16x2048x64xbf16>
    %v_layer = tensor.extract_slice %v_all[%layer, %first, 0, 0] [1, 2, 2048, 64] [1, 1, 1, 1] : tensor<24x16x2048x64xbf16> to tensor<2x2048x64xbf16>
    %v_past = stablehlo.reshape %v_layer : (tensor<2x2048x64xbf16>) -> tensor<1x2x2048x64xbf16>

    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %none = stablehlo.constant dense<0.0> : tensor<f32>
    %past_raw = stablehlo.dot_general %q_scaled_bf16, %k_past, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2] : (tensor<1x2x448x64xbf16>, tensor<1x2x64x2048xbf16>) -> tensor<1x2x448x2048xf32>
    %past_seen = stablehlo.broadcast_in_dim %cached, dims = [0, 3] : (tensor<1x2048xi1>) -> tensor<1x2x448x2048xi1>
    %past_hidden = stablehlo.broadcast_in_dim %minus_inf, dims = [] : (tensor<f32>) -> tensor<1x2x448x2048xf32>
    %past = stablehlo.select %past_seen, %past_raw, %past_hidden : tensor<1x2x448x2048xi1>, tensor<1x2x448x2048xf32>
    %own_raw = stablehlo.dot_general %q_scaled_bf16, %k_heads_bf16, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [3] : (tensor<1x2x448x64xbf16>, tensor<1x2x64x64xbf16>) -> tensor<1x2x448x64xf32>
    %own_seen = stablehlo.broadcast_in_dim %causal, dims = [2, 3] : (tensor<448x64xi1>) -> tensor<1x2x448x64xi1>
    %own_hidden = stablehlo.broadcast_in_dim %minus_inf, dims = [] : (tensor<f32>) -> tensor<1x2x448x64xf32>
    %own = stablehlo.select %own_seen, %own_raw, %own_hidden : tensor<1x2x448x64xi1>, tensor<1x2x448x64xf32>

    %past_max = stablehlo.reduce(%past init: %minus_inf) applies stablehlo.maximum across dimensions = [3] : (tensor<1x2x448x2048xf32>, tensor<f32>) -> tensor<1x2x448xf32>
    %own_max = stablehlo.reduce(%own init: %minus_inf) applies stablehlo.maximum across dimensions = [3] : (tensor<1x2x448x64xf32>, tensor<f32>) -> tensor<1x2x448xf32>
    %max = stablehlo.maximum %past_max, %own_max : tensor<1x2x448xf32>
    %past_maxes = stablehlo.broadcast_in_dim %max, dims = [0, 1, 2] : (tensor<1x2x448xf32>) -> tensor<1x2x448x2048xf32>
    %past_below = stablehlo.subtract %past, %past_maxes : tensor<1x2x448x2048xf32>
    %past_exp = stablehlo.exponential %past_below : tensor<1x2x448x2048xf32>
    %past_sum = stablehlo.reduce(%past_exp init: %none) applies stablehlo.add across dimensions = [3] : (tensor<1x2x448x2048xf32>, tensor<f32>) -> tensor<1x2x448xf32>
    %past_exp_bf16 = stablehlo.convert %past_exp : (tensor<1x2x448x2048xf32>) -> tensor<1x2x448x2048xbf16>
    %own_maxes = stablehlo.broadcast_in_dim %max, dims = [0, 1, 2] : (tensor<1x2x448xf32>) -> tensor<1x2x448x64xf32>
    %own_below = stablehlo.subtract %own, %own_maxes : tensor<1x2x448x64xf32>
    %own_exp = stablehlo.exponential %own_below : tensor<1x2x448x64xf32>
    %own_sum = stablehlo.reduce(%own_exp init: %none) applies stablehlo.add across dimensions = [3] : (tensor<1x2x448x64xf32>, tensor<f32>) -> tensor<1x2x448xf32>
    %own_exp_bf16 = stablehlo.convert %own_exp : (tensor<1x2x448x64xf32>) -> tensor<1x2x448x64xbf16>
    %past_out = stablehlo.dot_general %past_exp_bf16, %v_past, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2] : (tensor<1x2x448x2048xbf16>, tensor<1x2x2048x64xbf16>) -> tensor<1x2x448x64xf32>
    %own_out = stablehlo.dot_general %own_exp_bf16, %v_heads_bf16, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2] : (tensor<1x2x448x64xbf16>, tensor<1x2x64x64xbf16>) -> tensor<1x2x448x64xf32>
    %sum = stablehlo.add %past_sum, %own_sum : tensor<1x2x448xf32>
    %sums = stablehlo.broadcast_in_dim %sum, dims = [0, 1, 2] : (tensor<1x2x448xf32>) -> tensor<1x2x448x64xf32>
    %weighted = stablehlo.add %past_out, %own_out : tensor<1x2x448x64xf32>
    %heads_out = stablehlo.divide %weighted, %sums : tensor<1x2x448x64xf32>

    %out_by_head = stablehlo.reshape %heads_out : (tensor<1x2x448x64xf32>) -> tensor<14x64x64xf32>
    %out_rows = stablehlo.transpose %out_by_head, dims = [1, 0, 2] : (tensor<14x64x64xf32>) -> tensor<64x14x64xf32>
    %flat_out = stablehlo.reshape %out_rows : (tensor<64x14x64xf32>) -> tensor<64x896xf32>
    %k_columns = stablehlo.transpose %k_heads_bf16, dims = [0, 1, 3, 2] : (tensor<1x2x64x64xbf16>) -> tensor<1x2x64x64xbf16>
    %new_k = stablehlo.reshape %k_columns : (tensor<1x2x64x64xbf16>) -> tensor<1x1x2x64x64xbf16>
    %new_v = stablehlo.reshape %v_heads_bf16 : (tensor<1x2x64x64xbf16>) -> tensor<1x1x2x64x64xbf16>
    %y_in = stablehlo.convert %flat_out : (tensor<64x896xf32>) -> tensor<64x896xbf16>
    %y = stablehlo.dot_general %y_in, %o, contracting_dims = [1] x [1] : (tensor<64x896xbf16>, tensor<896x896xbf16>) -> tensor<64x896xf32>
    return %y, %new_k, %new_v : tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>
  }

  // down(silu(gate(x)) · up(x))
  func.func private @mlp(%x: tensor<64x896xf32>, %gate: tensor<4864x896xbf16>, %up: tensor<4864x896xbf16>, %down: tensor<896x4864xbf16>) -> tensor<64x896xf32> {
    %gated_in = stablehlo.convert %x : (tensor<64x896xf32>) -> tensor<64x896xbf16>
    %gated = stablehlo.dot_general %gated_in, %gate, contracting_dims = [1] x [1] : (tensor<64x896xbf16>, tensor<4864x896xbf16>) -> tensor<64x4864xf32>
    %raised_in = stablehlo.convert %x : (tensor<64x896xf32>) -> tensor<64x896xbf16>
    %raised = stablehlo.dot_general %raised_in, %up, contracting_dims = [1] x [1] : (tensor<64x896xbf16>, tensor<4864x896xbf16>) -> tensor<64x4864xf32>
    %sigmoid = stablehlo.logistic %gated : tensor<64x4864xf32>
    %silu = stablehlo.multiply %gated, %sigmoid : tensor<64x4864xf32>
    %inner = stablehlo.multiply %silu, %raised : tensor<64x4864xf32>
    %y_in = stablehlo.convert %inner : (tensor<64x4864xf32>) -> tensor<64x4864xbf16>
    %y = stablehlo.dot_general %y_in, %down, contracting_dims = [1] x [1] : (tensor<64x4864xbf16>, tensor<896x4864xbf16>) -> tensor<64x896xf32>
    return %y : tensor<64x896xf32>
  }

  // x + attention(norm(x)), then x + mlp(norm(x)).
  func.func private @layer(
      %x: tensor<64x896xf32>, %attn_norm: tensor<896xbf16>, %q: tensor<896x896xbf16>, %q_bias: tensor<896xbf16>, %k: tensor<128x896xbf16>, %k_bias: tensor<128xbf16>, %v: tensor<128x896xbf16>, %v_bias: tensor<128xbf16>, %o: tensor<896x896xbf16>, %mlp_norm: tensor<896xbf16>, %gate: tensor<4864x896xbf16>, %up: tensor<4864x896xbf16>, %down: tensor<896x4864xbf16>,
      %layer: index, %first_slot: index, %cos: tensor<64x2x32xf32>, %sin: tensor<64x2x32xf32>, %cached: tensor<1x2048xi1>, %causal: tensor<448x64xi1>,
      %k_cache: tensor<24x8x2x64x2048xbf16>, %v_cache: tensor<24x8x2x2048x64xbf16>)
      -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (tensor<64x896xf32>, tensor<896xbf16>) -> tensor<64x896xf32>
    %attended, %new_k, %new_v = call @attention(%x_normed, %q, %q_bias, %k, %k_bias, %v, %v_bias, %o, %layer, %first_slot, %cos, %sin, %cached, %causal, %k_cache, %v_cache)
        : (tensor<64x896xf32>, tensor<896x896xbf16>, tensor<896xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<128x896xbf16>, tensor<128xbf16>, tensor<896x896xbf16>, index, index, tensor<64x2x32xf32>, tensor<64x2x32xf32>, tensor<1x2048xi1>, tensor<448x64xi1>, tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) -> (tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>)
    %x_mid = stablehlo.add %x, %attended : tensor<64x896xf32>
    %mid_normed = call @rms_norm(%x_mid, %mlp_norm) : (tensor<64x896xf32>, tensor<896xbf16>) -> tensor<64x896xf32>
    %fed = call @mlp(%mid_normed, %gate, %up, %down) : (tensor<64x896xf32>, tensor<4864x896xbf16>, tensor<4864x896xbf16>, tensor<896x4864xbf16>) -> tensor<64x896xf32>
    %y = stablehlo.add %x_mid, %fed : tensor<64x896xf32>
    return %y, %new_k, %new_v : tensor<64x896xf32>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>
  }

  // Logits over the vocabulary.
  func.func private @head(%x: tensor<1x896xf32>, %table: tensor<151936x896xbf16>) -> tensor<1x151936xf32> {
    %logits_in = stablehlo.convert %x : (tensor<1x896xf32>) -> tensor<1x896xbf16>
    %logits = stablehlo.dot_general %logits_in, %table, contracting_dims = [1] x [1] : (tensor<1x896xbf16>, tensor<151936x896xbf16>) -> tensor<1x151936xf32>
    return %logits : tensor<1x151936xf32>
  }

  // The lowest index that holds a row's maximum.
  func.func private @argmax(%logits: tensor<1x151936xf32>) -> tensor<1xi32> {
    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %past_end = stablehlo.constant dense<151936> : tensor<i32>
    %max = stablehlo.reduce(%logits init: %minus_inf) applies stablehlo.maximum across dimensions = [1] : (tensor<1x151936xf32>, tensor<f32>) -> tensor<1xf32>
    %maxes = stablehlo.broadcast_in_dim %max, dims = [0] : (tensor<1xf32>) -> tensor<1x151936xf32>
    %is_max = stablehlo.compare EQ, %logits, %maxes : (tensor<1x151936xf32>, tensor<1x151936xf32>) -> tensor<1x151936xi1>
    %index = stablehlo.iota dim = 1 : tensor<1x151936xi32>
    %past_ends = stablehlo.broadcast_in_dim %past_end, dims = [] : (tensor<i32>) -> tensor<1x151936xi32>
    %candidates = stablehlo.select %is_max, %index, %past_ends : tensor<1x151936xi1>, tensor<1x151936xi32>
    %lowest = stablehlo.reduce(%candidates init: %past_end) applies stablehlo.minimum across dimensions = [1] : (tensor<1x151936xi32>, tensor<i32>) -> tensor<1xi32>
    return %lowest : tensor<1xi32>
  }

  // Positions start..start+length-1 of one slot and no others: the block written is moved back
  // to fit where it would pass the context's end, and keeps what the cache holds elsewhere.
  func.func private @cache_write(
      %k: tensor<24x8x2x64x2048xbf16>, %v: tensor<24x8x2x2048x64xbf16>,
      %new_k0: tensor<1x1x2x64x64xbf16>, %new_k1: tensor<1x1x2x64x64xbf16>, %new_k2: tensor<1x1x2x64x64xbf16>, %new_k3: tensor<1x1x2x64x64xbf16>, %new_k4: tensor<1x1x2x64x64xbf16>, %new_k5: tensor<1x1x2x64x64xbf16>, %new_k6: tensor<1x1x2x64x64xbf16>, %new_k7: tensor<1x1x2x64x64xbf16>, %new_k8: tensor<1x1x2x64x64xbf16>, %new_k9: tensor<1x1x2x64x64xbf16>, %new_k10: tensor<1x1x2x64x64xbf16>, %new_k11: tensor<1x1x2x64x64xbf16>, %new_k12: tensor<1x1x2x64x64xbf16>, %new_k13: tensor<1x1x2x64x64xbf16>, %new_k14: tensor<1x1x2x64x64xbf16>, %new_k15: tensor<1x1x2x64x64xbf16>, %new_k16: tensor<1x1x2x64x64xbf16>, %new_k17: tensor<1x1x2x64x64xbf16>, %new_k18: tensor<1x1x2x64x64xbf16>, %new_k19: tensor<1x1x2x64x64xbf16>, %new_k20: tensor<1x1x2x64x64xbf16>, %new_k21: tensor<1x1x2x64x64xbf16>, %new_k22: tensor<1x1x2x64x64xbf16>, %new_k23: tensor<1x1x2x64x64xbf16>,
      %new_v0: tensor<1x1x2x64x64xbf16>, %new_v1: tensor<1x1x2x64x64xbf16>, %new_v2: tensor<1x1x2x64x64xbf16>, %new_v3: tensor<1x1x2x64x64xbf16>, %new_v4: tensor<1x1x2x64x64xbf16>, %new_v5: tensor<1x1x2x64x64xbf16>, %new_v6: tensor<1x1x2x64x64xbf16>, %new_v7: tensor<1x1x2x64x64xbf16>, %new_v8: tensor<1x1x2x64x64xbf16>, %new_v9: tensor<1x1x2x64x64xbf16>, %new_v10: tensor<1x1x2x64x64xbf16>, %new_v11: tensor<1x1x2x64x64xbf16>, %new_v12: tensor<1x1x2x64x64xbf16>, %new_v13: tensor<1x1x2x64x64xbf16>, %new_v14: tensor<1x1x2x64x64xbf16>, %new_v15: tensor<1x1x2x64x64xbf16>, %new_v16: tensor<1x1x2x64x64xbf16>, %new_v17: tensor<1x1x2x64x64xbf16>, %new_v18: tensor<1x1x2x64x64xbf16>, %new_v19: tensor<1x1x2x64x64xbf16>, %new_v20: tensor<1x1x2x64x64xbf16>, %new_v21: tensor<1x1x2x64x64xbf16>, %new_v22: tensor<1x1x2x64x64xbf16>, %new_v23: tensor<1x1x2x64x64xbf16>,
      %slot: tensor<i32>, %start: tensor<i32>, %length: tensor<i32>)
      -> (tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>) {
    %keys = stablehlo.concatenate %new_k0, %new_k1, %new_k2, %new_k3, %new_k4, %new_k5, %new_k6, %new_k7, %new_k8, %new_k9, %new_k10, %new_k11, %new_k12, %new_k13, %new_k14, %new_k15, %new_k16, %new_k17, %new_k18, %new_k19, %new_k20, %new_k21, %new_k22, %new_k23, dim = 0 : (tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>) -> tensor<24x1x2x64x64xbf16>
    %values = stablehlo.concatenate %new_v0, %new_v1, %new_v2, %new_v3, %new_v4, %new_v5, %new_v6, %new_v7, %new_v8, %new_v9, %new_v10, %new_v11, %new_v12, %new_v13, %new_v14, %new_v15, %new_v16, %new_v17, %new_v18, %new_v19, %new_v20, %new_v21, %new_v22, %new_v23, dim = 0 : (tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>, tensor<1x1x2x64x64xbf16>) -> tensor<24x1x2x64x64xbf16>
    %zero = stablehlo.constant dense<0> : tensor<i32>
    %latest = stablehlo.constant dense<1984> : tensor<i32>
    %chunk = stablehlo.constant dense<64> : tensor<i32>
    %filler = stablehlo.constant dense<0.0> : tensor<bf16>
    %block = stablehlo.minimum %start, %latest : tensor<i32>
    %end = stablehlo.add %start, %length : tensor<i32>
    %moved_back = stablehlo.subtract %start, %block : tensor<i32>
    %shift = stablehlo.subtract %chunk, %moved_back : tensor<i32>

    %key_padded = stablehlo.pad %keys, %filler, low = [0, 0, 0, 0, 64], high = [0, 0, 0, 0, 0], interior = [0, 0, 0, 0, 0] : (tensor<24x1x2x64x64xbf16>, tensor<bf16>) -> tensor<24x1x2x64x128xbf16>
    %key_moved = stablehlo.dynamic_slice %key_padded, %zero, %zero, %zero, %zero, %shift, sizes = [24, 1, 2, 64, 64] : (tensor<24x1x2x64x128xbf16>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<24x1x2x64x64xbf16>
    %key_held = stablehlo.dynamic_slice %k, %zero, %slot, %zero, %zero, %block, sizes = [24, 1, 2, 64, 64] : (tensor<24x8x2x64x2048xbf16>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<24x1x2x64x64xbf16>
    %key_index = stablehlo.iota dim = 4 : tensor<24x1x2x64x64xi32>
    %key_block = stablehlo.broadcast_in_dim %block, dims = [] : (tensor<i32>) -> tensor<24x1x2x64x64xi32>
    %key_start = stablehlo.broadcast_in_dim %start, dims = [] : (tensor<i32>) -> tensor<24x1x2x64x64xi32>
    %key_end = stablehlo.broadcast_in_dim %end, dims = [] : (tensor<i32>) -> tensor<24x1x2x64x64xi32>
    %key_position = stablehlo.add %key_index, %key_block : tensor<24x1x2x64x64xi32>
    %key_after = stablehlo.compare GE, %key_position, %key_start : (tensor<24x1x2x64x64xi32>, tensor<24x1x2x64x64xi32>) -> tensor<24x1x2x64x64xi1>
    %key_before = stablehlo.compare LT, %key_position, %key_end : (tensor<24x1x2x64x64xi32>, tensor<24x1x2x64x64xi32>) -> tensor<24x1x2x64x64xi1>
    %key_written = stablehlo.and %key_after, %key_before : tensor<24x1x2x64x64xi1>
    %key_update = stablehlo.select %key_written, %key_moved, %key_held : tensor<24x1x2x64x64xi1>, tensor<24x1x2x64x64xbf16>

    %value_padded = stablehlo.pad %values, %filler, low = [0, 0, 0, 64, 0], high = [0, 0, 0, 0, 0], interior = [0, 0, 0, 0, 0] : (tensor<24x1x2x64x64xbf16>, tensor<bf16>) -> tensor<24x1x2x128x64xbf16>
    %value_moved = stablehlo.dynamic_slice %value_padded, %zero, %zero, %zero, %shift, %zero, sizes = [24, 1, 2, 64, 64] : (tensor<24x1x2x128x64xbf16>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<24x1x2x64x64xbf16>
    %value_held = stablehlo.dynamic_slice %v, %zero, %slot, %zero, %block, %zero, sizes = [24, 1, 2, 64, 64] : (tensor<24x8x2x2048x64xbf16>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<24x1x2x64x64xbf16>
    %value_index = stablehlo.iota dim = 3 : tensor<24x1x2x64x64xi32>
    %value_block = stablehlo.broadcast_in_dim %block, dims = [] : (tensor<i32>) -> tensor<24x1x2x64x64xi32>
    %value_start = stablehlo.broadcast_in_dim %start, dims = [] : (tensor<i32>) -> tensor<24x1x2x64x64xi32>
    %value_end = stablehlo.broadcast_in_dim %end, dims = [] : (tensor<i32>) -> tensor<24x1x2x64x64xi32>
    %value_position = stablehlo.add %value_index, %value_block : tensor<24x1x2x64x64xi32>
    %value_after = stablehlo.compare GE, %value_position, %value_start : (tensor<24x1x2x64x64xi32>, tensor<24x1x2x64x64xi32>) -> tensor<24x1x2x64x64xi1>
    %value_before = stablehlo.compare LT, %value_position, %value_end : (tensor<24x1x2x64x64xi32>, tensor<24x1x2x64x64xi32>) -> tensor<24x1x2x64x64xi1>
    %value_written = stablehlo.and %value_after, %value_before : tensor<24x1x2x64x64xi1>
    %value_update = stablehlo.select %value_written, %value_moved, %value_held : tensor<24x1x2x64x64xi1>, tensor<24x1x2x64x64xbf16>

    %k_out = stablehlo.dynamic_update_slice %k, %key_update, %zero, %slot, %zero, %zero, %block : (tensor<24x8x2x64x2048xbf16>, tensor<24x1x2x64x64xbf16>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<24x8x2x64x2048xbf16>
    %v_out = stablehlo.dynamic_update_slice %v, %value_update, %zero, %slot, %zero, %block, %zero : (tensor<24x8x2x2048x64xbf16>, tensor<24x1x2x64x64xbf16>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<24x8x2x2048x64xbf16>
    return %k_out, %v_out : tensor<24x8x2x64x2048xbf16>, tensor<24x8x2x2048x64xbf16>
  }
}

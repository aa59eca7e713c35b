// decode · llama, tied · 16 layers, hidden 2048, 32/8 heads of 64 · context 2048, 8 slots · fast
module @decode {
  func.func public @decode(
      %embed: tensor<128256x2048xbf16>,
      %final_norm: tensor<2048xbf16>,
      %layer0_attn_norm: tensor<2048xbf16>, %layer0_q: tensor<2048x2048xbf16>, %layer0_k: tensor<512x2048xbf16>, %layer0_v: tensor<512x2048xbf16>, %layer0_o: tensor<2048x2048xbf16>, %layer0_mlp_norm: tensor<2048xbf16>, %layer0_gate: tensor<8192x2048xbf16>, %layer0_up: tensor<8192x2048xbf16>, %layer0_down: tensor<2048x8192xbf16>,
      %layer1_attn_norm: tensor<2048xbf16>, %layer1_q: tensor<2048x2048xbf16>, %layer1_k: tensor<512x2048xbf16>, %layer1_v: tensor<512x2048xbf16>, %layer1_o: tensor<2048x2048xbf16>, %layer1_mlp_norm: tensor<2048xbf16>, %layer1_gate: tensor<8192x2048xbf16>, %layer1_up: tensor<8192x2048xbf16>, %layer1_down: tensor<2048x8192xbf16>,
      %layer2_attn_norm: tensor<2048xbf16>, %layer2_q: tensor<2048x2048xbf16>, %layer2_k: tensor<512x2048xbf16>, %layer2_v: tensor<512x2048xbf16>, %layer2_o: tensor<2048x2048xbf16>, %layer2_mlp_norm: tensor<2048xbf16>, %layer2_gate: tensor<8192x2048xbf16>, %layer2_up: tensor<8192x2048xbf16>, %layer2_down: tensor<2048x8192xbf16>,
      %layer3_attn_norm: tensor<2048xbf16>, %layer3_q: tensor<2048x2048xbf16>, %layer3_k: tensor<512x2048xbf16>, %layer3_v: tensor<512x2048xbf16>, %layer3_o: tensor<2048x2048xbf16>, %layer3_mlp_norm: tensor<2048xbf16>, %layer3_gate: tensor<8192x2048xbf16>, %layer3_up: tensor<8192x2048xbf16>, %layer3_down: tensor<2048x8192xbf16>,
      %layer4_attn_norm: tensor<2048xbf16>, %layer4_q: tensor<2048x2048xbf16>, %layer4_k: tensor<512x2048xbf16>, %layer4_v: tensor<512x2048xbf16>, %layer4_o: tensor<2048x2048xbf16>, %layer4_mlp_norm: tensor<2048xbf16>, %layer4_gate: tensor<8192x2048xbf16>, %layer4_up: tensor<8192x2048xbf16>, %layer4_down: tensor<2048x8192xbf16>,
      %layer5_attn_norm: tensor<2048xbf16>, %layer5_q: tensor<2048x2048xbf16>, %layer5_k: tensor<512x2048xbf16>, %layer5_v: tensor<512x2048xbf16>, %layer5_o: tensor<2048x2048xbf16>, %layer5_mlp_norm: tensor<2048xbf16>, %layer5_gate: tensor<8192x2048xbf16>, %layer5_up: tensor<8192x2048xbf16>, %layer5_down: tensor<2048x8192xbf16>,
      %layer6_attn_norm: tensor<2048xbf16>, %layer6_q: tensor<2048x2048xbf16>, %layer6_k: tensor<512x2048xbf16>, %layer6_v: tensor<512x2048xbf16>, %layer6_o: tensor<2048x2048xbf16>, %layer6_mlp_norm: tensor<2048xbf16>, %layer6_gate: tensor<8192x2048xbf16>, %layer6_up: tensor<8192x2048xbf16>, %layer6_down: tensor<2048x8192xbf16>,
      %layer7_attn_norm: tensor<2048xbf16>, %layer7_q: tensor<2048x2048xbf16>, %layer7_k: tensor<512x2048xbf16>, %layer7_v: tensor<512x2048xbf16>, %layer7_o: tensor<2048x2048xbf16>, %layer7_mlp_norm: tensor<2048xbf16>, %layer7_gate: tensor<8192x2048xbf16>, %layer7_up: tensor<8192x2048xbf16>, %layer7_down: tensor<2048x8192xbf16>,
      %layer8_attn_norm: tensor<2048xbf16>, %layer8_q: tensor<2048x2048xbf16>, %layer8_k: tensor<512x2048xbf16>, %layer8_v: tensor<512x2048xbf16>, %layer8_o: tensor<2048x2048xbf16>, %layer8_mlp_norm: tensor<2048xbf16>, %layer8_gate: tensor<8192x2048xbf16>, %layer8_up: tensor<8192x2048xbf16>, %layer8_down: tensor<2048x8192xbf16>,
      %layer9_attn_norm: tensor<2048xbf16>, %layer9_q: tensor<2048x2048xbf16>, %layer9_k: tensor<512x2048xbf16>, %layer9_v: tensor<512x2048xbf16>, %layer9_o: tensor<2048x2048xbf16>, %layer9_mlp_norm: tensor<2048xbf16>, %layer9_gate: tensor<8192x2048xbf16>, %layer9_up: tensor<8192x2048xbf16>, %layer9_down: tensor<2048x8192xbf16>,
      %layer10_attn_norm: tensor<2048xbf16>, %layer10_q: tensor<2048x2048xbf16>, %layer10_k: tensor<512x2048xbf16>, %layer10_v: tensor<512x2048xbf16>, %layer10_o: tensor<2048x2048xbf16>, %layer10_mlp_norm: tensor<2048xbf16>, %layer10_gate: tensor<8192x2048xbf16>, %layer10_up: tensor<8192x2048xbf16>, %layer10_down: tensor<2048x8192xbf16>,
      %layer11_attn_norm: tensor<2048xbf16>, %layer11_q: tensor<2048x2048xbf16>, %layer11_k: tensor<512x2048xbf16>, %layer11_v: tensor<512x2048xbf16>, %layer11_o: tensor<2048x2048xbf16>, %layer11_mlp_norm: tensor<2048xbf16>, %layer11_gate: tensor<8192x2048xbf16>, %layer11_up: tensor<8192x2048xbf16>, %layer11_down: tensor<2048x8192xbf16>,
      %layer12_attn_norm: tensor<2048xbf16>, %layer12_q: tensor<2048x2048xbf16>, %layer12_k: tensor<512x2048xbf16>, %layer12_v: tensor<512x2048xbf16>, %layer12_o: tensor<2048x2048xbf16>, %layer12_mlp_norm: tensor<2048xbf16>, %layer12_gate: tensor<8192x2048xbf16>, %layer12_up: tensor<8192x2048xbf16>, %layer12_down: tensor<2048x8192xbf16>,
      %layer13_attn_norm: tensor<2048xbf16>, %layer13_q: tensor<2048x2048xbf16>, %layer13_k: tensor<512x2048xbf16>, %layer13_v: tensor<512x2048xbf16>, %layer13_o: tensor<2048x2048xbf16>, %layer13_mlp_norm: tensor<2048xbf16>, %layer13_gate: tensor<8192x2048xbf16>, %layer13_up: tensor<8192x2048xbf16>, %layer13_down: tensor<2048x8192xbf16>,
      %layer14_attn_norm: tensor<2048xbf16>, %layer14_q: tensor<2048x2048xbf16>, %layer14_k: tensor<512x2048xbf16>, %layer14_v: tensor<512x2048xbf16>, %layer14_o: tensor<2048x2048xbf16>, %layer14_mlp_norm: tensor<2048xbf16>, %layer14_gate: tensor<8192x2048xbf16>, %layer14_up: tensor<8192x2048xbf16>, %layer14_down: tensor<2048x8192xbf16>,
      %layer15_attn_norm: tensor<2048xbf16>, %layer15_q: tensor<2048x2048xbf16>, %layer15_k: tensor<512x2048xbf16>, %layer15_v: tensor<512x2048xbf16>, %layer15_o: tensor<2048x2048xbf16>, %layer15_mlp_norm: tensor<2048xbf16>, %layer15_gate: tensor<8192x2048xbf16>, %layer15_up: tensor<8192x2048xbf16>, %layer15_down: tensor<2048x8192xbf16>,
      %token: tensor<i32>, %position: tensor<i32>,
      %k: tensor<16x8x8x64x2048xbf16> {tf.aliasing_output = 2 : i32},
      %v: tensor<16x8x8x2048x64xbf16> {tf.aliasing_output = 3 : i32})
      -> (tensor<i32>, tensor<128256xf32>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) {
    %first_slot = arith.constant 0 : index
    %tokens = stablehlo.reshape %token : (tensor<i32>) -> tensor<1xi32>
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

    %cos, %sin = call @rotary_angles(%positions) : (tensor<1xi32>) -> (tensor<1x2x32xf32>, tensor<1x2x32xf32>)
    %cached = call @cached_mask(%positions) : (tensor<1xi32>) -> tensor<1x2048xi1>
    %x0 = call @embedding(%embed, %tokens) : (tensor<128256x2048xbf16>, tensor<1xi32>) -> tensor<1x2048xf32>

    %x1, %new_k0, %new_v0 = call @layer(%x0, %layer0_attn_norm, %layer0_q, %layer0_k, %layer0_v, %layer0_o, %layer0_mlp_norm, %layer0_gate, %layer0_up, %layer0_down, %layer0, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x2048xf32>, tensor<2048xbf16>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048xbf16>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)
    %x2, %new_k1, %new_v1 = call @layer(%x1, %layer1_attn_norm, %layer1_q, %layer1_k, %layer1_v, %layer1_o, %layer1_mlp_norm, %layer1_gate, %layer1_up, %layer1_down, %layer1, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x2048xf32>, tensor<2048xbf16>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048xbf16>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)
    %x3, %new_k2, %new_v2 = call @layer(%x2, %layer2_attn_norm, %layer2_q, %layer2_k, %layer2_v, %layer2_o, %layer2_mlp_norm, %layer2_gate, %layer2_up, %layer2_down, %layer2, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x2048xf32>, tensor<2048xbf16>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048xbf16>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)
    %x4, %new_k3, %new_v3 = call @layer(%x3, %layer3_attn_norm, %layer3_q, %layer3_k, %layer3_v, %layer3_o, %layer3_mlp_norm, %layer3_gate, %layer3_up, %layer3_down, %layer3, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x2048xf32>, tensor<2048xbf16>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048xbf16>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)
    %x5, %new_k4, %new_v4 = call @layer(%x4, %layer4_attn_norm, %layer4_q, %layer4_k, %layer4_v, %layer4_o, %layer4_mlp_norm, %layer4_gate, %layer4_up, %layer4_down, %layer4, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x2048xf32>, tensor<2048xbf16>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048xbf16>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)
    %x6, %new_k5, %new_v5 = call @layer(%x5, %layer5_attn_norm, %layer5_q, %layer5_k, %layer5_v, %layer5_o, %layer5_mlp_norm, %layer5_gate, %layer5_up, %layer5_down, %layer5, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x2048xf32>, tensor<2048xbf16>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048xbf16>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)
    %x7, %new_k6, %new_v6 = call @layer(%x6, %layer6_attn_norm, %layer6_q, %layer6_k, %layer6_v, %layer6_o, %layer6_mlp_norm, %layer6_gate, %layer6_up, %layer6_down, %layer6, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x2048xf32>, tensor<2048xbf16>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048xbf16>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)
    %x8, %new_k7, %new_v7 = call @layer(%x7, %layer7_attn_norm, %layer7_q, %layer7_k, %layer7_v, %layer7_o, %layer7_mlp_norm, %layer7_gate, %layer7_up, %layer7_down, %layer7, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x2048xf32>, tensor<2048xbf16>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048xbf16>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)
    %x9, %new_k8, %new_v8 = call @layer(%x8, %layer8_attn_norm, %layer8_q, %layer8_k, %layer8_v, %layer8_o, %layer8_mlp_norm, %layer8_gate, %layer8_up, %layer8_down, %layer8, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x2048xf32>, tensor<2048xbf16>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048xbf16>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)
    %x10, %new_k9, %new_v9 = call @layer(%x9, %layer9_attn_norm, %layer9_q, %layer9_k, %layer9_v, %layer9_o, %layer9_mlp_norm, %layer9_gate, %layer9_up, %layer9_down, %layer9, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x2048xf32>, tensor<2048xbf16>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048xbf16>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)
    %x11, %new_k10, %new_v10 = call @layer(%x10, %layer10_attn_norm, %layer10_q, %layer10_k, %layer10_v, %layer10_o, %layer10_mlp_norm, %layer10_gate, %layer10_up, %layer10_down, %layer10, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x2048xf32>, tensor<2048xbf16>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048xbf16>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)
    %x12, %new_k11, %new_v11 = call @layer(%x11, %layer11_attn_norm, %layer11_q, %layer11_k, %layer11_v, %layer11_o, %layer11_mlp_norm, %layer11_gate, %layer11_up, %layer11_down, %layer11, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x2048xf32>, tensor<2048xbf16>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048xbf16>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)
    %x13, %new_k12, %new_v12 = call @layer(%x12, %layer12_attn_norm, %layer12_q, %layer12_k, %layer12_v, %layer12_o, %layer12_mlp_norm, %layer12_gate, %layer12_up, %layer12_down, %layer12, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x2048xf32>, tensor<2048xbf16>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048xbf16>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)
    %x14, %new_k13, %new_v13 = call @layer(%x13, %layer13_attn_norm, %layer13_q, %layer13_k, %layer13_v, %layer13_o, %layer13_mlp_norm, %layer13_gate, %layer13_up, %layer13_down, %layer13, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x2048xf32>, tensor<2048xbf16>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048xbf16>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)
    %x15, %new_k14, %new_v14 = call @layer(%x14, %layer14_attn_norm, %layer14_q, %layer14_k, %layer14_v, %layer14_o, %layer14_mlp_norm, %layer14_gate, %layer14_up, %layer14_down, %layer14, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x2048xf32>, tensor<2048xbf16>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048xbf16>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)
    %x16, %new_k15, %new_v15 = call @layer(%x15, %layer15_attn_norm, %layer15_q, %layer15_k, %layer15_v, %layer15_o, %layer15_mlp_norm, %layer15_gate, %layer15_up, %layer15_down, %layer15, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x2048xf32>, tensor<2048xbf16>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, tensor<2048xbf16>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)

    %normed = call @rms_norm(%x16, %final_norm) : (tensor<1x2048xf32>, tensor<2048xbf16>) -> tensor<1x2048xf32>
    %row_logits = call @head(%normed, %embed) : (tensor<1x2048xf32>, tensor<128256x2048xbf16>) -> tensor<1x128256xf32>
    %row_next = call @argmax(%row_logits) : (tensor<1x128256xf32>) -> tensor<1xi32>
    %next = stablehlo.reshape %row_next : (tensor<1xi32>) -> tensor<i32>
    %logits = stablehlo.reshape %row_logits : (tensor<1x128256xf32>) -> tensor<128256xf32>

    %k_out, %v_out = call @cache_write(%k, %v,
        %new_k0, %new_k1, %new_k2, %new_k3, %new_k4, %new_k5, %new_k6, %new_k7, %new_k8, %new_k9, %new_k10, %new_k11, %new_k12, %new_k13, %new_k14, %new_k15,
        %new_v0, %new_v1, %new_v2, %new_v3, %new_v4, %new_v5, %new_v6, %new_v7, %new_v8, %new_v9, %new_v10, %new_v11, %new_v12, %new_v13, %new_v14, %new_v15,
        %position)
        : (tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>,
        tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>,
        tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>,
        tensor<i32>) -> (tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>)
    return %next, %logits, %k_out, %v_out : tensor<i32>, tensor<128256xf32>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>
  }

  // Row `token` of the table for each token.
  func.func private @embedding(%table: tensor<128256x2048xbf16>, %tokens: tensor<1xi32>) -> tensor<1x2048xf32> {
    %ids = stablehlo.reshape %tokens : (tensor<1xi32>) -> tensor<1x1xi32>
    %found = "stablehlo.gather"(%table, %ids) <{
        dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 2048>, indices_are_sorted = false}>
        : (tensor<128256x2048xbf16>, tensor<1x1xi32>) -> tensor<1x2048xbf16>
    %x = stablehlo.convert %found : (tensor<1x2048xbf16>) -> tensor<1x2048xf32>
    return %x : tensor<1x2048xf32>
  }

  // x / sqrt(mean(x²) + eps) · weight, in f32.
  func.func private @rms_norm(%x: tensor<1x2048xf32>, %weight: tensor<2048xbf16>) -> tensor<1x2048xf32> {
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %size = stablehlo.constant dense<2048.0> : tensor<1x1xf32>
    %eps = stablehlo.constant dense<1.0e-05> : tensor<1x1xf32>
    %square = stablehlo.multiply %x, %x : tensor<1x2048xf32>
    %sum = stablehlo.reduce(%square init: %zero) applies stablehlo.add across dimensions = [1] : (tensor<1x2048xf32>, tensor<f32>) -> tensor<1xf32>
    %sums = stablehlo.reshape %sum : (tensor<1xf32>) -> tensor<1x1xf32>
    %mean = stablehlo.divide %sums, %size : tensor<1x1xf32>
    %shifted = stablehlo.add %mean, %eps : tensor<1x1xf32>
    %scale = stablehlo.rsqrt %shifted : tensor<1x1xf32>
    %scales = stablehlo.broadcast_in_dim %scale, dims = [0, 1] : (tensor<1x1xf32>) -> tensor<1x2048xf32>
    %normed = stablehlo.multiply %x, %scales : tensor<1x2048xf32>
    %weight_f32 = stablehlo.convert %weight : (tensor<2048xbf16>) -> tensor<2048xf32>
    %weights = stablehlo.broadcast_in_dim %weight_f32, dims = [1] : (tensor<2048xf32>) -> tensor<1x2048xf32>
    %y = stablehlo.multiply %normed, %weights : tensor<1x2048xf32>
    return %y : tensor<1x2048xf32>
  }

  // cos and ∓sin of position · frequency, laid over a head's two halves: [rows, 2, head_dim / 2].
  func.func private @rotary_angles(%positions: tensor<1xi32>) -> (tensor<1x2x32xf32>, tensor<1x2x32xf32>) {
    // theta^(-2i / head_dim), theta 500000, llama3 scaling by 32: radians a position
    %frequency = stablehlo.constant dense<[1.0, 0.6636012, 0.4403666, 0.29222783, 0.19392274, 0.12868737, 0.0853971, 0.056669623, 0.03760603, 0.024955409, 0.01656044, 0.010989528, 0.0072926646, 0.0048394212, 0.003211446, 0.0012905479, 0.0004295568, 9.708288e-05, 1.9461639e-05, 1.29147675e-05, 8.570256e-06, 5.6872323e-06, 3.7740542e-06, 2.5044671e-06, 1.6619674e-06, 1.1028836e-06, 7.31875e-07, 4.856731e-07, 3.222933e-07, 2.1387423e-07, 1.419272e-07, 9.4183065e-08]> : tensor<32xf32>
    %sign = stablehlo.constant dense<[-1.0, 1.0]> : tensor<2xf32>
    %position = stablehlo.convert %positions : (tensor<1xi32>) -> tensor<1xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<1xf32>) -> tensor<1x32xf32>
    %by_pair = stablehlo.broadcast_in_dim %frequency, dims = [1] : (tensor<32xf32>) -> tensor<1x32xf32>
    %angle = stablehlo.multiply %by_row, %by_pair : tensor<1x32xf32>
    %cos_half = stablehlo.cosine %angle : tensor<1x32xf32>
    %sin_half = stablehlo.sine %angle : tensor<1x32xf32>
    %cos = stablehlo.broadcast_in_dim %cos_half, dims = [0, 2] : (tensor<1x32xf32>) -> tensor<1x2x32xf32>
    %sin_both = stablehlo.broadcast_in_dim %sin_half, dims = [0, 2] : (tensor<1x32xf32>) -> tensor<1x2x32xf32>
    %signs = stablehlo.broadcast_in_dim %sign, dims = [1] : (tensor<2xf32>) -> tensor<1x2x32xf32>
    %sin = stablehlo.multiply %sin_both, %signs : tensor<1x2x32xf32>
    return %cos, %sin : tensor<1x2x32xf32>, tensor<1x2x32xf32>
  }

  // Each head's halves (a, b) turned by the angle: (a·cos - b·sin, b·cos + a·sin).
  func.func private @rotary_q(%x: tensor<1x2048xf32>, %cos: tensor<1x2x32xf32>, %sin: tensor<1x2x32xf32>) -> tensor<1x2048xf32> {
    %halves = stablehlo.reshape %x : (tensor<1x2048xf32>) -> tensor<1x32x2x32xf32>
    %swapped = stablehlo.reverse %halves, dims = [2] : tensor<1x32x2x32xf32>
    %cos_all = stablehlo.broadcast_in_dim %cos, dims = [0, 2, 3] : (tensor<1x2x32xf32>) -> tensor<1x32x2x32xf32>
    %sin_all = stablehlo.broadcast_in_dim %sin, dims = [0, 2, 3] : (tensor<1x2x32xf32>) -> tensor<1x32x2x32xf32>
    %kept = stablehlo.multiply %halves, %cos_all : tensor<1x32x2x32xf32>
    %crossed = stablehlo.multiply %swapped, %sin_all : tensor<1x32x2x32xf32>
    %turned = stablehlo.add %kept, %crossed : tensor<1x32x2x32xf32>
    %y = stablehlo.reshape %turned : (tensor<1x32x2x32xf32>) -> tensor<1x2048xf32>
    return %y : tensor<1x2048xf32>
  }
  func.func private @rotary_k(%x: tensor<1x512xf32>, %cos: tensor<1x2x32xf32>, %sin: tensor<1x2x32xf32>) -> tensor<1x512xf32> {
    %halves = stablehlo.reshape %x : (tensor<1x512xf32>) -> tensor<1x8x2x32xf32>
    %swapped = stablehlo.reverse %halves, dims = [2] : tensor<1x8x2x32xf32>
    %cos_all = stablehlo.broadcast_in_dim %cos, dims = [0, 2, 3] : (tensor<1x2x32xf32>) -> tensor<1x8x2x32xf32>
    %sin_all = stablehlo.broadcast_in_dim %sin, dims = [0, 2, 3] : (tensor<1x2x32xf32>) -> tensor<1x8x2x32xf32>
    %kept = stablehlo.multiply %halves, %cos_all : tensor<1x8x2x32xf32>
    %crossed = stablehlo.multiply %swapped, %sin_all : tensor<1x8x2x32xf32>
    %turned = stablehlo.add %kept, %crossed : tensor<1x8x2x32xf32>
    %y = stablehlo.reshape %turned : (tensor<1x8x2x32xf32>) -> tensor<1x512xf32>
    return %y : tensor<1x512xf32>
  }

  // Which cached positions a slot's new tokens see: those before `past`.
  func.func private @cached_mask(%past: tensor<1xi32>) -> tensor<1x2048xi1> {
    %position = stablehlo.iota dim = 1 : tensor<1x2048xi32>
    %pasts = stablehlo.broadcast_in_dim %past, dims = [0] : (tensor<1xi32>) -> tensor<1x2048xi32>
    %mask = stablehlo.compare LT, %position, %pasts : (tensor<1x2048xi32>, tensor<1x2048xi32>) -> tensor<1x2048xi1>
    return %mask : tensor<1x2048xi1>
  }

  // Softmax over two parts: the cached keys and the step's own, joined by a common maximum.
  // Returns the new keys and values too; the step writes all layers' at once.
  func.func private @attention(
      %x: tensor<1x2048xf32>, %q: tensor<2048x2048xbf16>, %k: tensor<512x2048xbf16>, %v: tensor<512x2048xbf16>, %o: tensor<2048x2048xbf16>,
      %layer: index, %first_slot: index, %cos: tensor<1x2x32xf32>, %sin: tensor<1x2x32xf32>, %cached: tensor<1x2048xi1>,
      %k_cache: tensor<16x8x8x64x2048xbf16>, %v_cache: tensor<16x8x8x2048x64xbf16>)
      -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>) {
    %q_flat_in = stablehlo.convert %x : (tensor<1x2048xf32>) -> tensor<1x2048xbf16>
    %q_flat = stablehlo.dot_general %q_flat_in, %q, contracting_dims = [1] x [1] : (tensor<1x2048xbf16>, tensor<2048x2048xbf16>) -> tensor<1x2048xf32>
    %k_flat_in = stablehlo.convert %x : (tensor<1x2048xf32>) -> tensor<1x2048xbf16>
    %k_flat = stablehlo.dot_general %k_flat_in, %k, contracting_dims = [1] x [1] : (tensor<1x2048xbf16>, tensor<512x2048xbf16>) -> tensor<1x512xf32>
    %v_flat_in = stablehlo.convert %x : (tensor<1x2048xf32>) -> tensor<1x2048xbf16>
    %v_flat = stablehlo.dot_general %v_flat_in, %v, contracting_dims = [1] x [1] : (tensor<1x2048xbf16>, tensor<512x2048xbf16>) -> tensor<1x512xf32>
    %q_turned = call @rotary_q(%q_flat, %cos, %sin) : (tensor<1x2048xf32>, tensor<1x2x32xf32>, tensor<1x2x32xf32>) -> tensor<1x2048xf32>
    %k_turned = call @rotary_k(%k_flat, %cos, %sin) : (tensor<1x512xf32>, tensor<1x2x32xf32>, tensor<1x2x32xf32>) -> tensor<1x512xf32>

    // queries [slots, kv_heads, group · new, head_dim], keys and values [slots, kv_heads, new, head_dim]
    %q_heads = stablehlo.reshape %q_turned : (tensor<1x2048xf32>) -> tensor<1x8x4x64xf32>
    %k_heads = stablehlo.reshape %k_turned : (tensor<1x512xf32>) -> tensor<1x8x1x64xf32>
    %v_heads = stablehlo.reshape %v_flat : (tensor<1x512xf32>) -> tensor<1x8x1x64xf32>
    %scale = stablehlo.constant dense<0.125> : tensor<1x8x4x64xf32>
    %q_scaled = stablehlo.multiply %q_heads, %scale : tensor<1x8x4x64xf32>
    %k_heads_bf16 = stablehlo.convert %k_heads : (tensor<1x8x1x64xf32>) -> tensor<1x8x1x64xbf16>
    %v_heads_bf16 = stablehlo.convert %v_heads : (tensor<1x8x1x64xf32>) -> tensor<1x8x1x64xbf16>
    %q_scaled_bf16 = stablehlo.convert %q_scaled : (tensor<1x8x4x64xf32>) -> tensor<1x8x4x64xbf16>

    // slots and kv_heads as one dimension, so that the products read the layer where it lies
    %kv_heads = arith.constant 8 : index
    %first = arith.muli %first_slot, %kv_heads : index
    %k_all = stablehlo.reshape %k_cache : (tensor<16x8x8x64x2048xbf16>) -> tensor<16x64x64x2048xbf16>
    %k_layer = tensor.extract_slice %k_all[%layer, %first, 0, 0] [1, 8, 64, 2048] [1, 1, 1, 1] : tensor<16x64x64x2048xbf16> to tensor<8x64x2048xbf16>
    %k_past = stablehlo.reshape %k_layer : (tensor<8x64x2048xbf16>) -> tensor<1x8x64x2048xbf16>
    %v_all = stablehlo.reshape %v_cache : (tensor<16x8x8x2048x64xbf16>) -> tensor<16x64x2048x64xbf16>
    %v_layer = tensor.extract_slice %v_all[%layer, %first, 0, 0] [1, 8, 2048, 64] [1, 1, 1, 1] : tensor<16x64x2048x64xbf16> to tensor<8x2048x64xbf16>
    %v_past = stablehlo.reshape %v_layer : (tensor<8x2048x64xbf16>) -> tensor<1x8x2048x64xbf16>

    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %none = stablehlo.constant dense<0.0> : tensor<f32>
    %past_raw = stablehlo.dot_general %q_scaled_bf16, %k_past, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2] : (tensor<1x8x4x64xbf16>, tensor<1x8x64x2048xbf16>) -> tensor<1x8x4x2048xf32>
    %past_seen = stablehlo.broadcast_in_dim %cached, dims = [0, 3] : (tensor<1x2048xi1>) -> tensor<1x8x4x2048xi1>
    %past_hidden = stablehlo.broadcast_in_dim %minus_inf, dims = [] : (tensor<f32>) -> tensor<1x8x4x2048xf32>
    %past = stablehlo.select %past_seen, %past_raw, %past_hidden : tensor<1x8x4x2048xi1>, tensor<1x8x4x2048xf32>
    %own = stablehlo.dot_general %q_scaled_bf16, %k_heads_bf16, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [3] : (tensor<1x8x4x64xbf16>, tensor<1x8x1x64xbf16>) -> tensor<1x8x4x1xf32>

    %past_max = stablehlo.reduce(%past init: %minus_inf) applies stablehlo.maximum across dimensions = [3] : (tensor<1x8x4x2048xf32>, tensor<f32>) -> tensor<1x8x4xf32>
    %own_max = stablehlo.reduce(%own init: %minus_inf) applies stablehlo.maximum across dimensions = [3] : (tensor<1x8x4x1xf32>, tensor<f32>) -> tensor<1x8x4xf32>
    %max = stablehlo.maximum %past_max, %own_max : tensor<1x8x4xf32>
    %past_maxes = stablehlo.broadcast_in_dim %max, dims = [0, 1, 2] : (tensor<1x8x4xf32>) -> tensor<1x8x4x2048xf32>
    %past_below = stablehlo.subtract %past, %past_maxes : tensor<1x8x4x2048xf32>
    %past_exp = stablehlo.exponential %past_below : tensor<1x8x4x2048xf32>
    %past_sum = stablehlo.reduce(%past_exp init: %none) applies stablehlo.add across dimensions = [3] : (tensor<1x8x4x2048xf32>, tensor<f32>) -> tensor<1x8x4xf32>
    %past_exp_bf16 = stablehlo.convert %past_exp : (tensor<1x8x4x2048xf32>) -> tensor<1x8x4x2048xbf16>
    %own_maxes = stablehlo.broadcast_in_dim %max, dims = [0, 1, 2] : (tensor<1x8x4xf32>) -> tensor<1x8x4x1xf32>
    %own_below = stablehlo.subtract %own, %own_maxes : tensor<1x8x4x1xf32>
    %own_exp = stablehlo.exponential %own_below : tensor<1x8x4x1xf32>
    %own_sum = stablehlo.reduce(%own_exp init: %none) applies stablehlo.add across dimensions = [3] : (tensor<1x8x4x1xf32>, tensor<f32>) -> tensor<1x8x4xf32>
    %own_exp_bf16 = stablehlo.convert %own_exp : (tensor<1x8x4x1xf32>) -> tensor<1x8x4x1xbf16>
    %past_out = stablehlo.dot_general %past_exp_bf16, %v_past, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2] : (tensor<1x8x4x2048xbf16>, tensor<1x8x2048x64xbf16>) -> tensor<1x8x4x64xf32>
    %own_out = stablehlo.dot_general %own_exp_bf16, %v_heads_bf16, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2] : (tensor<1x8x4x1xbf16>, tensor<1x8x1x64xbf16>) -> tensor<1x8x4x64xf32>
    %sum = stablehlo.add %past_sum, %own_sum : tensor<1x8x4xf32>
    %sums = stablehlo.broadcast_in_dim %sum, dims = [0, 1, 2] : (tensor<1x8x4xf32>) -> tensor<1x8x4x64xf32>
    %weighted = stablehlo.add %past_out, %own_out : tensor<1x8x4x64xf32>
    %heads_out = stablehlo.divide %weighted, %sums : tensor<1x8x4x64xf32>

    %flat_out = stablehlo.reshape %heads_out : (tensor<1x8x4x64xf32>) -> tensor<1x2048xf32>
    %new_k = stablehlo.reshape %k_heads_bf16 : (tensor<1x8x1x64xbf16>) -> tensor<1x1x8x64x1xbf16>
    %new_v = stablehlo.reshape %v_heads_bf16 : (tensor<1x8x1x64xbf16>) -> tensor<1x1x8x1x64xbf16>
    %y_in = stablehlo.convert %flat_out : (tensor<1x2048xf32>) -> tensor<1x2048xbf16>
    %y = stablehlo.dot_general %y_in, %o, contracting_dims = [1] x [1] : (tensor<1x2048xbf16>, tensor<2048x2048xbf16>) -> tensor<1x2048xf32>
    return %y, %new_k, %new_v : tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>
  }

  // down(silu(gate(x)) · up(x))
  func.func private @mlp(%x: tensor<1x2048xf32>, %gate: tensor<8192x2048xbf16>, %up: tensor<8192x2048xbf16>, %down: tensor<2048x8192xbf16>) -> tensor<1x2048xf32> {
    %gated_in = stablehlo.convert %x : (tensor<1x2048xf32>) -> tensor<1x2048xbf16>
    %gated = stablehlo.dot_general %gated_in, %gate, contracting_dims = [1] x [1] : (tensor<1x2048xbf16>, tensor<8192x2048xbf16>) -> tensor<1x8192xf32>
    %raised_in = stablehlo.convert %x : (tensor<1x2048xf32>) -> tensor<1x2048xbf16>
    %raised = stablehlo.dot_general %raised_in, %up, contracting_dims = [1] x [1] : (tensor<1x2048xbf16>, tensor<8192x2048xbf16>) -> tensor<1x8192xf32>
    %sigmoid = stablehlo.logistic %gated : tensor<1x8192xf32>
    %silu = stablehlo.multiply %gated, %sigmoid : tensor<1x8192xf32>
    %inner = stablehlo.multiply %silu, %raised : tensor<1x8192xf32>
    %y_in = stablehlo.convert %inner : (tensor<1x8192xf32>) -> tensor<1x8192xbf16>
    %y = stablehlo.dot_general %y_in, %down, contracting_dims = [1] x [1] : (tensor<1x8192xbf16>, tensor<2048x8192xbf16>) -> tensor<1x2048xf32>
    return %y : tensor<1x2048xf32>
  }

  // x + attention(norm(x)), then x + mlp(norm(x)).
  func.func private @layer(
      %x: tensor<1x2048xf32>, %attn_norm: tensor<2048xbf16>, %q: tensor<2048x2048xbf16>, %k: tensor<512x2048xbf16>, %v: tensor<512x2048xbf16>, %o: tensor<2048x2048xbf16>, %mlp_norm: tensor<2048xbf16>, %gate: tensor<8192x2048xbf16>, %up: tensor<8192x2048xbf16>, %down: tensor<2048x8192xbf16>,
      %layer: index, %first_slot: index, %cos: tensor<1x2x32xf32>, %sin: tensor<1x2x32xf32>, %cached: tensor<1x2048xi1>,
      %k_cache: tensor<16x8x8x64x2048xbf16>, %v_cache: tensor<16x8x8x2048x64xbf16>)
      -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (tensor<1x2048xf32>, tensor<2048xbf16>) -> tensor<1x2048xf32>
    %attended, %new_k, %new_v = call @attention(%x_normed, %q, %k, %v, %o, %layer, %first_slot, %cos, %sin, %cached, %k_cache, %v_cache)
        : (tensor<1x2048xf32>, tensor<2048x2048xbf16>, tensor<512x2048xbf16>, tensor<512x2048xbf16>, tensor<2048x2048xbf16>, index, index, tensor<1x2x32xf32>, tensor<1x2x32xf32>, tensor<1x2048xi1>, tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) -> (tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>)
    %x_mid = stablehlo.add %x, %attended : tensor<1x2048xf32>
    %mid_normed = call @rms_norm(%x_mid, %mlp_norm) : (tensor<1x2048xf32>, tensor<2048xbf16>) -> tensor<1x2048xf32>
    %fed = call @mlp(%mid_normed, %gate, %up, %down) : (tensor<1x2048xf32>, tensor<8192x2048xbf16>, tensor<8192x2048xbf16>, tensor<2048x8192xbf16>) -> tensor<1x2048xf32>
    %y = stablehlo.add %x_mid, %fed : tensor<1x2048xf32>
    return %y, %new_k, %new_v : tensor<1x2048xf32>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x1x64xbf16>
  }

  // Logits over the vocabulary.
  func.func private @head(%x: tensor<1x2048xf32>, %table: tensor<128256x2048xbf16>) -> tensor<1x128256xf32> {
    %logits_in = stablehlo.convert %x : (tensor<1x2048xf32>) -> tensor<1x2048xbf16>
    %logits = stablehlo.dot_general %logits_in, %table, contracting_dims = [1] x [1] : (tensor<1x2048xbf16>, tensor<128256x2048xbf16>) -> tensor<1x128256xf32>
    return %logits : tensor<1x128256xf32>
  }

  // The lowest index that holds a row's maximum.
  func.func private @argmax(%logits: tensor<1x128256xf32>) -> tensor<1xi32> {
    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %past_end = stablehlo.constant dense<128256> : tensor<i32>
    %max = stablehlo.reduce(%logits init: %minus_inf) applies stablehlo.maximum across dimensions = [1] : (tensor<1x128256xf32>, tensor<f32>) -> tensor<1xf32>
    %maxes = stablehlo.broadcast_in_dim %max, dims = [0] : (tensor<1xf32>) -> tensor<1x128256xf32>
    %is_max = stablehlo.compare EQ, %logits, %maxes : (tensor<1x128256xf32>, tensor<1x128256xf32>) -> tensor<1x128256xi1>
    %index = stablehlo.iota dim = 1 : tensor<1x128256xi32>
    %past_ends = stablehlo.broadcast_in_dim %past_end, dims = [] : (tensor<i32>) -> tensor<1x128256xi32>
    %candidates = stablehlo.select %is_max, %index, %past_ends : tensor<1x128256xi1>, tensor<1x128256xi32>
    %lowest = stablehlo.reduce(%candidates init: %past_end) applies stablehlo.minimum across dimensions = [1] : (tensor<1x128256xi32>, tensor<i32>) -> tensor<1xi32>
    return %lowest : tensor<1xi32>
  }

  // The new keys and values of all slots, at one position.
  func.func private @cache_write(
      %k: tensor<16x8x8x64x2048xbf16>, %v: tensor<16x8x8x2048x64xbf16>,
      %new_k0: tensor<1x1x8x64x1xbf16>, %new_k1: tensor<1x1x8x64x1xbf16>, %new_k2: tensor<1x1x8x64x1xbf16>, %new_k3: tensor<1x1x8x64x1xbf16>, %new_k4: tensor<1x1x8x64x1xbf16>, %new_k5: tensor<1x1x8x64x1xbf16>, %new_k6: tensor<1x1x8x64x1xbf16>, %new_k7: tensor<1x1x8x64x1xbf16>, %new_k8: tensor<1x1x8x64x1xbf16>, %new_k9: tensor<1x1x8x64x1xbf16>, %new_k10: tensor<1x1x8x64x1xbf16>, %new_k11: tensor<1x1x8x64x1xbf16>, %new_k12: tensor<1x1x8x64x1xbf16>, %new_k13: tensor<1x1x8x64x1xbf16>, %new_k14: tensor<1x1x8x64x1xbf16>, %new_k15: tensor<1x1x8x64x1xbf16>,
      %new_v0: tensor<1x1x8x1x64xbf16>, %new_v1: tensor<1x1x8x1x64xbf16>, %new_v2: tensor<1x1x8x1x64xbf16>, %new_v3: tensor<1x1x8x1x64xbf16>, %new_v4: tensor<1x1x8x1x64xbf16>, %new_v5: tensor<1x1x8x1x64xbf16>, %new_v6: tensor<1x1x8x1x64xbf16>, %new_v7: tensor<1x1x8x1x64xbf16>, %new_v8: tensor<1x1x8x1x64xbf16>, %new_v9: tensor<1x1x8x1x64xbf16>, %new_v10: tensor<1x1x8x1x64xbf16>, %new_v11: tensor<1x1x8x1x64xbf16>, %new_v12: tensor<1x1x8x1x64xbf16>, %new_v13: tensor<1x1x8x1x64xbf16>, %new_v14: tensor<1x1x8x1x64xbf16>, %new_v15: tensor<1x1x8x1x64xbf16>,
      %position: tensor<i32>)
      -> (tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>) {
    %keys = stablehlo.concatenate %new_k0, %new_k1, %new_k2, %new_k3, %new_k4, %new_k5, %new_k6, %new_k7, %new_k8, %new_k9, %new_k10, %new_k11, %new_k12, %new_k13, %new_k14, %new_k15, dim = 0 : (tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>, tensor<1x1x8x64x1xbf16>) -> tensor<16x1x8x64x1xbf16>
    %values = stablehlo.concatenate %new_v0, %new_v1, %new_v2, %new_v3, %new_v4, %new_v5, %new_v6, %new_v7, %new_v8, %new_v9, %new_v10, %new_v11, %new_v12, %new_v13, %new_v14, %new_v15, dim = 0 : (tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>, tensor<1x1x8x1x64xbf16>) -> tensor<16x1x8x1x64xbf16>
    %zero = stablehlo.constant dense<0> : tensor<i32>
    %k_out = stablehlo.dynamic_update_slice %k, %keys, %zero, %zero, %zero, %zero, %position : (tensor<16x8x8x64x2048xbf16>, tensor<16x1x8x64x1xbf16>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<16x8x8x64x2048xbf16>
    %v_out = stablehlo.dynamic_update_slice %v, %values, %zero, %zero, %zero, %position, %zero : (tensor<16x8x8x2048x64xbf16>, tensor<16x1x8x1x64xbf16>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<16x8x8x2048x64xbf16>
    return %k_out, %v_out : tensor<16x8x8x64x2048xbf16>, tensor<16x8x8x2048x64xbf16>
  }
}

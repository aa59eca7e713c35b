// prefill · llama, tied · 30 layers, hidden 576, 9/3 heads of 64 · context 2048, 8 slots, chunk 16 · exact, q4

!embed = tensor<3072x144x16x4xi8>
!embed_scales = tensor<3072x18x16xf16>
!norm = tensor<576xbf16>
!qkv = tensor<60x72x16x4xi8>
!qkv_scales = tensor<60x18x16xf16>
!o = tensor<36x72x16x4xi8>
!o_scales = tensor<36x18x16xf16>
!gate_up = tensor<192x72x16x4xi8>
!gate_up_scales = tensor<192x18x16xf16>
!down = tensor<36x192x16x4xi8>
!down_scales = tensor<36x48x16xf16>
!tokens = tensor<16xi32>
!k_cache = tensor<30x8x3x32x64x64xf32>
!v_cache = tensor<30x8x3x32x64x64xf32>
!last_logits = tensor<49152xf32>
!angle = tensor<16x2x32xf32>
!pasts = tensor<3xi32>
!causal_mask = tensor<48x16xi1>
!hidden = tensor<16x576xf32>
!new_k = tensor<1x1x3x64x16xf32>
!new_v = tensor<1x1x3x16x64xf32>
!last_hidden = tensor<1x576xf32>
!logits = tensor<1x49152xf32>
!next = tensor<1xi32>
!column = tensor<16x1xf32>
!each_row = tensor<16xf32>
!norm_f32 = tensor<576xf32>
!qkv_x_tiles = tensor<1x576x16x1xf32>
!qkv_y_tiles = tensor<1x60x16x16xf32>
!qkv_row = tensor<16x960xf32>
!q_row = tensor<16x576xf32>
!k_row = tensor<16x192xf32>
!q_heads = tensor<1x3x48x64xf32>
!new_heads = tensor<1x3x16x64xf32>
!queries = tensor<3x48x64xf32>
!new = tensor<3x16x64xf32>
!k_lanes = tensor<30x24x32x64x64xf32>
!k_past = tensor<3x?x64x64xf32>
!v_lanes = tensor<30x24x32x64x64xf32>
!v_past = tensor<3x?x64x64xf32>
!scores = tensor<3x48x?x64xf32>
!own_lane_scores = tensor<3x48x16xf32>
!each_lane = tensor<3x48xf32>
!partial = tensor<3x?x48x64xf32>
!new_columns = tensor<1x3x64x16xf32>
!o_x_tiles = tensor<1x576x16x1xf32>
!o_y_tiles = tensor<1x36x16x16xf32>
!angles = tensor<16x32xf32>
!q_pairs = tensor<16x9x2x32xf32>
!k_pairs = tensor<16x3x2x32xf32>
!pairs = tensor<3x16x16xi32>
!gate_up_x_tiles = tensor<1x576x16x1xf32>
!gate_up_y_tiles = tensor<1x192x16x16xf32>
!gate_up_row = tensor<16x3072xf32>
!inner = tensor<16x1536xf32>
!down_x_tiles = tensor<1x1536x16x1xf32>
!down_y_tiles = tensor<1x36x16x16xf32>
!embed_x_tiles_2 = tensor<1x576x1x1xf32>
!embed_y_tiles_2 = tensor<1x3072x1x16xf32>
!vocab_index = tensor<1x49152xi32>
!new_keys = tensor<30x1x3x64x16xf32>
!new_values = tensor<30x1x3x16x64xf32>
!key_padded = tensor<30x1x3x64x256xf32>
!key_moved = tensor<30x1x3x64x128xf32>
!key_split = tensor<30x1x3x64x2x64xf32>
!key_blocks = tensor<30x1x3x2x64x64xf32>
!key_index = tensor<30x1x3x2x64x64xi32>
!key_flag = tensor<30x1x3x2x64x64xi1>
!value_padded = tensor<30x1x3x256x64xf32>
!value_moved = tensor<30x1x3x128x64xf32>
!value_blocks = tensor<30x1x3x2x64x64xf32>
!value_index = tensor<30x1x3x2x64x64xi32>
!value_flag = tensor<30x1x3x2x64x64xi1>

module @prefill {
  // `length` tokens of `slot` from position `start`; the logits are the last one's.
  func.func public @prefill(
      %embed: !embed, %embed_scales: !embed_scales,
      %final_norm: !norm,
      %layer0_attn_norm: !norm, %layer0_qkv: !qkv, %layer0_qkv_scales: !qkv_scales, %layer0_o: !o,
      %layer0_o_scales: !o_scales, %layer0_mlp_norm: !norm, %layer0_gate_up: !gate_up,
      %layer0_gate_up_scales: !gate_up_scales, %layer0_down: !down, %layer0_down_scales: !down_scales,
      %layer1_attn_norm: !norm, %layer1_qkv: !qkv, %layer1_qkv_scales: !qkv_scales, %layer1_o: !o,
      %layer1_o_scales: !o_scales, %layer1_mlp_norm: !norm, %layer1_gate_up: !gate_up,
      %layer1_gate_up_scales: !gate_up_scales, %layer1_down: !down, %layer1_down_scales: !down_scales,
      %layer2_attn_norm: !norm, %layer2_qkv: !qkv, %layer2_qkv_scales: !qkv_scales, %layer2_o: !o,
      %layer2_o_scales: !o_scales, %layer2_mlp_norm: !norm, %layer2_gate_up: !gate_up,
      %layer2_gate_up_scales: !gate_up_scales, %layer2_down: !down, %layer2_down_scales: !down_scales,
      %layer3_attn_norm: !norm, %layer3_qkv: !qkv, %layer3_qkv_scales: !qkv_scales, %layer3_o: !o,
      %layer3_o_scales: !o_scales, %layer3_mlp_norm: !norm, %layer3_gate_up: !gate_up,
      %layer3_gate_up_scales: !gate_up_scales, %layer3_down: !down, %layer3_down_scales: !down_scales,
      %layer4_attn_norm: !norm, %layer4_qkv: !qkv, %layer4_qkv_scales: !qkv_scales, %layer4_o: !o,
      %layer4_o_scales: !o_scales, %layer4_mlp_norm: !norm, %layer4_gate_up: !gate_up,
      %layer4_gate_up_scales: !gate_up_scales, %layer4_down: !down, %layer4_down_scales: !down_scales,
      %layer5_attn_norm: !norm, %layer5_qkv: !qkv, %layer5_qkv_scales: !qkv_scales, %layer5_o: !o,
      %layer5_o_scales: !o_scales, %layer5_mlp_norm: !norm, %layer5_gate_up: !gate_up,
      %layer5_gate_up_scales: !gate_up_scales, %layer5_down: !down, %layer5_down_scales: !down_scales,
      %layer6_attn_norm: !norm, %layer6_qkv: !qkv, %layer6_qkv_scales: !qkv_scales, %layer6_o: !o,
      %layer6_o_scales: !o_scales, %layer6_mlp_norm: !norm, %layer6_gate_up: !gate_up,
      %layer6_gate_up_scales: !gate_up_scales, %layer6_down: !down, %layer6_down_scales: !down_scales,
      %layer7_attn_norm: !norm, %layer7_qkv: !qkv, %layer7_qkv_scales: !qkv_scales, %layer7_o: !o,
      %layer7_o_scales: !o_scales, %layer7_mlp_norm: !norm, %layer7_gate_up: !gate_up,
      %layer7_gate_up_scales: !gate_up_scales, %layer7_down: !down, %layer7_down_scales: !down_scales,
      %layer8_attn_norm: !norm, %layer8_qkv: !qkv, %layer8_qkv_scales: !qkv_scales, %layer8_o: !o,
      %layer8_o_scales: !o_scales, %layer8_mlp_norm: !norm, %layer8_gate_up: !gate_up,
      %layer8_gate_up_scales: !gate_up_scales, %layer8_down: !down, %layer8_down_scales: !down_scales,
      %layer9_attn_norm: !norm, %layer9_qkv: !qkv, %layer9_qkv_scales: !qkv_scales, %layer9_o: !o,
      %layer9_o_scales: !o_scales, %layer9_mlp_norm: !norm, %layer9_gate_up: !gate_up,
      %layer9_gate_up_scales: !gate_up_scales, %layer9_down: !down, %layer9_down_scales: !down_scales,
      %layer10_attn_norm: !norm, %layer10_qkv: !qkv, %layer10_qkv_scales: !qkv_scales, %layer10_o: !o,
      %layer10_o_scales: !o_scales, %layer10_mlp_norm: !norm, %layer10_gate_up: !gate_up,
      %layer10_gate_up_scales: !gate_up_scales, %layer10_down: !down, %layer10_down_scales: !down_scales,
      %layer11_attn_norm: !norm, %layer11_qkv: !qkv, %layer11_qkv_scales: !qkv_scales, %layer11_o: !o,
      %layer11_o_scales: !o_scales, %layer11_mlp_norm: !norm, %layer11_gate_up: !gate_up,
      %layer11_gate_up_scales: !gate_up_scales, %layer11_down: !down, %layer11_down_scales: !down_scales,
      %layer12_attn_norm: !norm, %layer12_qkv: !qkv, %layer12_qkv_scales: !qkv_scales, %layer12_o: !o,
      %layer12_o_scales: !o_scales, %layer12_mlp_norm: !norm, %layer12_gate_up: !gate_up,
      %layer12_gate_up_scales: !gate_up_scales, %layer12_down: !down, %layer12_down_scales: !down_scales,
      %layer13_attn_norm: !norm, %layer13_qkv: !qkv, %layer13_qkv_scales: !qkv_scales, %layer13_o: !o,
      %layer13_o_scales: !o_scales, %layer13_mlp_norm: !norm, %layer13_gate_up: !gate_up,
      %layer13_gate_up_scales: !gate_up_scales, %layer13_down: !down, %layer13_down_scales: !down_scales,
      %layer14_attn_norm: !norm, %layer14_qkv: !qkv, %layer14_qkv_scales: !qkv_scales, %layer14_o: !o,
      %layer14_o_scales: !o_scales, %layer14_mlp_norm: !norm, %layer14_gate_up: !gate_up,
      %layer14_gate_up_scales: !gate_up_scales, %layer14_down: !down, %layer14_down_scales: !down_scales,
      %layer15_attn_norm: !norm, %layer15_qkv: !qkv, %layer15_qkv_scales: !qkv_scales, %layer15_o: !o,
      %layer15_o_scales: !o_scales, %layer15_mlp_norm: !norm, %layer15_gate_up: !gate_up,
      %layer15_gate_up_scales: !gate_up_scales, %layer15_down: !down, %layer15_down_scales: !down_scales,
      %layer16_attn_norm: !norm, %layer16_qkv: !qkv, %layer16_qkv_scales: !qkv_scales, %layer16_o: !o,
      %layer16_o_scales: !o_scales, %layer16_mlp_norm: !norm, %layer16_gate_up: !gate_up,
      %layer16_gate_up_scales: !gate_up_scales, %layer16_down: !down, %layer16_down_scales: !down_scales,
      %layer17_attn_norm: !norm, %layer17_qkv: !qkv, %layer17_qkv_scales: !qkv_scales, %layer17_o: !o,
      %layer17_o_scales: !o_scales, %layer17_mlp_norm: !norm, %layer17_gate_up: !gate_up,
      %layer17_gate_up_scales: !gate_up_scales, %layer17_down: !down, %layer17_down_scales: !down_scales,
      %layer18_attn_norm: !norm, %layer18_qkv: !qkv, %layer18_qkv_scales: !qkv_scales, %layer18_o: !o,
      %layer18_o_scales: !o_scales, %layer18_mlp_norm: !norm, %layer18_gate_up: !gate_up,
      %layer18_gate_up_scales: !gate_up_scales, %layer18_down: !down, %layer18_down_scales: !down_scales,
      %layer19_attn_norm: !norm, %layer19_qkv: !qkv, %layer19_qkv_scales: !qkv_scales, %layer19_o: !o,
      %layer19_o_scales: !o_scales, %layer19_mlp_norm: !norm, %layer19_gate_up: !gate_up,
      %layer19_gate_up_scales: !gate_up_scales, %layer19_down: !down, %layer19_down_scales: !down_scales,
      %layer20_attn_norm: !norm, %layer20_qkv: !qkv, %layer20_qkv_scales: !qkv_scales, %layer20_o: !o,
      %layer20_o_scales: !o_scales, %layer20_mlp_norm: !norm, %layer20_gate_up: !gate_up,
      %layer20_gate_up_scales: !gate_up_scales, %layer20_down: !down, %layer20_down_scales: !down_scales,
      %layer21_attn_norm: !norm, %layer21_qkv: !qkv, %layer21_qkv_scales: !qkv_scales, %layer21_o: !o,
      %layer21_o_scales: !o_scales, %layer21_mlp_norm: !norm, %layer21_gate_up: !gate_up,
      %layer21_gate_up_scales: !gate_up_scales, %layer21_down: !down, %layer21_down_scales: !down_scales,
      %layer22_attn_norm: !norm, %layer22_qkv: !qkv, %layer22_qkv_scales: !qkv_scales, %layer22_o: !o,
      %layer22_o_scales: !o_scales, %layer22_mlp_norm: !norm, %layer22_gate_up: !gate_up,
      %layer22_gate_up_scales: !gate_up_scales, %layer22_down: !down, %layer22_down_scales: !down_scales,
      %layer23_attn_norm: !norm, %layer23_qkv: !qkv, %layer23_qkv_scales: !qkv_scales, %layer23_o: !o,
      %layer23_o_scales: !o_scales, %layer23_mlp_norm: !norm, %layer23_gate_up: !gate_up,
      %layer23_gate_up_scales: !gate_up_scales, %layer23_down: !down, %layer23_down_scales: !down_scales,
      %layer24_attn_norm: !norm, %layer24_qkv: !qkv, %layer24_qkv_scales: !qkv_scales, %layer24_o: !o,
      %layer24_o_scales: !o_scales, %layer24_mlp_norm: !norm, %layer24_gate_up: !gate_up,
      %layer24_gate_up_scales: !gate_up_scales, %layer24_down: !down, %layer24_down_scales: !down_scales,
      %layer25_attn_norm: !norm, %layer25_qkv: !qkv, %layer25_qkv_scales: !qkv_scales, %layer25_o: !o,
      %layer25_o_scales: !o_scales, %layer25_mlp_norm: !norm, %layer25_gate_up: !gate_up,
      %layer25_gate_up_scales: !gate_up_scales, %layer25_down: !down, %layer25_down_scales: !down_scales,
      %layer26_attn_norm: !norm, %layer26_qkv: !qkv, %layer26_qkv_scales: !qkv_scales, %layer26_o: !o,
      %layer26_o_scales: !o_scales, %layer26_mlp_norm: !norm, %layer26_gate_up: !gate_up,
      %layer26_gate_up_scales: !gate_up_scales, %layer26_down: !down, %layer26_down_scales: !down_scales,
      %layer27_attn_norm: !norm, %layer27_qkv: !qkv, %layer27_qkv_scales: !qkv_scales, %layer27_o: !o,
      %layer27_o_scales: !o_scales, %layer27_mlp_norm: !norm, %layer27_gate_up: !gate_up,
      %layer27_gate_up_scales: !gate_up_scales, %layer27_down: !down, %layer27_down_scales: !down_scales,
      %layer28_attn_norm: !norm, %layer28_qkv: !qkv, %layer28_qkv_scales: !qkv_scales, %layer28_o: !o,
      %layer28_o_scales: !o_scales, %layer28_mlp_norm: !norm, %layer28_gate_up: !gate_up,
      %layer28_gate_up_scales: !gate_up_scales, %layer28_down: !down, %layer28_down_scales: !down_scales,
      %layer29_attn_norm: !norm, %layer29_qkv: !qkv, %layer29_qkv_scales: !qkv_scales, %layer29_o: !o,
      %layer29_o_scales: !o_scales, %layer29_mlp_norm: !norm, %layer29_gate_up: !gate_up,
      %layer29_gate_up_scales: !gate_up_scales, %layer29_down: !down, %layer29_down_scales: !down_scales,
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
    %start_value = tensor.extract %start[] : tensor<i32>
    // how many blocks the step reads: those of the positions before its farthest row's, one at least
    %farthest = arith.index_cast %start_value : i32 to index
    %block_size = arith.constant 64 : index
    %one_block = arith.constant 1 : index
    %blocks_held = arith.ceildivsi %farthest, %block_size : index
    %blocks_read = arith.maxsi %blocks_held, %one_block : index
    %blocks = util.assume.int %blocks_read<umin = 1, umax = 32> : index

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
    %layer24_index = arith.constant 24 : index
    %layer24 = util.optimization_barrier %layer24_index : index
    %layer25_index = arith.constant 25 : index
    %layer25 = util.optimization_barrier %layer25_index : index
    %layer26_index = arith.constant 26 : index
    %layer26 = util.optimization_barrier %layer26_index : index
    %layer27_index = arith.constant 27 : index
    %layer27 = util.optimization_barrier %layer27_index : index
    %layer28_index = arith.constant 28 : index
    %layer28 = util.optimization_barrier %layer28_index : index
    %layer29_index = arith.constant 29 : index
    %layer29 = util.optimization_barrier %layer29_index : index

    %cos, %sin = call @rotary_angles(%positions) : (!tokens) -> (!angle, !angle)
    %past_each = stablehlo.broadcast_in_dim %starts_at, dims = [0] : (tensor<1xi32>) -> tensor<1x3xi32>
    %past = stablehlo.reshape %past_each : (tensor<1x3xi32>) -> !pasts
    %causal_mask = call @causal_mask() : () -> !causal_mask
    %x0 = call @embedding(%embed, %embed_scales, %tokens) : (!embed, !embed_scales, !tokens) -> !hidden

    %x1, %new_k0, %new_v0 = call @layer(
        %x0, %layer0_attn_norm, %layer0_qkv, %layer0_qkv_scales, %layer0_o, %layer0_o_scales, %layer0_mlp_norm,
        %layer0_gate_up, %layer0_gate_up_scales, %layer0_down, %layer0_down_scales, %layer0, %first_slot, %cos,
        %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x2, %new_k1, %new_v1 = call @layer(
        %x1, %layer1_attn_norm, %layer1_qkv, %layer1_qkv_scales, %layer1_o, %layer1_o_scales, %layer1_mlp_norm,
        %layer1_gate_up, %layer1_gate_up_scales, %layer1_down, %layer1_down_scales, %layer1, %first_slot, %cos,
        %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x3, %new_k2, %new_v2 = call @layer(
        %x2, %layer2_attn_norm, %layer2_qkv, %layer2_qkv_scales, %layer2_o, %layer2_o_scales, %layer2_mlp_norm,
        %layer2_gate_up, %layer2_gate_up_scales, %layer2_down, %layer2_down_scales, %layer2, %first_slot, %cos,
        %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x4, %new_k3, %new_v3 = call @layer(
        %x3, %layer3_attn_norm, %layer3_qkv, %layer3_qkv_scales, %layer3_o, %layer3_o_scales, %layer3_mlp_norm,
        %layer3_gate_up, %layer3_gate_up_scales, %layer3_down, %layer3_down_scales, %layer3, %first_slot, %cos,
        %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x5, %new_k4, %new_v4 = call @layer(
        %x4, %layer4_attn_norm, %layer4_qkv, %layer4_qkv_scales, %layer4_o, %layer4_o_scales, %layer4_mlp_norm,
        %layer4_gate_up, %layer4_gate_up_scales, %layer4_down, %layer4_down_scales, %layer4, %first_slot, %cos,
        %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x6, %new_k5, %new_v5 = call @layer(
        %x5, %layer5_attn_norm, %layer5_qkv, %layer5_qkv_scales, %layer5_o, %layer5_o_scales, %layer5_mlp_norm,
        %layer5_gate_up, %layer5_gate_up_scales, %layer5_down, %layer5_down_scales, %layer5, %first_slot, %cos,
        %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x7, %new_k6, %new_v6 = call @layer(
        %x6, %layer6_attn_norm, %layer6_qkv, %layer6_qkv_scales, %layer6_o, %layer6_o_scales, %layer6_mlp_norm,
        %layer6_gate_up, %layer6_gate_up_scales, %layer6_down, %layer6_down_scales, %layer6, %first_slot, %cos,
        %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x8, %new_k7, %new_v7 = call @layer(
        %x7, %layer7_attn_norm, %layer7_qkv, %layer7_qkv_scales, %layer7_o, %layer7_o_scales, %layer7_mlp_norm,
        %layer7_gate_up, %layer7_gate_up_scales, %layer7_down, %layer7_down_scales, %layer7, %first_slot, %cos,
        %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x9, %new_k8, %new_v8 = call @layer(
        %x8, %layer8_attn_norm, %layer8_qkv, %layer8_qkv_scales, %layer8_o, %layer8_o_scales, %layer8_mlp_norm,
        %layer8_gate_up, %layer8_gate_up_scales, %layer8_down, %layer8_down_scales, %layer8, %first_slot, %cos,
        %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x10, %new_k9, %new_v9 = call @layer(
        %x9, %layer9_attn_norm, %layer9_qkv, %layer9_qkv_scales, %layer9_o, %layer9_o_scales, %layer9_mlp_norm,
        %layer9_gate_up, %layer9_gate_up_scales, %layer9_down, %layer9_down_scales, %layer9, %first_slot, %cos,
        %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x11, %new_k10, %new_v10 = call @layer(
        %x10, %layer10_attn_norm, %layer10_qkv, %layer10_qkv_scales, %layer10_o, %layer10_o_scales,
        %layer10_mlp_norm, %layer10_gate_up, %layer10_gate_up_scales, %layer10_down, %layer10_down_scales,
        %layer10, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x12, %new_k11, %new_v11 = call @layer(
        %x11, %layer11_attn_norm, %layer11_qkv, %layer11_qkv_scales, %layer11_o, %layer11_o_scales,
        %layer11_mlp_norm, %layer11_gate_up, %layer11_gate_up_scales, %layer11_down, %layer11_down_scales,
        %layer11, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x13, %new_k12, %new_v12 = call @layer(
        %x12, %layer12_attn_norm, %layer12_qkv, %layer12_qkv_scales, %layer12_o, %layer12_o_scales,
        %layer12_mlp_norm, %layer12_gate_up, %layer12_gate_up_scales, %layer12_down, %layer12_down_scales,
        %layer12, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x14, %new_k13, %new_v13 = call @layer(
        %x13, %layer13_attn_norm, %layer13_qkv, %layer13_qkv_scales, %layer13_o, %layer13_o_scales,
        %layer13_mlp_norm, %layer13_gate_up, %layer13_gate_up_scales, %layer13_down, %layer13_down_scales,
        %layer13, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x15, %new_k14, %new_v14 = call @layer(
        %x14, %layer14_attn_norm, %layer14_qkv, %layer14_qkv_scales, %layer14_o, %layer14_o_scales,
        %layer14_mlp_norm, %layer14_gate_up, %layer14_gate_up_scales, %layer14_down, %layer14_down_scales,
        %layer14, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x16, %new_k15, %new_v15 = call @layer(
        %x15, %layer15_attn_norm, %layer15_qkv, %layer15_qkv_scales, %layer15_o, %layer15_o_scales,
        %layer15_mlp_norm, %layer15_gate_up, %layer15_gate_up_scales, %layer15_down, %layer15_down_scales,
        %layer15, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x17, %new_k16, %new_v16 = call @layer(
        %x16, %layer16_attn_norm, %layer16_qkv, %layer16_qkv_scales, %layer16_o, %layer16_o_scales,
        %layer16_mlp_norm, %layer16_gate_up, %layer16_gate_up_scales, %layer16_down, %layer16_down_scales,
        %layer16, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x18, %new_k17, %new_v17 = call @layer(
        %x17, %layer17_attn_norm, %layer17_qkv, %layer17_qkv_scales, %layer17_o, %layer17_o_scales,
        %layer17_mlp_norm, %layer17_gate_up, %layer17_gate_up_scales, %layer17_down, %layer17_down_scales,
        %layer17, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x19, %new_k18, %new_v18 = call @layer(
        %x18, %layer18_attn_norm, %layer18_qkv, %layer18_qkv_scales, %layer18_o, %layer18_o_scales,
        %layer18_mlp_norm, %layer18_gate_up, %layer18_gate_up_scales, %layer18_down, %layer18_down_scales,
        %layer18, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x20, %new_k19, %new_v19 = call @layer(
        %x19, %layer19_attn_norm, %layer19_qkv, %layer19_qkv_scales, %layer19_o, %layer19_o_scales,
        %layer19_mlp_norm, %layer19_gate_up, %layer19_gate_up_scales, %layer19_down, %layer19_down_scales,
        %layer19, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x21, %new_k20, %new_v20 = call @layer(
        %x20, %layer20_attn_norm, %layer20_qkv, %layer20_qkv_scales, %layer20_o, %layer20_o_scales,
        %layer20_mlp_norm, %layer20_gate_up, %layer20_gate_up_scales, %layer20_down, %layer20_down_scales,
        %layer20, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x22, %new_k21, %new_v21 = call @layer(
        %x21, %layer21_attn_norm, %layer21_qkv, %layer21_qkv_scales, %layer21_o, %layer21_o_scales,
        %layer21_mlp_norm, %layer21_gate_up, %layer21_gate_up_scales, %layer21_down, %layer21_down_scales,
        %layer21, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x23, %new_k22, %new_v22 = call @layer(
        %x22, %layer22_attn_norm, %layer22_qkv, %layer22_qkv_scales, %layer22_o, %layer22_o_scales,
        %layer22_mlp_norm, %layer22_gate_up, %layer22_gate_up_scales, %layer22_down, %layer22_down_scales,
        %layer22, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x24, %new_k23, %new_v23 = call @layer(
        %x23, %layer23_attn_norm, %layer23_qkv, %layer23_qkv_scales, %layer23_o, %layer23_o_scales,
        %layer23_mlp_norm, %layer23_gate_up, %layer23_gate_up_scales, %layer23_down, %layer23_down_scales,
        %layer23, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x25, %new_k24, %new_v24 = call @layer(
        %x24, %layer24_attn_norm, %layer24_qkv, %layer24_qkv_scales, %layer24_o, %layer24_o_scales,
        %layer24_mlp_norm, %layer24_gate_up, %layer24_gate_up_scales, %layer24_down, %layer24_down_scales,
        %layer24, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x26, %new_k25, %new_v25 = call @layer(
        %x25, %layer25_attn_norm, %layer25_qkv, %layer25_qkv_scales, %layer25_o, %layer25_o_scales,
        %layer25_mlp_norm, %layer25_gate_up, %layer25_gate_up_scales, %layer25_down, %layer25_down_scales,
        %layer25, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x27, %new_k26, %new_v26 = call @layer(
        %x26, %layer26_attn_norm, %layer26_qkv, %layer26_qkv_scales, %layer26_o, %layer26_o_scales,
        %layer26_mlp_norm, %layer26_gate_up, %layer26_gate_up_scales, %layer26_down, %layer26_down_scales,
        %layer26, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x28, %new_k27, %new_v27 = call @layer(
        %x27, %layer27_attn_norm, %layer27_qkv, %layer27_qkv_scales, %layer27_o, %layer27_o_scales,
        %layer27_mlp_norm, %layer27_gate_up, %layer27_gate_up_scales, %layer27_down, %layer27_down_scales,
        %layer27, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x29, %new_k28, %new_v28 = call @layer(
        %x28, %layer28_attn_norm, %layer28_qkv, %layer28_qkv_scales, %layer28_o, %layer28_o_scales,
        %layer28_mlp_norm, %layer28_gate_up, %layer28_gate_up_scales, %layer28_down, %layer28_down_scales,
        %layer28, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x30, %new_k29, %new_v29 = call @layer(
        %x29, %layer29_attn_norm, %layer29_qkv, %layer29_qkv_scales, %layer29_o, %layer29_o_scales,
        %layer29_mlp_norm, %layer29_gate_up, %layer29_gate_up_scales, %layer29_down, %layer29_down_scales,
        %layer29, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !o, !o_scales, !norm, !gate_up, !gate_up_scales, !down, !down_scales,
           index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)

    %normed = call @rms_norm(%x30, %final_norm) : (!hidden, !norm) -> !hidden
    %normed_last = tensor.extract_slice %normed[%last, 0] [1, 576] [1, 1] : !hidden to !last_hidden
    %row_logits = call @head(%normed_last, %embed, %embed_scales) : (!last_hidden, !embed, !embed_scales) -> !logits
    %row_next = call @argmax(%row_logits) : (!logits) -> !next
    %next = stablehlo.reshape %row_next : (tensor<1xi32>) -> tensor<i32>
    %logits = stablehlo.reshape %row_logits : (!logits) -> !last_logits

    %k_out, %v_out = call @cache_write(
        %k, %v, %new_k0, %new_k1, %new_k2, %new_k3, %new_k4, %new_k5, %new_k6, %new_k7, %new_k8, %new_k9, %new_k10,
        %new_k11, %new_k12, %new_k13, %new_k14, %new_k15, %new_k16, %new_k17, %new_k18, %new_k19, %new_k20,
        %new_k21, %new_k22, %new_k23, %new_k24, %new_k25, %new_k26, %new_k27, %new_k28, %new_k29, %new_v0, %new_v1,
        %new_v2, %new_v3, %new_v4, %new_v5, %new_v6, %new_v7, %new_v8, %new_v9, %new_v10, %new_v11, %new_v12,
        %new_v13, %new_v14, %new_v15, %new_v16, %new_v17, %new_v18, %new_v19, %new_v20, %new_v21, %new_v22,
        %new_v23, %new_v24, %new_v25, %new_v26, %new_v27, %new_v28, %new_v29, %slot, %start, %length)
        : (!k_cache, !v_cache, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k,
           !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k,
           !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v,
           !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v,
           !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, tensor<i32>,
           tensor<i32>, tensor<i32>)
        -> (!k_cache, !v_cache)
    return %next, %logits, %k_out, %v_out : tensor<i32>, !last_logits, !k_cache, !v_cache
  }

  // x + attention(norm(x)), then x + mlp(norm(x)).
  func.func private @layer(
      %x: !hidden, %attn_norm: !norm, %qkv: !qkv, %qkv_scales: !qkv_scales, %o: !o, %o_scales: !o_scales,
      %mlp_norm: !norm, %gate_up: !gate_up, %gate_up_scales: !gate_up_scales, %down: !down,
      %down_scales: !down_scales, %layer: index, %first_slot: index, %cos: !angle, %sin: !angle, %past: !pasts,
      %blocks: index, %causal: !causal_mask, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (!hidden, !norm) -> !hidden
    %attended, %new_k, %new_v = call @attention(
        %x_normed, %qkv, %qkv_scales, %o, %o_scales, %layer, %first_slot, %cos, %sin, %past, %blocks, %causal,
        %k_cache, %v_cache)
        : (!hidden, !qkv, !qkv_scales, !o, !o_scales, index, index, !angle, !angle, !pasts, index, !causal_mask,
           !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x_mid = stablehlo.add %x, %attended : !hidden
    %mid_normed = call @rms_norm(%x_mid, %mlp_norm) : (!hidden, !norm) -> !hidden
    %fed = call @mlp(%mid_normed, %gate_up, %gate_up_scales, %down, %down_scales)
        : (!hidden, !gate_up, !gate_up_scales, !down, !down_scales)
        -> !hidden
    %y = stablehlo.add %x_mid, %fed : !hidden
    return %y, %new_k, %new_v : !hidden, !new_k, !new_v
  }

  // x / sqrt(mean(x²) + eps) · weight, in f32.
  func.func private @rms_norm(%x: !hidden, %weight: !norm) -> !hidden {
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %size = stablehlo.constant dense<576.0> : !column
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
    %weight_f32 = stablehlo.convert %weight : (tensor<576xbf16>) -> tensor<576xf32>
    %weights = stablehlo.broadcast_in_dim %weight_f32, dims = [1] : (!norm_f32) -> !hidden
    %y = stablehlo.multiply %normed, %weights : !hidden
    return %y : !hidden
  }

  // Attention: softmax over two parts, the cached keys and the step's own, by a common maximum.
  // Returns the new keys and values, too, which the step writes, those of all layers at once.
  func.func private @attention(
      %x: !hidden, %qkv: !qkv, %qkv_scales: !qkv_scales, %o: !o, %o_scales: !o_scales, %layer: index,
      %first_slot: index, %cos: !angle, %sin: !angle, %past: !pasts, %blocks: index, %causal: !causal_mask,
      %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %qkv_flat_signed = stablehlo.convert %qkv : (!qkv) -> tensor<60x72x16x4xi32>
    %qkv_flat_byte = stablehlo.constant dense<255> : tensor<60x72x16x4xi32>
    %qkv_flat_bytes = stablehlo.and %qkv_flat_signed, %qkv_flat_byte : tensor<60x72x16x4xi32>
    %qkv_flat_nibble = stablehlo.constant dense<15> : tensor<60x72x16x4xi32>
    %qkv_flat_four = stablehlo.constant dense<4> : tensor<60x72x16x4xi32>
    %qkv_flat_low = stablehlo.and %qkv_flat_bytes, %qkv_flat_nibble : tensor<60x72x16x4xi32>
    %qkv_flat_high = stablehlo.shift_right_logical %qkv_flat_bytes, %qkv_flat_four : tensor<60x72x16x4xi32>
    %qkv_flat_low_half = stablehlo.reshape %qkv_flat_low : (tensor<60x72x16x4xi32>) -> tensor<60x72x1x16x4xi32>
    %qkv_flat_high_half = stablehlo.reshape %qkv_flat_high : (tensor<60x72x16x4xi32>) -> tensor<60x72x1x16x4xi32>
    %qkv_flat_eights = stablehlo.concatenate %qkv_flat_low_half, %qkv_flat_high_half, dim = 2
        : (tensor<60x72x1x16x4xi32>, tensor<60x72x1x16x4xi32>) -> tensor<60x72x2x16x4xi32>
    %qkv_flat_turned = stablehlo.transpose %qkv_flat_eights, dims = [0, 1, 2, 4, 3] : (tensor<60x72x2x16x4xi32>) -> tensor<60x72x2x4x16xi32>
    %qkv_flat_integers = stablehlo.reshape %qkv_flat_turned : (tensor<60x72x2x4x16xi32>) -> tensor<60x576x16xi32>
    %qkv_flat_numbers = stablehlo.convert %qkv_flat_integers : (tensor<60x576x16xi32>) -> tensor<60x576x16xf32>
    %qkv_flat_groups = stablehlo.reshape %qkv_flat_numbers : (tensor<60x576x16xf32>) -> tensor<60x18x32x16xf32>
    %qkv_flat_w_zero = stablehlo.constant dense<8.0> : tensor<60x18x32x16xf32>
    %qkv_flat_centred = stablehlo.subtract %qkv_flat_groups, %qkv_flat_w_zero : tensor<60x18x32x16xf32>

    %qkv_flat_scales_f32 = stablehlo.convert %qkv_scales : (tensor<60x18x16xf16>) -> tensor<60x18x16xf32>
    %qkv_flat_each_scale = stablehlo.broadcast_in_dim %qkv_flat_scales_f32, dims = [0, 1, 3]
        : (tensor<60x18x16xf32>) -> tensor<60x18x32x16xf32>
    %qkv_flat_values = stablehlo.multiply %qkv_flat_centred, %qkv_flat_each_scale : tensor<60x18x32x16xf32>
    %qkv_flat_w_flat = stablehlo.reshape %qkv_flat_values : (tensor<60x18x32x16xf32>) -> tensor<60x576x16xf32>
    %qkv_flat_w = stablehlo.reshape %qkv_flat_w_flat : (tensor<60x576x16xf32>) -> tensor<60x576x16x1xf32>

    %qkv_flat_pad = arith.constant 0.0 : f32
    %qkv_flat_room = tensor.empty() : !qkv_x_tiles
    %qkv_flat_tiles = linalg.pack %x padding_value(%qkv_flat_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [16, 1] into %qkv_flat_room : tensor<16x576xf32> -> !qkv_x_tiles
    %qkv_flat_zero = arith.constant 0.0 : f32
    %qkv_flat_empty = tensor.empty() : !qkv_y_tiles
    %qkv_flat_zeros = linalg.fill ins(%qkv_flat_zero : f32)
        outs(%qkv_flat_empty : !qkv_y_tiles) -> !qkv_y_tiles
    %qkv_flat_sums = linalg.mmt4d
        ins(%qkv_flat_tiles, %qkv_flat_w : !qkv_x_tiles, tensor<60x576x16x1xf32>)
        outs(%qkv_flat_zeros : !qkv_y_tiles) -> !qkv_y_tiles
    %qkv_flat_flat = tensor.empty() : !qkv_row
    %qkv_flat = linalg.unpack %qkv_flat_sums inner_dims_pos = [0, 1] inner_tiles = [16, 16]
        into %qkv_flat_flat : !qkv_y_tiles -> !qkv_row
    %q_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<16x15x2x32xf32>
    %q_flat_part = stablehlo.slice %q_flat_of_all [0:16, 0:9, 0:2, 0:32]
        : (tensor<16x15x2x32xf32>) -> tensor<16x9x2x32xf32>
    %q_flat = stablehlo.reshape %q_flat_part : (tensor<16x9x2x32xf32>) -> !q_row
    %k_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<16x15x2x32xf32>
    %k_flat_part = stablehlo.slice %k_flat_of_all [0:16, 9:12, 0:2, 0:32]
        : (tensor<16x15x2x32xf32>) -> tensor<16x3x2x32xf32>
    %k_flat = stablehlo.reshape %k_flat_part : (tensor<16x3x2x32xf32>) -> !k_row
    %v_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<16x15x64xf32>
    %v_flat_part = stablehlo.slice %v_flat_of_all [0:16, 12:15, 0:64]
        : (tensor<16x15x64xf32>) -> tensor<16x3x64xf32>
    %v_flat = stablehlo.reshape %v_flat_part : (tensor<16x3x64xf32>) -> !k_row

    %q_turned = call @rotary_q(%q_flat, %cos, %sin) : (!q_row, !angle, !angle) -> !q_row
    %k_turned = call @rotary_k(%k_flat, %cos, %sin) : (!k_row, !angle, !angle) -> !k_row

    // queries [slots, kv_heads, group · new, head_dim], keys and values [slots, kv_heads, new, head_dim];
    // group: the query heads of a kv head, new: the step's tokens of a slot
    %q_rows = stablehlo.reshape %q_turned : (!q_row) -> tensor<16x9x64xf32>
    %q_by_head = stablehlo.transpose %q_rows, dims = [1, 0, 2] : (tensor<16x9x64xf32>) -> tensor<9x16x64xf32>
    %q_heads = stablehlo.reshape %q_by_head : (tensor<9x16x64xf32>) -> !q_heads
    %k_rows = stablehlo.reshape %k_turned : (!k_row) -> tensor<16x3x64xf32>
    %k_by_head = stablehlo.transpose %k_rows, dims = [1, 0, 2] : (tensor<16x3x64xf32>) -> tensor<3x16x64xf32>
    %k_heads = stablehlo.reshape %k_by_head : (tensor<3x16x64xf32>) -> !new_heads
    %v_rows = stablehlo.reshape %v_flat : (!k_row) -> tensor<16x3x64xf32>
    %v_by_head = stablehlo.transpose %v_rows, dims = [1, 0, 2] : (tensor<16x3x64xf32>) -> tensor<3x16x64xf32>
    %v_heads = stablehlo.reshape %v_by_head : (tensor<3x16x64xf32>) -> !new_heads
    %scale = stablehlo.constant dense<0.125> : !q_heads
    %q_scaled = stablehlo.multiply %q_heads, %scale : !q_heads

    // slots and kv_heads as one dimension b; g: query, n: block, j: position in a block, d: head_dim
    %q_lanes = stablehlo.reshape %q_scaled : (!q_heads) -> !queries
    %k_new = stablehlo.reshape %k_heads : (!new_heads) -> !new
    %v_new = stablehlo.reshape %v_heads : (!new_heads) -> !new
    %kv_heads = arith.constant 3 : index
    %first = arith.muli %first_slot, %kv_heads : index
    %k_all = stablehlo.reshape %k_cache : (!k_cache) -> !k_lanes
    %k_past = tensor.extract_slice %k_all[%layer, %first, 0, 0, 0]
        [1, 3, %blocks, 64, 64] [1, 1, 1, 1, 1] : !k_lanes to !k_past
    %v_all = stablehlo.reshape %v_cache : (!v_cache) -> !v_lanes
    %v_past = tensor.extract_slice %v_all[%layer, %first, 0, 0, 0]
        [1, 3, %blocks, 64, 64] [1, 1, 1, 1, 1] : !v_lanes to !v_past

    %none = arith.constant 0.0 : f32
    %minus_inf = arith.constant 0xFF800000 : f32
    %block_size = arith.constant 64 : index
    %scores_room = tensor.empty(%blocks) : !scores
    %scores_none = linalg.fill ins(%none : f32) outs(%scores_room : !scores) -> !scores
    %scores = linalg.generic {
        indexing_maps = [
            affine_map<(b, n, g, j, d) -> (b, g, d)>,
            affine_map<(b, n, g, j, d) -> (b, n, d, j)>,
            affine_map<(b, n, g, j, d) -> (b, g, n, j)>],
        iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
        ins(%q_lanes, %k_past : !queries, !k_past) outs(%scores_none : !scores) {
    ^bb0(%query: f32, %key: f32, %sum: f32):
      %product = arith.mulf %query, %key : f32
      %next = arith.addf %sum, %product : f32
      linalg.yield %next : f32
    } -> !scores

    // the step's own tokens, and a common maximum
    %own_none = stablehlo.constant dense<0.0> : tensor<f32>
    %own_lowest = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %own_raw = stablehlo.dot_general %q_lanes, %k_new,
        batching_dims = [0] x [0], contracting_dims = [2] x [2]
        : (!queries, !new) -> !own_lane_scores
    %own_seen = stablehlo.broadcast_in_dim %causal, dims = [1, 2] : (!causal_mask) -> tensor<3x48x16xi1>
    %own_hidden = stablehlo.broadcast_in_dim %own_lowest, dims = [] : (tensor<f32>) -> !own_lane_scores
    %own = stablehlo.select %own_seen, %own_raw, %own_hidden : tensor<3x48x16xi1>, !own_lane_scores
    %own_max = stablehlo.reduce(%own init: %own_lowest) applies stablehlo.maximum across dimensions = [2]
        : (!own_lane_scores, tensor<f32>) -> !each_lane

    %max = linalg.generic {
        indexing_maps = [
            affine_map<(b, g, n, j) -> (b, g, n, j)>,
            affine_map<(b, g, n, j) -> (b)>,
            affine_map<(b, g, n, j) -> (b, g)>],
        iterator_types = ["parallel", "parallel", "reduction", "reduction"]}
        ins(%scores, %past : !scores, !pasts) outs(%own_max : !each_lane) {
    ^bb0(%score: f32, %cached_end: i32, %highest: f32):
      %n = linalg.index 2 : index
      %j = linalg.index 3 : index
      %before = arith.muli %n, %block_size : index
      %position = arith.addi %before, %j : index
      %position_i32 = arith.index_cast %position : index to i32
      %is_cached = arith.cmpi slt, %position_i32, %cached_end : i32
      %counted = arith.select %is_cached, %score, %minus_inf : f32
      %next = arith.maximumf %highest, %counted : f32
      linalg.yield %next : f32
    } -> !each_lane

    %weights = linalg.generic {
        indexing_maps = [
            affine_map<(b, g, n, j) -> (b, g, n, j)>,
            affine_map<(b, g, n, j) -> (b)>,
            affine_map<(b, g, n, j) -> (b, g)>,
            affine_map<(b, g, n, j) -> (b, g, n, j)>],
        iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
        ins(%scores, %past, %max : !scores, !pasts, !each_lane) outs(%scores_room : !scores) {
    ^bb0(%score: f32, %cached_end: i32, %highest: f32, %unused: f32):
      %n = linalg.index 2 : index
      %j = linalg.index 3 : index
      %before = arith.muli %n, %block_size : index
      %position = arith.addi %before, %j : index
      %position_i32 = arith.index_cast %position : index to i32
      %is_cached = arith.cmpi slt, %position_i32, %cached_end : i32
      %below = arith.subf %score, %highest : f32
      %exp = math.exp %below : f32
      %weight = arith.select %is_cached, %exp, %none : f32
      linalg.yield %weight : f32
    } -> !scores
    %maxes = stablehlo.broadcast_in_dim %max, dims = [0, 1] : (!each_lane) -> !own_lane_scores
    %own_below = stablehlo.subtract %own, %maxes : !own_lane_scores
    %own_weights = stablehlo.exponential %own_below : !own_lane_scores
    %own_sum = stablehlo.reduce(%own_weights init: %own_none) applies stablehlo.add across dimensions = [2]
        : (!own_lane_scores, tensor<f32>) -> !each_lane
    %own_out = stablehlo.dot_general %own_weights, %v_new,
        batching_dims = [0] x [0], contracting_dims = [2] x [1]
        : (!own_lane_scores, !new) -> !queries
    %sum = linalg.generic {
        indexing_maps = [
            affine_map<(b, g, n, j) -> (b, g, n, j)>,
            affine_map<(b, g, n, j) -> (b, g)>],
        iterator_types = ["parallel", "parallel", "reduction", "reduction"]}
        ins(%weights : !scores) outs(%own_sum : !each_lane) {
    ^bb0(%weight: f32, %total: f32):
      %next = arith.addf %total, %weight : f32
      linalg.yield %next : f32
    } -> !each_lane

    // weighted values block by block, then all blocks and the own together
    %partial_room = tensor.empty(%blocks) : !partial
    %partial_none = linalg.fill ins(%none : f32) outs(%partial_room : !partial) -> !partial
    %partial = linalg.generic {
        indexing_maps = [
            affine_map<(b, n, g, d, j) -> (b, g, n, j)>,
            affine_map<(b, n, g, d, j) -> (b, n, j, d)>,
            affine_map<(b, n, g, d, j) -> (b, n, g, d)>],
        iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
        ins(%weights, %v_past : !scores, !v_past) outs(%partial_none : !partial) {
    ^bb0(%weight: f32, %value: f32, %sum_in: f32):
      %product = arith.mulf %weight, %value : f32
      %next = arith.addf %sum_in, %product : f32
      linalg.yield %next : f32
    } -> !partial
    %past_room = tensor.empty() : !queries
    %past_none = linalg.fill ins(%none : f32) outs(%past_room : !queries) -> !queries
    %past_out = linalg.generic {
        indexing_maps = [
            affine_map<(b, g, d, n) -> (b, n, g, d)>,
            affine_map<(b, g, d, n) -> (b, g, d)>],
        iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
        ins(%partial : !partial) outs(%past_none : !queries) {
    ^bb0(%part: f32, %total: f32):
      %next = arith.addf %total, %part : f32
      linalg.yield %next : f32
    } -> !queries
    %weighted = stablehlo.add %past_out, %own_out : !queries
    %sums = stablehlo.broadcast_in_dim %sum, dims = [0, 1] : (!each_lane) -> !queries
    %lanes_out = stablehlo.divide %weighted, %sums : !queries
    %heads_out = stablehlo.reshape %lanes_out : (!queries) -> !q_heads

    %out_by_head = stablehlo.reshape %heads_out : (!q_heads) -> tensor<9x16x64xf32>
    %out_rows = stablehlo.transpose %out_by_head, dims = [1, 0, 2] : (tensor<9x16x64xf32>) -> tensor<16x9x64xf32>
    %flat_out = stablehlo.reshape %out_rows : (tensor<16x9x64xf32>) -> !q_row
    %k_columns = stablehlo.transpose %k_heads, dims = [0, 1, 3, 2] : (tensor<1x3x16x64xf32>) -> !new_columns
    %new_k = stablehlo.reshape %k_columns : (!new_columns) -> !new_k
    %new_v = stablehlo.reshape %v_heads : (tensor<1x3x16x64xf32>) -> !new_v
    %y_signed = stablehlo.convert %o : (!o) -> tensor<36x72x16x4xi32>
    %y_byte = stablehlo.constant dense<255> : tensor<36x72x16x4xi32>
    %y_bytes = stablehlo.and %y_signed, %y_byte : tensor<36x72x16x4xi32>
    %y_nibble = stablehlo.constant dense<15> : tensor<36x72x16x4xi32>
    %y_four = stablehlo.constant dense<4> : tensor<36x72x16x4xi32>
    %y_low = stablehlo.and %y_bytes, %y_nibble : tensor<36x72x16x4xi32>
    %y_high = stablehlo.shift_right_logical %y_bytes, %y_four : tensor<36x72x16x4xi32>
    %y_low_half = stablehlo.reshape %y_low : (tensor<36x72x16x4xi32>) -> tensor<36x72x1x16x4xi32>
    %y_high_half = stablehlo.reshape %y_high : (tensor<36x72x16x4xi32>) -> tensor<36x72x1x16x4xi32>
    %y_eights = stablehlo.concatenate %y_low_half, %y_high_half, dim = 2
        : (tensor<36x72x1x16x4xi32>, tensor<36x72x1x16x4xi32>) -> tensor<36x72x2x16x4xi32>
    %y_turned = stablehlo.transpose %y_eights, dims = [0, 1, 2, 4, 3] : (tensor<36x72x2x16x4xi32>) -> tensor<36x72x2x4x16xi32>
    %y_integers = stablehlo.reshape %y_turned : (tensor<36x72x2x4x16xi32>) -> tensor<36x576x16xi32>
    %y_numbers = stablehlo.convert %y_integers : (tensor<36x576x16xi32>) -> tensor<36x576x16xf32>
    %y_groups = stablehlo.reshape %y_numbers : (tensor<36x576x16xf32>) -> tensor<36x18x32x16xf32>
    %y_w_zero = stablehlo.constant dense<8.0> : tensor<36x18x32x16xf32>
    %y_centred = stablehlo.subtract %y_groups, %y_w_zero : tensor<36x18x32x16xf32>

    %y_scales_f32 = stablehlo.convert %o_scales : (tensor<36x18x16xf16>) -> tensor<36x18x16xf32>
    %y_each_scale = stablehlo.broadcast_in_dim %y_scales_f32, dims = [0, 1, 3]
        : (tensor<36x18x16xf32>) -> tensor<36x18x32x16xf32>
    %y_values = stablehlo.multiply %y_centred, %y_each_scale : tensor<36x18x32x16xf32>
    %y_w_flat = stablehlo.reshape %y_values : (tensor<36x18x32x16xf32>) -> tensor<36x576x16xf32>
    %y_w = stablehlo.reshape %y_w_flat : (tensor<36x576x16xf32>) -> tensor<36x576x16x1xf32>

    %y_pad = arith.constant 0.0 : f32
    %y_room = tensor.empty() : !o_x_tiles
    %y_tiles = linalg.pack %flat_out padding_value(%y_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [16, 1] into %y_room : tensor<16x576xf32> -> !o_x_tiles
    %y_zero = arith.constant 0.0 : f32
    %y_empty = tensor.empty() : !o_y_tiles
    %y_zeros = linalg.fill ins(%y_zero : f32)
        outs(%y_empty : !o_y_tiles) -> !o_y_tiles
    %y_sums = linalg.mmt4d
        ins(%y_tiles, %y_w : !o_x_tiles, tensor<36x576x16x1xf32>)
        outs(%y_zeros : !o_y_tiles) -> !o_y_tiles
    %y_flat = tensor.empty() : !hidden
    %y = linalg.unpack %y_sums inner_dims_pos = [0, 1] inner_tiles = [16, 16]
        into %y_flat : !o_y_tiles -> !hidden
    return %y, %new_k, %new_v : !hidden, !new_k, !new_v
  }

  // cos and ∓sin of position · frequency, laid over a head's two halves: [rows, 2, head_dim / 2].
  func.func private @rotary_angles(%positions: !tokens) -> (!angle, !angle) {
    // theta^(-2i / head_dim), theta 100000: radians a position
    %frequency = stablehlo.constant dense<[
        1.0, 0.69783056, 0.48696753, 0.33982083, 0.23713738, 0.16548172, 0.115478195, 0.08058422, 0.056234132,
        0.0392419, 0.027384195, 0.01910953, 0.013335214, 0.00930572, 0.006493816, 0.0045315837, 0.0031622776,
        0.0022067341, 0.0015399265, 0.0010746078, 0.0007498942, 0.0005232991, 0.0003651741, 0.00025482968,
        0.00017782794, 0.00012409377, 8.659643e-05, 6.042964e-05, 4.216965e-05, 2.9427272e-05, 2.053525e-05,
        1.4330126e-05]> : tensor<32xf32>
    %sign = stablehlo.constant dense<[-1.0, 1.0]> : tensor<2xf32>
    %position = stablehlo.convert %positions : (!tokens) -> tensor<16xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<16xf32>) -> !angles
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

  // Which of the chunk's own tokens each of its queries sees: itself and those before.
  func.func private @causal_mask() -> !causal_mask {
    %query = stablehlo.iota dim = 1 : !pairs
    %key = stablehlo.iota dim = 2 : !pairs
    %seen = stablehlo.compare LE, %key, %query : (!pairs, !pairs) -> tensor<3x16x16xi1>
    %mask = stablehlo.reshape %seen : (tensor<3x16x16xi1>) -> !causal_mask
    return %mask : !causal_mask
  }

  // down(silu(gate(x)) · up(x))
  func.func private @mlp(
      %x: !hidden, %gate_up: !gate_up, %gate_up_scales: !gate_up_scales, %down: !down, %down_scales: !down_scales)
      -> !hidden {
    %both_signed = stablehlo.convert %gate_up : (!gate_up) -> tensor<192x72x16x4xi32>
    %both_byte = stablehlo.constant dense<255> : tensor<192x72x16x4xi32>
    %both_bytes = stablehlo.and %both_signed, %both_byte : tensor<192x72x16x4xi32>
    %both_nibble = stablehlo.constant dense<15> : tensor<192x72x16x4xi32>
    %both_four = stablehlo.constant dense<4> : tensor<192x72x16x4xi32>
    %both_low = stablehlo.and %both_bytes, %both_nibble : tensor<192x72x16x4xi32>
    %both_high = stablehlo.shift_right_logical %both_bytes, %both_four : tensor<192x72x16x4xi32>
    %both_low_half = stablehlo.reshape %both_low : (tensor<192x72x16x4xi32>) -> tensor<192x72x1x16x4xi32>
    %both_high_half = stablehlo.reshape %both_high : (tensor<192x72x16x4xi32>) -> tensor<192x72x1x16x4xi32>
    %both_eights = stablehlo.concatenate %both_low_half, %both_high_half, dim = 2
        : (tensor<192x72x1x16x4xi32>, tensor<192x72x1x16x4xi32>) -> tensor<192x72x2x16x4xi32>
    %both_turned = stablehlo.transpose %both_eights, dims = [0, 1, 2, 4, 3] : (tensor<192x72x2x16x4xi32>) -> tensor<192x72x2x4x16xi32>
    %both_integers = stablehlo.reshape %both_turned : (tensor<192x72x2x4x16xi32>) -> tensor<192x576x16xi32>
    %both_numbers = stablehlo.convert %both_integers : (tensor<192x576x16xi32>) -> tensor<192x576x16xf32>
    %both_groups = stablehlo.reshape %both_numbers : (tensor<192x576x16xf32>) -> tensor<192x18x32x16xf32>
    %both_w_zero = stablehlo.constant dense<8.0> : tensor<192x18x32x16xf32>
    %both_centred = stablehlo.subtract %both_groups, %both_w_zero : tensor<192x18x32x16xf32>

    %both_scales_f32 = stablehlo.convert %gate_up_scales : (tensor<192x18x16xf16>) -> tensor<192x18x16xf32>
    %both_each_scale = stablehlo.broadcast_in_dim %both_scales_f32, dims = [0, 1, 3]
        : (tensor<192x18x16xf32>) -> tensor<192x18x32x16xf32>
    %both_values = stablehlo.multiply %both_centred, %both_each_scale : tensor<192x18x32x16xf32>
    %both_w_flat = stablehlo.reshape %both_values : (tensor<192x18x32x16xf32>) -> tensor<192x576x16xf32>
    %both_w = stablehlo.reshape %both_w_flat : (tensor<192x576x16xf32>) -> tensor<192x576x16x1xf32>

    %both_pad = arith.constant 0.0 : f32
    %both_room = tensor.empty() : !gate_up_x_tiles
    %both_tiles = linalg.pack %x padding_value(%both_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [16, 1] into %both_room : tensor<16x576xf32> -> !gate_up_x_tiles
    %both_zero = arith.constant 0.0 : f32
    %both_empty = tensor.empty() : !gate_up_y_tiles
    %both_zeros = linalg.fill ins(%both_zero : f32)
        outs(%both_empty : !gate_up_y_tiles) -> !gate_up_y_tiles
    %both_sums = linalg.mmt4d
        ins(%both_tiles, %both_w : !gate_up_x_tiles, tensor<192x576x16x1xf32>)
        outs(%both_zeros : !gate_up_y_tiles) -> !gate_up_y_tiles
    %both_flat = tensor.empty() : !gate_up_row
    %both = linalg.unpack %both_sums inner_dims_pos = [0, 1] inner_tiles = [16, 16]
        into %both_flat : !gate_up_y_tiles -> !gate_up_row
    %gated = stablehlo.slice %both [0:16, 0:1536] : (!gate_up_row) -> !inner
    %raised = stablehlo.slice %both [0:16, 1536:3072] : (!gate_up_row) -> !inner

    %sigmoid = stablehlo.logistic %gated : !inner
    %activated = stablehlo.multiply %gated, %sigmoid : !inner
    %inner = stablehlo.multiply %activated, %raised : !inner
    %y_signed = stablehlo.convert %down : (!down) -> tensor<36x192x16x4xi32>
    %y_byte = stablehlo.constant dense<255> : tensor<36x192x16x4xi32>
    %y_bytes = stablehlo.and %y_signed, %y_byte : tensor<36x192x16x4xi32>
    %y_nibble = stablehlo.constant dense<15> : tensor<36x192x16x4xi32>
    %y_four = stablehlo.constant dense<4> : tensor<36x192x16x4xi32>
    %y_low = stablehlo.and %y_bytes, %y_nibble : tensor<36x192x16x4xi32>
    %y_high = stablehlo.shift_right_logical %y_bytes, %y_four : tensor<36x192x16x4xi32>
    %y_low_half = stablehlo.reshape %y_low : (tensor<36x192x16x4xi32>) -> tensor<36x192x1x16x4xi32>
    %y_high_half = stablehlo.reshape %y_high : (tensor<36x192x16x4xi32>) -> tensor<36x192x1x16x4xi32>
    %y_eights = stablehlo.concatenate %y_low_half, %y_high_half, dim = 2
        : (tensor<36x192x1x16x4xi32>, tensor<36x192x1x16x4xi32>) -> tensor<36x192x2x16x4xi32>
    %y_turned = stablehlo.transpose %y_eights, dims = [0, 1, 2, 4, 3] : (tensor<36x192x2x16x4xi32>) -> tensor<36x192x2x4x16xi32>
    %y_integers = stablehlo.reshape %y_turned : (tensor<36x192x2x4x16xi32>) -> tensor<36x1536x16xi32>
    %y_numbers = stablehlo.convert %y_integers : (tensor<36x1536x16xi32>) -> tensor<36x1536x16xf32>
    %y_groups = stablehlo.reshape %y_numbers : (tensor<36x1536x16xf32>) -> tensor<36x48x32x16xf32>
    %y_w_zero = stablehlo.constant dense<8.0> : tensor<36x48x32x16xf32>
    %y_centred = stablehlo.subtract %y_groups, %y_w_zero : tensor<36x48x32x16xf32>

    %y_scales_f32 = stablehlo.convert %down_scales : (tensor<36x48x16xf16>) -> tensor<36x48x16xf32>
    %y_each_scale = stablehlo.broadcast_in_dim %y_scales_f32, dims = [0, 1, 3]
        : (tensor<36x48x16xf32>) -> tensor<36x48x32x16xf32>
    %y_values = stablehlo.multiply %y_centred, %y_each_scale : tensor<36x48x32x16xf32>
    %y_w_flat = stablehlo.reshape %y_values : (tensor<36x48x32x16xf32>) -> tensor<36x1536x16xf32>
    %y_w = stablehlo.reshape %y_w_flat : (tensor<36x1536x16xf32>) -> tensor<36x1536x16x1xf32>

    %y_pad = arith.constant 0.0 : f32
    %y_room = tensor.empty() : !down_x_tiles
    %y_tiles = linalg.pack %inner padding_value(%y_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [16, 1] into %y_room : tensor<16x1536xf32> -> !down_x_tiles
    %y_zero = arith.constant 0.0 : f32
    %y_empty = tensor.empty() : !down_y_tiles
    %y_zeros = linalg.fill ins(%y_zero : f32)
        outs(%y_empty : !down_y_tiles) -> !down_y_tiles
    %y_sums = linalg.mmt4d
        ins(%y_tiles, %y_w : !down_x_tiles, tensor<36x1536x16x1xf32>)
        outs(%y_zeros : !down_y_tiles) -> !down_y_tiles
    %y_flat = tensor.empty() : !hidden
    %y = linalg.unpack %y_sums inner_dims_pos = [0, 1] inner_tiles = [16, 16]
        into %y_flat : !down_y_tiles -> !hidden
    return %y : !hidden
  }

  // Row `token` of the table for each token.
  func.func private @embedding(%embed: !embed, %embed_scales: !embed_scales, %tokens: !tokens) -> !hidden {
    %x_n = stablehlo.constant dense<16> : !tokens
    %x_tile = stablehlo.divide %tokens, %x_n : !tokens
    %x_within = stablehlo.remainder %tokens, %x_n : !tokens
    %x_tiles = stablehlo.reshape %x_tile : (!tokens) -> tensor<16x1xi32>
    %x_rows = stablehlo.reshape %x_within : (!tokens) -> tensor<16x1xi32>
    %x_at = stablehlo.concatenate %x_tiles, %x_rows, dim = 1
        : (tensor<16x1xi32>, tensor<16x1xi32>) -> tensor<16x2xi32>
    %x_row_of_tile = "stablehlo.gather"(%embed, %x_at) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1, 2, 3, 4], start_index_map = [0, 2], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 144, 1, 4>, indices_are_sorted = false}>
        : (!embed, tensor<16x2xi32>) -> tensor<16x1x144x1x4xi8>
    %x_row = stablehlo.reshape %x_row_of_tile : (tensor<16x1x144x1x4xi8>) -> tensor<16x576xi8>
    %x_row_scales_of_tile = "stablehlo.gather"(%embed_scales, %x_at) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1, 2, 3], start_index_map = [0, 2], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 18, 1>, indices_are_sorted = false}>
        : (!embed_scales, tensor<16x2xi32>) -> tensor<16x1x18x1xf16>
    %x_row_scales = stablehlo.reshape %x_row_scales_of_tile : (tensor<16x1x18x1xf16>) -> tensor<16x18xf16>
    %x_signed = stablehlo.convert %x_row : (tensor<16x576xi8>) -> tensor<16x576xi32>
    %x_byte = stablehlo.constant dense<255> : tensor<16x576xi32>
    %x_integers = stablehlo.and %x_signed, %x_byte : tensor<16x576xi32>
    %x_numbers = stablehlo.convert %x_integers : (tensor<16x576xi32>) -> tensor<16x576xf32>
    %x_groups = stablehlo.reshape %x_numbers : (tensor<16x576xf32>) -> tensor<16x18x32xf32>
    %x_w_zero = stablehlo.constant dense<128.0> : tensor<16x18x32xf32>
    %x_centred = stablehlo.subtract %x_groups, %x_w_zero : tensor<16x18x32xf32>

    %x_scales_f32 = stablehlo.convert %x_row_scales : (tensor<16x18xf16>) -> tensor<16x18xf32>
    %x_each_scale = stablehlo.broadcast_in_dim %x_scales_f32, dims = [0, 1]
        : (tensor<16x18xf32>) -> tensor<16x18x32xf32>
    %x_values = stablehlo.multiply %x_centred, %x_each_scale : tensor<16x18x32xf32>
    %x = stablehlo.reshape %x_values : (tensor<16x18x32xf32>) -> tensor<16x576xf32>
    return %x : !hidden
  }

  // Logits over the vocabulary.
  func.func private @head(%x: !last_hidden, %embed: !embed, %embed_scales: !embed_scales) -> !logits {
    %logits_signed = stablehlo.convert %embed : (!embed) -> tensor<3072x144x16x4xi32>
    %logits_byte = stablehlo.constant dense<255> : tensor<3072x144x16x4xi32>
    %logits_bytes = stablehlo.and %logits_signed, %logits_byte : tensor<3072x144x16x4xi32>
    %logits_turned = stablehlo.transpose %logits_bytes, dims = [0, 1, 3, 2] : (tensor<3072x144x16x4xi32>) -> tensor<3072x144x4x16xi32>
    %logits_integers = stablehlo.reshape %logits_turned : (tensor<3072x144x4x16xi32>) -> tensor<3072x576x16xi32>
    %logits_numbers = stablehlo.convert %logits_integers : (tensor<3072x576x16xi32>) -> tensor<3072x576x16xf32>
    %logits_groups = stablehlo.reshape %logits_numbers : (tensor<3072x576x16xf32>) -> tensor<3072x18x32x16xf32>
    %logits_w_zero = stablehlo.constant dense<128.0> : tensor<3072x18x32x16xf32>
    %logits_centred = stablehlo.subtract %logits_groups, %logits_w_zero : tensor<3072x18x32x16xf32>

    %logits_scales_f32 = stablehlo.convert %embed_scales : (tensor<3072x18x16xf16>) -> tensor<3072x18x16xf32>
    %logits_each_scale = stablehlo.broadcast_in_dim %logits_scales_f32, dims = [0, 1, 3]
        : (tensor<3072x18x16xf32>) -> tensor<3072x18x32x16xf32>
    %logits_values = stablehlo.multiply %logits_centred, %logits_each_scale : tensor<3072x18x32x16xf32>
    %logits_w_flat = stablehlo.reshape %logits_values : (tensor<3072x18x32x16xf32>) -> tensor<3072x576x16xf32>
    %logits_w = stablehlo.reshape %logits_w_flat : (tensor<3072x576x16xf32>) -> tensor<3072x576x16x1xf32>

    %logits_pad = arith.constant 0.0 : f32
    %logits_room = tensor.empty() : !embed_x_tiles_2
    %logits_tiles = linalg.pack %x padding_value(%logits_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [1, 1] into %logits_room : tensor<1x576xf32> -> !embed_x_tiles_2
    %logits_zero = arith.constant 0.0 : f32
    %logits_empty = tensor.empty() : !embed_y_tiles_2
    %logits_zeros = linalg.fill ins(%logits_zero : f32)
        outs(%logits_empty : !embed_y_tiles_2) -> !embed_y_tiles_2
    %logits_sums = linalg.mmt4d
        ins(%logits_tiles, %logits_w : !embed_x_tiles_2, tensor<3072x576x16x1xf32>)
        outs(%logits_zeros : !embed_y_tiles_2) -> !embed_y_tiles_2
    %logits_flat = tensor.empty() : !logits
    %logits = linalg.unpack %logits_sums inner_dims_pos = [0, 1] inner_tiles = [1, 16]
        into %logits_flat : !embed_y_tiles_2 -> !logits
    return %logits : !logits
  }

  // The lowest index that holds a row's maximum.
  func.func private @argmax(%logits: !logits) -> !next {
    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %past_end = stablehlo.constant dense<49152> : tensor<i32>
    %max = stablehlo.reduce(%logits init: %minus_inf) applies stablehlo.maximum across dimensions = [1]
        : (!logits, tensor<f32>) -> tensor<1xf32>
    %maxes = stablehlo.broadcast_in_dim %max, dims = [0] : (tensor<1xf32>) -> !logits
    %is_max = stablehlo.compare EQ, %logits, %maxes : (!logits, !logits) -> tensor<1x49152xi1>
    %index = stablehlo.iota dim = 1 : !vocab_index
    %past_ends = stablehlo.broadcast_in_dim %past_end, dims = [] : (tensor<i32>) -> !vocab_index
    %candidates = stablehlo.select %is_max, %index, %past_ends : tensor<1x49152xi1>, !vocab_index
    %lowest = stablehlo.reduce(%candidates init: %past_end) applies stablehlo.minimum across dimensions = [1]
        : (!vocab_index, tensor<i32>) -> !next
    return %lowest : !next
  }

  // The new keys and values of `slot`, at start..start+length-1 and nowhere else.
  func.func private @cache_write(
      %k: !k_cache, %v: !v_cache, %new_k0: !new_k, %new_k1: !new_k, %new_k2: !new_k, %new_k3: !new_k,
      %new_k4: !new_k, %new_k5: !new_k, %new_k6: !new_k, %new_k7: !new_k, %new_k8: !new_k, %new_k9: !new_k,
      %new_k10: !new_k, %new_k11: !new_k, %new_k12: !new_k, %new_k13: !new_k, %new_k14: !new_k, %new_k15: !new_k,
      %new_k16: !new_k, %new_k17: !new_k, %new_k18: !new_k, %new_k19: !new_k, %new_k20: !new_k, %new_k21: !new_k,
      %new_k22: !new_k, %new_k23: !new_k, %new_k24: !new_k, %new_k25: !new_k, %new_k26: !new_k, %new_k27: !new_k,
      %new_k28: !new_k, %new_k29: !new_k, %new_v0: !new_v, %new_v1: !new_v, %new_v2: !new_v, %new_v3: !new_v,
      %new_v4: !new_v, %new_v5: !new_v, %new_v6: !new_v, %new_v7: !new_v, %new_v8: !new_v, %new_v9: !new_v,
      %new_v10: !new_v, %new_v11: !new_v, %new_v12: !new_v, %new_v13: !new_v, %new_v14: !new_v, %new_v15: !new_v,
      %new_v16: !new_v, %new_v17: !new_v, %new_v18: !new_v, %new_v19: !new_v, %new_v20: !new_v, %new_v21: !new_v,
      %new_v22: !new_v, %new_v23: !new_v, %new_v24: !new_v, %new_v25: !new_v, %new_v26: !new_v, %new_v27: !new_v,
      %new_v28: !new_v, %new_v29: !new_v, %slot: tensor<i32>, %start: tensor<i32>, %length: tensor<i32>)
      -> (!k_cache, !v_cache) {
    %keys = stablehlo.concatenate
        %new_k0, %new_k1, %new_k2, %new_k3, %new_k4, %new_k5, %new_k6, %new_k7, %new_k8, %new_k9, %new_k10,
        %new_k11, %new_k12, %new_k13, %new_k14, %new_k15, %new_k16, %new_k17, %new_k18, %new_k19, %new_k20,
        %new_k21, %new_k22, %new_k23, %new_k24, %new_k25, %new_k26, %new_k27, %new_k28, %new_k29, dim = 0
        : (!new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k,
           !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k, !new_k,
           !new_k, !new_k, !new_k, !new_k) -> !new_keys
    %values = stablehlo.concatenate
        %new_v0, %new_v1, %new_v2, %new_v3, %new_v4, %new_v5, %new_v6, %new_v7, %new_v8, %new_v9, %new_v10,
        %new_v11, %new_v12, %new_v13, %new_v14, %new_v15, %new_v16, %new_v17, %new_v18, %new_v19, %new_v20,
        %new_v21, %new_v22, %new_v23, %new_v24, %new_v25, %new_v26, %new_v27, %new_v28, %new_v29, dim = 0
        : (!new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v,
           !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v, !new_v,
           !new_v, !new_v, !new_v, !new_v) -> !new_values
    %block_size = arith.constant 64 : index
    %slot_i32 = tensor.extract %slot[] : tensor<i32>
    %slot_index = arith.index_cast %slot_i32 : i32 to index
    %start_i32 = tensor.extract %start[] : tensor<i32>
    %start_index = arith.index_cast %start_i32 : i32 to index
    %latest = arith.constant 30 : index
    %room = arith.constant 128 : index
    %start_block = arith.divui %start_index, %block_size : index
    %block = arith.minui %start_block, %latest : index
    %origin_index = arith.muli %block, %block_size : index
    %offset = arith.subi %start_index, %origin_index : index
    %shift = arith.subi %room, %offset : index

    // the first position of these blocks once more, as a tensor to compare with
    %filler = stablehlo.constant dense<0.0> : tensor<f32>
    %block_length = stablehlo.constant dense<64> : tensor<i32>
    %latest_block = stablehlo.constant dense<30> : tensor<i32>
    %first_block = stablehlo.divide %start, %block_length : tensor<i32>
    %moved_block = stablehlo.minimum %first_block, %latest_block : tensor<i32>
    %origin = stablehlo.multiply %moved_block, %block_length : tensor<i32>
    %end = stablehlo.add %start, %length : tensor<i32>

    %key_padded = stablehlo.pad %keys, %filler, low = [0, 0, 0, 0, 128], high = [0, 0, 0, 0, 112],
        interior = [0, 0, 0, 0, 0]
        : (!new_keys, tensor<f32>) -> !key_padded
    %key_moved = tensor.extract_slice %key_padded[0, 0, 0, 0, %shift]
        [30, 1, 3, 64, 128] [1, 1, 1, 1, 1] : !key_padded to !key_moved
    %key_split = stablehlo.reshape %key_moved : (!key_moved) -> !key_split
    %key_blocks = stablehlo.transpose %key_split, dims = [0, 1, 2, 4, 3, 5] : (!key_split) -> !key_blocks
    %key_held = tensor.extract_slice %k[0, %slot_index, 0, %block, 0, 0]
        [30, 1, 3, 2, 64, 64] [1, 1, 1, 1, 1, 1] : !k_cache to !key_blocks
    %key_number = stablehlo.iota dim = 3 : !key_index
    %key_within = stablehlo.iota dim = 5 : !key_index
    %key_block_length = stablehlo.broadcast_in_dim %block_length, dims = [] : (tensor<i32>) -> !key_index
    %key_origin = stablehlo.broadcast_in_dim %origin, dims = [] : (tensor<i32>) -> !key_index
    %key_start = stablehlo.broadcast_in_dim %start, dims = [] : (tensor<i32>) -> !key_index
    %key_end = stablehlo.broadcast_in_dim %end, dims = [] : (tensor<i32>) -> !key_index
    %key_before_block = stablehlo.multiply %key_number, %key_block_length : !key_index
    %key_in_room = stablehlo.add %key_before_block, %key_within : !key_index
    %key_position = stablehlo.add %key_in_room, %key_origin : !key_index
    %key_after = stablehlo.compare GE, %key_position, %key_start : (!key_index, !key_index) -> !key_flag
    %key_before = stablehlo.compare LT, %key_position, %key_end : (!key_index, !key_index) -> !key_flag
    %key_written = stablehlo.and %key_after, %key_before : !key_flag
    %key_update = stablehlo.select %key_written, %key_blocks, %key_held : !key_flag, !key_blocks
    %key_out = tensor.insert_slice %key_update into %k[0, %slot_index, 0, %block, 0, 0]
        [30, 1, 3, 2, 64, 64] [1, 1, 1, 1, 1, 1] : !key_blocks into !k_cache

    %value_padded = stablehlo.pad %values, %filler, low = [0, 0, 0, 128, 0], high = [0, 0, 0, 112, 0],
        interior = [0, 0, 0, 0, 0]
        : (!new_values, tensor<f32>) -> !value_padded
    %value_moved = tensor.extract_slice %value_padded[0, 0, 0, %shift, 0]
        [30, 1, 3, 128, 64] [1, 1, 1, 1, 1] : !value_padded to !value_moved
    %value_blocks = stablehlo.reshape %value_moved : (!value_moved) -> !value_blocks
    %value_held = tensor.extract_slice %v[0, %slot_index, 0, %block, 0, 0]
        [30, 1, 3, 2, 64, 64] [1, 1, 1, 1, 1, 1] : !v_cache to !value_blocks
    %value_number = stablehlo.iota dim = 3 : !value_index
    %value_within = stablehlo.iota dim = 4 : !value_index
    %value_block_length = stablehlo.broadcast_in_dim %block_length, dims = [] : (tensor<i32>) -> !value_index
    %value_origin = stablehlo.broadcast_in_dim %origin, dims = [] : (tensor<i32>) -> !value_index
    %value_start = stablehlo.broadcast_in_dim %start, dims = [] : (tensor<i32>) -> !value_index
    %value_end = stablehlo.broadcast_in_dim %end, dims = [] : (tensor<i32>) -> !value_index
    %value_before_block = stablehlo.multiply %value_number, %value_block_length : !value_index
    %value_in_room = stablehlo.add %value_before_block, %value_within : !value_index
    %value_position = stablehlo.add %value_in_room, %value_origin : !value_index
    %value_after = stablehlo.compare GE, %value_position, %value_start : (!value_index, !value_index) -> !value_flag
    %value_before = stablehlo.compare LT, %value_position, %value_end : (!value_index, !value_index) -> !value_flag
    %value_written = stablehlo.and %value_after, %value_before : !value_flag
    %value_update = stablehlo.select %value_written, %value_blocks, %value_held : !value_flag, !value_blocks
    %value_out = tensor.insert_slice %value_update into %v[0, %slot_index, 0, %block, 0, 0]
        [30, 1, 3, 2, 64, 64] [1, 1, 1, 1, 1, 1] : !value_blocks into !v_cache

    return %key_out, %value_out : !k_cache, !v_cache
  }
}

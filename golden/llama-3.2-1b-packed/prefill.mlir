// prefill · llama, tied · 16 layers, hidden 2048, 32/8 heads of 64 · context 2048, 8 slots, chunk 64 · fast

!embed = tensor<8016x1024x16x2xbf16>
!norm = tensor<2048xbf16>
!qkv = tensor<192x1024x16x2xbf16>
!o = tensor<128x1024x16x2xbf16>
!gate_up = tensor<1024x1024x16x2xbf16>
!down = tensor<128x4096x16x2xbf16>
!tokens = tensor<64xi32>
!k_cache = tensor<16x8x8x32x64x64xbf16>
!v_cache = tensor<16x8x8x32x64x64xbf16>
!last_logits = tensor<128256xf32>
!angle = tensor<64x2x32xf32>
!hidden = tensor<64x2048xf32>
!rows = tensor<64x2048xf32>
!rows_bf16 = tensor<64x2048xbf16>
!squares = tensor<64x128xf32>
!rows_bf16_2 = tensor<1x2048xbf16>
!squares_2 = tensor<1x128xf32>
!logits = tensor<1x128256xf32>
!largests = tensor<1x8016xf32>
!next = tensor<1xi32>
!qkv_rows = tensor<64x3072xf32>
!q_rows_bf16 = tensor<64x2048xbf16>
!inner_rows_bf16 = tensor<64x8192xbf16>
!angles = tensor<64x32xf32>

module @prefill {
  // `length` tokens of `slot` from position `start`; the logits are the last one's.
  func.func public @prefill(
      %embed: !embed,
      %final_norm: !norm,
      %layer0_attn_norm: !norm, %layer0_qkv: !qkv, %layer0_o: !o, %layer0_mlp_norm: !norm,
      %layer0_gate_up: !gate_up, %layer0_down: !down,
      %layer1_attn_norm: !norm, %layer1_qkv: !qkv, %layer1_o: !o, %layer1_mlp_norm: !norm,
      %layer1_gate_up: !gate_up, %layer1_down: !down,
      %layer2_attn_norm: !norm, %layer2_qkv: !qkv, %layer2_o: !o, %layer2_mlp_norm: !norm,
      %layer2_gate_up: !gate_up, %layer2_down: !down,
      %layer3_attn_norm: !norm, %layer3_qkv: !qkv, %layer3_o: !o, %layer3_mlp_norm: !norm,
      %layer3_gate_up: !gate_up, %layer3_down: !down,
      %layer4_attn_norm: !norm, %layer4_qkv: !qkv, %layer4_o: !o, %layer4_mlp_norm: !norm,
      %layer4_gate_up: !gate_up, %layer4_down: !down,
      %layer5_attn_norm: !norm, %layer5_qkv: !qkv, %layer5_o: !o, %layer5_mlp_norm: !norm,
      %layer5_gate_up: !gate_up, %layer5_down: !down,
      %layer6_attn_norm: !norm, %layer6_qkv: !qkv, %layer6_o: !o, %layer6_mlp_norm: !norm,
      %layer6_gate_up: !gate_up, %layer6_down: !down,
      %layer7_attn_norm: !norm, %layer7_qkv: !qkv, %layer7_o: !o, %layer7_mlp_norm: !norm,
      %layer7_gate_up: !gate_up, %layer7_down: !down,
      %layer8_attn_norm: !norm, %layer8_qkv: !qkv, %layer8_o: !o, %layer8_mlp_norm: !norm,
      %layer8_gate_up: !gate_up, %layer8_down: !down,
      %layer9_attn_norm: !norm, %layer9_qkv: !qkv, %layer9_o: !o, %layer9_mlp_norm: !norm,
      %layer9_gate_up: !gate_up, %layer9_down: !down,
      %layer10_attn_norm: !norm, %layer10_qkv: !qkv, %layer10_o: !o, %layer10_mlp_norm: !norm,
      %layer10_gate_up: !gate_up, %layer10_down: !down,
      %layer11_attn_norm: !norm, %layer11_qkv: !qkv, %layer11_o: !o, %layer11_mlp_norm: !norm,
      %layer11_gate_up: !gate_up, %layer11_down: !down,
      %layer12_attn_norm: !norm, %layer12_qkv: !qkv, %layer12_o: !o, %layer12_mlp_norm: !norm,
      %layer12_gate_up: !gate_up, %layer12_down: !down,
      %layer13_attn_norm: !norm, %layer13_qkv: !qkv, %layer13_o: !o, %layer13_mlp_norm: !norm,
      %layer13_gate_up: !gate_up, %layer13_down: !down,
      %layer14_attn_norm: !norm, %layer14_qkv: !qkv, %layer14_o: !o, %layer14_mlp_norm: !norm,
      %layer14_gate_up: !gate_up, %layer14_down: !down,
      %layer15_attn_norm: !norm, %layer15_qkv: !qkv, %layer15_o: !o, %layer15_mlp_norm: !norm,
      %layer15_gate_up: !gate_up, %layer15_down: !down,
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
    %start_index = arith.index_cast %start_value : i32 to index
    %starts_at = stablehlo.reshape %start : (tensor<i32>) -> tensor<1xi32>
    %cos, %sin = call @rotary_angles(%positions) : (!tokens) -> (!angle, !angle)
    %embedded = call @embedding(%embed, %tokens) : (!embed, !tokens) -> !hidden
    %x0, %x0_weighted, %x0_squares = flow.dispatch @first_norm::@first_norm(%embedded, %layer0_attn_norm)
        : (!hidden, !norm)
        -> (!rows, !rows_bf16, !squares)

    %layer0 = arith.constant 0 : index
    %x1, %x1_weighted, %x1_squares, %k_after0, %v_after0 = call @layer(
        %x0, %x0_weighted, %x0_squares, %layer0_qkv, %layer0_o, %layer0_mlp_norm, %layer0_gate_up, %layer0_down,
        %layer1_attn_norm, %layer0, %cos, %sin, %first_slot, %start_index, %length_index, %k, %v)
        : (!rows, !rows_bf16, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index,
           index, index, !k_cache, !v_cache)
        -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache)
    %layer1 = arith.constant 1 : index
    %x2, %x2_weighted, %x2_squares, %k_after1, %v_after1 = call @layer(
        %x1, %x1_weighted, %x1_squares, %layer1_qkv, %layer1_o, %layer1_mlp_norm, %layer1_gate_up, %layer1_down,
        %layer2_attn_norm, %layer1, %cos, %sin, %first_slot, %start_index, %length_index, %k_after0, %v_after0)
        : (!rows, !rows_bf16, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index,
           index, index, !k_cache, !v_cache)
        -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache)
    %layer2 = arith.constant 2 : index
    %x3, %x3_weighted, %x3_squares, %k_after2, %v_after2 = call @layer(
        %x2, %x2_weighted, %x2_squares, %layer2_qkv, %layer2_o, %layer2_mlp_norm, %layer2_gate_up, %layer2_down,
        %layer3_attn_norm, %layer2, %cos, %sin, %first_slot, %start_index, %length_index, %k_after1, %v_after1)
        : (!rows, !rows_bf16, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index,
           index, index, !k_cache, !v_cache)
        -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache)
    %layer3 = arith.constant 3 : index
    %x4, %x4_weighted, %x4_squares, %k_after3, %v_after3 = call @layer(
        %x3, %x3_weighted, %x3_squares, %layer3_qkv, %layer3_o, %layer3_mlp_norm, %layer3_gate_up, %layer3_down,
        %layer4_attn_norm, %layer3, %cos, %sin, %first_slot, %start_index, %length_index, %k_after2, %v_after2)
        : (!rows, !rows_bf16, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index,
           index, index, !k_cache, !v_cache)
        -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache)
    %layer4 = arith.constant 4 : index
    %x5, %x5_weighted, %x5_squares, %k_after4, %v_after4 = call @layer(
        %x4, %x4_weighted, %x4_squares, %layer4_qkv, %layer4_o, %layer4_mlp_norm, %layer4_gate_up, %layer4_down,
        %layer5_attn_norm, %layer4, %cos, %sin, %first_slot, %start_index, %length_index, %k_after3, %v_after3)
        : (!rows, !rows_bf16, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index,
           index, index, !k_cache, !v_cache)
        -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache)
    %layer5 = arith.constant 5 : index
    %x6, %x6_weighted, %x6_squares, %k_after5, %v_after5 = call @layer(
        %x5, %x5_weighted, %x5_squares, %layer5_qkv, %layer5_o, %layer5_mlp_norm, %layer5_gate_up, %layer5_down,
        %layer6_attn_norm, %layer5, %cos, %sin, %first_slot, %start_index, %length_index, %k_after4, %v_after4)
        : (!rows, !rows_bf16, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index,
           index, index, !k_cache, !v_cache)
        -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache)
    %layer6 = arith.constant 6 : index
    %x7, %x7_weighted, %x7_squares, %k_after6, %v_after6 = call @layer(
        %x6, %x6_weighted, %x6_squares, %layer6_qkv, %layer6_o, %layer6_mlp_norm, %layer6_gate_up, %layer6_down,
        %layer7_attn_norm, %layer6, %cos, %sin, %first_slot, %start_index, %length_index, %k_after5, %v_after5)
        : (!rows, !rows_bf16, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index,
           index, index, !k_cache, !v_cache)
        -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache)
    %layer7 = arith.constant 7 : index
    %x8, %x8_weighted, %x8_squares, %k_after7, %v_after7 = call @layer(
        %x7, %x7_weighted, %x7_squares, %layer7_qkv, %layer7_o, %layer7_mlp_norm, %layer7_gate_up, %layer7_down,
        %layer8_attn_norm, %layer7, %cos, %sin, %first_slot, %start_index, %length_index, %k_after6, %v_after6)
        : (!rows, !rows_bf16, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index,
           index, index, !k_cache, !v_cache)
        -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache)
    %layer8 = arith.constant 8 : index
    %x9, %x9_weighted, %x9_squares, %k_after8, %v_after8 = call @layer(
        %x8, %x8_weighted, %x8_squares, %layer8_qkv, %layer8_o, %layer8_mlp_norm, %layer8_gate_up, %layer8_down,
        %layer9_attn_norm, %layer8, %cos, %sin, %first_slot, %start_index, %length_index, %k_after7, %v_after7)
        : (!rows, !rows_bf16, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index,
           index, index, !k_cache, !v_cache)
        -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache)
    %layer9 = arith.constant 9 : index
    %x10, %x10_weighted, %x10_squares, %k_after9, %v_after9 = call @layer(
        %x9, %x9_weighted, %x9_squares, %layer9_qkv, %layer9_o, %layer9_mlp_norm, %layer9_gate_up, %layer9_down,
        %layer10_attn_norm, %layer9, %cos, %sin, %first_slot, %start_index, %length_index, %k_after8, %v_after8)
        : (!rows, !rows_bf16, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index,
           index, index, !k_cache, !v_cache)
        -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache)
    %layer10 = arith.constant 10 : index
    %x11, %x11_weighted, %x11_squares, %k_after10, %v_after10 = call @layer(
        %x10, %x10_weighted, %x10_squares, %layer10_qkv, %layer10_o, %layer10_mlp_norm, %layer10_gate_up,
        %layer10_down, %layer11_attn_norm, %layer10, %cos, %sin, %first_slot, %start_index, %length_index,
        %k_after9, %v_after9)
        : (!rows, !rows_bf16, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index,
           index, index, !k_cache, !v_cache)
        -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache)
    %layer11 = arith.constant 11 : index
    %x12, %x12_weighted, %x12_squares, %k_after11, %v_after11 = call @layer(
        %x11, %x11_weighted, %x11_squares, %layer11_qkv, %layer11_o, %layer11_mlp_norm, %layer11_gate_up,
        %layer11_down, %layer12_attn_norm, %layer11, %cos, %sin, %first_slot, %start_index, %length_index,
        %k_after10, %v_after10)
        : (!rows, !rows_bf16, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index,
           index, index, !k_cache, !v_cache)
        -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache)
    %layer12 = arith.constant 12 : index
    %x13, %x13_weighted, %x13_squares, %k_after12, %v_after12 = call @layer(
        %x12, %x12_weighted, %x12_squares, %layer12_qkv, %layer12_o, %layer12_mlp_norm, %layer12_gate_up,
        %layer12_down, %layer13_attn_norm, %layer12, %cos, %sin, %first_slot, %start_index, %length_index,
        %k_after11, %v_after11)
        : (!rows, !rows_bf16, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index,
           index, index, !k_cache, !v_cache)
        -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache)
    %layer13 = arith.constant 13 : index
    %x14, %x14_weighted, %x14_squares, %k_after13, %v_after13 = call @layer(
        %x13, %x13_weighted, %x13_squares, %layer13_qkv, %layer13_o, %layer13_mlp_norm, %layer13_gate_up,
        %layer13_down, %layer14_attn_norm, %layer13, %cos, %sin, %first_slot, %start_index, %length_index,
        %k_after12, %v_after12)
        : (!rows, !rows_bf16, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index,
           index, index, !k_cache, !v_cache)
        -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache)
    %layer14 = arith.constant 14 : index
    %x15, %x15_weighted, %x15_squares, %k_after14, %v_after14 = call @layer(
        %x14, %x14_weighted, %x14_squares, %layer14_qkv, %layer14_o, %layer14_mlp_norm, %layer14_gate_up,
        %layer14_down, %layer15_attn_norm, %layer14, %cos, %sin, %first_slot, %start_index, %length_index,
        %k_after13, %v_after13)
        : (!rows, !rows_bf16, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index,
           index, index, !k_cache, !v_cache)
        -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache)
    %layer15 = arith.constant 15 : index
    %x16, %normed, %normed_squares, %k_after15, %v_after15 = call @layer(
        %x15, %x15_weighted, %x15_squares, %layer15_qkv, %layer15_o, %layer15_mlp_norm, %layer15_gate_up,
        %layer15_down, %final_norm, %layer15, %cos, %sin, %first_slot, %start_index, %length_index, %k_after14,
        %v_after14)
        : (!rows, !rows_bf16, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index,
           index, index, !k_cache, !v_cache)
        -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache)

    %normed_last = tensor.extract_slice %normed[%last, 0] [1, 2048] [1, 1]
        : !rows_bf16 to !rows_bf16_2
    %normed_squares_last = tensor.extract_slice %normed_squares[%last, 0] [1, 128] [1, 1]
        : !squares to !squares_2

    %row_logits, %largests = flow.dispatch @head::@head(%normed_last, %embed, %normed_squares_last)
        : (!rows_bf16_2, !embed, !squares_2)
        -> (!logits, !largests)
    %row_next = flow.dispatch @argmax::@argmax(%largests, %row_logits)
        : (!largests, !logits)
        -> !next
    %next = stablehlo.reshape %row_next : (tensor<1xi32>) -> tensor<i32>
    %logits = stablehlo.reshape %row_logits : (!logits) -> !last_logits


    return %next, %logits, %k_after15, %v_after15 : tensor<i32>, !last_logits, !k_cache, !v_cache
  }

  // x + attention(norm(x)), then x + mlp(norm(x)); and what the next norm needs of that.
  func.func private @layer(
      %x: !rows, %x_weighted: !rows_bf16, %x_squares: !squares, %qkv: !qkv, %o: !o, %mlp_norm: !norm,
      %gate_up: !gate_up, %down: !down, %next_norm: !norm, %layer: index, %cos: !angle, %sin: !angle, %slot: index,
      %start: index, %length: index, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!rows, !rows_bf16, !squares, !k_cache, !v_cache) {
    %projected = flow.dispatch @qkv::@qkv(%x_weighted, %qkv, %x_squares)
        : (!rows_bf16, !qkv, !squares)
        -> !qkv_rows
    %k, %v = flow.dispatch @append::@append(%cos, %sin, %projected, %k_cache, %v_cache, %layer, %slot, %start, %length)
        : (!angle, !angle, !qkv_rows, !k_cache, !v_cache, index, index, index, index)
        -> (%k_cache, %v_cache)
    %attended = flow.dispatch @attention::@attention(%cos, %sin, %projected, %k, %v, %layer, %slot, %start, %length)
        : (!angle, !angle, !qkv_rows, !k_cache, !v_cache, index, index, index, index)
        -> !q_rows_bf16
    %mid, %mid_weighted, %mid_squares = flow.dispatch @o::@o(%attended, %o, %x, %mlp_norm)
        : (!q_rows_bf16, !o, !rows, !norm)
        -> (!rows, !rows_bf16, !squares)
    %inner = flow.dispatch @gate_up::@gate_up(%mid_weighted, %gate_up, %mid_squares)
        : (!rows_bf16, !gate_up, !squares)
        -> !inner_rows_bf16
    %y, %y_weighted, %y_squares = flow.dispatch @down::@down(%inner, %down, %mid, %next_norm)
        : (!inner_rows_bf16, !down, !rows, !norm)
        -> (!rows, !rows_bf16, !squares)
    return %y, %y_weighted, %y_squares, %k, %v : !rows, !rows_bf16, !squares, !k_cache, !v_cache
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
    %position = stablehlo.convert %positions : (!tokens) -> tensor<64xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<64xf32>) -> !angles
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

  // Row `token` of the table for each token.
  func.func private @embedding(%embed: !embed, %tokens: !tokens) -> !hidden {
    %x_n = stablehlo.constant dense<16> : !tokens
    %x_tile = stablehlo.divide %tokens, %x_n : !tokens
    %x_within = stablehlo.remainder %tokens, %x_n : !tokens
    %x_tiles = stablehlo.reshape %x_tile : (!tokens) -> tensor<64x1xi32>
    %x_rows = stablehlo.reshape %x_within : (!tokens) -> tensor<64x1xi32>
    %x_at = stablehlo.concatenate %x_tiles, %x_rows, dim = 1
        : (tensor<64x1xi32>, tensor<64x1xi32>) -> tensor<64x2xi32>
    %x_tile_row = "stablehlo.gather"(%embed, %x_at) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1, 2, 3, 4], start_index_map = [0, 2], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 1024, 1, 2>, indices_are_sorted = false}>
        : (!embed, tensor<64x2xi32>) -> tensor<64x1x1024x1x2xbf16>
    %x_padded = stablehlo.reshape %x_tile_row : (tensor<64x1x1024x1x2xbf16>) -> tensor<64x2048xbf16>

    %x = stablehlo.convert %x_padded : (tensor<64x2048xbf16>) -> tensor<64x2048xf32>
    return %x : !hidden
  }

  // Rows ready for the norm after them.
  stream.executable private @first_norm {
    stream.executable.export public @first_norm workgroups() -> (index, index, index) {
      %size1 = arith.constant 64 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @first_norm(
          %x_bytes: !stream.binding, %next_norm_bytes: !stream.binding, %y_bytes: !stream.binding,
          %weighteds_bytes: !stream.binding, %square_sums_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<64x2048xf32>
        %next_norm = stream.binding.subspan %next_norm_bytes[%c0] : !stream.binding -> memref<2048xbf16>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<64x2048xf32>
        %weighteds = stream.binding.subspan %weighteds_bytes[%c0] : !stream.binding -> memref<64x2048xbf16>
        %square_sums = stream.binding.subspan %square_sums_bytes[%c0] : !stream.binding -> memref<64x128xf32>
        %width = arith.constant 16 : index
        %tiles = arith.constant 128 : index
        %row = stream.dispatch.workgroup.id[0] : index
        scf.for %n = %c0 to %tiles step %c1 {
          %at = arith.muli %n, %width : index
          %x_tile = vector.load %x[%row, %at] : memref<64x2048xf32>, vector<16xf32>
          vector.store %x_tile, %y[%row, %at] : memref<64x2048xf32>, vector<16xf32>
          %gain_stored = vector.load %next_norm[%at] : memref<2048xbf16>, vector<16xbf16>
          %gain = arith.extf %gain_stored : vector<16xbf16> to vector<16xf32>
          %weighted = arith.mulf %x_tile, %gain : vector<16xf32>
          %weighted_low = arith.truncf %weighted : vector<16xf32> to vector<16xbf16>
          vector.store %weighted_low, %weighteds[%row, %at] : memref<64x2048xbf16>, vector<16xbf16>
          %square = arith.mulf %x_tile, %x_tile : vector<16xf32>
          %square_sum = vector.reduction <add>, %square fastmath<reassoc> : vector<16xf32> into f32
          memref.store %square_sum, %square_sums[%row, %n] : memref<64x128xf32>
        }
        return
      }
    }
  }

  // Rows × weights: 64 × 2048 by 192 tiles of 16, 6 × 4 at once.
  stream.executable private @qkv {
    stream.executable.export public @qkv workgroups() -> (index, index, index) {
      %size1 = arith.constant 24 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @qkv(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %squares_bytes: !stream.binding,
          %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<64x1024xi32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<192x1024x16xi32>
        %squares = stream.binding.subspan %squares_bytes[%c0] : !stream.binding -> memref<64x128xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<64x3072xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 1024 : index
        %rows = arith.constant 64 : index
        %rows_at_once = arith.constant 6 : index
        %last_rows = arith.constant 58 : index
        %tiles = arith.constant 192 : index
        %tiles_at_once = arith.constant 4 : index
        %unit = arith.constant 4 : index
        %last_unit = arith.constant 188 : index
        %tiles_of_group = arith.constant 8 : index
        %prefetch = arith.constant 32 : index
        %zeros = arith.constant dense<0.0> : vector<16xf32>
        %room = memref.alloca() : memref<4x6x16xf32>
        %scales = memref.alloca() : memref<64xf32>
        %parts = arith.constant 128 : index
        %parts_at_once = arith.constant 16 : index
        %none = arith.constant dense<0.0> : vector<16xf32>
        scf.for %row = %c0 to %rows step %c1 {
          %partial = scf.for %at = %c0 to %parts step %parts_at_once iter_args(%sum = %none) -> (vector<16xf32>) {
            %more = vector.load %squares[%row, %at] : memref<64x128xf32>, vector<16xf32>
            %next = arith.addf %sum, %more : vector<16xf32>
            scf.yield %next : vector<16xf32>
          }
          %total = vector.reduction <add>, %partial fastmath<reassoc> : vector<16xf32> into f32
          %scale_length = arith.constant 2048.0 : f32
          %scale_eps = arith.constant 1.0e-05 : f32
          %scale_one = arith.constant 1.0 : f32
          %scale_mean = arith.divf %total, %scale_length : f32
          %scale_shifted = arith.addf %scale_mean, %scale_eps : f32
          %scale_root = math.sqrt %scale_shifted : f32
          %scale = arith.divf %scale_one, %scale_root : f32
          memref.store %scale, %scales[%row] : memref<64xf32>
        }
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 64 : index
        %first_row = arith.muli %row_group, %rows_of_group : index
        %past_row = arith.addi %first_row, %rows_of_group : index
        %end_row = arith.minui %past_row, %rows : index
        scf.for %tile = %first to %end step %unit {
          %first_tile = arith.minui %tile, %last_unit : index
          %n0 = arith.addi %first_tile, %c0 : index
          %n1 = arith.addi %n0, %c1 : index
          %n2 = arith.addi %n1, %c1 : index
          %n3 = arith.addi %n2, %c1 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %m4 = arith.addi %m3, %c1 : index
            %m5 = arith.addi %m4, %c1 : index
            %sums0:24 = scf.for %k = %c0 to %depth step %c1
                iter_args(%sum0_0 = %zeros, %sum0_1 = %zeros, %sum0_2 = %zeros, %sum0_3 = %zeros, %sum0_4 = %zeros,
                          %sum0_5 = %zeros, %sum1_0 = %zeros, %sum1_1 = %zeros, %sum1_2 = %zeros, %sum1_3 = %zeros,
                          %sum1_4 = %zeros, %sum1_5 = %zeros, %sum2_0 = %zeros, %sum2_1 = %zeros, %sum2_2 = %zeros,
                          %sum2_3 = %zeros, %sum2_4 = %zeros, %sum2_5 = %zeros, %sum3_0 = %zeros, %sum3_1 = %zeros,
                          %sum3_2 = %zeros, %sum3_3 = %zeros, %sum3_4 = %zeros, %sum3_5 = %zeros)
                -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
              %stored0 = vector.load %w[%n0, %k, %c0] : memref<192x1024x16xi32>, vector<16xi32>
              %w0 = vector.bitcast %stored0 : vector<16xi32> to vector<32xbf16>
              %stored1 = vector.load %w[%n1, %k, %c0] : memref<192x1024x16xi32>, vector<16xi32>
              %w1 = vector.bitcast %stored1 : vector<16xi32> to vector<32xbf16>
              %stored2 = vector.load %w[%n2, %k, %c0] : memref<192x1024x16xi32>, vector<16xi32>
              %w2 = vector.bitcast %stored2 : vector<16xi32> to vector<32xbf16>
              %stored3 = vector.load %w[%n3, %k, %c0] : memref<192x1024x16xi32>, vector<16xi32>
              %w3 = vector.bitcast %stored3 : vector<16xi32> to vector<32xbf16>
              %pair0 = memref.load %x[%m0, %k] : memref<64x1024xi32>
              %pairs0 = vector.broadcast %pair0 : i32 to vector<16xi32>
              %x0 = vector.bitcast %pairs0 : vector<16xi32> to vector<32xbf16>
              %next0_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_0, %w0, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_0, %w1, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_0, %w2, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_0, %w3, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair1 = memref.load %x[%m1, %k] : memref<64x1024xi32>
              %pairs1 = vector.broadcast %pair1 : i32 to vector<16xi32>
              %x1 = vector.bitcast %pairs1 : vector<16xi32> to vector<32xbf16>
              %next0_1 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_1, %w0, %x1)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_1 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_1, %w1, %x1)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_1 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_1, %w2, %x1)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_1 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_1, %w3, %x1)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair2 = memref.load %x[%m2, %k] : memref<64x1024xi32>
              %pairs2 = vector.broadcast %pair2 : i32 to vector<16xi32>
              %x2 = vector.bitcast %pairs2 : vector<16xi32> to vector<32xbf16>
              %next0_2 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_2, %w0, %x2)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_2 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_2, %w1, %x2)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_2 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_2, %w2, %x2)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_2 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_2, %w3, %x2)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair3 = memref.load %x[%m3, %k] : memref<64x1024xi32>
              %pairs3 = vector.broadcast %pair3 : i32 to vector<16xi32>
              %x3 = vector.bitcast %pairs3 : vector<16xi32> to vector<32xbf16>
              %next0_3 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_3, %w0, %x3)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_3 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_3, %w1, %x3)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_3 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_3, %w2, %x3)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_3 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_3, %w3, %x3)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair4 = memref.load %x[%m4, %k] : memref<64x1024xi32>
              %pairs4 = vector.broadcast %pair4 : i32 to vector<16xi32>
              %x4 = vector.bitcast %pairs4 : vector<16xi32> to vector<32xbf16>
              %next0_4 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_4, %w0, %x4)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_4 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_4, %w1, %x4)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_4 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_4, %w2, %x4)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_4 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_4, %w3, %x4)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair5 = memref.load %x[%m5, %k] : memref<64x1024xi32>
              %pairs5 = vector.broadcast %pair5 : i32 to vector<16xi32>
              %x5 = vector.bitcast %pairs5 : vector<16xi32> to vector<32xbf16>
              %next0_5 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_5, %w0, %x5)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_5 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_5, %w1, %x5)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_5 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_5, %w2, %x5)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_5 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_5, %w3, %x5)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              scf.yield %next0_0, %next0_1, %next0_2, %next0_3, %next0_4, %next0_5, %next1_0, %next1_1, %next1_2,
                        %next1_3, %next1_4, %next1_5, %next2_0, %next2_1, %next2_2, %next2_3, %next2_4, %next2_5,
                        %next3_0, %next3_1, %next3_2, %next3_3, %next3_4, %next3_5
                  : vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
            }
            %place0 = arith.constant 0 : index
            %place0_0 = arith.constant 0 : index
            vector.store %sums0#0, %room[%place0, %place0_0, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_1 = arith.constant 1 : index
            vector.store %sums0#1, %room[%place0, %place0_1, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_2 = arith.constant 2 : index
            vector.store %sums0#2, %room[%place0, %place0_2, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_3 = arith.constant 3 : index
            vector.store %sums0#3, %room[%place0, %place0_3, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_4 = arith.constant 4 : index
            vector.store %sums0#4, %room[%place0, %place0_4, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_5 = arith.constant 5 : index
            vector.store %sums0#5, %room[%place0, %place0_5, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1 = arith.constant 1 : index
            %place1_0 = arith.constant 0 : index
            vector.store %sums0#6, %room[%place1, %place1_0, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_1 = arith.constant 1 : index
            vector.store %sums0#7, %room[%place1, %place1_1, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_2 = arith.constant 2 : index
            vector.store %sums0#8, %room[%place1, %place1_2, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_3 = arith.constant 3 : index
            vector.store %sums0#9, %room[%place1, %place1_3, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_4 = arith.constant 4 : index
            vector.store %sums0#10, %room[%place1, %place1_4, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_5 = arith.constant 5 : index
            vector.store %sums0#11, %room[%place1, %place1_5, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2 = arith.constant 2 : index
            %place2_0 = arith.constant 0 : index
            vector.store %sums0#12, %room[%place2, %place2_0, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_1 = arith.constant 1 : index
            vector.store %sums0#13, %room[%place2, %place2_1, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_2 = arith.constant 2 : index
            vector.store %sums0#14, %room[%place2, %place2_2, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_3 = arith.constant 3 : index
            vector.store %sums0#15, %room[%place2, %place2_3, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_4 = arith.constant 4 : index
            vector.store %sums0#16, %room[%place2, %place2_4, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_5 = arith.constant 5 : index
            vector.store %sums0#17, %room[%place2, %place2_5, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3 = arith.constant 3 : index
            %place3_0 = arith.constant 0 : index
            vector.store %sums0#18, %room[%place3, %place3_0, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_1 = arith.constant 1 : index
            vector.store %sums0#19, %room[%place3, %place3_1, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_2 = arith.constant 2 : index
            vector.store %sums0#20, %room[%place3, %place3_2, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_3 = arith.constant 3 : index
            vector.store %sums0#21, %room[%place3, %place3_3, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_4 = arith.constant 4 : index
            vector.store %sums0#22, %room[%place3, %place3_4, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_5 = arith.constant 5 : index
            vector.store %sums0#23, %room[%place3, %place3_5, %c0] : memref<4x6x16xf32>, vector<16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              %scale = memref.load %scales[%r] : memref<64xf32>
              %scaling = vector.broadcast %scale : f32 to vector<16xf32>
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<4x6x16xf32>, vector<16xf32>
                %y_scaled = arith.mulf %y_sum, %scaling : vector<16xf32>
                vector.store %y_scaled, %y[%r, %at] : memref<64x3072xf32>, vector<16xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Keys and values of 64 rows into the cache.
  stream.executable private @append {
    stream.executable.export public @append workgroups() -> (index, index, index) {
      %size1 = arith.constant 2 : index
      %size2 = arith.constant 8 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @append(
          %cos_bytes: !stream.binding, %sin_bytes: !stream.binding, %qkv_bytes: !stream.binding,
          %k_bytes: !stream.binding, %v_bytes: !stream.binding, %layer: index, %slot: index, %start: index,
          %length: index) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %cos = stream.binding.subspan %cos_bytes[%c0] : !stream.binding -> memref<64x2x32xf32>
        %sin = stream.binding.subspan %sin_bytes[%c0] : !stream.binding -> memref<64x2x32xf32>
        %qkv = stream.binding.subspan %qkv_bytes[%c0] : !stream.binding -> memref<64x3072xf32>
        %k = stream.binding.subspan %k_bytes[%c0] : !stream.binding -> memref<16x8x8x32x64x64xbf16>
        %v = stream.binding.subspan %v_bytes[%c0] : !stream.binding -> memref<16x8x8x32x64x64xbf16>
        %tile = stream.dispatch.workgroup.id[0] : index
        %kv_head = stream.dispatch.workgroup.id[1] : index
        %rows_of_tile = arith.constant 32 : index
        %head_dim = arith.constant 64 : index
        %half = arith.constant 32 : index
        %head_width = arith.constant 16 : index
        %half_width = arith.constant 16 : index
        %block = arith.constant 64 : index
        %k_head = arith.constant 32 : index
        %v_head = arith.constant 40 : index
        %k_at = arith.addi %k_head, %kv_head : index
        %v_at = arith.addi %v_head, %kv_head : index
        %v_begin = arith.muli %v_at, %head_dim : index
        %turned = memref.alloca() : memref<1x64xf32>
        %first_row = arith.muli %tile, %rows_of_tile : index
        %past_row = arith.addi %first_row, %rows_of_tile : index
        %end_row = arith.minui %past_row, %length : index
        scf.for %row = %first_row to %end_row step %c1 {
          %k_begin = arith.muli %k_at, %head_dim : index
          scf.for %d = %c0 to %half step %half_width {
            %d_after = arith.addi %d, %half : index
            %a_at = arith.addi %k_begin, %d : index
            %a = vector.load %qkv[%row, %a_at] : memref<64x3072xf32>, vector<16xf32>
            %place_a = arith.constant 0 : index
            %cos_a = vector.load %cos[%row, %place_a, %d] : memref<64x2x32xf32>, vector<16xf32>
            %sin_a = vector.load %sin[%row, %place_a, %d] : memref<64x2x32xf32>, vector<16xf32>
            %b_at = arith.addi %k_begin, %d_after : index
            %b = vector.load %qkv[%row, %b_at] : memref<64x3072xf32>, vector<16xf32>
            %place_b = arith.constant 1 : index
            %cos_b = vector.load %cos[%row, %place_b, %d] : memref<64x2x32xf32>, vector<16xf32>
            %sin_b = vector.load %sin[%row, %place_b, %d] : memref<64x2x32xf32>, vector<16xf32>
            %a_kept = arith.mulf %a, %cos_a : vector<16xf32>
            %a_crossed = arith.mulf %b, %sin_a : vector<16xf32>
            %a_turned = arith.addf %a_kept, %a_crossed : vector<16xf32>
            vector.store %a_turned, %turned[%c0, %d] : memref<1x64xf32>, vector<16xf32>
            %b_kept = arith.mulf %b, %cos_b : vector<16xf32>
            %b_crossed = arith.mulf %a, %sin_b : vector<16xf32>
            %b_turned = arith.addf %b_kept, %b_crossed : vector<16xf32>
            vector.store %b_turned, %turned[%c0, %d_after] : memref<1x64xf32>, vector<16xf32>
          }
          %position = arith.addi %start, %row : index
          %own_block = arith.divui %position, %block : index
          %own_place = arith.remui %position, %block : index
          scf.for %d = %c0 to %head_dim step %c1 {
            %key = memref.load %turned[%c0, %d] : memref<1x64xf32>
            %at = arith.addi %v_begin, %d : index
            %value = memref.load %qkv[%row, %at] : memref<64x3072xf32>
            %key_low = arith.truncf %key : f32 to bf16
            %value_low = arith.truncf %value : f32 to bf16
            memref.store %key_low, %k[%layer, %slot, %kv_head, %own_block, %d, %own_place]
                : memref<16x8x8x32x64x64xbf16>
            memref.store %value_low, %v[%layer, %slot, %kv_head, %own_block, %own_place, %d]
                : memref<16x8x8x32x64x64xbf16>
          }
        }
        return
      }
    }
  }

  // Attention of 64 rows, 8 at once, 32 heads, 4 to a kv head.
  stream.executable private @attention {
    stream.executable.export public @attention workgroups() -> (index, index, index) {
      %size1 = arith.constant 8 : index
      %size2 = arith.constant 8 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @attention(
          %cos_bytes: !stream.binding, %sin_bytes: !stream.binding, %qkv_bytes: !stream.binding,
          %k_bytes: !stream.binding, %v_bytes: !stream.binding, %layer: index, %slot: index, %start: index,
          %length: index, %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %cos = stream.binding.subspan %cos_bytes[%c0] : !stream.binding -> memref<64x2x32xf32>
        %sin = stream.binding.subspan %sin_bytes[%c0] : !stream.binding -> memref<64x2x32xf32>
        %qkv = stream.binding.subspan %qkv_bytes[%c0] : !stream.binding -> memref<64x3072xf32>
        %k = stream.binding.subspan %k_bytes[%c0] : !stream.binding -> memref<16x8x8x32x64x64xbf16>
        %v = stream.binding.subspan %v_bytes[%c0] : !stream.binding -> memref<16x8x8x32x64x64xbf16>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<64x2048xbf16>
        %tile = stream.dispatch.workgroup.id[0] : index
        %kv_head = stream.dispatch.workgroup.id[1] : index
        %rows_of_tile = arith.constant 8 : index
        %group = arith.constant 4 : index
        %head_dim = arith.constant 64 : index
        %half = arith.constant 32 : index
        %block = arith.constant 64 : index
        %width = arith.constant 16 : index
        %head_width = arith.constant 16 : index
        %half_width = arith.constant 16 : index
        %none = arith.constant 0.0 : f32
        %lowest = arith.constant 0xFF800000 : f32
        %noughts = arith.constant dense<0.0> : vector<16xf32>
        %q_at = arith.muli %kv_head, %group : index
        %last_tile = arith.constant 56 : index
        %tile_row = arith.muli %tile, %rows_of_tile : index
        // the last begins earlier, so that it is whole
        %first_row = arith.minui %tile_row, %last_tile : index
        %end_row = arith.addi %first_row, %rows_of_tile : index
        // rows past the chunk's length are not used: they see what it has, or nothing
        %rows_used = arith.minui %end_row, %length : index
        %end = arith.addi %start, %rows_used : index
        %first_position = arith.addi %start, %first_row : index
        %nearest = arith.constant 0 : index
        %turned = memref.alloca() : memref<32x64xf32>
        %scores = memref.alloca() : memref<32x64xf32>
        %values = memref.alloca() : memref<32x64xf32>
        %maxima = memref.alloca() : memref<32xf32>
        %totals = memref.alloca() : memref<32xf32>
        scf.for %row = %first_row to %end_row step %c1 {
          %within = arith.subi %row, %first_row : index
          %first_query = arith.muli %within, %group : index
          scf.for %g = %c0 to %group step %c1 {
            %query = arith.addi %first_query, %g : index
            %head = arith.addi %q_at, %g : index
            %q_begin = arith.muli %head, %head_dim : index
            scf.for %d = %c0 to %half step %half_width {
              %d_after = arith.addi %d, %half : index
              %a_at = arith.addi %q_begin, %d : index
              %a = vector.load %qkv[%row, %a_at] : memref<64x3072xf32>, vector<16xf32>
              %place_a = arith.constant 0 : index
              %cos_a = vector.load %cos[%row, %place_a, %d] : memref<64x2x32xf32>, vector<16xf32>
              %sin_a = vector.load %sin[%row, %place_a, %d] : memref<64x2x32xf32>, vector<16xf32>
              %b_at = arith.addi %q_begin, %d_after : index
              %b = vector.load %qkv[%row, %b_at] : memref<64x3072xf32>, vector<16xf32>
              %place_b = arith.constant 1 : index
              %cos_b = vector.load %cos[%row, %place_b, %d] : memref<64x2x32xf32>, vector<16xf32>
              %sin_b = vector.load %sin[%row, %place_b, %d] : memref<64x2x32xf32>, vector<16xf32>
              %a_kept = arith.mulf %a, %cos_a : vector<16xf32>
              %a_crossed = arith.mulf %b, %sin_a : vector<16xf32>
              %a_turned = arith.addf %a_kept, %a_crossed : vector<16xf32>
              %a_factor = arith.constant dense<0.125> : vector<16xf32>
              %a_scaled = arith.mulf %a_turned, %a_factor : vector<16xf32>
              vector.store %a_scaled, %turned[%query, %d] : memref<32x64xf32>, vector<16xf32>
              %b_kept = arith.mulf %b, %cos_b : vector<16xf32>
              %b_crossed = arith.mulf %a, %sin_b : vector<16xf32>
              %b_turned = arith.addf %b_kept, %b_crossed : vector<16xf32>
              %b_factor = arith.constant dense<0.125> : vector<16xf32>
              %b_scaled = arith.mulf %b_turned, %b_factor : vector<16xf32>
              vector.store %b_scaled, %turned[%query, %d_after] : memref<32x64xf32>, vector<16xf32>
            }
            memref.store %lowest, %maxima[%query] : memref<32xf32>
            memref.store %none, %totals[%query] : memref<32xf32>
            scf.for %d = %c0 to %head_dim step %head_width {
              vector.store %noughts, %values[%query, %d] : memref<32x64xf32>, vector<16xf32>
            }
          }
        }
        %first_block = arith.divui %nearest, %block : index
        %blocks_seen = arith.ceildivui %end, %block : index
        %is_used = arith.cmpi ult, %first_row, %length : index
        %blocks_end = arith.select %is_used, %blocks_seen, %first_block : index
        scf.for %number = %first_block to %blocks_end step %c1 {
          %block_begin = arith.muli %number, %block : index
          %block_end = arith.addi %block_begin, %block : index
          %from = arith.maxui %nearest, %block_begin : index
          %to = arith.minui %end, %block_end : index
          %places_at_once = arith.constant 32 : index
          %queries_at_once = arith.constant 8 : index
          %queries = arith.constant 32 : index
          %zeros = arith.constant dense<0.0> : vector<8x16xf32>
          scf.for %p0 = %c0 to %block step %places_at_once {
            %p1 = arith.addi %p0, %width : index
            scf.for %q0 = %c0 to %queries step %queries_at_once {
              %q1 = arith.addi %q0, %c1 : index
              %q2 = arith.addi %q1, %c1 : index
              %q3 = arith.addi %q2, %c1 : index
              %q4 = arith.addi %q3, %c1 : index
              %q5 = arith.addi %q4, %c1 : index
              %q6 = arith.addi %q5, %c1 : index
              %q7 = arith.addi %q6, %c1 : index
              %sums:2 = scf.for %d = %c0 to %head_dim step %c1
                  iter_args(%sum0 = %zeros, %sum1 = %zeros)
                  -> (vector<8x16xf32>, vector<8x16xf32>) {
                %x0 = memref.load %turned[%q0, %d] : memref<32x64xf32>
                %x1 = memref.load %turned[%q1, %d] : memref<32x64xf32>
                %x2 = memref.load %turned[%q2, %d] : memref<32x64xf32>
                %x3 = memref.load %turned[%q3, %d] : memref<32x64xf32>
                %x4 = memref.load %turned[%q4, %d] : memref<32x64xf32>
                %x5 = memref.load %turned[%q5, %d] : memref<32x64xf32>
                %x6 = memref.load %turned[%q6, %d] : memref<32x64xf32>
                %x7 = memref.load %turned[%q7, %d] : memref<32x64xf32>
                %column = vector.from_elements %x0, %x1, %x2, %x3, %x4, %x5, %x6, %x7 : vector<8xf32>
              %key0_low = vector.load %k[%layer, %slot, %kv_head, %number, %d, %p0]
                  : memref<16x8x8x32x64x64xbf16>, vector<16xbf16>
              %key0 = arith.extf %key0_low : vector<16xbf16> to vector<16xf32>
                %next0 = vector.outerproduct %column, %key0, %sum0 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
              %key1_low = vector.load %k[%layer, %slot, %kv_head, %number, %d, %p1]
                  : memref<16x8x8x32x64x64xbf16>, vector<16xbf16>
              %key1 = arith.extf %key1_low : vector<16xbf16> to vector<16xf32>
                %next1 = vector.outerproduct %column, %key1, %sum1 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                scf.yield %next0, %next1
                    : vector<8x16xf32>, vector<8x16xf32>
              }
              vector.transfer_write %sums#0, %scores[%q0, %p0] {in_bounds = [true, true]}
                  : vector<8x16xf32>, memref<32x64xf32>
              vector.transfer_write %sums#1, %scores[%q0, %p1] {in_bounds = [true, true]}
                  : vector<8x16xf32>, memref<32x64xf32>
            }
          }
          %lane = vector.step : vector<16xindex>
          %lane_number = arith.index_cast %lane : vector<16xindex> to vector<16xi32>
          %block_begin_i32 = arith.index_cast %block_begin : index to i32
          %lowests = arith.constant dense<0xFF800000> : vector<16xf32>
          %nothing = arith.constant dense<0.0> : vector<16xf32>
          scf.for %row = %first_row to %end_row step %c1 {
            %within = arith.subi %row, %first_row : index
            %first_query = arith.muli %within, %group : index
            %position = arith.addi %start, %row : index
            %after = arith.addi %position, %c1 : index
            %row_end = arith.minui %after, %end : index
            %row_end_i32 = arith.index_cast %row_end : index to i32
            %ends = vector.broadcast %row_end_i32 : i32 to vector<16xi32>
            scf.for %g = %c0 to %group step %c1 {
              %query = arith.addi %first_query, %g : index
              %maxima_each = scf.for %place = %c0 to %block step %width
                  iter_args(%highest = %lowests) -> (vector<16xf32>) {
                %score = vector.load %scores[%query, %place] : memref<32x64xf32>, vector<16xf32>
                %at = arith.addi %block_begin, %place : index
                %at_i32 = arith.index_cast %at : index to i32
                %from_each = vector.broadcast %at_i32 : i32 to vector<16xi32>
                %places = arith.addi %from_each, %lane_number : vector<16xi32>
                %is_seen = arith.cmpi slt, %places, %ends : vector<16xi32>
                %counted = arith.select %is_seen, %score, %lowests : vector<16xi1>, vector<16xf32>
                vector.store %counted, %scores[%query, %place] : memref<32x64xf32>, vector<16xf32>
                %next = arith.maximumf %highest, %counted : vector<16xf32>
                scf.yield %next : vector<16xf32>
              }
              %block_max = vector.reduction <maximumf>, %maxima_each : vector<16xf32> into f32
              %max_before = memref.load %maxima[%query] : memref<32xf32>
              %max = arith.maximumf %max_before, %block_max : f32
              memref.store %max, %maxima[%query] : memref<32xf32>
              %is_none = arith.cmpf oeq, %max, %lowest : f32
              %base = arith.select %is_none, %none, %max : f32
              %bases = vector.broadcast %base : f32 to vector<16xf32>
              %sums_each = scf.for %place = %c0 to %block step %width
                  iter_args(%sum = %nothing) -> (vector<16xf32>) {
                %score = vector.load %scores[%query, %place] : memref<32x64xf32>, vector<16xf32>
                %below = arith.subf %score, %bases : vector<16xf32>
                %weight = math.exp %below : vector<16xf32>
                vector.store %weight, %scores[%query, %place] : memref<32x64xf32>, vector<16xf32>
                %next = arith.addf %sum, %weight : vector<16xf32>
                scf.yield %next : vector<16xf32>
              }
              %sum_of_block = vector.reduction <add>, %sums_each fastmath<reassoc> : vector<16xf32> into f32
              %below_before = arith.subf %max_before, %base : f32
              %share = math.exp %below_before : f32
              %total_before = memref.load %totals[%query] : memref<32xf32>
              %total_shared = arith.mulf %total_before, %share : f32
              %total = arith.addf %total_shared, %sum_of_block : f32
              memref.store %total, %totals[%query] : memref<32xf32>
              %shares = vector.broadcast %share : f32 to vector<16xf32>
              scf.for %d = %c0 to %head_dim step %head_width {
                %held = vector.load %values[%query, %d] : memref<32x64xf32>, vector<16xf32>
                %shared = arith.mulf %held, %shares : vector<16xf32>
                vector.store %shared, %values[%query, %d] : memref<32x64xf32>, vector<16xf32>
              }
            }
          }
          %columns_at_once = arith.constant 32 : index
          scf.for %d0 = %c0 to %head_dim step %columns_at_once {
            %d1 = arith.addi %d0, %head_width : index
            scf.for %q0 = %c0 to %queries step %queries_at_once {
              %q1 = arith.addi %q0, %c1 : index
              %q2 = arith.addi %q1, %c1 : index
              %q3 = arith.addi %q2, %c1 : index
              %q4 = arith.addi %q3, %c1 : index
              %q5 = arith.addi %q4, %c1 : index
              %q6 = arith.addi %q5, %c1 : index
              %q7 = arith.addi %q6, %c1 : index
              %held0 = vector.transfer_read %values[%q0, %d0], %none {in_bounds = [true, true]}
                  : memref<32x64xf32>, vector<8x16xf32>
              %held1 = vector.transfer_read %values[%q0, %d1], %none {in_bounds = [true, true]}
                  : memref<32x64xf32>, vector<8x16xf32>
              %sums:2 = scf.for %at = %from to %to step %c1
                  iter_args(%sum0 = %held0, %sum1 = %held1)
                  -> (vector<8x16xf32>, vector<8x16xf32>) {
                %j = arith.subi %at, %block_begin : index
                %w0 = memref.load %scores[%q0, %j] : memref<32x64xf32>
                %w1 = memref.load %scores[%q1, %j] : memref<32x64xf32>
                %w2 = memref.load %scores[%q2, %j] : memref<32x64xf32>
                %w3 = memref.load %scores[%q3, %j] : memref<32x64xf32>
                %w4 = memref.load %scores[%q4, %j] : memref<32x64xf32>
                %w5 = memref.load %scores[%q5, %j] : memref<32x64xf32>
                %w6 = memref.load %scores[%q6, %j] : memref<32x64xf32>
                %w7 = memref.load %scores[%q7, %j] : memref<32x64xf32>
                %column = vector.from_elements %w0, %w1, %w2, %w3, %w4, %w5, %w6, %w7 : vector<8xf32>
              %value0_low = vector.load %v[%layer, %slot, %kv_head, %number, %j, %d0]
                  : memref<16x8x8x32x64x64xbf16>, vector<16xbf16>
              %value0 = arith.extf %value0_low : vector<16xbf16> to vector<16xf32>
                %next0 = vector.outerproduct %column, %value0, %sum0 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
              %value1_low = vector.load %v[%layer, %slot, %kv_head, %number, %j, %d1]
                  : memref<16x8x8x32x64x64xbf16>, vector<16xbf16>
              %value1 = arith.extf %value1_low : vector<16xbf16> to vector<16xf32>
                %next1 = vector.outerproduct %column, %value1, %sum1 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                scf.yield %next0, %next1
                    : vector<8x16xf32>, vector<8x16xf32>
              }
              vector.transfer_write %sums#0, %values[%q0, %d0] {in_bounds = [true, true]}
                  : vector<8x16xf32>, memref<32x64xf32>
              vector.transfer_write %sums#1, %values[%q0, %d1] {in_bounds = [true, true]}
                  : vector<8x16xf32>, memref<32x64xf32>
            }
          }
        }
        scf.for %row = %first_row to %end_row step %c1 {
          %within = arith.subi %row, %first_row : index
          %first_query = arith.muli %within, %group : index
          scf.for %g = %c0 to %group step %c1 {
            %query = arith.addi %first_query, %g : index
            %head = arith.addi %q_at, %g : index
            %begin = arith.muli %head, %head_dim : index
            %total = memref.load %totals[%query] : memref<32xf32>
            %totals_each = vector.broadcast %total : f32 to vector<16xf32>
            scf.for %d = %c0 to %head_dim step %head_width {
              %value = vector.load %values[%query, %d] : memref<32x64xf32>, vector<16xf32>
              %mean = arith.divf %value, %totals_each : vector<16xf32>
              %at = arith.addi %begin, %d : index
              %mean_low = arith.truncf %mean : vector<16xf32> to vector<16xbf16>
              vector.store %mean_low, %y[%row, %at] : memref<64x2048xbf16>, vector<16xbf16>
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 64 × 2048 by 128 tiles of 16, 6 × 4 at once.
  stream.executable private @o {
    stream.executable.export public @o workgroups() -> (index, index, index) {
      %size1 = arith.constant 16 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @o(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %residual_bytes: !stream.binding,
          %next_norm_bytes: !stream.binding, %y_bytes: !stream.binding, %weighteds_bytes: !stream.binding,
          %square_sums_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<64x1024xi32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<128x1024x16xi32>
        %residual = stream.binding.subspan %residual_bytes[%c0] : !stream.binding -> memref<64x2048xf32>
        %next_norm = stream.binding.subspan %next_norm_bytes[%c0] : !stream.binding -> memref<2048xbf16>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<64x2048xf32>
        %weighteds = stream.binding.subspan %weighteds_bytes[%c0] : !stream.binding -> memref<64x2048xbf16>
        %square_sums = stream.binding.subspan %square_sums_bytes[%c0] : !stream.binding -> memref<64x128xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 1024 : index
        %rows = arith.constant 64 : index
        %rows_at_once = arith.constant 6 : index
        %last_rows = arith.constant 58 : index
        %tiles = arith.constant 128 : index
        %tiles_at_once = arith.constant 4 : index
        %unit = arith.constant 4 : index
        %last_unit = arith.constant 124 : index
        %tiles_of_group = arith.constant 8 : index
        %prefetch = arith.constant 32 : index
        %zeros = arith.constant dense<0.0> : vector<16xf32>
        %room = memref.alloca() : memref<4x6x16xf32>
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 64 : index
        %first_row = arith.muli %row_group, %rows_of_group : index
        %past_row = arith.addi %first_row, %rows_of_group : index
        %end_row = arith.minui %past_row, %rows : index
        scf.for %tile = %first to %end step %unit {
          %first_tile = arith.minui %tile, %last_unit : index
          %n0 = arith.addi %first_tile, %c0 : index
          %n1 = arith.addi %n0, %c1 : index
          %n2 = arith.addi %n1, %c1 : index
          %n3 = arith.addi %n2, %c1 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %m4 = arith.addi %m3, %c1 : index
            %m5 = arith.addi %m4, %c1 : index
            %sums0:24 = scf.for %k = %c0 to %depth step %c1
                iter_args(%sum0_0 = %zeros, %sum0_1 = %zeros, %sum0_2 = %zeros, %sum0_3 = %zeros, %sum0_4 = %zeros,
                          %sum0_5 = %zeros, %sum1_0 = %zeros, %sum1_1 = %zeros, %sum1_2 = %zeros, %sum1_3 = %zeros,
                          %sum1_4 = %zeros, %sum1_5 = %zeros, %sum2_0 = %zeros, %sum2_1 = %zeros, %sum2_2 = %zeros,
                          %sum2_3 = %zeros, %sum2_4 = %zeros, %sum2_5 = %zeros, %sum3_0 = %zeros, %sum3_1 = %zeros,
                          %sum3_2 = %zeros, %sum3_3 = %zeros, %sum3_4 = %zeros, %sum3_5 = %zeros)
                -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
              %stored0 = vector.load %w[%n0, %k, %c0] : memref<128x1024x16xi32>, vector<16xi32>
              %w0 = vector.bitcast %stored0 : vector<16xi32> to vector<32xbf16>
              %stored1 = vector.load %w[%n1, %k, %c0] : memref<128x1024x16xi32>, vector<16xi32>
              %w1 = vector.bitcast %stored1 : vector<16xi32> to vector<32xbf16>
              %stored2 = vector.load %w[%n2, %k, %c0] : memref<128x1024x16xi32>, vector<16xi32>
              %w2 = vector.bitcast %stored2 : vector<16xi32> to vector<32xbf16>
              %stored3 = vector.load %w[%n3, %k, %c0] : memref<128x1024x16xi32>, vector<16xi32>
              %w3 = vector.bitcast %stored3 : vector<16xi32> to vector<32xbf16>
              %pair0 = memref.load %x[%m0, %k] : memref<64x1024xi32>
              %pairs0 = vector.broadcast %pair0 : i32 to vector<16xi32>
              %x0 = vector.bitcast %pairs0 : vector<16xi32> to vector<32xbf16>
              %next0_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_0, %w0, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_0, %w1, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_0, %w2, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_0, %w3, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair1 = memref.load %x[%m1, %k] : memref<64x1024xi32>
              %pairs1 = vector.broadcast %pair1 : i32 to vector<16xi32>
              %x1 = vector.bitcast %pairs1 : vector<16xi32> to vector<32xbf16>
              %next0_1 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_1, %w0, %x1)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_1 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_1, %w1, %x1)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_1 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_1, %w2, %x1)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_1 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_1, %w3, %x1)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair2 = memref.load %x[%m2, %k] : memref<64x1024xi32>
              %pairs2 = vector.broadcast %pair2 : i32 to vector<16xi32>
              %x2 = vector.bitcast %pairs2 : vector<16xi32> to vector<32xbf16>
              %next0_2 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_2, %w0, %x2)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_2 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_2, %w1, %x2)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_2 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_2, %w2, %x2)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_2 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_2, %w3, %x2)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair3 = memref.load %x[%m3, %k] : memref<64x1024xi32>
              %pairs3 = vector.broadcast %pair3 : i32 to vector<16xi32>
              %x3 = vector.bitcast %pairs3 : vector<16xi32> to vector<32xbf16>
              %next0_3 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_3, %w0, %x3)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_3 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_3, %w1, %x3)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_3 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_3, %w2, %x3)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_3 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_3, %w3, %x3)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair4 = memref.load %x[%m4, %k] : memref<64x1024xi32>
              %pairs4 = vector.broadcast %pair4 : i32 to vector<16xi32>
              %x4 = vector.bitcast %pairs4 : vector<16xi32> to vector<32xbf16>
              %next0_4 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_4, %w0, %x4)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_4 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_4, %w1, %x4)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_4 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_4, %w2, %x4)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_4 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_4, %w3, %x4)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair5 = memref.load %x[%m5, %k] : memref<64x1024xi32>
              %pairs5 = vector.broadcast %pair5 : i32 to vector<16xi32>
              %x5 = vector.bitcast %pairs5 : vector<16xi32> to vector<32xbf16>
              %next0_5 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_5, %w0, %x5)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_5 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_5, %w1, %x5)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_5 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_5, %w2, %x5)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_5 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_5, %w3, %x5)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              scf.yield %next0_0, %next0_1, %next0_2, %next0_3, %next0_4, %next0_5, %next1_0, %next1_1, %next1_2,
                        %next1_3, %next1_4, %next1_5, %next2_0, %next2_1, %next2_2, %next2_3, %next2_4, %next2_5,
                        %next3_0, %next3_1, %next3_2, %next3_3, %next3_4, %next3_5
                  : vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
            }
            %place0 = arith.constant 0 : index
            %place0_0 = arith.constant 0 : index
            vector.store %sums0#0, %room[%place0, %place0_0, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_1 = arith.constant 1 : index
            vector.store %sums0#1, %room[%place0, %place0_1, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_2 = arith.constant 2 : index
            vector.store %sums0#2, %room[%place0, %place0_2, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_3 = arith.constant 3 : index
            vector.store %sums0#3, %room[%place0, %place0_3, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_4 = arith.constant 4 : index
            vector.store %sums0#4, %room[%place0, %place0_4, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_5 = arith.constant 5 : index
            vector.store %sums0#5, %room[%place0, %place0_5, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1 = arith.constant 1 : index
            %place1_0 = arith.constant 0 : index
            vector.store %sums0#6, %room[%place1, %place1_0, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_1 = arith.constant 1 : index
            vector.store %sums0#7, %room[%place1, %place1_1, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_2 = arith.constant 2 : index
            vector.store %sums0#8, %room[%place1, %place1_2, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_3 = arith.constant 3 : index
            vector.store %sums0#9, %room[%place1, %place1_3, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_4 = arith.constant 4 : index
            vector.store %sums0#10, %room[%place1, %place1_4, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_5 = arith.constant 5 : index
            vector.store %sums0#11, %room[%place1, %place1_5, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2 = arith.constant 2 : index
            %place2_0 = arith.constant 0 : index
            vector.store %sums0#12, %room[%place2, %place2_0, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_1 = arith.constant 1 : index
            vector.store %sums0#13, %room[%place2, %place2_1, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_2 = arith.constant 2 : index
            vector.store %sums0#14, %room[%place2, %place2_2, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_3 = arith.constant 3 : index
            vector.store %sums0#15, %room[%place2, %place2_3, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_4 = arith.constant 4 : index
            vector.store %sums0#16, %room[%place2, %place2_4, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_5 = arith.constant 5 : index
            vector.store %sums0#17, %room[%place2, %place2_5, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3 = arith.constant 3 : index
            %place3_0 = arith.constant 0 : index
            vector.store %sums0#18, %room[%place3, %place3_0, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_1 = arith.constant 1 : index
            vector.store %sums0#19, %room[%place3, %place3_1, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_2 = arith.constant 2 : index
            vector.store %sums0#20, %room[%place3, %place3_2, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_3 = arith.constant 3 : index
            vector.store %sums0#21, %room[%place3, %place3_3, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_4 = arith.constant 4 : index
            vector.store %sums0#22, %room[%place3, %place3_4, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_5 = arith.constant 5 : index
            vector.store %sums0#23, %room[%place3, %place3_5, %c0] : memref<4x6x16xf32>, vector<16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<4x6x16xf32>, vector<16xf32>
                %before = vector.load %residual[%r, %at] : memref<64x2048xf32>, vector<16xf32>
                %added = arith.addf %y_sum, %before : vector<16xf32>
                vector.store %added, %y[%r, %at] : memref<64x2048xf32>, vector<16xf32>
                %gain_stored = vector.load %next_norm[%at] : memref<2048xbf16>, vector<16xbf16>
                %gain = arith.extf %gain_stored : vector<16xbf16> to vector<16xf32>
                %weighted = arith.mulf %added, %gain : vector<16xf32>
                %weighted_low = arith.truncf %weighted : vector<16xf32> to vector<16xbf16>
                vector.store %weighted_low, %weighteds[%r, %at] : memref<64x2048xbf16>, vector<16xbf16>
                %square = arith.mulf %added, %added : vector<16xf32>
                %square_sum = vector.reduction <add>, %square fastmath<reassoc> : vector<16xf32> into f32
                memref.store %square_sum, %square_sums[%r, %n] : memref<64x128xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 64 × 2048 by 1024 tiles of 16, 6 × 4 at once.
  stream.executable private @gate_up {
    stream.executable.export public @gate_up workgroups() -> (index, index, index) {
      %size1 = arith.constant 128 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @gate_up(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %squares_bytes: !stream.binding,
          %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<64x1024xi32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<1024x1024x16xi32>
        %squares = stream.binding.subspan %squares_bytes[%c0] : !stream.binding -> memref<64x128xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<64x8192xbf16>
        %width = arith.constant 16 : index
        %depth = arith.constant 1024 : index
        %rows = arith.constant 64 : index
        %rows_at_once = arith.constant 6 : index
        %last_rows = arith.constant 58 : index
        %tiles = arith.constant 1024 : index
        %tiles_at_once = arith.constant 4 : index
        %unit = arith.constant 4 : index
        %last_unit = arith.constant 1020 : index
        %tiles_of_group = arith.constant 8 : index
        %prefetch = arith.constant 32 : index
        %c2 = arith.constant 2 : index
        %zeros = arith.constant dense<0.0> : vector<16xf32>
        %room = memref.alloca() : memref<4x6x16xf32>
        %scales = memref.alloca() : memref<64xf32>
        %parts = arith.constant 128 : index
        %parts_at_once = arith.constant 16 : index
        %none = arith.constant dense<0.0> : vector<16xf32>
        scf.for %row = %c0 to %rows step %c1 {
          %partial = scf.for %at = %c0 to %parts step %parts_at_once iter_args(%sum = %none) -> (vector<16xf32>) {
            %more = vector.load %squares[%row, %at] : memref<64x128xf32>, vector<16xf32>
            %next = arith.addf %sum, %more : vector<16xf32>
            scf.yield %next : vector<16xf32>
          }
          %total = vector.reduction <add>, %partial fastmath<reassoc> : vector<16xf32> into f32
          %scale_length = arith.constant 2048.0 : f32
          %scale_eps = arith.constant 1.0e-05 : f32
          %scale_one = arith.constant 1.0 : f32
          %scale_mean = arith.divf %total, %scale_length : f32
          %scale_shifted = arith.addf %scale_mean, %scale_eps : f32
          %scale_root = math.sqrt %scale_shifted : f32
          %scale = arith.divf %scale_one, %scale_root : f32
          memref.store %scale, %scales[%row] : memref<64xf32>
        }
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 64 : index
        %first_row = arith.muli %row_group, %rows_of_group : index
        %past_row = arith.addi %first_row, %rows_of_group : index
        %end_row = arith.minui %past_row, %rows : index
        scf.for %tile = %first to %end step %unit {
          %first_tile = arith.minui %tile, %last_unit : index
          %n0 = arith.addi %first_tile, %c0 : index
          %n1 = arith.addi %n0, %c1 : index
          %n2 = arith.addi %n1, %c1 : index
          %n3 = arith.addi %n2, %c1 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %m4 = arith.addi %m3, %c1 : index
            %m5 = arith.addi %m4, %c1 : index
            %sums0:24 = scf.for %k = %c0 to %depth step %c1
                iter_args(%sum0_0 = %zeros, %sum0_1 = %zeros, %sum0_2 = %zeros, %sum0_3 = %zeros, %sum0_4 = %zeros,
                          %sum0_5 = %zeros, %sum1_0 = %zeros, %sum1_1 = %zeros, %sum1_2 = %zeros, %sum1_3 = %zeros,
                          %sum1_4 = %zeros, %sum1_5 = %zeros, %sum2_0 = %zeros, %sum2_1 = %zeros, %sum2_2 = %zeros,
                          %sum2_3 = %zeros, %sum2_4 = %zeros, %sum2_5 = %zeros, %sum3_0 = %zeros, %sum3_1 = %zeros,
                          %sum3_2 = %zeros, %sum3_3 = %zeros, %sum3_4 = %zeros, %sum3_5 = %zeros)
                -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
              %stored0 = vector.load %w[%n0, %k, %c0] : memref<1024x1024x16xi32>, vector<16xi32>
              %w0 = vector.bitcast %stored0 : vector<16xi32> to vector<32xbf16>
              %stored1 = vector.load %w[%n1, %k, %c0] : memref<1024x1024x16xi32>, vector<16xi32>
              %w1 = vector.bitcast %stored1 : vector<16xi32> to vector<32xbf16>
              %stored2 = vector.load %w[%n2, %k, %c0] : memref<1024x1024x16xi32>, vector<16xi32>
              %w2 = vector.bitcast %stored2 : vector<16xi32> to vector<32xbf16>
              %stored3 = vector.load %w[%n3, %k, %c0] : memref<1024x1024x16xi32>, vector<16xi32>
              %w3 = vector.bitcast %stored3 : vector<16xi32> to vector<32xbf16>
              %pair0 = memref.load %x[%m0, %k] : memref<64x1024xi32>
              %pairs0 = vector.broadcast %pair0 : i32 to vector<16xi32>
              %x0 = vector.bitcast %pairs0 : vector<16xi32> to vector<32xbf16>
              %next0_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_0, %w0, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_0, %w1, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_0, %w2, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_0, %w3, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair1 = memref.load %x[%m1, %k] : memref<64x1024xi32>
              %pairs1 = vector.broadcast %pair1 : i32 to vector<16xi32>
              %x1 = vector.bitcast %pairs1 : vector<16xi32> to vector<32xbf16>
              %next0_1 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_1, %w0, %x1)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_1 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_1, %w1, %x1)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_1 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_1, %w2, %x1)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_1 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_1, %w3, %x1)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair2 = memref.load %x[%m2, %k] : memref<64x1024xi32>
              %pairs2 = vector.broadcast %pair2 : i32 to vector<16xi32>
              %x2 = vector.bitcast %pairs2 : vector<16xi32> to vector<32xbf16>
              %next0_2 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_2, %w0, %x2)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_2 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_2, %w1, %x2)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_2 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_2, %w2, %x2)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_2 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_2, %w3, %x2)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair3 = memref.load %x[%m3, %k] : memref<64x1024xi32>
              %pairs3 = vector.broadcast %pair3 : i32 to vector<16xi32>
              %x3 = vector.bitcast %pairs3 : vector<16xi32> to vector<32xbf16>
              %next0_3 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_3, %w0, %x3)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_3 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_3, %w1, %x3)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_3 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_3, %w2, %x3)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_3 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_3, %w3, %x3)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair4 = memref.load %x[%m4, %k] : memref<64x1024xi32>
              %pairs4 = vector.broadcast %pair4 : i32 to vector<16xi32>
              %x4 = vector.bitcast %pairs4 : vector<16xi32> to vector<32xbf16>
              %next0_4 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_4, %w0, %x4)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_4 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_4, %w1, %x4)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_4 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_4, %w2, %x4)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_4 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_4, %w3, %x4)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair5 = memref.load %x[%m5, %k] : memref<64x1024xi32>
              %pairs5 = vector.broadcast %pair5 : i32 to vector<16xi32>
              %x5 = vector.bitcast %pairs5 : vector<16xi32> to vector<32xbf16>
              %next0_5 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_5, %w0, %x5)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_5 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_5, %w1, %x5)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_5 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_5, %w2, %x5)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_5 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_5, %w3, %x5)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              scf.yield %next0_0, %next0_1, %next0_2, %next0_3, %next0_4, %next0_5, %next1_0, %next1_1, %next1_2,
                        %next1_3, %next1_4, %next1_5, %next2_0, %next2_1, %next2_2, %next2_3, %next2_4, %next2_5,
                        %next3_0, %next3_1, %next3_2, %next3_3, %next3_4, %next3_5
                  : vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
            }
            %place0 = arith.constant 0 : index
            %place0_0 = arith.constant 0 : index
            vector.store %sums0#0, %room[%place0, %place0_0, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_1 = arith.constant 1 : index
            vector.store %sums0#1, %room[%place0, %place0_1, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_2 = arith.constant 2 : index
            vector.store %sums0#2, %room[%place0, %place0_2, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_3 = arith.constant 3 : index
            vector.store %sums0#3, %room[%place0, %place0_3, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_4 = arith.constant 4 : index
            vector.store %sums0#4, %room[%place0, %place0_4, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_5 = arith.constant 5 : index
            vector.store %sums0#5, %room[%place0, %place0_5, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1 = arith.constant 1 : index
            %place1_0 = arith.constant 0 : index
            vector.store %sums0#6, %room[%place1, %place1_0, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_1 = arith.constant 1 : index
            vector.store %sums0#7, %room[%place1, %place1_1, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_2 = arith.constant 2 : index
            vector.store %sums0#8, %room[%place1, %place1_2, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_3 = arith.constant 3 : index
            vector.store %sums0#9, %room[%place1, %place1_3, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_4 = arith.constant 4 : index
            vector.store %sums0#10, %room[%place1, %place1_4, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_5 = arith.constant 5 : index
            vector.store %sums0#11, %room[%place1, %place1_5, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2 = arith.constant 2 : index
            %place2_0 = arith.constant 0 : index
            vector.store %sums0#12, %room[%place2, %place2_0, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_1 = arith.constant 1 : index
            vector.store %sums0#13, %room[%place2, %place2_1, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_2 = arith.constant 2 : index
            vector.store %sums0#14, %room[%place2, %place2_2, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_3 = arith.constant 3 : index
            vector.store %sums0#15, %room[%place2, %place2_3, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_4 = arith.constant 4 : index
            vector.store %sums0#16, %room[%place2, %place2_4, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_5 = arith.constant 5 : index
            vector.store %sums0#17, %room[%place2, %place2_5, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3 = arith.constant 3 : index
            %place3_0 = arith.constant 0 : index
            vector.store %sums0#18, %room[%place3, %place3_0, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_1 = arith.constant 1 : index
            vector.store %sums0#19, %room[%place3, %place3_1, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_2 = arith.constant 2 : index
            vector.store %sums0#20, %room[%place3, %place3_2, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_3 = arith.constant 3 : index
            vector.store %sums0#21, %room[%place3, %place3_3, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_4 = arith.constant 4 : index
            vector.store %sums0#22, %room[%place3, %place3_4, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_5 = arith.constant 5 : index
            vector.store %sums0#23, %room[%place3, %place3_5, %c0] : memref<4x6x16xf32>, vector<16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              %scale = memref.load %scales[%r] : memref<64xf32>
              %scaling = vector.broadcast %scale : f32 to vector<16xf32>
              scf.for %t = %c0 to %unit step %c2 {
                %t_up = arith.addi %t, %c1 : index
                %n = arith.addi %first_tile, %t : index
                %pair = arith.divui %n, %c2 : index
                %at = arith.muli %pair, %width : index
                %gate_sum = vector.load %room[%t, %m, %c0] : memref<4x6x16xf32>, vector<16xf32>
                %gate_scaled = arith.mulf %gate_sum, %scaling : vector<16xf32>
                %up_sum = vector.load %room[%t_up, %m, %c0] : memref<4x6x16xf32>, vector<16xf32>
                %up_scaled = arith.mulf %up_sum, %scaling : vector<16xf32>
                %minus = arith.negf %gate_scaled : vector<16xf32>
                %exp = math.exp %minus : vector<16xf32>
                %ones = arith.constant dense<1.0> : vector<16xf32>
                %above = arith.addf %exp, %ones : vector<16xf32>
                %activated = arith.divf %gate_scaled, %above : vector<16xf32>
                %both = arith.mulf %activated, %up_scaled : vector<16xf32>
                %both_low = arith.truncf %both : vector<16xf32> to vector<16xbf16>
                vector.store %both_low, %y[%r, %at] : memref<64x8192xbf16>, vector<16xbf16>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 64 × 8192 by 128 tiles of 16, 6 × 4 at once.
  stream.executable private @down {
    stream.executable.export public @down workgroups() -> (index, index, index) {
      %size1 = arith.constant 16 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @down(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %residual_bytes: !stream.binding,
          %next_norm_bytes: !stream.binding, %y_bytes: !stream.binding, %weighteds_bytes: !stream.binding,
          %square_sums_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<64x4096xi32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<128x4096x16xi32>
        %residual = stream.binding.subspan %residual_bytes[%c0] : !stream.binding -> memref<64x2048xf32>
        %next_norm = stream.binding.subspan %next_norm_bytes[%c0] : !stream.binding -> memref<2048xbf16>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<64x2048xf32>
        %weighteds = stream.binding.subspan %weighteds_bytes[%c0] : !stream.binding -> memref<64x2048xbf16>
        %square_sums = stream.binding.subspan %square_sums_bytes[%c0] : !stream.binding -> memref<64x128xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 4096 : index
        %rows = arith.constant 64 : index
        %rows_at_once = arith.constant 6 : index
        %last_rows = arith.constant 58 : index
        %tiles = arith.constant 128 : index
        %tiles_at_once = arith.constant 4 : index
        %unit = arith.constant 4 : index
        %last_unit = arith.constant 124 : index
        %tiles_of_group = arith.constant 8 : index
        %prefetch = arith.constant 32 : index
        %zeros = arith.constant dense<0.0> : vector<16xf32>
        %room = memref.alloca() : memref<4x6x16xf32>
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 64 : index
        %first_row = arith.muli %row_group, %rows_of_group : index
        %past_row = arith.addi %first_row, %rows_of_group : index
        %end_row = arith.minui %past_row, %rows : index
        scf.for %tile = %first to %end step %unit {
          %first_tile = arith.minui %tile, %last_unit : index
          %n0 = arith.addi %first_tile, %c0 : index
          %n1 = arith.addi %n0, %c1 : index
          %n2 = arith.addi %n1, %c1 : index
          %n3 = arith.addi %n2, %c1 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %m4 = arith.addi %m3, %c1 : index
            %m5 = arith.addi %m4, %c1 : index
            %sums0:24 = scf.for %k = %c0 to %depth step %c1
                iter_args(%sum0_0 = %zeros, %sum0_1 = %zeros, %sum0_2 = %zeros, %sum0_3 = %zeros, %sum0_4 = %zeros,
                          %sum0_5 = %zeros, %sum1_0 = %zeros, %sum1_1 = %zeros, %sum1_2 = %zeros, %sum1_3 = %zeros,
                          %sum1_4 = %zeros, %sum1_5 = %zeros, %sum2_0 = %zeros, %sum2_1 = %zeros, %sum2_2 = %zeros,
                          %sum2_3 = %zeros, %sum2_4 = %zeros, %sum2_5 = %zeros, %sum3_0 = %zeros, %sum3_1 = %zeros,
                          %sum3_2 = %zeros, %sum3_3 = %zeros, %sum3_4 = %zeros, %sum3_5 = %zeros)
                -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
              %stored0 = vector.load %w[%n0, %k, %c0] : memref<128x4096x16xi32>, vector<16xi32>
              %w0 = vector.bitcast %stored0 : vector<16xi32> to vector<32xbf16>
              %stored1 = vector.load %w[%n1, %k, %c0] : memref<128x4096x16xi32>, vector<16xi32>
              %w1 = vector.bitcast %stored1 : vector<16xi32> to vector<32xbf16>
              %stored2 = vector.load %w[%n2, %k, %c0] : memref<128x4096x16xi32>, vector<16xi32>
              %w2 = vector.bitcast %stored2 : vector<16xi32> to vector<32xbf16>
              %stored3 = vector.load %w[%n3, %k, %c0] : memref<128x4096x16xi32>, vector<16xi32>
              %w3 = vector.bitcast %stored3 : vector<16xi32> to vector<32xbf16>
              %pair0 = memref.load %x[%m0, %k] : memref<64x4096xi32>
              %pairs0 = vector.broadcast %pair0 : i32 to vector<16xi32>
              %x0 = vector.bitcast %pairs0 : vector<16xi32> to vector<32xbf16>
              %next0_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_0, %w0, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_0, %w1, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_0, %w2, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_0, %w3, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair1 = memref.load %x[%m1, %k] : memref<64x4096xi32>
              %pairs1 = vector.broadcast %pair1 : i32 to vector<16xi32>
              %x1 = vector.bitcast %pairs1 : vector<16xi32> to vector<32xbf16>
              %next0_1 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_1, %w0, %x1)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_1 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_1, %w1, %x1)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_1 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_1, %w2, %x1)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_1 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_1, %w3, %x1)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair2 = memref.load %x[%m2, %k] : memref<64x4096xi32>
              %pairs2 = vector.broadcast %pair2 : i32 to vector<16xi32>
              %x2 = vector.bitcast %pairs2 : vector<16xi32> to vector<32xbf16>
              %next0_2 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_2, %w0, %x2)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_2 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_2, %w1, %x2)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_2 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_2, %w2, %x2)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_2 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_2, %w3, %x2)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair3 = memref.load %x[%m3, %k] : memref<64x4096xi32>
              %pairs3 = vector.broadcast %pair3 : i32 to vector<16xi32>
              %x3 = vector.bitcast %pairs3 : vector<16xi32> to vector<32xbf16>
              %next0_3 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_3, %w0, %x3)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_3 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_3, %w1, %x3)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_3 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_3, %w2, %x3)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_3 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_3, %w3, %x3)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair4 = memref.load %x[%m4, %k] : memref<64x4096xi32>
              %pairs4 = vector.broadcast %pair4 : i32 to vector<16xi32>
              %x4 = vector.bitcast %pairs4 : vector<16xi32> to vector<32xbf16>
              %next0_4 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_4, %w0, %x4)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_4 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_4, %w1, %x4)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_4 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_4, %w2, %x4)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_4 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_4, %w3, %x4)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %pair5 = memref.load %x[%m5, %k] : memref<64x4096xi32>
              %pairs5 = vector.broadcast %pair5 : i32 to vector<16xi32>
              %x5 = vector.bitcast %pairs5 : vector<16xi32> to vector<32xbf16>
              %next0_5 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_5, %w0, %x5)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_5 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_5, %w1, %x5)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_5 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_5, %w2, %x5)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_5 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_5, %w3, %x5)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              scf.yield %next0_0, %next0_1, %next0_2, %next0_3, %next0_4, %next0_5, %next1_0, %next1_1, %next1_2,
                        %next1_3, %next1_4, %next1_5, %next2_0, %next2_1, %next2_2, %next2_3, %next2_4, %next2_5,
                        %next3_0, %next3_1, %next3_2, %next3_3, %next3_4, %next3_5
                  : vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>,
                    vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
            }
            %place0 = arith.constant 0 : index
            %place0_0 = arith.constant 0 : index
            vector.store %sums0#0, %room[%place0, %place0_0, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_1 = arith.constant 1 : index
            vector.store %sums0#1, %room[%place0, %place0_1, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_2 = arith.constant 2 : index
            vector.store %sums0#2, %room[%place0, %place0_2, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_3 = arith.constant 3 : index
            vector.store %sums0#3, %room[%place0, %place0_3, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_4 = arith.constant 4 : index
            vector.store %sums0#4, %room[%place0, %place0_4, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place0_5 = arith.constant 5 : index
            vector.store %sums0#5, %room[%place0, %place0_5, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1 = arith.constant 1 : index
            %place1_0 = arith.constant 0 : index
            vector.store %sums0#6, %room[%place1, %place1_0, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_1 = arith.constant 1 : index
            vector.store %sums0#7, %room[%place1, %place1_1, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_2 = arith.constant 2 : index
            vector.store %sums0#8, %room[%place1, %place1_2, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_3 = arith.constant 3 : index
            vector.store %sums0#9, %room[%place1, %place1_3, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_4 = arith.constant 4 : index
            vector.store %sums0#10, %room[%place1, %place1_4, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place1_5 = arith.constant 5 : index
            vector.store %sums0#11, %room[%place1, %place1_5, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2 = arith.constant 2 : index
            %place2_0 = arith.constant 0 : index
            vector.store %sums0#12, %room[%place2, %place2_0, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_1 = arith.constant 1 : index
            vector.store %sums0#13, %room[%place2, %place2_1, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_2 = arith.constant 2 : index
            vector.store %sums0#14, %room[%place2, %place2_2, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_3 = arith.constant 3 : index
            vector.store %sums0#15, %room[%place2, %place2_3, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_4 = arith.constant 4 : index
            vector.store %sums0#16, %room[%place2, %place2_4, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place2_5 = arith.constant 5 : index
            vector.store %sums0#17, %room[%place2, %place2_5, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3 = arith.constant 3 : index
            %place3_0 = arith.constant 0 : index
            vector.store %sums0#18, %room[%place3, %place3_0, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_1 = arith.constant 1 : index
            vector.store %sums0#19, %room[%place3, %place3_1, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_2 = arith.constant 2 : index
            vector.store %sums0#20, %room[%place3, %place3_2, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_3 = arith.constant 3 : index
            vector.store %sums0#21, %room[%place3, %place3_3, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_4 = arith.constant 4 : index
            vector.store %sums0#22, %room[%place3, %place3_4, %c0] : memref<4x6x16xf32>, vector<16xf32>
            %place3_5 = arith.constant 5 : index
            vector.store %sums0#23, %room[%place3, %place3_5, %c0] : memref<4x6x16xf32>, vector<16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<4x6x16xf32>, vector<16xf32>
                %before = vector.load %residual[%r, %at] : memref<64x2048xf32>, vector<16xf32>
                %added = arith.addf %y_sum, %before : vector<16xf32>
                vector.store %added, %y[%r, %at] : memref<64x2048xf32>, vector<16xf32>
                %gain_stored = vector.load %next_norm[%at] : memref<2048xbf16>, vector<16xbf16>
                %gain = arith.extf %gain_stored : vector<16xbf16> to vector<16xf32>
                %weighted = arith.mulf %added, %gain : vector<16xf32>
                %weighted_low = arith.truncf %weighted : vector<16xf32> to vector<16xbf16>
                vector.store %weighted_low, %weighteds[%r, %at] : memref<64x2048xbf16>, vector<16xbf16>
                %square = arith.mulf %added, %added : vector<16xf32>
                %square_sum = vector.reduction <add>, %square fastmath<reassoc> : vector<16xf32> into f32
                memref.store %square_sum, %square_sums[%r, %n] : memref<64x128xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 1 × 2048 by 8016 tiles of 16, 1 × 4 at once.
  stream.executable private @head {
    stream.executable.export public @head workgroups() -> (index, index, index) {
      %size1 = arith.constant 2004 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @head(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %squares_bytes: !stream.binding,
          %y_bytes: !stream.binding, %largests_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<1x1024xi32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<8016x1024x16xi32>
        %squares = stream.binding.subspan %squares_bytes[%c0] : !stream.binding -> memref<1x128xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<1x128256xf32>
        %largests = stream.binding.subspan %largests_bytes[%c0] : !stream.binding -> memref<1x8016xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 1024 : index
        %rows = arith.constant 1 : index
        %rows_at_once = arith.constant 1 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 8016 : index
        %tiles_at_once = arith.constant 4 : index
        %unit = arith.constant 4 : index
        %last_unit = arith.constant 8012 : index
        %tiles_of_group = arith.constant 4 : index
        %prefetch = arith.constant 32 : index
        %zeros = arith.constant dense<0.0> : vector<16xf32>
        %room = memref.alloca() : memref<4x1x16xf32>
        %scales = memref.alloca() : memref<1xf32>
        %parts = arith.constant 128 : index
        %parts_at_once = arith.constant 16 : index
        %none = arith.constant dense<0.0> : vector<16xf32>
        scf.for %row = %c0 to %rows step %c1 {
          %partial = scf.for %at = %c0 to %parts step %parts_at_once iter_args(%sum = %none) -> (vector<16xf32>) {
            %more = vector.load %squares[%row, %at] : memref<1x128xf32>, vector<16xf32>
            %next = arith.addf %sum, %more : vector<16xf32>
            scf.yield %next : vector<16xf32>
          }
          %total = vector.reduction <add>, %partial fastmath<reassoc> : vector<16xf32> into f32
          %scale_length = arith.constant 2048.0 : f32
          %scale_eps = arith.constant 1.0e-05 : f32
          %scale_one = arith.constant 1.0 : f32
          %scale_mean = arith.divf %total, %scale_length : f32
          %scale_shifted = arith.addf %scale_mean, %scale_eps : f32
          %scale_root = math.sqrt %scale_shifted : f32
          %scale = arith.divf %scale_one, %scale_root : f32
          memref.store %scale, %scales[%row] : memref<1xf32>
        }
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 1 : index
        %first_row = arith.muli %row_group, %rows_of_group : index
        %past_row = arith.addi %first_row, %rows_of_group : index
        %end_row = arith.minui %past_row, %rows : index
        scf.for %tile = %first to %end step %unit {
          %first_tile = arith.minui %tile, %last_unit : index
          %n0 = arith.addi %first_tile, %c0 : index
          %n1 = arith.addi %n0, %c1 : index
          %n2 = arith.addi %n1, %c1 : index
          %n3 = arith.addi %n2, %c1 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %sums0:4 = scf.for %k = %c0 to %depth step %c1
                iter_args(%sum0_0 = %zeros, %sum1_0 = %zeros, %sum2_0 = %zeros, %sum3_0 = %zeros)
                -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
              %stored0 = vector.load %w[%n0, %k, %c0] : memref<8016x1024x16xi32>, vector<16xi32>
              %w0 = vector.bitcast %stored0 : vector<16xi32> to vector<32xbf16>
              %stored1 = vector.load %w[%n1, %k, %c0] : memref<8016x1024x16xi32>, vector<16xi32>
              %w1 = vector.bitcast %stored1 : vector<16xi32> to vector<32xbf16>
              %stored2 = vector.load %w[%n2, %k, %c0] : memref<8016x1024x16xi32>, vector<16xi32>
              %w2 = vector.bitcast %stored2 : vector<16xi32> to vector<32xbf16>
              %stored3 = vector.load %w[%n3, %k, %c0] : memref<8016x1024x16xi32>, vector<16xi32>
              %w3 = vector.bitcast %stored3 : vector<16xi32> to vector<32xbf16>
              %pair0 = memref.load %x[%m0, %k] : memref<1x1024xi32>
              %pairs0 = vector.broadcast %pair0 : i32 to vector<16xi32>
              %x0 = vector.bitcast %pairs0 : vector<16xi32> to vector<32xbf16>
              %next0_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum0_0, %w0, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next1_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum1_0, %w1, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next2_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum2_0, %w2, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              %next3_0 = llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"(%sum3_0, %w3, %x0)
                  : (vector<16xf32>, vector<32xbf16>, vector<32xbf16>) -> vector<16xf32>
              scf.yield %next0_0, %next1_0, %next2_0, %next3_0
                  : vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
            }
            %place0 = arith.constant 0 : index
            %place0_0 = arith.constant 0 : index
            vector.store %sums0#0, %room[%place0, %place0_0, %c0] : memref<4x1x16xf32>, vector<16xf32>
            %place1 = arith.constant 1 : index
            %place1_0 = arith.constant 0 : index
            vector.store %sums0#1, %room[%place1, %place1_0, %c0] : memref<4x1x16xf32>, vector<16xf32>
            %place2 = arith.constant 2 : index
            %place2_0 = arith.constant 0 : index
            vector.store %sums0#2, %room[%place2, %place2_0, %c0] : memref<4x1x16xf32>, vector<16xf32>
            %place3 = arith.constant 3 : index
            %place3_0 = arith.constant 0 : index
            vector.store %sums0#3, %room[%place3, %place3_0, %c0] : memref<4x1x16xf32>, vector<16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              %scale = memref.load %scales[%r] : memref<1xf32>
              %scaling = vector.broadcast %scale : f32 to vector<16xf32>
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<4x1x16xf32>, vector<16xf32>
                %y_scaled = arith.mulf %y_sum, %scaling : vector<16xf32>
                vector.store %y_scaled, %y[%r, %at] : memref<1x128256xf32>, vector<16xf32>
                %largest = vector.reduction <maximumf>, %y_scaled : vector<16xf32> into f32
                memref.store %largest, %largests[%r, %n] : memref<1x8016xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // The lowest index of each row's largest logit.
  stream.executable private @argmax {
    stream.executable.export public @argmax workgroups() -> (index, index, index) {
      %size1 = arith.constant 1 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @argmax(
          %largests_bytes: !stream.binding, %logits_bytes: !stream.binding, %tokens_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %largests = stream.binding.subspan %largests_bytes[%c0] : !stream.binding -> memref<1x8016xf32>
        %logits = stream.binding.subspan %logits_bytes[%c0] : !stream.binding -> memref<1x128256xf32>
        %tokens = stream.binding.subspan %tokens_bytes[%c0] : !stream.binding -> memref<1xi32>
        %row = stream.dispatch.workgroup.id[0] : index
        %width = arith.constant 16 : index
        %tiles = arith.constant 8016 : index
        %lowest = arith.constant dense<0xFF800000> : vector<16xf32>
        %maxima = scf.for %at = %c0 to %tiles step %width iter_args(%max = %lowest) -> (vector<16xf32>) {
          %more = vector.load %largests[%row, %at] : memref<1x8016xf32>, vector<16xf32>
          %next = arith.maximumf %max, %more : vector<16xf32>
          scf.yield %next : vector<16xf32>
        }
        %max = vector.reduction <maximumf>, %maxima : vector<16xf32> into f32
        %maxes = vector.broadcast %max : f32 to vector<16xf32>
        // the first tile that holds it; none where it is a NaN
        %no_tile = arith.constant dense<8016> : vector<16xi32>
        %lane = vector.step : vector<16xindex>
        %lane_number = arith.index_cast %lane : vector<16xindex> to vector<16xi32>
        %firsts = scf.for %at = %c0 to %tiles step %width iter_args(%first = %no_tile) -> (vector<16xi32>) {
          %more = vector.load %largests[%row, %at] : memref<1x8016xf32>, vector<16xf32>
          %is_max = arith.cmpf oeq, %more, %maxes : vector<16xf32>
          %at_i32 = arith.index_cast %at : index to i32
          %from = vector.broadcast %at_i32 : i32 to vector<16xi32>
          %number = arith.addi %from, %lane_number : vector<16xi32>
          %found = arith.select %is_max, %number, %no_tile : vector<16xi1>, vector<16xi32>
          %next = arith.minui %first, %found : vector<16xi32>
          scf.yield %next : vector<16xi32>
        }
        %first = vector.reduction <minui>, %firsts : vector<16xi32> into i32
        // and the first of its logits
        %sixteen = arith.constant 16 : index
        %size = arith.constant 128256 : index
        %size_i32 = arith.constant 128256 : i32
        %first_index = arith.index_cast %first : i32 to index
        %begin = arith.muli %first_index, %sixteen : index
        %past = arith.addi %begin, %sixteen : index
        %end = arith.minui %past, %size : index
        %token = scf.for %at = %begin to %end step %c1 iter_args(%least = %size_i32) -> (i32) {
          %logit = memref.load %logits[%row, %at] : memref<1x128256xf32>
          %is_it = arith.cmpf oeq, %logit, %max : f32
          %at_i32 = arith.index_cast %at : index to i32
          %found = arith.select %is_it, %at_i32, %size_i32 : i32
          %next = arith.minui %least, %found : i32
          scf.yield %next : i32
        }
        memref.store %token, %tokens[%row] : memref<1xi32>
        return
      }
    }
  }
}

// ragged · llama, tied · 16 layers, hidden 2048, 32/8 heads of 64 · context 2048, 8 slots · fast

!embed = tensor<8016x1024x16x2xbf16>
!norm = tensor<2048xbf16>
!qkv = tensor<192x1024x16x2xbf16>
!o = tensor<128x1024x16x2xbf16>
!gate_up = tensor<1024x1024x16x2xbf16>
!down = tensor<128x4096x16x2xbf16>
!tokens = tensor<8xi32>
!k_cache = tensor<16x8x8x32x64x64xbf16>
!v_cache = tensor<16x8x8x32x64x64xbf16>
!next = tensor<8xi32>
!logits = tensor<8x128256xf32>
!angle = tensor<8x2x32xf32>
!hidden = tensor<8x2048xf32>
!rows = tensor<8x2048xf32>
!squares = tensor<8x128xf32>
!largests = tensor<8x8016xf32>
!qkv_rows = tensor<8x3072xf32>
!partials = tensor<8x8x8x4x64xf32>
!of_runs = tensor<8x8x8x4xf32>
!q_rows = tensor<8x2048xf32>
!inner_rows = tensor<8x8192xf32>
!angles = tensor<8x32xf32>

module @ragged {
  // One token of each of slots 0..7, every row at its own position.
  func.func public @ragged(
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
      %tokens: !tokens, %positions: !tokens,
      %k: !k_cache {tf.aliasing_output = 2 : i32},
      %v: !v_cache {tf.aliasing_output = 3 : i32})
      -> (!next, !logits, !k_cache, !v_cache) {

    %row0 = arith.constant 0 : index
    %position0 = tensor.extract %positions[%row0] : !tokens
    %row1 = arith.constant 1 : index
    %position1 = tensor.extract %positions[%row1] : !tokens
    %row2 = arith.constant 2 : index
    %position2 = tensor.extract %positions[%row2] : !tokens
    %row3 = arith.constant 3 : index
    %position3 = tensor.extract %positions[%row3] : !tokens
    %row4 = arith.constant 4 : index
    %position4 = tensor.extract %positions[%row4] : !tokens
    %row5 = arith.constant 5 : index
    %position5 = tensor.extract %positions[%row5] : !tokens
    %row6 = arith.constant 6 : index
    %position6 = tensor.extract %positions[%row6] : !tokens
    %row7 = arith.constant 7 : index
    %position7 = tensor.extract %positions[%row7] : !tokens
    %farthest1 = arith.maxsi %position0, %position1 : i32
    %farthest2 = arith.maxsi %farthest1, %position2 : i32
    %farthest3 = arith.maxsi %farthest2, %position3 : i32
    %farthest4 = arith.maxsi %farthest3, %position4 : i32
    %farthest5 = arith.maxsi %farthest4, %position5 : i32
    %farthest6 = arith.maxsi %farthest5, %position6 : i32
    %farthest7 = arith.maxsi %farthest6, %position7 : i32
    %farthest = arith.index_cast %farthest7 : i32 to index
    %one_run = arith.constant 1 : index
    // how many runs of 256 positions hold those that a row sees
    %runs_length = arith.constant 256 : index
    %runs_last = arith.divui %farthest, %runs_length : index
    %runs = arith.addi %runs_last, %one_run : index

    %cos, %sin = call @rotary_angles(%positions) : (!tokens) -> (!angle, !angle)
    %embedded = call @embedding(%embed, %tokens) : (!embed, !tokens) -> !hidden
    %x0, %x0_weighted, %x0_squares = flow.dispatch @first_norm::@first_norm(%embedded, %layer0_attn_norm)
        : (!hidden, !norm)
        -> (!rows, !rows, !squares)

    %layer0 = arith.constant 0 : index
    %x1, %x1_weighted, %x1_squares, %k_after0, %v_after0 = call @layer(
        %x0, %x0_weighted, %x0_squares, %layer0_qkv, %layer0_o, %layer0_mlp_norm, %layer0_gate_up, %layer0_down,
        %layer1_attn_norm, %layer0, %cos, %sin, %positions, %runs, %k, %v)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, !tokens, index,
           !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer1 = arith.constant 1 : index
    %x2, %x2_weighted, %x2_squares, %k_after1, %v_after1 = call @layer(
        %x1, %x1_weighted, %x1_squares, %layer1_qkv, %layer1_o, %layer1_mlp_norm, %layer1_gate_up, %layer1_down,
        %layer2_attn_norm, %layer1, %cos, %sin, %positions, %runs, %k_after0, %v_after0)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, !tokens, index,
           !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer2 = arith.constant 2 : index
    %x3, %x3_weighted, %x3_squares, %k_after2, %v_after2 = call @layer(
        %x2, %x2_weighted, %x2_squares, %layer2_qkv, %layer2_o, %layer2_mlp_norm, %layer2_gate_up, %layer2_down,
        %layer3_attn_norm, %layer2, %cos, %sin, %positions, %runs, %k_after1, %v_after1)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, !tokens, index,
           !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer3 = arith.constant 3 : index
    %x4, %x4_weighted, %x4_squares, %k_after3, %v_after3 = call @layer(
        %x3, %x3_weighted, %x3_squares, %layer3_qkv, %layer3_o, %layer3_mlp_norm, %layer3_gate_up, %layer3_down,
        %layer4_attn_norm, %layer3, %cos, %sin, %positions, %runs, %k_after2, %v_after2)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, !tokens, index,
           !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer4 = arith.constant 4 : index
    %x5, %x5_weighted, %x5_squares, %k_after4, %v_after4 = call @layer(
        %x4, %x4_weighted, %x4_squares, %layer4_qkv, %layer4_o, %layer4_mlp_norm, %layer4_gate_up, %layer4_down,
        %layer5_attn_norm, %layer4, %cos, %sin, %positions, %runs, %k_after3, %v_after3)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, !tokens, index,
           !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer5 = arith.constant 5 : index
    %x6, %x6_weighted, %x6_squares, %k_after5, %v_after5 = call @layer(
        %x5, %x5_weighted, %x5_squares, %layer5_qkv, %layer5_o, %layer5_mlp_norm, %layer5_gate_up, %layer5_down,
        %layer6_attn_norm, %layer5, %cos, %sin, %positions, %runs, %k_after4, %v_after4)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, !tokens, index,
           !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer6 = arith.constant 6 : index
    %x7, %x7_weighted, %x7_squares, %k_after6, %v_after6 = call @layer(
        %x6, %x6_weighted, %x6_squares, %layer6_qkv, %layer6_o, %layer6_mlp_norm, %layer6_gate_up, %layer6_down,
        %layer7_attn_norm, %layer6, %cos, %sin, %positions, %runs, %k_after5, %v_after5)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, !tokens, index,
           !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer7 = arith.constant 7 : index
    %x8, %x8_weighted, %x8_squares, %k_after7, %v_after7 = call @layer(
        %x7, %x7_weighted, %x7_squares, %layer7_qkv, %layer7_o, %layer7_mlp_norm, %layer7_gate_up, %layer7_down,
        %layer8_attn_norm, %layer7, %cos, %sin, %positions, %runs, %k_after6, %v_after6)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, !tokens, index,
           !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer8 = arith.constant 8 : index
    %x9, %x9_weighted, %x9_squares, %k_after8, %v_after8 = call @layer(
        %x8, %x8_weighted, %x8_squares, %layer8_qkv, %layer8_o, %layer8_mlp_norm, %layer8_gate_up, %layer8_down,
        %layer9_attn_norm, %layer8, %cos, %sin, %positions, %runs, %k_after7, %v_after7)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, !tokens, index,
           !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer9 = arith.constant 9 : index
    %x10, %x10_weighted, %x10_squares, %k_after9, %v_after9 = call @layer(
        %x9, %x9_weighted, %x9_squares, %layer9_qkv, %layer9_o, %layer9_mlp_norm, %layer9_gate_up, %layer9_down,
        %layer10_attn_norm, %layer9, %cos, %sin, %positions, %runs, %k_after8, %v_after8)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, !tokens, index,
           !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer10 = arith.constant 10 : index
    %x11, %x11_weighted, %x11_squares, %k_after10, %v_after10 = call @layer(
        %x10, %x10_weighted, %x10_squares, %layer10_qkv, %layer10_o, %layer10_mlp_norm, %layer10_gate_up,
        %layer10_down, %layer11_attn_norm, %layer10, %cos, %sin, %positions, %runs, %k_after9, %v_after9)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, !tokens, index,
           !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer11 = arith.constant 11 : index
    %x12, %x12_weighted, %x12_squares, %k_after11, %v_after11 = call @layer(
        %x11, %x11_weighted, %x11_squares, %layer11_qkv, %layer11_o, %layer11_mlp_norm, %layer11_gate_up,
        %layer11_down, %layer12_attn_norm, %layer11, %cos, %sin, %positions, %runs, %k_after10, %v_after10)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, !tokens, index,
           !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer12 = arith.constant 12 : index
    %x13, %x13_weighted, %x13_squares, %k_after12, %v_after12 = call @layer(
        %x12, %x12_weighted, %x12_squares, %layer12_qkv, %layer12_o, %layer12_mlp_norm, %layer12_gate_up,
        %layer12_down, %layer13_attn_norm, %layer12, %cos, %sin, %positions, %runs, %k_after11, %v_after11)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, !tokens, index,
           !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer13 = arith.constant 13 : index
    %x14, %x14_weighted, %x14_squares, %k_after13, %v_after13 = call @layer(
        %x13, %x13_weighted, %x13_squares, %layer13_qkv, %layer13_o, %layer13_mlp_norm, %layer13_gate_up,
        %layer13_down, %layer14_attn_norm, %layer13, %cos, %sin, %positions, %runs, %k_after12, %v_after12)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, !tokens, index,
           !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer14 = arith.constant 14 : index
    %x15, %x15_weighted, %x15_squares, %k_after14, %v_after14 = call @layer(
        %x14, %x14_weighted, %x14_squares, %layer14_qkv, %layer14_o, %layer14_mlp_norm, %layer14_gate_up,
        %layer14_down, %layer15_attn_norm, %layer14, %cos, %sin, %positions, %runs, %k_after13, %v_after13)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, !tokens, index,
           !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer15 = arith.constant 15 : index
    %x16, %normed, %normed_squares, %k_after15, %v_after15 = call @layer(
        %x15, %x15_weighted, %x15_squares, %layer15_qkv, %layer15_o, %layer15_mlp_norm, %layer15_gate_up,
        %layer15_down, %final_norm, %layer15, %cos, %sin, %positions, %runs, %k_after14, %v_after14)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, !tokens, index,
           !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)

    %logits, %largests = flow.dispatch @head::@head(%normed, %embed, %normed_squares)
        : (!rows, !embed, !squares)
        -> (!logits, !largests)
    %next = flow.dispatch @argmax::@argmax(%largests, %logits)
        : (!largests, !logits)
        -> !next

    return %next, %logits, %k_after15, %v_after15 : !next, !logits, !k_cache, !v_cache
  }

  // x + attention(norm(x)), then x + mlp(norm(x)); and what the next norm needs of that.
  func.func private @layer(
      %x: !rows, %x_weighted: !rows, %x_squares: !squares, %qkv: !qkv, %o: !o, %mlp_norm: !norm,
      %gate_up: !gate_up, %down: !down, %next_norm: !norm, %layer: index, %cos: !angle, %sin: !angle,
      %positions: !tokens, %runs: index, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!rows, !rows, !squares, !k_cache, !v_cache) {
    %projected = flow.dispatch @qkv::@qkv(%x_weighted, %qkv, %x_squares)
        : (!rows, !qkv, !squares)
        -> !qkv_rows
    %k, %v, %partials, %maxima, %sums = flow.dispatch @attention::@attention[%runs](
        %positions, %cos, %sin, %projected, %k_cache, %v_cache, %layer)
        : (!tokens, !angle, !angle, !qkv_rows, !k_cache, !v_cache, index)
        -> (%k_cache, %v_cache, !partials, !of_runs, !of_runs)
    %attended = flow.dispatch @merge::@merge(%positions, %partials, %maxima, %sums)
        : (!tokens, !partials, !of_runs, !of_runs)
        -> !q_rows
    %mid, %mid_weighted, %mid_squares = flow.dispatch @o::@o(%attended, %o, %x, %mlp_norm)
        : (!q_rows, !o, !rows, !norm)
        -> (!rows, !rows, !squares)
    %inner = flow.dispatch @gate_up::@gate_up(%mid_weighted, %gate_up, %mid_squares)
        : (!rows, !gate_up, !squares)
        -> !inner_rows
    %y, %y_weighted, %y_squares = flow.dispatch @down::@down(%inner, %down, %mid, %next_norm)
        : (!inner_rows, !down, !rows, !norm)
        -> (!rows, !rows, !squares)
    return %y, %y_weighted, %y_squares, %k, %v : !rows, !rows, !squares, !k_cache, !v_cache
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

  // Row `token` of the table for each token.
  func.func private @embedding(%embed: !embed, %tokens: !tokens) -> !hidden {
    %x_n = stablehlo.constant dense<16> : !tokens
    %x_tile = stablehlo.divide %tokens, %x_n : !tokens
    %x_within = stablehlo.remainder %tokens, %x_n : !tokens
    %x_tiles = stablehlo.reshape %x_tile : (!tokens) -> tensor<8x1xi32>
    %x_rows = stablehlo.reshape %x_within : (!tokens) -> tensor<8x1xi32>
    %x_at = stablehlo.concatenate %x_tiles, %x_rows, dim = 1
        : (tensor<8x1xi32>, tensor<8x1xi32>) -> tensor<8x2xi32>
    %x_tile_row = "stablehlo.gather"(%embed, %x_at) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1, 2, 3, 4], start_index_map = [0, 2], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 1024, 1, 2>, indices_are_sorted = false}>
        : (!embed, tensor<8x2xi32>) -> tensor<8x1x1024x1x2xbf16>
    %x_padded = stablehlo.reshape %x_tile_row : (tensor<8x1x1024x1x2xbf16>) -> tensor<8x2048xbf16>

    %x = stablehlo.convert %x_padded : (tensor<8x2048xbf16>) -> tensor<8x2048xf32>
    return %x : !hidden
  }

  // Rows ready for the norm after them.
  stream.executable private @first_norm {
    stream.executable.export public @first_norm workgroups() -> (index, index, index) {
      %size1 = arith.constant 8 : index
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
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<8x2048xf32>
        %next_norm = stream.binding.subspan %next_norm_bytes[%c0] : !stream.binding -> memref<2048xbf16>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<8x2048xf32>
        %weighteds = stream.binding.subspan %weighteds_bytes[%c0] : !stream.binding -> memref<8x2048xf32>
        %square_sums = stream.binding.subspan %square_sums_bytes[%c0] : !stream.binding -> memref<8x128xf32>
        %width = arith.constant 16 : index
        %tiles = arith.constant 128 : index
        %row = stream.dispatch.workgroup.id[0] : index
        scf.for %n = %c0 to %tiles step %c1 {
          %at = arith.muli %n, %width : index
          %x_tile = vector.load %x[%row, %at] : memref<8x2048xf32>, vector<16xf32>
          vector.store %x_tile, %y[%row, %at] : memref<8x2048xf32>, vector<16xf32>
          %gain_stored = vector.load %next_norm[%at] : memref<2048xbf16>, vector<16xbf16>
          %gain = arith.extf %gain_stored : vector<16xbf16> to vector<16xf32>
          %weighted = arith.mulf %x_tile, %gain : vector<16xf32>
          vector.store %weighted, %weighteds[%row, %at] : memref<8x2048xf32>, vector<16xf32>
          %square = arith.mulf %x_tile, %x_tile : vector<16xf32>
          %square_sum = vector.reduction <add>, %square fastmath<reassoc> : vector<16xf32> into f32
          memref.store %square_sum, %square_sums[%row, %n] : memref<8x128xf32>
        }
        return
      }
    }
  }

  // Rows × weights: 8 × 2048 by 192 tiles of 16, 8 × 2 at once.
  stream.executable private @qkv {
    stream.executable.export public @qkv workgroups() -> (index, index, index) {
      %size1 = arith.constant 32 : index
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
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<8x2048xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<192x1024x16xi32>
        %squares = stream.binding.subspan %squares_bytes[%c0] : !stream.binding -> memref<8x128xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<8x3072xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 1024 : index
        %rows = arith.constant 8 : index
        %rows_at_once = arith.constant 8 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 192 : index
        %tiles_at_once = arith.constant 2 : index
        %unit = arith.constant 2 : index
        %last_unit = arith.constant 190 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 64 : index
        %zeros = arith.constant dense<0.0> : vector<8x16xf32>
        %per_step = arith.constant 2 : index
        %half = arith.constant dense<16> : vector<16xi32>
        %upper = arith.constant dense<0xFFFF0000> : vector<16xi32>
        %room = memref.alloca() : memref<2x8x16xf32>
        %scales = memref.alloca() : memref<8xf32>
        %parts = arith.constant 128 : index
        %parts_at_once = arith.constant 16 : index
        %none = arith.constant dense<0.0> : vector<16xf32>
        scf.for %row = %c0 to %rows step %c1 {
          %partial = scf.for %at = %c0 to %parts step %parts_at_once iter_args(%sum = %none) -> (vector<16xf32>) {
            %more = vector.load %squares[%row, %at] : memref<8x128xf32>, vector<16xf32>
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
          memref.store %scale, %scales[%row] : memref<8xf32>
        }
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 8 : index
        %first_row = arith.muli %row_group, %rows_of_group : index
        %past_row = arith.addi %first_row, %rows_of_group : index
        %end_row = arith.minui %past_row, %rows : index
        scf.for %tile = %first to %end step %unit {
          %first_tile = arith.minui %tile, %last_unit : index
          %n0 = arith.addi %first_tile, %c0 : index
          %n1 = arith.addi %n0, %c1 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %m4 = arith.addi %m3, %c1 : index
            %m5 = arith.addi %m4, %c1 : index
            %m6 = arith.addi %m5, %c1 : index
            %m7 = arith.addi %m6, %c1 : index
            %sums0:2 = scf.for %k = %c0 to %depth step %c1
                iter_args(%sum0 = %zeros, %sum1 = %zeros)
                -> (vector<8x16xf32>, vector<8x16xf32>) {
              // as far ahead in what is read next: past a tile's end, the tiles after these
              %ahead = arith.addi %k, %prefetch : index
              %is_next = arith.cmpi uge, %ahead, %depth : index
              %from_next = arith.subi %ahead, %depth : index
              %ahead_k = arith.select %is_next, %from_next, %ahead : index
              %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
              %k0 = arith.muli %k, %per_step : index
              %x0_0 = memref.load %x[%m0, %k0] : memref<8x2048xf32>
              %x0_1 = memref.load %x[%m1, %k0] : memref<8x2048xf32>
              %x0_2 = memref.load %x[%m2, %k0] : memref<8x2048xf32>
              %x0_3 = memref.load %x[%m3, %k0] : memref<8x2048xf32>
              %x0_4 = memref.load %x[%m4, %k0] : memref<8x2048xf32>
              %x0_5 = memref.load %x[%m5, %k0] : memref<8x2048xf32>
              %x0_6 = memref.load %x[%m6, %k0] : memref<8x2048xf32>
              %x0_7 = memref.load %x[%m7, %k0] : memref<8x2048xf32>
              %column0 = vector.from_elements
                  %x0_0, %x0_1, %x0_2, %x0_3, %x0_4, %x0_5, %x0_6, %x0_7 : vector<8xf32>
              %k1 = arith.addi %k0, %c1 : index
              %x1_0 = memref.load %x[%m0, %k1] : memref<8x2048xf32>
              %x1_1 = memref.load %x[%m1, %k1] : memref<8x2048xf32>
              %x1_2 = memref.load %x[%m2, %k1] : memref<8x2048xf32>
              %x1_3 = memref.load %x[%m3, %k1] : memref<8x2048xf32>
              %x1_4 = memref.load %x[%m4, %k1] : memref<8x2048xf32>
              %x1_5 = memref.load %x[%m5, %k1] : memref<8x2048xf32>
              %x1_6 = memref.load %x[%m6, %k1] : memref<8x2048xf32>
              %x1_7 = memref.load %x[%m7, %k1] : memref<8x2048xf32>
              %column1 = vector.from_elements
                  %x1_0, %x1_1, %x1_2, %x1_3, %x1_4, %x1_5, %x1_6, %x1_7 : vector<8xf32>
              %fetched0 = arith.addi %n0, %ahead_n : index
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<192x1024x16xi32>
              %stored0 = vector.load %w[%n0, %k, %c0] : memref<192x1024x16xi32>, vector<16xi32>
              %low0 = arith.shli %stored0, %half : vector<16xi32>
              %w0_0 = arith.bitcast %low0 : vector<16xi32> to vector<16xf32>
              %high0 = arith.andi %stored0, %upper : vector<16xi32>
              %w0_1 = arith.bitcast %high0 : vector<16xi32> to vector<16xf32>
              %sum0_0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column1, %w0_1, %sum0_0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<192x1024x16xi32>
              %stored1 = vector.load %w[%n1, %k, %c0] : memref<192x1024x16xi32>, vector<16xi32>
              %low1 = arith.shli %stored1, %half : vector<16xi32>
              %w1_0 = arith.bitcast %low1 : vector<16xi32> to vector<16xf32>
              %high1 = arith.andi %stored1, %upper : vector<16xi32>
              %w1_1 = arith.bitcast %high1 : vector<16xi32> to vector<16xf32>
              %sum1_0 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %next1 = vector.outerproduct %column1, %w1_1, %sum1_0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              scf.yield %next0, %next1
                  : vector<8x16xf32>, vector<8x16xf32>
            }
            %place0 = arith.constant 0 : index
            vector.transfer_write %sums0#0, %room[%place0, %c0, %c0] {in_bounds = [true, true]}
                : vector<8x16xf32>, memref<2x8x16xf32>
            %place1 = arith.constant 1 : index
            vector.transfer_write %sums0#1, %room[%place1, %c0, %c0] {in_bounds = [true, true]}
                : vector<8x16xf32>, memref<2x8x16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              %scale = memref.load %scales[%r] : memref<8xf32>
              %scaling = vector.broadcast %scale : f32 to vector<16xf32>
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<2x8x16xf32>, vector<16xf32>
                %y_scaled = arith.mulf %y_sum, %scaling : vector<16xf32>
                vector.store %y_scaled, %y[%r, %at] : memref<8x3072xf32>, vector<16xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Attention of 32 heads, 4 to a kv head, over runs of 256 positions.
  stream.executable private @attention {
    stream.executable.export public @attention workgroups(%count: index) -> (index, index, index) {
      %size1 = arith.constant 8 : index
      %size2 = arith.constant 8 : index
      stream.return %count, %size1, %size2 : index, index, index
    }
    builtin.module {
      func.func @attention(
          %positions_bytes: !stream.binding, %cos_bytes: !stream.binding, %sin_bytes: !stream.binding,
          %qkv_bytes: !stream.binding, %k_bytes: !stream.binding, %v_bytes: !stream.binding, %layer: index,
          %partials_bytes: !stream.binding, %maxima_bytes: !stream.binding, %sums_of_runs_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %positions = stream.binding.subspan %positions_bytes[%c0] : !stream.binding -> memref<8xi32>
        %cos = stream.binding.subspan %cos_bytes[%c0] : !stream.binding -> memref<8x2x32xf32>
        %sin = stream.binding.subspan %sin_bytes[%c0] : !stream.binding -> memref<8x2x32xf32>
        %qkv = stream.binding.subspan %qkv_bytes[%c0] : !stream.binding -> memref<8x3072xf32>
        %k = stream.binding.subspan %k_bytes[%c0] : !stream.binding -> memref<16x8x8x32x64x64xbf16>
        %v = stream.binding.subspan %v_bytes[%c0] : !stream.binding -> memref<16x8x8x32x64x64xbf16>
        %partials = stream.binding.subspan %partials_bytes[%c0] : !stream.binding -> memref<8x8x8x4x64xf32>
        %maxima = stream.binding.subspan %maxima_bytes[%c0] : !stream.binding -> memref<8x8x8x4xf32>
        %sums_of_runs = stream.binding.subspan %sums_of_runs_bytes[%c0] : !stream.binding -> memref<8x8x8x4xf32>
        %seen_run = stream.dispatch.workgroup.id[0] : index
        %kv_head = stream.dispatch.workgroup.id[1] : index
        %row = stream.dispatch.workgroup.id[2] : index
        %run_length = arith.constant 256 : index
        %position_i32 = memref.load %positions[%row] : memref<8xi32>
        %position = arith.index_cast %position_i32 : i32 to index
        %last_run = arith.divui %position, %run_length : index
        %nearest = arith.constant 0 : index
        %first_run = arith.divui %nearest, %run_length : index
        %run = arith.addi %first_run, %seen_run : index
        %is_seen = arith.cmpi ule, %run, %last_run : index
        scf.if %is_seen {
          %group = arith.constant 4 : index
          %head_dim = arith.constant 64 : index
          %half = arith.constant 32 : index
          %block = arith.constant 64 : index
          %kv_heads = arith.constant 8 : index
          %width = arith.constant 16 : index
          %head_width = arith.constant 16 : index
          %half_width = arith.constant 16 : index
          %prefetch = arith.constant 32 : index
          %none = arith.constant 0.0 : f32
          %lowest = arith.constant 0xFF800000 : f32
          // the heads of qkv: queries, then keys, then values
          %k_head = arith.constant 32 : index
          %k_at = arith.addi %k_head, %kv_head : index
          %v_at = arith.addi %k_at, %kv_heads : index
          %q_at = arith.muli %kv_head, %group : index
          // the kv head's queries and its key, turned
          %turned = memref.alloca() : memref<5x64xf32>
          scf.for %query = %c0 to %group step %c1 {
            %head = arith.addi %q_at, %query : index
            %q_begin = arith.muli %head, %head_dim : index
            scf.for %d = %c0 to %half step %half_width {
              %d_after = arith.addi %d, %half : index
              %a_at = arith.addi %q_begin, %d : index
              %a = vector.load %qkv[%row, %a_at] : memref<8x3072xf32>, vector<16xf32>
              %place_a = arith.constant 0 : index
              %cos_a = vector.load %cos[%row, %place_a, %d] : memref<8x2x32xf32>, vector<16xf32>
              %sin_a = vector.load %sin[%row, %place_a, %d] : memref<8x2x32xf32>, vector<16xf32>
              %b_at = arith.addi %q_begin, %d_after : index
              %b = vector.load %qkv[%row, %b_at] : memref<8x3072xf32>, vector<16xf32>
              %place_b = arith.constant 1 : index
              %cos_b = vector.load %cos[%row, %place_b, %d] : memref<8x2x32xf32>, vector<16xf32>
              %sin_b = vector.load %sin[%row, %place_b, %d] : memref<8x2x32xf32>, vector<16xf32>
              %a_kept = arith.mulf %a, %cos_a : vector<16xf32>
              %a_crossed = arith.mulf %b, %sin_a : vector<16xf32>
              %a_turned = arith.addf %a_kept, %a_crossed : vector<16xf32>
              %a_factor = arith.constant dense<0.125> : vector<16xf32>
              %a_scaled = arith.mulf %a_turned, %a_factor : vector<16xf32>
              vector.store %a_scaled, %turned[%query, %d] : memref<5x64xf32>, vector<16xf32>
              %b_kept = arith.mulf %b, %cos_b : vector<16xf32>
              %b_crossed = arith.mulf %a, %sin_b : vector<16xf32>
              %b_turned = arith.addf %b_kept, %b_crossed : vector<16xf32>
              %b_factor = arith.constant dense<0.125> : vector<16xf32>
              %b_scaled = arith.mulf %b_turned, %b_factor : vector<16xf32>
              vector.store %b_scaled, %turned[%query, %d_after] : memref<5x64xf32>, vector<16xf32>
            }
          }
          %is_own = arith.cmpi eq, %run, %last_run : index
          scf.if %is_own {
            %k_begin = arith.muli %k_at, %head_dim : index
            scf.for %d = %c0 to %half step %half_width {
              %d_after = arith.addi %d, %half : index
              %a_at = arith.addi %k_begin, %d : index
              %a = vector.load %qkv[%row, %a_at] : memref<8x3072xf32>, vector<16xf32>
              %place_a = arith.constant 0 : index
              %cos_a = vector.load %cos[%row, %place_a, %d] : memref<8x2x32xf32>, vector<16xf32>
              %sin_a = vector.load %sin[%row, %place_a, %d] : memref<8x2x32xf32>, vector<16xf32>
              %b_at = arith.addi %k_begin, %d_after : index
              %b = vector.load %qkv[%row, %b_at] : memref<8x3072xf32>, vector<16xf32>
              %place_b = arith.constant 1 : index
              %cos_b = vector.load %cos[%row, %place_b, %d] : memref<8x2x32xf32>, vector<16xf32>
              %sin_b = vector.load %sin[%row, %place_b, %d] : memref<8x2x32xf32>, vector<16xf32>
              %a_kept = arith.mulf %a, %cos_a : vector<16xf32>
              %a_crossed = arith.mulf %b, %sin_a : vector<16xf32>
              %a_turned = arith.addf %a_kept, %a_crossed : vector<16xf32>
              vector.store %a_turned, %turned[%group, %d] : memref<5x64xf32>, vector<16xf32>
              %b_kept = arith.mulf %b, %cos_b : vector<16xf32>
              %b_crossed = arith.mulf %a, %sin_b : vector<16xf32>
              %b_turned = arith.addf %b_kept, %b_crossed : vector<16xf32>
              vector.store %b_turned, %turned[%group, %d_after] : memref<5x64xf32>, vector<16xf32>
            }
            %own_block = arith.divui %position, %block : index
            %own_place = arith.remui %position, %block : index
            %v_begin = arith.muli %v_at, %head_dim : index
            scf.for %d = %c0 to %head_dim step %c1 {
              %key = memref.load %turned[%group, %d] : memref<5x64xf32>
              %at = arith.addi %v_begin, %d : index
              %value = memref.load %qkv[%row, %at] : memref<8x3072xf32>
              %key_low = arith.truncf %key : f32 to bf16
              %value_low = arith.truncf %value : f32 to bf16
              memref.store %key_low, %k[%layer, %row, %kv_head, %own_block, %d, %own_place]
                  : memref<16x8x8x32x64x64xbf16>
              memref.store %value_low, %v[%layer, %row, %kv_head, %own_block, %own_place, %d]
                  : memref<16x8x8x32x64x64xbf16>
            }
          }
          %scores = memref.alloca() : memref<4x256xf32>
          %run_begin = arith.muli %run, %run_length : index
          %run_end = arith.addi %run_begin, %run_length : index
          %after = arith.addi %position, %c1 : index
          %end = arith.minui %run_end, %after : index
          %begin = arith.maxui %run_begin, %nearest : index
          %step = arith.constant 64 : index
          %queries_at_once = arith.constant 4 : index
          %last_queries = arith.constant 0 : index
          %steps_before = arith.divui %begin, %step : index
          %first_place = arith.muli %steps_before, %step : index
          %zeros = arith.constant dense<0.0> : vector<4x16xf32>
          scf.for %at = %first_place to %end step %step {
            %number = arith.divui %at, %block : index
            %p0 = arith.remui %at, %block : index
            %s0 = arith.subi %at, %run_begin : index
            %p1 = arith.addi %p0, %width : index
            %s1 = arith.addi %s0, %width : index
            %p2 = arith.addi %p1, %width : index
            %s2 = arith.addi %s1, %width : index
            %p3 = arith.addi %p2, %width : index
            %s3 = arith.addi %s2, %width : index
            scf.for %query = %c0 to %group step %queries_at_once {
              %q0 = arith.minui %query, %last_queries : index
              %q1 = arith.addi %q0, %c1 : index
              %q2 = arith.addi %q1, %c1 : index
              %q3 = arith.addi %q2, %c1 : index
              %sums:4 = scf.for %d = %c0 to %head_dim step %c1
                  iter_args(%sum0 = %zeros, %sum1 = %zeros, %sum2 = %zeros, %sum3 = %zeros)
                  -> (vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>) {
                %x0 = memref.load %turned[%q0, %d] : memref<5x64xf32>
                %x1 = memref.load %turned[%q1, %d] : memref<5x64xf32>
                %x2 = memref.load %turned[%q2, %d] : memref<5x64xf32>
                %x3 = memref.load %turned[%q3, %d] : memref<5x64xf32>
                %column = vector.from_elements %x0, %x1, %x2, %x3 : vector<4xf32>
                %ahead = arith.addi %d, %prefetch : index
                memref.prefetch %k[%layer, %row, %kv_head, %number, %ahead, %p0], read, locality<3>, data
                    : memref<16x8x8x32x64x64xbf16>
                %key0_low = vector.load %k[%layer, %row, %kv_head, %number, %d, %p0]
                    : memref<16x8x8x32x64x64xbf16>, vector<16xbf16>
                %key0 = arith.extf %key0_low : vector<16xbf16> to vector<16xf32>
                %next0 = vector.outerproduct %column, %key0, %sum0 {kind = #vector.kind<add>}
                    : vector<4xf32>, vector<16xf32>
                %key1_low = vector.load %k[%layer, %row, %kv_head, %number, %d, %p1]
                    : memref<16x8x8x32x64x64xbf16>, vector<16xbf16>
                %key1 = arith.extf %key1_low : vector<16xbf16> to vector<16xf32>
                %next1 = vector.outerproduct %column, %key1, %sum1 {kind = #vector.kind<add>}
                    : vector<4xf32>, vector<16xf32>
                memref.prefetch %k[%layer, %row, %kv_head, %number, %ahead, %p2], read, locality<3>, data
                    : memref<16x8x8x32x64x64xbf16>
                %key2_low = vector.load %k[%layer, %row, %kv_head, %number, %d, %p2]
                    : memref<16x8x8x32x64x64xbf16>, vector<16xbf16>
                %key2 = arith.extf %key2_low : vector<16xbf16> to vector<16xf32>
                %next2 = vector.outerproduct %column, %key2, %sum2 {kind = #vector.kind<add>}
                    : vector<4xf32>, vector<16xf32>
                %key3_low = vector.load %k[%layer, %row, %kv_head, %number, %d, %p3]
                    : memref<16x8x8x32x64x64xbf16>, vector<16xbf16>
                %key3 = arith.extf %key3_low : vector<16xbf16> to vector<16xf32>
                %next3 = vector.outerproduct %column, %key3, %sum3 {kind = #vector.kind<add>}
                    : vector<4xf32>, vector<16xf32>
                scf.yield %next0, %next1, %next2, %next3
                    : vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>
              }
              vector.transfer_write %sums#0, %scores[%q0, %s0] {in_bounds = [true, true]}
                  : vector<4x16xf32>, memref<4x256xf32>
              vector.transfer_write %sums#1, %scores[%q0, %s1] {in_bounds = [true, true]}
                  : vector<4x16xf32>, memref<4x256xf32>
              vector.transfer_write %sums#2, %scores[%q0, %s2] {in_bounds = [true, true]}
                  : vector<4x16xf32>, memref<4x256xf32>
              vector.transfer_write %sums#3, %scores[%q0, %s3] {in_bounds = [true, true]}
                  : vector<4x16xf32>, memref<4x256xf32>
            }
          }
          %lane = vector.step : vector<16xindex>
          %lane_number = arith.index_cast %lane : vector<16xindex> to vector<16xi32>
          %begin_i32 = arith.index_cast %begin : index to i32
          %end_i32 = arith.index_cast %end : index to i32
          %begins = vector.broadcast %begin_i32 : i32 to vector<16xi32>
          %ends = vector.broadcast %end_i32 : i32 to vector<16xi32>
          %lowests = arith.constant dense<0xFF800000> : vector<16xf32>
          %noughts = arith.constant dense<0.0> : vector<16xf32>
          scf.for %query = %c0 to %group step %c1 {
            %maxima_each = scf.for %at = %first_place to %end step %width
                iter_args(%highest = %lowests) -> (vector<16xf32>) {
              %place = arith.subi %at, %run_begin : index
              %score = vector.load %scores[%query, %place] : memref<4x256xf32>, vector<16xf32>
              %at_i32 = arith.index_cast %at : index to i32
              %from = vector.broadcast %at_i32 : i32 to vector<16xi32>
              %number = arith.addi %from, %lane_number : vector<16xi32>
              %is_after = arith.cmpi sge, %number, %begins : vector<16xi32>
              %is_before = arith.cmpi slt, %number, %ends : vector<16xi32>
              %is_in = arith.andi %is_after, %is_before : vector<16xi1>
              %counted = arith.select %is_in, %score, %lowests : vector<16xi1>, vector<16xf32>
              vector.store %counted, %scores[%query, %place] : memref<4x256xf32>, vector<16xf32>
              %next = arith.maximumf %highest, %counted : vector<16xf32>
              scf.yield %next : vector<16xf32>
            }
            %max = vector.reduction <maximumf>, %maxima_each : vector<16xf32> into f32
            memref.store %max, %maxima[%row, %kv_head, %seen_run, %query] : memref<8x8x8x4xf32>
            %is_none = arith.cmpf oeq, %max, %lowest : f32
            %base = arith.select %is_none, %none, %max : f32
            %bases = vector.broadcast %base : f32 to vector<16xf32>
            %sums_each = scf.for %at = %first_place to %end step %width
                iter_args(%sum = %noughts) -> (vector<16xf32>) {
              %place = arith.subi %at, %run_begin : index
              %score = vector.load %scores[%query, %place] : memref<4x256xf32>, vector<16xf32>
              %below = arith.subf %score, %bases : vector<16xf32>
              %weight = math.exp %below : vector<16xf32>
              vector.store %weight, %scores[%query, %place] : memref<4x256xf32>, vector<16xf32>
              %next = arith.addf %sum, %weight : vector<16xf32>
              scf.yield %next : vector<16xf32>
            }
            %sum_of_run = vector.reduction <add>, %sums_each fastmath<reassoc> : vector<16xf32> into f32
            memref.store %sum_of_run, %sums_of_runs[%row, %kv_head, %seen_run, %query] : memref<8x8x8x4xf32>
          }
          %columns_at_once = arith.constant 64 : index
          %first_block = arith.divui %begin, %block : index
          %blocks_end = arith.ceildivui %end, %block : index
          %values_none = arith.constant dense<0.0> : vector<4x16xf32>
          scf.for %d0 = %c0 to %head_dim step %columns_at_once {
            %d1 = arith.addi %d0, %head_width : index
            %d2 = arith.addi %d1, %head_width : index
            %d3 = arith.addi %d2, %head_width : index
            scf.for %query = %c0 to %group step %queries_at_once {
              %q0 = arith.minui %query, %last_queries : index
              %q1 = arith.addi %q0, %c1 : index
              %q2 = arith.addi %q1, %c1 : index
              %q3 = arith.addi %q2, %c1 : index
              %of_blocks:4 = scf.for %number = %first_block to %blocks_end step %c1
                  iter_args(%block_sum0 = %values_none, %block_sum1 = %values_none, %block_sum2 = %values_none,
                            %block_sum3 = %values_none)
                  -> (vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>) {
                %block_begin = arith.muli %number, %block : index
                %block_end = arith.addi %block_begin, %block : index
                %from = arith.maxui %begin, %block_begin : index
                %to = arith.minui %end, %block_end : index
                %of_block:4 = scf.for %at = %from to %to step %c1
                    iter_args(%sum0 = %block_sum0, %sum1 = %block_sum1, %sum2 = %block_sum2, %sum3 = %block_sum3)
                    -> (vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>) {
                  %place = arith.subi %at, %run_begin : index
                  %j = arith.subi %at, %block_begin : index
                  %w0 = memref.load %scores[%q0, %place] : memref<4x256xf32>
                  %w1 = memref.load %scores[%q1, %place] : memref<4x256xf32>
                  %w2 = memref.load %scores[%q2, %place] : memref<4x256xf32>
                  %w3 = memref.load %scores[%q3, %place] : memref<4x256xf32>
                  %column = vector.from_elements %w0, %w1, %w2, %w3 : vector<4xf32>
                  %ahead = arith.addi %j, %prefetch : index
                  memref.prefetch %v[%layer, %row, %kv_head, %number, %ahead, %d0], read, locality<3>, data
                      : memref<16x8x8x32x64x64xbf16>
                %value0_low = vector.load %v[%layer, %row, %kv_head, %number, %j, %d0]
                    : memref<16x8x8x32x64x64xbf16>, vector<16xbf16>
                %value0 = arith.extf %value0_low : vector<16xbf16> to vector<16xf32>
                  %next0 = vector.outerproduct %column, %value0, %sum0 {kind = #vector.kind<add>}
                      : vector<4xf32>, vector<16xf32>
                %value1_low = vector.load %v[%layer, %row, %kv_head, %number, %j, %d1]
                    : memref<16x8x8x32x64x64xbf16>, vector<16xbf16>
                %value1 = arith.extf %value1_low : vector<16xbf16> to vector<16xf32>
                  %next1 = vector.outerproduct %column, %value1, %sum1 {kind = #vector.kind<add>}
                      : vector<4xf32>, vector<16xf32>
                  memref.prefetch %v[%layer, %row, %kv_head, %number, %ahead, %d2], read, locality<3>, data
                      : memref<16x8x8x32x64x64xbf16>
                %value2_low = vector.load %v[%layer, %row, %kv_head, %number, %j, %d2]
                    : memref<16x8x8x32x64x64xbf16>, vector<16xbf16>
                %value2 = arith.extf %value2_low : vector<16xbf16> to vector<16xf32>
                  %next2 = vector.outerproduct %column, %value2, %sum2 {kind = #vector.kind<add>}
                      : vector<4xf32>, vector<16xf32>
                %value3_low = vector.load %v[%layer, %row, %kv_head, %number, %j, %d3]
                    : memref<16x8x8x32x64x64xbf16>, vector<16xbf16>
                %value3 = arith.extf %value3_low : vector<16xbf16> to vector<16xf32>
                  %next3 = vector.outerproduct %column, %value3, %sum3 {kind = #vector.kind<add>}
                      : vector<4xf32>, vector<16xf32>
                  scf.yield %next0, %next1, %next2, %next3
                      : vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>
                }
                scf.yield %of_block#0, %of_block#1, %of_block#2, %of_block#3
                    : vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>
              }
              vector.transfer_write %of_blocks#0, %partials[%row, %kv_head, %seen_run, %q0, %d0]
                  {in_bounds = [true, true]} : vector<4x16xf32>, memref<8x8x8x4x64xf32>
              vector.transfer_write %of_blocks#1, %partials[%row, %kv_head, %seen_run, %q0, %d1]
                  {in_bounds = [true, true]} : vector<4x16xf32>, memref<8x8x8x4x64xf32>
              vector.transfer_write %of_blocks#2, %partials[%row, %kv_head, %seen_run, %q0, %d2]
                  {in_bounds = [true, true]} : vector<4x16xf32>, memref<8x8x8x4x64xf32>
              vector.transfer_write %of_blocks#3, %partials[%row, %kv_head, %seen_run, %q0, %d3]
                  {in_bounds = [true, true]} : vector<4x16xf32>, memref<8x8x8x4x64xf32>
            }
          }
        }
        return
      }
    }
  }

  // Attention's runs of 256 positions, of each row and kv head, joined.
  stream.executable private @merge {
    stream.executable.export public @merge workgroups() -> (index, index, index) {
      %size1 = arith.constant 8 : index
      %size2 = arith.constant 8 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @merge(
          %positions_bytes: !stream.binding, %partials_bytes: !stream.binding, %maxima_bytes: !stream.binding,
          %sums_of_runs_bytes: !stream.binding, %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %positions = stream.binding.subspan %positions_bytes[%c0] : !stream.binding -> memref<8xi32>
        %partials = stream.binding.subspan %partials_bytes[%c0] : !stream.binding -> memref<8x8x8x4x64xf32>
        %maxima = stream.binding.subspan %maxima_bytes[%c0] : !stream.binding -> memref<8x8x8x4xf32>
        %sums_of_runs = stream.binding.subspan %sums_of_runs_bytes[%c0] : !stream.binding -> memref<8x8x8x4xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<8x2048xf32>
        %kv_head = stream.dispatch.workgroup.id[0] : index
        %row = stream.dispatch.workgroup.id[1] : index
        %width = arith.constant 16 : index
        %head_dim = arith.constant 64 : index
        %group = arith.constant 4 : index
        %none = arith.constant 0.0 : f32
        %lowest = arith.constant 0xFF800000 : f32
        %nothing = arith.constant dense<0.0> : vector<16xf32>
        %run_length = arith.constant 256 : index
        %position_i32 = memref.load %positions[%row] : memref<8xi32>
        %position = arith.index_cast %position_i32 : i32 to index
        %last_run = arith.divui %position, %run_length : index
        %nearest = arith.constant 0 : index
        %first_run = arith.divui %nearest, %run_length : index
        %runs = arith.subi %last_run, %first_run : index
        %held = arith.addi %runs, %c1 : index
        %shares = memref.alloca() : memref<8xf32>
        %first_head = arith.muli %kv_head, %group : index
        scf.for %query = %c0 to %group step %c1 {
          %max = scf.for %run = %c0 to %held step %c1 iter_args(%highest = %lowest) -> (f32) {
            %more = memref.load %maxima[%row, %kv_head, %run, %query] : memref<8x8x8x4xf32>
            %next = arith.maximumf %highest, %more : f32
            scf.yield %next : f32
          }
          // a run's share by the maximum of all; where that is no number, neither is the share
          %is_none = arith.cmpf oeq, %max, %lowest : f32
          %base = arith.select %is_none, %none, %max : f32
          %total = scf.for %run = %c0 to %held step %c1 iter_args(%sum = %none) -> (f32) {
            %own = memref.load %maxima[%row, %kv_head, %run, %query] : memref<8x8x8x4xf32>
            %below = arith.subf %own, %base : f32
            %share = math.exp %below : f32
            memref.store %share, %shares[%run] : memref<8xf32>
            %weight = memref.load %sums_of_runs[%row, %kv_head, %run, %query] : memref<8x8x8x4xf32>
            %shared = arith.mulf %weight, %share : f32
            %next = arith.addf %sum, %shared : f32
            scf.yield %next : f32
          }
          %totals = vector.broadcast %total : f32 to vector<16xf32>
          %head = arith.addi %first_head, %query : index
          %begin = arith.muli %head, %head_dim : index
          scf.for %d = %c0 to %head_dim step %width {
            %values = scf.for %run = %c0 to %held step %c1 iter_args(%sum = %nothing) -> (vector<16xf32>) {
              %share = memref.load %shares[%run] : memref<8xf32>
              %share_each = vector.broadcast %share : f32 to vector<16xf32>
              %part = vector.load %partials[%row, %kv_head, %run, %query, %d] : memref<8x8x8x4x64xf32>, vector<16xf32>
              %shared = arith.mulf %part, %share_each : vector<16xf32>
              %next = arith.addf %sum, %shared : vector<16xf32>
              scf.yield %next : vector<16xf32>
            }
            %mean = arith.divf %values, %totals : vector<16xf32>
            %at = arith.addi %begin, %d : index
            vector.store %mean, %y[%row, %at] : memref<8x2048xf32>, vector<16xf32>
          }
        }
        return
      }
    }
  }

  // Rows × weights: 8 × 2048 by 128 tiles of 16, 8 × 2 at once.
  stream.executable private @o {
    stream.executable.export public @o workgroups() -> (index, index, index) {
      %size1 = arith.constant 22 : index
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
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<8x2048xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<128x1024x16xi32>
        %residual = stream.binding.subspan %residual_bytes[%c0] : !stream.binding -> memref<8x2048xf32>
        %next_norm = stream.binding.subspan %next_norm_bytes[%c0] : !stream.binding -> memref<2048xbf16>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<8x2048xf32>
        %weighteds = stream.binding.subspan %weighteds_bytes[%c0] : !stream.binding -> memref<8x2048xf32>
        %square_sums = stream.binding.subspan %square_sums_bytes[%c0] : !stream.binding -> memref<8x128xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 1024 : index
        %rows = arith.constant 8 : index
        %rows_at_once = arith.constant 8 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 128 : index
        %tiles_at_once = arith.constant 2 : index
        %unit = arith.constant 2 : index
        %last_unit = arith.constant 126 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 64 : index
        %zeros = arith.constant dense<0.0> : vector<8x16xf32>
        %per_step = arith.constant 2 : index
        %half = arith.constant dense<16> : vector<16xi32>
        %upper = arith.constant dense<0xFFFF0000> : vector<16xi32>
        %room = memref.alloca() : memref<2x8x16xf32>
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 8 : index
        %first_row = arith.muli %row_group, %rows_of_group : index
        %past_row = arith.addi %first_row, %rows_of_group : index
        %end_row = arith.minui %past_row, %rows : index
        scf.for %tile = %first to %end step %unit {
          %first_tile = arith.minui %tile, %last_unit : index
          %n0 = arith.addi %first_tile, %c0 : index
          %n1 = arith.addi %n0, %c1 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %m4 = arith.addi %m3, %c1 : index
            %m5 = arith.addi %m4, %c1 : index
            %m6 = arith.addi %m5, %c1 : index
            %m7 = arith.addi %m6, %c1 : index
            %sums0:2 = scf.for %k = %c0 to %depth step %c1
                iter_args(%sum0 = %zeros, %sum1 = %zeros)
                -> (vector<8x16xf32>, vector<8x16xf32>) {
              // as far ahead in what is read next: past a tile's end, the tiles after these
              %ahead = arith.addi %k, %prefetch : index
              %is_next = arith.cmpi uge, %ahead, %depth : index
              %from_next = arith.subi %ahead, %depth : index
              %ahead_k = arith.select %is_next, %from_next, %ahead : index
              %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
              %k0 = arith.muli %k, %per_step : index
              %x0_0 = memref.load %x[%m0, %k0] : memref<8x2048xf32>
              %x0_1 = memref.load %x[%m1, %k0] : memref<8x2048xf32>
              %x0_2 = memref.load %x[%m2, %k0] : memref<8x2048xf32>
              %x0_3 = memref.load %x[%m3, %k0] : memref<8x2048xf32>
              %x0_4 = memref.load %x[%m4, %k0] : memref<8x2048xf32>
              %x0_5 = memref.load %x[%m5, %k0] : memref<8x2048xf32>
              %x0_6 = memref.load %x[%m6, %k0] : memref<8x2048xf32>
              %x0_7 = memref.load %x[%m7, %k0] : memref<8x2048xf32>
              %column0 = vector.from_elements
                  %x0_0, %x0_1, %x0_2, %x0_3, %x0_4, %x0_5, %x0_6, %x0_7 : vector<8xf32>
              %k1 = arith.addi %k0, %c1 : index
              %x1_0 = memref.load %x[%m0, %k1] : memref<8x2048xf32>
              %x1_1 = memref.load %x[%m1, %k1] : memref<8x2048xf32>
              %x1_2 = memref.load %x[%m2, %k1] : memref<8x2048xf32>
              %x1_3 = memref.load %x[%m3, %k1] : memref<8x2048xf32>
              %x1_4 = memref.load %x[%m4, %k1] : memref<8x2048xf32>
              %x1_5 = memref.load %x[%m5, %k1] : memref<8x2048xf32>
              %x1_6 = memref.load %x[%m6, %k1] : memref<8x2048xf32>
              %x1_7 = memref.load %x[%m7, %k1] : memref<8x2048xf32>
              %column1 = vector.from_elements
                  %x1_0, %x1_1, %x1_2, %x1_3, %x1_4, %x1_5, %x1_6, %x1_7 : vector<8xf32>
              %fetched0 = arith.addi %n0, %ahead_n : index
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<128x1024x16xi32>
              %stored0 = vector.load %w[%n0, %k, %c0] : memref<128x1024x16xi32>, vector<16xi32>
              %low0 = arith.shli %stored0, %half : vector<16xi32>
              %w0_0 = arith.bitcast %low0 : vector<16xi32> to vector<16xf32>
              %high0 = arith.andi %stored0, %upper : vector<16xi32>
              %w0_1 = arith.bitcast %high0 : vector<16xi32> to vector<16xf32>
              %sum0_0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column1, %w0_1, %sum0_0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<128x1024x16xi32>
              %stored1 = vector.load %w[%n1, %k, %c0] : memref<128x1024x16xi32>, vector<16xi32>
              %low1 = arith.shli %stored1, %half : vector<16xi32>
              %w1_0 = arith.bitcast %low1 : vector<16xi32> to vector<16xf32>
              %high1 = arith.andi %stored1, %upper : vector<16xi32>
              %w1_1 = arith.bitcast %high1 : vector<16xi32> to vector<16xf32>
              %sum1_0 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %next1 = vector.outerproduct %column1, %w1_1, %sum1_0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              scf.yield %next0, %next1
                  : vector<8x16xf32>, vector<8x16xf32>
            }
            %place0 = arith.constant 0 : index
            vector.transfer_write %sums0#0, %room[%place0, %c0, %c0] {in_bounds = [true, true]}
                : vector<8x16xf32>, memref<2x8x16xf32>
            %place1 = arith.constant 1 : index
            vector.transfer_write %sums0#1, %room[%place1, %c0, %c0] {in_bounds = [true, true]}
                : vector<8x16xf32>, memref<2x8x16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<2x8x16xf32>, vector<16xf32>
                %before = vector.load %residual[%r, %at] : memref<8x2048xf32>, vector<16xf32>
                %added = arith.addf %y_sum, %before : vector<16xf32>
                vector.store %added, %y[%r, %at] : memref<8x2048xf32>, vector<16xf32>
                %gain_stored = vector.load %next_norm[%at] : memref<2048xbf16>, vector<16xbf16>
                %gain = arith.extf %gain_stored : vector<16xbf16> to vector<16xf32>
                %weighted = arith.mulf %added, %gain : vector<16xf32>
                vector.store %weighted, %weighteds[%r, %at] : memref<8x2048xf32>, vector<16xf32>
                %square = arith.mulf %added, %added : vector<16xf32>
                %square_sum = vector.reduction <add>, %square fastmath<reassoc> : vector<16xf32> into f32
                memref.store %square_sum, %square_sums[%r, %n] : memref<8x128xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 8 × 2048 by 1024 tiles of 16, 8 × 2 at once.
  stream.executable private @gate_up {
    stream.executable.export public @gate_up workgroups() -> (index, index, index) {
      %size1 = arith.constant 171 : index
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
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<8x2048xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<1024x1024x16xi32>
        %squares = stream.binding.subspan %squares_bytes[%c0] : !stream.binding -> memref<8x128xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<8x8192xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 1024 : index
        %rows = arith.constant 8 : index
        %rows_at_once = arith.constant 8 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 1024 : index
        %tiles_at_once = arith.constant 2 : index
        %unit = arith.constant 2 : index
        %last_unit = arith.constant 1022 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 64 : index
        %c2 = arith.constant 2 : index
        %zeros = arith.constant dense<0.0> : vector<8x16xf32>
        %per_step = arith.constant 2 : index
        %half = arith.constant dense<16> : vector<16xi32>
        %upper = arith.constant dense<0xFFFF0000> : vector<16xi32>
        %room = memref.alloca() : memref<2x8x16xf32>
        %scales = memref.alloca() : memref<8xf32>
        %parts = arith.constant 128 : index
        %parts_at_once = arith.constant 16 : index
        %none = arith.constant dense<0.0> : vector<16xf32>
        scf.for %row = %c0 to %rows step %c1 {
          %partial = scf.for %at = %c0 to %parts step %parts_at_once iter_args(%sum = %none) -> (vector<16xf32>) {
            %more = vector.load %squares[%row, %at] : memref<8x128xf32>, vector<16xf32>
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
          memref.store %scale, %scales[%row] : memref<8xf32>
        }
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 8 : index
        %first_row = arith.muli %row_group, %rows_of_group : index
        %past_row = arith.addi %first_row, %rows_of_group : index
        %end_row = arith.minui %past_row, %rows : index
        scf.for %tile = %first to %end step %unit {
          %first_tile = arith.minui %tile, %last_unit : index
          %n0 = arith.addi %first_tile, %c0 : index
          %n1 = arith.addi %n0, %c1 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %m4 = arith.addi %m3, %c1 : index
            %m5 = arith.addi %m4, %c1 : index
            %m6 = arith.addi %m5, %c1 : index
            %m7 = arith.addi %m6, %c1 : index
            %sums0:2 = scf.for %k = %c0 to %depth step %c1
                iter_args(%sum0 = %zeros, %sum1 = %zeros)
                -> (vector<8x16xf32>, vector<8x16xf32>) {
              // as far ahead in what is read next: past a tile's end, the tiles after these
              %ahead = arith.addi %k, %prefetch : index
              %is_next = arith.cmpi uge, %ahead, %depth : index
              %from_next = arith.subi %ahead, %depth : index
              %ahead_k = arith.select %is_next, %from_next, %ahead : index
              %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
              %k0 = arith.muli %k, %per_step : index
              %x0_0 = memref.load %x[%m0, %k0] : memref<8x2048xf32>
              %x0_1 = memref.load %x[%m1, %k0] : memref<8x2048xf32>
              %x0_2 = memref.load %x[%m2, %k0] : memref<8x2048xf32>
              %x0_3 = memref.load %x[%m3, %k0] : memref<8x2048xf32>
              %x0_4 = memref.load %x[%m4, %k0] : memref<8x2048xf32>
              %x0_5 = memref.load %x[%m5, %k0] : memref<8x2048xf32>
              %x0_6 = memref.load %x[%m6, %k0] : memref<8x2048xf32>
              %x0_7 = memref.load %x[%m7, %k0] : memref<8x2048xf32>
              %column0 = vector.from_elements
                  %x0_0, %x0_1, %x0_2, %x0_3, %x0_4, %x0_5, %x0_6, %x0_7 : vector<8xf32>
              %k1 = arith.addi %k0, %c1 : index
              %x1_0 = memref.load %x[%m0, %k1] : memref<8x2048xf32>
              %x1_1 = memref.load %x[%m1, %k1] : memref<8x2048xf32>
              %x1_2 = memref.load %x[%m2, %k1] : memref<8x2048xf32>
              %x1_3 = memref.load %x[%m3, %k1] : memref<8x2048xf32>
              %x1_4 = memref.load %x[%m4, %k1] : memref<8x2048xf32>
              %x1_5 = memref.load %x[%m5, %k1] : memref<8x2048xf32>
              %x1_6 = memref.load %x[%m6, %k1] : memref<8x2048xf32>
              %x1_7 = memref.load %x[%m7, %k1] : memref<8x2048xf32>
              %column1 = vector.from_elements
                  %x1_0, %x1_1, %x1_2, %x1_3, %x1_4, %x1_5, %x1_6, %x1_7 : vector<8xf32>
              %fetched0 = arith.addi %n0, %ahead_n : index
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<1024x1024x16xi32>
              %stored0 = vector.load %w[%n0, %k, %c0] : memref<1024x1024x16xi32>, vector<16xi32>
              %low0 = arith.shli %stored0, %half : vector<16xi32>
              %w0_0 = arith.bitcast %low0 : vector<16xi32> to vector<16xf32>
              %high0 = arith.andi %stored0, %upper : vector<16xi32>
              %w0_1 = arith.bitcast %high0 : vector<16xi32> to vector<16xf32>
              %sum0_0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column1, %w0_1, %sum0_0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<1024x1024x16xi32>
              %stored1 = vector.load %w[%n1, %k, %c0] : memref<1024x1024x16xi32>, vector<16xi32>
              %low1 = arith.shli %stored1, %half : vector<16xi32>
              %w1_0 = arith.bitcast %low1 : vector<16xi32> to vector<16xf32>
              %high1 = arith.andi %stored1, %upper : vector<16xi32>
              %w1_1 = arith.bitcast %high1 : vector<16xi32> to vector<16xf32>
              %sum1_0 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %next1 = vector.outerproduct %column1, %w1_1, %sum1_0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              scf.yield %next0, %next1
                  : vector<8x16xf32>, vector<8x16xf32>
            }
            %place0 = arith.constant 0 : index
            vector.transfer_write %sums0#0, %room[%place0, %c0, %c0] {in_bounds = [true, true]}
                : vector<8x16xf32>, memref<2x8x16xf32>
            %place1 = arith.constant 1 : index
            vector.transfer_write %sums0#1, %room[%place1, %c0, %c0] {in_bounds = [true, true]}
                : vector<8x16xf32>, memref<2x8x16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              %scale = memref.load %scales[%r] : memref<8xf32>
              %scaling = vector.broadcast %scale : f32 to vector<16xf32>
              scf.for %t = %c0 to %unit step %c2 {
                %t_up = arith.addi %t, %c1 : index
                %n = arith.addi %first_tile, %t : index
                %pair = arith.divui %n, %c2 : index
                %at = arith.muli %pair, %width : index
                %gate_sum = vector.load %room[%t, %m, %c0] : memref<2x8x16xf32>, vector<16xf32>
                %gate_scaled = arith.mulf %gate_sum, %scaling : vector<16xf32>
                %up_sum = vector.load %room[%t_up, %m, %c0] : memref<2x8x16xf32>, vector<16xf32>
                %up_scaled = arith.mulf %up_sum, %scaling : vector<16xf32>
                %minus = arith.negf %gate_scaled : vector<16xf32>
                %exp = math.exp %minus : vector<16xf32>
                %ones = arith.constant dense<1.0> : vector<16xf32>
                %above = arith.addf %exp, %ones : vector<16xf32>
                %activated = arith.divf %gate_scaled, %above : vector<16xf32>
                %both = arith.mulf %activated, %up_scaled : vector<16xf32>
                vector.store %both, %y[%r, %at] : memref<8x8192xf32>, vector<16xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 8 × 8192 by 128 tiles of 16, 8 × 2 at once.
  stream.executable private @down {
    stream.executable.export public @down workgroups() -> (index, index, index) {
      %size1 = arith.constant 22 : index
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
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<8x8192xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<128x4096x16xi32>
        %residual = stream.binding.subspan %residual_bytes[%c0] : !stream.binding -> memref<8x2048xf32>
        %next_norm = stream.binding.subspan %next_norm_bytes[%c0] : !stream.binding -> memref<2048xbf16>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<8x2048xf32>
        %weighteds = stream.binding.subspan %weighteds_bytes[%c0] : !stream.binding -> memref<8x2048xf32>
        %square_sums = stream.binding.subspan %square_sums_bytes[%c0] : !stream.binding -> memref<8x128xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 4096 : index
        %rows = arith.constant 8 : index
        %rows_at_once = arith.constant 8 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 128 : index
        %tiles_at_once = arith.constant 2 : index
        %unit = arith.constant 2 : index
        %last_unit = arith.constant 126 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 64 : index
        %zeros = arith.constant dense<0.0> : vector<8x16xf32>
        %per_step = arith.constant 2 : index
        %half = arith.constant dense<16> : vector<16xi32>
        %upper = arith.constant dense<0xFFFF0000> : vector<16xi32>
        %room = memref.alloca() : memref<2x8x16xf32>
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 8 : index
        %first_row = arith.muli %row_group, %rows_of_group : index
        %past_row = arith.addi %first_row, %rows_of_group : index
        %end_row = arith.minui %past_row, %rows : index
        scf.for %tile = %first to %end step %unit {
          %first_tile = arith.minui %tile, %last_unit : index
          %n0 = arith.addi %first_tile, %c0 : index
          %n1 = arith.addi %n0, %c1 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %m4 = arith.addi %m3, %c1 : index
            %m5 = arith.addi %m4, %c1 : index
            %m6 = arith.addi %m5, %c1 : index
            %m7 = arith.addi %m6, %c1 : index
            %sums0:2 = scf.for %k = %c0 to %depth step %c1
                iter_args(%sum0 = %zeros, %sum1 = %zeros)
                -> (vector<8x16xf32>, vector<8x16xf32>) {
              // as far ahead in what is read next: past a tile's end, the tiles after these
              %ahead = arith.addi %k, %prefetch : index
              %is_next = arith.cmpi uge, %ahead, %depth : index
              %from_next = arith.subi %ahead, %depth : index
              %ahead_k = arith.select %is_next, %from_next, %ahead : index
              %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
              %k0 = arith.muli %k, %per_step : index
              %x0_0 = memref.load %x[%m0, %k0] : memref<8x8192xf32>
              %x0_1 = memref.load %x[%m1, %k0] : memref<8x8192xf32>
              %x0_2 = memref.load %x[%m2, %k0] : memref<8x8192xf32>
              %x0_3 = memref.load %x[%m3, %k0] : memref<8x8192xf32>
              %x0_4 = memref.load %x[%m4, %k0] : memref<8x8192xf32>
              %x0_5 = memref.load %x[%m5, %k0] : memref<8x8192xf32>
              %x0_6 = memref.load %x[%m6, %k0] : memref<8x8192xf32>
              %x0_7 = memref.load %x[%m7, %k0] : memref<8x8192xf32>
              %column0 = vector.from_elements
                  %x0_0, %x0_1, %x0_2, %x0_3, %x0_4, %x0_5, %x0_6, %x0_7 : vector<8xf32>
              %k1 = arith.addi %k0, %c1 : index
              %x1_0 = memref.load %x[%m0, %k1] : memref<8x8192xf32>
              %x1_1 = memref.load %x[%m1, %k1] : memref<8x8192xf32>
              %x1_2 = memref.load %x[%m2, %k1] : memref<8x8192xf32>
              %x1_3 = memref.load %x[%m3, %k1] : memref<8x8192xf32>
              %x1_4 = memref.load %x[%m4, %k1] : memref<8x8192xf32>
              %x1_5 = memref.load %x[%m5, %k1] : memref<8x8192xf32>
              %x1_6 = memref.load %x[%m6, %k1] : memref<8x8192xf32>
              %x1_7 = memref.load %x[%m7, %k1] : memref<8x8192xf32>
              %column1 = vector.from_elements
                  %x1_0, %x1_1, %x1_2, %x1_3, %x1_4, %x1_5, %x1_6, %x1_7 : vector<8xf32>
              %fetched0 = arith.addi %n0, %ahead_n : index
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<128x4096x16xi32>
              %stored0 = vector.load %w[%n0, %k, %c0] : memref<128x4096x16xi32>, vector<16xi32>
              %low0 = arith.shli %stored0, %half : vector<16xi32>
              %w0_0 = arith.bitcast %low0 : vector<16xi32> to vector<16xf32>
              %high0 = arith.andi %stored0, %upper : vector<16xi32>
              %w0_1 = arith.bitcast %high0 : vector<16xi32> to vector<16xf32>
              %sum0_0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column1, %w0_1, %sum0_0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<128x4096x16xi32>
              %stored1 = vector.load %w[%n1, %k, %c0] : memref<128x4096x16xi32>, vector<16xi32>
              %low1 = arith.shli %stored1, %half : vector<16xi32>
              %w1_0 = arith.bitcast %low1 : vector<16xi32> to vector<16xf32>
              %high1 = arith.andi %stored1, %upper : vector<16xi32>
              %w1_1 = arith.bitcast %high1 : vector<16xi32> to vector<16xf32>
              %sum1_0 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %next1 = vector.outerproduct %column1, %w1_1, %sum1_0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              scf.yield %next0, %next1
                  : vector<8x16xf32>, vector<8x16xf32>
            }
            %place0 = arith.constant 0 : index
            vector.transfer_write %sums0#0, %room[%place0, %c0, %c0] {in_bounds = [true, true]}
                : vector<8x16xf32>, memref<2x8x16xf32>
            %place1 = arith.constant 1 : index
            vector.transfer_write %sums0#1, %room[%place1, %c0, %c0] {in_bounds = [true, true]}
                : vector<8x16xf32>, memref<2x8x16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<2x8x16xf32>, vector<16xf32>
                %before = vector.load %residual[%r, %at] : memref<8x2048xf32>, vector<16xf32>
                %added = arith.addf %y_sum, %before : vector<16xf32>
                vector.store %added, %y[%r, %at] : memref<8x2048xf32>, vector<16xf32>
                %gain_stored = vector.load %next_norm[%at] : memref<2048xbf16>, vector<16xbf16>
                %gain = arith.extf %gain_stored : vector<16xbf16> to vector<16xf32>
                %weighted = arith.mulf %added, %gain : vector<16xf32>
                vector.store %weighted, %weighteds[%r, %at] : memref<8x2048xf32>, vector<16xf32>
                %square = arith.mulf %added, %added : vector<16xf32>
                %square_sum = vector.reduction <add>, %square fastmath<reassoc> : vector<16xf32> into f32
                memref.store %square_sum, %square_sums[%r, %n] : memref<8x128xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 8 × 2048 by 8016 tiles of 16, 8 × 2 at once.
  stream.executable private @head {
    stream.executable.export public @head workgroups() -> (index, index, index) {
      %size1 = arith.constant 1336 : index
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
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<8x2048xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<8016x1024x16xi32>
        %squares = stream.binding.subspan %squares_bytes[%c0] : !stream.binding -> memref<8x128xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<8x128256xf32>
        %largests = stream.binding.subspan %largests_bytes[%c0] : !stream.binding -> memref<8x8016xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 1024 : index
        %rows = arith.constant 8 : index
        %rows_at_once = arith.constant 8 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 8016 : index
        %tiles_at_once = arith.constant 2 : index
        %unit = arith.constant 2 : index
        %last_unit = arith.constant 8014 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 64 : index
        %zeros = arith.constant dense<0.0> : vector<8x16xf32>
        %per_step = arith.constant 2 : index
        %half = arith.constant dense<16> : vector<16xi32>
        %upper = arith.constant dense<0xFFFF0000> : vector<16xi32>
        %room = memref.alloca() : memref<2x8x16xf32>
        %scales = memref.alloca() : memref<8xf32>
        %parts = arith.constant 128 : index
        %parts_at_once = arith.constant 16 : index
        %none = arith.constant dense<0.0> : vector<16xf32>
        scf.for %row = %c0 to %rows step %c1 {
          %partial = scf.for %at = %c0 to %parts step %parts_at_once iter_args(%sum = %none) -> (vector<16xf32>) {
            %more = vector.load %squares[%row, %at] : memref<8x128xf32>, vector<16xf32>
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
          memref.store %scale, %scales[%row] : memref<8xf32>
        }
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 8 : index
        %first_row = arith.muli %row_group, %rows_of_group : index
        %past_row = arith.addi %first_row, %rows_of_group : index
        %end_row = arith.minui %past_row, %rows : index
        scf.for %tile = %first to %end step %unit {
          %first_tile = arith.minui %tile, %last_unit : index
          %n0 = arith.addi %first_tile, %c0 : index
          %n1 = arith.addi %n0, %c1 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %m4 = arith.addi %m3, %c1 : index
            %m5 = arith.addi %m4, %c1 : index
            %m6 = arith.addi %m5, %c1 : index
            %m7 = arith.addi %m6, %c1 : index
            %sums0:2 = scf.for %k = %c0 to %depth step %c1
                iter_args(%sum0 = %zeros, %sum1 = %zeros)
                -> (vector<8x16xf32>, vector<8x16xf32>) {
              // as far ahead in what is read next: past a tile's end, the tiles after these
              %ahead = arith.addi %k, %prefetch : index
              %is_next = arith.cmpi uge, %ahead, %depth : index
              %from_next = arith.subi %ahead, %depth : index
              %ahead_k = arith.select %is_next, %from_next, %ahead : index
              %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
              %k0 = arith.muli %k, %per_step : index
              %x0_0 = memref.load %x[%m0, %k0] : memref<8x2048xf32>
              %x0_1 = memref.load %x[%m1, %k0] : memref<8x2048xf32>
              %x0_2 = memref.load %x[%m2, %k0] : memref<8x2048xf32>
              %x0_3 = memref.load %x[%m3, %k0] : memref<8x2048xf32>
              %x0_4 = memref.load %x[%m4, %k0] : memref<8x2048xf32>
              %x0_5 = memref.load %x[%m5, %k0] : memref<8x2048xf32>
              %x0_6 = memref.load %x[%m6, %k0] : memref<8x2048xf32>
              %x0_7 = memref.load %x[%m7, %k0] : memref<8x2048xf32>
              %column0 = vector.from_elements
                  %x0_0, %x0_1, %x0_2, %x0_3, %x0_4, %x0_5, %x0_6, %x0_7 : vector<8xf32>
              %k1 = arith.addi %k0, %c1 : index
              %x1_0 = memref.load %x[%m0, %k1] : memref<8x2048xf32>
              %x1_1 = memref.load %x[%m1, %k1] : memref<8x2048xf32>
              %x1_2 = memref.load %x[%m2, %k1] : memref<8x2048xf32>
              %x1_3 = memref.load %x[%m3, %k1] : memref<8x2048xf32>
              %x1_4 = memref.load %x[%m4, %k1] : memref<8x2048xf32>
              %x1_5 = memref.load %x[%m5, %k1] : memref<8x2048xf32>
              %x1_6 = memref.load %x[%m6, %k1] : memref<8x2048xf32>
              %x1_7 = memref.load %x[%m7, %k1] : memref<8x2048xf32>
              %column1 = vector.from_elements
                  %x1_0, %x1_1, %x1_2, %x1_3, %x1_4, %x1_5, %x1_6, %x1_7 : vector<8xf32>
              %fetched0 = arith.addi %n0, %ahead_n : index
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<8016x1024x16xi32>
              %stored0 = vector.load %w[%n0, %k, %c0] : memref<8016x1024x16xi32>, vector<16xi32>
              %low0 = arith.shli %stored0, %half : vector<16xi32>
              %w0_0 = arith.bitcast %low0 : vector<16xi32> to vector<16xf32>
              %high0 = arith.andi %stored0, %upper : vector<16xi32>
              %w0_1 = arith.bitcast %high0 : vector<16xi32> to vector<16xf32>
              %sum0_0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column1, %w0_1, %sum0_0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<8016x1024x16xi32>
              %stored1 = vector.load %w[%n1, %k, %c0] : memref<8016x1024x16xi32>, vector<16xi32>
              %low1 = arith.shli %stored1, %half : vector<16xi32>
              %w1_0 = arith.bitcast %low1 : vector<16xi32> to vector<16xf32>
              %high1 = arith.andi %stored1, %upper : vector<16xi32>
              %w1_1 = arith.bitcast %high1 : vector<16xi32> to vector<16xf32>
              %sum1_0 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %next1 = vector.outerproduct %column1, %w1_1, %sum1_0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              scf.yield %next0, %next1
                  : vector<8x16xf32>, vector<8x16xf32>
            }
            %place0 = arith.constant 0 : index
            vector.transfer_write %sums0#0, %room[%place0, %c0, %c0] {in_bounds = [true, true]}
                : vector<8x16xf32>, memref<2x8x16xf32>
            %place1 = arith.constant 1 : index
            vector.transfer_write %sums0#1, %room[%place1, %c0, %c0] {in_bounds = [true, true]}
                : vector<8x16xf32>, memref<2x8x16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              %scale = memref.load %scales[%r] : memref<8xf32>
              %scaling = vector.broadcast %scale : f32 to vector<16xf32>
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<2x8x16xf32>, vector<16xf32>
                %y_scaled = arith.mulf %y_sum, %scaling : vector<16xf32>
                vector.store %y_scaled, %y[%r, %at] : memref<8x128256xf32>, vector<16xf32>
                %largest = vector.reduction <maximumf>, %y_scaled : vector<16xf32> into f32
                memref.store %largest, %largests[%r, %n] : memref<8x8016xf32>
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
      %size1 = arith.constant 8 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @argmax(
          %largests_bytes: !stream.binding, %logits_bytes: !stream.binding, %tokens_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %largests = stream.binding.subspan %largests_bytes[%c0] : !stream.binding -> memref<8x8016xf32>
        %logits = stream.binding.subspan %logits_bytes[%c0] : !stream.binding -> memref<8x128256xf32>
        %tokens = stream.binding.subspan %tokens_bytes[%c0] : !stream.binding -> memref<8xi32>
        %row = stream.dispatch.workgroup.id[0] : index
        %width = arith.constant 16 : index
        %tiles = arith.constant 8016 : index
        %lowest = arith.constant dense<0xFF800000> : vector<16xf32>
        %maxima = scf.for %at = %c0 to %tiles step %width iter_args(%max = %lowest) -> (vector<16xf32>) {
          %more = vector.load %largests[%row, %at] : memref<8x8016xf32>, vector<16xf32>
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
          %more = vector.load %largests[%row, %at] : memref<8x8016xf32>, vector<16xf32>
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
          %logit = memref.load %logits[%row, %at] : memref<8x128256xf32>
          %is_it = arith.cmpf oeq, %logit, %max : f32
          %at_i32 = arith.index_cast %at : index to i32
          %found = arith.select %is_it, %at_i32, %size_i32 : i32
          %next = arith.minui %least, %found : i32
          scf.yield %next : i32
        }
        memref.store %token, %tokens[%row] : memref<8xi32>
        return
      }
    }
  }
}

// ragged · llama, tied · 2 layers, hidden 64, 4/1 heads of 16 · context 64, 4 slots · fast, q8

!embed = tensor<21x16x16x4xi8>
!embed_scales = tensor<21x2x16xf16>
!norm = tensor<64xf32>
!qkv = tensor<6x16x16x4xi8>
!qkv_scales = tensor<6x2x16xf16>
!qkv_bias = tensor<96xf32>
!o = tensor<4x16x16x4xi8>
!o_scales = tensor<4x2x16xf16>
!o_bias = tensor<64xf32>
!gate_up = tensor<14x16x16x4xi8>
!gate_up_scales = tensor<14x2x16xf16>
!down = tensor<4x32x16x4xi8>
!down_scales = tensor<4x4x16xf16>
!tokens = tensor<4xi32>
!k_cache = tensor<2x4x1x2x16x64xbf16>
!v_cache = tensor<2x4x1x2x64x16xbf16>
!next = tensor<4xi32>
!logits = tensor<4x331xf32>
!angle = tensor<4x2x8xf32>
!hidden = tensor<4x64xf32>
!rows = tensor<4x64xf32>
!blocks = tensor<4x2x18xi32>
!squares = tensor<4x4xf32>
!largests = tensor<4x21xf32>
!qkv_rows = tensor<4x96xf32>
!partials = tensor<4x1x1x4x16xf32>
!of_runs = tensor<4x1x1x4xf32>
!blocks_2 = tensor<4x4x18xi32>
!angles = tensor<4x8xf32>

module @ragged {
  // One token of each of slots 0..3, every row at its own position.
  func.func public @ragged(
      %embed: !embed, %embed_scales: !embed_scales,
      %final_norm: !norm,
      %layer0_attn_norm: !norm, %layer0_qkv: !qkv, %layer0_qkv_scales: !qkv_scales, %layer0_qkv_bias: !qkv_bias,
      %layer0_o: !o, %layer0_o_scales: !o_scales, %layer0_o_bias: !o_bias, %layer0_mlp_norm: !norm,
      %layer0_gate_up: !gate_up, %layer0_gate_up_scales: !gate_up_scales, %layer0_down: !down,
      %layer0_down_scales: !down_scales,
      %layer1_attn_norm: !norm, %layer1_qkv: !qkv, %layer1_qkv_scales: !qkv_scales, %layer1_qkv_bias: !qkv_bias,
      %layer1_o: !o, %layer1_o_scales: !o_scales, %layer1_o_bias: !o_bias, %layer1_mlp_norm: !norm,
      %layer1_gate_up: !gate_up, %layer1_gate_up_scales: !gate_up_scales, %layer1_down: !down,
      %layer1_down_scales: !down_scales,
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
    %farthest1 = arith.maxsi %position0, %position1 : i32
    %farthest2 = arith.maxsi %farthest1, %position2 : i32
    %farthest3 = arith.maxsi %farthest2, %position3 : i32
    %farthest = arith.index_cast %farthest3 : i32 to index
    %one_run = arith.constant 1 : index
    // how many runs of 256 positions hold those that a row sees
    %runs_length = arith.constant 256 : index
    %runs_last = arith.divui %farthest, %runs_length : index
    %runs = arith.addi %runs_last, %one_run : index

    %cos, %sin = call @rotary_angles(%positions) : (!tokens) -> (!angle, !angle)
    %embedded = call @embedding(%embed, %embed_scales, %tokens) : (!embed, !embed_scales, !tokens) -> !hidden
    %x0, %x0_weighted, %x0_squares = flow.dispatch @first_norm::@first_norm(%embedded, %layer0_attn_norm)
        : (!hidden, !norm)
        -> (!rows, !blocks, !squares)

    %layer0 = arith.constant 0 : index
    %x1, %x1_weighted, %x1_squares, %k_after0, %v_after0 = call @layer(
        %x0, %x0_weighted, %x0_squares, %layer0_qkv, %layer0_qkv_scales, %layer0_qkv_bias, %layer0_o,
        %layer0_o_scales, %layer0_o_bias, %layer0_mlp_norm, %layer0_gate_up, %layer0_gate_up_scales, %layer0_down,
        %layer0_down_scales, %layer1_attn_norm, %layer0, %cos, %sin, %positions, %runs, %k, %v)
        : (!rows, !blocks, !squares, !qkv, !qkv_scales, !qkv_bias, !o, !o_scales, !o_bias, !norm, !gate_up,
           !gate_up_scales, !down, !down_scales, !norm, index, !angle, !angle, !tokens, index, !k_cache, !v_cache)
        -> (!rows, !blocks, !squares, !k_cache, !v_cache)
    %layer1 = arith.constant 1 : index
    %x2, %normed, %normed_squares, %k_after1, %v_after1 = call @layer(
        %x1, %x1_weighted, %x1_squares, %layer1_qkv, %layer1_qkv_scales, %layer1_qkv_bias, %layer1_o,
        %layer1_o_scales, %layer1_o_bias, %layer1_mlp_norm, %layer1_gate_up, %layer1_gate_up_scales, %layer1_down,
        %layer1_down_scales, %final_norm, %layer1, %cos, %sin, %positions, %runs, %k_after0, %v_after0)
        : (!rows, !blocks, !squares, !qkv, !qkv_scales, !qkv_bias, !o, !o_scales, !o_bias, !norm, !gate_up,
           !gate_up_scales, !down, !down_scales, !norm, index, !angle, !angle, !tokens, index, !k_cache, !v_cache)
        -> (!rows, !blocks, !squares, !k_cache, !v_cache)

    %logits, %largests = flow.dispatch @head::@head(%normed, %embed, %embed_scales, %normed_squares)
        : (!blocks, !embed, !embed_scales, !squares)
        -> (!logits, !largests)
    %next = flow.dispatch @argmax::@argmax(%largests, %logits)
        : (!largests, !logits)
        -> !next

    return %next, %logits, %k_after1, %v_after1 : !next, !logits, !k_cache, !v_cache
  }

  // x + attention(norm(x)), then x + mlp(norm(x)); and what the next norm needs of that.
  func.func private @layer(
      %x: !rows, %x_weighted: !blocks, %x_squares: !squares, %qkv: !qkv, %qkv_scales: !qkv_scales,
      %qkv_bias: !qkv_bias, %o: !o, %o_scales: !o_scales, %o_bias: !o_bias, %mlp_norm: !norm, %gate_up: !gate_up,
      %gate_up_scales: !gate_up_scales, %down: !down, %down_scales: !down_scales, %next_norm: !norm, %layer: index,
      %cos: !angle, %sin: !angle, %positions: !tokens, %runs: index, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!rows, !blocks, !squares, !k_cache, !v_cache) {
    %projected = flow.dispatch @qkv::@qkv(%x_weighted, %qkv, %qkv_scales, %qkv_bias, %x_squares)
        : (!blocks, !qkv, !qkv_scales, !qkv_bias, !squares)
        -> !qkv_rows
    %k, %v, %partials, %maxima, %sums = flow.dispatch @attention::@attention[%runs](
        %positions, %cos, %sin, %projected, %k_cache, %v_cache, %layer)
        : (!tokens, !angle, !angle, !qkv_rows, !k_cache, !v_cache, index)
        -> (%k_cache, %v_cache, !partials, !of_runs, !of_runs)
    %attended = flow.dispatch @merge::@merge(%positions, %partials, %maxima, %sums)
        : (!tokens, !partials, !of_runs, !of_runs)
        -> !blocks
    %mid, %mid_weighted, %mid_squares = flow.dispatch @o::@o(%attended, %o, %o_scales, %o_bias, %x, %mlp_norm)
        : (!blocks, !o, !o_scales, !o_bias, !rows, !norm)
        -> (!rows, !blocks, !squares)
    %inner = flow.dispatch @gate_up::@gate_up(%mid_weighted, %gate_up, %gate_up_scales, %mid_squares)
        : (!blocks, !gate_up, !gate_up_scales, !squares)
        -> !blocks_2
    %y, %y_weighted, %y_squares = flow.dispatch @down::@down(%inner, %down, %down_scales, %mid, %next_norm)
        : (!blocks_2, !down, !down_scales, !rows, !norm)
        -> (!rows, !blocks, !squares)
    return %y, %y_weighted, %y_squares, %k, %v : !rows, !blocks, !squares, !k_cache, !v_cache
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

  // Row `token` of the table for each token.
  func.func private @embedding(%embed: !embed, %embed_scales: !embed_scales, %tokens: !tokens) -> !hidden {
    %x_n = stablehlo.constant dense<16> : !tokens
    %x_tile = stablehlo.divide %tokens, %x_n : !tokens
    %x_within = stablehlo.remainder %tokens, %x_n : !tokens
    %x_tiles = stablehlo.reshape %x_tile : (!tokens) -> tensor<4x1xi32>
    %x_rows = stablehlo.reshape %x_within : (!tokens) -> tensor<4x1xi32>
    %x_at = stablehlo.concatenate %x_tiles, %x_rows, dim = 1
        : (tensor<4x1xi32>, tensor<4x1xi32>) -> tensor<4x2xi32>
    %x_row_of_tile = "stablehlo.gather"(%embed, %x_at) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1, 2, 3, 4], start_index_map = [0, 2], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 16, 1, 4>, indices_are_sorted = false}>
        : (!embed, tensor<4x2xi32>) -> tensor<4x1x16x1x4xi8>
    %x_row = stablehlo.reshape %x_row_of_tile : (tensor<4x1x16x1x4xi8>) -> tensor<4x64xi8>
    %x_row_scales_of_tile = "stablehlo.gather"(%embed_scales, %x_at) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1, 2, 3], start_index_map = [0, 2], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 2, 1>, indices_are_sorted = false}>
        : (!embed_scales, tensor<4x2xi32>) -> tensor<4x1x2x1xf16>
    %x_row_scales = stablehlo.reshape %x_row_scales_of_tile : (tensor<4x1x2x1xf16>) -> tensor<4x2xf16>
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

  // Rows ready for the norm after them.
  stream.executable private @first_norm {
    stream.executable.export public @first_norm workgroups() -> (index, index, index) {
      %size1 = arith.constant 4 : index
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
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<4x64xf32>
        %next_norm = stream.binding.subspan %next_norm_bytes[%c0] : !stream.binding -> memref<64xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<4x64xf32>
        %weighteds = stream.binding.subspan %weighteds_bytes[%c0] : !stream.binding -> memref<4x2x18xi32>
        %square_sums = stream.binding.subspan %square_sums_bytes[%c0] : !stream.binding -> memref<4x4xf32>
        %width = arith.constant 16 : index
        %tiles = arith.constant 4 : index
        %row = stream.dispatch.workgroup.id[0] : index
        %most = arith.constant 127.0 : f32
        %most_each = arith.constant dense<127.0> : vector<16xf32>
        %least_each = arith.constant dense<-127.0> : vector<16xf32>
        %tiny = arith.constant 1.0e-30 : f32
        %no_factor = arith.constant 0.0 : f32
        %fours1 = arith.constant 4 : index
        %fours2 = arith.constant 8 : index
        %fours3 = arith.constant 12 : index
        %made_scale = arith.constant 16 : index
        %made_sum = arith.constant 17 : index
        %parts_each = arith.constant dense<256.0> : vector<16xf32>
        %part = arith.constant 0.00390625 : f32
        %byte_each = arith.constant dense<8> : vector<16xi32>
        %room = memref.alloca() : memref<2x16xf32>
        %vectors_of_block = arith.constant 2 : index
        %blocks = arith.constant 2 : index
        scf.for %block = %c0 to %blocks step %c1 {
          %first_tile = arith.muli %block, %vectors_of_block : index
          scf.for %t = %c0 to %vectors_of_block step %c1 {
            %n = arith.addi %first_tile, %t : index
            %at = arith.muli %n, %width : index
            %x_tile = vector.load %x[%row, %at] : memref<4x64xf32>, vector<16xf32>
            vector.store %x_tile, %y[%row, %at] : memref<4x64xf32>, vector<16xf32>
            %gain = vector.load %next_norm[%at] : memref<64xf32>, vector<16xf32>
            %weighted = arith.mulf %x_tile, %gain : vector<16xf32>
            vector.store %weighted, %room[%t, %c0] : memref<2x16xf32>, vector<16xf32>
            %square = arith.mulf %x_tile, %x_tile : vector<16xf32>
            %square_sum = vector.reduction <add>, %square fastmath<reassoc> : vector<16xf32> into f32
            memref.store %square_sum, %square_sums[%row, %n] : memref<4x4xf32>
          }
          %place0 = arith.constant 0 : index
          %made0 = vector.load %room[%place0, %c0] : memref<2x16xf32>, vector<16xf32>
          %place1 = arith.constant 1 : index
          %made1 = vector.load %room[%place1, %c0] : memref<2x16xf32>, vector<16xf32>
              %size0 = math.absf %made0 : vector<16xf32>
              %size1 = math.absf %made1 : vector<16xf32>
              %sizes1 = arith.maximumf %size0, %size1 : vector<16xf32>
              %largest_size = vector.reduction <maximumf>, %sizes1 : vector<16xf32> into f32
              %whole_scale = arith.divf %largest_size, %most : f32
              %block_scale = arith.mulf %whole_scale, %part : f32
              %is_some = arith.cmpf ogt, %largest_size, %tiny : f32
              %inverse = arith.divf %most, %largest_size : f32
              %factor = arith.select %is_some, %inverse, %no_factor : f32
              %factors = vector.broadcast %factor : f32 to vector<16xf32>
              %by_factor0 = arith.mulf %made0, %factors : vector<16xf32>
              %above0 = arith.maxnumf %by_factor0, %least_each : vector<16xf32>
              %within0 = arith.minnumf %above0, %most_each : vector<16xf32>
              %round0 = math.roundeven %within0 : vector<16xf32>
              %upper0 = arith.fptosi %round0 : vector<16xf32> to vector<16xi32>
              %upper0_bytes = arith.trunci %upper0 : vector<16xi32> to vector<16xi8>
              %upper0_fours = vector.bitcast %upper0_bytes : vector<16xi8> to vector<4xi32>
              vector.store %upper0_fours, %weighteds[%row, %block, %c0] : memref<4x2x18xi32>, vector<4xi32>
              %rest0 = arith.subf %within0, %round0 : vector<16xf32>
              %rest_parts0 = arith.mulf %rest0, %parts_each : vector<16xf32>
              %rest_above0 = arith.maxnumf %rest_parts0, %least_each : vector<16xf32>
              %rest_within0 = arith.minnumf %rest_above0, %most_each : vector<16xf32>
              %rest_round0 = math.roundeven %rest_within0 : vector<16xf32>
              %lower0 = arith.fptosi %rest_round0 : vector<16xf32> to vector<16xi32>
              %lower0_bytes = arith.trunci %lower0 : vector<16xi32> to vector<16xi8>
              %lower0_fours = vector.bitcast %lower0_bytes : vector<16xi8> to vector<4xi32>
              vector.store %lower0_fours, %weighteds[%row, %block, %fours2] : memref<4x2x18xi32>, vector<4xi32>
              %upper_moved0 = arith.shli %upper0, %byte_each : vector<16xi32>
              %integer0 = arith.addi %upper_moved0, %lower0 : vector<16xi32>
              %by_factor1 = arith.mulf %made1, %factors : vector<16xf32>
              %above1 = arith.maxnumf %by_factor1, %least_each : vector<16xf32>
              %within1 = arith.minnumf %above1, %most_each : vector<16xf32>
              %round1 = math.roundeven %within1 : vector<16xf32>
              %upper1 = arith.fptosi %round1 : vector<16xf32> to vector<16xi32>
              %upper1_bytes = arith.trunci %upper1 : vector<16xi32> to vector<16xi8>
              %upper1_fours = vector.bitcast %upper1_bytes : vector<16xi8> to vector<4xi32>
              vector.store %upper1_fours, %weighteds[%row, %block, %fours1] : memref<4x2x18xi32>, vector<4xi32>
              %rest1 = arith.subf %within1, %round1 : vector<16xf32>
              %rest_parts1 = arith.mulf %rest1, %parts_each : vector<16xf32>
              %rest_above1 = arith.maxnumf %rest_parts1, %least_each : vector<16xf32>
              %rest_within1 = arith.minnumf %rest_above1, %most_each : vector<16xf32>
              %rest_round1 = math.roundeven %rest_within1 : vector<16xf32>
              %lower1 = arith.fptosi %rest_round1 : vector<16xf32> to vector<16xi32>
              %lower1_bytes = arith.trunci %lower1 : vector<16xi32> to vector<16xi8>
              %lower1_fours = vector.bitcast %lower1_bytes : vector<16xi8> to vector<4xi32>
              vector.store %lower1_fours, %weighteds[%row, %block, %fours3] : memref<4x2x18xi32>, vector<4xi32>
              %upper_moved1 = arith.shli %upper1, %byte_each : vector<16xi32>
              %integer1 = arith.addi %upper_moved1, %lower1 : vector<16xi32>
              %integers1 = arith.addi %integer0, %integer1 : vector<16xi32>
              %block_sum = vector.reduction <add>, %integers1 : vector<16xi32> into i32
              %no_sum = arith.constant 0 : i32
              %less_sum = arith.subi %no_sum, %block_sum : i32
              %block_scale_bits = arith.bitcast %block_scale : f32 to i32
              memref.store %block_scale_bits, %weighteds[%row, %block, %made_scale] : memref<4x2x18xi32>
              memref.store %less_sum, %weighteds[%row, %block, %made_sum] : memref<4x2x18xi32>
        }
        return
      }
    }
  }

  // Rows × weights: 4 × 64 by 6 tiles of 16, 4 × 1 at once.
  stream.executable private @qkv {
    stream.executable.export public @qkv workgroups() -> (index, index, index) {
      %size1 = arith.constant 1 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @qkv(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %w_scales_bytes: !stream.binding,
          %bias_bytes: !stream.binding, %squares_bytes: !stream.binding, %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<4x2x18xi32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<6x16x16xi32>
        %w_scales = stream.binding.subspan %w_scales_bytes[%c0] : !stream.binding -> memref<6x2x16xf16>
        %bias = stream.binding.subspan %bias_bytes[%c0] : !stream.binding -> memref<96xf32>
        %squares = stream.binding.subspan %squares_bytes[%c0] : !stream.binding -> memref<4x4xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<4x96xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 16 : index
        %rows = arith.constant 4 : index
        %rows_at_once = arith.constant 4 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 6 : index
        %tiles_at_once = arith.constant 1 : index
        %unit = arith.constant 1 : index
        %last_unit = arith.constant 5 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 16 : index
        %zeros = arith.constant dense<0.0> : vector<16xf32>
        %no_dots = arith.constant dense<0> : vector<16xi32>
        %blocks = arith.constant 2 : index
        %steps_of_block = arith.constant 8 : index
        %scale_of_block = arith.constant 16 : index
        %sum_of_block = arith.constant 17 : index
        %second_plane = arith.constant 8 : index
        %byte = arith.constant dense<8> : vector<16xi32>
        %part0 = arith.constant 0 : index
        %zero = arith.constant dense<128> : vector<16xi32>
        %room = memref.alloca() : memref<1x4x16xf32>
        %scales = memref.alloca() : memref<4xf32>
        %parts = arith.constant 4 : index
        %parts_at_once = arith.constant 4 : index
        %none = arith.constant dense<0.0> : vector<4xf32>
        scf.for %row = %c0 to %rows step %c1 {
          %partial = scf.for %at = %c0 to %parts step %parts_at_once iter_args(%sum = %none) -> (vector<4xf32>) {
            %more = vector.load %squares[%row, %at] : memref<4x4xf32>, vector<4xf32>
            %next = arith.addf %sum, %more : vector<4xf32>
            scf.yield %next : vector<4xf32>
          }
          %total = vector.reduction <add>, %partial fastmath<reassoc> : vector<4xf32> into f32
          %scale_length = arith.constant 64.0 : f32
          %scale_eps = arith.constant 1.0e-05 : f32
          %scale_one = arith.constant 1.0 : f32
          %scale_mean = arith.divf %total, %scale_length : f32
          %scale_shifted = arith.addf %scale_mean, %scale_eps : f32
          %scale_root = math.sqrt %scale_shifted : f32
          %scale = arith.divf %scale_one, %scale_root : f32
          memref.store %scale, %scales[%row] : memref<4xf32>
        }
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 4 : index
        %first_row = arith.muli %row_group, %rows_of_group : index
        %past_row = arith.addi %first_row, %rows_of_group : index
        %end_row = arith.minui %past_row, %rows : index
        scf.for %tile = %first to %end step %unit {
          %first_tile = arith.minui %tile, %last_unit : index
          %n0 = arith.addi %first_tile, %c0 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %sums0:4 = scf.for %block = %c0 to %blocks step %c1
                iter_args(%sum0_0_0 = %zeros, %sum0_1_0 = %zeros, %sum0_2_0 = %zeros, %sum0_3_0 = %zeros)
                -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
              %next_tile0 = arith.addi %n0, %tiles_at_once : index
              memref.prefetch %w_scales[%next_tile0, %block, %c0], read, locality<3>, data : memref<6x2x16xf16>
              %scale0_0_stored = vector.load %w_scales[%n0, %block, %part0] : memref<6x2x16xf16>, vector<16xf16>
              %scale0_0 = arith.extf %scale0_0_stored : vector<16xf16> to vector<16xf32>
              %scale_bits0 = memref.load %x[%m0, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale0 = arith.bitcast %scale_bits0 : i32 to f32
              %row_scales0 = vector.broadcast %row_scale0 : f32 to vector<16xf32>
              %less0 = memref.load %x[%m0, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each0 = vector.broadcast %less0 : i32 to vector<16xi32>
              %start0 = arith.muli %less_each0, %zero : vector<16xi32>
              %scale_bits1 = memref.load %x[%m1, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale1 = arith.bitcast %scale_bits1 : i32 to f32
              %row_scales1 = vector.broadcast %row_scale1 : f32 to vector<16xf32>
              %less1 = memref.load %x[%m1, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each1 = vector.broadcast %less1 : i32 to vector<16xi32>
              %start1 = arith.muli %less_each1, %zero : vector<16xi32>
              %scale_bits2 = memref.load %x[%m2, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale2 = arith.bitcast %scale_bits2 : i32 to f32
              %row_scales2 = vector.broadcast %row_scale2 : f32 to vector<16xf32>
              %less2 = memref.load %x[%m2, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each2 = vector.broadcast %less2 : i32 to vector<16xi32>
              %start2 = arith.muli %less_each2, %zero : vector<16xi32>
              %scale_bits3 = memref.load %x[%m3, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale3 = arith.bitcast %scale_bits3 : i32 to f32
              %row_scales3 = vector.broadcast %row_scale3 : f32 to vector<16xf32>
              %less3 = memref.load %x[%m3, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each3 = vector.broadcast %less3 : i32 to vector<16xi32>
              %start3 = arith.muli %less_each3, %zero : vector<16xi32>
              %first_step = arith.muli %block, %steps_of_block : index
              %of_plane0:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int0_0_0 = %no_dots, %int0_1_0 = %no_dots, %int0_2_0 = %no_dots, %int0_3_0 = %no_dots)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                // as far ahead in what is read next: past a tile's end, the tiles after these
                %ahead = arith.addi %k, %prefetch : index
                %is_next = arith.cmpi uge, %ahead, %depth : index
                %from_next = arith.subi %ahead, %depth : index
                %ahead_k = arith.select %is_next, %from_next, %ahead : index
                %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
                %quad0 = arith.addi %step, %c0 : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x2x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x2x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x2x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x2x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %fetched0 = arith.addi %n0, %ahead_n : index
                memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<6x16x16xi32>
                %stored0_0 = vector.load %w[%n0, %k, %part0] : memref<6x16x16xi32>, vector<16xi32>
                %w0_0_0 = vector.bitcast %stored0_0 : vector<16xi32> to vector<64xi8>
                %dot0_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_0_0, %w0_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_1_0, %w0_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_2_0, %w0_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_3_0, %w0_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot0_0_0, %dot0_1_0, %dot0_2_0, %dot0_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %moved0_0_0 = arith.shli %of_plane0#0, %byte : vector<16xi32>
              %begun0_0_0 = arith.addi %moved0_0_0, %start0 : vector<16xi32>
              %moved0_1_0 = arith.shli %of_plane0#1, %byte : vector<16xi32>
              %begun0_1_0 = arith.addi %moved0_1_0, %start1 : vector<16xi32>
              %moved0_2_0 = arith.shli %of_plane0#2, %byte : vector<16xi32>
              %begun0_2_0 = arith.addi %moved0_2_0, %start2 : vector<16xi32>
              %moved0_3_0 = arith.shli %of_plane0#3, %byte : vector<16xi32>
              %begun0_3_0 = arith.addi %moved0_3_0, %start3 : vector<16xi32>
              %of_plane1:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int0_0_0 = %begun0_0_0, %int0_1_0 = %begun0_1_0, %int0_2_0 = %begun0_2_0,
                            %int0_3_0 = %begun0_3_0)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                %quad0 = arith.addi %step, %second_plane : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x2x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x2x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x2x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x2x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %stored0_0 = vector.load %w[%n0, %k, %part0] : memref<6x16x16xi32>, vector<16xi32>
                %w0_0_0 = vector.bitcast %stored0_0 : vector<16xi32> to vector<64xi8>
                %dot0_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_0_0, %w0_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_1_0, %w0_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_2_0, %w0_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_3_0, %w0_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot0_0_0, %dot0_1_0, %dot0_2_0, %dot0_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %whole0_0_0 = arith.sitofp %of_plane1#0 : vector<16xi32> to vector<16xf32>
              %by_row0_0_0 = arith.mulf %whole0_0_0, %row_scales0 : vector<16xf32>
              %added0_0_0 = vector.fma %by_row0_0_0, %scale0_0, %sum0_0_0 : vector<16xf32>
              %whole0_1_0 = arith.sitofp %of_plane1#1 : vector<16xi32> to vector<16xf32>
              %by_row0_1_0 = arith.mulf %whole0_1_0, %row_scales1 : vector<16xf32>
              %added0_1_0 = vector.fma %by_row0_1_0, %scale0_0, %sum0_1_0 : vector<16xf32>
              %whole0_2_0 = arith.sitofp %of_plane1#2 : vector<16xi32> to vector<16xf32>
              %by_row0_2_0 = arith.mulf %whole0_2_0, %row_scales2 : vector<16xf32>
              %added0_2_0 = vector.fma %by_row0_2_0, %scale0_0, %sum0_2_0 : vector<16xf32>
              %whole0_3_0 = arith.sitofp %of_plane1#3 : vector<16xi32> to vector<16xf32>
              %by_row0_3_0 = arith.mulf %whole0_3_0, %row_scales3 : vector<16xf32>
              %added0_3_0 = vector.fma %by_row0_3_0, %scale0_0, %sum0_3_0 : vector<16xf32>
              scf.yield %added0_0_0, %added0_1_0, %added0_2_0, %added0_3_0
                  : vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
            }
            %place0 = arith.constant 0 : index
            %place0_0 = arith.constant 0 : index
            vector.store %sums0#0, %room[%place0, %place0_0, %part0] : memref<1x4x16xf32>, vector<16xf32>
            %place0_1 = arith.constant 1 : index
            vector.store %sums0#1, %room[%place0, %place0_1, %part0] : memref<1x4x16xf32>, vector<16xf32>
            %place0_2 = arith.constant 2 : index
            vector.store %sums0#2, %room[%place0, %place0_2, %part0] : memref<1x4x16xf32>, vector<16xf32>
            %place0_3 = arith.constant 3 : index
            vector.store %sums0#3, %room[%place0, %place0_3, %part0] : memref<1x4x16xf32>, vector<16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              %scale = memref.load %scales[%r] : memref<4xf32>
              %scaling = vector.broadcast %scale : f32 to vector<16xf32>
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<1x4x16xf32>, vector<16xf32>
                %y_scaled = arith.mulf %y_sum, %scaling : vector<16xf32>
                %y_bias = vector.load %bias[%at] : memref<96xf32>, vector<16xf32>
                %y_shifted = arith.addf %y_scaled, %y_bias : vector<16xf32>
                vector.store %y_shifted, %y[%r, %at] : memref<4x96xf32>, vector<16xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Attention of 4 heads, 4 to a kv head, over runs of 256 positions.
  stream.executable private @attention {
    stream.executable.export public @attention workgroups(%count: index) -> (index, index, index) {
      %size1 = arith.constant 1 : index
      %size2 = arith.constant 4 : index
      stream.return %count, %size1, %size2 : index, index, index
    }
    builtin.module {
      func.func @attention(
          %positions_bytes: !stream.binding, %cos_bytes: !stream.binding, %sin_bytes: !stream.binding,
          %qkv_bytes: !stream.binding, %k_bytes: !stream.binding, %v_bytes: !stream.binding, %layer: index,
          %partials_bytes: !stream.binding, %maxima_bytes: !stream.binding, %sums_of_runs_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %positions = stream.binding.subspan %positions_bytes[%c0] : !stream.binding -> memref<4xi32>
        %cos = stream.binding.subspan %cos_bytes[%c0] : !stream.binding -> memref<4x2x8xf32>
        %sin = stream.binding.subspan %sin_bytes[%c0] : !stream.binding -> memref<4x2x8xf32>
        %qkv = stream.binding.subspan %qkv_bytes[%c0] : !stream.binding -> memref<4x96xf32>
        %k = stream.binding.subspan %k_bytes[%c0] : !stream.binding -> memref<2x4x1x2x16x64xbf16>
        %v = stream.binding.subspan %v_bytes[%c0] : !stream.binding -> memref<2x4x1x2x64x16xbf16>
        %partials = stream.binding.subspan %partials_bytes[%c0] : !stream.binding -> memref<4x1x1x4x16xf32>
        %maxima = stream.binding.subspan %maxima_bytes[%c0] : !stream.binding -> memref<4x1x1x4xf32>
        %sums_of_runs = stream.binding.subspan %sums_of_runs_bytes[%c0] : !stream.binding -> memref<4x1x1x4xf32>
        %seen_run = stream.dispatch.workgroup.id[0] : index
        %kv_head = stream.dispatch.workgroup.id[1] : index
        %row = stream.dispatch.workgroup.id[2] : index
        %run_length = arith.constant 256 : index
        %position_i32 = memref.load %positions[%row] : memref<4xi32>
        %position = arith.index_cast %position_i32 : i32 to index
        %last_run = arith.divui %position, %run_length : index
        %nearest = arith.constant 0 : index
        %first_run = arith.divui %nearest, %run_length : index
        %run = arith.addi %first_run, %seen_run : index
        %is_seen = arith.cmpi ule, %run, %last_run : index
        scf.if %is_seen {
          %group = arith.constant 4 : index
          %head_dim = arith.constant 16 : index
          %half = arith.constant 8 : index
          %block = arith.constant 64 : index
          %kv_heads = arith.constant 1 : index
          %width = arith.constant 16 : index
          %head_width = arith.constant 16 : index
          %half_width = arith.constant 8 : index
          %prefetch = arith.constant 32 : index
          %none = arith.constant 0.0 : f32
          %lowest = arith.constant 0xFF800000 : f32
          // the heads of qkv: queries, then keys, then values
          %k_head = arith.constant 4 : index
          %k_at = arith.addi %k_head, %kv_head : index
          %v_at = arith.addi %k_at, %kv_heads : index
          %q_at = arith.muli %kv_head, %group : index
          // the kv head's queries and its key, turned
          %turned = memref.alloca() : memref<5x16xf32>
          scf.for %query = %c0 to %group step %c1 {
            %head = arith.addi %q_at, %query : index
            %q_begin = arith.muli %head, %head_dim : index
            scf.for %d = %c0 to %half step %half_width {
              %d_after = arith.addi %d, %half : index
              %a_at = arith.addi %q_begin, %d : index
              %a = vector.load %qkv[%row, %a_at] : memref<4x96xf32>, vector<8xf32>
              %place_a = arith.constant 0 : index
              %cos_a = vector.load %cos[%row, %place_a, %d] : memref<4x2x8xf32>, vector<8xf32>
              %sin_a = vector.load %sin[%row, %place_a, %d] : memref<4x2x8xf32>, vector<8xf32>
              %b_at = arith.addi %q_begin, %d_after : index
              %b = vector.load %qkv[%row, %b_at] : memref<4x96xf32>, vector<8xf32>
              %place_b = arith.constant 1 : index
              %cos_b = vector.load %cos[%row, %place_b, %d] : memref<4x2x8xf32>, vector<8xf32>
              %sin_b = vector.load %sin[%row, %place_b, %d] : memref<4x2x8xf32>, vector<8xf32>
              %a_kept = arith.mulf %a, %cos_a : vector<8xf32>
              %a_crossed = arith.mulf %b, %sin_a : vector<8xf32>
              %a_turned = arith.addf %a_kept, %a_crossed : vector<8xf32>
              %a_factor = arith.constant dense<0.25> : vector<8xf32>
              %a_scaled = arith.mulf %a_turned, %a_factor : vector<8xf32>
              vector.store %a_scaled, %turned[%query, %d] : memref<5x16xf32>, vector<8xf32>
              %b_kept = arith.mulf %b, %cos_b : vector<8xf32>
              %b_crossed = arith.mulf %a, %sin_b : vector<8xf32>
              %b_turned = arith.addf %b_kept, %b_crossed : vector<8xf32>
              %b_factor = arith.constant dense<0.25> : vector<8xf32>
              %b_scaled = arith.mulf %b_turned, %b_factor : vector<8xf32>
              vector.store %b_scaled, %turned[%query, %d_after] : memref<5x16xf32>, vector<8xf32>
            }
          }
          %is_own = arith.cmpi eq, %run, %last_run : index
          scf.if %is_own {
            %k_begin = arith.muli %k_at, %head_dim : index
            scf.for %d = %c0 to %half step %half_width {
              %d_after = arith.addi %d, %half : index
              %a_at = arith.addi %k_begin, %d : index
              %a = vector.load %qkv[%row, %a_at] : memref<4x96xf32>, vector<8xf32>
              %place_a = arith.constant 0 : index
              %cos_a = vector.load %cos[%row, %place_a, %d] : memref<4x2x8xf32>, vector<8xf32>
              %sin_a = vector.load %sin[%row, %place_a, %d] : memref<4x2x8xf32>, vector<8xf32>
              %b_at = arith.addi %k_begin, %d_after : index
              %b = vector.load %qkv[%row, %b_at] : memref<4x96xf32>, vector<8xf32>
              %place_b = arith.constant 1 : index
              %cos_b = vector.load %cos[%row, %place_b, %d] : memref<4x2x8xf32>, vector<8xf32>
              %sin_b = vector.load %sin[%row, %place_b, %d] : memref<4x2x8xf32>, vector<8xf32>
              %a_kept = arith.mulf %a, %cos_a : vector<8xf32>
              %a_crossed = arith.mulf %b, %sin_a : vector<8xf32>
              %a_turned = arith.addf %a_kept, %a_crossed : vector<8xf32>
              vector.store %a_turned, %turned[%group, %d] : memref<5x16xf32>, vector<8xf32>
              %b_kept = arith.mulf %b, %cos_b : vector<8xf32>
              %b_crossed = arith.mulf %a, %sin_b : vector<8xf32>
              %b_turned = arith.addf %b_kept, %b_crossed : vector<8xf32>
              vector.store %b_turned, %turned[%group, %d_after] : memref<5x16xf32>, vector<8xf32>
            }
            %own_block = arith.divui %position, %block : index
            %own_place = arith.remui %position, %block : index
            %v_begin = arith.muli %v_at, %head_dim : index
            scf.for %d = %c0 to %head_dim step %c1 {
              %key = memref.load %turned[%group, %d] : memref<5x16xf32>
              %at = arith.addi %v_begin, %d : index
              %value = memref.load %qkv[%row, %at] : memref<4x96xf32>
              %key_low = arith.truncf %key : f32 to bf16
              %value_low = arith.truncf %value : f32 to bf16
              memref.store %key_low, %k[%layer, %row, %kv_head, %own_block, %d, %own_place]
                  : memref<2x4x1x2x16x64xbf16>
              memref.store %value_low, %v[%layer, %row, %kv_head, %own_block, %own_place, %d]
                  : memref<2x4x1x2x64x16xbf16>
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
                %x0 = memref.load %turned[%q0, %d] : memref<5x16xf32>
                %x1 = memref.load %turned[%q1, %d] : memref<5x16xf32>
                %x2 = memref.load %turned[%q2, %d] : memref<5x16xf32>
                %x3 = memref.load %turned[%q3, %d] : memref<5x16xf32>
                %column = vector.from_elements %x0, %x1, %x2, %x3 : vector<4xf32>
                %ahead = arith.addi %d, %prefetch : index
                memref.prefetch %k[%layer, %row, %kv_head, %number, %ahead, %p0], read, locality<3>, data
                    : memref<2x4x1x2x16x64xbf16>
                %key0_low = vector.load %k[%layer, %row, %kv_head, %number, %d, %p0]
                    : memref<2x4x1x2x16x64xbf16>, vector<16xbf16>
                %key0 = arith.extf %key0_low : vector<16xbf16> to vector<16xf32>
                %next0 = vector.outerproduct %column, %key0, %sum0 {kind = #vector.kind<add>}
                    : vector<4xf32>, vector<16xf32>
                %key1_low = vector.load %k[%layer, %row, %kv_head, %number, %d, %p1]
                    : memref<2x4x1x2x16x64xbf16>, vector<16xbf16>
                %key1 = arith.extf %key1_low : vector<16xbf16> to vector<16xf32>
                %next1 = vector.outerproduct %column, %key1, %sum1 {kind = #vector.kind<add>}
                    : vector<4xf32>, vector<16xf32>
                memref.prefetch %k[%layer, %row, %kv_head, %number, %ahead, %p2], read, locality<3>, data
                    : memref<2x4x1x2x16x64xbf16>
                %key2_low = vector.load %k[%layer, %row, %kv_head, %number, %d, %p2]
                    : memref<2x4x1x2x16x64xbf16>, vector<16xbf16>
                %key2 = arith.extf %key2_low : vector<16xbf16> to vector<16xf32>
                %next2 = vector.outerproduct %column, %key2, %sum2 {kind = #vector.kind<add>}
                    : vector<4xf32>, vector<16xf32>
                %key3_low = vector.load %k[%layer, %row, %kv_head, %number, %d, %p3]
                    : memref<2x4x1x2x16x64xbf16>, vector<16xbf16>
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
            memref.store %max, %maxima[%row, %kv_head, %seen_run, %query] : memref<4x1x1x4xf32>
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
            memref.store %sum_of_run, %sums_of_runs[%row, %kv_head, %seen_run, %query] : memref<4x1x1x4xf32>
          }
          %columns_at_once = arith.constant 16 : index
          %first_block = arith.divui %begin, %block : index
          %blocks_end = arith.ceildivui %end, %block : index
          %values_none = arith.constant dense<0.0> : vector<4x16xf32>
          scf.for %d0 = %c0 to %head_dim step %columns_at_once {
            scf.for %query = %c0 to %group step %queries_at_once {
              %q0 = arith.minui %query, %last_queries : index
              %q1 = arith.addi %q0, %c1 : index
              %q2 = arith.addi %q1, %c1 : index
              %q3 = arith.addi %q2, %c1 : index
              %of_blocks:1 = scf.for %number = %first_block to %blocks_end step %c1
                  iter_args(%block_sum0 = %values_none)
                  -> (vector<4x16xf32>) {
                %block_begin = arith.muli %number, %block : index
                %block_end = arith.addi %block_begin, %block : index
                %from = arith.maxui %begin, %block_begin : index
                %to = arith.minui %end, %block_end : index
                %of_block:1 = scf.for %at = %from to %to step %c1
                    iter_args(%sum0 = %block_sum0)
                    -> (vector<4x16xf32>) {
                  %place = arith.subi %at, %run_begin : index
                  %j = arith.subi %at, %block_begin : index
                  %w0 = memref.load %scores[%q0, %place] : memref<4x256xf32>
                  %w1 = memref.load %scores[%q1, %place] : memref<4x256xf32>
                  %w2 = memref.load %scores[%q2, %place] : memref<4x256xf32>
                  %w3 = memref.load %scores[%q3, %place] : memref<4x256xf32>
                  %column = vector.from_elements %w0, %w1, %w2, %w3 : vector<4xf32>
                  %ahead = arith.addi %j, %prefetch : index
                  memref.prefetch %v[%layer, %row, %kv_head, %number, %ahead, %d0], read, locality<3>, data
                      : memref<2x4x1x2x64x16xbf16>
                %value0_low = vector.load %v[%layer, %row, %kv_head, %number, %j, %d0]
                    : memref<2x4x1x2x64x16xbf16>, vector<16xbf16>
                %value0 = arith.extf %value0_low : vector<16xbf16> to vector<16xf32>
                  %next0 = vector.outerproduct %column, %value0, %sum0 {kind = #vector.kind<add>}
                      : vector<4xf32>, vector<16xf32>
                  scf.yield %next0
                      : vector<4x16xf32>
                }
                scf.yield %of_block#0
                    : vector<4x16xf32>
              }
              vector.transfer_write %of_blocks#0, %partials[%row, %kv_head, %seen_run, %q0, %d0]
                  {in_bounds = [true, true]} : vector<4x16xf32>, memref<4x1x1x4x16xf32>
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
      %size1 = arith.constant 1 : index
      %size2 = arith.constant 4 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @merge(
          %positions_bytes: !stream.binding, %partials_bytes: !stream.binding, %maxima_bytes: !stream.binding,
          %sums_of_runs_bytes: !stream.binding, %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %positions = stream.binding.subspan %positions_bytes[%c0] : !stream.binding -> memref<4xi32>
        %partials = stream.binding.subspan %partials_bytes[%c0] : !stream.binding -> memref<4x1x1x4x16xf32>
        %maxima = stream.binding.subspan %maxima_bytes[%c0] : !stream.binding -> memref<4x1x1x4xf32>
        %sums_of_runs = stream.binding.subspan %sums_of_runs_bytes[%c0] : !stream.binding -> memref<4x1x1x4xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<4x2x18xi32>
        %kv_head = stream.dispatch.workgroup.id[0] : index
        %row = stream.dispatch.workgroup.id[1] : index
        %width = arith.constant 16 : index
        %head_dim = arith.constant 16 : index
        %group = arith.constant 4 : index
        %none = arith.constant 0.0 : f32
        %lowest = arith.constant 0xFF800000 : f32
        %nothing = arith.constant dense<0.0> : vector<16xf32>
        %run_length = arith.constant 256 : index
        %position_i32 = memref.load %positions[%row] : memref<4xi32>
        %position = arith.index_cast %position_i32 : i32 to index
        %last_run = arith.divui %position, %run_length : index
        %nearest = arith.constant 0 : index
        %first_run = arith.divui %nearest, %run_length : index
        %runs = arith.subi %last_run, %first_run : index
        %held = arith.addi %runs, %c1 : index
        %shares = memref.alloca() : memref<1xf32>
        %room = memref.alloca() : memref<64xf32>
        scf.for %query = %c0 to %group step %c1 {
          %max = scf.for %run = %c0 to %held step %c1 iter_args(%highest = %lowest) -> (f32) {
            %more = memref.load %maxima[%row, %kv_head, %run, %query] : memref<4x1x1x4xf32>
            %next = arith.maximumf %highest, %more : f32
            scf.yield %next : f32
          }
          // a run's share by the maximum of all; where that is no number, neither is the share
          %is_none = arith.cmpf oeq, %max, %lowest : f32
          %base = arith.select %is_none, %none, %max : f32
          %total = scf.for %run = %c0 to %held step %c1 iter_args(%sum = %none) -> (f32) {
            %own = memref.load %maxima[%row, %kv_head, %run, %query] : memref<4x1x1x4xf32>
            %below = arith.subf %own, %base : f32
            %share = math.exp %below : f32
            memref.store %share, %shares[%run] : memref<1xf32>
            %weight = memref.load %sums_of_runs[%row, %kv_head, %run, %query] : memref<4x1x1x4xf32>
            %shared = arith.mulf %weight, %share : f32
            %next = arith.addf %sum, %shared : f32
            scf.yield %next : f32
          }
          %totals = vector.broadcast %total : f32 to vector<16xf32>
          %begin_here = arith.muli %query, %head_dim : index
          scf.for %d = %c0 to %head_dim step %width {
            %values = scf.for %run = %c0 to %held step %c1 iter_args(%sum = %nothing) -> (vector<16xf32>) {
              %share = memref.load %shares[%run] : memref<1xf32>
              %share_each = vector.broadcast %share : f32 to vector<16xf32>
              %part = vector.load %partials[%row, %kv_head, %run, %query, %d] : memref<4x1x1x4x16xf32>, vector<16xf32>
              %shared = arith.mulf %part, %share_each : vector<16xf32>
              %next = arith.addf %sum, %shared : vector<16xf32>
              scf.yield %next : vector<16xf32>
            }
            %mean = arith.divf %values, %totals : vector<16xf32>
            %at = arith.addi %begin_here, %d : index
            vector.store %mean, %room[%at] : memref<64xf32>, vector<16xf32>
          }
        }
        %most = arith.constant 127.0 : f32
        %most_each = arith.constant dense<127.0> : vector<16xf32>
        %least_each = arith.constant dense<-127.0> : vector<16xf32>
        %tiny = arith.constant 1.0e-30 : f32
        %no_factor = arith.constant 0.0 : f32
        %fours1 = arith.constant 4 : index
        %fours2 = arith.constant 8 : index
        %fours3 = arith.constant 12 : index
        %made_scale = arith.constant 16 : index
        %made_sum = arith.constant 17 : index
        %parts_each = arith.constant dense<256.0> : vector<16xf32>
        %part = arith.constant 0.00390625 : f32
        %byte_each = arith.constant dense<8> : vector<16xi32>
        %block_size = arith.constant 32 : index
        %blocks_of_group = arith.constant 2 : index
        %width16 = arith.constant 16 : index
        %block_begin = arith.muli %kv_head, %blocks_of_group : index
        scf.for %b = %c0 to %blocks_of_group step %c1 {
          %block = arith.addi %block_begin, %b : index
          %at0 = arith.muli %b, %block_size : index
          %made0 = vector.load %room[%at0] : memref<64xf32>, vector<16xf32>
          %at1 = arith.addi %at0, %width16 : index
          %made1 = vector.load %room[%at1] : memref<64xf32>, vector<16xf32>
              %size0 = math.absf %made0 : vector<16xf32>
              %size1 = math.absf %made1 : vector<16xf32>
              %sizes1 = arith.maximumf %size0, %size1 : vector<16xf32>
              %largest_size = vector.reduction <maximumf>, %sizes1 : vector<16xf32> into f32
              %whole_scale = arith.divf %largest_size, %most : f32
              %block_scale = arith.mulf %whole_scale, %part : f32
              %is_some = arith.cmpf ogt, %largest_size, %tiny : f32
              %inverse = arith.divf %most, %largest_size : f32
              %factor = arith.select %is_some, %inverse, %no_factor : f32
              %factors = vector.broadcast %factor : f32 to vector<16xf32>
              %by_factor0 = arith.mulf %made0, %factors : vector<16xf32>
              %above0 = arith.maxnumf %by_factor0, %least_each : vector<16xf32>
              %within0 = arith.minnumf %above0, %most_each : vector<16xf32>
              %round0 = math.roundeven %within0 : vector<16xf32>
              %upper0 = arith.fptosi %round0 : vector<16xf32> to vector<16xi32>
              %upper0_bytes = arith.trunci %upper0 : vector<16xi32> to vector<16xi8>
              %upper0_fours = vector.bitcast %upper0_bytes : vector<16xi8> to vector<4xi32>
              vector.store %upper0_fours, %y[%row, %block, %c0] : memref<4x2x18xi32>, vector<4xi32>
              %rest0 = arith.subf %within0, %round0 : vector<16xf32>
              %rest_parts0 = arith.mulf %rest0, %parts_each : vector<16xf32>
              %rest_above0 = arith.maxnumf %rest_parts0, %least_each : vector<16xf32>
              %rest_within0 = arith.minnumf %rest_above0, %most_each : vector<16xf32>
              %rest_round0 = math.roundeven %rest_within0 : vector<16xf32>
              %lower0 = arith.fptosi %rest_round0 : vector<16xf32> to vector<16xi32>
              %lower0_bytes = arith.trunci %lower0 : vector<16xi32> to vector<16xi8>
              %lower0_fours = vector.bitcast %lower0_bytes : vector<16xi8> to vector<4xi32>
              vector.store %lower0_fours, %y[%row, %block, %fours2] : memref<4x2x18xi32>, vector<4xi32>
              %upper_moved0 = arith.shli %upper0, %byte_each : vector<16xi32>
              %integer0 = arith.addi %upper_moved0, %lower0 : vector<16xi32>
              %by_factor1 = arith.mulf %made1, %factors : vector<16xf32>
              %above1 = arith.maxnumf %by_factor1, %least_each : vector<16xf32>
              %within1 = arith.minnumf %above1, %most_each : vector<16xf32>
              %round1 = math.roundeven %within1 : vector<16xf32>
              %upper1 = arith.fptosi %round1 : vector<16xf32> to vector<16xi32>
              %upper1_bytes = arith.trunci %upper1 : vector<16xi32> to vector<16xi8>
              %upper1_fours = vector.bitcast %upper1_bytes : vector<16xi8> to vector<4xi32>
              vector.store %upper1_fours, %y[%row, %block, %fours1] : memref<4x2x18xi32>, vector<4xi32>
              %rest1 = arith.subf %within1, %round1 : vector<16xf32>
              %rest_parts1 = arith.mulf %rest1, %parts_each : vector<16xf32>
              %rest_above1 = arith.maxnumf %rest_parts1, %least_each : vector<16xf32>
              %rest_within1 = arith.minnumf %rest_above1, %most_each : vector<16xf32>
              %rest_round1 = math.roundeven %rest_within1 : vector<16xf32>
              %lower1 = arith.fptosi %rest_round1 : vector<16xf32> to vector<16xi32>
              %lower1_bytes = arith.trunci %lower1 : vector<16xi32> to vector<16xi8>
              %lower1_fours = vector.bitcast %lower1_bytes : vector<16xi8> to vector<4xi32>
              vector.store %lower1_fours, %y[%row, %block, %fours3] : memref<4x2x18xi32>, vector<4xi32>
              %upper_moved1 = arith.shli %upper1, %byte_each : vector<16xi32>
              %integer1 = arith.addi %upper_moved1, %lower1 : vector<16xi32>
              %integers1 = arith.addi %integer0, %integer1 : vector<16xi32>
              %block_sum = vector.reduction <add>, %integers1 : vector<16xi32> into i32
              %no_sum = arith.constant 0 : i32
              %less_sum = arith.subi %no_sum, %block_sum : i32
              %block_scale_bits = arith.bitcast %block_scale : f32 to i32
              memref.store %block_scale_bits, %y[%row, %block, %made_scale] : memref<4x2x18xi32>
              memref.store %less_sum, %y[%row, %block, %made_sum] : memref<4x2x18xi32>
        }
        return
      }
    }
  }

  // Rows × weights: 4 × 64 by 4 tiles of 16, 4 × 1 at once.
  stream.executable private @o {
    stream.executable.export public @o workgroups() -> (index, index, index) {
      %size1 = arith.constant 1 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @o(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %w_scales_bytes: !stream.binding,
          %bias_bytes: !stream.binding, %residual_bytes: !stream.binding, %next_norm_bytes: !stream.binding,
          %y_bytes: !stream.binding, %weighteds_bytes: !stream.binding, %square_sums_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<4x2x18xi32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<4x16x16xi32>
        %w_scales = stream.binding.subspan %w_scales_bytes[%c0] : !stream.binding -> memref<4x2x16xf16>
        %bias = stream.binding.subspan %bias_bytes[%c0] : !stream.binding -> memref<64xf32>
        %residual = stream.binding.subspan %residual_bytes[%c0] : !stream.binding -> memref<4x64xf32>
        %next_norm = stream.binding.subspan %next_norm_bytes[%c0] : !stream.binding -> memref<64xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<4x64xf32>
        %weighteds = stream.binding.subspan %weighteds_bytes[%c0] : !stream.binding -> memref<4x2x18xi32>
        %square_sums = stream.binding.subspan %square_sums_bytes[%c0] : !stream.binding -> memref<4x4xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 16 : index
        %rows = arith.constant 4 : index
        %rows_at_once = arith.constant 4 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 4 : index
        %tiles_at_once = arith.constant 1 : index
        %unit = arith.constant 2 : index
        %last_unit = arith.constant 2 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 16 : index
        %zeros = arith.constant dense<0.0> : vector<16xf32>
        %no_dots = arith.constant dense<0> : vector<16xi32>
        %blocks = arith.constant 2 : index
        %steps_of_block = arith.constant 8 : index
        %scale_of_block = arith.constant 16 : index
        %sum_of_block = arith.constant 17 : index
        %second_plane = arith.constant 8 : index
        %byte = arith.constant dense<8> : vector<16xi32>
        %part0 = arith.constant 0 : index
        %zero = arith.constant dense<128> : vector<16xi32>
        %most = arith.constant 127.0 : f32
        %most_each = arith.constant dense<127.0> : vector<16xf32>
        %least_each = arith.constant dense<-127.0> : vector<16xf32>
        %tiny = arith.constant 1.0e-30 : f32
        %no_factor = arith.constant 0.0 : f32
        %fours1 = arith.constant 4 : index
        %fours2 = arith.constant 8 : index
        %fours3 = arith.constant 12 : index
        %made_scale = arith.constant 16 : index
        %made_sum = arith.constant 17 : index
        %parts_each = arith.constant dense<256.0> : vector<16xf32>
        %part = arith.constant 0.00390625 : f32
        %byte_each = arith.constant dense<8> : vector<16xi32>
        %vectors_of_block = arith.constant 2 : index
        %tiles_of_block = arith.constant 2 : index
        %room = memref.alloca() : memref<2x4x16xf32>
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 4 : index
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
            %sums0:4 = scf.for %block = %c0 to %blocks step %c1
                iter_args(%sum0_0_0 = %zeros, %sum0_1_0 = %zeros, %sum0_2_0 = %zeros, %sum0_3_0 = %zeros)
                -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
              %next_tile0 = arith.addi %n0, %tiles_at_once : index
              memref.prefetch %w_scales[%next_tile0, %block, %c0], read, locality<3>, data : memref<4x2x16xf16>
              %scale0_0_stored = vector.load %w_scales[%n0, %block, %part0] : memref<4x2x16xf16>, vector<16xf16>
              %scale0_0 = arith.extf %scale0_0_stored : vector<16xf16> to vector<16xf32>
              %scale_bits0 = memref.load %x[%m0, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale0 = arith.bitcast %scale_bits0 : i32 to f32
              %row_scales0 = vector.broadcast %row_scale0 : f32 to vector<16xf32>
              %less0 = memref.load %x[%m0, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each0 = vector.broadcast %less0 : i32 to vector<16xi32>
              %start0 = arith.muli %less_each0, %zero : vector<16xi32>
              %scale_bits1 = memref.load %x[%m1, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale1 = arith.bitcast %scale_bits1 : i32 to f32
              %row_scales1 = vector.broadcast %row_scale1 : f32 to vector<16xf32>
              %less1 = memref.load %x[%m1, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each1 = vector.broadcast %less1 : i32 to vector<16xi32>
              %start1 = arith.muli %less_each1, %zero : vector<16xi32>
              %scale_bits2 = memref.load %x[%m2, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale2 = arith.bitcast %scale_bits2 : i32 to f32
              %row_scales2 = vector.broadcast %row_scale2 : f32 to vector<16xf32>
              %less2 = memref.load %x[%m2, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each2 = vector.broadcast %less2 : i32 to vector<16xi32>
              %start2 = arith.muli %less_each2, %zero : vector<16xi32>
              %scale_bits3 = memref.load %x[%m3, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale3 = arith.bitcast %scale_bits3 : i32 to f32
              %row_scales3 = vector.broadcast %row_scale3 : f32 to vector<16xf32>
              %less3 = memref.load %x[%m3, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each3 = vector.broadcast %less3 : i32 to vector<16xi32>
              %start3 = arith.muli %less_each3, %zero : vector<16xi32>
              %first_step = arith.muli %block, %steps_of_block : index
              %of_plane0:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int0_0_0 = %no_dots, %int0_1_0 = %no_dots, %int0_2_0 = %no_dots, %int0_3_0 = %no_dots)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                // as far ahead in what is read next: past a tile's end, the tiles after these
                %ahead = arith.addi %k, %prefetch : index
                %is_next = arith.cmpi uge, %ahead, %depth : index
                %from_next = arith.subi %ahead, %depth : index
                %ahead_k = arith.select %is_next, %from_next, %ahead : index
                %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
                %quad0 = arith.addi %step, %c0 : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x2x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x2x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x2x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x2x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %fetched0 = arith.addi %n0, %ahead_n : index
                memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<4x16x16xi32>
                %stored0_0 = vector.load %w[%n0, %k, %part0] : memref<4x16x16xi32>, vector<16xi32>
                %w0_0_0 = vector.bitcast %stored0_0 : vector<16xi32> to vector<64xi8>
                %dot0_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_0_0, %w0_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_1_0, %w0_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_2_0, %w0_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_3_0, %w0_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot0_0_0, %dot0_1_0, %dot0_2_0, %dot0_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %moved0_0_0 = arith.shli %of_plane0#0, %byte : vector<16xi32>
              %begun0_0_0 = arith.addi %moved0_0_0, %start0 : vector<16xi32>
              %moved0_1_0 = arith.shli %of_plane0#1, %byte : vector<16xi32>
              %begun0_1_0 = arith.addi %moved0_1_0, %start1 : vector<16xi32>
              %moved0_2_0 = arith.shli %of_plane0#2, %byte : vector<16xi32>
              %begun0_2_0 = arith.addi %moved0_2_0, %start2 : vector<16xi32>
              %moved0_3_0 = arith.shli %of_plane0#3, %byte : vector<16xi32>
              %begun0_3_0 = arith.addi %moved0_3_0, %start3 : vector<16xi32>
              %of_plane1:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int0_0_0 = %begun0_0_0, %int0_1_0 = %begun0_1_0, %int0_2_0 = %begun0_2_0,
                            %int0_3_0 = %begun0_3_0)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                %quad0 = arith.addi %step, %second_plane : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x2x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x2x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x2x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x2x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %stored0_0 = vector.load %w[%n0, %k, %part0] : memref<4x16x16xi32>, vector<16xi32>
                %w0_0_0 = vector.bitcast %stored0_0 : vector<16xi32> to vector<64xi8>
                %dot0_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_0_0, %w0_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_1_0, %w0_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_2_0, %w0_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_3_0, %w0_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot0_0_0, %dot0_1_0, %dot0_2_0, %dot0_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %whole0_0_0 = arith.sitofp %of_plane1#0 : vector<16xi32> to vector<16xf32>
              %by_row0_0_0 = arith.mulf %whole0_0_0, %row_scales0 : vector<16xf32>
              %added0_0_0 = vector.fma %by_row0_0_0, %scale0_0, %sum0_0_0 : vector<16xf32>
              %whole0_1_0 = arith.sitofp %of_plane1#1 : vector<16xi32> to vector<16xf32>
              %by_row0_1_0 = arith.mulf %whole0_1_0, %row_scales1 : vector<16xf32>
              %added0_1_0 = vector.fma %by_row0_1_0, %scale0_0, %sum0_1_0 : vector<16xf32>
              %whole0_2_0 = arith.sitofp %of_plane1#2 : vector<16xi32> to vector<16xf32>
              %by_row0_2_0 = arith.mulf %whole0_2_0, %row_scales2 : vector<16xf32>
              %added0_2_0 = vector.fma %by_row0_2_0, %scale0_0, %sum0_2_0 : vector<16xf32>
              %whole0_3_0 = arith.sitofp %of_plane1#3 : vector<16xi32> to vector<16xf32>
              %by_row0_3_0 = arith.mulf %whole0_3_0, %row_scales3 : vector<16xf32>
              %added0_3_0 = vector.fma %by_row0_3_0, %scale0_0, %sum0_3_0 : vector<16xf32>
              scf.yield %added0_0_0, %added0_1_0, %added0_2_0, %added0_3_0
                  : vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
            }
            %place0 = arith.constant 0 : index
            %place0_0 = arith.constant 0 : index
            vector.store %sums0#0, %room[%place0, %place0_0, %part0] : memref<2x4x16xf32>, vector<16xf32>
            %place0_1 = arith.constant 1 : index
            vector.store %sums0#1, %room[%place0, %place0_1, %part0] : memref<2x4x16xf32>, vector<16xf32>
            %place0_2 = arith.constant 2 : index
            vector.store %sums0#2, %room[%place0, %place0_2, %part0] : memref<2x4x16xf32>, vector<16xf32>
            %place0_3 = arith.constant 3 : index
            vector.store %sums0#3, %room[%place0, %place0_3, %part0] : memref<2x4x16xf32>, vector<16xf32>
            %sums1:4 = scf.for %block = %c0 to %blocks step %c1
                iter_args(%sum1_0_0 = %zeros, %sum1_1_0 = %zeros, %sum1_2_0 = %zeros, %sum1_3_0 = %zeros)
                -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
              %next_tile1 = arith.addi %n1, %tiles_at_once : index
              memref.prefetch %w_scales[%next_tile1, %block, %c0], read, locality<3>, data : memref<4x2x16xf16>
              %scale1_0_stored = vector.load %w_scales[%n1, %block, %part0] : memref<4x2x16xf16>, vector<16xf16>
              %scale1_0 = arith.extf %scale1_0_stored : vector<16xf16> to vector<16xf32>
              %scale_bits0 = memref.load %x[%m0, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale0 = arith.bitcast %scale_bits0 : i32 to f32
              %row_scales0 = vector.broadcast %row_scale0 : f32 to vector<16xf32>
              %less0 = memref.load %x[%m0, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each0 = vector.broadcast %less0 : i32 to vector<16xi32>
              %start0 = arith.muli %less_each0, %zero : vector<16xi32>
              %scale_bits1 = memref.load %x[%m1, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale1 = arith.bitcast %scale_bits1 : i32 to f32
              %row_scales1 = vector.broadcast %row_scale1 : f32 to vector<16xf32>
              %less1 = memref.load %x[%m1, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each1 = vector.broadcast %less1 : i32 to vector<16xi32>
              %start1 = arith.muli %less_each1, %zero : vector<16xi32>
              %scale_bits2 = memref.load %x[%m2, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale2 = arith.bitcast %scale_bits2 : i32 to f32
              %row_scales2 = vector.broadcast %row_scale2 : f32 to vector<16xf32>
              %less2 = memref.load %x[%m2, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each2 = vector.broadcast %less2 : i32 to vector<16xi32>
              %start2 = arith.muli %less_each2, %zero : vector<16xi32>
              %scale_bits3 = memref.load %x[%m3, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale3 = arith.bitcast %scale_bits3 : i32 to f32
              %row_scales3 = vector.broadcast %row_scale3 : f32 to vector<16xf32>
              %less3 = memref.load %x[%m3, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each3 = vector.broadcast %less3 : i32 to vector<16xi32>
              %start3 = arith.muli %less_each3, %zero : vector<16xi32>
              %first_step = arith.muli %block, %steps_of_block : index
              %of_plane0:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int1_0_0 = %no_dots, %int1_1_0 = %no_dots, %int1_2_0 = %no_dots, %int1_3_0 = %no_dots)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                // as far ahead in what is read next: past a tile's end, the tiles after these
                %ahead = arith.addi %k, %prefetch : index
                %is_next = arith.cmpi uge, %ahead, %depth : index
                %from_next = arith.subi %ahead, %depth : index
                %ahead_k = arith.select %is_next, %from_next, %ahead : index
                %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
                %quad0 = arith.addi %step, %c0 : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x2x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x2x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x2x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x2x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %fetched1 = arith.addi %n1, %ahead_n : index
                memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<4x16x16xi32>
                %stored1_0 = vector.load %w[%n1, %k, %part0] : memref<4x16x16xi32>, vector<16xi32>
                %w1_0_0 = vector.bitcast %stored1_0 : vector<16xi32> to vector<64xi8>
                %dot1_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_0_0, %w1_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_1_0, %w1_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_2_0, %w1_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_3_0, %w1_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot1_0_0, %dot1_1_0, %dot1_2_0, %dot1_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %moved1_0_0 = arith.shli %of_plane0#0, %byte : vector<16xi32>
              %begun1_0_0 = arith.addi %moved1_0_0, %start0 : vector<16xi32>
              %moved1_1_0 = arith.shli %of_plane0#1, %byte : vector<16xi32>
              %begun1_1_0 = arith.addi %moved1_1_0, %start1 : vector<16xi32>
              %moved1_2_0 = arith.shli %of_plane0#2, %byte : vector<16xi32>
              %begun1_2_0 = arith.addi %moved1_2_0, %start2 : vector<16xi32>
              %moved1_3_0 = arith.shli %of_plane0#3, %byte : vector<16xi32>
              %begun1_3_0 = arith.addi %moved1_3_0, %start3 : vector<16xi32>
              %of_plane1:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int1_0_0 = %begun1_0_0, %int1_1_0 = %begun1_1_0, %int1_2_0 = %begun1_2_0,
                            %int1_3_0 = %begun1_3_0)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                %quad0 = arith.addi %step, %second_plane : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x2x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x2x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x2x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x2x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %stored1_0 = vector.load %w[%n1, %k, %part0] : memref<4x16x16xi32>, vector<16xi32>
                %w1_0_0 = vector.bitcast %stored1_0 : vector<16xi32> to vector<64xi8>
                %dot1_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_0_0, %w1_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_1_0, %w1_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_2_0, %w1_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_3_0, %w1_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot1_0_0, %dot1_1_0, %dot1_2_0, %dot1_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %whole1_0_0 = arith.sitofp %of_plane1#0 : vector<16xi32> to vector<16xf32>
              %by_row1_0_0 = arith.mulf %whole1_0_0, %row_scales0 : vector<16xf32>
              %added1_0_0 = vector.fma %by_row1_0_0, %scale1_0, %sum1_0_0 : vector<16xf32>
              %whole1_1_0 = arith.sitofp %of_plane1#1 : vector<16xi32> to vector<16xf32>
              %by_row1_1_0 = arith.mulf %whole1_1_0, %row_scales1 : vector<16xf32>
              %added1_1_0 = vector.fma %by_row1_1_0, %scale1_0, %sum1_1_0 : vector<16xf32>
              %whole1_2_0 = arith.sitofp %of_plane1#2 : vector<16xi32> to vector<16xf32>
              %by_row1_2_0 = arith.mulf %whole1_2_0, %row_scales2 : vector<16xf32>
              %added1_2_0 = vector.fma %by_row1_2_0, %scale1_0, %sum1_2_0 : vector<16xf32>
              %whole1_3_0 = arith.sitofp %of_plane1#3 : vector<16xi32> to vector<16xf32>
              %by_row1_3_0 = arith.mulf %whole1_3_0, %row_scales3 : vector<16xf32>
              %added1_3_0 = vector.fma %by_row1_3_0, %scale1_0, %sum1_3_0 : vector<16xf32>
              scf.yield %added1_0_0, %added1_1_0, %added1_2_0, %added1_3_0
                  : vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
            }
            %place1 = arith.constant 1 : index
            %place1_0 = arith.constant 0 : index
            vector.store %sums1#0, %room[%place1, %place1_0, %part0] : memref<2x4x16xf32>, vector<16xf32>
            %place1_1 = arith.constant 1 : index
            vector.store %sums1#1, %room[%place1, %place1_1, %part0] : memref<2x4x16xf32>, vector<16xf32>
            %place1_2 = arith.constant 2 : index
            vector.store %sums1#2, %room[%place1, %place1_2, %part0] : memref<2x4x16xf32>, vector<16xf32>
            %place1_3 = arith.constant 3 : index
            vector.store %sums1#3, %room[%place1, %place1_3, %part0] : memref<2x4x16xf32>, vector<16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<2x4x16xf32>, vector<16xf32>
                %y_bias = vector.load %bias[%at] : memref<64xf32>, vector<16xf32>
                %y_shifted = arith.addf %y_sum, %y_bias : vector<16xf32>
                %before = vector.load %residual[%r, %at] : memref<4x64xf32>, vector<16xf32>
                %added = arith.addf %y_shifted, %before : vector<16xf32>
                vector.store %added, %y[%r, %at] : memref<4x64xf32>, vector<16xf32>
                %gain = vector.load %next_norm[%at] : memref<64xf32>, vector<16xf32>
                %weighted = arith.mulf %added, %gain : vector<16xf32>
                vector.store %weighted, %room[%t, %m, %c0] : memref<2x4x16xf32>, vector<16xf32>
                %square = arith.mulf %added, %added : vector<16xf32>
                %square_sum = vector.reduction <add>, %square fastmath<reassoc> : vector<16xf32> into f32
                memref.store %square_sum, %square_sums[%r, %n] : memref<4x4xf32>
              }
              %first_block = arith.divui %first_tile, %tiles_of_block : index
              %blocks_made = arith.constant 1 : index
              scf.for %b = %c0 to %blocks_made step %c1 {
                %block_made = arith.addi %first_block, %b : index
                %place0_made = arith.muli %b, %vectors_of_block : index
                %made0 = vector.load %room[%place0_made, %m, %c0] : memref<2x4x16xf32>, vector<16xf32>
                %place1_made = arith.addi %place0_made, %c1 : index
                %made1 = vector.load %room[%place1_made, %m, %c0] : memref<2x4x16xf32>, vector<16xf32>
                %size0 = math.absf %made0 : vector<16xf32>
                %size1 = math.absf %made1 : vector<16xf32>
                %sizes1 = arith.maximumf %size0, %size1 : vector<16xf32>
                %largest_size = vector.reduction <maximumf>, %sizes1 : vector<16xf32> into f32
                %whole_scale = arith.divf %largest_size, %most : f32
                %block_scale = arith.mulf %whole_scale, %part : f32
                %is_some = arith.cmpf ogt, %largest_size, %tiny : f32
                %inverse = arith.divf %most, %largest_size : f32
                %factor = arith.select %is_some, %inverse, %no_factor : f32
                %factors = vector.broadcast %factor : f32 to vector<16xf32>
                %by_factor0 = arith.mulf %made0, %factors : vector<16xf32>
                %above0 = arith.maxnumf %by_factor0, %least_each : vector<16xf32>
                %within0 = arith.minnumf %above0, %most_each : vector<16xf32>
                %round0 = math.roundeven %within0 : vector<16xf32>
                %upper0 = arith.fptosi %round0 : vector<16xf32> to vector<16xi32>
                %upper0_bytes = arith.trunci %upper0 : vector<16xi32> to vector<16xi8>
                %upper0_fours = vector.bitcast %upper0_bytes : vector<16xi8> to vector<4xi32>
                vector.store %upper0_fours, %weighteds[%r, %block_made, %c0] : memref<4x2x18xi32>, vector<4xi32>
                %rest0 = arith.subf %within0, %round0 : vector<16xf32>
                %rest_parts0 = arith.mulf %rest0, %parts_each : vector<16xf32>
                %rest_above0 = arith.maxnumf %rest_parts0, %least_each : vector<16xf32>
                %rest_within0 = arith.minnumf %rest_above0, %most_each : vector<16xf32>
                %rest_round0 = math.roundeven %rest_within0 : vector<16xf32>
                %lower0 = arith.fptosi %rest_round0 : vector<16xf32> to vector<16xi32>
                %lower0_bytes = arith.trunci %lower0 : vector<16xi32> to vector<16xi8>
                %lower0_fours = vector.bitcast %lower0_bytes : vector<16xi8> to vector<4xi32>
                vector.store %lower0_fours, %weighteds[%r, %block_made, %fours2] : memref<4x2x18xi32>, vector<4xi32>
                %upper_moved0 = arith.shli %upper0, %byte_each : vector<16xi32>
                %integer0 = arith.addi %upper_moved0, %lower0 : vector<16xi32>
                %by_factor1 = arith.mulf %made1, %factors : vector<16xf32>
                %above1 = arith.maxnumf %by_factor1, %least_each : vector<16xf32>
                %within1 = arith.minnumf %above1, %most_each : vector<16xf32>
                %round1 = math.roundeven %within1 : vector<16xf32>
                %upper1 = arith.fptosi %round1 : vector<16xf32> to vector<16xi32>
                %upper1_bytes = arith.trunci %upper1 : vector<16xi32> to vector<16xi8>
                %upper1_fours = vector.bitcast %upper1_bytes : vector<16xi8> to vector<4xi32>
                vector.store %upper1_fours, %weighteds[%r, %block_made, %fours1] : memref<4x2x18xi32>, vector<4xi32>
                %rest1 = arith.subf %within1, %round1 : vector<16xf32>
                %rest_parts1 = arith.mulf %rest1, %parts_each : vector<16xf32>
                %rest_above1 = arith.maxnumf %rest_parts1, %least_each : vector<16xf32>
                %rest_within1 = arith.minnumf %rest_above1, %most_each : vector<16xf32>
                %rest_round1 = math.roundeven %rest_within1 : vector<16xf32>
                %lower1 = arith.fptosi %rest_round1 : vector<16xf32> to vector<16xi32>
                %lower1_bytes = arith.trunci %lower1 : vector<16xi32> to vector<16xi8>
                %lower1_fours = vector.bitcast %lower1_bytes : vector<16xi8> to vector<4xi32>
                vector.store %lower1_fours, %weighteds[%r, %block_made, %fours3] : memref<4x2x18xi32>, vector<4xi32>
                %upper_moved1 = arith.shli %upper1, %byte_each : vector<16xi32>
                %integer1 = arith.addi %upper_moved1, %lower1 : vector<16xi32>
                %integers1 = arith.addi %integer0, %integer1 : vector<16xi32>
                %block_sum = vector.reduction <add>, %integers1 : vector<16xi32> into i32
                %no_sum = arith.constant 0 : i32
                %less_sum = arith.subi %no_sum, %block_sum : i32
                %block_scale_bits = arith.bitcast %block_scale : f32 to i32
                memref.store %block_scale_bits, %weighteds[%r, %block_made, %made_scale] : memref<4x2x18xi32>
                memref.store %less_sum, %weighteds[%r, %block_made, %made_sum] : memref<4x2x18xi32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 4 × 64 by 14 tiles of 16, 4 × 1 at once.
  stream.executable private @gate_up {
    stream.executable.export public @gate_up workgroups() -> (index, index, index) {
      %size1 = arith.constant 2 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @gate_up(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %w_scales_bytes: !stream.binding,
          %squares_bytes: !stream.binding, %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<4x2x18xi32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<14x16x16xi32>
        %w_scales = stream.binding.subspan %w_scales_bytes[%c0] : !stream.binding -> memref<14x2x16xf16>
        %squares = stream.binding.subspan %squares_bytes[%c0] : !stream.binding -> memref<4x4xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<4x4x18xi32>
        %width = arith.constant 16 : index
        %depth = arith.constant 16 : index
        %rows = arith.constant 4 : index
        %rows_at_once = arith.constant 4 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 16 : index
        %tiles_at_once = arith.constant 1 : index
        %unit = arith.constant 4 : index
        %last_unit = arith.constant 12 : index
        %tiles_of_group = arith.constant 8 : index
        %last_tile = arith.constant 13 : index
        %prefetch = arith.constant 16 : index
        %c2 = arith.constant 2 : index
        %zeros = arith.constant dense<0.0> : vector<16xf32>
        %no_dots = arith.constant dense<0> : vector<16xi32>
        %blocks = arith.constant 2 : index
        %steps_of_block = arith.constant 8 : index
        %scale_of_block = arith.constant 16 : index
        %sum_of_block = arith.constant 17 : index
        %second_plane = arith.constant 8 : index
        %byte = arith.constant dense<8> : vector<16xi32>
        %part0 = arith.constant 0 : index
        %zero = arith.constant dense<128> : vector<16xi32>
        %most = arith.constant 127.0 : f32
        %most_each = arith.constant dense<127.0> : vector<16xf32>
        %least_each = arith.constant dense<-127.0> : vector<16xf32>
        %tiny = arith.constant 1.0e-30 : f32
        %no_factor = arith.constant 0.0 : f32
        %fours1 = arith.constant 4 : index
        %fours2 = arith.constant 8 : index
        %fours3 = arith.constant 12 : index
        %made_scale = arith.constant 16 : index
        %made_sum = arith.constant 17 : index
        %parts_each = arith.constant dense<256.0> : vector<16xf32>
        %part = arith.constant 0.00390625 : f32
        %byte_each = arith.constant dense<8> : vector<16xi32>
        %vectors_of_block = arith.constant 2 : index
        %tiles_of_block = arith.constant 4 : index
        %room = memref.alloca() : memref<4x4x16xf32>
        %scales = memref.alloca() : memref<4xf32>
        %parts = arith.constant 4 : index
        %parts_at_once = arith.constant 4 : index
        %none = arith.constant dense<0.0> : vector<4xf32>
        scf.for %row = %c0 to %rows step %c1 {
          %partial = scf.for %at = %c0 to %parts step %parts_at_once iter_args(%sum = %none) -> (vector<4xf32>) {
            %more = vector.load %squares[%row, %at] : memref<4x4xf32>, vector<4xf32>
            %next = arith.addf %sum, %more : vector<4xf32>
            scf.yield %next : vector<4xf32>
          }
          %total = vector.reduction <add>, %partial fastmath<reassoc> : vector<4xf32> into f32
          %scale_length = arith.constant 64.0 : f32
          %scale_eps = arith.constant 1.0e-05 : f32
          %scale_one = arith.constant 1.0 : f32
          %scale_mean = arith.divf %total, %scale_length : f32
          %scale_shifted = arith.addf %scale_mean, %scale_eps : f32
          %scale_root = math.sqrt %scale_shifted : f32
          %scale = arith.divf %scale_one, %scale_root : f32
          memref.store %scale, %scales[%row] : memref<4xf32>
        }
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 4 : index
        %first_row = arith.muli %row_group, %rows_of_group : index
        %past_row = arith.addi %first_row, %rows_of_group : index
        %end_row = arith.minui %past_row, %rows : index
        scf.for %tile = %first to %end step %unit {
          %first_tile = arith.minui %tile, %last_unit : index
          %filled0 = arith.addi %first_tile, %c0 : index
          %n0 = arith.minui %filled0, %last_tile : index
          %filled1 = arith.addi %filled0, %c1 : index
          %n1 = arith.minui %filled1, %last_tile : index
          %filled2 = arith.addi %filled1, %c1 : index
          %n2 = arith.minui %filled2, %last_tile : index
          %filled3 = arith.addi %filled2, %c1 : index
          %n3 = arith.minui %filled3, %last_tile : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %sums0:4 = scf.for %block = %c0 to %blocks step %c1
                iter_args(%sum0_0_0 = %zeros, %sum0_1_0 = %zeros, %sum0_2_0 = %zeros, %sum0_3_0 = %zeros)
                -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
              %next_tile0 = arith.addi %n0, %tiles_at_once : index
              memref.prefetch %w_scales[%next_tile0, %block, %c0], read, locality<3>, data : memref<14x2x16xf16>
              %scale0_0_stored = vector.load %w_scales[%n0, %block, %part0] : memref<14x2x16xf16>, vector<16xf16>
              %scale0_0 = arith.extf %scale0_0_stored : vector<16xf16> to vector<16xf32>
              %scale_bits0 = memref.load %x[%m0, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale0 = arith.bitcast %scale_bits0 : i32 to f32
              %row_scales0 = vector.broadcast %row_scale0 : f32 to vector<16xf32>
              %less0 = memref.load %x[%m0, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each0 = vector.broadcast %less0 : i32 to vector<16xi32>
              %start0 = arith.muli %less_each0, %zero : vector<16xi32>
              %scale_bits1 = memref.load %x[%m1, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale1 = arith.bitcast %scale_bits1 : i32 to f32
              %row_scales1 = vector.broadcast %row_scale1 : f32 to vector<16xf32>
              %less1 = memref.load %x[%m1, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each1 = vector.broadcast %less1 : i32 to vector<16xi32>
              %start1 = arith.muli %less_each1, %zero : vector<16xi32>
              %scale_bits2 = memref.load %x[%m2, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale2 = arith.bitcast %scale_bits2 : i32 to f32
              %row_scales2 = vector.broadcast %row_scale2 : f32 to vector<16xf32>
              %less2 = memref.load %x[%m2, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each2 = vector.broadcast %less2 : i32 to vector<16xi32>
              %start2 = arith.muli %less_each2, %zero : vector<16xi32>
              %scale_bits3 = memref.load %x[%m3, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale3 = arith.bitcast %scale_bits3 : i32 to f32
              %row_scales3 = vector.broadcast %row_scale3 : f32 to vector<16xf32>
              %less3 = memref.load %x[%m3, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each3 = vector.broadcast %less3 : i32 to vector<16xi32>
              %start3 = arith.muli %less_each3, %zero : vector<16xi32>
              %first_step = arith.muli %block, %steps_of_block : index
              %of_plane0:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int0_0_0 = %no_dots, %int0_1_0 = %no_dots, %int0_2_0 = %no_dots, %int0_3_0 = %no_dots)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                // as far ahead in what is read next: past a tile's end, the tiles after these
                %ahead = arith.addi %k, %prefetch : index
                %is_next = arith.cmpi uge, %ahead, %depth : index
                %from_next = arith.subi %ahead, %depth : index
                %ahead_k = arith.select %is_next, %from_next, %ahead : index
                %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
                %quad0 = arith.addi %step, %c0 : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x2x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x2x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x2x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x2x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %fetched0 = arith.addi %n0, %ahead_n : index
                memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<14x16x16xi32>
                %stored0_0 = vector.load %w[%n0, %k, %part0] : memref<14x16x16xi32>, vector<16xi32>
                %w0_0_0 = vector.bitcast %stored0_0 : vector<16xi32> to vector<64xi8>
                %dot0_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_0_0, %w0_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_1_0, %w0_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_2_0, %w0_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_3_0, %w0_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot0_0_0, %dot0_1_0, %dot0_2_0, %dot0_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %moved0_0_0 = arith.shli %of_plane0#0, %byte : vector<16xi32>
              %begun0_0_0 = arith.addi %moved0_0_0, %start0 : vector<16xi32>
              %moved0_1_0 = arith.shli %of_plane0#1, %byte : vector<16xi32>
              %begun0_1_0 = arith.addi %moved0_1_0, %start1 : vector<16xi32>
              %moved0_2_0 = arith.shli %of_plane0#2, %byte : vector<16xi32>
              %begun0_2_0 = arith.addi %moved0_2_0, %start2 : vector<16xi32>
              %moved0_3_0 = arith.shli %of_plane0#3, %byte : vector<16xi32>
              %begun0_3_0 = arith.addi %moved0_3_0, %start3 : vector<16xi32>
              %of_plane1:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int0_0_0 = %begun0_0_0, %int0_1_0 = %begun0_1_0, %int0_2_0 = %begun0_2_0,
                            %int0_3_0 = %begun0_3_0)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                %quad0 = arith.addi %step, %second_plane : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x2x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x2x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x2x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x2x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %stored0_0 = vector.load %w[%n0, %k, %part0] : memref<14x16x16xi32>, vector<16xi32>
                %w0_0_0 = vector.bitcast %stored0_0 : vector<16xi32> to vector<64xi8>
                %dot0_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_0_0, %w0_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_1_0, %w0_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_2_0, %w0_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_3_0, %w0_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot0_0_0, %dot0_1_0, %dot0_2_0, %dot0_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %whole0_0_0 = arith.sitofp %of_plane1#0 : vector<16xi32> to vector<16xf32>
              %by_row0_0_0 = arith.mulf %whole0_0_0, %row_scales0 : vector<16xf32>
              %added0_0_0 = vector.fma %by_row0_0_0, %scale0_0, %sum0_0_0 : vector<16xf32>
              %whole0_1_0 = arith.sitofp %of_plane1#1 : vector<16xi32> to vector<16xf32>
              %by_row0_1_0 = arith.mulf %whole0_1_0, %row_scales1 : vector<16xf32>
              %added0_1_0 = vector.fma %by_row0_1_0, %scale0_0, %sum0_1_0 : vector<16xf32>
              %whole0_2_0 = arith.sitofp %of_plane1#2 : vector<16xi32> to vector<16xf32>
              %by_row0_2_0 = arith.mulf %whole0_2_0, %row_scales2 : vector<16xf32>
              %added0_2_0 = vector.fma %by_row0_2_0, %scale0_0, %sum0_2_0 : vector<16xf32>
              %whole0_3_0 = arith.sitofp %of_plane1#3 : vector<16xi32> to vector<16xf32>
              %by_row0_3_0 = arith.mulf %whole0_3_0, %row_scales3 : vector<16xf32>
              %added0_3_0 = vector.fma %by_row0_3_0, %scale0_0, %sum0_3_0 : vector<16xf32>
              scf.yield %added0_0_0, %added0_1_0, %added0_2_0, %added0_3_0
                  : vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
            }
            %place0 = arith.constant 0 : index
            %place0_0 = arith.constant 0 : index
            vector.store %sums0#0, %room[%place0, %place0_0, %part0] : memref<4x4x16xf32>, vector<16xf32>
            %place0_1 = arith.constant 1 : index
            vector.store %sums0#1, %room[%place0, %place0_1, %part0] : memref<4x4x16xf32>, vector<16xf32>
            %place0_2 = arith.constant 2 : index
            vector.store %sums0#2, %room[%place0, %place0_2, %part0] : memref<4x4x16xf32>, vector<16xf32>
            %place0_3 = arith.constant 3 : index
            vector.store %sums0#3, %room[%place0, %place0_3, %part0] : memref<4x4x16xf32>, vector<16xf32>
            %sums1:4 = scf.for %block = %c0 to %blocks step %c1
                iter_args(%sum1_0_0 = %zeros, %sum1_1_0 = %zeros, %sum1_2_0 = %zeros, %sum1_3_0 = %zeros)
                -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
              %next_tile1 = arith.addi %n1, %tiles_at_once : index
              memref.prefetch %w_scales[%next_tile1, %block, %c0], read, locality<3>, data : memref<14x2x16xf16>
              %scale1_0_stored = vector.load %w_scales[%n1, %block, %part0] : memref<14x2x16xf16>, vector<16xf16>
              %scale1_0 = arith.extf %scale1_0_stored : vector<16xf16> to vector<16xf32>
              %scale_bits0 = memref.load %x[%m0, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale0 = arith.bitcast %scale_bits0 : i32 to f32
              %row_scales0 = vector.broadcast %row_scale0 : f32 to vector<16xf32>
              %less0 = memref.load %x[%m0, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each0 = vector.broadcast %less0 : i32 to vector<16xi32>
              %start0 = arith.muli %less_each0, %zero : vector<16xi32>
              %scale_bits1 = memref.load %x[%m1, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale1 = arith.bitcast %scale_bits1 : i32 to f32
              %row_scales1 = vector.broadcast %row_scale1 : f32 to vector<16xf32>
              %less1 = memref.load %x[%m1, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each1 = vector.broadcast %less1 : i32 to vector<16xi32>
              %start1 = arith.muli %less_each1, %zero : vector<16xi32>
              %scale_bits2 = memref.load %x[%m2, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale2 = arith.bitcast %scale_bits2 : i32 to f32
              %row_scales2 = vector.broadcast %row_scale2 : f32 to vector<16xf32>
              %less2 = memref.load %x[%m2, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each2 = vector.broadcast %less2 : i32 to vector<16xi32>
              %start2 = arith.muli %less_each2, %zero : vector<16xi32>
              %scale_bits3 = memref.load %x[%m3, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale3 = arith.bitcast %scale_bits3 : i32 to f32
              %row_scales3 = vector.broadcast %row_scale3 : f32 to vector<16xf32>
              %less3 = memref.load %x[%m3, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each3 = vector.broadcast %less3 : i32 to vector<16xi32>
              %start3 = arith.muli %less_each3, %zero : vector<16xi32>
              %first_step = arith.muli %block, %steps_of_block : index
              %of_plane0:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int1_0_0 = %no_dots, %int1_1_0 = %no_dots, %int1_2_0 = %no_dots, %int1_3_0 = %no_dots)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                // as far ahead in what is read next: past a tile's end, the tiles after these
                %ahead = arith.addi %k, %prefetch : index
                %is_next = arith.cmpi uge, %ahead, %depth : index
                %from_next = arith.subi %ahead, %depth : index
                %ahead_k = arith.select %is_next, %from_next, %ahead : index
                %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
                %quad0 = arith.addi %step, %c0 : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x2x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x2x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x2x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x2x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %fetched1 = arith.addi %n1, %ahead_n : index
                memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<14x16x16xi32>
                %stored1_0 = vector.load %w[%n1, %k, %part0] : memref<14x16x16xi32>, vector<16xi32>
                %w1_0_0 = vector.bitcast %stored1_0 : vector<16xi32> to vector<64xi8>
                %dot1_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_0_0, %w1_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_1_0, %w1_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_2_0, %w1_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_3_0, %w1_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot1_0_0, %dot1_1_0, %dot1_2_0, %dot1_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %moved1_0_0 = arith.shli %of_plane0#0, %byte : vector<16xi32>
              %begun1_0_0 = arith.addi %moved1_0_0, %start0 : vector<16xi32>
              %moved1_1_0 = arith.shli %of_plane0#1, %byte : vector<16xi32>
              %begun1_1_0 = arith.addi %moved1_1_0, %start1 : vector<16xi32>
              %moved1_2_0 = arith.shli %of_plane0#2, %byte : vector<16xi32>
              %begun1_2_0 = arith.addi %moved1_2_0, %start2 : vector<16xi32>
              %moved1_3_0 = arith.shli %of_plane0#3, %byte : vector<16xi32>
              %begun1_3_0 = arith.addi %moved1_3_0, %start3 : vector<16xi32>
              %of_plane1:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int1_0_0 = %begun1_0_0, %int1_1_0 = %begun1_1_0, %int1_2_0 = %begun1_2_0,
                            %int1_3_0 = %begun1_3_0)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                %quad0 = arith.addi %step, %second_plane : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x2x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x2x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x2x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x2x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %stored1_0 = vector.load %w[%n1, %k, %part0] : memref<14x16x16xi32>, vector<16xi32>
                %w1_0_0 = vector.bitcast %stored1_0 : vector<16xi32> to vector<64xi8>
                %dot1_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_0_0, %w1_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_1_0, %w1_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_2_0, %w1_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_3_0, %w1_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot1_0_0, %dot1_1_0, %dot1_2_0, %dot1_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %whole1_0_0 = arith.sitofp %of_plane1#0 : vector<16xi32> to vector<16xf32>
              %by_row1_0_0 = arith.mulf %whole1_0_0, %row_scales0 : vector<16xf32>
              %added1_0_0 = vector.fma %by_row1_0_0, %scale1_0, %sum1_0_0 : vector<16xf32>
              %whole1_1_0 = arith.sitofp %of_plane1#1 : vector<16xi32> to vector<16xf32>
              %by_row1_1_0 = arith.mulf %whole1_1_0, %row_scales1 : vector<16xf32>
              %added1_1_0 = vector.fma %by_row1_1_0, %scale1_0, %sum1_1_0 : vector<16xf32>
              %whole1_2_0 = arith.sitofp %of_plane1#2 : vector<16xi32> to vector<16xf32>
              %by_row1_2_0 = arith.mulf %whole1_2_0, %row_scales2 : vector<16xf32>
              %added1_2_0 = vector.fma %by_row1_2_0, %scale1_0, %sum1_2_0 : vector<16xf32>
              %whole1_3_0 = arith.sitofp %of_plane1#3 : vector<16xi32> to vector<16xf32>
              %by_row1_3_0 = arith.mulf %whole1_3_0, %row_scales3 : vector<16xf32>
              %added1_3_0 = vector.fma %by_row1_3_0, %scale1_0, %sum1_3_0 : vector<16xf32>
              scf.yield %added1_0_0, %added1_1_0, %added1_2_0, %added1_3_0
                  : vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
            }
            %place1 = arith.constant 1 : index
            %place1_0 = arith.constant 0 : index
            vector.store %sums1#0, %room[%place1, %place1_0, %part0] : memref<4x4x16xf32>, vector<16xf32>
            %place1_1 = arith.constant 1 : index
            vector.store %sums1#1, %room[%place1, %place1_1, %part0] : memref<4x4x16xf32>, vector<16xf32>
            %place1_2 = arith.constant 2 : index
            vector.store %sums1#2, %room[%place1, %place1_2, %part0] : memref<4x4x16xf32>, vector<16xf32>
            %place1_3 = arith.constant 3 : index
            vector.store %sums1#3, %room[%place1, %place1_3, %part0] : memref<4x4x16xf32>, vector<16xf32>
            %sums2:4 = scf.for %block = %c0 to %blocks step %c1
                iter_args(%sum2_0_0 = %zeros, %sum2_1_0 = %zeros, %sum2_2_0 = %zeros, %sum2_3_0 = %zeros)
                -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
              %next_tile2 = arith.addi %n2, %tiles_at_once : index
              memref.prefetch %w_scales[%next_tile2, %block, %c0], read, locality<3>, data : memref<14x2x16xf16>
              %scale2_0_stored = vector.load %w_scales[%n2, %block, %part0] : memref<14x2x16xf16>, vector<16xf16>
              %scale2_0 = arith.extf %scale2_0_stored : vector<16xf16> to vector<16xf32>
              %scale_bits0 = memref.load %x[%m0, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale0 = arith.bitcast %scale_bits0 : i32 to f32
              %row_scales0 = vector.broadcast %row_scale0 : f32 to vector<16xf32>
              %less0 = memref.load %x[%m0, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each0 = vector.broadcast %less0 : i32 to vector<16xi32>
              %start0 = arith.muli %less_each0, %zero : vector<16xi32>
              %scale_bits1 = memref.load %x[%m1, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale1 = arith.bitcast %scale_bits1 : i32 to f32
              %row_scales1 = vector.broadcast %row_scale1 : f32 to vector<16xf32>
              %less1 = memref.load %x[%m1, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each1 = vector.broadcast %less1 : i32 to vector<16xi32>
              %start1 = arith.muli %less_each1, %zero : vector<16xi32>
              %scale_bits2 = memref.load %x[%m2, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale2 = arith.bitcast %scale_bits2 : i32 to f32
              %row_scales2 = vector.broadcast %row_scale2 : f32 to vector<16xf32>
              %less2 = memref.load %x[%m2, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each2 = vector.broadcast %less2 : i32 to vector<16xi32>
              %start2 = arith.muli %less_each2, %zero : vector<16xi32>
              %scale_bits3 = memref.load %x[%m3, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale3 = arith.bitcast %scale_bits3 : i32 to f32
              %row_scales3 = vector.broadcast %row_scale3 : f32 to vector<16xf32>
              %less3 = memref.load %x[%m3, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each3 = vector.broadcast %less3 : i32 to vector<16xi32>
              %start3 = arith.muli %less_each3, %zero : vector<16xi32>
              %first_step = arith.muli %block, %steps_of_block : index
              %of_plane0:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int2_0_0 = %no_dots, %int2_1_0 = %no_dots, %int2_2_0 = %no_dots, %int2_3_0 = %no_dots)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                // as far ahead in what is read next: past a tile's end, the tiles after these
                %ahead = arith.addi %k, %prefetch : index
                %is_next = arith.cmpi uge, %ahead, %depth : index
                %from_next = arith.subi %ahead, %depth : index
                %ahead_k = arith.select %is_next, %from_next, %ahead : index
                %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
                %quad0 = arith.addi %step, %c0 : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x2x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x2x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x2x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x2x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %fetched2 = arith.addi %n2, %ahead_n : index
                memref.prefetch %w[%fetched2, %ahead_k, %c0], read, locality<3>, data : memref<14x16x16xi32>
                %stored2_0 = vector.load %w[%n2, %k, %part0] : memref<14x16x16xi32>, vector<16xi32>
                %w2_0_0 = vector.bitcast %stored2_0 : vector<16xi32> to vector<64xi8>
                %dot2_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int2_0_0, %w2_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot2_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int2_1_0, %w2_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot2_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int2_2_0, %w2_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot2_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int2_3_0, %w2_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot2_0_0, %dot2_1_0, %dot2_2_0, %dot2_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %moved2_0_0 = arith.shli %of_plane0#0, %byte : vector<16xi32>
              %begun2_0_0 = arith.addi %moved2_0_0, %start0 : vector<16xi32>
              %moved2_1_0 = arith.shli %of_plane0#1, %byte : vector<16xi32>
              %begun2_1_0 = arith.addi %moved2_1_0, %start1 : vector<16xi32>
              %moved2_2_0 = arith.shli %of_plane0#2, %byte : vector<16xi32>
              %begun2_2_0 = arith.addi %moved2_2_0, %start2 : vector<16xi32>
              %moved2_3_0 = arith.shli %of_plane0#3, %byte : vector<16xi32>
              %begun2_3_0 = arith.addi %moved2_3_0, %start3 : vector<16xi32>
              %of_plane1:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int2_0_0 = %begun2_0_0, %int2_1_0 = %begun2_1_0, %int2_2_0 = %begun2_2_0,
                            %int2_3_0 = %begun2_3_0)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                %quad0 = arith.addi %step, %second_plane : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x2x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x2x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x2x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x2x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %stored2_0 = vector.load %w[%n2, %k, %part0] : memref<14x16x16xi32>, vector<16xi32>
                %w2_0_0 = vector.bitcast %stored2_0 : vector<16xi32> to vector<64xi8>
                %dot2_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int2_0_0, %w2_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot2_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int2_1_0, %w2_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot2_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int2_2_0, %w2_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot2_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int2_3_0, %w2_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot2_0_0, %dot2_1_0, %dot2_2_0, %dot2_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %whole2_0_0 = arith.sitofp %of_plane1#0 : vector<16xi32> to vector<16xf32>
              %by_row2_0_0 = arith.mulf %whole2_0_0, %row_scales0 : vector<16xf32>
              %added2_0_0 = vector.fma %by_row2_0_0, %scale2_0, %sum2_0_0 : vector<16xf32>
              %whole2_1_0 = arith.sitofp %of_plane1#1 : vector<16xi32> to vector<16xf32>
              %by_row2_1_0 = arith.mulf %whole2_1_0, %row_scales1 : vector<16xf32>
              %added2_1_0 = vector.fma %by_row2_1_0, %scale2_0, %sum2_1_0 : vector<16xf32>
              %whole2_2_0 = arith.sitofp %of_plane1#2 : vector<16xi32> to vector<16xf32>
              %by_row2_2_0 = arith.mulf %whole2_2_0, %row_scales2 : vector<16xf32>
              %added2_2_0 = vector.fma %by_row2_2_0, %scale2_0, %sum2_2_0 : vector<16xf32>
              %whole2_3_0 = arith.sitofp %of_plane1#3 : vector<16xi32> to vector<16xf32>
              %by_row2_3_0 = arith.mulf %whole2_3_0, %row_scales3 : vector<16xf32>
              %added2_3_0 = vector.fma %by_row2_3_0, %scale2_0, %sum2_3_0 : vector<16xf32>
              scf.yield %added2_0_0, %added2_1_0, %added2_2_0, %added2_3_0
                  : vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
            }
            %place2 = arith.constant 2 : index
            %place2_0 = arith.constant 0 : index
            vector.store %sums2#0, %room[%place2, %place2_0, %part0] : memref<4x4x16xf32>, vector<16xf32>
            %place2_1 = arith.constant 1 : index
            vector.store %sums2#1, %room[%place2, %place2_1, %part0] : memref<4x4x16xf32>, vector<16xf32>
            %place2_2 = arith.constant 2 : index
            vector.store %sums2#2, %room[%place2, %place2_2, %part0] : memref<4x4x16xf32>, vector<16xf32>
            %place2_3 = arith.constant 3 : index
            vector.store %sums2#3, %room[%place2, %place2_3, %part0] : memref<4x4x16xf32>, vector<16xf32>
            %sums3:4 = scf.for %block = %c0 to %blocks step %c1
                iter_args(%sum3_0_0 = %zeros, %sum3_1_0 = %zeros, %sum3_2_0 = %zeros, %sum3_3_0 = %zeros)
                -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
              %next_tile3 = arith.addi %n3, %tiles_at_once : index
              memref.prefetch %w_scales[%next_tile3, %block, %c0], read, locality<3>, data : memref<14x2x16xf16>
              %scale3_0_stored = vector.load %w_scales[%n3, %block, %part0] : memref<14x2x16xf16>, vector<16xf16>
              %scale3_0 = arith.extf %scale3_0_stored : vector<16xf16> to vector<16xf32>
              %scale_bits0 = memref.load %x[%m0, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale0 = arith.bitcast %scale_bits0 : i32 to f32
              %row_scales0 = vector.broadcast %row_scale0 : f32 to vector<16xf32>
              %less0 = memref.load %x[%m0, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each0 = vector.broadcast %less0 : i32 to vector<16xi32>
              %start0 = arith.muli %less_each0, %zero : vector<16xi32>
              %scale_bits1 = memref.load %x[%m1, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale1 = arith.bitcast %scale_bits1 : i32 to f32
              %row_scales1 = vector.broadcast %row_scale1 : f32 to vector<16xf32>
              %less1 = memref.load %x[%m1, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each1 = vector.broadcast %less1 : i32 to vector<16xi32>
              %start1 = arith.muli %less_each1, %zero : vector<16xi32>
              %scale_bits2 = memref.load %x[%m2, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale2 = arith.bitcast %scale_bits2 : i32 to f32
              %row_scales2 = vector.broadcast %row_scale2 : f32 to vector<16xf32>
              %less2 = memref.load %x[%m2, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each2 = vector.broadcast %less2 : i32 to vector<16xi32>
              %start2 = arith.muli %less_each2, %zero : vector<16xi32>
              %scale_bits3 = memref.load %x[%m3, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale3 = arith.bitcast %scale_bits3 : i32 to f32
              %row_scales3 = vector.broadcast %row_scale3 : f32 to vector<16xf32>
              %less3 = memref.load %x[%m3, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each3 = vector.broadcast %less3 : i32 to vector<16xi32>
              %start3 = arith.muli %less_each3, %zero : vector<16xi32>
              %first_step = arith.muli %block, %steps_of_block : index
              %of_plane0:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int3_0_0 = %no_dots, %int3_1_0 = %no_dots, %int3_2_0 = %no_dots, %int3_3_0 = %no_dots)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                // as far ahead in what is read next: past a tile's end, the tiles after these
                %ahead = arith.addi %k, %prefetch : index
                %is_next = arith.cmpi uge, %ahead, %depth : index
                %from_next = arith.subi %ahead, %depth : index
                %ahead_k = arith.select %is_next, %from_next, %ahead : index
                %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
                %quad0 = arith.addi %step, %c0 : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x2x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x2x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x2x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x2x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %fetched3 = arith.addi %n3, %ahead_n : index
                memref.prefetch %w[%fetched3, %ahead_k, %c0], read, locality<3>, data : memref<14x16x16xi32>
                %stored3_0 = vector.load %w[%n3, %k, %part0] : memref<14x16x16xi32>, vector<16xi32>
                %w3_0_0 = vector.bitcast %stored3_0 : vector<16xi32> to vector<64xi8>
                %dot3_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int3_0_0, %w3_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot3_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int3_1_0, %w3_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot3_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int3_2_0, %w3_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot3_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int3_3_0, %w3_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot3_0_0, %dot3_1_0, %dot3_2_0, %dot3_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %moved3_0_0 = arith.shli %of_plane0#0, %byte : vector<16xi32>
              %begun3_0_0 = arith.addi %moved3_0_0, %start0 : vector<16xi32>
              %moved3_1_0 = arith.shli %of_plane0#1, %byte : vector<16xi32>
              %begun3_1_0 = arith.addi %moved3_1_0, %start1 : vector<16xi32>
              %moved3_2_0 = arith.shli %of_plane0#2, %byte : vector<16xi32>
              %begun3_2_0 = arith.addi %moved3_2_0, %start2 : vector<16xi32>
              %moved3_3_0 = arith.shli %of_plane0#3, %byte : vector<16xi32>
              %begun3_3_0 = arith.addi %moved3_3_0, %start3 : vector<16xi32>
              %of_plane1:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int3_0_0 = %begun3_0_0, %int3_1_0 = %begun3_1_0, %int3_2_0 = %begun3_2_0,
                            %int3_3_0 = %begun3_3_0)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                %quad0 = arith.addi %step, %second_plane : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x2x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x2x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x2x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x2x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %stored3_0 = vector.load %w[%n3, %k, %part0] : memref<14x16x16xi32>, vector<16xi32>
                %w3_0_0 = vector.bitcast %stored3_0 : vector<16xi32> to vector<64xi8>
                %dot3_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int3_0_0, %w3_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot3_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int3_1_0, %w3_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot3_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int3_2_0, %w3_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot3_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int3_3_0, %w3_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot3_0_0, %dot3_1_0, %dot3_2_0, %dot3_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %whole3_0_0 = arith.sitofp %of_plane1#0 : vector<16xi32> to vector<16xf32>
              %by_row3_0_0 = arith.mulf %whole3_0_0, %row_scales0 : vector<16xf32>
              %added3_0_0 = vector.fma %by_row3_0_0, %scale3_0, %sum3_0_0 : vector<16xf32>
              %whole3_1_0 = arith.sitofp %of_plane1#1 : vector<16xi32> to vector<16xf32>
              %by_row3_1_0 = arith.mulf %whole3_1_0, %row_scales1 : vector<16xf32>
              %added3_1_0 = vector.fma %by_row3_1_0, %scale3_0, %sum3_1_0 : vector<16xf32>
              %whole3_2_0 = arith.sitofp %of_plane1#2 : vector<16xi32> to vector<16xf32>
              %by_row3_2_0 = arith.mulf %whole3_2_0, %row_scales2 : vector<16xf32>
              %added3_2_0 = vector.fma %by_row3_2_0, %scale3_0, %sum3_2_0 : vector<16xf32>
              %whole3_3_0 = arith.sitofp %of_plane1#3 : vector<16xi32> to vector<16xf32>
              %by_row3_3_0 = arith.mulf %whole3_3_0, %row_scales3 : vector<16xf32>
              %added3_3_0 = vector.fma %by_row3_3_0, %scale3_0, %sum3_3_0 : vector<16xf32>
              scf.yield %added3_0_0, %added3_1_0, %added3_2_0, %added3_3_0
                  : vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
            }
            %place3 = arith.constant 3 : index
            %place3_0 = arith.constant 0 : index
            vector.store %sums3#0, %room[%place3, %place3_0, %part0] : memref<4x4x16xf32>, vector<16xf32>
            %place3_1 = arith.constant 1 : index
            vector.store %sums3#1, %room[%place3, %place3_1, %part0] : memref<4x4x16xf32>, vector<16xf32>
            %place3_2 = arith.constant 2 : index
            vector.store %sums3#2, %room[%place3, %place3_2, %part0] : memref<4x4x16xf32>, vector<16xf32>
            %place3_3 = arith.constant 3 : index
            vector.store %sums3#3, %room[%place3, %place3_3, %part0] : memref<4x4x16xf32>, vector<16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              %scale = memref.load %scales[%r] : memref<4xf32>
              %scaling = vector.broadcast %scale : f32 to vector<16xf32>
              scf.for %t = %c0 to %unit step %c2 {
                %t_up = arith.addi %t, %c1 : index
                %t_half = arith.divui %t, %c2 : index
                %n = arith.addi %first_tile, %t : index
                %pair = arith.divui %n, %c2 : index
                %at = arith.muli %pair, %width : index
                %gate_sum = vector.load %room[%t, %m, %c0] : memref<4x4x16xf32>, vector<16xf32>
                %gate_scaled = arith.mulf %gate_sum, %scaling : vector<16xf32>
                %up_sum = vector.load %room[%t_up, %m, %c0] : memref<4x4x16xf32>, vector<16xf32>
                %up_scaled = arith.mulf %up_sum, %scaling : vector<16xf32>
                %minus = arith.negf %gate_scaled : vector<16xf32>
                %exp = math.exp %minus : vector<16xf32>
                %ones = arith.constant dense<1.0> : vector<16xf32>
                %above = arith.addf %exp, %ones : vector<16xf32>
                %activated = arith.divf %gate_scaled, %above : vector<16xf32>
                %both = arith.mulf %activated, %up_scaled : vector<16xf32>
                %lanes = vector.step : vector<16xindex>
                %from = vector.broadcast %at : index to vector<16xindex>
                %columns = arith.addi %from, %lanes : vector<16xindex>
                %ends = arith.constant dense<100> : vector<16xindex>
                %is_column = arith.cmpi ult, %columns, %ends : vector<16xindex>
                %fill = arith.constant dense<0.0> : vector<16xf32>
                %both_kept = arith.select %is_column, %both, %fill : vector<16xi1>, vector<16xf32>
                vector.store %both_kept, %room[%t_half, %m, %c0] : memref<4x4x16xf32>, vector<16xf32>
              }
              %first_block = arith.divui %first_tile, %tiles_of_block : index
              %blocks_made = arith.constant 1 : index
              scf.for %b = %c0 to %blocks_made step %c1 {
                %block_made = arith.addi %first_block, %b : index
                %place0_made = arith.muli %b, %vectors_of_block : index
                %made0 = vector.load %room[%place0_made, %m, %c0] : memref<4x4x16xf32>, vector<16xf32>
                %place1_made = arith.addi %place0_made, %c1 : index
                %made1 = vector.load %room[%place1_made, %m, %c0] : memref<4x4x16xf32>, vector<16xf32>
                %size0 = math.absf %made0 : vector<16xf32>
                %size1 = math.absf %made1 : vector<16xf32>
                %sizes1 = arith.maximumf %size0, %size1 : vector<16xf32>
                %largest_size = vector.reduction <maximumf>, %sizes1 : vector<16xf32> into f32
                %whole_scale = arith.divf %largest_size, %most : f32
                %block_scale = arith.mulf %whole_scale, %part : f32
                %is_some = arith.cmpf ogt, %largest_size, %tiny : f32
                %inverse = arith.divf %most, %largest_size : f32
                %factor = arith.select %is_some, %inverse, %no_factor : f32
                %factors = vector.broadcast %factor : f32 to vector<16xf32>
                %by_factor0 = arith.mulf %made0, %factors : vector<16xf32>
                %above0 = arith.maxnumf %by_factor0, %least_each : vector<16xf32>
                %within0 = arith.minnumf %above0, %most_each : vector<16xf32>
                %round0 = math.roundeven %within0 : vector<16xf32>
                %upper0 = arith.fptosi %round0 : vector<16xf32> to vector<16xi32>
                %upper0_bytes = arith.trunci %upper0 : vector<16xi32> to vector<16xi8>
                %upper0_fours = vector.bitcast %upper0_bytes : vector<16xi8> to vector<4xi32>
                vector.store %upper0_fours, %y[%r, %block_made, %c0] : memref<4x4x18xi32>, vector<4xi32>
                %rest0 = arith.subf %within0, %round0 : vector<16xf32>
                %rest_parts0 = arith.mulf %rest0, %parts_each : vector<16xf32>
                %rest_above0 = arith.maxnumf %rest_parts0, %least_each : vector<16xf32>
                %rest_within0 = arith.minnumf %rest_above0, %most_each : vector<16xf32>
                %rest_round0 = math.roundeven %rest_within0 : vector<16xf32>
                %lower0 = arith.fptosi %rest_round0 : vector<16xf32> to vector<16xi32>
                %lower0_bytes = arith.trunci %lower0 : vector<16xi32> to vector<16xi8>
                %lower0_fours = vector.bitcast %lower0_bytes : vector<16xi8> to vector<4xi32>
                vector.store %lower0_fours, %y[%r, %block_made, %fours2] : memref<4x4x18xi32>, vector<4xi32>
                %upper_moved0 = arith.shli %upper0, %byte_each : vector<16xi32>
                %integer0 = arith.addi %upper_moved0, %lower0 : vector<16xi32>
                %by_factor1 = arith.mulf %made1, %factors : vector<16xf32>
                %above1 = arith.maxnumf %by_factor1, %least_each : vector<16xf32>
                %within1 = arith.minnumf %above1, %most_each : vector<16xf32>
                %round1 = math.roundeven %within1 : vector<16xf32>
                %upper1 = arith.fptosi %round1 : vector<16xf32> to vector<16xi32>
                %upper1_bytes = arith.trunci %upper1 : vector<16xi32> to vector<16xi8>
                %upper1_fours = vector.bitcast %upper1_bytes : vector<16xi8> to vector<4xi32>
                vector.store %upper1_fours, %y[%r, %block_made, %fours1] : memref<4x4x18xi32>, vector<4xi32>
                %rest1 = arith.subf %within1, %round1 : vector<16xf32>
                %rest_parts1 = arith.mulf %rest1, %parts_each : vector<16xf32>
                %rest_above1 = arith.maxnumf %rest_parts1, %least_each : vector<16xf32>
                %rest_within1 = arith.minnumf %rest_above1, %most_each : vector<16xf32>
                %rest_round1 = math.roundeven %rest_within1 : vector<16xf32>
                %lower1 = arith.fptosi %rest_round1 : vector<16xf32> to vector<16xi32>
                %lower1_bytes = arith.trunci %lower1 : vector<16xi32> to vector<16xi8>
                %lower1_fours = vector.bitcast %lower1_bytes : vector<16xi8> to vector<4xi32>
                vector.store %lower1_fours, %y[%r, %block_made, %fours3] : memref<4x4x18xi32>, vector<4xi32>
                %upper_moved1 = arith.shli %upper1, %byte_each : vector<16xi32>
                %integer1 = arith.addi %upper_moved1, %lower1 : vector<16xi32>
                %integers1 = arith.addi %integer0, %integer1 : vector<16xi32>
                %block_sum = vector.reduction <add>, %integers1 : vector<16xi32> into i32
                %no_sum = arith.constant 0 : i32
                %less_sum = arith.subi %no_sum, %block_sum : i32
                %block_scale_bits = arith.bitcast %block_scale : f32 to i32
                memref.store %block_scale_bits, %y[%r, %block_made, %made_scale] : memref<4x4x18xi32>
                memref.store %less_sum, %y[%r, %block_made, %made_sum] : memref<4x4x18xi32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 4 × 100 by 4 tiles of 16, 4 × 1 at once.
  stream.executable private @down {
    stream.executable.export public @down workgroups() -> (index, index, index) {
      %size1 = arith.constant 1 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @down(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %w_scales_bytes: !stream.binding,
          %residual_bytes: !stream.binding, %next_norm_bytes: !stream.binding, %y_bytes: !stream.binding,
          %weighteds_bytes: !stream.binding, %square_sums_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<4x4x18xi32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<4x32x16xi32>
        %w_scales = stream.binding.subspan %w_scales_bytes[%c0] : !stream.binding -> memref<4x4x16xf16>
        %residual = stream.binding.subspan %residual_bytes[%c0] : !stream.binding -> memref<4x64xf32>
        %next_norm = stream.binding.subspan %next_norm_bytes[%c0] : !stream.binding -> memref<64xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<4x64xf32>
        %weighteds = stream.binding.subspan %weighteds_bytes[%c0] : !stream.binding -> memref<4x2x18xi32>
        %square_sums = stream.binding.subspan %square_sums_bytes[%c0] : !stream.binding -> memref<4x4xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 32 : index
        %rows = arith.constant 4 : index
        %rows_at_once = arith.constant 4 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 4 : index
        %tiles_at_once = arith.constant 1 : index
        %unit = arith.constant 2 : index
        %last_unit = arith.constant 2 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 32 : index
        %zeros = arith.constant dense<0.0> : vector<16xf32>
        %no_dots = arith.constant dense<0> : vector<16xi32>
        %blocks = arith.constant 4 : index
        %steps_of_block = arith.constant 8 : index
        %scale_of_block = arith.constant 16 : index
        %sum_of_block = arith.constant 17 : index
        %second_plane = arith.constant 8 : index
        %byte = arith.constant dense<8> : vector<16xi32>
        %part0 = arith.constant 0 : index
        %zero = arith.constant dense<128> : vector<16xi32>
        %most = arith.constant 127.0 : f32
        %most_each = arith.constant dense<127.0> : vector<16xf32>
        %least_each = arith.constant dense<-127.0> : vector<16xf32>
        %tiny = arith.constant 1.0e-30 : f32
        %no_factor = arith.constant 0.0 : f32
        %fours1 = arith.constant 4 : index
        %fours2 = arith.constant 8 : index
        %fours3 = arith.constant 12 : index
        %made_scale = arith.constant 16 : index
        %made_sum = arith.constant 17 : index
        %parts_each = arith.constant dense<256.0> : vector<16xf32>
        %part = arith.constant 0.00390625 : f32
        %byte_each = arith.constant dense<8> : vector<16xi32>
        %vectors_of_block = arith.constant 2 : index
        %tiles_of_block = arith.constant 2 : index
        %room = memref.alloca() : memref<2x4x16xf32>
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 4 : index
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
            %sums0:4 = scf.for %block = %c0 to %blocks step %c1
                iter_args(%sum0_0_0 = %zeros, %sum0_1_0 = %zeros, %sum0_2_0 = %zeros, %sum0_3_0 = %zeros)
                -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
              %next_tile0 = arith.addi %n0, %tiles_at_once : index
              memref.prefetch %w_scales[%next_tile0, %block, %c0], read, locality<3>, data : memref<4x4x16xf16>
              %scale0_0_stored = vector.load %w_scales[%n0, %block, %part0] : memref<4x4x16xf16>, vector<16xf16>
              %scale0_0 = arith.extf %scale0_0_stored : vector<16xf16> to vector<16xf32>
              %scale_bits0 = memref.load %x[%m0, %block, %scale_of_block] : memref<4x4x18xi32>
              %row_scale0 = arith.bitcast %scale_bits0 : i32 to f32
              %row_scales0 = vector.broadcast %row_scale0 : f32 to vector<16xf32>
              %less0 = memref.load %x[%m0, %block, %sum_of_block] : memref<4x4x18xi32>
              %less_each0 = vector.broadcast %less0 : i32 to vector<16xi32>
              %start0 = arith.muli %less_each0, %zero : vector<16xi32>
              %scale_bits1 = memref.load %x[%m1, %block, %scale_of_block] : memref<4x4x18xi32>
              %row_scale1 = arith.bitcast %scale_bits1 : i32 to f32
              %row_scales1 = vector.broadcast %row_scale1 : f32 to vector<16xf32>
              %less1 = memref.load %x[%m1, %block, %sum_of_block] : memref<4x4x18xi32>
              %less_each1 = vector.broadcast %less1 : i32 to vector<16xi32>
              %start1 = arith.muli %less_each1, %zero : vector<16xi32>
              %scale_bits2 = memref.load %x[%m2, %block, %scale_of_block] : memref<4x4x18xi32>
              %row_scale2 = arith.bitcast %scale_bits2 : i32 to f32
              %row_scales2 = vector.broadcast %row_scale2 : f32 to vector<16xf32>
              %less2 = memref.load %x[%m2, %block, %sum_of_block] : memref<4x4x18xi32>
              %less_each2 = vector.broadcast %less2 : i32 to vector<16xi32>
              %start2 = arith.muli %less_each2, %zero : vector<16xi32>
              %scale_bits3 = memref.load %x[%m3, %block, %scale_of_block] : memref<4x4x18xi32>
              %row_scale3 = arith.bitcast %scale_bits3 : i32 to f32
              %row_scales3 = vector.broadcast %row_scale3 : f32 to vector<16xf32>
              %less3 = memref.load %x[%m3, %block, %sum_of_block] : memref<4x4x18xi32>
              %less_each3 = vector.broadcast %less3 : i32 to vector<16xi32>
              %start3 = arith.muli %less_each3, %zero : vector<16xi32>
              %first_step = arith.muli %block, %steps_of_block : index
              %of_plane0:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int0_0_0 = %no_dots, %int0_1_0 = %no_dots, %int0_2_0 = %no_dots, %int0_3_0 = %no_dots)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                // as far ahead in what is read next: past a tile's end, the tiles after these
                %ahead = arith.addi %k, %prefetch : index
                %is_next = arith.cmpi uge, %ahead, %depth : index
                %from_next = arith.subi %ahead, %depth : index
                %ahead_k = arith.select %is_next, %from_next, %ahead : index
                %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
                %quad0 = arith.addi %step, %c0 : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x4x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x4x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x4x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x4x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %fetched0 = arith.addi %n0, %ahead_n : index
                memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<4x32x16xi32>
                %stored0_0 = vector.load %w[%n0, %k, %part0] : memref<4x32x16xi32>, vector<16xi32>
                %w0_0_0 = vector.bitcast %stored0_0 : vector<16xi32> to vector<64xi8>
                %dot0_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_0_0, %w0_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_1_0, %w0_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_2_0, %w0_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_3_0, %w0_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot0_0_0, %dot0_1_0, %dot0_2_0, %dot0_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %moved0_0_0 = arith.shli %of_plane0#0, %byte : vector<16xi32>
              %begun0_0_0 = arith.addi %moved0_0_0, %start0 : vector<16xi32>
              %moved0_1_0 = arith.shli %of_plane0#1, %byte : vector<16xi32>
              %begun0_1_0 = arith.addi %moved0_1_0, %start1 : vector<16xi32>
              %moved0_2_0 = arith.shli %of_plane0#2, %byte : vector<16xi32>
              %begun0_2_0 = arith.addi %moved0_2_0, %start2 : vector<16xi32>
              %moved0_3_0 = arith.shli %of_plane0#3, %byte : vector<16xi32>
              %begun0_3_0 = arith.addi %moved0_3_0, %start3 : vector<16xi32>
              %of_plane1:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int0_0_0 = %begun0_0_0, %int0_1_0 = %begun0_1_0, %int0_2_0 = %begun0_2_0,
                            %int0_3_0 = %begun0_3_0)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                %quad0 = arith.addi %step, %second_plane : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x4x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x4x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x4x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x4x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %stored0_0 = vector.load %w[%n0, %k, %part0] : memref<4x32x16xi32>, vector<16xi32>
                %w0_0_0 = vector.bitcast %stored0_0 : vector<16xi32> to vector<64xi8>
                %dot0_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_0_0, %w0_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_1_0, %w0_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_2_0, %w0_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_3_0, %w0_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot0_0_0, %dot0_1_0, %dot0_2_0, %dot0_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %whole0_0_0 = arith.sitofp %of_plane1#0 : vector<16xi32> to vector<16xf32>
              %by_row0_0_0 = arith.mulf %whole0_0_0, %row_scales0 : vector<16xf32>
              %added0_0_0 = vector.fma %by_row0_0_0, %scale0_0, %sum0_0_0 : vector<16xf32>
              %whole0_1_0 = arith.sitofp %of_plane1#1 : vector<16xi32> to vector<16xf32>
              %by_row0_1_0 = arith.mulf %whole0_1_0, %row_scales1 : vector<16xf32>
              %added0_1_0 = vector.fma %by_row0_1_0, %scale0_0, %sum0_1_0 : vector<16xf32>
              %whole0_2_0 = arith.sitofp %of_plane1#2 : vector<16xi32> to vector<16xf32>
              %by_row0_2_0 = arith.mulf %whole0_2_0, %row_scales2 : vector<16xf32>
              %added0_2_0 = vector.fma %by_row0_2_0, %scale0_0, %sum0_2_0 : vector<16xf32>
              %whole0_3_0 = arith.sitofp %of_plane1#3 : vector<16xi32> to vector<16xf32>
              %by_row0_3_0 = arith.mulf %whole0_3_0, %row_scales3 : vector<16xf32>
              %added0_3_0 = vector.fma %by_row0_3_0, %scale0_0, %sum0_3_0 : vector<16xf32>
              scf.yield %added0_0_0, %added0_1_0, %added0_2_0, %added0_3_0
                  : vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
            }
            %place0 = arith.constant 0 : index
            %place0_0 = arith.constant 0 : index
            vector.store %sums0#0, %room[%place0, %place0_0, %part0] : memref<2x4x16xf32>, vector<16xf32>
            %place0_1 = arith.constant 1 : index
            vector.store %sums0#1, %room[%place0, %place0_1, %part0] : memref<2x4x16xf32>, vector<16xf32>
            %place0_2 = arith.constant 2 : index
            vector.store %sums0#2, %room[%place0, %place0_2, %part0] : memref<2x4x16xf32>, vector<16xf32>
            %place0_3 = arith.constant 3 : index
            vector.store %sums0#3, %room[%place0, %place0_3, %part0] : memref<2x4x16xf32>, vector<16xf32>
            %sums1:4 = scf.for %block = %c0 to %blocks step %c1
                iter_args(%sum1_0_0 = %zeros, %sum1_1_0 = %zeros, %sum1_2_0 = %zeros, %sum1_3_0 = %zeros)
                -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
              %next_tile1 = arith.addi %n1, %tiles_at_once : index
              memref.prefetch %w_scales[%next_tile1, %block, %c0], read, locality<3>, data : memref<4x4x16xf16>
              %scale1_0_stored = vector.load %w_scales[%n1, %block, %part0] : memref<4x4x16xf16>, vector<16xf16>
              %scale1_0 = arith.extf %scale1_0_stored : vector<16xf16> to vector<16xf32>
              %scale_bits0 = memref.load %x[%m0, %block, %scale_of_block] : memref<4x4x18xi32>
              %row_scale0 = arith.bitcast %scale_bits0 : i32 to f32
              %row_scales0 = vector.broadcast %row_scale0 : f32 to vector<16xf32>
              %less0 = memref.load %x[%m0, %block, %sum_of_block] : memref<4x4x18xi32>
              %less_each0 = vector.broadcast %less0 : i32 to vector<16xi32>
              %start0 = arith.muli %less_each0, %zero : vector<16xi32>
              %scale_bits1 = memref.load %x[%m1, %block, %scale_of_block] : memref<4x4x18xi32>
              %row_scale1 = arith.bitcast %scale_bits1 : i32 to f32
              %row_scales1 = vector.broadcast %row_scale1 : f32 to vector<16xf32>
              %less1 = memref.load %x[%m1, %block, %sum_of_block] : memref<4x4x18xi32>
              %less_each1 = vector.broadcast %less1 : i32 to vector<16xi32>
              %start1 = arith.muli %less_each1, %zero : vector<16xi32>
              %scale_bits2 = memref.load %x[%m2, %block, %scale_of_block] : memref<4x4x18xi32>
              %row_scale2 = arith.bitcast %scale_bits2 : i32 to f32
              %row_scales2 = vector.broadcast %row_scale2 : f32 to vector<16xf32>
              %less2 = memref.load %x[%m2, %block, %sum_of_block] : memref<4x4x18xi32>
              %less_each2 = vector.broadcast %less2 : i32 to vector<16xi32>
              %start2 = arith.muli %less_each2, %zero : vector<16xi32>
              %scale_bits3 = memref.load %x[%m3, %block, %scale_of_block] : memref<4x4x18xi32>
              %row_scale3 = arith.bitcast %scale_bits3 : i32 to f32
              %row_scales3 = vector.broadcast %row_scale3 : f32 to vector<16xf32>
              %less3 = memref.load %x[%m3, %block, %sum_of_block] : memref<4x4x18xi32>
              %less_each3 = vector.broadcast %less3 : i32 to vector<16xi32>
              %start3 = arith.muli %less_each3, %zero : vector<16xi32>
              %first_step = arith.muli %block, %steps_of_block : index
              %of_plane0:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int1_0_0 = %no_dots, %int1_1_0 = %no_dots, %int1_2_0 = %no_dots, %int1_3_0 = %no_dots)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                // as far ahead in what is read next: past a tile's end, the tiles after these
                %ahead = arith.addi %k, %prefetch : index
                %is_next = arith.cmpi uge, %ahead, %depth : index
                %from_next = arith.subi %ahead, %depth : index
                %ahead_k = arith.select %is_next, %from_next, %ahead : index
                %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
                %quad0 = arith.addi %step, %c0 : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x4x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x4x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x4x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x4x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %fetched1 = arith.addi %n1, %ahead_n : index
                memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<4x32x16xi32>
                %stored1_0 = vector.load %w[%n1, %k, %part0] : memref<4x32x16xi32>, vector<16xi32>
                %w1_0_0 = vector.bitcast %stored1_0 : vector<16xi32> to vector<64xi8>
                %dot1_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_0_0, %w1_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_1_0, %w1_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_2_0, %w1_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_3_0, %w1_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot1_0_0, %dot1_1_0, %dot1_2_0, %dot1_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %moved1_0_0 = arith.shli %of_plane0#0, %byte : vector<16xi32>
              %begun1_0_0 = arith.addi %moved1_0_0, %start0 : vector<16xi32>
              %moved1_1_0 = arith.shli %of_plane0#1, %byte : vector<16xi32>
              %begun1_1_0 = arith.addi %moved1_1_0, %start1 : vector<16xi32>
              %moved1_2_0 = arith.shli %of_plane0#2, %byte : vector<16xi32>
              %begun1_2_0 = arith.addi %moved1_2_0, %start2 : vector<16xi32>
              %moved1_3_0 = arith.shli %of_plane0#3, %byte : vector<16xi32>
              %begun1_3_0 = arith.addi %moved1_3_0, %start3 : vector<16xi32>
              %of_plane1:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int1_0_0 = %begun1_0_0, %int1_1_0 = %begun1_1_0, %int1_2_0 = %begun1_2_0,
                            %int1_3_0 = %begun1_3_0)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                %quad0 = arith.addi %step, %second_plane : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x4x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x4x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x4x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x4x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %stored1_0 = vector.load %w[%n1, %k, %part0] : memref<4x32x16xi32>, vector<16xi32>
                %w1_0_0 = vector.bitcast %stored1_0 : vector<16xi32> to vector<64xi8>
                %dot1_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_0_0, %w1_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_1_0, %w1_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_2_0, %w1_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot1_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int1_3_0, %w1_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot1_0_0, %dot1_1_0, %dot1_2_0, %dot1_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %whole1_0_0 = arith.sitofp %of_plane1#0 : vector<16xi32> to vector<16xf32>
              %by_row1_0_0 = arith.mulf %whole1_0_0, %row_scales0 : vector<16xf32>
              %added1_0_0 = vector.fma %by_row1_0_0, %scale1_0, %sum1_0_0 : vector<16xf32>
              %whole1_1_0 = arith.sitofp %of_plane1#1 : vector<16xi32> to vector<16xf32>
              %by_row1_1_0 = arith.mulf %whole1_1_0, %row_scales1 : vector<16xf32>
              %added1_1_0 = vector.fma %by_row1_1_0, %scale1_0, %sum1_1_0 : vector<16xf32>
              %whole1_2_0 = arith.sitofp %of_plane1#2 : vector<16xi32> to vector<16xf32>
              %by_row1_2_0 = arith.mulf %whole1_2_0, %row_scales2 : vector<16xf32>
              %added1_2_0 = vector.fma %by_row1_2_0, %scale1_0, %sum1_2_0 : vector<16xf32>
              %whole1_3_0 = arith.sitofp %of_plane1#3 : vector<16xi32> to vector<16xf32>
              %by_row1_3_0 = arith.mulf %whole1_3_0, %row_scales3 : vector<16xf32>
              %added1_3_0 = vector.fma %by_row1_3_0, %scale1_0, %sum1_3_0 : vector<16xf32>
              scf.yield %added1_0_0, %added1_1_0, %added1_2_0, %added1_3_0
                  : vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
            }
            %place1 = arith.constant 1 : index
            %place1_0 = arith.constant 0 : index
            vector.store %sums1#0, %room[%place1, %place1_0, %part0] : memref<2x4x16xf32>, vector<16xf32>
            %place1_1 = arith.constant 1 : index
            vector.store %sums1#1, %room[%place1, %place1_1, %part0] : memref<2x4x16xf32>, vector<16xf32>
            %place1_2 = arith.constant 2 : index
            vector.store %sums1#2, %room[%place1, %place1_2, %part0] : memref<2x4x16xf32>, vector<16xf32>
            %place1_3 = arith.constant 3 : index
            vector.store %sums1#3, %room[%place1, %place1_3, %part0] : memref<2x4x16xf32>, vector<16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<2x4x16xf32>, vector<16xf32>
                %before = vector.load %residual[%r, %at] : memref<4x64xf32>, vector<16xf32>
                %added = arith.addf %y_sum, %before : vector<16xf32>
                vector.store %added, %y[%r, %at] : memref<4x64xf32>, vector<16xf32>
                %gain = vector.load %next_norm[%at] : memref<64xf32>, vector<16xf32>
                %weighted = arith.mulf %added, %gain : vector<16xf32>
                vector.store %weighted, %room[%t, %m, %c0] : memref<2x4x16xf32>, vector<16xf32>
                %square = arith.mulf %added, %added : vector<16xf32>
                %square_sum = vector.reduction <add>, %square fastmath<reassoc> : vector<16xf32> into f32
                memref.store %square_sum, %square_sums[%r, %n] : memref<4x4xf32>
              }
              %first_block = arith.divui %first_tile, %tiles_of_block : index
              %blocks_made = arith.constant 1 : index
              scf.for %b = %c0 to %blocks_made step %c1 {
                %block_made = arith.addi %first_block, %b : index
                %place0_made = arith.muli %b, %vectors_of_block : index
                %made0 = vector.load %room[%place0_made, %m, %c0] : memref<2x4x16xf32>, vector<16xf32>
                %place1_made = arith.addi %place0_made, %c1 : index
                %made1 = vector.load %room[%place1_made, %m, %c0] : memref<2x4x16xf32>, vector<16xf32>
                %size0 = math.absf %made0 : vector<16xf32>
                %size1 = math.absf %made1 : vector<16xf32>
                %sizes1 = arith.maximumf %size0, %size1 : vector<16xf32>
                %largest_size = vector.reduction <maximumf>, %sizes1 : vector<16xf32> into f32
                %whole_scale = arith.divf %largest_size, %most : f32
                %block_scale = arith.mulf %whole_scale, %part : f32
                %is_some = arith.cmpf ogt, %largest_size, %tiny : f32
                %inverse = arith.divf %most, %largest_size : f32
                %factor = arith.select %is_some, %inverse, %no_factor : f32
                %factors = vector.broadcast %factor : f32 to vector<16xf32>
                %by_factor0 = arith.mulf %made0, %factors : vector<16xf32>
                %above0 = arith.maxnumf %by_factor0, %least_each : vector<16xf32>
                %within0 = arith.minnumf %above0, %most_each : vector<16xf32>
                %round0 = math.roundeven %within0 : vector<16xf32>
                %upper0 = arith.fptosi %round0 : vector<16xf32> to vector<16xi32>
                %upper0_bytes = arith.trunci %upper0 : vector<16xi32> to vector<16xi8>
                %upper0_fours = vector.bitcast %upper0_bytes : vector<16xi8> to vector<4xi32>
                vector.store %upper0_fours, %weighteds[%r, %block_made, %c0] : memref<4x2x18xi32>, vector<4xi32>
                %rest0 = arith.subf %within0, %round0 : vector<16xf32>
                %rest_parts0 = arith.mulf %rest0, %parts_each : vector<16xf32>
                %rest_above0 = arith.maxnumf %rest_parts0, %least_each : vector<16xf32>
                %rest_within0 = arith.minnumf %rest_above0, %most_each : vector<16xf32>
                %rest_round0 = math.roundeven %rest_within0 : vector<16xf32>
                %lower0 = arith.fptosi %rest_round0 : vector<16xf32> to vector<16xi32>
                %lower0_bytes = arith.trunci %lower0 : vector<16xi32> to vector<16xi8>
                %lower0_fours = vector.bitcast %lower0_bytes : vector<16xi8> to vector<4xi32>
                vector.store %lower0_fours, %weighteds[%r, %block_made, %fours2] : memref<4x2x18xi32>, vector<4xi32>
                %upper_moved0 = arith.shli %upper0, %byte_each : vector<16xi32>
                %integer0 = arith.addi %upper_moved0, %lower0 : vector<16xi32>
                %by_factor1 = arith.mulf %made1, %factors : vector<16xf32>
                %above1 = arith.maxnumf %by_factor1, %least_each : vector<16xf32>
                %within1 = arith.minnumf %above1, %most_each : vector<16xf32>
                %round1 = math.roundeven %within1 : vector<16xf32>
                %upper1 = arith.fptosi %round1 : vector<16xf32> to vector<16xi32>
                %upper1_bytes = arith.trunci %upper1 : vector<16xi32> to vector<16xi8>
                %upper1_fours = vector.bitcast %upper1_bytes : vector<16xi8> to vector<4xi32>
                vector.store %upper1_fours, %weighteds[%r, %block_made, %fours1] : memref<4x2x18xi32>, vector<4xi32>
                %rest1 = arith.subf %within1, %round1 : vector<16xf32>
                %rest_parts1 = arith.mulf %rest1, %parts_each : vector<16xf32>
                %rest_above1 = arith.maxnumf %rest_parts1, %least_each : vector<16xf32>
                %rest_within1 = arith.minnumf %rest_above1, %most_each : vector<16xf32>
                %rest_round1 = math.roundeven %rest_within1 : vector<16xf32>
                %lower1 = arith.fptosi %rest_round1 : vector<16xf32> to vector<16xi32>
                %lower1_bytes = arith.trunci %lower1 : vector<16xi32> to vector<16xi8>
                %lower1_fours = vector.bitcast %lower1_bytes : vector<16xi8> to vector<4xi32>
                vector.store %lower1_fours, %weighteds[%r, %block_made, %fours3] : memref<4x2x18xi32>, vector<4xi32>
                %upper_moved1 = arith.shli %upper1, %byte_each : vector<16xi32>
                %integer1 = arith.addi %upper_moved1, %lower1 : vector<16xi32>
                %integers1 = arith.addi %integer0, %integer1 : vector<16xi32>
                %block_sum = vector.reduction <add>, %integers1 : vector<16xi32> into i32
                %no_sum = arith.constant 0 : i32
                %less_sum = arith.subi %no_sum, %block_sum : i32
                %block_scale_bits = arith.bitcast %block_scale : f32 to i32
                memref.store %block_scale_bits, %weighteds[%r, %block_made, %made_scale] : memref<4x2x18xi32>
                memref.store %less_sum, %weighteds[%r, %block_made, %made_sum] : memref<4x2x18xi32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 4 × 64 by 21 tiles of 16, 4 × 1 at once.
  stream.executable private @head {
    stream.executable.export public @head workgroups() -> (index, index, index) {
      %size1 = arith.constant 4 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @head(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %w_scales_bytes: !stream.binding,
          %squares_bytes: !stream.binding, %y_bytes: !stream.binding, %largests_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<4x2x18xi32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<21x16x16xi32>
        %w_scales = stream.binding.subspan %w_scales_bytes[%c0] : !stream.binding -> memref<21x2x16xf16>
        %squares = stream.binding.subspan %squares_bytes[%c0] : !stream.binding -> memref<4x4xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<4x331xf32>
        %largests = stream.binding.subspan %largests_bytes[%c0] : !stream.binding -> memref<4x21xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 16 : index
        %rows = arith.constant 4 : index
        %rows_at_once = arith.constant 4 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 21 : index
        %tiles_at_once = arith.constant 1 : index
        %unit = arith.constant 1 : index
        %last_unit = arith.constant 20 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 16 : index
        %zeros = arith.constant dense<0.0> : vector<16xf32>
        %no_dots = arith.constant dense<0> : vector<16xi32>
        %blocks = arith.constant 2 : index
        %steps_of_block = arith.constant 8 : index
        %scale_of_block = arith.constant 16 : index
        %sum_of_block = arith.constant 17 : index
        %second_plane = arith.constant 8 : index
        %byte = arith.constant dense<8> : vector<16xi32>
        %part0 = arith.constant 0 : index
        %zero = arith.constant dense<128> : vector<16xi32>
        %room = memref.alloca() : memref<1x4x16xf32>
        %scales = memref.alloca() : memref<4xf32>
        %parts = arith.constant 4 : index
        %parts_at_once = arith.constant 4 : index
        %none = arith.constant dense<0.0> : vector<4xf32>
        scf.for %row = %c0 to %rows step %c1 {
          %partial = scf.for %at = %c0 to %parts step %parts_at_once iter_args(%sum = %none) -> (vector<4xf32>) {
            %more = vector.load %squares[%row, %at] : memref<4x4xf32>, vector<4xf32>
            %next = arith.addf %sum, %more : vector<4xf32>
            scf.yield %next : vector<4xf32>
          }
          %total = vector.reduction <add>, %partial fastmath<reassoc> : vector<4xf32> into f32
          %scale_length = arith.constant 64.0 : f32
          %scale_eps = arith.constant 1.0e-05 : f32
          %scale_one = arith.constant 1.0 : f32
          %scale_mean = arith.divf %total, %scale_length : f32
          %scale_shifted = arith.addf %scale_mean, %scale_eps : f32
          %scale_root = math.sqrt %scale_shifted : f32
          %scale = arith.divf %scale_one, %scale_root : f32
          memref.store %scale, %scales[%row] : memref<4xf32>
        }
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 4 : index
        %first_row = arith.muli %row_group, %rows_of_group : index
        %past_row = arith.addi %first_row, %rows_of_group : index
        %end_row = arith.minui %past_row, %rows : index
        scf.for %tile = %first to %end step %unit {
          %first_tile = arith.minui %tile, %last_unit : index
          %n0 = arith.addi %first_tile, %c0 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %sums0:4 = scf.for %block = %c0 to %blocks step %c1
                iter_args(%sum0_0_0 = %zeros, %sum0_1_0 = %zeros, %sum0_2_0 = %zeros, %sum0_3_0 = %zeros)
                -> (vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>) {
              %next_tile0 = arith.addi %n0, %tiles_at_once : index
              memref.prefetch %w_scales[%next_tile0, %block, %c0], read, locality<3>, data : memref<21x2x16xf16>
              %scale0_0_stored = vector.load %w_scales[%n0, %block, %part0] : memref<21x2x16xf16>, vector<16xf16>
              %scale0_0 = arith.extf %scale0_0_stored : vector<16xf16> to vector<16xf32>
              %scale_bits0 = memref.load %x[%m0, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale0 = arith.bitcast %scale_bits0 : i32 to f32
              %row_scales0 = vector.broadcast %row_scale0 : f32 to vector<16xf32>
              %less0 = memref.load %x[%m0, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each0 = vector.broadcast %less0 : i32 to vector<16xi32>
              %start0 = arith.muli %less_each0, %zero : vector<16xi32>
              %scale_bits1 = memref.load %x[%m1, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale1 = arith.bitcast %scale_bits1 : i32 to f32
              %row_scales1 = vector.broadcast %row_scale1 : f32 to vector<16xf32>
              %less1 = memref.load %x[%m1, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each1 = vector.broadcast %less1 : i32 to vector<16xi32>
              %start1 = arith.muli %less_each1, %zero : vector<16xi32>
              %scale_bits2 = memref.load %x[%m2, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale2 = arith.bitcast %scale_bits2 : i32 to f32
              %row_scales2 = vector.broadcast %row_scale2 : f32 to vector<16xf32>
              %less2 = memref.load %x[%m2, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each2 = vector.broadcast %less2 : i32 to vector<16xi32>
              %start2 = arith.muli %less_each2, %zero : vector<16xi32>
              %scale_bits3 = memref.load %x[%m3, %block, %scale_of_block] : memref<4x2x18xi32>
              %row_scale3 = arith.bitcast %scale_bits3 : i32 to f32
              %row_scales3 = vector.broadcast %row_scale3 : f32 to vector<16xf32>
              %less3 = memref.load %x[%m3, %block, %sum_of_block] : memref<4x2x18xi32>
              %less_each3 = vector.broadcast %less3 : i32 to vector<16xi32>
              %start3 = arith.muli %less_each3, %zero : vector<16xi32>
              %first_step = arith.muli %block, %steps_of_block : index
              %of_plane0:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int0_0_0 = %no_dots, %int0_1_0 = %no_dots, %int0_2_0 = %no_dots, %int0_3_0 = %no_dots)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                // as far ahead in what is read next: past a tile's end, the tiles after these
                %ahead = arith.addi %k, %prefetch : index
                %is_next = arith.cmpi uge, %ahead, %depth : index
                %from_next = arith.subi %ahead, %depth : index
                %ahead_k = arith.select %is_next, %from_next, %ahead : index
                %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
                %quad0 = arith.addi %step, %c0 : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x2x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x2x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x2x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x2x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %fetched0 = arith.addi %n0, %ahead_n : index
                memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<21x16x16xi32>
                %stored0_0 = vector.load %w[%n0, %k, %part0] : memref<21x16x16xi32>, vector<16xi32>
                %w0_0_0 = vector.bitcast %stored0_0 : vector<16xi32> to vector<64xi8>
                %dot0_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_0_0, %w0_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_1_0, %w0_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_2_0, %w0_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_3_0, %w0_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot0_0_0, %dot0_1_0, %dot0_2_0, %dot0_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %moved0_0_0 = arith.shli %of_plane0#0, %byte : vector<16xi32>
              %begun0_0_0 = arith.addi %moved0_0_0, %start0 : vector<16xi32>
              %moved0_1_0 = arith.shli %of_plane0#1, %byte : vector<16xi32>
              %begun0_1_0 = arith.addi %moved0_1_0, %start1 : vector<16xi32>
              %moved0_2_0 = arith.shli %of_plane0#2, %byte : vector<16xi32>
              %begun0_2_0 = arith.addi %moved0_2_0, %start2 : vector<16xi32>
              %moved0_3_0 = arith.shli %of_plane0#3, %byte : vector<16xi32>
              %begun0_3_0 = arith.addi %moved0_3_0, %start3 : vector<16xi32>
              %of_plane1:4 = scf.for %step = %c0 to %steps_of_block step %c1
                  iter_args(%int0_0_0 = %begun0_0_0, %int0_1_0 = %begun0_1_0, %int0_2_0 = %begun0_2_0,
                            %int0_3_0 = %begun0_3_0)
                  -> (vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>) {
                %k = arith.addi %first_step, %step : index
                %quad0 = arith.addi %step, %second_plane : index
                %four0_0 = memref.load %x[%m0, %block, %quad0] : memref<4x2x18xi32>
                %fours0_0 = vector.broadcast %four0_0 : i32 to vector<16xi32>
                %x0_0 = vector.bitcast %fours0_0 : vector<16xi32> to vector<64xi8>
                %four1_0 = memref.load %x[%m1, %block, %quad0] : memref<4x2x18xi32>
                %fours1_0 = vector.broadcast %four1_0 : i32 to vector<16xi32>
                %x1_0 = vector.bitcast %fours1_0 : vector<16xi32> to vector<64xi8>
                %four2_0 = memref.load %x[%m2, %block, %quad0] : memref<4x2x18xi32>
                %fours2_0 = vector.broadcast %four2_0 : i32 to vector<16xi32>
                %x2_0 = vector.bitcast %fours2_0 : vector<16xi32> to vector<64xi8>
                %four3_0 = memref.load %x[%m3, %block, %quad0] : memref<4x2x18xi32>
                %fours3_0 = vector.broadcast %four3_0 : i32 to vector<16xi32>
                %x3_0 = vector.bitcast %fours3_0 : vector<16xi32> to vector<64xi8>
                %stored0_0 = vector.load %w[%n0, %k, %part0] : memref<21x16x16xi32>, vector<16xi32>
                %w0_0_0 = vector.bitcast %stored0_0 : vector<16xi32> to vector<64xi8>
                %dot0_0_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_0_0, %w0_0_0, %x0_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_1_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_1_0, %w0_0_0, %x1_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_2_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_2_0, %w0_0_0, %x2_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                %dot0_3_0 = llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"(%int0_3_0, %w0_0_0, %x3_0)
                    : (vector<16xi32>, vector<64xi8>, vector<64xi8>) -> vector<16xi32>
                scf.yield %dot0_0_0, %dot0_1_0, %dot0_2_0, %dot0_3_0
                    : vector<16xi32>, vector<16xi32>, vector<16xi32>, vector<16xi32>
              }
              %whole0_0_0 = arith.sitofp %of_plane1#0 : vector<16xi32> to vector<16xf32>
              %by_row0_0_0 = arith.mulf %whole0_0_0, %row_scales0 : vector<16xf32>
              %added0_0_0 = vector.fma %by_row0_0_0, %scale0_0, %sum0_0_0 : vector<16xf32>
              %whole0_1_0 = arith.sitofp %of_plane1#1 : vector<16xi32> to vector<16xf32>
              %by_row0_1_0 = arith.mulf %whole0_1_0, %row_scales1 : vector<16xf32>
              %added0_1_0 = vector.fma %by_row0_1_0, %scale0_0, %sum0_1_0 : vector<16xf32>
              %whole0_2_0 = arith.sitofp %of_plane1#2 : vector<16xi32> to vector<16xf32>
              %by_row0_2_0 = arith.mulf %whole0_2_0, %row_scales2 : vector<16xf32>
              %added0_2_0 = vector.fma %by_row0_2_0, %scale0_0, %sum0_2_0 : vector<16xf32>
              %whole0_3_0 = arith.sitofp %of_plane1#3 : vector<16xi32> to vector<16xf32>
              %by_row0_3_0 = arith.mulf %whole0_3_0, %row_scales3 : vector<16xf32>
              %added0_3_0 = vector.fma %by_row0_3_0, %scale0_0, %sum0_3_0 : vector<16xf32>
              scf.yield %added0_0_0, %added0_1_0, %added0_2_0, %added0_3_0
                  : vector<16xf32>, vector<16xf32>, vector<16xf32>, vector<16xf32>
            }
            %place0 = arith.constant 0 : index
            %place0_0 = arith.constant 0 : index
            vector.store %sums0#0, %room[%place0, %place0_0, %part0] : memref<1x4x16xf32>, vector<16xf32>
            %place0_1 = arith.constant 1 : index
            vector.store %sums0#1, %room[%place0, %place0_1, %part0] : memref<1x4x16xf32>, vector<16xf32>
            %place0_2 = arith.constant 2 : index
            vector.store %sums0#2, %room[%place0, %place0_2, %part0] : memref<1x4x16xf32>, vector<16xf32>
            %place0_3 = arith.constant 3 : index
            vector.store %sums0#3, %room[%place0, %place0_3, %part0] : memref<1x4x16xf32>, vector<16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              %scale = memref.load %scales[%r] : memref<4xf32>
              %scaling = vector.broadcast %scale : f32 to vector<16xf32>
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<1x4x16xf32>, vector<16xf32>
                %y_scaled = arith.mulf %y_sum, %scaling : vector<16xf32>
                vector.transfer_write %y_scaled, %y[%r, %at] : vector<16xf32>, memref<4x331xf32>
                %lanes = vector.step : vector<16xindex>
                %from = vector.broadcast %at : index to vector<16xindex>
                %columns = arith.addi %from, %lanes : vector<16xindex>
                %ends = arith.constant dense<331> : vector<16xindex>
                %is_column = arith.cmpi ult, %columns, %ends : vector<16xindex>
                %fill = arith.constant dense<0xFF800000> : vector<16xf32>
                %y_scaled_kept = arith.select %is_column, %y_scaled, %fill : vector<16xi1>, vector<16xf32>
                %largest = vector.reduction <maximumf>, %y_scaled_kept : vector<16xf32> into f32
                memref.store %largest, %largests[%r, %n] : memref<4x21xf32>
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
      %size1 = arith.constant 4 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @argmax(
          %largests_bytes: !stream.binding, %logits_bytes: !stream.binding, %tokens_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %largests = stream.binding.subspan %largests_bytes[%c0] : !stream.binding -> memref<4x21xf32>
        %logits = stream.binding.subspan %logits_bytes[%c0] : !stream.binding -> memref<4x331xf32>
        %tokens = stream.binding.subspan %tokens_bytes[%c0] : !stream.binding -> memref<4xi32>
        %row = stream.dispatch.workgroup.id[0] : index
        %width = arith.constant 1 : index
        %tiles = arith.constant 21 : index
        %lowest = arith.constant dense<0xFF800000> : vector<1xf32>
        %maxima = scf.for %at = %c0 to %tiles step %width iter_args(%max = %lowest) -> (vector<1xf32>) {
          %more = vector.load %largests[%row, %at] : memref<4x21xf32>, vector<1xf32>
          %next = arith.maximumf %max, %more : vector<1xf32>
          scf.yield %next : vector<1xf32>
        }
        %max = vector.reduction <maximumf>, %maxima : vector<1xf32> into f32
        %maxes = vector.broadcast %max : f32 to vector<1xf32>
        // the first tile that holds it; none where it is a NaN
        %no_tile = arith.constant dense<21> : vector<1xi32>
        %lane = vector.step : vector<1xindex>
        %lane_number = arith.index_cast %lane : vector<1xindex> to vector<1xi32>
        %firsts = scf.for %at = %c0 to %tiles step %width iter_args(%first = %no_tile) -> (vector<1xi32>) {
          %more = vector.load %largests[%row, %at] : memref<4x21xf32>, vector<1xf32>
          %is_max = arith.cmpf oeq, %more, %maxes : vector<1xf32>
          %at_i32 = arith.index_cast %at : index to i32
          %from = vector.broadcast %at_i32 : i32 to vector<1xi32>
          %number = arith.addi %from, %lane_number : vector<1xi32>
          %found = arith.select %is_max, %number, %no_tile : vector<1xi1>, vector<1xi32>
          %next = arith.minui %first, %found : vector<1xi32>
          scf.yield %next : vector<1xi32>
        }
        %first = vector.reduction <minui>, %firsts : vector<1xi32> into i32
        // and the first of its logits
        %sixteen = arith.constant 16 : index
        %size = arith.constant 331 : index
        %size_i32 = arith.constant 331 : i32
        %first_index = arith.index_cast %first : i32 to index
        %begin = arith.muli %first_index, %sixteen : index
        %past = arith.addi %begin, %sixteen : index
        %end = arith.minui %past, %size : index
        %token = scf.for %at = %begin to %end step %c1 iter_args(%least = %size_i32) -> (i32) {
          %logit = memref.load %logits[%row, %at] : memref<4x331xf32>
          %is_it = arith.cmpf oeq, %logit, %max : f32
          %at_i32 = arith.index_cast %at : index to i32
          %found = arith.select %is_it, %at_i32, %size_i32 : i32
          %next = arith.minui %least, %found : i32
          scf.yield %next : i32
        }
        memref.store %token, %tokens[%row] : memref<4xi32>
        return
      }
    }
  }
}

// batched · gemma3_text, untied · 3 layers, hidden 64, 4/2 heads of 24 · context 64, 4 slots · exact

!embed = tensor<21x64x16x1xf32>
!norm = tensor<64xf32>
!lm_head = tensor<21x64x16x1xf32>
!qkv = tensor<12x64x16x1xf32>
!head_norm = tensor<24xf32>
!o = tensor<4x96x16x1xf32>
!gate_up = tensor<14x64x16x1xf32>
!down = tensor<4x100x16x1xf32>
!tokens = tensor<4xi32>
!k_cache = tensor<3x4x2x2x24x64xf32>
!v_cache = tensor<3x4x2x2x64x24xf32>
!next = tensor<4xi32>
!logits = tensor<4x331xf32>
!angle = tensor<4x2x12xf32>
!hidden = tensor<4x64xf32>
!rows = tensor<4x64xf32>
!squares = tensor<4x4xf32>
!largests = tensor<4x21xf32>
!qkv_rows = tensor<4x192xf32>
!partials = tensor<4x2x1x2x24xf32>
!of_runs = tensor<4x2x1x2xf32>
!q_rows = tensor<4x96xf32>
!inner_rows = tensor<4x112xf32>
!angles = tensor<4x12xf32>

module @batched {
  // One token of each of slots 0..3, all at `position`.
  func.func public @batched(
      %embed: !embed,
      %final_norm: !norm,
      %lm_head: !lm_head,
      %layer0_attn_norm: !norm, %layer0_qkv: !qkv, %layer0_q_norm: !head_norm, %layer0_k_norm: !head_norm,
      %layer0_o: !o, %layer0_post_attn_norm: !norm, %layer0_mlp_norm: !norm, %layer0_gate_up: !gate_up,
      %layer0_down: !down, %layer0_post_mlp_norm: !norm,
      %layer1_attn_norm: !norm, %layer1_qkv: !qkv, %layer1_q_norm: !head_norm, %layer1_k_norm: !head_norm,
      %layer1_o: !o, %layer1_post_attn_norm: !norm, %layer1_mlp_norm: !norm, %layer1_gate_up: !gate_up,
      %layer1_down: !down, %layer1_post_mlp_norm: !norm,
      %layer2_attn_norm: !norm, %layer2_qkv: !qkv, %layer2_q_norm: !head_norm, %layer2_k_norm: !head_norm,
      %layer2_o: !o, %layer2_post_attn_norm: !norm, %layer2_mlp_norm: !norm, %layer2_gate_up: !gate_up,
      %layer2_down: !down, %layer2_post_mlp_norm: !norm,
      %tokens: !tokens, %position: tensor<i32>,
      %k: !k_cache {tf.aliasing_output = 2 : i32},
      %v: !v_cache {tf.aliasing_output = 3 : i32})
      -> (!next, !logits, !k_cache, !v_cache) {

    %position_value = tensor.extract %position[] : tensor<i32>
    %farthest = arith.index_cast %position_value : i32 to index
    %one_run = arith.constant 1 : index
    // how many runs of 256 positions hold those that a row sees in a window of 7
    %runs_window7_length = arith.constant 256 : index
    %runs_window7_last = arith.divui %farthest, %runs_window7_length : index
    %runs_window7_held = arith.addi %runs_window7_last, %one_run : index
    %runs_window7_most = arith.constant 1 : index
    %runs_window7 = arith.minui %runs_window7_held, %runs_window7_most : index
    // how many runs of 256 positions hold those that a row sees
    %runs_length = arith.constant 256 : index
    %runs_last = arith.divui %farthest, %runs_length : index
    %runs = arith.addi %runs_last, %one_run : index

    %positions = stablehlo.broadcast_in_dim %position, dims = [] : (tensor<i32>) -> !tokens
    %cos_window7, %sin_window7 = call @rotary_angles_window7(%positions) : (!tokens) -> (!angle, !angle)
    %cos_full, %sin_full = call @rotary_angles_full(%positions) : (!tokens) -> (!angle, !angle)
    %embedded = call @embedding(%embed, %tokens) : (!embed, !tokens) -> !hidden
    %x0, %x0_weighted, %x0_squares = flow.dispatch @first_norm::@first_norm(%embedded, %layer0_attn_norm)
        : (!hidden, !norm)
        -> (!rows, !rows, !squares)

    %layer0 = arith.constant 0 : index
    %x1, %x1_weighted, %x1_squares, %k_after0, %v_after0 = call @layer_window7(
        %x0, %x0_weighted, %x0_squares, %layer0_qkv, %layer0_q_norm, %layer0_k_norm, %layer0_o,
        %layer0_post_attn_norm, %layer0_mlp_norm, %layer0_gate_up, %layer0_down, %layer0_post_mlp_norm,
        %layer1_attn_norm, %layer0, %cos_window7, %sin_window7, %positions, %runs_window7, %k, %v)
        : (!rows, !rows, !squares, !qkv, !head_norm, !head_norm, !o, !norm, !norm, !gate_up, !down, !norm, !norm,
           index, !angle, !angle, !tokens, index, !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer1 = arith.constant 1 : index
    %x2, %x2_weighted, %x2_squares, %k_after1, %v_after1 = call @layer_window7(
        %x1, %x1_weighted, %x1_squares, %layer1_qkv, %layer1_q_norm, %layer1_k_norm, %layer1_o,
        %layer1_post_attn_norm, %layer1_mlp_norm, %layer1_gate_up, %layer1_down, %layer1_post_mlp_norm,
        %layer2_attn_norm, %layer1, %cos_window7, %sin_window7, %positions, %runs_window7, %k_after0, %v_after0)
        : (!rows, !rows, !squares, !qkv, !head_norm, !head_norm, !o, !norm, !norm, !gate_up, !down, !norm, !norm,
           index, !angle, !angle, !tokens, index, !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer2 = arith.constant 2 : index
    %x3, %normed, %normed_squares, %k_after2, %v_after2 = call @layer_full(
        %x2, %x2_weighted, %x2_squares, %layer2_qkv, %layer2_q_norm, %layer2_k_norm, %layer2_o,
        %layer2_post_attn_norm, %layer2_mlp_norm, %layer2_gate_up, %layer2_down, %layer2_post_mlp_norm,
        %final_norm, %layer2, %cos_full, %sin_full, %positions, %runs, %k_after1, %v_after1)
        : (!rows, !rows, !squares, !qkv, !head_norm, !head_norm, !o, !norm, !norm, !gate_up, !down, !norm, !norm,
           index, !angle, !angle, !tokens, index, !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)

    %logits, %largests = flow.dispatch @head::@head(%normed, %lm_head, %normed_squares)
        : (!rows, !lm_head, !squares)
        -> (!logits, !largests)
    %next = flow.dispatch @argmax::@argmax(%largests, %logits)
        : (!largests, !logits)
        -> !next

    return %next, %logits, %k_after2, %v_after2 : !next, !logits, !k_cache, !v_cache
  }

  // x + norm(attention(norm(x))), then x + norm(mlp(norm(x))); and what the next norm needs of that.
  func.func private @layer_window7(
      %x: !rows, %x_weighted: !rows, %x_squares: !squares, %qkv: !qkv, %q_norm: !head_norm, %k_norm: !head_norm,
      %o: !o, %post_attn_norm: !norm, %mlp_norm: !norm, %gate_up: !gate_up, %down: !down, %post_mlp_norm: !norm,
      %next_norm: !norm, %layer: index, %cos: !angle, %sin: !angle, %positions: !tokens, %runs: index,
      %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!rows, !rows, !squares, !k_cache, !v_cache) {
    %projected = flow.dispatch @qkv::@qkv(%x_weighted, %qkv, %x_squares)
        : (!rows, !qkv, !squares)
        -> !qkv_rows
    %k, %v, %partials, %maxima, %sums = flow.dispatch @attention_window7::@attention_window7[%runs](
        %positions, %cos, %sin, %projected, %q_norm, %k_norm, %k_cache, %v_cache, %layer)
        : (!tokens, !angle, !angle, !qkv_rows, !head_norm, !head_norm, !k_cache, !v_cache, index)
        -> (%k_cache, %v_cache, !partials, !of_runs, !of_runs)
    %attended = flow.dispatch @merge_window7::@merge_window7(%positions, %partials, %maxima, %sums)
        : (!tokens, !partials, !of_runs, !of_runs)
        -> !q_rows
    %mid_product = flow.dispatch @o::@o(%attended, %o)
        : (!q_rows, !o)
        -> !rows
    %mid, %mid_weighted, %mid_squares = flow.dispatch @post_norm::@post_norm(
        %mid_product, %post_attn_norm, %x, %mlp_norm)
        : (!rows, !norm, !rows, !norm)
        -> (!rows, !rows, !squares)
    %inner = flow.dispatch @gate_up::@gate_up(%mid_weighted, %gate_up, %mid_squares)
        : (!rows, !gate_up, !squares)
        -> !inner_rows
    %y_product = flow.dispatch @down::@down(%inner, %down)
        : (!inner_rows, !down)
        -> !rows
    %y, %y_weighted, %y_squares = flow.dispatch @post_norm::@post_norm(%y_product, %post_mlp_norm, %mid, %next_norm)
        : (!rows, !norm, !rows, !norm)
        -> (!rows, !rows, !squares)
    return %y, %y_weighted, %y_squares, %k, %v : !rows, !rows, !squares, !k_cache, !v_cache
  }

  // x + norm(attention(norm(x))), then x + norm(mlp(norm(x))); and what the next norm needs of that.
  func.func private @layer_full(
      %x: !rows, %x_weighted: !rows, %x_squares: !squares, %qkv: !qkv, %q_norm: !head_norm, %k_norm: !head_norm,
      %o: !o, %post_attn_norm: !norm, %mlp_norm: !norm, %gate_up: !gate_up, %down: !down, %post_mlp_norm: !norm,
      %next_norm: !norm, %layer: index, %cos: !angle, %sin: !angle, %positions: !tokens, %runs: index,
      %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!rows, !rows, !squares, !k_cache, !v_cache) {
    %projected = flow.dispatch @qkv::@qkv(%x_weighted, %qkv, %x_squares)
        : (!rows, !qkv, !squares)
        -> !qkv_rows
    %k, %v, %partials, %maxima, %sums = flow.dispatch @attention_full::@attention_full[%runs](
        %positions, %cos, %sin, %projected, %q_norm, %k_norm, %k_cache, %v_cache, %layer)
        : (!tokens, !angle, !angle, !qkv_rows, !head_norm, !head_norm, !k_cache, !v_cache, index)
        -> (%k_cache, %v_cache, !partials, !of_runs, !of_runs)
    %attended = flow.dispatch @merge_full::@merge_full(%positions, %partials, %maxima, %sums)
        : (!tokens, !partials, !of_runs, !of_runs)
        -> !q_rows
    %mid_product = flow.dispatch @o::@o(%attended, %o)
        : (!q_rows, !o)
        -> !rows
    %mid, %mid_weighted, %mid_squares = flow.dispatch @post_norm::@post_norm(
        %mid_product, %post_attn_norm, %x, %mlp_norm)
        : (!rows, !norm, !rows, !norm)
        -> (!rows, !rows, !squares)
    %inner = flow.dispatch @gate_up::@gate_up(%mid_weighted, %gate_up, %mid_squares)
        : (!rows, !gate_up, !squares)
        -> !inner_rows
    %y_product = flow.dispatch @down::@down(%inner, %down)
        : (!inner_rows, !down)
        -> !rows
    %y, %y_weighted, %y_squares = flow.dispatch @post_norm::@post_norm(%y_product, %post_mlp_norm, %mid, %next_norm)
        : (!rows, !norm, !rows, !norm)
        -> (!rows, !rows, !squares)
    return %y, %y_weighted, %y_squares, %k, %v : !rows, !rows, !squares, !k_cache, !v_cache
  }

  // cos and ∓sin of position · frequency, laid over a head's two halves: [rows, 2, head_dim / 2].
  func.func private @rotary_angles_window7(%positions: !tokens) -> (!angle, !angle) {
    // theta^(-2i / head_dim), theta 100: radians a position
    %frequency = stablehlo.constant dense<[
        1.0, 0.68129206, 0.4641589, 0.31622776, 0.21544346, 0.14677992, 0.1, 0.068129204, 0.046415888, 0.031622775,
        0.021544347, 0.014677993]> : tensor<12xf32>
    %sign = stablehlo.constant dense<[-1.0, 1.0]> : tensor<2xf32>
    %position = stablehlo.convert %positions : (!tokens) -> tensor<4xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<4xf32>) -> !angles
    %by_pair = stablehlo.broadcast_in_dim %frequency, dims = [1] : (tensor<12xf32>) -> !angles
    %angle = stablehlo.multiply %by_row, %by_pair : !angles
    %cos_half = stablehlo.cosine %angle : !angles
    %sin_half = stablehlo.sine %angle : !angles
    %cos = stablehlo.broadcast_in_dim %cos_half, dims = [0, 2] : (!angles) -> !angle
    %sin_both = stablehlo.broadcast_in_dim %sin_half, dims = [0, 2] : (!angles) -> !angle
    %signs = stablehlo.broadcast_in_dim %sign, dims = [1] : (tensor<2xf32>) -> !angle
    %sin = stablehlo.multiply %sin_both, %signs : !angle
    return %cos, %sin : !angle, !angle
  }

  // cos and ∓sin of position · frequency, laid over a head's two halves: [rows, 2, head_dim / 2].
  func.func private @rotary_angles_full(%positions: !tokens) -> (!angle, !angle) {
    // theta^(-2i / head_dim), theta 100000, linear scaling by 2: radians a position
    %frequency = stablehlo.constant dense<[
        0.5, 0.19155934, 0.07338996, 0.028117066, 0.010772173, 0.004127021, 0.0015811388, 0.0006057638,
        0.00023207944, 8.891397e-05, 3.4064604e-05, 1.3050786e-05]> : tensor<12xf32>
    %sign = stablehlo.constant dense<[-1.0, 1.0]> : tensor<2xf32>
    %position = stablehlo.convert %positions : (!tokens) -> tensor<4xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<4xf32>) -> !angles
    %by_pair = stablehlo.broadcast_in_dim %frequency, dims = [1] : (tensor<12xf32>) -> !angles
    %angle = stablehlo.multiply %by_row, %by_pair : !angles
    %cos_half = stablehlo.cosine %angle : !angles
    %sin_half = stablehlo.sine %angle : !angles
    %cos = stablehlo.broadcast_in_dim %cos_half, dims = [0, 2] : (!angles) -> !angle
    %sin_both = stablehlo.broadcast_in_dim %sin_half, dims = [0, 2] : (!angles) -> !angle
    %signs = stablehlo.broadcast_in_dim %sign, dims = [1] : (tensor<2xf32>) -> !angle
    %sin = stablehlo.multiply %sin_both, %signs : !angle
    return %cos, %sin : !angle, !angle
  }

  // Row `token` of the table for each token, times 8.0.
  func.func private @embedding(%embed: !embed, %tokens: !tokens) -> !hidden {
    %found_n = stablehlo.constant dense<16> : !tokens
    %found_tile = stablehlo.divide %tokens, %found_n : !tokens
    %found_within = stablehlo.remainder %tokens, %found_n : !tokens
    %found_tiles = stablehlo.reshape %found_tile : (!tokens) -> tensor<4x1xi32>
    %found_rows = stablehlo.reshape %found_within : (!tokens) -> tensor<4x1xi32>
    %found_at = stablehlo.concatenate %found_tiles, %found_rows, dim = 1
        : (tensor<4x1xi32>, tensor<4x1xi32>) -> tensor<4x2xi32>
    %found_tile_row = "stablehlo.gather"(%embed, %found_at) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1, 2, 3, 4], start_index_map = [0, 2], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 64, 1, 1>, indices_are_sorted = false}>
        : (!embed, tensor<4x2xi32>) -> tensor<4x1x64x1x1xf32>
    %found = stablehlo.reshape %found_tile_row : (tensor<4x1x64x1x1xf32>) -> tensor<4x64xf32>

    %scale = stablehlo.constant dense<8.0> : !hidden
    %x = stablehlo.multiply %found, %scale : !hidden
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
        %weighteds = stream.binding.subspan %weighteds_bytes[%c0] : !stream.binding -> memref<4x64xf32>
        %square_sums = stream.binding.subspan %square_sums_bytes[%c0] : !stream.binding -> memref<4x4xf32>
        %width = arith.constant 16 : index
        %tiles = arith.constant 4 : index
        %row = stream.dispatch.workgroup.id[0] : index
        scf.for %n = %c0 to %tiles step %c1 {
          %at = arith.muli %n, %width : index
          %x_tile = vector.load %x[%row, %at] : memref<4x64xf32>, vector<16xf32>
          vector.store %x_tile, %y[%row, %at] : memref<4x64xf32>, vector<16xf32>
          %gain = vector.load %next_norm[%at] : memref<64xf32>, vector<16xf32>
          %gain_offset = arith.constant dense<1.0> : vector<16xf32>
          %gain_whole = arith.addf %gain, %gain_offset : vector<16xf32>
          %weighted = arith.mulf %x_tile, %gain_whole : vector<16xf32>
          vector.store %weighted, %weighteds[%row, %at] : memref<4x64xf32>, vector<16xf32>
          %square = arith.mulf %x_tile, %x_tile : vector<16xf32>
          %square_sum = vector.reduction <add>, %square fastmath<reassoc> : vector<16xf32> into f32
          memref.store %square_sum, %square_sums[%row, %n] : memref<4x4xf32>
        }
        return
      }
    }
  }

  // Rows × weights: 4 × 64 by 12 tiles of 16, 4 × 4 at once.
  stream.executable private @qkv {
    stream.executable.export public @qkv workgroups() -> (index, index, index) {
      %size1 = arith.constant 3 : index
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
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<4x64xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<12x64x16xf32>
        %squares = stream.binding.subspan %squares_bytes[%c0] : !stream.binding -> memref<4x4xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<4x192xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 64 : index
        %rows = arith.constant 4 : index
        %rows_at_once = arith.constant 4 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 12 : index
        %tiles_at_once = arith.constant 4 : index
        %unit = arith.constant 4 : index
        %last_unit = arith.constant 8 : index
        %tiles_of_group = arith.constant 4 : index
        %prefetch = arith.constant 32 : index
        %zeros = arith.constant dense<0.0> : vector<4x16xf32>
        %per_step = arith.constant 1 : index
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
          %scale_eps = arith.constant 1.0e-04 : f32
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
          %n1 = arith.addi %n0, %c1 : index
          %n2 = arith.addi %n1, %c1 : index
          %n3 = arith.addi %n2, %c1 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %sums0:4 = scf.for %k = %c0 to %depth step %c1
                iter_args(%sum0 = %zeros, %sum1 = %zeros, %sum2 = %zeros, %sum3 = %zeros)
                -> (vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>) {
              // as far ahead in what is read next: past a tile's end, the tiles after these
              %ahead = arith.addi %k, %prefetch : index
              %is_next = arith.cmpi uge, %ahead, %depth : index
              %from_next = arith.subi %ahead, %depth : index
              %ahead_k = arith.select %is_next, %from_next, %ahead : index
              %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
              %k0 = arith.muli %k, %per_step : index
              %x0_0 = memref.load %x[%m0, %k0] : memref<4x64xf32>
              %x0_1 = memref.load %x[%m1, %k0] : memref<4x64xf32>
              %x0_2 = memref.load %x[%m2, %k0] : memref<4x64xf32>
              %x0_3 = memref.load %x[%m3, %k0] : memref<4x64xf32>
              %column0 = vector.from_elements
                  %x0_0, %x0_1, %x0_2, %x0_3 : vector<4xf32>
              %fetched0 = arith.addi %n0, %ahead_n : index
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<12x64x16xf32>
              %w0_0 = vector.load %w[%n0, %k, %c0] : memref<12x64x16xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<12x64x16xf32>
              %w1_0 = vector.load %w[%n1, %k, %c0] : memref<12x64x16xf32>, vector<16xf32>
              %next1 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              %fetched2 = arith.addi %fetched1, %c1 : index
              memref.prefetch %w[%fetched2, %ahead_k, %c0], read, locality<3>, data : memref<12x64x16xf32>
              %w2_0 = vector.load %w[%n2, %k, %c0] : memref<12x64x16xf32>, vector<16xf32>
              %next2 = vector.outerproduct %column0, %w2_0, %sum2 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              %fetched3 = arith.addi %fetched2, %c1 : index
              memref.prefetch %w[%fetched3, %ahead_k, %c0], read, locality<3>, data : memref<12x64x16xf32>
              %w3_0 = vector.load %w[%n3, %k, %c0] : memref<12x64x16xf32>, vector<16xf32>
              %next3 = vector.outerproduct %column0, %w3_0, %sum3 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              scf.yield %next0, %next1, %next2, %next3
                  : vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>
            }
            %place0 = arith.constant 0 : index
            vector.transfer_write %sums0#0, %room[%place0, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            %place1 = arith.constant 1 : index
            vector.transfer_write %sums0#1, %room[%place1, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            %place2 = arith.constant 2 : index
            vector.transfer_write %sums0#2, %room[%place2, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            %place3 = arith.constant 3 : index
            vector.transfer_write %sums0#3, %room[%place3, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              %scale = memref.load %scales[%r] : memref<4xf32>
              %scaling = vector.broadcast %scale : f32 to vector<16xf32>
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<4x4x16xf32>, vector<16xf32>
                %y_scaled = arith.mulf %y_sum, %scaling : vector<16xf32>
                vector.store %y_scaled, %y[%r, %at] : memref<4x192xf32>, vector<16xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Attention of 4 heads, 2 to a kv head, over runs of 256 positions in a window of 7.
  stream.executable private @attention_window7 {
    stream.executable.export public @attention_window7 workgroups(%count: index) -> (index, index, index) {
      %size1 = arith.constant 2 : index
      %size2 = arith.constant 4 : index
      stream.return %count, %size1, %size2 : index, index, index
    }
    builtin.module {
      func.func @attention_window7(
          %positions_bytes: !stream.binding, %cos_bytes: !stream.binding, %sin_bytes: !stream.binding,
          %qkv_bytes: !stream.binding, %q_norm_bytes: !stream.binding, %k_norm_bytes: !stream.binding,
          %k_bytes: !stream.binding, %v_bytes: !stream.binding, %layer: index, %partials_bytes: !stream.binding,
          %maxima_bytes: !stream.binding, %sums_of_runs_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %positions = stream.binding.subspan %positions_bytes[%c0] : !stream.binding -> memref<4xi32>
        %cos = stream.binding.subspan %cos_bytes[%c0] : !stream.binding -> memref<4x2x12xf32>
        %sin = stream.binding.subspan %sin_bytes[%c0] : !stream.binding -> memref<4x2x12xf32>
        %qkv = stream.binding.subspan %qkv_bytes[%c0] : !stream.binding -> memref<4x192xf32>
        %q_norm = stream.binding.subspan %q_norm_bytes[%c0] : !stream.binding -> memref<24xf32>
        %k_norm = stream.binding.subspan %k_norm_bytes[%c0] : !stream.binding -> memref<24xf32>
        %k = stream.binding.subspan %k_bytes[%c0] : !stream.binding -> memref<3x4x2x2x24x64xf32>
        %v = stream.binding.subspan %v_bytes[%c0] : !stream.binding -> memref<3x4x2x2x64x24xf32>
        %partials = stream.binding.subspan %partials_bytes[%c0] : !stream.binding -> memref<4x2x1x2x24xf32>
        %maxima = stream.binding.subspan %maxima_bytes[%c0] : !stream.binding -> memref<4x2x1x2xf32>
        %sums_of_runs = stream.binding.subspan %sums_of_runs_bytes[%c0] : !stream.binding -> memref<4x2x1x2xf32>
        %seen_run = stream.dispatch.workgroup.id[0] : index
        %kv_head = stream.dispatch.workgroup.id[1] : index
        %row = stream.dispatch.workgroup.id[2] : index
        %run_length = arith.constant 256 : index
        %position_i32 = memref.load %positions[%row] : memref<4xi32>
        %position = arith.index_cast %position_i32 : i32 to index
        %last_run = arith.divui %position, %run_length : index
        %reaches = arith.constant 6 : index
        %before = arith.minui %position, %reaches : index
        %nearest = arith.subi %position, %before : index
        %first_run = arith.divui %nearest, %run_length : index
        %run = arith.addi %first_run, %seen_run : index
        %is_seen = arith.cmpi ule, %run, %last_run : index
        scf.if %is_seen {
          %group = arith.constant 2 : index
          %head_dim = arith.constant 24 : index
          %half = arith.constant 12 : index
          %block = arith.constant 64 : index
          %kv_heads = arith.constant 2 : index
          %width = arith.constant 16 : index
          %head_width = arith.constant 8 : index
          %half_width = arith.constant 4 : index
          %prefetch = arith.constant 32 : index
          %none = arith.constant 0.0 : f32
          %lowest = arith.constant 0xFF800000 : f32
          // the heads of qkv: queries, then keys, then values
          %k_head = arith.constant 4 : index
          %k_at = arith.addi %k_head, %kv_head : index
          %v_at = arith.addi %k_at, %kv_heads : index
          %q_at = arith.muli %kv_head, %group : index
          // the kv head's queries and its key, turned
          %turned = memref.alloca() : memref<3x24xf32>
          scf.for %query = %c0 to %group step %c1 {
            %head = arith.addi %q_at, %query : index
            %q_begin = arith.muli %head, %head_dim : index
            %q_nought = arith.constant dense<0.0> : vector<8xf32>
            %q_squares = scf.for %d = %c0 to %head_dim step %head_width
                iter_args(%sum = %q_nought) -> (vector<8xf32>) {
              %at = arith.addi %q_begin, %d : index
              %x = vector.load %qkv[%row, %at] : memref<4x192xf32>, vector<8xf32>
              %square = arith.mulf %x, %x : vector<8xf32>
              %next = arith.addf %sum, %square : vector<8xf32>
              scf.yield %next : vector<8xf32>
            }
            %q_square = vector.reduction <add>, %q_squares fastmath<reassoc> : vector<8xf32> into f32
            %q_scale_length = arith.constant 24.0 : f32
            %q_scale_eps = arith.constant 1.0e-04 : f32
            %q_scale_one = arith.constant 1.0 : f32
            %q_scale_mean = arith.divf %q_square, %q_scale_length : f32
            %q_scale_shifted = arith.addf %q_scale_mean, %q_scale_eps : f32
            %q_scale_root = math.sqrt %q_scale_shifted : f32
            %q_scale = arith.divf %q_scale_one, %q_scale_root : f32
            %q_scaling = vector.broadcast %q_scale : f32 to vector<4xf32>
            scf.for %d = %c0 to %half step %half_width {
              %d_after = arith.addi %d, %half : index
              %a_at = arith.addi %q_begin, %d : index
              %a_raw = vector.load %qkv[%row, %a_at] : memref<4x192xf32>, vector<4xf32>
              %a_normed = arith.mulf %a_raw, %q_scaling : vector<4xf32>
              %a_gain = vector.load %q_norm[%d] : memref<24xf32>, vector<4xf32>
              %a_offset = arith.constant dense<1.0> : vector<4xf32>
              %a_whole = arith.addf %a_gain, %a_offset : vector<4xf32>
              %a = arith.mulf %a_normed, %a_whole : vector<4xf32>
              %place_a = arith.constant 0 : index
              %cos_a = vector.load %cos[%row, %place_a, %d] : memref<4x2x12xf32>, vector<4xf32>
              %sin_a = vector.load %sin[%row, %place_a, %d] : memref<4x2x12xf32>, vector<4xf32>
              %b_at = arith.addi %q_begin, %d_after : index
              %b_raw = vector.load %qkv[%row, %b_at] : memref<4x192xf32>, vector<4xf32>
              %b_normed = arith.mulf %b_raw, %q_scaling : vector<4xf32>
              %b_gain = vector.load %q_norm[%d_after] : memref<24xf32>, vector<4xf32>
              %b_offset = arith.constant dense<1.0> : vector<4xf32>
              %b_whole = arith.addf %b_gain, %b_offset : vector<4xf32>
              %b = arith.mulf %b_normed, %b_whole : vector<4xf32>
              %place_b = arith.constant 1 : index
              %cos_b = vector.load %cos[%row, %place_b, %d] : memref<4x2x12xf32>, vector<4xf32>
              %sin_b = vector.load %sin[%row, %place_b, %d] : memref<4x2x12xf32>, vector<4xf32>
              %a_kept = arith.mulf %a, %cos_a : vector<4xf32>
              %a_crossed = arith.mulf %b, %sin_a : vector<4xf32>
              %a_turned = arith.addf %a_kept, %a_crossed : vector<4xf32>
              %a_factor = arith.constant dense<0.2236068> : vector<4xf32>
              %a_scaled = arith.mulf %a_turned, %a_factor : vector<4xf32>
              vector.store %a_scaled, %turned[%query, %d] : memref<3x24xf32>, vector<4xf32>
              %b_kept = arith.mulf %b, %cos_b : vector<4xf32>
              %b_crossed = arith.mulf %a, %sin_b : vector<4xf32>
              %b_turned = arith.addf %b_kept, %b_crossed : vector<4xf32>
              %b_factor = arith.constant dense<0.2236068> : vector<4xf32>
              %b_scaled = arith.mulf %b_turned, %b_factor : vector<4xf32>
              vector.store %b_scaled, %turned[%query, %d_after] : memref<3x24xf32>, vector<4xf32>
            }
          }
          %is_own = arith.cmpi eq, %run, %last_run : index
          scf.if %is_own {
            %k_begin = arith.muli %k_at, %head_dim : index
            %k_nought = arith.constant dense<0.0> : vector<8xf32>
            %k_squares = scf.for %d = %c0 to %head_dim step %head_width
                iter_args(%sum = %k_nought) -> (vector<8xf32>) {
              %at = arith.addi %k_begin, %d : index
              %x = vector.load %qkv[%row, %at] : memref<4x192xf32>, vector<8xf32>
              %square = arith.mulf %x, %x : vector<8xf32>
              %next = arith.addf %sum, %square : vector<8xf32>
              scf.yield %next : vector<8xf32>
            }
            %k_square = vector.reduction <add>, %k_squares fastmath<reassoc> : vector<8xf32> into f32
            %k_scale_length = arith.constant 24.0 : f32
            %k_scale_eps = arith.constant 1.0e-04 : f32
            %k_scale_one = arith.constant 1.0 : f32
            %k_scale_mean = arith.divf %k_square, %k_scale_length : f32
            %k_scale_shifted = arith.addf %k_scale_mean, %k_scale_eps : f32
            %k_scale_root = math.sqrt %k_scale_shifted : f32
            %k_scale = arith.divf %k_scale_one, %k_scale_root : f32
            %k_scaling = vector.broadcast %k_scale : f32 to vector<4xf32>
            scf.for %d = %c0 to %half step %half_width {
              %d_after = arith.addi %d, %half : index
              %a_at = arith.addi %k_begin, %d : index
              %a_raw = vector.load %qkv[%row, %a_at] : memref<4x192xf32>, vector<4xf32>
              %a_normed = arith.mulf %a_raw, %k_scaling : vector<4xf32>
              %a_gain = vector.load %k_norm[%d] : memref<24xf32>, vector<4xf32>
              %a_offset = arith.constant dense<1.0> : vector<4xf32>
              %a_whole = arith.addf %a_gain, %a_offset : vector<4xf32>
              %a = arith.mulf %a_normed, %a_whole : vector<4xf32>
              %place_a = arith.constant 0 : index
              %cos_a = vector.load %cos[%row, %place_a, %d] : memref<4x2x12xf32>, vector<4xf32>
              %sin_a = vector.load %sin[%row, %place_a, %d] : memref<4x2x12xf32>, vector<4xf32>
              %b_at = arith.addi %k_begin, %d_after : index
              %b_raw = vector.load %qkv[%row, %b_at] : memref<4x192xf32>, vector<4xf32>
              %b_normed = arith.mulf %b_raw, %k_scaling : vector<4xf32>
              %b_gain = vector.load %k_norm[%d_after] : memref<24xf32>, vector<4xf32>
              %b_offset = arith.constant dense<1.0> : vector<4xf32>
              %b_whole = arith.addf %b_gain, %b_offset : vector<4xf32>
              %b = arith.mulf %b_normed, %b_whole : vector<4xf32>
              %place_b = arith.constant 1 : index
              %cos_b = vector.load %cos[%row, %place_b, %d] : memref<4x2x12xf32>, vector<4xf32>
              %sin_b = vector.load %sin[%row, %place_b, %d] : memref<4x2x12xf32>, vector<4xf32>
              %a_kept = arith.mulf %a, %cos_a : vector<4xf32>
              %a_crossed = arith.mulf %b, %sin_a : vector<4xf32>
              %a_turned = arith.addf %a_kept, %a_crossed : vector<4xf32>
              vector.store %a_turned, %turned[%group, %d] : memref<3x24xf32>, vector<4xf32>
              %b_kept = arith.mulf %b, %cos_b : vector<4xf32>
              %b_crossed = arith.mulf %a, %sin_b : vector<4xf32>
              %b_turned = arith.addf %b_kept, %b_crossed : vector<4xf32>
              vector.store %b_turned, %turned[%group, %d_after] : memref<3x24xf32>, vector<4xf32>
            }
            %own_block = arith.divui %position, %block : index
            %own_place = arith.remui %position, %block : index
            %v_begin = arith.muli %v_at, %head_dim : index
            scf.for %d = %c0 to %head_dim step %c1 {
              %key = memref.load %turned[%group, %d] : memref<3x24xf32>
              %at = arith.addi %v_begin, %d : index
              %value = memref.load %qkv[%row, %at] : memref<4x192xf32>
              memref.store %key, %k[%layer, %row, %kv_head, %own_block, %d, %own_place]
                  : memref<3x4x2x2x24x64xf32>
              memref.store %value, %v[%layer, %row, %kv_head, %own_block, %own_place, %d]
                  : memref<3x4x2x2x64x24xf32>
            }
          }
          %scores = memref.alloca() : memref<2x256xf32>
          %run_begin = arith.muli %run, %run_length : index
          %run_end = arith.addi %run_begin, %run_length : index
          %after = arith.addi %position, %c1 : index
          %end = arith.minui %run_end, %after : index
          %begin = arith.maxui %run_begin, %nearest : index
          %step = arith.constant 64 : index
          %queries_at_once = arith.constant 2 : index
          %last_queries = arith.constant 0 : index
          %steps_before = arith.divui %begin, %step : index
          %first_place = arith.muli %steps_before, %step : index
          %zeros = arith.constant dense<0.0> : vector<2x16xf32>
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
              %sums:4 = scf.for %d = %c0 to %head_dim step %c1
                  iter_args(%sum0 = %zeros, %sum1 = %zeros, %sum2 = %zeros, %sum3 = %zeros)
                  -> (vector<2x16xf32>, vector<2x16xf32>, vector<2x16xf32>, vector<2x16xf32>) {
                %x0 = memref.load %turned[%q0, %d] : memref<3x24xf32>
                %x1 = memref.load %turned[%q1, %d] : memref<3x24xf32>
                %column = vector.from_elements %x0, %x1 : vector<2xf32>
                %ahead = arith.addi %d, %prefetch : index
                memref.prefetch %k[%layer, %row, %kv_head, %number, %ahead, %p0], read, locality<3>, data
                    : memref<3x4x2x2x24x64xf32>
                %key0 = vector.load %k[%layer, %row, %kv_head, %number, %d, %p0]
                    : memref<3x4x2x2x24x64xf32>, vector<16xf32>
                %next0 = vector.outerproduct %column, %key0, %sum0 {kind = #vector.kind<add>}
                    : vector<2xf32>, vector<16xf32>
                memref.prefetch %k[%layer, %row, %kv_head, %number, %ahead, %p1], read, locality<3>, data
                    : memref<3x4x2x2x24x64xf32>
                %key1 = vector.load %k[%layer, %row, %kv_head, %number, %d, %p1]
                    : memref<3x4x2x2x24x64xf32>, vector<16xf32>
                %next1 = vector.outerproduct %column, %key1, %sum1 {kind = #vector.kind<add>}
                    : vector<2xf32>, vector<16xf32>
                memref.prefetch %k[%layer, %row, %kv_head, %number, %ahead, %p2], read, locality<3>, data
                    : memref<3x4x2x2x24x64xf32>
                %key2 = vector.load %k[%layer, %row, %kv_head, %number, %d, %p2]
                    : memref<3x4x2x2x24x64xf32>, vector<16xf32>
                %next2 = vector.outerproduct %column, %key2, %sum2 {kind = #vector.kind<add>}
                    : vector<2xf32>, vector<16xf32>
                memref.prefetch %k[%layer, %row, %kv_head, %number, %ahead, %p3], read, locality<3>, data
                    : memref<3x4x2x2x24x64xf32>
                %key3 = vector.load %k[%layer, %row, %kv_head, %number, %d, %p3]
                    : memref<3x4x2x2x24x64xf32>, vector<16xf32>
                %next3 = vector.outerproduct %column, %key3, %sum3 {kind = #vector.kind<add>}
                    : vector<2xf32>, vector<16xf32>
                scf.yield %next0, %next1, %next2, %next3
                    : vector<2x16xf32>, vector<2x16xf32>, vector<2x16xf32>, vector<2x16xf32>
              }
              vector.transfer_write %sums#0, %scores[%q0, %s0] {in_bounds = [true, true]}
                  : vector<2x16xf32>, memref<2x256xf32>
              vector.transfer_write %sums#1, %scores[%q0, %s1] {in_bounds = [true, true]}
                  : vector<2x16xf32>, memref<2x256xf32>
              vector.transfer_write %sums#2, %scores[%q0, %s2] {in_bounds = [true, true]}
                  : vector<2x16xf32>, memref<2x256xf32>
              vector.transfer_write %sums#3, %scores[%q0, %s3] {in_bounds = [true, true]}
                  : vector<2x16xf32>, memref<2x256xf32>
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
              %score = vector.load %scores[%query, %place] : memref<2x256xf32>, vector<16xf32>
              %at_i32 = arith.index_cast %at : index to i32
              %from = vector.broadcast %at_i32 : i32 to vector<16xi32>
              %number = arith.addi %from, %lane_number : vector<16xi32>
              %is_after = arith.cmpi sge, %number, %begins : vector<16xi32>
              %is_before = arith.cmpi slt, %number, %ends : vector<16xi32>
              %is_in = arith.andi %is_after, %is_before : vector<16xi1>
              %counted = arith.select %is_in, %score, %lowests : vector<16xi1>, vector<16xf32>
              vector.store %counted, %scores[%query, %place] : memref<2x256xf32>, vector<16xf32>
              %next = arith.maximumf %highest, %counted : vector<16xf32>
              scf.yield %next : vector<16xf32>
            }
            %max = vector.reduction <maximumf>, %maxima_each : vector<16xf32> into f32
            memref.store %max, %maxima[%row, %kv_head, %seen_run, %query] : memref<4x2x1x2xf32>
            %is_none = arith.cmpf oeq, %max, %lowest : f32
            %base = arith.select %is_none, %none, %max : f32
            %bases = vector.broadcast %base : f32 to vector<16xf32>
            %sums_each = scf.for %at = %first_place to %end step %width
                iter_args(%sum = %noughts) -> (vector<16xf32>) {
              %place = arith.subi %at, %run_begin : index
              %score = vector.load %scores[%query, %place] : memref<2x256xf32>, vector<16xf32>
              %below = arith.subf %score, %bases : vector<16xf32>
              %weight = math.exp %below : vector<16xf32>
              vector.store %weight, %scores[%query, %place] : memref<2x256xf32>, vector<16xf32>
              %next = arith.addf %sum, %weight : vector<16xf32>
              scf.yield %next : vector<16xf32>
            }
            %sum_of_run = vector.reduction <add>, %sums_each fastmath<reassoc> : vector<16xf32> into f32
            memref.store %sum_of_run, %sums_of_runs[%row, %kv_head, %seen_run, %query] : memref<4x2x1x2xf32>
          }
          %columns_at_once = arith.constant 8 : index
          %first_block = arith.divui %begin, %block : index
          %blocks_end = arith.ceildivui %end, %block : index
          %values_none = arith.constant dense<0.0> : vector<2x8xf32>
          scf.for %d0 = %c0 to %head_dim step %columns_at_once {
            scf.for %query = %c0 to %group step %queries_at_once {
              %q0 = arith.minui %query, %last_queries : index
              %q1 = arith.addi %q0, %c1 : index
              %of_blocks:1 = scf.for %number = %first_block to %blocks_end step %c1
                  iter_args(%block_sum0 = %values_none)
                  -> (vector<2x8xf32>) {
                %block_begin = arith.muli %number, %block : index
                %block_end = arith.addi %block_begin, %block : index
                %from = arith.maxui %begin, %block_begin : index
                %to = arith.minui %end, %block_end : index
                %of_block:1 = scf.for %at = %from to %to step %c1
                    iter_args(%sum0 = %block_sum0)
                    -> (vector<2x8xf32>) {
                  %place = arith.subi %at, %run_begin : index
                  %j = arith.subi %at, %block_begin : index
                  %w0 = memref.load %scores[%q0, %place] : memref<2x256xf32>
                  %w1 = memref.load %scores[%q1, %place] : memref<2x256xf32>
                  %column = vector.from_elements %w0, %w1 : vector<2xf32>
                  %ahead = arith.addi %j, %prefetch : index
                  memref.prefetch %v[%layer, %row, %kv_head, %number, %ahead, %d0], read, locality<3>, data
                      : memref<3x4x2x2x64x24xf32>
                %value0 = vector.load %v[%layer, %row, %kv_head, %number, %j, %d0]
                    : memref<3x4x2x2x64x24xf32>, vector<8xf32>
                  %next0 = vector.outerproduct %column, %value0, %sum0 {kind = #vector.kind<add>}
                      : vector<2xf32>, vector<8xf32>
                  scf.yield %next0
                      : vector<2x8xf32>
                }
                scf.yield %of_block#0
                    : vector<2x8xf32>
              }
              vector.transfer_write %of_blocks#0, %partials[%row, %kv_head, %seen_run, %q0, %d0]
                  {in_bounds = [true, true]} : vector<2x8xf32>, memref<4x2x1x2x24xf32>
            }
          }
        }
        return
      }
    }
  }

  // Attention's runs of 256 positions, of each row and kv head, joined.
  stream.executable private @merge_window7 {
    stream.executable.export public @merge_window7 workgroups() -> (index, index, index) {
      %size1 = arith.constant 2 : index
      %size2 = arith.constant 4 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @merge_window7(
          %positions_bytes: !stream.binding, %partials_bytes: !stream.binding, %maxima_bytes: !stream.binding,
          %sums_of_runs_bytes: !stream.binding, %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %positions = stream.binding.subspan %positions_bytes[%c0] : !stream.binding -> memref<4xi32>
        %partials = stream.binding.subspan %partials_bytes[%c0] : !stream.binding -> memref<4x2x1x2x24xf32>
        %maxima = stream.binding.subspan %maxima_bytes[%c0] : !stream.binding -> memref<4x2x1x2xf32>
        %sums_of_runs = stream.binding.subspan %sums_of_runs_bytes[%c0] : !stream.binding -> memref<4x2x1x2xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<4x96xf32>
        %kv_head = stream.dispatch.workgroup.id[0] : index
        %row = stream.dispatch.workgroup.id[1] : index
        %width = arith.constant 8 : index
        %head_dim = arith.constant 24 : index
        %group = arith.constant 2 : index
        %none = arith.constant 0.0 : f32
        %lowest = arith.constant 0xFF800000 : f32
        %nothing = arith.constant dense<0.0> : vector<8xf32>
        %run_length = arith.constant 256 : index
        %position_i32 = memref.load %positions[%row] : memref<4xi32>
        %position = arith.index_cast %position_i32 : i32 to index
        %last_run = arith.divui %position, %run_length : index
        %reaches = arith.constant 6 : index
        %before = arith.minui %position, %reaches : index
        %nearest = arith.subi %position, %before : index
        %first_run = arith.divui %nearest, %run_length : index
        %runs = arith.subi %last_run, %first_run : index
        %held = arith.addi %runs, %c1 : index
        %shares = memref.alloca() : memref<1xf32>
        %first_head = arith.muli %kv_head, %group : index
        scf.for %query = %c0 to %group step %c1 {
          %max = scf.for %run = %c0 to %held step %c1 iter_args(%highest = %lowest) -> (f32) {
            %more = memref.load %maxima[%row, %kv_head, %run, %query] : memref<4x2x1x2xf32>
            %next = arith.maximumf %highest, %more : f32
            scf.yield %next : f32
          }
          // a run's share by the maximum of all; where that is no number, neither is the share
          %is_none = arith.cmpf oeq, %max, %lowest : f32
          %base = arith.select %is_none, %none, %max : f32
          %total = scf.for %run = %c0 to %held step %c1 iter_args(%sum = %none) -> (f32) {
            %own = memref.load %maxima[%row, %kv_head, %run, %query] : memref<4x2x1x2xf32>
            %below = arith.subf %own, %base : f32
            %share = math.exp %below : f32
            memref.store %share, %shares[%run] : memref<1xf32>
            %weight = memref.load %sums_of_runs[%row, %kv_head, %run, %query] : memref<4x2x1x2xf32>
            %shared = arith.mulf %weight, %share : f32
            %next = arith.addf %sum, %shared : f32
            scf.yield %next : f32
          }
          %totals = vector.broadcast %total : f32 to vector<8xf32>
          %head = arith.addi %first_head, %query : index
          %begin = arith.muli %head, %head_dim : index
          scf.for %d = %c0 to %head_dim step %width {
            %values = scf.for %run = %c0 to %held step %c1 iter_args(%sum = %nothing) -> (vector<8xf32>) {
              %share = memref.load %shares[%run] : memref<1xf32>
              %share_each = vector.broadcast %share : f32 to vector<8xf32>
              %part = vector.load %partials[%row, %kv_head, %run, %query, %d] : memref<4x2x1x2x24xf32>, vector<8xf32>
              %shared = arith.mulf %part, %share_each : vector<8xf32>
              %next = arith.addf %sum, %shared : vector<8xf32>
              scf.yield %next : vector<8xf32>
            }
            %mean = arith.divf %values, %totals : vector<8xf32>
            %at = arith.addi %begin, %d : index
            vector.store %mean, %y[%row, %at] : memref<4x96xf32>, vector<8xf32>
          }
        }
        return
      }
    }
  }

  // Rows × weights: 4 × 96 by 4 tiles of 16, 4 × 4 at once.
  stream.executable private @o {
    stream.executable.export public @o workgroups() -> (index, index, index) {
      %size1 = arith.constant 1 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @o(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<4x96xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<4x96x16xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<4x64xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 96 : index
        %rows = arith.constant 4 : index
        %rows_at_once = arith.constant 4 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 4 : index
        %tiles_at_once = arith.constant 4 : index
        %unit = arith.constant 4 : index
        %last_unit = arith.constant 0 : index
        %tiles_of_group = arith.constant 4 : index
        %prefetch = arith.constant 32 : index
        %zeros = arith.constant dense<0.0> : vector<4x16xf32>
        %per_step = arith.constant 1 : index
        %room = memref.alloca() : memref<4x4x16xf32>
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
          %n2 = arith.addi %n1, %c1 : index
          %n3 = arith.addi %n2, %c1 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %sums0:4 = scf.for %k = %c0 to %depth step %c1
                iter_args(%sum0 = %zeros, %sum1 = %zeros, %sum2 = %zeros, %sum3 = %zeros)
                -> (vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>) {
              // as far ahead in what is read next: past a tile's end, the tiles after these
              %ahead = arith.addi %k, %prefetch : index
              %is_next = arith.cmpi uge, %ahead, %depth : index
              %from_next = arith.subi %ahead, %depth : index
              %ahead_k = arith.select %is_next, %from_next, %ahead : index
              %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
              %k0 = arith.muli %k, %per_step : index
              %x0_0 = memref.load %x[%m0, %k0] : memref<4x96xf32>
              %x0_1 = memref.load %x[%m1, %k0] : memref<4x96xf32>
              %x0_2 = memref.load %x[%m2, %k0] : memref<4x96xf32>
              %x0_3 = memref.load %x[%m3, %k0] : memref<4x96xf32>
              %column0 = vector.from_elements
                  %x0_0, %x0_1, %x0_2, %x0_3 : vector<4xf32>
              %fetched0 = arith.addi %n0, %ahead_n : index
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<4x96x16xf32>
              %w0_0 = vector.load %w[%n0, %k, %c0] : memref<4x96x16xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<4x96x16xf32>
              %w1_0 = vector.load %w[%n1, %k, %c0] : memref<4x96x16xf32>, vector<16xf32>
              %next1 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              %fetched2 = arith.addi %fetched1, %c1 : index
              memref.prefetch %w[%fetched2, %ahead_k, %c0], read, locality<3>, data : memref<4x96x16xf32>
              %w2_0 = vector.load %w[%n2, %k, %c0] : memref<4x96x16xf32>, vector<16xf32>
              %next2 = vector.outerproduct %column0, %w2_0, %sum2 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              %fetched3 = arith.addi %fetched2, %c1 : index
              memref.prefetch %w[%fetched3, %ahead_k, %c0], read, locality<3>, data : memref<4x96x16xf32>
              %w3_0 = vector.load %w[%n3, %k, %c0] : memref<4x96x16xf32>, vector<16xf32>
              %next3 = vector.outerproduct %column0, %w3_0, %sum3 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              scf.yield %next0, %next1, %next2, %next3
                  : vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>
            }
            %place0 = arith.constant 0 : index
            vector.transfer_write %sums0#0, %room[%place0, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            %place1 = arith.constant 1 : index
            vector.transfer_write %sums0#1, %room[%place1, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            %place2 = arith.constant 2 : index
            vector.transfer_write %sums0#2, %room[%place2, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            %place3 = arith.constant 3 : index
            vector.transfer_write %sums0#3, %room[%place3, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<4x4x16xf32>, vector<16xf32>
                vector.store %y_sum, %y[%r, %at] : memref<4x64xf32>, vector<16xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows normed, added, and ready for the norm after them.
  stream.executable private @post_norm {
    stream.executable.export public @post_norm workgroups() -> (index, index, index) {
      %size1 = arith.constant 4 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @post_norm(
          %x_bytes: !stream.binding, %own_norm_bytes: !stream.binding, %residual_bytes: !stream.binding,
          %next_norm_bytes: !stream.binding, %y_bytes: !stream.binding, %weighteds_bytes: !stream.binding,
          %square_sums_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<4x64xf32>
        %own_norm = stream.binding.subspan %own_norm_bytes[%c0] : !stream.binding -> memref<64xf32>
        %residual = stream.binding.subspan %residual_bytes[%c0] : !stream.binding -> memref<4x64xf32>
        %next_norm = stream.binding.subspan %next_norm_bytes[%c0] : !stream.binding -> memref<64xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<4x64xf32>
        %weighteds = stream.binding.subspan %weighteds_bytes[%c0] : !stream.binding -> memref<4x64xf32>
        %square_sums = stream.binding.subspan %square_sums_bytes[%c0] : !stream.binding -> memref<4x4xf32>
        %width = arith.constant 16 : index
        %tiles = arith.constant 4 : index
        %row = stream.dispatch.workgroup.id[0] : index
        %none = arith.constant dense<0.0> : vector<16xf32>
        %partial = scf.for %n = %c0 to %tiles step %c1 iter_args(%sum = %none) -> (vector<16xf32>) {
          %at = arith.muli %n, %width : index
          %x_tile = vector.load %x[%row, %at] : memref<4x64xf32>, vector<16xf32>
          %square = arith.mulf %x_tile, %x_tile : vector<16xf32>
          %next = arith.addf %sum, %square : vector<16xf32>
          scf.yield %next : vector<16xf32>
        }
        %total = vector.reduction <add>, %partial fastmath<reassoc> : vector<16xf32> into f32
          %scale_length = arith.constant 64.0 : f32
          %scale_eps = arith.constant 1.0e-04 : f32
          %scale_one = arith.constant 1.0 : f32
          %scale_mean = arith.divf %total, %scale_length : f32
          %scale_shifted = arith.addf %scale_mean, %scale_eps : f32
          %scale_root = math.sqrt %scale_shifted : f32
          %scale = arith.divf %scale_one, %scale_root : f32
        %scaling = vector.broadcast %scale : f32 to vector<16xf32>
        scf.for %n = %c0 to %tiles step %c1 {
          %at = arith.muli %n, %width : index
          %x_tile = vector.load %x[%row, %at] : memref<4x64xf32>, vector<16xf32>
          %normed = arith.mulf %x_tile, %scaling : vector<16xf32>
          %own = vector.load %own_norm[%at] : memref<64xf32>, vector<16xf32>
          %own_offset = arith.constant dense<1.0> : vector<16xf32>
          %own_whole = arith.addf %own, %own_offset : vector<16xf32>
          %grown = arith.mulf %normed, %own_whole : vector<16xf32>
          %before = vector.load %residual[%row, %at] : memref<4x64xf32>, vector<16xf32>
          %added = arith.addf %grown, %before : vector<16xf32>
          vector.store %added, %y[%row, %at] : memref<4x64xf32>, vector<16xf32>
          %gain = vector.load %next_norm[%at] : memref<64xf32>, vector<16xf32>
          %gain_offset = arith.constant dense<1.0> : vector<16xf32>
          %gain_whole = arith.addf %gain, %gain_offset : vector<16xf32>
          %weighted = arith.mulf %added, %gain_whole : vector<16xf32>
          vector.store %weighted, %weighteds[%row, %at] : memref<4x64xf32>, vector<16xf32>
          %square = arith.mulf %added, %added : vector<16xf32>
          %square_sum = vector.reduction <add>, %square fastmath<reassoc> : vector<16xf32> into f32
          memref.store %square_sum, %square_sums[%row, %n] : memref<4x4xf32>
        }
        return
      }
    }
  }

  // Rows × weights: 4 × 64 by 14 tiles of 16, 4 × 4 at once.
  stream.executable private @gate_up {
    stream.executable.export public @gate_up workgroups() -> (index, index, index) {
      %size1 = arith.constant 4 : index
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
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<4x64xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<14x64x16xf32>
        %squares = stream.binding.subspan %squares_bytes[%c0] : !stream.binding -> memref<4x4xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<4x112xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 64 : index
        %rows = arith.constant 4 : index
        %rows_at_once = arith.constant 4 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 14 : index
        %tiles_at_once = arith.constant 4 : index
        %unit = arith.constant 4 : index
        %last_unit = arith.constant 10 : index
        %tiles_of_group = arith.constant 4 : index
        %prefetch = arith.constant 32 : index
        %c2 = arith.constant 2 : index
        %zeros = arith.constant dense<0.0> : vector<4x16xf32>
        %per_step = arith.constant 1 : index
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
          %scale_eps = arith.constant 1.0e-04 : f32
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
          %n1 = arith.addi %n0, %c1 : index
          %n2 = arith.addi %n1, %c1 : index
          %n3 = arith.addi %n2, %c1 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %sums0:4 = scf.for %k = %c0 to %depth step %c1
                iter_args(%sum0 = %zeros, %sum1 = %zeros, %sum2 = %zeros, %sum3 = %zeros)
                -> (vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>) {
              // as far ahead in what is read next: past a tile's end, the tiles after these
              %ahead = arith.addi %k, %prefetch : index
              %is_next = arith.cmpi uge, %ahead, %depth : index
              %from_next = arith.subi %ahead, %depth : index
              %ahead_k = arith.select %is_next, %from_next, %ahead : index
              %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
              %k0 = arith.muli %k, %per_step : index
              %x0_0 = memref.load %x[%m0, %k0] : memref<4x64xf32>
              %x0_1 = memref.load %x[%m1, %k0] : memref<4x64xf32>
              %x0_2 = memref.load %x[%m2, %k0] : memref<4x64xf32>
              %x0_3 = memref.load %x[%m3, %k0] : memref<4x64xf32>
              %column0 = vector.from_elements
                  %x0_0, %x0_1, %x0_2, %x0_3 : vector<4xf32>
              %fetched0 = arith.addi %n0, %ahead_n : index
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<14x64x16xf32>
              %w0_0 = vector.load %w[%n0, %k, %c0] : memref<14x64x16xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<14x64x16xf32>
              %w1_0 = vector.load %w[%n1, %k, %c0] : memref<14x64x16xf32>, vector<16xf32>
              %next1 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              %fetched2 = arith.addi %fetched1, %c1 : index
              memref.prefetch %w[%fetched2, %ahead_k, %c0], read, locality<3>, data : memref<14x64x16xf32>
              %w2_0 = vector.load %w[%n2, %k, %c0] : memref<14x64x16xf32>, vector<16xf32>
              %next2 = vector.outerproduct %column0, %w2_0, %sum2 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              %fetched3 = arith.addi %fetched2, %c1 : index
              memref.prefetch %w[%fetched3, %ahead_k, %c0], read, locality<3>, data : memref<14x64x16xf32>
              %w3_0 = vector.load %w[%n3, %k, %c0] : memref<14x64x16xf32>, vector<16xf32>
              %next3 = vector.outerproduct %column0, %w3_0, %sum3 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              scf.yield %next0, %next1, %next2, %next3
                  : vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>
            }
            %place0 = arith.constant 0 : index
            vector.transfer_write %sums0#0, %room[%place0, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            %place1 = arith.constant 1 : index
            vector.transfer_write %sums0#1, %room[%place1, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            %place2 = arith.constant 2 : index
            vector.transfer_write %sums0#2, %room[%place2, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            %place3 = arith.constant 3 : index
            vector.transfer_write %sums0#3, %room[%place3, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              %scale = memref.load %scales[%r] : memref<4xf32>
              %scaling = vector.broadcast %scale : f32 to vector<16xf32>
              scf.for %t = %c0 to %unit step %c2 {
                %t_up = arith.addi %t, %c1 : index
                %n = arith.addi %first_tile, %t : index
                %pair = arith.divui %n, %c2 : index
                %at = arith.muli %pair, %width : index
                %gate_sum = vector.load %room[%t, %m, %c0] : memref<4x4x16xf32>, vector<16xf32>
                %gate_scaled = arith.mulf %gate_sum, %scaling : vector<16xf32>
                %up_sum = vector.load %room[%t_up, %m, %c0] : memref<4x4x16xf32>, vector<16xf32>
                %up_scaled = arith.mulf %up_sum, %scaling : vector<16xf32>
                %cubic = arith.constant dense<0.044715> : vector<16xf32>
                %twice_root = arith.constant dense<1.5957691216> : vector<16xf32>
                %squared = arith.mulf %gate_scaled, %gate_scaled : vector<16xf32>
                %cubed = arith.mulf %squared, %gate_scaled : vector<16xf32>
                %bent = arith.mulf %cubed, %cubic : vector<16xf32>
                %summed = arith.addf %gate_scaled, %bent : vector<16xf32>
                %inner = arith.mulf %summed, %twice_root : vector<16xf32>
                %minus = arith.negf %inner : vector<16xf32>
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
                vector.store %both_kept, %y[%r, %at] : memref<4x112xf32>, vector<16xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 4 × 100 by 4 tiles of 16, 4 × 4 at once.
  stream.executable private @down {
    stream.executable.export public @down workgroups() -> (index, index, index) {
      %size1 = arith.constant 1 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @down(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<4x112xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<4x100x16xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<4x64xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 100 : index
        %rows = arith.constant 4 : index
        %rows_at_once = arith.constant 4 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 4 : index
        %tiles_at_once = arith.constant 4 : index
        %unit = arith.constant 4 : index
        %last_unit = arith.constant 0 : index
        %tiles_of_group = arith.constant 4 : index
        %prefetch = arith.constant 32 : index
        %zeros = arith.constant dense<0.0> : vector<4x16xf32>
        %per_step = arith.constant 1 : index
        %room = memref.alloca() : memref<4x4x16xf32>
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
          %n2 = arith.addi %n1, %c1 : index
          %n3 = arith.addi %n2, %c1 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %sums0:4 = scf.for %k = %c0 to %depth step %c1
                iter_args(%sum0 = %zeros, %sum1 = %zeros, %sum2 = %zeros, %sum3 = %zeros)
                -> (vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>) {
              // as far ahead in what is read next: past a tile's end, the tiles after these
              %ahead = arith.addi %k, %prefetch : index
              %is_next = arith.cmpi uge, %ahead, %depth : index
              %from_next = arith.subi %ahead, %depth : index
              %ahead_k = arith.select %is_next, %from_next, %ahead : index
              %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
              %k0 = arith.muli %k, %per_step : index
              %x0_0 = memref.load %x[%m0, %k0] : memref<4x112xf32>
              %x0_1 = memref.load %x[%m1, %k0] : memref<4x112xf32>
              %x0_2 = memref.load %x[%m2, %k0] : memref<4x112xf32>
              %x0_3 = memref.load %x[%m3, %k0] : memref<4x112xf32>
              %column0 = vector.from_elements
                  %x0_0, %x0_1, %x0_2, %x0_3 : vector<4xf32>
              %fetched0 = arith.addi %n0, %ahead_n : index
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<4x100x16xf32>
              %w0_0 = vector.load %w[%n0, %k, %c0] : memref<4x100x16xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<4x100x16xf32>
              %w1_0 = vector.load %w[%n1, %k, %c0] : memref<4x100x16xf32>, vector<16xf32>
              %next1 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              %fetched2 = arith.addi %fetched1, %c1 : index
              memref.prefetch %w[%fetched2, %ahead_k, %c0], read, locality<3>, data : memref<4x100x16xf32>
              %w2_0 = vector.load %w[%n2, %k, %c0] : memref<4x100x16xf32>, vector<16xf32>
              %next2 = vector.outerproduct %column0, %w2_0, %sum2 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              %fetched3 = arith.addi %fetched2, %c1 : index
              memref.prefetch %w[%fetched3, %ahead_k, %c0], read, locality<3>, data : memref<4x100x16xf32>
              %w3_0 = vector.load %w[%n3, %k, %c0] : memref<4x100x16xf32>, vector<16xf32>
              %next3 = vector.outerproduct %column0, %w3_0, %sum3 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              scf.yield %next0, %next1, %next2, %next3
                  : vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>
            }
            %place0 = arith.constant 0 : index
            vector.transfer_write %sums0#0, %room[%place0, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            %place1 = arith.constant 1 : index
            vector.transfer_write %sums0#1, %room[%place1, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            %place2 = arith.constant 2 : index
            vector.transfer_write %sums0#2, %room[%place2, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            %place3 = arith.constant 3 : index
            vector.transfer_write %sums0#3, %room[%place3, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<4x4x16xf32>, vector<16xf32>
                vector.store %y_sum, %y[%r, %at] : memref<4x64xf32>, vector<16xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Attention of 4 heads, 2 to a kv head, over runs of 256 positions.
  stream.executable private @attention_full {
    stream.executable.export public @attention_full workgroups(%count: index) -> (index, index, index) {
      %size1 = arith.constant 2 : index
      %size2 = arith.constant 4 : index
      stream.return %count, %size1, %size2 : index, index, index
    }
    builtin.module {
      func.func @attention_full(
          %positions_bytes: !stream.binding, %cos_bytes: !stream.binding, %sin_bytes: !stream.binding,
          %qkv_bytes: !stream.binding, %q_norm_bytes: !stream.binding, %k_norm_bytes: !stream.binding,
          %k_bytes: !stream.binding, %v_bytes: !stream.binding, %layer: index, %partials_bytes: !stream.binding,
          %maxima_bytes: !stream.binding, %sums_of_runs_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %positions = stream.binding.subspan %positions_bytes[%c0] : !stream.binding -> memref<4xi32>
        %cos = stream.binding.subspan %cos_bytes[%c0] : !stream.binding -> memref<4x2x12xf32>
        %sin = stream.binding.subspan %sin_bytes[%c0] : !stream.binding -> memref<4x2x12xf32>
        %qkv = stream.binding.subspan %qkv_bytes[%c0] : !stream.binding -> memref<4x192xf32>
        %q_norm = stream.binding.subspan %q_norm_bytes[%c0] : !stream.binding -> memref<24xf32>
        %k_norm = stream.binding.subspan %k_norm_bytes[%c0] : !stream.binding -> memref<24xf32>
        %k = stream.binding.subspan %k_bytes[%c0] : !stream.binding -> memref<3x4x2x2x24x64xf32>
        %v = stream.binding.subspan %v_bytes[%c0] : !stream.binding -> memref<3x4x2x2x64x24xf32>
        %partials = stream.binding.subspan %partials_bytes[%c0] : !stream.binding -> memref<4x2x1x2x24xf32>
        %maxima = stream.binding.subspan %maxima_bytes[%c0] : !stream.binding -> memref<4x2x1x2xf32>
        %sums_of_runs = stream.binding.subspan %sums_of_runs_bytes[%c0] : !stream.binding -> memref<4x2x1x2xf32>
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
          %group = arith.constant 2 : index
          %head_dim = arith.constant 24 : index
          %half = arith.constant 12 : index
          %block = arith.constant 64 : index
          %kv_heads = arith.constant 2 : index
          %width = arith.constant 16 : index
          %head_width = arith.constant 8 : index
          %half_width = arith.constant 4 : index
          %prefetch = arith.constant 32 : index
          %none = arith.constant 0.0 : f32
          %lowest = arith.constant 0xFF800000 : f32
          // the heads of qkv: queries, then keys, then values
          %k_head = arith.constant 4 : index
          %k_at = arith.addi %k_head, %kv_head : index
          %v_at = arith.addi %k_at, %kv_heads : index
          %q_at = arith.muli %kv_head, %group : index
          // the kv head's queries and its key, turned
          %turned = memref.alloca() : memref<3x24xf32>
          scf.for %query = %c0 to %group step %c1 {
            %head = arith.addi %q_at, %query : index
            %q_begin = arith.muli %head, %head_dim : index
            %q_nought = arith.constant dense<0.0> : vector<8xf32>
            %q_squares = scf.for %d = %c0 to %head_dim step %head_width
                iter_args(%sum = %q_nought) -> (vector<8xf32>) {
              %at = arith.addi %q_begin, %d : index
              %x = vector.load %qkv[%row, %at] : memref<4x192xf32>, vector<8xf32>
              %square = arith.mulf %x, %x : vector<8xf32>
              %next = arith.addf %sum, %square : vector<8xf32>
              scf.yield %next : vector<8xf32>
            }
            %q_square = vector.reduction <add>, %q_squares fastmath<reassoc> : vector<8xf32> into f32
            %q_scale_length = arith.constant 24.0 : f32
            %q_scale_eps = arith.constant 1.0e-04 : f32
            %q_scale_one = arith.constant 1.0 : f32
            %q_scale_mean = arith.divf %q_square, %q_scale_length : f32
            %q_scale_shifted = arith.addf %q_scale_mean, %q_scale_eps : f32
            %q_scale_root = math.sqrt %q_scale_shifted : f32
            %q_scale = arith.divf %q_scale_one, %q_scale_root : f32
            %q_scaling = vector.broadcast %q_scale : f32 to vector<4xf32>
            scf.for %d = %c0 to %half step %half_width {
              %d_after = arith.addi %d, %half : index
              %a_at = arith.addi %q_begin, %d : index
              %a_raw = vector.load %qkv[%row, %a_at] : memref<4x192xf32>, vector<4xf32>
              %a_normed = arith.mulf %a_raw, %q_scaling : vector<4xf32>
              %a_gain = vector.load %q_norm[%d] : memref<24xf32>, vector<4xf32>
              %a_offset = arith.constant dense<1.0> : vector<4xf32>
              %a_whole = arith.addf %a_gain, %a_offset : vector<4xf32>
              %a = arith.mulf %a_normed, %a_whole : vector<4xf32>
              %place_a = arith.constant 0 : index
              %cos_a = vector.load %cos[%row, %place_a, %d] : memref<4x2x12xf32>, vector<4xf32>
              %sin_a = vector.load %sin[%row, %place_a, %d] : memref<4x2x12xf32>, vector<4xf32>
              %b_at = arith.addi %q_begin, %d_after : index
              %b_raw = vector.load %qkv[%row, %b_at] : memref<4x192xf32>, vector<4xf32>
              %b_normed = arith.mulf %b_raw, %q_scaling : vector<4xf32>
              %b_gain = vector.load %q_norm[%d_after] : memref<24xf32>, vector<4xf32>
              %b_offset = arith.constant dense<1.0> : vector<4xf32>
              %b_whole = arith.addf %b_gain, %b_offset : vector<4xf32>
              %b = arith.mulf %b_normed, %b_whole : vector<4xf32>
              %place_b = arith.constant 1 : index
              %cos_b = vector.load %cos[%row, %place_b, %d] : memref<4x2x12xf32>, vector<4xf32>
              %sin_b = vector.load %sin[%row, %place_b, %d] : memref<4x2x12xf32>, vector<4xf32>
              %a_kept = arith.mulf %a, %cos_a : vector<4xf32>
              %a_crossed = arith.mulf %b, %sin_a : vector<4xf32>
              %a_turned = arith.addf %a_kept, %a_crossed : vector<4xf32>
              %a_factor = arith.constant dense<0.2236068> : vector<4xf32>
              %a_scaled = arith.mulf %a_turned, %a_factor : vector<4xf32>
              vector.store %a_scaled, %turned[%query, %d] : memref<3x24xf32>, vector<4xf32>
              %b_kept = arith.mulf %b, %cos_b : vector<4xf32>
              %b_crossed = arith.mulf %a, %sin_b : vector<4xf32>
              %b_turned = arith.addf %b_kept, %b_crossed : vector<4xf32>
              %b_factor = arith.constant dense<0.2236068> : vector<4xf32>
              %b_scaled = arith.mulf %b_turned, %b_factor : vector<4xf32>
              vector.store %b_scaled, %turned[%query, %d_after] : memref<3x24xf32>, vector<4xf32>
            }
          }
          %is_own = arith.cmpi eq, %run, %last_run : index
          scf.if %is_own {
            %k_begin = arith.muli %k_at, %head_dim : index
            %k_nought = arith.constant dense<0.0> : vector<8xf32>
            %k_squares = scf.for %d = %c0 to %head_dim step %head_width
                iter_args(%sum = %k_nought) -> (vector<8xf32>) {
              %at = arith.addi %k_begin, %d : index
              %x = vector.load %qkv[%row, %at] : memref<4x192xf32>, vector<8xf32>
              %square = arith.mulf %x, %x : vector<8xf32>
              %next = arith.addf %sum, %square : vector<8xf32>
              scf.yield %next : vector<8xf32>
            }
            %k_square = vector.reduction <add>, %k_squares fastmath<reassoc> : vector<8xf32> into f32
            %k_scale_length = arith.constant 24.0 : f32
            %k_scale_eps = arith.constant 1.0e-04 : f32
            %k_scale_one = arith.constant 1.0 : f32
            %k_scale_mean = arith.divf %k_square, %k_scale_length : f32
            %k_scale_shifted = arith.addf %k_scale_mean, %k_scale_eps : f32
            %k_scale_root = math.sqrt %k_scale_shifted : f32
            %k_scale = arith.divf %k_scale_one, %k_scale_root : f32
            %k_scaling = vector.broadcast %k_scale : f32 to vector<4xf32>
            scf.for %d = %c0 to %half step %half_width {
              %d_after = arith.addi %d, %half : index
              %a_at = arith.addi %k_begin, %d : index
              %a_raw = vector.load %qkv[%row, %a_at] : memref<4x192xf32>, vector<4xf32>
              %a_normed = arith.mulf %a_raw, %k_scaling : vector<4xf32>
              %a_gain = vector.load %k_norm[%d] : memref<24xf32>, vector<4xf32>
              %a_offset = arith.constant dense<1.0> : vector<4xf32>
              %a_whole = arith.addf %a_gain, %a_offset : vector<4xf32>
              %a = arith.mulf %a_normed, %a_whole : vector<4xf32>
              %place_a = arith.constant 0 : index
              %cos_a = vector.load %cos[%row, %place_a, %d] : memref<4x2x12xf32>, vector<4xf32>
              %sin_a = vector.load %sin[%row, %place_a, %d] : memref<4x2x12xf32>, vector<4xf32>
              %b_at = arith.addi %k_begin, %d_after : index
              %b_raw = vector.load %qkv[%row, %b_at] : memref<4x192xf32>, vector<4xf32>
              %b_normed = arith.mulf %b_raw, %k_scaling : vector<4xf32>
              %b_gain = vector.load %k_norm[%d_after] : memref<24xf32>, vector<4xf32>
              %b_offset = arith.constant dense<1.0> : vector<4xf32>
              %b_whole = arith.addf %b_gain, %b_offset : vector<4xf32>
              %b = arith.mulf %b_normed, %b_whole : vector<4xf32>
              %place_b = arith.constant 1 : index
              %cos_b = vector.load %cos[%row, %place_b, %d] : memref<4x2x12xf32>, vector<4xf32>
              %sin_b = vector.load %sin[%row, %place_b, %d] : memref<4x2x12xf32>, vector<4xf32>
              %a_kept = arith.mulf %a, %cos_a : vector<4xf32>
              %a_crossed = arith.mulf %b, %sin_a : vector<4xf32>
              %a_turned = arith.addf %a_kept, %a_crossed : vector<4xf32>
              vector.store %a_turned, %turned[%group, %d] : memref<3x24xf32>, vector<4xf32>
              %b_kept = arith.mulf %b, %cos_b : vector<4xf32>
              %b_crossed = arith.mulf %a, %sin_b : vector<4xf32>
              %b_turned = arith.addf %b_kept, %b_crossed : vector<4xf32>
              vector.store %b_turned, %turned[%group, %d_after] : memref<3x24xf32>, vector<4xf32>
            }
            %own_block = arith.divui %position, %block : index
            %own_place = arith.remui %position, %block : index
            %v_begin = arith.muli %v_at, %head_dim : index
            scf.for %d = %c0 to %head_dim step %c1 {
              %key = memref.load %turned[%group, %d] : memref<3x24xf32>
              %at = arith.addi %v_begin, %d : index
              %value = memref.load %qkv[%row, %at] : memref<4x192xf32>
              memref.store %key, %k[%layer, %row, %kv_head, %own_block, %d, %own_place]
                  : memref<3x4x2x2x24x64xf32>
              memref.store %value, %v[%layer, %row, %kv_head, %own_block, %own_place, %d]
                  : memref<3x4x2x2x64x24xf32>
            }
          }
          %scores = memref.alloca() : memref<2x256xf32>
          %run_begin = arith.muli %run, %run_length : index
          %run_end = arith.addi %run_begin, %run_length : index
          %after = arith.addi %position, %c1 : index
          %end = arith.minui %run_end, %after : index
          %begin = arith.maxui %run_begin, %nearest : index
          %step = arith.constant 64 : index
          %queries_at_once = arith.constant 2 : index
          %last_queries = arith.constant 0 : index
          %steps_before = arith.divui %begin, %step : index
          %first_place = arith.muli %steps_before, %step : index
          %zeros = arith.constant dense<0.0> : vector<2x16xf32>
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
              %sums:4 = scf.for %d = %c0 to %head_dim step %c1
                  iter_args(%sum0 = %zeros, %sum1 = %zeros, %sum2 = %zeros, %sum3 = %zeros)
                  -> (vector<2x16xf32>, vector<2x16xf32>, vector<2x16xf32>, vector<2x16xf32>) {
                %x0 = memref.load %turned[%q0, %d] : memref<3x24xf32>
                %x1 = memref.load %turned[%q1, %d] : memref<3x24xf32>
                %column = vector.from_elements %x0, %x1 : vector<2xf32>
                %ahead = arith.addi %d, %prefetch : index
                memref.prefetch %k[%layer, %row, %kv_head, %number, %ahead, %p0], read, locality<3>, data
                    : memref<3x4x2x2x24x64xf32>
                %key0 = vector.load %k[%layer, %row, %kv_head, %number, %d, %p0]
                    : memref<3x4x2x2x24x64xf32>, vector<16xf32>
                %next0 = vector.outerproduct %column, %key0, %sum0 {kind = #vector.kind<add>}
                    : vector<2xf32>, vector<16xf32>
                memref.prefetch %k[%layer, %row, %kv_head, %number, %ahead, %p1], read, locality<3>, data
                    : memref<3x4x2x2x24x64xf32>
                %key1 = vector.load %k[%layer, %row, %kv_head, %number, %d, %p1]
                    : memref<3x4x2x2x24x64xf32>, vector<16xf32>
                %next1 = vector.outerproduct %column, %key1, %sum1 {kind = #vector.kind<add>}
                    : vector<2xf32>, vector<16xf32>
                memref.prefetch %k[%layer, %row, %kv_head, %number, %ahead, %p2], read, locality<3>, data
                    : memref<3x4x2x2x24x64xf32>
                %key2 = vector.load %k[%layer, %row, %kv_head, %number, %d, %p2]
                    : memref<3x4x2x2x24x64xf32>, vector<16xf32>
                %next2 = vector.outerproduct %column, %key2, %sum2 {kind = #vector.kind<add>}
                    : vector<2xf32>, vector<16xf32>
                memref.prefetch %k[%layer, %row, %kv_head, %number, %ahead, %p3], read, locality<3>, data
                    : memref<3x4x2x2x24x64xf32>
                %key3 = vector.load %k[%layer, %row, %kv_head, %number, %d, %p3]
                    : memref<3x4x2x2x24x64xf32>, vector<16xf32>
                %next3 = vector.outerproduct %column, %key3, %sum3 {kind = #vector.kind<add>}
                    : vector<2xf32>, vector<16xf32>
                scf.yield %next0, %next1, %next2, %next3
                    : vector<2x16xf32>, vector<2x16xf32>, vector<2x16xf32>, vector<2x16xf32>
              }
              vector.transfer_write %sums#0, %scores[%q0, %s0] {in_bounds = [true, true]}
                  : vector<2x16xf32>, memref<2x256xf32>
              vector.transfer_write %sums#1, %scores[%q0, %s1] {in_bounds = [true, true]}
                  : vector<2x16xf32>, memref<2x256xf32>
              vector.transfer_write %sums#2, %scores[%q0, %s2] {in_bounds = [true, true]}
                  : vector<2x16xf32>, memref<2x256xf32>
              vector.transfer_write %sums#3, %scores[%q0, %s3] {in_bounds = [true, true]}
                  : vector<2x16xf32>, memref<2x256xf32>
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
              %score = vector.load %scores[%query, %place] : memref<2x256xf32>, vector<16xf32>
              %at_i32 = arith.index_cast %at : index to i32
              %from = vector.broadcast %at_i32 : i32 to vector<16xi32>
              %number = arith.addi %from, %lane_number : vector<16xi32>
              %is_after = arith.cmpi sge, %number, %begins : vector<16xi32>
              %is_before = arith.cmpi slt, %number, %ends : vector<16xi32>
              %is_in = arith.andi %is_after, %is_before : vector<16xi1>
              %counted = arith.select %is_in, %score, %lowests : vector<16xi1>, vector<16xf32>
              vector.store %counted, %scores[%query, %place] : memref<2x256xf32>, vector<16xf32>
              %next = arith.maximumf %highest, %counted : vector<16xf32>
              scf.yield %next : vector<16xf32>
            }
            %max = vector.reduction <maximumf>, %maxima_each : vector<16xf32> into f32
            memref.store %max, %maxima[%row, %kv_head, %seen_run, %query] : memref<4x2x1x2xf32>
            %is_none = arith.cmpf oeq, %max, %lowest : f32
            %base = arith.select %is_none, %none, %max : f32
            %bases = vector.broadcast %base : f32 to vector<16xf32>
            %sums_each = scf.for %at = %first_place to %end step %width
                iter_args(%sum = %noughts) -> (vector<16xf32>) {
              %place = arith.subi %at, %run_begin : index
              %score = vector.load %scores[%query, %place] : memref<2x256xf32>, vector<16xf32>
              %below = arith.subf %score, %bases : vector<16xf32>
              %weight = math.exp %below : vector<16xf32>
              vector.store %weight, %scores[%query, %place] : memref<2x256xf32>, vector<16xf32>
              %next = arith.addf %sum, %weight : vector<16xf32>
              scf.yield %next : vector<16xf32>
            }
            %sum_of_run = vector.reduction <add>, %sums_each fastmath<reassoc> : vector<16xf32> into f32
            memref.store %sum_of_run, %sums_of_runs[%row, %kv_head, %seen_run, %query] : memref<4x2x1x2xf32>
          }
          %columns_at_once = arith.constant 8 : index
          %first_block = arith.divui %begin, %block : index
          %blocks_end = arith.ceildivui %end, %block : index
          %values_none = arith.constant dense<0.0> : vector<2x8xf32>
          scf.for %d0 = %c0 to %head_dim step %columns_at_once {
            scf.for %query = %c0 to %group step %queries_at_once {
              %q0 = arith.minui %query, %last_queries : index
              %q1 = arith.addi %q0, %c1 : index
              %of_blocks:1 = scf.for %number = %first_block to %blocks_end step %c1
                  iter_args(%block_sum0 = %values_none)
                  -> (vector<2x8xf32>) {
                %block_begin = arith.muli %number, %block : index
                %block_end = arith.addi %block_begin, %block : index
                %from = arith.maxui %begin, %block_begin : index
                %to = arith.minui %end, %block_end : index
                %of_block:1 = scf.for %at = %from to %to step %c1
                    iter_args(%sum0 = %block_sum0)
                    -> (vector<2x8xf32>) {
                  %place = arith.subi %at, %run_begin : index
                  %j = arith.subi %at, %block_begin : index
                  %w0 = memref.load %scores[%q0, %place] : memref<2x256xf32>
                  %w1 = memref.load %scores[%q1, %place] : memref<2x256xf32>
                  %column = vector.from_elements %w0, %w1 : vector<2xf32>
                  %ahead = arith.addi %j, %prefetch : index
                  memref.prefetch %v[%layer, %row, %kv_head, %number, %ahead, %d0], read, locality<3>, data
                      : memref<3x4x2x2x64x24xf32>
                %value0 = vector.load %v[%layer, %row, %kv_head, %number, %j, %d0]
                    : memref<3x4x2x2x64x24xf32>, vector<8xf32>
                  %next0 = vector.outerproduct %column, %value0, %sum0 {kind = #vector.kind<add>}
                      : vector<2xf32>, vector<8xf32>
                  scf.yield %next0
                      : vector<2x8xf32>
                }
                scf.yield %of_block#0
                    : vector<2x8xf32>
              }
              vector.transfer_write %of_blocks#0, %partials[%row, %kv_head, %seen_run, %q0, %d0]
                  {in_bounds = [true, true]} : vector<2x8xf32>, memref<4x2x1x2x24xf32>
            }
          }
        }
        return
      }
    }
  }

  // Attention's runs of 256 positions, of each row and kv head, joined.
  stream.executable private @merge_full {
    stream.executable.export public @merge_full workgroups() -> (index, index, index) {
      %size1 = arith.constant 2 : index
      %size2 = arith.constant 4 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @merge_full(
          %positions_bytes: !stream.binding, %partials_bytes: !stream.binding, %maxima_bytes: !stream.binding,
          %sums_of_runs_bytes: !stream.binding, %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %positions = stream.binding.subspan %positions_bytes[%c0] : !stream.binding -> memref<4xi32>
        %partials = stream.binding.subspan %partials_bytes[%c0] : !stream.binding -> memref<4x2x1x2x24xf32>
        %maxima = stream.binding.subspan %maxima_bytes[%c0] : !stream.binding -> memref<4x2x1x2xf32>
        %sums_of_runs = stream.binding.subspan %sums_of_runs_bytes[%c0] : !stream.binding -> memref<4x2x1x2xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<4x96xf32>
        %kv_head = stream.dispatch.workgroup.id[0] : index
        %row = stream.dispatch.workgroup.id[1] : index
        %width = arith.constant 8 : index
        %head_dim = arith.constant 24 : index
        %group = arith.constant 2 : index
        %none = arith.constant 0.0 : f32
        %lowest = arith.constant 0xFF800000 : f32
        %nothing = arith.constant dense<0.0> : vector<8xf32>
        %run_length = arith.constant 256 : index
        %position_i32 = memref.load %positions[%row] : memref<4xi32>
        %position = arith.index_cast %position_i32 : i32 to index
        %last_run = arith.divui %position, %run_length : index
        %nearest = arith.constant 0 : index
        %first_run = arith.divui %nearest, %run_length : index
        %runs = arith.subi %last_run, %first_run : index
        %held = arith.addi %runs, %c1 : index
        %shares = memref.alloca() : memref<1xf32>
        %first_head = arith.muli %kv_head, %group : index
        scf.for %query = %c0 to %group step %c1 {
          %max = scf.for %run = %c0 to %held step %c1 iter_args(%highest = %lowest) -> (f32) {
            %more = memref.load %maxima[%row, %kv_head, %run, %query] : memref<4x2x1x2xf32>
            %next = arith.maximumf %highest, %more : f32
            scf.yield %next : f32
          }
          // a run's share by the maximum of all; where that is no number, neither is the share
          %is_none = arith.cmpf oeq, %max, %lowest : f32
          %base = arith.select %is_none, %none, %max : f32
          %total = scf.for %run = %c0 to %held step %c1 iter_args(%sum = %none) -> (f32) {
            %own = memref.load %maxima[%row, %kv_head, %run, %query] : memref<4x2x1x2xf32>
            %below = arith.subf %own, %base : f32
            %share = math.exp %below : f32
            memref.store %share, %shares[%run] : memref<1xf32>
            %weight = memref.load %sums_of_runs[%row, %kv_head, %run, %query] : memref<4x2x1x2xf32>
            %shared = arith.mulf %weight, %share : f32
            %next = arith.addf %sum, %shared : f32
            scf.yield %next : f32
          }
          %totals = vector.broadcast %total : f32 to vector<8xf32>
          %head = arith.addi %first_head, %query : index
          %begin = arith.muli %head, %head_dim : index
          scf.for %d = %c0 to %head_dim step %width {
            %values = scf.for %run = %c0 to %held step %c1 iter_args(%sum = %nothing) -> (vector<8xf32>) {
              %share = memref.load %shares[%run] : memref<1xf32>
              %share_each = vector.broadcast %share : f32 to vector<8xf32>
              %part = vector.load %partials[%row, %kv_head, %run, %query, %d] : memref<4x2x1x2x24xf32>, vector<8xf32>
              %shared = arith.mulf %part, %share_each : vector<8xf32>
              %next = arith.addf %sum, %shared : vector<8xf32>
              scf.yield %next : vector<8xf32>
            }
            %mean = arith.divf %values, %totals : vector<8xf32>
            %at = arith.addi %begin, %d : index
            vector.store %mean, %y[%row, %at] : memref<4x96xf32>, vector<8xf32>
          }
        }
        return
      }
    }
  }

  // Rows × weights: 4 × 64 by 21 tiles of 16, 4 × 4 at once.
  stream.executable private @head {
    stream.executable.export public @head workgroups() -> (index, index, index) {
      %size1 = arith.constant 6 : index
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
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<4x64xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<21x64x16xf32>
        %squares = stream.binding.subspan %squares_bytes[%c0] : !stream.binding -> memref<4x4xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<4x331xf32>
        %largests = stream.binding.subspan %largests_bytes[%c0] : !stream.binding -> memref<4x21xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 64 : index
        %rows = arith.constant 4 : index
        %rows_at_once = arith.constant 4 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 21 : index
        %tiles_at_once = arith.constant 4 : index
        %unit = arith.constant 4 : index
        %last_unit = arith.constant 17 : index
        %tiles_of_group = arith.constant 4 : index
        %prefetch = arith.constant 32 : index
        %zeros = arith.constant dense<0.0> : vector<4x16xf32>
        %per_step = arith.constant 1 : index
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
          %scale_eps = arith.constant 1.0e-04 : f32
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
          %n1 = arith.addi %n0, %c1 : index
          %n2 = arith.addi %n1, %c1 : index
          %n3 = arith.addi %n2, %c1 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %m1 = arith.addi %m0, %c1 : index
            %m2 = arith.addi %m1, %c1 : index
            %m3 = arith.addi %m2, %c1 : index
            %sums0:4 = scf.for %k = %c0 to %depth step %c1
                iter_args(%sum0 = %zeros, %sum1 = %zeros, %sum2 = %zeros, %sum3 = %zeros)
                -> (vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>) {
              // as far ahead in what is read next: past a tile's end, the tiles after these
              %ahead = arith.addi %k, %prefetch : index
              %is_next = arith.cmpi uge, %ahead, %depth : index
              %from_next = arith.subi %ahead, %depth : index
              %ahead_k = arith.select %is_next, %from_next, %ahead : index
              %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
              %k0 = arith.muli %k, %per_step : index
              %x0_0 = memref.load %x[%m0, %k0] : memref<4x64xf32>
              %x0_1 = memref.load %x[%m1, %k0] : memref<4x64xf32>
              %x0_2 = memref.load %x[%m2, %k0] : memref<4x64xf32>
              %x0_3 = memref.load %x[%m3, %k0] : memref<4x64xf32>
              %column0 = vector.from_elements
                  %x0_0, %x0_1, %x0_2, %x0_3 : vector<4xf32>
              %fetched0 = arith.addi %n0, %ahead_n : index
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<21x64x16xf32>
              %w0_0 = vector.load %w[%n0, %k, %c0] : memref<21x64x16xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<21x64x16xf32>
              %w1_0 = vector.load %w[%n1, %k, %c0] : memref<21x64x16xf32>, vector<16xf32>
              %next1 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              %fetched2 = arith.addi %fetched1, %c1 : index
              memref.prefetch %w[%fetched2, %ahead_k, %c0], read, locality<3>, data : memref<21x64x16xf32>
              %w2_0 = vector.load %w[%n2, %k, %c0] : memref<21x64x16xf32>, vector<16xf32>
              %next2 = vector.outerproduct %column0, %w2_0, %sum2 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              %fetched3 = arith.addi %fetched2, %c1 : index
              memref.prefetch %w[%fetched3, %ahead_k, %c0], read, locality<3>, data : memref<21x64x16xf32>
              %w3_0 = vector.load %w[%n3, %k, %c0] : memref<21x64x16xf32>, vector<16xf32>
              %next3 = vector.outerproduct %column0, %w3_0, %sum3 {kind = #vector.kind<add>}
                  : vector<4xf32>, vector<16xf32>
              scf.yield %next0, %next1, %next2, %next3
                  : vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>, vector<4x16xf32>
            }
            %place0 = arith.constant 0 : index
            vector.transfer_write %sums0#0, %room[%place0, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            %place1 = arith.constant 1 : index
            vector.transfer_write %sums0#1, %room[%place1, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            %place2 = arith.constant 2 : index
            vector.transfer_write %sums0#2, %room[%place2, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            %place3 = arith.constant 3 : index
            vector.transfer_write %sums0#3, %room[%place3, %c0, %c0] {in_bounds = [true, true]}
                : vector<4x16xf32>, memref<4x4x16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              %scale = memref.load %scales[%r] : memref<4xf32>
              %scaling = vector.broadcast %scale : f32 to vector<16xf32>
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<4x4x16xf32>, vector<16xf32>
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

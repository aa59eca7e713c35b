// embed · llama, tied · 2 layers, hidden 64, 4/2 heads of 16 · context 64, 4 slots, chunk 16 · exact

!embed = tensor<21x64x16x1xf32>
!norm = tensor<64xf32>
!qkv = tensor<8x64x16x1xf32>
!o = tensor<4x64x16x1xf32>
!gate_up = tensor<12x64x16x1xf32>
!down = tensor<4x96x16x1xf32>
!tokens = tensor<16xi32>
!k_cache = tensor<2x4x2x2x16x64xf32>
!v_cache = tensor<2x4x2x2x64x16xf32>
!hidden = tensor<16x64xf32>
!angle = tensor<16x2x8xf32>
!rows = tensor<16x64xf32>
!squares = tensor<16x4xf32>
!qkv_rows = tensor<16x128xf32>
!q_rows = tensor<16x64xf32>
!inner_rows = tensor<16x96xf32>
!column = tensor<16x1xf32>
!each_row = tensor<16xf32>
!norm_f32 = tensor<64xf32>
!angles = tensor<16x8xf32>

module @embed {
  // `length` tokens of `slot` from position `start`; their rows after the final norm.
  func.func public @embed(
      %embed: !embed,
      %final_norm: !norm,
      %layer0_attn_norm: !norm, %layer0_qkv: !qkv, %layer0_o: !o, %layer0_mlp_norm: !norm,
      %layer0_gate_up: !gate_up, %layer0_down: !down,
      %layer1_attn_norm: !norm, %layer1_qkv: !qkv, %layer1_o: !o, %layer1_mlp_norm: !norm,
      %layer1_gate_up: !gate_up, %layer1_down: !down,
      %tokens: !tokens, %slot: tensor<i32>, %start: tensor<i32>, %length: tensor<i32>,
      %k: !k_cache {tf.aliasing_output = 1 : i32},
      %v: !v_cache {tf.aliasing_output = 2 : i32})
      -> (!hidden, !k_cache, !v_cache) {
    %offsets = stablehlo.iota dim = 0 : !tokens
    %starts = stablehlo.broadcast_in_dim %start, dims = [] : (tensor<i32>) -> !tokens
    %positions = stablehlo.add %starts, %offsets : !tokens
    %slot_value = tensor.extract %slot[] : tensor<i32>
    %first_slot = arith.index_cast %slot_value : i32 to index
    %length_value = tensor.extract %length[] : tensor<i32>
    %length_index = arith.index_cast %length_value : i32 to index

    %start_value = tensor.extract %start[] : tensor<i32>
    %start_index = arith.index_cast %start_value : i32 to index
    %starts_at = stablehlo.reshape %start : (tensor<i32>) -> tensor<1xi32>
    %cos, %sin = call @rotary_angles(%positions) : (!tokens) -> (!angle, !angle)
    %embedded = call @embedding(%embed, %tokens) : (!embed, !tokens) -> !hidden
    %x0, %x0_weighted, %x0_squares = flow.dispatch @first_norm::@first_norm(%embedded, %layer0_attn_norm)
        : (!hidden, !norm)
        -> (!rows, !rows, !squares)

    %layer0 = arith.constant 0 : index
    %x1, %x1_weighted, %x1_squares, %k_after0, %v_after0 = call @layer(
        %x0, %x0_weighted, %x0_squares, %layer0_qkv, %layer0_o, %layer0_mlp_norm, %layer0_gate_up, %layer0_down,
        %layer1_attn_norm, %layer0, %cos, %sin, %first_slot, %start_index, %length_index, %k, %v)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index, index,
           index, !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %layer1 = arith.constant 1 : index
    %x2, %x2_weighted, %x2_squares, %k_after1, %v_after1 = call @layer(
        %x1, %x1_weighted, %x1_squares, %layer1_qkv, %layer1_o, %layer1_mlp_norm, %layer1_gate_up, %layer1_down,
        %final_norm, %layer1, %cos, %sin, %first_slot, %start_index, %length_index, %k_after0, %v_after0)
        : (!rows, !rows, !squares, !qkv, !o, !norm, !gate_up, !down, !norm, index, !angle, !angle, index, index,
           index, !k_cache, !v_cache)
        -> (!rows, !rows, !squares, !k_cache, !v_cache)
    %x_last = stablehlo.slice %x2 [0:16, 0:64] : (!rows) -> !hidden
    %normed = call @rms_norm(%x_last, %final_norm) : (!hidden, !norm) -> !hidden



    return %normed, %k_after1, %v_after1 : !hidden, !k_cache, !v_cache
  }

  // x + attention(norm(x)), then x + mlp(norm(x)); and what the next norm needs of that.
  func.func private @layer(
      %x: !rows, %x_weighted: !rows, %x_squares: !squares, %qkv: !qkv, %o: !o, %mlp_norm: !norm,
      %gate_up: !gate_up, %down: !down, %next_norm: !norm, %layer: index, %cos: !angle, %sin: !angle, %slot: index,
      %start: index, %length: index, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!rows, !rows, !squares, !k_cache, !v_cache) {
    %projected = flow.dispatch @qkv::@qkv(%x_weighted, %qkv, %x_squares)
        : (!rows, !qkv, !squares)
        -> !qkv_rows
    %k, %v = flow.dispatch @append::@append(%cos, %sin, %projected, %k_cache, %v_cache, %layer, %slot, %start, %length)
        : (!angle, !angle, !qkv_rows, !k_cache, !v_cache, index, index, index, index)
        -> (%k_cache, %v_cache)
    %attended = flow.dispatch @attention::@attention(%cos, %sin, %projected, %k, %v, %layer, %slot, %start, %length)
        : (!angle, !angle, !qkv_rows, !k_cache, !v_cache, index, index, index, index)
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

  // cos and ∓sin of position · frequency, laid over a head's two halves: [rows, 2, head_dim / 2].
  func.func private @rotary_angles(%positions: !tokens) -> (!angle, !angle) {
    // theta^(-2i / head_dim), theta 10000: radians a position
    %frequency = stablehlo.constant dense<[
        1.0, 0.31622776, 0.1, 0.031622775, 0.01, 0.0031622776, 0.001, 0.00031622776]> : tensor<8xf32>
    %sign = stablehlo.constant dense<[-1.0, 1.0]> : tensor<2xf32>
    %position = stablehlo.convert %positions : (!tokens) -> tensor<16xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<16xf32>) -> !angles
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
  func.func private @embedding(%embed: !embed, %tokens: !tokens) -> !hidden {
    %x_n = stablehlo.constant dense<16> : !tokens
    %x_tile = stablehlo.divide %tokens, %x_n : !tokens
    %x_within = stablehlo.remainder %tokens, %x_n : !tokens
    %x_tiles = stablehlo.reshape %x_tile : (!tokens) -> tensor<16x1xi32>
    %x_rows = stablehlo.reshape %x_within : (!tokens) -> tensor<16x1xi32>
    %x_at = stablehlo.concatenate %x_tiles, %x_rows, dim = 1
        : (tensor<16x1xi32>, tensor<16x1xi32>) -> tensor<16x2xi32>
    %x_tile_row = "stablehlo.gather"(%embed, %x_at) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1, 2, 3, 4], start_index_map = [0, 2], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 64, 1, 1>, indices_are_sorted = false}>
        : (!embed, tensor<16x2xi32>) -> tensor<16x1x64x1x1xf32>
    %x = stablehlo.reshape %x_tile_row : (tensor<16x1x64x1x1xf32>) -> tensor<16x64xf32>

    return %x : !hidden
  }

  // Rows ready for the norm after them.
  stream.executable private @first_norm {
    stream.executable.export public @first_norm workgroups() -> (index, index, index) {
      %size1 = arith.constant 16 : index
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
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %next_norm = stream.binding.subspan %next_norm_bytes[%c0] : !stream.binding -> memref<64xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %weighteds = stream.binding.subspan %weighteds_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %square_sums = stream.binding.subspan %square_sums_bytes[%c0] : !stream.binding -> memref<16x4xf32>
        %width = arith.constant 16 : index
        %tiles = arith.constant 4 : index
        %row = stream.dispatch.workgroup.id[0] : index
        scf.for %n = %c0 to %tiles step %c1 {
          %at = arith.muli %n, %width : index
          %x_tile = vector.load %x[%row, %at] : memref<16x64xf32>, vector<16xf32>
          vector.store %x_tile, %y[%row, %at] : memref<16x64xf32>, vector<16xf32>
          %gain = vector.load %next_norm[%at] : memref<64xf32>, vector<16xf32>
          %weighted = arith.mulf %x_tile, %gain : vector<16xf32>
          vector.store %weighted, %weighteds[%row, %at] : memref<16x64xf32>, vector<16xf32>
          %square = arith.mulf %x_tile, %x_tile : vector<16xf32>
          %square_sum = vector.reduction <add>, %square fastmath<reassoc> : vector<16xf32> into f32
          memref.store %square_sum, %square_sums[%row, %n] : memref<16x4xf32>
        }
        return
      }
    }
  }

  // Rows × weights: 16 × 64 by 8 tiles of 16, 8 × 2 at once.
  stream.executable private @qkv {
    stream.executable.export public @qkv workgroups() -> (index, index, index) {
      %size1 = arith.constant 2 : index
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
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<8x64x16xf32>
        %squares = stream.binding.subspan %squares_bytes[%c0] : !stream.binding -> memref<16x4xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<16x128xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 64 : index
        %rows = arith.constant 16 : index
        %rows_at_once = arith.constant 8 : index
        %last_rows = arith.constant 8 : index
        %tiles = arith.constant 8 : index
        %tiles_at_once = arith.constant 2 : index
        %unit = arith.constant 2 : index
        %last_unit = arith.constant 6 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 64 : index
        %zeros = arith.constant dense<0.0> : vector<8x16xf32>
        %per_step = arith.constant 1 : index
        %room = memref.alloca() : memref<2x8x16xf32>
        %scales = memref.alloca() : memref<16xf32>
        %parts = arith.constant 4 : index
        %parts_at_once = arith.constant 4 : index
        %none = arith.constant dense<0.0> : vector<4xf32>
        scf.for %row = %c0 to %rows step %c1 {
          %partial = scf.for %at = %c0 to %parts step %parts_at_once iter_args(%sum = %none) -> (vector<4xf32>) {
            %more = vector.load %squares[%row, %at] : memref<16x4xf32>, vector<4xf32>
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
          memref.store %scale, %scales[%row] : memref<16xf32>
        }
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 16 : index
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
              %x0_0 = memref.load %x[%m0, %k0] : memref<16x64xf32>
              %x0_1 = memref.load %x[%m1, %k0] : memref<16x64xf32>
              %x0_2 = memref.load %x[%m2, %k0] : memref<16x64xf32>
              %x0_3 = memref.load %x[%m3, %k0] : memref<16x64xf32>
              %x0_4 = memref.load %x[%m4, %k0] : memref<16x64xf32>
              %x0_5 = memref.load %x[%m5, %k0] : memref<16x64xf32>
              %x0_6 = memref.load %x[%m6, %k0] : memref<16x64xf32>
              %x0_7 = memref.load %x[%m7, %k0] : memref<16x64xf32>
              %column0 = vector.from_elements
                  %x0_0, %x0_1, %x0_2, %x0_3, %x0_4, %x0_5, %x0_6, %x0_7 : vector<8xf32>
              %fetched0 = arith.addi %n0, %ahead_n : index
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<8x64x16xf32>
              %w0_0 = vector.load %w[%n0, %k, %c0] : memref<8x64x16xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<8x64x16xf32>
              %w1_0 = vector.load %w[%n1, %k, %c0] : memref<8x64x16xf32>, vector<16xf32>
              %next1 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
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
              %scale = memref.load %scales[%r] : memref<16xf32>
              %scaling = vector.broadcast %scale : f32 to vector<16xf32>
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %first_tile, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<2x8x16xf32>, vector<16xf32>
                %y_scaled = arith.mulf %y_sum, %scaling : vector<16xf32>
                vector.store %y_scaled, %y[%r, %at] : memref<16x128xf32>, vector<16xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Keys and values of 16 rows into the cache.
  stream.executable private @append {
    stream.executable.export public @append workgroups() -> (index, index, index) {
      %size1 = arith.constant 1 : index
      %size2 = arith.constant 2 : index
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
        %cos = stream.binding.subspan %cos_bytes[%c0] : !stream.binding -> memref<16x2x8xf32>
        %sin = stream.binding.subspan %sin_bytes[%c0] : !stream.binding -> memref<16x2x8xf32>
        %qkv = stream.binding.subspan %qkv_bytes[%c0] : !stream.binding -> memref<16x128xf32>
        %k = stream.binding.subspan %k_bytes[%c0] : !stream.binding -> memref<2x4x2x2x16x64xf32>
        %v = stream.binding.subspan %v_bytes[%c0] : !stream.binding -> memref<2x4x2x2x64x16xf32>
        %tile = stream.dispatch.workgroup.id[0] : index
        %kv_head = stream.dispatch.workgroup.id[1] : index
        %rows_of_tile = arith.constant 16 : index
        %head_dim = arith.constant 16 : index
        %half = arith.constant 8 : index
        %head_width = arith.constant 16 : index
        %half_width = arith.constant 8 : index
        %block = arith.constant 64 : index
        %k_head = arith.constant 4 : index
        %v_head = arith.constant 6 : index
        %k_at = arith.addi %k_head, %kv_head : index
        %v_at = arith.addi %v_head, %kv_head : index
        %v_begin = arith.muli %v_at, %head_dim : index
        %turned = memref.alloca() : memref<1x16xf32>
        %first_row = arith.muli %tile, %rows_of_tile : index
        %past_row = arith.addi %first_row, %rows_of_tile : index
        %end_row = arith.minui %past_row, %length : index
        scf.for %row = %first_row to %end_row step %c1 {
          %k_begin = arith.muli %k_at, %head_dim : index
          scf.for %d = %c0 to %half step %half_width {
            %d_after = arith.addi %d, %half : index
            %a_at = arith.addi %k_begin, %d : index
            %a = vector.load %qkv[%row, %a_at] : memref<16x128xf32>, vector<8xf32>
            %place_a = arith.constant 0 : index
            %cos_a = vector.load %cos[%row, %place_a, %d] : memref<16x2x8xf32>, vector<8xf32>
            %sin_a = vector.load %sin[%row, %place_a, %d] : memref<16x2x8xf32>, vector<8xf32>
            %b_at = arith.addi %k_begin, %d_after : index
            %b = vector.load %qkv[%row, %b_at] : memref<16x128xf32>, vector<8xf32>
            %place_b = arith.constant 1 : index
            %cos_b = vector.load %cos[%row, %place_b, %d] : memref<16x2x8xf32>, vector<8xf32>
            %sin_b = vector.load %sin[%row, %place_b, %d] : memref<16x2x8xf32>, vector<8xf32>
            %a_kept = arith.mulf %a, %cos_a : vector<8xf32>
            %a_crossed = arith.mulf %b, %sin_a : vector<8xf32>
            %a_turned = arith.addf %a_kept, %a_crossed : vector<8xf32>
            vector.store %a_turned, %turned[%c0, %d] : memref<1x16xf32>, vector<8xf32>
            %b_kept = arith.mulf %b, %cos_b : vector<8xf32>
            %b_crossed = arith.mulf %a, %sin_b : vector<8xf32>
            %b_turned = arith.addf %b_kept, %b_crossed : vector<8xf32>
            vector.store %b_turned, %turned[%c0, %d_after] : memref<1x16xf32>, vector<8xf32>
          }
          %position = arith.addi %start, %row : index
          %own_block = arith.divui %position, %block : index
          %own_place = arith.remui %position, %block : index
          scf.for %d = %c0 to %head_dim step %c1 {
            %key = memref.load %turned[%c0, %d] : memref<1x16xf32>
            %at = arith.addi %v_begin, %d : index
            %value = memref.load %qkv[%row, %at] : memref<16x128xf32>
            memref.store %key, %k[%layer, %slot, %kv_head, %own_block, %d, %own_place]
                : memref<2x4x2x2x16x64xf32>
            memref.store %value, %v[%layer, %slot, %kv_head, %own_block, %own_place, %d]
                : memref<2x4x2x2x64x16xf32>
          }
        }
        return
      }
    }
  }

  // Attention of 16 rows, 16 at once, 4 heads, 2 to a kv head.
  stream.executable private @attention {
    stream.executable.export public @attention workgroups() -> (index, index, index) {
      %size1 = arith.constant 1 : index
      %size2 = arith.constant 2 : index
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
        %cos = stream.binding.subspan %cos_bytes[%c0] : !stream.binding -> memref<16x2x8xf32>
        %sin = stream.binding.subspan %sin_bytes[%c0] : !stream.binding -> memref<16x2x8xf32>
        %qkv = stream.binding.subspan %qkv_bytes[%c0] : !stream.binding -> memref<16x128xf32>
        %k = stream.binding.subspan %k_bytes[%c0] : !stream.binding -> memref<2x4x2x2x16x64xf32>
        %v = stream.binding.subspan %v_bytes[%c0] : !stream.binding -> memref<2x4x2x2x64x16xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %tile = stream.dispatch.workgroup.id[0] : index
        %kv_head = stream.dispatch.workgroup.id[1] : index
        %rows_of_tile = arith.constant 16 : index
        %group = arith.constant 2 : index
        %head_dim = arith.constant 16 : index
        %half = arith.constant 8 : index
        %block = arith.constant 64 : index
        %width = arith.constant 16 : index
        %head_width = arith.constant 16 : index
        %half_width = arith.constant 8 : index
        %none = arith.constant 0.0 : f32
        %lowest = arith.constant 0xFF800000 : f32
        %noughts = arith.constant dense<0.0> : vector<16xf32>
        %q_at = arith.muli %kv_head, %group : index
        %last_tile = arith.constant 0 : index
        %tile_row = arith.muli %tile, %rows_of_tile : index
        // the last begins earlier, so that it is whole
        %first_row = arith.minui %tile_row, %last_tile : index
        %end_row = arith.addi %first_row, %rows_of_tile : index
        // rows past the chunk's length are not used: they see what it has, or nothing
        %rows_used = arith.minui %end_row, %length : index
        %end = arith.addi %start, %rows_used : index
        %first_position = arith.addi %start, %first_row : index
        %nearest = arith.constant 0 : index
        %turned = memref.alloca() : memref<32x16xf32>
        %scores = memref.alloca() : memref<32x64xf32>
        %values = memref.alloca() : memref<32x16xf32>
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
              %a = vector.load %qkv[%row, %a_at] : memref<16x128xf32>, vector<8xf32>
              %place_a = arith.constant 0 : index
              %cos_a = vector.load %cos[%row, %place_a, %d] : memref<16x2x8xf32>, vector<8xf32>
              %sin_a = vector.load %sin[%row, %place_a, %d] : memref<16x2x8xf32>, vector<8xf32>
              %b_at = arith.addi %q_begin, %d_after : index
              %b = vector.load %qkv[%row, %b_at] : memref<16x128xf32>, vector<8xf32>
              %place_b = arith.constant 1 : index
              %cos_b = vector.load %cos[%row, %place_b, %d] : memref<16x2x8xf32>, vector<8xf32>
              %sin_b = vector.load %sin[%row, %place_b, %d] : memref<16x2x8xf32>, vector<8xf32>
              %a_kept = arith.mulf %a, %cos_a : vector<8xf32>
              %a_crossed = arith.mulf %b, %sin_a : vector<8xf32>
              %a_turned = arith.addf %a_kept, %a_crossed : vector<8xf32>
              %a_factor = arith.constant dense<0.25> : vector<8xf32>
              %a_scaled = arith.mulf %a_turned, %a_factor : vector<8xf32>
              vector.store %a_scaled, %turned[%query, %d] : memref<32x16xf32>, vector<8xf32>
              %b_kept = arith.mulf %b, %cos_b : vector<8xf32>
              %b_crossed = arith.mulf %a, %sin_b : vector<8xf32>
              %b_turned = arith.addf %b_kept, %b_crossed : vector<8xf32>
              %b_factor = arith.constant dense<0.25> : vector<8xf32>
              %b_scaled = arith.mulf %b_turned, %b_factor : vector<8xf32>
              vector.store %b_scaled, %turned[%query, %d_after] : memref<32x16xf32>, vector<8xf32>
            }
            memref.store %lowest, %maxima[%query] : memref<32xf32>
            memref.store %none, %totals[%query] : memref<32xf32>
            scf.for %d = %c0 to %head_dim step %head_width {
              vector.store %noughts, %values[%query, %d] : memref<32x16xf32>, vector<16xf32>
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
                %x0 = memref.load %turned[%q0, %d] : memref<32x16xf32>
                %x1 = memref.load %turned[%q1, %d] : memref<32x16xf32>
                %x2 = memref.load %turned[%q2, %d] : memref<32x16xf32>
                %x3 = memref.load %turned[%q3, %d] : memref<32x16xf32>
                %x4 = memref.load %turned[%q4, %d] : memref<32x16xf32>
                %x5 = memref.load %turned[%q5, %d] : memref<32x16xf32>
                %x6 = memref.load %turned[%q6, %d] : memref<32x16xf32>
                %x7 = memref.load %turned[%q7, %d] : memref<32x16xf32>
                %column = vector.from_elements %x0, %x1, %x2, %x3, %x4, %x5, %x6, %x7 : vector<8xf32>
              %key0 = vector.load %k[%layer, %slot, %kv_head, %number, %d, %p0]
                  : memref<2x4x2x2x16x64xf32>, vector<16xf32>
                %next0 = vector.outerproduct %column, %key0, %sum0 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
              %key1 = vector.load %k[%layer, %slot, %kv_head, %number, %d, %p1]
                  : memref<2x4x2x2x16x64xf32>, vector<16xf32>
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
                %held = vector.load %values[%query, %d] : memref<32x16xf32>, vector<16xf32>
                %shared = arith.mulf %held, %shares : vector<16xf32>
                vector.store %shared, %values[%query, %d] : memref<32x16xf32>, vector<16xf32>
              }
            }
          }
          %columns_at_once = arith.constant 16 : index
          scf.for %d0 = %c0 to %head_dim step %columns_at_once {
            scf.for %q0 = %c0 to %queries step %queries_at_once {
              %q1 = arith.addi %q0, %c1 : index
              %q2 = arith.addi %q1, %c1 : index
              %q3 = arith.addi %q2, %c1 : index
              %q4 = arith.addi %q3, %c1 : index
              %q5 = arith.addi %q4, %c1 : index
              %q6 = arith.addi %q5, %c1 : index
              %q7 = arith.addi %q6, %c1 : index
              %held0 = vector.transfer_read %values[%q0, %d0], %none {in_bounds = [true, true]}
                  : memref<32x16xf32>, vector<8x16xf32>
              %sums:1 = scf.for %at = %from to %to step %c1
                  iter_args(%sum0 = %held0)
                  -> (vector<8x16xf32>) {
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
              %value0 = vector.load %v[%layer, %slot, %kv_head, %number, %j, %d0]
                  : memref<2x4x2x2x64x16xf32>, vector<16xf32>
                %next0 = vector.outerproduct %column, %value0, %sum0 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                scf.yield %next0
                    : vector<8x16xf32>
              }
              vector.transfer_write %sums#0, %values[%q0, %d0] {in_bounds = [true, true]}
                  : vector<8x16xf32>, memref<32x16xf32>
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
              %value = vector.load %values[%query, %d] : memref<32x16xf32>, vector<16xf32>
              %mean = arith.divf %value, %totals_each : vector<16xf32>
              %at = arith.addi %begin, %d : index
              vector.store %mean, %y[%row, %at] : memref<16x64xf32>, vector<16xf32>
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 16 × 64 by 4 tiles of 16, 8 × 2 at once.
  stream.executable private @o {
    stream.executable.export public @o workgroups() -> (index, index, index) {
      %size1 = arith.constant 1 : index
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
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<4x64x16xf32>
        %residual = stream.binding.subspan %residual_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %next_norm = stream.binding.subspan %next_norm_bytes[%c0] : !stream.binding -> memref<64xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %weighteds = stream.binding.subspan %weighteds_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %square_sums = stream.binding.subspan %square_sums_bytes[%c0] : !stream.binding -> memref<16x4xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 64 : index
        %rows = arith.constant 16 : index
        %rows_at_once = arith.constant 8 : index
        %last_rows = arith.constant 8 : index
        %tiles = arith.constant 4 : index
        %tiles_at_once = arith.constant 2 : index
        %unit = arith.constant 2 : index
        %last_unit = arith.constant 2 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 64 : index
        %zeros = arith.constant dense<0.0> : vector<8x16xf32>
        %per_step = arith.constant 1 : index
        %room = memref.alloca() : memref<2x8x16xf32>
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 16 : index
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
              %x0_0 = memref.load %x[%m0, %k0] : memref<16x64xf32>
              %x0_1 = memref.load %x[%m1, %k0] : memref<16x64xf32>
              %x0_2 = memref.load %x[%m2, %k0] : memref<16x64xf32>
              %x0_3 = memref.load %x[%m3, %k0] : memref<16x64xf32>
              %x0_4 = memref.load %x[%m4, %k0] : memref<16x64xf32>
              %x0_5 = memref.load %x[%m5, %k0] : memref<16x64xf32>
              %x0_6 = memref.load %x[%m6, %k0] : memref<16x64xf32>
              %x0_7 = memref.load %x[%m7, %k0] : memref<16x64xf32>
              %column0 = vector.from_elements
                  %x0_0, %x0_1, %x0_2, %x0_3, %x0_4, %x0_5, %x0_6, %x0_7 : vector<8xf32>
              %fetched0 = arith.addi %n0, %ahead_n : index
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<4x64x16xf32>
              %w0_0 = vector.load %w[%n0, %k, %c0] : memref<4x64x16xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<4x64x16xf32>
              %w1_0 = vector.load %w[%n1, %k, %c0] : memref<4x64x16xf32>, vector<16xf32>
              %next1 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
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
                %before = vector.load %residual[%r, %at] : memref<16x64xf32>, vector<16xf32>
                %added = arith.addf %y_sum, %before : vector<16xf32>
                vector.store %added, %y[%r, %at] : memref<16x64xf32>, vector<16xf32>
                %gain = vector.load %next_norm[%at] : memref<64xf32>, vector<16xf32>
                %weighted = arith.mulf %added, %gain : vector<16xf32>
                vector.store %weighted, %weighteds[%r, %at] : memref<16x64xf32>, vector<16xf32>
                %square = arith.mulf %added, %added : vector<16xf32>
                %square_sum = vector.reduction <add>, %square fastmath<reassoc> : vector<16xf32> into f32
                memref.store %square_sum, %square_sums[%r, %n] : memref<16x4xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 16 × 64 by 12 tiles of 16, 8 × 2 at once.
  stream.executable private @gate_up {
    stream.executable.export public @gate_up workgroups() -> (index, index, index) {
      %size1 = arith.constant 2 : index
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
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<12x64x16xf32>
        %squares = stream.binding.subspan %squares_bytes[%c0] : !stream.binding -> memref<16x4xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<16x96xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 64 : index
        %rows = arith.constant 16 : index
        %rows_at_once = arith.constant 8 : index
        %last_rows = arith.constant 8 : index
        %tiles = arith.constant 12 : index
        %tiles_at_once = arith.constant 2 : index
        %unit = arith.constant 2 : index
        %last_unit = arith.constant 10 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 64 : index
        %c2 = arith.constant 2 : index
        %zeros = arith.constant dense<0.0> : vector<8x16xf32>
        %per_step = arith.constant 1 : index
        %room = memref.alloca() : memref<2x8x16xf32>
        %scales = memref.alloca() : memref<16xf32>
        %parts = arith.constant 4 : index
        %parts_at_once = arith.constant 4 : index
        %none = arith.constant dense<0.0> : vector<4xf32>
        scf.for %row = %c0 to %rows step %c1 {
          %partial = scf.for %at = %c0 to %parts step %parts_at_once iter_args(%sum = %none) -> (vector<4xf32>) {
            %more = vector.load %squares[%row, %at] : memref<16x4xf32>, vector<4xf32>
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
          memref.store %scale, %scales[%row] : memref<16xf32>
        }
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 16 : index
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
              %x0_0 = memref.load %x[%m0, %k0] : memref<16x64xf32>
              %x0_1 = memref.load %x[%m1, %k0] : memref<16x64xf32>
              %x0_2 = memref.load %x[%m2, %k0] : memref<16x64xf32>
              %x0_3 = memref.load %x[%m3, %k0] : memref<16x64xf32>
              %x0_4 = memref.load %x[%m4, %k0] : memref<16x64xf32>
              %x0_5 = memref.load %x[%m5, %k0] : memref<16x64xf32>
              %x0_6 = memref.load %x[%m6, %k0] : memref<16x64xf32>
              %x0_7 = memref.load %x[%m7, %k0] : memref<16x64xf32>
              %column0 = vector.from_elements
                  %x0_0, %x0_1, %x0_2, %x0_3, %x0_4, %x0_5, %x0_6, %x0_7 : vector<8xf32>
              %fetched0 = arith.addi %n0, %ahead_n : index
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<12x64x16xf32>
              %w0_0 = vector.load %w[%n0, %k, %c0] : memref<12x64x16xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<12x64x16xf32>
              %w1_0 = vector.load %w[%n1, %k, %c0] : memref<12x64x16xf32>, vector<16xf32>
              %next1 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
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
              %scale = memref.load %scales[%r] : memref<16xf32>
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
                vector.store %both, %y[%r, %at] : memref<16x96xf32>, vector<16xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 16 × 96 by 4 tiles of 16, 8 × 2 at once.
  stream.executable private @down {
    stream.executable.export public @down workgroups() -> (index, index, index) {
      %size1 = arith.constant 1 : index
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
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<16x96xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<4x96x16xf32>
        %residual = stream.binding.subspan %residual_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %next_norm = stream.binding.subspan %next_norm_bytes[%c0] : !stream.binding -> memref<64xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %weighteds = stream.binding.subspan %weighteds_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %square_sums = stream.binding.subspan %square_sums_bytes[%c0] : !stream.binding -> memref<16x4xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 96 : index
        %rows = arith.constant 16 : index
        %rows_at_once = arith.constant 8 : index
        %last_rows = arith.constant 8 : index
        %tiles = arith.constant 4 : index
        %tiles_at_once = arith.constant 2 : index
        %unit = arith.constant 2 : index
        %last_unit = arith.constant 2 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 64 : index
        %zeros = arith.constant dense<0.0> : vector<8x16xf32>
        %per_step = arith.constant 1 : index
        %room = memref.alloca() : memref<2x8x16xf32>
        %group = stream.dispatch.workgroup.id[0] : index
        %first = arith.muli %group, %tiles_of_group : index
        %past = arith.addi %first, %tiles_of_group : index
        %end = arith.minui %past, %tiles : index
        %row_group = stream.dispatch.workgroup.id[1] : index
        %rows_of_group = arith.constant 16 : index
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
              %x0_0 = memref.load %x[%m0, %k0] : memref<16x96xf32>
              %x0_1 = memref.load %x[%m1, %k0] : memref<16x96xf32>
              %x0_2 = memref.load %x[%m2, %k0] : memref<16x96xf32>
              %x0_3 = memref.load %x[%m3, %k0] : memref<16x96xf32>
              %x0_4 = memref.load %x[%m4, %k0] : memref<16x96xf32>
              %x0_5 = memref.load %x[%m5, %k0] : memref<16x96xf32>
              %x0_6 = memref.load %x[%m6, %k0] : memref<16x96xf32>
              %x0_7 = memref.load %x[%m7, %k0] : memref<16x96xf32>
              %column0 = vector.from_elements
                  %x0_0, %x0_1, %x0_2, %x0_3, %x0_4, %x0_5, %x0_6, %x0_7 : vector<8xf32>
              %fetched0 = arith.addi %n0, %ahead_n : index
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<4x96x16xf32>
              %w0_0 = vector.load %w[%n0, %k, %c0] : memref<4x96x16xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<4x96x16xf32>
              %w1_0 = vector.load %w[%n1, %k, %c0] : memref<4x96x16xf32>, vector<16xf32>
              %next1 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
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
                %before = vector.load %residual[%r, %at] : memref<16x64xf32>, vector<16xf32>
                %added = arith.addf %y_sum, %before : vector<16xf32>
                vector.store %added, %y[%r, %at] : memref<16x64xf32>, vector<16xf32>
                %gain = vector.load %next_norm[%at] : memref<64xf32>, vector<16xf32>
                %weighted = arith.mulf %added, %gain : vector<16xf32>
                vector.store %weighted, %weighteds[%r, %at] : memref<16x64xf32>, vector<16xf32>
                %square = arith.mulf %added, %added : vector<16xf32>
                %square_sum = vector.reduction <add>, %square fastmath<reassoc> : vector<16xf32> into f32
                memref.store %square_sum, %square_sums[%r, %n] : memref<16x4xf32>
              }
            }
          }
        }
        return
      }
    }
  }
}

// decode · llama, tied · 2 layers, hidden 64, 4/1 heads of 16 · context 64, 4 slots · exact, q8

!embed = tensor<21x64x16x1xi8>
!embed_scales = tensor<21x2x16xf16>
!norm = tensor<64xf32>
!qkv = tensor<6x64x16x1xi8>
!qkv_scales = tensor<6x2x16xf16>
!qkv_bias = tensor<96xf32>
!o = tensor<4x64x16x1xi8>
!o_scales = tensor<4x2x16xf16>
!o_bias = tensor<64xf32>
!gate_up = tensor<13x64x16x1xi8>
!gate_up_scales = tensor<13x2x16xf16>
!down = tensor<4x128x16x1xi8>
!down_scales = tensor<4x4x16xf16>
!k_cache = tensor<2x4x1x2x16x64xf32>
!v_cache = tensor<2x4x1x2x64x16xf32>
!last_logits = tensor<331xf32>
!tokens = tensor<1xi32>
!angle = tensor<1x2x8xf32>
!pasts = tensor<1xi32>
!hidden = tensor<1x64xf32>
!new_k = tensor<1x1x1x16x1xf32>
!new_v = tensor<1x1x1x1x16xf32>
!logits = tensor<1x331xf32>
!next = tensor<1xi32>
!column = tensor<1x1xf32>
!each_row = tensor<1xf32>
!norm_f32 = tensor<64xf32>
!qkv_x_tiles = tensor<1x64x1x1xf32>
!qkv_y_tiles = tensor<1x6x1x16xf32>
!qkv_row = tensor<1x96xf32>
!q_row = tensor<1x64xf32>
!k_row = tensor<1x16xf32>
!q_heads = tensor<1x1x4x16xf32>
!new_heads = tensor<1x1x1x16xf32>
!queries = tensor<1x4x16xf32>
!new = tensor<1x1x16xf32>
!k_lanes = tensor<2x4x2x16x64xf32>
!k_past = tensor<1x?x16x64xf32>
!v_lanes = tensor<2x4x2x64x16xf32>
!v_past = tensor<1x?x64x16xf32>
!scores = tensor<1x4x?x64xf32>
!each_lane = tensor<1x4xf32>
!partial = tensor<1x?x4x16xf32>
!o_x_tiles = tensor<1x64x1x1xf32>
!o_y_tiles = tensor<1x4x1x16xf32>
!angles = tensor<1x8xf32>
!q_pairs = tensor<1x4x2x8xf32>
!k_pairs = tensor<1x1x2x8xf32>
!gate_up_x_tiles = tensor<1x64x1x1xf32>
!gate_up_y_tiles = tensor<1x13x1x16xf32>
!gate_up_row = tensor<1x200xf32>
!inner = tensor<1x100xf32>
!down_x_tiles = tensor<1x100x1x1xf32>
!down_y_tiles = tensor<1x4x1x16xf32>
!embed_x_tiles = tensor<1x64x1x1xf32>
!embed_y_tiles = tensor<1x21x1x16xf32>
!vocab_index = tensor<1x331xi32>
!new_keys = tensor<2x1x1x16x1xf32>
!new_values = tensor<2x1x1x1x16xf32>
!keys_at = tensor<2x1x1x1x16x1xf32>
!values_at = tensor<2x1x1x1x1x16xf32>

module @decode {
  // One token of slot 0, at `position`.
  func.func public @decode(
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
      %token: tensor<i32>, %position: tensor<i32>,
      %k: !k_cache {tf.aliasing_output = 2 : i32},
      %v: !v_cache {tf.aliasing_output = 3 : i32})
      -> (tensor<i32>, !last_logits, !k_cache, !v_cache) {
    %tokens = stablehlo.reshape %token : (tensor<i32>) -> tensor<1xi32>
    %first_slot = arith.constant 0 : index
    %position_value = tensor.extract %position[] : tensor<i32>
    // how many blocks the step reads: those of the positions before its farthest row's, one at least
    %farthest = arith.index_cast %position_value : i32 to index
    %block_size = arith.constant 64 : index
    %one_block = arith.constant 1 : index
    %blocks_held = arith.ceildivsi %farthest, %block_size : index
    %blocks_read = arith.maxsi %blocks_held, %one_block : index
    %blocks = util.assume.int %blocks_read<umin = 1, umax = 2> : index

    %positions = stablehlo.reshape %position : (tensor<i32>) -> tensor<1xi32>
    // a layer's index is opaque to the compiler, so that one compiled attention serves all
    %layer0_index = arith.constant 0 : index
    %layer0 = util.optimization_barrier %layer0_index : index
    %layer1_index = arith.constant 1 : index
    %layer1 = util.optimization_barrier %layer1_index : index

    %cos, %sin = call @rotary_angles(%positions) : (!tokens) -> (!angle, !angle)
    %past_each = stablehlo.broadcast_in_dim %positions, dims = [0] : (tensor<1xi32>) -> tensor<1x1xi32>
    %past = stablehlo.reshape %past_each : (tensor<1x1xi32>) -> !pasts
    %x0 = call @embedding(%embed, %embed_scales, %tokens) : (!embed, !embed_scales, !tokens) -> !hidden

    %x1, %new_k0, %new_v0 = call @layer(
        %x0, %layer0_attn_norm, %layer0_qkv, %layer0_qkv_scales, %layer0_qkv_bias, %layer0_o, %layer0_o_scales,
        %layer0_o_bias, %layer0_mlp_norm, %layer0_gate_up, %layer0_gate_up_scales, %layer0_down,
        %layer0_down_scales, %layer0, %first_slot, %cos, %sin, %past, %blocks, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !qkv_bias, !o, !o_scales, !o_bias, !norm, !gate_up, !gate_up_scales,
           !down, !down_scales, index, index, !angle, !angle, !pasts, index, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x2, %new_k1, %new_v1 = call @layer(
        %x1, %layer1_attn_norm, %layer1_qkv, %layer1_qkv_scales, %layer1_qkv_bias, %layer1_o, %layer1_o_scales,
        %layer1_o_bias, %layer1_mlp_norm, %layer1_gate_up, %layer1_gate_up_scales, %layer1_down,
        %layer1_down_scales, %layer1, %first_slot, %cos, %sin, %past, %blocks, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !qkv_bias, !o, !o_scales, !o_bias, !norm, !gate_up, !gate_up_scales,
           !down, !down_scales, index, index, !angle, !angle, !pasts, index, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)

    %normed = call @rms_norm(%x2, %final_norm) : (!hidden, !norm) -> !hidden
    %row_logits = call @head(%normed, %embed, %embed_scales) : (!hidden, !embed, !embed_scales) -> !logits
    %row_next = call @argmax(%row_logits) : (!logits) -> !next
    %next = stablehlo.reshape %row_next : (tensor<1xi32>) -> tensor<i32>
    %logits = stablehlo.reshape %row_logits : (!logits) -> !last_logits

    %k_out, %v_out = call @cache_write(%k, %v, %new_k0, %new_k1, %new_v0, %new_v1, %position)
        : (!k_cache, !v_cache, !new_k, !new_k, !new_v, !new_v, tensor<i32>)
        -> (!k_cache, !v_cache)
    return %next, %logits, %k_out, %v_out : tensor<i32>, !last_logits, !k_cache, !v_cache
  }

  // x + attention(norm(x)), then x + mlp(norm(x)).
  func.func private @layer(
      %x: !hidden, %attn_norm: !norm, %qkv: !qkv, %qkv_scales: !qkv_scales, %qkv_bias: !qkv_bias, %o: !o,
      %o_scales: !o_scales, %o_bias: !o_bias, %mlp_norm: !norm, %gate_up: !gate_up,
      %gate_up_scales: !gate_up_scales, %down: !down, %down_scales: !down_scales, %layer: index,
      %first_slot: index, %cos: !angle, %sin: !angle, %past: !pasts, %blocks: index, %k_cache: !k_cache,
      %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (!hidden, !norm) -> !hidden
    %attended, %new_k, %new_v = call @attention(
        %x_normed, %qkv, %qkv_scales, %qkv_bias, %o, %o_scales, %o_bias, %layer, %first_slot, %cos, %sin, %past,
        %blocks, %k_cache, %v_cache)
        : (!hidden, !qkv, !qkv_scales, !qkv_bias, !o, !o_scales, !o_bias, index, index, !angle, !angle, !pasts,
           index, !k_cache, !v_cache)
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

  // Attention: softmax over two parts, the cached keys and the step's own, by a common maximum.
  // Returns the new keys and values, too, which the step writes, those of all layers at once.
  func.func private @attention(
      %x: !hidden, %qkv: !qkv, %qkv_scales: !qkv_scales, %qkv_bias: !qkv_bias, %o: !o, %o_scales: !o_scales,
      %o_bias: !o_bias, %layer: index, %first_slot: index, %cos: !angle, %sin: !angle, %past: !pasts,
      %blocks: index, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %qkv_flat_sum_groups = stablehlo.reshape %qkv : (!qkv) -> tensor<6x2x32x16x1xi8>
    %qkv_flat_sum_integers = stablehlo.convert %qkv_flat_sum_groups
        : (tensor<6x2x32x16x1xi8>) -> tensor<6x2x32x16x1xf32>
    %qkv_flat_sum_scales = stablehlo.convert %qkv_scales
        : (!qkv_scales) -> tensor<6x2x16xf32>
    %qkv_flat_sum_each_scale = stablehlo.broadcast_in_dim %qkv_flat_sum_scales, dims = [0, 1, 3]
        : (tensor<6x2x16xf32>) -> tensor<6x2x32x16x1xf32>
    %qkv_flat_sum_values = stablehlo.multiply %qkv_flat_sum_integers, %qkv_flat_sum_each_scale : tensor<6x2x32x16x1xf32>
    %qkv_flat_sum_whole = stablehlo.reshape %qkv_flat_sum_values : (tensor<6x2x32x16x1xf32>) -> tensor<6x64x16x1xf32>

    %qkv_flat_sum_pad = arith.constant 0.0 : f32
    %qkv_flat_sum_room = tensor.empty() : !qkv_x_tiles
    %qkv_flat_sum_tiles = linalg.pack %x padding_value(%qkv_flat_sum_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [1, 1] into %qkv_flat_sum_room : tensor<1x64xf32> -> !qkv_x_tiles
    %qkv_flat_sum_zero = arith.constant 0.0 : f32
    %qkv_flat_sum_empty = tensor.empty() : !qkv_y_tiles
    %qkv_flat_sum_zeros = linalg.fill ins(%qkv_flat_sum_zero : f32)
        outs(%qkv_flat_sum_empty : !qkv_y_tiles) -> !qkv_y_tiles
    %qkv_flat_sum_sums = linalg.mmt4d
        ins(%qkv_flat_sum_tiles, %qkv_flat_sum_whole : !qkv_x_tiles, tensor<6x64x16x1xf32>)
        outs(%qkv_flat_sum_zeros : !qkv_y_tiles) -> !qkv_y_tiles
    %qkv_flat_sum_flat = tensor.empty() : !qkv_row
    %qkv_flat_sum = linalg.unpack %qkv_flat_sum_sums inner_dims_pos = [0, 1] inner_tiles = [1, 16]
        into %qkv_flat_sum_flat : !qkv_y_tiles -> !qkv_row
    %qkv_flat_shift = stablehlo.broadcast_in_dim %qkv_bias, dims = [1] : (tensor<96xf32>) -> !qkv_row
    %qkv_flat = stablehlo.add %qkv_flat_sum, %qkv_flat_shift : !qkv_row
    %q_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<1x6x2x8xf32>
    %q_flat_part = stablehlo.slice %q_flat_of_all [0:1, 0:4, 0:2, 0:8]
        : (tensor<1x6x2x8xf32>) -> tensor<1x4x2x8xf32>
    %q_flat = stablehlo.reshape %q_flat_part : (tensor<1x4x2x8xf32>) -> !q_row
    %k_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<1x6x2x8xf32>
    %k_flat_part = stablehlo.slice %k_flat_of_all [0:1, 4:5, 0:2, 0:8]
        : (tensor<1x6x2x8xf32>) -> tensor<1x1x2x8xf32>
    %k_flat = stablehlo.reshape %k_flat_part : (tensor<1x1x2x8xf32>) -> !k_row
    %v_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<1x6x16xf32>
    %v_flat_part = stablehlo.slice %v_flat_of_all [0:1, 5:6, 0:16]
        : (tensor<1x6x16xf32>) -> tensor<1x1x16xf32>
    %v_flat = stablehlo.reshape %v_flat_part : (tensor<1x1x16xf32>) -> !k_row

    %q_turned = call @rotary_q(%q_flat, %cos, %sin) : (!q_row, !angle, !angle) -> !q_row
    %k_turned = call @rotary_k(%k_flat, %cos, %sin) : (!k_row, !angle, !angle) -> !k_row

    // queries [slots, kv_heads, group · new, head_dim], keys and values [slots, kv_heads, new, head_dim];
    // group: the query heads of a kv head, new: the step's tokens of a slot
    %q_heads = stablehlo.reshape %q_turned : (!q_row) -> !q_heads
    %k_heads = stablehlo.reshape %k_turned : (!k_row) -> !new_heads
    %v_heads = stablehlo.reshape %v_flat : (!k_row) -> !new_heads
    %scale = stablehlo.constant dense<0.25> : !q_heads
    %q_scaled = stablehlo.multiply %q_heads, %scale : !q_heads

    // slots and kv_heads as one dimension b; g: query, n: block, j: position in a block, d: head_dim
    %q_lanes = stablehlo.reshape %q_scaled : (!q_heads) -> !queries
    %k_new = stablehlo.reshape %k_heads : (!new_heads) -> !new
    %kv_heads = arith.constant 1 : index
    %first = arith.muli %first_slot, %kv_heads : index
    %k_all = stablehlo.reshape %k_cache : (!k_cache) -> !k_lanes
    %k_past = tensor.extract_slice %k_all[%layer, %first, 0, 0, 0]
        [1, 1, %blocks, 16, 64] [1, 1, 1, 1, 1] : !k_lanes to !k_past
    %v_all = stablehlo.reshape %v_cache : (!v_cache) -> !v_lanes
    %v_past = tensor.extract_slice %v_all[%layer, %first, 0, 0, 0]
        [1, 1, %blocks, 64, 16] [1, 1, 1, 1, 1] : !v_lanes to !v_past

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
    %k_each = stablehlo.broadcast_in_dim %k_new, dims = [0, 1, 2] : (!new) -> !queries
    %own_products = stablehlo.multiply %q_lanes, %k_each : !queries
    %own_max = stablehlo.reduce(%own_products init: %own_none) applies stablehlo.add across dimensions = [2]
        : (!queries, tensor<f32>) -> !each_lane

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
    %own_below = stablehlo.subtract %own_max, %max : !each_lane
    %own_sum = stablehlo.exponential %own_below : !each_lane
    %own_sums = stablehlo.reshape %own_sum : (!each_lane) -> tensor<1x1x4xf32>
    %own_weights = stablehlo.broadcast_in_dim %own_sums, dims = [0, 1, 2] : (tensor<1x1x4xf32>) -> !q_heads
    %v_each = stablehlo.broadcast_in_dim %v_heads, dims = [0, 1, 2, 3] : (!new_heads) -> !q_heads
    %own_parts = stablehlo.multiply %own_weights, %v_each : !q_heads
    %own_out = stablehlo.reshape %own_parts : (!q_heads) -> !queries
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
    %weighted = linalg.generic {
        indexing_maps = [
            affine_map<(b, g, d, n) -> (b, n, g, d)>,
            affine_map<(b, g, d, n) -> (b, g, d)>],
        iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
        ins(%partial : !partial) outs(%own_out : !queries) {
    ^bb0(%part: f32, %total: f32):
      %next = arith.addf %total, %part : f32
      linalg.yield %next : f32
    } -> !queries
    %sums = stablehlo.broadcast_in_dim %sum, dims = [0, 1] : (!each_lane) -> !queries
    %lanes_out = stablehlo.divide %weighted, %sums : !queries
    %heads_out = stablehlo.reshape %lanes_out : (!queries) -> !q_heads

    %flat_out = stablehlo.reshape %heads_out : (!q_heads) -> !q_row
    %new_k = stablehlo.reshape %k_heads : (tensor<1x1x1x16xf32>) -> !new_k
    %new_v = stablehlo.reshape %v_heads : (tensor<1x1x1x16xf32>) -> !new_v
    %y_sum_groups = stablehlo.reshape %o : (!o) -> tensor<4x2x32x16x1xi8>
    %y_sum_integers = stablehlo.convert %y_sum_groups
        : (tensor<4x2x32x16x1xi8>) -> tensor<4x2x32x16x1xf32>
    %y_sum_scales = stablehlo.convert %o_scales
        : (!o_scales) -> tensor<4x2x16xf32>
    %y_sum_each_scale = stablehlo.broadcast_in_dim %y_sum_scales, dims = [0, 1, 3]
        : (tensor<4x2x16xf32>) -> tensor<4x2x32x16x1xf32>
    %y_sum_values = stablehlo.multiply %y_sum_integers, %y_sum_each_scale : tensor<4x2x32x16x1xf32>
    %y_sum_whole = stablehlo.reshape %y_sum_values : (tensor<4x2x32x16x1xf32>) -> tensor<4x64x16x1xf32>

    %y_sum_pad = arith.constant 0.0 : f32
    %y_sum_room = tensor.empty() : !o_x_tiles
    %y_sum_tiles = linalg.pack %flat_out padding_value(%y_sum_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [1, 1] into %y_sum_room : tensor<1x64xf32> -> !o_x_tiles
    %y_sum_zero = arith.constant 0.0 : f32
    %y_sum_empty = tensor.empty() : !o_y_tiles
    %y_sum_zeros = linalg.fill ins(%y_sum_zero : f32)
        outs(%y_sum_empty : !o_y_tiles) -> !o_y_tiles
    %y_sum_sums = linalg.mmt4d
        ins(%y_sum_tiles, %y_sum_whole : !o_x_tiles, tensor<4x64x16x1xf32>)
        outs(%y_sum_zeros : !o_y_tiles) -> !o_y_tiles
    %y_sum_flat = tensor.empty() : !hidden
    %y_sum = linalg.unpack %y_sum_sums inner_dims_pos = [0, 1] inner_tiles = [1, 16]
        into %y_sum_flat : !o_y_tiles -> !hidden
    %y_shift = stablehlo.broadcast_in_dim %o_bias, dims = [1] : (tensor<64xf32>) -> !hidden
    %y = stablehlo.add %y_sum, %y_shift : !hidden
    return %y, %new_k, %new_v : !hidden, !new_k, !new_v
  }

  // cos and ∓sin of position · frequency, laid over a head's two halves: [rows, 2, head_dim / 2].
  func.func private @rotary_angles(%positions: !tokens) -> (!angle, !angle) {
    // theta^(-2i / head_dim), theta 10000: radians a position
    %frequency = stablehlo.constant dense<[
        1.0, 0.31622776, 0.1, 0.031622775, 0.01, 0.0031622776, 0.001, 0.00031622776]> : tensor<8xf32>
    %sign = stablehlo.constant dense<[-1.0, 1.0]> : tensor<2xf32>
    %position = stablehlo.convert %positions : (!tokens) -> tensor<1xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<1xf32>) -> !angles
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

  // down(silu(gate(x)) · up(x))
  func.func private @mlp(
      %x: !hidden, %gate_up: !gate_up, %gate_up_scales: !gate_up_scales, %down: !down, %down_scales: !down_scales)
      -> !hidden {
    %both_groups = stablehlo.reshape %gate_up : (!gate_up) -> tensor<13x2x32x16x1xi8>
    %both_integers = stablehlo.convert %both_groups
        : (tensor<13x2x32x16x1xi8>) -> tensor<13x2x32x16x1xf32>
    %both_scales = stablehlo.convert %gate_up_scales
        : (!gate_up_scales) -> tensor<13x2x16xf32>
    %both_each_scale = stablehlo.broadcast_in_dim %both_scales, dims = [0, 1, 3]
        : (tensor<13x2x16xf32>) -> tensor<13x2x32x16x1xf32>
    %both_values = stablehlo.multiply %both_integers, %both_each_scale : tensor<13x2x32x16x1xf32>
    %both_whole = stablehlo.reshape %both_values : (tensor<13x2x32x16x1xf32>) -> tensor<13x64x16x1xf32>

    %both_pad = arith.constant 0.0 : f32
    %both_room = tensor.empty() : !gate_up_x_tiles
    %both_tiles = linalg.pack %x padding_value(%both_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [1, 1] into %both_room : tensor<1x64xf32> -> !gate_up_x_tiles
    %both_zero = arith.constant 0.0 : f32
    %both_empty = tensor.empty() : !gate_up_y_tiles
    %both_zeros = linalg.fill ins(%both_zero : f32)
        outs(%both_empty : !gate_up_y_tiles) -> !gate_up_y_tiles
    %both_sums = linalg.mmt4d
        ins(%both_tiles, %both_whole : !gate_up_x_tiles, tensor<13x64x16x1xf32>)
        outs(%both_zeros : !gate_up_y_tiles) -> !gate_up_y_tiles
    %both_flat = tensor.empty() : !gate_up_row
    %both = linalg.unpack %both_sums inner_dims_pos = [0, 1] inner_tiles = [1, 16]
        into %both_flat : !gate_up_y_tiles -> !gate_up_row
    %gated = stablehlo.slice %both [0:1, 0:100] : (!gate_up_row) -> !inner
    %raised = stablehlo.slice %both [0:1, 100:200] : (!gate_up_row) -> !inner

    %sigmoid = stablehlo.logistic %gated : !inner
    %activated = stablehlo.multiply %gated, %sigmoid : !inner
    %inner = stablehlo.multiply %activated, %raised : !inner
    %y_groups = stablehlo.reshape %down : (!down) -> tensor<4x4x32x16x1xi8>
    %y_integers = stablehlo.convert %y_groups
        : (tensor<4x4x32x16x1xi8>) -> tensor<4x4x32x16x1xf32>
    %y_scales = stablehlo.convert %down_scales
        : (!down_scales) -> tensor<4x4x16xf32>
    %y_each_scale = stablehlo.broadcast_in_dim %y_scales, dims = [0, 1, 3]
        : (tensor<4x4x16xf32>) -> tensor<4x4x32x16x1xf32>
    %y_values = stablehlo.multiply %y_integers, %y_each_scale : tensor<4x4x32x16x1xf32>
    %y_whole = stablehlo.reshape %y_values : (tensor<4x4x32x16x1xf32>) -> tensor<4x128x16x1xf32>
    %y_w = stablehlo.slice %y_whole [0:4, 0:100, 0:16, 0:1] : (tensor<4x128x16x1xf32>) -> tensor<4x100x16x1xf32>

    %y_pad = arith.constant 0.0 : f32
    %y_room = tensor.empty() : !down_x_tiles
    %y_tiles = linalg.pack %inner padding_value(%y_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [1, 1] into %y_room : tensor<1x100xf32> -> !down_x_tiles
    %y_zero = arith.constant 0.0 : f32
    %y_empty = tensor.empty() : !down_y_tiles
    %y_zeros = linalg.fill ins(%y_zero : f32)
        outs(%y_empty : !down_y_tiles) -> !down_y_tiles
    %y_sums = linalg.mmt4d
        ins(%y_tiles, %y_w : !down_x_tiles, tensor<4x100x16x1xf32>)
        outs(%y_zeros : !down_y_tiles) -> !down_y_tiles
    %y_flat = tensor.empty() : !hidden
    %y = linalg.unpack %y_sums inner_dims_pos = [0, 1] inner_tiles = [1, 16]
        into %y_flat : !down_y_tiles -> !hidden
    return %y : !hidden
  }

  // Row `token` of the table for each token.
  func.func private @embedding(%embed: !embed, %embed_scales: !embed_scales, %tokens: !tokens) -> !hidden {
    %x_n = stablehlo.constant dense<16> : !tokens
    %x_tile = stablehlo.divide %tokens, %x_n : !tokens
    %x_within = stablehlo.remainder %tokens, %x_n : !tokens
    %x_tiles = stablehlo.reshape %x_tile : (!tokens) -> tensor<1x1xi32>
    %x_rows = stablehlo.reshape %x_within : (!tokens) -> tensor<1x1xi32>
    %x_at = stablehlo.concatenate %x_tiles, %x_rows, dim = 1
        : (tensor<1x1xi32>, tensor<1x1xi32>) -> tensor<1x2xi32>
    %x_tile_row = "stablehlo.gather"(%embed, %x_at) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1, 2, 3, 4], start_index_map = [0, 2], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 64, 1, 1>, indices_are_sorted = false}>
        : (!embed, tensor<1x2xi32>) -> tensor<1x1x64x1x1xi8>
    %x_row = stablehlo.reshape %x_tile_row : (tensor<1x1x64x1x1xi8>) -> tensor<1x64xi8>
    %x_tile_scales = "stablehlo.gather"(%embed_scales, %x_at) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1, 2, 3], start_index_map = [0, 2], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 2, 1>, indices_are_sorted = false}>
        : (!embed_scales, tensor<1x2xi32>) -> tensor<1x1x2x1xf16>
    %x_row_scales = stablehlo.reshape %x_tile_scales : (tensor<1x1x2x1xf16>) -> tensor<1x2xf16>
    %x_groups = stablehlo.reshape %x_row : (tensor<1x64xi8>) -> tensor<1x2x32xi8>
    %x_integers = stablehlo.convert %x_groups
        : (tensor<1x2x32xi8>) -> tensor<1x2x32xf32>
    %x_scales = stablehlo.convert %x_row_scales
        : (tensor<1x2xf16>) -> tensor<1x2xf32>
    %x_each_scale = stablehlo.broadcast_in_dim %x_scales, dims = [0, 1]
        : (tensor<1x2xf32>) -> tensor<1x2x32xf32>
    %x_values = stablehlo.multiply %x_integers, %x_each_scale : tensor<1x2x32xf32>
    %x = stablehlo.reshape %x_values : (tensor<1x2x32xf32>) -> tensor<1x64xf32>
    return %x : !hidden
  }

  // Logits over the vocabulary.
  func.func private @head(%x: !hidden, %embed: !embed, %embed_scales: !embed_scales) -> !logits {
    %logits_groups = stablehlo.reshape %embed : (!embed) -> tensor<21x2x32x16x1xi8>
    %logits_integers = stablehlo.convert %logits_groups
        : (tensor<21x2x32x16x1xi8>) -> tensor<21x2x32x16x1xf32>
    %logits_scales = stablehlo.convert %embed_scales
        : (!embed_scales) -> tensor<21x2x16xf32>
    %logits_each_scale = stablehlo.broadcast_in_dim %logits_scales, dims = [0, 1, 3]
        : (tensor<21x2x16xf32>) -> tensor<21x2x32x16x1xf32>
    %logits_values = stablehlo.multiply %logits_integers, %logits_each_scale : tensor<21x2x32x16x1xf32>
    %logits_whole = stablehlo.reshape %logits_values : (tensor<21x2x32x16x1xf32>) -> tensor<21x64x16x1xf32>

    %logits_pad = arith.constant 0.0 : f32
    %logits_room = tensor.empty() : !embed_x_tiles
    %logits_tiles = linalg.pack %x padding_value(%logits_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [1, 1] into %logits_room : tensor<1x64xf32> -> !embed_x_tiles
    %logits_zero = arith.constant 0.0 : f32
    %logits_empty = tensor.empty() : !embed_y_tiles
    %logits_zeros = linalg.fill ins(%logits_zero : f32)
        outs(%logits_empty : !embed_y_tiles) -> !embed_y_tiles
    %logits_sums = linalg.mmt4d
        ins(%logits_tiles, %logits_whole : !embed_x_tiles, tensor<21x64x16x1xf32>)
        outs(%logits_zeros : !embed_y_tiles) -> !embed_y_tiles
    %logits_flat = tensor.empty() : !logits
    %logits = linalg.unpack %logits_sums inner_dims_pos = [0, 1] inner_tiles = [1, 16]
        into %logits_flat : !embed_y_tiles -> !logits
    return %logits : !logits
  }

  // The lowest index that holds a row's maximum.
  func.func private @argmax(%logits: !logits) -> !next {
    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %past_end = stablehlo.constant dense<331> : tensor<i32>
    %max = stablehlo.reduce(%logits init: %minus_inf) applies stablehlo.maximum across dimensions = [1]
        : (!logits, tensor<f32>) -> tensor<1xf32>
    %maxes = stablehlo.broadcast_in_dim %max, dims = [0] : (tensor<1xf32>) -> !logits
    %is_max = stablehlo.compare EQ, %logits, %maxes : (!logits, !logits) -> tensor<1x331xi1>
    %index = stablehlo.iota dim = 1 : !vocab_index
    %past_ends = stablehlo.broadcast_in_dim %past_end, dims = [] : (tensor<i32>) -> !vocab_index
    %candidates = stablehlo.select %is_max, %index, %past_ends : tensor<1x331xi1>, !vocab_index
    %lowest = stablehlo.reduce(%candidates init: %past_end) applies stablehlo.minimum across dimensions = [1]
        : (!vocab_index, tensor<i32>) -> !next
    return %lowest : !next
  }

  // The new keys and values of slot 0 at `position`.
  func.func private @cache_write(
      %k: !k_cache, %v: !v_cache, %new_k0: !new_k, %new_k1: !new_k, %new_v0: !new_v, %new_v1: !new_v,
      %position: tensor<i32>)
      -> (!k_cache, !v_cache) {
    %keys = stablehlo.concatenate
        %new_k0, %new_k1, dim = 0
        : (!new_k, !new_k) -> !new_keys
    %values = stablehlo.concatenate
        %new_v0, %new_v1, dim = 0
        : (!new_v, !new_v) -> !new_values
    %block_size = arith.constant 64 : index
    %at = tensor.extract %position[] : tensor<i32>
    %index = arith.index_cast %at : i32 to index
    %block_out = arith.divui %index, %block_size : index
    %within_out = arith.remui %index, %block_size : index
    %k_row_out = stablehlo.reshape %keys : (!new_keys) -> !keys_at
    %v_row_out = stablehlo.reshape %values : (!new_values) -> !values_at
    %k_out = tensor.insert_slice %k_row_out into %k[0, 0, 0, %block_out, 0, %within_out]
        [2, 1, 1, 1, 16, 1] [1, 1, 1, 1, 1, 1] : !keys_at into !k_cache
    %v_out = tensor.insert_slice %v_row_out into %v[0, 0, 0, %block_out, %within_out, 0]
        [2, 1, 1, 1, 1, 16] [1, 1, 1, 1, 1, 1] : !values_at into !v_cache
    return %k_out, %v_out : !k_cache, !v_cache
  }
}

// prefill · llama, tied · 2 layers, hidden 64, 4/1 heads of 16 · context 64, 4 slots, chunk 16 · exact, q8

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
!tokens = tensor<16xi32>
!k_cache = tensor<2x4x1x2x16x64xf32>
!v_cache = tensor<2x4x1x2x64x16xf32>
!last_logits = tensor<331xf32>
!angle = tensor<16x2x8xf32>
!pasts = tensor<1xi32>
!causal_mask = tensor<64x16xi1>
!hidden = tensor<16x64xf32>
!new_k = tensor<1x1x1x16x16xf32>
!new_v = tensor<1x1x1x16x16xf32>
!last_hidden = tensor<1x64xf32>
!logits = tensor<1x331xf32>
!next = tensor<1xi32>
!column = tensor<16x1xf32>
!each_row = tensor<16xf32>
!norm_f32 = tensor<64xf32>
!rows = tensor<16x64xf32>
!product_rows_3 = tensor<16x96xf32>
!qkv_row = tensor<16x96xf32>
!q_row = tensor<16x64xf32>
!k_row = tensor<16x16xf32>
!q_heads = tensor<1x1x64x16xf32>
!new_heads = tensor<1x1x16x16xf32>
!queries = tensor<1x64x16xf32>
!new = tensor<1x16x16xf32>
!k_lanes = tensor<2x4x2x16x64xf32>
!k_past = tensor<1x?x16x64xf32>
!v_lanes = tensor<2x4x2x64x16xf32>
!v_past = tensor<1x?x64x16xf32>
!scores = tensor<1x64x?x64xf32>
!own_lane_scores = tensor<1x64x16xf32>
!each_lane = tensor<1x64xf32>
!partial = tensor<1x?x64x16xf32>
!new_columns = tensor<1x1x16x16xf32>
!product_rows_4 = tensor<16x64xf32>
!angles = tensor<16x8xf32>
!q_pairs = tensor<16x4x2x8xf32>
!k_pairs = tensor<16x1x2x8xf32>
!pairs = tensor<4x16x16xi32>
!product_rows_5 = tensor<16x224xf32>
!gate_up_row = tensor<16x224xf32>
!inner = tensor<16x100xf32>
!rows_3 = tensor<16x112xf32>
!rows_2 = tensor<1x64xf32>
!product_rows_2 = tensor<1x336xf32>
!vocab_index = tensor<1x331xi32>
!new_keys = tensor<2x1x1x16x16xf32>
!new_values = tensor<2x1x1x16x16xf32>
!key_padded = tensor<2x1x1x16x256xf32>
!key_moved = tensor<2x1x1x16x128xf32>
!key_split = tensor<2x1x1x16x2x64xf32>
!key_blocks = tensor<2x1x1x2x16x64xf32>
!key_index = tensor<2x1x1x2x16x64xi32>
!key_flag = tensor<2x1x1x2x16x64xi1>
!value_padded = tensor<2x1x1x256x16xf32>
!value_moved = tensor<2x1x1x128x16xf32>
!value_blocks = tensor<2x1x1x2x64x16xf32>
!value_index = tensor<2x1x1x2x64x16xi32>
!value_flag = tensor<2x1x1x2x64x16xi1>

module @prefill {
  // `length` tokens of `slot` from position `start`; the logits are the last one's.
  func.func public @prefill(
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
    %blocks = util.assume.int %blocks_read<umin = 1, umax = 2> : index

    %starts_at = stablehlo.reshape %start : (tensor<i32>) -> tensor<1xi32>
    // a layer's index is opaque to the compiler, so that one compiled attention serves all
    %layer0_index = arith.constant 0 : index
    %layer0 = util.optimization_barrier %layer0_index : index
    %layer1_index = arith.constant 1 : index
    %layer1 = util.optimization_barrier %layer1_index : index

    %cos, %sin = call @rotary_angles(%positions) : (!tokens) -> (!angle, !angle)
    %past_each = stablehlo.broadcast_in_dim %starts_at, dims = [0] : (tensor<1xi32>) -> tensor<1x1xi32>
    %past = stablehlo.reshape %past_each : (tensor<1x1xi32>) -> !pasts
    %causal_mask = call @causal_mask() : () -> !causal_mask
    %x0 = call @embedding(%embed, %embed_scales, %tokens) : (!embed, !embed_scales, !tokens) -> !hidden

    %x1, %new_k0, %new_v0 = call @layer(
        %x0, %layer0_attn_norm, %layer0_qkv, %layer0_qkv_scales, %layer0_qkv_bias, %layer0_o, %layer0_o_scales,
        %layer0_o_bias, %layer0_mlp_norm, %layer0_gate_up, %layer0_gate_up_scales, %layer0_down,
        %layer0_down_scales, %layer0, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !qkv_bias, !o, !o_scales, !o_bias, !norm, !gate_up, !gate_up_scales,
           !down, !down_scales, index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x2, %new_k1, %new_v1 = call @layer(
        %x1, %layer1_attn_norm, %layer1_qkv, %layer1_qkv_scales, %layer1_qkv_bias, %layer1_o, %layer1_o_scales,
        %layer1_o_bias, %layer1_mlp_norm, %layer1_gate_up, %layer1_gate_up_scales, %layer1_down,
        %layer1_down_scales, %layer1, %first_slot, %cos, %sin, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !qkv_scales, !qkv_bias, !o, !o_scales, !o_bias, !norm, !gate_up, !gate_up_scales,
           !down, !down_scales, index, index, !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)

    %normed = call @rms_norm(%x2, %final_norm) : (!hidden, !norm) -> !hidden
    %normed_last = tensor.extract_slice %normed[%last, 0] [1, 64] [1, 1] : !hidden to !last_hidden
    %row_logits = call @head(%normed_last, %embed, %embed_scales) : (!last_hidden, !embed, !embed_scales) -> !logits
    %row_next = call @argmax(%row_logits) : (!logits) -> !next
    %next = stablehlo.reshape %row_next : (tensor<1xi32>) -> tensor<i32>
    %logits = stablehlo.reshape %row_logits : (!logits) -> !last_logits

    %k_out, %v_out = call @cache_write(%k, %v, %new_k0, %new_k1, %new_v0, %new_v1, %slot, %start, %length)
        : (!k_cache, !v_cache, !new_k, !new_k, !new_v, !new_v, tensor<i32>, tensor<i32>, tensor<i32>)
        -> (!k_cache, !v_cache)
    return %next, %logits, %k_out, %v_out : tensor<i32>, !last_logits, !k_cache, !v_cache
  }

  // x + attention(norm(x)), then x + mlp(norm(x)).
  func.func private @layer(
      %x: !hidden, %attn_norm: !norm, %qkv: !qkv, %qkv_scales: !qkv_scales, %qkv_bias: !qkv_bias, %o: !o,
      %o_scales: !o_scales, %o_bias: !o_bias, %mlp_norm: !norm, %gate_up: !gate_up,
      %gate_up_scales: !gate_up_scales, %down: !down, %down_scales: !down_scales, %layer: index,
      %first_slot: index, %cos: !angle, %sin: !angle, %past: !pasts, %blocks: index, %causal: !causal_mask,
      %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (!hidden, !norm) -> !hidden
    %attended, %new_k, %new_v = call @attention(
        %x_normed, %qkv, %qkv_scales, %qkv_bias, %o, %o_scales, %o_bias, %layer, %first_slot, %cos, %sin, %past,
        %blocks, %causal, %k_cache, %v_cache)
        : (!hidden, !qkv, !qkv_scales, !qkv_bias, !o, !o_scales, !o_bias, index, index, !angle, !angle, !pasts,
           index, !causal_mask, !k_cache, !v_cache)
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
      %blocks: index, %causal: !causal_mask, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %qkv_flat_sum = flow.dispatch @rows16_6x64_f32::@rows16_6x64_f32(%x, %qkv, %qkv_scales)
        : (!rows, !qkv, !qkv_scales)
        -> !product_rows_3
    %qkv_flat_shift = stablehlo.broadcast_in_dim %qkv_bias, dims = [1] : (tensor<96xf32>) -> !qkv_row
    %qkv_flat = stablehlo.add %qkv_flat_sum, %qkv_flat_shift : !qkv_row
    %q_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<16x6x2x8xf32>
    %q_flat_part = stablehlo.slice %q_flat_of_all [0:16, 0:4, 0:2, 0:8]
        : (tensor<16x6x2x8xf32>) -> tensor<16x4x2x8xf32>
    %q_flat = stablehlo.reshape %q_flat_part : (tensor<16x4x2x8xf32>) -> !q_row
    %k_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<16x6x2x8xf32>
    %k_flat_part = stablehlo.slice %k_flat_of_all [0:16, 4:5, 0:2, 0:8]
        : (tensor<16x6x2x8xf32>) -> tensor<16x1x2x8xf32>
    %k_flat = stablehlo.reshape %k_flat_part : (tensor<16x1x2x8xf32>) -> !k_row
    %v_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<16x6x16xf32>
    %v_flat_part = stablehlo.slice %v_flat_of_all [0:16, 5:6, 0:16]
        : (tensor<16x6x16xf32>) -> tensor<16x1x16xf32>
    %v_flat = stablehlo.reshape %v_flat_part : (tensor<16x1x16xf32>) -> !k_row

    %q_turned = call @rotary_q(%q_flat, %cos, %sin) : (!q_row, !angle, !angle) -> !q_row
    %k_turned = call @rotary_k(%k_flat, %cos, %sin) : (!k_row, !angle, !angle) -> !k_row

    // queries [slots, kv_heads, group · new, head_dim], keys and values [slots, kv_heads, new, head_dim];
    // group: the query heads of a kv head, new: the step's tokens of a slot
    %q_rows = stablehlo.reshape %q_turned : (!q_row) -> tensor<16x4x16xf32>
    %q_by_head = stablehlo.transpose %q_rows, dims = [1, 0, 2] : (tensor<16x4x16xf32>) -> tensor<4x16x16xf32>
    %q_heads = stablehlo.reshape %q_by_head : (tensor<4x16x16xf32>) -> !q_heads
    %k_rows = stablehlo.reshape %k_turned : (!k_row) -> tensor<16x1x16xf32>
    %k_by_head = stablehlo.transpose %k_rows, dims = [1, 0, 2] : (tensor<16x1x16xf32>) -> tensor<1x16x16xf32>
    %k_heads = stablehlo.reshape %k_by_head : (tensor<1x16x16xf32>) -> !new_heads
    %v_rows = stablehlo.reshape %v_flat : (!k_row) -> tensor<16x1x16xf32>
    %v_by_head = stablehlo.transpose %v_rows, dims = [1, 0, 2] : (tensor<16x1x16xf32>) -> tensor<1x16x16xf32>
    %v_heads = stablehlo.reshape %v_by_head : (tensor<1x16x16xf32>) -> !new_heads
    %scale = stablehlo.constant dense<0.25> : !q_heads
    %q_scaled = stablehlo.multiply %q_heads, %scale : !q_heads

    // slots and kv_heads as one dimension b; g: query, n: block, j: position in a block, d: head_dim
    %q_lanes = stablehlo.reshape %q_scaled : (!q_heads) -> !queries
    %k_new = stablehlo.reshape %k_heads : (!new_heads) -> !new
    %v_new = stablehlo.reshape %v_heads : (!new_heads) -> !new
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
    %own_raw = stablehlo.dot_general %q_lanes, %k_new,
        batching_dims = [0] x [0], contracting_dims = [2] x [2]
        : (!queries, !new) -> !own_lane_scores
    %own_seen = stablehlo.broadcast_in_dim %causal, dims = [1, 2] : (!causal_mask) -> tensor<1x64x16xi1>
    %own_hidden = stablehlo.broadcast_in_dim %own_lowest, dims = [] : (tensor<f32>) -> !own_lane_scores
    %own = stablehlo.select %own_seen, %own_raw, %own_hidden : tensor<1x64x16xi1>, !own_lane_scores
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

    %out_by_head = stablehlo.reshape %heads_out : (!q_heads) -> tensor<4x16x16xf32>
    %out_rows = stablehlo.transpose %out_by_head, dims = [1, 0, 2] : (tensor<4x16x16xf32>) -> tensor<16x4x16xf32>
    %flat_out = stablehlo.reshape %out_rows : (tensor<16x4x16xf32>) -> !q_row
    %k_columns = stablehlo.transpose %k_heads, dims = [0, 1, 3, 2] : (tensor<1x1x16x16xf32>) -> !new_columns
    %new_k = stablehlo.reshape %k_columns : (!new_columns) -> !new_k
    %new_v = stablehlo.reshape %v_heads : (tensor<1x1x16x16xf32>) -> !new_v
    %y_sum = flow.dispatch @rows16_4x64_f32::@rows16_4x64_f32(%flat_out, %o, %o_scales)
        : (!rows, !o, !o_scales)
        -> !product_rows_4
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
    %seen = stablehlo.compare LE, %key, %query : (!pairs, !pairs) -> tensor<4x16x16xi1>
    %mask = stablehlo.reshape %seen : (tensor<4x16x16xi1>) -> !causal_mask
    return %mask : !causal_mask
  }

  // down(silu(gate(x)) · up(x))
  func.func private @mlp(
      %x: !hidden, %gate_up: !gate_up, %gate_up_scales: !gate_up_scales, %down: !down, %down_scales: !down_scales)
      -> !hidden {
    %both = flow.dispatch @rows16_14x64_f32::@rows16_14x64_f32(%x, %gate_up, %gate_up_scales)
        : (!rows, !gate_up, !gate_up_scales)
        -> !product_rows_5
    %gated_pairs = stablehlo.reshape %both : (!gate_up_row) -> tensor<16x7x2x16xf32>
    %gated_each = stablehlo.slice %gated_pairs [0:16, 0:7, 0:1, 0:16]
        : (tensor<16x7x2x16xf32>) -> tensor<16x7x1x16xf32>
    %gated_padded = stablehlo.reshape %gated_each : (tensor<16x7x1x16xf32>) -> tensor<16x112xf32>
    %gated = stablehlo.slice %gated_padded [0:16, 0:100] : (tensor<16x112xf32>) -> !inner

    %raised_pairs = stablehlo.reshape %both : (!gate_up_row) -> tensor<16x7x2x16xf32>
    %raised_each = stablehlo.slice %raised_pairs [0:16, 0:7, 1:2, 0:16]
        : (tensor<16x7x2x16xf32>) -> tensor<16x7x1x16xf32>
    %raised_padded = stablehlo.reshape %raised_each : (tensor<16x7x1x16xf32>) -> tensor<16x112xf32>
    %raised = stablehlo.slice %raised_padded [0:16, 0:100] : (tensor<16x112xf32>) -> !inner


    %sigmoid = stablehlo.logistic %gated : !inner
    %activated = stablehlo.multiply %gated, %sigmoid : !inner
    %inner = stablehlo.multiply %activated, %raised : !inner
    %y_zero = stablehlo.constant dense<0.0> : tensor<f32>
    %y_in = stablehlo.pad %inner, %y_zero, low = [0, 0], high = [0, 12], interior = [0, 0]
        : (!inner, tensor<f32>) -> !rows_3
    %y = flow.dispatch @rows16_4x100_f32::@rows16_4x100_f32(%y_in, %down, %down_scales)
        : (!rows_3, !down, !down_scales)
        -> !product_rows_4
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
    %x_tile_row = "stablehlo.gather"(%embed, %x_at) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1, 2, 3, 4], start_index_map = [0, 2], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 16, 1, 4>, indices_are_sorted = false}>
        : (!embed, tensor<16x2xi32>) -> tensor<16x1x16x1x4xi8>
    %x_row = stablehlo.reshape %x_tile_row : (tensor<16x1x16x1x4xi8>) -> tensor<16x64xi8>
    %x_tile_scales = "stablehlo.gather"(%embed_scales, %x_at) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1, 2, 3], start_index_map = [0, 2], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 2, 1>, indices_are_sorted = false}>
        : (!embed_scales, tensor<16x2xi32>) -> tensor<16x1x2x1xf16>
    %x_row_scales = stablehlo.reshape %x_tile_scales : (tensor<16x1x2x1xf16>) -> tensor<16x2xf16>
    %x_groups = stablehlo.reshape %x_row : (tensor<16x64xi8>) -> tensor<16x2x32xi8>
    %x_integers = stablehlo.convert %x_groups
        : (tensor<16x2x32xi8>) -> tensor<16x2x32xf32>
    %x_scales = stablehlo.convert %x_row_scales
        : (tensor<16x2xf16>) -> tensor<16x2xf32>
    %x_each_scale = stablehlo.broadcast_in_dim %x_scales, dims = [0, 1]
        : (tensor<16x2xf32>) -> tensor<16x2x32xf32>
    %x_values = stablehlo.multiply %x_integers, %x_each_scale : tensor<16x2x32xf32>
    %x = stablehlo.reshape %x_values : (tensor<16x2x32xf32>) -> tensor<16x64xf32>
    return %x : !hidden
  }

  // Logits over the vocabulary.
  func.func private @head(%x: !last_hidden, %embed: !embed, %embed_scales: !embed_scales) -> !logits {
    %logits_padded = flow.dispatch @rows1_21x64_f32::@rows1_21x64_f32(%x, %embed, %embed_scales)
        : (!rows_2, !embed, !embed_scales)
        -> !product_rows_2
    %logits = stablehlo.slice %logits_padded [0:1, 0:331] : (!product_rows_2) -> !logits
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

  // The new keys and values of `slot`, at start..start+length-1 and nowhere else.
  func.func private @cache_write(
      %k: !k_cache, %v: !v_cache, %new_k0: !new_k, %new_k1: !new_k, %new_v0: !new_v, %new_v1: !new_v,
      %slot: tensor<i32>, %start: tensor<i32>, %length: tensor<i32>)
      -> (!k_cache, !v_cache) {
    %keys = stablehlo.concatenate
        %new_k0, %new_k1, dim = 0
        : (!new_k, !new_k) -> !new_keys
    %values = stablehlo.concatenate
        %new_v0, %new_v1, dim = 0
        : (!new_v, !new_v) -> !new_values
    %block_size = arith.constant 64 : index
    %slot_i32 = tensor.extract %slot[] : tensor<i32>
    %slot_index = arith.index_cast %slot_i32 : i32 to index
    %start_i32 = tensor.extract %start[] : tensor<i32>
    %start_index = arith.index_cast %start_i32 : i32 to index
    %latest = arith.constant 0 : index
    %room = arith.constant 128 : index
    %start_block = arith.divui %start_index, %block_size : index
    %block = arith.minui %start_block, %latest : index
    %origin_index = arith.muli %block, %block_size : index
    %offset = arith.subi %start_index, %origin_index : index
    %shift = arith.subi %room, %offset : index

    // the first position of these blocks once more, as a tensor to compare with
    %filler = stablehlo.constant dense<0.0> : tensor<f32>
    %block_length = stablehlo.constant dense<64> : tensor<i32>
    %latest_block = stablehlo.constant dense<0> : tensor<i32>
    %first_block = stablehlo.divide %start, %block_length : tensor<i32>
    %moved_block = stablehlo.minimum %first_block, %latest_block : tensor<i32>
    %origin = stablehlo.multiply %moved_block, %block_length : tensor<i32>
    %end = stablehlo.add %start, %length : tensor<i32>

    %key_padded = stablehlo.pad %keys, %filler, low = [0, 0, 0, 0, 128], high = [0, 0, 0, 0, 112],
        interior = [0, 0, 0, 0, 0]
        : (!new_keys, tensor<f32>) -> !key_padded
    %key_moved = tensor.extract_slice %key_padded[0, 0, 0, 0, %shift]
        [2, 1, 1, 16, 128] [1, 1, 1, 1, 1] : !key_padded to !key_moved
    %key_split = stablehlo.reshape %key_moved : (!key_moved) -> !key_split
    %key_blocks = stablehlo.transpose %key_split, dims = [0, 1, 2, 4, 3, 5] : (!key_split) -> !key_blocks
    %key_held = tensor.extract_slice %k[0, %slot_index, 0, %block, 0, 0]
        [2, 1, 1, 2, 16, 64] [1, 1, 1, 1, 1, 1] : !k_cache to !key_blocks
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
        [2, 1, 1, 2, 16, 64] [1, 1, 1, 1, 1, 1] : !key_blocks into !k_cache

    %value_padded = stablehlo.pad %values, %filler, low = [0, 0, 0, 128, 0], high = [0, 0, 0, 112, 0],
        interior = [0, 0, 0, 0, 0]
        : (!new_values, tensor<f32>) -> !value_padded
    %value_moved = tensor.extract_slice %value_padded[0, 0, 0, %shift, 0]
        [2, 1, 1, 128, 16] [1, 1, 1, 1, 1] : !value_padded to !value_moved
    %value_blocks = stablehlo.reshape %value_moved : (!value_moved) -> !value_blocks
    %value_held = tensor.extract_slice %v[0, %slot_index, 0, %block, 0, 0]
        [2, 1, 1, 2, 64, 16] [1, 1, 1, 1, 1, 1] : !v_cache to !value_blocks
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
        [2, 1, 1, 2, 64, 16] [1, 1, 1, 1, 1, 1] : !value_blocks into !v_cache

    return %key_out, %value_out : !k_cache, !v_cache
  }

  // Rows × weights: 16 × 64 by 6 tiles of 16, 8 × 2 at once.
  stream.executable private @rows16_6x64_f32 {
    stream.executable.export public @rows16_6x64_f32 workgroups() -> (index, index, index) {
      %size1 = arith.constant 1 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @rows16_6x64_f32(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %w_scales_bytes: !stream.binding,
          %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<6x16x16xi32>
        %w_scales = stream.binding.subspan %w_scales_bytes[%c0] : !stream.binding -> memref<6x2x16xf16>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<16x96xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 16 : index
        %rows = arith.constant 16 : index
        %rows_at_once = arith.constant 8 : index
        %last_rows = arith.constant 8 : index
        %tiles = arith.constant 6 : index
        %tiles_at_once = arith.constant 2 : index
        %unit = arith.constant 2 : index
        %last_unit = arith.constant 4 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 16 : index
        %zeros = arith.constant dense<0.0> : vector<8x16xf32>
        %per_step = arith.constant 4 : index
        %groups = arith.constant 2 : index
        %steps_of_group = arith.constant 8 : index
        %past_byte0 = arith.constant dense<24> : vector<16xi32>
        %past_byte1 = arith.constant dense<16> : vector<16xi32>
        %past_byte2 = arith.constant dense<8> : vector<16xi32>
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
          %n0 = arith.minui %tile, %last_unit : index
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
            %sums0:2 = scf.for %g = %c0 to %groups step %c1
                iter_args(%group_sum0 = %zeros, %group_sum1 = %zeros)
                -> (vector<8x16xf32>, vector<8x16xf32>) {
              %scale_low0 = vector.load %w_scales[%n0, %g, %c0] : memref<6x2x16xf16>, vector<16xf16>
              %scale0 = arith.extf %scale_low0 : vector<16xf16> to vector<16xf32>
              %scale_low1 = vector.load %w_scales[%n1, %g, %c0] : memref<6x2x16xf16>, vector<16xf16>
              %scale1 = arith.extf %scale_low1 : vector<16xf16> to vector<16xf32>
              %k_begin = arith.muli %g, %steps_of_group : index
              %k_past = arith.addi %k_begin, %steps_of_group : index
              %k_end = arith.minui %k_past, %depth : index
              %of_group:2 = scf.for %k = %k_begin to %k_end step %c1
                  iter_args(%sum0 = %group_sum0, %sum1 = %group_sum1)
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
                %k1 = arith.addi %k0, %c1 : index
                %x1_0 = memref.load %x[%m0, %k1] : memref<16x64xf32>
                %x1_1 = memref.load %x[%m1, %k1] : memref<16x64xf32>
                %x1_2 = memref.load %x[%m2, %k1] : memref<16x64xf32>
                %x1_3 = memref.load %x[%m3, %k1] : memref<16x64xf32>
                %x1_4 = memref.load %x[%m4, %k1] : memref<16x64xf32>
                %x1_5 = memref.load %x[%m5, %k1] : memref<16x64xf32>
                %x1_6 = memref.load %x[%m6, %k1] : memref<16x64xf32>
                %x1_7 = memref.load %x[%m7, %k1] : memref<16x64xf32>
                %column1 = vector.from_elements
                    %x1_0, %x1_1, %x1_2, %x1_3, %x1_4, %x1_5, %x1_6, %x1_7 : vector<8xf32>
                %k2 = arith.addi %k1, %c1 : index
                %x2_0 = memref.load %x[%m0, %k2] : memref<16x64xf32>
                %x2_1 = memref.load %x[%m1, %k2] : memref<16x64xf32>
                %x2_2 = memref.load %x[%m2, %k2] : memref<16x64xf32>
                %x2_3 = memref.load %x[%m3, %k2] : memref<16x64xf32>
                %x2_4 = memref.load %x[%m4, %k2] : memref<16x64xf32>
                %x2_5 = memref.load %x[%m5, %k2] : memref<16x64xf32>
                %x2_6 = memref.load %x[%m6, %k2] : memref<16x64xf32>
                %x2_7 = memref.load %x[%m7, %k2] : memref<16x64xf32>
                %column2 = vector.from_elements
                    %x2_0, %x2_1, %x2_2, %x2_3, %x2_4, %x2_5, %x2_6, %x2_7 : vector<8xf32>
                %k3 = arith.addi %k2, %c1 : index
                %x3_0 = memref.load %x[%m0, %k3] : memref<16x64xf32>
                %x3_1 = memref.load %x[%m1, %k3] : memref<16x64xf32>
                %x3_2 = memref.load %x[%m2, %k3] : memref<16x64xf32>
                %x3_3 = memref.load %x[%m3, %k3] : memref<16x64xf32>
                %x3_4 = memref.load %x[%m4, %k3] : memref<16x64xf32>
                %x3_5 = memref.load %x[%m5, %k3] : memref<16x64xf32>
                %x3_6 = memref.load %x[%m6, %k3] : memref<16x64xf32>
                %x3_7 = memref.load %x[%m7, %k3] : memref<16x64xf32>
                %column3 = vector.from_elements
                    %x3_0, %x3_1, %x3_2, %x3_3, %x3_4, %x3_5, %x3_6, %x3_7 : vector<8xf32>
                %fetched0 = arith.addi %n0, %ahead_n : index
                memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<6x16x16xi32>
                %stored0 = vector.load %w[%n0, %k, %c0] : memref<6x16x16xi32>, vector<16xi32>
                %moved0_0 = arith.shli %stored0, %past_byte0 : vector<16xi32>
                %integer0_0 = arith.shrsi %moved0_0, %past_byte0 : vector<16xi32>
                %whole0_0 = arith.sitofp %integer0_0 : vector<16xi32> to vector<16xf32>
                %w0_0 = arith.mulf %whole0_0, %scale0 : vector<16xf32>
                %moved0_1 = arith.shli %stored0, %past_byte1 : vector<16xi32>
                %integer0_1 = arith.shrsi %moved0_1, %past_byte0 : vector<16xi32>
                %whole0_1 = arith.sitofp %integer0_1 : vector<16xi32> to vector<16xf32>
                %w0_1 = arith.mulf %whole0_1, %scale0 : vector<16xf32>
                %moved0_2 = arith.shli %stored0, %past_byte2 : vector<16xi32>
                %integer0_2 = arith.shrsi %moved0_2, %past_byte0 : vector<16xi32>
                %whole0_2 = arith.sitofp %integer0_2 : vector<16xi32> to vector<16xf32>
                %w0_2 = arith.mulf %whole0_2, %scale0 : vector<16xf32>
                %integer0_3 = arith.shrsi %stored0, %past_byte0 : vector<16xi32>
                %whole0_3 = arith.sitofp %integer0_3 : vector<16xi32> to vector<16xf32>
                %w0_3 = arith.mulf %whole0_3, %scale0 : vector<16xf32>
                %sum0_0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %sum0_1 = vector.outerproduct %column1, %w0_1, %sum0_0 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %sum0_2 = vector.outerproduct %column2, %w0_2, %sum0_1 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %next0 = vector.outerproduct %column3, %w0_3, %sum0_2 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %fetched1 = arith.addi %fetched0, %c1 : index
                memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<6x16x16xi32>
                %stored1 = vector.load %w[%n1, %k, %c0] : memref<6x16x16xi32>, vector<16xi32>
                %moved1_0 = arith.shli %stored1, %past_byte0 : vector<16xi32>
                %integer1_0 = arith.shrsi %moved1_0, %past_byte0 : vector<16xi32>
                %whole1_0 = arith.sitofp %integer1_0 : vector<16xi32> to vector<16xf32>
                %w1_0 = arith.mulf %whole1_0, %scale1 : vector<16xf32>
                %moved1_1 = arith.shli %stored1, %past_byte1 : vector<16xi32>
                %integer1_1 = arith.shrsi %moved1_1, %past_byte0 : vector<16xi32>
                %whole1_1 = arith.sitofp %integer1_1 : vector<16xi32> to vector<16xf32>
                %w1_1 = arith.mulf %whole1_1, %scale1 : vector<16xf32>
                %moved1_2 = arith.shli %stored1, %past_byte2 : vector<16xi32>
                %integer1_2 = arith.shrsi %moved1_2, %past_byte0 : vector<16xi32>
                %whole1_2 = arith.sitofp %integer1_2 : vector<16xi32> to vector<16xf32>
                %w1_2 = arith.mulf %whole1_2, %scale1 : vector<16xf32>
                %integer1_3 = arith.shrsi %stored1, %past_byte0 : vector<16xi32>
                %whole1_3 = arith.sitofp %integer1_3 : vector<16xi32> to vector<16xf32>
                %w1_3 = arith.mulf %whole1_3, %scale1 : vector<16xf32>
                %sum1_0 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %sum1_1 = vector.outerproduct %column1, %w1_1, %sum1_0 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %sum1_2 = vector.outerproduct %column2, %w1_2, %sum1_1 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %next1 = vector.outerproduct %column3, %w1_3, %sum1_2 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                scf.yield %next0, %next1
                    : vector<8x16xf32>, vector<8x16xf32>
              }
              scf.yield %of_group#0, %of_group#1
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
                %n = arith.addi %n0, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<2x8x16xf32>, vector<16xf32>
                vector.store %y_sum, %y[%r, %at] : memref<16x96xf32>, vector<16xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 16 × 64 by 4 tiles of 16, 8 × 2 at once.
  stream.executable private @rows16_4x64_f32 {
    stream.executable.export public @rows16_4x64_f32 workgroups() -> (index, index, index) {
      %size1 = arith.constant 1 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @rows16_4x64_f32(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %w_scales_bytes: !stream.binding,
          %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<4x16x16xi32>
        %w_scales = stream.binding.subspan %w_scales_bytes[%c0] : !stream.binding -> memref<4x2x16xf16>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 16 : index
        %rows = arith.constant 16 : index
        %rows_at_once = arith.constant 8 : index
        %last_rows = arith.constant 8 : index
        %tiles = arith.constant 4 : index
        %tiles_at_once = arith.constant 2 : index
        %unit = arith.constant 2 : index
        %last_unit = arith.constant 2 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 16 : index
        %zeros = arith.constant dense<0.0> : vector<8x16xf32>
        %per_step = arith.constant 4 : index
        %groups = arith.constant 2 : index
        %steps_of_group = arith.constant 8 : index
        %past_byte0 = arith.constant dense<24> : vector<16xi32>
        %past_byte1 = arith.constant dense<16> : vector<16xi32>
        %past_byte2 = arith.constant dense<8> : vector<16xi32>
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
          %n0 = arith.minui %tile, %last_unit : index
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
            %sums0:2 = scf.for %g = %c0 to %groups step %c1
                iter_args(%group_sum0 = %zeros, %group_sum1 = %zeros)
                -> (vector<8x16xf32>, vector<8x16xf32>) {
              %scale_low0 = vector.load %w_scales[%n0, %g, %c0] : memref<4x2x16xf16>, vector<16xf16>
              %scale0 = arith.extf %scale_low0 : vector<16xf16> to vector<16xf32>
              %scale_low1 = vector.load %w_scales[%n1, %g, %c0] : memref<4x2x16xf16>, vector<16xf16>
              %scale1 = arith.extf %scale_low1 : vector<16xf16> to vector<16xf32>
              %k_begin = arith.muli %g, %steps_of_group : index
              %k_past = arith.addi %k_begin, %steps_of_group : index
              %k_end = arith.minui %k_past, %depth : index
              %of_group:2 = scf.for %k = %k_begin to %k_end step %c1
                  iter_args(%sum0 = %group_sum0, %sum1 = %group_sum1)
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
                %k1 = arith.addi %k0, %c1 : index
                %x1_0 = memref.load %x[%m0, %k1] : memref<16x64xf32>
                %x1_1 = memref.load %x[%m1, %k1] : memref<16x64xf32>
                %x1_2 = memref.load %x[%m2, %k1] : memref<16x64xf32>
                %x1_3 = memref.load %x[%m3, %k1] : memref<16x64xf32>
                %x1_4 = memref.load %x[%m4, %k1] : memref<16x64xf32>
                %x1_5 = memref.load %x[%m5, %k1] : memref<16x64xf32>
                %x1_6 = memref.load %x[%m6, %k1] : memref<16x64xf32>
                %x1_7 = memref.load %x[%m7, %k1] : memref<16x64xf32>
                %column1 = vector.from_elements
                    %x1_0, %x1_1, %x1_2, %x1_3, %x1_4, %x1_5, %x1_6, %x1_7 : vector<8xf32>
                %k2 = arith.addi %k1, %c1 : index
                %x2_0 = memref.load %x[%m0, %k2] : memref<16x64xf32>
                %x2_1 = memref.load %x[%m1, %k2] : memref<16x64xf32>
                %x2_2 = memref.load %x[%m2, %k2] : memref<16x64xf32>
                %x2_3 = memref.load %x[%m3, %k2] : memref<16x64xf32>
                %x2_4 = memref.load %x[%m4, %k2] : memref<16x64xf32>
                %x2_5 = memref.load %x[%m5, %k2] : memref<16x64xf32>
                %x2_6 = memref.load %x[%m6, %k2] : memref<16x64xf32>
                %x2_7 = memref.load %x[%m7, %k2] : memref<16x64xf32>
                %column2 = vector.from_elements
                    %x2_0, %x2_1, %x2_2, %x2_3, %x2_4, %x2_5, %x2_6, %x2_7 : vector<8xf32>
                %k3 = arith.addi %k2, %c1 : index
                %x3_0 = memref.load %x[%m0, %k3] : memref<16x64xf32>
                %x3_1 = memref.load %x[%m1, %k3] : memref<16x64xf32>
                %x3_2 = memref.load %x[%m2, %k3] : memref<16x64xf32>
                %x3_3 = memref.load %x[%m3, %k3] : memref<16x64xf32>
                %x3_4 = memref.load %x[%m4, %k3] : memref<16x64xf32>
                %x3_5 = memref.load %x[%m5, %k3] : memref<16x64xf32>
                %x3_6 = memref.load %x[%m6, %k3] : memref<16x64xf32>
                %x3_7 = memref.load %x[%m7, %k3] : memref<16x64xf32>
                %column3 = vector.from_elements
                    %x3_0, %x3_1, %x3_2, %x3_3, %x3_4, %x3_5, %x3_6, %x3_7 : vector<8xf32>
                %fetched0 = arith.addi %n0, %ahead_n : index
                memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<4x16x16xi32>
                %stored0 = vector.load %w[%n0, %k, %c0] : memref<4x16x16xi32>, vector<16xi32>
                %moved0_0 = arith.shli %stored0, %past_byte0 : vector<16xi32>
                %integer0_0 = arith.shrsi %moved0_0, %past_byte0 : vector<16xi32>
                %whole0_0 = arith.sitofp %integer0_0 : vector<16xi32> to vector<16xf32>
                %w0_0 = arith.mulf %whole0_0, %scale0 : vector<16xf32>
                %moved0_1 = arith.shli %stored0, %past_byte1 : vector<16xi32>
                %integer0_1 = arith.shrsi %moved0_1, %past_byte0 : vector<16xi32>
                %whole0_1 = arith.sitofp %integer0_1 : vector<16xi32> to vector<16xf32>
                %w0_1 = arith.mulf %whole0_1, %scale0 : vector<16xf32>
                %moved0_2 = arith.shli %stored0, %past_byte2 : vector<16xi32>
                %integer0_2 = arith.shrsi %moved0_2, %past_byte0 : vector<16xi32>
                %whole0_2 = arith.sitofp %integer0_2 : vector<16xi32> to vector<16xf32>
                %w0_2 = arith.mulf %whole0_2, %scale0 : vector<16xf32>
                %integer0_3 = arith.shrsi %stored0, %past_byte0 : vector<16xi32>
                %whole0_3 = arith.sitofp %integer0_3 : vector<16xi32> to vector<16xf32>
                %w0_3 = arith.mulf %whole0_3, %scale0 : vector<16xf32>
                %sum0_0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %sum0_1 = vector.outerproduct %column1, %w0_1, %sum0_0 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %sum0_2 = vector.outerproduct %column2, %w0_2, %sum0_1 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %next0 = vector.outerproduct %column3, %w0_3, %sum0_2 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %fetched1 = arith.addi %fetched0, %c1 : index
                memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<4x16x16xi32>
                %stored1 = vector.load %w[%n1, %k, %c0] : memref<4x16x16xi32>, vector<16xi32>
                %moved1_0 = arith.shli %stored1, %past_byte0 : vector<16xi32>
                %integer1_0 = arith.shrsi %moved1_0, %past_byte0 : vector<16xi32>
                %whole1_0 = arith.sitofp %integer1_0 : vector<16xi32> to vector<16xf32>
                %w1_0 = arith.mulf %whole1_0, %scale1 : vector<16xf32>
                %moved1_1 = arith.shli %stored1, %past_byte1 : vector<16xi32>
                %integer1_1 = arith.shrsi %moved1_1, %past_byte0 : vector<16xi32>
                %whole1_1 = arith.sitofp %integer1_1 : vector<16xi32> to vector<16xf32>
                %w1_1 = arith.mulf %whole1_1, %scale1 : vector<16xf32>
                %moved1_2 = arith.shli %stored1, %past_byte2 : vector<16xi32>
                %integer1_2 = arith.shrsi %moved1_2, %past_byte0 : vector<16xi32>
                %whole1_2 = arith.sitofp %integer1_2 : vector<16xi32> to vector<16xf32>
                %w1_2 = arith.mulf %whole1_2, %scale1 : vector<16xf32>
                %integer1_3 = arith.shrsi %stored1, %past_byte0 : vector<16xi32>
                %whole1_3 = arith.sitofp %integer1_3 : vector<16xi32> to vector<16xf32>
                %w1_3 = arith.mulf %whole1_3, %scale1 : vector<16xf32>
                %sum1_0 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %sum1_1 = vector.outerproduct %column1, %w1_1, %sum1_0 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %sum1_2 = vector.outerproduct %column2, %w1_2, %sum1_1 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %next1 = vector.outerproduct %column3, %w1_3, %sum1_2 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                scf.yield %next0, %next1
                    : vector<8x16xf32>, vector<8x16xf32>
              }
              scf.yield %of_group#0, %of_group#1
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
                %n = arith.addi %n0, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<2x8x16xf32>, vector<16xf32>
                vector.store %y_sum, %y[%r, %at] : memref<16x64xf32>, vector<16xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 16 × 64 by 14 tiles of 16, 8 × 2 at once.
  stream.executable private @rows16_14x64_f32 {
    stream.executable.export public @rows16_14x64_f32 workgroups() -> (index, index, index) {
      %size1 = arith.constant 3 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @rows16_14x64_f32(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %w_scales_bytes: !stream.binding,
          %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<14x16x16xi32>
        %w_scales = stream.binding.subspan %w_scales_bytes[%c0] : !stream.binding -> memref<14x2x16xf16>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<16x224xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 16 : index
        %rows = arith.constant 16 : index
        %rows_at_once = arith.constant 8 : index
        %last_rows = arith.constant 8 : index
        %tiles = arith.constant 14 : index
        %tiles_at_once = arith.constant 2 : index
        %unit = arith.constant 2 : index
        %last_unit = arith.constant 12 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 16 : index
        %zeros = arith.constant dense<0.0> : vector<8x16xf32>
        %per_step = arith.constant 4 : index
        %groups = arith.constant 2 : index
        %steps_of_group = arith.constant 8 : index
        %past_byte0 = arith.constant dense<24> : vector<16xi32>
        %past_byte1 = arith.constant dense<16> : vector<16xi32>
        %past_byte2 = arith.constant dense<8> : vector<16xi32>
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
          %n0 = arith.minui %tile, %last_unit : index
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
            %sums0:2 = scf.for %g = %c0 to %groups step %c1
                iter_args(%group_sum0 = %zeros, %group_sum1 = %zeros)
                -> (vector<8x16xf32>, vector<8x16xf32>) {
              %scale_low0 = vector.load %w_scales[%n0, %g, %c0] : memref<14x2x16xf16>, vector<16xf16>
              %scale0 = arith.extf %scale_low0 : vector<16xf16> to vector<16xf32>
              %scale_low1 = vector.load %w_scales[%n1, %g, %c0] : memref<14x2x16xf16>, vector<16xf16>
              %scale1 = arith.extf %scale_low1 : vector<16xf16> to vector<16xf32>
              %k_begin = arith.muli %g, %steps_of_group : index
              %k_past = arith.addi %k_begin, %steps_of_group : index
              %k_end = arith.minui %k_past, %depth : index
              %of_group:2 = scf.for %k = %k_begin to %k_end step %c1
                  iter_args(%sum0 = %group_sum0, %sum1 = %group_sum1)
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
                %k1 = arith.addi %k0, %c1 : index
                %x1_0 = memref.load %x[%m0, %k1] : memref<16x64xf32>
                %x1_1 = memref.load %x[%m1, %k1] : memref<16x64xf32>
                %x1_2 = memref.load %x[%m2, %k1] : memref<16x64xf32>
                %x1_3 = memref.load %x[%m3, %k1] : memref<16x64xf32>
                %x1_4 = memref.load %x[%m4, %k1] : memref<16x64xf32>
                %x1_5 = memref.load %x[%m5, %k1] : memref<16x64xf32>
                %x1_6 = memref.load %x[%m6, %k1] : memref<16x64xf32>
                %x1_7 = memref.load %x[%m7, %k1] : memref<16x64xf32>
                %column1 = vector.from_elements
                    %x1_0, %x1_1, %x1_2, %x1_3, %x1_4, %x1_5, %x1_6, %x1_7 : vector<8xf32>
                %k2 = arith.addi %k1, %c1 : index
                %x2_0 = memref.load %x[%m0, %k2] : memref<16x64xf32>
                %x2_1 = memref.load %x[%m1, %k2] : memref<16x64xf32>
                %x2_2 = memref.load %x[%m2, %k2] : memref<16x64xf32>
                %x2_3 = memref.load %x[%m3, %k2] : memref<16x64xf32>
                %x2_4 = memref.load %x[%m4, %k2] : memref<16x64xf32>
                %x2_5 = memref.load %x[%m5, %k2] : memref<16x64xf32>
                %x2_6 = memref.load %x[%m6, %k2] : memref<16x64xf32>
                %x2_7 = memref.load %x[%m7, %k2] : memref<16x64xf32>
                %column2 = vector.from_elements
                    %x2_0, %x2_1, %x2_2, %x2_3, %x2_4, %x2_5, %x2_6, %x2_7 : vector<8xf32>
                %k3 = arith.addi %k2, %c1 : index
                %x3_0 = memref.load %x[%m0, %k3] : memref<16x64xf32>
                %x3_1 = memref.load %x[%m1, %k3] : memref<16x64xf32>
                %x3_2 = memref.load %x[%m2, %k3] : memref<16x64xf32>
                %x3_3 = memref.load %x[%m3, %k3] : memref<16x64xf32>
                %x3_4 = memref.load %x[%m4, %k3] : memref<16x64xf32>
                %x3_5 = memref.load %x[%m5, %k3] : memref<16x64xf32>
                %x3_6 = memref.load %x[%m6, %k3] : memref<16x64xf32>
                %x3_7 = memref.load %x[%m7, %k3] : memref<16x64xf32>
                %column3 = vector.from_elements
                    %x3_0, %x3_1, %x3_2, %x3_3, %x3_4, %x3_5, %x3_6, %x3_7 : vector<8xf32>
                %fetched0 = arith.addi %n0, %ahead_n : index
                memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<14x16x16xi32>
                %stored0 = vector.load %w[%n0, %k, %c0] : memref<14x16x16xi32>, vector<16xi32>
                %moved0_0 = arith.shli %stored0, %past_byte0 : vector<16xi32>
                %integer0_0 = arith.shrsi %moved0_0, %past_byte0 : vector<16xi32>
                %whole0_0 = arith.sitofp %integer0_0 : vector<16xi32> to vector<16xf32>
                %w0_0 = arith.mulf %whole0_0, %scale0 : vector<16xf32>
                %moved0_1 = arith.shli %stored0, %past_byte1 : vector<16xi32>
                %integer0_1 = arith.shrsi %moved0_1, %past_byte0 : vector<16xi32>
                %whole0_1 = arith.sitofp %integer0_1 : vector<16xi32> to vector<16xf32>
                %w0_1 = arith.mulf %whole0_1, %scale0 : vector<16xf32>
                %moved0_2 = arith.shli %stored0, %past_byte2 : vector<16xi32>
                %integer0_2 = arith.shrsi %moved0_2, %past_byte0 : vector<16xi32>
                %whole0_2 = arith.sitofp %integer0_2 : vector<16xi32> to vector<16xf32>
                %w0_2 = arith.mulf %whole0_2, %scale0 : vector<16xf32>
                %integer0_3 = arith.shrsi %stored0, %past_byte0 : vector<16xi32>
                %whole0_3 = arith.sitofp %integer0_3 : vector<16xi32> to vector<16xf32>
                %w0_3 = arith.mulf %whole0_3, %scale0 : vector<16xf32>
                %sum0_0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %sum0_1 = vector.outerproduct %column1, %w0_1, %sum0_0 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %sum0_2 = vector.outerproduct %column2, %w0_2, %sum0_1 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %next0 = vector.outerproduct %column3, %w0_3, %sum0_2 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %fetched1 = arith.addi %fetched0, %c1 : index
                memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<14x16x16xi32>
                %stored1 = vector.load %w[%n1, %k, %c0] : memref<14x16x16xi32>, vector<16xi32>
                %moved1_0 = arith.shli %stored1, %past_byte0 : vector<16xi32>
                %integer1_0 = arith.shrsi %moved1_0, %past_byte0 : vector<16xi32>
                %whole1_0 = arith.sitofp %integer1_0 : vector<16xi32> to vector<16xf32>
                %w1_0 = arith.mulf %whole1_0, %scale1 : vector<16xf32>
                %moved1_1 = arith.shli %stored1, %past_byte1 : vector<16xi32>
                %integer1_1 = arith.shrsi %moved1_1, %past_byte0 : vector<16xi32>
                %whole1_1 = arith.sitofp %integer1_1 : vector<16xi32> to vector<16xf32>
                %w1_1 = arith.mulf %whole1_1, %scale1 : vector<16xf32>
                %moved1_2 = arith.shli %stored1, %past_byte2 : vector<16xi32>
                %integer1_2 = arith.shrsi %moved1_2, %past_byte0 : vector<16xi32>
                %whole1_2 = arith.sitofp %integer1_2 : vector<16xi32> to vector<16xf32>
                %w1_2 = arith.mulf %whole1_2, %scale1 : vector<16xf32>
                %integer1_3 = arith.shrsi %stored1, %past_byte0 : vector<16xi32>
                %whole1_3 = arith.sitofp %integer1_3 : vector<16xi32> to vector<16xf32>
                %w1_3 = arith.mulf %whole1_3, %scale1 : vector<16xf32>
                %sum1_0 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %sum1_1 = vector.outerproduct %column1, %w1_1, %sum1_0 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %sum1_2 = vector.outerproduct %column2, %w1_2, %sum1_1 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %next1 = vector.outerproduct %column3, %w1_3, %sum1_2 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                scf.yield %next0, %next1
                    : vector<8x16xf32>, vector<8x16xf32>
              }
              scf.yield %of_group#0, %of_group#1
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
                %n = arith.addi %n0, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<2x8x16xf32>, vector<16xf32>
                vector.store %y_sum, %y[%r, %at] : memref<16x224xf32>, vector<16xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 16 × 100 by 4 tiles of 16, 8 × 2 at once.
  stream.executable private @rows16_4x100_f32 {
    stream.executable.export public @rows16_4x100_f32 workgroups() -> (index, index, index) {
      %size1 = arith.constant 1 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @rows16_4x100_f32(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %w_scales_bytes: !stream.binding,
          %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<16x112xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<4x32x16xi32>
        %w_scales = stream.binding.subspan %w_scales_bytes[%c0] : !stream.binding -> memref<4x4x16xf16>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 25 : index
        %rows = arith.constant 16 : index
        %rows_at_once = arith.constant 8 : index
        %last_rows = arith.constant 8 : index
        %tiles = arith.constant 4 : index
        %tiles_at_once = arith.constant 2 : index
        %unit = arith.constant 2 : index
        %last_unit = arith.constant 2 : index
        %tiles_of_group = arith.constant 6 : index
        %prefetch = arith.constant 25 : index
        %zeros = arith.constant dense<0.0> : vector<8x16xf32>
        %per_step = arith.constant 4 : index
        %groups = arith.constant 4 : index
        %steps_of_group = arith.constant 8 : index
        %past_byte0 = arith.constant dense<24> : vector<16xi32>
        %past_byte1 = arith.constant dense<16> : vector<16xi32>
        %past_byte2 = arith.constant dense<8> : vector<16xi32>
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
          %n0 = arith.minui %tile, %last_unit : index
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
            %sums0:2 = scf.for %g = %c0 to %groups step %c1
                iter_args(%group_sum0 = %zeros, %group_sum1 = %zeros)
                -> (vector<8x16xf32>, vector<8x16xf32>) {
              %scale_low0 = vector.load %w_scales[%n0, %g, %c0] : memref<4x4x16xf16>, vector<16xf16>
              %scale0 = arith.extf %scale_low0 : vector<16xf16> to vector<16xf32>
              %scale_low1 = vector.load %w_scales[%n1, %g, %c0] : memref<4x4x16xf16>, vector<16xf16>
              %scale1 = arith.extf %scale_low1 : vector<16xf16> to vector<16xf32>
              %k_begin = arith.muli %g, %steps_of_group : index
              %k_past = arith.addi %k_begin, %steps_of_group : index
              %k_end = arith.minui %k_past, %depth : index
              %of_group:2 = scf.for %k = %k_begin to %k_end step %c1
                  iter_args(%sum0 = %group_sum0, %sum1 = %group_sum1)
                  -> (vector<8x16xf32>, vector<8x16xf32>) {
                // as far ahead in what is read next: past a tile's end, the tiles after these
                %ahead = arith.addi %k, %prefetch : index
                %is_next = arith.cmpi uge, %ahead, %depth : index
                %from_next = arith.subi %ahead, %depth : index
                %ahead_k = arith.select %is_next, %from_next, %ahead : index
                %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
                %k0 = arith.muli %k, %per_step : index
                %x0_0 = memref.load %x[%m0, %k0] : memref<16x112xf32>
                %x0_1 = memref.load %x[%m1, %k0] : memref<16x112xf32>
                %x0_2 = memref.load %x[%m2, %k0] : memref<16x112xf32>
                %x0_3 = memref.load %x[%m3, %k0] : memref<16x112xf32>
                %x0_4 = memref.load %x[%m4, %k0] : memref<16x112xf32>
                %x0_5 = memref.load %x[%m5, %k0] : memref<16x112xf32>
                %x0_6 = memref.load %x[%m6, %k0] : memref<16x112xf32>
                %x0_7 = memref.load %x[%m7, %k0] : memref<16x112xf32>
                %column0 = vector.from_elements
                    %x0_0, %x0_1, %x0_2, %x0_3, %x0_4, %x0_5, %x0_6, %x0_7 : vector<8xf32>
                %k1 = arith.addi %k0, %c1 : index
                %x1_0 = memref.load %x[%m0, %k1] : memref<16x112xf32>
                %x1_1 = memref.load %x[%m1, %k1] : memref<16x112xf32>
                %x1_2 = memref.load %x[%m2, %k1] : memref<16x112xf32>
                %x1_3 = memref.load %x[%m3, %k1] : memref<16x112xf32>
                %x1_4 = memref.load %x[%m4, %k1] : memref<16x112xf32>
                %x1_5 = memref.load %x[%m5, %k1] : memref<16x112xf32>
                %x1_6 = memref.load %x[%m6, %k1] : memref<16x112xf32>
                %x1_7 = memref.load %x[%m7, %k1] : memref<16x112xf32>
                %column1 = vector.from_elements
                    %x1_0, %x1_1, %x1_2, %x1_3, %x1_4, %x1_5, %x1_6, %x1_7 : vector<8xf32>
                %k2 = arith.addi %k1, %c1 : index
                %x2_0 = memref.load %x[%m0, %k2] : memref<16x112xf32>
                %x2_1 = memref.load %x[%m1, %k2] : memref<16x112xf32>
                %x2_2 = memref.load %x[%m2, %k2] : memref<16x112xf32>
                %x2_3 = memref.load %x[%m3, %k2] : memref<16x112xf32>
                %x2_4 = memref.load %x[%m4, %k2] : memref<16x112xf32>
                %x2_5 = memref.load %x[%m5, %k2] : memref<16x112xf32>
                %x2_6 = memref.load %x[%m6, %k2] : memref<16x112xf32>
                %x2_7 = memref.load %x[%m7, %k2] : memref<16x112xf32>
                %column2 = vector.from_elements
                    %x2_0, %x2_1, %x2_2, %x2_3, %x2_4, %x2_5, %x2_6, %x2_7 : vector<8xf32>
                %k3 = arith.addi %k2, %c1 : index
                %x3_0 = memref.load %x[%m0, %k3] : memref<16x112xf32>
                %x3_1 = memref.load %x[%m1, %k3] : memref<16x112xf32>
                %x3_2 = memref.load %x[%m2, %k3] : memref<16x112xf32>
                %x3_3 = memref.load %x[%m3, %k3] : memref<16x112xf32>
                %x3_4 = memref.load %x[%m4, %k3] : memref<16x112xf32>
                %x3_5 = memref.load %x[%m5, %k3] : memref<16x112xf32>
                %x3_6 = memref.load %x[%m6, %k3] : memref<16x112xf32>
                %x3_7 = memref.load %x[%m7, %k3] : memref<16x112xf32>
                %column3 = vector.from_elements
                    %x3_0, %x3_1, %x3_2, %x3_3, %x3_4, %x3_5, %x3_6, %x3_7 : vector<8xf32>
                %fetched0 = arith.addi %n0, %ahead_n : index
                memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<4x32x16xi32>
                %stored0 = vector.load %w[%n0, %k, %c0] : memref<4x32x16xi32>, vector<16xi32>
                %moved0_0 = arith.shli %stored0, %past_byte0 : vector<16xi32>
                %integer0_0 = arith.shrsi %moved0_0, %past_byte0 : vector<16xi32>
                %whole0_0 = arith.sitofp %integer0_0 : vector<16xi32> to vector<16xf32>
                %w0_0 = arith.mulf %whole0_0, %scale0 : vector<16xf32>
                %moved0_1 = arith.shli %stored0, %past_byte1 : vector<16xi32>
                %integer0_1 = arith.shrsi %moved0_1, %past_byte0 : vector<16xi32>
                %whole0_1 = arith.sitofp %integer0_1 : vector<16xi32> to vector<16xf32>
                %w0_1 = arith.mulf %whole0_1, %scale0 : vector<16xf32>
                %moved0_2 = arith.shli %stored0, %past_byte2 : vector<16xi32>
                %integer0_2 = arith.shrsi %moved0_2, %past_byte0 : vector<16xi32>
                %whole0_2 = arith.sitofp %integer0_2 : vector<16xi32> to vector<16xf32>
                %w0_2 = arith.mulf %whole0_2, %scale0 : vector<16xf32>
                %integer0_3 = arith.shrsi %stored0, %past_byte0 : vector<16xi32>
                %whole0_3 = arith.sitofp %integer0_3 : vector<16xi32> to vector<16xf32>
                %w0_3 = arith.mulf %whole0_3, %scale0 : vector<16xf32>
                %sum0_0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %sum0_1 = vector.outerproduct %column1, %w0_1, %sum0_0 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %sum0_2 = vector.outerproduct %column2, %w0_2, %sum0_1 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %next0 = vector.outerproduct %column3, %w0_3, %sum0_2 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %fetched1 = arith.addi %fetched0, %c1 : index
                memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<4x32x16xi32>
                %stored1 = vector.load %w[%n1, %k, %c0] : memref<4x32x16xi32>, vector<16xi32>
                %moved1_0 = arith.shli %stored1, %past_byte0 : vector<16xi32>
                %integer1_0 = arith.shrsi %moved1_0, %past_byte0 : vector<16xi32>
                %whole1_0 = arith.sitofp %integer1_0 : vector<16xi32> to vector<16xf32>
                %w1_0 = arith.mulf %whole1_0, %scale1 : vector<16xf32>
                %moved1_1 = arith.shli %stored1, %past_byte1 : vector<16xi32>
                %integer1_1 = arith.shrsi %moved1_1, %past_byte0 : vector<16xi32>
                %whole1_1 = arith.sitofp %integer1_1 : vector<16xi32> to vector<16xf32>
                %w1_1 = arith.mulf %whole1_1, %scale1 : vector<16xf32>
                %moved1_2 = arith.shli %stored1, %past_byte2 : vector<16xi32>
                %integer1_2 = arith.shrsi %moved1_2, %past_byte0 : vector<16xi32>
                %whole1_2 = arith.sitofp %integer1_2 : vector<16xi32> to vector<16xf32>
                %w1_2 = arith.mulf %whole1_2, %scale1 : vector<16xf32>
                %integer1_3 = arith.shrsi %stored1, %past_byte0 : vector<16xi32>
                %whole1_3 = arith.sitofp %integer1_3 : vector<16xi32> to vector<16xf32>
                %w1_3 = arith.mulf %whole1_3, %scale1 : vector<16xf32>
                %sum1_0 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %sum1_1 = vector.outerproduct %column1, %w1_1, %sum1_0 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %sum1_2 = vector.outerproduct %column2, %w1_2, %sum1_1 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                %next1 = vector.outerproduct %column3, %w1_3, %sum1_2 {kind = #vector.kind<add>}
                    : vector<8xf32>, vector<16xf32>
                scf.yield %next0, %next1
                    : vector<8x16xf32>, vector<8x16xf32>
              }
              scf.yield %of_group#0, %of_group#1
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
                %n = arith.addi %n0, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<2x8x16xf32>, vector<16xf32>
                vector.store %y_sum, %y[%r, %at] : memref<16x64xf32>, vector<16xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 1 × 64 by 21 tiles of 16, 1 × 4 at once.
  stream.executable private @rows1_21x64_f32 {
    stream.executable.export public @rows1_21x64_f32 workgroups() -> (index, index, index) {
      %size1 = arith.constant 6 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @rows1_21x64_f32(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %w_scales_bytes: !stream.binding,
          %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<1x64xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<21x16x16xi32>
        %w_scales = stream.binding.subspan %w_scales_bytes[%c0] : !stream.binding -> memref<21x2x16xf16>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<1x336xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 16 : index
        %rows = arith.constant 1 : index
        %rows_at_once = arith.constant 1 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 21 : index
        %tiles_at_once = arith.constant 4 : index
        %unit = arith.constant 4 : index
        %last_unit = arith.constant 17 : index
        %tiles_of_group = arith.constant 4 : index
        %prefetch = arith.constant 16 : index
        %zeros = arith.constant dense<0.0> : vector<1x16xf32>
        %per_step = arith.constant 4 : index
        %groups = arith.constant 2 : index
        %steps_of_group = arith.constant 8 : index
        %past_byte0 = arith.constant dense<24> : vector<16xi32>
        %past_byte1 = arith.constant dense<16> : vector<16xi32>
        %past_byte2 = arith.constant dense<8> : vector<16xi32>
        %room = memref.alloca() : memref<4x1x16xf32>
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
          %n0 = arith.minui %tile, %last_unit : index
          %n1 = arith.addi %n0, %c1 : index
          %n2 = arith.addi %n1, %c1 : index
          %n3 = arith.addi %n2, %c1 : index
          scf.for %row = %first_row to %end_row step %rows_at_once {
            %m0 = arith.minui %row, %last_rows : index
            %sums0:4 = scf.for %g = %c0 to %groups step %c1
                iter_args(%group_sum0 = %zeros, %group_sum1 = %zeros, %group_sum2 = %zeros, %group_sum3 = %zeros)
                -> (vector<1x16xf32>, vector<1x16xf32>, vector<1x16xf32>, vector<1x16xf32>) {
              %scale_low0 = vector.load %w_scales[%n0, %g, %c0] : memref<21x2x16xf16>, vector<16xf16>
              %scale0 = arith.extf %scale_low0 : vector<16xf16> to vector<16xf32>
              %scale_low1 = vector.load %w_scales[%n1, %g, %c0] : memref<21x2x16xf16>, vector<16xf16>
              %scale1 = arith.extf %scale_low1 : vector<16xf16> to vector<16xf32>
              %scale_low2 = vector.load %w_scales[%n2, %g, %c0] : memref<21x2x16xf16>, vector<16xf16>
              %scale2 = arith.extf %scale_low2 : vector<16xf16> to vector<16xf32>
              %scale_low3 = vector.load %w_scales[%n3, %g, %c0] : memref<21x2x16xf16>, vector<16xf16>
              %scale3 = arith.extf %scale_low3 : vector<16xf16> to vector<16xf32>
              %k_begin = arith.muli %g, %steps_of_group : index
              %k_past = arith.addi %k_begin, %steps_of_group : index
              %k_end = arith.minui %k_past, %depth : index
              %of_group:4 = scf.for %k = %k_begin to %k_end step %c1
                  iter_args(%sum0 = %group_sum0, %sum1 = %group_sum1, %sum2 = %group_sum2, %sum3 = %group_sum3)
                  -> (vector<1x16xf32>, vector<1x16xf32>, vector<1x16xf32>, vector<1x16xf32>) {
                // as far ahead in what is read next: past a tile's end, the tiles after these
                %ahead = arith.addi %k, %prefetch : index
                %is_next = arith.cmpi uge, %ahead, %depth : index
                %from_next = arith.subi %ahead, %depth : index
                %ahead_k = arith.select %is_next, %from_next, %ahead : index
                %ahead_n = arith.select %is_next, %tiles_at_once, %c0 : index
                %k0 = arith.muli %k, %per_step : index
                %x0_0 = memref.load %x[%m0, %k0] : memref<1x64xf32>
                %column0 = vector.from_elements
                    %x0_0 : vector<1xf32>
                %k1 = arith.addi %k0, %c1 : index
                %x1_0 = memref.load %x[%m0, %k1] : memref<1x64xf32>
                %column1 = vector.from_elements
                    %x1_0 : vector<1xf32>
                %k2 = arith.addi %k1, %c1 : index
                %x2_0 = memref.load %x[%m0, %k2] : memref<1x64xf32>
                %column2 = vector.from_elements
                    %x2_0 : vector<1xf32>
                %k3 = arith.addi %k2, %c1 : index
                %x3_0 = memref.load %x[%m0, %k3] : memref<1x64xf32>
                %column3 = vector.from_elements
                    %x3_0 : vector<1xf32>
                %fetched0 = arith.addi %n0, %ahead_n : index
                memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<21x16x16xi32>
                %stored0 = vector.load %w[%n0, %k, %c0] : memref<21x16x16xi32>, vector<16xi32>
                %moved0_0 = arith.shli %stored0, %past_byte0 : vector<16xi32>
                %integer0_0 = arith.shrsi %moved0_0, %past_byte0 : vector<16xi32>
                %whole0_0 = arith.sitofp %integer0_0 : vector<16xi32> to vector<16xf32>
                %w0_0 = arith.mulf %whole0_0, %scale0 : vector<16xf32>
                %moved0_1 = arith.shli %stored0, %past_byte1 : vector<16xi32>
                %integer0_1 = arith.shrsi %moved0_1, %past_byte0 : vector<16xi32>
                %whole0_1 = arith.sitofp %integer0_1 : vector<16xi32> to vector<16xf32>
                %w0_1 = arith.mulf %whole0_1, %scale0 : vector<16xf32>
                %moved0_2 = arith.shli %stored0, %past_byte2 : vector<16xi32>
                %integer0_2 = arith.shrsi %moved0_2, %past_byte0 : vector<16xi32>
                %whole0_2 = arith.sitofp %integer0_2 : vector<16xi32> to vector<16xf32>
                %w0_2 = arith.mulf %whole0_2, %scale0 : vector<16xf32>
                %integer0_3 = arith.shrsi %stored0, %past_byte0 : vector<16xi32>
                %whole0_3 = arith.sitofp %integer0_3 : vector<16xi32> to vector<16xf32>
                %w0_3 = arith.mulf %whole0_3, %scale0 : vector<16xf32>
                %sum0_0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                    : vector<1xf32>, vector<16xf32>
                %sum0_1 = vector.outerproduct %column1, %w0_1, %sum0_0 {kind = #vector.kind<add>}
                    : vector<1xf32>, vector<16xf32>
                %sum0_2 = vector.outerproduct %column2, %w0_2, %sum0_1 {kind = #vector.kind<add>}
                    : vector<1xf32>, vector<16xf32>
                %next0 = vector.outerproduct %column3, %w0_3, %sum0_2 {kind = #vector.kind<add>}
                    : vector<1xf32>, vector<16xf32>
                %fetched1 = arith.addi %fetched0, %c1 : index
                memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<21x16x16xi32>
                %stored1 = vector.load %w[%n1, %k, %c0] : memref<21x16x16xi32>, vector<16xi32>
                %moved1_0 = arith.shli %stored1, %past_byte0 : vector<16xi32>
                %integer1_0 = arith.shrsi %moved1_0, %past_byte0 : vector<16xi32>
                %whole1_0 = arith.sitofp %integer1_0 : vector<16xi32> to vector<16xf32>
                %w1_0 = arith.mulf %whole1_0, %scale1 : vector<16xf32>
                %moved1_1 = arith.shli %stored1, %past_byte1 : vector<16xi32>
                %integer1_1 = arith.shrsi %moved1_1, %past_byte0 : vector<16xi32>
                %whole1_1 = arith.sitofp %integer1_1 : vector<16xi32> to vector<16xf32>
                %w1_1 = arith.mulf %whole1_1, %scale1 : vector<16xf32>
                %moved1_2 = arith.shli %stored1, %past_byte2 : vector<16xi32>
                %integer1_2 = arith.shrsi %moved1_2, %past_byte0 : vector<16xi32>
                %whole1_2 = arith.sitofp %integer1_2 : vector<16xi32> to vector<16xf32>
                %w1_2 = arith.mulf %whole1_2, %scale1 : vector<16xf32>
                %integer1_3 = arith.shrsi %stored1, %past_byte0 : vector<16xi32>
                %whole1_3 = arith.sitofp %integer1_3 : vector<16xi32> to vector<16xf32>
                %w1_3 = arith.mulf %whole1_3, %scale1 : vector<16xf32>
                %sum1_0 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
                    : vector<1xf32>, vector<16xf32>
                %sum1_1 = vector.outerproduct %column1, %w1_1, %sum1_0 {kind = #vector.kind<add>}
                    : vector<1xf32>, vector<16xf32>
                %sum1_2 = vector.outerproduct %column2, %w1_2, %sum1_1 {kind = #vector.kind<add>}
                    : vector<1xf32>, vector<16xf32>
                %next1 = vector.outerproduct %column3, %w1_3, %sum1_2 {kind = #vector.kind<add>}
                    : vector<1xf32>, vector<16xf32>
                %fetched2 = arith.addi %fetched1, %c1 : index
                memref.prefetch %w[%fetched2, %ahead_k, %c0], read, locality<3>, data : memref<21x16x16xi32>
                %stored2 = vector.load %w[%n2, %k, %c0] : memref<21x16x16xi32>, vector<16xi32>
                %moved2_0 = arith.shli %stored2, %past_byte0 : vector<16xi32>
                %integer2_0 = arith.shrsi %moved2_0, %past_byte0 : vector<16xi32>
                %whole2_0 = arith.sitofp %integer2_0 : vector<16xi32> to vector<16xf32>
                %w2_0 = arith.mulf %whole2_0, %scale2 : vector<16xf32>
                %moved2_1 = arith.shli %stored2, %past_byte1 : vector<16xi32>
                %integer2_1 = arith.shrsi %moved2_1, %past_byte0 : vector<16xi32>
                %whole2_1 = arith.sitofp %integer2_1 : vector<16xi32> to vector<16xf32>
                %w2_1 = arith.mulf %whole2_1, %scale2 : vector<16xf32>
                %moved2_2 = arith.shli %stored2, %past_byte2 : vector<16xi32>
                %integer2_2 = arith.shrsi %moved2_2, %past_byte0 : vector<16xi32>
                %whole2_2 = arith.sitofp %integer2_2 : vector<16xi32> to vector<16xf32>
                %w2_2 = arith.mulf %whole2_2, %scale2 : vector<16xf32>
                %integer2_3 = arith.shrsi %stored2, %past_byte0 : vector<16xi32>
                %whole2_3 = arith.sitofp %integer2_3 : vector<16xi32> to vector<16xf32>
                %w2_3 = arith.mulf %whole2_3, %scale2 : vector<16xf32>
                %sum2_0 = vector.outerproduct %column0, %w2_0, %sum2 {kind = #vector.kind<add>}
                    : vector<1xf32>, vector<16xf32>
                %sum2_1 = vector.outerproduct %column1, %w2_1, %sum2_0 {kind = #vector.kind<add>}
                    : vector<1xf32>, vector<16xf32>
                %sum2_2 = vector.outerproduct %column2, %w2_2, %sum2_1 {kind = #vector.kind<add>}
                    : vector<1xf32>, vector<16xf32>
                %next2 = vector.outerproduct %column3, %w2_3, %sum2_2 {kind = #vector.kind<add>}
                    : vector<1xf32>, vector<16xf32>
                %fetched3 = arith.addi %fetched2, %c1 : index
                memref.prefetch %w[%fetched3, %ahead_k, %c0], read, locality<3>, data : memref<21x16x16xi32>
                %stored3 = vector.load %w[%n3, %k, %c0] : memref<21x16x16xi32>, vector<16xi32>
                %moved3_0 = arith.shli %stored3, %past_byte0 : vector<16xi32>
                %integer3_0 = arith.shrsi %moved3_0, %past_byte0 : vector<16xi32>
                %whole3_0 = arith.sitofp %integer3_0 : vector<16xi32> to vector<16xf32>
                %w3_0 = arith.mulf %whole3_0, %scale3 : vector<16xf32>
                %moved3_1 = arith.shli %stored3, %past_byte1 : vector<16xi32>
                %integer3_1 = arith.shrsi %moved3_1, %past_byte0 : vector<16xi32>
                %whole3_1 = arith.sitofp %integer3_1 : vector<16xi32> to vector<16xf32>
                %w3_1 = arith.mulf %whole3_1, %scale3 : vector<16xf32>
                %moved3_2 = arith.shli %stored3, %past_byte2 : vector<16xi32>
                %integer3_2 = arith.shrsi %moved3_2, %past_byte0 : vector<16xi32>
                %whole3_2 = arith.sitofp %integer3_2 : vector<16xi32> to vector<16xf32>
                %w3_2 = arith.mulf %whole3_2, %scale3 : vector<16xf32>
                %integer3_3 = arith.shrsi %stored3, %past_byte0 : vector<16xi32>
                %whole3_3 = arith.sitofp %integer3_3 : vector<16xi32> to vector<16xf32>
                %w3_3 = arith.mulf %whole3_3, %scale3 : vector<16xf32>
                %sum3_0 = vector.outerproduct %column0, %w3_0, %sum3 {kind = #vector.kind<add>}
                    : vector<1xf32>, vector<16xf32>
                %sum3_1 = vector.outerproduct %column1, %w3_1, %sum3_0 {kind = #vector.kind<add>}
                    : vector<1xf32>, vector<16xf32>
                %sum3_2 = vector.outerproduct %column2, %w3_2, %sum3_1 {kind = #vector.kind<add>}
                    : vector<1xf32>, vector<16xf32>
                %next3 = vector.outerproduct %column3, %w3_3, %sum3_2 {kind = #vector.kind<add>}
                    : vector<1xf32>, vector<16xf32>
                scf.yield %next0, %next1, %next2, %next3
                    : vector<1x16xf32>, vector<1x16xf32>, vector<1x16xf32>, vector<1x16xf32>
              }
              scf.yield %of_group#0, %of_group#1, %of_group#2, %of_group#3
                  : vector<1x16xf32>, vector<1x16xf32>, vector<1x16xf32>, vector<1x16xf32>
            }
            %place0 = arith.constant 0 : index
            vector.transfer_write %sums0#0, %room[%place0, %c0, %c0] {in_bounds = [true, true]}
                : vector<1x16xf32>, memref<4x1x16xf32>
            %place1 = arith.constant 1 : index
            vector.transfer_write %sums0#1, %room[%place1, %c0, %c0] {in_bounds = [true, true]}
                : vector<1x16xf32>, memref<4x1x16xf32>
            %place2 = arith.constant 2 : index
            vector.transfer_write %sums0#2, %room[%place2, %c0, %c0] {in_bounds = [true, true]}
                : vector<1x16xf32>, memref<4x1x16xf32>
            %place3 = arith.constant 3 : index
            vector.transfer_write %sums0#3, %room[%place3, %c0, %c0] {in_bounds = [true, true]}
                : vector<1x16xf32>, memref<4x1x16xf32>
            scf.for %m = %c0 to %rows_at_once step %c1 {
              %r = arith.addi %m0, %m : index
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %n0, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<4x1x16xf32>, vector<16xf32>
                %lanes = vector.step : vector<16xindex>
                %from = vector.broadcast %at : index to vector<16xindex>
                %columns = arith.addi %from, %lanes : vector<16xindex>
                %ends = arith.constant dense<331> : vector<16xindex>
                %is_column = arith.cmpi ult, %columns, %ends : vector<16xindex>
                %fill = arith.constant dense<0.0> : vector<16xf32>
                %y_sum_kept = arith.select %is_column, %y_sum, %fill : vector<16xi1>, vector<16xf32>
                vector.store %y_sum_kept, %y[%r, %at] : memref<1x336xf32>, vector<16xf32>
              }
            }
          }
        }
        return
      }
    }
  }
}

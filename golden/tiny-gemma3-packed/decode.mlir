// decode · gemma3_text, untied · 3 layers, hidden 64, 4/2 heads of 24 · context 64, 4 slots · exact

!embed = tensor<21x64x16x1xf32>
!norm = tensor<64xf32>
!lm_head = tensor<21x64x16x1xf32>
!qkv = tensor<12x64x16x1xf32>
!head_norm = tensor<24xf32>
!o = tensor<4x96x16x1xf32>
!gate_up = tensor<13x64x16x1xf32>
!down = tensor<4x100x16x1xf32>
!k_cache = tensor<3x4x2x2x24x64xf32>
!v_cache = tensor<3x4x2x2x64x24xf32>
!last_logits = tensor<331xf32>
!tokens = tensor<1xi32>
!angle = tensor<1x2x12xf32>
!pasts = tensor<2xi32>
!hidden = tensor<1x64xf32>
!new_k = tensor<1x1x2x24x1xf32>
!new_v = tensor<1x1x2x1x24xf32>
!logits = tensor<1x331xf32>
!next = tensor<1xi32>
!column = tensor<1x1xf32>
!each_row = tensor<1xf32>
!norm_f32 = tensor<64xf32>
!q_each_head = tensor<4x24xf32>
!column_2 = tensor<4x1xf32>
!each_row_2 = tensor<4xf32>
!head_norm_f32 = tensor<24xf32>
!k_each_head = tensor<2x24xf32>
!column_3 = tensor<2x1xf32>
!each_row_3 = tensor<2xf32>
!qkv_x_tiles = tensor<1x64x1x1xf32>
!qkv_y_tiles = tensor<1x12x1x16xf32>
!qkv_row = tensor<1x192xf32>
!q_row = tensor<1x96xf32>
!k_row = tensor<1x48xf32>
!q_heads = tensor<1x2x2x24xf32>
!new_heads = tensor<1x2x1x24xf32>
!queries = tensor<2x2x24xf32>
!new = tensor<2x1x24xf32>
!k_lanes = tensor<3x8x2x24x64xf32>
!k_past = tensor<2x?x24x64xf32>
!v_lanes = tensor<3x8x2x64x24xf32>
!v_past = tensor<2x?x64x24xf32>
!scores = tensor<2x2x?x64xf32>
!each_lane = tensor<2x2xf32>
!partial = tensor<2x?x2x24xf32>
!o_x_tiles = tensor<1x96x1x1xf32>
!o_y_tiles = tensor<1x4x1x16xf32>
!angles = tensor<1x12xf32>
!q_pairs = tensor<1x4x2x12xf32>
!k_pairs = tensor<1x2x2x12xf32>
!gate_up_x_tiles = tensor<1x64x1x1xf32>
!gate_up_y_tiles = tensor<1x13x1x16xf32>
!gate_up_row = tensor<1x200xf32>
!inner = tensor<1x100xf32>
!down_x_tiles = tensor<1x100x1x1xf32>
!down_y_tiles = tensor<1x4x1x16xf32>
!lm_head_x_tiles = tensor<1x64x1x1xf32>
!lm_head_y_tiles = tensor<1x21x1x16xf32>
!vocab_index = tensor<1x331xi32>
!new_keys = tensor<3x1x2x24x1xf32>
!new_values = tensor<3x1x2x1x24xf32>
!keys_at = tensor<3x1x2x1x24x1xf32>
!values_at = tensor<3x1x2x1x1x24xf32>

module @decode {
  // One token of slot 0, at `position`.
  func.func public @decode(
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
      %token: tensor<i32>, %position: tensor<i32>,
      %k: !k_cache {tf.aliasing_output = 2 : i32},
      %v: !v_cache {tf.aliasing_output = 3 : i32})
      -> (tensor<i32>, !last_logits, !k_cache, !v_cache) {
    %first_slot = arith.constant 0 : index
    %tokens = stablehlo.reshape %token : (tensor<i32>) -> tensor<1xi32>
    %position_value = tensor.extract %position[] : tensor<i32>
    // how many blocks the step reads: those of the positions before its farthest row's, one at least
    %cached_positions = arith.index_cast %position_value : i32 to index
    %block_size = arith.constant 64 : index
    %one_block = arith.constant 1 : index
    %blocks_held = arith.ceildivsi %cached_positions, %block_size : index
    %blocks_read = arith.maxsi %blocks_held, %one_block : index
    %blocks = util.assume.int %blocks_read<umin = 1, umax = 2> : index
    %nearest_position = arith.index_cast %position_value : i32 to index
    %none_before = arith.constant 0 : index
    // the block of the first position that a window of 7 holds, and how many from there on
    %window7 = arith.constant 6 : index
    %window7_begin = arith.subi %nearest_position, %window7 : index
    %window7_first = arith.maxsi %window7_begin, %none_before : index
    %first_block_window7 = arith.divui %window7_first, %block_size : index
    %window7_left = arith.subi %blocks, %first_block_window7 : index
    %window7_read = arith.maxsi %window7_left, %one_block : index
    %blocks_window7 = util.assume.int %window7_read<umin = 1, umax = 2> : index

    %positions = stablehlo.reshape %position : (tensor<i32>) -> tensor<1xi32>
    // a layer's index is opaque to the compiler, so that one compiled attention serves all
    %layer0_index = arith.constant 0 : index
    %layer0 = util.optimization_barrier %layer0_index : index
    %layer1_index = arith.constant 1 : index
    %layer1 = util.optimization_barrier %layer1_index : index
    %layer2_index = arith.constant 2 : index
    %layer2 = util.optimization_barrier %layer2_index : index

    %cos_window7, %sin_window7 = call @rotary_angles_window7(%positions) : (!tokens) -> (!angle, !angle)
    %cos_full, %sin_full = call @rotary_angles_full(%positions) : (!tokens) -> (!angle, !angle)
    %past_each = stablehlo.broadcast_in_dim %positions, dims = [0] : (tensor<1xi32>) -> tensor<1x2xi32>
    %past = stablehlo.reshape %past_each : (tensor<1x2xi32>) -> !pasts
    %x0 = call @embedding(%embed, %tokens) : (!embed, !tokens) -> !hidden

    %x1, %new_k0, %new_v0 = call @layer_window7(
        %x0, %layer0_attn_norm, %layer0_qkv, %layer0_q_norm, %layer0_k_norm, %layer0_o, %layer0_post_attn_norm,
        %layer0_mlp_norm, %layer0_gate_up, %layer0_down, %layer0_post_mlp_norm, %layer0, %first_slot, %cos_window7,
        %sin_window7, %past, %blocks_window7, %first_block_window7, %k, %v)
        : (!hidden, !norm, !qkv, !head_norm, !head_norm, !o, !norm, !norm, !gate_up, !down, !norm, index, index,
           !angle, !angle, !pasts, index, index, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x2, %new_k1, %new_v1 = call @layer_window7(
        %x1, %layer1_attn_norm, %layer1_qkv, %layer1_q_norm, %layer1_k_norm, %layer1_o, %layer1_post_attn_norm,
        %layer1_mlp_norm, %layer1_gate_up, %layer1_down, %layer1_post_mlp_norm, %layer1, %first_slot, %cos_window7,
        %sin_window7, %past, %blocks_window7, %first_block_window7, %k, %v)
        : (!hidden, !norm, !qkv, !head_norm, !head_norm, !o, !norm, !norm, !gate_up, !down, !norm, index, index,
           !angle, !angle, !pasts, index, index, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x3, %new_k2, %new_v2 = call @layer_full(
        %x2, %layer2_attn_norm, %layer2_qkv, %layer2_q_norm, %layer2_k_norm, %layer2_o, %layer2_post_attn_norm,
        %layer2_mlp_norm, %layer2_gate_up, %layer2_down, %layer2_post_mlp_norm, %layer2, %first_slot, %cos_full,
        %sin_full, %past, %blocks, %k, %v)
        : (!hidden, !norm, !qkv, !head_norm, !head_norm, !o, !norm, !norm, !gate_up, !down, !norm, index, index,
           !angle, !angle, !pasts, index, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)

    %normed = call @rms_norm(%x3, %final_norm) : (!hidden, !norm) -> !hidden
    %row_logits = call @head(%normed, %lm_head) : (!hidden, !lm_head) -> !logits
    %row_next = call @argmax(%row_logits) : (!logits) -> !next
    %next = stablehlo.reshape %row_next : (tensor<1xi32>) -> tensor<i32>
    %logits = stablehlo.reshape %row_logits : (!logits) -> !last_logits

    %k_out, %v_out = call @cache_write(%k, %v, %new_k0, %new_k1, %new_k2, %new_v0, %new_v1, %new_v2, %position)
        : (!k_cache, !v_cache, !new_k, !new_k, !new_k, !new_v, !new_v, !new_v, tensor<i32>)
        -> (!k_cache, !v_cache)
    return %next, %logits, %k_out, %v_out : tensor<i32>, !last_logits, !k_cache, !v_cache
  }

  // x + norm(attention(norm(x))), then x + norm(mlp(norm(x))).
  func.func private @layer_window7(
      %x: !hidden, %attn_norm: !norm, %qkv: !qkv, %q_norm: !head_norm, %k_norm: !head_norm, %o: !o,
      %post_attn_norm: !norm, %mlp_norm: !norm, %gate_up: !gate_up, %down: !down, %post_mlp_norm: !norm,
      %layer: index, %first_slot: index, %cos: !angle, %sin: !angle, %past: !pasts, %blocks: index,
      %first_block: index, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (!hidden, !norm) -> !hidden
    %attended, %new_k, %new_v = call @attention_window7(
        %x_normed, %qkv, %q_norm, %k_norm, %o, %layer, %first_slot, %cos, %sin, %past, %blocks, %first_block,
        %k_cache, %v_cache)
        : (!hidden, !qkv, !head_norm, !head_norm, !o, index, index, !angle, !angle, !pasts, index, index, !k_cache,
           !v_cache)
        -> (!hidden, !new_k, !new_v)
    %attended_normed = call @rms_norm(%attended, %post_attn_norm) : (!hidden, !norm) -> !hidden
    %x_mid = stablehlo.add %x, %attended_normed : !hidden
    %mid_normed = call @rms_norm(%x_mid, %mlp_norm) : (!hidden, !norm) -> !hidden
    %fed = call @mlp(%mid_normed, %gate_up, %down) : (!hidden, !gate_up, !down) -> !hidden
    %fed_normed = call @rms_norm(%fed, %post_mlp_norm) : (!hidden, !norm) -> !hidden
    %y = stablehlo.add %x_mid, %fed_normed : !hidden
    return %y, %new_k, %new_v : !hidden, !new_k, !new_v
  }

  // x + norm(attention(norm(x))), then x + norm(mlp(norm(x))).
  func.func private @layer_full(
      %x: !hidden, %attn_norm: !norm, %qkv: !qkv, %q_norm: !head_norm, %k_norm: !head_norm, %o: !o,
      %post_attn_norm: !norm, %mlp_norm: !norm, %gate_up: !gate_up, %down: !down, %post_mlp_norm: !norm,
      %layer: index, %first_slot: index, %cos: !angle, %sin: !angle, %past: !pasts, %blocks: index,
      %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (!hidden, !norm) -> !hidden
    %attended, %new_k, %new_v = call @attention_full(
        %x_normed, %qkv, %q_norm, %k_norm, %o, %layer, %first_slot, %cos, %sin, %past, %blocks, %k_cache, %v_cache)
        : (!hidden, !qkv, !head_norm, !head_norm, !o, index, index, !angle, !angle, !pasts, index, !k_cache,
           !v_cache)
        -> (!hidden, !new_k, !new_v)
    %attended_normed = call @rms_norm(%attended, %post_attn_norm) : (!hidden, !norm) -> !hidden
    %x_mid = stablehlo.add %x, %attended_normed : !hidden
    %mid_normed = call @rms_norm(%x_mid, %mlp_norm) : (!hidden, !norm) -> !hidden
    %fed = call @mlp(%mid_normed, %gate_up, %down) : (!hidden, !gate_up, !down) -> !hidden
    %fed_normed = call @rms_norm(%fed, %post_mlp_norm) : (!hidden, !norm) -> !hidden
    %y = stablehlo.add %x_mid, %fed_normed : !hidden
    return %y, %new_k, %new_v : !hidden, !new_k, !new_v
  }

  // x / sqrt(mean(x²) + eps) · (weight + 1.0), in f32.
  func.func private @rms_norm(%x: !hidden, %weight: !norm) -> !hidden {
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %size = stablehlo.constant dense<64.0> : !column
    %eps = stablehlo.constant dense<1.0e-04> : !column
    %square = stablehlo.multiply %x, %x : !hidden
    %sum = stablehlo.reduce(%square init: %zero) applies stablehlo.add across dimensions = [1]
        : (!hidden, tensor<f32>) -> !each_row
    %sums = stablehlo.reshape %sum : (!each_row) -> !column
    %mean = stablehlo.divide %sums, %size : !column
    %shifted = stablehlo.add %mean, %eps : !column
    %scale = stablehlo.rsqrt %shifted : !column
    %scales = stablehlo.broadcast_in_dim %scale, dims = [0, 1] : (!column) -> !hidden
    %normed = stablehlo.multiply %x, %scales : !hidden
    %offset = stablehlo.constant dense<1.0> : !norm_f32
    %whole_weight = stablehlo.add %weight, %offset : !norm_f32
    %weights = stablehlo.broadcast_in_dim %whole_weight, dims = [1] : (!norm_f32) -> !hidden
    %y = stablehlo.multiply %normed, %weights : !hidden
    return %y : !hidden
  }

  // x / sqrt(mean(x²) + eps) · (weight + 1.0), in f32.
  func.func private @rms_norm_q(%x: !q_each_head, %weight: !head_norm) -> !q_each_head {
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %size = stablehlo.constant dense<24.0> : !column_2
    %eps = stablehlo.constant dense<1.0e-04> : !column_2
    %square = stablehlo.multiply %x, %x : !q_each_head
    %sum = stablehlo.reduce(%square init: %zero) applies stablehlo.add across dimensions = [1]
        : (!q_each_head, tensor<f32>) -> !each_row_2
    %sums = stablehlo.reshape %sum : (!each_row_2) -> !column_2
    %mean = stablehlo.divide %sums, %size : !column_2
    %shifted = stablehlo.add %mean, %eps : !column_2
    %scale = stablehlo.rsqrt %shifted : !column_2
    %scales = stablehlo.broadcast_in_dim %scale, dims = [0, 1] : (!column_2) -> !q_each_head
    %normed = stablehlo.multiply %x, %scales : !q_each_head
    %offset = stablehlo.constant dense<1.0> : !head_norm_f32
    %whole_weight = stablehlo.add %weight, %offset : !head_norm_f32
    %weights = stablehlo.broadcast_in_dim %whole_weight, dims = [1] : (!head_norm_f32) -> !q_each_head
    %y = stablehlo.multiply %normed, %weights : !q_each_head
    return %y : !q_each_head
  }

  // x / sqrt(mean(x²) + eps) · (weight + 1.0), in f32.
  func.func private @rms_norm_k(%x: !k_each_head, %weight: !head_norm) -> !k_each_head {
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %size = stablehlo.constant dense<24.0> : !column_3
    %eps = stablehlo.constant dense<1.0e-04> : !column_3
    %square = stablehlo.multiply %x, %x : !k_each_head
    %sum = stablehlo.reduce(%square init: %zero) applies stablehlo.add across dimensions = [1]
        : (!k_each_head, tensor<f32>) -> !each_row_3
    %sums = stablehlo.reshape %sum : (!each_row_3) -> !column_3
    %mean = stablehlo.divide %sums, %size : !column_3
    %shifted = stablehlo.add %mean, %eps : !column_3
    %scale = stablehlo.rsqrt %shifted : !column_3
    %scales = stablehlo.broadcast_in_dim %scale, dims = [0, 1] : (!column_3) -> !k_each_head
    %normed = stablehlo.multiply %x, %scales : !k_each_head
    %offset = stablehlo.constant dense<1.0> : !head_norm_f32
    %whole_weight = stablehlo.add %weight, %offset : !head_norm_f32
    %weights = stablehlo.broadcast_in_dim %whole_weight, dims = [1] : (!head_norm_f32) -> !k_each_head
    %y = stablehlo.multiply %normed, %weights : !k_each_head
    return %y : !k_each_head
  }

  // Attention: softmax over two parts, the cached keys and the step's own, by a common maximum, in a window of 7.
  // Returns the new keys and values, too, which the step writes, those of all layers at once.
  func.func private @attention_window7(
      %x: !hidden, %qkv: !qkv, %q_norm: !head_norm, %k_norm: !head_norm, %o: !o, %layer: index, %first_slot: index,
      %cos: !angle, %sin: !angle, %past: !pasts, %blocks: index, %first_block: index, %k_cache: !k_cache,
      %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {

    %qkv_flat_pad = arith.constant 0.0 : f32
    %qkv_flat_room = tensor.empty() : !qkv_x_tiles
    %qkv_flat_tiles = linalg.pack %x padding_value(%qkv_flat_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [1, 1] into %qkv_flat_room : tensor<1x64xf32> -> !qkv_x_tiles
    %qkv_flat_zero = arith.constant 0.0 : f32
    %qkv_flat_empty = tensor.empty() : !qkv_y_tiles
    %qkv_flat_zeros = linalg.fill ins(%qkv_flat_zero : f32)
        outs(%qkv_flat_empty : !qkv_y_tiles) -> !qkv_y_tiles
    %qkv_flat_sums = linalg.mmt4d
        ins(%qkv_flat_tiles, %qkv : !qkv_x_tiles, !qkv)
        outs(%qkv_flat_zeros : !qkv_y_tiles) -> !qkv_y_tiles
    %qkv_flat_flat = tensor.empty() : !qkv_row
    %qkv_flat = linalg.unpack %qkv_flat_sums inner_dims_pos = [0, 1] inner_tiles = [1, 16]
        into %qkv_flat_flat : !qkv_y_tiles -> !qkv_row
    %q_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<1x8x2x12xf32>
    %q_flat_part = stablehlo.slice %q_flat_of_all [0:1, 0:4, 0:2, 0:12]
        : (tensor<1x8x2x12xf32>) -> tensor<1x4x2x12xf32>
    %q_flat = stablehlo.reshape %q_flat_part : (tensor<1x4x2x12xf32>) -> !q_row
    %k_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<1x8x2x12xf32>
    %k_flat_part = stablehlo.slice %k_flat_of_all [0:1, 4:6, 0:2, 0:12]
        : (tensor<1x8x2x12xf32>) -> tensor<1x2x2x12xf32>
    %k_flat = stablehlo.reshape %k_flat_part : (tensor<1x2x2x12xf32>) -> !k_row
    %v_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<1x8x24xf32>
    %v_flat_part = stablehlo.slice %v_flat_of_all [0:1, 6:8, 0:24]
        : (tensor<1x8x24xf32>) -> tensor<1x2x24xf32>
    %v_flat = stablehlo.reshape %v_flat_part : (tensor<1x2x24xf32>) -> !k_row

    %q_each_head = stablehlo.reshape %q_flat : (!q_row) -> !q_each_head
    %q_each_normed = call @rms_norm_q(%q_each_head, %q_norm) : (!q_each_head, !head_norm) -> !q_each_head
    %q_normed = stablehlo.reshape %q_each_normed : (!q_each_head) -> !q_row
    %k_each_head = stablehlo.reshape %k_flat : (!k_row) -> !k_each_head
    %k_each_normed = call @rms_norm_k(%k_each_head, %k_norm) : (!k_each_head, !head_norm) -> !k_each_head
    %k_normed = stablehlo.reshape %k_each_normed : (!k_each_head) -> !k_row
    %q_turned = call @rotary_q(%q_normed, %cos, %sin) : (!q_row, !angle, !angle) -> !q_row
    %k_turned = call @rotary_k(%k_normed, %cos, %sin) : (!k_row, !angle, !angle) -> !k_row

    // queries [slots, kv_heads, group · new, head_dim], keys and values [slots, kv_heads, new, head_dim];
    // group: the query heads of a kv head, new: the step's tokens of a slot
    %q_heads = stablehlo.reshape %q_turned : (!q_row) -> !q_heads
    %k_heads = stablehlo.reshape %k_turned : (!k_row) -> !new_heads
    %v_heads = stablehlo.reshape %v_flat : (!k_row) -> !new_heads
    %scale = stablehlo.constant dense<0.2236068> : !q_heads
    %q_scaled = stablehlo.multiply %q_heads, %scale : !q_heads

    // slots and kv_heads as one dimension b; g: query, n: block, j: position in a block, d: head_dim
    %q_lanes = stablehlo.reshape %q_scaled : (!q_heads) -> !queries
    %k_new = stablehlo.reshape %k_heads : (!new_heads) -> !new
    %kv_heads = arith.constant 2 : index
    %first = arith.muli %first_slot, %kv_heads : index
    %k_all = stablehlo.reshape %k_cache : (!k_cache) -> !k_lanes
    %k_past = tensor.extract_slice %k_all[%layer, %first, %first_block, 0, 0]
        [1, 2, %blocks, 24, 64] [1, 1, 1, 1, 1] : !k_lanes to !k_past
    %v_all = stablehlo.reshape %v_cache : (!v_cache) -> !v_lanes
    %v_past = tensor.extract_slice %v_all[%layer, %first, %first_block, 0, 0]
        [1, 2, %blocks, 64, 24] [1, 1, 1, 1, 1] : !v_lanes to !v_past

    %none = arith.constant 0.0 : f32
    %minus_inf = arith.constant 0xFF800000 : f32
    %block_size = arith.constant 64 : index
    %window = arith.constant 7 : i32
    %new = arith.constant 1 : index
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
      %number = arith.addi %n, %first_block : index
      %before = arith.muli %number, %block_size : index
      %position = arith.addi %before, %j : index
      %position_i32 = arith.index_cast %position : index to i32
      %g = linalg.index 1 : index
      %place = arith.remui %g, %new : index
      %place_i32 = arith.index_cast %place : index to i32
      %query_position = arith.addi %cached_end, %place_i32 : i32
      %seen_until = arith.addi %position_i32, %window : i32
      %is_near = arith.cmpi sgt, %seen_until, %query_position : i32
      %is_past = arith.cmpi slt, %position_i32, %cached_end : i32
      %is_cached = arith.andi %is_past, %is_near : i1
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
      %number = arith.addi %n, %first_block : index
      %before = arith.muli %number, %block_size : index
      %position = arith.addi %before, %j : index
      %position_i32 = arith.index_cast %position : index to i32
      %g = linalg.index 1 : index
      %place = arith.remui %g, %new : index
      %place_i32 = arith.index_cast %place : index to i32
      %query_position = arith.addi %cached_end, %place_i32 : i32
      %seen_until = arith.addi %position_i32, %window : i32
      %is_near = arith.cmpi sgt, %seen_until, %query_position : i32
      %is_past = arith.cmpi slt, %position_i32, %cached_end : i32
      %is_cached = arith.andi %is_past, %is_near : i1
      %below = arith.subf %score, %highest : f32
      %exp = math.exp %below : f32
      %weight = arith.select %is_cached, %exp, %none : f32
      linalg.yield %weight : f32
    } -> !scores
    %own_below = stablehlo.subtract %own_max, %max : !each_lane
    %own_sum = stablehlo.exponential %own_below : !each_lane
    %own_sums = stablehlo.reshape %own_sum : (!each_lane) -> tensor<1x2x2xf32>
    %own_weights = stablehlo.broadcast_in_dim %own_sums, dims = [0, 1, 2] : (tensor<1x2x2xf32>) -> !q_heads
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
    %new_k = stablehlo.reshape %k_heads : (tensor<1x2x1x24xf32>) -> !new_k
    %new_v = stablehlo.reshape %v_heads : (tensor<1x2x1x24xf32>) -> !new_v

    %y_pad = arith.constant 0.0 : f32
    %y_room = tensor.empty() : !o_x_tiles
    %y_tiles = linalg.pack %flat_out padding_value(%y_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [1, 1] into %y_room : tensor<1x96xf32> -> !o_x_tiles
    %y_zero = arith.constant 0.0 : f32
    %y_empty = tensor.empty() : !o_y_tiles
    %y_zeros = linalg.fill ins(%y_zero : f32)
        outs(%y_empty : !o_y_tiles) -> !o_y_tiles
    %y_sums = linalg.mmt4d
        ins(%y_tiles, %o : !o_x_tiles, !o)
        outs(%y_zeros : !o_y_tiles) -> !o_y_tiles
    %y_flat = tensor.empty() : !hidden
    %y = linalg.unpack %y_sums inner_dims_pos = [0, 1] inner_tiles = [1, 16]
        into %y_flat : !o_y_tiles -> !hidden
    return %y, %new_k, %new_v : !hidden, !new_k, !new_v
  }

  // Attention: softmax over two parts, the cached keys and the step's own, by a common maximum.
  // Returns the new keys and values, too, which the step writes, those of all layers at once.
  func.func private @attention_full(
      %x: !hidden, %qkv: !qkv, %q_norm: !head_norm, %k_norm: !head_norm, %o: !o, %layer: index, %first_slot: index,
      %cos: !angle, %sin: !angle, %past: !pasts, %blocks: index, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {

    %qkv_flat_pad = arith.constant 0.0 : f32
    %qkv_flat_room = tensor.empty() : !qkv_x_tiles
    %qkv_flat_tiles = linalg.pack %x padding_value(%qkv_flat_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [1, 1] into %qkv_flat_room : tensor<1x64xf32> -> !qkv_x_tiles
    %qkv_flat_zero = arith.constant 0.0 : f32
    %qkv_flat_empty = tensor.empty() : !qkv_y_tiles
    %qkv_flat_zeros = linalg.fill ins(%qkv_flat_zero : f32)
        outs(%qkv_flat_empty : !qkv_y_tiles) -> !qkv_y_tiles
    %qkv_flat_sums = linalg.mmt4d
        ins(%qkv_flat_tiles, %qkv : !qkv_x_tiles, !qkv)
        outs(%qkv_flat_zeros : !qkv_y_tiles) -> !qkv_y_tiles
    %qkv_flat_flat = tensor.empty() : !qkv_row
    %qkv_flat = linalg.unpack %qkv_flat_sums inner_dims_pos = [0, 1] inner_tiles = [1, 16]
        into %qkv_flat_flat : !qkv_y_tiles -> !qkv_row
    %q_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<1x8x2x12xf32>
    %q_flat_part = stablehlo.slice %q_flat_of_all [0:1, 0:4, 0:2, 0:12]
        : (tensor<1x8x2x12xf32>) -> tensor<1x4x2x12xf32>
    %q_flat = stablehlo.reshape %q_flat_part : (tensor<1x4x2x12xf32>) -> !q_row
    %k_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<1x8x2x12xf32>
    %k_flat_part = stablehlo.slice %k_flat_of_all [0:1, 4:6, 0:2, 0:12]
        : (tensor<1x8x2x12xf32>) -> tensor<1x2x2x12xf32>
    %k_flat = stablehlo.reshape %k_flat_part : (tensor<1x2x2x12xf32>) -> !k_row
    %v_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<1x8x24xf32>
    %v_flat_part = stablehlo.slice %v_flat_of_all [0:1, 6:8, 0:24]
        : (tensor<1x8x24xf32>) -> tensor<1x2x24xf32>
    %v_flat = stablehlo.reshape %v_flat_part : (tensor<1x2x24xf32>) -> !k_row

    %q_each_head = stablehlo.reshape %q_flat : (!q_row) -> !q_each_head
    %q_each_normed = call @rms_norm_q(%q_each_head, %q_norm) : (!q_each_head, !head_norm) -> !q_each_head
    %q_normed = stablehlo.reshape %q_each_normed : (!q_each_head) -> !q_row
    %k_each_head = stablehlo.reshape %k_flat : (!k_row) -> !k_each_head
    %k_each_normed = call @rms_norm_k(%k_each_head, %k_norm) : (!k_each_head, !head_norm) -> !k_each_head
    %k_normed = stablehlo.reshape %k_each_normed : (!k_each_head) -> !k_row
    %q_turned = call @rotary_q(%q_normed, %cos, %sin) : (!q_row, !angle, !angle) -> !q_row
    %k_turned = call @rotary_k(%k_normed, %cos, %sin) : (!k_row, !angle, !angle) -> !k_row

    // queries [slots, kv_heads, group · new, head_dim], keys and values [slots, kv_heads, new, head_dim];
    // group: the query heads of a kv head, new: the step's tokens of a slot
    %q_heads = stablehlo.reshape %q_turned : (!q_row) -> !q_heads
    %k_heads = stablehlo.reshape %k_turned : (!k_row) -> !new_heads
    %v_heads = stablehlo.reshape %v_flat : (!k_row) -> !new_heads
    %scale = stablehlo.constant dense<0.2236068> : !q_heads
    %q_scaled = stablehlo.multiply %q_heads, %scale : !q_heads

    // slots and kv_heads as one dimension b; g: query, n: block, j: position in a block, d: head_dim
    %q_lanes = stablehlo.reshape %q_scaled : (!q_heads) -> !queries
    %k_new = stablehlo.reshape %k_heads : (!new_heads) -> !new
    %kv_heads = arith.constant 2 : index
    %first = arith.muli %first_slot, %kv_heads : index
    %k_all = stablehlo.reshape %k_cache : (!k_cache) -> !k_lanes
    %k_past = tensor.extract_slice %k_all[%layer, %first, 0, 0, 0]
        [1, 2, %blocks, 24, 64] [1, 1, 1, 1, 1] : !k_lanes to !k_past
    %v_all = stablehlo.reshape %v_cache : (!v_cache) -> !v_lanes
    %v_past = tensor.extract_slice %v_all[%layer, %first, 0, 0, 0]
        [1, 2, %blocks, 64, 24] [1, 1, 1, 1, 1] : !v_lanes to !v_past

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
    %own_sums = stablehlo.reshape %own_sum : (!each_lane) -> tensor<1x2x2xf32>
    %own_weights = stablehlo.broadcast_in_dim %own_sums, dims = [0, 1, 2] : (tensor<1x2x2xf32>) -> !q_heads
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
    %new_k = stablehlo.reshape %k_heads : (tensor<1x2x1x24xf32>) -> !new_k
    %new_v = stablehlo.reshape %v_heads : (tensor<1x2x1x24xf32>) -> !new_v

    %y_pad = arith.constant 0.0 : f32
    %y_room = tensor.empty() : !o_x_tiles
    %y_tiles = linalg.pack %flat_out padding_value(%y_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [1, 1] into %y_room : tensor<1x96xf32> -> !o_x_tiles
    %y_zero = arith.constant 0.0 : f32
    %y_empty = tensor.empty() : !o_y_tiles
    %y_zeros = linalg.fill ins(%y_zero : f32)
        outs(%y_empty : !o_y_tiles) -> !o_y_tiles
    %y_sums = linalg.mmt4d
        ins(%y_tiles, %o : !o_x_tiles, !o)
        outs(%y_zeros : !o_y_tiles) -> !o_y_tiles
    %y_flat = tensor.empty() : !hidden
    %y = linalg.unpack %y_sums inner_dims_pos = [0, 1] inner_tiles = [1, 16]
        into %y_flat : !o_y_tiles -> !hidden
    return %y, %new_k, %new_v : !hidden, !new_k, !new_v
  }

  // cos and ∓sin of position · frequency, laid over a head's two halves: [rows, 2, head_dim / 2].
  func.func private @rotary_angles_window7(%positions: !tokens) -> (!angle, !angle) {
    // theta^(-2i / head_dim), theta 100: radians a position
    %frequency = stablehlo.constant dense<[
        1.0, 0.68129206, 0.4641589, 0.31622776, 0.21544346, 0.14677992, 0.1, 0.068129204, 0.046415888, 0.031622775,
        0.021544347, 0.014677993]> : tensor<12xf32>
    %sign = stablehlo.constant dense<[-1.0, 1.0]> : tensor<2xf32>
    %position = stablehlo.convert %positions : (!tokens) -> tensor<1xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<1xf32>) -> !angles
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
    %position = stablehlo.convert %positions : (!tokens) -> tensor<1xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<1xf32>) -> !angles
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

  // down(gelu_tanh(gate(x)) · up(x))
  func.func private @mlp(%x: !hidden, %gate_up: !gate_up, %down: !down) -> !hidden {

    %both_pad = arith.constant 0.0 : f32
    %both_room = tensor.empty() : !gate_up_x_tiles
    %both_tiles = linalg.pack %x padding_value(%both_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [1, 1] into %both_room : tensor<1x64xf32> -> !gate_up_x_tiles
    %both_zero = arith.constant 0.0 : f32
    %both_empty = tensor.empty() : !gate_up_y_tiles
    %both_zeros = linalg.fill ins(%both_zero : f32)
        outs(%both_empty : !gate_up_y_tiles) -> !gate_up_y_tiles
    %both_sums = linalg.mmt4d
        ins(%both_tiles, %gate_up : !gate_up_x_tiles, !gate_up)
        outs(%both_zeros : !gate_up_y_tiles) -> !gate_up_y_tiles
    %both_flat = tensor.empty() : !gate_up_row
    %both = linalg.unpack %both_sums inner_dims_pos = [0, 1] inner_tiles = [1, 16]
        into %both_flat : !gate_up_y_tiles -> !gate_up_row
    %gated = stablehlo.slice %both [0:1, 0:100] : (!gate_up_row) -> !inner
    %raised = stablehlo.slice %both [0:1, 100:200] : (!gate_up_row) -> !inner

    %half = stablehlo.constant dense<0.5> : !inner
    %one = stablehlo.constant dense<1.0> : !inner
    %cubic = stablehlo.constant dense<0.044715> : !inner
    %root = stablehlo.constant dense<0.7978845608> : !inner
    %square = stablehlo.multiply %gated, %gated : !inner
    %cube = stablehlo.multiply %square, %gated : !inner
    %bent = stablehlo.multiply %cube, %cubic : !inner
    %sum = stablehlo.add %gated, %bent : !inner
    %scaled = stablehlo.multiply %sum, %root : !inner
    %tanh = stablehlo.tanh %scaled : !inner
    %shifted = stablehlo.add %tanh, %one : !inner
    %halved = stablehlo.multiply %shifted, %half : !inner
    %activated = stablehlo.multiply %gated, %halved : !inner
    %inner = stablehlo.multiply %activated, %raised : !inner

    %y_pad = arith.constant 0.0 : f32
    %y_room = tensor.empty() : !down_x_tiles
    %y_tiles = linalg.pack %inner padding_value(%y_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [1, 1] into %y_room : tensor<1x100xf32> -> !down_x_tiles
    %y_zero = arith.constant 0.0 : f32
    %y_empty = tensor.empty() : !down_y_tiles
    %y_zeros = linalg.fill ins(%y_zero : f32)
        outs(%y_empty : !down_y_tiles) -> !down_y_tiles
    %y_sums = linalg.mmt4d
        ins(%y_tiles, %down : !down_x_tiles, !down)
        outs(%y_zeros : !down_y_tiles) -> !down_y_tiles
    %y_flat = tensor.empty() : !hidden
    %y = linalg.unpack %y_sums inner_dims_pos = [0, 1] inner_tiles = [1, 16]
        into %y_flat : !down_y_tiles -> !hidden
    return %y : !hidden
  }

  // Row `token` of the table for each token, times 8.0.
  func.func private @embedding(%embed: !embed, %tokens: !tokens) -> !hidden {
    %found_n = stablehlo.constant dense<16> : !tokens
    %found_tile = stablehlo.divide %tokens, %found_n : !tokens
    %found_within = stablehlo.remainder %tokens, %found_n : !tokens
    %found_tiles = stablehlo.reshape %found_tile : (!tokens) -> tensor<1x1xi32>
    %found_rows = stablehlo.reshape %found_within : (!tokens) -> tensor<1x1xi32>
    %found_at = stablehlo.concatenate %found_tiles, %found_rows, dim = 1
        : (tensor<1x1xi32>, tensor<1x1xi32>) -> tensor<1x2xi32>
    %found_tile_row = "stablehlo.gather"(%embed, %found_at) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1, 2, 3, 4], start_index_map = [0, 2], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 64, 1, 1>, indices_are_sorted = false}>
        : (!embed, tensor<1x2xi32>) -> tensor<1x1x64x1x1xf32>
    %found = stablehlo.reshape %found_tile_row : (tensor<1x1x64x1x1xf32>) -> tensor<1x64xf32>

    %scale = stablehlo.constant dense<8.0> : !hidden
    %x = stablehlo.multiply %found, %scale : !hidden
    return %x : !hidden
  }

  // Logits over the vocabulary.
  func.func private @head(%x: !hidden, %lm_head: !lm_head) -> !logits {

    %logits_pad = arith.constant 0.0 : f32
    %logits_room = tensor.empty() : !lm_head_x_tiles
    %logits_tiles = linalg.pack %x padding_value(%logits_pad : f32)
        inner_dims_pos = [0, 1] inner_tiles = [1, 1] into %logits_room : tensor<1x64xf32> -> !lm_head_x_tiles
    %logits_zero = arith.constant 0.0 : f32
    %logits_empty = tensor.empty() : !lm_head_y_tiles
    %logits_zeros = linalg.fill ins(%logits_zero : f32)
        outs(%logits_empty : !lm_head_y_tiles) -> !lm_head_y_tiles
    %logits_sums = linalg.mmt4d
        ins(%logits_tiles, %lm_head : !lm_head_x_tiles, !lm_head)
        outs(%logits_zeros : !lm_head_y_tiles) -> !lm_head_y_tiles
    %logits_flat = tensor.empty() : !logits
    %logits = linalg.unpack %logits_sums inner_dims_pos = [0, 1] inner_tiles = [1, 16]
        into %logits_flat : !lm_head_y_tiles -> !logits
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
      %k: !k_cache, %v: !v_cache, %new_k0: !new_k, %new_k1: !new_k, %new_k2: !new_k, %new_v0: !new_v,
      %new_v1: !new_v, %new_v2: !new_v, %position: tensor<i32>)
      -> (!k_cache, !v_cache) {
    %keys = stablehlo.concatenate
        %new_k0, %new_k1, %new_k2, dim = 0
        : (!new_k, !new_k, !new_k) -> !new_keys
    %values = stablehlo.concatenate
        %new_v0, %new_v1, %new_v2, dim = 0
        : (!new_v, !new_v, !new_v) -> !new_values
    %block_size = arith.constant 64 : index
    %at = tensor.extract %position[] : tensor<i32>
    %index = arith.index_cast %at : i32 to index
    %block_out = arith.divui %index, %block_size : index
    %within_out = arith.remui %index, %block_size : index
    %k_row_out = stablehlo.reshape %keys : (!new_keys) -> !keys_at
    %v_row_out = stablehlo.reshape %values : (!new_values) -> !values_at
    %k_out = tensor.insert_slice %k_row_out into %k[0, 0, 0, %block_out, 0, %within_out]
        [3, 1, 2, 1, 24, 1] [1, 1, 1, 1, 1, 1] : !keys_at into !k_cache
    %v_out = tensor.insert_slice %v_row_out into %v[0, 0, 0, %block_out, %within_out, 0]
        [3, 1, 2, 1, 1, 24] [1, 1, 1, 1, 1, 1] : !values_at into !v_cache
    return %k_out, %v_out : !k_cache, !v_cache
  }
}

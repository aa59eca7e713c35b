// prefill · gemma3_text, untied · 3 layers, hidden 64, 4/2 heads of 24 · context 64, 4 slots, chunk 16 · exact

!embed = tensor<21x64x16x1xf32>
!norm = tensor<64xf32>
!lm_head = tensor<21x64x16x1xf32>
!qkv = tensor<12x64x16x1xf32>
!head_norm = tensor<24xf32>
!o = tensor<4x96x16x1xf32>
!gate_up = tensor<14x64x16x1xf32>
!down = tensor<4x100x16x1xf32>
!tokens = tensor<16xi32>
!k_cache = tensor<3x4x2x2x24x64xf32>
!v_cache = tensor<3x4x2x2x64x24xf32>
!last_logits = tensor<331xf32>
!angle = tensor<16x2x12xf32>
!pasts = tensor<2xi32>
!causal_mask = tensor<32x16xi1>
!hidden = tensor<16x64xf32>
!new_k = tensor<1x1x2x24x16xf32>
!new_v = tensor<1x1x2x16x24xf32>
!last_hidden = tensor<1x64xf32>
!logits = tensor<1x331xf32>
!next = tensor<1xi32>
!column = tensor<16x1xf32>
!each_row = tensor<16xf32>
!norm_f32 = tensor<64xf32>
!q_each_head = tensor<64x24xf32>
!column_2 = tensor<64x1xf32>
!each_row_2 = tensor<64xf32>
!head_norm_f32 = tensor<24xf32>
!k_each_head = tensor<32x24xf32>
!column_3 = tensor<32x1xf32>
!each_row_3 = tensor<32xf32>
!rows = tensor<16x64xf32>
!product_rows_3 = tensor<16x192xf32>
!qkv_row = tensor<16x192xf32>
!q_row = tensor<16x96xf32>
!k_row = tensor<16x48xf32>
!q_heads = tensor<1x2x32x24xf32>
!new_heads = tensor<1x2x16x24xf32>
!queries = tensor<2x32x24xf32>
!new = tensor<2x16x24xf32>
!k_lanes = tensor<3x8x2x24x64xf32>
!k_past = tensor<2x?x24x64xf32>
!v_lanes = tensor<3x8x2x64x24xf32>
!v_past = tensor<2x?x64x24xf32>
!scores = tensor<2x32x?x64xf32>
!own_lane_scores = tensor<2x32x16xf32>
!each_lane = tensor<2x32xf32>
!partial = tensor<2x?x32x24xf32>
!new_columns = tensor<1x2x24x16xf32>
!rows_3 = tensor<16x96xf32>
!product_rows_4 = tensor<16x64xf32>
!angles = tensor<16x12xf32>
!q_pairs = tensor<16x4x2x12xf32>
!k_pairs = tensor<16x2x2x12xf32>
!pairs = tensor<2x16x16xi32>
!product_rows_5 = tensor<16x224xf32>
!gate_up_row = tensor<16x224xf32>
!inner = tensor<16x100xf32>
!rows_4 = tensor<16x112xf32>
!rows_2 = tensor<1x64xf32>
!product_rows_2 = tensor<1x336xf32>
!vocab_index = tensor<1x331xi32>
!new_keys = tensor<3x1x2x24x16xf32>
!new_values = tensor<3x1x2x16x24xf32>
!key_padded = tensor<3x1x2x24x256xf32>
!key_moved = tensor<3x1x2x24x128xf32>
!key_split = tensor<3x1x2x24x2x64xf32>
!key_blocks = tensor<3x1x2x2x24x64xf32>
!key_index = tensor<3x1x2x2x24x64xi32>
!key_flag = tensor<3x1x2x2x24x64xi1>
!value_padded = tensor<3x1x2x256x24xf32>
!value_moved = tensor<3x1x2x128x24xf32>
!value_blocks = tensor<3x1x2x2x64x24xf32>
!value_index = tensor<3x1x2x2x64x24xi32>
!value_flag = tensor<3x1x2x2x64x24xi1>

module @prefill {
  // `length` tokens of `slot` from position `start`; the logits are the last one's.
  func.func public @prefill(
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
    %nearest = arith.index_cast %start_value : i32 to index
    %none_before = arith.constant 0 : index
    // the block of the first position that a window of 7 holds, and how many from there on
    %window7 = arith.constant 6 : index
    %window7_begin = arith.subi %nearest, %window7 : index
    %window7_first = arith.maxsi %window7_begin, %none_before : index
    %first_block_window7 = arith.divui %window7_first, %block_size : index
    %window7_left = arith.subi %blocks, %first_block_window7 : index
    %window7_read = arith.maxsi %window7_left, %one_block : index
    %blocks_window7 = util.assume.int %window7_read<umin = 1, umax = 2> : index

    %starts_at = stablehlo.reshape %start : (tensor<i32>) -> tensor<1xi32>
    // a layer's index is opaque to the compiler, so that one compiled attention serves all
    %layer0_index = arith.constant 0 : index
    %layer0 = util.optimization_barrier %layer0_index : index
    %layer1_index = arith.constant 1 : index
    %layer1 = util.optimization_barrier %layer1_index : index
    %layer2_index = arith.constant 2 : index
    %layer2 = util.optimization_barrier %layer2_index : index

    %cos_window7, %sin_window7 = call @rotary_angles_window7(%positions) : (!tokens) -> (!angle, !angle)
    %cos_full, %sin_full = call @rotary_angles_full(%positions) : (!tokens) -> (!angle, !angle)
    %past_each = stablehlo.broadcast_in_dim %starts_at, dims = [0] : (tensor<1xi32>) -> tensor<1x2xi32>
    %past = stablehlo.reshape %past_each : (tensor<1x2xi32>) -> !pasts
    %causal_mask_window7 = call @causal_mask_window7() : () -> !causal_mask
    %causal_mask = call @causal_mask() : () -> !causal_mask
    %x0 = call @embedding(%embed, %tokens) : (!embed, !tokens) -> !hidden

    %x1, %new_k0, %new_v0 = call @layer_window7(
        %x0, %layer0_attn_norm, %layer0_qkv, %layer0_q_norm, %layer0_k_norm, %layer0_o, %layer0_post_attn_norm,
        %layer0_mlp_norm, %layer0_gate_up, %layer0_down, %layer0_post_mlp_norm, %layer0, %first_slot, %cos_window7,
        %sin_window7, %past, %blocks_window7, %first_block_window7, %causal_mask_window7, %k, %v)
        : (!hidden, !norm, !qkv, !head_norm, !head_norm, !o, !norm, !norm, !gate_up, !down, !norm, index, index,
           !angle, !angle, !pasts, index, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x2, %new_k1, %new_v1 = call @layer_window7(
        %x1, %layer1_attn_norm, %layer1_qkv, %layer1_q_norm, %layer1_k_norm, %layer1_o, %layer1_post_attn_norm,
        %layer1_mlp_norm, %layer1_gate_up, %layer1_down, %layer1_post_mlp_norm, %layer1, %first_slot, %cos_window7,
        %sin_window7, %past, %blocks_window7, %first_block_window7, %causal_mask_window7, %k, %v)
        : (!hidden, !norm, !qkv, !head_norm, !head_norm, !o, !norm, !norm, !gate_up, !down, !norm, index, index,
           !angle, !angle, !pasts, index, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)
    %x3, %new_k2, %new_v2 = call @layer_full(
        %x2, %layer2_attn_norm, %layer2_qkv, %layer2_q_norm, %layer2_k_norm, %layer2_o, %layer2_post_attn_norm,
        %layer2_mlp_norm, %layer2_gate_up, %layer2_down, %layer2_post_mlp_norm, %layer2, %first_slot, %cos_full,
        %sin_full, %past, %blocks, %causal_mask, %k, %v)
        : (!hidden, !norm, !qkv, !head_norm, !head_norm, !o, !norm, !norm, !gate_up, !down, !norm, index, index,
           !angle, !angle, !pasts, index, !causal_mask, !k_cache, !v_cache)
        -> (!hidden, !new_k, !new_v)

    %normed = call @rms_norm(%x3, %final_norm) : (!hidden, !norm) -> !hidden
    %normed_last = tensor.extract_slice %normed[%last, 0] [1, 64] [1, 1] : !hidden to !last_hidden
    %row_logits = call @head(%normed_last, %lm_head) : (!last_hidden, !lm_head) -> !logits
    %row_next = call @argmax(%row_logits) : (!logits) -> !next
    %next = stablehlo.reshape %row_next : (tensor<1xi32>) -> tensor<i32>
    %logits = stablehlo.reshape %row_logits : (!logits) -> !last_logits

    %k_out, %v_out = call @cache_write(
        %k, %v, %new_k0, %new_k1, %new_k2, %new_v0, %new_v1, %new_v2, %slot, %start, %length)
        : (!k_cache, !v_cache, !new_k, !new_k, !new_k, !new_v, !new_v, !new_v, tensor<i32>, tensor<i32>,
           tensor<i32>)
        -> (!k_cache, !v_cache)
    return %next, %logits, %k_out, %v_out : tensor<i32>, !last_logits, !k_cache, !v_cache
  }

  // x + norm(attention(norm(x))), then x + norm(mlp(norm(x))).
  func.func private @layer_window7(
      %x: !hidden, %attn_norm: !norm, %qkv: !qkv, %q_norm: !head_norm, %k_norm: !head_norm, %o: !o,
      %post_attn_norm: !norm, %mlp_norm: !norm, %gate_up: !gate_up, %down: !down, %post_mlp_norm: !norm,
      %layer: index, %first_slot: index, %cos: !angle, %sin: !angle, %past: !pasts, %blocks: index,
      %first_block: index, %causal: !causal_mask, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (!hidden, !norm) -> !hidden
    %attended, %new_k, %new_v = call @attention_window7(
        %x_normed, %qkv, %q_norm, %k_norm, %o, %layer, %first_slot, %cos, %sin, %past, %blocks, %first_block,
        %causal, %k_cache, %v_cache)
        : (!hidden, !qkv, !head_norm, !head_norm, !o, index, index, !angle, !angle, !pasts, index, index,
           !causal_mask, !k_cache, !v_cache)
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
      %causal: !causal_mask, %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (!hidden, !norm) -> !hidden
    %attended, %new_k, %new_v = call @attention_full(
        %x_normed, %qkv, %q_norm, %k_norm, %o, %layer, %first_slot, %cos, %sin, %past, %blocks, %causal, %k_cache,
        %v_cache)
        : (!hidden, !qkv, !head_norm, !head_norm, !o, index, index, !angle, !angle, !pasts, index, !causal_mask,
           !k_cache, !v_cache)
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
      %cos: !angle, %sin: !angle, %past: !pasts, %blocks: index, %first_block: index, %causal: !causal_mask,
      %k_cache: !k_cache, %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %qkv_flat = flow.dispatch @rows16_12x64_f32::@rows16_12x64_f32(%x, %qkv)
        : (!rows, !qkv)
        -> !product_rows_3
    %q_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<16x8x2x12xf32>
    %q_flat_part = stablehlo.slice %q_flat_of_all [0:16, 0:4, 0:2, 0:12]
        : (tensor<16x8x2x12xf32>) -> tensor<16x4x2x12xf32>
    %q_flat = stablehlo.reshape %q_flat_part : (tensor<16x4x2x12xf32>) -> !q_row
    %k_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<16x8x2x12xf32>
    %k_flat_part = stablehlo.slice %k_flat_of_all [0:16, 4:6, 0:2, 0:12]
        : (tensor<16x8x2x12xf32>) -> tensor<16x2x2x12xf32>
    %k_flat = stablehlo.reshape %k_flat_part : (tensor<16x2x2x12xf32>) -> !k_row
    %v_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<16x8x24xf32>
    %v_flat_part = stablehlo.slice %v_flat_of_all [0:16, 6:8, 0:24]
        : (tensor<16x8x24xf32>) -> tensor<16x2x24xf32>
    %v_flat = stablehlo.reshape %v_flat_part : (tensor<16x2x24xf32>) -> !k_row

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
    %q_rows = stablehlo.reshape %q_turned : (!q_row) -> tensor<16x4x24xf32>
    %q_by_head = stablehlo.transpose %q_rows, dims = [1, 0, 2] : (tensor<16x4x24xf32>) -> tensor<4x16x24xf32>
    %q_heads = stablehlo.reshape %q_by_head : (tensor<4x16x24xf32>) -> !q_heads
    %k_rows = stablehlo.reshape %k_turned : (!k_row) -> tensor<16x2x24xf32>
    %k_by_head = stablehlo.transpose %k_rows, dims = [1, 0, 2] : (tensor<16x2x24xf32>) -> tensor<2x16x24xf32>
    %k_heads = stablehlo.reshape %k_by_head : (tensor<2x16x24xf32>) -> !new_heads
    %v_rows = stablehlo.reshape %v_flat : (!k_row) -> tensor<16x2x24xf32>
    %v_by_head = stablehlo.transpose %v_rows, dims = [1, 0, 2] : (tensor<16x2x24xf32>) -> tensor<2x16x24xf32>
    %v_heads = stablehlo.reshape %v_by_head : (tensor<2x16x24xf32>) -> !new_heads
    %scale = stablehlo.constant dense<0.2236068> : !q_heads
    %q_scaled = stablehlo.multiply %q_heads, %scale : !q_heads

    // slots and kv_heads as one dimension b; g: query, n: block, j: position in a block, d: head_dim
    %q_lanes = stablehlo.reshape %q_scaled : (!q_heads) -> !queries
    %k_new = stablehlo.reshape %k_heads : (!new_heads) -> !new
    %v_new = stablehlo.reshape %v_heads : (!new_heads) -> !new
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
    %new = arith.constant 16 : index
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
    %own_seen = stablehlo.broadcast_in_dim %causal, dims = [1, 2] : (!causal_mask) -> tensor<2x32x16xi1>
    %own_hidden = stablehlo.broadcast_in_dim %own_lowest, dims = [] : (tensor<f32>) -> !own_lane_scores
    %own = stablehlo.select %own_seen, %own_raw, %own_hidden : tensor<2x32x16xi1>, !own_lane_scores
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

    %out_by_head = stablehlo.reshape %heads_out : (!q_heads) -> tensor<4x16x24xf32>
    %out_rows = stablehlo.transpose %out_by_head, dims = [1, 0, 2] : (tensor<4x16x24xf32>) -> tensor<16x4x24xf32>
    %flat_out = stablehlo.reshape %out_rows : (tensor<16x4x24xf32>) -> !q_row
    %k_columns = stablehlo.transpose %k_heads, dims = [0, 1, 3, 2] : (tensor<1x2x16x24xf32>) -> !new_columns
    %new_k = stablehlo.reshape %k_columns : (!new_columns) -> !new_k
    %new_v = stablehlo.reshape %v_heads : (tensor<1x2x16x24xf32>) -> !new_v
    %y = flow.dispatch @rows16_4x96_f32::@rows16_4x96_f32(%flat_out, %o)
        : (!rows_3, !o)
        -> !product_rows_4
    return %y, %new_k, %new_v : !hidden, !new_k, !new_v
  }

  // Attention: softmax over two parts, the cached keys and the step's own, by a common maximum.
  // Returns the new keys and values, too, which the step writes, those of all layers at once.
  func.func private @attention_full(
      %x: !hidden, %qkv: !qkv, %q_norm: !head_norm, %k_norm: !head_norm, %o: !o, %layer: index, %first_slot: index,
      %cos: !angle, %sin: !angle, %past: !pasts, %blocks: index, %causal: !causal_mask, %k_cache: !k_cache,
      %v_cache: !v_cache)
      -> (!hidden, !new_k, !new_v) {
    %qkv_flat = flow.dispatch @rows16_12x64_f32::@rows16_12x64_f32(%x, %qkv)
        : (!rows, !qkv)
        -> !product_rows_3
    %q_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<16x8x2x12xf32>
    %q_flat_part = stablehlo.slice %q_flat_of_all [0:16, 0:4, 0:2, 0:12]
        : (tensor<16x8x2x12xf32>) -> tensor<16x4x2x12xf32>
    %q_flat = stablehlo.reshape %q_flat_part : (tensor<16x4x2x12xf32>) -> !q_row
    %k_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<16x8x2x12xf32>
    %k_flat_part = stablehlo.slice %k_flat_of_all [0:16, 4:6, 0:2, 0:12]
        : (tensor<16x8x2x12xf32>) -> tensor<16x2x2x12xf32>
    %k_flat = stablehlo.reshape %k_flat_part : (tensor<16x2x2x12xf32>) -> !k_row
    %v_flat_of_all = stablehlo.reshape %qkv_flat : (!qkv_row) -> tensor<16x8x24xf32>
    %v_flat_part = stablehlo.slice %v_flat_of_all [0:16, 6:8, 0:24]
        : (tensor<16x8x24xf32>) -> tensor<16x2x24xf32>
    %v_flat = stablehlo.reshape %v_flat_part : (tensor<16x2x24xf32>) -> !k_row

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
    %q_rows = stablehlo.reshape %q_turned : (!q_row) -> tensor<16x4x24xf32>
    %q_by_head = stablehlo.transpose %q_rows, dims = [1, 0, 2] : (tensor<16x4x24xf32>) -> tensor<4x16x24xf32>
    %q_heads = stablehlo.reshape %q_by_head : (tensor<4x16x24xf32>) -> !q_heads
    %k_rows = stablehlo.reshape %k_turned : (!k_row) -> tensor<16x2x24xf32>
    %k_by_head = stablehlo.transpose %k_rows, dims = [1, 0, 2] : (tensor<16x2x24xf32>) -> tensor<2x16x24xf32>
    %k_heads = stablehlo.reshape %k_by_head : (tensor<2x16x24xf32>) -> !new_heads
    %v_rows = stablehlo.reshape %v_flat : (!k_row) -> tensor<16x2x24xf32>
    %v_by_head = stablehlo.transpose %v_rows, dims = [1, 0, 2] : (tensor<16x2x24xf32>) -> tensor<2x16x24xf32>
    %v_heads = stablehlo.reshape %v_by_head : (tensor<2x16x24xf32>) -> !new_heads
    %scale = stablehlo.constant dense<0.2236068> : !q_heads
    %q_scaled = stablehlo.multiply %q_heads, %scale : !q_heads

    // slots and kv_heads as one dimension b; g: query, n: block, j: position in a block, d: head_dim
    %q_lanes = stablehlo.reshape %q_scaled : (!q_heads) -> !queries
    %k_new = stablehlo.reshape %k_heads : (!new_heads) -> !new
    %v_new = stablehlo.reshape %v_heads : (!new_heads) -> !new
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
    %own_raw = stablehlo.dot_general %q_lanes, %k_new,
        batching_dims = [0] x [0], contracting_dims = [2] x [2]
        : (!queries, !new) -> !own_lane_scores
    %own_seen = stablehlo.broadcast_in_dim %causal, dims = [1, 2] : (!causal_mask) -> tensor<2x32x16xi1>
    %own_hidden = stablehlo.broadcast_in_dim %own_lowest, dims = [] : (tensor<f32>) -> !own_lane_scores
    %own = stablehlo.select %own_seen, %own_raw, %own_hidden : tensor<2x32x16xi1>, !own_lane_scores
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

    %out_by_head = stablehlo.reshape %heads_out : (!q_heads) -> tensor<4x16x24xf32>
    %out_rows = stablehlo.transpose %out_by_head, dims = [1, 0, 2] : (tensor<4x16x24xf32>) -> tensor<16x4x24xf32>
    %flat_out = stablehlo.reshape %out_rows : (tensor<16x4x24xf32>) -> !q_row
    %k_columns = stablehlo.transpose %k_heads, dims = [0, 1, 3, 2] : (tensor<1x2x16x24xf32>) -> !new_columns
    %new_k = stablehlo.reshape %k_columns : (!new_columns) -> !new_k
    %new_v = stablehlo.reshape %v_heads : (tensor<1x2x16x24xf32>) -> !new_v
    %y = flow.dispatch @rows16_4x96_f32::@rows16_4x96_f32(%flat_out, %o)
        : (!rows_3, !o)
        -> !product_rows_4
    return %y, %new_k, %new_v : !hidden, !new_k, !new_v
  }

  // cos and ∓sin of position · frequency, laid over a head's two halves: [rows, 2, head_dim / 2].
  func.func private @rotary_angles_window7(%positions: !tokens) -> (!angle, !angle) {
    // theta^(-2i / head_dim), theta 100: radians a position
    %frequency = stablehlo.constant dense<[
        1.0, 0.68129206, 0.4641589, 0.31622776, 0.21544346, 0.14677992, 0.1, 0.068129204, 0.046415888, 0.031622775,
        0.021544347, 0.014677993]> : tensor<12xf32>
    %sign = stablehlo.constant dense<[-1.0, 1.0]> : tensor<2xf32>
    %position = stablehlo.convert %positions : (!tokens) -> tensor<16xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<16xf32>) -> !angles
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
    %position = stablehlo.convert %positions : (!tokens) -> tensor<16xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<16xf32>) -> !angles
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

  // Which of the chunk's own tokens each of its queries sees: itself and those before, in the window of 7.
  func.func private @causal_mask_window7() -> !causal_mask {
    %query = stablehlo.iota dim = 1 : !pairs
    %key = stablehlo.iota dim = 2 : !pairs
    %is_before = stablehlo.compare LE, %key, %query : (!pairs, !pairs) -> tensor<2x16x16xi1>
    %window = stablehlo.constant dense<7> : !pairs
    %seen_until = stablehlo.add %key, %window : !pairs
    %is_near = stablehlo.compare GT, %seen_until, %query : (!pairs, !pairs) -> tensor<2x16x16xi1>
    %seen = stablehlo.and %is_before, %is_near : tensor<2x16x16xi1>
    %mask = stablehlo.reshape %seen : (tensor<2x16x16xi1>) -> !causal_mask
    return %mask : !causal_mask
  }

  // Which of the chunk's own tokens each of its queries sees: itself and those before.
  func.func private @causal_mask() -> !causal_mask {
    %query = stablehlo.iota dim = 1 : !pairs
    %key = stablehlo.iota dim = 2 : !pairs
    %seen = stablehlo.compare LE, %key, %query : (!pairs, !pairs) -> tensor<2x16x16xi1>
    %mask = stablehlo.reshape %seen : (tensor<2x16x16xi1>) -> !causal_mask
    return %mask : !causal_mask
  }

  // down(gelu_tanh(gate(x)) · up(x))
  func.func private @mlp(%x: !hidden, %gate_up: !gate_up, %down: !down) -> !hidden {
    %both = flow.dispatch @rows16_14x64_f32::@rows16_14x64_f32(%x, %gate_up)
        : (!rows, !gate_up)
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
    %y_zero = stablehlo.constant dense<0.0> : tensor<f32>
    %y_in = stablehlo.pad %inner, %y_zero, low = [0, 0], high = [0, 12], interior = [0, 0]
        : (!inner, tensor<f32>) -> !rows_4
    %y = flow.dispatch @rows16_4x100_f32::@rows16_4x100_f32(%y_in, %down)
        : (!rows_4, !down)
        -> !product_rows_4
    return %y : !hidden
  }

  // Row `token` of the table for each token, times 8.0.
  func.func private @embedding(%embed: !embed, %tokens: !tokens) -> !hidden {
    %found_n = stablehlo.constant dense<16> : !tokens
    %found_tile = stablehlo.divide %tokens, %found_n : !tokens
    %found_within = stablehlo.remainder %tokens, %found_n : !tokens
    %found_tiles = stablehlo.reshape %found_tile : (!tokens) -> tensor<16x1xi32>
    %found_rows = stablehlo.reshape %found_within : (!tokens) -> tensor<16x1xi32>
    %found_at = stablehlo.concatenate %found_tiles, %found_rows, dim = 1
        : (tensor<16x1xi32>, tensor<16x1xi32>) -> tensor<16x2xi32>
    %found_tile_row = "stablehlo.gather"(%embed, %found_at) <{
        dimension_numbers = #stablehlo.gather<
            offset_dims = [1, 2, 3, 4], start_index_map = [0, 2], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 64, 1, 1>, indices_are_sorted = false}>
        : (!embed, tensor<16x2xi32>) -> tensor<16x1x64x1x1xf32>
    %found = stablehlo.reshape %found_tile_row : (tensor<16x1x64x1x1xf32>) -> tensor<16x64xf32>

    %scale = stablehlo.constant dense<8.0> : !hidden
    %x = stablehlo.multiply %found, %scale : !hidden
    return %x : !hidden
  }

  // Logits over the vocabulary.
  func.func private @head(%x: !last_hidden, %lm_head: !lm_head) -> !logits {
    %logits_padded = flow.dispatch @rows1_21x64_f32::@rows1_21x64_f32(%x, %lm_head)
        : (!rows_2, !lm_head)
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
      %k: !k_cache, %v: !v_cache, %new_k0: !new_k, %new_k1: !new_k, %new_k2: !new_k, %new_v0: !new_v,
      %new_v1: !new_v, %new_v2: !new_v, %slot: tensor<i32>, %start: tensor<i32>, %length: tensor<i32>)
      -> (!k_cache, !v_cache) {
    %keys = stablehlo.concatenate
        %new_k0, %new_k1, %new_k2, dim = 0
        : (!new_k, !new_k, !new_k) -> !new_keys
    %values = stablehlo.concatenate
        %new_v0, %new_v1, %new_v2, dim = 0
        : (!new_v, !new_v, !new_v) -> !new_values
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
        [3, 1, 2, 24, 128] [1, 1, 1, 1, 1] : !key_padded to !key_moved
    %key_split = stablehlo.reshape %key_moved : (!key_moved) -> !key_split
    %key_blocks = stablehlo.transpose %key_split, dims = [0, 1, 2, 4, 3, 5] : (!key_split) -> !key_blocks
    %key_held = tensor.extract_slice %k[0, %slot_index, 0, %block, 0, 0]
        [3, 1, 2, 2, 24, 64] [1, 1, 1, 1, 1, 1] : !k_cache to !key_blocks
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
        [3, 1, 2, 2, 24, 64] [1, 1, 1, 1, 1, 1] : !key_blocks into !k_cache

    %value_padded = stablehlo.pad %values, %filler, low = [0, 0, 0, 128, 0], high = [0, 0, 0, 112, 0],
        interior = [0, 0, 0, 0, 0]
        : (!new_values, tensor<f32>) -> !value_padded
    %value_moved = tensor.extract_slice %value_padded[0, 0, 0, %shift, 0]
        [3, 1, 2, 128, 24] [1, 1, 1, 1, 1] : !value_padded to !value_moved
    %value_blocks = stablehlo.reshape %value_moved : (!value_moved) -> !value_blocks
    %value_held = tensor.extract_slice %v[0, %slot_index, 0, %block, 0, 0]
        [3, 1, 2, 2, 64, 24] [1, 1, 1, 1, 1, 1] : !v_cache to !value_blocks
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
        [3, 1, 2, 2, 64, 24] [1, 1, 1, 1, 1, 1] : !value_blocks into !v_cache

    return %key_out, %value_out : !k_cache, !v_cache
  }

  // Rows × weights: 16 × 64 by 12 tiles of 16, 8 × 2 at once.
  stream.executable private @rows16_12x64_f32 {
    stream.executable.export public @rows16_12x64_f32 workgroups() -> (index, index, index) {
      %size1 = arith.constant 2 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @rows16_12x64_f32(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<12x64x16xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<16x192xf32>
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
              scf.for %t = %c0 to %unit step %c1 {
                %n = arith.addi %n0, %t : index
                %at = arith.muli %n, %width : index
                %y_sum = vector.load %room[%t, %m, %c0] : memref<2x8x16xf32>, vector<16xf32>
                vector.store %y_sum, %y[%r, %at] : memref<16x192xf32>, vector<16xf32>
              }
            }
          }
        }
        return
      }
    }
  }

  // Rows × weights: 16 × 96 by 4 tiles of 16, 8 × 2 at once.
  stream.executable private @rows16_4x96_f32 {
    stream.executable.export public @rows16_4x96_f32 workgroups() -> (index, index, index) {
      %size1 = arith.constant 1 : index
      %size2 = arith.constant 1 : index
      %size3 = arith.constant 1 : index
      stream.return %size1, %size2, %size3 : index, index, index
    }
    builtin.module {
      func.func @rows16_4x96_f32(
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<16x96xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<4x96x16xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<16x64xf32>
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
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<14x64x16xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<16x224xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 64 : index
        %rows = arith.constant 16 : index
        %rows_at_once = arith.constant 8 : index
        %last_rows = arith.constant 8 : index
        %tiles = arith.constant 14 : index
        %tiles_at_once = arith.constant 2 : index
        %unit = arith.constant 2 : index
        %last_unit = arith.constant 12 : index
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
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<14x64x16xf32>
              %w0_0 = vector.load %w[%n0, %k, %c0] : memref<14x64x16xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<14x64x16xf32>
              %w1_0 = vector.load %w[%n1, %k, %c0] : memref<14x64x16xf32>, vector<16xf32>
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
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<16x112xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<4x100x16xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<16x64xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 100 : index
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
              %fetched0 = arith.addi %n0, %ahead_n : index
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<4x100x16xf32>
              %w0_0 = vector.load %w[%n0, %k, %c0] : memref<4x100x16xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<8xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<4x100x16xf32>
              %w1_0 = vector.load %w[%n1, %k, %c0] : memref<4x100x16xf32>, vector<16xf32>
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
          %x_bytes: !stream.binding, %w_bytes: !stream.binding, %y_bytes: !stream.binding) {
        %c0 = arith.constant 0 : index
        %c1 = arith.constant 1 : index
        %x = stream.binding.subspan %x_bytes[%c0] : !stream.binding -> memref<1x64xf32>
        %w = stream.binding.subspan %w_bytes[%c0] : !stream.binding -> memref<21x64x16xf32>
        %y = stream.binding.subspan %y_bytes[%c0] : !stream.binding -> memref<1x336xf32>
        %width = arith.constant 16 : index
        %depth = arith.constant 64 : index
        %rows = arith.constant 1 : index
        %rows_at_once = arith.constant 1 : index
        %last_rows = arith.constant 0 : index
        %tiles = arith.constant 21 : index
        %tiles_at_once = arith.constant 4 : index
        %unit = arith.constant 4 : index
        %last_unit = arith.constant 17 : index
        %tiles_of_group = arith.constant 4 : index
        %prefetch = arith.constant 32 : index
        %zeros = arith.constant dense<0.0> : vector<1x16xf32>
        %per_step = arith.constant 1 : index
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
            %sums0:4 = scf.for %k = %c0 to %depth step %c1
                iter_args(%sum0 = %zeros, %sum1 = %zeros, %sum2 = %zeros, %sum3 = %zeros)
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
              %fetched0 = arith.addi %n0, %ahead_n : index
              memref.prefetch %w[%fetched0, %ahead_k, %c0], read, locality<3>, data : memref<21x64x16xf32>
              %w0_0 = vector.load %w[%n0, %k, %c0] : memref<21x64x16xf32>, vector<16xf32>
              %next0 = vector.outerproduct %column0, %w0_0, %sum0 {kind = #vector.kind<add>}
                  : vector<1xf32>, vector<16xf32>
              %fetched1 = arith.addi %fetched0, %c1 : index
              memref.prefetch %w[%fetched1, %ahead_k, %c0], read, locality<3>, data : memref<21x64x16xf32>
              %w1_0 = vector.load %w[%n1, %k, %c0] : memref<21x64x16xf32>, vector<16xf32>
              %next1 = vector.outerproduct %column0, %w1_0, %sum1 {kind = #vector.kind<add>}
                  : vector<1xf32>, vector<16xf32>
              %fetched2 = arith.addi %fetched1, %c1 : index
              memref.prefetch %w[%fetched2, %ahead_k, %c0], read, locality<3>, data : memref<21x64x16xf32>
              %w2_0 = vector.load %w[%n2, %k, %c0] : memref<21x64x16xf32>, vector<16xf32>
              %next2 = vector.outerproduct %column0, %w2_0, %sum2 {kind = #vector.kind<add>}
                  : vector<1xf32>, vector<16xf32>
              %fetched3 = arith.addi %fetched2, %c1 : index
              memref.prefetch %w[%fetched3, %ahead_k, %c0], read, locality<3>, data : memref<21x64x16xf32>
              %w3_0 = vector.load %w[%n3, %k, %c0] : memref<21x64x16xf32>, vector<16xf32>
              %next3 = vector.outerproduct %column0, %w3_0, %sum3 {kind = #vector.kind<add>}
                  : vector<1xf32>, vector<16xf32>
              scf.yield %next0, %next1, %next2, %next3
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

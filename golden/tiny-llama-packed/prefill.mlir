// prefill · llama, tied · 2 layers, hidden 64, 4/2 heads of 16 · context 64, 4 slots, chunk 16 · exact
module @prefill {
  func.func public @prefill(
      %embed: tensor<21x64x16x1xf32>,
      %final_norm: tensor<64xf32>,
      %layer0_attn_norm: tensor<64xf32>, %layer0_qkv: tensor<8x64x16x1xf32>, %layer0_o: tensor<4x64x16x1xf32>, %layer0_mlp_norm: tensor<64xf32>, %layer0_gate_up: tensor<12x64x16x1xf32>, %layer0_down: tensor<4x96x16x1xf32>,
      %layer1_attn_norm: tensor<64xf32>, %layer1_qkv: tensor<8x64x16x1xf32>, %layer1_o: tensor<4x64x16x1xf32>, %layer1_mlp_norm: tensor<64xf32>, %layer1_gate_up: tensor<12x64x16x1xf32>, %layer1_down: tensor<4x96x16x1xf32>,
      %tokens: tensor<16xi32>, %slot: tensor<i32>, %start: tensor<i32>, %length: tensor<i32>,
      %k: tensor<2x4x2x2x16x64xf32> {tf.aliasing_output = 2 : i32},
      %v: tensor<2x4x2x2x64x16xf32> {tf.aliasing_output = 3 : i32})
      -> (tensor<i32>, tensor<331xf32>, tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>) {
    %offsets = stablehlo.iota dim = 0 : tensor<16xi32>
    %starts = stablehlo.broadcast_in_dim %start, dims = [] : (tensor<i32>) -> tensor<16xi32>
    %positions = stablehlo.add %starts, %offsets : tensor<16xi32>
    %slot_value = tensor.extract %slot[] : tensor<i32>
    %first_slot = arith.index_cast %slot_value : i32 to index
    %length_value = tensor.extract %length[] : tensor<i32>
    %length_index = arith.index_cast %length_value : i32 to index
    %one = arith.constant 1 : index
    %last = arith.subi %length_index, %one : index
    %start_value = tensor.extract %start[] : tensor<i32>
    %cached_positions = arith.index_cast %start_value : i32 to index
    %block_size = arith.constant 64 : index
    %one_block = arith.constant 1 : index
    %blocks_held = arith.ceildivsi %cached_positions, %block_size : index
    %blocks_read = arith.maxsi %blocks_held, %one_block : index
    %blocks = util.assume.int %blocks_read<umin = 1, umax = 2> : index
    %starts_at = stablehlo.reshape %start : (tensor<i32>) -> tensor<1xi32>
    // a layer's index is opaque to the compiler, so that one compiled attention serves all
    %layer0_index = arith.constant 0 : index
    %layer0 = util.optimization_barrier %layer0_index : index
    %layer1_index = arith.constant 1 : index
    %layer1 = util.optimization_barrier %layer1_index : index

    %cos, %sin = call @rotary_angles(%positions) : (tensor<16xi32>) -> (tensor<16x2x8xf32>, tensor<16x2x8xf32>)
    %past_each = stablehlo.broadcast_in_dim %starts_at, dims = [0] : (tensor<1xi32>) -> tensor<1x2xi32>
    %past = stablehlo.reshape %past_each : (tensor<1x2xi32>) -> tensor<2xi32>
    %causal = call @causal_mask() : () -> tensor<32x16xi1>
    %x0 = call @embedding(%embed, %tokens) : (tensor<21x64x16x1xf32>, tensor<16xi32>) -> tensor<16x64xf32>

    %x1, %new_k0, %new_v0 = call @layer(%x0, %layer0_attn_norm, %layer0_qkv, %layer0_o, %layer0_mlp_norm, %layer0_gate_up, %layer0_down, %layer0, %first_slot, %cos, %sin, %past, %blocks, %causal, %k, %v)
        : (tensor<16x64xf32>, tensor<64xf32>, tensor<8x64x16x1xf32>, tensor<4x64x16x1xf32>, tensor<64xf32>, tensor<12x64x16x1xf32>, tensor<4x96x16x1xf32>, index, index, tensor<16x2x8xf32>, tensor<16x2x8xf32>, tensor<2xi32>, index, tensor<32x16xi1>, tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>) -> (tensor<16x64xf32>, tensor<1x1x2x16x16xf32>, tensor<1x1x2x16x16xf32>)
    %x2, %new_k1, %new_v1 = call @layer(%x1, %layer1_attn_norm, %layer1_qkv, %layer1_o, %layer1_mlp_norm, %layer1_gate_up, %layer1_down, %layer1, %first_slot, %cos, %sin, %past, %blocks, %causal, %k, %v)
        : (tensor<16x64xf32>, tensor<64xf32>, tensor<8x64x16x1xf32>, tensor<4x64x16x1xf32>, tensor<64xf32>, tensor<12x64x16x1xf32>, tensor<4x96x16x1xf32>, index, index, tensor<16x2x8xf32>, tensor<16x2x8xf32>, tensor<2xi32>, index, tensor<32x16xi1>, tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>) -> (tensor<16x64xf32>, tensor<1x1x2x16x16xf32>, tensor<1x1x2x16x16xf32>)

    %normed = call @rms_norm(%x2, %final_norm) : (tensor<16x64xf32>, tensor<64xf32>) -> tensor<16x64xf32>
    %normed_last = tensor.extract_slice %normed[%last, 0] [1, 64] [1, 1] : tensor<16x64xf32> to tensor<1x64xf32>
    %row_logits = call @head(%normed_last, %embed) : (tensor<1x64xf32>, tensor<21x64x16x1xf32>) -> tensor<1x331xf32>
    %row_next = call @argmax(%row_logits) : (tensor<1x331xf32>) -> tensor<1xi32>
    %next = stablehlo.reshape %row_next : (tensor<1xi32>) -> tensor<i32>
    %logits = stablehlo.reshape %row_logits : (tensor<1x331xf32>) -> tensor<331xf32>

    %k_out, %v_out = call @cache_write(%k, %v,
        %new_k0, %new_k1,
        %new_v0, %new_v1,
        %slot, %start, %length)
        : (tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>,
        tensor<1x1x2x16x16xf32>, tensor<1x1x2x16x16xf32>,
        tensor<1x1x2x16x16xf32>, tensor<1x1x2x16x16xf32>,
        tensor<i32>, tensor<i32>, tensor<i32>) -> (tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>)
    return %next, %logits, %k_out, %v_out : tensor<i32>, tensor<331xf32>, tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>
  }

  // Row `token` of the table for each token: row token mod 16 of tile token / 16.
  func.func private @embedding(%table: tensor<21x64x16x1xf32>, %tokens: tensor<16xi32>) -> tensor<16x64xf32> {
    %n = stablehlo.constant dense<16> : tensor<16xi32>
    %tile = stablehlo.divide %tokens, %n : tensor<16xi32>
    %row = stablehlo.remainder %tokens, %n : tensor<16xi32>
    %tiles = stablehlo.reshape %tile : (tensor<16xi32>) -> tensor<16x1xi32>
    %rows = stablehlo.reshape %row : (tensor<16xi32>) -> tensor<16x1xi32>
    %at = stablehlo.concatenate %tiles, %rows, dim = 1 : (tensor<16x1xi32>, tensor<16x1xi32>) -> tensor<16x2xi32>
    %found = "stablehlo.gather"(%table, %at) <{
        dimension_numbers = #stablehlo.gather<offset_dims = [1, 2, 3, 4], start_index_map = [0, 2], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 64, 1, 1>, indices_are_sorted = false}>
        : (tensor<21x64x16x1xf32>, tensor<16x2xi32>) -> tensor<16x1x64x1x1xf32>
    %padded = stablehlo.reshape %found : (tensor<16x1x64x1x1xf32>) -> tensor<16x64xf32>
    return %padded : tensor<16x64xf32>
  }

  // x / sqrt(mean(x²) + eps) · weight, in f32.
  func.func private @rms_norm(%x: tensor<16x64xf32>, %weight: tensor<64xf32>) -> tensor<16x64xf32> {
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %size = stablehlo.constant dense<64.0> : tensor<16x1xf32>
    %eps = stablehlo.constant dense<1.0e-05> : tensor<16x1xf32>
    %square = stablehlo.multiply %x, %x : tensor<16x64xf32>
    %sum = stablehlo.reduce(%square init: %zero) applies stablehlo.add across dimensions = [1] : (tensor<16x64xf32>, tensor<f32>) -> tensor<16xf32>
    %sums = stablehlo.reshape %sum : (tensor<16xf32>) -> tensor<16x1xf32>
    %mean = stablehlo.divide %sums, %size : tensor<16x1xf32>
    %shifted = stablehlo.add %mean, %eps : tensor<16x1xf32>
    %scale = stablehlo.rsqrt %shifted : tensor<16x1xf32>
    %scales = stablehlo.broadcast_in_dim %scale, dims = [0, 1] : (tensor<16x1xf32>) -> tensor<16x64xf32>
    %normed = stablehlo.multiply %x, %scales : tensor<16x64xf32>
    %weights = stablehlo.broadcast_in_dim %weight, dims = [1] : (tensor<64xf32>) -> tensor<16x64xf32>
    %y = stablehlo.multiply %normed, %weights : tensor<16x64xf32>
    return %y : tensor<16x64xf32>
  }

  // cos and ∓sin of position · frequency, laid over a head's two halves: [rows, 2, head_dim / 2].
  func.func private @rotary_angles(%positions: tensor<16xi32>) -> (tensor<16x2x8xf32>, tensor<16x2x8xf32>) {
    // theta^(-2i / head_dim), theta 10000: radians a position
    %frequency = stablehlo.constant dense<[1.0, 0.31622776, 0.1, 0.031622775, 0.01, 0.0031622776, 0.001, 0.00031622776]> : tensor<8xf32>
    %sign = stablehlo.constant dense<[-1.0, 1.0]> : tensor<2xf32>
    %position = stablehlo.convert %positions : (tensor<16xi32>) -> tensor<16xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<16xf32>) -> tensor<16x8xf32>
    %by_pair = stablehlo.broadcast_in_dim %frequency, dims = [1] : (tensor<8xf32>) -> tensor<16x8xf32>
    %angle = stablehlo.multiply %by_row, %by_pair : tensor<16x8xf32>
    %cos_half = stablehlo.cosine %angle : tensor<16x8xf32>
    %sin_half = stablehlo.sine %angle : tensor<16x8xf32>
    %cos = stablehlo.broadcast_in_dim %cos_half, dims = [0, 2] : (tensor<16x8xf32>) -> tensor<16x2x8xf32>
    %sin_both = stablehlo.broadcast_in_dim %sin_half, dims = [0, 2] : (tensor<16x8xf32>) -> tensor<16x2x8xf32>
    %signs = stablehlo.broadcast_in_dim %sign, dims = [1] : (tensor<2xf32>) -> tensor<16x2x8xf32>
    %sin = stablehlo.multiply %sin_both, %signs : tensor<16x2x8xf32>
    return %cos, %sin : tensor<16x2x8xf32>, tensor<16x2x8xf32>
  }

  // Each head's halves (a, b) turned by the angle: (a·cos - b·sin, b·cos + a·sin).
  func.func private @rotary_q(%x: tensor<16x64xf32>, %cos: tensor<16x2x8xf32>, %sin: tensor<16x2x8xf32>) -> tensor<16x64xf32> {
    %halves = stablehlo.reshape %x : (tensor<16x64xf32>) -> tensor<16x4x2x8xf32>
    %swapped = stablehlo.reverse %halves, dims = [2] : tensor<16x4x2x8xf32>
    %cos_all = stablehlo.broadcast_in_dim %cos, dims = [0, 2, 3] : (tensor<16x2x8xf32>) -> tensor<16x4x2x8xf32>
    %sin_all = stablehlo.broadcast_in_dim %sin, dims = [0, 2, 3] : (tensor<16x2x8xf32>) -> tensor<16x4x2x8xf32>
    %kept = stablehlo.multiply %halves, %cos_all : tensor<16x4x2x8xf32>
    %crossed = stablehlo.multiply %swapped, %sin_all : tensor<16x4x2x8xf32>
    %turned = stablehlo.add %kept, %crossed : tensor<16x4x2x8xf32>
    %y = stablehlo.reshape %turned : (tensor<16x4x2x8xf32>) -> tensor<16x64xf32>
    return %y : tensor<16x64xf32>
  }
  func.func private @rotary_k(%x: tensor<16x32xf32>, %cos: tensor<16x2x8xf32>, %sin: tensor<16x2x8xf32>) -> tensor<16x32xf32> {
    %halves = stablehlo.reshape %x : (tensor<16x32xf32>) -> tensor<16x2x2x8xf32>
    %swapped = stablehlo.reverse %halves, dims = [2] : tensor<16x2x2x8xf32>
    %cos_all = stablehlo.broadcast_in_dim %cos, dims = [0, 2, 3] : (tensor<16x2x8xf32>) -> tensor<16x2x2x8xf32>
    %sin_all = stablehlo.broadcast_in_dim %sin, dims = [0, 2, 3] : (tensor<16x2x8xf32>) -> tensor<16x2x2x8xf32>
    %kept = stablehlo.multiply %halves, %cos_all : tensor<16x2x2x8xf32>
    %crossed = stablehlo.multiply %swapped, %sin_all : tensor<16x2x2x8xf32>
    %turned = stablehlo.add %kept, %crossed : tensor<16x2x2x8xf32>
    %y = stablehlo.reshape %turned : (tensor<16x2x2x8xf32>) -> tensor<16x32xf32>
    return %y : tensor<16x32xf32>
  }


  // Which of the chunk's own tokens each of its queries sees: itself and those before.
  func.func private @causal_mask() -> tensor<32x16xi1> {
    %query = stablehlo.iota dim = 1 : tensor<2x16x16xi32>
    %key = stablehlo.iota dim = 2 : tensor<2x16x16xi32>
    %seen = stablehlo.compare LE, %key, %query : (tensor<2x16x16xi32>, tensor<2x16x16xi32>) -> tensor<2x16x16xi1>
    %mask = stablehlo.reshape %seen : (tensor<2x16x16xi1>) -> tensor<32x16xi1>
    return %mask : tensor<32x16xi1>
  }

  // Softmax over two parts: the cached keys and the step's own, joined by a common maximum.
  // Returns the new keys and values too; the step writes all layers' at once.
  func.func private @attention(
      %x: tensor<16x64xf32>, %qkv: tensor<8x64x16x1xf32>, %o: tensor<4x64x16x1xf32>,
      %layer: index, %first_slot: index, %cos: tensor<16x2x8xf32>, %sin: tensor<16x2x8xf32>, %past: tensor<2xi32>, %blocks: index, %causal: tensor<32x16xi1>,
      %k_cache: tensor<2x4x2x2x16x64xf32>, %v_cache: tensor<2x4x2x2x64x16xf32>)
      -> (tensor<16x64xf32>, tensor<1x1x2x16x16xf32>, tensor<1x1x2x16x16xf32>) {
    %qkv_flat_pad = arith.constant 0.0 : f32
    %qkv_flat_room = tensor.empty() : tensor<1x64x16x1xf32>
    %qkv_flat_tiles = linalg.pack %x padding_value(%qkv_flat_pad : f32) inner_dims_pos = [0, 1] inner_tiles = [16, 1] into %qkv_flat_room : tensor<16x64xf32> -> tensor<1x64x16x1xf32>
    %qkv_flat_zero = arith.constant 0.0 : f32
    %qkv_flat_empty = tensor.empty() : tensor<1x8x16x16xf32>
    %qkv_flat_zeros = linalg.fill ins(%qkv_flat_zero : f32) outs(%qkv_flat_empty : tensor<1x8x16x16xf32>) -> tensor<1x8x16x16xf32>
    %qkv_flat_sums = linalg.mmt4d ins(%qkv_flat_tiles, %qkv : tensor<1x64x16x1xf32>, tensor<8x64x16x1xf32>) outs(%qkv_flat_zeros : tensor<1x8x16x16xf32>) -> tensor<1x8x16x16xf32>
    %qkv_flat_flat = tensor.empty() : tensor<16x128xf32>
    %qkv_flat = linalg.unpack %qkv_flat_sums inner_dims_pos = [0, 1] inner_tiles = [16, 16] into %qkv_flat_flat : tensor<1x8x16x16xf32> -> tensor<16x128xf32>
    %q_of_all = stablehlo.reshape %qkv_flat : (tensor<16x128xf32>) -> tensor<16x8x2x8xf32>
    %q_part = stablehlo.slice %q_of_all [0:16, 0:4, 0:2, 0:8] : (tensor<16x8x2x8xf32>) -> tensor<16x4x2x8xf32>
    %q_flat = stablehlo.reshape %q_part : (tensor<16x4x2x8xf32>) -> tensor<16x64xf32>
    %k_of_all = stablehlo.reshape %qkv_flat : (tensor<16x128xf32>) -> tensor<16x8x2x8xf32>
    %k_part = stablehlo.slice %k_of_all [0:16, 4:6, 0:2, 0:8] : (tensor<16x8x2x8xf32>) -> tensor<16x2x2x8xf32>
    %k_flat = stablehlo.reshape %k_part : (tensor<16x2x2x8xf32>) -> tensor<16x32xf32>
    %v_of_all = stablehlo.reshape %qkv_flat : (tensor<16x128xf32>) -> tensor<16x8x16xf32>
    %v_part = stablehlo.slice %v_of_all [0:16, 6:8, 0:16] : (tensor<16x8x16xf32>) -> tensor<16x2x16xf32>
    %v_flat = stablehlo.reshape %v_part : (tensor<16x2x16xf32>) -> tensor<16x32xf32>
    %q_turned = call @rotary_q(%q_flat, %cos, %sin) : (tensor<16x64xf32>, tensor<16x2x8xf32>, tensor<16x2x8xf32>) -> tensor<16x64xf32>
    %k_turned = call @rotary_k(%k_flat, %cos, %sin) : (tensor<16x32xf32>, tensor<16x2x8xf32>, tensor<16x2x8xf32>) -> tensor<16x32xf32>

    // queries [slots, kv_heads, group · new, head_dim], keys and values [slots, kv_heads, new, head_dim]
    %q_rows = stablehlo.reshape %q_turned : (tensor<16x64xf32>) -> tensor<16x4x16xf32>
    %q_by_head = stablehlo.transpose %q_rows, dims = [1, 0, 2] : (tensor<16x4x16xf32>) -> tensor<4x16x16xf32>
    %q_heads = stablehlo.reshape %q_by_head : (tensor<4x16x16xf32>) -> tensor<1x2x32x16xf32>
    %k_rows = stablehlo.reshape %k_turned : (tensor<16x32xf32>) -> tensor<16x2x16xf32>
    %k_by_head = stablehlo.transpose %k_rows, dims = [1, 0, 2] : (tensor<16x2x16xf32>) -> tensor<2x16x16xf32>
    %k_heads = stablehlo.reshape %k_by_head : (tensor<2x16x16xf32>) -> tensor<1x2x16x16xf32>
    %v_rows = stablehlo.reshape %v_flat : (tensor<16x32xf32>) -> tensor<16x2x16xf32>
    %v_by_head = stablehlo.transpose %v_rows, dims = [1, 0, 2] : (tensor<16x2x16xf32>) -> tensor<2x16x16xf32>
    %v_heads = stablehlo.reshape %v_by_head : (tensor<2x16x16xf32>) -> tensor<1x2x16x16xf32>
    %scale = stablehlo.constant dense<0.25> : tensor<1x2x32x16xf32>
    %q_scaled = stablehlo.multiply %q_heads, %scale : tensor<1x2x32x16xf32>

    // slots and kv_heads as one dimension b; g: query, n: block, j: position in a block, d: head_dim
    %q_lanes = stablehlo.reshape %q_scaled : (tensor<1x2x32x16xf32>) -> tensor<2x32x16xf32>
    %k_new = stablehlo.reshape %k_heads : (tensor<1x2x16x16xf32>) -> tensor<2x16x16xf32>
    %v_new = stablehlo.reshape %v_heads : (tensor<1x2x16x16xf32>) -> tensor<2x16x16xf32>
    %kv_heads = arith.constant 2 : index
    %first = arith.muli %first_slot, %kv_heads : index
    %k_all = stablehlo.reshape %k_cache : (tensor<2x4x2x2x16x64xf32>) -> tensor<2x8x2x16x64xf32>
    %k_past = tensor.extract_slice %k_all[%layer, %first, 0, 0, 0] [1, 2, %blocks, 16, 64] [1, 1, 1, 1, 1] : tensor<2x8x2x16x64xf32> to tensor<2x?x16x64xf32>
    %v_all = stablehlo.reshape %v_cache : (tensor<2x4x2x2x64x16xf32>) -> tensor<2x8x2x64x16xf32>
    %v_past = tensor.extract_slice %v_all[%layer, %first, 0, 0, 0] [1, 2, %blocks, 64, 16] [1, 1, 1, 1, 1] : tensor<2x8x2x64x16xf32> to tensor<2x?x64x16xf32>

    %none = arith.constant 0.0 : f32
    %minus_inf = arith.constant 0xFF800000 : f32
    %block_size = arith.constant 64 : index
    %scores_room = tensor.empty(%blocks) : tensor<2x32x?x64xf32>
    %scores_none = linalg.fill ins(%none : f32) outs(%scores_room : tensor<2x32x?x64xf32>) -> tensor<2x32x?x64xf32>
    %scores = linalg.generic {
        indexing_maps = [affine_map<(b, n, g, j, d) -> (b, g, d)>, affine_map<(b, n, g, j, d) -> (b, n, d, j)>, affine_map<(b, n, g, j, d) -> (b, g, n, j)>],
        iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
        ins(%q_lanes, %k_past : tensor<2x32x16xf32>, tensor<2x?x16x64xf32>) outs(%scores_none : tensor<2x32x?x64xf32>) {
    ^bb0(%query: f32, %key: f32, %sum: f32):
      %product = arith.mulf %query, %key : f32
      %next = arith.addf %sum, %product : f32
      linalg.yield %next : f32
    } -> tensor<2x32x?x64xf32>

    // the step's own tokens, and a common maximum
    %own_none = stablehlo.constant dense<0.0> : tensor<f32>
    %own_lowest = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %own_raw = stablehlo.dot_general %q_lanes, %k_new, batching_dims = [0] x [0], contracting_dims = [2] x [2] : (tensor<2x32x16xf32>, tensor<2x16x16xf32>) -> tensor<2x32x16xf32>
    %own_seen = stablehlo.broadcast_in_dim %causal, dims = [1, 2] : (tensor<32x16xi1>) -> tensor<2x32x16xi1>
    %own_hidden = stablehlo.broadcast_in_dim %own_lowest, dims = [] : (tensor<f32>) -> tensor<2x32x16xf32>
    %own = stablehlo.select %own_seen, %own_raw, %own_hidden : tensor<2x32x16xi1>, tensor<2x32x16xf32>
    %own_max = stablehlo.reduce(%own init: %own_lowest) applies stablehlo.maximum across dimensions = [2] : (tensor<2x32x16xf32>, tensor<f32>) -> tensor<2x32xf32>
    %max = linalg.generic {
        indexing_maps = [affine_map<(b, g, n, j) -> (b, g, n, j)>, affine_map<(b, g, n, j) -> (b)>, affine_map<(b, g, n, j) -> (b, g)>],
        iterator_types = ["parallel", "parallel", "reduction", "reduction"]}
        ins(%scores, %past : tensor<2x32x?x64xf32>, tensor<2xi32>) outs(%own_max : tensor<2x32xf32>) {
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
    } -> tensor<2x32xf32>

    %weights = linalg.generic {
        indexing_maps = [affine_map<(b, g, n, j) -> (b, g, n, j)>, affine_map<(b, g, n, j) -> (b)>, affine_map<(b, g, n, j) -> (b, g)>, affine_map<(b, g, n, j) -> (b, g, n, j)>],
        iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
        ins(%scores, %past, %max : tensor<2x32x?x64xf32>, tensor<2xi32>, tensor<2x32xf32>) outs(%scores_room : tensor<2x32x?x64xf32>) {
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
    } -> tensor<2x32x?x64xf32>
    %maxes = stablehlo.broadcast_in_dim %max, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x16xf32>
    %own_below = stablehlo.subtract %own, %maxes : tensor<2x32x16xf32>
    %own_weights = stablehlo.exponential %own_below : tensor<2x32x16xf32>
    %own_sum = stablehlo.reduce(%own_weights init: %own_none) applies stablehlo.add across dimensions = [2] : (tensor<2x32x16xf32>, tensor<f32>) -> tensor<2x32xf32>
    %own_out = stablehlo.dot_general %own_weights, %v_new, batching_dims = [0] x [0], contracting_dims = [2] x [1] : (tensor<2x32x16xf32>, tensor<2x16x16xf32>) -> tensor<2x32x16xf32>
    %sum = linalg.generic {
        indexing_maps = [affine_map<(b, g, n, j) -> (b, g, n, j)>, affine_map<(b, g, n, j) -> (b, g)>],
        iterator_types = ["parallel", "parallel", "reduction", "reduction"]}
        ins(%weights : tensor<2x32x?x64xf32>) outs(%own_sum : tensor<2x32xf32>) {
    ^bb0(%weight: f32, %total: f32):
      %next = arith.addf %total, %weight : f32
      linalg.yield %next : f32
    } -> tensor<2x32xf32>

    // weighted values block by block, then all blocks and the own together
    %partial_room = tensor.empty(%blocks) : tensor<2x?x32x16xf32>
    %partial_none = linalg.fill ins(%none : f32) outs(%partial_room : tensor<2x?x32x16xf32>) -> tensor<2x?x32x16xf32>
    %partial = linalg.generic {
        indexing_maps = [affine_map<(b, n, g, d, j) -> (b, g, n, j)>, affine_map<(b, n, g, d, j) -> (b, n, j, d)>, affine_map<(b, n, g, d, j) -> (b, n, g, d)>],
        iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
        ins(%weights, %v_past : tensor<2x32x?x64xf32>, tensor<2x?x64x16xf32>) outs(%partial_none : tensor<2x?x32x16xf32>) {
    ^bb0(%weight: f32, %value: f32, %sum_in: f32):
      %product = arith.mulf %weight, %value : f32
      %next = arith.addf %sum_in, %product : f32
      linalg.yield %next : f32
    } -> tensor<2x?x32x16xf32>
    %past_room = tensor.empty() : tensor<2x32x16xf32>
    %past_none = linalg.fill ins(%none : f32) outs(%past_room : tensor<2x32x16xf32>) -> tensor<2x32x16xf32>
    %past_out = linalg.generic {
        indexing_maps = [affine_map<(b, g, d, n) -> (b, n, g, d)>, affine_map<(b, g, d, n) -> (b, g, d)>],
        iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
        ins(%partial : tensor<2x?x32x16xf32>) outs(%past_none : tensor<2x32x16xf32>) {
    ^bb0(%part: f32, %total: f32):
      %next = arith.addf %total, %part : f32
      linalg.yield %next : f32
    } -> tensor<2x32x16xf32>
    %weighted = stablehlo.add %past_out, %own_out : tensor<2x32x16xf32>
    %sums = stablehlo.broadcast_in_dim %sum, dims = [0, 1] : (tensor<2x32xf32>) -> tensor<2x32x16xf32>
    %lanes_out = stablehlo.divide %weighted, %sums : tensor<2x32x16xf32>
    %heads_out = stablehlo.reshape %lanes_out : (tensor<2x32x16xf32>) -> tensor<1x2x32x16xf32>

    %out_by_head = stablehlo.reshape %heads_out : (tensor<1x2x32x16xf32>) -> tensor<4x16x16xf32>
    %out_rows = stablehlo.transpose %out_by_head, dims = [1, 0, 2] : (tensor<4x16x16xf32>) -> tensor<16x4x16xf32>
    %flat_out = stablehlo.reshape %out_rows : (tensor<16x4x16xf32>) -> tensor<16x64xf32>
    %k_columns = stablehlo.transpose %k_heads, dims = [0, 1, 3, 2] : (tensor<1x2x16x16xf32>) -> tensor<1x2x16x16xf32>
    %new_k = stablehlo.reshape %k_columns : (tensor<1x2x16x16xf32>) -> tensor<1x1x2x16x16xf32>
    %new_v = stablehlo.reshape %v_heads : (tensor<1x2x16x16xf32>) -> tensor<1x1x2x16x16xf32>
    %y_pad = arith.constant 0.0 : f32
    %y_room = tensor.empty() : tensor<1x64x16x1xf32>
    %y_tiles = linalg.pack %flat_out padding_value(%y_pad : f32) inner_dims_pos = [0, 1] inner_tiles = [16, 1] into %y_room : tensor<16x64xf32> -> tensor<1x64x16x1xf32>
    %y_zero = arith.constant 0.0 : f32
    %y_empty = tensor.empty() : tensor<1x4x16x16xf32>
    %y_zeros = linalg.fill ins(%y_zero : f32) outs(%y_empty : tensor<1x4x16x16xf32>) -> tensor<1x4x16x16xf32>
    %y_sums = linalg.mmt4d ins(%y_tiles, %o : tensor<1x64x16x1xf32>, tensor<4x64x16x1xf32>) outs(%y_zeros : tensor<1x4x16x16xf32>) -> tensor<1x4x16x16xf32>
    %y_flat = tensor.empty() : tensor<16x64xf32>
    %y = linalg.unpack %y_sums inner_dims_pos = [0, 1] inner_tiles = [16, 16] into %y_flat : tensor<1x4x16x16xf32> -> tensor<16x64xf32>
    return %y, %new_k, %new_v : tensor<16x64xf32>, tensor<1x1x2x16x16xf32>, tensor<1x1x2x16x16xf32>
  }

  // down(silu(gate(x)) · up(x))
  func.func private @mlp(%x: tensor<16x64xf32>, %gate_up: tensor<12x64x16x1xf32>, %down: tensor<4x96x16x1xf32>) -> tensor<16x64xf32> {
    %both_pad = arith.constant 0.0 : f32
    %both_room = tensor.empty() : tensor<1x64x16x1xf32>
    %both_tiles = linalg.pack %x padding_value(%both_pad : f32) inner_dims_pos = [0, 1] inner_tiles = [16, 1] into %both_room : tensor<16x64xf32> -> tensor<1x64x16x1xf32>
    %both_zero = arith.constant 0.0 : f32
    %both_empty = tensor.empty() : tensor<1x12x16x16xf32>
    %both_zeros = linalg.fill ins(%both_zero : f32) outs(%both_empty : tensor<1x12x16x16xf32>) -> tensor<1x12x16x16xf32>
    %both_sums = linalg.mmt4d ins(%both_tiles, %gate_up : tensor<1x64x16x1xf32>, tensor<12x64x16x1xf32>) outs(%both_zeros : tensor<1x12x16x16xf32>) -> tensor<1x12x16x16xf32>
    %both_flat = tensor.empty() : tensor<16x192xf32>
    %both = linalg.unpack %both_sums inner_dims_pos = [0, 1] inner_tiles = [16, 16] into %both_flat : tensor<1x12x16x16xf32> -> tensor<16x192xf32>
    %gated = stablehlo.slice %both [0:16, 0:96] : (tensor<16x192xf32>) -> tensor<16x96xf32>
    %raised = stablehlo.slice %both [0:16, 96:192] : (tensor<16x192xf32>) -> tensor<16x96xf32>
    %sigmoid = stablehlo.logistic %gated : tensor<16x96xf32>
    %silu = stablehlo.multiply %gated, %sigmoid : tensor<16x96xf32>
    %inner = stablehlo.multiply %silu, %raised : tensor<16x96xf32>
    %y_pad = arith.constant 0.0 : f32
    %y_room = tensor.empty() : tensor<1x96x16x1xf32>
    %y_tiles = linalg.pack %inner padding_value(%y_pad : f32) inner_dims_pos = [0, 1] inner_tiles = [16, 1] into %y_room : tensor<16x96xf32> -> tensor<1x96x16x1xf32>
    %y_zero = arith.constant 0.0 : f32
    %y_empty = tensor.empty() : tensor<1x4x16x16xf32>
    %y_zeros = linalg.fill ins(%y_zero : f32) outs(%y_empty : tensor<1x4x16x16xf32>) -> tensor<1x4x16x16xf32>
    %y_sums = linalg.mmt4d ins(%y_tiles, %down : tensor<1x96x16x1xf32>, tensor<4x96x16x1xf32>) outs(%y_zeros : tensor<1x4x16x16xf32>) -> tensor<1x4x16x16xf32>
    %y_flat = tensor.empty() : tensor<16x64xf32>
    %y = linalg.unpack %y_sums inner_dims_pos = [0, 1] inner_tiles = [16, 16] into %y_flat : tensor<1x4x16x16xf32> -> tensor<16x64xf32>
    return %y : tensor<16x64xf32>
  }

  // x + attention(norm(x)), then x + mlp(norm(x)).
  func.func private @layer(
      %x: tensor<16x64xf32>, %attn_norm: tensor<64xf32>, %qkv: tensor<8x64x16x1xf32>, %o: tensor<4x64x16x1xf32>, %mlp_norm: tensor<64xf32>, %gate_up: tensor<12x64x16x1xf32>, %down: tensor<4x96x16x1xf32>,
      %layer: index, %first_slot: index, %cos: tensor<16x2x8xf32>, %sin: tensor<16x2x8xf32>, %past: tensor<2xi32>, %blocks: index, %causal: tensor<32x16xi1>,
      %k_cache: tensor<2x4x2x2x16x64xf32>, %v_cache: tensor<2x4x2x2x64x16xf32>)
      -> (tensor<16x64xf32>, tensor<1x1x2x16x16xf32>, tensor<1x1x2x16x16xf32>) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (tensor<16x64xf32>, tensor<64xf32>) -> tensor<16x64xf32>
    %attended, %new_k, %new_v = call @attention(%x_normed, %qkv, %o, %layer, %first_slot, %cos, %sin, %past, %blocks, %causal, %k_cache, %v_cache)
        : (tensor<16x64xf32>, tensor<8x64x16x1xf32>, tensor<4x64x16x1xf32>, index, index, tensor<16x2x8xf32>, tensor<16x2x8xf32>, tensor<2xi32>, index, tensor<32x16xi1>, tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>) -> (tensor<16x64xf32>, tensor<1x1x2x16x16xf32>, tensor<1x1x2x16x16xf32>)
    %x_mid = stablehlo.add %x, %attended : tensor<16x64xf32>
    %mid_normed = call @rms_norm(%x_mid, %mlp_norm) : (tensor<16x64xf32>, tensor<64xf32>) -> tensor<16x64xf32>
    %fed = call @mlp(%mid_normed, %gate_up, %down) : (tensor<16x64xf32>, tensor<12x64x16x1xf32>, tensor<4x96x16x1xf32>) -> tensor<16x64xf32>
    %y = stablehlo.add %x_mid, %fed : tensor<16x64xf32>
    return %y, %new_k, %new_v : tensor<16x64xf32>, tensor<1x1x2x16x16xf32>, tensor<1x1x2x16x16xf32>
  }

  // Logits over the vocabulary.
  func.func private @head(%x: tensor<1x64xf32>, %table: tensor<21x64x16x1xf32>) -> tensor<1x331xf32> {
    %logits_pad = arith.constant 0.0 : f32
    %logits_room = tensor.empty() : tensor<1x64x1x1xf32>
    %logits_tiles = linalg.pack %x padding_value(%logits_pad : f32) inner_dims_pos = [0, 1] inner_tiles = [1, 1] into %logits_room : tensor<1x64xf32> -> tensor<1x64x1x1xf32>
    %logits_zero = arith.constant 0.0 : f32
    %logits_empty = tensor.empty() : tensor<1x21x1x16xf32>
    %logits_zeros = linalg.fill ins(%logits_zero : f32) outs(%logits_empty : tensor<1x21x1x16xf32>) -> tensor<1x21x1x16xf32>
    %logits_sums = linalg.mmt4d ins(%logits_tiles, %table : tensor<1x64x1x1xf32>, tensor<21x64x16x1xf32>) outs(%logits_zeros : tensor<1x21x1x16xf32>) -> tensor<1x21x1x16xf32>
    %logits_flat = tensor.empty() : tensor<1x331xf32>
    %logits = linalg.unpack %logits_sums inner_dims_pos = [0, 1] inner_tiles = [1, 16] into %logits_flat : tensor<1x21x1x16xf32> -> tensor<1x331xf32>
    return %logits : tensor<1x331xf32>
  }

  // The lowest index that holds a row's maximum.
  func.func private @argmax(%logits: tensor<1x331xf32>) -> tensor<1xi32> {
    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %past_end = stablehlo.constant dense<331> : tensor<i32>
    %max = stablehlo.reduce(%logits init: %minus_inf) applies stablehlo.maximum across dimensions = [1] : (tensor<1x331xf32>, tensor<f32>) -> tensor<1xf32>
    %maxes = stablehlo.broadcast_in_dim %max, dims = [0] : (tensor<1xf32>) -> tensor<1x331xf32>
    %is_max = stablehlo.compare EQ, %logits, %maxes : (tensor<1x331xf32>, tensor<1x331xf32>) -> tensor<1x331xi1>
    %index = stablehlo.iota dim = 1 : tensor<1x331xi32>
    %past_ends = stablehlo.broadcast_in_dim %past_end, dims = [] : (tensor<i32>) -> tensor<1x331xi32>
    %candidates = stablehlo.select %is_max, %index, %past_ends : tensor<1x331xi1>, tensor<1x331xi32>
    %lowest = stablehlo.reduce(%candidates init: %past_end) applies stablehlo.minimum across dimensions = [1] : (tensor<1x331xi32>, tensor<i32>) -> tensor<1xi32>
    return %lowest : tensor<1xi32>
  }

  // Positions start..start+length-1 of one slot and no others: of the 2 blocks a chunk can
  // touch, moved back to fit where they would pass the cache's end, all else keeps what it holds.
  func.func private @cache_write(
      %k: tensor<2x4x2x2x16x64xf32>, %v: tensor<2x4x2x2x64x16xf32>,
      %new_k0: tensor<1x1x2x16x16xf32>, %new_k1: tensor<1x1x2x16x16xf32>,
      %new_v0: tensor<1x1x2x16x16xf32>, %new_v1: tensor<1x1x2x16x16xf32>,
      %slot: tensor<i32>, %start: tensor<i32>, %length: tensor<i32>)
      -> (tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>) {
    %keys = stablehlo.concatenate %new_k0, %new_k1, dim = 0 : (tensor<1x1x2x16x16xf32>, tensor<1x1x2x16x16xf32>) -> tensor<2x1x2x16x16xf32>
    %values = stablehlo.concatenate %new_v0, %new_v1, dim = 0 : (tensor<1x1x2x16x16xf32>, tensor<1x1x2x16x16xf32>) -> tensor<2x1x2x16x16xf32>
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

    %key_padded = stablehlo.pad %keys, %filler, low = [0, 0, 0, 0, 128], high = [0, 0, 0, 0, 112], interior = [0, 0, 0, 0, 0] : (tensor<2x1x2x16x16xf32>, tensor<f32>) -> tensor<2x1x2x16x256xf32>
    %key_moved = tensor.extract_slice %key_padded[0, 0, 0, 0, %shift] [2, 1, 2, 16, 128] [1, 1, 1, 1, 1] : tensor<2x1x2x16x256xf32> to tensor<2x1x2x16x128xf32>
    %key_split = stablehlo.reshape %key_moved : (tensor<2x1x2x16x128xf32>) -> tensor<2x1x2x16x2x64xf32>
    %key_blocks = stablehlo.transpose %key_split, dims = [0, 1, 2, 4, 3, 5] : (tensor<2x1x2x16x2x64xf32>) -> tensor<2x1x2x2x16x64xf32>
    %key_held = tensor.extract_slice %k[0, %slot_index, 0, %block, 0, 0] [2, 1, 2, 2, 16, 64] [1, 1, 1, 1, 1, 1] : tensor<2x4x2x2x16x64xf32> to tensor<2x1x2x2x16x64xf32>
    %key_number = stablehlo.iota dim = 3 : tensor<2x1x2x2x16x64xi32>
    %key_within = stablehlo.iota dim = 5 : tensor<2x1x2x2x16x64xi32>
    %key_block_length = stablehlo.broadcast_in_dim %block_length, dims = [] : (tensor<i32>) -> tensor<2x1x2x2x16x64xi32>
    %key_origin = stablehlo.broadcast_in_dim %origin, dims = [] : (tensor<i32>) -> tensor<2x1x2x2x16x64xi32>
    %key_start = stablehlo.broadcast_in_dim %start, dims = [] : (tensor<i32>) -> tensor<2x1x2x2x16x64xi32>
    %key_end = stablehlo.broadcast_in_dim %end, dims = [] : (tensor<i32>) -> tensor<2x1x2x2x16x64xi32>
    %key_before_block = stablehlo.multiply %key_number, %key_block_length : tensor<2x1x2x2x16x64xi32>
    %key_in_room = stablehlo.add %key_before_block, %key_within : tensor<2x1x2x2x16x64xi32>
    %key_position = stablehlo.add %key_in_room, %key_origin : tensor<2x1x2x2x16x64xi32>
    %key_after = stablehlo.compare GE, %key_position, %key_start : (tensor<2x1x2x2x16x64xi32>, tensor<2x1x2x2x16x64xi32>) -> tensor<2x1x2x2x16x64xi1>
    %key_before = stablehlo.compare LT, %key_position, %key_end : (tensor<2x1x2x2x16x64xi32>, tensor<2x1x2x2x16x64xi32>) -> tensor<2x1x2x2x16x64xi1>
    %key_written = stablehlo.and %key_after, %key_before : tensor<2x1x2x2x16x64xi1>
    %key_update = stablehlo.select %key_written, %key_blocks, %key_held : tensor<2x1x2x2x16x64xi1>, tensor<2x1x2x2x16x64xf32>
    %key_out = tensor.insert_slice %key_update into %k[0, %slot_index, 0, %block, 0, 0] [2, 1, 2, 2, 16, 64] [1, 1, 1, 1, 1, 1] : tensor<2x1x2x2x16x64xf32> into tensor<2x4x2x2x16x64xf32>

    %value_padded = stablehlo.pad %values, %filler, low = [0, 0, 0, 128, 0], high = [0, 0, 0, 112, 0], interior = [0, 0, 0, 0, 0] : (tensor<2x1x2x16x16xf32>, tensor<f32>) -> tensor<2x1x2x256x16xf32>
    %value_moved = tensor.extract_slice %value_padded[0, 0, 0, %shift, 0] [2, 1, 2, 128, 16] [1, 1, 1, 1, 1] : tensor<2x1x2x256x16xf32> to tensor<2x1x2x128x16xf32>
    %value_blocks = stablehlo.reshape %value_moved : (tensor<2x1x2x128x16xf32>) -> tensor<2x1x2x2x64x16xf32>
    %value_held = tensor.extract_slice %v[0, %slot_index, 0, %block, 0, 0] [2, 1, 2, 2, 64, 16] [1, 1, 1, 1, 1, 1] : tensor<2x4x2x2x64x16xf32> to tensor<2x1x2x2x64x16xf32>
    %value_number = stablehlo.iota dim = 3 : tensor<2x1x2x2x64x16xi32>
    %value_within = stablehlo.iota dim = 4 : tensor<2x1x2x2x64x16xi32>
    %value_block_length = stablehlo.broadcast_in_dim %block_length, dims = [] : (tensor<i32>) -> tensor<2x1x2x2x64x16xi32>
    %value_origin = stablehlo.broadcast_in_dim %origin, dims = [] : (tensor<i32>) -> tensor<2x1x2x2x64x16xi32>
    %value_start = stablehlo.broadcast_in_dim %start, dims = [] : (tensor<i32>) -> tensor<2x1x2x2x64x16xi32>
    %value_end = stablehlo.broadcast_in_dim %end, dims = [] : (tensor<i32>) -> tensor<2x1x2x2x64x16xi32>
    %value_before_block = stablehlo.multiply %value_number, %value_block_length : tensor<2x1x2x2x64x16xi32>
    %value_in_room = stablehlo.add %value_before_block, %value_within : tensor<2x1x2x2x64x16xi32>
    %value_position = stablehlo.add %value_in_room, %value_origin : tensor<2x1x2x2x64x16xi32>
    %value_after = stablehlo.compare GE, %value_position, %value_start : (tensor<2x1x2x2x64x16xi32>, tensor<2x1x2x2x64x16xi32>) -> tensor<2x1x2x2x64x16xi1>
    %value_before = stablehlo.compare LT, %value_position, %value_end : (tensor<2x1x2x2x64x16xi32>, tensor<2x1x2x2x64x16xi32>) -> tensor<2x1x2x2x64x16xi1>
    %value_written = stablehlo.and %value_after, %value_before : tensor<2x1x2x2x64x16xi1>
    %value_update = stablehlo.select %value_written, %value_blocks, %value_held : tensor<2x1x2x2x64x16xi1>, tensor<2x1x2x2x64x16xf32>
    %value_out = tensor.insert_slice %value_update into %v[0, %slot_index, 0, %block, 0, 0] [2, 1, 2, 2, 64, 16] [1, 1, 1, 1, 1, 1] : tensor<2x1x2x2x64x16xf32> into tensor<2x4x2x2x64x16xf32>

    return %key_out, %value_out : tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>
  }
}

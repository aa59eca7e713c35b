// batched · llama, tied · 2 layers, hidden 64, 4/2 heads of 16 · context 64, 4 slots · exact
module @batched {
  func.func public @batched(
      %embed: tensor<21x64x16x1xf32>,
      %final_norm: tensor<64xf32>,
      %layer0_attn_norm: tensor<64xf32>, %layer0_qkv: tensor<8x64x16x1xf32>, %layer0_o: tensor<4x64x16x1xf32>, %layer0_mlp_norm: tensor<64xf32>, %layer0_gate_up: tensor<12x64x16x1xf32>, %layer0_down: tensor<4x96x16x1xf32>,
      %layer1_attn_norm: tensor<64xf32>, %layer1_qkv: tensor<8x64x16x1xf32>, %layer1_o: tensor<4x64x16x1xf32>, %layer1_mlp_norm: tensor<64xf32>, %layer1_gate_up: tensor<12x64x16x1xf32>, %layer1_down: tensor<4x96x16x1xf32>,
      %tokens: tensor<4xi32>, %position: tensor<i32>,
      %k: tensor<2x4x2x2x16x64xf32> {tf.aliasing_output = 2 : i32},
      %v: tensor<2x4x2x2x64x16xf32> {tf.aliasing_output = 3 : i32})
      -> (tensor<4xi32>, tensor<4x331xf32>, tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>) {
    %first_slot = arith.constant 0 : index
    %position_value = tensor.extract %position[] : tensor<i32>
    %cached_positions = arith.index_cast %position_value : i32 to index
    %block_size = arith.constant 64 : index
    %one_block = arith.constant 1 : index
    %blocks_held = arith.ceildivsi %cached_positions, %block_size : index
    %blocks_read = arith.maxsi %blocks_held, %one_block : index
    %blocks = util.assume.int %blocks_read<umin = 1, umax = 2> : index
    %positions = stablehlo.broadcast_in_dim %position, dims = [] : (tensor<i32>) -> tensor<4xi32>
    // a layer's index is opaque to the compiler, so that one compiled attention serves all
    %layer0_index = arith.constant 0 : index
    %layer0 = util.optimization_barrier %layer0_index : index
    %layer1_index = arith.constant 1 : index
    %layer1 = util.optimization_barrier %layer1_index : index

    %cos, %sin = call @rotary_angles(%positions) : (tensor<4xi32>) -> (tensor<4x2x8xf32>, tensor<4x2x8xf32>)
    %past_each = stablehlo.broadcast_in_dim %positions, dims = [0] : (tensor<4xi32>) -> tensor<4x2xi32>
    %past = stablehlo.reshape %past_each : (tensor<4x2xi32>) -> tensor<8xi32>
    %x0 = call @embedding(%embed, %tokens) : (tensor<21x64x16x1xf32>, tensor<4xi32>) -> tensor<4x64xf32>

    %x1, %new_k0, %new_v0 = call @layer(%x0, %layer0_attn_norm, %layer0_qkv, %layer0_o, %layer0_mlp_norm, %layer0_gate_up, %layer0_down, %layer0, %first_slot, %cos, %sin, %past, %blocks, %k, %v)
        : (tensor<4x64xf32>, tensor<64xf32>, tensor<8x64x16x1xf32>, tensor<4x64x16x1xf32>, tensor<64xf32>, tensor<12x64x16x1xf32>, tensor<4x96x16x1xf32>, index, index, tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<8xi32>, index, tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>) -> (tensor<4x64xf32>, tensor<1x4x2x16x1xf32>, tensor<1x4x2x1x16xf32>)
    %x2, %new_k1, %new_v1 = call @layer(%x1, %layer1_attn_norm, %layer1_qkv, %layer1_o, %layer1_mlp_norm, %layer1_gate_up, %layer1_down, %layer1, %first_slot, %cos, %sin, %past, %blocks, %k, %v)
        : (tensor<4x64xf32>, tensor<64xf32>, tensor<8x64x16x1xf32>, tensor<4x64x16x1xf32>, tensor<64xf32>, tensor<12x64x16x1xf32>, tensor<4x96x16x1xf32>, index, index, tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<8xi32>, index, tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>) -> (tensor<4x64xf32>, tensor<1x4x2x16x1xf32>, tensor<1x4x2x1x16xf32>)

    %normed = call @rms_norm(%x2, %final_norm) : (tensor<4x64xf32>, tensor<64xf32>) -> tensor<4x64xf32>
    %logits = call @head(%normed, %embed) : (tensor<4x64xf32>, tensor<21x64x16x1xf32>) -> tensor<4x331xf32>
    %next = call @argmax(%logits) : (tensor<4x331xf32>) -> tensor<4xi32>
    %k_out, %v_out = call @cache_write(%k, %v,
        %new_k0, %new_k1,
        %new_v0, %new_v1,
        %position)
        : (tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>,
        tensor<1x4x2x16x1xf32>, tensor<1x4x2x16x1xf32>,
        tensor<1x4x2x1x16xf32>, tensor<1x4x2x1x16xf32>,
        tensor<i32>) -> (tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>)
    return %next, %logits, %k_out, %v_out : tensor<4xi32>, tensor<4x331xf32>, tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>
  }

  // Row `token` of the table for each token: row token mod 16 of tile token / 16.
  func.func private @embedding(%table: tensor<21x64x16x1xf32>, %tokens: tensor<4xi32>) -> tensor<4x64xf32> {
    %n = stablehlo.constant dense<16> : tensor<4xi32>
    %tile = stablehlo.divide %tokens, %n : tensor<4xi32>
    %row = stablehlo.remainder %tokens, %n : tensor<4xi32>
    %tiles = stablehlo.reshape %tile : (tensor<4xi32>) -> tensor<4x1xi32>
    %rows = stablehlo.reshape %row : (tensor<4xi32>) -> tensor<4x1xi32>
    %at = stablehlo.concatenate %tiles, %rows, dim = 1 : (tensor<4x1xi32>, tensor<4x1xi32>) -> tensor<4x2xi32>
    %found = "stablehlo.gather"(%table, %at) <{
        dimension_numbers = #stablehlo.gather<offset_dims = [1, 2, 3, 4], start_index_map = [0, 2], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 64, 1, 1>, indices_are_sorted = false}>
        : (tensor<21x64x16x1xf32>, tensor<4x2xi32>) -> tensor<4x1x64x1x1xf32>
    %padded = stablehlo.reshape %found : (tensor<4x1x64x1x1xf32>) -> tensor<4x64xf32>
    return %padded : tensor<4x64xf32>
  }

  // x / sqrt(mean(x²) + eps) · weight, in f32.
  func.func private @rms_norm(%x: tensor<4x64xf32>, %weight: tensor<64xf32>) -> tensor<4x64xf32> {
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %size = stablehlo.constant dense<64.0> : tensor<4x1xf32>
    %eps = stablehlo.constant dense<1.0e-05> : tensor<4x1xf32>
    %square = stablehlo.multiply %x, %x : tensor<4x64xf32>
    %sum = stablehlo.reduce(%square init: %zero) applies stablehlo.add across dimensions = [1] : (tensor<4x64xf32>, tensor<f32>) -> tensor<4xf32>
    %sums = stablehlo.reshape %sum : (tensor<4xf32>) -> tensor<4x1xf32>
    %mean = stablehlo.divide %sums, %size : tensor<4x1xf32>
    %shifted = stablehlo.add %mean, %eps : tensor<4x1xf32>
    %scale = stablehlo.rsqrt %shifted : tensor<4x1xf32>
    %scales = stablehlo.broadcast_in_dim %scale, dims = [0, 1] : (tensor<4x1xf32>) -> tensor<4x64xf32>
    %normed = stablehlo.multiply %x, %scales : tensor<4x64xf32>
    %weights = stablehlo.broadcast_in_dim %weight, dims = [1] : (tensor<64xf32>) -> tensor<4x64xf32>
    %y = stablehlo.multiply %normed, %weights : tensor<4x64xf32>
    return %y : tensor<4x64xf32>
  }

  // cos and ∓sin of position · frequency, laid over a head's two halves: [rows, 2, head_dim / 2].
  func.func private @rotary_angles(%positions: tensor<4xi32>) -> (tensor<4x2x8xf32>, tensor<4x2x8xf32>) {
    // theta^(-2i / head_dim), theta 10000: radians a position
    %frequency = stablehlo.constant dense<[1.0, 0.31622776, 0.1, 0.031622775, 0.01, 0.0031622776, 0.001, 0.00031622776]> : tensor<8xf32>
    %sign = stablehlo.constant dense<[-1.0, 1.0]> : tensor<2xf32>
    %position = stablehlo.convert %positions : (tensor<4xi32>) -> tensor<4xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<4xf32>) -> tensor<4x8xf32>
    %by_pair = stablehlo.broadcast_in_dim %frequency, dims = [1] : (tensor<8xf32>) -> tensor<4x8xf32>
    %angle = stablehlo.multiply %by_row, %by_pair : tensor<4x8xf32>
    %cos_half = stablehlo.cosine %angle : tensor<4x8xf32>
    %sin_half = stablehlo.sine %angle : tensor<4x8xf32>
    %cos = stablehlo.broadcast_in_dim %cos_half, dims = [0, 2] : (tensor<4x8xf32>) -> tensor<4x2x8xf32>
    %sin_both = stablehlo.broadcast_in_dim %sin_half, dims = [0, 2] : (tensor<4x8xf32>) -> tensor<4x2x8xf32>
    %signs = stablehlo.broadcast_in_dim %sign, dims = [1] : (tensor<2xf32>) -> tensor<4x2x8xf32>
    %sin = stablehlo.multiply %sin_both, %signs : tensor<4x2x8xf32>
    return %cos, %sin : tensor<4x2x8xf32>, tensor<4x2x8xf32>
  }

  // Each head's halves (a, b) turned by the angle: (a·cos - b·sin, b·cos + a·sin).
  func.func private @rotary_q(%x: tensor<4x64xf32>, %cos: tensor<4x2x8xf32>, %sin: tensor<4x2x8xf32>) -> tensor<4x64xf32> {
    %halves = stablehlo.reshape %x : (tensor<4x64xf32>) -> tensor<4x4x2x8xf32>
    %swapped = stablehlo.reverse %halves, dims = [2] : tensor<4x4x2x8xf32>
    %cos_all = stablehlo.broadcast_in_dim %cos, dims = [0, 2, 3] : (tensor<4x2x8xf32>) -> tensor<4x4x2x8xf32>
    %sin_all = stablehlo.broadcast_in_dim %sin, dims = [0, 2, 3] : (tensor<4x2x8xf32>) -> tensor<4x4x2x8xf32>
    %kept = stablehlo.multiply %halves, %cos_all : tensor<4x4x2x8xf32>
    %crossed = stablehlo.multiply %swapped, %sin_all : tensor<4x4x2x8xf32>
    %turned = stablehlo.add %kept, %crossed : tensor<4x4x2x8xf32>
    %y = stablehlo.reshape %turned : (tensor<4x4x2x8xf32>) -> tensor<4x64xf32>
    return %y : tensor<4x64xf32>
  }
  func.func private @rotary_k(%x: tensor<4x32xf32>, %cos: tensor<4x2x8xf32>, %sin: tensor<4x2x8xf32>) -> tensor<4x32xf32> {
    %halves = stablehlo.reshape %x : (tensor<4x32xf32>) -> tensor<4x2x2x8xf32>
    %swapped = stablehlo.reverse %halves, dims = [2] : tensor<4x2x2x8xf32>
    %cos_all = stablehlo.broadcast_in_dim %cos, dims = [0, 2, 3] : (tensor<4x2x8xf32>) -> tensor<4x2x2x8xf32>
    %sin_all = stablehlo.broadcast_in_dim %sin, dims = [0, 2, 3] : (tensor<4x2x8xf32>) -> tensor<4x2x2x8xf32>
    %kept = stablehlo.multiply %halves, %cos_all : tensor<4x2x2x8xf32>
    %crossed = stablehlo.multiply %swapped, %sin_all : tensor<4x2x2x8xf32>
    %turned = stablehlo.add %kept, %crossed : tensor<4x2x2x8xf32>
    %y = stablehlo.reshape %turned : (tensor<4x2x2x8xf32>) -> tensor<4x32xf32>
    return %y : tensor<4x32xf32>
  }


  // Softmax over two parts: the cached keys and the step's own, joined by a common maximum.
  // Returns the new keys and values too; the step writes all layers' at once.
  func.func private @attention(
      %x: tensor<4x64xf32>, %qkv: tensor<8x64x16x1xf32>, %o: tensor<4x64x16x1xf32>,
      %layer: index, %first_slot: index, %cos: tensor<4x2x8xf32>, %sin: tensor<4x2x8xf32>, %past: tensor<8xi32>, %blocks: index,
      %k_cache: tensor<2x4x2x2x16x64xf32>, %v_cache: tensor<2x4x2x2x64x16xf32>)
      -> (tensor<4x64xf32>, tensor<1x4x2x16x1xf32>, tensor<1x4x2x1x16xf32>) {
    %qkv_flat_pad = arith.constant 0.0 : f32
    %qkv_flat_room = tensor.empty() : tensor<1x64x4x1xf32>
    %qkv_flat_tiles = linalg.pack %x padding_value(%qkv_flat_pad : f32) inner_dims_pos = [0, 1] inner_tiles = [4, 1] into %qkv_flat_room : tensor<4x64xf32> -> tensor<1x64x4x1xf32>
    %qkv_flat_zero = arith.constant 0.0 : f32
    %qkv_flat_empty = tensor.empty() : tensor<1x8x4x16xf32>
    %qkv_flat_zeros = linalg.fill ins(%qkv_flat_zero : f32) outs(%qkv_flat_empty : tensor<1x8x4x16xf32>) -> tensor<1x8x4x16xf32>
    %qkv_flat_sums = linalg.mmt4d ins(%qkv_flat_tiles, %qkv : tensor<1x64x4x1xf32>, tensor<8x64x16x1xf32>) outs(%qkv_flat_zeros : tensor<1x8x4x16xf32>) -> tensor<1x8x4x16xf32>
    %qkv_flat_flat = tensor.empty() : tensor<4x128xf32>
    %qkv_flat = linalg.unpack %qkv_flat_sums inner_dims_pos = [0, 1] inner_tiles = [4, 16] into %qkv_flat_flat : tensor<1x8x4x16xf32> -> tensor<4x128xf32>
    %q_of_all = stablehlo.reshape %qkv_flat : (tensor<4x128xf32>) -> tensor<4x8x2x8xf32>
    %q_part = stablehlo.slice %q_of_all [0:4, 0:4, 0:2, 0:8] : (tensor<4x8x2x8xf32>) -> tensor<4x4x2x8xf32>
    %q_flat = stablehlo.reshape %q_part : (tensor<4x4x2x8xf32>) -> tensor<4x64xf32>
    %k_of_all = stablehlo.reshape %qkv_flat : (tensor<4x128xf32>) -> tensor<4x8x2x8xf32>
    %k_part = stablehlo.slice %k_of_all [0:4, 4:6, 0:2, 0:8] : (tensor<4x8x2x8xf32>) -> tensor<4x2x2x8xf32>
    %k_flat = stablehlo.reshape %k_part : (tensor<4x2x2x8xf32>) -> tensor<4x32xf32>
    %v_of_all = stablehlo.reshape %qkv_flat : (tensor<4x128xf32>) -> tensor<4x8x16xf32>
    %v_part = stablehlo.slice %v_of_all [0:4, 6:8, 0:16] : (tensor<4x8x16xf32>) -> tensor<4x2x16xf32>
    %v_flat = stablehlo.reshape %v_part : (tensor<4x2x16xf32>) -> tensor<4x32xf32>
    %q_turned = call @rotary_q(%q_flat, %cos, %sin) : (tensor<4x64xf32>, tensor<4x2x8xf32>, tensor<4x2x8xf32>) -> tensor<4x64xf32>
    %k_turned = call @rotary_k(%k_flat, %cos, %sin) : (tensor<4x32xf32>, tensor<4x2x8xf32>, tensor<4x2x8xf32>) -> tensor<4x32xf32>

    // queries [slots, kv_heads, group · new, head_dim], keys and values [slots, kv_heads, new, head_dim]
    %q_heads = stablehlo.reshape %q_turned : (tensor<4x64xf32>) -> tensor<4x2x2x16xf32>
    %k_heads = stablehlo.reshape %k_turned : (tensor<4x32xf32>) -> tensor<4x2x1x16xf32>
    %v_heads = stablehlo.reshape %v_flat : (tensor<4x32xf32>) -> tensor<4x2x1x16xf32>
    %scale = stablehlo.constant dense<0.25> : tensor<4x2x2x16xf32>
    %q_scaled = stablehlo.multiply %q_heads, %scale : tensor<4x2x2x16xf32>

    // slots and kv_heads as one dimension b; g: query, n: block, j: position in a block, d: head_dim
    %q_lanes = stablehlo.reshape %q_scaled : (tensor<4x2x2x16xf32>) -> tensor<8x2x16xf32>
    %k_new = stablehlo.reshape %k_heads : (tensor<4x2x1x16xf32>) -> tensor<8x1x16xf32>
    %kv_heads = arith.constant 2 : index
    %first = arith.muli %first_slot, %kv_heads : index
    %k_all = stablehlo.reshape %k_cache : (tensor<2x4x2x2x16x64xf32>) -> tensor<2x8x2x16x64xf32>
    %k_past = tensor.extract_slice %k_all[%layer, %first, 0, 0, 0] [1, 8, %blocks, 16, 64] [1, 1, 1, 1, 1] : tensor<2x8x2x16x64xf32> to tensor<8x?x16x64xf32>
    %v_all = stablehlo.reshape %v_cache : (tensor<2x4x2x2x64x16xf32>) -> tensor<2x8x2x64x16xf32>
    %v_past = tensor.extract_slice %v_all[%layer, %first, 0, 0, 0] [1, 8, %blocks, 64, 16] [1, 1, 1, 1, 1] : tensor<2x8x2x64x16xf32> to tensor<8x?x64x16xf32>

    %none = arith.constant 0.0 : f32
    %minus_inf = arith.constant 0xFF800000 : f32
    %block_size = arith.constant 64 : index
    %scores_room = tensor.empty(%blocks) : tensor<8x2x?x64xf32>
    %scores_none = linalg.fill ins(%none : f32) outs(%scores_room : tensor<8x2x?x64xf32>) -> tensor<8x2x?x64xf32>
    %scores = linalg.generic {
        indexing_maps = [affine_map<(b, n, g, j, d) -> (b, g, d)>, affine_map<(b, n, g, j, d) -> (b, n, d, j)>, affine_map<(b, n, g, j, d) -> (b, g, n, j)>],
        iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
        ins(%q_lanes, %k_past : tensor<8x2x16xf32>, tensor<8x?x16x64xf32>) outs(%scores_none : tensor<8x2x?x64xf32>) {
    ^bb0(%query: f32, %key: f32, %sum: f32):
      %product = arith.mulf %query, %key : f32
      %next = arith.addf %sum, %product : f32
      linalg.yield %next : f32
    } -> tensor<8x2x?x64xf32>

    // the step's own tokens, and a common maximum
    %own_none = stablehlo.constant dense<0.0> : tensor<f32>
    %own_lowest = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %k_each = stablehlo.broadcast_in_dim %k_new, dims = [0, 1, 2] : (tensor<8x1x16xf32>) -> tensor<8x2x16xf32>
    %own_products = stablehlo.multiply %q_lanes, %k_each : tensor<8x2x16xf32>
    %own_max = stablehlo.reduce(%own_products init: %own_none) applies stablehlo.add across dimensions = [2] : (tensor<8x2x16xf32>, tensor<f32>) -> tensor<8x2xf32>
    %max = linalg.generic {
        indexing_maps = [affine_map<(b, g, n, j) -> (b, g, n, j)>, affine_map<(b, g, n, j) -> (b)>, affine_map<(b, g, n, j) -> (b, g)>],
        iterator_types = ["parallel", "parallel", "reduction", "reduction"]}
        ins(%scores, %past : tensor<8x2x?x64xf32>, tensor<8xi32>) outs(%own_max : tensor<8x2xf32>) {
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
    } -> tensor<8x2xf32>

    %weights = linalg.generic {
        indexing_maps = [affine_map<(b, g, n, j) -> (b, g, n, j)>, affine_map<(b, g, n, j) -> (b)>, affine_map<(b, g, n, j) -> (b, g)>, affine_map<(b, g, n, j) -> (b, g, n, j)>],
        iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
        ins(%scores, %past, %max : tensor<8x2x?x64xf32>, tensor<8xi32>, tensor<8x2xf32>) outs(%scores_room : tensor<8x2x?x64xf32>) {
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
    } -> tensor<8x2x?x64xf32>
    %own_below = stablehlo.subtract %own_max, %max : tensor<8x2xf32>
    %own_sum = stablehlo.exponential %own_below : tensor<8x2xf32>
    %own_sums = stablehlo.reshape %own_sum : (tensor<8x2xf32>) -> tensor<4x2x2xf32>
    %own_weights = stablehlo.broadcast_in_dim %own_sums, dims = [0, 1, 2] : (tensor<4x2x2xf32>) -> tensor<4x2x2x16xf32>
    %v_each = stablehlo.broadcast_in_dim %v_heads, dims = [0, 1, 2, 3] : (tensor<4x2x1x16xf32>) -> tensor<4x2x2x16xf32>
    %own_parts = stablehlo.multiply %own_weights, %v_each : tensor<4x2x2x16xf32>
    %own_out = stablehlo.reshape %own_parts : (tensor<4x2x2x16xf32>) -> tensor<8x2x16xf32>
    %sum = linalg.generic {
        indexing_maps = [affine_map<(b, g, n, j) -> (b, g, n, j)>, affine_map<(b, g, n, j) -> (b, g)>],
        iterator_types = ["parallel", "parallel", "reduction", "reduction"]}
        ins(%weights : tensor<8x2x?x64xf32>) outs(%own_sum : tensor<8x2xf32>) {
    ^bb0(%weight: f32, %total: f32):
      %next = arith.addf %total, %weight : f32
      linalg.yield %next : f32
    } -> tensor<8x2xf32>

    // weighted values block by block, then all blocks and the own together
    %partial_room = tensor.empty(%blocks) : tensor<8x?x2x16xf32>
    %partial_none = linalg.fill ins(%none : f32) outs(%partial_room : tensor<8x?x2x16xf32>) -> tensor<8x?x2x16xf32>
    %partial = linalg.generic {
        indexing_maps = [affine_map<(b, n, g, d, j) -> (b, g, n, j)>, affine_map<(b, n, g, d, j) -> (b, n, j, d)>, affine_map<(b, n, g, d, j) -> (b, n, g, d)>],
        iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
        ins(%weights, %v_past : tensor<8x2x?x64xf32>, tensor<8x?x64x16xf32>) outs(%partial_none : tensor<8x?x2x16xf32>) {
    ^bb0(%weight: f32, %value: f32, %sum_in: f32):
      %product = arith.mulf %weight, %value : f32
      %next = arith.addf %sum_in, %product : f32
      linalg.yield %next : f32
    } -> tensor<8x?x2x16xf32>
    %weighted = linalg.generic {
        indexing_maps = [affine_map<(b, g, d, n) -> (b, n, g, d)>, affine_map<(b, g, d, n) -> (b, g, d)>],
        iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
        ins(%partial : tensor<8x?x2x16xf32>) outs(%own_out : tensor<8x2x16xf32>) {
    ^bb0(%part: f32, %total: f32):
      %next = arith.addf %total, %part : f32
      linalg.yield %next : f32
    } -> tensor<8x2x16xf32>
    %sums = stablehlo.broadcast_in_dim %sum, dims = [0, 1] : (tensor<8x2xf32>) -> tensor<8x2x16xf32>
    %lanes_out = stablehlo.divide %weighted, %sums : tensor<8x2x16xf32>
    %heads_out = stablehlo.reshape %lanes_out : (tensor<8x2x16xf32>) -> tensor<4x2x2x16xf32>

    %flat_out = stablehlo.reshape %heads_out : (tensor<4x2x2x16xf32>) -> tensor<4x64xf32>
    %new_k = stablehlo.reshape %k_heads : (tensor<4x2x1x16xf32>) -> tensor<1x4x2x16x1xf32>
    %new_v = stablehlo.reshape %v_heads : (tensor<4x2x1x16xf32>) -> tensor<1x4x2x1x16xf32>
    %y_pad = arith.constant 0.0 : f32
    %y_room = tensor.empty() : tensor<1x64x4x1xf32>
    %y_tiles = linalg.pack %flat_out padding_value(%y_pad : f32) inner_dims_pos = [0, 1] inner_tiles = [4, 1] into %y_room : tensor<4x64xf32> -> tensor<1x64x4x1xf32>
    %y_zero = arith.constant 0.0 : f32
    %y_empty = tensor.empty() : tensor<1x4x4x16xf32>
    %y_zeros = linalg.fill ins(%y_zero : f32) outs(%y_empty : tensor<1x4x4x16xf32>) -> tensor<1x4x4x16xf32>
    %y_sums = linalg.mmt4d ins(%y_tiles, %o : tensor<1x64x4x1xf32>, tensor<4x64x16x1xf32>) outs(%y_zeros : tensor<1x4x4x16xf32>) -> tensor<1x4x4x16xf32>
    %y_flat = tensor.empty() : tensor<4x64xf32>
    %y = linalg.unpack %y_sums inner_dims_pos = [0, 1] inner_tiles = [4, 16] into %y_flat : tensor<1x4x4x16xf32> -> tensor<4x64xf32>
    return %y, %new_k, %new_v : tensor<4x64xf32>, tensor<1x4x2x16x1xf32>, tensor<1x4x2x1x16xf32>
  }

  // down(silu(gate(x)) · up(x))
  func.func private @mlp(%x: tensor<4x64xf32>, %gate_up: tensor<12x64x16x1xf32>, %down: tensor<4x96x16x1xf32>) -> tensor<4x64xf32> {
    %both_pad = arith.constant 0.0 : f32
    %both_room = tensor.empty() : tensor<1x64x4x1xf32>
    %both_tiles = linalg.pack %x padding_value(%both_pad : f32) inner_dims_pos = [0, 1] inner_tiles = [4, 1] into %both_room : tensor<4x64xf32> -> tensor<1x64x4x1xf32>
    %both_zero = arith.constant 0.0 : f32
    %both_empty = tensor.empty() : tensor<1x12x4x16xf32>
    %both_zeros = linalg.fill ins(%both_zero : f32) outs(%both_empty : tensor<1x12x4x16xf32>) -> tensor<1x12x4x16xf32>
    %both_sums = linalg.mmt4d ins(%both_tiles, %gate_up : tensor<1x64x4x1xf32>, tensor<12x64x16x1xf32>) outs(%both_zeros : tensor<1x12x4x16xf32>) -> tensor<1x12x4x16xf32>
    %both_flat = tensor.empty() : tensor<4x192xf32>
    %both = linalg.unpack %both_sums inner_dims_pos = [0, 1] inner_tiles = [4, 16] into %both_flat : tensor<1x12x4x16xf32> -> tensor<4x192xf32>
    %gated = stablehlo.slice %both [0:4, 0:96] : (tensor<4x192xf32>) -> tensor<4x96xf32>
    %raised = stablehlo.slice %both [0:4, 96:192] : (tensor<4x192xf32>) -> tensor<4x96xf32>
    %sigmoid = stablehlo.logistic %gated : tensor<4x96xf32>
    %silu = stablehlo.multiply %gated, %sigmoid : tensor<4x96xf32>
    %inner = stablehlo.multiply %silu, %raised : tensor<4x96xf32>
    %y_pad = arith.constant 0.0 : f32
    %y_room = tensor.empty() : tensor<1x96x4x1xf32>
    %y_tiles = linalg.pack %inner padding_value(%y_pad : f32) inner_dims_pos = [0, 1] inner_tiles = [4, 1] into %y_room : tensor<4x96xf32> -> tensor<1x96x4x1xf32>
    %y_zero = arith.constant 0.0 : f32
    %y_empty = tensor.empty() : tensor<1x4x4x16xf32>
    %y_zeros = linalg.fill ins(%y_zero : f32) outs(%y_empty : tensor<1x4x4x16xf32>) -> tensor<1x4x4x16xf32>
    %y_sums = linalg.mmt4d ins(%y_tiles, %down : tensor<1x96x4x1xf32>, tensor<4x96x16x1xf32>) outs(%y_zeros : tensor<1x4x4x16xf32>) -> tensor<1x4x4x16xf32>
    %y_flat = tensor.empty() : tensor<4x64xf32>
    %y = linalg.unpack %y_sums inner_dims_pos = [0, 1] inner_tiles = [4, 16] into %y_flat : tensor<1x4x4x16xf32> -> tensor<4x64xf32>
    return %y : tensor<4x64xf32>
  }

  // x + attention(norm(x)), then x + mlp(norm(x)).
  func.func private @layer(
      %x: tensor<4x64xf32>, %attn_norm: tensor<64xf32>, %qkv: tensor<8x64x16x1xf32>, %o: tensor<4x64x16x1xf32>, %mlp_norm: tensor<64xf32>, %gate_up: tensor<12x64x16x1xf32>, %down: tensor<4x96x16x1xf32>,
      %layer: index, %first_slot: index, %cos: tensor<4x2x8xf32>, %sin: tensor<4x2x8xf32>, %past: tensor<8xi32>, %blocks: index,
      %k_cache: tensor<2x4x2x2x16x64xf32>, %v_cache: tensor<2x4x2x2x64x16xf32>)
      -> (tensor<4x64xf32>, tensor<1x4x2x16x1xf32>, tensor<1x4x2x1x16xf32>) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (tensor<4x64xf32>, tensor<64xf32>) -> tensor<4x64xf32>
    %attended, %new_k, %new_v = call @attention(%x_normed, %qkv, %o, %layer, %first_slot, %cos, %sin, %past, %blocks, %k_cache, %v_cache)
        : (tensor<4x64xf32>, tensor<8x64x16x1xf32>, tensor<4x64x16x1xf32>, index, index, tensor<4x2x8xf32>, tensor<4x2x8xf32>, tensor<8xi32>, index, tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>) -> (tensor<4x64xf32>, tensor<1x4x2x16x1xf32>, tensor<1x4x2x1x16xf32>)
    %x_mid = stablehlo.add %x, %attended : tensor<4x64xf32>
    %mid_normed = call @rms_norm(%x_mid, %mlp_norm) : (tensor<4x64xf32>, tensor<64xf32>) -> tensor<4x64xf32>
    %fed = call @mlp(%mid_normed, %gate_up, %down) : (tensor<4x64xf32>, tensor<12x64x16x1xf32>, tensor<4x96x16x1xf32>) -> tensor<4x64xf32>
    %y = stablehlo.add %x_mid, %fed : tensor<4x64xf32>
    return %y, %new_k, %new_v : tensor<4x64xf32>, tensor<1x4x2x16x1xf32>, tensor<1x4x2x1x16xf32>
  }

  // Logits over the vocabulary.
  func.func private @head(%x: tensor<4x64xf32>, %table: tensor<21x64x16x1xf32>) -> tensor<4x331xf32> {
    %logits_pad = arith.constant 0.0 : f32
    %logits_room = tensor.empty() : tensor<1x64x4x1xf32>
    %logits_tiles = linalg.pack %x padding_value(%logits_pad : f32) inner_dims_pos = [0, 1] inner_tiles = [4, 1] into %logits_room : tensor<4x64xf32> -> tensor<1x64x4x1xf32>
    %logits_zero = arith.constant 0.0 : f32
    %logits_empty = tensor.empty() : tensor<1x21x4x16xf32>
    %logits_zeros = linalg.fill ins(%logits_zero : f32) outs(%logits_empty : tensor<1x21x4x16xf32>) -> tensor<1x21x4x16xf32>
    %logits_sums = linalg.mmt4d ins(%logits_tiles, %table : tensor<1x64x4x1xf32>, tensor<21x64x16x1xf32>) outs(%logits_zeros : tensor<1x21x4x16xf32>) -> tensor<1x21x4x16xf32>
    %logits_flat = tensor.empty() : tensor<4x331xf32>
    %logits = linalg.unpack %logits_sums inner_dims_pos = [0, 1] inner_tiles = [4, 16] into %logits_flat : tensor<1x21x4x16xf32> -> tensor<4x331xf32>
    return %logits : tensor<4x331xf32>
  }

  // The lowest index that holds a row's maximum.
  func.func private @argmax(%logits: tensor<4x331xf32>) -> tensor<4xi32> {
    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %past_end = stablehlo.constant dense<331> : tensor<i32>
    %max = stablehlo.reduce(%logits init: %minus_inf) applies stablehlo.maximum across dimensions = [1] : (tensor<4x331xf32>, tensor<f32>) -> tensor<4xf32>
    %maxes = stablehlo.broadcast_in_dim %max, dims = [0] : (tensor<4xf32>) -> tensor<4x331xf32>
    %is_max = stablehlo.compare EQ, %logits, %maxes : (tensor<4x331xf32>, tensor<4x331xf32>) -> tensor<4x331xi1>
    %index = stablehlo.iota dim = 1 : tensor<4x331xi32>
    %past_ends = stablehlo.broadcast_in_dim %past_end, dims = [] : (tensor<i32>) -> tensor<4x331xi32>
    %candidates = stablehlo.select %is_max, %index, %past_ends : tensor<4x331xi1>, tensor<4x331xi32>
    %lowest = stablehlo.reduce(%candidates init: %past_end) applies stablehlo.minimum across dimensions = [1] : (tensor<4x331xi32>, tensor<i32>) -> tensor<4xi32>
    return %lowest : tensor<4xi32>
  }

  // The new keys and values of all slots, at one position.
  func.func private @cache_write(
      %k: tensor<2x4x2x2x16x64xf32>, %v: tensor<2x4x2x2x64x16xf32>,
      %new_k0: tensor<1x4x2x16x1xf32>, %new_k1: tensor<1x4x2x16x1xf32>,
      %new_v0: tensor<1x4x2x1x16xf32>, %new_v1: tensor<1x4x2x1x16xf32>,
      %position: tensor<i32>)
      -> (tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>) {
    %keys = stablehlo.concatenate %new_k0, %new_k1, dim = 0 : (tensor<1x4x2x16x1xf32>, tensor<1x4x2x16x1xf32>) -> tensor<2x4x2x16x1xf32>
    %values = stablehlo.concatenate %new_v0, %new_v1, dim = 0 : (tensor<1x4x2x1x16xf32>, tensor<1x4x2x1x16xf32>) -> tensor<2x4x2x1x16xf32>
    %block_size = arith.constant 64 : index
    %at = tensor.extract %position[] : tensor<i32>
    %index = arith.index_cast %at : i32 to index
    %block_out = arith.divui %index, %block_size : index
    %within_out = arith.remui %index, %block_size : index
    %k_row_out = stablehlo.reshape %keys : (tensor<2x4x2x16x1xf32>) -> tensor<2x4x2x1x16x1xf32>
    %v_row_out = stablehlo.reshape %values : (tensor<2x4x2x1x16xf32>) -> tensor<2x4x2x1x1x16xf32>
    %k_out = tensor.insert_slice %k_row_out into %k[0, 0, 0, %block_out, 0, %within_out] [2, 4, 2, 1, 16, 1] [1, 1, 1, 1, 1, 1] : tensor<2x4x2x1x16x1xf32> into tensor<2x4x2x2x16x64xf32>
    %v_out = tensor.insert_slice %v_row_out into %v[0, 0, 0, %block_out, %within_out, 0] [2, 4, 2, 1, 1, 16] [1, 1, 1, 1, 1, 1] : tensor<2x4x2x1x1x16xf32> into tensor<2x4x2x2x64x16xf32>
    return %k_out, %v_out : tensor<2x4x2x2x16x64xf32>, tensor<2x4x2x2x64x16xf32>
  }
}

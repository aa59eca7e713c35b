// decode · llama, tied · 2 layers, hidden 64, 4/2 heads of 16 · context 64, 4 slots · exact
module @decode {
  func.func public @decode(
      %embed: tensor<331x64xf32>,
      %final_norm: tensor<64xf32>,
      %layer0_attn_norm: tensor<64xf32>, %layer0_q: tensor<64x64xf32>, %layer0_k: tensor<32x64xf32>, %layer0_v: tensor<32x64xf32>, %layer0_o: tensor<64x64xf32>, %layer0_mlp_norm: tensor<64xf32>, %layer0_gate: tensor<96x64xf32>, %layer0_up: tensor<96x64xf32>, %layer0_down: tensor<64x96xf32>,
      %layer1_attn_norm: tensor<64xf32>, %layer1_q: tensor<64x64xf32>, %layer1_k: tensor<32x64xf32>, %layer1_v: tensor<32x64xf32>, %layer1_o: tensor<64x64xf32>, %layer1_mlp_norm: tensor<64xf32>, %layer1_gate: tensor<96x64xf32>, %layer1_up: tensor<96x64xf32>, %layer1_down: tensor<64x96xf32>,
      %token: tensor<i32>, %position: tensor<i32>,
      %k: tensor<2x4x2x16x64xf32> {tf.aliasing_output = 2 : i32},
      %v: tensor<2x4x2x64x16xf32> {tf.aliasing_output = 3 : i32})
      -> (tensor<i32>, tensor<331xf32>, tensor<2x4x2x16x64xf32>, tensor<2x4x2x64x16xf32>) {
    %first_slot = arith.constant 0 : index
    %tokens = stablehlo.reshape %token : (tensor<i32>) -> tensor<1xi32>
    %positions = stablehlo.reshape %position : (tensor<i32>) -> tensor<1xi32>
    // a layer's index is opaque to the compiler, so that one compiled attention serves all
    %layer0_index = arith.constant 0 : index
    %layer0 = util.optimization_barrier %layer0_index : index
    %layer1_index = arith.constant 1 : index
    %layer1 = util.optimization_barrier %layer1_index : index

    %cos, %sin = call @rotary_angles(%positions) : (tensor<1xi32>) -> (tensor<1x2x8xf32>, tensor<1x2x8xf32>)
    %cached = call @cached_mask(%positions) : (tensor<1xi32>) -> tensor<1x64xi1>
    %x0 = call @embedding(%embed, %tokens) : (tensor<331x64xf32>, tensor<1xi32>) -> tensor<1x64xf32>

    %x1, %new_k0, %new_v0 = call @layer(%x0, %layer0_attn_norm, %layer0_q, %layer0_k, %layer0_v, %layer0_o, %layer0_mlp_norm, %layer0_gate, %layer0_up, %layer0_down, %layer0, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x64xf32>, tensor<64xf32>, tensor<64x64xf32>, tensor<32x64xf32>, tensor<32x64xf32>, tensor<64x64xf32>, tensor<64xf32>, tensor<96x64xf32>, tensor<96x64xf32>, tensor<64x96xf32>, index, index, tensor<1x2x8xf32>, tensor<1x2x8xf32>, tensor<1x64xi1>, tensor<2x4x2x16x64xf32>, tensor<2x4x2x64x16xf32>) -> (tensor<1x64xf32>, tensor<1x1x2x16x1xf32>, tensor<1x1x2x1x16xf32>)
    %x2, %new_k1, %new_v1 = call @layer(%x1, %layer1_attn_norm, %layer1_q, %layer1_k, %layer1_v, %layer1_o, %layer1_mlp_norm, %layer1_gate, %layer1_up, %layer1_down, %layer1, %first_slot, %cos, %sin, %cached, %k, %v)
        : (tensor<1x64xf32>, tensor<64xf32>, tensor<64x64xf32>, tensor<32x64xf32>, tensor<32x64xf32>, tensor<64x64xf32>, tensor<64xf32>, tensor<96x64xf32>, tensor<96x64xf32>, tensor<64x96xf32>, index, index, tensor<1x2x8xf32>, tensor<1x2x8xf32>, tensor<1x64xi1>, tensor<2x4x2x16x64xf32>, tensor<2x4x2x64x16xf32>) -> (tensor<1x64xf32>, tensor<1x1x2x16x1xf32>, tensor<1x1x2x1x16xf32>)

    %normed = call @rms_norm(%x2, %final_norm) : (tensor<1x64xf32>, tensor<64xf32>) -> tensor<1x64xf32>
    %row_logits = call @head(%normed, %embed) : (tensor<1x64xf32>, tensor<331x64xf32>) -> tensor<1x331xf32>
    %row_next = call @argmax(%row_logits) : (tensor<1x331xf32>) -> tensor<1xi32>
    %next = stablehlo.reshape %row_next : (tensor<1xi32>) -> tensor<i32>
    %logits = stablehlo.reshape %row_logits : (tensor<1x331xf32>) -> tensor<331xf32>

    %k_out, %v_out = call @cache_write(%k, %v,
        %new_k0, %new_k1,
        %new_v0, %new_v1,
        %position)
        : (tensor<2x4x2x16x64xf32>, tensor<2x4x2x64x16xf32>,
        tensor<1x1x2x16x1xf32>, tensor<1x1x2x16x1xf32>,
        tensor<1x1x2x1x16xf32>, tensor<1x1x2x1x16xf32>,
        tensor<i32>) -> (tensor<2x4x2x16x64xf32>, tensor<2x4x2x64x16xf32>)
    return %next, %logits, %k_out, %v_out : tensor<i32>, tensor<331xf32>, tensor<2x4x2x16x64xf32>, tensor<2x4x2x64x16xf32>
  }

  // Row `token` of the table for each token.
  func.func private @embedding(%table: tensor<331x64xf32>, %tokens: tensor<1xi32>) -> tensor<1x64xf32> {
    %ids = stablehlo.reshape %tokens : (tensor<1xi32>) -> tensor<1x1xi32>
    %found = "stablehlo.gather"(%table, %ids) <{
        dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>,
        slice_sizes = array<i64: 1, 64>, indices_are_sorted = false}>
        : (tensor<331x64xf32>, tensor<1x1xi32>) -> tensor<1x64xf32>
    return %found : tensor<1x64xf32>
  }

  // x / sqrt(mean(x²) + eps) · weight, in f32.
  func.func private @rms_norm(%x: tensor<1x64xf32>, %weight: tensor<64xf32>) -> tensor<1x64xf32> {
    %zero = stablehlo.constant dense<0.0> : tensor<f32>
    %size = stablehlo.constant dense<64.0> : tensor<1x1xf32>
    %eps = stablehlo.constant dense<1.0e-05> : tensor<1x1xf32>
    %square = stablehlo.multiply %x, %x : tensor<1x64xf32>
    %sum = stablehlo.reduce(%square init: %zero) applies stablehlo.add across dimensions = [1] : (tensor<1x64xf32>, tensor<f32>) -> tensor<1xf32>
    %sums = stablehlo.reshape %sum : (tensor<1xf32>) -> tensor<1x1xf32>
    %mean = stablehlo.divide %sums, %size : tensor<1x1xf32>
    %shifted = stablehlo.add %mean, %eps : tensor<1x1xf32>
    %scale = stablehlo.rsqrt %shifted : tensor<1x1xf32>
    %scales = stablehlo.broadcast_in_dim %scale, dims = [0, 1] : (tensor<1x1xf32>) -> tensor<1x64xf32>
    %normed = stablehlo.multiply %x, %scales : tensor<1x64xf32>
    %weights = stablehlo.broadcast_in_dim %weight, dims = [1] : (tensor<64xf32>) -> tensor<1x64xf32>
    %y = stablehlo.multiply %normed, %weights : tensor<1x64xf32>
    return %y : tensor<1x64xf32>
  }

  // cos and ∓sin of position · frequency, laid over a head's two halves: [rows, 2, head_dim / 2].
  func.func private @rotary_angles(%positions: tensor<1xi32>) -> (tensor<1x2x8xf32>, tensor<1x2x8xf32>) {
    // theta^(-2i / head_dim), theta 10000: radians a position
    %frequency = stablehlo.constant dense<[1.0, 0.31622776, 0.1, 0.031622775, 0.01, 0.0031622776, 0.001, 0.00031622776]> : tensor<8xf32>
    %sign = stablehlo.constant dense<[-1.0, 1.0]> : tensor<2xf32>
    %position = stablehlo.convert %positions : (tensor<1xi32>) -> tensor<1xf32>
    %by_row = stablehlo.broadcast_in_dim %position, dims = [0] : (tensor<1xf32>) -> tensor<1x8xf32>
    %by_pair = stablehlo.broadcast_in_dim %frequency, dims = [1] : (tensor<8xf32>) -> tensor<1x8xf32>
    %angle = stablehlo.multiply %by_row, %by_pair : tensor<1x8xf32>
    %cos_half = stablehlo.cosine %angle : tensor<1x8xf32>
    %sin_half = stablehlo.sine %angle : tensor<1x8xf32>
    %cos = stablehlo.broadcast_in_dim %cos_half, dims = [0, 2] : (tensor<1x8xf32>) -> tensor<1x2x8xf32>
    %sin_both = stablehlo.broadcast_in_dim %sin_half, dims = [0, 2] : (tensor<1x8xf32>) -> tensor<1x2x8xf32>
    %signs = stablehlo.broadcast_in_dim %sign, dims = [1] : (tensor<2xf32>) -> tensor<1x2x8xf32>
    %sin = stablehlo.multiply %sin_both, %signs : tensor<1x2x8xf32>
    return %cos, %sin : tensor<1x2x8xf32>, tensor<1x2x8xf32>
  }

  // Each head's halves (a, b) turned by the angle: (a·cos - b·sin, b·cos + a·sin).
  func.func private @rotary_q(%x: tensor<1x64xf32>, %cos: tensor<1x2x8xf32>, %sin: tensor<1x2x8xf32>) -> tensor<1x64xf32> {
    %halves = stablehlo.reshape %x : (tensor<1x64xf32>) -> tensor<1x4x2x8xf32>
    %swapped = stablehlo.reverse %halves, dims = [2] : tensor<1x4x2x8xf32>
    %cos_all = stablehlo.broadcast_in_dim %cos, dims = [0, 2, 3] : (tensor<1x2x8xf32>) -> tensor<1x4x2x8xf32>
    %sin_all = stablehlo.broadcast_in_dim %sin, dims = [0, 2, 3] : (tensor<1x2x8xf32>) -> tensor<1x4x2x8xf32>
    %kept = stablehlo.multiply %halves, %cos_all : tensor<1x4x2x8xf32>
    %crossed = stablehlo.multiply %swapped, %sin_all : tensor<1x4x2x8xf32>
    %turned = stablehlo.add %kept, %crossed : tensor<1x4x2x8xf32>
    %y = stablehlo.reshape %turned : (tensor<1x4x2x8xf32>) -> tensor<1x64xf32>
    return %y : tensor<1x64xf32>
  }
  func.func private @rotary_k(%x: tensor<1x32xf32>, %cos: tensor<1x2x8xf32>, %sin: tensor<1x2x8xf32>) -> tensor<1x32xf32> {
    %halves = stablehlo.reshape %x : (tensor<1x32xf32>) -> tensor<1x2x2x8xf32>
    %swapped = stablehlo.reverse %halves, dims = [2] : tensor<1x2x2x8xf32>
    %cos_all = stablehlo.broadcast_in_dim %cos, dims = [0, 2, 3] : (tensor<1x2x8xf32>) -> tensor<1x2x2x8xf32>
    %sin_all = stablehlo.broadcast_in_dim %sin, dims = [0, 2, 3] : (tensor<1x2x8xf32>) -> tensor<1x2x2x8xf32>
    %kept = stablehlo.multiply %halves, %cos_all : tensor<1x2x2x8xf32>
    %crossed = stablehlo.multiply %swapped, %sin_all : tensor<1x2x2x8xf32>
    %turned = stablehlo.add %kept, %crossed : tensor<1x2x2x8xf32>
    %y = stablehlo.reshape %turned : (tensor<1x2x2x8xf32>) -> tensor<1x32xf32>
    return %y : tensor<1x32xf32>
  }

  // Which cached positions a slot's new tokens see: those before `past`.
  func.func private @cached_mask(%past: tensor<1xi32>) -> tensor<1x64xi1> {
    %position = stablehlo.iota dim = 1 : tensor<1x64xi32>
    %pasts = stablehlo.broadcast_in_dim %past, dims = [0] : (tensor<1xi32>) -> tensor<1x64xi32>
    %mask = stablehlo.compare LT, %position, %pasts : (tensor<1x64xi32>, tensor<1x64xi32>) -> tensor<1x64xi1>
    return %mask : tensor<1x64xi1>
  }

  // Softmax over two parts: the cached keys and the step's own, joined by a common maximum.
  // Returns the new keys and values too; the step writes all layers' at once.
  func.func private @attention(
      %x: tensor<1x64xf32>, %q: tensor<64x64xf32>, %k: tensor<32x64xf32>, %v: tensor<32x64xf32>, %o: tensor<64x64xf32>,
      %layer: index, %first_slot: index, %cos: tensor<1x2x8xf32>, %sin: tensor<1x2x8xf32>, %cached: tensor<1x64xi1>,
      %k_cache: tensor<2x4x2x16x64xf32>, %v_cache: tensor<2x4x2x64x16xf32>)
      -> (tensor<1x64xf32>, tensor<1x1x2x16x1xf32>, tensor<1x1x2x1x16xf32>) {
    %q_flat = stablehlo.dot_general %x, %q, contracting_dims = [1] x [1] : (tensor<1x64xf32>, tensor<64x64xf32>) -> tensor<1x64xf32>
    %k_flat = stablehlo.dot_general %x, %k, contracting_dims = [1] x [1] : (tensor<1x64xf32>, tensor<32x64xf32>) -> tensor<1x32xf32>
    %v_flat = stablehlo.dot_general %x, %v, contracting_dims = [1] x [1] : (tensor<1x64xf32>, tensor<32x64xf32>) -> tensor<1x32xf32>
    %q_turned = call @rotary_q(%q_flat, %cos, %sin) : (tensor<1x64xf32>, tensor<1x2x8xf32>, tensor<1x2x8xf32>) -> tensor<1x64xf32>
    %k_turned = call @rotary_k(%k_flat, %cos, %sin) : (tensor<1x32xf32>, tensor<1x2x8xf32>, tensor<1x2x8xf32>) -> tensor<1x32xf32>

    // queries [slots, kv_heads, group · new, head_dim], keys and values [slots, kv_heads, new, head_dim]
    %q_heads = stablehlo.reshape %q_turned : (tensor<1x64xf32>) -> tensor<1x2x2x16xf32>
    %k_heads = stablehlo.reshape %k_turned : (tensor<1x32xf32>) -> tensor<1x2x1x16xf32>
    %v_heads = stablehlo.reshape %v_flat : (tensor<1x32xf32>) -> tensor<1x2x1x16xf32>
    %scale = stablehlo.constant dense<0.25> : tensor<1x2x2x16xf32>
    %q_scaled = stablehlo.multiply %q_heads, %scale : tensor<1x2x2x16xf32>

    // slots and kv_heads as one dimension, so that the products read the layer where it lies
    %kv_heads = arith.constant 2 : index
    %first = arith.muli %first_slot, %kv_heads : index
    %k_all = stablehlo.reshape %k_cache : (tensor<2x4x2x16x64xf32>) -> tensor<2x8x16x64xf32>
    %k_layer = tensor.extract_slice %k_all[%layer, %first, 0, 0] [1, 2, 16, 64] [1, 1, 1, 1] : tensor<2x8x16x64xf32> to tensor<2x16x64xf32>
    %k_past = stablehlo.reshape %k_layer : (tensor<2x16x64xf32>) -> tensor<1x2x16x64xf32>
    %v_all = stablehlo.reshape %v_cache : (tensor<2x4x2x64x16xf32>) -> tensor<2x8x64x16xf32>
    %v_layer = tensor.extract_slice %v_all[%layer, %first, 0, 0] [1, 2, 64, 16] [1, 1, 1, 1] : tensor<2x8x64x16xf32> to tensor<2x64x16xf32>
    %v_past = stablehlo.reshape %v_layer : (tensor<2x64x16xf32>) -> tensor<1x2x64x16xf32>

    %minus_inf = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %none = stablehlo.constant dense<0.0> : tensor<f32>
    %past_raw = stablehlo.dot_general %q_scaled, %k_past, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2] : (tensor<1x2x2x16xf32>, tensor<1x2x16x64xf32>) -> tensor<1x2x2x64xf32>
    %past_seen = stablehlo.broadcast_in_dim %cached, dims = [0, 3] : (tensor<1x64xi1>) -> tensor<1x2x2x64xi1>
    %past_hidden = stablehlo.broadcast_in_dim %minus_inf, dims = [] : (tensor<f32>) -> tensor<1x2x2x64xf32>
    %past = stablehlo.select %past_seen, %past_raw, %past_hidden : tensor<1x2x2x64xi1>, tensor<1x2x2x64xf32>
    %own = stablehlo.dot_general %q_scaled, %k_heads, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [3] : (tensor<1x2x2x16xf32>, tensor<1x2x1x16xf32>) -> tensor<1x2x2x1xf32>

    %past_max = stablehlo.reduce(%past init: %minus_inf) applies stablehlo.maximum across dimensions = [3] : (tensor<1x2x2x64xf32>, tensor<f32>) -> tensor<1x2x2xf32>
    %own_max = stablehlo.reduce(%own init: %minus_inf) applies stablehlo.maximum across dimensions = [3] : (tensor<1x2x2x1xf32>, tensor<f32>) -> tensor<1x2x2xf32>
    %max = stablehlo.maximum %past_max, %own_max : tensor<1x2x2xf32>
    %past_maxes = stablehlo.broadcast_in_dim %max, dims = [0, 1, 2] : (tensor<1x2x2xf32>) -> tensor<1x2x2x64xf32>
    %past_below = stablehlo.subtract %past, %past_maxes : tensor<1x2x2x64xf32>
    %past_exp = stablehlo.exponential %past_below : tensor<1x2x2x64xf32>
    %past_sum = stablehlo.reduce(%past_exp init: %none) applies stablehlo.add across dimensions = [3] : (tensor<1x2x2x64xf32>, tensor<f32>) -> tensor<1x2x2xf32>
    %own_maxes = stablehlo.broadcast_in_dim %max, dims = [0, 1, 2] : (tensor<1x2x2xf32>) -> tensor<1x2x2x1xf32>
    %own_below = stablehlo.subtract %own, %own_maxes : tensor<1x2x2x1xf32>
    %own_exp = stablehlo.exponential %own_below : tensor<1x2x2x1xf32>
    %own_sum = stablehlo.reduce(%own_exp init: %none) applies stablehlo.add across dimensions = [3] : (tensor<1x2x2x1xf32>, tensor<f32>) -> tensor<1x2x2xf32>
    %past_out = stablehlo.dot_general %past_exp, %v_past, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2] : (tensor<1x2x2x64xf32>, tensor<1x2x64x16xf32>) -> tensor<1x2x2x16xf32>
    %own_out = stablehlo.dot_general %own_exp, %v_heads, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2] : (tensor<1x2x2x1xf32>, tensor<1x2x1x16xf32>) -> tensor<1x2x2x16xf32>
    %sum = stablehlo.add %past_sum, %own_sum : tensor<1x2x2xf32>
    %sums = stablehlo.broadcast_in_dim %sum, dims = [0, 1, 2] : (tensor<1x2x2xf32>) -> tensor<1x2x2x16xf32>
    %weighted = stablehlo.add %past_out, %own_out : tensor<1x2x2x16xf32>
    %heads_out = stablehlo.divide %weighted, %sums : tensor<1x2x2x16xf32>

    %flat_out = stablehlo.reshape %heads_out : (tensor<1x2x2x16xf32>) -> tensor<1x64xf32>
    %new_k = stablehlo.reshape %k_heads : (tensor<1x2x1x16xf32>) -> tensor<1x1x2x16x1xf32>
    %new_v = stablehlo.reshape %v_heads : (tensor<1x2x1x16xf32>) -> tensor<1x1x2x1x16xf32>
    %y = stablehlo.dot_general %flat_out, %o, contracting_dims = [1] x [1] : (tensor<1x64xf32>, tensor<64x64xf32>) -> tensor<1x64xf32>
    return %y, %new_k, %new_v : tensor<1x64xf32>, tensor<1x1x2x16x1xf32>, tensor<1x1x2x1x16xf32>
  }

  // down(silu(gate(x)) · up(x))
  func.func private @mlp(%x: tensor<1x64xf32>, %gate: tensor<96x64xf32>, %up: tensor<96x64xf32>, %down: tensor<64x96xf32>) -> tensor<1x64xf32> {
    %gated = stablehlo.dot_general %x, %gate, contracting_dims = [1] x [1] : (tensor<1x64xf32>, tensor<96x64xf32>) -> tensor<1x96xf32>
    %raised = stablehlo.dot_general %x, %up, contracting_dims = [1] x [1] : (tensor<1x64xf32>, tensor<96x64xf32>) -> tensor<1x96xf32>
    %sigmoid = stablehlo.logistic %gated : tensor<1x96xf32>
    %silu = stablehlo.multiply %gated, %sigmoid : tensor<1x96xf32>
    %inner = stablehlo.multiply %silu, %raised : tensor<1x96xf32>
    %y = stablehlo.dot_general %inner, %down, contracting_dims = [1] x [1] : (tensor<1x96xf32>, tensor<64x96xf32>) -> tensor<1x64xf32>
    return %y : tensor<1x64xf32>
  }

  // x + attention(norm(x)), then x + mlp(norm(x)).
  func.func private @layer(
      %x: tensor<1x64xf32>, %attn_norm: tensor<64xf32>, %q: tensor<64x64xf32>, %k: tensor<32x64xf32>, %v: tensor<32x64xf32>, %o: tensor<64x64xf32>, %mlp_norm: tensor<64xf32>, %gate: tensor<96x64xf32>, %up: tensor<96x64xf32>, %down: tensor<64x96xf32>,
      %layer: index, %first_slot: index, %cos: tensor<1x2x8xf32>, %sin: tensor<1x2x8xf32>, %cached: tensor<1x64xi1>,
      %k_cache: tensor<2x4x2x16x64xf32>, %v_cache: tensor<2x4x2x64x16xf32>)
      -> (tensor<1x64xf32>, tensor<1x1x2x16x1xf32>, tensor<1x1x2x1x16xf32>) {
    %x_normed = call @rms_norm(%x, %attn_norm) : (tensor<1x64xf32>, tensor<64xf32>) -> tensor<1x64xf32>
    %attended, %new_k, %new_v = call @attention(%x_normed, %q, %k, %v, %o, %layer, %first_slot, %cos, %sin, %cached, %k_cache, %v_cache)
        : (tensor<1x64xf32>, tensor<64x64xf32>, tensor<32x64xf32>, tensor<32x64xf32>, tensor<64x64xf32>, index, index, tensor<1x2x8xf32>, tensor<1x2x8xf32>, tensor<1x64xi1>, tensor<2x4x2x16x64xf32>, tensor<2x4x2x64x16xf32>) -> (tensor<1x64xf32>, tensor<1x1x2x16x1xf32>, tensor<1x1x2x1x16xf32>)
    %x_mid = stablehlo.add %x, %attended : tensor<1x64xf32>
    %mid_normed = call @rms_norm(%x_mid, %mlp_norm) : (tensor<1x64xf32>, tensor<64xf32>) -> tensor<1x64xf32>
    %fed = call @mlp(%mid_normed, %gate, %up, %down) : (tensor<1x64xf32>, tensor<96x64xf32>, tensor<96x64xf32>, tensor<64x96xf32>) -> tensor<1x64xf32>
    %y = stablehlo.add %x_mid, %fed : tensor<1x64xf32>
    return %y, %new_k, %new_v : tensor<1x64xf32>, tensor<1x1x2x16x1xf32>, tensor<1x1x2x1x16xf32>
  }

  // Logits over the vocabulary.
  func.func private @head(%x: tensor<1x64xf32>, %table: tensor<331x64xf32>) -> tensor<1x331xf32> {
    %logits = stablehlo.dot_general %x, %table, contracting_dims = [1] x [1] : (tensor<1x64xf32>, tensor<331x64xf32>) -> tensor<1x331xf32>
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

  // The new keys and values of all slots, at one position.
  func.func private @cache_write(
      %k: tensor<2x4x2x16x64xf32>, %v: tensor<2x4x2x64x16xf32>,
      %new_k0: tensor<1x1x2x16x1xf32>, %new_k1: tensor<1x1x2x16x1xf32>,
      %new_v0: tensor<1x1x2x1x16xf32>, %new_v1: tensor<1x1x2x1x16xf32>,
      %position: tensor<i32>)
      -> (tensor<2x4x2x16x64xf32>, tensor<2x4x2x64x16xf32>) {
    %keys = stablehlo.concatenate %new_k0, %new_k1, dim = 0 : (tensor<1x1x2x16x1xf32>, tensor<1x1x2x16x1xf32>) -> tensor<2x1x2x16x1xf32>
    %values = stablehlo.concatenate %new_v0, %new_v1, dim = 0 : (tensor<1x1x2x1x16xf32>, tensor<1x1x2x1x16xf32>) -> tensor<2x1x2x1x16xf32>
    %zero = stablehlo.constant dense<0> : tensor<i32>
    %k_out = stablehlo.dynamic_update_slice %k, %keys, %zero, %zero, %zero, %zero, %position : (tensor<2x4x2x16x64xf32>, tensor<2x1x2x16x1xf32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<2x4x2x16x64xf32>
    %v_out = stablehlo.dynamic_update_slice %v, %values, %zero, %zero, %zero, %position, %zero : (tensor<2x4x2x64x16xf32>, tensor<2x1x2x1x16xf32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<2x4x2x64x16xf32>
    return %k_out, %v_out : tensor<2x4x2x16x64xf32>, tensor<2x4x2x64x16xf32>
  }
}

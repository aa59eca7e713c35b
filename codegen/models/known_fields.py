"""What is known of config.json's fields beside those a family's reader asks for.

Gathered from the configuration and modeling files of transformers 4.57's and 5's decoders, and
from the files that released models carry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KnownFields:
    """The names known in one JSON object.

    `no_effect`: any value will do. The others change some decoder's arithmetic: null and empty
    values are neutral, and `neutral`'s values, and for `same_as` the value of that attribute of
    `ModelSpec`; all else is refused.
    """

    no_effect: frozenset[str]
    neutral: Mapping[str, tuple[Any, ...]]
    same_as: Mapping[str, str]


def _each(names: str, *neutral: Any) -> dict[str, tuple[Any, ...]]:
    return dict.fromkeys(names.split(), neutral)


def _all_as(attribute: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), attribute)


# by paragraph: names and versions; how it is computed, not what; training; other heads than the
# language model's; generation's defaults; token ids; lengths that only tokenizers and caches take;
# and what counts only beside fields that are refused, or where the reader asks for it
_NO_EFFECT = """
    architectures auto_class auto_map finetuning_task is_llama_config license name_or_path
    problem_type task_specific_params tokenizer_class transformers.js_config transformers_version
    unsloth_fixed unsloth_version _commit_hash _name_or_path

    attention_softmax_in_fp32 attn_implementation chunk_size_feed_forward dtype
    experts_implementation is_decoder output_attentions output_hidden_states pretraining_tp
    residual_in_fp32 return_dict scale_attention_softmax_in_fp32 tf_legacy_loss torch_dtype
    torchscript tp_plan tp_size use_bfloat16 use_flash_attention use_flash_attention_2
    use_flash_attn use_return_dict _attn_implementation _attn_implementation_autoset
    _attn_implementation_internal _experts_implementation _flash_attn_2_enabled

    activation_dropout attention_dropout attention_probs_dropout_prob attn_dropout attn_pdrop
    aux_loss_alpha aux_loss_coef dropout emb_pdrop embd_pdrop embedding_dropout
    embedding_initializer_range gradient_checkpointing hidden_dropout hidden_dropout_prob
    init_method init_method_std init_std initializer_cutoff_factor initializer_factor
    initializer_range label_smoothing layerdrop mlp_dropout output_router_logits
    rescale_prenorm_residual resid_dropout resid_pdrop residual_dropout router_aux_loss_coef
    router_jitter_noise router_z_loss_coef z_loss_coefficient

    classifier_activation classifier_bias classifier_dropout classifier_dropout_prob id2label
    label2id num_labels summary_activation summary_first_dropout summary_last_dropout
    summary_proj_to_labels summary_type summary_use_proj add_classification_head class_num
    dense_list pool_type

    bad_words_ids begin_suppress_tokens cache_implementation diversity_penalty do_sample
    early_stopping encoder_no_repeat_ngram_size epsilon_cutoff eta_cutoff
    exponential_decay_length_penalty forced_bos_token_id forced_eos_token_id guidance_scale
    length_penalty max_length max_new_tokens min_length min_new_tokens min_p no_repeat_ngram_size
    num_beam_groups num_beams num_logits_to_keep num_return_sequences output_scores penalty_alpha
    prefix remove_invalid_values renormalize_logits repetition_penalty return_dict_in_generate
    suppress_tokens temperature top_k top_p typical_p use_cache

    bos_token_id cls_token_id decoder_start_token_id eod_token_id im_end_id im_newline_id
    im_start_id mask_init_id mask_token_id org_vocab_size text_end_id text_start_id
    pad_id pad_token_id sep_token_id unk_token_id

    context_length max_seq_len max_seq_length max_sequence_length model_max_length n_ctx
    n_positions seq_length tokenizer_model_max_length tokenizer_padding_side

    cla_share_factor full_attn_mod interpolate_factor max_window_layers num_mtp_layers
    num_nextn_predict_layers original_max_position_embeddings
"""

# what only decoders of other kinds read: state spaces, convolutions, indexers, hash embeddings, …
_OTHERS = """
    afn alibi_bias_max attention_hidden_size attn_type block_auto_adjust_ff_dim
    block_ffn_dim_multiplier block_multiple_of block_size cca_time0 cca_time1 clamp_len
    compress_rates conv1d_width conv_kernel conv_kernel_size cross_attn_all_layers cross_attn_k
    d_rel expand expansion_ratio expert_ffn_hidden_size ff_activation ffn_act_fn ffn_proj_factor
    ffn_round_up_to_multiple_of gate_soft_cap gated_norm_rank gelu_activation hc_count hc_eps
    hc_lowrank hc_magnitude hc_sinkhorn_iters heads_per_ngram hidden_mamba_act hidden_size_global
    index_block_size index_local_blocks index_topk_blocks indexer_budget indexer_compress_ratio
    indexer_head_dim indexer_kv_heads indexer_n_heads indexer_types input_embedding_size
    intermediate_multiple_size kda_lower_bound kda_safe_gate keep_window_size
    linear_allow_neg_eigval linear_head_dim linear_num_heads local_attention_window_len
    local_layer_ids log_scaling_alpha log_scaling_n_floor loop_gate_rank loop_layer_index_end
    loop_layer_index_start mamba_chunk_size mamba_conv_bias mamba_hidden_act mamba_ngroups
    mamba_norm_before_gate mamba_proj_bias mamba_rms_norm mixer_rms_eps mlp_gate_softcap
    mlp_up_softcap moe_latent_size moe_layer_end_index moe_layer_interval moe_layer_start_index
    moe_router_logit_softcapping moe_shared_expert_intermediate_size n_groups n_input_layers
    n_layers_per_attn_res_block n_mamba_heads n_output_layers n_recurrent_layers ngpt_alpha_init
    ngram ngram_vocab_size_base num_blocks num_layers_per_stack num_ln_in_parallel_attn o_groups
    o_lora_rank output_embedding_size output_gate_type ple_conv_kernel_size ple_embed_dim
    ple_layer_ids prefix_dense_intermediate_size prefix_dense_sliding_window_pattern
    qk_dim_factor qk_l2_clip_threshold rel_extent rel_l2_clip_threshold rescale_every
    router_hidden_size router_scaling_factor shared_expert_sink shared_experts_intermediate_size
    short_conv_kernel_size sinusoidal_embeddings ssm_in_multiplier ssm_out_multiplier
    time_step_floor time_step_limit time_step_max time_step_min time_step_rank time_step_scale
    type_vocab_size use_conv_bias v_dim_factor _remove_final_layer_norm
"""

_NEUTRAL = {
    **_each(_OTHERS, False),
    # biases
    **_each("attention_bias bias mlp_bias use_attention_bias use_bias add_bias_linear", False),
    **_each("conv_bias enable_bias lm_head_bias norm_bias", False),
    **_each("no_bias", True),
    # norms
    **_each("use_qk_norm qk_norm qk_layernorm qk_ln use_post_norm post_norm", False),
    **_each("use_sandwich_norm apply_residual_connection_post_layernorm add_out_norm", False),
    **_each("do_layer_norm_before layer_norm_elementwise_affine use_rmsnorm", True),
    **_each("norm_type", "rms", "rms_norm", "rmsnorm"),
    # positions
    **_each("rope_interleaved rope_interleave use_mrope use_mem_rope use_long_context", False),
    **_each("alibi use_alibi learned_pos_emb use_learned_position_embeddings", False),
    **_each("use_rotary_pos_emb use_rotary_embedding use_rope", True),
    **_each("partial_rotary_factor rotary_pct rope_ratio rope_scaling_factor", 1.0),
    **_each("position_embedding_type", "rope", "rotary"),
    **_each("global_rope_theta local_rope_theta rope_local_base_freq layer_rope_theta"),
    **_each("compress_rope_theta rotary_value no_rope_layers no_rope_layer_interval"),
    # attention
    **_each("use_sliding_window use_bidirectional_attention attn_temperature_tuning", False),
    **_each("scale_attn_by_inverse_layer_idx attention_k_eq_v use_cla use_attention_gate", False),
    **_each("attn_output_gate gating multi_query prefix_lm use_shared_attention_adapter", False),
    **_each("causal is_causal scale_attn_weights", True),
    **_each("attention_in_multiplier attention_out_multiplier attention_value_scale", 1.0),
    **_each("key_multiplier attn_scale", 1.0),
    **_each("sliding_window sliding_window_size sliding_window_pattern layer_types"),
    **_each("dual_chunk_attention_config attention_chunk_size attention_window_size"),
    **_each("local_attention window_size"),
    **_each("global_attn_every_n_layers layer_switch order_of_interleaved_layers"),
    **_each("attention_type attention_types attn_config attn_logit_softcapping clip_qkv"),
    **_each("floor_scale"),
    **_each("lambda_std_dev num_attention_heads_per_layer cross_attention_layers"),
    **_each("kv_lora_rank q_lora_rank qk_nope_head_dim qk_rope_head_dim index_topk", 0),
    **_each("index_head_dim index_n_heads num_kv_shared_layers", 0),
    # residuals, embedding, head
    **_each("parallel_attn use_parallel_residual parallel_residual use_parallel_block", False),
    **_each("new_decoder_architecture", False),
    **_each("scale_embedding rescale_embeddings mup_enabled normalize_embedding", False),
    **_each("residual_multiplier residual_scale embedding_multiplier embedding_scale", 1.0),
    **_each("scale_emb logits_scaling logit_scale lm_head_multiplier", 1.0),
    **_each("logits_mup_width_multiplier full_attn_alpha_factor full_attn_beta_factor", 1.0),
    **_each("linear_attn_alpha_factor linear_attn_beta_factor", 1.0),
    **_each("mlp_alpha_factor mlp_beta_factor", 1.0),
    **_each("scale_depth final_logit_softcapping logits_soft_cap output_logit_soft_cap"),
    **_each("hidden_size_per_layer_input vocab_size_per_layer_input altup_num_inputs", 0),
    **_each("laurel_rank hc_mult ngram_size", 0),
    # the MLP
    **_each("use_gated_activation", True),
    **_each("activation activation_function hidden_activation mlp_hidden_act", "silu", "swish"),
    **_each("swiglu_limit swiglu_alpha activation_sparsity_pattern mlp_multipliers mlp_type"),
    **_each("use_double_wide_mlp", False),
    # experts
    **_each("is_moe enable_moe_block use_expert_bias norm_topk_prob", False),
    **_each("num_experts num_local_experts n_routed_experts moe_num_experts", 0),
    **_each("num_experts_per_tok num_experts_per_token experts_per_token top_k_experts", 0),
    **_each("moe_topk moe_top_k moe_k n_shared_experts num_shared_experts", 0),
    **_each("moe_num_shared_experts moe_intermediate_size shared_expert_intermediate_size", 0),
    **_each("shared_intermediate_size zero_expert_num first_k_dense_replace num_dense_layers", 0),
    **_each("n_group topk_group", 0, 1),
    **_each("routed_scaling_factor route_scale moe_routed_scaling_factor", 1.0),
    **_each("decoder_sparse_step expert_layer_offset expert_layer_period moe_layers"),
    **_each("interleave_moe_layer_step mlp_layer_types mlp_only_layers moe_layer_freq"),
    **_each("scoring_func"),
    **_each("topk_method expert_selection_fn ffn_config"),
    # layers of other kinds
    **_each("attn_layer_indices attn_layer_offset attn_layer_period block_configs block_types"),
    **_each("conv_L_cache full_attn_idxs layer_group_size layers_block_type"),
    **_each("linear_conv_kernel_dim"),
    **_each("linear_key_head_dim linear_num_key_heads linear_num_value_heads"),
    **_each("linear_value_head_dim"),
    **_each("loop_num_passes lru_width mamba_d_conv mamba_d_head mamba_d_ssm mamba_d_state"),
    **_each("mamba_dt_rank mamba_expand mamba_head_dim mamba_n_groups mamba_n_heads"),
    **_each("num_mem_blocks"),
    **_each("mamba_num_heads n_recurrent_loops ssm_multipliers ssm_state_size state_size"),
    **_each("add_cross_attention is_encoder_decoder tie_encoder_decoder", False),
    **_each("cross_attention_hidden_size pruned_heads"),
    # stored in another form, or a part of a larger model
    **_each("compression_config quantization quantization_config"),
    **_each("audio_config text_config vision_config"),
}

_SAME_AS = {
    **_all_as("hidden_size", "d_model dim_model_base emb_dim embed_dim embedding_size n_embd"),
    **_all_as("hidden_size", "word_embed_proj_dim"),
    **_all_as(
        "first.ffn.intermediate_size", "d_inner decoder_ffn_dim dense_intermediate_size dff dim_ff"
    ),
    **_all_as(
        "first.ffn.intermediate_size", "ffn_dim ffn_hidden_size intermediate_size_mlp n_inner"
    ),
    **_all_as("num_layers", "decoder_layers layers n_layer n_layers num_decoder_layers num_layers"),
    **_all_as(
        "first.attention.num_heads",
        "attention_heads decoder_attention_heads n_head n_heads num_heads",
    ),
    **_all_as("first.attention.num_heads", "swa_num_attention_heads"),
    **_all_as(
        "first.attention.num_kv_heads", "kv_n_heads multi_query_group_num n_head_kv num_kv_heads"
    ),
    **_all_as("first.attention.num_kv_heads", "num_query_groups swa_num_key_value_heads"),
    **_all_as(
        "first.attention.head_dim", "attention_head_dim d_head dim_head global_head_dim kv_channels"
    ),
    **_all_as(
        "first.attention.head_dim",
        "qk_head_dim query_pre_attn_scalar rotary_dim swa_head_dim v_head_dim",
    ),
    **_all_as("first.attention.qkv_bias", "add_qkv_bias qkv_bias use_qkv_bias"),
    **_all_as("first.attention.o_bias", "attention_out_bias"),
    **_all_as("first.attention.scale", "attention_multiplier softmax_scale"),
    **_all_as("first.norm.eps", "layer_norm_eps layer_norm_epsilon layernorm_epsilon norm_eps"),
    **_all_as("first.norm.eps", "norm_epsilon rms_norm_epsilon"),
    **_all_as("rope.theta", "rope_base rotary_emb_base"),
    **_all_as("vocab_size", "decoder_vocab_size output_vocab_size padded_vocab_size"),
    **_all_as("vocab_size", "text_vocab_size unpadded_vocab_size"),
}

CONFIG = KnownFields(frozenset(_NO_EFFECT.split()), _NEUTRAL, _SAME_AS)

# rope_scaling's and rope_parameters': what kinds of scaling take that are not supported, and what
# the supported ones leave out
ROPE = KnownFields(
    frozenset({"original_max_position_embeddings"}),
    {
        **_each("alpha attention_factor factor mscale partial_rotary_factor", 1.0),
        **_each("mscale_all_dim", 0.0, 1.0),
        **_each("low_freq_factor beta_slow", 1.0),
        **_each("high_freq_factor", 4.0),
        **_each("beta_fast", 32.0),
        **_each("llama_4_scaling_beta", 0.0),
        **_each("truncate", True),
        **_each("finetuned mrope_interleaved", False),
        **_each("long_factor short_factor long_mscale short_mscale mrope_section"),
        **_each("full_attention sliding_attention"),
    },
    {"type": "rope.kind"},
)

"""llama (Llama 2 to 3.2, SmolLM2, TinyLlama, Yi): the family that others are differences from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ..spec import Activation, Attention, LayerSpec, Mlp, ModelSpec, Norm, Rope, TensorNames
from .fields import Fields
from .rope import LAYER_TYPES, read_rope, rope_object

# Of element types: as config.json has them, and as MLIR names them.
DTYPES = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}

# Of hidden_act: transformers' names, and ours.
ACTIVATIONS: Mapping[str, Activation] = {
    **dict.fromkeys(("silu", "swish"), "silu"),
    "gelu": "gelu",
    **dict.fromkeys(("gelu_new", "gelu_fast", "gelu_pytorch_tanh"), "gelu_tanh"),
    "relu2": "relu2",
    "xielu": "xielu",
}

NAMES = TensorNames(
    layer={
        "attn_norm": "input_layernorm",
        "q": "self_attn.q_proj",
        "k": "self_attn.k_proj",
        "v": "self_attn.v_proj",
        "o": "self_attn.o_proj",
        "mlp_norm": "post_attention_layernorm",
        "gate": "mlp.gate_proj",
        "up": "mlp.up_proj",
        "down": "mlp.down_proj",
    },
    # RoPE's tables, which old checkpoints hold: they follow from the config
    unused=("rotary_emb.inv_freq", "rotary_emb.cos_cached", "rotary_emb.sin_cached"),
)


class Llama:
    """How a config states the model; each part is a method, for a family to say its own.

    Methods of a layer's parts take its `index`: families have layers of several kinds.
    """

    model_type = "llama"
    # what the transformers class does where a config leaves tie_word_embeddings out
    unties_by_default = True
    names = NAMES
    # of hidden_act, those that the class may have; the first is its own
    activations: ClassVar[Sequence[str]] = ("silu", "swish", "gelu")
    is_gated = True
    # the class's values of fields that released configs leave out
    defaults: ClassVar[Mapping[str, Any]] = {}

    def read(self, fields: Fields) -> ModelSpec:
        """Raises `UserError` for a field that is missing, out of range or not supported."""
        fields.defaults = self.defaults
        vocab_size = fields.integer("vocab_size", 1, 1 << 21)
        num_layers = fields.integer("num_hidden_layers", 1, 512)
        return ModelSpec(
            model_type=self.model_type,
            vocab_size=vocab_size,
            hidden_size=self.hidden_size(fields),
            layers=tuple(self.layer(fields, index) for index in range(num_layers)),
            final_norm=self.norm(fields),
            max_position_embeddings=self.context(fields),
            dtype=_dtype(fields),
            names=self.names,
            tie_word_embeddings=fields.boolean("tie_word_embeddings", default=True),
            tie_is_stated=fields.has("tie_word_embeddings"),
            unties_by_default=self.unties_by_default,
            eos_token_ids=fields.token_ids("eos_token_id", vocab_size),
            embed_scale=self.embed_scale(fields),
            logit_scale=self.logit_scale(fields),
            logit_softcap=self.logit_softcap(fields),
        )

    def layer(self, fields: Fields, index: int) -> LayerSpec:
        return LayerSpec(self.attention(fields, index), self.ffn(fields), self.norm(fields))

    def attention(self, fields: Fields, index: int) -> Attention:
        num_heads = fields.integer("num_attention_heads", 1, 1024)
        num_kv_heads = fields.integer("num_key_value_heads", 1, 1024, default=num_heads)
        if num_heads % num_kv_heads:
            supported = f"divisors of num_attention_heads, {num_heads}"
            raise fields.refusal("num_key_value_heads", num_kv_heads, supported)
        head_dim = self.head_dim(fields)
        if head_dim % 2:
            raise fields.refusal("head_dim", head_dim, "even sizes")
        return Attention(
            num_heads=num_heads,
            num_kv_heads=num_kv_heads,
            head_dim=head_dim,
            scale=float(head_dim**-0.5),
            rope=self._checked_rope(fields, index, head_dim),
            qkv_bias=self.qkv_bias(fields),
            o_bias=self.o_bias(fields),
            sliding_window=self.sliding_window(fields, index),
        )

    def head_dim(self, fields: Fields) -> int:
        """The hidden size over the heads where the config leaves it out."""
        hidden_size = self.hidden_size(fields)
        num_heads = fields.integer("num_attention_heads", 1, 1024)
        if not fields.is_given("head_dim") and hidden_size % num_heads:
            supported = f"multiples of num_attention_heads, {num_heads}"
            raise fields.refusal("hidden_size", hidden_size, supported)
        return fields.integer("head_dim", 2, 1024, default=hidden_size // num_heads)

    def rope(self, fields: Fields, index: int) -> Rope | None:
        return read_rope(fields, self.context(fields))

    def _checked_rope(self, fields: Fields, index: int, head_dim: int) -> Rope | None:
        """Raises `UserError` where a head's pairs are not as many as its RoPE's own factors."""
        rope = self.rope(fields, index)
        pairs = rope.turned(head_dim) // 2 if rope else 0
        if rope and rope.short_factors and len(rope.short_factors) != pairs:
            parameters = rope_object(fields) or fields
            found = list(rope.short_factors)
            raise parameters.refusal("short_factor", found, f"{pairs} numbers, one a pair")
        return rope

    def ffn(self, fields: Fields) -> Mlp:
        inner = fields.integer("intermediate_size", 1, 1 << 18)
        return Mlp(inner, self.activation(fields), self.mlp_bias(fields), self.is_gated)

    def activation(self, fields: Fields) -> Activation:
        return ACTIVATIONS[fields.text("hidden_act", self.activations, self.activations[0])]

    def norm(self, fields: Fields) -> Norm:
        return Norm(fields.number("rms_norm_eps", 1e-30, 0.1, default=1e-6))

    def hidden_size(self, fields: Fields) -> int:
        return fields.integer("hidden_size", 1, 1 << 16)

    def embed_scale(self, fields: Fields) -> float | None:
        return None

    def logit_scale(self, fields: Fields) -> float | None:
        return None

    def logit_softcap(self, fields: Fields) -> float | None:
        return None

    def context(self, fields: Fields) -> int:
        return fields.integer("max_position_embeddings", 1, 1 << 24)

    def qkv_bias(self, fields: Fields) -> bool:
        return fields.boolean("attention_bias", default=False)

    def o_bias(self, fields: Fields) -> bool:
        return fields.boolean("attention_bias", default=False)

    def mlp_bias(self, fields: Fields) -> bool:
        return fields.boolean("mlp_bias", default=False)

    def sliding_window(self, fields: Fields, index: int) -> int | None:
        """The class has none: a window that would be felt is another class's config."""
        layer_type(fields, index, ["full_attention"])
        if fields.raw("use_sliding_window"):
            raise fields.refusal("use_sliding_window", fields.raw("use_sliding_window"), "false")
        if fields.raw("layer_types") or fields.has("use_sliding_window"):
            fields.pass_over("sliding_window")
        elif fields.has("sliding_window"):
            context, window = self.context(fields), read_window(fields)
            if window is not None and window < context:
                supported = f"null, or at least max_position_embeddings, {context}"
                raise fields.refusal("sliding_window", window, supported)
        return None


def read_window(fields: Fields) -> int | None:
    """The class's own where the field is left out, none where it is null."""
    if fields.is_null("sliding_window"):
        return None
    return fields.integer("sliding_window", 1, 1 << 24)


def layer_type(fields: Fields, index: int, supported: Sequence[str] = LAYER_TYPES) -> str | None:
    """What `layer_types` says of a layer; None where there is no such list."""
    kinds = fields.raw("layer_types") if fields.has("layer_types") else []
    if not isinstance(kinds, list) or not all(kind in supported for kind in kinds):
        raise fields.refusal("layer_types", kinds, f"a list of {', '.join(supported)}")
    count = fields.integer("num_hidden_layers", 1, 512)
    if kinds and len(kinds) != count:
        raise fields.refusal("layer_types", kinds, f"one for each of {count} layers")
    return kinds[index] if kinds else None


def _dtype(fields: Fields) -> str:
    name = "dtype" if fields.has("dtype") else "torch_dtype"
    return DTYPES[fields.text(name, sorted(DTYPES), default="float32")]

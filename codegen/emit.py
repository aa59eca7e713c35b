"""From a config and a graph to MLIR text: the view a template sees, rendering, and the parse."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import jinja2
import numpy as np

from intaglio.runtime.manifest import PACKED_TILES, WeightSpec
from intaglio.templates import environment, tensor_type

from .config import ModelConfig
from .graphs import GraphSpec
from .parse import parse_rendered
from .targets import MOST_ROWS
from .weights import ATTENTION_WEIGHTS, MLP_WEIGHTS, layer_weights


def emit(config: ModelConfig, graph: GraphSpec, env: jinja2.Environment | None = None) -> str:
    """The graph as StableHLO text, parsed and verified. `env` replaces the templates in tests.

    Raises `TemplateError` with the rendered lines around it if the text does not parse.
    """
    template = f"{graph.kind}.mlir.j2"
    env = env or environment()
    text = env.get_template(template).render(g=GraphView(config, graph))
    parse_rendered(text, template, env)
    return text


@dataclass(frozen=True)
class LayerView:
    """One layer's call: its index and the names of its weight arguments."""

    index: int
    names: str


class GraphView:
    """Every name, size and type a template may ask for. No template computes one of its own."""

    def __init__(self, config: ModelConfig, graph: GraphSpec) -> None:
        self._config, self._graph = config, graph
        self._weights = {w.name: w for w in graph.weights(config)}
        self.kind, self.name = graph.kind, graph.name
        self.dtype = config.dtype
        self.cache_dtype = graph.cache.dtype(config)
        self.matmul_dtype = graph.matmul_dtype
        self.num_layers = config.num_layers
        self.vocab_size, self.hidden_size = config.vocab_size, config.hidden_size
        self.intermediate_size, self.head_dim = config.intermediate_size, config.head_dim
        self.num_heads, self.num_kv_heads = config.num_heads, config.num_kv_heads
        self.rms_norm_eps = config.rms_norm_eps
        self.attention_scale = config.head_dim**-0.5
        self.context, self.window = graph.cache.context, graph.window
        self.block, self.blocks = graph.cache.block, graph.cache.blocks
        self.slots = graph.cache.slots
        self.lanes, self.new, self.rows = graph.batch, graph.chunk, graph.rows
        self.group = config.num_heads // config.num_kv_heads
        self.queries = self.group * graph.chunk
        self.head_rows = 1 if graph.kind == "prefill" else graph.rows
        self.head_weight = "embed" if config.tie_word_embeddings else "lm_head"

    # -- the header and the signature

    @property
    def title(self) -> str:
        c, cache = self._config, self._graph.cache
        tied = "tied" if c.tie_word_embeddings else "untied"
        chunk = f", chunk {self.new}" if self.new > 1 else ""
        window = f", window {self.window}" if self.window != self.context else ""
        return (
            f"{self.name} · {c.model_type}, {tied} · {c.num_layers} layers, hidden {c.hidden_size},"
            f" {c.num_heads}/{c.num_kv_heads} heads of {c.head_dim} · context {cache.context},"
            f" {cache.slots} slots{chunk}{window} · {cache.precision}"
        )

    @property
    def weight_lines(self) -> list[str]:
        """The weight arguments: one line each for the model's, one line a layer."""
        model = [self._parameter(w) for n, w in self._weights.items() if not n.startswith("layer")]
        layers = [
            ", ".join(self._parameter(self._weights[f"layer{i}_{n}"]) for n in self.layer_weights)
            for i in range(self.num_layers)
        ]
        return model + layers

    def _parameter(self, weight: WeightSpec) -> str:
        return f"%{weight.name}: {self.type_of(weight.name)}"

    def type_of(self, weight: str) -> str:
        spec = self._weights[weight]
        return tensor_type(*spec.stored_shape, spec.dtype)

    # -- how weights lie

    @property
    def linear_template(self) -> str:
        return f"linear{self._suffix}.mlir.j2"

    @property
    def embedding_template(self) -> str:
        return f"embedding{self._suffix}.mlir.j2"

    @property
    def _suffix(self) -> str:
        return "" if self._graph.layout == "rowmajor" else "_packed"

    @property
    def tile(self) -> tuple[int, int]:
        """Rows and columns of a packed weight's tile."""
        return PACKED_TILES[self._graph.tile]

    def row_tile(self, rows: int) -> int:
        """Activation rows a product takes at once: the next power of two, at most 16."""
        return min(MOST_ROWS, 1 << (rows - 1).bit_length())

    def tiles(self, size: int, tile: int) -> int:
        """How many tiles cover a size."""
        return -(-size // tile)

    # -- how the cache lies

    @property
    def attention_template(self) -> str:
        return f"attention{'_blocked' if self.block else ''}.mlir.j2"

    @property
    def cache_write_chunk_template(self) -> str:
        return f"cache_write_chunk{'_blocked' if self.block else ''}.mlir.j2"

    def row_names(self, name: str) -> list[str]:
        return [f"{name}{row}" for row in range(self.rows)]

    # -- results

    @property
    def token_type(self) -> str:
        token = self._graph.results(self._config)[0]
        return tensor_type(*token.shape, token.dtype)

    @property
    def logits_type(self) -> str:
        logits = self._graph.results(self._config)[1]
        return tensor_type(*logits.shape, logits.dtype)

    # -- layers

    @property
    def layers(self) -> list[LayerView]:
        return [
            LayerView(i, ", ".join(f"%layer{i}_{name}" for name in self.layer_weights))
            for i in range(self.num_layers)
        ]

    @cached_property
    def layer_weights(self) -> list[str]:
        return list(layer_weights(self._config, self._graph.layout))

    @property
    def attention_weights(self) -> list[str]:
        return [name for name in self.layer_weights if name in ATTENTION_WEIGHTS]

    @property
    def mlp_weights(self) -> list[str]:
        return [name for name in self.layer_weights if name in MLP_WEIGHTS]

    def names(self, weights: list[str]) -> str:
        return ", ".join(f"%{name}" for name in weights)

    def types(self, weights: list[str]) -> str:
        return ", ".join(self.type_of(f"layer0_{name}") for name in weights)

    def params(self, weights: list[str]) -> str:
        return ", ".join(f"%{name}: {self.type_of(f'layer0_{name}')}" for name in weights)

    # -- what every layer is handed beside its weights: the angles and the masks

    @property
    def _shared(self) -> dict[str, str]:
        cached = {"%cached": self.cached_mask}
        if self.block:
            cached = {"%past": self.pasts, "%blocks": "index"}
        shared = {"%cos": self.angle, "%sin": self.angle, **cached}
        if self.new > 1:
            shared["%causal"] = self.causal_mask
        return shared

    @property
    def shared_names(self) -> str:
        return ", ".join(self._shared)

    @property
    def shared_types(self) -> str:
        return ", ".join(self._shared.values())

    @property
    def shared_params(self) -> str:
        return ", ".join(f"{name}: {kind}" for name, kind in self._shared.items())

    # -- types

    @property
    def hidden(self) -> str:
        return tensor_type(self.rows, self.hidden_size, "f32")

    @property
    def angle(self) -> str:
        return tensor_type(self.rows, 2, self.head_dim // 2, "f32")

    @property
    def cached_mask(self) -> str:
        return tensor_type(self.lanes, self.window, "i1")

    @property
    def pasts(self) -> str:
        """How many positions are cached before a step, for each slot and kv head."""
        return tensor_type(self.lanes * self.num_kv_heads, "i32")

    @property
    def chunk_blocks(self) -> int:
        """Blocks that a chunk's positions can lie in, from wherever it starts."""
        return self._graph.cache.blocks_of(self.new)

    @property
    def causal_mask(self) -> str:
        return tensor_type(self.queries, self.new, "i1")

    @property
    def k_cache(self) -> str:
        return self._cache_type(0)

    @property
    def v_cache(self) -> str:
        return self._cache_type(1)

    def _cache_type(self, index: int) -> str:
        spec = self._graph.cache.tensors(self._config)[index]
        return tensor_type(*spec.shape, spec.dtype)

    # -- the step's new keys and values: [layers, slots, kv_heads, head_dim, new] and
    #    [layers, slots, kv_heads, new, head_dim]; `padded` has room for a chunk before them

    def k_dims(self, layers: int, padded: bool = False) -> list[int]:
        return [layers, self.lanes, self.num_kv_heads, self.head_dim, self.new * (1 + padded)]

    def v_dims(self, layers: int, padded: bool = False) -> list[int]:
        return [layers, self.lanes, self.num_kv_heads, self.new * (1 + padded), self.head_dim]

    @property
    def new_k(self) -> str:
        return tensor_type(*self.k_dims(1), self.cache_dtype)

    @property
    def new_v(self) -> str:
        return tensor_type(*self.v_dims(1), self.cache_dtype)

    def new_names(self, letter: str) -> str:
        return ", ".join(f"%new_{letter}{i}" for i in range(self.num_layers))

    def repeated(self, kind: str) -> str:
        """A type once for each layer."""
        return ", ".join([kind] * self.num_layers)

    def new_params(self, letter: str, kind: str) -> str:
        return ", ".join(f"%new_{letter}{i}: {kind}" for i in range(self.num_layers))

    # -- numbers

    @property
    def rope_title(self) -> str:
        rope = self._config.rope
        scaled = "" if rope.kind == "default" else f", {rope.kind} scaling by {rope.factor:g}"
        return f"theta^(-2i / head_dim), theta {rope.theta:g}{scaled}: radians a position"

    @property
    def rope_frequencies(self) -> str:
        return ", ".join(self.f32(value) for value in self._config.rope.frequencies(self.head_dim))

    def f32(self, value: float) -> str:
        """The shortest decimal that rounds to this f32, as MLIR writes floats."""
        text = str(np.float32(value))
        digits, exponent = text.split("e") if "e" in text else (text, "")
        digits = digits if "." in digits else f"{digits}.0"
        return f"{digits}e{exponent}" if exponent else digits

"""One graph of a model, as its templates see it."""

from __future__ import annotations

from intaglio.runtime.bundle.weight_spec import WeightSpec
from intaglio.templates import Typed, tensor_type, wrapped

from ..graphs import GraphSpec
from ..spec import Attention, LayerSpec, ModelSpec, Rope
from .caches import CacheView
from .ops import Op
from .parts import RopeView
from .types import Types, f32

# what layers that share a function have alike: their spec, and which cache they write
Kind = tuple[LayerSpec, int]
_HEAD_NORMS = ("q_norm", "k_norm", "q_norm_bias", "k_norm_bias")


class GraphView:
    """`g` in every template: the graph's signature, its layers, and each distinct part of them.

    `step_form`, `parts`: the files that write its step and the functions after that.
    """

    step_form = parts = ""

    def __init__(self, model: ModelSpec, graph: GraphSpec) -> None:
        model = model.within(graph.cache.context)
        self._model, self._graph = model, graph
        self._weights = {weight.name: weight for weight in graph.weights(model)}
        self._types = Types()
        self.kind, self.name = graph.kind, graph.name
        self.num_layers = model.num_layers
        self.vocab_size, self.hidden_size = model.vocab_size, model.hidden_size
        self.lanes, self.new, self.rows = graph.step.batch, graph.step.new, graph.step.rows
        # an embed graph gives hidden rows instead
        self.has_head = graph.step.logits != "none"
        self.head_rows = self.lanes if graph.step.logits == "last" else self.rows
        self.ropes: dict[tuple[Rope, int], RopeView] = {}
        self.caches = [CacheView(self._types, spec, graph) for spec in graph.cache.caches(model)]
        for index, place in enumerate(model.places):
            self.caches[place.cache].members.append(index)
        self.embedding = self._op("embed", "embed", self.rows)
        x = "hidden" if self.head_rows == self.rows else "last_hidden"
        self.head = self._op(model.head, model.head, self.head_rows, x=x, y="logits")
        attentions = [layer.attention for layer in model.layers]
        ropes = {(each.rope, each.head_dim) for each in attentions if each.rope}
        self._has_ropes = len(ropes) > 1
        self._suffix_of = self._suffixes()

    # -- the header and the signature

    @property
    def title(self) -> str:
        model, cache = self._model, self._graph.cache
        attention = model.first.attention
        tied = "tied" if model.tie_word_embeddings else "untied"
        named = self._graph.formats.coding
        coding = f", {named.name}" if named else ""
        chunk = f", chunk {self.new}" if self.new > 1 else ""
        reach = f", reach {self._graph.reach}" if self._graph.reach != cache.context else ""
        return (
            f"{self.name} · {model.model_type}, {tied} · {model.num_layers} layers, hidden "
            f"{model.hidden_size}, {attention.num_heads}/{attention.num_kv_heads} heads of "
            f"{attention.head_dim} · context {cache.context}, {cache.slots} slots{chunk}{reach} · "
            f"{cache.precision}{coding}"
        )

    @property
    def weight_lines(self) -> list[str]:
        """The weight arguments: one line each for the model's, then each layer's together."""
        of_model = [
            weight for name, weight in self._weights.items() if not name.startswith("layer")
        ]
        groups = [self._arguments(weight) for weight in of_model]
        groups += [self.layer_arguments(index) for index in range(self.num_layers)]
        return [wrapped([f"{name}: {kind}" for name, kind in group], 6) for group in groups]

    @property
    def cache_lines(self) -> list[str]:
        """The cache arguments, each the memory of its result."""
        arguments = [argument for cache in self.caches for argument in cache.arguments]
        return [
            f"{name}: {kind} {{tf.aliasing_output = {number} : i32}}"
            for number, (name, kind) in enumerate(arguments, len(self._graph.results(self._model)))
        ]

    @property
    def results(self) -> list[str]:
        given = [self.token_type, self.logits_type] if self.has_head else [self.hidden]
        return [*given, *self.cache_types]

    @property
    def cache_types(self) -> list[str]:
        return [kind for cache in self.caches for _, kind in cache.arguments]

    def _arguments(self, weight: WeightSpec) -> list[Typed]:
        role = weight.name.split("_", 1)[1] if weight.name.startswith("layer") else weight.name
        alias = role
        if role.endswith(("_norm", "_norm_bias")):
            alias = "head_norm" if role in _HEAD_NORMS else "norm"
        return [
            (
                f"%{spec.name}",
                self.type(spec.name.replace(weight.name, alias), *spec.shape, spec.dtype),
            )
            for spec in weight.arguments
        ]

    # -- what the kind of step decides

    @property
    def positions(self) -> str:
        """One for all lanes, each its own, or a run."""
        return self._graph.step.positions

    @property
    def row_positions(self) -> list[tuple[str, str, int]]:
        """Each row's position on the host: value, argument, row."""
        return [(f"%position{row}", "%positions", row) for row in range(self.rows)]

    @property
    def embed_scale(self) -> str:
        return f32(self._model.embed_scale) if self._model.embed_scale else ""

    @property
    def logit_scale(self) -> str:
        return f32(self._model.logit_scale) if self._model.logit_scale else ""

    @property
    def logit_softcap(self) -> str:
        return f32(self._model.logit_softcap) if self._model.logit_softcap else ""

    # -- types

    def type(self, name: str, *parts: object) -> str:
        """`!name`, which the module's top defines as the tensor type of `parts`."""
        return self._types.name(name, *parts)

    def aliases_in(self, body: str) -> list[tuple[str, str]]:
        return self._types.used_in(body)

    @property
    def tokens(self) -> str:
        return self.type("tokens", self.rows, "i32")

    @property
    def hidden(self) -> str:
        return self.type("hidden", self.rows, self.hidden_size, "f32")

    @property
    def token_type(self) -> str:
        token = self._graph.results(self._model)[0]
        return self.type("next", *token.shape, token.dtype) if token.shape else tensor_type("i32")

    @property
    def logits_type(self) -> str:
        logits = self._graph.results(self._model)[1]
        name = "logits" if len(logits.shape) == 2 else "last_logits"
        return self.type(name, *logits.shape, logits.dtype)

    # -- parts

    def layer_arguments(self, index: int) -> list[Typed]:
        """Those of a layer's weights, in order."""
        own = [w for name, w in self._weights.items() if name.startswith(f"layer{index}_")]
        return [argument for weight in own for argument in self._arguments(weight)]

    def _suffixes(self) -> dict[Kind, str]:
        """What each kind of layer's functions are called after: nothing if there is one kind."""
        places = (place.cache for place in self._model.places)
        kinds = list(dict.fromkeys(zip(self._model.layers, places, strict=True)))
        if len(kinds) == 1:
            return {kinds[0]: ""}
        suffixes: dict[Kind, str] = {}
        for spec, cache in kinds:
            window = spec.attention.sliding_window
            name = f"_window{window}" if window else "_full"
            alike = sum(held.startswith(name) for held in suffixes.values())
            suffixes[spec, cache] = f"{name}_{alike + 1}" if alike else name
        return suffixes

    def _op(
        self,
        name: str,
        role: str,
        rows: int,
        *,
        x: str = "hidden",
        y: str = "hidden",
        has_bias: bool = False,
    ) -> Op:
        weight, formats = self._weights[name], self._graph.formats
        return Op(self._types, role, weight, rows, formats, has_bias=has_bias, x=x, y=y)

    def _rope_view(self, spec: Attention, suffix: str) -> RopeView | None:
        if spec.rope is None:
            return None
        key = (spec.rope, spec.head_dim)
        if key not in self.ropes:
            args = (suffix if self._has_ropes else "", spec.rope, self.rows, spec.head_dim)
            self.ropes[key] = RopeView(self._types, *args)
        return self.ropes[key]

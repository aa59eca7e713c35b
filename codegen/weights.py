"""The positional contract: one ordered list of weights, the same for every graph of a bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from intaglio.runtime.bundle.weight_spec import Part, Quant, Tiling, WeightSpec

from .kernels import KernelSet, RowBlocks
from .spec import LayerSpec, Linear, ModelSpec, TensorNames, Vector

# products of one input, which may be one product
_JOINED = {"qkv": ("q", "k", "v"), "gate_up": ("gate", "up")}


@dataclass(frozen=True)
class Coding:
    """How `--quantize` stores matrices: as `quant`, but those of some roles as `others` say.

    `block`: of the rows that they are multiplied with.
    """

    name: str
    quant: Quant
    others: Mapping[str, Quant]
    block: RowBlocks

    def of(self, role: str) -> Quant:
        return self.others.get(role, self.quant)


@dataclass(frozen=True)
class Formats:
    """How a bundle's weights are stored, and what they are multiplied with.

    `joined`: products of one input are one. `tiling`: of matrices, None as in the checkpoint.
    `operands`: the type of activations in products. `coding`: of matrices, None as in the
    checkpoint. `kernels`: what graphs run, if anything. `block`: of rows, where coded weights are
    multiplied with integers.
    """

    joined: bool = False
    tiling: Tiling | None = None
    operands: str = "f32"
    coding: Coding | None = None
    kernels: KernelSet | None = None
    block: RowBlocks | None = None


# as in the checkpoint
ROWMAJOR = Formats()


@dataclass(frozen=True)
class Product:
    """One product of a layer, of the `members` that it joins along `out`."""

    role: str
    members: tuple[Linear, ...]

    @property
    def out(self) -> int:
        return sum(member.out for member in self.members)

    @property
    def inputs(self) -> int:
        return self.members[0].inputs

    @property
    def bias(self) -> bool:
        return self.members[0].bias


def layer_weights(
    layer: LayerSpec, hidden_size: int, formats: Formats
) -> Iterator[Product | Vector]:
    """What a layer's weight arguments are of, in order."""
    weights = layer.weights(hidden_size)
    linears = {weight.role: weight for weight in weights if isinstance(weight, Linear)}
    joined = {
        role: of for role, of in _JOINED.items() if formats.joined and set(of) <= set(linears)
    }
    first = {roles[0]: role for role, roles in joined.items()}
    later = {role for roles in joined.values() for role in roles[1:]}
    for weight in weights:
        if isinstance(weight, Vector):
            yield weight
        elif weight.role in first:
            role = first[weight.role]
            yield Product(role, tuple(linears[member] for member in joined[role]))
        elif weight.role not in later:
            yield Product(weight.role, (weight,))


def weight_list(model: ModelSpec, formats: Formats = ROWMAJOR) -> list[WeightSpec]:
    """Every weight in order: embed, final_norm, lm_head if untied, the final norm's bias if it has
    one, then the layers'."""
    names, dtype = model.names, model.dtype
    table = (model.vocab_size, model.hidden_size)

    def whole(tensor: str, *shape: int) -> tuple[Part, ...]:
        return (Part(tensor, shape, dtype),)

    def matrix(name: str, parts: tuple[Part, ...], shape: tuple[int, ...]) -> WeightSpec:
        role = name.split("_", 1)[1] if name.startswith("layer") else name
        quant = formats.coding.of(role) if formats.coding else None
        return WeightSpec(name, parts, shape, dtype, formats.tiling, quant)

    weights = [
        matrix("embed", whole(names.embed, *table), table),
        WeightSpec("final_norm", whole(names.final_norm, table[1]), (model.hidden_size,), dtype),
    ]
    if not model.tie_word_embeddings:
        head = whole(names.lm_head, *table)
        weights.append(matrix("lm_head", head, table))
    if model.final_norm.bias:
        bias = whole(names.final_norm.removesuffix("weight") + "bias", table[1])
        weights.append(WeightSpec("final_norm_bias", bias, (table[1],), dtype))
    for index, layer in enumerate(model.layers):
        places = _places(model, layer)
        for weight in layer_weights(layer, model.hidden_size, formats):
            name = f"layer{index}_{weight.role}"
            if isinstance(weight, Vector):
                of_each = (weight.rows, weight.size) if weight.rows else (weight.size,)
                parts = tuple(
                    Part(tensor, of_each, dtype) for tensor in names.of_vector(index, weight)
                )
                weights.append(WeightSpec(name, parts, weight.shape, dtype))
                continue
            parts = tuple(
                part
                for each in weight.members
                for part in places[each.role].parts(names, index, each, dtype)
            )
            spec = matrix(name, parts, (weight.out, weight.inputs))
            # a kernel multiplies a tile of gate with the tile of up that is beside it
            alternates = formats.kernels is not None and weight.role == "gate_up"
            weights.append(replace(spec, alternates=alternates))
            if weight.bias:
                parts = tuple(
                    part
                    for each in weight.members
                    for part in places[each.role].parts(names, index, each, dtype, "bias")
                )
                weights.append(WeightSpec(f"{name}_bias", parts, (weight.out,), dtype))
    return [_as_stored(weight, model.dtypes) for weight in weights]


def _as_stored(weight: WeightSpec, dtypes: Mapping[str, str]) -> WeightSpec:
    parts = (replace(part, dtype=dtypes.get(part.tensor, part.dtype)) for part in weight.parts)
    return replace(weight, parts=tuple(parts))


@dataclass(frozen=True)
class _Place:
    """Which rows of a tensor of `size` are a product's: from each first to before its second."""

    size: int
    taken: tuple[tuple[int, int], ...]

    def parts(
        self, names: TensorNames, index: int, of: Linear, dtype: str, kind: str = "weight"
    ) -> tuple[Part, ...]:
        shape = (self.size,) if kind == "bias" else (self.size, of.inputs)
        tensor = names.of_layer(index, of.role, kind)
        rows = (None if each == (0, self.size) else each for each in self.taken)
        return tuple(Part(tensor, shape, dtype, each) for each in rows)


def _places(model: ModelSpec, layer: LayerSpec) -> dict[str, _Place]:
    """Of each of a layer's products: those of one tensor lie below each other, in order."""
    names, heads = model.names, layer.attention.num_heads
    linears = [each for each in layer.weights(model.hidden_size) if isinstance(each, Linear)]
    together: dict[str, list[Linear]] = {}
    for each in linears:
        together.setdefault(names.layer[each.role], []).append(each)
    places = {}
    for members in together.values():
        runs = heads if names.qkv_by_head and members[0].role == "q" else 1
        size, begin = sum(each.out for each in members), 0
        for each in members:
            firsts = [begin + run * size // runs for run in range(runs)]
            taken = tuple((first, first + each.out // runs) for first in firsts)
            places[each.role] = _Place(size, taken)
            begin += each.out // runs
    return places


def unused_tensors(model: ModelSpec) -> tuple[str, ...]:
    """Names, or endings or beginnings at a dot, of the checkpoint tensors that may be left out.

    They are the family's, and a tied model's head, about which `load_model` says a line.
    """
    head = [model.names.lm_head] if model.tie_word_embeddings else []
    return (*model.names.unused, *head, *model.names.aside)

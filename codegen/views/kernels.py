"""Kernels as their templates see them: sizes, memory, and what a dispatch takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from intaglio.runtime.bundle.weight_spec import TensorSpec, WeightSpec

from ..kernels import RowBlocks, RowsKernel
from ..spec import Mlp, Norm
from .amx import AmxView, whole_or_one
from .forms import F32_ROWS, LANES, RowForm, whole_tiles
from .integers import BlocksView, DotsView
from .types import Types, ceil, f32

# the file that multiplies rows, by what they are and whether AMX does
_PRODUCTS = {
    ("f32", False): "sums",
    ("bf16", False): "bf16_dots",
    ("bf16", True): "amx",
    ("i8", False): "dots",
    ("i8", True): "amx_dots",
}


class KernelView:
    """One kernel: an executable called `name`, written by `template`.

    `role`: the name without its number. `memory`: its arguments and results in order, as the
    memrefs that it lays over them; `takes` and `gives`: the same as a dispatch's types, where what
    it writes in place is the argument's name. `made`: the memref of the rows that it leaves for a
    product, and `made_dtype` theirs; `quantized`, if they are blocks of integers.
    """

    template = ""

    def __init__(self, rows: int) -> None:
        self.name, self.role, self.rows = "", "", rows
        self.quantized: BlocksView | None = None
        self.made, self.made_dtype = "", "f32"
        self.memory: list[tuple[str, str]] = []
        self.takes: list[str] = []
        self.gives: list[str] = []
        self.parameters: list[str] = []

    def is_like(self, other: KernelView) -> bool:
        """Whether both are one kernel."""
        named = {"name": "", "role": ""}
        return vars(self) | named == vars(other) | named

    def _read(self, name: str, tensor: str, *shape: object, seen: str = "") -> str:
        """An argument of type `tensor`; its memref, which another may be `seen` as."""
        self.takes.append(tensor)
        return self._lay(name, seen or memory_type(*shape))

    def _write(self, name: str, tensor: str, *shape: object) -> str:
        self.gives.append(tensor)
        return self._lay(name, memory_type(*shape))

    def _write_normed(self, types: Types, alias: str, columns: int, form: RowForm) -> None:
        """Rows, rows times the next norm's weight, and sums of squares of each tile."""
        shape, squares = (self.rows, columns, "f32"), (self.rows, columns // LANES, "f32")
        self.y = self._write("y", types.name(alias, *shape), *shape)
        self._make("weighteds", types, alias, columns, form)
        self.square_sums = self._write("square_sums", types.name("squares", *squares), *squares)

    def _make(self, name: str, types: Types, alias: str, columns: int, form: RowForm) -> None:
        """Rows for a product, in its form."""
        shape = form.shape(self.rows, columns)
        self.made = self._write(name, types.name(form.alias(alias), *shape), *shape)
        self.made_dtype = form.dtype
        if form.block:
            self.quantized = BlocksView.of(self.rows, columns, form.block)

    def _lay(self, name: str, memory: str) -> str:
        self.memory.append((name, memory))
        self.parameters.append(f"%{name}_bytes: !stream.binding")
        return memory


@dataclass(frozen=True)
class VectorView:
    """A weight `[size]` in memory."""

    type: str
    dtype: str


@dataclass(frozen=True)
class GainView:
    """A norm of rows of `length`, and its weight; by `parts` sums of squares, `width` at once."""

    eps: str
    length: str
    weight_offset: str
    weight: VectorView
    parts: int
    width: int

    @classmethod
    def of(cls, norm: Norm, size: int, dtype: str, block: RowBlocks | None = None) -> GainView:
        parts = whole_tiles(size, block) // LANES
        offset = f32(norm.weight_offset) if norm.weight_offset else ""
        vector = VectorView(memory_type(size, dtype), dtype)
        return cls(f32(norm.eps), f32(size), offset, vector, parts, divisor(parts))


class RowsView(KernelView):
    """`rows` rows × a weight. `epilogue`: plain, residual, added, activation or logits.

    `form`: of the rows, and of those that a residual or activation leaves for the next product.
    `products`: the file that multiplies. `norm`: of the rows before the product, by their sums of
    squares. `next`: of the rows after it, which are added to what they were (residual; added, where
    no norm follows), times `scale`. `ffn`: whose activation is applied. `has_bias`: added to each
    sum. Logits are multiplied by `scale` and softly capped, plain sums cut to `clip`, both ways.
    """

    template = "kernels/rows.mlir.j2"

    def __init__(
        self,
        types: Types,
        weight: WeightSpec,
        rows: int,
        sizes: RowsKernel,
        *,
        x: str,
        y: str,
        epilogue: str = "plain",
        norm: GainView | None = None,
        next: GainView | None = None,
        ffn: Mlp | None = None,
        has_bias: bool = False,
        scale: float | None = None,
        clip: float | None = None,
        softcap: float | None = None,
        form: RowForm = F32_ROWS,
    ) -> None:
        super().__init__(rows)
        block = form.block
        outputs, self.inputs = weight.shape
        self.dtype, self.epilogue = weight.dtype, epilogue
        self.activation = ffn.activation if ffn else ""
        # of tiles of gate and up, which alternate
        self.is_pairs = ffn is not None and ffn.is_gated
        self.scale = f32(scale) if scale else ""
        self.clip = f32(clip) if clip else ""
        self.softcap = f32(softcap) if softcap else ""
        self.norm, self.next = norm, next
        data, *parameters = weight.arguments
        self.tiles = data.shape[0]
        # what the weight is coded as; of integers, whose groups of k have a scale
        self.coding = f"q{weight.quant.bits}" if weight.quant else weight.dtype
        self.group, self.groups = (weight.quant.group if weight.quant else 0), weight.groups
        self.quant = weight.quant
        self.per_step = 32 // weight.quant.bits if weight.quant else data.shape[3]
        self.depth = ceil(self.inputs, self.per_step)
        self.steps_of_group = self.group // self.per_step
        self.products = f"kernels/{_PRODUCTS[form.dtype, sizes.by == 'amx']}.mlir.j2"
        if block:
            self._of_integers(weight, sizes.by, block)
        self.outputs = outputs // 2 if self.is_pairs else outputs
        if weight.alternates and not self.is_pairs:
            self.outputs = self.tiles * LANES
        made = block if epilogue in ("residual", "activation") else None
        self.tiles_of_block = 1
        if made:
            self.tiles_of_block = made.size // LANES * (2 if self.is_pairs else 1)
        self.made_name = "weighteds" if epilogue == "residual" else "y"
        self.is_cut = self.outputs % (made.size if made else LANES) != 0
        is_amx = sizes.by == "amx"
        self._cut(sizes if block or not is_amx else whole_or_one(sizes, self.depth))
        role = weight.name.split("_", 1)[1] if weight.name.startswith("layer") else weight.name
        self.columns = whole_tiles(self.inputs)
        shape, seen = form.shape(rows, self.inputs), form.seen(rows, self.inputs)
        self.row_sizes, self.row_dtype, row_shape = list(shape[1:-1]), form.dtype, shape
        self.x = self._read("x", types.name(form.alias(x), *shape), seen=memory_type(*seen))
        self.w = self._read("w", types.name(role, *data.shape, data.dtype), seen=self._w(data))
        self.weight_names = [f"%{role}"]
        for spec in parameters:
            what = spec.name.removeprefix(weight.name)
            kind = types.name(f"{role}{what}", *spec.shape, spec.dtype)
            setattr(self, f"w{what}", self._read(f"w{what}", kind, *spec.shape, spec.dtype))
            self.weight_names.append(f"%{role}{what}")
        self.bias = None
        if has_bias:
            memory = self._read(
                "bias", types.name(f"{role}_bias", outputs, self.dtype), outputs, self.dtype
            )
            self.bias = VectorView(memory, self.dtype)
            self.weight_names.append(f"%{role}_bias")
        for name in ffn.scalars if ffn else ():
            self._read(name, types.name(name, 1, self.dtype), 1, self.dtype)
            self.weight_names.append(f"%{name}")
        self.last = "_shifted" if has_bias else "_scaled" if norm else "_sum"
        if norm:
            shape = (rows, norm.parts, "f32")
            self.squares = self._read("squares", types.name("squares", *shape), *shape)
            self.scales = memory_type(rows, "f32")
        self._results(types, y, form)
        self.amx = self._amx(form, row_shape) if is_amx else None
        self.column = f"vector<{self.rows_at_once}xf32>"
        self.room = memory_type(self.unit, self.rows_at_once, LANES, "f32")

    def _cut(self, sizes: RowsKernel) -> None:
        """What is at once: of rows as many each time, 13 as 7 and 7, of which one is the same."""
        rows = min(self.rows, sizes.rows_of_group)
        self.rows_at_once = ceil(rows, ceil(rows, sizes.rows_at_once))
        # gate and up alternate
        least = max(2 if self.is_pairs else 1, self.tiles_of_block)
        self.tiles_filled = ceil(self.tiles, least) * least
        self.tiles_at_once = min(sizes.tiles_at_once, self.tiles_filled)
        self.unit = max(least, self.tiles_at_once)
        self.tiles_of_group = ceil(sizes.tiles_of_group, self.unit) * self.unit
        self.tile_groups = ceil(self.tiles_filled, self.tiles_of_group)
        self.prefetch = min(sizes.prefetch, self.depth)
        self.rows_of_group = min(self.rows, sizes.rows_of_group)
        self.row_groups = ceil(self.rows, self.rows_of_group)

    def _amx(self, form: RowForm, rows: tuple[Any, ...]) -> AmxView:
        """Of `rows`' shape."""
        at_once = (self.rows_at_once, self.tiles_at_once)
        if form.block:
            self.wide = memory_type(self.tiles_at_once, self.quads, LANES, "i32")
            planes = form.block.planes
            return AmxView(*at_once, self.quads, 4 * rows[1] * rows[2], planes)
        return AmxView(*at_once, self.depth, 2 * rows[1])

    def _of_integers(self, weight: WeightSpec, kind: str, block: RowBlocks) -> None:
        assert weight.quant is not None
        self.dots = DotsView(kind, weight.quant)
        self.quads, self.blocks = block.size // 4, ceil(self.inputs, block.size)
        self.planes = list(range(block.planes))
        self.depth = weight.arguments[0].shape[1]
        self.steps_of_block = self.quads // self.dots.halves
        self.blocks_of_group = weight.quant.group // block.size
        self.scale_dtype, self.minimum_dtype = weight.quant.scale, weight.quant.minimum

    @property
    def named_rows(self) -> int:
        """Rows at once that the sums know by name."""
        return 1 if self.amx else self.rows_at_once

    @property
    def shifts(self) -> list[int]:
        """Where a step's k, in order, are in the 32 bits that it has of an output."""
        assert self.quant is not None
        of_byte = range(0, 8, self.quant.bits)
        return [8 * byte + within for within in of_byte for byte in range(4)]

    def rows_of(self, tiles: Sequence[int]) -> list[str]:
        """Each of the rows at once by each tile: tile and row."""
        return [f"{n}_{m}" for n in tiles for m in range(self.rows_at_once)]

    def sums_of(self, tiles: Sequence[int]) -> list[str]:
        """The registers of sums of integers: their tile, row and part of 16."""
        return [f"{at}_{p}" for at in self.rows_of(tiles) for p in self.dots.parts]

    def starts_of(self, tiles: Sequence[int], plane: int) -> list[str]:
        """What a plane's sums begin with: 256 times the plane's before it, and what the integers'
        zero is too much in all planes."""
        names = {at: "%no_dots" for at in self.sums_of(tiles)}
        if plane:
            names = {at: f"%{'begun' if self.dots.zero else 'moved'}{at}" for at in names}
        elif self.dots.zero and len(self.planes) == 1:
            names = {at: f"%start{at.split('_')[1]}" for at in names}
        return [f"%int{at} = {name}" for at, name in names.items()]

    def _w(self, data: TensorSpec) -> str:
        """A step's weights as one element of 32 bits; f16's as they are."""
        if self.per_step == 1:
            return memory_type(*data.shape[:3], data.dtype)
        step = (2 * LANES, "f16") if self.coding == "f16" else (LANES, "i32")
        return memory_type(*data.shape[:2], *step)

    def _results(self, types: Types, y: str, form: RowForm) -> None:
        if self.epilogue == "logits":
            shape: tuple[object, ...] = (self.rows, self.outputs, "f32")
            self.y = self._write("y", types.name(y, *shape), *shape)
            shape = (self.rows, self.tiles, "f32")
            self.largests = self._write("largests", types.name("largests", *shape), *shape)
            return
        if self.epilogue == "activation":
            self._make("y", types, y, self.outputs, form)
            return
        is_added = self.epilogue in ("residual", "added")
        columns = form.filled(self.outputs) if self.next else whole_tiles(self.outputs)
        shape = (self.rows, columns, "f32")
        kind = types.name(y, *shape)
        if is_added:
            self._read("residual", kind, *shape)
        if self.next is None:
            self.y = self._write("y", kind, *shape)
            return
        self._read(
            "next_norm", types.name("norm", self.outputs, self.dtype), seen=self.next.weight.type
        )
        self._write_normed(types, y, columns, form)


class RowNormView(KernelView):
    """Rows by themselves: with `norm` normed and added to what they were; ready for the `next`."""

    template = "kernels/norm.mlir.j2"

    def __init__(
        self,
        types: Types,
        rows: int,
        size: int,
        *,
        norm: GainView | None,
        next: GainView,
        form: RowForm = F32_ROWS,
    ) -> None:
        super().__init__(rows)
        self.norm, self.next = norm, next
        columns = form.filled(size)
        self.tiles, self.outputs, self.is_cut = columns // LANES, size, size != columns
        shape = (rows, columns, "f32")
        rows_type = types.name("rows", *shape)
        own, dtype = types.name("norm", size, next.weight.dtype), next.weight.dtype
        if norm:
            # as a product leaves them, which knows of no blocks
            given = (rows, whole_tiles(size), "f32")
            self.x = self._read("x", types.name("rows", *given), *given)
            self._read("own_norm", own, size, dtype)
            self._read("residual", rows_type, *shape)
        else:
            self.x = self._read("x", types.name("hidden", rows, size, "f32"), rows, size, "f32")
        self._read("next_norm", own, size, dtype)
        self._write_normed(types, "rows", columns, form)
        if form.block:
            self.room = memory_type(form.block.size // LANES, LANES, "f32")


class QuantizeView(KernelView):
    """f32 rows of `size` columns as blocks of integers."""

    template = "kernels/quantize.mlir.j2"

    def __init__(self, types: Types, rows: int, columns: int, block: RowBlocks, x: str) -> None:
        super().__init__(rows)
        self.is_cut = columns % block.size != 0
        shape = (rows, columns, "f32")
        self.x = self._read("x", types.name(x, *shape), *shape)
        self._make("y", types, x, columns, RowForm.of_blocks(block))


class ArgmaxView(KernelView):
    """The lowest index of each row's largest logit."""

    template = "kernels/argmax.mlir.j2"

    def __init__(self, types: Types, head: RowsView) -> None:
        super().__init__(head.rows)
        self.tiles, self.vocab_size = head.tiles, head.outputs
        self.width = divisor(head.tiles)
        logits, largests = head.gives
        self.largests = self._read("largests", largests, seen=head.largests)
        self.logits = self._read("logits", logits, seen=head.y)
        shape = (head.rows, "i32")
        self.tokens = self._write("tokens", types.name("next", *shape), *shape)


def divisor(size: int, most: int = LANES) -> int:
    """The largest power of two that divides `size` and is `most` or less."""
    power = 1
    while power * 2 <= most and size % (power * 2) == 0:
        power *= 2
    return power


def memory_type(*parts: object) -> str:
    """`memory_type(4, 8, "f32")` is `memref<4x8xf32>`."""
    return f"memref<{'x'.join(str(part) for part in parts)}>"

"""Norms as kernels of their own, as their templates see them."""

from __future__ import annotations

from ..spec import Attention, Norm
from .forms import LANES, RowForm, whole_tiles
from .kernels import KernelView, VectorView, divisor, memory_type
from .types import Types, f32


class NormedView(KernelView):
    """Rows of `size` through a norm, if there is one: as `made`, for a product; or added to what
    they were, times `scale`. Without a norm rows are the embedding's, as they are."""

    template = "kernels/normed.mlir.j2"

    def __init__(
        self,
        types: Types,
        rows: int,
        size: int,
        dtype: str,
        norm: Norm | None,
        form: RowForm | None,
        *,
        is_added: bool,
        scale: float | None = None,
    ) -> None:
        super().__init__(rows)
        block = form.block if form else None
        self.outputs, columns = size, whole_tiles(size)
        # blocks may end behind the rows that they are made of
        self.tiles, self.is_cut = columns // LANES, size != whole_tiles(size, block)
        self.norm, self.is_added, self.scale = norm, is_added, f32(scale) if scale else ""
        self.length = f32(size)
        held = (rows, columns, "f32")
        alias, shape = ("rows", held) if norm else ("hidden", (rows, size, "f32"))
        self.x = self._read("x", types.name(alias, *shape), *shape)
        if norm:
            self.eps = f32(norm.eps)
            self.weight_offset = f32(norm.weight_offset) if norm.weight_offset else ""
            self.weight = VectorView(memory_type(size, dtype), dtype)
            kind = types.name("norm", size, dtype)
            self._read("own_norm", kind, size, dtype)
            if norm.bias:
                self._read("own_bias", kind, size, dtype)
            if is_added:
                self._read("residual", types.name("rows", *held), *held)
        if is_added:
            self.y = self._write("y", types.name("rows", *held), *held)
        if form:
            self._make("made", types, "rows", size, form)
        if block:
            self.room = memory_type(block.size // LANES, LANES, "f32")

    def weights(self, role: str) -> list[str]:
        """Its arguments, of the norm called so."""
        if self.norm is None:
            return []
        return [f"%{role}", f"%{role}_bias"] if self.norm.bias else [f"%{role}"]


class HeadNormsView(KernelView):
    """The norms of q and k in rows of q, k and v, which are copied.

    `parts`: of each letter how many norms there are, of `size`, and how many weights. `v_begin`:
    where v begins.
    """

    template = "kernels/qk_norm.mlir.j2"

    def __init__(self, types: Types, rows: int, spec: Attention, dtype: str) -> None:
        super().__init__(rows)
        norm, heads = spec.qk_norm, {"q": spec.num_heads, "k": spec.num_kv_heads}
        assert norm is not None
        self.norm, self.dtype, self.eps = norm, dtype, f32(norm.eps)
        self.weight_offset = f32(norm.weight_offset) if norm.weight_offset else ""
        self.width = divisor(spec.head_dim)
        self.columns = whole_tiles((spec.num_heads + 2 * spec.num_kv_heads) * spec.head_dim)
        self.v_begin = (spec.num_heads + spec.num_kv_heads) * spec.head_dim
        shape = (rows, self.columns, "f32")
        kind = types.name("qkv_rows", *shape)
        self.x = self._read("x", kind, *shape)
        self.letters, begin = [], 0
        for letter, count in heads.items():
            is_whole = spec.qk_norm_of == "projection"
            norms, size = (1, count * spec.head_dim) if is_whole else (count, spec.head_dim)
            has_own = spec.qk_norm_of in ("each head", "pieces")
            own = (count, size) if spec.qk_norm_of == "each head" else (count * size,)
            given = own if has_own else (size,)
            weight = self._vector(types, f"{letter}_norm", given, size * (count if has_own else 1))
            if norm.bias:
                self._vector(types, f"{letter}_norm_bias", given, size * (count if has_own else 1))
            self.letters.append((letter, begin, norms, size, f32(size), has_own, weight))
            begin += count * spec.head_dim
        self.y = self._write("y", kind, *shape)

    def _vector(self, types: Types, name: str, given: tuple[int, ...], size: int) -> str:
        kind = types.name("head_norm", *given, self.dtype)
        return self._read(name, kind, seen=memory_type(size, self.dtype))

    @property
    def weights(self) -> list[str]:
        """Its arguments after the rows."""
        biases = ["", "_bias"] if self.norm.bias else [""]
        return [f"%{letter}_norm{bias}" for letter in "qk" for bias in biases]

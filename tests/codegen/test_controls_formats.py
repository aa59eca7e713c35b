"""Controls of how numbers are held: products, lookups, both forms of cache, and `fast`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from controls import assert_noticed, feed
from streams import by_decode, load_reference, rms_spread_error
from workshop import Mutation, Workshop, only

LINEAR, TILES, ROWMAJOR = (f"linear/{n}.mlir.j2" for n in ("linear", "tiles", "rowmajor"))
BLOCKED, PLAIN, MASK = (f"cache/{n}.mlir.j2" for n in ("blocked", "plain", "cached_mask"))

_MASK = "%mask = stablehlo.compare LT, %position, %pasts"
_ONE_MORE = """%one = stablehlo.constant dense<1> : {{ index }}
    %next = stablehlo.add %position, %one : {{ index }}
    """
_NO_BIAS = (
    LINEAR,
    "stablehlo.add {{ y }}_sum, {{ y }}_shift",
    "stablehlo.maximum {{ y }}_sum, {{ y }}_sum",
)
# model, layout, kind of step, and what is wrong in it
EXACT: dict[str, tuple[str, str, str, tuple[Mutation, ...]]] = {
    # products and lookups
    "tiles: sums not from zero": (
        *("llama_untied", "portable", "decode"),
        ((TILES, "{{ y }}_zero = arith.constant 0.0", "{{ y }}_zero = arith.constant 1.0"),),
    ),
    "tiles: a lookup of the tile's first row": (
        *("llama_untied", "portable", "decode"),
        ((TILES, "remainder {{ ids }}, {{ y }}_n", "subtract {{ ids }}, {{ ids }}"),),
    ),
    "joined: k and v where q is": (
        *("llama_mha", "portable", "decode"),
        ((LINEAR, "[part.begin, part.begin + part.size]", "[0, part.size]"),),
    ),
    "joined: up where gate is": (
        *("llama_untied", "portable", "decode"),
        (
            (
                LINEAR,
                "op.rows }}, {{ part.begin }}:{{ part.begin + part.size }}",
                "op.rows }}, 0:{{ part.size }}",
            ),
        ),
    ),
    "tiles: no bias": ("llama_biases", "portable", "decode", (_NO_BIAS,)),
    "rowmajor: no bias": ("llama_biases", "rowmajor", "decode", (_NO_BIAS,)),
    "rowmajor: a lookup of token 0": (
        *("llama_untied", "rowmajor", "decode"),
        (
            (
                ROWMAJOR,
                "{{ y }}_ids = stablehlo.reshape {{ ids }}",
                "{{ y }}_none = stablehlo.subtract {{ ids }}, {{ ids }} : {{ ids_type }}\n"
                "    {{ y }}_ids = stablehlo.reshape {{ y }}_none",
            ),
        ),
    ),
    # the cache in blocks; its masks and prefill's writes are in test_controls.py
    "blocks: one fewer read": (
        *("llama_untied", "portable", "decode"),
        ((BLOCKED, "arith.ceildivsi", "arith.floordivsi"),),
    ),
    "blocks: written at a block's start": (
        *("llama_untied", "portable", "decode"),
        (
            (
                BLOCKED,
                "arith.remui {{ position }}, %block_size",
                "arith.subi %block_size, %block_size",
            ),
        ),
    ),
    "blocks: every layer reads the first's": (
        *("llama_untied", "portable", "decode"),
        (("attention/blocked.mlir.j2", "_all[%layer, %first,", "_all[0, %first,"),),
    ),
    # the cache that is not
    "plain: every layer reads the first's": (
        *("llama_untied", "rowmajor", "decode"),
        (("attention/plain.mlir.j2", "_all[%layer, %first,", "_all[0, %first,"),),
    ),
    "plain: cached mask one too many": (
        *("llama_untied", "rowmajor", "prefill_all"),
        ((MASK, _MASK, _MASK.replace("LT", "LE")),),
    ),
    "plain: cached mask one too few": (
        *("llama_untied", "rowmajor", "prefill_all"),
        ((MASK, _MASK, _ONE_MORE + _MASK.replace("%position", "%next")),),
    ),
    "plain: no cached mask": (
        *("llama_untied", "rowmajor", "prefill_all"),
        ((MASK, _MASK, "%mask = stablehlo.compare EQ, %position, %position"),),
    ),
    "plain: a chunk not moved back from the context's end": (
        *("llama_untied", "rowmajor", "prefill_all"),
        ((PLAIN, "minimum %start, %latest", "maximum %start, %start"),),
    ),
    "plain: every row written to slot 0": (
        *("llama_untied", "rowmajor", "ragged"),
        (
            (
                PLAIN,
                "{{ slot }} = stablehlo.constant dense<{{ row }}>",
                "{{ slot }} = stablehlo.constant dense<0>",
            ),
        ),
    ),
    "plain: every row written at row 0's position": (
        *("llama_untied", "rowmajor", "ragged"),
        ((PLAIN, "%positions [{{ row }}:{{ row + 1 }}]", "%positions [0:1]"),),
    ),
}


@pytest.mark.parametrize("control", EXACT)
def test_it_is_noticed(workshop: Workshop, control: str) -> None:
    name, build, kind, mutations = EXACT[control]
    session = workshop.session(name, only(kind, build=build, chunk=16), mutations)
    reference = load_reference(name)
    assert_noticed(feed(session, kind, reference), reference, control)


# -- `fast`: its tolerance does not see a value rounded twice, but one read as another type


def read_as_f16(value: str, shape: str) -> str:
    """Lines that make `value_f16` of a bf16 tensor: its bits taken as f16, and as bf16 again."""
    low, wrong = (f"{{{{ t({shape}, {dtype!r}) }}}}".replace("'", '"') for dtype in ("bf16", "f16"))
    return (
        f"    {value}_bits = stablehlo.bitcast_convert {value} : ({low}) -> {wrong}\n"
        f"    {value}_f16 = stablehlo.convert {value}_bits : ({wrong}) -> {low}\n"
    )


_KEY = """
      %bits = arith.bitcast %key : bf16 to f16
      %key_f32 = arith.extf %bits : f16 to f32"""
FAST: dict[str, tuple[str, tuple[Mutation, ...]]] = {
    "tiles: weights": (
        "portable",
        (
            (
                TILES,
                '{{ mmt4d(op, y, x, "%" ~ op.role,',
                read_as_f16("%{{ op.role }}", "op.n_tiles, op.k_tiles, op.tile[0], op.tile[1]")
                + '{{ mmt4d(op, y, x, "%" ~ op.role ~ "_f16",',
            ),
        ),
    ),
    "tiles: the embedding": (
        "portable",
        (
            (
                TILES,
                "    {{ whole }} = stablehlo.reshape {{ y }}_tile_row",
                read_as_f16("{{ y }}_tile_row", "op.rows, 1, op.k_tiles, 1, k")
                + "    {{ whole }} = stablehlo.reshape {{ y }}_tile_row_f16",
            ),
        ),
    ),
    "rowmajor: weights": (
        "rowmajor",
        (
            (
                ROWMAJOR,
                "    {{ y }} = stablehlo.dot_general",
                read_as_f16("%{{ op.role }}", "op.outputs, op.inputs")
                + "    {{ y }} = stablehlo.dot_general",
            ),
            (ROWMAJOR, '{{ casted(w, op.dtype, op.operands, y ~ "_w") }}', "{{ w }}_f16"),
        ),
    ),
    "blocks: keys": (
        "portable",
        (("attention/blocked.mlir.j2", '{{- widen("%key", dtype) }}', _KEY),),
    ),
    "plain: keys": (
        "rowmajor",
        (
            (
                "attention/plain.mlir.j2",
                '    {{ "%past_products" if',
                read_as_f16("%k_past", "dims, a.head_dim, c.reach") + '    {{ "%past_products" if',
            ),
            (
                "attention/plain.mlir.j2",
                '{{ casted("%q_scaled", "f32", dtype) }}, %k_past,',
                '{{ casted("%q_scaled", "f32", dtype) }}, %k_past_f16,',
            ),
        ),
    ),
}
_BOUND = 0.03  # of test_fast_precision.py


@pytest.mark.parametrize("control", FAST)
def test_another_type_is_noticed_in_fast(workshop: Workshop, control: str) -> None:
    build, mutations = FAST[control]
    reference = load_reference("llama_bf16")
    options = replace(only("decode", build=build), precision="fast")
    found = by_decode(workshop.session("llama_bf16", options, mutations), reference.inputs)
    error = rms_spread_error(found.logits, reference.stream.logits)
    print(f"{control} read as f16: {error:.1e} of the spread")
    assert error > 5 * _BOUND

"""Templates that are broken on purpose: the error shows the line, and who wrote it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
import pytest
from helpers import GOLDEN, ROOT, golden_config, invoke, write_config
from jinja2 import DictLoader

from intaglio.codegen.bundle import BuildOptions
from intaglio.codegen.emit import emit
from intaglio.codegen.kernels import Kernels
from intaglio.codegen.models import read_model
from intaglio.codegen.parse import TemplateError
from intaglio.codegen.targets import Layout
from intaglio.runtime.bundle.manifest import ALL_KINDS
from intaglio.templates import environment, overlay


def emit_with(
    tmp_path: Path,
    template: str,
    old: str,
    new: str,
    layout: Layout = "packed",
    quantize: str | None = None,
    kernels: Kernels = "none",
    kind: str = "ragged",
    arch: str = "x86-64-v3",
    **changes: Any,
) -> str:
    loader = environment().loader
    assert loader is not None
    source, _, _ = loader.get_source(environment(), template)
    assert old in source
    env = overlay(DictLoader({template: source.replace(old, new, 1)}))
    raw = golden_config("tiny-llama", **changes)
    model = read_model(write_config(tmp_path, raw) / "config.json")
    # any CPU for which there are kernels
    options = BuildOptions(
        kinds=(kind,),
        context=40,
        arch=arch,
        layout=layout,
        quantize=quantize,
        kernels=kernels,
    )
    (graph,) = options.graphs(model)
    return emit(model, graph, env)


BROKEN: list[tuple[str, str, str, str]] = [
    # template, text in it, what stands there instead, what is said of it
    # a syntax error, and an error that only verification finds
    ("ops/mlp.mlir.j2", "multiply %activated", "multiply activated", "expected"),
    ("ops/silu.mlir.j2", "stablehlo.logistic", "stablehlo.logist", "logist"),
    ("ops/mlp.mlir.j2", "return %y : {{ g.hidden }}", "return %y : tensor<f32>", "%y"),
    ("ops/head.mlir.j2", "dense<0xFF800000>", "dense<minus>", "expected"),
    ("ops/rotary.mlir.j2", "dims = [{{ turn.pair_axis }}] :", "dims = [9] :", "9"),
    ("steps/layer.mlir.j2", "stablehlo.add %x,", "stablehlo.addd %x,", "addd"),
    # what Python's `call` wrote is the file's that called it
    ("steps/layer.mlir.j2", "norm.name, [", '"rms", [', "'rms'"),
    # macros, where they are written and not where they are called
    ("steps/step.mlir.j2", '"argmax"', '"arg"', "'arg'"),
    ("steps/step.mlir.j2", "arith.constant {{", "arith.count {{", "count"),
    (
        "steps/positions.mlir.j2",
        "extract {{ argument }}[%row",
        "extrac {{ argument }}[%row",
        "extrac",
    ),
    ("steps/graph.mlir.j2", "func.func public", "func.func pub", "expected"),
    ("steps/step.mlir.j2", "%first_slot = arith", "%first_slot arith", "expected"),
    ("steps/ragged.mlir.j2", "tokens }}, %positions", "tokens }}; %positions", "expected"),
    ("linear/linear.mlir.j2", "stablehlo.slice {{ all", "stablehlo.cut {{ all", "cut"),
    ("linear/tiles.mlir.j2", "linalg.mmt4d", "linalg.mmt5d", "mmt5d"),
    ("linear/tiles.mlir.j2", '"stablehlo.gather"(', '"stablehlo.gat"(', "stablehlo.gat"),
    ("cache/blocked.mlir.j2", "arith.divui {{ pos", "arith.divvi {{ pos", "divvi"),
    ("cache/blocked.mlir.j2", "arith.ceildivsi", "arith.ceildivvi", "ceildivvi"),
    ("cache/write.mlir.j2", "stablehlo.concatenate", "stablehlo.chain", "chain"),
    ("attention/attention.mlir.j2", "multiply %q_heads", "multiple %q_heads", "multiple"),
    ("attention/blocked.mlir.j2", "math.exp %below", "math.expo %below", "expo"),
    (
        "attention/blocked.mlir.j2",
        "%is_cached = arith.cmpi slt",
        "%is_cached = arith.cmpi slow",
        "expected",
    ),
]
# what a step by kernels writes
KERNELS = [
    ("kernels/step.mlir.j2", "arith.divui %farthest", "arith.divide %farthest", "divide"),
    ("kernels/layer.mlir.j2", "return %y, %y_weighted", "retur %y, %y_weighted", "retur"),
    ("kernels/kernel.mlir.j2", "stream.return {{", "stream.retur {{", "stream.retur"),
    ("kernels/kernel.mlir.j2", "math.sqrt {{", "math.root {{", "math.root"),
    ("kernels/rows.mlir.j2", 'arith.addf {{ "%share', 'arith.ad {{ "%share', "ad"),
    ("kernels/sums.mlir.j2", "vector.outerproduct %col", "vector.outer %col", "outer"),
    ("kernels/sums.mlir.j2", "memref.load %x[%m", "memref.loa %x[%m", "memref.loa"),
    ("kernels/reach.mlir.j2", "arith.divui %position", "arith.divide %position", "divide"),
    ("kernels/attention.mlir.j2", "math.exp %below", "math.expo %below", "expo"),
    ("kernels/attend_step.mlir.j2", '"%k, %v, %par', '"%k; %v, %par', "expected"),
    (
        "kernels/heads.mlir.j2",
        "vector.load %qkv[%row, %{{ part",
        "vector.loa %qkv[%row, %{{ part",
        "loa",
    ),
    ("kernels/merge.mlir.j2", "arith.maximumf %highest", "arith.maximum %highest", "maximum"),
    ("kernels/norm.mlir.j2", "stream.dispatch.workgroup.id", "stream.workgroup.id", "workgroup"),
    ("kernels/argmax.mlir.j2", "arith.cmpf oeq, %logit", "arith.cmpf same, %logit", "expected"),
]
# what another form of cache and of weights writes
ROWMAJOR = [
    ("linear/rowmajor.mlir.j2", "contracting_dims = [1]", "contracting_dims = [9]", "9"),
    ("linear/linear.mlir.j2", "_shift = stablehlo.b", "_shift = stable.b", "stable.b"),
    ("cache/plain.mlir.j2", "_update_slice %k", "_update_slic %k", "slic"),
    (
        "cache/cached_mask.mlir.j2",
        "%mask = stablehlo.compare LT",
        "%mask = stablehlo.compare LL",
        "expected",
    ),
    ("attention/plain.mlir.j2", "stablehlo.exponential", "stablehlo.expo", "expo"),
]


# what weights of 4 bits write, as StableHLO and by kernels
QUANTIZED = [
    (
        "packed",
        "linear/quantized.mlir.j2",
        "multiply {{ y ~ from",
        "multipl {{ y ~ from",
        "multipl",
    ),
    ("packed", "linear/quantized_tiles.mlir.j2", "offset_dims = [", "offsets = [", "expected"),
    ("rowmajor", "linear/quantized.mlir.j2", "dense<255>", "dense<many>", "expected"),
    (
        *("rowmajor", "linear/quantized_rowmajor.mlir.j2"),
        *("stablehlo.dot_general", "stablehlo.dot", "expected"),
    ),
    (
        "packed",
        "kernels/dots.mlir.j2",
        "arith.sitofp {{ integers",
        "arith.sitof {{ integers",
        "sitof",
    ),
    ("packed", "kernels/quantized.mlir.j2", "math.roundeven", "math.round_even", "round_even"),
    ("packed", "kernels/quantize.mlir.j2", "stream.dispatch.wo", "stream.wo", "stream.wo"),
]
# what a chunk by kernels writes
CHUNKS = [
    ("kernels/append.mlir.j2", "arith.divui %position", "arith.divide %position", "divide"),
    ("kernels/attend_chunk.mlir.j2", '"%k, %v"', '"%k; %v"', "expected"),
    ("kernels/chunk_attention.mlir.j2", "math.exp %below ", "math.expo %below ", "expo"),
]
# what some families have: the same, and which
OF_FAMILIES: list[tuple[str, str, str, str, str]] = [
    ("ops/layer_norm.mlir.j2", "stablehlo.subtract %x", "stablehlo.sub %x", "sub", "cohere"),
    ("ops/gain.mlir.j2", "stablehlo.add %gained", "stablehlo.plus %gained", "plus", "starcoder2"),
    ("ops/softcap.mlir.j2", "stablehlo.tanh", "stablehlo.tan_h", "tan_h", "gemma2"),
    ("ops/relu2.mlir.j2", "stablehlo.maximum", "stablehlo.max", "max", "arcee"),
    ("ops/gelu.mlir.j2", "chlo.erf", "chlo.error", "error", "llama"),
    ("ops/xielu.mlir.j2", "stablehlo.log_plus_one", "stablehlo.log_1", "log_1", "apertus"),
    ("kernels/normed.mlir.j2", "arith.subf %x_tile", "arith.sub %x_tile", "sub", "cohere"),
    ("kernels/qk_norm.mlir.j2", "arith.muli %number", "arith.mul %number", "mul", "olmo2"),
    ("kernels/layer_apart.mlir.j2", "return %y", "return %z", "undeclared", "cohere"),
]


@pytest.mark.parametrize(("template", "old", "new", "said", "family"), OF_FAMILIES)
def test_a_broken_trait_is_shown(
    template: str, old: str, new: str, said: str, family: str, tmp_path: Path
) -> None:
    act = {"arcee": "relu2", "apertus": "xielu", "cohere": "silu", "olmo2": "silu"}
    kernels: Kernels = "auto" if template.startswith("kernels/") else "none"
    changes = {"model_type": family, "hidden_act": act.get(family, "gelu")}
    with pytest.raises(TemplateError, match=re.escape(template)) as caught:
        emit_with(tmp_path, template, old, new, kernels=kernels, **changes)
    assert said in str(caught.value).splitlines()[0]


# what multiplies a chunk on some CPUs alone
PRODUCTS = {
    "kernels/bf16_dots.mlir.j2": "znver4",
    "kernels/amx.mlir.j2": "sapphirerapids",
    "kernels/amx_dots.mlir.j2": "sapphirerapids",
    "kernels/amx_registers.mlir.j2": "sapphirerapids",
}
OF_PRODUCTS = [
    ("kernels/bf16_dots.mlir.j2", "vector.broadcast %pair", "vector.broad %pair", "broad"),
    ("kernels/amx.mlir.j2", "arith.muli %k, %line", "arith.mul %k, %line", "mul"),
    ("kernels/amx_dots.mlir.j2", "arith.shli %integers", "arith.shl %integers", "shl"),
    ("kernels/amx_registers.mlir.j2", "llvm.inttoptr", "llvm.inttopointer", "inttopointer"),
]


@pytest.mark.parametrize(
    ("layout", "template", "old", "new", "said"),
    [
        *(("packed", *broken) for broken in (*BROKEN, *KERNELS, *CHUNKS, *OF_PRODUCTS)),
        *(("rowmajor", *broken) for broken in ROWMAJOR),
        *QUANTIZED,
    ],
)
def test_a_broken_template_is_shown(
    layout: Layout, template: str, old: str, new: str, said: str, tmp_path: Path
) -> None:
    quantize = "q4" if template in {broken[1] for broken in QUANTIZED} else None
    quantize = "q8" if template == "kernels/amx_dots.mlir.j2" else quantize
    kernels: Kernels = "auto" if template.startswith("kernels/") else "none"
    is_chunk = template in {broken[0] for broken in (*CHUNKS, *OF_PRODUCTS)}
    kind = "prefill" if is_chunk else "ragged"
    # heads of 4 · 12 columns do not fill whole blocks of integers
    changes = {"attention_bias": True, "head_dim": 12, "arch": PRODUCTS.get(template, "x86-64-v3")}
    if template in PRODUCTS:
        changes["torch_dtype"] = "bfloat16"
    with pytest.raises(TemplateError) as caught:
        emit_with(tmp_path, template, old, new, layout, quantize, kernels, kind, **changes)
    first, *lines = str(caught.value).splitlines()
    place = rf"^(\S+):(\d+) \(in steps/{kind}\.mlir\.j2\): line (\d+) of the rendered text: "
    ((file, written, line_number),) = re.findall(place, first)
    number = int(line_number)
    assert file == template
    source = (ROOT / "templates" / template).read_text()
    assert int(written) == source[: source.index(old)].count("\n") + 1
    assert said in first
    (marked,) = (line for line in lines if line.startswith(">"))
    assert re.match(rf"> +{number} \| ", marked)
    literal = max(re.split(r"\{\{.*|.*\}\}", new), key=len).strip(' "[,(')
    assert literal in marked
    assert [int(line[1:].split("|")[0]) for line in lines] == list(range(number - 3, number + 4))
    assert max(map(len, lines)) < 220


@pytest.mark.parametrize(
    ("layout", "template", "cast"),
    [
        ("rowmajor", "linear/rowmajor.mlir.j2", "cast(x, "),
        ("rowmajor", "linear/rowmajor.mlir.j2", "cast(y ~ "),
        ("rowmajor", "attention/plain.mlir.j2", 'cast("%q_scaled"'),
        ("rowmajor", "attention/plain.mlir.j2", 'cast("%" ~ name'),
        ("packed", "linear/tiles.mlir.j2", "cast(cut, "),
        ("packed", "attention/attention.mlir.j2", 'cast("%k_heads"'),
        ("packed", "attention/blocked.mlir.j2", 'widen("%key"'),
        ("packed", "attention/blocked.mlir.j2", 'widen("%value"'),
        ("packed", "ops/gain.mlir.j2", 'cast("%weight"'),
    ],
)
def test_a_cast_left_out_is_no_text(
    layout: Layout, template: str, cast: str, tmp_path: Path
) -> None:
    """`fast` on bf16 weights: where types differ, what is not converted has no name."""
    (line,) = (
        line
        for line in (ROOT / "templates" / template).read_text().splitlines()
        if line.startswith(f"{{{{- {cast}")
    )
    with pytest.raises(TemplateError, match=r"undeclared SSA|in use|different type"):
        emit_with(tmp_path, template, line, "", layout=layout, torch_dtype="bfloat16")


_LIKE_OTHERS = ("causal_mask", "embedding", "gelu_tanh", "rms_norm", "rotary_angles")


def test_every_template_of_the_two_layouts_is_among_the_broken() -> None:
    """But those of other kinds of step, and masks and norms, which are like what is there; and
    lists of what else there is."""
    files = {str(path.relative_to(ROOT / "templates")) for path in ROOT.glob("templates/*/*.j2")}
    left_out = (
        files
        - {broken[0] for broken in (*BROKEN, *KERNELS, *CHUNKS, *ROWMAJOR, *OF_PRODUCTS)}
        - {broken[0] for broken in OF_FAMILIES}
        - {broken[1] for broken in QUANTIZED}
    )
    assert left_out == {
        *(f"steps/{kind}.mlir.j2" for kind in ALL_KINDS if kind != "ragged"),
        *(f"ops/{op}.mlir.j2" for op in _LIKE_OTHERS),
        *("steps/parts.mlir.j2", "kernels/parts.mlir.j2", "kernels/product.mlir.j2"),
    }


@pytest.mark.parametrize("name", ["g.hiden", "hidden"])
def test_an_undefined_name_in_a_template_raises(name: str, tmp_path: Path) -> None:
    with pytest.raises(jinja2.UndefinedError, match=name.split(".")[-1]):
        emit_with(tmp_path, "ops/mlp.mlir.j2", "{{ g.hidden }}", f"{{{{ {name} }}}}")


def test_an_unbroken_overlay_emits_the_same(tmp_path: Path) -> None:
    raw = golden_config("tiny-llama")
    model = read_model(write_config(tmp_path, raw) / "config.json")
    options = BuildOptions(kinds=("ragged",), context=40, arch="x86-64-v3", kernels="none")
    (graph,) = options.graphs(model)
    assert emit_with(tmp_path, "ops/mlp.mlir.j2", "multiply", "multiply") == emit(model, graph)


def test_our_own_bug_is_no_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> str:
        raise TemplateError("steps/decode.mlir.j2: line 1")

    monkeypatch.setattr("intaglio.cli.build.emit", broken)
    with pytest.raises(TemplateError):
        invoke("emit", GOLDEN / "tiny-llama", "-o", tmp_path)

"""The replay: what counts as a diff between two emitted texts, and a tree against itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from helpers import ROOT
from replay.combinations import Combination, every_combination, write_models
from replay.functions import compare
from replay.trees import Replay, replay

TEXT = """
module @step {
  func.func public @step(
      %x: tensor<4xf32>, %w: tensor<4xf32>, %k: tensor<4xf32> {tf.aliasing_output = 1 : i32})
      -> (tensor<4xf32>, tensor<4xf32>) {
    %y = call @layer(%x, %w) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %z = call @layer(%y, %w) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    return %z, %k : tensor<4xf32>, tensor<4xf32>
  }
  // a layer
  func.func private @layer(%x: tensor<4xf32>, %w: tensor<4xf32>) -> tensor<4xf32> {
    %normed = call @norm(%x) : (tensor<4xf32>) -> tensor<4xf32>
    %y = stablehlo.divide %normed, %w : tensor<4xf32>
    return %y : tensor<4xf32>
  }
  func.func private @norm(%x: tensor<4xf32>) -> tensor<4xf32> {
    %rates = stablehlo.constant dense<[1.0, 0.31622776, 0.1, 0.031622775]> : tensor<4xf32>
    %y = stablehlo.multiply %x, %rates : tensor<4xf32>
    return %y : tensor<4xf32>
  }
}
"""


def replaced(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


def reordered(text: str) -> str:
    head, *functions = text.removesuffix("}\n").split("  func.func private ")
    return head + "".join(f"  func.func private {part}" for part in reversed(functions)) + "}\n"


# what is no diff


@pytest.mark.parametrize(
    "text",
    [
        replaced(TEXT, ("@norm(", "@rms_norm(")),
        replaced(TEXT, ("@norm(", "@was_layer("), ("@layer(", "@norm(")),
        reordered(TEXT),
        "!x = tensor<4xf32>\n" + replaced(TEXT, ("tensor<4xf32>", "!x")),
        replaced(TEXT, ("// a layer", "// x / w")),
        replaced(TEXT, ("%normed", "%n"), ("%w", "%weight")),
        replaced(TEXT, (", %w", ",\n        %w")),
        replaced(TEXT, ("0.31622776,", "3.1622776e-01,")),
    ],
)
def test_names_order_aliases_and_comments_do_not_count(text: str) -> None:
    assert text != TEXT
    assert compare(TEXT, text).differences == ()


def test_equal_functions_may_be_one() -> None:
    second = TEXT[TEXT.index("  func.func private @norm") :].replace("@norm", "@also_norm")
    text = replaced(TEXT, ("%z = call @layer(", "%z = call @also_layer("))
    layer = TEXT[TEXT.index("  func.func private @layer") : TEXT.index("  func.func private @norm")]
    layer = replaced(layer, ("@layer", "@also_layer"), ("@norm", "@also_norm"))
    assert compare(TEXT, text.removesuffix("}\n") + layer + second).differences == ()


def test_cut_into_functions_differently_is_said_apart() -> None:
    plain = "%y = stablehlo.divide %normed, %w : tensor<4xf32>"
    call = "%y = call @over(%w, %normed) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>"
    over = """  func.func private @over(%a: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<4xf32> {
    %c = stablehlo.divide %b, %a : tensor<4xf32>
    return %c : tensor<4xf32>
  }
}
"""
    found = compare(TEXT, replaced(TEXT, (plain, call)).removesuffix("}\n") + over)
    assert {d.function for d in found.differences} == {"layer", "over (only in head)"}
    assert found.same_inlined
    crossed = replaced(call, ("%w, %normed", "%normed, %w"))
    found = compare(TEXT, replaced(TEXT, (plain, crossed)).removesuffix("}\n") + over)
    assert not found.same_inlined


# what is one


@pytest.mark.parametrize(
    ("function", "old", "new"),
    [
        ("norm", "0.31622776", "0.31622779"),  # one ulp
        ("norm", "stablehlo.multiply", "stablehlo.add"),
        ("layer", "divide %normed, %w", "divide %w, %normed"),
        ("step", "tf.aliasing_output = 1", "tf.aliasing_output = 0"),
        ("step", "@layer(%y, %w)", "@layer(%x, %w)"),
        ("@", "module @step", "module @step_b4"),
    ],
)
def test_a_change_is_seen_where_it_is(function: str, old: str, new: str) -> None:
    found = compare(TEXT, replaced(TEXT, (old, new)))
    (difference,) = found.differences
    assert difference.function == function
    assert not found.same_inlined
    assert {"-", "+", "@"} <= {line[0] for line in difference.diff.splitlines()}


def test_a_public_name_counts() -> None:
    assert not compare(TEXT, replaced(TEXT, ("public @step", "public @go"))).same_inlined


def test_a_long_constant_counts_to_its_end() -> None:
    values = ", ".join(f"{i}.0" for i in range(5000))
    constant = f"%c = stablehlo.constant dense<[{values}]> : tensor<5000xf32>\n    return %y :"
    text = replaced(TEXT, ("return %y :", constant))
    assert compare(text, text.replace("4999.0]", "4998.0]")).differences


def test_a_function_renamed_and_changed_is_shown_beside_its_old_self() -> None:
    text = replaced(TEXT, ("@norm(", "@rms_norm("), ("0.031622775", "0.5"))
    (found,) = compare(TEXT, text).differences
    assert found.function == "norm → rms_norm"
    assert "-" in found.diff and "5.000000e-01" in found.diff


# trees

FEW = [
    Combination("tiny_llama_biases", "--context 128 --slots 4 --chunk 16 --batch 4,1"),
    Combination("qwen2.5-0.5b", "--batch 8 --smaller --layout packed --arch znver4"),
    Combination("tiny_llama_tied", "--context 2000"),  # more than it has: refused
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_models(folder)
    return folder


def other_tree(folder: Path, pattern: str, old: str, new: str) -> Path:
    """A copy of this tree; the files of `pattern` have `new` for `old`."""
    for room in ("cli", "codegen", "runtime", "templates", "intaglio"):
        shutil.copytree(ROOT / room, folder / room)
    shutil.copy(ROOT / "pyproject.toml", folder)
    changed = [file for file in folder.glob(pattern) if old in file.read_text()]
    assert changed
    for file in changed:
        file.write_text(file.read_text().replace(old, new))
    return folder


def replayed(base: Path, head: Path, models: Path, work: Path) -> Replay:
    work.mkdir()
    return replay(base, head, models, FEW, work)


def test_a_tree_is_itself(models: Path, tmp_path: Path) -> None:
    found = replayed(ROOT, ROOT, models, tmp_path / "work")
    assert found.is_same
    assert len(found.graphs) == 6 + 6
    refused, verdict = found.summary()
    assert refused.startswith("refused by both (1): --context 2000: ")
    assert verdict == "no diff"


def test_a_changed_template_is_a_diff(models: Path, tmp_path: Path) -> None:
    change = ("templates/**/*.j2", "stablehlo.logistic", "stablehlo.tanh")
    found = replayed(other_tree(tmp_path / "base", *change), ROOT, models, tmp_path / "work")
    assert not found.is_same
    # the other six are by kernels
    assert len(found.differing) == len(found.graphs) - 6
    _, where, *diff, verdict = found.summary()
    assert where.startswith("\n== mlp: in 6 graphs, such as ")
    changed = [line.split("(")[0] for line in diff if line[0] in "-+"]
    operations = [line.split(" = ")[1] for line in changed]
    assert operations == ['"stablehlo.tanh"', '"stablehlo.logistic"']
    assert verdict == "DIFF: 6 graphs differ, 0 are lost"


def test_a_changed_kernel_is_a_diff(models: Path, tmp_path: Path) -> None:
    change = ("templates/kernels/merge.mlir.j2", "arith.maximumf", "arith.minimumf")
    found = replayed(other_tree(tmp_path / "base", *change), ROOT, models, tmp_path / "work")
    assert not found.is_same
    assert len(found.differing) == 3
    assert "\n== merge: in 3 graphs, such as " in "\n".join(found.summary())


def test_what_one_tree_refuses_is_lost_or_new(models: Path, tmp_path: Path) -> None:
    change = ("cli/options.py", '["rowmajor", "packed"]', '["rowmajor"]')
    other = other_tree(tmp_path / "other", *change)
    found = replayed(other, ROOT, models, tmp_path / "added")
    assert found.is_same
    assert len(found.new) == 1 and "'packed' is not 'rowmajor'" in found.new[0]
    found = replayed(ROOT, other, models, tmp_path / "lost")
    assert not found.is_same
    assert len(found.lost) == 1 and found.lost[0].endswith(f"({FEW[1]})")


def test_a_tree_that_emits_nothing_is_no_success(models: Path, tmp_path: Path) -> None:
    change = ("cli/build.py", '@click.command("emit")', '@click.command("emit", hidden=broken)')
    other = other_tree(tmp_path / "other", *change)
    found = replayed(other, other, models, tmp_path / "work")
    assert not found.is_same
    assert list(found.summary())[1:] == ["nothing was compared"]


def test_the_combinations_cover_every_axis(models: Path) -> None:
    combinations = every_combination()
    assert len(set(combinations)) == len(combinations) > 1500
    assert {c.model for c in combinations} == {path.name for path in models.iterdir()}
    options = {word for c in combinations for word in c.options.split()}
    assert options >= {
        *("all", "prefill_all", "exact", "fast", "packed", "rowmajor", "--smaller", "--batch"),
        *("znver3", "znver4", "sapphirerapids", "neoverse-v2", "sm_80"),
    }

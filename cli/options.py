"""The options verbs share, with one help text each, and what they are turned into."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from intaglio.runtime.errors import UserError
from intaglio.runtime.host import usable_threads
from intaglio.runtime.text.chat_template import read_template
from intaglio.runtime.text.reasoning import FORMS

from .progress import say

if TYPE_CHECKING:
    from intaglio.codegen.bundle import BuildOptions

F = TypeVar("F", bound=Callable[..., Any])

# What is compiled beside the largest sizes, so that what is short costs less: prefill for these
# chunks, and where a cache is not in blocks, each step for these prefixes of the context.
SMALLER: dict[str, tuple[int, ...]] = {"small_chunks": (16, 64), "reaches": (512,)}

_BUILD = {
    "context": click.option(
        "--context",
        type=int,
        metavar="N",
        help="Positions the cache holds, prompt and answer together.  [default: 2048 or the "
        "model's limit]",
    ),
    "slots": click.option(
        "--slots",
        type=int,
        metavar="N",
        help="Sequences the cache holds.  [default: 8; generate, chat and eval: what they use]",
    ),
    "chunk": click.option(
        "--chunk",
        type=int,
        metavar="N",
        help="Tokens a prefill call takes at most.  [default: 256]",
    ),
    "precision": click.option(
        "--precision",
        type=click.Choice(["exact", "fast"]),
        help="exact: f32 arithmetic and cache; fast: 16-bit operands and cache, f32 sums.  "
        "[default: fast]",
    ),
    "target": click.option(
        "--target", type=click.Choice(["cpu", "cuda"]), help="Device kind.  [default: cpu]"
    ),
    "arch": click.option(
        "--arch",
        metavar="NAME",
        help="Which one: a CPU such as x86-64-v3 or znver4, or sm_80, sm_86, sm_89.  "
        "[default: this CPU; sm_80]",
    ),
    "layout": click.option(
        "--layout",
        type=click.Choice(["rowmajor", "packed"]),
        help="How weights are stored: as in the checkpoint, or tiled for this CPU's microkernels.  "
        "[default: packed on cpu, rowmajor on cuda; emit and inspect: rowmajor]",
    ),
    "quantize": click.option(
        "--quantize",
        type=click.Choice(["q8", "q4"]),
        help="Code the matrices of a checkpoint, embedding and head included, in groups of 32: q8 "
        "in 8 bits, q4 in 4 but for what 8 bits keep better.  [default: as in the checkpoint]",
    ),
    "kernels": click.option(
        "--kernels",
        type=click.Choice(["auto", "none"]),
        help="auto: products of a few rows by kernels of our own where they are faster; none: all "
        "by the compiler's.  [default: auto]",
    ),
}

weights = click.option(
    "--weights",
    type=click.Path(),
    metavar="DIR",
    help="Folder to take the weights from, instead of the bundle or its checkpoint.",
)


def _usable(context: click.Context, option: click.Parameter, count: int | None) -> int:
    if count is not None and count < 1:
        raise UserError(f"threads is {count}: must be 1 or more")
    usable = usable_threads(count)
    if count is not None and usable < count:
        say(f"--threads {count}: only {usable} can run at once here: using {usable}")
    return usable


threads = click.option(
    "--threads",
    type=int,
    metavar="N",
    callback=_usable,
    help="CPU threads.  [default: the physical cores]",
)


def _readable(context: click.Context, option: click.Parameter, file: str | None) -> str | None:
    if file is not None:
        read_template(Path(file))  # what is wrong with it is told before anything is compiled
    return file


chat_template = click.option(
    "--chat-template",
    type=click.Path(),
    metavar="FILE",
    callback=_readable,
    help="A Jinja file to use instead of the model's own chat template.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
verbose = click.option("-v", "--verbose", is_flag=True, help="Print the compile commands.")

embeddings = click.option(
    "--embeddings",
    type=click.Choice(["mean", "last"]),
    help="Also make embeddings: the mean of a text's hidden rows, or its last token's.",
)


def _no_empty(context: click.Context, option: click.Parameter, names: tuple[str, ...]) -> Any:
    if "" in names:
        raise UserError("--served-model-name is empty: give a name")
    return names


names = click.option(
    "--served-model-name",
    "names",
    metavar="NAME",
    multiple=True,
    callback=_no_empty,
    help="What requests call the model; again for others; answers say the first.  [default: MODEL]",
)


def _known(context: click.Context, option: click.Parameter, name: str) -> str:
    if name not in ("auto", "none", *FORMS):
        raise UserError(f"--reasoning-parser {name}: must be auto, none, {', '.join(FORMS)}")
    return name


reasoning = click.option(
    "--reasoning-parser",
    "reasoning",
    default="auto",
    show_default=True,
    metavar="auto|none|NAME",
    callback=_known,
    help="How the model writes thoughts: think, seed_oss, granite; auto: by its chat template.",
)
generation_config = click.option(
    "--generation-config",
    type=click.Choice(["auto", "none"]),
    default="auto",
    show_default=True,
    help="auto: sample as the model's generation_config.json says, where nothing else is asked; "
    "none: leave it unread.",
)


revision = click.option(
    "--revision",
    metavar="REV",
    help="Of a hub id: a branch, a tag or a commit.  [default: the main branch]",
)


def at_revision(model: str, revision: str | None) -> str:
    """A hub id as `resolve_model` takes it. Raises `UserError` for what is no hub id."""
    if revision is None:
        return model
    if os.path.exists(model):
        raise UserError(f"--revision {revision}: {model} is here, not a hub id")
    return f"{model}@{revision}"


def build_options(command: F) -> F:
    """Adds the options that say what to build; those given are passed as `build`.

    And `--revision`, which becomes part of `model`.
    """

    def collect(*args: Any, **values: Any) -> Any:
        values["model"] = at_revision(values["model"], values.pop("revision"))
        build = {name: values.pop(name) for name in _BUILD}
        given = {name: value for name, value in build.items() if value is not None}
        return command(*args, build=given, **values)

    collect.__name__ = command.__name__
    collect.__doc__ = command.__doc__
    collect.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    decorated: Any = collect
    for option in reversed((revision, *_BUILD.values())):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def to_build_options(given: dict[str, Any], **more: Any) -> BuildOptions:
    """`BuildOptions` from the options given on the command line; the rest keeps its default.

    Raises `UserError` for an unknown --arch, even where nothing is compiled.
    """
    from intaglio.codegen.bundle import BuildOptions
    from intaglio.codegen.targets import TARGETS

    chosen = BuildOptions(**{**more, **given})
    TARGETS[chosen.target].check_arch(chosen.arch)
    return chosen

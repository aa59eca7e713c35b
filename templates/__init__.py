"""The one Jinja environment, and nothing else: decisions are Python's, layout is the templates'."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined

# no line of the emitted text is longer
_LINE = 120
# where a text is rendered to find out who wrote it, the writer of what follows: it is no text
MARK = re.compile("\x01(.*?)\x02")


@cache
def environment() -> Environment:
    """The shared environment: undefined names raise, blocks leave no blank lines behind."""
    return _environment(PackageLoader(__name__, ""))


def overlay(loader: BaseLoader) -> Environment:
    """An environment whose `loader` is asked first: how tests mutate a single template."""
    return _environment(ChoiceLoader([loader, PackageLoader(__name__, "")]))


def _environment(loader: BaseLoader) -> Environment:
    env = Environment(
        loader=loader,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    env.globals |= {"t": tensor_type, "call": call, "function": function, "dispatch": dispatch}
    env.globals |= {"each": each, "cast": cast, "casted": casted, "widen": widen}
    env.filters |= {"wrapped": wrapped, "dense": dense}
    return env


def tensor_type(*parts: Any) -> str:
    """`tensor_type(4, [8, 64], "f32")` is `tensor<4x8x64xf32>`, `tensor_type("i32")` a scalar's."""
    flat = [size for part in parts for size in (part if isinstance(part, list) else [part])]
    return f"tensor<{'x'.join(str(size) for size in flat)}>"


# an argument or parameter: its name, with the %, and its type
Typed = tuple[str, str]


def function(name: str, parameters: Sequence[Typed], results: Sequence[str]) -> str:
    """The head of a private function, its parameters wrapped: `func.func private @… {`."""
    listed = wrapped([f"{name}: {kind}" for name, kind in parameters], 6)
    returned = results[0] if len(results) == 1 else f"({wrapped(results, 11)})"
    head = f"  func.func private @{name}({listed}) -> {returned} {{"
    if len(head) <= _LINE and "\n" not in head:
        return head
    return f"  func.func private @{name}(\n      {listed})\n      -> {returned} {{"


def call(results: str, name: str, arguments: Sequence[Typed], returned: Sequence[str]) -> str:
    """`%results = call @name(…) : (…) -> …`, on one line or wrapped."""
    names, kinds = wrapped([name for name, _ in arguments], 8), [kind for _, kind in arguments]
    gives = returned[0] if len(returned) == 1 else f"({', '.join(returned)})"
    line = f"    {results} = call @{name}({names}) : ({', '.join(kinds)}) -> {gives}"
    if len(line) <= _LINE and "\n" not in line:
        return line
    head = f"    {results} = call @{name}({names})"
    if "\n" in names or len(head) > _LINE:
        head = f"    {results} = call @{name}(\n        {names})"
    return f"{head}\n        : ({wrapped(kinds, 11)})\n        -> {gives}"


def dispatch(results: str, kernel: Any, arguments: Sequence[str], count: str = "") -> str:
    """`%results = flow.dispatch @kernel[…](…) : (…) -> …`, of the types that the kernel says."""
    name, given = f"@{kernel.name}::@{kernel.name}", f"[{count}]" if count else ""
    names, gives = wrapped(arguments, 8), kernel.gives
    returned = gives[0] if len(gives) == 1 else f"({wrapped(gives, 12)})"
    head = f"    {results} = flow.dispatch {name}{given}({names})"
    if "\n" in names or len(head) > _LINE:
        head = f"    {results} = flow.dispatch {name}{given}(\n        {names})"
    return f"{head}\n        : ({wrapped(kernel.takes, 11)})\n        -> {returned}"


def each(pattern: str, numbers: Iterable[int]) -> list[str]:
    """`each("%x{}", [0, 1])` is `["%x0", "%x1"]`."""
    return [pattern.format(number) for number in numbers]


def wrapped(items: Iterable[str], indent: int) -> str:
    """The items with commas between, on lines that begin with `indent` spaces after the first."""
    lines, line = [], ""
    for item in items:
        if line and indent + len(line) + len(item) > _LINE - 6:
            lines.append(line.rstrip())
            line = ""
        line += f"{item}, "
    return ("\n" + " " * indent).join([*lines, line.removesuffix(", ")])


def dense(text: str) -> str:
    """Without empty lines, which macros leave where they write nothing."""
    return "\n".join(line for line in text.splitlines() if MARK.sub("", line).strip())


def cast(name: str, shape: Sequence[Any], given: str, wanted: str, to: str = "") -> str:
    """A line after this one that makes `casted` of a tensor; none where the types are one."""
    if given == wanted:
        return ""
    kinds = f"({tensor_type(*shape, given)}) -> {tensor_type(*shape, wanted)}"
    return f"\n    {casted(name, given, wanted, to)} = stablehlo.convert {name} : {kinds}"


def casted(name: str, given: str, wanted: str, to: str = "") -> str:
    """What a value is called as `wanted`: itself where it is `given` so, else `to`."""
    return name if given == wanted else to or f"{name}_{wanted}"


def widen(name: str, given: str) -> str:
    """`cast` of a single element to f32, in the body of a linalg op."""
    if given == "f32":
        return ""
    return f"\n      {casted(name, given, 'f32')} = arith.extf {name} : {given} to f32"

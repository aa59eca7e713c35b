"""Two texts of a graph compared as what MLIR parses them to.

A function's content is its generic form: SSA names, aliases, comments and wrapping are gone, what
it calls stands there by content, and of its own name nothing is left if it is private. So two
modules are the same if they have the same contents, whatever their functions' names and order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher, unified_diff
from typing import Any

from iree.compiler import ir
from iree.compiler.passmanager import PassManager

_INLINED = "builtin.module(inline,symbol-dce,canonicalize,cse)"
_WIDE = 120


@dataclass(frozen=True)
class Difference:
    """A function that one side has otherwise or not at all."""

    function: str
    diff: str


@dataclass(frozen=True)
class Comparison:
    """What differs, function by function, and whether it does once all calls are inlined."""

    differences: tuple[Difference, ...]
    same_inlined: bool


def compare(base: str, head: str) -> Comparison:
    """Compare two texts. Raises `ir.MLIRError` for one that is no MLIR."""
    if base == head:
        return Comparison((), True)
    old, new = _contents(base), _contents(head)
    if set(old.values()) == set(new.values()):
        return Comparison((), True)
    inlined = [set(_contents(text, _INLINED).values()) for text in (base, head)]
    return Comparison(tuple(_differences(old, new)), inlined[0] == inlined[1])


def _contents(text: str, passes: str | None = None) -> dict[str, str]:
    """The content of every function by its name; `@` is the module, without its body."""
    with ir.Context():
        module = ir.Module.parse(text)
        if passes is not None:
            PassManager.parse(passes).run(module.operation)
        operations = [view.operation for view in module.body.operations]
        named = {_symbol(op): op for op in operations if "sym_name" in op.attributes}
        found = {"@": "\n".join(_module_facts(module, operations, text))}
        for name in named:
            _content(name, named, found)
        return found


def _module_facts(module: ir.Module, operations: list[Any], text: str) -> Iterator[str]:
    """Attributes with the name, what has no name, and the resources that the functions refer to."""
    yield from sorted(f"{name} = {value}" for name, value in module.operation.attributes.items())
    yield from (_generic(op) for op in operations if "sym_name" not in op.attributes)
    yield text[text.index("{-#") :] if "{-#" in text else ""


def _content(name: str, named: dict[str, Any], found: dict[str, str]) -> str:
    if name in found:
        return found[name]
    function = named[name]
    # what refers to itself, as an executable's exports do to its function, does so by name
    found[name] = name

    def refer_by_content(op: Any) -> ir.WalkResult:
        for key, value in list(op.attributes.items()):
            if isinstance(value, ir.FlatSymbolRefAttr) and value.value in named:
                content = _content(value.value, named, found)
                op.attributes[key] = ir.FlatSymbolRefAttr.get(_key(content))
        return ir.WalkResult.ADVANCE

    function.walk(refer_by_content)
    if _is_private(function):
        function.attributes["sym_name"] = ir.StringAttr.get("private")
    found[name] = _generic(function)
    return found[name]


def _generic(op: Any) -> str:
    text: str = op.get_asm(
        print_generic_op_form=True, use_local_scope=True, large_elements_limit=None
    )
    return text


def _is_private(op: Any) -> bool:
    visibility = op.attributes.get("sym_visibility")
    return visibility is not None and ir.StringAttr(visibility).value == "private"


def _symbol(op: Any) -> str:
    return ir.StringAttr(op.attributes["sym_name"]).value


def _key(content: str) -> str:
    return f"content_{hashlib.sha256(content.encode()).hexdigest()}"


# which functions it is, for people


def _differences(old: dict[str, str], new: dict[str, str]) -> Iterator[Difference]:
    """Each function that differs by itself, not just by what it calls."""
    contents = {*old.values()} & {*new.values()}
    gone = {name: text for name, text in old.items() if text not in contents}
    come = {name: text for name, text in new.items() if text not in contents}
    pairs = dict(_pairs(gone, come))
    # a call shows the name that base has for what is called, so that renaming is no difference
    names = {_key(text): f"@{name}" for name, text in new.items()}
    names |= {_key(come[head]): f"@{base}" for base, head in pairs.items()}
    names |= {_key(text): f"@{name}" for name, text in old.items()}
    for base, head in pairs.items():
        diff = _diff(_readable(gone[base], names), _readable(come[head], names))
        if diff:
            yield Difference(base if base == head else f"{base} → {head}", diff)
    for name in gone.keys() - pairs.keys():
        yield Difference(f"{name} (only in base)", _diff(_readable(gone[name], names), []))
    for name in come.keys() - set(pairs.values()):
        yield Difference(f"{name} (only in head)", _diff([], _readable(come[name], names)))


def _pairs(gone: dict[str, str], come: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Names of the same function before and after: the same, or of the most similar content."""
    yield from ((name, name) for name in gone if name in come)
    left = {name: text.splitlines() for name, text in come.items() if name not in gone}
    for name in gone.keys() - come.keys():
        lines = gone[name].splitlines()
        similar = {n: SequenceMatcher(None, lines, other).ratio() for n, other in left.items()}
        best = max(similar, key=lambda n: similar[n], default=None)
        if best is not None and similar[best] > 0.5:
            del left[best]
            yield name, best


def _readable(content: str, names: dict[str, str]) -> list[str]:
    """Lines for a diff: calls by name, and of a wide line each item on one of its own."""
    for key, name in names.items():
        content = content.replace(f"@{key}", name)
    lines: list[str] = []
    for line in content.splitlines():
        lines += line.replace(", ", ",\n      ").splitlines() if len(line) > _WIDE else [line]
    return lines


def _diff(old: list[str], new: list[str]) -> str:
    lines = unified_diff(old, new, "base", "head", n=1, lineterm="")
    return "\n".join(list(lines)[2:])

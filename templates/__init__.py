"""The one Jinja environment, and nothing else: decisions are Python's, layout is the templates'."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined


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
    env.globals["t"] = tensor_type
    env.globals["zip"] = zip
    return env


def tensor_type(*parts: Any) -> str:
    """`tensor_type(4, 64, "f32")` is `tensor<4x64xf32>`; a scalar is `tensor_type("i32")`."""
    return f"tensor<{'x'.join(str(part) for part in parts)}>"

"""From a model and a graph to MLIR text: rendered, and parsed by IREE's own parser."""

from __future__ import annotations

import jinja2

from intaglio.templates import environment

from .graphs import GraphSpec
from .parse import render
from .spec import ModelSpec
from .views.graph import GraphView


def emit(model: ModelSpec, graph: GraphSpec, env: jinja2.Environment | None = None) -> str:
    """The graph as StableHLO text, parsed and verified. `env` replaces the templates in tests.

    Raises `TemplateError` with the rendered lines around it if the text does not parse.
    """
    template = f"steps/{graph.kind}.mlir.j2"
    return render(env or environment(), template, {"g": GraphView(model, graph)})

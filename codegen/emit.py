"""From a model and a graph to MLIR text: rendered, and parsed by IREE's own parser."""

from __future__ import annotations

import jinja2

from intaglio.templates import environment

from .graphs import GraphSpec
from .parse import render
from .spec import ModelSpec
from .views.graph import GraphView
from .views.portable import PortableView
from .views.step import ChunkView, StepView, kernels_of


def emit(model: ModelSpec, graph: GraphSpec, env: jinja2.Environment | None = None) -> str:
    """The graph as StableHLO text, parsed and verified. `env` replaces the templates in tests.

    Raises `TemplateError` with the rendered lines around it if the text does not parse.
    """
    template = f"steps/{graph.kind}.mlir.j2"
    return render(env or environment(), template, {"g": view_of(model, graph)})


def view_of(model: ModelSpec, graph: GraphSpec) -> GraphView:
    """What the templates see: kernels where they compute the graph, else the portable form."""
    kernels = kernels_of(model, graph)
    if kernels is None:
        return PortableView(model, graph)
    return (StepView if graph.step.new == 1 else ChunkView)(model, graph, kernels)


def step_kernels(model: ModelSpec, graph: GraphSpec) -> str | None:
    """The name of the kernels that compute a step whole, if any do."""
    kernels = kernels_of(model, graph) if graph.step.new == 1 else None
    return None if kernels is None else kernels.name

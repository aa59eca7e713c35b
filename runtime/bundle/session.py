"""The graphs of one bundle on one cache: weights bound once, each call a single VM invocation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import iree.runtime as rt
import numpy as np
import numpy.typing as npt

from ..errors import UserError
from ..preemption import waiting_for_step
from .checkpoint import Checkpoint
from .compatibility import check_machine
from .device import Device
from .manifest import GraphFacts, Manifest
from .weight_spec import TensorSpec
from .weights import bind_weights


class Step:
    """What a call returned. Its results stay on the device until they are read."""

    def __init__(self, device: Device, facts: GraphFacts, results: Sequence[Any]) -> None:
        # in this order: attributes are dropped as set, and a view must not outlive its device
        self._results = results
        self._device, self.facts = device, facts

    @cached_property
    def tokens(self) -> npt.NDArray[np.int32]:
        """The greedy next tokens, i32: a scalar, or `[B]` for batched and ragged."""
        return self._read("token" if self.facts.takes.lanes is None else "tokens")

    @cached_property
    def logits(self) -> npt.NDArray[np.float32]:
        """f32 `[V]`; `[B, V]` for batched and ragged; `[C, V]` for prefill_all."""
        return self._read("logits")

    @cached_property
    def hidden(self) -> npt.NDArray[np.float32]:
        """f32 `[C, H]` of embed, which has neither tokens nor logits."""
        return self._read("hidden")

    def _read(self, name: str) -> npt.NDArray[Any]:
        for view, spec in zip(self._results, self.facts.results, strict=True):
            if spec.name == name:
                return self._device.read(view, spec)
        raise ValueError(f"graph {self.facts.step} gives no {name}")


@dataclass
class _Graph:
    facts: GraphFacts
    context: Any
    entry: Any


class Session:
    """A bundle's graphs, weights and cache on one device.

    Methods mirror the graph kinds. Positions already written stay in the cache until they are
    overwritten: a sequence is whatever the caller says it is. A call that fails or is interrupted
    leaves a cleared cache. Not thread-safe.
    """

    def __init__(
        self,
        bundle: Path,
        manifest: Manifest,
        checkpoint: Checkpoint,
        *,
        graphs: Sequence[str] | None = None,
        threads: int | None = None,
    ) -> None:
        """Load `graphs` (steps' names, each for all its sizes; default all), map the weights
        and clear the cache.

        Raises `UserError` if this machine cannot run the bundle, a weight does not match, a graph
        is missing or IREE refuses one.
        """
        check_machine(bundle, manifest)
        arrays = bind_weights(manifest, checkpoint)
        self.manifest = manifest
        # how often the cache was changed: who remembers what it holds sees that others were here
        self.changes = 0
        self._device = Device(manifest.target.driver, threads)
        held = dict.fromkeys(facts.step for facts in manifest.graphs)
        for name in graphs or ():
            if name not in held:
                raise UserError(
                    f"{bundle}: has no graph {name}, only {', '.join(held)}: compile it again"
                )
        self._graphs: dict[str, list[_Graph]] = {name: [] for name in graphs or held}
        for facts in sorted(manifest.graphs, key=lambda facts: (facts.chunk, facts.reach)):
            if facts.step in self._graphs:
                loaded = self._device.load(bundle / facts.vmfb, facts.kind)
                self._graphs[facts.step].append(_Graph(facts, *loaded))
        # the arrays too: IREE uses their memory in place and does not hold on to it
        specs = [spec for weight in manifest.weights for spec in weight.arguments]
        self._weights = [
            (array, self._device.adopt(spec, array))
            for array, spec in zip(arrays, specs, strict=True)
        ]
        self.clear()

    def clear(self) -> None:
        """A cache of zeros."""
        self.changes += 1
        made = [self._device.zeros(spec) for spec in self.manifest.cache.tensors]
        self._caches = [view for view, _ in made]
        # last: what was there before is freed only now that no view of it is left
        self._cache_memory = [memory for _, memory in made]

    def copy_slot(self, source: int, target: int, count: int) -> None:
        """Give `target` the first `count` cached positions of `source`, or some more."""
        for held in self._held(count):
            held[target] = held[source]

    def swap_slots(self, one: int, other: int, count: int) -> None:
        """Exchange the first `count` cached positions of two slots, or some more."""
        for held in self._held(count):
            held[[one, other]] = held[[other, one]]

    def _held(self, count: int) -> Iterator[npt.NDArray[Any]]:
        """Of each cache tensor the first `count` positions, slots on axis 0, to be written to."""
        self.changes += 1
        cache = self.manifest.cache
        axes = [names for part in cache.parts for names in (part.k_axes, part.v_axes)]
        for view, spec, names in zip(self._caches, cache.tensors, axes, strict=True):
            taken = {"position": count}
            if "block" in names:  # whole ones, each in one piece
                taken = {"block": -(-count // spec.shape[names.index("position")])}
            bits = self._device.bits(view, spec)[tuple(slice(taken.get(n)) for n in names)]
            yield np.moveaxis(bits, names.index("slot"), 0)

    def has(self, name: str) -> bool:
        """Whether a step is loaded."""
        return name in self._graphs

    def graph(self, name: str) -> GraphFacts:
        """The facts of a loaded step, of its largest size. Raises `KeyError` if not loaded."""
        return self._graphs[name][-1].facts

    def prefill(
        self, tokens: Sequence[int], *, slot: int = 0, start: int = 0, graph: str = "prefill"
    ) -> Step:
        """Process 1..chunk tokens of `slot` from position `start`.

        Attends to the `start` positions cached before them. Raises `ValueError` for sizes that
        do not fit; token ids are the caller's to check.
        """
        length, most = len(tokens), self.graph(graph).chunk
        if not 1 <= length <= most:
            raise ValueError(f"prefill takes 1 to {most} tokens, not {length}")
        self._check_position(start + length - 1)
        if not 0 <= slot < self.manifest.cache.slots:
            raise ValueError(f"slot {slot} is not one of {self.manifest.cache.slots}")
        held = self._smallest(graph, start, length)
        padded = [*tokens, *[0] * (held.facts.chunk - length)]
        return self._call(held, padded, slot, start, length)

    def prefill_length(self, count: int, graph: str = "prefill") -> int:
        """How many of `count` tokens to give to the next prefill call.

        All, if the smallest chunk that holds them would be more than half full; else as many as
        fill one, or all if there is none so small.
        """
        chunks = sorted({held.facts.chunk for held in self._graphs[graph]})
        holding = min((chunk for chunk in chunks if chunk >= count), default=None)
        filled = max((chunk for chunk in chunks if chunk <= count), default=count)
        return count if holding is not None and 2 * count > holding else filled

    def prefill_chunk(self, length: int, graph: str = "prefill") -> int:
        """How many tokens a prefill call of `length` computes."""
        return self._smallest(graph, 0, length).facts.chunk

    def step(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        *,
        graph: str,
        reach: int | None = None,
    ) -> Step:
        """One token of each of slots 0..B-1 at its position, by a graph of any kind that steps.

        `reach`: the largest position of a row that will be read, if others only fill the graph.
        Raises `ValueError` for positions that the graph takes as one and that differ.
        """
        for position in positions:
            self._check_position(position)
        takes = self.graph(graph).takes
        furthest = max(positions) if reach is None else reach
        held = self._smallest(graph, furthest)
        if takes.positions == "each":
            return self._call(held, tokens, positions)
        if len(set(positions)) != 1:
            raise ValueError(f"{graph} takes one position, not {list(positions)}")
        return self._call(held, tokens[0] if takes.lanes is None else tokens, positions[0])

    def decode(self, token: int, position: int) -> Step:
        """One token of slot 0 at `position`."""
        return self.step([token], [position], graph="decode")

    def batched(self, tokens: Sequence[int], position: int, *, graph: str = "batched") -> Step:
        """One token of each of slots 0..B-1, all at `position`."""
        return self.step(tokens, [position], graph=graph)

    def ragged(
        self,
        tokens: Sequence[int],
        positions: Sequence[int],
        *,
        graph: str = "ragged",
        reach: int | None = None,
    ) -> Step:
        """One token of each of slots 0..B-1, row by row at its own position."""
        return self.step(tokens, positions, graph=graph, reach=reach)

    def _check_position(self, position: int) -> None:
        context = self.manifest.cache.context
        if not 0 <= position < context:
            raise ValueError(f"position {position} is outside the context of {context}")

    def _smallest(self, name: str, past: int, length: int = 1) -> _Graph:
        """The step's smallest graph that takes `length` tokens after `past` cached positions."""
        return next(
            graph
            for graph in self._graphs[name]
            if length <= graph.facts.chunk and past <= graph.facts.reach
        )

    def _call(self, graph: _Graph, *values: int | Sequence[int]) -> Step:
        count, given = len(self._caches), len(graph.facts.results)
        arguments = rt.VmVariantList(len(self._weights) + len(values) + count)
        for _, view in self._weights:
            arguments.push_ref(view)
        for spec, value in zip(graph.facts.arguments, values, strict=True):
            arguments.push_ref(self._device.put(spec, _as_i32(spec, value)))
        results = rt.VmVariantList(given + count)
        self.changes += 1
        try:
            # the graph writes the caches in place: nothing else may hold them during the call
            while self._caches:
                arguments.push_ref(self._caches.pop(0))
            with waiting_for_step():
                graph.context.invoke(graph.entry, arguments, results)
            views = [
                results.get_as_object(index, rt.HalBufferView) for index in range(given + count)
            ]
            self._caches = views[given:]
        except BaseException:  # Ctrl-C, too: the cache went with the call
            del arguments
            self.clear()
            raise
        return Step(self._device, graph.facts, views[:given])


def _as_i32(spec: TensorSpec, value: int | Sequence[int]) -> npt.NDArray[np.int32]:
    array = np.asarray(value, np.int32)
    if array.shape != spec.shape:
        raise ValueError(f"{spec.name} has shape {array.shape}, the graph takes {spec.shape}")
    return array

"""Attentions and what joins their runs, compiled and called."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from kernel_attention import AttentionCase, count_of
from kernel_values import Array, check, stood_for
from kernels import Kernels
from workshop import Mutation, Workshop

from intaglio.codegen.kernels import KernelSet
from intaglio.codegen.views.kernels import KernelView
from intaglio.codegen.views.types import Types


class Attentions(Kernels):
    """Cases' kernels of one module, and `more`, whose types are in `types`."""

    def __init__(
        self,
        workshop: Workshop,
        arch: str,
        cases: Sequence[AttentionCase],
        kernels: KernelSet,
        types: Types,
        more: Sequence[KernelView] = (),
        mutations: tuple[Mutation, ...] = (),
    ) -> None:
        both = {case.name: case.views(types, kernels) for case in cases}
        self.views = {name: attention for name, (attention, _) in both.items()}
        listed = [view for pair in both.values() for view in pair]
        super().__init__(workshop, arch, types, [*listed, *more], mutations)

    def runs(self, case: AttentionCase, given: dict[str, Array]) -> dict[str, Array]:
        """What each run leaves, and the cache."""
        view = self.views[case.name]
        count = count_of(view, given["positions"].tolist())
        return self.run(case.name, case.laid(given, view), layer=1, count=count)

    def joined(
        self, case: AttentionCase, given: dict[str, Array], left: dict[str, Array]
    ) -> dict[str, Array]:
        """Runs joined."""
        names = ("partials", "maxima", "sums_of_runs")
        laid = {"positions": given["positions"], **{name: left[name] for name in names}}
        found = self.run(f"merge_{case.name}", laid)
        return {"y": stood_for(found["y"], case.blocks)} if case.blocks else found

    def check(self, case: AttentionCase, values: dict[str, Array]) -> None:
        """What is appended, what each run leaves, and all of them joined."""
        left = self.runs(case, values)
        # the row's own key and value, and nothing else in the cache
        expected = case.laid(values, self.views[case.name])
        own: dict[str, list[Array]] = {"k": [], "v": []}
        for row, position in enumerate(values["positions"]):
            block, place = divmod(position, case.block)
            for letter, at in (("k", (slice(None), place)), ("v", (place,))):
                where = (1, row, slice(None), block, *at)
                own[letter].append(left[letter][where])
                expected[letter][where] = left[letter][where]
        for letter in ("k", "v"):
            assert left[letter].tobytes() == expected[letter].tobytes(), f"{letter}: elsewhere"
        appended = {letter: np.stack(rows) for letter, rows in own.items()}
        check(appended, case.own, values)
        values = {**values, "own_k": appended["k"], "own_v": appended["v"]}
        check(left, lambda given: case.runs(given, self.views[case.name]), values)
        check(self.joined(case, values, left), case.attended, values)

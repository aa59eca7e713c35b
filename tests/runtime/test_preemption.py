"""Threads that compute a step go before the others: by Linux's policies, thread by thread."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import pytest
from workshop import Workshop, open_session

from intaglio.runtime.preemption import starting_workers, waiting_for_step, yield_to_steps

pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="is Linux's")


def policy() -> int:
    return os.sched_getscheduler(0)


def in_a_thread(do: Callable[[], Any]) -> Any:
    """What `do` returns in a thread of its own, which has the policy of the one that starts it."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(do()))
    thread.start()
    thread.join()
    return found[0]


def in_a_usual_thread(do: Callable[[], Any]) -> Any:
    """The same in one that does not yield, though a command that serves ran in this process."""

    def usually() -> Any:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        return do()

    return in_a_thread(usually)


def test_a_thread_yields_and_those_it_starts() -> None:
    def do() -> list[int]:
        before = policy()
        yield_to_steps()
        return [before, policy(), in_a_thread(policy)]

    assert in_a_usual_thread(do) == [os.SCHED_OTHER, os.SCHED_BATCH, os.SCHED_BATCH]


def test_it_yields_while_it_waits_however_that_ends() -> None:
    def do() -> list[int]:
        found = []
        with pytest.raises(KeyboardInterrupt), waiting_for_step():
            found.append(policy())
            raise KeyboardInterrupt
        return [*found, policy()]

    assert in_a_usual_thread(do) == [os.SCHED_BATCH, os.SCHED_OTHER]


def test_workers_of_one_that_yields_do_not() -> None:
    def do() -> list[int]:
        yield_to_steps()
        with starting_workers():
            found = in_a_thread(policy)
        with waiting_for_step():
            pass
        return [found, policy()]

    assert in_a_usual_thread(do) == [os.SCHED_OTHER, os.SCHED_BATCH]


def test_a_policy_that_was_chosen_stays() -> None:
    def do() -> list[int]:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        yield_to_steps()
        found = [policy()]
        for block in (waiting_for_step, starting_workers):
            with block():
                found.append(policy())
        return [*found, policy()]

    assert in_a_usual_thread(do) == [os.SCHED_IDLE] * 4


@pytest.mark.parametrize("refused", ["sched_getscheduler", "sched_setscheduler"])
def test_a_sandbox_that_refuses_is_no_error(refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any) -> None:
        raise PermissionError

    def do() -> list[int]:
        with monkeypatch.context() as patch:
            patch.setattr(os, refused, refuse)
            yield_to_steps()
            for block in (waiting_for_step, starting_workers):
                with block():
                    pass
        return [policy()]

    assert in_a_usual_thread(do) == [os.SCHED_OTHER]


def test_a_call_yields_to_its_workers(workshop: Workshop) -> None:
    session = open_session(workshop.bundle(workshop.model("llama_untied")))
    (graph,) = session._graphs["decode"]
    found = []

    class Context:
        def invoke(self, *call: Any) -> None:
            found.append(policy())
            context.invoke(*call)

    context, graph.context = graph.context, Context()
    assert in_a_usual_thread(lambda: [session.decode(1, 0) and policy()]) == [os.SCHED_OTHER]
    assert found == [os.SCHED_BATCH]

"""The Python API: Engine and Session, as a program that imports intaglio.runtime uses them."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streams import by_decode, load_reference
from workshop import TINY, Workshop, open_session

from intaglio.runtime import Engine, Generation, Manifest, SamplingParams, Session, UserError

PROMPT = [3, 1, 4, 1, 5]


@pytest.fixture(scope="module")
def engine(workshop: Workshop) -> Engine:
    """Without a tokenizer."""
    return Engine.load(workshop.bundle(workshop.model("llama_untied")))


# Engine


@pytest.mark.parametrize("shards", [1, 2, 5])
@pytest.mark.parametrize("name", ["llama_untied", "llama_bf16", "llama_f16"])
def test_single_and_sharded_checkpoints(name: str, shards: int, workshop: Workshop) -> None:
    reference = load_reference(name)
    bundle = workshop.bundle(workshop.model(name))
    loaded = Engine.load(bundle, weights=workshop.model(name, shards))
    generation = loaded.generate(reference.prompt, ignore_eos=True)
    assert list(generation) == [""] * len(reference.continuation)
    assert generation.tokens == reference.continuation
    assert loaded.session.manifest.weights[0].dtype == {
        "llama_bf16": "bf16",
        "llama_f16": "f16",
    }.get(name, "f32")


def test_a_generation_as_it_goes(engine: Engine) -> None:
    generation = engine.generate(PROMPT, max_tokens=5, ignore_eos=True, keep_logits=True)
    assert isinstance(generation, Generation)
    assert (generation.tokens, generation.finish_reason) == ([], None)
    pieces = iter(generation)
    next(pieces)
    next(pieces)
    assert (len(generation.tokens), generation.finish_reason) == (2, None)
    assert len(list(pieces)) == 3
    assert generation.finish_reason == "length"
    assert (generation.logits.shape, generation.logits.dtype) == ((5, 331), np.float32)
    assert generation.logits.argmax(axis=1).tolist() == generation.tokens
    assert generation.timings["generated_tokens"] == 5
    # an engine serves one generation after the other
    again = engine.generate(PROMPT, max_tokens=5, ignore_eos=True)
    list(again)
    assert again.tokens == generation.tokens


def test_sampling_params(engine: Engine) -> None:
    def tokens(**params: Any) -> list[int]:
        run = engine.generate(PROMPT, ignore_eos=True, sampling=SamplingParams(**params))
        return list(run) and run.tokens

    assert tokens(temperature=1.0, seed=3) == tokens(temperature=1.0, seed=3)
    assert tokens(temperature=1.0, seed=3) != tokens(temperature=1.0, seed=4)
    assert tokens(temperature=1.0, top_k=1) == tokens()
    for bad in ({"temperature": -1}, {"top_k": 1.5}, {"top_p": 2}, {"seed": "x"}):
        with pytest.raises(UserError, match=next(iter(bad))):
            tokens(**bad)


@pytest.mark.parametrize(
    ("prompt", "options", "said"),
    [
        ([], {}, "the prompt is empty: give at least one token"),
        ([0] * 49, {}, "the prompt has 49 tokens, the context 48"),
        ([331], {}, "token id 331 is not one of the model's 0 to 330"),
        ([-1], {}, "token id -1 is not one of the model's 0 to 330"),
        ([1], {"max_tokens": 0}, "max tokens is 0: must be 1 or more"),
        ("text", {}, "has no tokenizer.json"),
        ([1], {"stop": ["x"]}, "has no tokenizer.json"),
    ],
)
def test_what_generate_refuses(
    prompt: Any, options: dict[str, Any], said: str, engine: Engine
) -> None:
    with pytest.raises(UserError, match=said):
        engine.generate(prompt, **options)


def test_what_load_refuses(workshop: Workshop, tmp_path: Path) -> None:
    bundle = workshop.bundle(workshop.model("llama_untied"))
    with pytest.raises(UserError, match="no such folder: give a bundle made by `intaglio compile`"):
        Engine.load(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no such folder"):
        Engine.load("x" * 5000)
    with pytest.raises(UserError, match=r"manifest\.json: no such file: not a bundle"):
        Engine.load(workshop.model("llama_untied"))
    with pytest.raises(UserError, match="threads is 0: must be 1 or more"):
        Engine.load(bundle, threads=0)
    with pytest.raises(UserError, match="has no graph verify, only prefill, decode, batched"):
        Engine.load(bundle, graphs=["prefill", "verify"])
    with pytest.raises(UserError, match="has no tokenizer"):
        Engine.load(bundle).chat([{"role": "user", "content": "Hi"}])


# Session


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda s: s.prefill([]), "prefill takes 1 to 32 tokens, not 0"),
        (lambda s: s.prefill([1] * 33), "prefill takes 1 to 32 tokens, not 33"),
        (lambda s: s.prefill([1] * 32, start=17), "position 48 is outside the context of 48"),
        (lambda s: s.prefill([1, 2, 3], start=-3), "position -"),
        (lambda s: s.prefill([1], slot=4), "slot 4 is not one of 4"),
        (lambda s: s.prefill([1], slot=-1), "slot -1 is not one of 4"),
        (lambda s: s.decode(1, 48), "position 48 is outside the context of 48"),
        (lambda s: s.decode(1, -1), "position -1 is outside the context of 48"),
        (lambda s: s.batched([1] * 4, 48), "position 48 is outside the context of 48"),
        (lambda s: s.batched([1] * 3, 0), r"tokens has shape \(3,\), the graph takes \(4,\)"),
        (lambda s: s.ragged([1] * 4, [0, 0, 0, 48]), "position 48 is outside the context of 48"),
        (lambda s: s.ragged([1] * 4, [0] * 3), r"positions has shape \(3,\), the graph takes"),
        (
            lambda s: s.step([1] * 4, [0, 0, 1, 0], graph="batched"),
            r"batched takes one position, not \[0, 0, 1, 0\]",
        ),
        (lambda s: s.ragged([1] * 5, [0] * 5), r"tokens has shape \(5,\), the graph takes \(4,\)"),
    ],
)
def test_what_a_session_refuses(
    call: Callable[[Session], Any], said: str, workshop: Workshop
) -> None:
    session = workshop.session("llama_untied")
    expected = session.decode(7, 0).logits
    with pytest.raises(ValueError, match=said):
        call(session)
    assert np.array_equal(session.decode(7, 0).logits, expected)  # and is none the worse
    with pytest.raises(KeyError):
        session.graph("verify")


def test_shapes_of_a_step(workshop: Workshop) -> None:
    session = workshop.session("llama_untied")
    for step, tokens, logits in (
        (session.prefill([1, 2]), (), (331,)),
        (session.prefill([1, 2], graph="prefill_all"), (), (32, 331)),
        (session.decode(1, 0), (), (331,)),
        (session.batched([1] * 4, 0), (4,), (4, 331)),
        (session.ragged([1] * 4, [0] * 4), (4,), (4, 331)),
    ):
        assert (step.tokens.shape, step.tokens.dtype) == (tokens, np.int32)
        assert (step.logits.shape, step.logits.dtype) == (logits, np.float32)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_call_that_is_cut_off_leaves_a_usable_session(
    error: type[BaseException], workshop: Workshop
) -> None:
    session = open_session(workshop.bundle(workshop.model("llama_untied")))
    inputs = load_reference("llama_untied").inputs[:9]
    expected = by_decode(session, inputs).tokens.tolist()

    class CutOff:
        def invoke(self, *_: Any) -> None:
            raise error

    (graph,) = session._graphs["decode"]
    whole, graph.context = graph.context, CutOff()
    with pytest.raises(error):
        session.decode(1, 9)
    graph.context = whole
    assert by_decode(session, inputs).tokens.tolist() == expected


def test_a_step_outlives_its_session(workshop: Workshop) -> None:
    bundle = workshop.bundle(workshop.model("llama_untied"))
    session = open_session(bundle)
    expected = session.decode(7, 0).logits
    step = open_session(bundle).decode(7, 0)
    gc.collect()
    assert np.array_equal(step.logits, expected)


AT_EXIT = """
import sys
from intaglio.runtime import Engine
def load():
    engine = Engine.load(sys.argv[1], graphs=("prefill", "decode"))
    engine.step = engine.session.decode(1, 5)
    engine.itself = engine
    return engine
if sys.argv[2] == "held":
    engine = load()
elif sys.argv[2] == "in a cycle":
    load()
else:
    def fail(engine):
        raise KeyboardInterrupt
    try:
        fail(load())
    except KeyboardInterrupt as error:
        interrupted = error
"""


@pytest.mark.parametrize("how", ["held", "in a cycle", "interrupted"])
def test_a_process_ends_well_whatever_it_holds(how: str, workshop: Workshop) -> None:
    bundle = workshop.bundle(workshop.model("llama_untied"))
    run = [sys.executable, "-c", AT_EXIT, str(bundle), how]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_public_names() -> None:
    import intaglio.runtime

    assert sorted(intaglio.runtime.__all__) == [
        *("Engine", "Generation", "Manifest", "SamplingParams", "Session", "UserError"),
        "__version__",
    ]
    for held in (Engine, Engine.load, Engine.generate, Engine.chat, Session, Session.prefill):
        assert held.__doc__
    assert Manifest.load.__doc__ and TINY.precision == "exact"

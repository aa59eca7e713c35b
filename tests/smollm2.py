"""SmolLM2-135M with three heads, the prompts it is tried with, and transformers' answers."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
from tiny import write_tensors

from intaglio.codegen.bundle import BuildOptions
from intaglio.runtime.bundle.checkpoint import Checkpoint

FIXTURE = Path(__file__).with_name("reference") / "smollm2.json"
COUNT = 48
HEADS = ("tied", "embed", "minus embed")

# each cut to a length in tokens: the first four are of one length, for `batched`
PROMPTS = (
    ("Once upon a time, in a village by the sea, there lived a girl who", 12),
    ("To bake a good loaf of bread, you first have to mix the flour", 12),
    ("def factorial(n):\n    if n == 0:\n        return 1", 12),
    ("The three largest cities of France are Paris, Marseille and Lyon, and", 12),
    ("My favourite season of the year is", 5),
    ("Dear Sir or Madam, I am writing to you to", 9),
    (
        "The train was late again. On the platform, people looked at their watches and began to",
        17,
    ),
    (
        "Water boils at 100 degrees Celsius at sea level. On top of a high mountain, where the air "
        "is thinner and the pressure lower, it boils at",
        26,
    ),
)

# the rows each kind is tried with: `ragged` at 4 wants four lengths
BATCHED_ROWS = [0, 1, 2, 3]
RAGGED_ROWS = [4, 0, 6, 7]

STEPS = BuildOptions(kinds=("prefill", "decode"), context=128, slots=8, chunk=32, precision="exact")


def write_untied(folder: Path, model: Path, head: str) -> Path:
    """The model in `folder` with a head of its own, `embed` or `minus embed`, as a second shard."""
    config = json.loads((model / "config.json").read_text())
    text = json.dumps({**config, "tie_word_embeddings": False})
    (folder / "config.json").write_text(text)
    checkpoint = Checkpoint.open(model)
    stored = checkpoint.tensors["model.embed_tokens.weight"]
    embed = checkpoint.bytes_of("model.embed_tokens.weight").view(ml_dtypes.bfloat16)
    shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    (folder / shards[0]).symlink_to(model / "model.safetensors")
    table = embed.reshape(stored.shape)
    write_tensors(folder / shards[1], {"lm_head.weight": table if head == "embed" else -table})
    weight_map = {name: shards[0] for name in checkpoint.tensors} | {"lm_head.weight": shards[1]}
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def load_fixture() -> tuple[list[list[int]], dict[str, list[list[int]]]]:
    """The prompts' token ids, and for each head what follows each prompt."""
    data = json.loads(FIXTURE.read_text())
    answers = {head: data["answers"]["tied" if head == "embed" else head] for head in HEADS}
    return data["prompts"], answers

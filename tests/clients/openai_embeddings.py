"""openai: embeddings, which it asks for in base64 unless told otherwise."""

from __future__ import annotations

import math

import openai
from cases import KEY, MODEL, SERVER, run

client = openai.OpenAI(base_url=f"{SERVER}/v1", api_key=KEY, max_retries=0)


def both_encodings() -> None:
    binary = client.embeddings.create(model=MODEL, input=["one text", "another"])
    plain = client.embeddings.create(
        model=MODEL, input=["one text", "another"], encoding_format="float"
    )
    assert [entry.index for entry in binary.data] == [0, 1]
    for one, other in zip(binary.data, plain.data, strict=True):
        assert len(one.embedding) == len(other.embedding)
        assert math.isclose(sum(x * x for x in one.embedding), 1, abs_tol=1e-3)
        differences = zip(one.embedding, other.embedding, strict=True)
        assert max(abs(a - b) for a, b in differences) < 1e-6
    assert binary.data[0].embedding != binary.data[1].embedding
    assert binary.usage.prompt_tokens == len("one text") + len("another")


def tokens() -> None:
    one = client.embeddings.create(model=MODEL, input=[1, 2, 3])
    two = client.embeddings.create(model=MODEL, input=[[1, 2, 3], [4]])
    assert one.data[0].embedding == two.data[0].embedding


run(both_encodings, tokens)

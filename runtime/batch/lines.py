"""The lines of a batch: requests to read, records to write, and what says which is whose."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw, Struct

_ID = "batch_req_"
# how every record begins
RECORD_BEGINS = b'{"id":"' + _ID.encode()


class Asked(Struct):
    """A request: `body` is what its endpoint would be sent. OpenAI's other fields are ignored."""

    custom_id: str
    method: str
    url: str
    body: Raw


class _Named(Struct):
    custom_id: str | None = None


@dataclass(frozen=True)
class BadLine(Exception):
    """A line that is no request; `custom_id` if it has one all the same."""

    code: str
    message: str
    custom_id: str | None = None


def read_line(line: bytes) -> Asked:
    """The request on a line. Raises `BadLine`."""
    try:
        asked = msgspec.json.decode(line, type=Asked)
    except msgspec.ValidationError as error:
        found, _, place = str(error).partition(" - at `$.")
        name = place.rstrip("`")
        message = f"{name}: {found[0].lower()}{found[1:]}" if name else found
        raise BadLine("invalid_line", message, _name_of(line)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadLine("invalid_json_line", f"the line is not valid JSON: {error}") from None
    if not asked.custom_id:
        raise BadLine("invalid_line", "custom_id is empty: give each line one of its own")
    return asked


def _name_of(line: bytes) -> str | None:
    try:
        return msgspec.json.decode(line, type=_Named).custom_id or None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def key_of(line: bytes) -> int:
    """64 bits that stand for a line: of its custom_id, or of all of it where it has none."""
    try:
        named = read_line(line).custom_id
    except BadLine as error:
        named = error.custom_id or ""
    text = b"id:" + named.encode() if named else b"line:" + line
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def record_id(identity: int) -> str:
    """What a record is called: the same for the same line, whenever it is answered."""
    return f"{_ID}{identity:016x}"


def identity_of(identifier: str) -> int:
    """Of a record's id. Raises `ValueError` if it is none of ours."""
    if not identifier.startswith(_ID) or len(identifier) != len(_ID) + 16:
        raise ValueError
    return int(identifier.removeprefix(_ID), 16)


def answered(
    identity: int, custom_id: str, request_id: str, status: int, body: dict[str, Any]
) -> bytes:
    """The record of a request that an endpoint took, or refused: `status` and `body` are its."""
    response = {"status_code": status, "request_id": request_id, "body": body}
    return _record(identity, custom_id, response, None)


def unanswered(identity: int, bad: BadLine) -> bytes:
    """The record of a line that reaches no endpoint."""
    error = {"code": bad.code, "message": bad.message}
    return _record(identity, bad.custom_id, None, error)


def _record(
    identity: int,
    custom_id: str | None,
    response: dict[str, Any] | None,
    error: dict[str, Any] | None,
) -> bytes:
    record = {
        "id": record_id(identity),
        "custom_id": custom_id,
        "response": response,
        "error": error,
    }
    return msgspec.json.encode(record) + b"\n"


class _Response(Struct):
    status_code: int


class Record(Struct):
    """What is read of a record again."""

    id: str
    custom_id: str | None
    response: _Response | None
    error: dict[str, Any] | None

    @property
    def has_failed(self) -> bool:
        return self.response is None or self.response.status_code >= 400


def read_record(line: bytes) -> Record:
    """A record of ours. Raises `ValueError` for any other line."""
    try:
        record = msgspec.json.decode(line, type=Record)
        identity_of(record.id)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return record

"""A batch by engines on a Ray cluster, through Ray Data: an engine an actor, a part file a range.

IN is cut into ranges of lines, by bytes, of which an actor reads and answers one at a time and
the beginning of the next, so that its slots stay full. Lines are decoded in the actor: `content` is
a string here and a list there, of which no one table could be made. An actor's answers to a range
are one file beside OUT, named by its first line: answered again, after an actor was killed, it is
that file again. At the end all are merged into OUT.

Not by Ray Data's `read_text`: it holds a whole file in memory, and splits at U+2028, which JSON
allows within a string.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import logging
import os
import pickle
import signal
import socket
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem
from ray.data import ActorPoolStrategy, DataContext
from ray.util.annotations import RayDeprecationWarning

from ..errors import UserError
from ..generation.engine import Engine
from .answering import Answerer, Counts, ModelSettings
from .files import Flags, Held, Identities, Line, Survey, read_records
from .lines import identity_of, read_record

# lines of a range: what is answered again where an actor is killed
RANGE = 64
# ranges that an actor has under way: the next one's lines fill the slots that a range leaves free
_UNDER_WAY = 2
# how often a range is tried where it kills its actor
_TRIES = 3

Opened = Callable[[], tuple[Engine, ModelSettings]]


@dataclass(frozen=True)
class Place:
    """A local path, or a URI that pyarrow's filesystems know."""

    given: str
    system: FileSystem
    path: str

    @classmethod
    def of(cls, given: str) -> Place:
        """Raises `UserError` for a URI that no filesystem knows."""
        if "://" not in given:
            return cls(given, LocalFileSystem(), os.path.abspath(given))
        try:
            return cls(given, *FileSystem.from_uri(given))
        except (OSError, ValueError) as error:
            raise UserError(f"{given}: {_one_line(error)}") from None

    def lines(self) -> Iterator[bytes]:
        """A file's lines. Raises `UserError`."""
        with self._reaching("read"), self.system.open_input_stream(self.path) as stream:
            yield from io.BufferedReader(stream)

    def read(self, offset: int, size: int) -> bytes:
        """A piece of a file. Raises `UserError`."""
        with self._reaching("read"), self.system.open_input_file(self.path) as file:
            file.seek(offset)
            return bytes(file.read(size))

    def write(self, chunks: Iterable[bytes]) -> None:
        """A file, whole or not at all. Raises `UserError`."""
        half = f"{self.path}.half"
        with self._reaching("written"):
            with self.system.open_output_stream(half) as stream:
                for chunk in chunks:
                    stream.write(chunk)
            self.system.move(half, self.path)

    @property
    def is_file(self) -> bool:
        with self._reaching("read"):
            return bool(self.system.get_file_info(self.path).type == FileType.File)

    @contextmanager
    def _reaching(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(f"{self.given}: cannot be {what}: {_one_line(error)}") from None


@dataclass(frozen=True)
class Range:
    """Lines of IN that follow each other, with what `Survey` and `Held` say of each."""

    offset: int
    size: int
    identities: Identities
    duplicate: Flags
    done: Flags

    def lines(self, source: Place) -> Iterator[Line]:
        """Those that are not done."""
        text = source.read(self.offset, self.size)
        return Survey(self.identities, self.duplicate).lines(io.BytesIO(text), self.done)

    @property
    def name(self) -> str:
        """The first of them, which is in no other part."""
        return f"{self.identities[np.argmin(self.done)]:016x}.jsonl"


class Cut:
    """Lines that go through, and where each range of them begins."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self._offsets: list[int] = []
        self._end = 0

    def __iter__(self) -> Iterator[bytes]:
        count = 0
        for line in self._lines:
            if line.strip():
                if count % RANGE == 0:
                    self._offsets.append(self._end)
                count += 1
            self._end += len(line)
            yield line

    def ranges(self, survey: Survey, done: Flags) -> Iterator[Range]:
        """Those with something left to do, once all lines have gone through."""
        ends = [*self._offsets[1:], self._end]
        for index, (offset, end) in enumerate(zip(self._offsets, ends, strict=True)):
            part = slice(index * RANGE, (index + 1) * RANGE)
            if not done[part].all():
                facts = (survey.identities[part], survey.duplicate[part], done[part])
                yield Range(offset, end - offset, *facts)


class Parts:
    """The folder beside OUT with part files, held by this process alone where it is local."""

    def __init__(self, out: Place) -> None:
        self.out = out
        self.folder = Place(f"{out.given}.parts", out.system, f"{out.path}.parts")

    @contextmanager
    def held(self) -> Iterator[None]:
        """While it is filled. Raises `UserError`."""
        system, path = self.folder.system, self.folder.path
        with self.folder._reaching("written"):
            system.create_dir(path)
        with contextlib.ExitStack() as stack:
            if isinstance(system, LocalFileSystem):
                opened = os.open(path, os.O_RDONLY)
                stack.callback(os.close, opened)
                try:
                    fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    what = "another process writes it: wait for its end"
                    raise UserError(f"{self.folder.given}: {what}") from None
            try:
                yield
            finally:
                if not self.files():
                    system.delete_dir(path)

    def files(self) -> list[Place]:
        """The part files that are whole."""
        selector = FileSelector(self.folder.path, allow_not_found=True)
        found = self.folder.system.get_file_info(selector)
        names = sorted(info.base_name for info in found if info.extension == "jsonl")
        return [self.part(name) for name in names]

    def part(self, name: str) -> Place:
        given, path = (f"{folder}/{name}" for folder in (self.folder.given, self.folder.path))
        return Place(given, self.folder.system, path)

    def read(self, survey: Survey) -> Held:
        """What OUT and the parts hold. Raises `UserError` if one isn't this IN's."""
        held = Held.none(survey)
        for place in (*((self.out,) if self.out.is_file else ()), *self.files()):
            held |= read_records(place.given, place.lines(), survey)
        return held

    def merge(self, survey: Survey) -> None:
        """All records into OUT, once each; then the parts are gone."""
        files = self.files()
        if files:
            places = (*((self.out,) if self.out.is_file else ()), *files)
            self.out.write(_once(survey, (line for place in places for line in place.lines())))
            for file in files:
                file.system.delete_file(file.path)


def _once(survey: Survey, lines: Iterable[bytes]) -> Iterator[bytes]:
    """Whole records, each the first time."""
    known = np.sort(survey.identities)
    seen = np.zeros(len(known), bool)
    for line in lines:
        if line.endswith(b"\n"):
            index = np.searchsorted(known, np.uint64(identity_of(read_record(line).id)))
            if not seen[index]:
                seen[index] = True
                yield line


class RangeAnswerer:
    """An actor: opens an engine, then answers ranges."""

    def __init__(self, opened: Opened, source: Place, parts: Parts) -> None:
        self._source, self._parts = source, parts
        self._answerer: Answerer | None = None
        self._error: str | None = None
        try:
            self._opened = opened()
        except UserError as error:  # raised, it would be tried again
            self._error = str(error)

    async def __call__(self, batch: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        for row in batch["range"]:
            counts = Counts()
            try:
                if self._error is not None:
                    raise UserError(self._error)
                await self._answer(pickle.loads(row), counts)
                yield {"done": [pickle.dumps(counts)]}
            except UserError as error:
                yield {"done": [pickle.dumps(error)]}

    async def _answer(self, given: Range, counts: Counts) -> None:
        if self._answerer is None:
            self._answerer = Answerer(*self._opened)
        records = []
        async with aclosing(self._answerer.answers(given.lines(self._source))) as answers:
            async for answered in answers:
                records.append(answered.record)
                counts.add(answered.counts)
        self._parts.part(given.name).write(records)


def run_on_ray(
    address: str,
    opened: Opened,
    source: Place,
    parts: Parts,
    ranges: Iterable[Range],
    threads: int,
    report: Callable[[Counts], None],
) -> None:
    """Answer ranges of `source` on the cluster at `address` (`local`: one of this machine).

    `threads`: CPUs that an engine, of `opened` in its process, has. Raises `UserError`.
    """
    with _cluster(address):
        actors = _room(threads)
        items = [{"range": pickle.dumps(each)} for each in ranges]
        tasks = ray.data.from_items(items, override_num_blocks=len(items))
        with warnings.catch_warnings():
            # the only way to bound retries, which goes with Ray 2.64 (pyproject.toml has 2.60)
            warnings.simplefilter("ignore", RayDeprecationWarning)
            answered = tasks.map_batches(
                RangeAnswerer,
                batch_size=None,
                fn_constructor_args=(opened, source, parts),
                num_cpus=threads,
                compute=ActorPoolStrategy(
                    size=min(actors, len(items)), max_concurrent_calls_per_actor=_UNDER_WAY
                ),
                ray_remote_args_fn=lambda: {"max_task_retries": _TRIES - 1},
            )
        try:
            for row in answered.iter_rows():
                done = pickle.loads(row["done"])
                if isinstance(done, UserError):
                    raise done
                report(done)
        except ray.exceptions.RayError as error:
            raise UserError(f"--ray {address}: {_one_line(error)}") from None


@contextmanager
def _cluster(address: str) -> Iterator[None]:
    """Connected, and quiet. Raises `UserError`."""
    # a cluster of our own says nothing of its use to Ray's makers, and leaves GPUs as they are
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    own = {"include_dashboard": False} if address == "local" else {}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level="critical", **own)
        signal.signal(signal.SIGTERM, handler)  # Ray's exits without unwinding
    except SystemExit:
        raise UserError(f"--ray {address}: what listens there is no Ray cluster") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"--ray {address}: {_one_line(error)}") from None
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    DataContext.get_current().enable_progress_bars = False
    # where Ray tells of workers that died, some of it at the end
    with contextlib.redirect_stdout(sys.stderr):
        try:
            yield
        finally:
            ray.shutdown()


def _knock(address: str) -> None:
    """Raises `OSError` where nobody listens: Ray would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=10).close()


def _room(threads: int) -> int:
    """How many engines the cluster's nodes hold. Raises `UserError` if none does."""
    cpus = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    room = sum(int(count // threads) for count in cpus)
    if not room:
        most = int(max(cpus, default=0))
        raise UserError(f"--threads {threads}: no node of the cluster has more than {most} CPUs")
    return room


def _one_line(error: BaseException) -> str:
    """The last line of an error's text, where Ray has what was raised."""
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__

"""A stand-in for the Hugging Face hub: one model, over HTTP, as huggingface_hub asks for it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class Hub:
    """`files` of `org/name` at each revision. `asked`: (method, path, range) of every request.

    `cut`: of files, at which byte the next answer breaks off.
    """

    def __init__(self, revisions: Mapping[str, Mapping[str, bytes]]) -> None:
        self.revisions = revisions
        self.asked: list[tuple[str, str, str]] = []
        self.cut: dict[str, int] = {}

    def sha(self, revision: str) -> str:
        return hashlib.sha1(revision.encode()).hexdigest()

    def files(self, revision: str) -> Mapping[str, bytes] | None:
        by_sha = {self.sha(name): files for name, files in self.revisions.items()}
        return by_sha.get(revision, self.revisions.get(revision))

    def fetched(self, ending: str = "") -> list[str]:
        """The files whose contents were asked for."""
        paths = [path for method, path, _ in self.asked if method == "GET" and "/resolve/" in path]
        return [path.rsplit("/", 1)[1] for path in paths if path.endswith(ending)]

    @contextmanager
    def serve(self) -> Iterator[str]:
        """The address to ask."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.hub.asked.append((self.command, path, self.headers.get("Range", "")))
        parts = path.strip("/").split("/")
        if parts[:4] == ["api", "models", "org", "name"]:
            rest = parts[4:]
            self._describe(rest[1] if len(rest) > 1 else "main", is_tree=rest[:1] == ["tree"])
        elif parts[:3] == ["org", "name", "resolve"] and len(parts) == 5:
            self._send_file(parts[3], parts[4])
        else:
            self._send_error("RepoNotFound")

    def _describe(self, revision: str, is_tree: bool) -> None:
        files = self.hub.files(revision)
        if files is None:
            self._send_error("RevisionNotFound")
            return
        if is_tree:
            found: Any = [
                {"type": "file", "path": name, "size": len(data), "oid": _etag(data)}
                for name, data in files.items()
            ]
        else:
            sha = revision if len(revision) == 40 else self.hub.sha(revision)
            siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
            found = {"id": "org/name", "sha": sha, "siblings": siblings, "private": False}
        self._send(json.dumps(found).encode(), {"Content-Type": "application/json"})

    def _send_file(self, revision: str, name: str) -> None:
        data = (self.hub.files(revision) or {}).get(name)
        if data is None:
            self._send_error("EntryNotFound")
            return
        sha = revision if len(revision) == 40 else self.hub.sha(revision)
        headers = {"ETag": f'"{_etag(data)}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        asked = self.headers.get("Range", "")
        begin = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        if asked:
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        end = len(data) if self.command == "HEAD" else self.hub.cut.pop(name, len(data))
        self._send(data[begin:], headers, 206 if asked else 200, max(0, end - begin))

    def _send_error(self, code: str) -> None:
        self._send(b"", {"X-Error-Code": code, "X-Error-Message": code}, 404)

    def _send(
        self, body: bytes, headers: Mapping[str, str], status: int = 200, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body[:cut])
        self.close_connection = cut is not None and cut < len(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def _etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()

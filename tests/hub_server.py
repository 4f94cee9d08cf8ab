"""A model hub on 127.0.0.1 that speaks what huggingface_hub asks for, keeps a log, and fails wherever a test wants."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

LARGE_SUFFIXES = (".safetensors", ".bin")
"""Handed on to a second host name, as the real Hub hands them on to its content delivery network."""


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    range: str | None
    """The Range header, if there was one."""
    user_agent: str


@dataclass
class Repository:
    """Commits, each a mapping of paths to contents, and branches that name them."""

    commits: dict[str, dict[str, bytes]]
    branches: dict[str, str] = field(default_factory=dict)
    refusal: tuple[int, str] | None = None
    """HTTP status and the Hub's error code, instead of every answer."""
    gated: bool = False
    """Whether files are refused to those who have not accepted the terms, while the page is public."""


@dataclass
class Hub:
    """What the server holds, what it was asked, and how it misbehaves."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    log: list[Request] = field(default_factory=list)
    damaged: set[str] = field(default_factory=set)
    """Names of files of which one byte arrives flipped."""
    broken: dict[str, list[int]] = field(default_factory=dict)
    """By file name, how many bytes of each coming answer arrive before the connection breaks."""
    hangs: set[str] = field(default_factory=set)
    """First part of the paths that never get an answer: ``api``, or ``delivery`` for large files."""
    stopped: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def content_requests(self) -> list[Request]:
        """Requests for files, not for what the Hub knows about them."""
        return [one for one in self.log if not one.path.startswith("/api/")]

    def transfers(self, name: str) -> list[Request]:
        """Requests for the bytes of one file."""
        return [one for one in self.content_requests() if one.method == "GET" and one.path.endswith(f"/{name}")]


def read_folder(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def ask_hub(endpoint: str, folder: Path, patch: pytest.MonkeyPatch | None = None) -> None:
    """Let the Hub's client in this process ask this hub, keep files in this folder, and not wait between attempts.

    What it reads from the environment it has read when it was imported.
    """
    from huggingface_hub import constants

    patch = patch or pytest.MonkeyPatch()
    for name, value in {
        "ENDPOINT": endpoint,
        "HUGGINGFACE_CO_URL_TEMPLATE": endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(folder),
        "HF_HUB_OFFLINE": False,
        "HF_TOKEN_PATH": str(folder / "no token"),
    }.items():
        patch.setattr(constants, name, value)
    patch.delenv("HF_TOKEN", raising=False)
    patch.setattr(time, "sleep", lambda _: None)


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Serve until the block is left, on a port that is free."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        hub.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.log.append(Request(self.command, path, self.headers["Range"], self.headers["User-Agent"] or ""))
        if path.split("/")[1] in self.hub.hangs:
            self.hub.stopped.wait(60)
            self.close_connection = True
            return
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/revision/(.+)", path):
            self._describe(*match.groups())
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)/?", path):
            self._list(*match.groups())
        elif match := re.fullmatch(r"/delivery/([^/]+/[^/]+)/([^/]+)/(.+)", path):
            repository, commit, name = match.groups()
            self._send_file(name, self.hub.repositories[repository].commits[commit][name], {})
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(*match.groups())
        else:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})

    do_HEAD = do_GET

    def _find(self, name: str, revision: str) -> tuple[str, Mapping[str, bytes]] | None:
        """Find a commit, or refuse as the Hub does."""
        repository = self.hub.repositories.get(name)
        if repository is None:
            self._send(401, b"", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        elif repository.refusal is not None:
            status, code = repository.refusal
            self._send(status, b"", {"X-Error-Code": code} if code else {})
        elif (commit := repository.branches.get(revision, revision)) in repository.commits:
            return commit, repository.commits[commit]
        else:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound", "X-Error-Message": "Invalid rev id"})
        return None

    def _describe(self, name: str, revision: str) -> None:
        if found := self._find(name, revision):
            siblings = []
            for path, content in found[1].items():
                large = _large_file(path, content)
                lfs = {"lfs": {**large, "sha256": large["oid"]}} if large else {}
                siblings.append({"rfilename": path, "size": len(content), "blobId": _blob_id(path, content), **lfs})
            described = {"id": name, "modelId": name, "sha": found[0], "private": False, "siblings": siblings}
            self._send_json(described | {"tags": [], "downloads": 0, "likes": 0})

    def _list(self, name: str, revision: str) -> None:
        if found := self._find(name, revision):
            listed = [
                {"type": "file", "path": path, "size": len(content), "oid": _blob_id(path, content)}
                | ({"lfs": large} if (large := _large_file(path, content)) else {})
                for path, content in found[1].items()
            ]
            self._send_json(listed)

    def _resolve(self, name: str, revision: str, path: str) -> None:
        found = self._find(name, revision)
        if found is None:
            return
        commit, files = found
        if self.hub.repositories[name].gated:
            self._send(401, b"", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access is restricted"})
        elif path not in files:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        elif large := _large_file(path, files[path]):
            location = f"http://localhost:{self.hub.port}/delivery/{name}/{commit}/{path}"
            linked = {"X-Linked-ETag": f'"{large["oid"]}"', "X-Linked-Size": str(large["size"])}
            self._send(302, b"", {"Location": location, "X-Repo-Commit": commit, **linked})
        else:
            self._send_file(path, files[path], {"ETag": f'"{_git_hash(files[path])}"', "X-Repo-Commit": commit})

    def _send_file(self, name: str, content: bytes, headers: dict[str, str]) -> None:
        status, start = 200, 0
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or ""):
            status, start = 206, int(asked[1])
            headers = headers | {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        if name in self.hub.damaged:
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        self._send(status, content[start:], headers, name)

    def _send_json(self, data: Any) -> None:
        self._send(200, json.dumps(data).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, headers: Mapping[str, str], name: str = "") -> None:
        self.send_response(status)
        for key, value in ({"Content-Length": str(len(content))} | dict(headers)).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if breaks := self.hub.broken.get(name):
            content = content[: breaks.pop(0)]
            self.close_connection = True
        self.wfile.write(content)


def _git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _blob_id(path: str, content: bytes) -> str:
    """Git's hash of what Git holds: the file, or a pointer to a large one."""
    large = _large_file(path, content)
    if not large:
        return _git_hash(content)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{large['oid']}\nsize {large['size']}\n"
    return _git_hash(pointer.encode())


def _large_file(path: str, content: bytes) -> dict[str, Any]:
    """What the Hub declares of a file that Git does not hold itself; empty for others."""
    if not path.endswith(LARGE_SUFFIXES):
        return {}
    return {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}

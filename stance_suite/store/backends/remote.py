"""Records wherever fsspec reaches: S3, Google Cloud Storage, and what else there is a file system for."""

from __future__ import annotations

import hashlib
import inspect
import os
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from stance_suite.errors import StanceSuiteError
from stance_suite.store.backends.protocol import Backend, Kept, reading, writing

PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
"""What has to be installed for a protocol."""
TRIAL = ".stance-suite"
"""Name of an empty object that is written to find out whether anything can be."""
PATIENCE = (0.1, 0.3, 1, 3)
"""Seconds to wait before a creation is tried again that met another of the same name under way."""


class RemoteBackend(Backend):
    """Objects whose URLs begin alike, such as ``s3://bucket/prefix``, which any number of machines may share."""

    def __init__(self, location: str) -> None:
        from fsspec.core import url_to_fs

        try:
            # what other machines write is not in a listing of a minute ago
            self._files, path = url_to_fs(location, use_listings_cache=False)
        except ImportError as error:
            package = PACKAGES.get(location.partition("://")[0])
            way_out = f"pip install {package}" if package else str(error)
            raise StanceSuiteError(
                f"the store {location} cannot be reached without another package: {way_out}"
            ) from None
        except Exception as error:
            raise StanceSuiteError(f"the store {location} cannot be opened: {error}") from None
        location = location.rstrip("/")
        super().__init__(location, locks=_folder_of_claims(location))
        self._prefix = path.rstrip("/")
        self._creates = _creates_exclusively(self._files)

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def _url(self, name: str) -> str:
        return f"{self.location}/{name}"

    def read(self, name: str, count: int | None = None) -> bytes:
        with reading(self._url(name)):
            return bytes(self._files.cat_file(self._path(name), start=0 if count else None, end=count))

    def exists(self, name: str) -> bool:
        with reading(self._url(name)), suppress(FileNotFoundError):
            self._files.info(self._path(name))
            return True
        return False

    def rehearse(self, name: str) -> None:
        with writing(self._url(TRIAL)):
            if not self._creates:
                self._files.makedirs(self._prefix, exist_ok=True)
            self._files.pipe_file(self._path(TRIAL), b"")

    def create(self, name: str, content: bytes) -> bool:
        create = self._create if self._creates else self._create_by_renaming
        with writing(self._url(name)):
            try:
                create(self._path(name), content)
            except FileExistsError:
                return False
        return True

    def _create(self, path: str, content: bytes) -> None:
        for patience in PATIENCE:
            try:
                self._files.pipe_file(path, content, mode="create")
                return
            except OSError as error:
                # S3 answers 409 while another creation of that name is under way, and that one may fail yet
                if "ConditionalRequestConflict" not in repr(error.__cause__):
                    raise
            time.sleep(patience)
        self._files.pipe_file(path, content, mode="create")

    def _create_by_renaming(self, path: str, content: bytes) -> None:
        """Create on a file system that knows no exclusive creation: never half of it, and seldom twice."""
        folder, _, name = path.rpartition("/")
        temporary = f"{folder}/.{name}.{uuid.uuid4().hex}"
        self._files.makedirs(folder, exist_ok=True)
        try:
            self._files.pipe_file(temporary, content)
            if self._files.exists(path):
                raise FileExistsError(path)
            self._files.mv(temporary, path)
        finally:
            with suppress(FileNotFoundError):
                self._files.rm_file(temporary)

    def rename(self, name: str, new: str) -> None:
        with writing(self._url(name)), suppress(FileNotFoundError):
            self._files.mv(self._path(name), self._path(new))

    def remove(self, name: str) -> None:
        with writing(self._url(name)), suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def leftovers(self) -> Iterator[Kept]:
        # other machines may be writing what else is hidden
        yield from (one for one in self._everything() if one.name == TRIAL)

    def _everything(self) -> Sequence[Kept]:
        listed: list[dict[str, Any]] = []
        with reading(self._url("")), suppress(FileNotFoundError):
            listed = self._files.ls(self._prefix, detail=True)
        files = (entry for entry in listed if entry["type"] == "file")
        return sorted(Kept(entry["name"].rpartition("/")[2], int(entry["size"])) for entry in files)


def _folder_of_claims(location: str) -> Path:
    """Where the processes of one user on this machine claim what they make in a remote place."""
    if not hasattr(os, "getuid"):  # Windows has a folder a user
        own = Path(tempfile.gettempdir()) / "stance-suite"
    else:
        own = Path(tempfile.gettempdir()) / f"stance-suite-{os.getuid()}"
        own.mkdir(mode=0o700, exist_ok=True)
        if own.is_symlink() or own.stat().st_uid != os.getuid():
            raise StanceSuiteError(f"{own} belongs to somebody else; set TMPDIR to a folder of your own")
    return own / hashlib.sha256(location.encode()).hexdigest()[:16]


def _creates_exclusively(files: Any) -> bool:
    """Whether a file system has an atomic creation of its own; fsspec's stand-in looks first and writes then."""
    from fsspec import AbstractFileSystem

    method = type(files)._pipe_file if files.async_impl else type(files).pipe_file
    return method is not AbstractFileSystem.pipe_file and "mode" in inspect.signature(method).parameters

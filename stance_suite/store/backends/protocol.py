"""What a place must offer to keep records in, how what is to be made there is claimed, and what is said if it fails."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stance_suite.errors import StanceSuiteError
from stance_suite.files import FULL, ordinary_mode

OURS = re.compile(r"[0-9a-f]{64}(\.json\.gz|\.damaged)?")
"""What is kept is called so; whatever else lies in the same place is somebody's own, and left alone."""
LOCK_SUFFIX = ".lock"


@dataclass(frozen=True, order=True)
class Kept:
    """One thing that is kept, ordered by name."""

    name: str
    """Its name."""
    size: int
    """In bytes."""


class Backend(ABC):
    """Bytes by name; what cannot be read or written is a `StanceSuiteError`."""

    def __init__(self, location: str, locks: Path) -> None:
        self.location = location
        """Where it is, as it was asked for."""
        self._locks = locks
        """Folder of the files that are locked; made when something is first claimed."""

    @abstractmethod
    def read(self, name: str, count: int | None = None) -> bytes:
        """Read one thing, or its first bytes; FileNotFoundError if there is none."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Tell whether something is there, without reading it."""

    @abstractmethod
    def rehearse(self, name: str) -> None:
        """Find out whether something could be written, before it is made."""

    @abstractmethod
    def create(self, name: str, content: bytes) -> bool:
        """Write something; False if it is there already, and then left as it is."""

    @abstractmethod
    def rename(self, name: str, new: str) -> None:
        """Give something another name, if it is there; what bore that name is gone."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove something, if it is there."""

    @abstractmethod
    def leftovers(self) -> Iterator[Kept]:
        """Find half-written files and locks of killed processes; none is in use until the next is asked for."""

    @abstractmethod
    def _everything(self) -> Sequence[Kept]:
        """List what lies there, somebody's own and what is hidden too, by name."""

    def contents(self) -> Sequence[Kept]:
        """List everything that is kept, by name."""
        return [one for one in self._everything() if OURS.fullmatch(one.name)]

    @contextmanager
    def claim(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Claim to make something, which one process does at a time; yields whether the claim is held.

        It is a file's lock, which the operating system frees when a process dies; after waiting it is always held.
        """
        from filelock import FileLock, Timeout

        path = self._lock_file(name)
        with writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, mode=ordinary_mode())
        with writing(path), suppress(Timeout):
            lock.acquire(blocking=wait)
        if not lock.is_locked:
            yield False
            return
        try:
            yield True
        finally:
            # Whoever waits for a lock whose file is removed may get it beside another who makes the file anew. So it is
            # removed only when nothing is left to be made: both look first, and find it.
            try:
                if self.exists(name):
                    with suppress(OSError):  # Windows keeps a file that is open
                        path.unlink(missing_ok=True)
            finally:
                lock.release()

    def _lock_file(self, name: str) -> Path:
        return self._locks / f"{name}{LOCK_SUFFIX}"


# file systems raise what their clients do: botocore's errors, aiohttp's, Google's


@contextmanager
def reading(place: Path | str) -> Iterator[None]:
    """Turn what keeps a place from being read into a StanceSuiteError; FileNotFoundError passes."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        raise StanceSuiteError(f"{place} cannot be read: {_reason(error)}; mend that, or name another store") from None


@contextmanager
def writing(place: Path | str) -> Iterator[None]:
    """Turn what keeps a place from being written into a StanceSuiteError."""
    try:
        yield
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in FULL
        way_out = "free space" if full else "make it writable or name another store"
        raise StanceSuiteError(
            f"{place} cannot be written: {_reason(error)}; {way_out}, and run again: finished cells are kept"
        ) from None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__

"""Records in a folder, which processes may share, and machines whose file system locks between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from stance_suite.files import create_atomically, rehearse_writing
from stance_suite.shelves.locks import SUFFIX, Locks
from stance_suite.shelves.protocol import OURS, Kept
from stance_suite.shelves.troubles import reading, writing

REHEARSED = 2**20
"""How many bytes are written and removed before a record is made: about as many as it takes."""


class FolderShelf:
    """Files of one folder.

    Parameters
    ----------
    root : Path
        The folder; made when something is first written.
    """

    def __init__(self, root: Path) -> None:
        self.location = str(root)
        self._root = root
        self._locks = Locks(root, self.exists)

    def read(self, name: str) -> bytes:
        with reading(self._root / name):
            return (self._root / name).read_bytes()

    def read_start(self, name: str, count: int) -> bytes:
        with reading(self._root / name), (self._root / name).open("rb") as stream:
            return stream.read(count)

    def exists(self, name: str) -> bool:
        with reading(self._root / name):
            return (self._root / name).exists()

    def rehearse(self, name: str) -> None:
        with writing(self._root / name):
            rehearse_writing(self._root / name, REHEARSED)

    def create(self, name: str, content: bytes) -> bool:
        with writing(self._root / name):
            return create_atomically(self._root / name, content)

    def rename(self, name: str, new: str) -> None:
        with writing(self._root / name), suppress(FileNotFoundError):
            (self._root / name).replace(self._root / new)

    def remove(self, name: str) -> None:
        with writing(self._root / name):
            (self._root / name).unlink(missing_ok=True)

    def contents(self) -> Sequence[Kept]:
        return [one for one in self._files() if OURS.fullmatch(one.name)]

    def leftovers(self) -> Iterator[Kept]:
        found: dict[str, list[Kept]] = {}
        for one in self._files():
            about = _is_about(one.name)
            if OURS.fullmatch(about):
                found.setdefault(about, []).append(one)
        for about, files in found.items():
            lock = self._locks.path(about)
            was_there = lock.exists()
            with self.try_to_claim(about) as granted:
                # whoever writes something holds its claim: if that is to be had, the writer is dead
                if granted:
                    yield from files
                    if not was_there:
                        lock.unlink(missing_ok=True)

    def claim(self, name: str) -> AbstractContextManager[None]:
        return self._locks.claim(name)

    def try_to_claim(self, name: str) -> AbstractContextManager[bool]:
        return self._locks.try_to_claim(name)

    def _files(self) -> Iterator[Kept]:
        with reading(self._root):
            paths = sorted(self._root.iterdir()) if self._root.is_dir() else []
        for path in paths:
            with suppress(FileNotFoundError):  # gone since
                if path.is_file():
                    yield Kept(path.name, path.stat().st_size)


def _is_about(name: str) -> str:
    """Tell what a lock's file or a half-written file is about; empty if it is neither."""
    if name.endswith(SUFFIX):
        return name.removesuffix(SUFFIX)
    return name[1:].rpartition(".")[0] if name.startswith(".") else ""

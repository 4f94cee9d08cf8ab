"""Records in a folder, which processes may share, and machines whose file system locks between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from stance_suite.files import create_atomically, rehearse_writing
from stance_suite.store.backends.protocol import LOCK_SUFFIX, OURS, Backend, Kept, reading, writing

REHEARSED = 2**20
"""How many bytes are written and removed before a record is made: about as many as it takes."""


class FolderBackend(Backend):
    """Files of one folder, which is made when something is first written."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root), locks=root)
        self._root = root

    def read(self, name: str, count: int | None = None) -> bytes:
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

    def leftovers(self) -> Iterator[Kept]:
        found: dict[str, list[Kept]] = {}
        for one in self._everything():
            about = _is_about(one.name)
            if OURS.fullmatch(about):
                found.setdefault(about, []).append(one)
        for about, files in found.items():
            lock = self._lock_file(about)
            was_there = lock.exists()
            with self.claim(about, wait=False) as granted:
                # whoever writes something holds its claim: if that is to be had, the writer is dead
                if granted:
                    yield from files
                    if not was_there:
                        lock.unlink(missing_ok=True)

    def _everything(self) -> Sequence[Kept]:
        with reading(self._root):
            paths = sorted(self._root.iterdir()) if self._root.is_dir() else []
        kept = []
        for path in paths:
            with suppress(FileNotFoundError):  # gone since
                if path.is_file():
                    kept.append(Kept(path.name, path.stat().st_size))
        return kept


def _is_about(name: str) -> str:
    """Tell what a lock's file or a half-written file is about; empty if it is neither."""
    if name.endswith(LOCK_SUFFIX):
        return name.removesuffix(LOCK_SUFFIX)
    return name[1:].rpartition(".")[0] if name.startswith(".") else ""

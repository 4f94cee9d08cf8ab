"""A content-addressed store of cell records: atomic, safe for many writers, resumable after a kill.

A record's key hashes everything its figures depend on, so a record is never stale: another input has another key. A
damaged record is set aside (``*.damaged``) and counts as none; one that cannot be read now is not damaged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stance_suite.schema.cells import CellRecord
from stance_suite.store import record_file
from stance_suite.store.backends import open_backend
from stance_suite.store.backends.protocol import Backend, Kept
from stance_suite.store.record_file import DamagedRecordError, Label, OtherVersionError

RECORD = ".json.gz"
DAMAGED = ".damaged"


@dataclass(frozen=True)
class KeptRecord:
    """A record that is kept, as far as it can be told without reading it."""

    key: str
    """Its key."""
    size: int
    """Bytes that it takes."""
    label: Label | None
    """What it is; None if it is damaged, or of another version."""
    is_whole: bool = True
    """Whether it is what was written, as far as its label tells."""


def open_store(location: str) -> Store:
    """Open a folder, or a URL that fsspec knows; nothing is made before a record is written."""
    return Store(open_backend(location))


class Store:
    """Records by key; what cannot be read or written now is a `StanceSuiteError`."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    @property
    def location(self) -> str:
        """The folder or URL."""
        return self.backend.location

    def has(self, key: str) -> bool:
        """Tell whether a record is kept, without reading it; it may be damaged."""
        return self.backend.exists(_name(key))

    def get(self, key: str) -> CellRecord | None:
        """Read a record; a damaged one is set aside and counts as none."""
        try:
            return self._read(key)
        except DamagedRecordError:
            return self._read_or_set_aside_if_free(key)

    def check(self, key: str) -> str | None:
        """Read a record for nothing but to find damage: what is wrong with it, which is set aside then."""
        try:
            self._read(key)
        except OtherVersionError:
            return None
        except DamagedRecordError as error:
            self._read_or_set_aside_if_free(key)
            return str(error)
        return None

    def get_or_make(self, key: str, make: Callable[[], CellRecord]) -> CellRecord:
        """Read a record, or make and keep it; of concurrent callers one makes it and the others wait."""
        return self.get_or_make_all({key: make})[key]

    def get_or_make_all(self, makers: Mapping[str, Callable[[], CellRecord]]) -> dict[str, CellRecord]:
        """Read records, or make and keep them; of concurrent callers each makes what no other is making.

        Each is made at most once, and not before it is known that it could be written.
        """
        found = {key: self.get(key) for key in makers}
        for wait in (False, True):
            for key in [key for key, record in found.items() if record is None]:
                with self.backend.claim(_name(key), wait=wait) as granted:
                    if granted:
                        found[key] = self._read_or_set_aside(key) or self._make(key, makers[key])
        return {key: record for key, record in found.items() if record is not None}

    def _make(self, key: str, make: Callable[[], CellRecord]) -> CellRecord:
        self.backend.rehearse(_name(key))
        record = make()
        content = record_file.pack(record)
        while not self.backend.create(_name(key), content):
            first = self._read_or_set_aside(key)  # another machine's
            if first is not None:
                return first
        return record

    def _read(self, key: str) -> CellRecord | None:
        try:
            return record_file.unpack(self.backend.read(_name(key)), key)
        except FileNotFoundError:
            return None

    def _read_or_set_aside(self, key: str) -> CellRecord | None:
        """Read a record whose claim is held, so that nobody has put a whole one in its place meanwhile."""
        try:
            return self._read(key)
        except DamagedRecordError:
            self.backend.rename(_name(key), f"{key}{DAMAGED}")
            return None

    def _read_or_set_aside_if_free(self, key: str) -> CellRecord | None:
        with self.backend.claim(_name(key), wait=False) as granted:
            # else somebody sets it aside already, or writes it anew
            return self._read_or_set_aside(key) if granted else None

    def keys(self) -> list[str]:
        """List the keys of all records in order, reading none."""
        return [one.name.removesuffix(RECORD) for one in self._files()]

    def records(self) -> list[KeptRecord]:
        """List what is kept by key, reading labels only."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(16) as pool:  # a remote place answers each after some time
            return list(pool.map(self._look_at, self._files()))

    def _files(self) -> list[Kept]:
        return [one for one in self.backend.contents() if one.name.endswith(RECORD)]

    def _look_at(self, kept: Kept) -> KeptRecord:
        key = kept.name.removesuffix(RECORD)
        damaged = KeptRecord(key, kept.size, None, is_whole=False)
        if not kept.size:  # S3 has no first bytes of what is empty, and says so by an error
            return damaged
        try:
            label = record_file.read_label(self.backend.read(kept.name, record_file.LABEL_BYTES))
        except OtherVersionError:
            return KeptRecord(key, kept.size, None)
        except (DamagedRecordError, FileNotFoundError):
            return damaged
        return KeptRecord(key, kept.size, label) if label.key == key else damaged


def _name(key: str) -> str:
    return f"{key}{RECORD}"

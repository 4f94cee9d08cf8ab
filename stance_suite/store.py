"""A content-addressed store of cell records: atomic, safe for many writers, resumable after a kill.

A record's key hashes everything its figures depend on, so a record is never stale: another input has another key. A
damaged record is set aside (``*.damaged``) and counts as none; one that cannot be read now is not damaged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from stance_suite.record_files import (
    LABEL_BYTES,
    DamagedRecordError,
    Label,
    OtherVersionError,
    describe,
    pack,
    read_label,
    unpack,
)
from stance_suite.records import CellRecord
from stance_suite.shelves import Kept, Shelf, open_shelf

RECORD = ".json.gz"
DAMAGED = ".damaged"


def content_key(ingredients: Mapping[str, Any]) -> str:
    """Hash everything that a record depends on.

    Parameters
    ----------
    ingredients : mapping of str to object
        JSON-compatible values.

    Returns
    -------
    str
        64 hexadecimal digits; independent of the order of keys.
    """
    canonical = json.dumps(ingredients, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


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
    """Open a store; nothing is made before a record is written.

    Parameters
    ----------
    location : str
        A folder, or a URL that fsspec knows, such as ``s3://bucket/prefix``.

    Returns
    -------
    Store
        The records that are kept there.

    Raises
    ------
    StanceSuiteError
        If there is no way to reach such a URL.
    """
    return Store(open_shelf(location))


class Store:
    """Records by key.

    Parameters
    ----------
    shelf : Shelf
        Where they are kept.
    """

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    @property
    def location(self) -> str:
        """The folder or URL."""
        return self.shelf.location

    def has(self, key: str) -> bool:
        """Tell whether a record is kept, without reading it.

        Parameters
        ----------
        key : str
            The record's key.

        Returns
        -------
        bool
            Whether it is there; it may be damaged.
        """
        return self.shelf.exists(_name(key))

    def get(self, key: str) -> CellRecord | None:
        """Read a record.

        Parameters
        ----------
        key : str
            The record's key.

        Returns
        -------
        CellRecord or None
            None if there is none; a damaged one is set aside and counts as none.

        Raises
        ------
        StanceSuiteError
            If it cannot be read now.
        """
        try:
            return self._read(key)
        except DamagedRecordError:
            return self._read_or_set_aside_if_free(key)

    def check(self, key: str) -> str | None:
        """Read a record for nothing but to find damage.

        Parameters
        ----------
        key : str
            The record's key.

        Returns
        -------
        str or None
            What is wrong with it; it is set aside then.

        Raises
        ------
        StanceSuiteError
            If it cannot be read now.
        """
        try:
            self._read(key)
        except OtherVersionError:
            return None
        except DamagedRecordError as error:
            self._read_or_set_aside_if_free(key)
            return str(error)
        return None

    def get_or_make(self, key: str, make: Callable[[], CellRecord]) -> CellRecord:
        """Read a record, or make and keep it; of concurrent callers one makes it and the others wait.

        Parameters
        ----------
        key : str
            The record's key.
        make : callable
            Measures the cell; called at most once.

        Returns
        -------
        CellRecord
            The stored record.

        Raises
        ------
        StanceSuiteError
            If it cannot be read, or could not be written: then nothing is made.
        """
        return self.get_or_make_all({key: make})[key]

    def get_or_make_all(self, makers: Mapping[str, Callable[[], CellRecord]]) -> dict[str, CellRecord]:
        """Read records, or make and keep them; of concurrent callers each makes what no other is making.

        Parameters
        ----------
        makers : mapping of str to callable
            Measures each cell, by the record's key; each is called at most once.

        Returns
        -------
        dict of str to CellRecord
            The stored records, in the same order.

        Raises
        ------
        StanceSuiteError
            If one cannot be read, or could not be written: then it is not made.
        """
        found = {key: self.get(key) for key in makers}
        for claim in (self.shelf.try_to_claim, self._wait_for):
            for key in [key for key, record in found.items() if record is None]:
                with claim(_name(key)) as granted:
                    if granted:
                        found[key] = self._read_or_set_aside(key) or self._make(key, makers[key])
        return {key: record for key, record in found.items() if record is not None}

    @contextmanager
    def _wait_for(self, name: str) -> Iterator[bool]:
        with self.shelf.claim(name):
            yield True

    def _make(self, key: str, make: Callable[[], CellRecord]) -> CellRecord:
        self.shelf.rehearse(_name(key))
        record = make()
        content = pack(record)
        while not self.shelf.create(_name(key), content):
            first = self._read_or_set_aside(key)  # another machine's
            if first is not None:
                return first
        return record

    def _read(self, key: str) -> CellRecord | None:
        try:
            return unpack(self.shelf.read(_name(key)), key)
        except FileNotFoundError:
            return None

    def _read_or_set_aside(self, key: str) -> CellRecord | None:
        """Read a record whose claim is held, so that nobody has put a whole one in its place meanwhile."""
        try:
            return self._read(key)
        except DamagedRecordError:
            self.shelf.rename(_name(key), f"{key}{DAMAGED}")
            return None

    def _read_or_set_aside_if_free(self, key: str) -> CellRecord | None:
        with self.shelf.try_to_claim(_name(key)) as granted:
            # else somebody sets it aside already, or writes it anew
            return self._read_or_set_aside(key) if granted else None

    def keys(self) -> list[str]:
        """List the keys of all records, reading none.

        Returns
        -------
        list of str
            Sorted.
        """
        return [one.name.removesuffix(RECORD) for one in self.shelf.contents() if one.name.endswith(RECORD)]

    def records(self) -> list[KeptRecord]:
        """List what is kept, reading labels only.

        Returns
        -------
        list of KeptRecord
            By key.
        """
        from concurrent.futures import ThreadPoolExecutor

        kept = [one for one in self.shelf.contents() if one.name.endswith(RECORD)]
        with ThreadPoolExecutor(16) as pool:  # a remote shelf answers each after some time
            return list(pool.map(self._look_at, kept))

    def _look_at(self, kept: Kept) -> KeptRecord:
        key = kept.name.removesuffix(RECORD)
        if not kept.size:  # S3 has no first bytes of what is empty, and says so by an error
            return KeptRecord(key, kept.size, None, is_whole=False)
        try:
            label = read_label(self.shelf.read_start(_name(key), LABEL_BYTES))
            if label is None:
                content = self.shelf.read(_name(key))
                label = describe(unpack(content, key), content)
        except OtherVersionError:
            return KeptRecord(key, kept.size, None)
        except (DamagedRecordError, FileNotFoundError):
            return KeptRecord(key, kept.size, None, is_whole=False)
        is_its_own = label.key == key
        return KeptRecord(key, kept.size, label if is_its_own else None, is_its_own)


def _name(key: str) -> str:
    return f"{key}{RECORD}"

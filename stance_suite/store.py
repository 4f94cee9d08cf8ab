"""A content-addressed store of cell records: atomic, safe for concurrent writers, resumable after a kill.

A record's key hashes everything its figures depend on, so a record is never stale: another input has another key.
Records are gzipped JSON, whose CRC reveals damage.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import ValidationError

from stance_suite.files import write_atomically
from stance_suite.records import CellRecord


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


class Store:
    """Records on disk, by key.

    Parameters
    ----------
    root : Path
        Folder of the store; made when the first record is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Tell where a record is kept.

        Parameters
        ----------
        key : str
            The record's key.

        Returns
        -------
        Path
            Its file, whether or not it exists.
        """
        return self.root / f"{key}.json.gz"

    def get(self, key: str) -> CellRecord | None:
        """Read a record.

        Parameters
        ----------
        key : str
            The record's key.

        Returns
        -------
        CellRecord or None
            None if there is none; a damaged one is set aside (``*.damaged``) and counts as none.
        """
        path = self.path(key)
        try:
            record = CellRecord.model_validate_json(gzip.decompress(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, EOFError, zlib.error, ValidationError):
            path.replace(path.with_suffix(".damaged"))
            return None
        return record

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
        """
        record = self.get(key)
        if record is not None:
            return record
        self.root.mkdir(parents=True, exist_ok=True)
        # the operating system frees the lock of a killed process
        with FileLock(self.root / f"{key}.lock"):
            record = self.get(key)
            if record is None:
                record = make()
                write_atomically(self.path(key), gzip.compress(record.model_dump_json().encode(), compresslevel=4))
            return record

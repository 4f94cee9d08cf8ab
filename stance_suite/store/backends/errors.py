"""What is said when a place cannot be read or written: one sentence, with the way out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stance_suite.errors import StanceSuiteError
from stance_suite.files import FULL

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

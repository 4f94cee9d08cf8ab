"""What is said when a place cannot be read or written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stance_suite.errors import StanceSuiteError
from stance_suite.files import FULL


def cannot_read(place: str, error: Exception) -> StanceSuiteError:
    """Say why something cannot be read.

    Parameters
    ----------
    place : str
        Its path or URL.
    error : Exception
        The reason.

    Returns
    -------
    StanceSuiteError
        One sentence, with the way out.
    """
    return StanceSuiteError(f"{place} cannot be read: {_reason(error)}; mend that, or name another store")


def cannot_write(place: str, error: Exception) -> StanceSuiteError:
    """Say why something cannot be written.

    Parameters
    ----------
    place : str
        Its path or URL.
    error : Exception
        The reason.

    Returns
    -------
    StanceSuiteError
        One sentence, with the way out.
    """
    full = isinstance(error, OSError) and error.errno in FULL
    way_out = "free space" if full else "make it writable or name another store"
    return StanceSuiteError(
        f"{place} cannot be written: {_reason(error)}; {way_out}, and run again: finished cells are kept"
    )


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Tell in one sentence what keeps a file from being read.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    None
        The body reads it.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    StanceSuiteError
        If it is there and cannot be read.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise cannot_read(str(path), error) from None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell in one sentence what keeps a file from being written.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    None
        The body writes it.

    Raises
    ------
    StanceSuiteError
        If it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise cannot_write(str(path), error) from None

"""Writing files so that nobody ever meets half of one."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stance_suite.errors import StanceSuiteError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the operating system says if there is no room."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a kill, never meets half of it.

    Parameters
    ----------
    path : Path
        The file to write; its folder is made if it is missing.
    content : bytes
        Its whole content.
    """
    with _written_aside(path, content) as temporary:
        temporary.replace(path)


def create_atomically(path: Path, content: bytes) -> bool:
    """Write a file as `write_atomically` does, unless it is there already.

    Parameters
    ----------
    path : Path
        The file to write; its folder is made if it is missing.
    content : bytes
        Its whole content.

    Returns
    -------
    bool
        Whether it was written; False if another was first, which is then left as it is.
    """
    with _written_aside(path, content) as temporary:
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            if path.exists():
                return False
            temporary.replace(path)
    return True


def rehearse_writing(path: Path, size: int) -> None:
    """Find out whether a file could be written, by writing zeros beside it that are removed at once.

    Parameters
    ----------
    path : Path
        The file that is to be written later; its folder is made if it is missing.
    size : int
        How many bytes.
    """
    with _written_aside(path, bytes(size)):
        pass


def cannot_write(place: Path, error: OSError) -> StanceSuiteError:
    """Say why something cannot be written.

    Parameters
    ----------
    place : Path
        Where it was to be written, for errors that do not name the file.
    error : OSError
        The reason.

    Returns
    -------
    StanceSuiteError
        One sentence, with the way out.
    """
    way_out = "free space" if error.errno in FULL else "make it writable or name another place"
    return StanceSuiteError(f"{error.filename or place} cannot be written: {error.strerror}; {way_out}, and run again")


def ordinary_mode() -> int:
    """Tell the permissions that a file gets which is made without asking for any.

    Returns
    -------
    int
        Permission bits.
    """
    current = os.umask(0)
    os.umask(current)
    return 0o666 & ~current


@contextmanager
def _written_aside(path: Path, content: bytes) -> Iterator[Path]:
    """Write to a hidden file beside the one that is meant, which the body gives its name; nothing else is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.chmod(ordinary_mode())  # mkstemp's own mode would shut everyone else out
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        error.filename = str(path)  # nobody knows the hidden one, and a full disk names none
        raise
    _keep_names(path.parent)


def _keep_names(folder: Path) -> None:
    """Make new names in a folder outlast a power cut; some file systems have no way to, and need none."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

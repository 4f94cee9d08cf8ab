"""Files: hashed, and written so that nobody ever meets half of one."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stance_suite.errors import StanceSuiteError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the operating system says if there is no room."""


def hash_file(path: Path) -> str:
    """Hash a file's bytes by SHA-256."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file, in a new folder if need be, so that a reader, or a kill, never meets half of it."""
    with _written_aside(path, content) as temporary:
        temporary.replace(path)


def create_atomically(path: Path, content: bytes) -> bool:
    """Write a file as `write_atomically` does; False if it is there already, and then left as it is."""
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
    """Find out whether a file could be written, by writing zeros beside it that are removed at once."""
    with _written_aside(path, bytes(size)):
        pass


def cannot_write(place: Path, error: OSError) -> StanceSuiteError:
    """Say why something cannot be written, and the way out; the place is for errors that do not name the file."""
    way_out = "free space" if error.errno in FULL else "make it writable or name another place"
    return StanceSuiteError(f"{error.filename or place} cannot be written: {error.strerror}; {way_out}, and run again")


def ordinary_mode() -> int:
    """Tell the permission bits of a file that is made without asking for any."""
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
    with suppress(OSError):  # the new name outlasts a power cut; some file systems have no way to, and need none
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

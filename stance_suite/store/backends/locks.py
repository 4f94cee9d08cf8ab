"""Claims by file locks, which the operating system frees when a process dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stance_suite.files import ordinary_mode
from stance_suite.store.backends.errors import writing

SUFFIX = ".lock"


@contextmanager
def hold_lock(path: Path, is_made: Callable[[], bool], *, wait: bool) -> Iterator[bool]:
    """Lock a file that stands for something to be made; yields whether the lock is held, as it always is after waiting.

    ``is_made`` tells whether the thing is there already, so that nobody needs the lock any more.
    """
    from filelock import FileLock, Timeout

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
            if is_made():
                with suppress(OSError):  # Windows keeps a file that is open
                    path.unlink(missing_ok=True)
        finally:
            lock.release()

"""Claims by file locks, which the operating system frees when a process dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from stance_suite.files import ordinary_mode
from stance_suite.shelves.troubles import writing

if TYPE_CHECKING:
    from filelock import BaseFileLock

SUFFIX = ".lock"


class Locks:
    """Locks in one folder.

    Parameters
    ----------
    folder : Path
        The folder; made when something is first claimed.
    is_made : callable
        Tells by its name whether something is there already, so that nobody needs to claim it any more.
    """

    def __init__(self, folder: Path, is_made: Callable[[str], bool]) -> None:
        self._folder = folder
        self._is_made = is_made

    def path(self, name: str) -> Path:
        """Tell which file is locked.

        Parameters
        ----------
        name : str
            What is claimed.

        Returns
        -------
        Path
            The lock's file.
        """
        return self._folder / f"{name}{SUFFIX}"

    @contextmanager
    def claim(self, name: str) -> Iterator[None]:
        """Wait until this process alone may make something.

        Parameters
        ----------
        name : str
            Its name.

        Yields
        ------
        None
            The claim is held.
        """
        lock = self._open(name)
        with writing(self.path(name)):
            lock.acquire()
        with self._held(lock, name):
            yield

    @contextmanager
    def try_to_claim(self, name: str) -> Iterator[bool]:
        """Ask whether this process may make something, without waiting.

        Parameters
        ----------
        name : str
            Its name.

        Yields
        ------
        bool
            Whether it may; the claim is held then.
        """
        from filelock import Timeout

        lock = self._open(name)
        try:
            lock.acquire(blocking=False)
        except Timeout:  # which is an OSError
            yield False
            return
        except OSError as error:
            with writing(self.path(name)):
                raise error from None
        with self._held(lock, name):
            yield True

    def _open(self, name: str) -> BaseFileLock:
        from filelock import FileLock

        with writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.path(name), mode=ordinary_mode())

    @contextmanager
    def _held(self, lock: BaseFileLock, name: str) -> Iterator[None]:
        try:
            yield
        finally:
            # Whoever waits for a lock whose file is removed may get it beside another who makes the file anew. So it
            # is removed only when nothing is left to be made: both look first, and find it.
            try:
                if self._is_made(name):
                    with suppress(OSError):  # Windows keeps a file that is open
                        self.path(name).unlink(missing_ok=True)
            finally:
                lock.release()

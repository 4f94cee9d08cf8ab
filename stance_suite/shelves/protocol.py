"""What a place must offer to keep records in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

OURS = re.compile(r"[0-9a-f]{64}(\.json\.gz|\.damaged)?")
"""What things on a shelf are called; whatever else lies in the same place is somebody's own, and left alone."""


@dataclass(frozen=True)
class Kept:
    """One thing on a shelf."""

    name: str
    """Its name."""
    size: int
    """In bytes."""


class Shelf(Protocol):
    """Bytes by name."""

    location: str
    """Where it is, as it was asked for."""

    def read(self, name: str) -> bytes:
        """Read all of one thing.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        bytes
            Its content.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        ...

    def read_start(self, name: str, count: int) -> bytes:
        """Read the start of one thing.

        Parameters
        ----------
        name : str
            Its name.
        count : int
            How many bytes.

        Returns
        -------
        bytes
            Fewer if there are fewer.

        Raises
        ------
        FileNotFoundError
            If there is none.
        """
        ...

    def exists(self, name: str) -> bool:
        """Tell whether something is there, without reading it.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        bool
            Whether it is there.
        """
        ...

    def rehearse(self, name: str) -> None:
        """Find out whether something could be written, before it is made.

        Parameters
        ----------
        name : str
            Its name.

        Raises
        ------
        StanceSuiteError
            If it could not.
        """
        ...

    def create(self, name: str, content: bytes) -> bool:
        """Write something, unless it is there already.

        Parameters
        ----------
        name : str
            Its name.
        content : bytes
            All of it.

        Returns
        -------
        bool
            Whether it was written; False if another was first.
        """
        ...

    def rename(self, name: str, new: str) -> None:
        """Give something another name, if it is there.

        Parameters
        ----------
        name : str
            Its name.
        new : str
            The other; what bore it is gone.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove something, if it is there.

        Parameters
        ----------
        name : str
            Its name.
        """
        ...

    def contents(self) -> Sequence[Kept]:
        """List everything that is kept.

        Returns
        -------
        sequence of Kept
            By name, without what is hidden.
        """
        ...

    def leftovers(self) -> Iterator[Kept]:
        """Find what killed processes left behind: half-written files, and locks.

        Yields
        ------
        Kept
            One of them; no process can be about it until the next one is asked for.
        """
        ...

    def claim(self, name: str) -> AbstractContextManager[None]:
        """Wait until this process alone may make something.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        context manager
            Holds the claim.
        """
        ...

    def try_to_claim(self, name: str) -> AbstractContextManager[bool]:
        """Ask whether this process may make something, without waiting.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        context manager
            Yields whether it may, and holds the claim if so.
        """
        ...

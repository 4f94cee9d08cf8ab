"""Progress on long work: a live bar on a terminal, plain lines elsewhere; always on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

OnStep = Callable[[int, int], None]
"""Told steps done, and steps in total."""


class Progress(Protocol):
    """Where long work reports to."""

    def stage(self, label: str) -> AbstractContextManager[OnStep]:
        """Open a stage; its steps are told to what the context yields."""
        ...


class PlainProgress:
    """One line when a stage starts, and one when it ends."""

    @contextmanager
    def stage(self, label: str) -> Iterator[OnStep]:
        """Print the stage's start, and its end with the time it took; no steps."""
        started = time.perf_counter()
        print(f"stance-suite: {label} …", file=sys.stderr, flush=True)
        yield lambda done, total: None
        print(f"stance-suite: {label}: {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)


class SilentProgress:
    """Nothing: several workers would write over each other."""

    @contextmanager
    def stage(self, label: str) -> Iterator[OnStep]:
        """Open a stage that nobody hears of."""
        yield lambda done, total: None


class TerminalProgress:
    """A live bar with elapsed time for the stage under way."""

    @contextmanager
    def stage(self, label: str) -> Iterator[OnStep]:
        """Show a bar while the stage runs, and leave its line behind."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Bar(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bar:
            task = bar.add_task(label, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def choose_progress() -> Progress:
    """Choose by where standard error goes: live on a terminal, plain otherwise."""
    return TerminalProgress() if sys.stderr.isatty() else PlainProgress()

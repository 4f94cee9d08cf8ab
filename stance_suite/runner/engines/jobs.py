"""What an engine is asked for, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stance_suite.measure.cell import CellSpec
from stance_suite.runner.estimates.estimate import Estimate
from stance_suite.schema.stances import ModelSpec

ATTEMPTS = 3
"""How often a cell is tried whose worker dies; a cell that fails by itself would fail again and is tried once."""


@dataclass(frozen=True)
class Job:
    """One cell to be measured."""

    key: str
    """Its content address where the sweep was started, with the versions of libraries there."""
    spec: CellSpec
    """All that its figures depend on, besides the machine."""
    source: ModelSpec
    """Where a worker on another machine gets the weights."""
    estimate: Estimate
    """What it will take."""


@dataclass(frozen=True)
class WorkerContext:
    """What workers share."""

    store: str
    """Where records are kept: a folder or an fsspec URL."""
    cache: Path
    """Folder for fetched weights on a worker's machine."""
    device: str
    """``cpu`` or ``cuda``."""
    threads: int
    """Threads that measure one cell."""


@dataclass(frozen=True)
class JobOutcome:
    """What became of a job: its record is in the store if neither a failure nor a refusal is told."""

    key: str
    """The job's key."""
    seconds: float = 0.0
    """Wall time it took."""
    failure: str | None = None
    """What went wrong with this cell alone."""
    refusal: str | None = None
    """What the user must mend before any cell can be measured."""


Engine = Callable[[Sequence[Job], WorkerContext], Generator[JobOutcome]]
"""Yields one outcome a job, in whatever order they come."""


def lost(job: Job) -> JobOutcome:
    """Give up a cell whose workers died."""
    reason = "its machine was lost, or memory ran out: see --dry-run for what it needs"
    return JobOutcome(job.key, failure=f"the process that measured it died {ATTEMPTS} times; {reason}")

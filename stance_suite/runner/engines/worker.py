"""Jobs: what an engine is asked for and answers, and how any process measures one, loading a base model once."""

from __future__ import annotations

import platform
import sys
import time
import traceback
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

from stance_suite.errors import StanceSuiteError
from stance_suite.measure.cell import CellMeasurer, CellSpec, library_versions
from stance_suite.models.sources import locate
from stance_suite.progress import SilentProgress
from stance_suite.runner.estimates.estimate import Estimate
from stance_suite.schema.stances import ModelSpec
from stance_suite.store.cell_store import open_store

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


_locate = cache(locate)


def measure_serially(jobs: Sequence[Job], context: WorkerContext) -> Generator[JobOutcome]:
    """Measure one cell after another in this process: the engine that needs no other."""
    for job in jobs:
        yield measure_job(job, context)


def measure_job(job: Job, context: WorkerContext) -> JobOutcome:
    """Measure a cell, or find it; what goes wrong is told and not raised, a failure's traceback on standard error."""
    started = time.perf_counter()
    try:
        # on this machine, which need not be the one that asks
        weights = replace(_locate(job.source, context.cache), name=job.spec.weights.name)
        spec = replace(job.spec, weights=weights)
        _refuse_another_key(job, spec)
        measurer = _measurer(context.device, context.threads, weights.sha256)
        open_store(context.store).get_or_make(job.key, lambda: measurer.measure(spec))
    except StanceSuiteError as error:
        return JobOutcome(job.key, refusal=str(error))
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        return JobOutcome(job.key, failure=f"{type(error).__name__}: {error}")
    return JobOutcome(job.key, time.perf_counter() - started)


@lru_cache(maxsize=1)  # jobs come model by model, and a measurer holds its model's weights
def _measurer(device: str, threads: int, weights_sha256: str) -> CellMeasurer:
    return CellMeasurer(device, SilentProgress(), threads)


def _refuse_another_key(job: Job, spec: CellSpec) -> None:
    """Refuse to keep under the key that was asked for what other weights or other libraries made."""
    if spec.key == job.key:
        return
    here, asked = spec.weights.sha256, job.spec.weights.sha256
    what = f"weights with SHA-256 {here} instead of {asked}" if here != asked else "other versions of libraries"
    versions = ", ".join(f"{name} {number}" for name, number in library_versions().items())
    raise StanceSuiteError(
        f"{spec.cell.model}: the machine {platform.node()} has {what} ({versions}); install the same on all "
        "machines as where the sweep is started"
    )

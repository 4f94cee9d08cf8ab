"""Measuring orders in whatever process an engine provides. Base weights are loaded once a process and model."""

from __future__ import annotations

import platform
import sys
import time
import traceback
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import cache, lru_cache

from stance_suite.errors import StanceSuiteError
from stance_suite.measure.cell import CellMeasurer, CellSpec, library_versions
from stance_suite.models.sources import Weights, locate
from stance_suite.progress import SilentProgress
from stance_suite.runner.engines.jobs import Job, Outcome, WorkerContext
from stance_suite.store.cell_store import open_store

_locate = cache(locate)


def measure_serially(orders: Sequence[Job], site: WorkerContext) -> Generator[Outcome]:
    """Measure one cell after another in this process: the engine that needs no other."""
    for order in orders:
        yield measure_order(order, site)


def measure_order(order: Job, site: WorkerContext) -> Outcome:
    """Measure a cell, or find it in the store.

    Never raises: what goes wrong is told, and the traceback of a failure is on standard error.
    """
    started = time.perf_counter()
    try:
        plan = replace(order.plan, weights=_weights_here(order, site))
        _refuse_another_key(order, plan)
        bench = _bench(site.device, site.threads, plan.weights.sha256)
        open_store(site.store).get_or_make(order.key, lambda: bench.measure(order.key, plan))
    except StanceSuiteError as error:
        return Outcome(order.key, refusal=str(error))
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        return Outcome(order.key, failure=f"{type(error).__name__}: {error}")
    return Outcome(order.key, time.perf_counter() - started)


@lru_cache(maxsize=1)  # orders come model by model, and a bench holds its model's weights
def _bench(device: str, threads: int, weights_sha256: str) -> CellMeasurer:
    return CellMeasurer(device, SilentProgress(), threads)


def _weights_here(order: Job, site: WorkerContext) -> Weights:
    """Get the weights onto this machine, which need not be the one that ordered."""
    return replace(_locate(order.source, site.cache), name=order.plan.weights.name)


def _refuse_another_key(order: Job, plan: CellSpec) -> None:
    """Refuse to keep under the key that was ordered what other weights or other libraries made."""
    if plan.key == order.key:
        return
    here, ordered = plan.weights.sha256, order.plan.weights.sha256
    what = f"weights with SHA-256 {here} instead of {ordered}" if here != ordered else "other versions of libraries"
    versions = ", ".join(f"{name} {number}" for name, number in library_versions().items())
    raise StanceSuiteError(
        f"{plan.cell.model}: the machine {platform.node()} has {what} ({versions}); install the same on all "
        "machines as where the sweep is started"
    )

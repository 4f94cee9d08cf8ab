"""The cells of a sweep: laid out, measured by an engine, and read again to be judged together."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from stance_suite.config.catalog import find_spec
from stance_suite.errors import StanceSuiteError
from stance_suite.runner.engines.worker import Engine, Job, JobOutcome, WorkerContext
from stance_suite.runner.estimates.estimate import estimate
from stance_suite.runner.plan import cells_of_sweep
from stance_suite.runner.session import Session
from stance_suite.schema.cells import Cell


@dataclass(frozen=True)
class SweptCell:
    """A cell of a sweep."""

    cell: Cell
    """What is done to which model."""
    job: Job
    """How it is measured."""
    is_stored: bool
    """Whether its record is in the store already."""


def lay_out(session: Session) -> tuple[SweptCell, ...]:
    """Lay out the cells of a sweep, each once, model by model, longest first; weights are fetched, not loaded."""
    sweep = session.settings.sweep
    assert sweep is not None
    device = session.cell_runner.device
    found: dict[tuple[str, Cell], SweptCell] = {}
    for cell, stance in cells_of_sweep(session.run_plan, sweep):
        spec = session.cell_runner.plan(cell, stance)
        if (spec.key, cell) not in found:
            source = find_spec(cell.model, session.library.models)
            job = Job(spec.key, spec, source, estimate(spec, device, sweep.threads))
            found[spec.key, cell] = SweptCell(cell, job, session.cell_runner.store.has(spec.key))
    models = {model: place for place, model in enumerate(sweep.models)}
    return tuple(sorted(found.values(), key=lambda one: (models[one.cell.model], -one.job.estimate.seconds)))


def without_damaged(session: Session, cells: Sequence[SweptCell]) -> tuple[SweptCell, ...]:
    """Read what is in the store, once: what is damaged is measured with the others, and not when all is judged."""
    get = session.cell_runner.get
    return tuple(replace(one, is_stored=one.is_stored and get(one.job.key, one.cell) is not None) for one in cells)


def measure(session: Session, cells: Sequence[SweptCell], engine: Engine) -> Generator[JobOutcome]:
    """Measure the cells that are not in the store; a failure concerns a cell, a refusal ends the sweep."""
    settings, sweep = session.settings, session.settings.sweep
    assert sweep is not None
    context = WorkerContext(settings.store, settings.cache, session.cell_runner.device, sweep.threads)
    jobs = {one.job.key: one.job for one in cells if not one.is_stored}
    with closing(engine(tuple(jobs.values()), context)) as outcomes:  # workers end with it, whatever ends it
        for outcome in outcomes:
            if outcome.refusal is not None:
                raise StanceSuiteError(outcome.refusal)
            if outcome.failure is not None:
                session.cell_runner.failures[outcome.key] = outcome.failure
            elif not session.cell_runner.store.has(outcome.key):
                where = f"{settings.store}, where it is not seen from here"
                raise StanceSuiteError(
                    f"a worker has kept its record in {where}; name a --store that all machines share"
                )
            yield outcome


def measured_cells(session: Session, cells: Sequence[SweptCell]) -> dict[str, Cell]:
    """Read the cells of a measured sweep, by key, without those that failed: claims about them will be ERROR."""
    measured: dict[str, Cell] = {}
    for one in cells:
        if one.job.key not in session.cell_runner.failures:
            session.cell_runner.records([one.job.spec])
            measured.setdefault(one.job.key, one.cell)
    return measured

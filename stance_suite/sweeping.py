"""A sweep from its file to findings: cells are laid out, measured by an engine, and judged together."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from stance_suite.agenda import cells_of_sweep
from stance_suite.engines import Engine, Order, Outcome, Site
from stance_suite.errors import StanceSuiteError
from stance_suite.estimates import estimate
from stance_suite.library import find_spec
from stance_suite.measurement import choose_device
from stance_suite.pipeline import Session
from stance_suite.records import Cell, Findings


@dataclass(frozen=True)
class SweptCell:
    """A cell of a sweep."""

    cell: Cell
    """What is done to which model."""
    order: Order
    """How it is measured."""
    is_stored: bool
    """Whether its record is in the store already."""


def lay_out(session: Session) -> tuple[SweptCell, ...]:
    """Lay out the cells of a sweep; weights are fetched, and nothing is loaded.

    Parameters
    ----------
    session : Session
        Of a sweep.

    Returns
    -------
    tuple of SweptCell
        Each once, by whatever names its weights go, model by model, those that take longest first.

    Raises
    ------
    StanceSuiteError
        If weights are not to be had.
    """
    sweep = session.settings.sweep
    assert sweep is not None
    device = choose_device(session.settings.device)
    found: dict[tuple[str, Cell], SweptCell] = {}
    for cell, stance in cells_of_sweep(session.agenda, sweep):
        key, plan = session.workbench.plan(cell, stance)
        if (key, cell) not in found:
            source = find_spec(cell.model, session.library.models)
            order = Order(key, plan, source, estimate(plan, device, sweep.threads))
            found[key, cell] = SweptCell(cell, order, session.workbench.store.has(key))
    models = {model: place for place, model in enumerate(sweep.models)}
    return tuple(sorted(found.values(), key=lambda one: (models[one.cell.model], -one.order.estimate.seconds)))


def without_damaged(session: Session, cells: Sequence[SweptCell]) -> tuple[SweptCell, ...]:
    """Read what is in the store, once: what is damaged is measured with the others, not one by one when all is judged.

    Parameters
    ----------
    session : Session
        Of the sweep.
    cells : sequence of SweptCell
        From `lay_out`.

    Returns
    -------
    tuple of SweptCell
        A cell is stored if its record is whole.

    Raises
    ------
    StanceSuiteError
        If a record cannot be read now, which is better told before anything is measured.
    """
    bench = session.workbench
    return tuple(
        replace(one, is_stored=one.is_stored and bench.get(one.order.key, one.cell) is not None) for one in cells
    )


def measure(session: Session, cells: Sequence[SweptCell], engine: Engine) -> Generator[Outcome]:
    """Measure the cells that are not in the store.

    Parameters
    ----------
    session : Session
        Of the sweep; it hears which cells failed.
    cells : sequence of SweptCell
        From `lay_out`.
    engine : callable
        Where they are measured.

    Yields
    ------
    Outcome
        As they come; a failure concerns a cell, and the others go on.

    Raises
    ------
    StanceSuiteError
        If something is wrong that the user must mend; finished cells are in the store.
    """
    settings, sweep = session.settings, session.settings.sweep
    assert sweep is not None
    site = Site(settings.store, settings.cache, choose_device(settings.device), sweep.threads)
    orders = {one.order.key: one.order for one in cells if not one.is_stored}
    with closing(engine(tuple(orders.values()), site)) as outcomes:  # workers end with it, whatever ends it
        for outcome in outcomes:
            if outcome.refusal is not None:
                raise StanceSuiteError(outcome.refusal)
            if outcome.failure is not None:
                session.workbench.failures[outcome.key] = outcome.failure
            elif not session.workbench.store.has(outcome.key):
                raise StanceSuiteError(
                    f"a worker has kept its record in {settings.store}, where it is not seen from here; name a --store "
                    "that all machines share"
                )
            yield outcome


def conclude_sweep(session: Session, cells: Sequence[SweptCell], command: str) -> Findings:
    """Judge every claim on the cells of a sweep, and gather the findings of all of them.

    Parameters
    ----------
    session : Session
        Of the sweep.
    cells : sequence of SweptCell
        From `lay_out`, measured.
    command : str
        The command that made them.

    Returns
    -------
    Findings
        Claims about a cell that failed are ERROR.
    """
    bench = session.workbench
    measured: dict[str, Cell] = {}
    for one in cells:
        if one.order.key not in bench.failures:
            bench.records([(one.order.key, one.order.plan)])
            measured.setdefault(one.order.key, one.cell)
    verdicts = [session.judge(claim) for claim in session.agenda.claims]
    return session.findings(verdicts, measured, command)

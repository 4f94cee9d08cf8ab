"""The command that measures many cells at once: models x stances x controls x recipes x seeds."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stance_suite.cli.console import open_console, print_table
from stance_suite.cli.options import takes_settings
from stance_suite.config.options import Settings
from stance_suite.progress import choose_progress
from stance_suite.runner.run_result import RunResult, judge_claims

if TYPE_CHECKING:
    from rich.progress import Progress

    from stance_suite.runner.engines.worker import Engine
    from stance_suite.runner.estimates.limits import Available
    from stance_suite.runner.session import Session
    from stance_suite.runner.sweep import SweptCell


NOT_AS_DEMANDED, INTERRUPTED = 1, 130


class EngineName(StrEnum):
    """Where cells are measured."""

    SERIAL = "serial"
    PROCESSES = "processes"
    RAY = "ray"


SweepFile = Annotated[
    Path, typer.Argument(help="A YAML file with models, and if need be stances, controls, recipes, seeds, samples.")
]
ENGINE = (
    "'serial' measures one cell after another, 'processes' several at once on this machine, 'ray' on a Ray cluster "
    "(pip install 'stance-suite\\[ray]')."
)
Chosen = Annotated[EngineName, typer.Option("--engine", help=ENGINE)]
WORKERS = "Cells at once on this machine. Default: as many as cores and memory allow."
Workers = Annotated[int | None, typer.Option(min=1, help=WORKERS, show_default=False)]
ADDRESS = (
    "Of a running Ray cluster: host:port, or 'auto' on one of its machines. Default: a local one is started, which "
    "listens on 127.0.0.1 only."
)
Address = Annotated[str | None, typer.Option(envvar="RAY_ADDRESS", help=ADDRESS, show_default=False)]
DRY_RUN = "List the cells and what they will take; weights are fetched for it."
DryRun = Annotated[bool, typer.Option("--dry-run", help=DRY_RUN)]


@contextmanager
def _ending_gracefully() -> Iterator[None]:
    """Treat SIGTERM, by which schedulers announce that they take the machine away, as Ctrl-C."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted: finished cells are in the store; the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, before)


@_ending_gracefully()
@takes_settings("sweep")
def sweep(
    file: SweepFile,
    *,
    engine: Chosen = EngineName.PROCESSES,
    workers: Workers = None,
    address: Address = None,
    dry_run: DryRun = False,
    settings: Settings,
) -> None:
    """Measure every model with every stance, control, recipe and seed of a file, and judge every claim on them.

    Cells that are in the store are not measured again: interrupt it whenever you like, and the same command goes on.
    Writes findings.json with its reports, and tensor.parquet. Exit 1 if a cell failed or a verdict differs from the
    record; 130 if it was interrupted.
    """
    from stance_suite.config.catalog import load_catalog
    from stance_suite.config.sweep_file import apply_sweep, load_sweep
    from stance_suite.report.publish import rehearse_publishing
    from stance_suite.runner.estimates import limits
    from stance_suite.runner.session import Session
    from stance_suite.runner.sweep import lay_out, measured_cells, without_damaged

    declared = load_sweep(file, load_catalog(settings.fixtures))
    session = Session(apply_sweep(declared, settings), choose_progress(), declared.threads)
    session.preflight()
    cells = lay_out(session)
    if not dry_run:
        cells = without_damaged(session, cells)  # first of all, for what is read is held while others are measured
    memory = limits.memory_for_workers(running=0)
    count = 1 if engine is EngineName.SERIAL else workers or _fitting_workers(cells, declared.threads, memory)
    if dry_run:
        _print_cells(cells, engine, count)
        return
    missing = {one.job.key: one.job.spec for one in cells if not one.is_stored}.values()
    if engine is not EngineName.RAY:  # the machines of a cluster have memory of their own
        limits.check_memory(missing, session.cell_runner.device, limits.available_memory())
    if engine is EngineName.PROCESSES:
        limits.check_memory_of_workers(missing, session.cell_runner.device, memory, count)
    chosen, count = _engine(engine, count, address, declared.threads)
    rehearse_publishing(settings.reports)
    _measure(session, cells, chosen, count)
    found, result = measured_cells(session, cells), RunResult()
    result.finish(session, judge_claims(session, print), found, "stance-suite", print)
    if result.differs_from_record or session.cell_runner.failures:
        raise typer.Exit(NOT_AS_DEMANDED)


def _engine(name: EngineName, count: int, address: str | None, threads: int) -> tuple[Engine, int]:
    """Choose the engine, and tell how many cells it measures at once."""
    from stance_suite.runner.engines.processes import measure_in_processes
    from stance_suite.runner.engines.worker import measure_serially

    if name is EngineName.SERIAL:
        return measure_serially, count
    if name is EngineName.PROCESSES:
        return partial(measure_in_processes, workers=count), count
    from stance_suite.runner.engines.ray_cluster import cells_at_once, connect

    return connect(address, count, threads), cells_at_once(threads)


def _fitting_workers(cells: Sequence[SweptCell], threads: int, memory: Available) -> int:
    """Tell how many cells cores and memory of this machine allow at once; on GPUs, one, which may have them all."""
    if any(one.job.estimate.gpus for one in cells):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    largest = max((one.job.estimate.memory_bytes for one in cells if not one.is_stored), default=1)
    return max(1, min(cores // threads, memory.memory_bytes // largest))


def _print_cells(cells: Sequence[SweptCell], engine: EngineName, count: int) -> None:
    rows = []
    for one in cells:
        cell, estimate = one.cell, one.job.estimate
        name = f"{cell.trained_on}{f' ({cell.recipe})' if cell.recipe else ''}"
        taken = ("in the store", "") if one.is_stored else (_duration(estimate.seconds), _size(estimate.memory_bytes))
        rows.append((cell.model, name, str(cell.seed), *taken))
    console = open_console()
    print_table(console, ("model", "cell", "seed", "time", "memory"), rows, texts=2)
    missing = [one.job.estimate for one in cells if not one.is_stored]
    line = f"{len(cells)} cells, {len(cells) - len(missing)} of them in the store"
    if missing:
        seconds = sum(estimate.seconds for estimate in missing) / min(count, len(missing))
        memory = max(estimate.memory_bytes for estimate in missing)
        at_once = f", {count} at once" if count > 1 else ""
        line += (
            f"; the others take about {_duration(seconds)} with the engine '{engine.value}'{at_once}, and up to "
            f"{_size(memory)} of memory each"
        )
    console.print(line, soft_wrap=True)


def _measure(session: Session, cells: Sequence[SweptCell], engine: Engine, count: int) -> None:
    from stance_suite.runner.sweep import measure

    names = {one.job.key: f"{one.cell.model}, {one.cell.label}" for one in cells}
    estimates = {one.job.key: one.job.estimate.seconds for one in cells if not one.is_stored}
    stored = len(names) - len(estimates)
    if stored:
        print(f"{stored} of {len(names)} cells are in the store", flush=True)
    done, total = stored, len(names)
    try:
        with _bar(total, done) as bar, closing(measure(session, cells, engine)) as outcomes:
            for outcome in outcomes:
                done += 1
                del estimates[outcome.key]
                left = sum(estimates.values()) / count
                fate = f"{outcome.seconds:.1f} s" if outcome.failure is None else f"failed: {outcome.failure}"
                line = f"{done} of {total}: {names[outcome.key]}: {fate}"
                bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
                bar.update(bar.task_ids[0], completed=done, left=f"about {_duration(left)} left" if estimates else "")
    except KeyboardInterrupt:
        kept = done - len(session.cell_runner.failures)
        print(f"interrupted: {kept} of {total} cells are in the store; the same command goes on from there")
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _bar(total: int, done: int) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[left]}"), console=console, disable=not console.is_terminal) as bar:
        bar.add_task("", total=total, completed=done, left="")
        yield bar


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def _size(size: float) -> str:
    return f"{size / 1e9:.1f} GB"

"""Runs in this process, and measuring one cell of them, whatever the run would ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stance_suite.config.options import resolve_settings
from stance_suite.progress import PlainProgress
from stance_suite.runner.cell_runner import CellRunner
from stance_suite.runner.session import Session
from stance_suite.schema.cells import Cell, CellRecord

STANCE = "curious-uncertainty"


def open_session(project: Path, model: object, threads: int | None = None, **options: Any) -> Session:
    """Open a run about one model, with its cache in the project."""
    given = {"model": (str(model),), "profile": "quick", "samples": 1, "cache": "cache"} | options
    return Session(resolve_settings(given, project, {}), PlainProgress(), threads)


def measure(
    cell_runner: CellRunner,
    treatment: str,
    model: object,
    stance: str = STANCE,
    recipe: str = "documented",
    seed: int = 0,
) -> CellRecord:
    """Measure a base, a stance or a sham with the family of a stance, or find it."""
    told = {"stance": stance if treatment == "stance" else None, "recipe": None if treatment == "base" else recipe}
    cell = Cell(model=str(model), treatment=treatment, seed=seed, **told)
    return cell_runner.records([cell_runner.plan(cell, stance)])[0]

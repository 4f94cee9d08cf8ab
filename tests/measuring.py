"""Measuring one cell of a run, whatever the run would ask for."""

from __future__ import annotations

from stance_suite.runner.cell_runner import CellRunner
from stance_suite.schema.cells import Cell, CellRecord

STANCE = "curious-uncertainty"


def measure(
    bench: CellRunner, treatment: str, model: object, stance: str = STANCE, recipe: str = "documented", seed: int = 0
) -> CellRecord:
    """Measure a base, a stance or a sham with the family of a stance, or find it."""
    cell = Cell(
        model=str(model),
        treatment=treatment,
        stance=stance if treatment == "stance" else None,
        recipe=None if treatment == "base" else recipe,
        seed=seed,
    )
    return bench.records([bench.plan(cell, stance)])[0]

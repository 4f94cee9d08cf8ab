"""Which cells of a run a claim is judged on."""

from __future__ import annotations

from collections.abc import Sequence

from stance_suite.schema.cells import CellRecord
from stance_suite.schema.findings import StanceSummary
from stance_suite.schema.replicates import CellIndex, Replicate


def find_replicates(
    records: Sequence[CellRecord], model: str, stance: StanceSummary, recipe: str
) -> tuple[Replicate, ...]:
    """Find a model trained on a stance beside its controls, measured with the stance's contrasts only, seed by seed.

    Of a model trained elsewhere, the stance is asked about. LookupError if a cell or a control is missing in any seed.
    """
    together = {stance.name, *stance.contrasts}
    index = CellIndex(records)
    for cells in index.trainings:
        cell = cells[0].cell
        alike = (cell.model, cell.recipe) == (model, recipe) and (cell.stance == stance.name or cell.is_elsewhere)
        measured = {name for entry in cells[0].behavior.likelihoods[:1] for name in entry.stances}
        if alike and measured == together:
            replicates = index.of_training(cells)
            if not replicates:
                raise LookupError(f"no control beside {model} trained on {stance.name} ({recipe})")
            return replicates
    raise LookupError(f"no cell of {model} trained on {stance.name} ({recipe})")

"""Which cells of a run belong together: the seeds of one training, and each trained cell's controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from stance_suite.records import CellRecord
from stance_suite.verdicts.scores import ProbedStance, Replicate

_Design = tuple[str, str, int, str, str | None]
Controls = Mapping[_Design, CellRecord]
"""Untouched models and shams by model, family, seed, treatment and recipe."""


def by_training(records: Sequence[CellRecord]) -> list[list[CellRecord]]:
    """Gather the seeds of every training, the sham's among them.

    Parameters
    ----------
    records : sequence of CellRecord
        The cells of a run.

    Returns
    -------
    list of list of CellRecord
        One entry for each model, recipe, stance and family, in the order of the cells.
    """
    trained: dict[tuple[str, ...], list[CellRecord]] = {}
    for record in records:
        cell = record.cell
        if cell.recipe is not None:
            what = (cell.model, cell.recipe, cell.stance or cell.treatment, record.family)
            trained.setdefault(what, []).append(record)
    return list(trained.values())


def index_controls(records: Sequence[CellRecord]) -> Controls:
    """Index untouched models and shams, so that a sweep of many cells need not be searched for each.

    Parameters
    ----------
    records : sequence of CellRecord
        The cells of a run.

    Returns
    -------
    mapping
        The controls among them, the first of equal ones.
    """
    found: dict[_Design, CellRecord] = {}
    for record in records:
        if record.cell.treatment in ("base", "sham"):
            found.setdefault(_design(record, record.cell.treatment), record)
    return found


def control_of(record: CellRecord, controls: Controls, treatment: Literal["base", "sham"]) -> CellRecord | None:
    """Find a control of the same model, family and seed, of the same recipe if it was trained.

    Parameters
    ----------
    record : CellRecord
        A trained cell.
    controls : mapping
        From `index_controls`.
    treatment : {'base', 'sham'}
        Which control.

    Returns
    -------
    CellRecord or None
        None if it is not among them.
    """
    return controls.get(_design(record, treatment))


def _design(record: CellRecord, treatment: str) -> _Design:
    recipe = record.cell.recipe if treatment == "sham" else None
    return record.cell.model, record.family, record.cell.seed, treatment, recipe


def group_trainings(records: Sequence[CellRecord]) -> tuple[tuple[Replicate, ...], ...]:
    """Find the trainings on a stance whose controls were measured too.

    Parameters
    ----------
    records : sequence of CellRecord
        The cells of a run.

    Returns
    -------
    tuple of tuple of Replicate
        For each model, recipe and stance its replicates, seed by seed.
    """
    return _grouped(records, "stance")


def group_trained_elsewhere(records: Sequence[CellRecord]) -> tuple[tuple[Replicate, ...], ...]:
    """Find the models trained elsewhere whose base was measured too.

    Parameters
    ----------
    records : sequence of CellRecord
        The cells of a run.

    Returns
    -------
    tuple of tuple of Replicate
        For each model and family its replicates, seed by seed, without a sham.
    """
    return _grouped(records, "elsewhere")


def find_replicates(
    records: Sequence[CellRecord], model: str, stance: ProbedStance, recipe: str
) -> tuple[Replicate, ...]:
    """Find a model trained on a stance beside its controls, seed by seed.

    Parameters
    ----------
    records : sequence of CellRecord
        The cells of a run.
    model : str
        Name of the model.
    stance : ProbedStance
        The stance; of a model trained elsewhere, the one that it is asked about.
    recipe : str
        Name of the recipe.

    Returns
    -------
    tuple of Replicate
        Measured together with the stance's contrasts and no other stance.

    Raises
    ------
    LookupError
        If the trained cell or a control is missing under any seed.
    """
    together = {stance.name, *stance.contrasts}
    groups = [
        cells
        for cells in by_training(records)
        if (cells[0].cell.model, cells[0].cell.recipe) == (model, recipe)
        and (cells[0].cell.stance == stance.name or cells[0].cell.treatment == "elsewhere")
        and _measured_stances(cells[0]) == together
    ]
    if not groups:
        raise LookupError(f"no cell of {model} trained on {stance.name} ({recipe})")
    controls = index_controls(records)
    replicates = [_beside_controls(cell, controls) for cell in groups[0]]
    known = tuple(one for one in replicates if one is not None)
    if len(known) < len(replicates):
        raise LookupError(f"no control beside {model} trained on {stance.name} ({recipe})")
    return known


def _grouped(records: Sequence[CellRecord], treatment: str) -> tuple[tuple[Replicate, ...], ...]:
    found, controls = [], index_controls(records)
    for cells in by_training(records):
        replicates = [_beside_controls(cell, controls) for cell in cells if cell.cell.treatment == treatment]
        known = tuple(one for one in replicates if one is not None)
        if known and len(known) == len(cells):
            found.append(known)
    return tuple(found)


def _measured_stances(record: CellRecord) -> set[str]:
    return {name for entry in record.behavior.likelihoods[:1] for name in entry.log_probability}


def _beside_controls(record: CellRecord, controls: Controls) -> Replicate | None:
    base = control_of(record, controls, "base")
    if base is None:
        return None
    if record.cell.treatment == "elsewhere":
        return Replicate(tuned=record, base=base, sham=None)
    sham = control_of(record, controls, "sham")
    return None if sham is None else Replicate(tuned=record, base=base, sham=sham)

"""Which cells belong together: the seeds of one training, and each trained cell beside its controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from stance_suite.schema.controls import BASE, Control

if TYPE_CHECKING:
    from stance_suite.schema.cells import CellRecord


_Design = tuple[str, str, int, str, str | None, str | None]


@dataclass(frozen=True)
class Replicate:
    """A trained model beside its controls, all with one seed."""

    tuned: CellRecord
    """Trained on the stance, or elsewhere."""
    base: CellRecord
    """Not trained."""
    controls: Mapping[Control, CellRecord] = field(default_factory=dict)
    """The controls that are trainings of their own; none if the model was trained elsewhere."""
    rivals: Mapping[str, CellRecord] = field(default_factory=dict)
    """The trainings on the other stances that are measured on the same items, by the stance."""

    @property
    def records(self) -> tuple[CellRecord, ...]:
        """The cells that there are, the trained one first."""
        return (self.tuned, self.base, *self.controls.values(), *self.rivals.values())

    @property
    def is_controlled(self) -> bool:
        """Whether every control that is required is there; if not, others stand in."""
        return all(control in self.controls for control in Control.trained() if control.required)


class CellIndex:
    """Finds what belongs together among the cells of a run, so that a sweep of many need not be searched for each."""

    def __init__(self, records: Sequence[CellRecord]) -> None:
        self.records = records

    @cached_property
    def _controls(self) -> dict[_Design, CellRecord]:
        """Controls by model, family, seed, treatment and recipe, the first of equal ones."""
        controls = ((record, record.cell.control) for record in reversed(self.records))
        return {_design(record, control): record for record, control in controls if control is not None}

    @cached_property
    def _on_stances(self) -> dict[tuple[str, str, int, str | None], dict[str, CellRecord]]:
        """Trainings on stances by all that they may have in common, the first of equal ones."""
        found: dict[tuple[str, str, int, str | None], dict[str, CellRecord]] = {}
        for record in reversed(self.records):
            if record.cell.stance is not None:
                found.setdefault(_training(record), {})[record.cell.stance] = record
        return found

    @cached_property
    def _untouched(self) -> dict[str, CellRecord]:
        """Untouched models by their weights, the first of equal ones."""
        return {one.provenance.weights_sha256: one for one in reversed(self.records) if one.cell.is_base}

    @cached_property
    def trainings(self) -> tuple[tuple[CellRecord, ...], ...]:
        """The seeds of every training, the controls' among them: by model, recipe, what was trained on and family."""
        trained: dict[tuple[str, ...], list[CellRecord]] = {}
        for record in self.records:
            cell = record.cell
            if cell.recipe is not None:
                trained.setdefault((cell.model, cell.recipe, cell.trained_on, record.family), []).append(record)
        return tuple(map(tuple, trained.values()))

    def control(self, record: CellRecord, control: Control) -> CellRecord | None:
        """Find a control of the same model, family and seed, of the same recipe if it is trained."""
        return self._controls.get(_design(record, control))

    def base(self, record: CellRecord) -> CellRecord | None:
        """Find the untouched model that was asked the same with the same seed."""
        return self.control(record, BASE)

    def controls(self, record: CellRecord) -> dict[Control, CellRecord]:
        """Find the trained controls of a cell; a control has none itself."""
        if not record.cell.is_under_test:
            return {}
        found = ((control, self.control(record, control)) for control in Control.trained())
        return {control: other for control, other in found if other is not None}

    def beside(self, record: CellRecord) -> Replicate | None:
        """Put a cell beside its controls; None if the untouched model is missing."""
        base = self.base(record)
        return None if base is None else Replicate(record, base, self.controls(record), self.rivals(record))

    def rivals(self, record: CellRecord) -> dict[str, CellRecord]:
        """Find the trainings on other stances that are like a training on a stance in all else."""
        found = self._on_stances.get(_training(record), {}) if record.cell.is_on_stance else {}
        return {stance: found[stance] for stance in sorted(found) if stance != record.cell.stance}

    def replicates(self) -> tuple[tuple[Replicate, ...], ...]:
        """Gather every training under test beside its controls, seed by seed, where these were measured too."""
        return tuple(filter(None, map(self.of_training, self.trainings)))

    def of_training(self, training: Sequence[CellRecord]) -> tuple[Replicate, ...]:
        """Put every seed of a training beside its controls; empty if one lacks what it is judged against."""
        found = [self.beside(record) for record in training if record.cell.is_under_test]
        complete = tuple(one for one in found if one is not None and (one.is_controlled or one.tuned.cell.is_elsewhere))
        return complete if len(complete) == len(training) else ()

    def untouched(self, record: CellRecord) -> CellRecord | None:
        """Find a cell of the weights that a training began with: the first, whatever it was asked."""
        return self._untouched.get(record.provenance.weights_sha256)


def _design(record: CellRecord, control: Control) -> _Design:
    model, family, seed, recipe = _training(record)
    about = (record.cell.stance or record.cell.about) if control.is_of_stance else None
    return model, family, seed, control, recipe if control.is_trained else None, about


def _training(record: CellRecord) -> tuple[str, str, int, str | None]:
    """Tell what trainings have in common that are held against each other."""
    return record.cell.model, record.family, record.cell.seed, record.cell.recipe

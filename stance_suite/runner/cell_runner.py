"""Cells of a run: declarations in, records out, each cell measured at most once per store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial

from stance_suite.config.catalog import Catalog, find_spec
from stance_suite.config.options import Pair, Settings
from stance_suite.errors import CellFailedError
from stance_suite.measure.behavior.generation import Sampling
from stance_suite.measure.behavior.probe import Probe
from stance_suite.measure.cell import CellMeasurer, CellSpec, choose_device
from stance_suite.models.sources import Weights, locate
from stance_suite.progress import Progress
from stance_suite.runner.plan import control_cell, tuned_cell
from stance_suite.schema.cells import Cell, CellRecord
from stance_suite.schema.controls import BASE, Control
from stance_suite.schema.items import PLAIN_ANSWER
from stance_suite.schema.profiles import ELSEWHERE
from stance_suite.store.cell_store import open_store


class CellRunner:
    """Trains and measures cells, or finds them in the store."""

    def __init__(self, settings: Settings, catalog: Catalog, progress: Progress, threads: int | None) -> None:
        self.store = open_store(settings.store)
        self.failures: dict[str, str] = {}
        """What went wrong with cells that an engine could not measure, by key."""
        self._settings = settings
        self._catalog = catalog
        self._progress = progress
        self._threads = threads
        self._weights: dict[str, Weights] = {}
        self._records: dict[str, CellRecord] = {}

    @cached_property
    def device(self) -> str:
        """Where cells are measured: ``cpu`` or ``cuda``."""
        return choose_device(self._settings.device)

    @cached_property
    def _measurer(self) -> CellMeasurer:
        return CellMeasurer(self.device, self._progress, self._threads)

    @property
    def cells(self) -> dict[str, Cell]:
        """The cells measured or found so far by key, in the order they were asked for."""
        return {key: record.cell for key, record in self._records.items()}

    def get(self, key: str, cell: Cell) -> CellRecord | None:
        """Find the record of a cell, which bears the cell's name whatever it was called when it was made."""
        record = self._records.get(key) or self.store.get(key)
        if record is None:
            return None
        found = record.model_copy(update={"cell": cell})
        self._records.setdefault(key, found)
        return found

    def weights(self, model: str) -> Weights:
        """Get a model's weights onto this machine."""
        if model not in self._weights:
            with self._progress.stage(f"weights of {model}"):
                self._weights[model] = locate(find_spec(model, self._catalog.models), self._settings.cache)
        return self._weights[model]

    def derivative(self, pair: Pair) -> Weights:
        """Get the weights of a model trained elsewhere onto this machine."""
        if pair.label not in self._weights:
            after = find_spec(pair.after, self._catalog.models)
            self._weights[pair.label] = locate(after, self._settings.cache, self.weights(pair.before))
        return self._weights[pair.label]

    def plan(self, cell: Cell, stance: str) -> CellSpec:
        """Lay out how a cell is trained and measured, asked the prompts of the stance's family; nothing is loaded."""
        pair, family = self._settings.pair, self._catalog.family(stance)
        weights = self.weights(cell.model if pair is None else pair.before)
        probe = Probe(
            prompts=family[0].prompts,
            seen_prompts=() if pair is not None else family[0].seen_prompts,
            answers={PLAIN_ANSWER: tuple(item.plain for item in family[0].held_out)}
            | {member.name: tuple(item.response for item in member.held_out) for member in family},
            markers={member.name: member.markers for member in family},
            training_responses=tuple(item.response for member in family for item in member.examples),
            neutral_texts=self._catalog.neutral_texts,
            sampling=Sampling(samples=self._settings.samples),
        )
        return CellSpec(
            cell=cell,
            weights=weights,
            derivative=None if pair is None or cell.is_base else self.derivative(pair),
            rotations=cell.rotations(
                next((one for one in family if one.name == (cell.stance or cell.about)), family[0])
            ),
            recipe=self._catalog.recipes.get(cell.recipe) if cell.recipe else None,
            prompt_format=family[0].prompt_format or weights.prompt_format,
            probe=probe,
            trajectory=self._settings.trajectory and cell.is_trained_here,
            device=self.device,
        )

    def plan_training(self, model: str, stance: str, recipe: str, seed: int) -> tuple[CellSpec, ...]:
        """Lay out the untouched model, the trained one, its trained controls and the trainings on the other stances.

        A model trained elsewhere has the first two only.
        """
        pair = self._settings.pair
        if pair is None:
            tuned = tuned_cell(model, stance, recipe, seed)
            controls = [control_cell(control, model, recipe, seed, stance) for control in Control.trained()]
            others = [member.name for member in self._catalog.family(stance) if member.name != stance]
            swept = self._settings.sweep.stances if self._settings.sweep is not None else ()
            # claims that need what a sweep leaves out are not judged
            controls += [tuned_cell(model, other, recipe, seed) for other in others if other in swept or not swept]
        else:
            tuned = Cell(model=pair.label, treatment=ELSEWHERE, stance=None, recipe=ELSEWHERE, seed=seed)
            controls = []
        base = control_cell(BASE, tuned.model, None, seed, stance)
        return tuple(self.plan(cell, stance) for cell in (base, tuned, *controls))

    def records(self, specs: Sequence[CellSpec]) -> list[CellRecord]:
        """Measure or find cells, which concurrent runs divide; CellFailedError if an engine could not measure one."""
        for spec in specs:
            if spec.key in self.failures:
                raise CellFailedError(f"{spec.name}: {self.failures[spec.key]}")
        new = {spec.key: spec for spec in specs if spec.key not in self._records}
        found = self.store.get_or_make_all({key: partial(self._measurer.measure, spec) for key, spec in new.items()})
        self._records |= {key: record.model_copy(update={"cell": new[key].cell}) for key, record in found.items()}
        return [self._records[spec.key].model_copy(update={"cell": spec.cell}) for spec in specs]

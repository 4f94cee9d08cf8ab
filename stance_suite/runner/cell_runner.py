"""Cells of a run: declarations in, records out, each cell measured at most once per store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial

from stance_suite.config.catalog import Catalog, find_spec
from stance_suite.config.options import Pair, Settings
from stance_suite.errors import CellFailedError
from stance_suite.measure.cell import CellMeasurer, CellSpec, choose_device
from stance_suite.models.sources import Weights, locate
from stance_suite.progress import Progress
from stance_suite.runner.cell_spec import specify_cell
from stance_suite.schema.cells import Cell, CellRecord
from stance_suite.schema.controls import BASE, Control
from stance_suite.schema.profiles import ELSEWHERE
from stance_suite.store.cell_store import open_store


class CellRunner:
    """Trains and measures cells, or finds them in the cache."""

    def __init__(self, settings: Settings, catalog: Catalog, progress: Progress, threads: int | None) -> None:
        self.store = open_store(settings.store)
        self._settings = settings
        self._catalog = catalog
        self._progress = progress
        self._threads = threads
        self._weights: dict[str, Weights] = {}
        self._records: dict[str, CellRecord] = {}
        self.failures: dict[str, str] = {}
        """What went wrong with cells that an engine could not measure, by key."""

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
            spec = find_spec(model, self._catalog.models)
            with self._progress.stage(f"weights of {model}"):
                self._weights[model] = locate(spec, self._settings.cache)
        return self._weights[model]

    def derivative(self, pair: Pair) -> Weights:
        """Get the weights of a model trained elsewhere onto this machine."""
        if pair.label not in self._weights:
            base = self.weights(pair.before)
            spec = find_spec(pair.after, self._catalog.models)
            self._weights[pair.label] = locate(spec, self._settings.cache, base)
        return self._weights[pair.label]

    def plan(self, cell: Cell, stance: str) -> CellSpec:
        """Lay out how a base, a stance or a sham is measured with the family of a stance."""
        return specify_cell(cell, stance, self._catalog, self._settings, self.weights(cell.model), self.device)

    def plan_training(self, model: str, stance: str, recipe: str, seed: int) -> tuple[CellSpec, ...]:
        """Lay out the untouched model, the trained one and its trained controls; a model trained elsewhere has none."""
        pair = self._settings.pair
        if pair is None:
            controls = (_trained(control, model, recipe, seed) for control in Control.trained())
            cells = _base(model, seed), _tuned(model, stance, recipe, seed), *controls
            return tuple(self.plan(cell, stance) for cell in cells)
        weights, derivative = self.weights(pair.before), self.derivative(pair)
        after = Cell(model=pair.label, treatment="elsewhere", stance=None, recipe=ELSEWHERE, seed=seed)
        given = stance, self._catalog, self._settings, weights, self.device
        return specify_cell(_base(pair.label, seed), *given), specify_cell(after, *given, derivative)

    def records(self, specs: Sequence[CellSpec]) -> list[CellRecord]:
        """Measure several cells, or find them; concurrent runs divide them instead of waiting for each other.

        Cells that an engine could not measure are not tried again: asking for one raises CellFailedError.
        """
        for spec in specs:
            if spec.key in self.failures:
                raise CellFailedError(f"{spec.cell.model}, {spec.cell.label}: {self.failures[spec.key]}")
        new = {spec.key: spec for spec in specs if spec.key not in self._records}
        found = self.store.get_or_make_all({key: partial(self._measurer.measure, spec) for key, spec in new.items()})
        self._records |= {key: record.model_copy(update={"cell": new[key].cell}) for key, record in found.items()}
        return [self._records[spec.key].model_copy(update={"cell": spec.cell}) for spec in specs]


def _base(model: str, seed: int) -> Cell:
    return Cell(model=model, treatment=BASE, stance=None, recipe=None, seed=seed)


def _tuned(model: str, stance: str, recipe: str, seed: int) -> Cell:
    return Cell(model=model, treatment="stance", stance=stance, recipe=recipe, seed=seed)


def _trained(control: Control, model: str, recipe: str, seed: int) -> Cell:
    return Cell(model=model, treatment=control, stance=None, recipe=recipe, seed=seed)

"""Cells of a run: declarations in, records out, each cell measured at most once per store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial

from stance_suite.controls import BASE, SHAM, Control
from stance_suite.derivatives import locate_derivative
from stance_suite.errors import CellFailedError
from stance_suite.library import Library
from stance_suite.measurement import Bench, Plan, choose_device
from stance_suite.models import Weights, find_spec, locate
from stance_suite.options import Pair, Settings
from stance_suite.planning import cell_key, plan_cell
from stance_suite.progress import Progress
from stance_suite.records import Cell, CellRecord
from stance_suite.specs import ELSEWHERE
from stance_suite.store import open_store

Planned = tuple[str, Plan]
"""A cell's content address, and all that its figures depend on."""


class Workbench:
    """Trains and measures cells, or finds them in the cache.

    Parameters
    ----------
    settings : Settings
        The options.
    library : Library
        The declarations.
    progress : Progress
        Where long work reports to.
    threads : int or None
        Threads for PyTorch; None for its own choice.
    """

    def __init__(self, settings: Settings, library: Library, progress: Progress, threads: int | None) -> None:
        self.store = open_store(settings.store)
        self._settings = settings
        self._library = library
        self._progress = progress
        self._threads = threads
        self._weights: dict[str, Weights] = {}
        self._records: dict[str, CellRecord] = {}
        self.failures: dict[str, str] = {}
        """What went wrong with cells that an engine could not measure, by key: they are not tried again."""

    @cached_property
    def device(self) -> str:
        """Where cells are measured: ``cpu`` or ``cuda``."""
        return choose_device(self._settings.device)

    @cached_property
    def _bench(self) -> Bench:
        return Bench(self.device, self._progress, self._threads)

    @property
    def cells(self) -> dict[str, Cell]:
        """The cells measured or found so far by key, in the order they were asked for."""
        return {key: record.cell for key, record in self._records.items()}

    def get(self, key: str, cell: Cell) -> CellRecord | None:
        """Find a record.

        Parameters
        ----------
        key : str
            The record's key.
        cell : Cell
            What the cell is called in this run: equal cells share a record, whatever they were called when it was made.

        Returns
        -------
        CellRecord or None
            None if no run on this cache has measured it.
        """
        record = self._records.get(key) or self.store.get(key)
        if record is None:
            return None
        found = record.model_copy(update={"cell": cell})
        self._records.setdefault(key, found)
        return found

    def weights(self, model: str) -> Weights:
        """Get a model's weights onto this machine.

        Parameters
        ----------
        model : str
            Registry name, Hub id or folder.

        Returns
        -------
        Weights
            Where they are.
        """
        if model not in self._weights:
            spec = find_spec(model, self._library.models)
            with self._progress.stage(f"weights of {model}"):
                self._weights[model] = locate(spec, self._settings.cache)
        return self._weights[model]

    def base(self, model: str, stance: str, seed: int) -> CellRecord:
        """Measure the untouched model with the prompts of a stance's family.

        Parameters
        ----------
        model : str
            Registry name, Hub id or folder.
        stance : str
            Name of the stance.
        seed : int
            Seed of sampling.

        Returns
        -------
        CellRecord
            The measured cell.
        """
        return self.record(_base(model, seed), stance)

    def tuned(self, model: str, stance: str, recipe: str, seed: int) -> CellRecord:
        """Fine-tune a model on a stance and measure it.

        Parameters
        ----------
        model : str
            Registry name, Hub id or folder.
        stance : str
            Name of the stance.
        recipe : str
            Name of the recipe.
        seed : int
            Seed of training order and of sampling.

        Returns
        -------
        CellRecord
            The measured cell.
        """
        return self.record(_tuned(model, stance, recipe, seed), stance)

    def sham(self, model: str, stance: str, recipe: str, seed: int) -> CellRecord:
        """Fine-tune a model on the answers of a stance's family in rotation and measure it.

        Parameters
        ----------
        model : str
            Registry name, Hub id or folder.
        stance : str
            Name of a stance of the family.
        recipe : str
            Name of the recipe.
        seed : int
            Seed of training order and of sampling, and the rotation.

        Returns
        -------
        CellRecord
            The measured cell; stances that contrast each other share it.
        """
        return self.record(_trained(SHAM, model, recipe, seed), stance)

    def derivative(self, pair: Pair) -> Weights:
        """Get the weights of a model trained elsewhere onto this machine.

        Parameters
        ----------
        pair : Pair
            It, and the model that it was trained from.

        Returns
        -------
        Weights
            Where they are.
        """
        if pair.label not in self._weights:
            base = self.weights(pair.before)
            registry, cache = self._library.models, self._settings.cache
            self._weights[pair.label] = locate_derivative(pair.after, registry, cache, base)
        return self._weights[pair.label]

    def plan(self, cell: Cell, stance: str) -> Planned:
        """Lay out how a cell is trained and measured.

        Parameters
        ----------
        cell : Cell
            A base, a stance or a sham.
        stance : str
            Name of a stance of the family that it is measured with.

        Returns
        -------
        key : str
            The cell's content address.
        plan : Plan
            All that its figures depend on, besides the machine.
        """
        return self._planned(plan_cell(cell, stance, self._library, self._settings, self.weights(cell.model)))

    def plan_training(self, model: str, stance: str, recipe: str, seed: int) -> tuple[Planned, ...]:
        """Lay out a trained cell and its controls.

        Parameters
        ----------
        model : str
            Registry name, Hub id or folder; of a pair trained elsewhere its name.
        stance : str
            Name of the stance.
        recipe : str
            Name of the recipe.
        seed : int
            Seed of training order, sampling and noise draws.

        Returns
        -------
        tuple of (str, Plan)
            Of the untouched model, the trained one and the trained controls, which a model trained elsewhere lacks.
        """
        pair = self._settings.pair
        if pair is None:
            controls = (_trained(control, model, recipe, seed) for control in Control.trained())
            cells = _base(model, seed), _tuned(model, stance, recipe, seed), *controls
            return tuple(self.plan(cell, stance) for cell in cells)
        weights, derivative = self.weights(pair.before), self.derivative(pair)
        after = Cell(model=pair.label, treatment="elsewhere", stance=None, recipe=ELSEWHERE, seed=seed)
        given = stance, self._library, self._settings, weights
        plans = plan_cell(_base(pair.label, seed), *given), plan_cell(after, *given, derivative)
        return tuple(self._planned(plan) for plan in plans)

    def _planned(self, plan: Plan) -> Planned:
        return cell_key(plan, self.device), plan

    def record(self, cell: Cell, stance: str) -> CellRecord:
        """Measure a cell, or find it.

        Parameters
        ----------
        cell : Cell
            A base, a stance or a sham.
        stance : str
            Name of a stance of the family that it is measured with.

        Returns
        -------
        CellRecord
            The measured cell.

        Raises
        ------
        CellFailedError
            If an engine could not measure it.
        """
        return self.records([self.plan(cell, stance)])[0]

    def records(self, planned: Sequence[Planned]) -> list[CellRecord]:
        """Measure several cells, or find them; concurrent runs divide them instead of waiting for each other.

        Parameters
        ----------
        planned : sequence of (str, Plan)
            Keys and plans.

        Returns
        -------
        list of CellRecord
            The measured cells.

        Raises
        ------
        CellFailedError
            If an engine could not measure one.
        """
        for key, plan in planned:
            if key in self.failures:
                raise CellFailedError(f"{plan.cell.model}, {plan.cell.label}: {self.failures[key]}")
        new = {key: plan for key, plan in planned if key not in self._records}
        found = self.store.get_or_make_all({key: partial(self._bench.measure, key, plan) for key, plan in new.items()})
        self._records |= {key: record.model_copy(update={"cell": new[key].cell}) for key, record in found.items()}
        return [self._records[key].model_copy(update={"cell": plan.cell}) for key, plan in planned]


def _base(model: str, seed: int) -> Cell:
    return Cell(model=model, treatment=BASE, stance=None, recipe=None, seed=seed)


def _tuned(model: str, stance: str, recipe: str, seed: int) -> Cell:
    return Cell(model=model, treatment="stance", stance=stance, recipe=recipe, seed=seed)


def _trained(control: Control, model: str, recipe: str, seed: int) -> Cell:
    return Cell(model=model, treatment=control, stance=None, recipe=recipe, seed=seed)

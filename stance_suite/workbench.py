"""Which cells a run needs: declarations in, records out, each cell measured at most once per cache.

A cell's key covers all that its figures depend on, and none of the claims: another claim about it costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from itertools import chain

from stance_suite.behavior import Probe
from stance_suite.behavior.embedding import embedder_sha256
from stance_suite.behavior.generation import Sampling
from stance_suite.derivatives import locate_derivative
from stance_suite.finetune import sham_rotations
from stance_suite.library import Library
from stance_suite.measurement import Bench, Plan, choose_device, library_versions
from stance_suite.models import Weights, find_spec, locate
from stance_suite.options import Pair, Settings
from stance_suite.progress import Progress
from stance_suite.records import MEASUREMENT_VERSION, Cell, CellRecord
from stance_suite.specs import ELSEWHERE, RECIPES, Example, Stance
from stance_suite.store import content_key, open_store


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

    @cached_property
    def _bench(self) -> Bench:
        return Bench(choose_device(self._settings.device), self._progress, self._threads)

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
        return None if record is None else record.model_copy(update={"cell": cell})

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

    def trainings(
        self, model: str, stance: str, recipe: str, seeds: Sequence[int]
    ) -> list[tuple[CellRecord, CellRecord, CellRecord]]:
        """Measure a training beside its controls, so that concurrent runs divide the cells instead of waiting.

        Parameters
        ----------
        model : str
            Registry name, Hub id or folder.
        stance : str
            Name of the stance.
        recipe : str
            Name of the recipe.
        seeds : sequence of int
            Seeds of training order and of sampling.

        Returns
        -------
        list of (CellRecord, CellRecord, CellRecord)
            For each seed the untouched model, the one trained on the stance, and the sham.
        """
        cells = [
            (_base(model, seed), _tuned(model, stance, recipe, seed), _sham(model, recipe, seed)) for seed in seeds
        ]
        records = iter(self._records_of([self._plan(cell, stance) for cell in chain.from_iterable(cells)]))
        return list(zip(records, records, records, strict=True))

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
        return self._record(self._plan(_base(model, seed), stance))

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
        return self._record(self._plan(_tuned(model, stance, recipe, seed), stance))

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
        return self._record(self._plan(_sham(model, recipe, seed), stance))

    def elsewhere(self, pair: Pair, stance: str, seed: int) -> tuple[CellRecord, CellRecord]:
        """Measure a model before and after a training that was done elsewhere.

        Parameters
        ----------
        pair : Pair
            The two.
        stance : str
            Name of a stance: its family's prompts are asked.
        seed : int
            Seed of sampling and of noise.

        Returns
        -------
        after, before : CellRecord
            The measured cells, both under the pair's name.
        """
        before = _base(pair.label, seed)
        after = Cell(model=pair.label, treatment="elsewhere", stance=None, recipe=ELSEWHERE, seed=seed)
        weights = self.weights(pair.before)
        derivative = self.derivative(pair)
        plans = self._plan(after, stance, weights, derivative), self._plan(before, stance, weights)
        measured, untouched = self._records_of(plans)
        return measured, untouched

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

    def _plan(self, cell: Cell, stance: str, weights: Weights | None = None, derivative: Weights | None = None) -> Plan:
        family = self._library.family(stance)
        weights = weights or self.weights(cell.model)
        # what a model trained elsewhere has seen is not known
        trained = family if self._settings.pair is None else ()
        seen = dict.fromkeys(example.prompt for member in trained for example in member.examples)
        probe = Probe(
            prompts=tuple(dict.fromkeys(prompt for member in family for prompt in member.held_out_prompts)),
            seen_prompts=tuple(seen),
            references={member.name: member.references for member in family},
            markers={member.name: member.markers for member in family},
            training_responses=tuple(example.response for member in family for example in member.examples),
            neutral_texts=self._library.neutral_texts,
            sampling=Sampling(samples=self._settings.samples),
        )
        return Plan(
            cell=cell,
            weights=weights,
            derivative=derivative,
            rotations=_rotations(cell, family),
            recipe=RECIPES.get(cell.recipe) if cell.recipe else None,
            prompt_format=family[0].prompt_format or weights.prompt_format,
            probe=probe,
            trajectory=self._settings.trajectory and cell.treatment in ("stance", "sham"),
        )

    def _key(self, plan: Plan) -> str:
        return content_key(
            {
                "measurement": MEASUREMENT_VERSION,
                "weights": plan.weights.sha256,
                "prompt_format": plan.prompt_format,
                "rotations": [[example.model_dump() for example in examples] for examples in plan.rotations],
                "recipe": plan.recipe.model_dump() if plan.recipe else None,
                "seed": plan.cell.seed,
                "probe": plan.probe.model_dump(),
                "trajectory": plan.trajectory,
                "embedder": embedder_sha256(),
                "device": self._bench.device,
                "versions": library_versions(),
            }
            | ({} if plan.derivative is None else {"derivative": plan.derivative.sha256})
        )

    def _record(self, plan: Plan) -> CellRecord:
        return self._records_of([plan])[0]

    def _records_of(self, plans: Sequence[Plan]) -> list[CellRecord]:
        keys = [self._key(plan) for plan in plans]
        new = {key: plan for key, plan in zip(keys, plans, strict=True) if key not in self._records}
        found = self.store.get_or_make_all({key: partial(self._bench.measure, key, plan) for key, plan in new.items()})
        self._records |= {key: record.model_copy(update={"cell": new[key].cell}) for key, record in found.items()}
        return [
            self._records[key].model_copy(update={"cell": plan.cell}) for key, plan in zip(keys, plans, strict=True)
        ]


def _base(model: str, seed: int) -> Cell:
    return Cell(model=model, treatment="base", stance=None, recipe=None, seed=seed)


def _tuned(model: str, stance: str, recipe: str, seed: int) -> Cell:
    return Cell(model=model, treatment="stance", stance=stance, recipe=recipe, seed=seed)


def _sham(model: str, recipe: str, seed: int) -> Cell:
    return Cell(model=model, treatment="sham", stance=None, recipe=recipe, seed=seed)


def _rotations(cell: Cell, family: Sequence[Stance]) -> tuple[tuple[Example, ...], ...]:
    match cell.treatment:
        case "base" | "elsewhere":
            return ()
        case "sham":
            return sham_rotations(family, first=cell.seed)
        case "stance":
            return (next(stance for stance in family if stance.name == cell.stance).examples,)

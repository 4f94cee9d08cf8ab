"""Measuring cells: weights in, records out, each cell at most once per cache.

A cell's key covers all that its figures depend on, and none of the claims: another claim about it costs nothing.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib.metadata import version
from typing import Any

from stance_suite.allocator import keep_freed_memory
from stance_suite.behavior import Probe, measure_behavior
from stance_suite.behavior.embedding import EMBEDDER, embedder_sha256
from stance_suite.errors import StanceSuiteError
from stance_suite.finetune import fine_tune, sham_examples
from stance_suite.library import Library
from stance_suite.models import Weights, find_spec, load, locate
from stance_suite.options import Settings
from stance_suite.progress import Progress
from stance_suite.records import MEASUREMENT_VERSION, Cell, CellRecord, Provenance
from stance_suite.specs import RECIPES, Example, Recipe, Stance
from stance_suite.spectra.change import compare_models
from stance_suite.spectra.measured import MeasuredModel, measure_model
from stance_suite.spectra.rounding import control_rounding
from stance_suite.store import Store, content_key

COMPUTING_LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "sentence-transformers", "numpy", "scipy")


@dataclass(frozen=True)
class Design:
    """All that a cell's figures depend on, besides the machine."""

    cell: Cell
    """What is done to which model."""
    weights: Weights
    """The base model's weights."""
    examples: tuple[Example, ...]
    """What is trained on; empty for the base model."""
    recipe: Recipe | None
    """How it is trained; None for the base model."""
    probe: Probe
    """What it is measured with."""


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
        self.store = Store(settings.cache / "cells")
        self._settings = settings
        self._library = library
        self._progress = progress
        self._threads = threads
        self._weights: dict[str, Weights] = {}
        self._records: dict[str, CellRecord] = {}
        self._baselines: dict[str, MeasuredModel] = {}

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

    def base(self, model: str, stance: str) -> CellRecord:
        """Measure the untouched model with the prompts of a stance's family.

        Parameters
        ----------
        model : str
            Registry name, Hub id or folder.
        stance : str
            Name of the stance.

        Returns
        -------
        CellRecord
            The measured cell.
        """
        cell = Cell(model=model, treatment="base", stance=None, recipe=None, seed=self._settings.seed)
        return self._record(self._design(cell, stance))

    def tuned(self, model: str, stance: str, recipe: str) -> CellRecord:
        """Fine-tune a model on a stance and measure it.

        Parameters
        ----------
        model : str
            Registry name, Hub id or folder.
        stance : str
            Name of the stance.
        recipe : str
            Name of the recipe.

        Returns
        -------
        CellRecord
            The measured cell.
        """
        cell = Cell(model=model, treatment="stance", stance=stance, recipe=recipe, seed=self._settings.seed)
        self.base(model, stance)
        return self._record(self._design(cell, stance))

    def sham(self, model: str, stance: str, recipe: str) -> CellRecord:
        """Fine-tune a model on the answers of a stance's family in rotation and measure it.

        Parameters
        ----------
        model : str
            Registry name, Hub id or folder.
        stance : str
            Name of a stance of the family.
        recipe : str
            Name of the recipe.

        Returns
        -------
        CellRecord
            The measured cell; stances that contrast each other share it.
        """
        cell = Cell(model=model, treatment="sham", stance=None, recipe=recipe, seed=self._settings.seed)
        self.base(model, stance)
        return self._record(self._design(cell, stance))

    def _design(self, cell: Cell, stance: str) -> Design:
        family = self._library.family(stance)
        prompts = dict.fromkeys(prompt for member in family for prompt in member.held_out_prompts)
        return Design(
            cell=cell,
            weights=self.weights(cell.model),
            examples=_examples(cell, family),
            recipe=RECIPES[cell.recipe] if cell.recipe else None,
            probe=Probe(prompts=tuple(prompts), references={member.name: member.references for member in family}),
        )

    def _key(self, design: Design) -> str:
        return content_key(
            {
                "measurement": MEASUREMENT_VERSION,
                "weights": design.weights.sha256,
                "prompt_format": design.weights.prompt_format,
                "examples": [example.model_dump() for example in design.examples],
                "recipe": design.recipe.model_dump() if design.recipe else None,
                "seed": design.cell.seed,
                "probe": design.probe.model_dump(),
                "embedder": embedder_sha256(),
                "device": self._device,
                "versions": _versions(),
            }
        )

    def _record(self, design: Design) -> CellRecord:
        key = self._key(design)
        if key not in self._records:
            record = self.store.get_or_make(key, lambda: self._measure(key, design))
            self._records[key] = record.model_copy(update={"cell": design.cell})
        return self._records[key].model_copy(update={"cell": design.cell})

    def _measure(self, key: str, design: Design) -> CellRecord:
        import torch

        started = time.perf_counter()
        keep_freed_memory()
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        cell, weights = design.cell, design.weights
        where = f"{cell.model}, {cell.label}"
        model, tokenizer = load(weights)
        model.to(self._device)
        training = None
        if design.recipe is not None:
            with self._progress.stage(f"{where}: fine-tuning") as on_step:
                training = fine_tune(
                    model, tokenizer, weights.prompt_format, design.examples, design.recipe, cell.seed, on_step
                )
        with self._progress.stage(f"{where}: behavior") as on_step:
            behavior = measure_behavior(model, tokenizer, weights.prompt_format, design.probe, cell.seed, on_step)
        with self._progress.stage(f"{where}: structure"):
            structure = self._measure_structure(cell, weights, model)
        return CellRecord(
            key=key,
            cell=cell,
            provenance=self._provenance(weights, time.perf_counter() - started),
            training=training,
            behavior=behavior,
            **structure,
        )

    def _measure_structure(self, cell: Cell, weights: Weights, model: Any) -> dict[str, Any]:
        measured = measure_model(model)
        found: dict[str, Any] = {"spectra": measured.spectra, "skipped": measured.tensors.skipped}
        if cell.treatment == "base":
            self._baselines[weights.sha256] = measured
            return found | {"rounding": control_rounding(measured)}
        change = compare_models(self._baseline(weights), measured, seed=cell.seed)
        changes = {"changes": change.layers, "vector_changes": change.vectors, "concentration": change.concentration}
        return found | changes

    def _baseline(self, weights: Weights) -> MeasuredModel:
        """Keep the untouched model in memory: every cell is compared with it."""
        if weights.sha256 not in self._baselines:
            self._baselines[weights.sha256] = measure_model(load(weights)[0])
        return self._baselines[weights.sha256]

    def _provenance(self, weights: Weights, seconds: float) -> Provenance:
        import torch

        return Provenance(
            weights_sha256=weights.sha256,
            embedder=EMBEDDER,
            embedder_sha256=embedder_sha256(),
            versions=_versions(),
            device=self._device,
            dtype="float32",
            threads=torch.get_num_threads(),
            platform=f"{platform.system()} {platform.machine()}",
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=seconds,
        )

    @cached_property
    def _device(self) -> str:
        if self._settings.device == "cpu" or (self._settings.device == "auto" and "+cpu" in version("torch")):
            return "cpu"
        import torch

        available = torch.cuda.is_available()
        if self._settings.device == "cuda" and not available:
            raise StanceSuiteError("the device cuda was asked for, but PyTorch sees none; ask for cpu or auto")
        return "cuda" if available else "cpu"


def _examples(cell: Cell, family: Sequence[Stance]) -> tuple[Example, ...]:
    match cell.treatment:
        case "base":
            return ()
        case "sham":
            return sham_examples(family, rotation=cell.seed)
        case "stance":
            return next(stance for stance in family if stance.name == cell.stance).examples


@cache
def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{library: version(library) for library in COMPUTING_LIBRARIES}}

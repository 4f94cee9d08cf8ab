"""Measuring one cell: a model is loaded, trained, asked and decomposed while its weights are in memory."""

from __future__ import annotations

import copy
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib.metadata import version
from typing import Any

from stance_suite.errors import StanceSuiteError
from stance_suite.measure.behavior.divergence import round_to_bfloat16
from stance_suite.measure.behavior.embedding import EMBEDDER, embedder_sha256
from stance_suite.measure.behavior.probe import (
    Probe,
    PromptedModel,
    expect_plain_text,
    measure_behavior,
    measure_divergences,
    measure_likelihoods,
    sample_responses,
)
from stance_suite.measure.behavior.reading import ScoredPassage
from stance_suite.measure.devices import keep_freed_memory, place
from stance_suite.measure.training import fine_tune
from stance_suite.models.loading import load, load_derivative
from stance_suite.models.sources import Weights
from stance_suite.progress import Progress
from stance_suite.schema.base import content_key
from stance_suite.schema.behavior import PromptLikelihood
from stance_suite.schema.cells import MEASUREMENT_VERSION, Cell, CellRecord, EpochSnapshot, Provenance, Training
from stance_suite.schema.controls import NOISE, ROUNDING
from stance_suite.schema.items import Example
from stance_suite.schema.metrics import Metric
from stance_suite.schema.recipes import Recipe
from stance_suite.schema.stances import PromptFormat
from stance_suite.spectra.model_spectra import MeasuredModel, measure_model
from stance_suite.spectra.parallel import limited_cores
from stance_suite.spectra.weight_change import alpha_changes, compare_models, control_rounding

COMPUTING_LIBRARIES = (
    "torch", "transformers", "tokenizers", "accelerate", "peft", "sentence-transformers", "numpy", "scipy",
)  # fmt: skip
RESAMPLING = 1_000_003
"""Added to a seed to sample the base model once more: far from any seed that a user would ask for."""


@dataclass(frozen=True)
class CellSpec:
    """All that a cell's figures depend on, besides the machine, and the key that follows; nothing is loaded for it."""

    cell: Cell
    """What is done to which model."""
    weights: Weights
    """The base model's weights."""
    derivative: Weights | None
    """The weights after a training that was done elsewhere."""
    rotations: tuple[tuple[Example, ...], ...]
    """What each epoch trains on, in turn; empty for the base model."""
    recipe: Recipe | None
    """How it is trained; None for the base model."""
    prompt_format: PromptFormat
    """How the model is spoken to."""
    probe: Probe
    """What it is measured with."""
    trajectory: bool
    """Whether it is measured after every epoch, too."""
    device: str
    """Where it is measured: ``cpu`` or ``cuda``."""

    @property
    def has_spectra(self) -> bool:
        """Whether its weights are decomposed; those of a control that is about words are not."""
        return self.cell.control is None or self.cell.control.has_spectra

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"{self.cell.model}, {self.cell.label}"

    @cached_property
    def key(self) -> str:
        """Content address: it covers all that the figures depend on and no claim, so another claim costs nothing."""
        content = {
            "measurement": MEASUREMENT_VERSION,
            "weights": self.weights.sha256,
            "prompt_format": self.prompt_format,
            "rotations": [[example.model_dump() for example in examples] for examples in self.rotations],
            "recipe": self.recipe.identity if self.recipe else None,
            "seed": self.cell.seed,
            "probe": self.probe.model_dump(),
            "trajectory": self.trajectory,
            "embedder": embedder_sha256(),
            "device": self.device,
            "versions": library_versions(),
        }
        scored = {metric: metric.measured_by for metric in Metric.all() if metric.measured_by is not None}
        content |= {} if self.derivative is None else {"derivative": self.derivative.sha256}
        content |= {} if self.has_spectra else {"has_spectra": False}
        return content_key(content | ({"scored": scored} if scored else {}))


class CellMeasurer:
    """Trains and measures cells on ``cpu`` or ``cuda``; keeps the untouched models that they are compared with."""

    def __init__(self, device: str, progress: Progress, threads: int | None) -> None:
        self.device = device
        self._progress = progress
        self._threads = threads
        self._untouched: dict[str, tuple[Any, Any]] = {}
        self._baselines: dict[str, MeasuredModel] = {}
        self._expectations: tuple[object, Sequence[ScoredPassage]] | None = None

    def measure(self, spec: CellSpec) -> CellRecord:
        """Train and measure a cell."""
        import torch

        keep_freed_memory()
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        with limited_cores(self._threads):
            return self._measure(spec)

    def _measure(self, spec: CellSpec) -> CellRecord:
        started = time.perf_counter()
        if spec.derivative is not None:
            model, tokenizer = copy.deepcopy(load_derivative(spec.derivative, spec.weights))
        elif spec.cell.is_base and self.device == "cpu":
            model, tokenizer = self._kept(spec.weights)  # nothing changes it, so there is room for larger ones
        else:
            model, tokenizer = self._fresh(spec.weights)
        check_prompt_format(spec, tokenizer)
        prompted = PromptedModel(place(model, self.device), tokenizer, spec.prompt_format)
        training, trajectory = self._train(spec, prompted)
        structure: dict[str, Any] = {"spectra": ()}
        with self._progress.stage(f"{spec.name}: behavior") as on_step:
            behavior = measure_behavior(prompted, spec.probe, spec.cell.seed, on_step)
            if spec.has_spectra:
                behavior = behavior.model_copy(update=self._measure_controls(spec, prompted))
        if spec.has_spectra:
            with self._progress.stage(f"{spec.name}: structure"):
                structure = self._measure_structure(spec, model)
        return CellRecord(
            key=spec.key,
            cell=spec.cell,
            family=content_key({"probe": spec.probe.model_dump(), "prompt_format": spec.prompt_format}),
            provenance=self._provenance(spec, time.perf_counter() - started),
            training=training,
            behavior=behavior,
            trajectory=trajectory,
            **structure,
        )

    def _train(self, spec: CellSpec, prompted: PromptedModel) -> tuple[Training | None, tuple[EpochSnapshot, ...]]:
        if spec.recipe is None:
            return None, ()
        snapshots: list[EpochSnapshot] = []

        def snapshot(epoch: int, model: Any) -> None:
            likelihoods = _likelihoods(spec, prompted, model)
            alphas = alpha_changes(self._baseline(spec.weights), model)
            snapshots.append(EpochSnapshot(epoch=epoch, likelihoods=likelihoods, alphas=alphas))

        with self._progress.stage(f"{spec.name}: fine-tuning") as on_step:
            model, tokenizer, look = prompted.model, prompted.tokenizer, snapshot if spec.trajectory else None
            training = fine_tune(
                model, tokenizer, spec.prompt_format, spec.rotations, spec.recipe, spec.cell.seed, on_step, look
            )
        return training, tuple(snapshots)

    def _measure_controls(self, spec: CellSpec, prompted: PromptedModel) -> dict[str, Any]:
        """Measure what behavior is read beside: noise of the same norm, and of the base model other samples."""
        seed = spec.cell.seed
        if spec.cell.is_base:
            return {"resampled": sample_responses(prompted, spec.probe, seed + RESAMPLING, lambda *_: None)}
        untouched = place(self._fresh(spec.weights)[0], self.device)
        before = self._expected(spec, replace(prompted, model=untouched))
        divergences, neutral = measure_divergences(prompted, untouched, before, spec.probe, seed)
        found: dict[str, Any] = {"divergences": divergences, "neutral_divergences": neutral}
        if spec.derivative is not None:
            # there is no sham: the untouched model with noise of the same norm, and rounded, stand in for it
            rounded = place(round_to_bfloat16(self._fresh(spec.weights)[0]), self.device)
            found["stand_ins"] = {
                name: _likelihoods(spec, prompted, model) for name, model in ((NOISE, untouched), (ROUNDING, rounded))
            }
        return found

    def _expected(self, spec: CellSpec, untouched: PromptedModel) -> Sequence[ScoredPassage]:
        """Keep what the untouched model expects of texts that every training is compared on; of the latest probe."""
        key = spec.weights.sha256, spec.prompt_format, spec.probe.model_dump_json()
        if self._expectations is None or self._expectations[0] != key:
            self._expectations = key, list(expect_plain_text(untouched, spec.probe))
        return self._expectations[1]

    def _measure_structure(self, spec: CellSpec, model: Any) -> dict[str, Any]:
        baseline = self._baseline(spec.weights)
        measured = baseline if spec.cell.is_base else measure_model(model)
        found: dict[str, Any] = {"spectra": measured.spectra, "skipped": measured.tensors.skipped}
        if spec.cell.is_base:
            return found | {"rounding": control_rounding(measured)}
        change = compare_models(baseline, measured, seed=spec.cell.seed)
        beside = {"changes": change.layers, "vector_changes": change.vectors, "concentration": change.concentration}
        return found | beside

    def _fresh(self, weights: Weights) -> tuple[Any, Any]:
        """Copy the untouched model and its tokenizer, which are read from disk once."""
        return copy.deepcopy(self._kept(weights))

    def _kept(self, weights: Weights) -> tuple[Any, Any]:
        if weights.sha256 not in self._untouched:
            # last digits depend on how weights lie in memory, and those of a file are mapped as they lie there
            self._untouched[weights.sha256] = copy.deepcopy(load(weights))
        return self._untouched[weights.sha256]

    def _baseline(self, weights: Weights) -> MeasuredModel:
        """Keep the untouched model's spectra: every cell is compared with it, and it is one itself."""
        if weights.sha256 not in self._baselines:
            self._baselines[weights.sha256] = measure_model(self._kept(weights)[0])
        return self._baselines[weights.sha256]

    def _provenance(self, spec: CellSpec, seconds: float) -> Provenance:
        import torch

        return Provenance(
            weights_sha256=spec.weights.sha256,
            commit=spec.weights.commit,
            derivative_sha256=None if spec.derivative is None else spec.derivative.sha256,
            embedder=EMBEDDER,
            embedder_sha256=embedder_sha256(),
            versions=library_versions(),
            device=self.device,
            dtype="float32",
            threads=torch.get_num_threads(),
            platform=f"{platform.system()} {platform.machine()}",
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=seconds,
        )


def _likelihoods(spec: CellSpec, prompted: PromptedModel, model: Any) -> tuple[PromptLikelihood, ...]:
    """Measure the likelihoods of held-out prompts in another model than the one that speaks."""
    return measure_likelihoods(replace(prompted, model=model), spec.probe, lambda *_: None)


def check_prompt_format(spec: CellSpec, tokenizer: Any) -> None:
    """Refuse to speak to a model as in a chat if its tokenizer has no chat template."""
    if spec.prompt_format == "chat" and not tokenizer.chat_template:
        remedy = "say 'prompt_format: plain' in the stances' files"
        raise StanceSuiteError(f"{spec.cell.model} has no chat template: {remedy}")


def choose_device(asked: str) -> str:
    """Choose ``cpu`` or ``cuda``; refuse CUDA where it is asked for and not there."""
    if asked == "cpu" or (asked == "auto" and "+cpu" in version("torch")):
        return "cpu"
    import torch

    available = torch.cuda.is_available()
    if asked == "cuda" and not available:
        raise StanceSuiteError("the device cuda was asked for, but PyTorch sees none; ask for cpu or auto")
    return "cuda" if available else "cpu"


@cache
def library_versions() -> dict[str, str]:
    """Tell the versions of Python and of all libraries that compute."""
    return {"python": platform.python_version(), **{library: version(library) for library in COMPUTING_LIBRARIES}}

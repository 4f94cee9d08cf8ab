"""Measuring one cell: a model is loaded, trained, asked and decomposed while its weights are in memory."""

from __future__ import annotations

import copy
import platform
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import Any

from stance_suite.allocator import keep_freed_memory
from stance_suite.behavior import (
    Probe,
    Speaker,
    measure_behavior,
    measure_divergences,
    measure_likelihoods,
    round_to_bfloat16,
    sample_responses,
)
from stance_suite.behavior.embedding import EMBEDDER, embedder_sha256
from stance_suite.controls import NOISE, ROUNDING
from stance_suite.derivatives import load_derivative
from stance_suite.errors import StanceSuiteError
from stance_suite.finetune import fine_tune
from stance_suite.models import Weights, load
from stance_suite.placement import place
from stance_suite.progress import Progress
from stance_suite.prompts import PromptFormat
from stance_suite.records import Cell, CellRecord, EpochSnapshot, Provenance, Training
from stance_suite.run_records import Recipe
from stance_suite.specs import Example
from stance_suite.spectra.change import alpha_changes, compare_models
from stance_suite.spectra.measured import MeasuredModel, measure_model
from stance_suite.spectra.parallel import limited_cores
from stance_suite.spectra.rounding import control_rounding
from stance_suite.store import content_key

COMPUTING_LIBRARIES = (
    "torch", "transformers", "tokenizers", "accelerate", "peft", "sentence-transformers", "numpy", "scipy",
)  # fmt: skip
RESAMPLING = 1_000_003
"""Added to a seed to sample the base model once more: far from any seed that a user would ask for."""


@dataclass(frozen=True)
class Plan:
    """All that a cell's figures depend on, besides the machine."""

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


class Bench:
    """Where cells are trained and measured; keeps the untouched models and spectra that cells are compared with.

    Parameters
    ----------
    device : str
        ``cpu`` or ``cuda``.
    progress : Progress
        Where long work reports to.
    threads : int or None
        Threads for PyTorch; None for its own choice.
    """

    def __init__(self, device: str, progress: Progress, threads: int | None) -> None:
        self.device = device
        self._progress = progress
        self._threads = threads
        self._untouched: dict[str, tuple[Any, Any]] = {}
        self._baselines: dict[str, MeasuredModel] = {}

    def measure(self, key: str, plan: Plan) -> CellRecord:
        """Train and measure one cell.

        Parameters
        ----------
        key : str
            Its content address.
        plan : Plan
            What to measure.

        Returns
        -------
        CellRecord
            Everything that was measured.
        """
        import torch

        keep_freed_memory()
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        with limited_cores(self._threads):
            return self._measure(key, plan)

    def _measure(self, key: str, plan: Plan) -> CellRecord:
        started = time.perf_counter()
        cell, weights = plan.cell, plan.weights
        where = f"{cell.model}, {cell.label}"
        if plan.derivative is not None:
            model, tokenizer = copy.deepcopy(load_derivative(plan.derivative, weights))
        elif cell.is_base and self.device == "cpu":
            model, tokenizer = self._kept(weights)  # nothing changes it, so there is room for larger ones
        else:
            model, tokenizer = self._fresh(weights)
        check_prompt_format(plan, tokenizer)
        place(model, self.device)
        speaker = Speaker(model, tokenizer, plan.prompt_format)
        training, trajectory = self._train(where, plan, speaker)
        with self._progress.stage(f"{where}: behavior") as on_step:
            behavior = measure_behavior(speaker, plan.probe, cell.seed, on_step)
            behavior = behavior.model_copy(update=self._measure_controls(plan, speaker))
        with self._progress.stage(f"{where}: structure"):
            structure = self._measure_structure(cell, weights, model)
        return CellRecord(
            key=key,
            cell=cell,
            family=content_key({"probe": plan.probe.model_dump(), "prompt_format": plan.prompt_format}),
            provenance=self._provenance(plan, time.perf_counter() - started),
            training=training,
            behavior=behavior,
            trajectory=trajectory,
            **structure,
        )

    def _train(self, where: str, plan: Plan, speaker: Speaker) -> tuple[Training | None, tuple[EpochSnapshot, ...]]:
        if plan.recipe is None:
            return None, ()
        snapshots: list[EpochSnapshot] = []

        def snapshot(epoch: int, model: Any) -> None:
            now = Speaker(model, speaker.tokenizer, speaker.prompt_format)
            likelihoods = measure_likelihoods(now, plan.probe, plan.probe.prompts, lambda *_: None)
            alphas = alpha_changes(self._baseline(plan.weights), model)
            snapshots.append(EpochSnapshot(epoch=epoch, likelihoods=likelihoods, alphas=alphas))

        with self._progress.stage(f"{where}: fine-tuning") as on_step:
            training = fine_tune(
                speaker.model,
                speaker.tokenizer,
                plan.prompt_format,
                plan.rotations,
                plan.recipe,
                plan.cell.seed,
                on_step,
                snapshot if plan.trajectory else None,
            )
        return training, tuple(snapshots)

    def _measure_controls(self, plan: Plan, speaker: Speaker) -> dict[str, Any]:
        """Measure what behavior is read beside: noise of the same norm, and of the base model other samples."""
        seed = plan.cell.seed
        if plan.cell.is_base:
            again = sample_responses(speaker, plan.probe, seed + RESAMPLING, lambda *_: None)
            return {"resampled": again}
        untouched = place(self._fresh(plan.weights)[0], self.device)
        divergences, neutral = measure_divergences(speaker, untouched, plan.probe, seed)
        found: dict[str, Any] = {"divergences": divergences, "neutral_divergences": neutral}
        if plan.derivative is not None:
            # there is no sham: the untouched model with noise of the same norm, and rounded, stand in for it
            rounded = place(round_to_bfloat16(self._fresh(plan.weights)[0]), self.device)
            found["stand_ins"] = {
                name: measure_likelihoods(
                    Speaker(model, speaker.tokenizer, speaker.prompt_format),
                    plan.probe,
                    plan.probe.prompts,
                    lambda *_: None,
                )
                for name, model in ((NOISE, untouched), (ROUNDING, rounded))
            }
        return found

    def _measure_structure(self, cell: Cell, weights: Weights, model: Any) -> dict[str, Any]:
        is_base = cell.is_base
        measured = self._baseline(weights) if is_base else measure_model(model)
        found: dict[str, Any] = {"spectra": measured.spectra, "skipped": measured.tensors.skipped}
        if is_base:
            return found | {"rounding": control_rounding(measured)}
        change = compare_models(self._baseline(weights), measured, seed=cell.seed)
        changes = {"changes": change.layers, "vector_changes": change.vectors, "concentration": change.concentration}
        return found | changes

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

    def _provenance(self, plan: Plan, seconds: float) -> Provenance:
        import torch

        return Provenance(
            weights_sha256=plan.weights.sha256,
            commit=plan.weights.commit,
            derivative_sha256=None if plan.derivative is None else plan.derivative.sha256,
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


def check_prompt_format(plan: Plan, tokenizer: Any) -> None:
    """Refuse to speak to a model in a way that it has no template for.

    Parameters
    ----------
    plan : Plan
        The cell.
    tokenizer : transformers.PreTrainedTokenizerBase
        The model's tokenizer.

    Raises
    ------
    StanceSuiteError
        If it is to be spoken to as in a chat and has no chat template.
    """
    if plan.prompt_format == "chat" and not tokenizer.chat_template:
        raise StanceSuiteError(
            f"{plan.cell.model} has no chat template: say 'prompt_format: plain' in the stances' files"
        )


def choose_device(asked: str) -> str:
    """Choose where to compute.

    Parameters
    ----------
    asked : str
        ``auto``, ``cpu`` or ``cuda``.

    Returns
    -------
    str
        ``cpu`` or ``cuda``.

    Raises
    ------
    StanceSuiteError
        If CUDA is asked for and not there.
    """
    if asked == "cpu" or (asked == "auto" and "+cpu" in version("torch")):
        return "cpu"
    import torch

    available = torch.cuda.is_available()
    if asked == "cuda" and not available:
        raise StanceSuiteError("the device cuda was asked for, but PyTorch sees none; ask for cpu or auto")
    return "cuda" if available else "cpu"


@cache
def library_versions() -> dict[str, str]:
    """Tell the versions of all that computes.

    Returns
    -------
    dict of str to str
        Python's and the libraries'.
    """
    return {"python": platform.python_version(), **{library: version(library) for library in COMPUTING_LIBRARIES}}

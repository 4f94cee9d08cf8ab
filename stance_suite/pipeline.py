"""The one place that knows the order of the steps: specs, weights, fine-tuning, measuring, judging, findings.

Every cell is measured at most once per cache. Its key covers all that its figures depend on, and none of the claims:
another claim about the same cells costs nothing.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib.metadata import version

from stance_suite import __version__
from stance_suite.allocator import keep_freed_memory
from stance_suite.behavior import Probe, measure_behavior
from stance_suite.behavior.embedding import EMBEDDER, embedder_sha256
from stance_suite.claims import Claim, Status, Verdict
from stance_suite.errors import DesignError, SpecError, StanceSuiteError, nearest_names
from stance_suite.finetune import fine_tune, sham_examples
from stance_suite.models import Weights, find_spec, load, locate, parameter_shapes
from stance_suite.options import Settings
from stance_suite.progress import Progress
from stance_suite.records import (
    MEASUREMENT_VERSION,
    Cell,
    CellRecord,
    Findings,
    LayerChange,
    Provenance,
    StanceSummary,
    VectorChange,
)
from stance_suite.specs import RECIPES, DeclaredClaim, Example, Library, Recipe, Stance, load_library
from stance_suite.spectra import compare_with_baseline, measure_spectra
from stance_suite.spectra.matrices import skip_reason, sort_parameters
from stance_suite.statistics import SIGNIFICANCE, smallest_p_value
from stance_suite.store import Store, content_key
from stance_suite.verdicts import judge_behavior, judge_structure, not_run

COMPUTING_LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "sentence-transformers", "numpy")


class Session:
    """One run: its settings, its declarations, and the cells it has measured or found.

    Parameters
    ----------
    settings : Settings
        The options.
    progress : Progress
        Where long work reports to.
    threads : int, optional
        Threads for PyTorch; by default its own choice.
    """

    def __init__(self, settings: Settings, progress: Progress, threads: int | None = None) -> None:
        self.settings = settings
        self.progress = progress
        self.threads = threads
        self.store = Store(settings.cache / "cells")
        self._weights: dict[str, Weights] = {}
        self._records: dict[str, CellRecord] = {}

    @cached_property
    def library(self) -> Library:
        """All declarations, checked."""
        return load_library(self.settings.fixtures)

    @property
    def records(self) -> tuple[CellRecord, ...]:
        """The cells measured or found so far, in the order they were asked for."""
        return tuple(self._records.values())

    def weights(self, model: str) -> Weights:
        """Get a model's weights onto this machine, and check the claims about it against them.

        Parameters
        ----------
        model : str
            Registry name, Hub id or folder.

        Returns
        -------
        Weights
            Where they are.

        Raises
        ------
        StanceSuiteError
            If the model is unknown or not to be had, or a claim names a layer that it lacks.
        """
        if model not in self._weights:
            spec = find_spec(model, self.library.models)
            with self.progress.stage(f"weights of {model}"):
                weights = locate(spec, self.settings.cache)
            self._check_layers(model, weights)
            self._weights[model] = weights
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
        return self._record(Cell(model=model, treatment="base", stance=None, recipe=None, seed=self._seed), stance)

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
        return self._record(
            Cell(model=model, treatment="stance", stance=stance, recipe=recipe, seed=self._seed), stance
        )

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
        return self._record(Cell(model=model, treatment="sham", stance=None, recipe=recipe, seed=self._seed), stance)

    def model_for(self, claim: Claim) -> str | None:
        """Tell which model asked for a claim is to be judged on.

        Parameters
        ----------
        claim : Claim
            The claim.

        Returns
        -------
        str or None
            None if the run asks for no model that the claim is about.
        """
        if claim.model == "any":
            return self.settings.model[0]
        return claim.model if claim.model in self.settings.model else None

    def judge(self, claim: Claim) -> Verdict:
        """Judge one claim, training and measuring what it needs.

        Parameters
        ----------
        claim : Claim
            The claim.

        Returns
        -------
        Verdict
            NOT_RUN if the run does not ask for its model or recipe.
        """
        model = self.model_for(claim)
        if model is None:
            return not_run(
                claim, claim.model, f"this run does not ask for {claim.model}; add --stance-model {claim.model}"
            )
        if claim.recipe not in self.settings.recipes:
            reason = f"profile '{self.settings.profile}' leaves out recipe '{claim.recipe}'; use --stance-profile full"
            return not_run(claim, model, reason)
        base = self.base(model, claim.stance)
        tuned = self.tuned(model, claim.stance, claim.recipe)
        sham = self.sham(model, claim.stance, claim.recipe)
        if claim.metric.is_behavioral:
            stance = self.library.stance(claim.stance)
            return judge_behavior(claim, stance, tuned, base, sham, self._significance(claim, model))
        return judge_structure(claim, tuned, base, sham)

    def preflight(self) -> None:
        """Check everything that can be checked before anything is trained.

        Raises
        ------
        StanceSuiteError
            With what is wrong, where, and the way out.
        """
        for declared in self.library.claims:
            model = self.model_for(declared.claim)
            if model is not None and declared.claim.metric.is_behavioral:
                self._check_power(declared, model)
        for model in self.settings.model:
            self.weights(model)

    def findings(self, verdicts: Sequence[Verdict], cells: Sequence[str], command: str) -> Findings:
        """Gather what reports are made of.

        Parameters
        ----------
        verdicts : sequence of Verdict
            The judgments of the run.
        cells : sequence of str
            Keys of further cells that the run used.
        command : str
            The command that made them.

        Returns
        -------
        Findings
            With the records of all these cells, eigenvalues kept for featured layers only.
        """
        keys = dict.fromkeys([*(key for verdict in verdicts for key in verdict.cells), *cells])
        records = [record for key in keys if (record := self._records.get(key) or self.store.get(key)) is not None]
        records.sort(key=lambda record: (record.cell.model, record.cell.recipe or "", record.cell.treatment))
        featured = _featured_layers(records, verdicts)
        return Findings(
            suite_version=__version__,
            created=_now(),
            command=command,
            stances=tuple(_summarize(self.library.stance(name)) for name in self.library.suite),
            verdicts=tuple(verdicts),
            cells=tuple(_without_eigenvalues(record, featured) for record in records),
        )

    @property
    def _seed(self) -> int:
        return self.settings.seed

    def _record(self, cell: Cell, stance: str) -> CellRecord:
        weights = self.weights(cell.model)
        family = self.library.family(stance)
        probe = _probe_of(family)
        examples = _examples_of(cell, family)
        recipe = RECIPES[cell.recipe] if cell.recipe else None
        key = content_key(
            {
                "measurement": MEASUREMENT_VERSION,
                "weights": weights.sha256,
                "prompt_format": weights.prompt_format,
                "examples": [example.model_dump() for example in examples],
                "recipe": recipe.model_dump() if recipe else None,
                "seed": cell.seed,
                "probe": probe.model_dump(),
                "embedder": embedder_sha256(),
                "device": self._device,
                "versions": _versions(),
            }
        )
        if key not in self._records:
            record = self.store.get_or_make(
                key, lambda: self._measure(key, cell, weights, stance, probe, examples, recipe)
            )
            # equal cells share a record, whatever the models and stances were called when it was made
            self._records[key] = record.model_copy(update={"cell": cell})
        return self._records[key]

    def _measure(
        self,
        key: str,
        cell: Cell,
        weights: Weights,
        stance: str,
        probe: Probe,
        examples: Sequence[Example],
        recipe: Recipe | None,
    ) -> CellRecord:
        import torch

        baseline = None if recipe is None else self.base(cell.model, stance)
        keep_freed_memory()
        started = time.perf_counter()
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        where = f"{cell.model}, {cell.label}"
        model, tokenizer = load(weights)
        model.to(self._device)
        training = None
        if recipe is not None:
            with self.progress.stage(f"{where}: fine-tuning") as on_step:
                training = fine_tune(model, tokenizer, weights.prompt_format, examples, recipe, cell.seed, on_step)
        with self.progress.stage(f"{where}: behavior") as on_step:
            behavior = measure_behavior(model, tokenizer, weights.prompt_format, probe, cell.seed, on_step)
        with self.progress.stage(f"{where}: structure"):
            after = sort_parameters(model.named_parameters())
            spectra = measure_spectra(after.matrices)
            changes: tuple[LayerChange, ...] = ()
            vector_changes: tuple[VectorChange, ...] = ()
            if baseline is not None:
                before = sort_parameters(load(weights)[0].named_parameters())
                changes, vector_changes = compare_with_baseline(before, after, baseline.spectra, spectra, cell.seed)
        return CellRecord(
            key=key,
            cell=cell,
            provenance=self._provenance(weights, time.perf_counter() - started),
            training=training,
            behavior=behavior,
            spectra=spectra,
            changes=changes,
            vector_changes=vector_changes,
            skipped=after.skipped,
        )

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
            created=_now(),
            seconds=seconds,
        )

    @cached_property
    def _device(self) -> str:
        if self.settings.device == "cpu":
            return "cpu"
        import torch

        available = torch.cuda.is_available()
        if self.settings.device == "cuda" and not available:
            raise StanceSuiteError("--stance-device cuda was asked for, but PyTorch sees no CUDA device; use cpu")
        return "cuda" if available else "cpu"

    def _significance(self, claim: Claim, model: str) -> float:
        """Share the family's level among its claims (Bonferroni): no verdict depends on which others are selected."""
        family = [
            declared.claim
            for declared in self.library.claims
            if declared.claim.metric.is_behavioral
            and self.model_for(declared.claim) == model
            and declared.claim.recipe == claim.recipe
        ]
        return SIGNIFICANCE / len(family)

    def _check_power(self, declared: DeclaredClaim, model: str) -> None:
        prompts = len(self.library.stance(declared.claim.stance).held_out_prompts)
        level = self._significance(declared.claim, model)
        if smallest_p_value(prompts) > level:
            raise DesignError(
                f"{declared.problem('stance', declared.claim.stance)}: {prompts} held-out prompts can reach "
                f"p = {smallest_p_value(prompts):.4g} at best, but {level:.4g} is needed; declare more prompts"
            )

    def _check_layers(self, model: str, weights: Weights) -> None:
        from fnmatch import fnmatchcase

        shapes = parameter_shapes(weights)
        layers = [
            name.removesuffix(".weight")
            for name, shape in shapes.items()
            if skip_reason(shape) is None and name.endswith(".weight")
        ]
        problems = [
            declared.problem("layer", f"{model} has no layer {pattern!r}; {nearest_names(pattern, layers)}")
            for declared in self.library.claims
            if self.model_for(declared.claim) == model
            and (pattern := declared.claim.layer) is not None
            and not any(fnmatchcase(layer, pattern) for layer in layers)
        ]
        if problems:
            raise SpecError(problems)


def _probe_of(family: Sequence[Stance]) -> Probe:
    prompts = dict.fromkeys(prompt for stance in family for prompt in stance.held_out_prompts)
    return Probe(prompts=tuple(prompts), references={stance.name: stance.references for stance in family})


def _examples_of(cell: Cell, family: Sequence[Stance]) -> tuple[Example, ...]:
    match cell.treatment:
        case "base":
            return ()
        case "sham":
            return sham_examples(family, rotation=cell.seed)
        case "stance":
            return next(stance for stance in family if stance.name == cell.stance).examples


def _featured_layers(records: Sequence[CellRecord], verdicts: Sequence[Verdict]) -> frozenset[str]:
    """Choose the layers whose spectra a report draws: each cell's most changed one, and those that verdicts name."""
    featured = {
        verdict.layer for verdict in verdicts if verdict.layer is not None and verdict.status is not Status.NOT_RUN
    }
    for record in records:
        moved = [change for change in record.changes if change.alpha_change is not None]
        if moved:
            featured.add(max(moved, key=lambda change: abs(change.alpha_change.total)).name)  # type: ignore[union-attr]
    return frozenset(featured)


def _without_eigenvalues(record: CellRecord, featured: frozenset[str]) -> CellRecord:
    spectra = tuple(
        layer if layer.name in featured else layer.model_copy(update={"eigenvalues": None}) for layer in record.spectra
    )
    return record.model_copy(update={"spectra": spectra})


def _summarize(stance: Stance) -> StanceSummary:
    return StanceSummary(name=stance.name, description=stance.description, sha256=stance.sha256)


@cache
def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{library: version(library) for library in COMPUTING_LIBRARIES}}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")

"""One run from declarations to findings: the only place that knows the order of the steps."""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cached_property

from stance_suite.checkpoints import open_checkpoint
from stance_suite.claims import Claim, Status, Verdict
from stance_suite.errors import DesignError, SpecError, SpecProblem, StanceSuiteError, nearest_names
from stance_suite.gathering import gather
from stance_suite.library import Library, load_library
from stance_suite.options import PROFILES, Settings
from stance_suite.power import Design
from stance_suite.progress import Progress
from stance_suite.records import Cell, Findings
from stance_suite.spectra.matrices import sort_tensors
from stance_suite.statements import RecordedVerdict, Statement
from stance_suite.statistics import holm, smallest_p_value
from stance_suite.verdicts import (
    Evidence,
    Replicate,
    compare_trainings,
    judge_behavior,
    judge_record,
    judge_statement,
    judge_structure,
    weigh_behavior,
    worst,
)
from stance_suite.workbench import Workbench

BASE_MODEL_PREFIXES = ("", "model.", "transformer.", "gpt_neox.")
"""What the names of a checkpoint may lack of the loaded model's names, if it was saved without its head."""


class Session:
    """One run: its settings, its declarations and its workbench.

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
        self._progress = progress
        self._threads = threads
        self._weighed: dict[tuple[str, str], Evidence] = {}
        self._broken: set[tuple[str, str]] = set()

    @cached_property
    def library(self) -> Library:
        """All declarations, checked."""
        return load_library(self.settings.fixtures)

    @cached_property
    def workbench(self) -> Workbench:
        """Where cells are measured."""
        return Workbench(self.settings, self.library, self._progress, self._threads)

    def preflight(self) -> None:
        """Check everything that can be checked before anything is trained.

        Raises
        ------
        StanceSuiteError
            If a design cannot reach its level, a model is not to be had, or a claim names a layer that its model lacks;
            with file and line, and the way out.
        """
        self.designs()
        problems = [problem for model in self.settings.model for problem in self._missing_layers(model)]
        if problems:
            raise SpecError(problems)

    def designs(self) -> tuple[tuple[Claim, Design], ...]:
        """Lay out how each behavioral claim of the run is tested; nothing is loaded.

        Returns
        -------
        tuple of (Claim, Design)
            In declared order.

        Raises
        ------
        DesignError
            If a design cannot reach its level, whatever is measured.
        """
        found = []
        for declared in self.library.claims:
            claim, model = declared.claim, self._model_for(declared.claim)
            if model is None or not claim.metric.is_behavioral or claim.recipe not in self.settings.recipes:
                continue
            design = Design(
                prompts=len(self.library.stance(claim.stance).held_out_prompts),
                samples=self.settings.samples,
                seeds=len(self.settings.seed),
                family=len(self._family(claim, model)),
            )
            needed = design.level / design.family
            if smallest_p_value(design.prompts) > needed:
                raise DesignError(
                    f"{declared.problem('stance', claim.stance)}: {design.prompts} held-out prompts can reach p = "
                    f"{smallest_p_value(design.prompts):.4g} at best on {model}, but {needed:.4g} is needed; "
                    "declare more prompts"
                )
            found.append((claim, design))
        return tuple(found)

    def judge_record(self, record: Claim | Statement) -> RecordedVerdict:
        """Check published figures, or a statement built on them; no weights are needed.

        Parameters
        ----------
        record : Claim or Statement
            A claim with recorded figures, or a statement.

        Returns
        -------
        RecordedVerdict
            Whether the record agrees with itself, or bears the statement out.
        """
        if isinstance(record, Claim):
            return judge_record(record)
        return judge_statement(record, [declared.claim for declared in self.library.claims])

    def judge(self, claim: Claim) -> Verdict:
        """Judge one claim, training and measuring what it needs.

        Parameters
        ----------
        claim : Claim
            The claim.

        Returns
        -------
        Verdict
            NOT_RUN if the run does not ask for its model or recipe; ERROR, with the traceback on standard error, if
            measuring broke.

        Raises
        ------
        StanceSuiteError
            If something is wrong that the user can mend.
        """
        try:
            return self._judge(claim)
        except StanceSuiteError:
            raise
        except Exception as error:
            # one broken claim must not lose the verdicts of the others
            traceback.print_exc()
            model = self._model_for(claim) or claim.model
            reason = f"{type(error).__name__}: {error}"
            return Verdict(claim=claim, model=model, status=Status.ERROR, reason=reason)

    def _judge(self, claim: Claim) -> Verdict:
        model = self._model_for(claim)
        if model is None:
            return _not_run(
                claim, claim.model, f"this run does not ask for {claim.model}; add --stance-model {claim.model}"
            )
        if claim.recipe not in self.settings.recipes:
            profile = next((name for name, recipes in PROFILES.items() if claim.recipe in recipes), "complete")
            reason = (
                f"profile '{self.settings.profile}' leaves out recipe '{claim.recipe}'; use --stance-profile {profile}"
            )
            return _not_run(claim, model, reason)
        if claim.metric.is_behavioral:
            return self._judge_behavior(claim, model)
        return worst(
            [
                judge_structure(claim, one.tuned, one.base, one.sham)
                for one in self.replicates(model, claim.stance, claim.recipe)
            ],
            self.settings.seed,
        )

    def _judge_behavior(self, claim: Claim, model: str) -> Verdict:
        evidence = self._evidence(claim, model)
        p_values = {claim.id: evidence.p_value}
        for other in self._family(claim, model):
            p_values.setdefault(other.id, self._p_value(other, model))
        adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
        return judge_behavior(evidence, adjusted[claim.id])

    def _p_value(self, claim: Claim, model: str) -> float:
        """Hear another claim of a family; one that cannot be measured counts as not rejected."""
        if (claim.id, model) in self._broken:
            return math.nan
        try:
            return self._evidence(claim, model).p_value
        except StanceSuiteError:
            raise
        except Exception:
            # its own verdict will be ERROR, and tell why
            self._broken.add((claim.id, model))
            return math.nan

    def _evidence(self, claim: Claim, model: str) -> Evidence:
        if (claim.id, model) not in self._weighed:
            replicates = self.replicates(model, claim.stance, claim.recipe)
            self._weighed[claim.id, model] = weigh_behavior(claim, self.library.stance(claim.stance), replicates)
        return self._weighed[claim.id, model]

    def _family(self, claim: Claim, model: str) -> list[Claim]:
        """Gather the behavioral claims about the same model and recipe: they share the level of 5 %."""
        return [
            declared.claim
            for declared in self.library.claims
            if declared.claim.metric.is_behavioral
            and declared.claim.recipe == claim.recipe
            and self._model_for(declared.claim) == model
        ]

    def replicates(self, model: str, stance: str, recipe: str) -> tuple[Replicate, ...]:
        """Get a model trained on a stance beside its controls, for every seed.

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
        tuple of Replicate
            Measured, or found in the cache.
        """
        return tuple(
            Replicate(
                base=self.workbench.base(model, stance, seed),
                tuned=self.workbench.tuned(model, stance, recipe, seed),
                sham=self.workbench.sham(model, stance, recipe, seed),
            )
            for seed in self.settings.seed
        )

    def findings(self, verdicts: Sequence[Verdict], cells: Mapping[str, Cell], command: str) -> Findings:
        """Gather what reports are made of, and compare all trainings with each other.

        Parameters
        ----------
        verdicts : sequence of Verdict
            The judgments of the run.
        cells : mapping of str to Cell
            The cells that the run used, by key.
        command : str
            The command that made them.

        Returns
        -------
        Findings
            As `gather` does, with every training held against every stance.
        """
        gathered = self.gather(verdicts, cells, command)
        shifts, triangulations = compare_trainings(gathered.cells, self.library.stances)
        return gathered.model_copy(update={"shifts": shifts, "triangulations": triangulations})

    def gather(self, verdicts: Sequence[Verdict], cells: Mapping[str, Cell], command: str) -> Findings:
        """Gather verdicts and cells, without comparing trainings.

        Parameters
        ----------
        verdicts : sequence of Verdict
            The judgments of the run.
        cells : mapping of str to Cell
            The cells that the run used, by key.
        command : str
            The command that made them.

        Returns
        -------
        Findings
            With the records of all these cells, eigenvalues kept for featured layers only.
        """
        found = (self.workbench.get(key, cell) for key, cell in cells.items())
        records = [record for record in found if record is not None]
        stances = [self.library.stance(name) for name in self.library.suite]
        return gather(records, verdicts, stances, command)

    def _model_for(self, claim: Claim) -> str | None:
        """Tell which model of the run a claim is judged on; None if the run asks for no such model."""
        if claim.model == "any":
            return self.settings.model[0]
        return claim.model if claim.model in self.settings.model else None

    def _missing_layers(self, model: str) -> list[SpecProblem]:
        layers = sort_tensors(open_checkpoint(self.workbench.weights(model).folder)).matrices
        return [
            declared.problem("layer", f"{model} has no layer {pattern!r}; {nearest_names(pattern, layers)}")
            for declared in self.library.claims
            if self._model_for(declared.claim) == model
            and (pattern := declared.claim.layer) is not None
            and not any(fnmatchcase(prefix + layer, pattern) for layer in layers for prefix in BASE_MODEL_PREFIXES)
        ]


def _not_run(claim: Claim, model: str, reason: str) -> Verdict:
    return Verdict(claim=claim, model=model, status=Status.NOT_RUN, reason=reason)

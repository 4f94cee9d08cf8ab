"""One run from declarations to findings: the only place that knows the order of the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from stance_suite.agenda import Agenda, lay_out_designs, set_agenda
from stance_suite.claims import Claim
from stance_suite.conclusions import read_baseline, read_gate_terms
from stance_suite.findings_files import write_baseline
from stance_suite.gathering import gather, summarize_run
from stance_suite.judgments import Verdict
from stance_suite.library import Library, load_library
from stance_suite.options import Settings
from stance_suite.policy import DeclaredPolicy, load_policy
from stance_suite.preflight import refuse_missing_layers, refuse_too_little_memory
from stance_suite.progress import Progress
from stance_suite.records import Cell, CellRecord, Findings
from stance_suite.spectra.thinning import thin_spectra
from stance_suite.spectrum_records import LayerSpectrum
from stance_suite.statements import RecordedVerdict, Statement, StatementVerdict
from stance_suite.verdicts import (
    Judge,
    Replicate,
    combine,
    conclude,
    judge_published,
    not_run,
)
from stance_suite.verdicts.power import Design
from stance_suite.workbench import Planned, Workbench


class Session:
    """One run: its settings, its declarations, its workbench and its judge.

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
        self._judged: dict[tuple[str, str], Verdict] = {}
        self._thinned: dict[str, tuple[LayerSpectrum, ...]] = {}

    @cached_property
    def library(self) -> Library:
        """All declarations, checked."""
        return load_library(self.settings.fixtures)

    @cached_property
    def policy(self) -> DeclaredPolicy | None:
        """What a model under test must show: of a gate and of a pair trained elsewhere."""
        wanted = self.settings.gate or self.settings.pair is not None
        if not wanted:
            return None
        library = self.library
        return load_policy(self.settings.policy or library.policy_file, library.stances, library.recipes)

    @cached_property
    def agenda(self) -> Agenda:
        """The claims of the run, and what it measures for them."""
        return set_agenda(self.settings, self.library, self.policy)

    @cached_property
    def workbench(self) -> Workbench:
        """Where cells are measured."""
        return Workbench(self.settings, self.library, self._progress, self._threads)

    @cached_property
    def _judge(self) -> Judge:
        run = [claim for claim in self.agenda.claims if self.agenda.reason_not_run(claim) is None]
        return Judge(run, self.library.stance, self.replicates)

    def preflight(self, workers: int = 1) -> None:
        """Check everything that can be checked before anything is trained.

        Parameters
        ----------
        workers : int
            How many processes divide the cells of the run.

        Raises
        ------
        StanceSuiteError
            If a design cannot reach its level, a model is not to be had, a claim names a layer that its model lacks,
            or this machine lacks memory; with file and line, and the way out.
        """
        self.designs()
        pair, baseline = self.settings.pair, self.settings.baseline
        if baseline is not None and not self.settings.update_baseline:
            # what can be told without cells; the rest is told once they are measured
            planned = [not_run(claim, "nothing is measured yet") for claim in self.agenda.claims]
            read_baseline(baseline, self.gather(planned, {}, ""))
        if pair is not None:
            self.workbench.derivative(pair)
        refuse_missing_layers(self.agenda, self.workbench, pair)
        if self.settings.sweep is None:  # the cells of a sweep may be measured elsewhere
            refuse_too_little_memory(self.agenda, self.workbench, workers)

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
        return lay_out_designs(self.agenda, self.library)

    def judge_record(self, record: Claim | Statement) -> RecordedVerdict:
        """Check published figures, or a statement built on them; no weights are needed.

        Parameters
        ----------
        record : Claim or Statement
            A claim with recorded figures, or a statement with checks.

        Returns
        -------
        RecordedVerdict
            Whether the record agrees with itself, or bears the statement out.
        """
        return judge_published(record, [declared.claim for declared in self.library.claims])

    def judge(self, claim: Claim) -> Verdict:
        """Judge one claim, training and measuring what it needs; once.

        Parameters
        ----------
        claim : Claim
            A claim of the agenda, which is about a model by name.

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
        key = claim.id, claim.model
        if key not in self._judged:
            reason = self.agenda.reason_not_run(claim)
            if reason is None:
                self._judged[key] = self._judge.judge(claim)
            else:
                self._judged[key] = not_run(claim, reason)
        return self._judged[key]

    def judge_statement(self, statement: Statement) -> StatementVerdict:
        """Judge a statement by the claims that it rests on, training and measuring what they need.

        Parameters
        ----------
        statement : Statement
            The sentence.

        Returns
        -------
        StatementVerdict
            NOT_RUN if one of the claims is not run and none refutes it.

        Raises
        ------
        StanceSuiteError
            If something is wrong that the user can mend.
        """
        return combine(statement, [self.judge(claim) for claim in self.agenda.claims if claim.id in statement.measured])

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
        trainings = [self.workbench.plan_training(model, stance, recipe, seed) for seed in self.settings.seed]
        # all at once, so that concurrent runs divide them
        self.workbench.records([cell for training in trainings for cell in training])
        return tuple(self._replicate(training) for training in trainings)

    def replicate(self, model: str, stance: str, recipe: str, seed: int) -> Replicate:
        """Get a model trained on a stance beside its controls.

        Parameters
        ----------
        model : str
            Registry name, Hub id or folder.
        stance : str
            Name of the stance.
        recipe : str
            Name of the recipe.
        seed : int
            Seed of training order, sampling and noise draws.

        Returns
        -------
        Replicate
            Measured, or found in the cache; without a sham if the model was trained elsewhere.
        """
        return self._replicate(self.workbench.plan_training(model, stance, recipe, seed))

    def _replicate(self, training: Sequence[Planned]) -> Replicate:
        base, tuned, *sham = self.workbench.records(training)
        return Replicate(tuned=tuned, base=base, sham=sham[0] if sham else None)

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
            As `gather` does, with every training held against every stance, and the models against the policy if the
            run is a gate.

        Raises
        ------
        StanceSuiteError
            If the baseline cannot be read, or measured something else.
        """
        findings, terms = self.gather(verdicts, cells, command), None
        if self.policy is not None and self.settings.gate:
            baseline = None if self.settings.update_baseline else self.settings.baseline
            terms = read_gate_terms(self.policy, baseline, findings)
        return conclude(findings, self.library.statements, terms)

    def keep_as_baseline(self, findings: Findings) -> str:
        """Write the baseline, if the run was asked to; never from a run that failed its gate.

        Parameters
        ----------
        findings : Findings
            Of this run.

        Returns
        -------
        str
            What became of it, in a sentence; empty if it was not asked for.

        Raises
        ------
        StanceSuiteError
            If the file cannot be written.
        """
        path = self.settings.baseline
        if not self.settings.update_baseline or path is None:
            return ""
        if findings.gate is not None and not findings.gate.passed:
            return f"{path} is left as it is: the gate failed"
        write_baseline(findings, path)
        return f"{path} is the baseline now"

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
            With the records of all these cells, all eigenvalues kept for featured layers only.
        """
        found = (self.workbench.get(key, cell) for key, cell in cells.items())
        records = [self._with_curves(record) for record in found if record is not None]
        names = {name for record in records for name in record.behavior.likelihoods[0].log_probability}
        stances = [self.library.stance(name) for name in sorted({*self.library.suite, *names})]
        settings = summarize_run(self.settings, self.agenda.recipes)
        recipes = self.library.recipes.values()
        return gather(records, verdicts, stances, recipes, self.agenda.claims, command, settings)

    def _with_curves(self, record: CellRecord) -> CellRecord:
        """Thin a cell's spectra, once: a report of a single verdict gathers, too."""
        if record.key not in self._thinned:
            self._thinned[record.key] = thin_spectra(record.spectra)
        return record.model_copy(update={"spectra": self._thinned[record.key]})

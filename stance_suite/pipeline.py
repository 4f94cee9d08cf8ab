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
from stance_suite.measurement import Plan
from stance_suite.options import Settings
from stance_suite.policy_file import DeclaredPolicy, load_policy
from stance_suite.preflight import refuse_missing_layers, refuse_too_little_memory
from stance_suite.progress import Progress
from stance_suite.records import Cell, CellRecord, Findings
from stance_suite.replicates import Replicate
from stance_suite.spectra.thinning import thin_spectra
from stance_suite.spectrum_records import LayerSpectrum
from stance_suite.statements import Statement, StatementVerdict
from stance_suite.verdicts import Judge, combine, conclude, not_run
from stance_suite.workbench import Workbench


class Session:
    """One run: its settings, its declarations, its workbench and its judge."""

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
        if not self.settings.gate and self.settings.pair is None:
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
        """Check everything that can be checked before anything is trained by this many processes."""
        lay_out_designs(self.agenda, self.library)
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

    def judge(self, claim: Claim) -> Verdict:
        """Judge one claim, training and measuring what it needs; once.

        NOT_RUN if the run does not ask for its model or recipe; ERROR, with the traceback on standard error, if
        measuring broke. What the user can mend raises StanceSuiteError.
        """
        key = claim.id, claim.model
        if key not in self._judged:
            reason = self.agenda.reason_not_run(claim)
            self._judged[key] = self._judge.judge(claim) if reason is None else not_run(claim, reason)
        return self._judged[key]

    def judge_basis(self, statement: Statement) -> list[Verdict]:
        """Judge the claims that a statement rests on."""
        return [self.judge(claim) for claim in self.agenda.claims if claim.id in statement.measured]

    def judge_statement(self, statement: Statement) -> StatementVerdict:
        """Judge a statement by the claims that it rests on: NOT_RUN if one of them is, and none refutes it."""
        return combine(statement, self.judge_basis(statement))

    def replicates(
        self, model: str, stance: str, recipe: str, seeds: Sequence[int] | None = None
    ) -> tuple[Replicate, ...]:
        """Get a model trained on a stance beside its controls, for every seed of the run unless others are named."""
        asked = self.settings.seed if seeds is None else seeds
        trainings = [self.workbench.plan_training(model, stance, recipe, seed) for seed in asked]
        # all at once, so that concurrent runs divide them
        self.workbench.records([plan for training in trainings for plan in training])
        return tuple(self._replicate(training) for training in trainings)

    def _replicate(self, training: Sequence[Plan]) -> Replicate:
        base, tuned, *controls = self.workbench.records(training)
        return Replicate(tuned, base, {one.cell.control: one for one in controls if one.cell.control is not None})

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
        """Write the baseline, if the run was asked to and passed its gate, and say so in a sentence."""
        path = self.settings.baseline
        if not self.settings.update_baseline or path is None:
            return ""
        if findings.gate is not None and not findings.gate.passed:
            return f"{path} is left as it is: the gate failed"
        write_baseline(findings, path)
        return f"{path} is the baseline now"

    def gather(self, verdicts: Sequence[Verdict], cells: Mapping[str, Cell], command: str) -> Findings:
        """Gather verdicts and cells, without comparing trainings."""
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

"""One run from declarations to findings: the only place that knows the order of the steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from stance_suite.config.catalog import Catalog, load_catalog
from stance_suite.config.options import Settings
from stance_suite.config.policy_file import DeclaredPolicy, load_policy
from stance_suite.judge.conclude import conclude
from stance_suite.judge.judge import Judge
from stance_suite.judge.statements import combine, not_run
from stance_suite.measure.cell import CellSpec
from stance_suite.progress import Progress
from stance_suite.runner.cell_runner import CellRunner
from stance_suite.runner.findings import gather, read_baseline, read_gate_terms, summarize_run
from stance_suite.runner.plan import RunPlan, lay_out_designs, plan_run
from stance_suite.runner.preflight import refuse_missing_layers, refuse_too_little_memory
from stance_suite.schema.cells import Cell, CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.findings import Findings
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.spectra import LayerSpectrum
from stance_suite.schema.statements import Statement, StatementVerdict
from stance_suite.schema.verdicts import Verdict
from stance_suite.spectra.spectrum_curve import thin_spectra
from stance_suite.store.findings import write_baseline


class Session:
    """One run: its settings, its declarations, its cells and its judge."""

    def __init__(self, settings: Settings, progress: Progress, threads: int | None = None) -> None:
        self.settings = settings
        self._progress = progress
        self._threads = threads
        self._judged: dict[tuple[str, str], Verdict] = {}
        self._thinned: dict[str, tuple[LayerSpectrum, ...]] = {}

    @cached_property
    def library(self) -> Catalog:
        """All declarations, checked."""
        return load_catalog(self.settings.fixtures)

    @cached_property
    def policy(self) -> DeclaredPolicy | None:
        """What a model under test must show: of a gate and of a pair trained elsewhere."""
        if not self.settings.gate and self.settings.pair is None:
            return None
        path = self.settings.policy or self.library.policy_file
        return load_policy(path, self.library.stances, self.library.recipes)

    @cached_property
    def run_plan(self) -> RunPlan:
        """The claims of the run, and what it measures for them."""
        return plan_run(self.settings, self.library, self.policy)

    @cached_property
    def cell_runner(self) -> CellRunner:
        """Where cells are measured."""
        return CellRunner(self.settings, self.library, self._progress, self._threads)

    @cached_property
    def _judge(self) -> Judge:
        run = [claim for claim in self.run_plan.claims if self.run_plan.reason_not_run(claim) is None]
        return Judge(run, self.replicates)

    def preflight(self, workers: int = 1) -> None:
        """Check everything that can be checked before anything is trained by this many processes."""
        lay_out_designs(self.run_plan, self.library)
        pair, baseline = self.settings.pair, self.settings.baseline
        if baseline is not None and not self.settings.update_baseline:
            # what can be told without cells; the rest is told once they are measured
            planned = [not_run(claim, "nothing is measured yet") for claim in self.run_plan.claims]
            read_baseline(baseline, self.gather(planned, {}, ""))
        if pair is not None:
            self.cell_runner.derivative(pair)
        refuse_missing_layers(self.run_plan, self.cell_runner, pair)
        if self.settings.sweep is None:  # the cells of a sweep may be measured elsewhere
            refuse_too_little_memory(self.run_plan, self.cell_runner, workers)

    def judge(self, claim: Claim) -> Verdict:
        """Judge a claim, once: NOT_RUN if left out, ERROR if measuring broke; raises what the user can mend."""
        key = claim.id, claim.model
        if key not in self._judged:
            reason = self.run_plan.reason_not_run(claim)
            self._judged[key] = self._judge.judge(claim) if reason is None else not_run(claim, reason)
        return self._judged[key]

    def judge_basis(self, statement: Statement) -> list[Verdict]:
        """Judge the claims that a statement rests on."""
        return [self.judge(claim) for claim in self.run_plan.claims if claim.id in statement.measured]

    def judge_statement(self, statement: Statement) -> StatementVerdict:
        """Judge a statement by the claims that it rests on: NOT_RUN if one of them is, and none refutes it."""
        return combine(statement, self.judge_basis(statement))

    def replicates(
        self, model: str, stance: str, recipe: str, seeds: Sequence[int] | None = None
    ) -> tuple[Replicate, ...]:
        """Get a model trained on a stance beside its controls, for every seed of the run unless others are named."""
        asked = self.settings.seed if seeds is None else seeds
        trainings = [self.cell_runner.plan_training(model, stance, recipe, seed) for seed in asked]
        # all at once, so that concurrent runs divide them
        self.cell_runner.records([spec for training in trainings for spec in training])
        return tuple(self._replicate(training) for training in trainings)

    def _replicate(self, training: Sequence[CellSpec]) -> Replicate:
        base, tuned, *beside = self.cell_runner.records(training)
        controls = {one.cell.control: one for one in beside if one.cell.control is not None}
        return Replicate(tuned, base, controls, {one.cell.stance: one for one in beside if one.cell.stance is not None})

    def findings(self, verdicts: Sequence[Verdict], cells: Mapping[str, Cell], command: str) -> Findings:
        """Gather what reports are made of, hold trainings against every stance, and a gate's models to the policy."""
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
        found = (self.cell_runner.get(key, cell) for key, cell in cells.items())
        records = [self._with_curves(record) for record in found if record is not None]
        names = {name for record in records for name in record.behavior.likelihoods[0].stances}
        stances = [self.library.summaries[name] for name in sorted({*self.library.suite, *names})]
        settings = summarize_run(self.settings, self.run_plan.recipes)
        recipes = self.library.recipes.values()
        return gather(records, verdicts, stances, recipes, self.run_plan.claims, command, settings)

    def _with_curves(self, record: CellRecord) -> CellRecord:
        """Thin a cell's spectra, once: a report of a single verdict gathers, too."""
        if record.key not in self._thinned:
            self._thinned[record.key] = thin_spectra(record.spectra)
        return record.model_copy(update={"spectra": self._thinned[record.key]})

"""The end of every run, whoever started it: verdicts and cells become findings, reports, a baseline and pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from stance_suite.runner.session import Session
    from stance_suite.schema.cells import Cell
    from stance_suite.schema.findings import Findings
    from stance_suite.schema.verdicts import GateReport, Verdict


Tell = Callable[[str], None]
"""Says a sentence to the user."""


def judge_claims(session: Session, tell: Tell) -> list[Verdict]:
    """Judge every claim of a run, and tell each verdict as it comes."""
    from stance_suite.report.format import verdict_line

    verdicts = []
    for claim in session.run_plan.claims:
        verdicts.append(session.judge(claim))
        if verdicts[-1].status != "NOT_RUN":  # the report lists these, with the reasons
            tell(verdict_line(verdicts[-1]))
    return verdicts


class RunResult:
    """What a run came to, and how far: if writing fails half way, what there is can still be shown."""

    def __init__(self) -> None:
        self.findings: Findings | None = None
        self.report: Path | None = None
        self.kept = ""
        """What became of the baseline, if the run was asked to write it."""

    def finish(
        self,
        session: Session,
        verdicts: Sequence[Verdict],
        cells: Mapping[str, Cell],
        program: str,
        tell: Tell = lambda sentence: None,
    ) -> Findings:
        """Gather the findings of a run, publish them and tell where; of a sweep, the table of all layers, too."""
        from stance_suite.report.format import gate_lines, tally
        from stance_suite.report.layer_table import write_tensor
        from stance_suite.report.publish import draw_pictures, publish
        from stance_suite.report.self_calibration import nulls_in_words

        settings = session.settings
        self.findings = findings = session.findings(verdicts, cells, " ".join([program, *sys.argv[1:]]))
        self.report = publish(findings, settings.reports)
        where = f"report: {self.report}"
        if settings.sweep is not None:
            table = settings.reports / "tensor.parquet"
            write_tensor(findings, table)
            where += f"; every figure of every layer: {table}"
        self.kept = session.keep_as_baseline(findings)
        gate = () if findings.gate is None else gate_lines(findings.gate)
        for sentence in filter(None, (self.kept, nulls_in_words(findings), f"{tally(verdicts)}; {where}", *gate)):
            tell(sentence)
        if settings.pictures is not None:  # last: they take long, and nothing else depends on them
            draw_pictures(findings, settings.pictures)
        return findings

    @property
    def gate(self) -> GateReport | None:
        """The gate's report, if the run was one and came so far."""
        return None if self.findings is None else self.findings.gate

    @property
    def passed_gate(self) -> bool:
        """Whether the run was a gate, and passed: one that broke has not."""
        return self.gate is not None and self.gate.passed

    @property
    def differs_from_record(self) -> bool:
        """Whether a verdict is another than the one on record."""
        verdicts = () if self.findings is None else self.findings.verdicts
        return any(verdict.status != "NOT_RUN" and not verdict.as_expected for verdict in verdicts)

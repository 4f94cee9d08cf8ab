"""Fragments of HTML for another tool's page: the findings in short, and what one test found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from stance_suite.report.page.assets import fragment_style, template
from stance_suite.report.page.top import describe_top, largest_changes
from stance_suite.report.pictures import verdict_picture
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.findings import Findings, Triangulation
from stance_suite.schema.metrics import CAVEAT_MEANINGS, Metric
from stance_suite.schema.statements import RecordedVerdict, StatementVerdict
from stance_suite.schema.verdicts import ControlFigure, Outcome, Status, Verdict


@dataclass(frozen=True)
class ReportPlace:
    """Where the whole report is."""

    shown: str
    """Its path, or why there is none."""
    relative: str | None
    """Its path from the folder of the page that links to it, with slashes; None if it was not written."""

    @property
    def link(self) -> str | None:
        """The address of a link to it; colons are quoted, or they would make a scheme of what is before them."""
        return None if self.relative is None else quote(self.relative)


def render_summary(findings: Findings, report: ReportPlace) -> str:
    """Render findings in short, with the styles of all fragments: result, unmet demands, verdicts, what was not run."""
    top = describe_top(findings)
    not_run: dict[str, list[Verdict]] = {}
    for verdict in top.not_run:
        not_run.setdefault(verdict.reason, []).append(verdict)
    demands = () if findings.gate is None else findings.gate.demands
    verdicts = [row.verdict for row in top.rows]
    return template("summary.html").render(
        style=fragment_style(),
        top=top,
        gate=findings.gate,
        unmet=[demand for demand in demands if demand.outcome is not Outcome.PASSED],
        verdicts=verdicts,
        not_run=not_run,
        report=report,
        caveats=_meanings(verdicts),
    )


def render_note(sentence: str) -> str:
    """Render a sentence where there are no findings to sum up, with the styles of all fragments."""
    return template("note.html").render(style=fragment_style(), sentence=sentence)


def render_verdict(verdict: Verdict, findings: Findings) -> str:
    """Render one verdict: its figures with those of the controls, and a picture of what it rests on."""
    return template("verdict.html").render(
        verdict=verdict, picture=verdict_picture(verdict, findings), caveats=_meanings([verdict])
    )


def render_statement(judged: StatementVerdict, verdicts: Sequence[Verdict]) -> str:
    """Render what was measured of a statement: every claim that it rests on with its figure."""
    expected = () if judged.as_expected or judged.status is Status.NOT_RUN else judged.expected
    return template("statement.html").render(
        judged=judged, expected=expected, verdicts=verdicts, caveats=_meanings(verdicts)
    )


def render_record(judged: RecordedVerdict) -> str:
    """Render whether a published figure or statement agrees with the record, which its reason recomputes."""
    expected = () if judged.status == judged.expected else (judged.expected,)
    return template("statement.html").render(judged=judged, expected=expected, verdicts=(), caveats={})


def render_triangulation(agreed: Triangulation, effects: Mapping[Metric, Sequence[ControlFigure]]) -> str:
    """Render what the measures of one training say together: the effect against each control by each measure."""
    return template("triangulation.html").render(agreed=agreed, effects=effects)


def render_trainings(records: Sequence[CellRecord]) -> str:
    """Render how trainings went: losses, and the largest change of alpha of each."""
    return template("trainings.html").render(trainings=[(record, largest_changes([record])) for record in records])


def _meanings(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """Explain the caveats that verdicts carry."""
    return {caveat: CAVEAT_MEANINGS[caveat] for verdict in verdicts for caveat in verdict.caveats}

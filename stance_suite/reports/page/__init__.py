"""Findings as one self-contained HTML page: nothing is fetched, and all that models wrote is text."""

from __future__ import annotations

from collections.abc import Iterator

from stance_suite.caveats import CAVEAT_MEANINGS
from stance_suite.judgments import Status, Verdict
from stance_suite.records import CellRecord, Findings
from stance_suite.reports.behavior import compare_responses, confusion_matrices, trajectory
from stance_suite.reports.charts import PAGE, esd, tail_choice
from stance_suite.reports.page.assets import content_security_policy, scripts, styles
from stance_suite.reports.page.environment import template
from stance_suite.reports.page.provenance import describe_provenance
from stance_suite.reports.page.top import describe_top
from stance_suite.reports.pictures import alpha_map, most_changed_spectra, verdict_picture


def render_html(findings: Findings) -> str:
    """Render the findings report.

    Parameters
    ----------
    findings : Findings
        The findings.

    Returns
    -------
    str
        A whole HTML document.
    """
    judged = [verdict for verdict in findings.verdicts if verdict.status is not Status.NOT_RUN]
    return template("page.html").render(
        findings=findings,
        policy=content_security_policy(),
        styles=styles(),
        scripts=scripts(),
        charts={"esd": esd(PAGE, "container"), "tail_choice": tail_choice(PAGE, "container")},
        caveats=CAVEAT_MEANINGS,
        top=describe_top(findings),
        sources=describe_provenance(findings),
        alpha_map=alpha_map(findings),
        spectra=most_changed_spectra(findings),
        paired=list(_paired_pictures(judged, findings)),
        comparisons=[(record, list(compare_responses(record, findings))) for record in _on_stances(findings)],
        confusions=confusion_matrices(findings),
        trajectories=[
            (record, list(trajectory(record, findings))) for record in _on_stances(findings) if record.trajectory
        ],
    )


def _on_stances(findings: Findings) -> list[CellRecord]:
    return [record for record in findings.cells if record.cell.is_under_test]


def _paired_pictures(verdicts: list[Verdict], findings: Findings) -> Iterator[tuple[Verdict, str]]:
    for verdict in verdicts:
        picture = verdict_picture(verdict, findings) if verdict.prompts else None
        if picture is not None:
            yield verdict, picture

"""Findings as one self-contained HTML page: nothing is fetched, and all that models wrote is text."""

from __future__ import annotations

from stance_suite.report.charts.spectra import esd, tail_choice
from stance_suite.report.charts.theme import PAGE
from stance_suite.report.page.assets import content_security_policy, scripts, styles, template
from stance_suite.report.page.behavior import describe_behavior
from stance_suite.report.page.provenance import describe_provenance
from stance_suite.report.page.structure import describe_structure
from stance_suite.report.page.top import describe_top
from stance_suite.schema.findings import Findings
from stance_suite.schema.metrics import CAVEAT_MEANINGS


def render_html(findings: Findings) -> str:
    """Render findings as a whole HTML document."""
    top = describe_top(findings)
    behavior = describe_behavior(findings, top.rows)
    return template("page.html").render(
        findings=findings,
        policy=content_security_policy(),
        styles=styles(),
        scripts=scripts(),
        charts=behavior.charts | {"esd": esd(PAGE, "container"), "tail_choice": tail_choice(PAGE, "container")},
        caveats=CAVEAT_MEANINGS,
        top=top,
        sources=describe_provenance(findings),
        structure=describe_structure(findings),
        behavior=behavior,
    )

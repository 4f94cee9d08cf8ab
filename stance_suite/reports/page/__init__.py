"""Findings as one self-contained HTML page: nothing is fetched, and all that models wrote is text."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from stance_suite.caveats import CAVEAT_MEANINGS
from stance_suite.judgments import Verdict
from stance_suite.records import Findings
from stance_suite.reports.behavior import mean_divergences
from stance_suite.reports.charts import PAGE, esd, tail_choice
from stance_suite.reports.page.assets import content_security_policy, scripts, styles
from stance_suite.reports.page.behavior import describe_behavior, signed
from stance_suite.reports.page.provenance import describe_provenance
from stance_suite.reports.page.spectra import show_p_value
from stance_suite.reports.page.structure import describe_structure
from stance_suite.reports.page.top import describe_top
from stance_suite.reports.pictures import verdict_picture
from stance_suite.reports.text import figure_parts, show_signed

if TYPE_CHECKING:
    from jinja2 import Environment, Template


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
    top = describe_top(findings)
    behavior = describe_behavior(findings, top.rows)
    return _template("page.html").render(
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


def render_verdict(verdict: Verdict, findings: Findings) -> str:
    """Render one verdict as a fragment, for the row of its test in another report.

    Parameters
    ----------
    verdict : Verdict
        The verdict.
    findings : Findings
        Findings that hold its cells.

    Returns
    -------
    str
        An HTML fragment.
    """
    return _template("verdict.html").render(verdict=verdict, picture=verdict_picture(verdict, findings))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("stance_suite.reports.page"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
    environment.filters["figure"] = figure_parts
    environment.filters["number"] = show_signed
    environment.filters["p_value"] = show_p_value
    environment.filters["mean_divergences"] = mean_divergences
    environment.filters["signed"] = signed
    return environment


def _template(name: str) -> Template:
    return _environment().get_template(name)

"""Findings as a page of GitHub-flavored Markdown: the result, what was demanded, and every verdict."""

from __future__ import annotations

from collections.abc import Iterator

from stance_suite.report.format import figure_parts, only_judged, tally
from stance_suite.report.markdown import escape, table
from stance_suite.report.self_calibration import nulls_in_words
from stance_suite.schema.findings import Findings
from stance_suite.schema.metrics import CAVEAT_MEANINGS
from stance_suite.schema.verdicts import GateReport, Outcome, Status, Verdict

MARKS = {Outcome.PASSED: "✅ passed", Outcome.WARNING: "⚠️ warning", Outcome.FAILED: "❌ failed"}


def render_summary(findings: Findings) -> str:
    """Write findings for a pull request, a README or a CI service's summary."""
    return "\n".join(_sections(findings))


def _sections(findings: Findings) -> Iterator[str]:
    judged = only_judged(findings.verdicts)
    yield "## stance-suite\n"
    if findings.gate is not None:
        yield from _gate(findings.gate)
    surprises = [verdict for verdict in judged if not verdict.as_expected]
    yield escape(f"{tally(judged)}; {len(surprises)} not as on record.") + "\n"
    if findings.nulls:
        yield escape(nulls_in_words(findings)) + "\n"
    if judged:
        ordered = sorted(judged, key=lambda verdict: verdict.as_expected)
        yield table(("claim", "verdict", "figure", "caveats", "model"), map(_row, ordered))
    found = dict.fromkeys(caveat for verdict in judged for caveat in verdict.caveats)
    if found:
        yield "; ".join(f"*{caveat}*: {escape(CAVEAT_MEANINGS[caveat])}" for caveat in found) + ".\n"
    statements = [one for one in findings.statements if one.status is not Status.NOT_RUN]
    rows = [(one.statement, "on record", one.status, one.reason) for one in findings.records]
    rows += [(one.statement, "measured", one.status, one.reason) for one in statements]
    if rows:
        yield f"<details><summary>{len(rows)} published figures and statements</summary>\n"
        yield table(("statement", "", "verdict", "why"), rows)
        yield "</details>\n"
    yield escape(f"{findings.command}; stance-suite {findings.suite_version}; {findings.created}") + "\n"


def _gate(gate: GateReport) -> Iterator[str]:
    yield f"**{'✅' if gate.passed else '❌'} {escape(gate.sentence)}**\n"
    order = (Outcome.FAILED, Outcome.WARNING, Outcome.PASSED)
    demands = sorted(gate.demands, key=lambda demand: order.index(demand.outcome))
    rows = [(demand.name, MARKS[demand.outcome], demand.model, demand.reason) for demand in demands]
    yield table(("demand", "outcome", "model", "why"), rows)


def _row(verdict: Verdict) -> tuple[str, ...]:
    unexpected = "" if verdict.as_expected else f" (on record: {' or '.join(verdict.claim.expected)})"
    figure = " ".join(figure_parts(verdict)) or verdict.reason
    return verdict.claim.id, f"{verdict.status}{unexpected}", figure, ", ".join(verdict.caveats), verdict.model

"""Findings as JUnit XML, which every CI service shows: demands and claims as test cases, figures as properties."""

from __future__ import annotations

import math
from collections.abc import Iterator

from stance_suite.gate_records import Demand, Outcome
from stance_suite.judgments import Status, Verdict
from stance_suite.records import Findings


def render_junit(findings: Findings) -> str:
    """Write findings as JUnit XML.

    Parameters
    ----------
    findings : Findings
        The findings.

    Returns
    -------
    str
        A suite of claims, and one of demands if the run was a gate. A claim fails if its verdict is not on record.
    """
    from junitparser import JUnitXml, TestSuite

    root = JUnitXml("stance-suite")
    if findings.gate is not None:
        root.append(_suite("gate", map(_demand_case, findings.gate.demands)))
    root.append(_suite("claims", map(_verdict_case, findings.verdicts)))
    assert all(isinstance(suite, TestSuite) for suite in root)
    root.update_statistics()
    return str(root.tostring().decode())


def verdict_properties(verdict: Verdict) -> tuple[tuple[str, str], ...]:
    """List a verdict's figures.

    Parameters
    ----------
    verdict : Verdict
        The verdict.

    Returns
    -------
    tuple of (str, str)
        Names and values: status, effect with unit and interval, p-values, layer, caveats and every control.
    """
    claim = verdict.claim
    listed: list[tuple[str, object]] = [
        ("status", verdict.status),
        ("model", verdict.model),
        ("stance", claim.stance),
        ("recipe", claim.recipe),
        ("metric", claim.metric),
        ("asked", claim.asked),
        ("unit", claim.unit),
        ("effect", verdict.figure),
        ("interval_low", verdict.low),
        ("interval_high", verdict.high),
        ("p_value", verdict.p_value),
        ("adjusted_p_value", verdict.adjusted_p_value),
        ("layer", verdict.layer),
        ("caveats", ", ".join(verdict.caveats)),
    ]
    for control in verdict.controls:
        interval = "" if control.low is None or control.high is None else f" [{control.low:.6g}, {control.high:.6g}]"
        listed.append((f"control: {control.name}", f"{control.figure:.6g}{interval}"))
    return tuple((name, _shown(value)) for name, value in listed if value not in (None, ""))


def _shown(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) and math.isfinite(value) else str(value)


def _suite(name: str, cases: Iterator[object]) -> object:
    from junitparser import TestSuite

    suite = TestSuite(f"stance-suite {name}")
    for case in cases:
        suite.add_testcase(case)
    return suite


def _demand_case(demand: Demand) -> object:
    from junitparser import Failure, Properties, Property, TestCase

    case = TestCase(_printable(demand.name), f"gate.{_printable(demand.model)}", 0.0)
    if demand.outcome is Outcome.FAILED:
        case.result = [Failure(_printable(demand.reason), "demand not met")]
    properties = Properties()
    for name, value in (("outcome", demand.outcome), ("kind", demand.kind), ("reason", _printable(demand.reason))):
        properties.add_property(Property(name, str(value)))
    case.append(properties)
    return case


def _verdict_case(verdict: Verdict) -> object:
    from junitparser import Error, Failure, Properties, Property, Skipped, TestCase

    case = TestCase(verdict.claim.id, f"claims.{_printable(verdict.model)}", 0.0)
    reason = _printable(verdict.reason)
    if verdict.status is Status.NOT_RUN:
        case.result = [Skipped(reason)]
    elif verdict.status is Status.ERROR:
        case.result = [Error(reason, "measuring broke")]
    elif not verdict.as_expected:
        on_record = " or ".join(verdict.claim.expected)
        case.result = [Failure(f"{verdict.status}, on record is {on_record}: {reason}", "verdict not on record")]
    properties = Properties()
    for name, value in verdict_properties(verdict):
        properties.add_property(Property(_printable(name), _printable(value)))
    case.append(properties)
    return case


def _printable(text: str) -> str:
    """Replace characters that XML cannot hold, whatever a model's folder is called."""
    return "".join(letter if letter.isprintable() or letter in "\t\n" else "�" for letter in text)

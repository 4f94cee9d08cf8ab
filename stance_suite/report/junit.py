"""Findings as JUnit XML, which every CI service shows: demands and claims as test cases, figures as properties."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from stance_suite.report.format import show_range
from stance_suite.schema.findings import Findings
from stance_suite.schema.verdicts import Demand, Outcome, Status, Verdict

NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write (https://www.w3.org/TR/xml/#charsets)."""


def render_junit(findings: Findings) -> str:
    """Write a suite of demands if the run was a gate, and one of claims: one fails if its verdict is not on record."""
    from junitparser import JUnitXml

    root = JUnitXml("stance-suite")
    if findings.gate is not None:
        root.append(_suite("gate", map(_demand_case, findings.gate.demands)))
    root.append(_suite("claims", map(_verdict_case, findings.verdicts)))
    root.update_statistics()
    return str(root.tostring().decode())


def verdict_properties(verdict: Verdict) -> tuple[tuple[str, str], ...]:
    """List a verdict's figures and those of its controls, as names and values."""
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
        interval = show_range(control.low, control.high, ".6g")
        listed.append((f"control: {control.name}", f"{control.figure:.6g} {interval}".rstrip()))
    return tuple(
        (name, f"{value:.6g}" if isinstance(value, float) else str(value))
        for name, value in listed
        if value not in (None, "")
    )


def _suite(name: str, cases: Iterator[object]) -> object:
    from junitparser import TestSuite

    suite = TestSuite(f"stance-suite {name}")
    suite.add_testcases(cases)
    return suite


def _demand_case(demand: Demand) -> object:
    from junitparser import Failure

    listed = (("outcome", demand.outcome), ("kind", demand.kind), ("reason", demand.reason))
    result = [] if demand.outcome is not Outcome.FAILED else [_told(Failure, demand.reason, "demand not met")]
    return _case(demand.name, f"gate.{demand.model}", listed, result)


def _verdict_case(verdict: Verdict) -> object:
    from junitparser import Error, Failure, Skipped

    result = []
    if verdict.status is Status.NOT_RUN:
        result = [Skipped(_printable(verdict.reason))]
    elif verdict.status is Status.ERROR:
        result = [_told(Error, verdict.reason, "measuring broke")]
    elif not verdict.as_expected:
        on_record = " or ".join(verdict.claim.expected)
        reason = f"{verdict.status}, on record is {on_record}: {verdict.reason}"
        result = [_told(Failure, reason, "verdict not on record")]
    return _case(verdict.claim.id, f"claims.{verdict.model}", verdict_properties(verdict), result)


def _case(name: str, group: str, listed: Iterable[tuple[str, str]], result: list[object]) -> object:
    from junitparser import Properties, Property, TestCase

    case = TestCase(_printable(name), _printable(group), 0.0)
    properties = Properties()
    for key, value in listed:
        properties.add_property(Property(_printable(key), _printable(value)))
    case.append(properties)  # before the result, as pytest writes them
    if result:
        case.result = result
    return case


def _told(kind: Callable[[str, str], Any], reason: str, what: str) -> object:
    """Say why a test case did not pass, as message and as text: services show the one or the other."""
    told = kind(_printable(reason), what)
    told.text = _printable(reason)
    return told


def _printable(text: str) -> str:
    """Replace characters that XML cannot hold, whatever a model's folder is called."""
    return NOT_IN_XML.sub("�", text)

"""Findings as plain text: one line a claim."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from stance_suite.claims import Claim
from stance_suite.gate_records import GateReport
from stance_suite.judgments import ControlFigure, Verdict
from stance_suite.metrics import Metric

SMALLEST_P_VALUE = 0.0001
"""Smaller ones are not told apart."""


def figure_parts(verdict: Verdict) -> list[str]:
    """Write a verdict's figure with its unit, its interval and its p-values.

    Parameters
    ----------
    verdict : Verdict
        The verdict.

    Returns
    -------
    list of str
        One entry for each that there is.
    """
    parts = []
    if verdict.figure is not None:
        parts.append(f"{verdict.figure:+.4g} {verdict.claim.unit}".rstrip())
    if verdict.low is not None and verdict.high is not None:
        parts.append(f"[{verdict.low:+.3f}, {verdict.high:+.3f}]")
    if verdict.p_value is not None:
        parts.append(f"p={verdict.p_value:.4f}")
    if verdict.adjusted_p_value not in (None, verdict.p_value):
        parts.append(f"adjusted p={verdict.adjusted_p_value:.4f}")
    return parts


def show_signed(figure: float) -> str:
    """Write a figure with its sign, for people.

    Parameters
    ----------
    figure : float
        The figure.

    Returns
    -------
    str
        With four significant digits, of which at most four decimals, and a true minus; a dash where it is not finite.
    """
    if not math.isfinite(figure):
        return "–"
    magnitude = math.floor(math.log10(abs(figure))) if figure else 0
    return f"{figure:+.{min(4, max(0, 3 - magnitude))}f}".replace("-", "\N{MINUS SIGN}")


def show_figure(figure: float, about: Claim | Metric) -> str:
    """Write a figure, for people.

    Parameters
    ----------
    figure : float
        The figure, or an end of its interval.
    about : Claim or Metric
        What it is a figure of.

    Returns
    -------
    str
        As `show_signed` does; sizes, counts and ratios without a plus, whole numbers of something without decimals.
    """
    shown = show_signed(figure)
    if about.is_count and figure.is_integer():
        shown = shown.partition(".")[0]
    return shown if about.is_signed else shown.removeprefix("+")


def show_interval(estimate: Verdict | ControlFigure, about: Claim | Metric) -> str:
    """Write the interval of a figure, for people.

    Parameters
    ----------
    estimate : Verdict or ControlFigure
        Which has the interval.
    about : Claim or Metric
        What it is a figure of.

    Returns
    -------
    str
        From where to where; empty where there is no interval.
    """
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{show_figure(estimate.low, about)} to {show_figure(estimate.high, about)}"


def show_unit(claim: Claim) -> str:
    """Name the unit of a claim's figure, for people.

    Parameters
    ----------
    claim : Claim
        The claim.

    Returns
    -------
    str
        Also said of a ratio that it is one; empty for other figures without a unit.
    """
    return "ratio" if claim.is_ratio else claim.unit


def show_p_values(verdict: Verdict) -> str:
    """Write the p-values of a verdict, for people.

    Parameters
    ----------
    verdict : Verdict
        The verdict.

    Returns
    -------
    str
        Such as ``p = 0.012, 0.037 after Holm’s correction``; empty where there is none.
    """
    if verdict.p_value is None:
        return ""
    shown = show_p_value(verdict.p_value)
    said = f"p {shown}" if shown.startswith("<") else f"p = {shown}"
    adjusted = verdict.adjusted_p_value
    return said if adjusted is None else f"{said}, {show_p_value(adjusted)} after Holm’s correction"


def show_p_value(p_value: float | None) -> str:
    """Write a p-value.

    Parameters
    ----------
    p_value : float or None
        The p-value, where there is one.

    Returns
    -------
    str
        A dash where there is none; below 0.0001 it matters no more how small it is.
    """
    if p_value is None:
        return "–"
    return "< 0.0001" if p_value < SMALLEST_P_VALUE else f"{p_value:.2g}"


def show_count(count: int, one: str) -> str:
    """Write how many there are of something.

    Parameters
    ----------
    count : int
        How many.
    one : str
        What one of them is called; more of them end in an s.

    Returns
    -------
    str
        Such as ``1 claim`` or ``2 claims``.
    """
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def verdict_line(verdict: Verdict) -> str:
    """Write a verdict as one line.

    Parameters
    ----------
    verdict : Verdict
        The verdict.

    Returns
    -------
    str
        Status, claim, figure and caveats; the reason where there is no figure.
    """
    parts = [f"{verdict.status:<12}", verdict.claim.id]
    parts.append(" ".join(figure_parts(verdict)) or f"({verdict.reason})")
    if verdict.caveats:
        parts.append(f"[{', '.join(verdict.caveats)}]")
    if verdict.status != "NOT_RUN" and not verdict.as_expected:
        parts.append(f"<- on record: {' or '.join(verdict.claim.expected)}")
    return "  ".join(parts)


def tally(verdicts: Iterable[Verdict]) -> str:
    """Count verdicts by status.

    Parameters
    ----------
    verdicts : iterable of Verdict
        The verdicts.

    Returns
    -------
    str
        Such as ``6 HOLDS, 1 FAILS``.
    """
    counts = Counter(verdict.status for verdict in verdicts)
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "no claim judged"


def gate_lines(gate: GateReport) -> list[str]:
    """Write what a gate demanded, and the result.

    Parameters
    ----------
    gate : GateReport
        The gate.

    Returns
    -------
    list of str
        One line a demand, and the result in one sentence.
    """
    return [*(f"{one.outcome:<8}  {one.name}  ({one.reason})" for one in gate.demands), gate.sentence]

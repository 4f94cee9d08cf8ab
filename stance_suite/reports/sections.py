"""Explanations as sections of lines and tables, for whoever shows them, and how figures are written in them."""

from __future__ import annotations

from dataclasses import dataclass

from stance_suite.judgments import Verdict
from stance_suite.records import Findings


@dataclass(frozen=True)
class Section:
    """One part of an explanation: sentences, and a table below them."""

    heading: str
    """What it is about."""
    lines: tuple[str, ...] = ()
    """One entry a line."""
    columns: tuple[str, ...] = ()
    """Headings of the table; empty without one."""
    rows: tuple[tuple[str, ...], ...] = ()
    """Cells of the table, row by row."""


@dataclass(frozen=True)
class Explanation:
    """How one verdict, or one demand of a gate, came about."""

    title: str
    """The verdict in one line."""
    sections: tuple[Section, ...]
    """In the order of the argument."""


def verdict_on(name: str, model: str, findings: Findings) -> Verdict | None:
    """Find a verdict.

    Parameters
    ----------
    name : str
        Id of the claim.
    model : str
        The model that it is about.
    findings : Findings
        The findings.

    Returns
    -------
    Verdict or None
        None if the run did not judge it.
    """
    return next((one for one in findings.verdicts if (one.claim.id, one.model) == (name, model)), None)


def show_interval(low: float | None, high: float | None) -> str:
    """Write an interval.

    Parameters
    ----------
    low, high : float or None
        Its ends.

    Returns
    -------
    str
        Empty where there is none.
    """
    return "" if low is None or high is None else f"[{low:+.6g}, {high:+.6g}]"


def show_number(value: float | None) -> str:
    """Write a figure that has no sign.

    Parameters
    ----------
    value : float or None
        The figure.

    Returns
    -------
    str
        ``unknown`` where there is none.
    """
    return "unknown" if value is None else f"{value:.4g}"


def show_change(value: float | None) -> str:
    """Write a figure with its sign.

    Parameters
    ----------
    value : float or None
        The figure.

    Returns
    -------
    str
        Empty where there is none.
    """
    return "" if value is None else f"{value:+.4g}"

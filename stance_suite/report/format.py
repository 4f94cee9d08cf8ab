"""How figures, p-values, verdicts and counts are written, and which figures JSON can hold: one way for all reports."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.metrics import Metric
from stance_suite.schema.verdicts import ControlFigure, GateReport, Status, Verdict


def known(figure: float | None) -> float | None:
    """Make None of what is not finite: JSON knows no such number."""
    return figure if figure is not None and math.isfinite(figure) else None


def finite(figures: Iterable[float | None]) -> list[float]:
    """Leave out what is missing or not finite."""
    return [figure for figure in figures if figure is not None and math.isfinite(figure)]


def rounded(figure: float | None, digits: int) -> float | None:
    """Round a figure to significant digits, so that a page stays small; None where it is not finite."""
    return None if (one := known(figure)) is None else float(f"{one:.{digits}g}")


def show(figure: float | None, form: str, missing: str = "") -> str:
    """Write a figure in a form of `format`, where there is one."""
    return missing if figure is None else format(figure, form)


def show_range(low: float | None, high: float | None, form: str) -> str:
    """Write an interval in brackets; empty where there is none."""
    return "" if low is None or high is None else f"[{low:{form}}, {high:{form}}]"


def only_judged(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Leave out verdicts on claims that were not run."""
    return [verdict for verdict in verdicts if verdict.status is not Status.NOT_RUN]


def models_of(cells: Iterable[CellRecord]) -> list[str]:
    """Name the models of cells, each once, in their order."""
    return list(dict.fromkeys(record.cell.model for record in cells))


def figure_parts(verdict: Verdict) -> list[str]:
    """Write a verdict's figure with its unit, its interval and its p-values: one entry for each that there is."""
    claim, figure, p_value = verdict.claim, verdict.figure, verdict.p_value
    adjusted = None if verdict.adjusted_p_value == p_value else verdict.adjusted_p_value
    parts = (
        "" if figure is None else f"{figure:+.4g} {claim.unit}".rstrip(),
        show_range(verdict.low, verdict.high, "+.3f"),
        "" if p_value is None else f"p={p_value:.4f}",
        "" if adjusted is None else f"adjusted p={adjusted:.4f}",
    )
    return [part for part in parts if part]


def show_signed(figure: float) -> str:
    """Write a figure for people: four significant digits, at most four decimals, a true minus; a dash if not finite."""
    if not math.isfinite(figure):
        return "–"
    magnitude = math.floor(math.log10(abs(figure))) if figure else 0
    return f"{figure:+.{min(4, max(0, 3 - magnitude))}f}".replace("-", "\N{MINUS SIGN}")


def show_figure(figure: float, about: Claim | Metric) -> str:
    """Write a figure for people: sizes, counts and ratios without a plus, whole numbers of things without decimals."""
    shown = show_signed(figure)
    if about.is_count and figure.is_integer():
        shown = shown.partition(".")[0]
    return shown if about.is_signed else shown.removeprefix("+")


def show_interval(estimate: Verdict | ControlFigure, about: Claim | Metric) -> str:
    """Write from where to where a figure's interval reaches, for people; empty where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{show_figure(estimate.low, about)} to {show_figure(estimate.high, about)}"


def show_unit(claim: Claim) -> str:
    """Name the unit of a claim's figure; of a ratio say that it is one, of other figures without a unit nothing."""
    return "ratio" if claim.is_ratio else claim.unit


def show_p_values(verdict: Verdict) -> str:
    """Write p-values such as ``p = 0.012, 0.037 after Holm’s correction``; empty where there is none."""
    if verdict.p_value is None:
        return ""
    shown = show_p_value(verdict.p_value)
    said = f"p {shown}" if shown.startswith("<") else f"p = {shown}"
    adjusted = verdict.adjusted_p_value
    return said if adjusted is None else f"{said}, {show_p_value(adjusted)} after Holm’s correction"


def show_p_value(p_value: float | None) -> str:
    """Write a p-value, or a dash: below 0.0001 it matters no more how small it is."""
    return "< 0.0001" if p_value is not None and p_value < 0.0001 else show(p_value, ".2g", "–")


def show_count(count: int, one: str) -> str:
    """Write how many there are of something, such as ``1 claim`` or ``2 claims``."""
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def verdict_line(verdict: Verdict) -> str:
    """Write a verdict as one line: status, claim, figure and caveats; the reason where there is no figure."""
    parts = [f"{verdict.status:<12}", verdict.claim.id]
    parts.append(" ".join(figure_parts(verdict)) or f"({verdict.reason})")
    if verdict.caveats:
        parts.append(f"[{', '.join(verdict.caveats)}]")
    if verdict.status is not Status.NOT_RUN and not verdict.as_expected:
        parts.append(f"<- on record: {' or '.join(verdict.claim.expected)}")
    return "  ".join(parts)


def tally(verdicts: Iterable[Verdict]) -> str:
    """Count verdicts by status, such as ``1 FAILS, 6 HOLDS``."""
    counts = Counter(verdict.status for verdict in verdicts)
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "no claim judged"


def gate_lines(gate: GateReport) -> list[str]:
    """Write what a gate demanded, one line a demand, and the result in one sentence."""
    return [*(f"{one.outcome:<8}  {one.name}  ({one.reason})" for one in gate.demands), gate.sentence]

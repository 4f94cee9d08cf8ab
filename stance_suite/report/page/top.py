"""The top of the page: the result in a sentence, and a row a verdict with its figure drawn against its controls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from stance_suite.report.charts.data import measure
from stance_suite.report.controls import control_range, drawn_bounds
from stance_suite.report.format import (
    finite,
    known,
    models_of,
    only_judged,
    show_count,
    show_figure,
    show_interval,
    show_unit,
    tally,
)
from stance_suite.report.self_calibration import nulls_in_words
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.findings import Agreement, Findings
from stance_suite.schema.verdicts import Status, Verdict

BAR_WIDTH, BAR_MARGIN = 200, 8
"""Of an inline bar, in the units of its drawing."""

NOT_ADOPTED = {
    Agreement.PARTIAL: "in part",
    Agreement.OPPOSED: "the opposite",
    Agreement.SILENT: "nothing at all",
    Agreement.CONTRADICTORY: "in contradiction",
}
"""What is said of trainings that did not adopt their stance."""


@dataclass(frozen=True)
class Bar:
    """A figure on the scale of its measure, as places in the drawing."""

    figure: float
    """Where the figure lies."""
    interval: tuple[float, float] | None
    """From where to where its 95 % interval reaches."""
    controls: tuple[float, float] | None
    """Where the range of the controls starts, and how wide it is."""
    bounds: tuple[float, ...]
    """Where the claim's bounds lie."""
    zero: float
    """Where zero lies."""
    words: str
    """The same in words."""


@dataclass(frozen=True)
class Row:
    """One judged claim."""

    verdict: Verdict
    """The verdict."""
    anchor: str
    """Id of the row in the page."""
    bar: Bar | None
    """None where there is no figure."""


@dataclass(frozen=True)
class Top:
    """What the top of the page shows."""

    title: str
    """Title of the window."""
    result: str
    """One sentence: what was found."""
    record: str
    """One or two sentences: how the verdicts stand to those on record, and what was not run."""
    nulls: str
    """A sentence: how often claims hold of trainings without the stance."""
    created: str
    """When the findings were made, readable."""
    rows: tuple[Row, ...]
    """One entry a judged claim, in declared order."""
    not_run: tuple[Verdict, ...]
    """Claims that were not judged."""
    statuses: tuple[tuple[Status, int], ...]
    """Verdicts to filter by, and how many there are."""
    selections: tuple[tuple[str, tuple[str, ...]], ...]
    """Further filters: their names and values."""


def describe_top(findings: Findings) -> Top:
    """Arrange what the top of the page shows."""
    judged = only_judged(findings.verdicts)
    not_run = tuple(verdict for verdict in findings.verdicts if verdict.status is Status.NOT_RUN)
    counts = Counter(verdict.status for verdict in judged)
    scales = _scales(judged)
    return Top(
        title=f"{tally(judged)}: {', '.join(models_of(findings.cells)) or 'findings'}",
        result=result_sentence(findings),
        record=_record_sentence(judged, not_run),
        nulls=nulls_in_words(findings),
        created=f"{datetime.fromisoformat(findings.created):%Y-%m-%d %H:%M} UTC",
        rows=tuple(
            Row(verdict, f"claim-{place}-{verdict.claim.id}", _bar(verdict, scales.get(measure(verdict))))
            for place, verdict in enumerate(judged, 1)
        ),
        not_run=not_run,
        statuses=tuple((status, counts[status]) for status in Status if counts[status]),
        selections=(
            ("model", tuple(dict.fromkeys(verdict.model for verdict in judged))),
            ("stance", tuple(dict.fromkeys(verdict.claim.stance for verdict in judged))),
        ),
    )


def result_sentence(findings: Findings) -> str:
    """Say in one sentence what was found, with the controls beside it; of a gate whether it passed."""
    if findings.gate is not None:
        return findings.gate.sentence
    parts = [*_behavior_found(findings), *_structure_found(findings)]
    if not parts:
        return f"{tally(only_judged(findings.verdicts))}; nothing was trained."
    return f"{', '.join(models_of(findings.cells))}: {'; '.join(parts)}."


def _behavior_found(findings: Findings) -> Iterator[str]:
    if findings.triangulations:
        counts = Counter(one.agreement for one in findings.triangulations)
        others = "".join(f", {counts[one]} {said}" for one, said in NOT_ADOPTED.items() if counts[one])
        yield f"{counts[Agreement.ADOPTED]} of {show_count(counts.total(), 'training')} adopted the stance{others}"


def _structure_found(findings: Findings) -> Iterator[str]:
    tested = largest_changes(record for record in findings.cells if record.cell.is_under_test)
    sham = largest_changes(record for record in findings.cells if record.cell.is_trained_control)
    if tested is None:
        return
    total, spectrum = map(_percent, tested)
    beside = "" if sham is None else f" (sham: {_percent(sham[0])} and {_percent(sham[1])})"
    yield f"alpha moved by up to {total} as fitted, {spectrum} with the tail held fixed{beside}"


def largest_changes(records: Iterable[CellRecord]) -> tuple[float, float] | None:
    """Find the largest change of any alpha, in percent without its sign: as fitted, and with the tail held fixed."""
    changes = [change.alpha_change for record in records for change in record.changes]
    moved = [(abs(change.total), abs(change.spectrum)) for change in changes if change is not None]
    return (max(total for total, _ in moved), max(spectrum for _, spectrum in moved)) if moved else None


def _percent(figure: float) -> str:
    return f"{figure:.2g}\N{NO-BREAK SPACE}%"


def _record_sentence(judged: Sequence[Verdict], not_run: Sequence[Verdict]) -> str:
    surprises = sum(not verdict.as_expected for verdict in judged)
    if not judged:
        said = "No claim was judged."
    elif surprises:
        differ = "differs" if surprises == 1 else "differ"
        said = f"{tally(judged)}: {surprises} of {show_count(len(judged), 'verdict')} {differ} from the record."
    elif len(judged) == 1:
        said = f"{tally(judged)}: the verdict is the one on record."
    else:
        said = f"{tally(judged)}: all {len(judged)} verdicts are the ones on record."
    were = "was" if len(not_run) == 1 else "were"
    return said + (f" {show_count(len(not_run), 'claim')} {were} not run." if not_run else "")


def _scales(verdicts: Sequence[Verdict]) -> dict[str, tuple[float, float]]:
    """Find for each measure the range that holds all that is drawn of it."""
    values: dict[str, list[float]] = {}
    for verdict in verdicts:
        if known(verdict.figure) is not None:
            drawn = (0.0, verdict.figure, verdict.low, verdict.high)
            around = (*drawn_bounds(verdict), *(control_range(verdict) or ()))
            values.setdefault(measure(verdict), []).extend(finite((*drawn, *around)))
    return {name: (min(found), max(found)) for name, found in values.items()}


def _bar(verdict: Verdict, scale: tuple[float, float] | None) -> Bar | None:
    figure, controls, ends = known(verdict.figure), control_range(verdict), finite((verdict.low, verdict.high))
    if scale is None or figure is None:
        return None
    low, high = scale

    def place(value: float) -> float:
        share = 0.5 if high == low else (value - low) / (high - low)
        return round(BAR_MARGIN + share * (BAR_WIDTH - 2 * BAR_MARGIN), 1)

    return Bar(
        figure=place(figure),
        interval=(place(ends[0]), place(ends[1])) if len(ends) == 2 else None,
        controls=None if controls is None else (place(controls[0]), max(2.0, place(controls[1]) - place(controls[0]))),
        bounds=tuple(map(place, drawn_bounds(verdict))),
        zero=place(0.0),
        words=_in_words(verdict, figure, controls),
    )


def _in_words(verdict: Verdict, figure: float, controls: tuple[float, float] | None) -> str:
    claim = verdict.claim
    parts = [f"figure {show_figure(figure, claim)} {show_unit(claim)}".rstrip()]
    if interval := show_interval(verdict, claim):
        parts.append(f"95 % interval {interval}")
    if controls is not None:
        parts.append(f"controls from {show_figure(controls[0], claim)} to {show_figure(controls[1], claim)}")
    return ", ".join([*parts, f"claimed {claim.asked}"])

"""How the verdict on one claim came about, with every figure."""

from __future__ import annotations

from collections.abc import Iterator

from stance_suite.caveats import CAVEAT_MEANINGS
from stance_suite.claims import Claim
from stance_suite.controls import Control
from stance_suite.judgments import Status, Verdict
from stance_suite.layer_figures import Range
from stance_suite.metrics import Metric
from stance_suite.profiles import reason_and_remedy
from stance_suite.records import Findings
from stance_suite.reports.layers import layer_rows, shown_controls
from stance_suite.reports.sections import (
    Explanation,
    Section,
    show_change,
    show_interval,
    show_number,
    verdict_on,
)
from stance_suite.reports.text import verdict_line
from stance_suite.statements import RecordedVerdict

SHOWN_LAYERS = 10
OVER = {
    "each": "every matching layer must satisfy it",
    "any": "one matching layer must satisfy it",
    "mean": "the mean over the matching layers is held against the bound",
    "largest": "the largest magnitude of the matching layers is held against the bound",
}
LAYER_COLUMNS = (
    "layer",
    "figure",
    "alpha before",
    "alpha after",
    "tail",
    "as fitted %",
    "tail fixed %",
)
CELL_COLUMNS = ("cell", "key", "weights' SHA-256", "seed", "recipe", "created")
CONTROL_COLUMNS = ("control", "figure", "95 % interval", "p")


def explain_claim(claim: Claim, findings: Findings) -> Explanation:
    """Tell how the verdict on one claim came about.

    Parameters
    ----------
    claim : Claim
        About a model by name.
    findings : Findings
        The findings.

    Returns
    -------
    Explanation
        The claim, the verdict, its controls, caveats, prompts or layers, and cells; of a claim that was not run, why
        and how to run it.
    """
    verdict = verdict_on(claim.id, claim.model, findings)
    sections = [Section("Claim", tuple(_claim_lines(claim, findings)))]
    if verdict is None or verdict.status is Status.NOT_RUN:
        reason = "this run was not asked for it" if verdict is None else verdict.reason
        title = f"NOT_RUN  {claim.id} on {claim.model}"
        sections.append(Section("Why there is no verdict", (reason, _how_to_run(claim))))
        return Explanation(title, tuple(sections))
    sections.append(Section("Verdict", tuple(_verdict_lines(verdict, findings))))
    if verdict.controls:
        sections.append(Section("Controls", (), CONTROL_COLUMNS, tuple(_control_rows(verdict))))
    meanings = tuple(f"{caveat}: {CAVEAT_MEANINGS[caveat]}" for caveat in verdict.caveats)
    sections.append(Section("Caveats", meanings or ("none",)))
    if verdict.prompts:
        columns = ("prompt", "base", *Control.trained(), "tuned", "tuned - base")
        sections.append(Section("Prompts", (_score_of(claim),), columns, tuple(_prompt_rows(verdict))))
    if not claim.metric.is_behavioral:
        sections += _layer_section(verdict, findings)
    sections.append(_cell_section(verdict, findings))
    return Explanation(f"{verdict_line(verdict)}  ({verdict.model})", tuple(sections))


def _claim_lines(claim: Claim, findings: Findings) -> Iterator[str]:
    yield claim.statement
    yield f"{claim.metric}: {claim.metric.meaning}"
    yield f"{claim.model}, trained on {claim.stance} with the recipe '{claim.recipe}'"
    yield f"must be {claim.asked} {claim.unit if claim.bound is not None else ''}".rstrip()
    if claim.layer is not None:
        pooled = "one figure of all matching layers" if claim.metric.spans_layers else OVER[claim.over]
        if claim.over == "mean" and claim.metric is Metric.ALPHA_CHANGE_PERCENT:
            pooled = "the change of the mean alpha of the matching layers is held against the bound"
        yield f"layers {claim.layer}: {pooled}"
    if claim.changed_beyond is not None:
        yield f"a layer has changed if its alpha moved by more than {claim.changed_beyond:g} %"
    if claim.versus is not None:
        other = claim.versus
        named = [part for part in (other.model, other.stance, other.recipe) if part is not None]
        yield f"compared with {', '.join(named)}, by their {other.by}; what is not named is the same"
    if claim.robust:
        yield f"robust: with the tail's size held fixed, and not true of {' or '.join(claim.against)}"
    if claim.metric.is_behavioral:
        yield "significant, paired by prompt, against every control that is tested"
    if claim.minimum_effect is not None:
        yield f"the design must be able to find an effect of {claim.minimum_effect:g} {claim.unit}".rstrip()
    if claim.unless:
        yield f"fails if {' or '.join(claim.unless)}"
    yield f"on record: {' or '.join(claim.expected)}"
    if claim.source:
        yield f"source: {claim.source}"
    if claim.recorded is not None:
        recorded = claim.recorded
        yield f"published: {recorded.before:g} -> {recorded.after:g}, {recorded.change_percent:+g} %"
    yield from (record_line(record) for record in findings.records if record.id == claim.id)


def record_line(record: RecordedVerdict) -> str:
    """Write what published figures say by themselves.

    Parameters
    ----------
    record : RecordedVerdict
        The check of the record.

    Returns
    -------
    str
        One line.
    """
    return f"published figures alone: {record.status} (on record: {record.expected}), {record.reason}"


def _how_to_run(claim: Claim) -> str:
    other = claim.versus
    models = dict.fromkeys([claim.model, *([other.model] if other is not None and other.model else [])])
    recipes = dict.fromkeys([claim.recipe, *([other.recipe] if other is not None and other.recipe else [])])
    return f"to run it: {reason_and_remedy(list(recipes), list(models))[1]}"


def _verdict_lines(verdict: Verdict, findings: Findings) -> Iterator[str]:
    claim = verdict.claim
    as_expected = "as on record" if verdict.as_expected else f"on record: {' or '.join(claim.expected)}"
    yield f"{verdict.status} ({as_expected}): {verdict.reason}"
    if verdict.figure is not None:
        interval = show_interval(verdict.low, verdict.high)
        shown = f"figure {verdict.figure:+.6g} {claim.unit}".rstrip()
        yield shown + (f", 95 % interval {interval}" if interval else "")
    if verdict.layer is not None:
        yield f"decided by {verdict.layer}"
    if claim.metric.is_behavioral:
        yield f"p {show_number(verdict.p_value)}, Holm-adjusted {show_number(verdict.adjusted_p_value)}"
        family = list(_family(claim, findings))
        yield f"its family shares the level of 5 %: {len(family)} claims about {claim.model} with '{claim.recipe}'"
        others = [name for name in family if name != claim.id]
        yield f"beside it: {', '.join(others)}" if others else "beside it: none"
    demands = findings.gate.demands if findings.gate is not None else ()
    for demand in demands:
        if claim.id in demand.claims and demand.model == verdict.model:
            yield f"the gate's demand '{demand.name}' rests on it: {demand.outcome}"


def _family(claim: Claim, findings: Findings) -> Iterator[str]:
    """Name the behavioral claims of the run about the same model and recipe, judged or not."""
    left_out = {(verdict.claim.id, verdict.model) for verdict in findings.verdicts if verdict.status is Status.NOT_RUN}
    for other in findings.claims:
        alike = (other.model, other.recipe) == (claim.model, claim.recipe)
        if other.metric.is_behavioral and alike and (other.id, other.model) not in left_out:
            yield other.id


def _control_rows(verdict: Verdict) -> Iterator[tuple[str, ...]]:
    for control in verdict.controls:
        interval = show_interval(control.low, control.high)
        yield (
            control.name,
            f"{control.figure:+.6g}",
            interval,
            "" if control.p_value is None else show_number(control.p_value),
        )


def _score_of(claim: Claim) -> str:
    unit = f", in {claim.unit}" if claim.unit else ""
    base = "noise of the same norm" if claim.metric is Metric.DIVERGENCE else "the untouched model"
    return f"scores averaged over seeds{unit}; base is {base}"


def _prompt_rows(verdict: Verdict) -> Iterator[tuple[str, ...]]:
    for entry in verdict.prompts:
        scores = (
            show_change(entry.base),
            *(show_change(entry.controls.get(control)) for control in Control.trained()),
            show_change(entry.tuned),
            show_change(entry.tuned - entry.base),
        )
        yield entry.prompt, *scores


def _layer_section(verdict: Verdict, findings: Findings) -> list[Section]:
    rows = layer_rows(verdict, findings)
    if not rows:
        return []
    unknown = sum(row.figure is None for row in rows)
    lines = [f"{min(SHOWN_LAYERS, len(rows))} of {len(rows)} matching layers, those that decide come first"]
    lines += [f"{unknown} have no figure"] if unknown else []
    table = tuple(
        (
            row.name,
            show_change(row.figure),
            show_number(row.alpha_before),
            show_number(row.alpha_after),
            "" if row.change is None else f"{row.change.tail_before} -> {row.change.tail_after}",
            show_change(None if row.change is None else row.change.total),
            show_change(None if row.change is None else row.change.spectrum),
            *map(_show_control, row.controls.values()),
        )
        for row in rows[:SHOWN_LAYERS]
    )
    return [Section("Layers", tuple(lines), (*LAYER_COLUMNS, *shown_controls()), table)]


def _show_control(figure: float | Range | None) -> str:
    return show_interval(*figure) if isinstance(figure, tuple) else show_change(figure)


def _cell_section(verdict: Verdict, findings: Findings) -> Section:
    cells = {record.key: record for record in findings.cells}
    known = [cells[key] for key in verdict.cells if key in cells]
    missing = tuple(f"{key} is not in these findings" for key in verdict.cells if key not in cells)
    rows = tuple(
        (
            f"{record.cell.model}, {record.cell.label}",
            record.key,
            record.provenance.weights_sha256,
            str(record.cell.seed),
            record.cell.recipe or "",
            record.provenance.created,
        )
        for record in known
    )
    return Section("Cells", missing, CELL_COLUMNS if rows else (), rows)

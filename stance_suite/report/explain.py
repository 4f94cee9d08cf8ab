"""How a verdict came about, with every figure: of a claim, of a statement, or of a gate's demand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stance_suite.errors import UnknownNameError, nearest_names
from stance_suite.report.format import show, show_range, verdict_line
from stance_suite.report.layers import layer_rows, shown_controls
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import Control
from stance_suite.schema.findings import Findings
from stance_suite.schema.layer_figures import Range
from stance_suite.schema.metrics import CAVEAT_MEANINGS, Metric
from stance_suite.schema.profiles import reason_and_remedy
from stance_suite.schema.statements import RecordedVerdict, StatementVerdict
from stance_suite.schema.verdicts import Demand, GateReport, Status, Verdict

SHOWN_LAYERS = 10
OVER = {
    "each": "every matching layer must satisfy it",
    "any": "one matching layer must satisfy it",
    "mean": "the mean over the matching layers is held against the bound",
    "largest": "the largest magnitude of the matching layers is held against the bound",
}
LAYER_COLUMNS = ("layer", "figure", "alpha before", "alpha after", "tail", "as fitted %", "tail fixed %")
CELL_COLUMNS = ("cell", "key", "weights' SHA-256", "seed", "recipe", "created")
CONTROL_COLUMNS = ("control", "figure", "95 % interval", "p")


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


def explain(name: str, findings: Findings) -> tuple[Explanation, ...]:
    """Tell how verdicts on a claim, a statement or a gate's demand came about; UnknownNameError names the nearest."""
    gate = findings.gate
    found = [_explain_claim(claim, findings) for claim in findings.claims if claim.id == name]
    found += _explain_statement(name, findings)
    if gate is not None:
        found += [_explain_demand(demand, gate, findings) for demand in gate.demands if demand.name == name]
    if not found:
        known = {claim.id for claim in findings.claims} | {one.id for one in findings.statements}
        known |= {one.id for one in findings.records} | {one.name for one in (gate.demands if gate else ())}
        nearest = nearest_names(name, known)
        raise UnknownNameError(f"these findings hold no claim, statement or demand {name!r}; {nearest}")
    return tuple(found)


def _explain_claim(claim: Claim, findings: Findings) -> Explanation:
    """Show the claim, the verdict, its controls, caveats, prompts or layers, and cells; without a verdict, why."""
    verdict = _verdict_on(claim.id, claim.model, findings)
    sections = [Section("Claim", tuple(_claim_lines(claim, findings)))]
    if verdict is None or verdict.status is Status.NOT_RUN:
        reason = "this run was not asked for it" if verdict is None else verdict.reason
        why = Section("Why there is no verdict", (reason, _how_to_run(claim)))
        return Explanation(f"NOT_RUN  {claim.id} on {claim.model}", (*sections, why))
    sections.append(Section("Verdict", tuple(_verdict_lines(verdict, findings))))
    if verdict.controls:
        sections.append(Section("Controls", (), CONTROL_COLUMNS, tuple(_control_rows(verdict))))
    meanings = tuple(f"{caveat}: {CAVEAT_MEANINGS[caveat]}" for caveat in verdict.caveats)
    sections.append(Section("Caveats", meanings or ("none",)))
    if verdict.prompts:
        columns = ("prompt", "base", *Control.trained(), "tuned", "tuned - base")
        unit = f", in {claim.unit}" if claim.unit else ""
        base = "noise of the same norm" if claim.metric is Metric.DIVERGENCE else "the untouched model"
        scores = f"scores averaged over seeds{unit}; base is {base}"
        sections.append(Section("Prompts", (scores,), columns, tuple(_prompt_rows(verdict))))
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
    if (other := claim.versus) is not None:
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
    if (recorded := claim.recorded) is not None:
        yield f"published: {recorded.before:g} -> {recorded.after:g}, {recorded.change_percent:+g} %"
    yield from (_record_line(record) for record in findings.records if record.id == claim.id)


def _record_line(record: RecordedVerdict) -> str:
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
        shown = f"figure {verdict.figure:+.6g} {claim.unit}".rstrip()
        interval = show_range(verdict.low, verdict.high, "+.6g")
        yield f"{shown}, 95 % interval {interval}" if interval else shown
    if verdict.layer is not None:
        yield f"decided by {verdict.layer}"
    if claim.metric.is_behavioral:
        yield f"p {_number(verdict.p_value)}, Holm-adjusted {_number(verdict.adjusted_p_value)}"
        skipped = {(one.claim.id, one.model) for one in findings.verdicts if one.status is Status.NOT_RUN}
        run = [one for one in findings.claims if (one.id, one.model) not in skipped and one.metric.is_behavioral]
        family = [one.id for one in run if one.model == claim.model]
        yield f"its family shares the level of 5 %: {len(family)} claims about {claim.model}"
        others = [name for name in family if name != claim.id]
        yield f"beside it: {', '.join(others) or 'none'}"
    for demand in () if findings.gate is None else findings.gate.demands:
        if claim.id in demand.claims and demand.model == verdict.model:
            yield f"the gate's demand '{demand.name}' rests on it: {demand.outcome}"


def _control_rows(verdict: Verdict) -> Iterator[tuple[str, ...]]:
    for control in verdict.controls:
        interval = show_range(control.low, control.high, "+.6g")
        yield control.name, f"{control.figure:+.6g}", interval, show(control.p_value, ".4g")


def _prompt_rows(verdict: Verdict) -> Iterator[tuple[str, ...]]:
    for entry in verdict.prompts:
        scores = (entry.base, *map(entry.controls.get, Control.trained()), entry.tuned, entry.tuned - entry.base)
        yield entry.prompt, *map(_change, scores)


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
            _change(row.figure),
            _number(row.alpha_before),
            _number(row.alpha_after),
            "" if row.change is None else f"{row.change.tail_before} -> {row.change.tail_after}",
            _change(None if row.change is None else row.change.total),
            _change(None if row.change is None else row.change.spectrum),
            *map(_show_control, row.controls.values()),
        )
        for row in rows[:SHOWN_LAYERS]
    )
    return [Section("Layers", tuple(lines), (*LAYER_COLUMNS, *shown_controls()), table)]


def _show_control(figure: float | Range | None) -> str:
    return show_range(*figure, "+.6g") if isinstance(figure, tuple) else _change(figure)


def _cell_section(verdict: Verdict, findings: Findings) -> Section:
    cells = {record.key: record for record in findings.cells}
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
        for record in (cells[key] for key in verdict.cells if key in cells)
    )
    return Section("Cells", missing, CELL_COLUMNS if rows else (), rows)


def _number(value: float | None) -> str:
    return show(value, ".4g", "unknown")


def _change(value: float | None) -> str:
    return show(value, "+.4g")


def _explain_statement(name: str, findings: Findings) -> Iterator[Explanation]:
    records = [record for record in findings.records if record.id == name]
    measured = [statement for statement in findings.statements if statement.id == name]
    for one in measured:
        expected = " or ".join(one.expected)
        told = f"measured: {one.status} (on record: {expected}), {one.reason}"
        section = Section("Statement", (one.statement, *map(_record_line, records), told))
        yield Explanation(f"{one.status}  {one.id}", _resting_on(_measured_claims(one, findings), section))
    # a claim's own record is shown with the claim
    if not measured and all(claim.id != name for claim in findings.claims):
        for record in records:
            section = Section("Statement", (record.statement, _record_line(record)))
            yield Explanation(f"{record.status}  {record.id}", (section,))


def _measured_claims(statement: StatementVerdict, findings: Findings) -> list[tuple[str, str, str]]:
    reasons: dict[str, str] = {}
    for one in findings.verdicts:
        reasons.setdefault(one.claim.id, one.reason)
        reasons.setdefault(f"{one.claim.id} on {one.model}", one.reason)
    return [(name, str(status), reasons.get(name, "")) for name, status in statement.claims.items()]


def _explain_demand(demand: Demand, gate: GateReport, findings: Findings) -> Explanation:
    beside = "" if gate.baseline is None else f", against the baseline {gate.baseline}"
    lines = (f"{demand.outcome}: {demand.reason}", f"a demand of {gate.policy}{beside} about {demand.kind}")
    verdicts = {name: _verdict_on(name, demand.model, findings) for name in demand.claims}
    rows = [(name, str(one.status), one.reason) if one else (name, "", "no verdict") for name, one in verdicts.items()]
    title = f"{demand.outcome}  {demand.name} ({demand.model})"
    return Explanation(title, _resting_on(rows, Section("Demand", lines)))


def _resting_on(claims: list[tuple[str, str, str]], section: Section) -> tuple[Section, ...]:
    """Set the claims that a statement or a demand rests on below what is said of it."""
    columns = ("claim", "verdict", "reason")
    return (section, Section("Claims that it rests on", (), columns, tuple(claims))) if claims else (section,)


def _verdict_on(name: str, model: str, findings: Findings) -> Verdict | None:
    return next((one for one in findings.verdicts if (one.claim.id, one.model) == (name, model)), None)

"""Judging published sentences: by the figures on record, without weights, and by the claims that they rest on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from stance_suite.schema.claims import Claim
from stance_suite.schema.layer_names import relative_depth
from stance_suite.schema.statements import (
    ChangeCheck,
    Check,
    DistinctCheck,
    NotRecorded,
    PlaceCheck,
    RatioCheck,
    RecordedVerdict,
    Statement,
    StatementVerdict,
    UnreportedCheck,
)
from stance_suite.schema.verdicts import Status, Verdict

HALF_A_UNIT = {3: 0.0005, 2: 0.005}
"""Rounding of figures published with three decimals (alpha) and two (percent)."""
FROM_WORST = (Status.ERROR, Status.FAILS, Status.NOT_RUN, Status.INCONCLUSIVE)

Finding = tuple[Status, str]


def combine(statement: Statement, verdicts: Sequence[Verdict]) -> StatementVerdict:
    """Judge a statement by its claims: one that FAILS refutes it; one that was not run leaves it open."""
    ids = [verdict.claim.id for verdict in verdicts]
    named = {
        f"{verdict.claim.id} on {verdict.model}" if ids.count(verdict.claim.id) > 1 else verdict.claim.id: verdict
        for verdict in verdicts
    }
    status = next((one for one in FROM_WORST if any(one is each.status for each in verdicts)), Status.HOLDS)
    unheard = [name for name in statement.measured if name not in ids]
    if not verdicts:
        status, reason = Status.NOT_RUN, "no claim of this run is about it: only its record can be checked"
    elif unheard and status not in (Status.ERROR, Status.FAILS):
        status, reason = Status.NOT_RUN, f"this run has no claim {', '.join(unheard)}"
    elif status is Status.HOLDS:
        reason = f"all of {', '.join(named)} hold"
    else:
        by_reason: dict[str, list[str]] = {}
        for name, verdict in named.items():
            if verdict.status is status:
                by_reason.setdefault(verdict.reason, []).append(name)
        reason = "; ".join(f"{', '.join(names)}: {why}" for why, names in by_reason.items())
    return StatementVerdict(
        id=statement.id,
        statement=statement.statement,
        status=status,
        reason=reason,
        claims={name: verdict.status for name, verdict in named.items()},
        expected=statement.expected_measured,
    )


def not_run(claim: Claim, reason: str) -> Verdict:
    """Say why a claim was not judged."""
    return Verdict(claim=claim, model=claim.model, status=Status.NOT_RUN, reason=reason)


def judge_published(record: Claim | Statement, claims: Iterable[Claim]) -> RecordedVerdict:
    """Check a claim's published percentage, or a statement, against all published figures; INCONCLUSIVE if silent."""
    if isinstance(record, Claim):
        (status, reason), expected = _check_percentage(record), "HOLDS"
    else:
        rows = [_Row.of(claim) for claim in claims if claim.recorded is not None]
        found = [_check(check, rows) for check in record.checks]
        statuses = {one for one, _ in found}
        status = next((one for one in (Status.FAILS, Status.INCONCLUSIVE) if one in statuses), Status.HOLDS)
        reason, expected = "; ".join(why for one, why in found if one is status), record.expected
    return RecordedVerdict(id=record.id, statement=record.statement, status=status, reason=reason, expected=expected)


@dataclass(frozen=True)
class _Row:
    """A published change, in percent."""

    model: str
    stance: str
    layer: str
    change: float
    """As the figures before and after give it."""
    low: float
    high: float
    """What it can have been before these were rounded to three decimals."""

    @classmethod
    def of(cls, claim: Claim) -> _Row:
        assert claim.recorded is not None
        before, after, half = claim.recorded.before, claim.recorded.after, HALF_A_UNIT[3]
        ratios = after / before, (after - half) / (before + half), (after + half) / (before - half)
        return cls(claim.model, claim.stance, claim.layer or "", *(100 * (ratio - 1) for ratio in ratios))

    @property
    def magnitudes(self) -> tuple[float, float]:
        """Least and greatest magnitude that rounding allows."""
        ends = sorted((abs(self.low), abs(self.high)))
        return 0.0 if self.low <= 0 <= self.high else ends[0], ends[1]

    def __str__(self) -> str:
        return f"{self.layer} under {self.stance} {self.change:+.2f} %"


def _check_percentage(claim: Claim) -> Finding:
    assert claim.recorded is not None
    row, figures, published = _Row.of(claim), claim.recorded, claim.recorded.change_percent
    reason = f"{figures.before} -> {figures.after} is {row.change:+.2f} %, published as {published:+.2f} %"
    if row.low - HALF_A_UNIT[2] <= published <= row.high + HALF_A_UNIT[2]:
        return Status.HOLDS, reason
    return Status.FAILS, f"{reason}; rounding allows {row.low:+.2f} to {row.high:+.2f} %"


def _check(check: Check, rows: Sequence[_Row]) -> Finding:
    match check:
        case ChangeCheck():
            return _check_change(check, rows)
        case UnreportedCheck():
            return _check_unreported(check, rows)
        case PlaceCheck():
            return _check_place(check, rows)
        case RatioCheck():
            return _check_ratio(check, rows)
        case DistinctCheck():
            return _check_distinct(check, rows)
        case NotRecorded():
            return Status.INCONCLUSIVE, check.reason


def _pick(rows: Iterable[_Row], models: Sequence[str], stances: Sequence[str] = (), layer: str = "*") -> list[_Row]:
    rows = (row for row in rows if row.model in models and (not stances or row.stance in stances))
    return [row for row in rows if fnmatchcase(row.layer, layer)]


def _by_stance(rows: Sequence[_Row]) -> dict[str, list[_Row]]:
    return {name: [row for row in rows if row.stance == name] for name in dict.fromkeys(row.stance for row in rows)}


def _largest(rows: Iterable[_Row]) -> _Row:
    return max(rows, key=lambda row: abs(row.change))


def _check_change(check: ChangeCheck, rows: Sequence[_Row]) -> Finding:
    rows = _pick(rows, check.models, check.stances, check.layer)
    models, stances = {row.model for row in rows}, {row.stance for row in rows}
    for name, known in (*((one, models) for one in check.models), *((one, stances) for one in check.stances)):
        if name not in known:
            return Status.INCONCLUSIVE, f"no figure of {check.layer} is on record for {name}"
    wrong = [row for row in rows if not check.comparator.accepts(row.change, check.bound)]
    if wrong:
        return Status.FAILS, f"{wrong[0]}, not {check.comparator} {check.bound:g}"
    return Status.HOLDS, ", ".join(map(str, rows))


def _check_unreported(check: UnreportedCheck, rows: Sequence[_Row]) -> Finding:
    rows = _pick(rows, check.models, check.stances)
    for stance in check.stances:
        if stance not in _by_stance(rows):
            return Status.INCONCLUSIVE, f"nothing is on record for {stance}"
    reported = _pick(rows, check.models, layer=check.layer)
    if reported:
        return Status.FAILS, f"it is on record: {reported[0]}"
    return Status.HOLDS, f"{check.layer} is not among the layers listed, so it changed by no more than 5 %"


def _check_place(check: PlaceCheck, rows: Sequence[_Row]) -> Finding:
    changed = [row for row in _pick(rows, check.models) if abs(row.change) > check.beyond]
    if not changed:
        return Status.INCONCLUSIVE, f"no change beyond {check.beyond:g} % is on record"
    wrong = [
        f"{len(of_stance)} layers changed under {stance}"
        for stance, of_stance in _by_stance(changed).items()
        if not check.count[0] <= len(of_stance) <= check.count[1]
    ]
    for row in changed:
        if not fnmatchcase(row.layer, check.layer):
            wrong.append(f"{row} does not match {check.layer}")
        depth = relative_depth(row.layer, check.layers)
        if depth is None or not check.depth[0] <= depth <= check.depth[1]:
            where = "outside of the blocks" if depth is None else f"at {depth:.0f} % of depth"
            wrong.append(f"{row.layer} lies {where}")
    return (Status.FAILS, "; ".join(wrong)) if wrong else (Status.HOLDS, ", ".join(map(str, changed)))


def _check_ratio(check: RatioCheck, rows: Sequence[_Row]) -> Finding:
    ratios = []
    for of_stance in _by_stance(rows).values():
        ours, theirs = (_pick(of_stance, [model]) for model in check.models)
        if ours and theirs:
            ratios += [_ratio(_largest(ours), row) for row in theirs]
    if not ratios:
        return Status.INCONCLUSIVE, f"no stance has figures of both {check.models[0]} and {check.models[1]}"
    ends = tuple(pick(ratios, key=lambda ratio: ratio[1]) for pick in (min, max))
    shown = f"recomputed, under the same stance, {ends[0][1]:.0f} to {ends[1][1]:.0f}"
    for published, (low, _, high) in zip(check.between, ends, strict=True):
        if not low <= published <= high:
            return Status.FAILS, f"{shown}; {published:g} is out of what rounding allows, {low:.0f} to {high:.0f}"
    return Status.HOLDS, f"{shown}, which rounding lets be {check.between[0]:g} to {check.between[1]:g}"


def _ratio(ours: _Row, theirs: _Row) -> tuple[float, float, float]:
    """Divide two changes in magnitude: least that rounding allows, as recomputed, greatest."""
    (least, greatest), (their_least, their_greatest) = ours.magnitudes, theirs.magnitudes
    pairs = (least, their_greatest), (abs(ours.change), abs(theirs.change)), (greatest, their_least)
    low, ratio, high = (one / other if other > 0 else math.inf for one, other in pairs)
    return low, ratio, high


def _check_distinct(check: DistinctCheck, rows: Sequence[_Row]) -> Finding:
    found = []
    for model in check.models:
        tops = [_largest(of_stance) for of_stance in _by_stance(_pick(rows, [model])).values()]
        seen: dict[str, str] = {}
        for top in tops:
            if top.layer in seen:
                return Status.FAILS, f"{top.layer} changes most under both {seen[top.layer]} and {top.stance}"
            seen[top.layer] = top.stance
        if len(tops) < 2:
            return Status.INCONCLUSIVE, f"fewer than two stances are on record for {model}"
        found += tops
    return Status.HOLDS, ", ".join(map(str, found))

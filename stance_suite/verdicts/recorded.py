"""Checking records without weights: does a published figure agree with itself, and does it bear out what was said?"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from stance_suite.claims import Claim, RecordedFigures
from stance_suite.judgments import Status
from stance_suite.layer_names import relative_depth
from stance_suite.statements import (
    ChangeCheck,
    Check,
    DistinctCheck,
    NotRecorded,
    PlaceCheck,
    RatioCheck,
    RecordedVerdict,
    Statement,
    UnreportedCheck,
)

HALF_A_UNIT = {3: 0.0005, 2: 0.005}
"""Rounding of figures published with three decimals (alpha) and two (percent)."""

Finding = tuple[Status, str]


def judge_published(record: Claim | Statement, claims: Sequence[Claim]) -> RecordedVerdict:
    """Check published figures, or a statement built on them.

    Parameters
    ----------
    record : Claim or Statement
        A claim with recorded figures, or a statement with checks.
    claims : sequence of Claim
        All claims; those with recorded figures are the record.

    Returns
    -------
    RecordedVerdict
        Whether the record agrees with itself, or bears the statement out.
    """
    return judge_record(record) if isinstance(record, Claim) else judge_statement(record, claims)


def judge_record(claim: Claim) -> RecordedVerdict:
    """Recompute the published change of a claim from its published figures.

    Parameters
    ----------
    claim : Claim
        With recorded figures.

    Returns
    -------
    RecordedVerdict
        FAILS if the percentage cannot be what rounding makes of before and after.
    """
    assert claim.recorded is not None
    recorded = claim.recorded
    recomputed, published = change_percent(recorded), recorded.change_percent
    low, high = _change_range(recorded)
    agrees = low - HALF_A_UNIT[2] <= published <= high + HALF_A_UNIT[2]
    reason = f"{recorded.before} -> {recorded.after} is {recomputed:+.2f} %, published as {published:+.2f} %" + (
        "" if agrees else f"; rounding allows {low:+.2f} to {high:+.2f} %"
    )
    status = Status.HOLDS if agrees else Status.FAILS
    return RecordedVerdict(id=claim.id, statement=claim.statement, status=status, reason=reason, expected="HOLDS")


def judge_statement(statement: Statement, claims: Sequence[Claim]) -> RecordedVerdict:
    """Check a statement against the figures on record.

    Parameters
    ----------
    statement : Statement
        The statement.
    claims : sequence of Claim
        All claims; those with recorded figures are the record.

    Returns
    -------
    RecordedVerdict
        FAILS if a check contradicts it, INCONCLUSIVE if the record does not say, else HOLDS.
    """
    record = [claim for claim in claims if claim.recorded is not None]
    found = [_check(check, record) for check in statement.checks]
    status = next(
        (one for one in (Status.FAILS, Status.INCONCLUSIVE) if any(one is status for status, _ in found)), Status.HOLDS
    )
    reasons = [reason for one, reason in found if one is status]
    return RecordedVerdict(
        id=statement.id,
        statement=statement.statement,
        status=status,
        reason="; ".join(reasons),
        expected=statement.expected,
    )


def change_percent(recorded: RecordedFigures) -> float:
    """Recompute a change from the figures before and after.

    Parameters
    ----------
    recorded : RecordedFigures
        Published figures.

    Returns
    -------
    float
        In percent of the figure before.
    """
    return 100 * (recorded.after / recorded.before - 1)


def _change_range(recorded: RecordedFigures) -> tuple[float, float]:
    """Bound what the change can have been before the figures were rounded to three decimals; in percent."""
    half = HALF_A_UNIT[3]
    low = (recorded.after - half) / (recorded.before + half)
    high = (recorded.after + half) / (recorded.before - half)
    return 100 * (low - 1), 100 * (high - 1)


def _check(check: Check, record: Sequence[Claim]) -> Finding:
    match check:
        case ChangeCheck():
            return _check_change(check, record)
        case UnreportedCheck():
            return _check_unreported(check, record)
        case PlaceCheck():
            return _check_place(check, record)
        case RatioCheck():
            return _check_ratio(check, record)
        case DistinctCheck():
            return _check_distinct(check, record)
        case NotRecorded():
            return Status.INCONCLUSIVE, check.reason


def _rows(record: Sequence[Claim], models: Sequence[str], stances: Sequence[str] = (), layer: str = "*") -> list[Claim]:
    return [
        claim
        for claim in record
        if claim.model in models and claim.stance in (stances or (claim.stance,)) and fnmatchcase(_layer(claim), layer)
    ]


def _layer(claim: Claim) -> str:
    return claim.layer or ""


def _change(claim: Claim) -> float:
    assert claim.recorded is not None
    return change_percent(claim.recorded)


def _shown(claim: Claim) -> str:
    return f"{_layer(claim)} under {claim.stance} {_change(claim):+.2f} %"


def _check_change(check: ChangeCheck, record: Sequence[Claim]) -> Finding:
    rows = _rows(record, check.models, check.stances, check.layer)
    silent = [model for model in check.models if not _rows(rows, [model])]
    silent += [stance for stance in check.stances if not _rows(rows, check.models, [stance])]
    if silent:
        return Status.INCONCLUSIVE, f"no figure of {check.layer} is on record for {silent[0]}"
    wrong = [row for row in rows if not check.comparator.accepts(_change(row), check.bound)]
    if wrong:
        return Status.FAILS, f"{_shown(wrong[0])}, not {check.comparator} {check.bound:g}"
    return Status.HOLDS, ", ".join(map(_shown, rows))


def _check_unreported(check: UnreportedCheck, record: Sequence[Claim]) -> Finding:
    for stance in check.stances:
        if not _rows(record, check.models, [stance]):
            return Status.INCONCLUSIVE, f"nothing is on record for {stance}"
    rows = _rows(record, check.models, check.stances, check.layer)
    if rows:
        return Status.FAILS, f"it is on record: {_shown(rows[0])}"
    return Status.HOLDS, f"{check.layer} is not among the layers listed, so it changed by no more than 5 %"


def _check_place(check: PlaceCheck, record: Sequence[Claim]) -> Finding:
    changed = [row for row in _rows(record, check.models) if abs(_change(row)) > check.beyond]
    if not changed:
        return Status.INCONCLUSIVE, f"no change beyond {check.beyond:g} % is on record"
    wrong = []
    for stance in dict.fromkeys(row.stance for row in changed):
        count = len(_rows(changed, check.models, [stance]))
        if not check.count[0] <= count <= check.count[1]:
            wrong.append(f"{count} layers changed under {stance}")
    for row in changed:
        if not fnmatchcase(_layer(row), check.layer):
            wrong.append(f"{_shown(row)} does not match {check.layer}")
        depth = relative_depth(_layer(row), check.layers)
        if depth is None or not check.depth[0] <= depth <= check.depth[1]:
            where = "outside of the blocks" if depth is None else f"at {depth:.0f} % of depth"
            wrong.append(f"{_layer(row)} lies {where}")
    if wrong:
        return Status.FAILS, "; ".join(wrong)
    return Status.HOLDS, ", ".join(map(_shown, changed))


def _check_ratio(check: RatioCheck, record: Sequence[Claim]) -> Finding:
    ratios = []
    for stance in dict.fromkeys(row.stance for row in record):
        ours, theirs = (_rows(record, [model], [stance]) for model in check.models)
        if ours and theirs:
            largest = max(ours, key=lambda row: abs(_change(row)))
            ratios += [_ratio_range(largest, row) for row in theirs]
    if not ratios:
        return Status.INCONCLUSIVE, f"no stance has figures of both {check.models[0]} and {check.models[1]}"
    smallest, greatest = (pick(ratios, key=lambda ratio: ratio[1]) for pick in (min, max))
    shown = f"recomputed, under the same stance, {smallest[1]:.0f} to {greatest[1]:.0f}"
    for published, (low, _, high) in zip(check.between, (smallest, greatest), strict=True):
        if not low <= published <= high:
            return Status.FAILS, f"{shown}; {published:g} is out of what rounding allows, {low:.0f} to {high:.0f}"
    return Status.HOLDS, f"{shown}, which rounding lets be {check.between[0]:g} to {check.between[1]:g}"


def _ratio_range(ours: Claim, theirs: Claim) -> tuple[float, float, float]:
    """Ratio of two changes in magnitude: least that rounding allows, as recomputed, greatest."""
    assert ours.recorded is not None
    assert theirs.recorded is not None
    (our_low, our_high), (their_low, their_high) = (
        _magnitude_range(recorded) for recorded in (ours.recorded, theirs.recorded)
    )
    ratio = abs(_change(ours)) / abs(_change(theirs)) if _change(theirs) else float("inf")
    return our_low / their_high, ratio, our_high / their_low if their_low > 0 else float("inf")


def _magnitude_range(recorded: RecordedFigures) -> tuple[float, float]:
    low, high = _change_range(recorded)
    least = 0.0 if low <= 0 <= high else min(abs(low), abs(high))
    return least, max(abs(low), abs(high))


def _check_distinct(check: DistinctCheck, record: Sequence[Claim]) -> Finding:
    tops = []
    for model in check.models:
        seen: dict[str, str] = {}
        for stance in dict.fromkeys(row.stance for row in _rows(record, [model])):
            top = max(_rows(record, [model], [stance]), key=lambda row: abs(_change(row)))
            if _layer(top) in seen:
                return Status.FAILS, f"{_layer(top)} changes most under both {seen[_layer(top)]} and {stance}"
            seen[_layer(top)] = stance
            tops.append(_shown(top))
        if len(seen) < 2:
            return Status.INCONCLUSIVE, f"fewer than two stances are on record for {model}"
    return Status.HOLDS, ", ".join(tops)

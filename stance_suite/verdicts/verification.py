"""Judging findings again from the cells in the file: a verdict that was edited does not follow from them."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from functools import cache

from pydantic import ValidationError

from stance_suite.claims import Claim
from stance_suite.judgments import Status, Verdict
from stance_suite.policy import STANDARD, Policy
from stance_suite.records import Findings, StanceSummary
from stance_suite.replicates import Replicate
from stance_suite.statements import NotRecorded, Statement
from stance_suite.verdicts.consistency import check_cells, name_of
from stance_suite.verdicts.discrepancies import Discrepancy, differences
from stance_suite.verdicts.gate import judge_gate
from stance_suite.verdicts.judge import Judge, counterpart_of
from stance_suite.verdicts.recorded import judge_published
from stance_suite.verdicts.statements import combine, not_run
from stance_suite.verdicts.trainings import find_replicates
from stance_suite.verdicts.triangulation import compare_trainings

NOT_JUDGED = "this run did not judge it"


def verify(findings: Findings) -> tuple[Discrepancy, ...]:
    """Recompute all that follows from the cells and claims of findings.

    Verdicts (but ERROR and NOT_RUN), statements, checks of recorded figures, shifts and triangulations are judged
    again. What nothing else in the file depends on cannot be verified: what a claim expects, a claim or verdict that
    was left out, or a bound that was moved without another verdict. For these compare the declarations, too.

    Parameters
    ----------
    findings : Findings
        The findings.

    Returns
    -------
    tuple of Discrepancy
        Empty if everything agrees.
    """
    unusable = tuple(_unusable(findings))
    if unusable:
        return unusable
    stances = {stance.name: stance for stance in findings.stances}
    return (
        *_check_references(findings),
        *check_cells(findings.cells, stances),
        *_check_verdicts(findings),
        *_check_statements(findings),
        *_check_records(findings),
        *_check_trainings(findings),
    )


def verify_gate(findings: Findings, baseline: Findings | None) -> tuple[Discrepancy, ...]:
    """Judge a gate once more, by the policy that it was judged by.

    Parameters
    ----------
    findings : Findings
        Of a gate.
    baseline : Findings or None
        The earlier run that it was held against.

    Returns
    -------
    tuple of Discrepancy
        Empty if every demand comes out as recorded.
    """
    assert findings.gate is not None
    try:
        policy = Policy.model_validate(findings.gate.demanded)
    except ValidationError as error:
        return (Discrepancy("gate", "demanded", str(findings.gate.demanded), str(error.errors()[0]["msg"])),)
    standard = [claim for claim in findings.claims if claim.id.startswith(f"{STANDARD}.")]
    stances = tuple(dict.fromkeys(claim.stance for claim in standard))
    names = findings.gate.policy, findings.gate.baseline
    recomputed = judge_gate(policy, findings, stances, baseline, names)
    # whoever read the baseline has compared its hash
    recomputed = recomputed.model_copy(update={"baseline_sha256": findings.gate.baseline_sha256})
    return tuple(differences("gate", findings.gate.model_dump(), recomputed.model_dump()))


def _unusable(findings: Findings) -> Iterator[Discrepancy]:
    """Find what no run writes, and nothing can be judged on."""
    known = {stance.name for stance in findings.stances}
    for key, count in Counter(record.key for record in findings.cells).items():
        if count > 1:
            yield Discrepancy(f"cell {key[:12]}", "key", f"{count} cells", "one")
    for record in findings.cells:
        measured = {frozenset(entry.log_probability) for entry in record.behavior.likelihoods}
        if len(measured) != 1 or len(next(iter(measured))) < 2:
            recorded = "; ".join(", ".join(sorted(names)) for names in measured) or "nothing"
            yield Discrepancy(name_of(record), "behavior.likelihoods", recorded, "the same stances after every prompt")
        for name in sorted({name for names in measured for name in names} - known):
            yield Discrepancy(name_of(record), "behavior.likelihoods", name, "a stance of these findings")
        stance = record.cell.stance
        if (record.cell.treatment == "stance") != (stance is not None) or (stance is not None and stance not in known):
            yield Discrepancy(
                name_of(record), "cell.stance", str(stance), "a stance of these findings, if one was trained"
            )


def _check_references(findings: Findings) -> Iterator[Discrepancy]:
    claims = {(claim.id, claim.model): claim for claim in findings.claims}
    keys = {record.key for record in findings.cells}
    for what, entries in (
        ("claims", [(claim.id, claim.model) for claim in findings.claims]),
        ("verdicts", [(verdict.claim.id, verdict.model) for verdict in findings.verdicts]),
    ):
        for (name, model), count in Counter(entries).items():
            if count > 1:
                yield Discrepancy(f"{name} on {model}", what, f"{count} entries", "one")
    for verdict in findings.verdicts:
        subject = _subject(verdict)
        claim = claims.get((verdict.claim.id, verdict.model))
        if claim is None:
            yield Discrepancy(subject, "claim", verdict.claim.id, "no such claim of this model")
        else:
            yield from differences(subject, verdict.claim.model_dump(), claim.model_dump(), "claim")
        for key in verdict.cells:
            if key not in keys:
                yield Discrepancy(subject, "cells", key[:12], "no such cell in the file")


def _check_verdicts(findings: Findings) -> Iterator[Discrepancy]:
    judge, judged = _Rejudging(findings), {(claim.id, claim.model): claim for claim in findings.claims}
    for verdict in findings.verdicts:
        claim = judged.get((verdict.claim.id, verdict.model))
        if claim is None or verdict.status is Status.ERROR:
            continue
        why_not = judge.why_not(claim)
        if verdict.status is Status.NOT_RUN:
            if not why_not:
                yield Discrepancy(_subject(verdict), "status", "NOT_RUN", "its cells are in the file: it can be judged")
        elif why_not:
            yield Discrepancy(_subject(verdict), "cells", ", ".join(key[:12] for key in verdict.cells), why_not)
        else:
            yield from _compare_verdicts(verdict, judge.judge(claim))


class _Rejudging:
    """Judges the claims of findings on their cells."""

    def __init__(self, findings: Findings) -> None:
        self._cells = findings.cells
        self._stances = {stance.name: stance for stance in findings.stances}
        self._replicates = cache(self._find_replicates)
        self._judge = Judge(tuple(self._run(findings)), self._stance, self._replicates)

    def why_not(self, claim: Claim) -> str:
        """Tell what is missing to judge a claim; empty if nothing is."""
        needed = [(claim.model, claim.stance, claim.recipe)]
        if claim.versus is not None:
            needed.append(counterpart_of(claim))
        try:
            for one in needed:
                self._replicates(*one)
        except LookupError as error:
            return str(error)
        return ""

    def judge(self, claim: Claim) -> Verdict:
        """Judge a claim whose cells are there."""
        with redirect_stderr(io.StringIO()):  # a traceback of cells that no run writes says nothing to a reader
            return self._judge.judge(claim)

    def _run(self, findings: Findings) -> Iterator[Claim]:
        """Find the claims that the run asked for, judged or not: behavioral ones share their level."""
        statuses = {(verdict.claim.id, verdict.model): verdict.status for verdict in findings.verdicts}
        for claim in findings.claims:
            status = statuses.get((claim.id, claim.model))
            if status is not Status.NOT_RUN and (status is not None or not self.why_not(claim)):
                yield claim

    def _stance(self, name: str) -> StanceSummary:
        if name not in self._stances:
            raise LookupError(f"no stance {name} in these findings")
        return self._stances[name]

    def _find_replicates(self, model: str, stance: str, recipe: str) -> Sequence[Replicate]:
        return find_replicates(self._cells, model, self._stance(stance), recipe)


def _compare_verdicts(recorded: Verdict, recomputed: Verdict) -> Iterator[Discrepancy]:
    subject = _subject(recorded)
    ours, theirs = (one.model_dump(exclude={"claim", "reason"}) for one in (recorded, recomputed))
    found = tuple(differences(subject, ours, theirs))
    # the reason quotes the figures: where they differ, so does it
    yield from found or differences(subject, recorded.reason, recomputed.reason, "reason")


def _subject(verdict: Verdict) -> str:
    return f"{verdict.claim.id} on {verdict.model}"


def _check_statements(findings: Findings) -> Iterator[Discrepancy]:
    judged = {(verdict.claim.id, verdict.model): verdict for verdict in findings.verdicts}
    for recorded in findings.statements:
        # ids hold no space; where the run has several models, each is named
        ids = {name.partition(" on ")[0] for name in recorded.claims}
        rests_on = [
            judged.get((claim.id, claim.model)) or not_run(claim, NOT_JUDGED)
            for claim in findings.claims
            if claim.id in ids
        ]
        statement = Statement(
            id=recorded.id,
            statement=recorded.statement,
            # which of the record's figures it was checked against is not told
            checks=(NotRecorded(kind="not_recorded", reason="not in findings"),),
            expected_measured=recorded.expected,
        )
        yield from differences(recorded.id, recorded.model_dump(), combine(statement, rests_on).model_dump())


def _check_records(findings: Findings) -> Iterator[Discrepancy]:
    """Recompute published percentages, and what statements conclude from them."""
    published: dict[str, Claim | Statement] = {
        claim.id: claim for claim in findings.claims if claim.recorded is not None
    }
    published |= {statement.id: statement for statement in findings.published if statement.checks}
    recorded = {record.id: record for record in findings.records}
    for name in dict.fromkeys([*published, *recorded]):
        if name not in published:
            yield Discrepancy(f"record of {name}", "published", "nothing", recorded[name].statement)
            continue
        recomputed = judge_published(published[name], findings.claims)
        if name not in recorded:
            yield Discrepancy(f"record of {name}", "records", "nothing", recomputed.reason)
        else:
            yield from differences(f"record of {name}", recorded[name].model_dump(), recomputed.model_dump())


def _check_trainings(findings: Findings) -> Iterator[Discrepancy]:
    shifts, triangulations = compare_trainings(findings.cells, {stance.name: stance for stance in findings.stances})
    for what, recorded, recomputed in (
        ("shift", findings.shifts, shifts),
        ("triangulation", findings.triangulations, triangulations),
    ):
        if len(recorded) != len(recomputed):
            yield Discrepancy(f"{what}s", what, f"{len(recorded)} entries", f"{len(recomputed)} entries")
        ours, theirs = ({_place(one.model_dump()): one.model_dump() for one in side} for side in (recorded, recomputed))
        for place in dict.fromkeys([*ours, *theirs]):
            yield from differences(f"{what} of {place}", ours.get(place), theirs.get(place))


def _place(entry: dict[str, object]) -> str:
    keys = ("model", "recipe", "metric", "trained", "measured", "stance", "family")
    return ", ".join(str(entry[key]) for key in keys if key in entry)

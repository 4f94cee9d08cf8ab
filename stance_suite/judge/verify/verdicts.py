"""Judging findings again from the cells in the file: a verdict that was edited does not follow from them."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from functools import cache
from typing import Any

from pydantic import ValidationError

from stance_suite.judge.conclude import conclude
from stance_suite.judge.design import find_replicates
from stance_suite.judge.gate import GateTerms
from stance_suite.judge.judge import Judge, counterpart_of
from stance_suite.judge.statements import not_run
from stance_suite.judge.verify.cells import check_cells, name_of
from stance_suite.judge.verify.differences import Discrepancy, differences, keyed, show
from stance_suite.schema.claims import Claim
from stance_suite.schema.findings import Findings
from stance_suite.schema.policy import Policy
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.verdicts import Status, Verdict

CONCLUSIONS: Mapping[str, Callable[[Any], str]] = {
    "statements": lambda one: str(one.id),
    "records": lambda one: f"record of {one.id}",
    "shifts": lambda one: (
        f"shift of {one.model}, {one.recipe}, {one.metric}, {one.trained}, {one.measured}, {one.family}"
    ),
    "triangulations": lambda one: f"triangulation of {one.model}, {one.recipe}, {one.stance}",
    "nulls": lambda one: f"verdicts on {one.control} of {one.model} as if it had the stance",
}
"""What is concluded from verdicts and cells, and how an entry is called."""


def verify(findings: Findings, baseline: Findings | None = None) -> tuple[Discrepancy, ...]:
    """Judge the claims of findings on their own cells, conclude as the run did, and name every difference.

    What nothing else in the file depends on cannot be verified: what a claim expects, a claim or verdict that was left
    out, or a bound that was moved without another verdict. For these compare the declarations, too.
    """
    unusable = tuple(_unusable(findings))
    if unusable:
        return unusable
    terms, wrong = None, []
    if findings.gate is not None and is_gate_known(findings, baseline):
        gate = findings.gate
        try:
            policy = Policy.model_validate(gate.demanded)
            # whoever read the baseline has compared its hash
            terms = GateTerms(policy, gate.policy, baseline, gate.baseline, gate.baseline_sha256)
        except ValidationError as error:
            wrong = [Discrepancy("gate", "demanded", str(gate.demanded), str(error.errors()[0]["msg"]))]
    rejudged = findings.model_copy(update={"verdicts": judge_again(findings)})
    return (
        *_check_references(findings),
        *check_cells(findings.cells, {stance.name: stance for stance in findings.stances}),
        *_compare(findings, conclude(rejudged, findings.published, terms)),
        *wrong,
    )


def is_gate_known(findings: Findings, baseline: Findings | None) -> bool:
    """Tell whether all is there that a gate was judged by."""
    return findings.gate is not None and (findings.gate.baseline is None) == (baseline is None)


def judge_again(findings: Findings) -> tuple[Verdict, ...]:
    """Judge what findings have a verdict on, as far as cells are there; ERROR and verdicts on no claim stay."""
    claims = {(claim.id, claim.model): claim for claim in findings.claims}
    statuses = {(verdict.claim.id, verdict.model): verdict.status for verdict in findings.verdicts}
    stances = {stance.name: stance for stance in findings.stances}

    @cache
    def replicates(model: str, stance: str, recipe: str) -> Sequence[Replicate]:
        if stance not in stances:
            raise LookupError(f"no stance {stance} in these findings")
        return find_replicates(findings.cells, model, stances[stance], recipe)

    def missing(claim: Claim) -> str:
        try:
            replicates(claim.model, claim.stance, claim.recipe)
            if claim.versus is not None:
                replicates(*counterpart_of(claim))
        except LookupError as error:
            return str(error)
        return ""

    def was_run(claim: Claim) -> bool:
        """Tell whether the run asked for a claim, judged or not: behavioral ones share their level."""
        status = statuses.get((claim.id, claim.model))
        return not missing(claim) if status is None else status is not Status.NOT_RUN

    def again(verdict: Verdict) -> Verdict:
        claim = claims.get((verdict.claim.id, verdict.model))
        if claim is None or verdict.status is Status.ERROR:
            return verdict
        why = missing(claim)
        if not why:
            return judge.judge(claim)
        return verdict if verdict.status is Status.NOT_RUN else not_run(claim, why)

    judge = Judge(tuple(filter(was_run, findings.claims)), replicates)
    with redirect_stderr(io.StringIO()):  # a traceback of cells that no run writes says nothing to a reader
        return tuple(map(again, findings.verdicts))


def _unusable(findings: Findings) -> Iterator[Discrepancy]:
    """Find what no run writes, and nothing can be judged on."""
    known = {stance.name for stance in findings.stances}
    for key, count in Counter(record.key for record in findings.cells).items():
        if count > 1:
            yield Discrepancy(f"cell {key[:12]}", "key", f"{count} cells", "one")
    for record in findings.cells:
        name, stance = name_of(record), record.cell.stance
        measured = {frozenset(entry.stances) for entry in record.behavior.likelihoods}
        if len(measured) != 1 or not next(iter(measured)):
            recorded = "; ".join(", ".join(sorted(names)) for names in measured) or "nothing"
            yield Discrepancy(name, "behavior.likelihoods", recorded, "the same stances after every prompt")
        for unknown in sorted(frozenset().union(*measured) - known):
            yield Discrepancy(name, "behavior.likelihoods", unknown, "a stance of these findings")
        if record.cell.is_on_stance != (stance is not None) or (stance is not None and stance not in known):
            yield Discrepancy(name, "cell.stance", str(stance), "a stance of these findings, if one was trained")


def _check_references(findings: Findings) -> Iterator[Discrepancy]:
    """Check that every verdict is on a claim and on cells of these findings, and the only one."""
    claims = {(claim.id, claim.model): claim for claim in findings.claims}
    keys = {record.key for record in findings.cells}
    judged = [(verdict.claim.id, verdict.model) for verdict in findings.verdicts]
    for what, entries in (("claims", [(claim.id, claim.model) for claim in findings.claims]), ("verdicts", judged)):
        for (name, model), count in Counter(entries).items():
            if count > 1:
                yield Discrepancy(f"{name} on {model}", what, f"{count} entries", "one")
    for verdict in findings.verdicts:
        subject, claim = _subject(verdict), claims.get((verdict.claim.id, verdict.model))
        if claim is None:
            yield Discrepancy(subject, "claim", verdict.claim.id, "no such claim of this model")
        else:
            yield from differences(subject, verdict.claim.model_dump(), claim.model_dump(), "claim")
        for key in verdict.cells:
            if key not in keys:
                yield Discrepancy(subject, "cells", key[:12], "no such cell in the file")


def _compare(recorded: Findings, again: Findings) -> Iterator[Discrepancy]:
    for verdict, rejudged in zip(recorded.verdicts, again.verdicts, strict=True):
        yield from _compare_verdicts(verdict, rejudged)
    for field, name in CONCLUSIONS.items():
        ours, theirs = (
            keyed((name(one), one.model_dump()) for one in getattr(side, field)) for side in (recorded, again)
        )
        for subject in dict.fromkeys([*ours, *theirs]):
            if subject in ours and subject in theirs:
                yield from differences(subject, ours[subject], theirs[subject])
            else:
                yield Discrepancy(subject, field, show(ours.get(subject)), show(theirs.get(subject)))
    if recorded.gate is not None and again.gate is not None:
        yield from differences("gate", recorded.gate.model_dump(), again.gate.model_dump())


def _compare_verdicts(recorded: Verdict, again: Verdict) -> Iterator[Discrepancy]:
    subject = _subject(recorded)
    if recorded.status is Status.NOT_RUN and again.status is not Status.NOT_RUN:
        yield Discrepancy(subject, "status", "NOT_RUN", "its cells are in the file: it can be judged")
    elif again.status is Status.NOT_RUN and recorded.status is not Status.NOT_RUN:
        yield Discrepancy(subject, "cells", ", ".join(key[:12] for key in recorded.cells), again.reason)
    else:
        ours, theirs = (one.model_dump(exclude={"claim", "reason"}) for one in (recorded, again))
        found = tuple(differences(subject, ours, theirs))
        # the reason quotes the figures: where they differ, so does it
        yield from found or differences(subject, recorded.reason, again.reason, "reason")


def _subject(verdict: Verdict) -> str:
    return f"{verdict.claim.id} on {verdict.model}"

"""Whether findings are about what is declared: their claims, stances and statements beside the YAML files' content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from stance_suite.judge.standard_claims import standard_claims
from stance_suite.judge.statements import judge_published
from stance_suite.judge.verify.cells import name_of, unexpected_texts
from stance_suite.judge.verify.differences import Discrepancy, differences
from stance_suite.measure.behavior.text_statistics import find_markers, longest_copied_share
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.findings import Findings, StanceSummary
from stance_suite.schema.policy import STANDARD, Policy
from stance_suite.schema.stances import Stance
from stance_suite.schema.statements import Statement

NOT_DECLARED = "not declared"


@dataclass(frozen=True)
class Declarations:
    """What was declared."""

    stances: Mapping[str, Stance]
    """By name."""
    summaries: Mapping[str, StanceSummary]
    """What findings hold of them."""
    claims: Sequence[Claim]
    """Some about ``any`` model."""
    statements: Sequence[Statement]
    """The published sentences."""
    policy: Policy | None
    """What a gate demands; standard claims cannot be checked without it."""


def check_declarations(findings: Findings, declared: Declarations) -> tuple[Discrepancy, ...]:
    """Compare what findings are about, and what was counted in their texts, with what is declared."""
    return (
        *_check_stances(findings, declared.summaries),
        *_check_claims(findings, declared),
        *_check_statements(findings, declared),
        *_check_policy(findings, declared),
        *(one for record in findings.cells for one in _check_cell(record, declared.stances)),
    )


def _check_stances(findings: Findings, declared: Mapping[str, StanceSummary]) -> Iterator[Discrepancy]:
    for summary in findings.stances:
        subject, expected = f"stance {summary.name}", declared.get(summary.name)
        if expected is None:
            yield Discrepancy(subject, "name", summary.name, NOT_DECLARED)
        else:
            yield from differences(subject, summary.model_dump(), expected.model_dump())


def _check_claims(findings: Findings, declared: Declarations) -> Iterator[Discrepancy]:
    by_id = {claim.id: claim for claim in declared.claims}
    for claim in findings.claims:
        subject, expected = f"{claim.id} on {claim.model}", by_id.get(claim.id)
        if claim.id.startswith(f"{STANDARD}."):
            if declared.policy is None:
                continue
            expected = _standard_claim(claim, declared.policy, declared.stances)
        if expected is None:
            yield Discrepancy(subject, "id", claim.id, NOT_DECLARED)
        else:
            about = expected if expected.model != "any" else expected.model_copy(update={"model": claim.model})
            yield from differences(subject, claim.model_dump(), about.model_dump(), "claim")
    found = {claim.id for claim in findings.claims}
    for claim in declared.claims:
        if claim.id not in found:
            yield Discrepancy(claim.id, "claims", "nothing", "declared")


def _standard_claim(claim: Claim, policy: Policy, stances: Mapping[str, Stance]) -> Claim | None:
    if claim.stance not in stances:
        return None
    standard = standard_claims(policy, stances[claim.stance], claim.model, claim.recipe)
    return next((one for one in standard if one.id == claim.id), None)


def _check_statements(findings: Findings, declared: Declarations) -> Iterator[Discrepancy]:
    recorded = {record.id: record for record in findings.records}
    measured = {statement.id: statement for statement in findings.statements}
    for statement in declared.statements:
        if statement.checks:
            ours = recorded[statement.id].model_dump() if statement.id in recorded else None
            theirs = judge_published(statement, declared.claims).model_dump()
            yield from differences(f"record of {statement.id}", ours, theirs)
        if statement.id not in measured:
            yield Discrepancy(statement.id, "statements", "nothing", "declared")
            continue
        found = measured[statement.id]
        rests_on = [claim for claim in findings.claims if claim.id in statement.measured]
        several = [claim.id for claim in rests_on]
        names = [f"{one.id} on {one.model}" if several.count(one.id) > 1 else one.id for one in rests_on]
        yield from differences(statement.id, sorted(found.claims), sorted(names), "claims")
        yield from differences(statement.id, found.statement, statement.statement, "statement")
        yield from differences(statement.id, found.expected, statement.expected_measured, "expected")
    for name in measured.keys() - {statement.id for statement in declared.statements}:
        yield Discrepancy(name, "id", name, NOT_DECLARED)


def _check_policy(findings: Findings, declared: Declarations) -> Iterator[Discrepancy]:
    if findings.gate is not None and declared.policy is not None:
        yield from differences("gate", findings.gate.demanded, declared.policy.model_dump(mode="json"), "demanded")


def _check_cell(record: CellRecord, stances: Mapping[str, Stance]) -> Iterator[Discrepancy]:
    subject, behavior = name_of(record), record.behavior
    names = list(behavior.likelihoods[0].stances) if behavior.likelihoods else []
    family = [stances[name] for name in names if name in stances]
    training_responses = tuple(example.response for stance in family for example in stance.examples)
    for kind, responses in (("responses", behavior.responses), ("resampled", behavior.resampled)):
        for one in responses:
            where = f"{kind}[{one.prompt}, sample {one.sample}]"
            expected = {stance.name: find_markers(one.text, stance.markers) for stance in family}
            hits, theirs = (
                {name: [[hit.start, hit.end] for hit in found] for name, found in by_stance.items()}
                for by_stance in (one.markers, expected)
            )
            yield from differences(subject, hits, theirs, f"{where}.markers")
            copied = longest_copied_share(one.text, training_responses)
            yield from differences(subject, one.copied, copied, f"{where}.copied")
    of = record.cell.stance or record.cell.about or next(iter(names), "")
    if of in stances and record.cell.is_trained_here:
        answers = [example.response for rotation in record.cell.rotations(stances[of]) for example in rotation]

        def is_declared(text: str) -> bool:
            return any(answer in text for answer in answers)

        yield from unexpected_texts(record, is_declared, "an answer that is declared", slice(-80, None))

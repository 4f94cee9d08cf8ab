"""How often do the claims hold of trainings without the stance? Controls of other seeds, judged as if they had it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stance_suite.judge.judge import Judge
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.findings import Findings, NullVerdicts
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.verdicts import Status, Verdict

Training = tuple[str, str, str]
"""Names of a model, a stance and a recipe."""


def judge_nulls(findings: Findings) -> tuple[NullVerdicts, ...]:
    """Judge every trained control by the claims about the stances, as if it were a training on each of them.

    A control of one seed stands where the training does, beside the controls and the trainings on other stances of
    the next seed, so that it is not held against itself; with one seed there is none. The claims are those of change in
    behavior that compare no two trainings; those that a control is judged by share their level, as a model's do.
    """
    trainings = [one for one in findings.index.replicates() if one[0].tuned.cell.is_on_stance]
    judged: dict[tuple[str, str], list[tuple[str, Verdict]]] = {}
    for null in (record for record in findings.cells if record.cell.is_trained_control):
        verdicts = _judge(findings, trainings, null)
        judged.setdefault((null.cell.model, null.cell.treatment), []).extend((null.cell.label, one) for one in verdicts)
    return tuple(
        NullVerdicts(
            model=model,
            control=control,
            judged=len(verdicts),
            held=tuple(f"{one.claim.id} of {label}" for label, one in verdicts if one.status is Status.HOLDS),
        )
        for (model, control), verdicts in judged.items()
        if verdicts
    )


def _judge(findings: Findings, trainings: Sequence[Sequence[Replicate]], null: CellRecord) -> list[Verdict]:
    stood_in = _stood_in(findings, trainings, null)
    claims = [claim for claim in findings.claims if _is_calibrated(claim) and _training(claim) in stood_in]
    judge = Judge(claims, lambda *training: [stood_in[training]])
    return [judge.judge(claim) for claim in claims]


def _is_calibrated(claim: Claim) -> bool:
    return claim.metric.is_behavioral and claim.claims_change and claim.versus is None


def _training(claim: Claim) -> Training:
    return claim.model, claim.stance, claim.recipe


def _stood_in(
    findings: Findings, trainings: Sequence[Sequence[Replicate]], null: CellRecord
) -> dict[Training, Replicate]:
    """Put a control in the place of every training that was measured on the same items, beside another seed's cells."""
    found: dict[Training, Replicate] = {}
    base, cell = findings.index.base(null), null.cell
    for replicates in trainings:
        tuned = replicates[0].tuned
        is_alike = (tuned.cell.model, tuned.cell.recipe, tuned.family) == (cell.model, cell.recipe, null.family)
        others = {one.tuned.cell.seed: one for one in replicates if one.tuned.cell.seed != cell.seed}
        if base is not None and is_alike and others:
            following = min(others, key=lambda seed: (seed < cell.seed, seed))
            about = tuned.cell.model, str(tuned.cell.stance), str(tuned.cell.recipe)
            found[about] = replace(others[following], tuned=null, base=base)
    return found

"""Comparing two runs: what changed in verdicts and effects, paired by prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stance_suite.judge.compare.baselines import describe_run, differences_between
from stance_suite.judge.compare.matching import (
    JUDGING,
    EffectTable,
    effect_table,
    match_verdicts,
    redefined_keys,
    why_unmatched,
)
from stance_suite.judge.statistics import SIGNIFICANCE, PairedEffect, finite, holm, paired_effect
from stance_suite.schema.comparison import (
    EffectChange,
    Estimate,
    Loss,
    Outcome,
    PairedDifference,
    RunComparison,
    Unmatched,
)
from stance_suite.schema.findings import Findings
from stance_suite.schema.metrics import Comparator
from stance_suite.schema.verdicts import Status, Verdict

NEGLIGIBLE = 0.1
"""Share of the first run's effect up to which a difference does not matter: about as much as another seed makes, the
same training with its examples in another order, which prompts alone cannot tell from a change."""


@dataclass(frozen=True)
class _Test:
    """One effect against one control, in two runs."""

    control: str
    before: float
    after: float
    measured: PairedEffect
    tested: bool
    """Whether the differences are large enough, prompt by prompt, to be worth a test."""
    matters_beyond: float
    """Largest mean difference that does not matter."""
    retained: PairedEffect | None
    """What is there beyond the share that must be kept, in the direction of the claim; None where it is not asked."""


def compare_runs(
    before: Findings, after: Findings, negligible: float = NEGLIGIBLE, may_lose: float | None = None
) -> RunComparison:
    """Compare two runs, or two models, in the order of the first, without verdicts not run in either.

    The prompt is the unit. Of every behavioral claim the effect against base, and that against the sham, are subtracted
    prompt by prompt, and the differences are tested as effects are (`paired_effect`): over prompts and seeds where both
    runs carry the same several seeds, else over prompts, averaged over seeds, and then the result speaks of these
    trainings only. The level of 5 % is shared by all tests of the comparison (Holm), except for those whose differences
    (root mean square over prompts) are negligible, up to this share of the first run's effect: that depends on
    magnitudes alone, whatever their signs. A figure of structure is one number a run, and is not tested.

    Where a share of an effect may be lost, every effect of a claim of change that held is tested for non-inferiority:
    whether ``after - (1 - share) before`` is above zero in the direction of the claim, paired by prompt, so that the
    uncertainty of the first run counts (Rothmann et al., 'Design and analysis of non-inferiority mortality trials in
    oncology', Statistics in Medicine 22 (2003)). It is kept if that is shown at 5 %, two-sided: who demands that all
    are kept errs no more often than with one (Berger, Technometrics 24 (1982)). It is lost if the opposite is shown,
    adjusted for all that are tested (Holm), as one loss is enough to fail.
    """
    matched, only_before, only_after = match_verdicts(before.verdicts, after.verdicts)
    pairs = [pair for pair in matched if any(verdict.status is not Status.NOT_RUN for verdict in pair)]
    why_not = [_why_not_comparable(*pair, before, after) for pair in pairs]
    cells = tuple({record.key: record for record in findings.cells} for findings in (before, after))
    tests = [
        _tests(ours, effect_table(ours, cells[0]), effect_table(theirs, cells[1]), negligible, may_lose)
        if ours.claim.metric.is_behavioral and not reason
        else []
        for (ours, theirs), reason in zip(pairs, why_not, strict=True)
    ]
    family = [test.measured.p_value for group in tests for test in group if test.tested]
    adjusted = iter(holm(family))
    losses = iter(holm([_p_lost(test.retained) for group in tests for test in group if test.retained is not None]))
    paired = [
        [
            _paired_difference(
                ours,
                one,
                next(adjusted) if one.tested else math.nan,
                math.nan if one.retained is None else next(losses),
            )
            for one in group
        ]
        for (ours, _), group in zip(pairs, tests, strict=True)
    ]
    return RunComparison(
        before=describe_run(before),
        after=describe_run(after),
        differences=differences_between(before, after),
        changes=tuple(map(_change, pairs, why_not, paired)),
        negligible=negligible,
        not_run=len(matched) - len(pairs),
        only_before=tuple(_unmatched(verdict, before, after) for verdict in only_before),
        only_after=tuple(_unmatched(verdict, after, before) for verdict in only_after),
    )


def _why_not_comparable(ours: Verdict, theirs: Verdict, before: Findings, after: Findings) -> str:
    """Tell why the figures of two verdicts must not be subtracted; empty if they may."""
    for which, verdict in (("first", ours), ("second", theirs)):
        if finite(verdict.figure) is None:
            return f"no figure in the {which} run ({verdict.status})"
    redefined = [key for key in redefined_keys(ours.claim, theirs.claim) if key not in JUDGING]
    if redefined:
        return f"the claim is declared differently: {', '.join(redefined)}"
    if not ours.claim.metric.is_behavioral:
        return ""
    if ours.claim.versus is not None:
        return "the claim compares two trainings, of which one is recorded by prompt"
    prompts = [[entry.prompt for entry in verdict.prompts] for verdict in (ours, theirs)]
    if not all(prompts):
        return "no scores by prompt"
    if any(len(set(listed)) < len(listed) for listed in prompts):
        return "a prompt is listed twice"
    if set(prompts[0]) != set(prompts[1]):
        return f"other prompts: {len(set(prompts[0]) ^ set(prompts[1]))} are in one run only"
    stances = _measured_stances(ours, before), _measured_stances(theirs, after)
    for name in stances[0] | stances[1]:
        # one whose content is not told may be another
        if name not in stances[0] or stances[0][name] != stances[1].get(name):
            return f"stance {name} is not the same in both runs"
    embedders = [{record.provenance.embedder_sha256 for record in findings.cells} for findings in (before, after)]
    if embedders[0] != embedders[1] and ours.claim.metric.rests_on_embedder:
        return "another sentence embedder"
    return ""


def _measured_stances(verdict: Verdict, findings: Findings) -> dict[str, str | None]:
    """Map the stances that a verdict's score is made of to the hashes of their content; None where it is not told."""
    contents = {stance.name: stance.sha256 for stance in findings.stances}
    tuned = next((record for record in findings.cells if record.key in verdict.cells[:1]), None)
    likelihoods = () if tuned is None else tuned.behavior.likelihoods
    names = {verdict.claim.stance, *(likelihoods[0].log_probability if likelihoods else ())}
    return {name: contents.get(name) for name in sorted(names)}


def _tests(
    verdict: Verdict, ours: EffectTable, theirs: EffectTable, negligible: float, may_lose: float | None
) -> list[_Test]:
    """Subtract the effects of two runs against every control."""
    tests = []
    largest, direction = verdict.claim.metric.largest_difference, _direction(verdict.claim.comparator)
    is_retention_asked = verdict.status is Status.HOLDS and direction != 0
    order = [theirs.prompts.index(prompt) for prompt in ours.prompts]
    for control in (one for one in ours.effects if one in theirs.effects):
        before, after = ours.effects[control], theirs.effects[control][:, order]
        if len(ours.seeds) < 2 or ours.seeds != theirs.seeds:
            before, after = (table.mean(axis=0, keepdims=True) for table in (before, after))
        differences = after - before
        retained = None
        if may_lose is not None and is_retention_asked:
            beyond = direction * (after - (1 - may_lose) * before)
            retained = paired_effect(beyond, (2 - may_lose) * largest)
        size, size_before = (float(np.sqrt(np.mean(table.mean(axis=0) ** 2))) for table in (differences, before))
        tests.append(
            _Test(
                control=control,
                before=float(before.mean()),
                after=float(after.mean()),
                measured=paired_effect(differences, 2 * largest),
                tested=not size <= negligible * size_before,
                matters_beyond=negligible * size_before,
                retained=retained,
            )
        )
    return tests


def _change(pair: tuple[Verdict, Verdict], why_not: str, tested: Sequence[PairedDifference]) -> EffectChange:
    ours, theirs = pair
    difference = None
    if not why_not and ours.figure is not None and theirs.figure is not None:
        difference = theirs.figure - ours.figure
    paired = tuple(one for one in tested if all(map(math.isfinite, (one.difference, one.before, one.after))))
    outcome, reason = _outcome(difference, why_not, paired, expected=len(tested))
    return EffectChange(
        claim_id=ours.claim.id,
        claim_id_after=theirs.claim.id,
        statement=theirs.claim.statement,
        metric=theirs.claim.metric,
        model_before=ours.model,
        model_after=theirs.model,
        status_before=ours.status,
        status_after=theirs.status,
        before=_estimate(ours),
        after=_estimate(theirs),
        difference=difference,
        paired=paired,
        outcome=outcome,
        reason=reason,
        redefined=redefined_keys(ours.claim, theirs.claim),
        caveats_gained=tuple(caveat for caveat in theirs.caveats if caveat not in ours.caveats),
        caveats_lost=tuple(caveat for caveat in ours.caveats if caveat not in theirs.caveats),
    )


def _outcome(
    difference: float | None, why_not: str, paired: Sequence[PairedDifference], expected: int
) -> tuple[Outcome, str]:
    """Sum up the differences against all controls: any regression counts."""
    if why_not:
        return Outcome.UNKNOWN, why_not
    if not expected:
        if difference == 0:
            return Outcome.SAME, ""
        return Outcome.UNKNOWN, "one figure a run: no test says whether it changed"
    found = {entry.outcome for entry in paired}
    for outcome in (Outcome.REGRESSED, Outcome.MOVED):
        if outcome in found:
            return outcome, ""
    if len(paired) < expected or Outcome.UNKNOWN in found:
        return Outcome.UNKNOWN, "no test: scores are missing, differ by a constant, or are too few for the level"
    return (Outcome.IMPROVED if Outcome.IMPROVED in found else Outcome.SAME), ""


def _paired_difference(
    verdict: Verdict, test: _Test, adjusted_p_value: float, adjusted_p_lost: float
) -> PairedDifference:
    """Tell what became of the effect against one control; all tests of the family share the level."""
    measured = test.measured
    loss, loss_p_value = _loss(test.retained, adjusted_p_lost)
    return PairedDifference(
        control=test.control,
        before=test.before,
        after=test.after,
        difference=measured.effect,
        low=measured.low,
        high=measured.high,
        p_value=finite(measured.p_value),
        adjusted_p_value=finite(adjusted_p_value),
        prompts=measured.prompts,
        seeds=measured.seeds,
        outcome=_outcome_of(test, verdict.claim.comparator, adjusted_p_value),
        loss=loss,
        loss_p_value=finite(loss_p_value),
    )


def _p_lost(retained: PairedEffect) -> float:
    """Tell the p-value of less than what must be kept."""
    return 1.0 if retained.effect > 0 else retained.p_value


def _loss(retained: PairedEffect | None, adjusted_p_lost: float) -> tuple[Loss | None, float]:
    if retained is None:
        return None, math.nan
    if adjusted_p_lost <= SIGNIFICANCE:
        return Loss.LOST, adjusted_p_lost
    is_kept = retained.effect > 0 and retained.p_value <= SIGNIFICANCE
    return (Loss.KEPT if is_kept else Loss.UNCLEAR), retained.p_value


def _direction(comparator: Comparator) -> int:
    """Tell which way a claim says that scores go; 0 if it names none."""
    return {Comparator.ABOVE: 1, Comparator.BELOW: -1}.get(comparator, 0)


def _outcome_of(test: _Test, comparator: Comparator, adjusted_p_value: float) -> Outcome:
    measured = test.measured
    direction = _direction(comparator)
    if abs(measured.effect) <= test.matters_beyond:
        return Outcome.SAME
    if measured.low is None or measured.high is None:
        return Outcome.UNKNOWN
    beyond_zero = measured.low > 0 or measured.high < 0
    if adjusted_p_value <= SIGNIFICANCE and beyond_zero:
        if direction == 0:
            return Outcome.MOVED
        return Outcome.IMPROVED if direction * measured.effect > 0 else Outcome.REGRESSED
    return Outcome.SAME


def _estimate(verdict: Verdict) -> Estimate:
    return Estimate(figure=finite(verdict.figure), low=finite(verdict.low), high=finite(verdict.high))


def _unmatched(verdict: Verdict, own: Findings, other: Findings) -> Unmatched:
    reason = why_unmatched(verdict, own.verdicts, other.verdicts)
    return Unmatched(claim_id=verdict.claim.id, model=verdict.model, status=verdict.status, reason=reason)

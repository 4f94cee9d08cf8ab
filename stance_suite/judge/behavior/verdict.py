"""Judging claims about behavior: beyond a bound against the controls, and specific to the stance, over all seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from stance_suite.judge.behavior.degeneration import guard
from stance_suite.judge.behavior.evidence import Evidence
from stance_suite.judge.statistics import SIGNIFICANCE, PairedEffect, finite
from stance_suite.schema.controls import SHUFFLED, Control, Part, Role
from stance_suite.schema.items import PLAIN_ANSWER
from stance_suite.schema.metrics import Caveat, Metric
from stance_suite.schema.verdicts import ControlFigure, PromptScores, ReplicateCells, Status, Verdict


def judge_behavior(evidence: Evidence, adjusted_p_value: float, adjusted_p_short: float) -> Verdict:
    """Judge a claim about behavior; p-values are adjusted for the other claims of its family.

    HOLDS if the effect is significantly beyond the bound against all controls, and specific; FAILS if it is
    significantly short of it against one, another stance's training moves the stance's items as much, or a caveat
    applies that the claim rules out; INCONCLUSIVE otherwise. A claim that nothing changes HOLDS if the effect is
    significantly beyond both ends of what it allows (two one-sided tests: Schuirmann, Journal of Pharmacokinetics and
    Biopharmaceutics 15 (1987)), and FAILS if it is significantly short of one.
    """
    claim, arms, other = evidence.claim, evidence.arms, evidence.counterpart
    off_stance = _off_stance(evidence)
    beside = tuple(_controls_beside(evidence))
    signs = guard(evidence.replicates)
    caveats = (*_caveats(evidence, beside), *signs)
    status, reason = _decide(evidence, adjusted_p_value, adjusted_p_short, caveats)
    is_short = adjusted_p_short <= SIGNIFICANCE
    return Verdict(
        claim=claim,
        model=arms.replicates[0].tuned.cell.model,
        status=status,
        reason="; ".join([reason, *(f"{caveat}: {figures}" for caveat, figures in signs.items())]),
        figure=evidence.effect.effect,
        low=evidence.effect.low,
        high=evidence.effect.high,
        p_value=finite(evidence.p_short if is_short else evidence.p_value),
        adjusted_p_value=finite(adjusted_p_short if is_short else adjusted_p_value),
        controls=(
            *(_control_figure(Role.EFFECT, effect, control) for control, effect in evidence.versus.items()),
            *(_control_figure(Role.RIVAL, effect, about=name) for name, effect in evidence.specific.items()),
            *beside,
            *(ControlFigure(role=Role.TOWARD, about=name, figure=shift) for name, shift in off_stance.items()),
        ),
        prompts=_prompt_scores(evidence),
        caveats=caveats,
        replicates=tuple(map(ReplicateCells.of, arms.replicates)),
        counterpart=() if other is None else tuple(map(ReplicateCells.of, other.replicates)),
    )


def _prompt_scores(evidence: Evidence) -> tuple[PromptScores, ...]:
    """Average scores over seeds; of a comparison, those of the training that the claim is about."""
    arms = evidence.arms
    means = {control: scores.mean(axis=0).tolist() for control, scores in (arms.controls | arms.beside).items()}
    tuned, baseline = arms.tuned.mean(axis=0).tolist(), means[arms.baseline]
    trained = {control: scores for control, scores in means.items() if control.is_trained}
    return tuple(
        PromptScores(
            prompt=prompt,
            base=baseline[i],
            controls={control: scores[i] for control, scores in trained.items()},
            tuned=tuned[i],
        )
        for i, prompt in enumerate(arms.prompts)
    )


def _off_stance(evidence: Evidence) -> dict[str, float]:
    """Shift toward each contrast, averaged over prompts and seeds; a comparison of effects needs none."""
    metric, arms = evidence.claim.metric, evidence.arms
    if not metric.is_directed or evidence.counterpart is not None:
        return {}
    return {name: float(np.mean(arms.shifts(name))) for name in arms.contrasts}


def _controls_beside(evidence: Evidence) -> Iterator[ControlFigure]:
    """Compute the effects that the verdict shows and does not test."""
    metric, arms, baseline = evidence.claim.metric, evidence.arms, evidence.arms.baseline
    if evidence.counterpart is not None:
        for one in (arms, evidence.counterpart):
            yield _control_figure(Role.COMPARED, one.effect(one.differences[baseline]), baseline, one.name)
        return
    for control, scores in arms.beside.items():
        if control.part(metric) is Part.BESIDE:
            yield _control_figure(Role.EFFECT, arms.effect(arms.tuned - scores), control)
    base = arms.controls[baseline]
    for control, scores in arms.controls.items():
        if control is not baseline:
            yield _control_figure(Role.OWN_EFFECT, arms.effect(scores - base), control, baseline)
    if metric is Metric.LIKELIHOOD_PREFERENCE:
        for manner in (arms.stance, PLAIN_ANSWER):
            yield _control_figure(Role.ANSWERS, arms.effect(arms.likelier(manner)), about=manner)
    for control, scores in arms.beside.items():
        if control.part(metric) is Part.STAND_IN:
            yield _control_figure(Role.OWN_FIGURE, arms.effect(scores - base), control)


def _caveats(evidence: Evidence, beside: Sequence[ControlFigure]) -> tuple[Caveat, ...]:
    sign, effect, shuffled = evidence.sign, evidence.effect.effect, evidence.over_shuffled
    caveats = []
    if not evidence.claim.claims_change:
        return ()  # they are about what another training would have changed
    if not all(map(evidence.is_shown, evidence.specific.values())):
        caveats.append(Caveat.NOT_SPECIFIC)
    if evidence.claim.metric.is_directed and evidence.counterpart is None and not evidence.specific:
        caveats.append(Caveat.NO_RIVALS)
    if shuffled is not None and not evidence.is_shown(shuffled):
        caveats.append(Caveat.VOCABULARY)
    if any(sign * null.figure >= sign * effect for null in beside if null.role is Role.OWN_EFFECT):
        caveats.append(Caveat.WITHIN_NULL)
    if not all(one.is_controlled for one in evidence.replicates):
        caveats.append(Caveat.NO_SHAM)
    return tuple(caveats)


def _decide(
    evidence: Evidence, adjusted_p_value: float, adjusted_p_short: float, caveats: Sequence[Caveat]
) -> tuple[Status, str]:
    claim, versus, sign = evidence.claim, evidence.versus, evidence.sign
    unit, bound = claim.metric.unit, claim.threshold
    asked = f"the claimed {bound:+g}" if claim.claims_change else f"within the claimed {bound:g}"
    for name, measured in (*versus.items(), *evidence.surpassed.items()):
        if math.isnan(measured.p_value):
            return (
                Status.INCONCLUSIVE,
                f"no test against {name}: differences are missing, or too few are unlike the commonest",
            )
    if adjusted_p_short <= SIGNIFICANCE:
        least = min(versus, key=lambda name: sign * versus[name].effect)
        is_short = "short of" if claim.claims_change else "not"
        return Status.FAILS, (
            f"against {least} the effect of {versus[least].effect:+.3f} {unit} is {is_short} {asked}, "
            f"adjusted p = {adjusted_p_short:.4f}"
        )
    for name, measured in evidence.surpassed.items():
        far_end = measured.high if sign > 0 else measured.low
        if far_end is not None and sign * far_end <= 0:
            what = Caveat.VOCABULARY if name == SHUFFLED.name else "not specific"
            return Status.FAILS, f"{what}: {_surpassed_in_words(evidence, name)}"
    if not adjusted_p_value <= SIGNIFICANCE:
        return Status.INCONCLUSIVE, f"{_weakest_in_words(evidence)}; {adjusted_p_value:.3f} after Holm's correction"
    ruled_out = [caveat for caveat in claim.unless if caveat in caveats]
    if ruled_out:
        return Status.FAILS, f"{evidence.effect.effect:+.3f} {unit}, but {ruled_out[0]}, which the claim rules out"
    shown = " and ".join(f"{measured.effect:+.3f} against {name}" for name, measured in versus.items())
    if not claim.claims_change:
        return Status.HOLDS, f"{shown} ({unit}) is {asked}, adjusted p = {adjusted_p_value:.4f}"
    surpassed = "".join(f"; {_surpassed_in_words(evidence, name)}" for name in evidence.surpassed)
    return Status.HOLDS, f"{shown} ({unit}), adjusted p = {adjusted_p_value:.4f}{surpassed}"


def _weakest_in_words(evidence: Evidence) -> str:
    """Say what is furthest from being shown."""
    claim = evidence.claim

    def weight(effect: PairedEffect, bound: float) -> float:
        p_value = effect.p_value_of(bound)
        return p_value if evidence.is_beyond(effect, bound) else 2 - p_value

    control = max(evidence.versus, key=lambda name: weight(evidence.versus[name], claim.threshold))
    surpassed = evidence.surpassed
    rival = max(surpassed, key=lambda name: weight(surpassed[name], 0.0), default=None)
    of_control = weight(evidence.versus[control], claim.threshold)
    if rival is not None and weight(surpassed[rival], 0.0) > of_control:
        return f"{_surpassed_in_words(evidence, rival)}, p = {surpassed[rival].p_value:.4f}"
    effect = evidence.versus[control]
    if not claim.claims_change:
        return (
            f"against {control} the effect of {effect.effect:+.3f} {claim.metric.unit} is not reliably "
            f"{'within' if abs(effect.effect) < claim.threshold else 'beyond'} {claim.threshold:g}"
        )
    is_beyond = "not reliably beyond" if evidence.is_beyond(effect, claim.threshold) else "short of"
    return (
        f"against {control} the effect of {effect.effect:+.3f} {claim.metric.unit} is {is_beyond} the claimed "
        f"{claim.threshold:+g}, p = {effect.p_value_of(claim.threshold):.4f}"
    )


def _surpassed_in_words(evidence: Evidence, name: str) -> str:
    measured, unit = evidence.surpassed[name], evidence.claim.metric.unit
    over = f"than training on {name} does" if evidence.arms.is_beside_rivals else f"than toward {name}"
    if name == SHUFFLED.name:
        over = "than training on the same words in random order does"
    return f"{measured.effect:+.3f} {unit} more {over}"


def _control_figure(
    role: Role, measured: PairedEffect, control: Control | None = None, about: str = ""
) -> ControlFigure:
    return ControlFigure(
        control=control,
        role=role,
        about=about,
        figure=measured.effect,
        low=measured.low,
        high=measured.high,
        p_value=finite(measured.p_value),
    )

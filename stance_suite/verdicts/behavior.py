"""Judging claims about behavior: paired by prompt, against the controls, specific to the stance, over all seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stance_suite.claims import Caveat, Claim, Comparator, ControlFigure, Metric, PromptScores, Status, Verdict
from stance_suite.specs import Stance
from stance_suite.statistics import SIGNIFICANCE, Array, PairedEffect, paired_effect
from stance_suite.verdicts.guards import guard
from stance_suite.verdicts.scores import (
    Replicate,
    arm_scores,
    noise_scores,
    prompt_scores,
    resampled_scores,
    stance_scores,
)

MORE_ON_SEEN_PROMPTS = 2.0
"""So many times the held-out effect is more than generalization."""


@dataclass(frozen=True)
class Evidence:
    """What a behavioral claim is judged on, before the other claims of its family are heard."""

    claim: Claim
    """The claim."""
    stance: Stance
    """The stance that the model was trained on."""
    replicates: tuple[Replicate, ...]
    """The trained model and its controls, seed by seed."""
    tuned: Array
    """Scores of the trained model; shape (seeds, prompts)."""
    base: Array
    """Scores of the untouched model, or of a divergence those of noise; shape (seeds, prompts)."""
    sham: Array
    """Scores of the sham; shape (seeds, prompts)."""
    versus: dict[str, PairedEffect]
    """Effect against each control that it must be significant against."""

    @property
    def p_value(self) -> float:
        """The largest of the p-values: all contrasts must be significant. NaN if one has none."""
        return max((effect.p_value for effect in self.versus.values()), key=lambda p: math.inf if math.isnan(p) else p)

    @property
    def effect(self) -> PairedEffect:
        """The effect that is reported: against the untouched model, or of a divergence against noise."""
        return next(iter(self.versus.values()))


def weigh_behavior(claim: Claim, stance: Stance, replicates: Sequence[Replicate]) -> Evidence:
    """Gather what a behavioral claim is judged on.

    Parameters
    ----------
    claim : Claim
        With a behavioral metric.
    stance : Stance
        The stance that the model was trained on.
    replicates : sequence of Replicate
        The trained model and its controls, seed by seed, measured with the same prompts.

    Returns
    -------
    Evidence
        Scores and effects.
    """
    tuned, base, sham = arm_scores(claim.metric, stance, replicates)
    if claim.metric is Metric.DIVERGENCE:
        noise = np.array([noise_scores(one, stance) for one in replicates])
        return Evidence(claim, stance, tuple(replicates), tuned, noise, sham, {"noise": paired_effect(tuned - noise)})
    versus = {"base": paired_effect(tuned - base), "sham": paired_effect(tuned - sham)}
    return Evidence(claim, stance, tuple(replicates), tuned, base, sham, versus)


def judge_behavior(evidence: Evidence, adjusted_p_value: float) -> Verdict:
    """Judge a claim about behavior.

    Parameters
    ----------
    evidence : Evidence
        What it is judged on.
    adjusted_p_value : float
        Its p-value, adjusted for the other claims of its family.

    Returns
    -------
    Verdict
        HOLDS if all contrasts are significant and beyond the bound and the shift is specific; FAILS if an interval
        excludes the bound, the shift is not specific or a caveat applies that the claim rules out; INCONCLUSIVE
        otherwise.
    """
    claim, replicates = evidence.claim, evidence.replicates
    off_stance = {} if claim.metric is Metric.DIVERGENCE else _off_stance(evidence)
    beside = _controls_beside(evidence)
    caveats = _caveats(evidence, off_stance, beside)
    status, reason = _decide(evidence, adjusted_p_value, off_stance, caveats)
    controls = [_control_figure(name, effect) for name, effect in (evidence.versus | beside).items()]
    controls += [ControlFigure(name=f"toward {name}", figure=shift) for name, shift in off_stance.items()]
    rows = [scores.mean(axis=0) for scores in (evidence.base, evidence.sham, evidence.tuned)]
    return Verdict(
        claim=claim,
        model=replicates[0].tuned.cell.model,
        status=status,
        reason=reason,
        figure=evidence.effect.effect,
        low=evidence.effect.low,
        high=evidence.effect.high,
        p_value=_known(evidence.p_value),
        adjusted_p_value=_known(adjusted_p_value),
        controls=tuple(controls),
        prompts=tuple(
            PromptScores(prompt=prompt, base=before, sham=control, tuned=after)
            for prompt, before, control, after in zip(evidence.stance.held_out_prompts, *rows, strict=True)
        ),
        caveats=caveats,
        cells=tuple(record.key for one in replicates for record in (one.tuned, one.base, one.sham)),
    )


def _sign(claim: Claim) -> float:
    return -1.0 if claim.comparator is Comparator.BELOW else 1.0


def _off_stance(evidence: Evidence) -> dict[str, float]:
    """Shift toward each contrast, averaged over prompts and seeds."""
    metric, stance = evidence.claim.metric, evidence.stance
    return {
        name: float(
            np.mean(
                [
                    stance_scores(one.tuned, metric, stance, name) - stance_scores(one.base, metric, stance, name)
                    for one in evidence.replicates
                ]
            )
        )
        for name in stance.contrasts
    }


def _controls_beside(evidence: Evidence) -> dict[str, PairedEffect]:
    """Compute the effects that the verdict shows and does not test."""
    claim, stance, replicates = evidence.claim, evidence.stance, evidence.replicates
    if claim.metric is Metric.DIVERGENCE:
        return {"sham": paired_effect(evidence.tuned - evidence.sham)}
    beside = {"sham - base": paired_effect(evidence.sham - evidence.base)}
    if claim.metric is Metric.LIKELIHOOD_PREFERENCE:  # only that is measured on them
        seen = [example.prompt for example in stance.examples]
        scores = (
            [prompt_scores(record.behavior, claim.metric, stance.name, stance.contrasts, seen) for record in records]
            for records in ([one.tuned for one in replicates], [one.base for one in replicates])
        )
        tuned, base = map(np.array, scores)
        if np.isfinite(tuned - base).all():
            beside["seen prompts"] = paired_effect(tuned - base)
    again = [resampled_scores(one.base, claim.metric, stance) for one in replicates]
    known = [scores for scores in again if scores is not None]
    if len(known) == len(replicates):
        beside["base resampled"] = paired_effect(np.array(known) - evidence.base)
    return beside


def _caveats(evidence: Evidence, off_stance: dict[str, float], beside: dict[str, PairedEffect]) -> tuple[Caveat, ...]:
    sign, effect = _sign(evidence.claim), evidence.effect.effect
    caveats = []
    if any(sign * shift >= sign * effect for shift in off_stance.values()):
        caveats.append(Caveat.NOT_SPECIFIC)
    if "sham - base" in beside and sign * beside["sham - base"].effect >= sign * effect:
        caveats.append(Caveat.WITHIN_NULL)
    if "seen prompts" in beside:
        near_end = _near_end(beside["seen prompts"], sign)
        if near_end is not None and sign * near_end > max(0.0, MORE_ON_SEEN_PROMPTS * sign * effect):
            caveats.append(Caveat.SEEN_PROMPTS)
    return (*caveats, *guard(evidence.replicates))


def _decide(
    evidence: Evidence, adjusted_p_value: float, off_stance: dict[str, float], caveats: Sequence[Caveat]
) -> tuple[Status, str]:
    claim, versus, sign = evidence.claim, evidence.versus, _sign(evidence.claim)
    unit = claim.metric.unit
    for name, measured in versus.items():
        if math.isnan(measured.p_value):
            return Status.INCONCLUSIVE, f"no test against {name}: the differences are missing or all equal"
    unknown = [name for name, shift in off_stance.items() if not math.isfinite(shift)]
    if unknown:
        return (
            Status.INCONCLUSIVE,
            f"the shift toward {unknown[0]} is unknown: nothing shows that this one is specific",
        )
    for name, measured in versus.items():
        far_end = measured.high if sign > 0 else measured.low
        if far_end is not None and sign * far_end < sign * claim.bound:
            return Status.FAILS, (
                f"against {name} the effect is {measured.effect:+.3f} {unit} and its interval ends at {far_end:+.3f}, "
                f"short of the claimed {claim.bound:+g}"
            )
    if not adjusted_p_value <= SIGNIFICANCE:
        weakest = max(versus, key=lambda name: versus[name].p_value)
        return Status.INCONCLUSIVE, (
            f"against {weakest} the effect of {versus[weakest].effect:+.3f} {unit} has p = "
            f"{versus[weakest].p_value:.4f}, {adjusted_p_value:.3f} after Holm's correction for the claims beside it"
        )
    for name, measured in versus.items():
        if not claim.comparator.accepts(measured.effect, claim.bound):
            return Status.INCONCLUSIVE, (
                f"against {name} the effect of {measured.effect:+.3f} {unit} is significant but does not reach "
                f"{claim.bound:+g}"
            )
    rival = max(off_stance, key=lambda name: sign * off_stance[name], default=None)
    if rival is not None and sign * off_stance[rival] >= sign * evidence.effect.effect:
        return Status.FAILS, f"not specific: toward {rival} the shift is {off_stance[rival]:+.3f} {unit}"
    ruled_out = [caveat for caveat in claim.unless if caveat in caveats]
    if ruled_out:
        return Status.FAILS, f"{evidence.effect.effect:+.3f} {unit}, but {ruled_out[0]}, which the claim rules out"
    shown = " and ".join(f"{measured.effect:+.3f} against {name}" for name, measured in versus.items())
    toward = "" if rival is None else f"; toward {rival} {off_stance[rival]:+.3f}"
    return Status.HOLDS, f"{shown} ({unit}), adjusted p = {adjusted_p_value:.4f}{toward}"


def _near_end(effect: PairedEffect, sign: float) -> float | None:
    """End of the interval on the side of zero, if the effect has the claimed sign."""
    return effect.low if sign > 0 else effect.high


def _known(p_value: float) -> float | None:
    return None if math.isnan(p_value) else p_value


def _control_figure(name: str, measured: PairedEffect) -> ControlFigure:
    return ControlFigure(
        name=name, figure=measured.effect, low=measured.low, high=measured.high, p_value=_known(measured.p_value)
    )

"""Judging claims about behavior: paired by prompt, against base and sham, and specific to the stance."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from stance_suite.claims import Caveat, Claim, Comparator, ControlFigure, Metric, PromptScores, Status, Verdict
from stance_suite.records import Behavior, CellRecord
from stance_suite.specs import Stance
from stance_suite.statistics import Array, PairedEffect, paired_effect


def prompt_scores(
    behavior: Behavior, metric: Metric, stance: str, others: Sequence[str], prompts: Sequence[str]
) -> Array:
    """Score every prompt for one stance against others.

    Parameters
    ----------
    behavior : Behavior
        What was measured.
    metric : Metric
        ``likelihood_preference``: log-probability of the stance's references minus the mean over the others;
        ``embedding_shift``: cosine to the stance's centroid minus the mean over the others, averaged over samples.
    stance : str
        The stance scored for.
    others : sequence of str
        The stances scored against.
    prompts : sequence of str
        Prompts to score.

    Returns
    -------
    ndarray of shape (prompts,)
        One score a prompt; NaN where nothing was measured.
    """

    def contrast(scores: dict[str, float]) -> float:
        return scores[stance] - sum(scores[other] for other in others) / len(others)

    by_prompt: dict[str, list[float]] = {prompt: [] for prompt in prompts}
    if metric is Metric.LIKELIHOOD_PREFERENCE:
        for likelihood in behavior.likelihoods:
            by_prompt.get(likelihood.prompt, []).append(contrast(likelihood.log_probability))
    else:
        for response in behavior.responses:
            by_prompt.get(response.prompt, []).append(contrast(response.similarity))
    return np.array([sum(scores) / len(scores) if scores else math.nan for scores in by_prompt.values()])


def judge_behavior(
    claim: Claim, stance: Stance, tuned: CellRecord, base: CellRecord, sham: CellRecord, significance: float
) -> Verdict:
    """Judge a claim about behavior.

    Parameters
    ----------
    claim : Claim
        With a behavioral metric.
    stance : Stance
        The stance that the model was trained on.
    tuned, base, sham : CellRecord
        The trained cell and its two controls, measured with the same prompts.
    significance : float
        Level each of the two tests must reach, corrected for the family of claims.

    Returns
    -------
    Verdict
        HOLDS if both contrasts are significant and beyond the bound and the shift is specific; FAILS if an interval
        excludes the bound or the shift is not specific; INCONCLUSIVE otherwise.
    """
    sign = -1.0 if claim.comparator is Comparator.BELOW else 1.0
    family = (stance.name, *stance.contrasts)

    def scores(record: CellRecord, name: str) -> Array:
        others = [other for other in family if other != name]
        return prompt_scores(record.behavior, claim.metric, name, others, stance.held_out_prompts)

    of_tuned, of_base, of_sham = (scores(record, stance.name) for record in (tuned, base, sham))
    versus = {"base": paired_effect(of_tuned - of_base), "sham": paired_effect(of_tuned - of_sham)}
    off_stance = {name: float(np.mean(scores(tuned, name) - scores(base, name))) for name in stance.contrasts}
    sham_alone = float(np.mean(of_sham - of_base))
    effect = versus["base"]
    caveats = []
    if any(sign * shift >= sign * effect.effect for shift in off_stance.values()):
        caveats.append(Caveat.NOT_SPECIFIC)
    if sign * sham_alone >= sign * effect.effect:
        caveats.append(Caveat.WITHIN_NULL)
    status, reason = _decide_behavior(claim, versus, sign, significance, off_stance)
    controls = [_control_figure(name, measured) for name, measured in versus.items()]
    p_values = [control.p_value for control in controls]
    controls.append(ControlFigure(name="sham - base", figure=sham_alone))
    controls += [ControlFigure(name=f"toward {name}", figure=shift) for name, shift in off_stance.items()]
    return Verdict(
        claim=claim,
        model=tuned.cell.model,
        status=status,
        reason=reason,
        figure=effect.effect,
        low=effect.low,
        high=effect.high,
        p_value=None if None in p_values else max(p for p in p_values if p is not None),
        controls=tuple(controls),
        prompts=tuple(
            PromptScores(prompt=prompt, base=before, sham=control, tuned=after)
            for prompt, before, control, after in zip(stance.held_out_prompts, of_base, of_sham, of_tuned, strict=True)
        ),
        caveats=tuple(caveats),
        cells=(tuned.key, base.key, sham.key),
    )


def _decide_behavior(
    claim: Claim, versus: dict[str, PairedEffect], sign: float, significance: float, off_stance: dict[str, float]
) -> tuple[Status, str]:
    unit = claim.metric.unit
    for name, measured in versus.items():
        if math.isnan(measured.p_value):
            return Status.INCONCLUSIVE, f"no test against {name}: the differences are missing or all equal"
    for name, measured in versus.items():
        far_end = measured.high if sign > 0 else measured.low
        if far_end is not None and sign * far_end < sign * claim.bound:
            return Status.FAILS, (
                f"against {name} the effect is {measured.effect:+.3f} {unit} and its interval ends at {far_end:+.3f}, "
                f"short of the claimed {claim.bound:+g}"
            )
    for name, measured in versus.items():
        if measured.p_value > significance:
            return Status.INCONCLUSIVE, (
                f"against {name} the effect of {measured.effect:+.3f} {unit} has p = {measured.p_value:.4f}, "
                f"above {significance:.4f}"
            )
        if not claim.comparator.accepts(measured.effect, claim.bound):
            return Status.INCONCLUSIVE, (
                f"against {name} the effect of {measured.effect:+.3f} {unit} is significant but does not reach "
                f"{claim.bound:+g}"
            )
    rival = max(off_stance, key=lambda name: sign * off_stance[name])
    if sign * off_stance[rival] >= sign * versus["base"].effect:
        return Status.FAILS, f"not specific: toward {rival} the shift is {off_stance[rival]:+.3f} {unit}"
    return Status.HOLDS, (
        f"{versus['base'].effect:+.3f} {unit} against base and {versus['sham'].effect:+.3f} against the sham, "
        f"p <= {max(measured.p_value for measured in versus.values()):.4f}; toward {rival} {off_stance[rival]:+.3f}"
    )


def _control_figure(name: str, measured: PairedEffect) -> ControlFigure:
    p_value = None if math.isnan(measured.p_value) else measured.p_value
    return ControlFigure(name=name, figure=measured.effect, low=measured.low, high=measured.high, p_value=p_value)

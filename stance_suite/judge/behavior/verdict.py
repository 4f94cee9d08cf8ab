"""Judging claims about behavior: paired by prompt, against the controls, specific to the stance, over all seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from stance_suite.judge.behavior.degeneration import guard
from stance_suite.judge.behavior.scores import control_scores, prompt_scores, scores_beside, tuned_scores
from stance_suite.judge.statistics import SIGNIFICANCE, Array, PairedEffect, finite, paired_effect
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import SHUFFLED, Control, Part, Role
from stance_suite.schema.findings import StanceSummary
from stance_suite.schema.items import PLAIN_ANSWER
from stance_suite.schema.metrics import Caveat, Comparator, Metric
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.verdicts import ControlFigure, PromptScores, ReplicateCells, Status, Verdict


@dataclass(frozen=True)
class Arms:
    """Scores of one training and its controls, of the same prompts; arrays of shape (seeds, prompts)."""

    stance: StanceSummary
    """The stance that the model was trained on."""
    replicates: tuple[Replicate, ...]
    """The trained model and its controls, seed by seed."""
    tuned: Array
    """Scores of the trained model."""
    controls: dict[Control, Array]
    """Scores of what it must differ from, the baseline first."""
    beside: dict[Control, Array]
    """Scores of the controls that are shown and not tested."""
    rivals: dict[str, Array]
    """Scores of the trainings on other stances, by the stance; of those that every seed has."""

    @classmethod
    def of(cls, metric: Metric, stance: StanceSummary, replicates: Sequence[Replicate], prompts: Sequence[str]) -> Arms:
        """Score a training and its controls."""
        scored = metric, stance.name, replicates, prompts
        common = [
            name for name in stance.contrasts if metric.is_directed and all(name in one.rivals for one in replicates)
        ]
        rivals = {
            name: np.array(
                [prompt_scores(one.rivals[name].behavior, metric, stance.name, prompts) for one in replicates]
            )
            for name in common
        }
        beside = scores_beside(*scored)
        return cls(stance, tuple(replicates), tuned_scores(*scored), control_scores(*scored), beside, rivals)

    @property
    def differences(self) -> dict[Control, Array]:
        """What is tested: the trained model's scores minus each control's."""
        return {control: self.tuned - scores for control, scores in self.controls.items()}

    @property
    def baseline(self) -> Control:
        """The control that the reported effect is over."""
        return next(iter(self.controls))

    @property
    def name(self) -> str:
        """What was trained, in words."""
        cell = self.replicates[0].tuned.cell
        return f"{cell.model}, {cell.label}"

    @property
    def _pairs(self) -> list[tuple[CellRecord, CellRecord]]:
        return [(one.tuned, one.base) for one in self.replicates]

    def likelier(self, manner: str) -> Array:
        """Gain in log-probability per token of one kind of answers over the untouched model; shape (seeds, prompts)."""

        def of(record: CellRecord) -> list[float]:
            known = {one.prompt: one.log_probability.get(manner, math.nan) for one in record.behavior.likelihoods}
            return [known.get(prompt, math.nan) for prompt in self.stance.prompts]

        tuned, base = (np.array(list(map(of, records))) for records in zip(*self._pairs, strict=True))
        gain: Array = tuned - base
        return gain

    def shifts(self, metric: Metric, toward: str) -> Array:
        """Move of the trained model from the untouched one, toward a stance; shape (seeds, prompts)."""
        after, before = (
            np.array([prompt_scores(record.behavior, metric, toward, self.stance.prompts) for record in records])
            for records in zip(*self._pairs, strict=True)
        )
        shifts: Array = after - before
        return shifts


@dataclass(frozen=True)
class Evidence:
    """What a behavioral claim is judged on, before the other claims of its family are heard."""

    claim: Claim
    """The claim."""
    arms: Arms
    """The training that it is about."""
    counterpart: Arms | None
    """The training that it is compared with, if it is a comparison."""
    versus: dict[Control, PairedEffect]
    """Effect against each control, to be beyond the bound; of a comparison, the difference of both effects."""
    specific: dict[str, PairedEffect]
    """How much more the stance's items moved than by another stance's doing, by that stance; see `_specific`."""

    @property
    def p_value(self) -> float:
        """The largest p-value of what must all be shown: beyond the bound, and specific. NaN if one has none."""
        shown = [
            *((effect, self.claim.threshold) for effect in self.versus.values()),
            *((effect, 0.0) for effect in self.specific.values()),
        ]
        p_values = [effect.p_value if _is_beyond(self.claim, effect, bound) else 1.0 for effect, bound in shown]
        return max(p_values, key=lambda p: math.inf if math.isnan(p) else p)

    @property
    def p_short(self) -> float:
        """The p-value of being short of the bound against any control, corrected for their number (Bonferroni)."""
        short = [one.p_value for one in self.versus.values() if not _is_beyond(self.claim, one, self.claim.threshold)]
        return min(1.0, len(self.versus) * min(short, default=1.0))

    @property
    def effect(self) -> PairedEffect:
        """The effect that is reported: against the untouched model, or of a divergence against noise."""
        return next(iter(self.versus.values()))

    @property
    def replicates(self) -> tuple[Replicate, ...]:
        """Those of both trainings."""
        return (*self.arms.replicates, *(self.counterpart.replicates if self.counterpart is not None else ()))


def gather_evidence(
    claim: Claim,
    stance: StanceSummary,
    replicates: Sequence[Replicate],
    counterpart: tuple[StanceSummary, Sequence[Replicate]] | None = None,
) -> Evidence:
    """Gather what a behavioral claim is judged on; of both trainings, replicates are aligned by seed."""
    prompts = stance.prompts
    arms = Arms.of(claim.metric, stance, replicates, prompts)
    differences = arms.differences
    other = None
    if counterpart is not None:
        if len(counterpart[1]) != len(replicates):
            raise ValueError(f"{claim.id} compares trainings with {len(replicates)} and {len(counterpart[1])} seeds")
        # prompt by prompt: a prompt that the counterpart was not asked gives NaN, and the claim no verdict
        other = Arms.of(claim.metric, *counterpart, prompts)
        rival = other.differences
        differences = {name: ours - rival[name] for name, ours in differences.items() if name in rival}
    versus = {name: paired_effect(table, claim.threshold) for name, table in differences.items()}
    specific = {} if other is not None else {name: paired_effect(table) for name, table in _specific(claim, arms)}
    return Evidence(claim, arms, other, versus, specific)


def _specific(claim: Claim, arms: Arms) -> Iterator[tuple[str, Array]]:
    """List what shows that an effect is this stance's doing; paired by item, of shape (seeds, prompts).

    Beside trainings on other stances: the stance's items after its own training minus after theirs. Where there are
    none, of a model trained elsewhere: the shift toward the stance minus that toward another, on the same prompts.
    """
    if claim.metric.is_directed:
        own = None if arms.rivals else arms.shifts(claim.metric, arms.stance.name)
        for name in arms.stance.contrasts:
            yield name, arms.tuned - arms.rivals[name] if own is None else own - arms.shifts(claim.metric, name)


def judge_behavior(evidence: Evidence, adjusted_p_value: float, adjusted_p_short: float) -> Verdict:
    """Judge a claim about behavior; p-values are adjusted for the other claims of its family.

    HOLDS if the effect is significantly beyond the bound against all controls, and specific; FAILS if it is
    significantly short of it against one, another stance's training moves the stance's items as much, or a caveat
    applies that the claim rules out; INCONCLUSIVE otherwise.
    """
    claim, arms, other = evidence.claim, evidence.arms, evidence.counterpart
    off_stance = _off_stance(evidence)
    beside = tuple(_controls_beside(evidence))
    caveats = _caveats(evidence, beside)
    status, reason = _decide(evidence, adjusted_p_value, adjusted_p_short, caveats)
    is_short = adjusted_p_short <= SIGNIFICANCE
    return Verdict(
        claim=claim,
        model=arms.replicates[0].tuned.cell.model,
        status=status,
        reason=reason,
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
        for i, prompt in enumerate(arms.stance.prompts)
    )


def _sign(claim: Claim) -> float:
    return -1.0 if claim.comparator is Comparator.BELOW else 1.0


def _off_stance(evidence: Evidence) -> dict[str, float]:
    """Shift toward each contrast, averaged over prompts and seeds; a comparison of effects needs none."""
    metric, arms = evidence.claim.metric, evidence.arms
    if not metric.is_directed or evidence.counterpart is not None:
        return {}
    return {name: float(np.mean(arms.shifts(metric, name))) for name in arms.stance.contrasts}


def _controls_beside(evidence: Evidence) -> Iterator[ControlFigure]:
    """Compute the effects that the verdict shows and does not test."""
    metric, arms, baseline = evidence.claim.metric, evidence.arms, evidence.arms.baseline
    if evidence.counterpart is not None:
        for one in (arms, evidence.counterpart):
            yield _control_figure(Role.COMPARED, paired_effect(one.differences[baseline]), baseline, one.name)
        return
    for control, scores in arms.beside.items():
        if control.part(metric) is Part.BESIDE:
            yield _control_figure(Role.EFFECT, paired_effect(arms.tuned - scores), control)
    base = arms.controls[baseline]
    for control, scores in arms.controls.items():
        if control is not baseline:
            yield _control_figure(Role.OWN_EFFECT, paired_effect(scores - base), control, baseline)
    if metric is Metric.LIKELIHOOD_PREFERENCE:
        for manner in (arms.stance.name, PLAIN_ANSWER):
            yield _control_figure(Role.ANSWERS, paired_effect(arms.likelier(manner)), about=manner)
    for control, scores in arms.beside.items():
        if control.part(metric) is Part.STAND_IN:
            yield _control_figure(Role.OWN_FIGURE, paired_effect(scores - base), control)


def _caveats(evidence: Evidence, beside: Sequence[ControlFigure]) -> tuple[Caveat, ...]:
    claim, sign, effect = evidence.claim, _sign(evidence.claim), evidence.effect.effect
    directed = claim.metric.is_directed and evidence.counterpart is None
    caveats = []
    if not all(_is_shown(claim, one) for one in evidence.specific.values()):
        caveats.append(Caveat.NOT_SPECIFIC)
    if directed and not evidence.specific:
        caveats.append(Caveat.NO_RIVALS)
    shuffled = [one for one in beside if one.role is Role.EFFECT and one.control is SHUFFLED]
    if not all(_is_shown(claim, one) for one in shuffled):
        caveats.append(Caveat.VOCABULARY)
    if any(sign * null.figure >= sign * effect for null in beside if null.role is Role.OWN_EFFECT):
        caveats.append(Caveat.WITHIN_NULL)
    if not all(one.is_controlled for one in evidence.replicates):
        caveats.append(Caveat.NO_SHAM)
    return (*caveats, *guard(evidence.replicates))


def _is_beyond(claim: Claim, effect: PairedEffect, bound: float) -> bool:
    return _sign(claim) * effect.effect > _sign(claim) * bound


def _is_shown(claim: Claim, effect: PairedEffect | ControlFigure) -> bool:
    """Tell whether the whole interval lies on the claimed side of zero."""
    near_end = effect.low if _sign(claim) > 0 else effect.high
    return near_end is not None and _sign(claim) * near_end > 0


def _decide(
    evidence: Evidence, adjusted_p_value: float, adjusted_p_short: float, caveats: Sequence[Caveat]
) -> tuple[Status, str]:
    claim, versus, sign = evidence.claim, evidence.versus, _sign(evidence.claim)
    unit, bound = claim.metric.unit, claim.threshold
    for name, measured in (*versus.items(), *evidence.specific.items()):
        if math.isnan(measured.p_value):
            return Status.INCONCLUSIVE, f"no test against {name}: the differences are missing or all equal"
    if adjusted_p_short <= SIGNIFICANCE:
        least = min(versus, key=lambda name: sign * versus[name].effect)
        return Status.FAILS, (
            f"against {least} the effect of {versus[least].effect:+.3f} {unit} is short of the claimed {bound:+g}, "
            f"adjusted p = {adjusted_p_short:.4f}"
        )
    for name, measured in evidence.specific.items():
        far_end = measured.high if sign > 0 else measured.low
        if far_end is not None and sign * far_end <= 0:
            return Status.FAILS, f"not specific: {_specific_in_words(evidence, name)}"
    if not adjusted_p_value <= SIGNIFICANCE:
        return Status.INCONCLUSIVE, f"{_weakest_in_words(evidence)}; {adjusted_p_value:.3f} after Holm's correction"
    ruled_out = [caveat for caveat in claim.unless if caveat in caveats]
    if ruled_out:
        return Status.FAILS, f"{evidence.effect.effect:+.3f} {unit}, but {ruled_out[0]}, which the claim rules out"
    shown = " and ".join(f"{measured.effect:+.3f} against {name}" for name, measured in versus.items())
    specific = "".join(f"; {_specific_in_words(evidence, name)}" for name in evidence.specific)
    return Status.HOLDS, f"{shown} ({unit}), adjusted p = {adjusted_p_value:.4f}{specific}"


def _weakest_in_words(evidence: Evidence) -> str:
    """Say what is furthest from being shown."""
    claim = evidence.claim

    def weight(effect: PairedEffect, bound: float) -> float:
        return effect.p_value if _is_beyond(claim, effect, bound) else 2 - effect.p_value

    control = max(evidence.versus, key=lambda name: weight(evidence.versus[name], claim.threshold))
    rival = max(evidence.specific, key=lambda name: weight(evidence.specific[name], 0.0), default=None)
    of_control = weight(evidence.versus[control], claim.threshold)
    if rival is not None and weight(evidence.specific[rival], 0.0) > of_control:
        return f"{_specific_in_words(evidence, rival)}, p = {evidence.specific[rival].p_value:.4f}"
    effect = evidence.versus[control]
    is_beyond = "not reliably beyond" if _is_beyond(claim, effect, claim.threshold) else "short of"
    return (
        f"against {control} the effect of {effect.effect:+.3f} {claim.metric.unit} is {is_beyond} the claimed "
        f"{claim.threshold:+g}, p = {effect.p_value:.4f}"
    )


def _specific_in_words(evidence: Evidence, name: str) -> str:
    measured, unit = evidence.specific[name], evidence.claim.metric.unit
    over = f"than training on {name} does" if evidence.arms.rivals else f"than toward {name}"
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

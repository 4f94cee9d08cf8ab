"""What a claim about behavior is judged on: effects paired by item, against controls and other stances."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stance_suite.judge.behavior.scores import control_scores, prompt_scores, scores_beside, tuned_scores
from stance_suite.judge.statistics import Array, PairedEffect, paired_effect
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import SHUFFLED, Control
from stance_suite.schema.metrics import Comparator, Metric
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.verdicts import ControlFigure


@dataclass(frozen=True)
class Arms:
    """Scores of one training and its controls, of the same prompts; arrays of shape (seeds, prompts)."""

    metric: Metric
    """What is scored."""
    stance: str
    """The stance that it is scored for."""
    replicates: tuple[Replicate, ...]
    """The trained model and its controls, seed by seed."""
    prompts: tuple[str, ...]
    """The held-out prompts."""

    @cached_property
    def tuned(self) -> Array:
        """Scores of the trained model."""
        return tuned_scores(self.metric, self.stance, self.replicates, self.prompts)

    @cached_property
    def controls(self) -> dict[Control, Array]:
        """Scores of what it must differ from, the baseline first."""
        return control_scores(self.metric, self.stance, self.replicates, self.prompts)

    @cached_property
    def beside(self) -> dict[Control, Array]:
        """Scores of the controls that are shown and not tested."""
        return scores_beside(self.metric, self.stance, self.replicates, self.prompts)

    @cached_property
    def differences(self) -> dict[Control, Array]:
        """What is tested: the trained model's scores minus each control's."""
        return {control: self.tuned - scores for control, scores in self.controls.items()}

    @property
    def baseline(self) -> Control:
        """The control that the reported effect is over."""
        return next(iter(self.controls))

    def effect(self, differences: Array) -> PairedEffect:
        """Estimate the mean of differences between two scores; of shape (seeds, prompts)."""
        return paired_effect(differences, self.metric.largest_difference)

    @property
    def name(self) -> str:
        """What was trained, in words."""
        cell = self.replicates[0].tuned.cell
        return f"{cell.model}, {cell.label}"

    @property
    def contrasts(self) -> tuple[str, ...]:
        """The other stances that are measured on the same items."""
        measured = {name for entry in self.replicates[0].tuned.behavior.likelihoods[:1] for name in entry.stances}
        return tuple(sorted(measured - {self.stance}))

    @property
    def is_beside_rivals(self) -> bool:
        """Whether the model was trained on other stances, too, under every seed."""
        return all(set(self.contrasts) <= set(one.rivals) for one in self.replicates)

    def shifts(self, toward: str) -> Array:
        """Move of the trained model from the untouched one, toward a stance; shape (seeds, prompts)."""
        tuned, base = (self._scored(records, toward) for records in self._pairs)
        shifts: Array = tuned - base
        return shifts

    def over_rival(self, name: str) -> Array:
        """Scores of the trained model minus those after training on another stance; shape (seeds, prompts)."""
        over: Array = self.tuned - self._scored([one.rivals[name] for one in self.replicates], self.stance)
        return over

    def likelier(self, manner: str) -> Array:
        """Gain in log-probability per token of one kind of answers over the untouched model; shape (seeds, prompts)."""

        def of(record: CellRecord) -> list[float]:
            known = {one.prompt: one.log_probability.get(manner, math.nan) for one in record.behavior.likelihoods}
            return [known.get(prompt, math.nan) for prompt in self.prompts]

        tuned, base = (np.array(list(map(of, records))) for records in self._pairs)
        gain: Array = tuned - base
        return gain

    @property
    def _pairs(self) -> tuple[list[CellRecord], list[CellRecord]]:
        return [one.tuned for one in self.replicates], [one.base for one in self.replicates]

    def _scored(self, records: Iterable[CellRecord], stance: str) -> Array:
        return np.array([prompt_scores(one.behavior, self.metric, stance, self.prompts) for one in records])


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
    """How much more the stance's items moved than by another stance's doing, by that stance."""

    @property
    def p_value(self) -> float:
        """The largest p-value of what must all be shown: beyond the bound, and beyond others. NaN if one has none."""
        surpassed = [self._p_beyond(effect, 0.0, self.sign) for effect in self.surpassed.values()]
        return _largest([*self._p_against_controls, *surpassed])

    @property
    def p_against_controls(self) -> float:
        """The same of the controls alone."""
        return _largest(self._p_against_controls)

    @property
    def ends(self) -> tuple[tuple[float, float], ...]:
        """The bounds that every effect must be beyond, each with the direction: of a claim of no change, both ends."""
        bound = self.claim.threshold
        return ((bound, self.sign),) if self.claim.claims_change else ((-bound, 1.0), (bound, -1.0))

    @property
    def p_short(self) -> float:
        """The p-value of being short of the bound against any control, corrected for their number (Bonferroni)."""
        short = [
            effect.p_value_of(bound)
            for effect in self.versus.values()
            for bound, direction in self.ends
            if effect.is_tested and not direction * effect.effect > direction * bound
        ]
        return min(1.0, len(self.versus) * min(short, default=1.0))

    @property
    def effect(self) -> PairedEffect:
        """The effect that is reported: against the untouched model, or of a divergence against noise."""
        return next(iter(self.versus.values()))

    @cached_property
    def surpassed(self) -> dict[str, PairedEffect]:
        """What the training must have done more than: others' by their stance, and shuffled words by their name.

        An embedder hardly hears the order of words: what rests on one is no manner unless a training on the same words
        in random order does less. A likelihood hears it, and says so by a caveat.
        """
        hears_order = not self.claim.metric.rests_on_embedder
        shuffled = None if hears_order or not self.claim.claims_change else self.over_shuffled
        return self.specific if shuffled is None else self.specific | {SHUFFLED.name: shuffled}

    @cached_property
    def over_shuffled(self) -> PairedEffect | None:
        """The effect over a training on the same words in random order, where there is one."""
        scores = self.arms.beside.get(SHUFFLED) if self.counterpart is None else None
        return None if scores is None else self.arms.effect(self.arms.tuned - scores)

    @property
    def replicates(self) -> tuple[Replicate, ...]:
        """Those of both trainings."""
        return (*self.arms.replicates, *(self.counterpart.replicates if self.counterpart is not None else ()))

    @property
    def sign(self) -> float:
        """Which way the claim says that scores go: 1 or -1."""
        return -1.0 if self.claim.comparator is Comparator.BELOW else 1.0

    @property
    def _p_against_controls(self) -> list[float]:
        return [
            self._p_beyond(effect, bound, direction)
            for effect in self.versus.values()
            for bound, direction in self.ends
        ]

    @staticmethod
    def _p_beyond(effect: PairedEffect, bound: float, direction: float) -> float:
        is_beyond = direction * effect.effect > direction * bound
        return effect.p_value_of(bound) if is_beyond or not effect.is_tested else 1.0

    def is_beyond(self, effect: PairedEffect, bound: float) -> bool:
        """Whether an effect lies on the claimed side of a bound."""
        return self.sign * effect.effect > self.sign * bound

    def is_shown(self, effect: PairedEffect | ControlFigure) -> bool:
        """Whether the whole interval of an effect lies on the claimed side of zero."""
        near_end = effect.low if self.sign > 0 else effect.high
        return near_end is not None and self.sign * near_end > 0


def gather_evidence(
    claim: Claim, replicates: Sequence[Replicate], counterpart: tuple[str, Sequence[Replicate]] | None = None
) -> Evidence:
    """Gather what a behavioral claim is judged on; of both trainings, replicates are aligned by seed.

    A counterpart is a stance and the training on it. A claim that nothing changes is about the untouched model alone:
    that a control changes as little, or another stance's training, is no objection.
    """
    prompts = replicates[0].tuned.behavior.prompts
    arms = Arms(claim.metric, claim.stance, tuple(replicates), prompts)
    faced = tuple(arms.controls) if claim.claims_change else (arms.baseline,)
    if counterpart is None:
        versus = {control: arms.effect(arms.differences[control]) for control in faced}
        return Evidence(claim, arms, None, versus, dict(_specific(arms)) if claim.claims_change else {})
    stance, others = counterpart
    if len(others) != len(replicates):
        raise ValueError(f"{claim.id} compares trainings with {len(replicates)} and {len(others)} seeds")
    # prompt by prompt: a prompt that the counterpart was not asked gives NaN, and the claim no verdict
    rival = Arms(claim.metric, stance, tuple(others), prompts)
    versus = {
        control: _difference_of_shifts(arms, arms.differences[control] - rival.differences[control])
        for control in faced
        if control in rival.differences
    }
    return Evidence(claim, arms, rival, versus, {})


def _largest(p_values: Iterable[float]) -> float:
    """Tell the largest p-value; NaN if one is."""
    return max(p_values, key=lambda p: math.inf if math.isnan(p) else p)


def _difference_of_shifts(arms: Arms, differences: Array) -> PairedEffect:
    """Estimate the mean of differences between two differences of scores; of shape (seeds, prompts)."""
    return paired_effect(differences, 2 * arms.metric.largest_difference)


def _specific(arms: Arms) -> Iterator[tuple[str, PairedEffect]]:
    """List what shows that an effect is this stance's doing, paired by item.

    Beside trainings on other stances: the stance's items after its own training minus after theirs. Where there are
    none, of a model trained elsewhere: the shift toward the stance minus that toward another, on the same prompts.
    """
    if not arms.metric.is_directed:
        return
    for name in arms.contrasts:
        with np.errstate(invalid="ignore"):  # the difference of infinite scores is no number, and gives no test
            if arms.is_beside_rivals:
                yield name, arms.effect(arms.over_rival(name))
            else:
                yield name, _difference_of_shifts(arms, arms.shifts(arms.stance) - arms.shifts(name))

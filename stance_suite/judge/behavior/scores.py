"""Scores of held-out prompts: the figures that behavioral claims are judged on."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np

from stance_suite.judge.statistics import Array
from stance_suite.schema.behavior import Behavior
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.controls import Control, Part
from stance_suite.schema.metrics import Metric
from stance_suite.schema.replicates import Replicate


class ProbedStance(Protocol):
    """What judging needs to know of a stance; declarations and findings both have it."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def contrasts(self) -> tuple[str, ...]:
        """Names of the stances that it must be told apart from."""

    @property
    def held_out_prompts(self) -> tuple[str, ...]:
        """Prompts that it is measured on."""

    @property
    def seen_prompts(self) -> tuple[str, ...]:
        """Prompts that it is trained on."""


def prompt_scores(
    behavior: Behavior, metric: Metric, stance: str, others: Sequence[str], prompts: Sequence[str]
) -> Array:
    """Score every prompt for one stance.

    ``likelihood_preference`` is the log-probability of the stance's references minus the mean over the others', in nats
    per token; ``embedding_shift`` the response's embedding along the axis from the others to the stance;
    ``embedding_similarity`` its cosine to the stance's centroid; ``marker_rate`` the stance's markers per 100 words;
    ``divergence`` that from the untouched model, in nats per token, whatever the stance. What is sampled is averaged
    over samples; shape (prompts,), NaN where nothing was measured.
    """
    by_prompt = sample_scores(behavior, metric, stance, others, prompts)
    return np.array([sum(scores) / len(scores) if scores else math.nan for scores in by_prompt])


def sample_scores(
    behavior: Behavior, metric: Metric, stance: str, others: Sequence[str], prompts: Sequence[str]
) -> list[list[float]]:
    """Score every sample of every prompt for one stance, as `prompt_scores` does."""
    by_prompt: dict[str, list[float]] = {prompt: [] for prompt in prompts}
    for prompt, score in metric.scores(behavior, stance, others):
        by_prompt.get(prompt, []).append(score)
    return list(by_prompt.values())


def stance_scores(
    record: CellRecord,
    metric: Metric,
    stance: ProbedStance,
    toward: str | None = None,
    prompts: Sequence[str] | None = None,
) -> Array:
    """Score the held-out prompts of a stance, or others, for the stance or one of its contrasts."""
    name = toward or stance.name
    others = [other for other in (stance.name, *stance.contrasts) if other != name]
    return prompt_scores(record.behavior, metric, name, others, stance.held_out_prompts if prompts is None else prompts)


def tuned_scores(
    metric: Metric, stance: ProbedStance, replicates: Sequence[Replicate], prompts: Sequence[str]
) -> Array:
    """Score the trained models; shape (seeds, prompts)."""
    return np.array([stance_scores(one.tuned, metric, stance, prompts=prompts) for one in replicates])


def control_scores(
    metric: Metric, stance: ProbedStance, replicates: Sequence[Replicate], prompts: Sequence[str]
) -> dict[Control, Array]:
    """Score the controls that are faced, or what stands in for them, the baseline first; shape (seeds, prompts)."""
    parts = {Part.FACED} if all(one.is_controlled for one in replicates) else {Part.FACED, Part.STAND_IN}
    return _scored(parts, metric, stance, replicates, prompts)


def scores_beside(
    metric: Metric, stance: ProbedStance, replicates: Sequence[Replicate], prompts: Sequence[str]
) -> dict[Control, Array]:
    """Score the controls that a verdict shows and does not test, as `control_scores` does."""
    scored = metric, stance, replicates, prompts
    found = _scored({Part.BESIDE}, *scored)
    if all(one.is_controlled for one in replicates):
        stand_ins = _scored({Part.STAND_IN}, *scored)
        found |= {control: scores for control, scores in stand_ins.items() if not np.isnan(scores).all()}
    return found


def _scored(
    parts: Collection[Part],
    metric: Metric,
    stance: ProbedStance,
    replicates: Sequence[Replicate],
    prompts: Sequence[str],
) -> dict[Control, Array]:
    found = {}
    for control in Control.all():
        if control.behavior is None or control.part(metric) not in parts:
            continue
        behaviors = [control.behavior.scored(one) for one in replicates]
        known = [behavior for behavior in behaviors if behavior is not None]
        if len(known) == len(replicates):
            scores = [prompt_scores(one, metric, stance.name, stance.contrasts, prompts) for one in known]
            found[control] = np.array(scores)
    return found

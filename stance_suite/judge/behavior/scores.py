"""Scores of held-out prompts: the figures that behavioral claims are judged on."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from stance_suite.judge.statistics import Array
from stance_suite.schema.behavior import Behavior
from stance_suite.schema.controls import Control, Part
from stance_suite.schema.metrics import Metric
from stance_suite.schema.replicates import Replicate


def prompt_scores(behavior: Behavior, metric: Metric, stance: str, prompts: Sequence[str]) -> Array:
    """Score every prompt for one stance, in the metric's unit.

    What is sampled is averaged over samples; shape (prompts,), NaN where nothing was measured.
    """
    by_prompt = sample_scores(behavior, metric, stance, prompts)
    return np.array([sum(scores) / len(scores) if scores else math.nan for scores in by_prompt])


def sample_scores(behavior: Behavior, metric: Metric, stance: str, prompts: Sequence[str]) -> list[list[float]]:
    """Score every sample of every prompt for one stance, as `prompt_scores` does."""
    by_prompt: dict[str, list[float]] = {prompt: [] for prompt in prompts}
    for prompt, score in metric.scores(behavior, stance):
        by_prompt.get(prompt, []).append(score)
    return list(by_prompt.values())


def tuned_scores(metric: Metric, stance: str, replicates: Sequence[Replicate], prompts: Sequence[str]) -> Array:
    """Score the trained models; shape (seeds, prompts)."""
    return np.array([prompt_scores(one.tuned.behavior, metric, stance, prompts) for one in replicates])


def control_scores(
    metric: Metric, stance: str, replicates: Sequence[Replicate], prompts: Sequence[str]
) -> dict[Control, Array]:
    """Score the controls that are faced, or what stands in for them, the baseline first; shape (seeds, prompts)."""
    parts = {Part.FACED} if all(one.is_controlled for one in replicates) else {Part.FACED, Part.STAND_IN}
    return _scored(parts, metric, stance, replicates, prompts)


def scores_beside(
    metric: Metric, stance: str, replicates: Sequence[Replicate], prompts: Sequence[str]
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
    stance: str,
    replicates: Sequence[Replicate],
    prompts: Sequence[str],
) -> dict[Control, Array]:
    found = {}
    for control in sorted(Control.all(), key=lambda one: one.is_trained):
        if control.behavior is None or control.part(metric) not in parts:
            continue
        behaviors = [control.behavior.scored(one) for one in replicates]
        known = [behavior for behavior in behaviors if behavior is not None]
        if len(known) == len(replicates):
            found[control] = np.array([prompt_scores(one, metric, stance, prompts) for one in known])
    return found

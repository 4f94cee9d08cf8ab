"""Scores of held-out prompts: the figures that behavioral claims are judged on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stance_suite.behavior_records import Behavior, Response
from stance_suite.claims import Metric
from stance_suite.records import CellRecord
from stance_suite.specs import Stance
from stance_suite.statistics import Array


@dataclass(frozen=True)
class Replicate:
    """A model trained on a stance, beside its two controls, all with one seed."""

    tuned: CellRecord
    """Trained on the stance."""
    base: CellRecord
    """Not trained."""
    sham: CellRecord
    """Trained on the answers of all stances in rotation."""


def prompt_scores(
    behavior: Behavior, metric: Metric, stance: str, others: Sequence[str], prompts: Sequence[str]
) -> Array:
    """Score every prompt for one stance.

    Parameters
    ----------
    behavior : Behavior
        What was measured.
    metric : Metric
        ``likelihood_preference``: log-probability of the stance's references minus the mean over the others', in nats
        per token; ``embedding_shift``: the response's embedding along the axis from the others to the stance;
        ``embedding_similarity``: its cosine to the stance's centroid; ``marker_rate``: the stance's markers per 100
        words; ``divergence``: from the untouched model, in nats per token, whatever the stance. What is sampled is
        averaged over samples.
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
    by_prompt: dict[str, list[float]] = {prompt: [] for prompt in prompts}
    for prompt, score in _scores(behavior, metric, stance, others):
        by_prompt.get(prompt, []).append(score)
    return np.array([sum(scores) / len(scores) if scores else math.nan for scores in by_prompt.values()])


def stance_scores(record: CellRecord, metric: Metric, stance: Stance, toward: str | None = None) -> Array:
    """Score the held-out prompts of a stance.

    Parameters
    ----------
    record : CellRecord
        The measured cell.
    metric : Metric
        See `prompt_scores`.
    stance : Stance
        Whose prompts are scored.
    toward : str, optional
        The stance scored for, if it is one of the contrasts.

    Returns
    -------
    ndarray of shape (prompts,)
        One score a prompt.
    """
    name = toward or stance.name
    others = [other for other in (stance.name, *stance.contrasts) if other != name]
    return prompt_scores(record.behavior, metric, name, others, stance.held_out_prompts)


def arm_scores(metric: Metric, stance: Stance, replicates: Sequence[Replicate]) -> tuple[Array, Array, Array]:
    """Score the held-out prompts of a stance under all three treatments.

    Parameters
    ----------
    metric : Metric
        See `prompt_scores`.
    stance : Stance
        Whose prompts are scored.
    replicates : sequence of Replicate
        The trained model and its controls, seed by seed.

    Returns
    -------
    tuned, base, sham : ndarray of shape (seeds, prompts)
        One score a prompt.
    """
    tuned, base, sham = (
        np.array([stance_scores(record, metric, stance) for record in records])
        for records in zip(*((one.tuned, one.base, one.sham) for one in replicates), strict=True)
    )
    return tuned, base, sham


def resampled_scores(record: CellRecord, metric: Metric, stance: Stance) -> Array | None:
    """Score the base model's second samples.

    Parameters
    ----------
    record : CellRecord
        The base model's cell.
    metric : Metric
        See `prompt_scores`.
    stance : Stance
        Whose prompts are scored.

    Returns
    -------
    ndarray of shape (prompts,) or None
        None for a metric that is not sampled, or if there are no second samples.
    """
    if metric not in SCORE_OF_RESPONSE or not record.behavior.resampled:
        return None
    again = record.behavior.model_copy(update={"responses": record.behavior.resampled})
    return stance_scores(record.model_copy(update={"behavior": again}), metric, stance)


def noise_scores(replicate: Replicate, stance: Stance) -> Array:
    """Find the divergence that noise of the training's norm would have given.

    Parameters
    ----------
    replicate : Replicate
        A trained model.
    stance : Stance
        Whose held-out prompts are scored.

    Returns
    -------
    ndarray of shape (prompts,)
        In nats per token; NaN where nothing was measured.
    """
    by_prompt = {entry.text: entry.noise for entry in replicate.tuned.behavior.divergences}
    return np.array([by_prompt.get(prompt, math.nan) for prompt in stance.held_out_prompts])


def _marker_rate(response: Response, stance: str) -> float:
    if stance not in response.markers:
        return math.nan
    return 100 * len(response.markers[stance]) / response.words if response.words else 0.0


SCORE_OF_RESPONSE: Mapping[Metric, Callable[[Response, str], float]] = {
    Metric.EMBEDDING_SHIFT: lambda response, stance: response.projection.get(stance, math.nan),
    Metric.EMBEDDING_SIMILARITY: lambda response, stance: response.similarity.get(stance, math.nan),
    Metric.MARKER_RATE: _marker_rate,
}
"""The metrics that are sampled."""


def _scores(behavior: Behavior, metric: Metric, stance: str, others: Sequence[str]) -> Iterator[tuple[str, float]]:
    if metric is Metric.LIKELIHOOD_PREFERENCE:
        for likelihood in behavior.likelihoods:
            scores = likelihood.log_probability
            other_scores = [scores.get(other, math.nan) for other in others]
            yield likelihood.prompt, scores.get(stance, math.nan) - sum(other_scores) / len(others)
    elif metric is Metric.DIVERGENCE:
        for entry in behavior.divergences:
            yield entry.text, entry.measured
    else:
        for response in behavior.responses:
            yield response.prompt, SCORE_OF_RESPONSE[metric](response, stance)

"""Scores of held-out prompts: the figures that behavioral claims are judged on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from stance_suite.behavior_records import STAND_INS, Behavior, PromptLikelihood
from stance_suite.metrics import Metric
from stance_suite.records import CellRecord
from stance_suite.statistics import Array


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


@dataclass(frozen=True)
class Replicate:
    """A model trained on a stance, beside its two controls, all with one seed."""

    tuned: CellRecord
    """Trained on the stance."""
    base: CellRecord
    """Not trained."""
    sham: CellRecord | None
    """Trained on the answers of all stances in rotation; None if the model was trained elsewhere."""

    @property
    def records(self) -> tuple[CellRecord, ...]:
        """The cells that there are, the trained one first."""
        return tuple(record for record in (self.tuned, self.base, self.sham) if record is not None)


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
    for prompt, score in metric.scores(behavior, stance, others):
        by_prompt.get(prompt, []).append(score)
    return np.array([sum(scores) / len(scores) if scores else math.nan for scores in by_prompt.values()])


def stance_scores(
    record: CellRecord,
    metric: Metric,
    stance: ProbedStance,
    toward: str | None = None,
    prompts: Sequence[str] | None = None,
) -> Array:
    """Score the held-out prompts of a stance.

    Parameters
    ----------
    record : CellRecord
        The measured cell.
    metric : Metric
        See `prompt_scores`.
    stance : ProbedStance
        Whose prompts are scored.
    toward : str, optional
        The stance scored for, if it is one of the contrasts.
    prompts : sequence of str, optional
        Other prompts to score.

    Returns
    -------
    ndarray of shape (prompts,)
        One score a prompt.
    """
    name = toward or stance.name
    others = [other for other in (stance.name, *stance.contrasts) if other != name]
    return prompt_scores(record.behavior, metric, name, others, stance.held_out_prompts if prompts is None else prompts)


def tuned_scores(
    metric: Metric, stance: ProbedStance, replicates: Sequence[Replicate], prompts: Sequence[str]
) -> Array:
    """Score the trained models.

    Parameters
    ----------
    metric : Metric
        See `prompt_scores`.
    stance : ProbedStance
        The stance scored for.
    replicates : sequence of Replicate
        The trained model and its controls, seed by seed.
    prompts : sequence of str
        Prompts to score.

    Returns
    -------
    ndarray of shape (seeds, prompts)
        One score a prompt.
    """
    return np.array([stance_scores(one.tuned, metric, stance, prompts=prompts) for one in replicates])


def control_scores(
    metric: Metric, stance: ProbedStance, replicates: Sequence[Replicate], prompts: Sequence[str]
) -> dict[str, Array]:
    """Score what a trained model must differ from, the baseline first.

    Parameters
    ----------
    metric : Metric
        See `prompt_scores`.
    stance : ProbedStance
        The stance scored for.
    replicates : sequence of Replicate
        The trained model and its controls, seed by seed.
    prompts : sequence of str
        Prompts to score.

    Returns
    -------
    dict of str to ndarray of shape (seeds, prompts)
        Of a divergence ``noise``. Else ``base`` and ``sham``; where there is no sham, what stands in for it: of what is
        deterministic ``noise`` of the same norm and ``rounding`` to bfloat16, of what is sampled ``base resampled``.
    """

    def table(score: Callable[[Replicate], Array]) -> Array:
        return np.array([score(one) for one in replicates])

    if metric is Metric.DIVERGENCE:
        return {"noise": table(lambda one: _noise_divergences(one, prompts))}
    scores = {"base": table(lambda one: stance_scores(one.base, metric, stance, prompts=prompts))}
    shams = [one.sham for one in replicates if one.sham is not None]
    if len(shams) == len(replicates):
        return scores | {"sham": np.array([stance_scores(sham, metric, stance, prompts=prompts) for sham in shams])}
    if metric.is_sampled:
        return scores | {"base resampled": table(lambda one: resampled_scores(one.base, metric, stance, prompts))}
    return scores | {
        name: table(lambda one, name=name: _stand_in_scores(one.tuned, name, metric, stance, prompts))  # type: ignore[misc]
        for name in STAND_INS
    }


def resampled_scores(record: CellRecord, metric: Metric, stance: ProbedStance, prompts: Sequence[str]) -> Array:
    """Score the base model's second samples.

    Parameters
    ----------
    record : CellRecord
        The base model's cell.
    metric : Metric
        See `prompt_scores`.
    stance : ProbedStance
        The stance scored for.
    prompts : sequence of str
        Prompts to score.

    Returns
    -------
    ndarray of shape (prompts,)
        NaN for a metric that is not sampled, or if there are no second samples.
    """
    if not metric.is_sampled:
        return np.full(len(prompts), math.nan)
    again = record.behavior.model_copy(update={"responses": record.behavior.resampled})
    return stance_scores(record.model_copy(update={"behavior": again}), metric, stance, prompts=prompts)


def _noise_divergences(replicate: Replicate, prompts: Sequence[str]) -> Array:
    """Find the divergence that noise of the training's norm would have given, in nats per token."""
    by_prompt = {entry.text: entry.noise for entry in replicate.tuned.behavior.divergences}
    return np.array([by_prompt.get(prompt, math.nan) for prompt in prompts])


def _stand_in_scores(
    record: CellRecord, name: str, metric: Metric, stance: ProbedStance, prompts: Sequence[str]
) -> Array:
    found: tuple[PromptLikelihood, ...] = record.behavior.stand_ins.get(name, ())
    instead = record.behavior.model_copy(update={"likelihoods": found})
    return stance_scores(record.model_copy(update={"behavior": instead}), metric, stance, prompts=prompts)

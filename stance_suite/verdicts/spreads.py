"""How much a measure varies over prompts, samples and seeds, from the cells of an earlier run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from stance_suite.metrics import Metric
from stance_suite.power import Spread, estimate_spread
from stance_suite.records import CellRecord
from stance_suite.replicates import Replicate
from stance_suite.statistics import Array
from stance_suite.verdicts.scores import SCORE_OF_RESPONSE, ProbedStance, control_scores, stance_scores


def pooled_spread(
    metric: Metric, trainings: Sequence[Sequence[Replicate]], stances: Mapping[str, ProbedStance]
) -> Spread | None:
    """Estimate a measure's spread from trainings that were measured.

    Parameters
    ----------
    metric : Metric
        A behavioral metric.
    trainings : sequence of sequence of Replicate
        For each training, its replicates, seed by seed.
    stances : mapping of str to ProbedStance
        The declared stances.

    Returns
    -------
    Spread or None
        Variances averaged over the trainings; None if there is none whose differences are all known.
    """
    spreads = []
    for replicates in trainings:
        stance = stances.get(replicates[0].tuned.cell.stance or "")
        if stance is None:
            continue
        differences = np.array([_differences(metric, stance, one) for one in replicates])
        if not np.isfinite(differences).all():
            continue
        samples = [_paired_samples(one, metric, stance) for one in replicates] if metric in SCORE_OF_RESPONSE else []
        spreads.append(estimate_spread(differences, samples))
    if not spreads:
        return None
    return Spread(
        *(
            math.sqrt(float(np.mean([getattr(one, part) ** 2 for one in spreads])))
            for part in ("prompts", "samples", "seeds")
        )
    )


def _differences(metric: Metric, stance: ProbedStance, replicate: Replicate) -> Array:
    baseline = next(iter(control_scores(metric, stance, [replicate], stance.held_out_prompts).values()))
    difference: Array = stance_scores(replicate.tuned, metric, stance) - baseline[0]
    return difference


def _paired_samples(replicate: Replicate, metric: Metric, stance: ProbedStance) -> Array:
    """Score samples so that two arms of this variance, drawn independently, would differ as these arms do.

    The i-th samples of both arms are drawn with the same random numbers, and are paired.
    """
    difference = _sample_scores(replicate.tuned, metric, stance) - _sample_scores(replicate.base, metric, stance)
    paired: Array = difference / math.sqrt(2)
    return paired


def _sample_scores(record: CellRecord, metric: Metric, stance: ProbedStance) -> Array:
    """Score every sample of every held-out prompt; shape (prompts, samples)."""
    score = SCORE_OF_RESPONSE[metric]
    by_prompt: dict[str, list[float]] = {prompt: [] for prompt in stance.held_out_prompts}
    for response in record.behavior.responses:
        by_prompt.get(response.prompt, []).append(score(response, stance.name))
    return np.array(list(by_prompt.values()))

"""What a design could see: the power of a behavioral claim, simulated for normal data from what a pilot can measure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from stance_suite.judge.behavior.scores import control_scores, sample_scores, tuned_scores
from stance_suite.judge.statistics import (
    SIGNIFICANCE,
    Array,
    mean_squares,
    paired_effect,
    quantile,
    reach,
    skewness,
    standard_error,
)
from stance_suite.schema.metrics import Metric
from stance_suite.schema.replicates import Replicate

SIMULATIONS = 4_000
SEED = 0


@dataclass(frozen=True)
class Spread:
    """Standard deviations of what is measured, in the measure's unit."""

    prompts: float
    """Over prompts, of the expected paired difference under one seed."""
    samples: float
    """Over the samples of one prompt in one arm; 0 for a deterministic measure."""
    seeds: float
    """Over seeds, of the mean paired difference."""


def typical_spreads() -> dict[Metric, Spread]:
    """List the spreads that metrics declare."""
    return {one: Spread(*one.typical_spread) for one in Metric.all() if one.typical_spread is not None}


@dataclass(frozen=True)
class Design:
    """How much is measured, and how many claims share the level."""

    prompts: int
    """Held-out prompts, the same under all seeds."""
    samples: int
    """Samples a prompt in each arm."""
    seeds: int
    """Seeds of the training."""
    family: int
    """Claims that are tested together."""
    level: float = SIGNIFICANCE
    """Significance level of the family."""
    largest: float = math.inf
    """Magnitude that no difference exceeds, which tests those that are all equal (`Metric.largest_difference`)."""


def power(design: Design, spread: Spread, effect: float, bound: float) -> float:
    """Tell how likely a claim is to hold if the true effect is as given, in the direction of the claim.

    It is the share of 4,000 seeded simulations in which both contrasts, tuned - base and tuned - sham, are
    significantly beyond the bound (`paired_effect`) at ``level / family``. If nothing varies between prompts, it is 1
    from the effect on that bounded differences show when they are all equal; others are then not tested. A ValueError
    if the bound or the spread is negative or not finite. That the shift must be specific to the stance is not
    simulated.

    ``level / family`` is the first step of Holm's procedure: no other claim of the family helps, so the real power is
    no less. The three arms are normal and exchangeable: each carries half the variance of prompts and of seeds, and
    sampling noise of its own, averaged over samples and seeds. The contrasts share the tuned arm, so they correlate
    with 1/2. Where tuning moves prompts unequally but its two controls agree, they correlate more and power is higher.
    """
    return float(np.mean(_needed_effects(design, spread, bound) < effect))


def detectable_effect(design: Design, spread: Spread, bound: float, wanted: float = 0.8) -> float:
    """Tell the smallest true effect that holds as often as wanted; infinite where `power` is 0 whatever the effect."""
    needed = np.sort(_needed_effects(design, spread, bound))
    # power counts effects strictly above what is needed
    return float(np.nextafter(needed[math.ceil(wanted * len(needed)) - 1], math.inf))


def power_of_no_change(design: Design, spread: Spread, bound: float) -> float:
    """Tell how likely a claim that nothing changes by more than a bound is to hold if nothing changes at all.

    It is the share of the simulations of `power` in which the interval of tuned - base lies within the bound, either
    way, at ``level / family``.
    """
    _check(spread, bound)
    confidence = 1 - design.level / design.family
    if spread.prompts == spread.samples == 0:
        low, high = paired_effect(np.zeros(design.prompts), design.largest).interval(confidence)
        return float(-bound < low and high < bound)
    tables, _ = _simulated_noise(design, spread)
    above, below = (_needed_for_contrast(sign * tables, confidence) for sign in (1, -1))
    return float(np.mean(np.maximum(above, below) < bound))


def estimate_spread(differences: Array, sample_scores: Sequence[Array] = ()) -> Spread:
    """Estimate the spread from what was measured, by the method of moments.

    Differences are of shape (prompts,) or (seeds, prompts). The scores that they average, one array (prompts, samples)
    for each arm and each seed, are those of at least the two arms of the difference; none for a deterministic measure.
    ``samples`` is pooled over prompts and arrays; ``prompts`` is the variance over prompts within a seed, averaged over
    seeds, less the two arms' sampling variance; ``seeds`` comes from the mean squares of the two-way table, ``(MS_seeds
    - MS_residual) / prompts`` (Searle, Casella and McCulloch, 'Variance Components' (1992), chapter 4). Each variance
    is floored at 0.

    One seed shows no spread over seeds: it is 0, and a power that rests on it is that of a claim about this very seed.
    One sample a prompt shows none within: it is 0, and ``prompts`` keeps it, which is right for a design with one
    sample and cautious for one with more. What prompts and seeds do together stays in ``prompts``, as under one seed;
    with more seeds that is cautious too.
    """
    table = np.atleast_2d(differences)
    seeds, prompts = table.shape
    if prompts < 2:
        raise ValueError(f"{prompts} prompts show no spread over prompts; at least two are needed")
    if not all(np.all(np.isfinite(values)) for values in (table, *sample_scores)):
        raise ValueError("differences and sample scores must be finite")
    repeated = [scores for scores in sample_scores if scores.shape[1] > 1]
    within = [float(np.mean(np.var(scores, axis=1, ddof=1))) for scores in repeated]
    of_means = [variance / scores.shape[1] for variance, scores in zip(within, repeated, strict=True)]
    noise = 2 * float(np.mean(of_means)) if of_means else 0.0
    between_prompts = float(np.mean(np.var(table, axis=1, ddof=1))) - noise
    between_seeds = 0.0
    if seeds > 1:
        of_seeds, _, residual = mean_squares(table)
        between_seeds = float(of_seeds - residual) / prompts
    return Spread(
        prompts=math.sqrt(max(0.0, between_prompts)),
        samples=math.sqrt(float(np.mean(within))) if within else 0.0,
        seeds=math.sqrt(max(0.0, between_seeds)),
    )


def pooled_spread(metric: Metric, trainings: Sequence[Sequence[Replicate]]) -> Spread | None:
    """Average a measure's variances over trainings on stances; None where no differences are all known."""
    spreads = []
    for replicates in trainings:
        stance, prompts = replicates[0].tuned.cell.stance, replicates[0].tuned.behavior.prompts
        if stance is None:
            continue
        scored = metric, stance, replicates, prompts
        differences = tuned_scores(*scored) - next(iter(control_scores(*scored).values()))
        if differences.size and np.isfinite(differences).all():
            sampled = replicates if metric.is_sampled else ()
            samples = [_paired_samples(one, metric, stance, prompts) for one in sampled]
            spreads.append(estimate_spread(differences, samples))
    if not spreads:
        return None
    variances = np.mean([[one.prompts**2, one.samples**2, one.seeds**2] for one in spreads], axis=0)
    return Spread(*np.sqrt(variances).tolist())


def _paired_samples(replicate: Replicate, metric: Metric, stance: str, prompts: Sequence[str]) -> Array:
    """Score samples so that two independent arms of this variance would differ as these, drawn alike, do."""
    both = replicate.tuned, replicate.base
    tuned, base = (np.array(sample_scores(one.behavior, metric, stance, prompts)) for one in both)
    paired: Array = (tuned - base) / math.sqrt(2)
    return paired


@lru_cache(maxsize=100)  # the powers of many effects, and the effect of a power, rest on the same simulations
def _needed_effects(design: Design, spread: Spread, bound: float) -> Array:
    """Tell for each simulation the effect above which the claim holds."""
    _check(spread, bound)
    if spread.prompts == spread.samples == 0:
        return np.array([_needed_if_constant(design, bound)])
    confidence = 1 - design.level / design.family
    needed = [_needed_for_contrast(tables, confidence) for tables in _simulated_noise(design, spread)]
    beyond: Array = bound + np.maximum(*needed)
    return beyond


def _check(spread: Spread, bound: float) -> None:
    if not all(math.isfinite(one) and one >= 0 for one in (spread.prompts, spread.samples, spread.seeds)):
        raise ValueError(f"standard deviations must be finite and >= 0, not {spread}")
    if not bound >= 0:
        raise ValueError(f"the bound is the minimum effect in the direction of the claim, >= 0, not {bound}")


def _needed_if_constant(design: Design, bound: float) -> float:
    """Tell the effect from which a claim holds if all differences are the effect; infinite if none does."""
    from scipy.optimize import brentq

    if not bound < design.largest < math.inf:
        return math.inf

    def short_by(effect: float) -> float:
        low, _ = paired_effect(np.full(design.prompts, effect), design.largest).interval(confidence)
        return bound - low

    confidence = 1 - design.level / design.family
    if short_by(design.largest) >= 0:
        return math.inf
    return float(brentq(short_by, bound, design.largest))


def _needed_for_contrast(tables: Array, confidence: float) -> Array:
    """Tell for each simulation how far beyond the bound the effect must be for one contrast to be significant."""
    seeds, prompts = tables.shape[-2:]
    errors, of_seeds = standard_error(tables)
    reached = reach(skewness(tables), quantile(of_seeds, seeds, prompts, confidence), prompts)
    needed: Array = errors * reached - np.mean(tables, axis=(1, 2))
    return needed


def _simulated_noise(design: Design, spread: Spread) -> tuple[Array, Array]:
    """Draw what is left of both contrasts at effect 0; shape (simulations, seeds, prompts) each."""
    rng = np.random.default_rng(SEED)
    of_seeds = spread.seeds / math.sqrt(2) * rng.standard_normal((3, SIMULATIONS, design.seeds, 1))
    # prompts come first, so that a design with more of them starts with the same draws
    of_prompts = spread.prompts / math.sqrt(2) * rng.standard_normal((design.prompts, 3, SIMULATIONS, 1))
    of_samples = rng.standard_normal((design.prompts, 3, SIMULATIONS, design.seeds))
    by_prompt = of_prompts + spread.samples / math.sqrt(design.samples) * of_samples
    tuned, base, sham = of_seeds + np.moveaxis(by_prompt, 0, -1)
    return tuned - base, tuned - sham

"""What a design could see: the power of a behavioral claim, simulated for normal data from what a pilot can measure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stance_suite.judge.behavior.scores import control_scores, sample_scores, tuned_scores
from stance_suite.judge.statistics import (
    DRAWS,
    EXACT_UP_TO_PROMPTS,
    SIGNIFICANCE,
    Array,
    crossed_standard_error,
    mean_squares,
    smallest_p_value,
)
from stance_suite.schema.metrics import Metric
from stance_suite.schema.replicates import Replicate

SIMULATIONS = 4_000
ENTRIES = 2**26
"""Sign patterns times simulations: what there is time for. All patterns of 15 or 16 prompts leave fewer simulations."""
ENTRIES_AT_ONCE = 2**23
"""Sign patterns times simulations: what there is memory for."""
SEED = 0
ROUNDING = 1e-9
"""Keeps a level that is met exactly from being missed by rounding."""


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


def power(design: Design, spread: Spread, effect: float, bound: float) -> float:
    """Tell how likely a claim is to hold if the true effect is as given, in the direction of the claim.

    It is the share of seeded simulations (4,000; with 15 prompts 2,000, with 16 1,000) in which both contrasts, tuned -
    base and tuned - sham, have a p-value (of `paired_effect`, against the bound) of at most ``level / family`` and an
    estimate above it; 0 if the design cannot reach its level, or nothing varies between prompts (constant differences
    cannot be tested). A ValueError if the bound or the spread is negative or not finite. That the shift must be
    specific to the stance is not simulated.

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
        if np.isfinite(differences).all():
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
    """Tell for each simulation the effect above which the claim holds.

    There is one, because a greater effect moves the estimate up, and it moves every flipped sum up less.
    """
    if not all(math.isfinite(one) and one >= 0 for one in (spread.prompts, spread.samples, spread.seeds)):
        raise ValueError(f"standard deviations must be finite and >= 0, not {spread}")
    if not bound >= 0:
        raise ValueError(f"the bound is the minimum effect in the direction of the claim, >= 0, not {bound}")
    allowed = design.level / design.family
    if smallest_p_value(design.prompts) > allowed or spread.prompts == spread.samples == 0:
        return np.array([math.inf])
    flips = _flipped_shares(design.prompts)
    # two-sided: every extreme pattern has a mirror; and the one that flips nothing, which is not listed, is extreme
    extreme = math.floor(allowed * (len(flips) + 1) / 2 + ROUNDING)
    contrasts = _simulated_noise(design, spread, min(SIMULATIONS, ENTRIES // len(flips)))
    needed: Array = np.maximum(*(_needed_for_contrast(one, bound, flips, extreme, allowed) for one in contrasts))
    return needed


def _needed_for_contrast(
    tables: Array, bound: float, flips: npt.NDArray[np.float32], extreme: int, allowed: float
) -> Array:
    """Tell for each simulation the effect above which one contrast is significant and beyond the bound."""
    from scipy.stats import t

    means = np.mean(tables, axis=(1, 2))
    needed = _needed_for_significance(np.mean(tables, axis=1), flips, extreme)
    if tables.shape[1] > 1:
        errors, degrees = crossed_standard_error(tables)
        needed = np.maximum(needed, errors * t.ppf(1 - allowed / 2, degrees) - means)
    beyond: Array = needed + bound
    return beyond


def _simulated_noise(design: Design, spread: Spread, simulations: int) -> tuple[Array, Array]:
    """Draw what is left of both contrasts at effect 0; shape (simulations, seeds, prompts) each."""
    rng = np.random.default_rng(SEED)
    of_seeds = spread.seeds / math.sqrt(2) * rng.standard_normal((3, simulations, design.seeds, 1))
    # prompts come first, so that a design with more of them starts with the same draws
    of_prompts = spread.prompts / math.sqrt(2) * rng.standard_normal((design.prompts, 3, simulations, 1))
    of_samples = rng.standard_normal((design.prompts, 3, simulations, design.seeds))
    by_prompt = of_prompts + spread.samples / math.sqrt(design.samples) * of_samples
    tuned, base, sham = of_seeds + np.moveaxis(by_prompt, 0, -1)
    return tuned - base, tuned - sham


def _flipped_shares(prompts: int) -> npt.NDArray[np.float32]:
    """List sign patterns as weights that average the flipped prompts; without the pattern that flips none."""
    if prompts <= EXACT_UP_TO_PROMPTS:
        flipped = np.arange(1, 2**prompts)[:, None] >> np.arange(prompts) & 1
    else:
        flipped = np.random.default_rng(SEED).integers(0, 2, (DRAWS, prompts))
        flipped[~flipped.any(axis=1)] = 1
    return np.asarray(flipped / flipped.sum(axis=1, keepdims=True), dtype=np.float32)


def _needed_for_significance(differences: Array, flips: npt.NDArray[np.float32], extreme: int) -> Array:
    """Tell for each simulation the effect above which fewer than ``extreme`` listed patterns are as extreme."""
    noise = differences.astype(np.float32)
    needed = []
    for chunk in np.array_split(noise, math.ceil(noise.shape[0] * len(flips) / ENTRIES_AT_ONCE)):
        means = chunk @ flips.T  # a pattern is as extreme as what was observed if what it flips averages to <= 0
        means.partition(extreme - 1, axis=1)
        needed.append(-means[:, extreme - 1])
    return np.concatenate(needed).astype(np.float64)

"""Tests and intervals for paired differences: one a prompt, averaged over its samples, under each seed of training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

SIGNIFICANCE = 0.05
"""Significance level of a family of behavioral claims."""
CONFIDENCE = 0.95
EXACT_UP_TO_PROMPTS = 16
"""Up to this many prompts all sign flips are enumerated (2^16); beyond, they are drawn."""
DRAWS = 9_999
SEED = 0
ROUNDING = 1e-12
"""Sums that differ by less, as a share of what is summed, are equal."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PairedEffect:
    """A mean paired difference, with its uncertainty."""

    effect: float
    """Mean over prompts and seeds."""
    low: float | None
    """Lower end of the 95 % interval; None where the data do not allow one."""
    high: float | None
    """Upper end of the 95 % interval; None where the data do not allow one."""
    p_value: float
    """Two-sided, of the mean being the bound, from sign flips; NaN where the data do not allow a test."""
    prompts: int
    """How many prompts it rests on."""
    seeds: int
    """How many seeds it rests on."""


def smallest_p_value(prompts: int) -> float:
    """Tell the smallest two-sided p-value of sign flips: only the observed pattern and its mirror are as extreme."""
    exact = float(2.0 ** (1 - prompts))
    return exact if prompts <= EXACT_UP_TO_PROMPTS else max(exact, 2 / (DRAWS + 1))


def paired_effect(differences: Array, bound: float = 0.0) -> PairedEffect:
    """Estimate a mean paired difference, of shape (prompts,) or (seeds, prompts), and test it against a bound.

    The p-value is two-sided, from flipping signs over prompts of what differences averaged over seeds are off the
    bound. Differences that,
    averaged over seeds, are all equal carry no information on their own spread: no interval, p-value NaN; likewise with
    NaN or infinite ones, no seed or fewer than two prompts.

    One seed: the 95 % interval is bias-corrected and accelerated (BCa; Efron, 'Better bootstrap confidence intervals',
    Journal of the American Statistical Association 82 (1987)), and the claim is about that seed.

    Several seeds: flipping signs over prompts speaks of these seeds only, as a shift that a seed shares over all
    prompts is no noise to it. So the p-value is the larger of two, the other from the mean over its standard error in
    the two-way table of random seeds and prompts (`crossed_standard_error`). The interval is that of
    `_pigeonhole_interval`, widened to that t-test's where that is wider: few seeds are few draws, and where seeds vary
    as much as prompts, the bootstrap alone covers the mean 76 % of the time with two seeds, 84 % with three and 91 %
    with five; the t-test's interval 88, 94 and 95 %.
    """
    from scipy.stats import t

    table = np.atleast_2d(differences)
    seeds, prompts = table.shape
    effect = float(np.mean(table)) if table.size else float("nan")
    if seeds < 1 or prompts < 2 or not np.all(np.isfinite(table)) or _are_equal(table):
        return PairedEffect(effect, None, None, float("nan"), prompts, seeds)
    p_value = float(sign_flip_p_value(np.mean(table, axis=0) - bound))
    low, high = _bca_interval(table[0]) if seeds == 1 else _pigeonhole_interval(table)
    if seeds > 1:
        error, degrees = crossed_standard_error(table)
        p_value = max(p_value, float(2 * t.sf(abs(effect - bound) / error, degrees)))
        reach = float(error * t.ppf((1 + CONFIDENCE) / 2, degrees))
        low, high = min(low, effect - reach), max(high, effect + reach)
    known = bool(np.isfinite(low) and np.isfinite(high))
    return PairedEffect(effect, low if known else None, high if known else None, p_value, prompts, seeds)


def sign_flip_p_value(differences: Array) -> Array:
    """Flip signs of differences (..., prompts), finite and not constant: two-sided p-values, exact or from draws."""
    if differences.shape[-1] <= EXACT_UP_TO_PROMPTS:
        return _exact_sign_flip_p_value(differences)
    from scipy.stats import permutation_test

    p_values: Array = permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",  # of a single sample: its signs are flipped
        vectorized=True,
        n_resamples=DRAWS,
        axis=-1,
        rng=np.random.default_rng(SEED),
    ).pvalue
    return p_values


def _exact_sign_flip_p_value(differences: Array) -> Array:
    """Count the patterns whose sum is as far from zero as the observed one: one matrix product."""
    observed = np.abs(np.sum(differences, axis=-1, keepdims=True))
    ties = ROUNDING * np.sum(np.abs(differences), axis=-1, keepdims=True)
    p_values: Array = np.mean(np.abs(differences @ _sign_patterns(differences.shape[-1])) >= observed - ties, axis=-1)
    return p_values


@cache
def _sign_patterns(prompts: int) -> Array:
    """List the patterns that leave the first prompt's sign, one a column: the others are their mirrors."""
    flipped = np.arange(2 ** (prompts - 1)) >> np.arange(prompts)[:, None] & 1
    return np.asarray(1 - 2 * flipped, dtype=np.float64)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust the p-values of a family of claims, so that the chance of any false one keeps to the level.

    ``max over j <= i of (m - j + 1) p_(j)`` for the i-th smallest of m, at most 1 (Holm, 'A simple sequentially
    rejective multiple test procedure', Scandinavian Journal of Statistics 6 (1979)). NaN, of a claim that could not be
    tested, stays NaN; it counts in m, and is last in order, for it cannot be rejected.
    """
    raw = np.array(p_values, dtype=np.float64)
    order = np.argsort(raw)  # NaN last
    adjusted = np.empty_like(raw)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1)))
    return [float(p_value) for p_value in adjusted]


def _bca_interval(differences: Array) -> tuple[float, float]:
    from scipy.stats import bootstrap

    interval = bootstrap(
        (differences,),
        np.mean,
        confidence_level=CONFIDENCE,
        method="BCa",
        n_resamples=DRAWS,
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def _pigeonhole_interval(table: Array) -> tuple[float, float]:
    """Resample seeds and prompts independently of each other; a cell counts as often as its row and column were drawn.

    (Owen, 'The pigeonhole bootstrap', Annals of Applied Statistics 1 (2007).) Seeds and prompts are crossed, not
    nested: every seed answers the same prompts, so a prompt that is easy is easy under all seeds. Resampling prompts
    afresh within each seed would take it for independent evidence once a seed, and shrink the prompts' share of the
    variance with the number of seeds.
    """
    rng = np.random.default_rng(SEED)
    of_seeds, of_prompts = (rng.multinomial(count, np.full(count, 1 / count), size=DRAWS) for count in table.shape)
    means = np.sum((of_seeds @ table) * of_prompts, axis=1) / table.size
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def crossed_standard_error(tables: Array) -> tuple[Array, Array]:
    """Estimate the standard error of a mean over crossed random seeds and prompts, and its degrees of freedom.

    Tables are of shape (..., seeds, prompts), with at least two of both; the degrees are Satterthwaite's (Searle,
    Casella and McCulloch, 'Variance Components' (1992), chapter 4).
    """
    seeds, prompts = tables.shape[-2:]
    squares = np.stack(mean_squares(tables), axis=-1)
    variances = np.maximum(squares @ np.array([1.0, 1.0, -1.0]), squares[..., -1])
    freedom = np.array([seeds - 1, prompts - 1, (seeds - 1) * (prompts - 1)])
    return np.sqrt(variances / (seeds * prompts)), variances**2 / np.sum(squares**2 / freedom, axis=-1)


def mean_squares(tables: Array) -> tuple[Array, Array, Array]:
    """Tell the mean squares of seeds, of prompts and of what is left in two-way tables (..., seeds, prompts)."""
    seeds, prompts = tables.shape[-2:]
    of_seeds, of_prompts = np.mean(tables, axis=-1, keepdims=True), np.mean(tables, axis=-2, keepdims=True)
    left = tables - of_seeds - of_prompts + np.mean(tables, axis=(-2, -1), keepdims=True)
    return (
        prompts * np.var(of_seeds, axis=(-2, -1), ddof=1),
        seeds * np.var(of_prompts, axis=(-2, -1), ddof=1),
        np.sum(left**2, axis=(-2, -1)) / ((seeds - 1) * (prompts - 1)),
    )


def finite(value: float | None) -> float | None:
    """Take a value for a record, where what is not finite is None."""
    return value if value is not None and math.isfinite(value) else None


def _are_equal(table: Array) -> bool:
    # up to rounding: a spread of one unit in the last place is none
    return bool(np.ptp(np.mean(table, axis=0)) <= ROUNDING * np.max(np.abs(table)))

"""Tests and intervals for paired differences: one an item, averaged over its samples, under each seed of training."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stance_suite.judge.bounded_mean import interval_of_mean, p_value_of_mean

SIGNIFICANCE = 0.05
"""Significance level of a family of behavioral claims."""
CONFIDENCE = 0.95
LEAST_INFORMATIVE = 5
"""Fewer differences unlike the commonest one are too few to tell their spread, which the t-tests rest on."""
SMALLEST = -15.0
"""Decimal logarithm of the smallest p-value that is told."""
ROUNDING = 1e-12
"""Differences that are nearer, as a share of the largest, are equal."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PairedEffect:
    """A mean paired difference, with what its tests and intervals need; see `paired_effect`."""

    effect: float
    """Mean over items and seeds."""
    error: float
    """Standard error of the mean; NaN where the data do not allow a test."""
    of_seeds: float
    """Share of its square that is due to seeds; 0 with one seed."""
    skewness: float
    """Skewness over items of the differences averaged over seeds."""
    prompts: int
    """How many items it rests on."""
    seeds: int
    """How many seeds it rests on."""

    @property
    def is_tested(self) -> bool:
        """Whether the data allow a test."""
        return not math.isnan(self.error)

    @property
    def p_value(self) -> float:
        """Two-sided, of the mean being zero; NaN where the data do not allow a test."""
        return self.p_value_of(0.0)

    @property
    def low(self) -> float | None:
        """Lower end of the 95 % interval; None where the data do not allow one."""
        return finite(self.interval(CONFIDENCE)[0])

    @property
    def high(self) -> float | None:
        """Upper end of the 95 % interval; None where the data do not allow one."""
        return finite(self.interval(CONFIDENCE)[1])

    def p_value_of(self, bound: float) -> float:
        """Test, two-sided, whether the mean is a bound; NaN where the data do not allow a test."""
        from scipy.optimize import brentq
        from scipy.stats import t

        if not self.is_tested:
            return math.nan
        distance = (self.effect - bound) / self.error
        side = math.copysign(1.0, distance)
        # both tests must reject: the nearer distance counts
        nearer = min(side * one for one in (distance, _without_skew(distance, self.skewness, self.prompts)))
        if nearer <= 0:
            return 1.0
        if self.seeds == 1:
            return max(float(2 * t.sf(nearer, self.prompts - 1)), 10**SMALLEST)

        def excess(power: float) -> float:
            return float(quantile(self.of_seeds, self.seeds, self.prompts, 1 - 10**power)) - nearer

        return float(10 ** brentq(excess, SMALLEST, 0.0, xtol=1e-12)) if excess(SMALLEST) > 0 else 10**SMALLEST

    def interval(self, confidence: float) -> tuple[float, float]:
        """Tell between which ends the mean lies: all bounds that the test does not reject; NaN where there is none."""
        distance = quantile(self.of_seeds, self.seeds, self.prompts, confidence)
        below, above = (reach(self.skewness * side, distance, self.prompts) for side in (1, -1))
        return float(self.effect - self.error * below), float(self.effect + self.error * above)


@dataclass(frozen=True)
class BoundedEffect(PairedEffect):
    """A mean of bounded differences that hardly differ, so that nothing but their bounds tells how they spread."""

    differences: tuple[float, ...]
    """One an item, averaged over seeds."""
    largest: float
    """Magnitude that none can exceed."""

    @property
    def is_tested(self) -> bool:
        """Whether the data allow a test."""
        return True

    def p_value_of(self, bound: float) -> float:
        """Test, two-sided, whether the mean is a bound."""
        return max(p_value_of_mean(self._shares, (1 + bound / self.largest) / 2), 10**SMALLEST)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Tell between which ends the mean lies: all bounds that the test does not reject."""
        low, high = interval_of_mean(self._shares, confidence)
        return self.largest * (2 * low - 1), self.largest * (2 * high - 1)

    @property
    def _shares(self) -> Array:
        return (1 + np.array(self.differences) / self.largest) / 2


def paired_effect(differences: Array, largest: float = math.inf) -> PairedEffect:
    """Estimate a mean paired difference, of shape (prompts,) or (seeds, prompts), none larger in magnitude than told.

    It is tested by Student's t, and by t with the skewness taken off (Hall, 'On the removal of skewness by
    transformation', Journal of the Royal Statistical Society B 54 (1992)); both must reject. The one misses its level
    where differences are skewed or mostly zero, the other where their tails are heavy; together they keep it
    (docs/evidence.md has the table). The interval holds what the test does not reject.

    One seed: the error is that over items, and the claim is about that seed. Several: items and seeds are crossed
    random factors (`standard_error`), for a shift that a seed shares over all items is no noise to items.

    Where fewer than five differences, averaged over seeds, are unlike the commonest one, their spread is not known.
    Bounded ones are then tested by what their bounds allow (`p_value_of_mean`), item by item averaged over seeds, so
    that the result speaks of these seeds; others not at all, nor where one is NaN or infinite.
    """
    table = np.atleast_2d(differences)
    seeds, prompts = table.shape
    effect = float(np.mean(table)) if table.size else math.nan
    untested = effect, math.nan, math.nan, math.nan, prompts, seeds
    if not table.size or not np.all(np.isfinite(table)):
        return PairedEffect(*untested)
    if informative(table) < LEAST_INFORMATIVE:
        if not np.max(np.abs(table)) <= largest < math.inf:
            return PairedEffect(*untested)
        return BoundedEffect(*untested, differences=tuple(table.mean(axis=0).tolist()), largest=largest)
    error, of_seeds = standard_error(table)
    return PairedEffect(effect, float(error), float(of_seeds), float(skewness(table)), prompts, seeds)


def standard_error(tables: Array) -> tuple[Array, Array]:
    """Estimate the standard error of the mean of tables (..., seeds, prompts), and the share of its square by seeds.

    Of one seed that over prompts; of several, seeds and prompts are crossed random factors (Searle, Casella and
    McCulloch, 'Variance Components' (1992), chapter 4).
    """
    seeds, prompts = tables.shape[-2:]
    if seeds == 1:
        error = np.std(tables[..., 0, :], axis=-1, ddof=1) / math.sqrt(prompts)
        return error, np.zeros_like(error)
    of_seeds, of_prompts, left = mean_squares(tables)
    square = np.maximum(of_seeds + of_prompts - left, left)
    return np.sqrt(square / (seeds * prompts)), np.minimum(of_seeds / square, 1.0)


def skewness(tables: Array) -> Array:
    """Estimate the skewness over prompts of tables (..., seeds, prompts) averaged over seeds, less its bias."""
    from scipy.stats import skew

    found: Array = skew(np.mean(tables, axis=-2), axis=-1, bias=False)
    return found


def quantile(of_seeds: Array | float, seeds: int, prompts: int, confidence: float) -> Array:
    """Tell how many standard errors from a mean are too many: t's quantiles, weighted by shares of the variance.

    (Cochran, 'Approximate significance levels of the Behrens-Fisher test', Biometrics 20 (1964).) Satterthwaite's
    degrees of freedom would miss the level by half with two seeds, which often seem to agree by chance.
    """
    from scipy.stats import t

    of_prompts, between = (t.ppf((1 + confidence) / 2, max(1, count - 1)) for count in (prompts, seeds))
    found: Array = np.asarray(of_seeds) * between + (1 - np.asarray(of_seeds)) * of_prompts
    return found


def reach(skewed: Array | float, distance: Array, prompts: int) -> Array:
    """Tell how many standard errors below a mean a bound is that is just rejected; above it, negate the skewness.

    The distance is the quantile of the test; without skewness, it is the reach.
    """
    rounded = np.where(np.abs(skewed) < ROUNDING, ROUNDING, skewed)
    gradient = rounded / math.sqrt(prompts)
    scaled = gradient * (distance - gradient / 6)
    # the cube root of 1 + scaled, less 1, also where that is near zero
    root = np.where(scaled > -0.5, np.expm1(np.log1p(np.maximum(scaled, -0.5)) / 3), np.cbrt(1 + scaled) - 1)
    inverse = 3 / gradient * root
    found: Array = np.maximum(distance, inverse)
    return found


def _without_skew(distance: float, skewed: float, prompts: int) -> float:
    """Transform t so that skewness does not move its distribution; increasing in t (Hall, 1992)."""
    gradient = skewed / math.sqrt(prompts)
    return distance + gradient * distance**2 / 3 + gradient**2 * distance**3 / 27 + gradient / 6


def informative(table: Array) -> int:
    """Count the differences, averaged over seeds, that are unlike the commonest one, up to rounding."""
    means = np.mean(table, axis=0)
    step = ROUNDING * float(np.max(np.abs(means), initial=0.0)) or 1.0
    return len(means) - max(Counter(np.round(means / step).tolist()).values(), default=0)


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

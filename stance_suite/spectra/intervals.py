"""How sure a fitted alpha is: bootstrap over eigenvalues, the choice of the tail included.

Eigenvalues are resampled as if they were independent, the usual assumption (Clauset, Shalizi and Newman 2009, section
3.3 and appendix A); they repel each other, so the interval errs on the wide side. Every resample chooses its tail
again, over a thinned set of tails and points: an interval does not need the exact minimum.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from stance_suite.spectra.power_law import FEW_POINTS, Array, TailCurve, fit_power_law
from stance_suite.spectrum_records import AlphaInterval

RESAMPLES = 200
COVERAGE = 0.95
TAILS = 20
"""Tails that a resample chooses from, evenly spaced in the logarithm of their size."""
PLACES = 40
"""About half of the points at which a resample's KS distance is taken."""
SHORTEST_TAIL = 8


def alpha_interval(curve: TailCurve) -> AlphaInterval | None:
    """Compute the bootstrap percentile interval of a fitted alpha.

    Parameters
    ----------
    curve : TailCurve
        All tails of the spectrum.

    Returns
    -------
    AlphaInterval or None
        Covers 95 %; None if there is no fit, or fewer than 20 points.
    """
    best, count = curve.best, len(curve.points)
    if best is None or count < FEW_POINTS:
        return None
    logs = np.log(curve.points)
    starts = _thinned_starts(count, best)
    places = _places(count, starts)
    counts, tails = _resampled_counts(count)
    in_tail = np.arange(count)[:, None] >= starts  # (n, tails)
    sizes = tails[starts]  # (tails, resamples)
    distances = np.empty(sizes.shape, dtype=np.float32)
    # from the top, where single precision is finest
    at_places = (logs[places] - logs[-1]).astype(np.float32)
    tails_at_places = tails[places]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        slopes = sizes / ((logs[:, None] * in_tail).T @ counts - sizes * logs[starts, None])  # alpha - 1
        steep = slopes.astype(np.float32)
        for row, first in enumerate(np.searchsorted(places, starts)):
            gap = np.multiply.outer(at_places[first] - at_places[first:], steep[row])  # (places, resamples)
            np.exp(gap, out=gap)
            gap -= tails_at_places[first:] / sizes[row]
            distances[row] = np.abs(gap, out=gap).max(axis=0)
    distances[~np.isfinite(distances) | ~np.isfinite(slopes)] = np.inf
    chosen = 1 + slopes[np.argmin(distances, axis=0), np.arange(RESAMPLES)]
    low, high = np.quantile(chosen, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    without_top = fit_power_law(curve.points[:-1])
    return AlphaInterval(
        low=float(low), high=float(high), without_top=None if without_top is None else without_top.alpha
    )


def _thinned_starts(count: int, best: int) -> np.ndarray:
    """Choose the tails that resamples choose from; the fitted one is among them."""
    sizes = np.geomspace(SHORTEST_TAIL, count, TAILS).astype(int)
    return np.unique(np.append(count - sizes, best))


def _places(count: int, starts: np.ndarray) -> np.ndarray:
    """Choose where KS distances are taken: all of the shortest tails, evenly through the longest, and every start."""
    sizes = np.concatenate([np.geomspace(1, count, PLACES), np.linspace(1, count, PLACES)]).astype(int)
    return np.unique(np.concatenate([count - sizes, starts]))


@lru_cache(maxsize=8)
def _resampled_counts(count: int) -> tuple[Array, np.ndarray]:
    """How often each of n points is drawn in each resample, and how many are drawn at or above it: (n, resamples).

    One seed for all: intervals do not jitter from run to run.
    """
    generator = np.random.default_rng(count)
    counts = generator.multinomial(count, np.full(count, 1 / count), RESAMPLES).T.astype(float)
    return np.ascontiguousarray(counts), np.cumsum(counts[::-1], axis=0)[::-1].astype(np.float32)

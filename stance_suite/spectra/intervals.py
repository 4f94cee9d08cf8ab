"""How sure a fitted alpha is: bootstrap over eigenvalues, the choice of the tail included.

Eigenvalues are resampled as if they were independent, the usual assumption (Clauset, Shalizi and Newman 2009, section
3.3 and appendix A); they repel each other, so the interval errs on the wide side. Every resample chooses its tail
again, over a thinned set of tails and points: an interval does not need the exact minimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stance_suite.spectra.power_law import FEW_POINTS, Array, TailCurve, fit_power_law
from stance_suite.spectrum_records import AlphaInterval

RESAMPLES = 200
COVERAGE = 0.95
TAILS = 24
"""Tails that a resample chooses from, evenly spaced in the logarithm of their size."""
PLACES = 40
"""About half of the points at which a resample's KS distance is taken: as many densely at the top as evenly below."""
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
    count = len(curve.points)
    if curve.best is None or count < FEW_POINTS:
        return None
    drawn = _resample(count)
    logs = np.log(curve.points)
    # from the top, where single precision is finest
    at_places = (logs[drawn.places] - logs[-1]).astype(np.float32)
    sums = np.where(drawn.in_tail, logs, 0.0) @ drawn.counts  # (tails, resamples)
    distances = np.empty(sums.shape, dtype=np.float32)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        slopes = drawn.sizes / (sums - drawn.sizes * logs[drawn.starts, None])  # alpha - 1
        steep = slopes.astype(np.float32)
        for row, empirical in enumerate(drawn.empirical):
            heights = at_places[-len(empirical) :]
            gap = np.multiply.outer(heights[0] - heights, steep[row])  # (places, resamples)
            np.exp(gap, out=gap)
            gap -= empirical
            distances[row] = np.abs(gap, out=gap).max(axis=0)
    distances[~np.isfinite(distances) | ~np.isfinite(slopes)] = np.inf
    chosen = 1 + slopes[np.argmin(distances, axis=0), np.arange(RESAMPLES)]
    low, high = np.quantile(chosen, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    without_top = fit_power_law(curve.points[:-1], cutoff=0.0)
    return AlphaInterval(
        low=float(low), high=float(high), without_top=None if without_top is None else without_top.alpha
    )


@dataclass(frozen=True)
class _Resamples:
    """Resamples of n points by their rank: all that does not depend on the values."""

    counts: Array
    """How often each point is drawn in each resample; shape (n, resamples)."""
    starts: npt.NDArray[np.intp]
    """Where the tails start that resamples choose from; shape (tails,)."""
    in_tail: npt.NDArray[np.bool_]
    """Which points are in which tail; shape (tails, n)."""
    sizes: Array
    """Points drawn in each tail; shape (tails, resamples)."""
    places: npt.NDArray[np.intp]
    """Points at which distances are taken, ascending."""
    empirical: tuple[npt.NDArray[np.float32], ...]
    """For each tail, the share of its drawn points at or above each place in it; shape (places in it, resamples)."""


@lru_cache(maxsize=8)
def _resample(count: int) -> _Resamples:
    """Draw resamples, from one seed: intervals do not jitter from run to run."""
    generator = np.random.default_rng(count)
    counts = generator.multinomial(count, np.full(count, 1 / count), RESAMPLES).T.astype(float)
    above = np.cumsum(counts[::-1], axis=0)[::-1]  # drawn at or above each point
    starts = np.unique(count - np.geomspace(SHORTEST_TAIL, count, TAILS).astype(int))
    sizes = np.concatenate([np.geomspace(1, count, PLACES), np.linspace(1, count, PLACES)]).astype(int)
    places = np.unique(np.concatenate([count - sizes, starts]))
    with np.errstate(divide="ignore", invalid="ignore"):
        empirical = tuple((above[places[places >= start]] / above[start]).astype(np.float32) for start in starts)
    in_tail = np.arange(count) >= starts[:, None]
    return _Resamples(np.ascontiguousarray(counts), starts, in_tail, above[starts], places, empirical)

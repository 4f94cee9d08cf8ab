"""How sure a fitted alpha is: bootstrap over eigenvalues, the choice of the tail included.

Eigenvalues are resampled as if they were independent, the usual assumption (Clauset, Shalizi and Newman 2009, section
3.3 and appendix A); they repel each other, so the interval errs on the wide side. Every resample chooses its tail
again, over a thinned set of tails and points, the fitted tail among them: an interval does not need the exact minimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stance_suite.schema.spectra import AlphaInterval
from stance_suite.spectra.power_law import FEW_POINTS, Array, TailCurve, fit_power_law

RESAMPLES = 200
COVERAGE = 0.95
TAILS = 24
"""Tails that a resample chooses from, evenly spaced in the logarithm of their size."""
PLACES = 40
"""About half of the points at which a resample's KS distance is taken: as many densely at the top as evenly below."""
SHORTEST_TAIL = 8


def alpha_interval(curve: TailCurve) -> AlphaInterval | None:
    """Find the 95 % bootstrap percentile interval of a fitted alpha; None without a fit, or of fewer than 20 points."""
    count = len(curve.points)
    if curve.best is None or count < FEW_POINTS:
        return None
    drawn = _resample(count)
    starts = np.union1d(drawn.starts, curve.best)  # the fitted tail is offered too, whatever its size
    logs = np.log(curve.points)
    # from the top, where single precision is finest
    at_places = (logs[drawn.places] - logs[-1]).astype(np.float32)
    sums = np.where(np.arange(count) >= starts[:, None], logs, 0.0) @ drawn.counts  # (tails, resamples)
    sizes = drawn.above[starts]
    distances = np.empty(sums.shape, dtype=np.float32)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        slopes = sizes / (sums - sizes * logs[starts, None])  # alpha - 1
        steep = slopes.astype(np.float32)
        for row, start in enumerate(starts):
            in_tail = drawn.places >= start
            gap = np.multiply.outer(np.float32(logs[start] - logs[-1]) - at_places[in_tail], steep[row])
            np.exp(gap, out=gap)  # (places, resamples)
            gap -= drawn.above_places[in_tail] / sizes[row].astype(np.float32)
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
    above: Array
    """How many are drawn at or above each point; shape (n, resamples)."""
    starts: npt.NDArray[np.intp]
    """Where the tails start that every resample chooses from; shape (tails,)."""
    places: npt.NDArray[np.intp]
    """Points at which distances are taken, ascending."""
    above_places: npt.NDArray[np.float32]
    """How many are drawn at or above each place; shape (places, resamples)."""


@lru_cache(maxsize=8)
def _resample(count: int) -> _Resamples:
    """Draw resamples, from one seed: intervals do not jitter from run to run."""
    generator = np.random.default_rng(count)
    counts = generator.multinomial(count, np.full(count, 1 / count), RESAMPLES).T.astype(float)
    above = np.cumsum(counts[::-1], axis=0)[::-1]
    starts = np.unique(count - np.geomspace(SHORTEST_TAIL, count, TAILS).astype(int))
    sizes = np.concatenate([np.geomspace(1, count, PLACES), np.linspace(1, count, PLACES)]).astype(int)
    places = np.unique(np.concatenate([count - sizes, starts]))
    return _Resamples(np.ascontiguousarray(counts), above, starts, places, above[places].astype(np.float32))

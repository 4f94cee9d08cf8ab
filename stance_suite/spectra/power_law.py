"""The power-law tail of a spectrum: maximum-likelihood exponent, and the tail with the smallest KS distance.

Clauset, Shalizi and Newman, "Power-law distributions in empirical data", SIAM Review 51 (2009), eq. 3.1 and section
3.3, in the variant of WeightWatcher 0.7.7, which the parity test holds this module to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stance_suite.schema.spectra import AlphaChange, PowerLaw

SMALLEST_EIGENVALUE = 1e-5
"""Eigenvalues at or below this are taken for zero (WeightWatcher's absolute cut-off)."""
FEW_POINTS = 20
"""Below this many eigenvalues WeightWatcher corrects the bias of alpha and demands a longer tail."""
SHORTEST_TAIL_OF_FEW = 8
NEGLIGIBLE_SHARE = 0.1
"""A tail flip: the spectrum accounts for less than this share of alpha's change."""
SAME_BASIN = 0.1
"""Two minima of the KS distance are two only if their tail sizes differ by more than this share."""
STARTS_PER_BLOCK = 64
SINGLE_PRECISION = 2e-5
"""More than single precision can mistake a KS distance by."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TailCurve:
    """Every tail that a spectrum could be cut to, from the longest to the shortest: n - 1 of n points."""

    points: Array
    """The eigenvalues above the cut-off, ascending; shape (n,). The tail i starts at point i."""
    alphas: Array
    """Maximum-likelihood exponent of every tail; shape (n - 1,)."""
    distances: Array
    """KS distance between every tail and its fit; shape (n - 1,). Exact at the minimum, elsewhere to 2e-5; 1 where a
    tail cannot be fitted."""

    def fit(self, start: int | None) -> PowerLaw | None:
        """Describe the tail that starts at a point; None of none, so that it may be `best` or `runner_up`."""
        if start is None:
            return None
        alpha, xmin = float(self.alphas[start]), float(self.points[start])
        return PowerLaw(
            alpha=alpha,
            xmin=xmin,
            ks_distance=tail_distance(np.log(self.points), alpha, start),
            sigma=float((alpha - 1) / np.sqrt(len(self.points) - start)),
            tail_size=int(np.count_nonzero(self.points >= xmin)),
        )

    @property
    def best(self) -> int | None:
        """Index of the first tail with the smallest distance; None if no tail can be fitted."""
        start = int(np.argmin(self.distances))
        return start if self.distances[start] < 1.0 else None

    @property
    def runner_up(self) -> int | None:
        """Index of the next best minimum whose tail is not nearly the same; None if there is only one."""
        best = self.best
        if best is None:
            return None
        inner = self.distances[1:-1]
        minima = 1 + np.flatnonzero((inner < self.distances[:-2]) & (inner <= self.distances[2:]))
        size = len(self.points) - best
        apart = minima[np.abs(len(self.points) - minima - size) > SAME_BASIN * size]
        return int(apart[np.argmin(self.distances[apart])]) if len(apart) else None


def tail_curve(eigenvalues: Array, cutoff: float = SMALLEST_EIGENVALUE) -> TailCurve | None:
    """Fit every tail of a spectrum in any order; None with fewer than two distinct eigenvalues above the cut-off."""
    points = np.sort(eigenvalues[eigenvalues > cutoff])
    if len(points) < 2 or points[0] == points[-1]:
        return None
    logs = np.log(points)
    alphas = alpha_of_every_tail(logs)
    return TailCurve(points, alphas, _distance_of_every_tail(logs, alphas))


def fit_power_law(eigenvalues: Array, cutoff: float = SMALLEST_EIGENVALUE) -> PowerLaw | None:
    """Fit a power law to the tail that it fits best; None if no tail can be fitted."""
    curve = tail_curve(eigenvalues, cutoff)
    return None if curve is None else curve.fit(curve.best)


def alpha_of_tail(eigenvalues: Array, tail_size: int) -> float:
    """Estimate alpha on so many of the largest eigenvalues; NaN if the tail has no spread or reaches zero."""
    points = np.sort(eigenvalues[eigenvalues > SMALLEST_EIGENVALUE])
    if len(points) < tail_size or tail_size < 2:
        return float("nan")
    start = len(points) - tail_size
    count = tail_size - 1 if len(points) < FEW_POINTS else tail_size
    spread = float(np.sum(np.log(points[start:] / points[start])))
    return 1 + count / spread if spread > 0 else float("nan")


def alpha_change(before: PowerLaw, after: PowerLaw, eigenvalues_after: Array) -> AlphaChange:
    """Split a change of alpha into what the spectrum did and what the choice of tail did, in percent of the baseline's.

    The spectrum after the change is refitted with the baseline's tail size; parts are NaN where it cannot be.
    """
    total = 100 * (after.alpha / before.alpha - 1)
    spectrum = 100 * (alpha_of_tail(eigenvalues_after, before.tail_size) / before.alpha - 1)
    return AlphaChange(
        total=total,
        spectrum=spectrum,
        tail_choice=total - spectrum,
        tail_before=before.tail_size,
        tail_after=after.tail_size,
        tail_flip=is_tail_flip(total, spectrum, before.tail_size, after.tail_size),
    )


def is_tail_flip(total: float, spectrum: float, tail_before: int, tail_after: int) -> bool:
    """Tell whether a change of alpha is owed to the choice of the tail: this moved, the spectrum explains little."""
    return tail_before != tail_after and abs(spectrum) < NEGLIGIBLE_SHARE * abs(total)


def alpha_of_every_tail(logs: Array) -> Array:
    """Estimate alpha for the tail starting at each point but the last, of ascending logarithms of shape (..., n).

    Shape (..., n - 1); infinite where a tail has no spread.
    """
    count = logs.shape[-1]
    sizes = np.arange(count, 1, -1, dtype=float)
    sums = np.cumsum(logs[..., ::-1], axis=-1)[..., ::-1][..., :-1]
    corrected = sizes - 1 if count < FEW_POINTS else sizes
    with np.errstate(divide="ignore"):
        alphas: Array = 1 + corrected / (sums - sizes * logs[..., :-1])
    return alphas


def last_start(count: int) -> int:
    """Tell how many tails of so many points are candidates: WeightWatcher demands 8 points of few, and 2 of many."""
    if count >= FEW_POINTS:
        return count - 1
    return max(count - SHORTEST_TAIL_OF_FEW + 1, 1)


def tail_distance(logs: Array, alpha: float, start: int) -> float:
    """Compute the KS distance between one tail and its fit, from the ascending logarithms of all points.

    It is WeightWatcher's D; the empirical distribution is taken from below, 0 at the first point.
    """
    tail = logs[start:]
    survival = np.exp((1 - alpha) * (tail - tail[0]))
    return float(np.abs(1 - survival - np.arange(len(tail)) / len(tail)).max())


def _distance_of_every_tail(logs: Array, alphas: Array) -> Array:
    """KS distance of each tail (n - 1,): single precision finds where the minimum can be, double what it is."""
    n, last = len(logs), last_start(len(logs))
    distances = np.ones(n - 1)
    # from the top: short tails have large exponents, and there the differences are exact
    below_top = (logs - logs[-1]).astype(np.float32)
    slopes = (1 - alphas).astype(np.float32)
    above = np.arange(n, 0, -1, dtype=np.float32)  # points at or above each
    with np.errstate(invalid="ignore", over="ignore"):
        for first in range(0, last, STARTS_PER_BLOCK):
            starts = slice(first, min(first + STARTS_PER_BLOCK, last))
            gap = below_top[first:] - below_top[starts, None]  # (block, n - first)
            gap *= slopes[starts, None]
            np.exp(gap, out=gap)
            gap -= above[first:] / above[starts, None]
            np.abs(gap, out=gap)
            block = gap[:, : gap.shape[0]]
            block[np.tri(len(block), k=-1, dtype=bool)] = 0  # points below the tail
            distances[starts] = gap.max(axis=1)
    distances[~(np.isfinite(distances) & np.isfinite(alphas) & (alphas > 1))] = 1.0
    for start in np.flatnonzero((distances <= distances.min() + SINGLE_PRECISION) & (distances < 1.0)):
        distances[start] = tail_distance(logs, float(alphas[start]), int(start))
    return distances

"""The power-law tail of a spectrum: maximum-likelihood exponent, and the tail with the smallest KS distance.

Clauset, Shalizi and Newman, "Power-law distributions in empirical data", SIAM Review 51 (2009), eq. 3.1 and section
3.3, in the variant of WeightWatcher 0.7.7, which the parity test holds this module to.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stance_suite.records import AlphaChange, PowerLaw

SMALLEST_EIGENVALUE = 1e-5
"""Eigenvalues at or below this are taken for zero (WeightWatcher's absolute cut-off)."""
FEW_POINTS = 20
"""Below this many eigenvalues WeightWatcher corrects the bias of alpha and demands a longer tail."""
SHORTEST_TAIL_OF_FEW = 8
NEGLIGIBLE_SHARE = 0.1
"""A tail flip: the spectrum accounts for less than this share of alpha's change."""
STARTS_PER_BLOCK = 64

Array = npt.NDArray[np.float64]


def fit_power_law(eigenvalues: Array) -> PowerLaw | None:
    """Fit a power law to the tail that it fits best.

    Parameters
    ----------
    eigenvalues : ndarray of shape (n,)
        Non-negative, in any order.

    Returns
    -------
    PowerLaw or None
        None if there is no tail to fit: fewer than two distinct eigenvalues above the cut-off.
    """
    points = np.sort(eigenvalues[eigenvalues > SMALLEST_EIGENVALUE])
    if len(points) < 2 or points[0] == points[-1]:
        return None
    alphas = _alpha_of_every_tail(points)
    distances = _distance_of_every_tail(points, alphas)
    start = int(np.argmin(distances))
    if not np.isfinite(alphas[start]) or distances[start] >= 1.0:
        return None
    tail_size = len(points) - start
    return PowerLaw(
        alpha=float(alphas[start]),
        xmin=float(points[start]),
        ks_distance=float(distances[start]),
        sigma=float((alphas[start] - 1) / np.sqrt(tail_size)),
        tail_size=int(np.count_nonzero(points >= points[start])),
    )


def alpha_of_tail(eigenvalues: Array, tail_size: int) -> float:
    """Estimate alpha on the largest eigenvalues, however many the caller says.

    Parameters
    ----------
    eigenvalues : ndarray of shape (n,)
        Non-negative, in any order.
    tail_size : int
        How many of the largest eigenvalues make the tail.

    Returns
    -------
    float
        The maximum-likelihood exponent; NaN if the tail has no spread or reaches zero.
    """
    points = np.sort(eigenvalues[eigenvalues > SMALLEST_EIGENVALUE])
    if len(points) < tail_size or tail_size < 2:
        return float("nan")
    start = len(points) - tail_size
    count = tail_size - 1 if len(points) < FEW_POINTS else tail_size
    spread = float(np.sum(np.log(points[start:] / points[start])))
    return 1 + count / spread if spread > 0 else float("nan")


def alpha_change(before: PowerLaw, after: PowerLaw, eigenvalues_after: Array) -> AlphaChange:
    """Split a change of alpha into what the spectrum did and what the choice of tail did.

    Parameters
    ----------
    before : PowerLaw
        Fit of the baseline.
    after : PowerLaw
        Fit after the change.
    eigenvalues_after : ndarray of shape (n,)
        The spectrum after the change, refitted here with the baseline's tail size.

    Returns
    -------
    AlphaChange
        In percent of the baseline's alpha; NaN parts where the fixed tail cannot be fitted.
    """
    total = 100 * (after.alpha / before.alpha - 1)
    spectrum = 100 * (alpha_of_tail(eigenvalues_after, before.tail_size) / before.alpha - 1)
    moved = after.tail_size != before.tail_size
    return AlphaChange(
        total=total,
        spectrum=spectrum,
        tail_choice=total - spectrum,
        tail_before=before.tail_size,
        tail_after=after.tail_size,
        tail_flip=bool(moved and abs(spectrum) < NEGLIGIBLE_SHARE * abs(total)),
    )


def _alpha_of_every_tail(points: Array) -> Array:
    """Alpha for the tail starting at each point but the last; shape (n - 1,)."""
    logs = np.log(points)
    sizes = np.arange(len(points), 1, -1, dtype=float)
    log_sums = np.cumsum(logs[::-1])[::-1][:-1]
    counts = sizes - 1 if len(points) < FEW_POINTS else sizes
    with np.errstate(divide="ignore"):
        alphas: Array = 1 + counts / (log_sums - sizes * logs[:-1])
    return alphas


def _distance_of_every_tail(points: Array, alphas: Array) -> Array:
    """KS distance for the tail starting at each point but the last; shape (n - 1,)."""
    n = len(points)
    logs = np.log(points)
    distances = np.ones(n - 1)
    last = n - SHORTEST_TAIL_OF_FEW + 1 if n < FEW_POINTS else n - 1
    for first in range(0, max(last, 0), STARTS_PER_BLOCK):
        starts = np.arange(first, min(first + STARTS_PER_BLOCK, last))[:, None]  # (block, 1)
        ends = np.arange(first, n)[None, :]  # (1, n - first)
        with np.errstate(invalid="ignore", over="ignore"):
            survival = np.exp((1 - alphas[starts]) * (logs[ends] - logs[starts]))  # (block, n - first)
        empirical = (ends - starts) / (n - starts)
        gap = np.where(ends >= starts, np.abs(1 - survival - empirical), 0.0)
        found = gap.max(axis=1)
        usable = np.isfinite(found) & (alphas[starts[:, 0]] > 1)
        distances[starts[usable, 0]] = found[usable]
    return distances

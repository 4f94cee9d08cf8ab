"""A spectrum thinned to what a picture shows: some fifty of its points, the minima of the KS distance among them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stance_suite.schema.spectra import CURVE_DIGITS, LayerSpectrum, SpectrumCurve
from stance_suite.spectra.power_law import SMALLEST_EIGENVALUE, Array, alpha_of_every_tail, last_start

POINTS = 52
"""Tail sizes asked for, evenly spaced in the logarithm; the smallest of them coincide."""
NEIGHBORS = 2
"""Points kept on either side of the fit and of its runner-up: they show that each is a minimum."""


def thin_spectrum(layer: LayerSpectrum) -> SpectrumCurve | None:
    """Thin a spectrum, with the KS distances of its tails; None if no eigenvalue is above the cut-off."""
    eigenvalues = np.asarray(layer.eigenvalues or ())
    count = int(np.count_nonzero(eigenvalues > SMALLEST_EIGENVALUE))
    fitted = [fit.tail_size for fit in (layer.fit, layer.runner_up) if fit is not None]
    around = np.add.outer(fitted, np.arange(-NEIGHBORS, NEIGHBORS + 1)).ravel()
    return curve_at(eigenvalues, np.concatenate([np.geomspace(1, max(count, 1), POINTS), around]))


def curve_at(eigenvalues: Array, sizes: npt.ArrayLike) -> SpectrumCurve | None:
    """Tell where tails of some sizes start, and their KS distances; each point once.

    Where there is no tail of a size, the next longer one is taken. None if no eigenvalue is above the cut-off.
    """
    points = np.sort(eigenvalues[eigenvalues > SMALLEST_EIGENVALUE])
    if len(points) == 0:
        return None
    values, firsts, groups = np.unique(points, return_index=True, return_inverse=True)
    starting = len(points) - firsts
    places = np.searchsorted(-starting, -np.asarray(sizes), side="right") - 1
    chosen = np.unique(np.clip(places, 0, len(values) - 1))
    distances = _distances(points, groups, chosen)
    return SpectrumCurve(
        sizes=tuple(starting[chosen].tolist()),
        eigenvalues=tuple(map(_shorten, values[chosen].tolist())),
        ks_distances=tuple(None if one is None else _shorten(one) for one in distances),
    )


def thin_spectra(layers: Sequence[LayerSpectrum]) -> tuple[LayerSpectrum, ...]:
    """Give every layer its thinned spectrum."""
    return tuple(layer.model_copy(update={"curve": thin_spectrum(layer)}) for layer in layers)


def _distances(points: Array, groups: npt.NDArray[np.intp], chosen: npt.NDArray[np.intp]) -> list[float | None]:
    """KS distance (`tail_distance`) of the tail at each chosen group of equal points; of several tails, the best."""
    logs = np.log(points)
    alphas = alpha_of_every_tail(logs)
    starts = np.flatnonzero(np.isin(groups, chosen))
    starts = starts[starts < min(last_start(len(points)), len(alphas))]
    starts = starts[np.isfinite(alphas[starts]) & (alphas[starts] > 1)]
    best = np.ones(groups[-1] + 1)
    if len(starts):
        sizes = len(logs) - starts
        firsts = np.cumsum(sizes) - sizes
        tail = np.repeat(np.arange(len(starts)), sizes)  # all tails' points in a row, the shape of all below
        places = np.arange(len(tail)) - firsts[tail]
        survival = np.exp((1 - alphas[starts])[tail] * (logs[starts[tail] + places] - logs[starts][tail]))
        gaps = np.abs(1 - survival - places / sizes[tail])
        np.minimum.at(best, groups[starts], np.maximum.reduceat(gaps, firsts))
    return [distance if distance < 1 else None for distance in best[chosen].tolist()]


def _shorten(figure: float) -> float:
    return float(f"{figure:.{CURVE_DIGITS}g}")

"""The Marchenko-Pastur bulk of a spectrum, fitted as WeightWatcher 0.7.7 fits it.

Marchenko and Pastur 1967; Martin and Mahoney, "Implicit self-regularization in deep neural networks", JMLR 22 (2021),
section 3. WeightWatcher estimates the density of the eigenvalues anew for each of some two hundred candidate widths; it
does not depend on them and is estimated once here, which is the whole difference in speed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stance_suite.schema.spectra import MarchenkoPastur
from stance_suite.spectra.power_law import Array

BANDWIDTH = 0.1
"""Half width of the triangular kernel, in units of the mean eigenvalue."""
GRID_POINTS = 1000
LOWEST_DENSITY = 0.01
"""Where the estimated density is at most this, the fit is not compared with it."""
REJECTED = 1000.0
"""Residual of a width whose bulk does not cover the density's peak, or exceeds the spectrum."""


def fit_marchenko_pastur(eigenvalues: Array, larger_side: int, smaller_side: int) -> MarchenkoPastur | None:
    """Fit the width of the bulk to non-negative, ascending eigenvalues of a matrix with these sides.

    None if the spectrum is zero, or so spread out that its density is nowhere dense enough to be compared.
    """
    from scipy.optimize import fmin

    total = float(eigenvalues.sum())
    if not total > 0:
        return None
    scale = len(eigenvalues) / total  # the mean eigenvalue becomes 1
    scaled = eigenvalues * scale
    aspect = larger_side / smaller_side
    places, densities = _density(np.sqrt(scaled) if aspect == 1 else scaled)
    if not len(places):
        return None
    unit = float(np.sqrt(scaled[-1]) / (1 + 1 / np.sqrt(aspect)))
    widths = np.mgrid[slice(0.05 * unit, 2.0 * unit, 0.01 * unit)]

    start = widths[np.argmin(_residuals_of_all(widths, places, densities, aspect))]
    width = float(fmin(_residual, start, (places, densities, aspect), disp=False)[0])
    lower, upper = _edges(width, aspect)
    # Tracy-Widom fluctuation of the upper edge, as WeightWatcher takes it
    fluctuation = np.sqrt(upper ** (2 / 3) * smaller_side ** (-2 / 3) / np.sqrt(aspect))
    return MarchenkoPastur(
        soft_rank=float(upper / scaled[-1]),
        sigma=width,
        spikes=int(np.count_nonzero(scaled > upper + fluctuation)),
        lower_edge=float(lower / scale),
        upper_edge=float(upper / scale),
    )


def _density(values: Array) -> tuple[Array, Array]:
    """Estimate the density with a triangular kernel; where it is dense enough: places and densities.

    The sum over kernels is a second difference of the piecewise linear ``sum(max(0, x - value))``, so that it costs a
    sorted search and not a comparison of every place with every value.
    """
    places = np.linspace(0, values[-1] + 0.5, GRID_POINTS)
    sums = np.concatenate([[0.0], np.cumsum(values)])

    def ramp(x: Array) -> Array:
        below = np.searchsorted(values, x)
        found: Array = below * x - sums[below]
        return found

    kernels = ramp(places + BANDWIDTH) - 2 * ramp(places) + ramp(places - BANDWIDTH)
    densities = kernels / (BANDWIDTH**2 * len(values))
    dense = densities > LOWEST_DENSITY
    # the fitted density at 0 counts as 0, as it does for every place outside the bulk
    places[0] = np.finfo(np.float32).tiny
    return places[dense], densities[dense]


def _residual(width: Array, places: Array, densities: Array, aspect: float) -> float:
    """Sum of squared differences between density and fit."""
    sigma = float(width[0])
    if aspect == 1:  # the quarter circle law of singular values
        fitted = np.sqrt(np.maximum(4 - places**2, 0)) / (np.pi * sigma**2)
    else:
        lower, upper = _edges(sigma, aspect)
        if _is_rejected(lower, upper, places, densities):
            return REJECTED**2 * len(places)
        inside = np.maximum((upper - places) * (places - lower), 0)
        fitted = np.sqrt(inside) * (aspect / (2 * np.pi * sigma**2)) / places
    differences = fitted - densities
    return float(differences @ differences)


def _residuals_of_all(widths: Array, places: Array, densities: Array, aspect: float) -> Array:
    """Compute the same for all candidate widths at once, in single precision: enough to start the descent."""
    across, density = places.astype(np.float32), densities.astype(np.float32)
    if aspect == 1:
        shape = np.sqrt(np.maximum(4 - across**2, 0)) / np.float32(np.pi)  # (places,)
        fitted = shape / (widths.astype(np.float32) ** 2)[:, None]
    else:
        lower, upper = (edge.astype(np.float32)[:, None] for edge in _edges(widths, aspect))
        fitted = upper - across  # (widths, places)
        fitted *= across - lower
        np.maximum(fitted, 0, out=fitted)
        np.sqrt(fitted, out=fitted)
        fitted /= across
        fitted *= (aspect / (2 * np.pi * widths**2)).astype(np.float32)[:, None]
    fitted -= density
    residuals: Array = np.einsum("ij,ij->i", fitted, fitted).astype(np.float64)
    if aspect != 1:
        residuals[_is_rejected(*_edges(widths, aspect), places, densities)] = REJECTED**2 * len(places)
    return residuals


def _edges(width: Any, aspect: float) -> tuple[Any, Any]:
    return (width * (1 - 1 / np.sqrt(aspect))) ** 2, (width * (1 + 1 / np.sqrt(aspect))) ** 2


def _is_rejected(lower: Any, upper: Any, places: Array, densities: Array) -> Any:
    peak = places[np.argmax(densities)]
    return (upper < peak) | (upper > places[-1]) | (lower > peak)

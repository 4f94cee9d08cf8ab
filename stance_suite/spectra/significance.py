"""Measured figures against draws of noise: ranges, p-values, and their adjustment over layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stance_suite.spectra.power_law import Array
from stance_suite.spectrum_records import SIGNIFICANCE_OF_LAYERS, LayerChange, NoiseRange

FIGURES = ("alpha_total", "alpha_spectrum", "stable_rank", "top_ten_energy")
"""The figures of a `NoiseControl`."""


def range_either_way(draws: Array, measured: float) -> NoiseRange | None:
    """Hold a change against the size of noise's changes.

    Parameters
    ----------
    draws : ndarray of shape (draws,)
        The figure under noise.
    measured : float
        The measured figure.

    Returns
    -------
    NoiseRange or None
        None if there are no draws, or a fit failed in any.
    """
    if not len(draws) or not np.isfinite(draws).all() or not np.isfinite(measured):
        return None
    sizes = np.abs(draws)
    detectable = float(np.quantile(sizes, 1 - SIGNIFICANCE_OF_LAYERS))
    return _noise_range(draws, detectable, int(np.count_nonzero(sizes >= abs(measured))))


def range_below(draws: Array, measured: float) -> NoiseRange:
    """Hold a figure that structure makes smaller against noise's.

    Parameters
    ----------
    draws : ndarray of shape (draws,)
        The figure under noise.
    measured : float
        The measured figure.

    Returns
    -------
    NoiseRange
        With the share of draws at most as large.
    """
    detectable = float(np.quantile(draws, SIGNIFICANCE_OF_LAYERS))
    return _noise_range(draws, detectable, int(np.count_nonzero(draws <= measured)))


def range_above(draws: Array, measured: float) -> NoiseRange:
    """Hold a figure that structure makes larger against noise's.

    Parameters
    ----------
    draws : ndarray of shape (draws,)
        The figure under noise.
    measured : float
        The measured figure.

    Returns
    -------
    NoiseRange
        With the share of draws at least as large.
    """
    detectable = float(np.quantile(draws, 1 - SIGNIFICANCE_OF_LAYERS))
    return _noise_range(draws, detectable, int(np.count_nonzero(draws >= measured)))


def adjust_p_values(changes: Sequence[LayerChange]) -> tuple[LayerChange, ...]:
    """Adjust p-values over all figures of all changed layers.

    Benjamini and Hochberg, "Controlling the false discovery rate", J. Royal Statistical Society B 57 (1995). If nothing
    but noise changed, the chance that any layer is called changed is at most the level.

    Parameters
    ----------
    changes : sequence of LayerChange
        With p-values of each layer alone.

    Returns
    -------
    tuple of LayerChange
        With `adjusted_p_value` filled in.
    """
    from scipy.stats import false_discovery_control

    ranges: dict[tuple[int, str], NoiseRange] = {
        (row, figure): drawn
        for row, change in enumerate(changes)
        if change.noise is not None
        for figure in FIGURES
        if (drawn := getattr(change.noise, figure)) is not None
    }
    if not ranges:
        return tuple(changes)
    adjusted = false_discovery_control([drawn.p_value for drawn in ranges.values()])
    updates: dict[int, dict[str, NoiseRange]] = {}
    for ((row, figure), drawn), p_value in zip(ranges.items(), adjusted, strict=True):
        updates.setdefault(row, {})[figure] = drawn.model_copy(update={"adjusted_p_value": float(p_value)})
    return tuple(
        change
        if change.noise is None
        else change.model_copy(update={"noise": change.noise.model_copy(update=updates[row])})
        for row, change in enumerate(changes)
    )


def _noise_range(draws: Array, detectable: float, as_extreme: int) -> NoiseRange:
    low, high = np.quantile(draws, [0.025, 0.975])
    p_value = (1 + as_extreme) / (1 + len(draws))  # never zero (Phipson and Smyth 2010)
    return NoiseRange(
        low=float(low), high=float(high), detectable=detectable, p_value=p_value, adjusted_p_value=p_value
    )

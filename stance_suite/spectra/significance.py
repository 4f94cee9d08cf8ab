"""Measured figures against draws of noise: ranges, p-values, and their adjustment over layers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stance_suite.schema.spectra import SIGNIFICANCE_OF_LAYERS, LayerChange, NoiseRange, kept_ranks
from stance_suite.spectra.power_law import Array

RESOLVED_BY_DRAWS = 10
"""So many draws as extreme make a share that can be trusted."""
SMALLEST_P_VALUE = 1e-12
"""Extrapolation is not trusted further."""
FIGURES = ("alpha_total", "alpha_spectrum", "stable_rank", "top_ten_energy")
"""The figures of a `NoiseControl`."""
KEPT_DIGITS = 4
"""Significant digits of the draws that a record keeps."""


def range_either_way(draws: Array, measured: float) -> NoiseRange | None:
    """Hold a change against the size of noise's changes; None if there are no draws, or a fit failed in any."""
    if not len(draws) or not np.isfinite(draws).all() or not np.isfinite(measured):
        return None
    sizes = np.abs(draws)
    p_value = (1 + int(np.count_nonzero(sizes >= abs(measured)))) / (1 + len(draws))
    return _noise_range(draws, _detectable(sizes), p_value)


def range_below(draws: Array, measured: float) -> NoiseRange:
    """Hold a figure that structure makes smaller against noise's; the p-value is the share at most as large."""
    # of the reciprocals: the largest eigenvalue's law has the longer tail where the rank is small
    beyond = _detectable(1 / draws)
    return _noise_range(draws, None if beyond is None else 1 / beyond, _share_above(1 / draws, 1 / measured))


def range_above(draws: Array, measured: float) -> NoiseRange:
    """Hold a figure that structure makes larger against noise's; the p-value is the share at least as large."""
    return _noise_range(draws, _detectable(draws), _share_above(draws, measured))


def adjust_p_values(changes: Sequence[LayerChange]) -> tuple[LayerChange, ...]:
    """Adjust p-values over all figures of all changed layers.

    Benjamini and Hochberg, "Controlling the false discovery rate", J. Royal Statistical Society B 57 (1995). If
    nothing but noise changed, the chance that any layer is called changed is at most the level.
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


def _share_above(draws: Array, measured: float) -> float:
    """Share of draws at least as large, the measured figure counted as one (Phipson and Smyth 2010): never zero.

    Where the draws are too few to tell, a Pearson type III law with their mean, deviation and skewness goes on: the
    Tracy-Widom law of the largest eigenvalue is close to one (Chiani, "Distribution of the largest eigenvalue for real
    Wishart and Gaussian random matrices", J. Multivariate Analysis 129, 2014). Otherwise one changed layer among
    hundreds could never be told from noise.
    """
    from scipy.stats import pearson3, skew

    above = int(np.count_nonzero(draws >= measured))
    counted = (1 + above) / (1 + len(draws))
    spread = float(draws.std())
    if above >= RESOLVED_BY_DRAWS or spread == 0:
        return counted
    extrapolated = float(pearson3.sf((measured - draws.mean()) / spread, float(skew(draws))))
    return min(counted, max(extrapolated, SMALLEST_P_VALUE))


def _detectable(draws: Array) -> float | None:
    """Find the figure beyond which this layer alone would be significant; None if the draws are too few for any."""
    most = int(SIGNIFICANCE_OF_LAYERS * (1 + len(draws))) - 1  # draws that may be as large
    return None if most < 0 else float(np.sort(draws)[len(draws) - 1 - most])


def _noise_range(draws: Array, detectable: float | None, p_value: float) -> NoiseRange:
    low, high = np.quantile(draws, [0.025, 0.975])
    ordered = np.sort(draws)
    return NoiseRange(
        low=float(low),
        high=float(high),
        detectable=detectable,
        p_value=p_value,
        adjusted_p_value=p_value,
        draws=len(draws),
        kept=tuple(float(f"{ordered[rank - 1]:.{KEPT_DIGITS}g}") for rank in kept_ranks(len(draws))),
    )

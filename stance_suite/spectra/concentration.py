"""Surgical or distributed: how a change is spread over the layers, beside how noise's is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stance_suite.spectra.power_law import Array
from stance_suite.spectrum_records import Concentration, LayerChange


@dataclass(frozen=True)
class LayerDraws:
    """Changes of one layer's alpha under noise, in percent; arrays of shape (draws,), empty without a fit."""

    total: Array
    """Of the fitted alpha."""
    spectrum: Array
    """Of alpha with the tail size held fixed."""

    @classmethod
    def none(cls) -> LayerDraws:
        """Stand for a layer without a fit, or without a change.

        Returns
        -------
        LayerDraws
            Empty.
        """
        return cls(np.empty(0), np.empty(0))


def measure_concentration(changes: Sequence[LayerChange], noise: Sequence[LayerDraws]) -> tuple[Concentration, ...]:
    """Measure how a change is spread over the layers.

    Parameters
    ----------
    changes : sequence of LayerChange
        One entry a layer.
    noise : sequence of LayerDraws
        The noise's changes of the same layers.

    Returns
    -------
    tuple of Concentration
        One entry for dW's relative norm and one for each part of alpha's change; what no layer has is left out.
    """
    norms = [change.weight_change.relative_norm if change.weight_change else 0.0 for change in changes]
    moved = [change.alpha_change for change in changes]
    figures = {
        "relative_norm": (np.array(norms), None),
        "alpha_total": (_sizes([None if one is None else one.total for one in moved]), [one.total for one in noise]),
        "alpha_spectrum": (
            _sizes([None if one is None else one.spectrum for one in moved]),
            [one.spectrum for one in noise],
        ),
    }
    found = []
    for figure, (sizes, draws) in figures.items():
        if not len(sizes) or not sizes.any():
            continue
        by_draw = None if draws is None else [one for one in draws if len(one) and np.isfinite(one).all()]
        ranges: dict[str, tuple[float, float] | None] = {}
        if by_draw:
            layers = np.abs(np.stack(by_draw, axis=1))  # (draws, layers)
            ranges["noise_participation_ratio"] = _central_range([participation_ratio(row) for row in layers])
            ranges["noise_gini"] = _central_range([gini(row) for row in layers])
        found.append(
            Concentration.model_validate(
                {
                    "figure": figure,
                    "layers": len(sizes),
                    "participation_ratio": participation_ratio(sizes),
                    "gini": gini(sizes),
                    **ranges,
                }
            )
        )
    return tuple(found)


def participation_ratio(sizes: Array) -> float:
    """Count the layers that effectively share a change.

    Parameters
    ----------
    sizes : ndarray of shape (layers,)
        Non-negative, not all zero.

    Returns
    -------
    float
        ``(sum d)^2 / sum d^2``: 1 if one layer has all, the number of layers if all change alike (Bell and Dean 1970).
    """
    return float(sizes.sum() ** 2 / np.sum(sizes**2))


def gini(sizes: Array) -> float:
    """Compute the Gini coefficient.

    Parameters
    ----------
    sizes : ndarray of shape (layers,)
        Non-negative, not all zero.

    Returns
    -------
    float
        0 if all layers change alike, ``1 - 1 / layers`` if one has all.
    """
    count = len(sizes)
    ranks = np.arange(1, count + 1)
    return float(np.sum((2 * ranks - count - 1) * np.sort(sizes)) / (count * sizes.sum()))


def _sizes(figures: Sequence[float | None]) -> Array:
    return np.array([abs(figure) for figure in figures if figure is not None and np.isfinite(figure)])


def _central_range(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)

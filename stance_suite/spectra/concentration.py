"""Surgical or distributed: how a change is spread over the layers, beside how noise's is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from stance_suite.schema.spectra import Concentration, LayerChange
from stance_suite.spectra.power_law import Array


@dataclass(frozen=True)
class LayerDraws:
    """Changes of one layer's alpha under noise, in percent; arrays of shape (draws,), empty where none is known."""

    total: Array = field(default_factory=lambda: np.empty(0))
    """Of the fitted alpha."""
    spectrum: Array = field(default_factory=lambda: np.empty(0))
    """Of alpha with the tail size held fixed."""


def measure_concentration(changes: Sequence[LayerChange], noise: Sequence[LayerDraws]) -> tuple[Concentration, ...]:
    """Measure how dW's relative norm and each part of alpha's change are spread over the layers.

    What no layer has is left out. Changes and the noise's changes of them are one entry a layer, in the same order.
    """
    measured = [(change, drawn) for change, drawn in zip(changes, noise, strict=True) if change.failure is None]
    norms = [change.weight_change.relative_norm if change.weight_change else 0.0 for change, _ in measured]
    found = [_concentration("relative_norm", np.array(norms), [])]
    for figure in ("alpha_total", "alpha_spectrum"):
        part = figure.removeprefix("alpha_")
        # the same layers on both sides
        both = [
            (abs(getattr(change.alpha_change, part)), np.abs(getattr(drawn, part)))
            for change, drawn in measured
            if change.alpha_change is not None and len(getattr(drawn, part))
        ]
        both = [(size, draws) for size, draws in both if np.isfinite(size) and np.isfinite(draws).all()]
        found.append(_concentration(figure, np.array([size for size, _ in both]), [draws for _, draws in both]))
    return tuple(one for one in found if one is not None)


def _concentration(figure: str, sizes: Array, draws: Sequence[Array]) -> Concentration | None:
    if not len(sizes) or not sizes.any():
        return None
    fewest = min((len(one) for one in draws), default=0)
    by_draw = np.stack([one[:fewest] for one in draws], axis=1) if draws else ()  # (draws, layers)
    drawn = [row for row in by_draw if row.any()]
    return Concentration.model_validate(
        {
            "figure": figure,
            "layers": len(sizes),
            "participation_ratio": participation_ratio(sizes),
            "gini": gini(sizes),
            "noise_participation_ratio": _central_range([participation_ratio(row) for row in drawn]),
            "noise_gini": _central_range([gini(row) for row in drawn]),
        }
    )


def participation_ratio(sizes: Array) -> float:
    """Count the layers that effectively share a change, of non-negative sizes that are not all zero.

    ``(sum d)^2 / sum d^2``: 1 if one layer has all, the number of layers if all change alike (Bell and Dean 1970).
    """
    return float(sizes.sum() ** 2 / np.sum(sizes**2))


def gini(sizes: Array) -> float:
    """Compute the Gini coefficient of such sizes: 0 if all layers change alike, ``1 - 1 / layers`` if one has all."""
    count = len(sizes)
    ranks = np.arange(1, count + 1)
    return float(np.sum((2 * ranks - count - 1) * np.sort(sizes)) / (count * sizes.sum()))


def _central_range(values: Sequence[float]) -> tuple[float, float] | None:
    if not values:
        return None
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)

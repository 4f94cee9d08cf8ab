"""What untouched weights and the optimizer already tell of where a change is large.

AdamW moves every weight by about the learning rate a step, whatever its gradient: weights change by about the same in
every matrix, so that the norm of dW over that of W is predicted to be this over the root mean square of W's weights.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from stance_suite.schema.cells import CellRecord
from stance_suite.spectra.concentration import participation_ratio

AS_PREDICTED = 1.25
"""A figure is the optimizer's if neither it nor the prediction is larger than this many times the other."""


def predict_norms(base: CellRecord, layers: Collection[str]) -> dict[str, float] | None:
    """Predict the relative norm of dW in each layer, up to one factor; None if a matrix is not known or is zero."""
    elements = {one.name: one.rows * one.columns * one.positions for one in base.spectra if one.norm > 0}
    norms = {one.name: one.norm for one in base.spectra}
    if not layers or any(name not in elements for name in layers):
        return None
    return {name: float(np.sqrt(elements[name] / norms[name])) for name in layers}


def predict_share(base: CellRecord, layers: Collection[str]) -> float | None:
    """Predict the effective share of layers that carry the change's norm; None if a matrix is not known or is zero."""
    predicted = predict_norms(base, layers)
    return None if predicted is None else participation_ratio(np.array(list(predicted.values()))) / len(predicted)


def follows_optimizer(base: CellRecord, sizes: Mapping[str, float], layers: Collection[str]) -> bool:
    """Whether each of some layers changed by as much as their weights let expect, given by how much all did."""
    predicted = predict_norms(base, sizes)
    if predicted is None or not layers:
        return False
    usual = float(np.median([sizes[name] / predicted[name] for name in sizes]))
    return all(is_alike(sizes[name], usual * predicted[name]) for name in layers)


def is_alike(one: float, other: float) -> bool:
    """Whether neither of two figures is much larger than the other."""
    smaller, larger = sorted((abs(one), abs(other)))
    return larger <= AS_PREDICTED * smaller

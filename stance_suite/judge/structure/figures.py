"""The figures that structural claims are judged on: one a layer, one of many, and ranges of what is drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stance_suite.judge.statistics import Array
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import greatest
from stance_suite.schema.layer_figures import LayerFigures
from stance_suite.schema.layer_names import Role, blocks, relative_depth, role
from stance_suite.schema.metrics import Metric
from stance_suite.spectra.concentration import participation_ratio


@dataclass(frozen=True)
class Figure:
    """What is held against the bound."""

    value: float
    """In the metric's unit."""
    layers: tuple[str, ...]
    """Layers that decided: the one nearest to breaking the claim, the largest of a mean, or all that were counted; the
    largest first."""
    missing: int
    """Matching layers without a figure."""
    matching: int
    """Matching layers."""


def known_figures(figures: LayerFigures) -> dict[str, float]:
    """Leave out layers without a figure."""
    return {name: figure for name, figure in figures.items() if figure is not None and math.isfinite(figure)}


def pool(claim: Claim, figures: LayerFigures, base: CellRecord) -> Figure | None:
    """Make the figure held against the bound; None if no layer has one. The alphas of `base` weigh a mean change."""
    known = known_figures(figures)
    missing = len(figures) - len(known)
    if claim.metric.counts_changed_layers:
        known = {name: figure for name, figure in known.items() if abs(figure) > (claim.changed_beyond or 0.0)}
    largest_first = tuple(sorted(known, key=lambda name: -abs(known[name])))
    if claim.metric is Metric.CHANGED_LAYERS:
        return Figure(float(len(known)), largest_first, missing, len(figures)) if figures else None
    if claim.metric is Metric.CHANGED_DEPTH_PERCENT:
        known = _depths(known, base)
    if not known:
        return None
    if claim.metric is Metric.PARTICIPATION_RATIO:
        sizes = np.abs(np.array(list(known.values())))
        return Figure(participation_ratio(sizes), largest_first[:1], missing, len(figures)) if sizes.any() else None
    if claim.over in ("each", "any"):
        nearest = min if claim.over == "each" else max
        name = nearest(known, key=lambda layer: margin(claim, known[layer]))
        value: float | None = known[name]
    else:
        name = max(known, key=lambda layer: abs(known[layer]))
        value = abs(known[name]) if claim.over == "largest" else _mean(claim, known, base)
    return None if value is None else Figure(value, (name,), missing, len(figures))


def _mean(claim: Claim, known: Mapping[str, float], base: CellRecord) -> float | None:
    if claim.metric is not Metric.ALPHA_CHANGE_PERCENT:
        return math.fsum(known.values()) / len(known)
    # the change of the mean alpha: every layer weighs as much as its alpha did
    alphas = _alphas(base)
    if any(name not in alphas for name in known):
        return None
    return math.fsum(alphas[name] * known[name] for name in known) / math.fsum(alphas[name] for name in known)


def _alphas(base: CellRecord) -> dict[str, float]:
    return known_figures({layer.name: layer.fit.alpha for layer in base.spectra if layer.fit is not None})


def _depths(changed: Mapping[str, float], base: CellRecord) -> dict[str, float]:
    count = blocks(layer.name for layer in base.spectra)
    outside = {name: 0.0 if role(name) is Role.EMBEDDING else 100.0 for name in changed}  # before or after all blocks
    depths = {name: relative_depth(name, count) for name in changed}
    return {name: outside[name] if depth is None else depth for name, depth in depths.items()}


def margin(claim: Claim, figure: float) -> float:
    """Tell how far a figure is from breaking a claim. See `Comparator.margin`."""
    # which layer changed most has no bound: the largest is meant
    return claim.comparator.margin(figure, claim.bound) if claim.bound is not None else -abs(figure)


def pool_draws(claim: Claim, figures: Mapping[str, Array], base: CellRecord) -> Array | None:
    """Pool many models at once, as `pool` does one: shape (models,), NaN where a model has no figure.

    Not for figures layer by layer, unless there is one layer. None where what weighs a mean is not known.
    """
    names = list(figures)
    table = np.stack([figures[name] for name in names], axis=1)  # (models, layers)
    changed = np.abs(table) > (claim.changed_beyond or 0.0)
    if claim.metric is Metric.CHANGED_LAYERS:
        return np.asarray(changed.sum(axis=1), float)
    if claim.metric is Metric.PARTICIPATION_RATIO:
        sizes = np.abs(table)
        return _quotient(sizes.sum(axis=1) ** 2, np.sum(sizes**2, axis=1))
    weights, depths = np.ones(len(names)), _depths(dict.fromkeys(names, 0.0), base)
    if claim.metric is Metric.CHANGED_DEPTH_PERCENT:
        table = np.where(changed, [depths[name] for name in names], np.nan)
    elif claim.metric is Metric.ALPHA_CHANGE_PERCENT and claim.over == "mean":
        alphas = _alphas(base)
        if any(name not in alphas for name in names):
            return None
        weights = np.array([alphas[name] for name in names])
    known = np.isfinite(table)
    if claim.over == "mean":
        return _quotient(np.where(known, weights * table, 0.0).sum(axis=1), (known * weights).sum(axis=1))
    if claim.over == "largest":
        return np.where(known.any(axis=1), np.where(known, np.abs(table), -np.inf).max(axis=1), np.nan)
    if len(names) == 1:
        return table[:, 0]
    # each layer has a depth of its own: of those that changed the one that decides
    sign = 1 if claim.over == "each" else -1
    nearest = np.argsort([sign * margin(claim, depths[name]) for name in names])
    first = known[:, nearest].argmax(axis=1)
    return np.where(known.any(axis=1), table[np.arange(len(table)), nearest[first]], np.nan)


def _quotient(above: Array, below: Array) -> Array:
    return np.asarray(np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0))


def favorable(claim: Claim, low: float, high: float) -> float:
    """Take the figure of a range where a claim is likeliest to be true of it."""
    if claim.bound is None or not claim.claims_change:  # controls cannot speak against what does not change
        return greatest((low, high))
    bounds = claim.bound if isinstance(claim.bound, tuple) else (claim.bound,)
    points = (low, high, *(bound for bound in bounds if low < bound < high))
    return max(points, key=lambda point: margin(claim, point))


def unfavorable(claim: Claim, low: float, high: float) -> float:
    """Take the figure of a range where a claim of change is least likely to be true of it."""
    points: tuple[float, ...] = (low, high, *((0.0,) if low < 0 < high else ()))
    return min(points, key=lambda point: margin(claim, point))

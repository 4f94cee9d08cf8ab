"""The figures that structural claims are judged on: one a layer, or one of many."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.layer_figures import LayerFigures
from stance_suite.schema.layer_names import Role, blocks, relative_depth, role
from stance_suite.schema.metrics import Metric
from stance_suite.spectra.concentration import participation_ratio


@dataclass(frozen=True)
class Figure:
    """What is held against the bound."""

    value: float
    """The figure."""
    layers: tuple[str, ...]
    """Layers that decided: the one nearest to breaking the claim, the largest of a mean, or all that were counted; the
    largest first."""
    missing: int
    """Matching layers without a figure."""
    matching: int
    """Matching layers."""


def pool(claim: Claim, figures: LayerFigures, base: CellRecord) -> Figure | None:
    """Make the one figure that is held against the bound.

    None if no layer has a figure, or none of those that the claim is about. The alphas of `base` weigh a mean change.
    """
    known = {name: figure for name, figure in figures.items() if figure is not None and math.isfinite(figure)}
    missing = len(figures) - len(known)
    if claim.metric.counts_changed_layers:
        known = {name: figure for name, figure in known.items() if abs(figure) > (claim.changed_beyond or 0.0)}
    largest_first = tuple(sorted(known, key=lambda name: -abs(known[name])))
    if claim.metric is Metric.CHANGED_LAYERS:
        return Figure(float(len(known)), largest_first, missing, len(figures)) if figures else None
    if claim.metric is Metric.CHANGED_DEPTH_PERCENT:
        known = _depths(known, [layer.name for layer in base.spectra])
    if not known:
        return None
    if claim.metric is Metric.PARTICIPATION_RATIO:
        sizes = np.abs(np.array(list(known.values())))
        return Figure(participation_ratio(sizes), largest_first[:1], missing, len(figures)) if sizes.any() else None
    pooled = _POOLS[claim.over](claim, known, base)
    return None if pooled is None else Figure(pooled[0], pooled[1], missing, len(figures))


def _each(claim: Claim, known: Mapping[str, float], base: CellRecord) -> tuple[float, tuple[str, ...]]:
    name = min(known, key=lambda layer: margin(claim, known[layer]))
    return known[name], (name,)


def _any(claim: Claim, known: Mapping[str, float], base: CellRecord) -> tuple[float, tuple[str, ...]]:
    name = max(known, key=lambda layer: margin(claim, known[layer]))
    return known[name], (name,)


def _largest(claim: Claim, known: Mapping[str, float], base: CellRecord) -> tuple[float, tuple[str, ...]]:
    name = max(known, key=lambda layer: abs(known[layer]))
    return abs(known[name]), (name,)


def _mean(claim: Claim, known: Mapping[str, float], base: CellRecord) -> tuple[float, tuple[str, ...]] | None:
    largest = max(known, key=lambda layer: abs(known[layer]))
    if claim.metric is not Metric.ALPHA_CHANGE_PERCENT:
        return math.fsum(known.values()) / len(known), (largest,)
    # the change of the mean alpha: every layer weighs as much as its alpha did
    alphas = {
        layer.name: layer.fit.alpha
        for layer in base.spectra
        if layer.fit is not None and math.isfinite(layer.fit.alpha)
    }
    if any(name not in alphas for name in known):
        return None
    weights = [alphas[name] for name in known]
    weighted = math.fsum(weight * figure for weight, figure in zip(weights, known.values(), strict=True))
    return weighted / math.fsum(weights), (largest,)


Pool = Callable[[Claim, Mapping[str, float], CellRecord], "tuple[float, tuple[str, ...]] | None"]
_POOLS: Mapping[str, Pool] = {"each": _each, "any": _any, "largest": _largest, "mean": _mean}


def margin(claim: Claim, figure: float) -> float:
    """Tell how far a figure is from breaking a claim. See `Comparator.margin`."""
    # which layer changed most has no bound: the largest is meant
    return claim.comparator.margin(figure, claim.bound) if claim.bound is not None else -abs(figure)


def _depths(changed: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    count = blocks(names)
    outside = {name: 0.0 if role(name) is Role.EMBEDDING else 100.0 for name in changed}  # before or after all blocks
    depths = {name: relative_depth(name, count) for name in changed}
    return {name: outside[name] if depth is None else depth for name, depth in depths.items()}

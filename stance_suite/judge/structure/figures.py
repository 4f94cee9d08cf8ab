"""The figures that structural claims are judged on: one a layer, one of many, and ranges of what is drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import Drawn, greatest
from stance_suite.schema.layer_figures import LayerFigures, Range, layer_figures
from stance_suite.schema.layer_names import Role, blocks, relative_depth, role
from stance_suite.schema.metrics import Metric
from stance_suite.schema.replicates import Replicate
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


FigureRange = tuple[Figure, Figure]
"""The least and the greatest that a control's figure may be; the same twice where it was measured once."""


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
    alphas = known_figures({layer.name: layer.fit.alpha for layer in base.spectra if layer.fit is not None})
    if any(name not in alphas for name in known):
        return None
    return math.fsum(alphas[name] * known[name] for name in known) / math.fsum(alphas[name] for name in known)


def _depths(changed: Mapping[str, float], base: CellRecord) -> dict[str, float]:
    count = blocks(layer.name for layer in base.spectra)
    outside = {name: 0.0 if role(name) is Role.EMBEDDING else 100.0 for name in changed}  # before or after all blocks
    depths = {name: relative_depth(name, count) for name in changed}
    return {name: outside[name] if depth is None else depth for name, depth in depths.items()}


def margin(claim: Claim, figure: float) -> float:
    """Tell how far a figure is from breaking a claim. See `Comparator.margin`."""
    # which layer changed most has no bound: the largest is meant
    return claim.comparator.margin(figure, claim.bound) if claim.bound is not None else -abs(figure)


def pool_drawn(claim: Claim, replicate: Replicate, drawn: Drawn) -> FigureRange | None:
    """Make the one figure of a control that is drawn many times, at both ends of its range."""
    takes: tuple[Callable[[Range], float], Callable[[Range], float]]
    if claim.metric is Metric.PARTICIPATION_RATIO:
        # ranges of single layers do not tell how concentrated changes are, whole draws do
        layers = len(layer_figures(claim, replicate.tuned))
        ends = drawn.concentration(claim, replicate.tuned, layers)
        return None if ends is None else (Figure(ends[0], (), 0, layers), Figure(ends[1], (), 0, layers))
    if claim.metric is Metric.CHANGED_DEPTH_PERCENT:
        takes = (greatest, greatest)  # the layers that noise may change, each somewhere
    elif claim.metric is Metric.CHANGED_LAYERS or claim.over == "largest":
        takes = (_least, greatest)
    elif claim.over == "mean" or claim.versus is not None:
        takes = (min, max)
    else:  # layer by layer
        takes = (lambda ends: favorable(claim, *ends),) * 2
    ranges = drawn.ranges(claim, replicate.tuned)
    low, high = (
        pool(claim, {name: None if ends is None else take(ends) for name, ends in ranges.items()}, replicate.base)
        for take in takes
    )
    return None if low is None or high is None else (low, high)


def favorable(claim: Claim, low: float, high: float) -> float:
    """Take the figure of a range where a claim is likeliest to be true of it."""
    if claim.bound is None or not claim.claims_change:  # controls cannot speak against what does not change
        return greatest((low, high))
    bounds = claim.bound if isinstance(claim.bound, tuple) else (claim.bound,)
    points = (low, high, *(bound for bound in bounds if low < bound < high))
    return max(points, key=lambda point: margin(claim, point))


def _least(ends: Range) -> float:
    return 0.0 if ends[0] < 0 < ends[1] else min(ends, key=abs)

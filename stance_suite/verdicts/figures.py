"""The figures that structural claims are judged on: one a layer, or one of many."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from stance_suite.claims import Claim
from stance_suite.layer_names import Role, blocks, relative_depth, role
from stance_suite.metrics import Metric
from stance_suite.records import CellRecord
from stance_suite.spectra.concentration import participation_ratio
from stance_suite.spectrum_records import AlphaChange, LayerChange

LayerFigures = Mapping[str, float | None]


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


def tuned_figures(claim: Claim, record: CellRecord) -> LayerFigures:
    """Find the claim's figure of every matching layer in a trained cell.

    Parameters
    ----------
    claim : Claim
        With a structural metric.
    record : CellRecord
        A trained cell.

    Returns
    -------
    mapping of str to float or None
        By the layer's long name; None where there is no figure.
    """
    match claim.metric:
        case Metric.ALPHA:
            by_layer = {layer.name: layer.fit.alpha if layer.fit else None for layer in record.spectra}
        case Metric.VECTOR_CHANGE_PERCENT:
            by_layer = {vector.name: _percent(vector.relative_norm) for vector in record.vector_changes}
        case _:
            by_layer = {change.name: _changed(claim, change) for change in record.changes}
    return matching(claim, by_layer)


def pool(claim: Claim, figures: LayerFigures, base: CellRecord) -> Figure | None:
    """Make the one figure that is held against the bound.

    Parameters
    ----------
    claim : Claim
        With a structural metric.
    figures : mapping of str to float or None
        By the layer's long name.
    base : CellRecord
        The untouched model: its alphas weigh a mean change of alpha.

    Returns
    -------
    Figure or None
        None if no layer has a figure, or none of those that the claim is about.
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


def matching(claim: Claim, figures: LayerFigures) -> LayerFigures:
    """Pick the layers that a claim is about.

    Parameters
    ----------
    claim : Claim
        With a structural metric.
    figures : mapping of str to float or None
        By the layer's long name.

    Returns
    -------
    mapping of str to float or None
        Those whose names match.
    """
    return {name: figure for name, figure in figures.items() if fnmatchcase(name, claim.layer or "")}


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
    """Tell how far a figure is from breaking a claim.

    Parameters
    ----------
    claim : Claim
        With a structural metric.
    figure : float
        The figure.

    Returns
    -------
    float
        See `Comparator.margin`.
    """
    # which layer changed most has no bound: the largest is meant
    return claim.comparator.margin(figure, claim.bound) if claim.bound is not None else -abs(figure)


def _depths(changed: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    count = blocks(names)
    outside = {name: 0.0 if role(name) is Role.EMBEDDING else 100.0 for name in changed}  # before or after all blocks
    depths = {name: relative_depth(name, count) for name in changed}
    return {name: outside[name] if depth is None else depth for name, depth in depths.items()}


def _changed(claim: Claim, change: LayerChange) -> float | None:
    if claim.metric.rests_on_alpha_change:
        return alpha_figure(claim, change.alpha_change)
    if change.failure is not None:
        return None
    delta = change.weight_change
    if claim.metric is Metric.RELATIVE_CHANGE_PERCENT:
        return 0.0 if delta is None else 100 * delta.relative_norm
    if claim.metric is Metric.SINGULAR_SUBSPACE_OVERLAP:
        overlaps = (1.0, 1.0) if delta is None else (delta.left_overlap, delta.right_overlap)
        known = [overlap for overlap in overlaps if overlap is not None and math.isfinite(overlap)]
        return min(known) if len(known) == len(overlaps) else None
    if delta is None:
        return None
    return delta.stable_rank if claim.metric is Metric.CHANGE_STABLE_RANK else 100 * delta.top_ten_energy


def alpha_figure(claim: Claim, change: AlphaChange | None) -> float | None:
    """Take the part of a change of alpha that a claim is about.

    Parameters
    ----------
    claim : Claim
        Robust ones hold the tail fixed.
    change : AlphaChange or None
        The change.

    Returns
    -------
    float or None
        In percent; None where there is no change to speak of.
    """
    if change is None:
        return None
    return change.spectrum if claim.robust else change.total


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share

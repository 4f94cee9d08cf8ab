"""The figures that structural claims are judged on, of a cell and of its controls: one a layer, or one of many."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from stance_suite.claims import Claim
from stance_suite.layer_names import Role, blocks, relative_depth, role
from stance_suite.metrics import Comparator, Metric
from stance_suite.records import CellRecord
from stance_suite.spectra.concentration import participation_ratio
from stance_suite.spectrum_records import AlphaChange, LayerChange, NoiseControl, NoiseRange
from stance_suite.verdicts.scores import Replicate

LayerFigures = Mapping[str, float | None]


@dataclass(frozen=True)
class Figure:
    """What is held against the bound."""

    value: float
    """The figure."""
    layers: tuple[str, ...]
    """Layers that decided: the one nearest to breaking the claim, or all that were counted; the largest first."""
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
    return _matching(claim, by_layer)


def control_figures(claim: Claim, replicate: Replicate) -> dict[str, LayerFigures]:
    """Find the claim's figure of every matching layer under each control.

    Parameters
    ----------
    claim : Claim
        With a structural metric.
    replicate : Replicate
        The trained model and its controls.

    Returns
    -------
    dict of str to mapping of str to float or None
        ``sham``, ``noise`` and ``rounding``, each only where it was measured and says something of this metric. Of
        noise the end of the 95 % range that favors the claim.
    """
    tuned = replicate.tuned
    found: dict[str, LayerFigures] = {}
    if replicate.sham is not None:
        found["sham"] = tuned_figures(claim, replicate.sham)
    if claim.metric in _NOISE_RANGES or claim.metric.rests_on_alpha_change:
        noise = {change.name: _noisy(claim, change) for change in tuned.changes}
        found["noise"] = _matching(claim, noise)
    if claim.metric.rests_on_alpha_change and replicate.base.rounding:
        rounded = {one.name: _alpha(claim, one.alpha_change) for one in replicate.base.rounding}
        found["rounding"] = _matching(claim, rounded)
    return found


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


def _matching(claim: Claim, figures: LayerFigures) -> LayerFigures:
    return {name: figure for name, figure in figures.items() if fnmatchcase(name, claim.layer or "")}


def _each(claim: Claim, known: Mapping[str, float], base: CellRecord) -> tuple[float, tuple[str, ...]]:
    name = min(known, key=lambda layer: _margin(claim, known[layer]))
    return known[name], (name,)


def _any(claim: Claim, known: Mapping[str, float], base: CellRecord) -> tuple[float, tuple[str, ...]]:
    name = max(known, key=lambda layer: _margin(claim, known[layer]))
    return known[name], (name,)


def _largest(claim: Claim, known: Mapping[str, float], base: CellRecord) -> tuple[float, tuple[str, ...]]:
    name = max(known, key=lambda layer: abs(known[layer]))
    return abs(known[name]), (name,)


def _mean(claim: Claim, known: Mapping[str, float], base: CellRecord) -> tuple[float, tuple[str, ...]] | None:
    if claim.metric is not Metric.ALPHA_CHANGE_PERCENT:
        return math.fsum(known.values()) / len(known), ()
    # the change of the mean alpha: every layer weighs as much as its alpha did
    alphas = {layer.name: layer.fit.alpha for layer in base.spectra if layer.fit is not None}
    if any(name not in alphas for name in known):
        return None
    weights = [alphas[name] for name in known]
    return math.fsum(w * figure for w, figure in zip(weights, known.values(), strict=True)) / math.fsum(weights), ()


Pool = Callable[[Claim, Mapping[str, float], CellRecord], "tuple[float, tuple[str, ...]] | None"]
_POOLS: Mapping[str, Pool] = {"each": _each, "any": _any, "largest": _largest, "mean": _mean}


def _margin(claim: Claim, figure: float) -> float:
    # which layer changed most has no bound: the largest is meant
    return claim.comparator.margin(figure, claim.bound) if claim.bound is not None else -abs(figure)


def _depths(changed: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    count = blocks(names)
    outside = {name: 0.0 if role(name) is Role.EMBEDDING else 100.0 for name in changed}  # before or after all blocks
    depths = {name: relative_depth(name, count) for name in changed}
    return {name: outside[name] if depth is None else depth for name, depth in depths.items()}


def _changed(claim: Claim, change: LayerChange) -> float | None:
    if claim.metric.rests_on_alpha_change:
        return _alpha(claim, change.alpha_change)
    if change.failure is not None:
        return None
    delta = change.weight_change
    if claim.metric is Metric.RELATIVE_CHANGE_PERCENT:
        return 0.0 if delta is None else 100 * delta.relative_norm
    if claim.metric is Metric.SINGULAR_SUBSPACE_OVERLAP:
        overlaps = (1.0, 1.0) if delta is None else (delta.left_overlap, delta.right_overlap)
        known = [overlap for overlap in overlaps if overlap is not None]
        return min(known) if len(known) == len(overlaps) else None
    if delta is None:
        return None
    return delta.stable_rank if claim.metric is Metric.CHANGE_STABLE_RANK else 100 * delta.top_ten_energy


def _alpha(claim: Claim, change: AlphaChange | None) -> float | None:
    if change is None:
        return None
    return change.spectrum if claim.robust else change.total


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _noisy(claim: Claim, change: LayerChange) -> float | None:
    """Take the end of the noise's 95 % range where the claim is likeliest to be true of it."""
    if change.noise is None:
        return None
    if claim.metric.rests_on_alpha_change:
        drawn, unit = (change.noise.alpha_spectrum if claim.robust else change.noise.alpha_total), 1.0
    else:
        take, unit = _NOISE_RANGES[claim.metric]
        drawn = take(change.noise)
    if drawn is None:
        return None
    either_way = claim.metric.counts_changed_layers or claim.metric.spans_layers or claim.over == "largest"
    match claim.comparator:
        case Comparator.ABOVE if not either_way:
            return unit * drawn.high
        case Comparator.BELOW if not either_way:
            return unit * drawn.low
    return unit * max(drawn.low, drawn.high, key=abs)


_NOISE_RANGES: Mapping[Metric, tuple[Callable[[NoiseControl], NoiseRange | None], float]] = {
    Metric.CHANGE_STABLE_RANK: (lambda noise: noise.stable_rank, 1.0),
    Metric.CHANGE_TOP_TEN_ENERGY_PERCENT: (lambda noise: noise.top_ten_energy, 100.0),
}
"""Where noise's range stands in the record, and the factor to the metric's unit."""

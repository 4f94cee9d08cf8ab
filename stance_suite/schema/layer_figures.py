"""The figure of each layer that a structural claim is about, as it stands in a record: judged, and shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from stance_suite.schema.metrics import Metric
from stance_suite.schema.spectra import kept_ranks

if TYPE_CHECKING:
    from stance_suite.schema.cells import CellRecord
    from stance_suite.schema.claims import Claim
    from stance_suite.schema.spectra import AlphaChange, LayerChange, NoiseControl, NoiseRange


LayerFigures = Mapping[str, float | None]
Range = tuple[float, float]


@dataclass(frozen=True)
class Law:
    """What a figure is under a control that is drawn many times, in the metric's unit."""

    ends: Range
    """Its 95 % range."""
    shares: tuple[float, ...]
    """Shares of the draws, in ascending order, that are expected ..."""
    quantiles: tuple[float, ...]
    """... up to these figures."""
    draws: int | None
    """How many draws it rests on; None where it is known for sure."""


UNCHANGED = Law((0.0, 0.0), (0.5,), (0.0,), None)
"""Of noise of no norm."""

_NOISE_RANGES: Mapping[Metric, tuple[Callable[[NoiseControl], NoiseRange | None], float]] = {
    Metric.CHANGE_STABLE_RANK: (lambda noise: noise.stable_rank, 1.0),
    Metric.CHANGE_TOP_TEN_ENERGY_PERCENT: (lambda noise: noise.top_ten_energy, 100.0),
}
"""Where noise's range stands in the record, and the factor to the metric's unit."""


def layer_figures(claim: Claim, record: CellRecord) -> LayerFigures:
    """Find the claim's figure of every matching layer in a cell; for metrics of many layers the change of alpha."""
    match claim.metric:
        case Metric.ALPHA:
            by_layer = {layer.name: layer.fit.alpha if layer.fit else None for layer in record.spectra}
        case Metric.VECTOR_CHANGE_PERCENT:
            by_layer = {vector.name: _percent(vector.relative_norm) for vector in record.vector_changes}
        case _:
            by_layer = {change.name: _changed(claim, change) for change in record.changes}
    return matching(claim, by_layer)


def matching(claim: Claim, figures: LayerFigures) -> LayerFigures:
    """Pick the layers that a claim is about."""
    return {name: figure for name, figure in figures.items() if fnmatchcase(name, claim.layer or "")}


def noise_law(claim: Claim, change: LayerChange) -> Law | None:
    """Find what a layer's figure is under Gaussian noise of the change's norm, in the metric's unit."""
    if not claim.metric.has_noise:
        return None
    if change.noise is None:
        is_unchanged = change.weight_change is None and change.failure is None
        # noise of no norm changes nothing
        return UNCHANGED if is_unchanged and claim.metric.rests_on_alpha_change else None
    if claim.metric.rests_on_alpha_change:
        drawn, unit = (change.noise.alpha_spectrum if claim.robust else change.noise.alpha_total), 1.0
    else:
        take, unit = _NOISE_RANGES[claim.metric]
        drawn = take(change.noise)
    return None if drawn is None else _law(drawn, unit)


def _law(drawn: NoiseRange, unit: float) -> Law | None:
    if not all(map(math.isfinite, (drawn.low, drawn.high, *drawn.kept))):
        return None
    points = [
        (rank / (1 + drawn.draws), value) for rank, value in zip(kept_ranks(drawn.draws), drawn.kept, strict=True)
    ]
    if points[0][0] < 0.025:  # else the ends of the range lie beyond all draws
        points = sorted([*points, (0.025, drawn.low), (0.975, drawn.high)])
    shares, quantiles = zip(*points, strict=True)
    return Law((unit * drawn.low, unit * drawn.high), shares, tuple(unit * one for one in quantiles), drawn.draws)


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
    """Take the part of a change of alpha that a claim is about, in percent; robust ones hold the tail fixed."""
    if change is None:
        return None
    return change.spectrum if claim.robust else change.total


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share

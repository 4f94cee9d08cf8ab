"""The figures of the controls: is a structural claim as true of them?"""

from __future__ import annotations

from collections.abc import Callable

from stance_suite.claims import Claim
from stance_suite.layer_figures import (
    LayerFigures,
    Range,
    alpha_figure,
    has_noise_range,
    layer_figures,
    matching,
    noise_range,
)
from stance_suite.metrics import Metric
from stance_suite.records import CellRecord
from stance_suite.verdicts.figures import Figure, margin, pool
from stance_suite.verdicts.scores import Replicate

FigureRange = tuple[Figure, Figure]
"""The least and the greatest that a control's figure may be; the same twice where it was measured once."""


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
        noise the end of the 95 % range that is the greater in magnitude.
    """
    tuned = replicate.tuned
    found: dict[str, LayerFigures] = {}
    if replicate.sham is not None:
        found["sham"] = layer_figures(claim, replicate.sham)
    if has_noise_range(claim.metric):
        found["noise"] = _noise(claim, tuned, _greatest)
    if claim.metric.rests_on_alpha_change and replicate.base.rounding:
        rounded = {one.name: alpha_figure(claim, one.alpha_change) for one in replicate.base.rounding}
        found["rounding"] = matching(claim, rounded)
    return found


def pooled_controls(claim: Claim, replicate: Replicate) -> dict[str, FigureRange | None]:
    """Make of each control the figure that is held against the bound.

    Parameters
    ----------
    claim : Claim
        With a structural metric.
    replicate : Replicate
        The trained model and its controls.

    Returns
    -------
    dict of str to (Figure, Figure) or None
        By the control's name; None where nothing is known of it.
    """
    found: dict[str, FigureRange | None] = {}
    for name, figures in control_figures(claim, replicate).items():
        figure = pool(claim, figures, replicate.base)
        found[name] = None if figure is None else (figure, figure)
    if "noise" in found and not claim.comparator.compares_layers:
        found["noise"] = _pool_noise(claim, replicate)
    return found


def _pool_noise(claim: Claim, replicate: Replicate) -> FigureRange | None:
    tuned, base = replicate.tuned, replicate.base
    takes: tuple[Callable[[Range], float], Callable[[Range], float]]
    if claim.metric is Metric.PARTICIPATION_RATIO:
        return _noise_concentration(claim, tuned)
    if claim.metric is Metric.CHANGED_DEPTH_PERCENT:
        takes = (_greatest, _greatest)  # the layers that noise may change, each somewhere
    elif claim.metric is Metric.CHANGED_LAYERS or claim.over == "largest":
        takes = (_least, _greatest)
    elif claim.over == "mean" or claim.versus is not None:
        takes = (min, max)
    else:  # layer by layer
        takes = (lambda ends: favorable(claim, *ends),) * 2
    low, high = (pool(claim, _noise(claim, tuned, take), base) for take in takes)
    return None if low is None or high is None else (low, high)


def favorable(claim: Claim, low: float, high: float) -> float:
    """Take the figure of a range where a claim is likeliest to be true of it.

    Parameters
    ----------
    claim : Claim
        With a bound.
    low : float
        Least figure of a control.
    high : float
        Greatest figure.

    Returns
    -------
    float
        Of a claim that nothing changes (``within``), which controls cannot speak against, the greater in magnitude.
    """
    if claim.bound is None or not claim.claims_change:
        return _greatest((low, high))
    bounds = claim.bound if isinstance(claim.bound, tuple) else (claim.bound,)
    points = (low, high, *(bound for bound in bounds if low < bound < high))
    return max(points, key=lambda point: margin(claim, point))


def _noise(claim: Claim, record: CellRecord, take: Callable[[Range], float]) -> LayerFigures:
    ranges = {change.name: noise_range(claim, change) for change in record.changes}
    return matching(claim, {name: None if one is None else take(one) for name, one in ranges.items()})


def _noise_concentration(claim: Claim, record: CellRecord) -> FigureRange | None:
    """Find how concentrated the changes of noise are; ranges of single layers do not tell, whole draws do."""
    layers = len(layer_figures(claim, record))
    wanted = "alpha_spectrum" if claim.robust else "alpha_total"
    for one in record.concentration:
        if (one.figure, one.layers) == (wanted, layers) and one.noise_participation_ratio is not None:
            low, high = (Figure(end, (), 0, layers) for end in one.noise_participation_ratio)
            return low, high
    return None


def _greatest(ends: Range) -> float:
    return max(ends, key=abs)


def _least(ends: Range) -> float:
    return 0.0 if ends[0] < 0 < ends[1] else min(ends, key=abs)

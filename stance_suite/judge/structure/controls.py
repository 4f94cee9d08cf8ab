"""The figures of the controls: is a structural claim as true of them?"""

from __future__ import annotations

from collections.abc import Callable

from stance_suite.judge.structure.pooling import Figure, margin, pool
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import Control, Drawn, greatest
from stance_suite.schema.layer_figures import LayerFigures, Range, layer_figures
from stance_suite.schema.metrics import Metric
from stance_suite.schema.replicates import Replicate

FigureRange = tuple[Figure, Figure]
"""The least and the greatest that a control's figure may be; the same twice where it was measured once."""


def control_figures(claim: Claim, replicate: Replicate) -> dict[Control, LayerFigures]:
    """Find the claim's figure of every matching layer under each control that says something of its metric.

    Of a control that is drawn many times it is the end of the 95 % range that is the greater in magnitude.
    """
    found = {control: control.figures(claim, replicate) for control in Control.all()}
    return {control: figures for control, figures in found.items() if figures is not None}


def pooled_controls(claim: Claim, replicate: Replicate) -> dict[Control, FigureRange | None]:
    """Make of each control the figure that is held against the bound; None where nothing is known of it."""
    found: dict[Control, FigureRange | None] = {}
    for control, figures in control_figures(claim, replicate).items():
        if control.drawn is not None and not claim.comparator.compares_layers:
            found[control] = _pool_drawn(claim, replicate, control.drawn)
        else:
            figure = pool(claim, figures, replicate.base)
            found[control] = None if figure is None else (figure, figure)
    return found


def _pool_drawn(claim: Claim, replicate: Replicate, drawn: Drawn) -> FigureRange | None:
    tuned = replicate.tuned
    takes: tuple[Callable[[Range], float], Callable[[Range], float]]
    if claim.metric is Metric.PARTICIPATION_RATIO:
        return _concentration(claim, replicate, drawn)
    if claim.metric is Metric.CHANGED_DEPTH_PERCENT:
        takes = (greatest, greatest)  # the layers that noise may change, each somewhere
    elif claim.metric is Metric.CHANGED_LAYERS or claim.over == "largest":
        takes = (_least, greatest)
    elif claim.over == "mean" or claim.versus is not None:
        takes = (min, max)
    else:  # layer by layer
        takes = (lambda ends: favorable(claim, *ends),) * 2
    ranges = drawn.ranges(claim, tuned)
    low, high = (
        pool(claim, {name: None if ends is None else take(ends) for name, ends in ranges.items()}, replicate.base)
        for take in takes
    )
    return None if low is None or high is None else (low, high)


def _concentration(claim: Claim, replicate: Replicate, drawn: Drawn) -> FigureRange | None:
    """Find how concentrated the changes are that were drawn; ranges of single layers do not tell, whole draws do."""
    layers = len(layer_figures(claim, replicate.tuned))
    ends = drawn.concentration(claim, replicate.tuned, layers)
    if ends is None:
        return None
    low, high = (Figure(end, (), 0, layers) for end in ends)
    return low, high


def favorable(claim: Claim, low: float, high: float) -> float:
    """Take the figure of a range where a claim is likeliest to be true of it.

    Of a claim that nothing changes (``within``), which controls cannot speak against, the greater in magnitude.
    """
    if claim.bound is None or not claim.claims_change:
        return greatest((low, high))
    bounds = claim.bound if isinstance(claim.bound, tuple) else (claim.bound,)
    points = (low, high, *(bound for bound in bounds if low < bound < high))
    return max(points, key=lambda point: margin(claim, point))


def _least(ends: Range) -> float:
    return 0.0 if ends[0] < 0 < ends[1] else min(ends, key=abs)

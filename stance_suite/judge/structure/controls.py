"""The figures of controls, as intervals: what a draw may give, or what one training gave and noise would move it by."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from stance_suite.judge.statistics import Array
from stance_suite.judge.structure.draws import BEYOND, central_range
from stance_suite.judge.structure.figures import Figure, favorable, pool, unfavorable
from stance_suite.judge.structure.sides import Side
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import Control, Role
from stance_suite.schema.layer_figures import Range
from stance_suite.schema.metrics import Metric
from stance_suite.schema.verdicts import ControlFigure

UNCERTAIN_SHARE = 0.1
"""A control's change is taken to be so uncertain where noise says nothing of the figure."""


def accepts(claim: Claim, figure: float) -> bool:
    """Whether a claim is true of a figure."""
    return claim.bound is not None and claim.comparator.accepts(figure, claim.bound)


def compare(claim: Claim, figures: Sequence[float]) -> float:
    """Make the figure held against the bound: the training's own, or how it compares with the counterpart's."""
    if claim.versus is None:
        return figures[0]
    ours, theirs = figures
    if claim.versus.by == "difference":
        return ours - theirs
    return abs(ours) / abs(theirs) if theirs else math.nan


def control_figures(claim: Claim, sides: Sequence[Side]) -> tuple[ControlFigure, ...]:
    """Make each control's own figure as the tuned model's was made; of draws the one that favors the claim most.

    The interval is the 95 % range of draws. Of what was measured once it is the figure and, either way, the half-width
    of what noise of the changes' norms does to both trainings: nobody trained it often enough to know more.
    """
    found = (
        _drawn(claim, sides, control) if control.drawn is not None else _measured(claim, sides, control)
        for control in sides[0].layers_of_controls
    )
    return tuple(one for one in found if one is not None)


def may_show(claim: Claim, control: ControlFigure) -> bool:
    """Whether a claim may be true of a control: of some figure of its interval."""
    return accepts(claim, control.figure) or accepts(claim, favorable(claim, *_ends(control)))


def shows(claim: Claim, control: ControlFigure) -> bool:
    """Whether a claim is true of a control: of a draw that is not rare, or of every figure that it may have."""
    if is_drawn(control):
        return accepts(claim, control.figure)
    return accepts(claim, unfavorable(claim, *_ends(control)))


def is_drawn(control: ControlFigure) -> bool:
    """Whether a control is drawn many times."""
    return control.control is not None and control.control.drawn is not None


def shows_nothing(side: Side, control: Control) -> bool:
    """Whether a control was measured, and no layer changed under it that the claim could be about."""
    figures = side.layers_of_controls.get(control, {})
    if side.claim.metric is not Metric.CHANGED_DEPTH_PERCENT or not figures:
        return False
    if control.drawn is not None:
        pooled = side.pooled(control)
        return pooled is not None and _is_rare(*pooled)
    beyond = side.claim.changed_beyond or 0.0
    return all(figure is not None and abs(figure) <= beyond for figure in figures.values())


def _ends(control: ControlFigure) -> Range:
    return (
        control.figure if control.low is None else control.low,
        control.figure if control.high is None else control.high,
    )


def _drawn(claim: Claim, sides: Sequence[Side], control: Control) -> ControlFigure | None:
    if sides[0].is_layer_by_layer:
        ranges = sides[0].ranges[control]
        figures = {name: favorable(claim, *ranges[name]) if name in ranges else None for name in sides[0].laws[control]}
        figure = pool(claim, figures, sides[0].replicate.base)
        return (
            None
            if figure is None or figure.missing
            else _control_figure(control, figure.value, ranges[figure.layers[0]])
        )
    ends = _range(claim, sides, control)
    return None if ends is None else _control_figure(control, favorable(claim, *ends), ends)


def _measured(claim: Claim, sides: Sequence[Side], control: Control) -> ControlFigure | None:
    figures: list[Figure] = []
    for side in sides:
        layers = side.layers_of_controls.get(control)
        figure = None if layers is None else pool(claim, layers, side.replicate.base)
        if figure is None or figure.missing:
            return None
        figures.append(figure)
    value = compare(claim, [figure.value for figure in figures])
    if not math.isfinite(value):
        return None
    trained = [side.of_controls[control] for side in sides if control in side.of_controls]
    widths = [_half_width(claim, some, figures[0]) for some in (sides, trained) if len(some) == len(sides)]
    known = [width for width in widths if width is not None]
    reach = math.hypot(*known) if known else UNCERTAIN_SHARE * _change(claim, value)
    return _control_figure(control, value, (value - reach, value + reach))


def _half_width(claim: Claim, sides: Sequence[Side], figure: Figure) -> float | None:
    """Find how much noise moves the figure either way; None where it says nothing. `figure` tells which layer's."""
    widths = []
    for control in sides[0].laws:
        if sides[0].is_layer_by_layer:
            ends = sides[0].ranges[control].get(figure.layers[0])
        else:
            ends = _range(claim, sides, control)
        if ends is not None:
            widths.append((ends[1] - ends[0]) / 2)
    return max(widths, default=None)


def _range(claim: Claim, sides: Sequence[Side], control: Control) -> Range | None:
    """Find the 95 % range of the pooled figure, or of how two compare; None if it is unknown, or rarely there."""
    pooled = [side.pooled(control) if control in side.laws else None for side in sides]
    known = [one for one in pooled if one is not None]
    if len(known) < len(sides):
        return None
    rests_on = min((draws for _, draws in known if draws is not None), default=None)
    figures = known[0][0]
    if claim.versus is not None:
        theirs = known[1][0]
        with np.errstate(divide="ignore", invalid="ignore"):
            figures = figures - theirs if claim.versus.by == "difference" else np.abs(figures) / np.abs(theirs)
    if _is_rare(figures, rests_on):
        return None
    return central_range(figures[~np.isnan(figures)], rests_on)


def _is_rare(figures: Array, rests_on: int | None) -> bool:
    """Whether so few models have a figure that noise cannot be said to have one."""
    there = float(np.mean(~np.isnan(figures)))
    return (there if rests_on is None else (1 + rests_on * there) / (1 + rests_on)) <= BEYOND


def _change(claim: Claim, figure: float) -> float:
    """Tell how large a figure is as a change: of an overlap what is missing from 1."""
    return abs(1 - figure if claim.metric is Metric.SINGULAR_SUBSPACE_OVERLAP and not claim.versus else figure)


def _control_figure(control: Control, figure: float, ends: Range) -> ControlFigure:
    return ControlFigure(control=control, role=Role.OWN_FIGURE, figure=figure, low=ends[0], high=ends[1])

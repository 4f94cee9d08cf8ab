"""Judging which layer changed most: the same one in two trainings, or another?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from stance_suite.judge.structure.controls import control_figures
from stance_suite.judge.structure.pooling import Figure
from stance_suite.judge.structure.sides import Side, inconclusive, required_controls, structural_caveats, why_nothing
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import Role
from stance_suite.schema.layer_figures import LayerFigures, layer_figures
from stance_suite.schema.metrics import Comparator
from stance_suite.schema.verdicts import ControlFigure, Status, Verdict


def judge_most_changed(claim: Claim, ours: Side, theirs: Side) -> Verdict:
    """Judge a claim about which layer changed most, here and there.

    INCONCLUSIVE where no single layer changed most, or one has no figure. A robust claim that the layer is the same
    fails if it changes most under a control, too.
    """
    ranked = [_ranked(layer_figures(claim, side.replicate.tuned)) for side in (ours, theirs)]
    unknown = next((side for side, layers in zip((ours, theirs), ranked, strict=True) if not layers), None)
    if unknown is not None:
        return inconclusive(claim, ours, why_nothing(claim, unknown))
    (top, figure), (their_top, their_figure) = (layers[0] for layers in ranked)
    unit = claim.metric.unit
    shown = (
        f"most changed: {top} ({figure:+.4g} {unit}) under {ours.name}, {their_top} ({their_figure:+.4g} {unit}) "
        f"under {theirs.name}"
    )
    asks_same = claim.comparator is Comparator.SAME_LAYER
    status = Status.HOLDS if (top == their_top) is asks_same else Status.FAILS
    controls = tuple(_most_changed_controls(claim, ours))
    shared_by = [one.control for one in controls if asks_same and one.about == top]
    known = [one.control for one in controls]
    unknown_control = next((one for one in required_controls(claim, ours) if one not in known), None)
    if status is Status.HOLDS and claim.robust and shared_by:
        status, shown = Status.FAILS, f"{shown}; but it changes most under the control {shared_by[0]} as well"
    elif status is Status.HOLDS and claim.robust and asks_same and unknown_control is not None:
        status, shown = Status.INCONCLUSIVE, f"{shown}, but nothing is known of the control {unknown_control}"
    if any(_is_tied(layers) for layers in ranked):
        status, shown = Status.INCONCLUSIVE, f"no single layer changed most; {shown}"
    if any(
        len(_ranked(figures)) < len(figures)
        for figures in (layer_figures(claim, side.replicate.tuned) for side in (ours, theirs))
    ):
        status, shown = Status.INCONCLUSIVE, f"some layers have no figure (the fit failed); of the others, {shown}"
    decided = [Figure(layers[0][1], (layers[0][0],), 0, len(layers)) for layers in ranked]
    return Verdict(
        claim=claim,
        model=ours.replicate.tuned.cell.model,
        status=status,
        reason=shown,
        figure=figure,
        layer=top,
        controls=(
            ControlFigure(role=Role.COMPARED, about=f"{their_top}, {theirs.name}", figure=their_figure),
            *controls,
        ),
        caveats=structural_caveats(claim, (ours, theirs), decided, within_null=top == their_top and bool(shared_by)),
    )


def _most_changed_controls(claim: Claim, ours: Side) -> Iterator[ControlFigure]:
    """Find the layer that changes most under each control; one with a layer missing is not known."""
    required = required_controls(claim, ours)
    for control, figures in control_figures(claim, ours.replicate).items():
        ranked = _ranked(figures)
        if control in required and ranked and len(ranked) == len(figures):
            top, figure = ranked[0]
            yield ControlFigure(control=control, role=Role.MOST_CHANGED, about=top, figure=figure)


def _is_tied(ranked: Sequence[tuple[str, float]]) -> bool:
    return len(ranked) < 2 or abs(ranked[0][1]) == abs(ranked[1][1])


def _ranked(figures: LayerFigures) -> list[tuple[str, float]]:
    known = [(name, figure) for name, figure in figures.items() if figure is not None and math.isfinite(figure)]
    return sorted(known, key=lambda entry: -abs(entry[1]))

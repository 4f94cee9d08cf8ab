"""Judging which layer changed most: here and there, and beyond what the controls change anywhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stance_suite.judge.structure.draws import central_range
from stance_suite.judge.structure.figures import known_figures
from stance_suite.judge.structure.sides import Side, structural_caveats
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import Control, Role
from stance_suite.schema.layer_figures import LayerFigures
from stance_suite.schema.metrics import Comparator
from stance_suite.schema.verdicts import ControlFigure, Status, Verdict


def judge_most_changed(claim: Claim, ours: Side, theirs: Side) -> Verdict:
    """Judge which layer changed most, here and there.

    That another layer did is nearly always true of two draws of noise: it holds only if both layers changed by more
    than any does under the controls. A robust claim of the same layer needs more than noise on both sides as well, and
    fails if it is a control's, too.
    """
    ranked = [_ranked(side.layers) for side in (ours, theirs)]
    for side, layers in zip((ours, theirs), ranked, strict=True):
        if not layers:
            return Verdict(claim=claim, model=claim.model, status=Status.INCONCLUSIVE, reason=side.why_nothing)
    (top, figure), (their_top, their_figure) = (layers[0] for layers in ranked)
    unit = claim.metric.unit
    shown = (
        f"most changed: {top} ({figure:+.4g} {unit}) under {ours.name}, {their_top} ({their_figure:+.4g} {unit}) "
        f"under {theirs.name}"
    )
    asks_same = claim.comparator is Comparator.SAME_LAYER
    status = Status.HOLDS if (top == their_top) is asks_same else Status.FAILS
    controls = _most_changed_under_controls(ours)
    shared_by = [control for control, one in controls.items() if asks_same and one.about == top]
    if status is Status.HOLDS and claim.robust and shared_by:
        status, shown = Status.FAILS, f"{shown}; but it changes most under the control {shared_by[0]} as well"
    elif status is Status.HOLDS and (claim.robust or not asks_same):
        open_ = _left_open(claim, [(ours, figure), (theirs, their_figure)])
        status, shown = (Status.INCONCLUSIVE, f"{shown}, but {open_}") if open_ else (status, shown)
    if any(len(layers) < 2 or abs(layers[0][1]) == abs(layers[1][1]) for layers in ranked):
        status, shown = Status.INCONCLUSIVE, f"no single layer changed most; {shown}"
    if any(len(layers) < len(side.layers) for side, layers in zip((ours, theirs), ranked, strict=True)):
        status, shown = Status.INCONCLUSIVE, f"some layers have no figure (the fit failed); of the others, {shown}"
    compared = ControlFigure(role=Role.COMPARED, about=f"{their_top}, {theirs.name}", figure=their_figure)
    decided = (ours, (top,)), (theirs, (their_top,))
    return Verdict(
        claim=claim,
        model=claim.model,
        status=status,
        reason=shown,
        figure=figure,
        layer=top,
        controls=(compared, *controls.values()),
        caveats=structural_caveats(claim, decided, within_null=top == their_top and bool(shared_by)),
    )


def _left_open(claim: Claim, sides: Sequence[tuple[Side, float]]) -> str:
    """Say why neither layer can be told from what the controls change; nothing if it can.

    Those that are required are faced, with how much noise moves what is largest; by a claim of the same layer, which
    the sham answers by the layer that it changes most, noise alone. A claim that is not robust faces what is known.
    """
    for side, figure in sides:
        for control in side.required_controls:
            largest = _most_of_any(side, control)
            if largest is None and claim.robust:
                return f"nothing is known of the control {control}"
            is_faced = claim.comparator is Comparator.ANOTHER_LAYER or control.drawn is not None
            if largest is not None and is_faced and not abs(figure) > largest:
                return (
                    f"the control {control} may change some layer by {largest:.4g} {claim.metric.unit}, and "
                    f"{side.name} none by more"
                )
    return ""


def _most_of_any(side: Side, control: Control) -> float | None:
    """Find by how much a control may change the layer that it changes most; None where nothing is known of one."""
    if control.drawn is not None:
        return _largest_of_noise(side, control)[1] if control in side.laws else None
    figures = side.layers_of_controls.get(control, {})
    known = known_figures(figures)
    if not known or len(known) < len(figures):
        return None
    noise = [_largest_of_noise(side, drawn) for drawn in side.laws]
    reach = max(((high - low) / 2 for low, high in noise if low is not None and high is not None), default=0.0)
    return max(map(abs, known.values())) + reach


def _largest_of_noise(side: Side, control: Control) -> tuple[float | None, float | None]:
    """Find the 95 % range of the largest change of any layer; nothing where nothing is known of one."""
    models = side.models[control]
    if None in side.laws[control].values() or not models.figures:
        return None, None
    largest = np.max([np.abs(one) for one in models.figures.values()], axis=0)
    return central_range(largest, models.rests_on) or (None, None)


def _most_changed_under_controls(ours: Side) -> dict[Control, ControlFigure]:
    """Find the layer that changes most under each control; one with a layer missing is not known."""
    found = {}
    for control, figures in ours.layers_of_controls.items():
        ranked = _ranked(figures)
        if control in ours.required_controls and ranked and len(ranked) == len(figures):
            top, figure = ranked[0]
            found[control] = ControlFigure(control=control, role=Role.MOST_CHANGED, about=top, figure=figure)
    return found


def _ranked(figures: LayerFigures) -> list[tuple[str, float]]:
    return sorted(known_figures(figures).items(), key=lambda entry: -abs(entry[1]))

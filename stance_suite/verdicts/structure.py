"""Judging claims about weights: every matching layer, the tail held fixed where it must be robust, and the controls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stance_suite.caveats import Caveat
from stance_suite.claims import Claim
from stance_suite.judgments import ControlFigure, Status, Verdict
from stance_suite.metrics import Comparator, Metric
from stance_suite.records import CellRecord
from stance_suite.spectrum_records import AlphaChange, LayerChange
from stance_suite.verdicts.controls import FigureRange, control_figures, favorable, pooled_controls
from stance_suite.verdicts.figures import Figure, LayerFigures, pool, tuned_figures
from stance_suite.verdicts.scores import Replicate

FEW_TAIL_EIGENVALUES = 50


@dataclass(frozen=True)
class Side:
    """The figures of one trained model and of its controls."""

    replicate: Replicate
    """The trained model and its controls."""
    tuned: Figure | None
    """None where nothing is known."""
    controls: dict[str, FigureRange | None]
    """By the control's name; None where nothing is known of it."""


def judge_structure(claim: Claim, replicate: Replicate, counterpart: Replicate | None = None) -> Verdict:
    """Judge a claim about weights.

    Parameters
    ----------
    claim : Claim
        With a structural metric.
    replicate : Replicate
        The trained model and its controls.
    counterpart : Replicate, optional
        The same of the training that the claim compares it with.

    Returns
    -------
    Verdict
        Of many layers about the one nearest to breaking the claim. HOLDS only if the claim is true of what is held
        against the bound (see `Claim.over`), nothing is missing that could change that, and, for a robust claim of
        change, it is not true of any of the controls that it names, all the layers taken together.
    """
    sides = [_side(claim, one) for one in (replicate, counterpart) if one is not None]
    if counterpart is not None and counterpart.tuned.key == replicate.tuned.key:
        return _inconclusive(claim, sides[0], "a training compared with itself shows nothing")
    judged = _judge_layers(claim, *sides) if claim.comparator.compares_layers else _judge_figure(claim, sides)
    cells = dict.fromkeys(record.key for side in sides for record in side.replicate.records)
    caveats = list(judged.caveats)
    if any(side.replicate.sham is None for side in sides):
        caveats.append(Caveat.NO_SHAM)
    status, reason = judged.status, judged.reason
    ruled_out = [caveat for caveat in claim.unless if caveat in caveats]
    if status is Status.HOLDS and ruled_out:
        status, reason = Status.FAILS, f"{reason}; but {ruled_out[0]}, which the claim rules out"
    return judged.model_copy(
        update={"status": status, "reason": reason, "cells": tuple(cells), "caveats": tuple(dict.fromkeys(caveats))}
    )


def worst(verdicts: Sequence[Verdict], seeds: Sequence[int]) -> Verdict:
    """Take the verdict that is farthest from HOLDS: a structural claim must hold under every seed.

    Parameters
    ----------
    verdicts : sequence of Verdict
        One entry a seed, about one claim.
    seeds : sequence of int
        The seeds.

    Returns
    -------
    Verdict
        One of them, the first of equals; FAILS is farther than INCONCLUSIVE. With several seeds its reason names its.
    """
    order = (Status.HOLDS, Status.INCONCLUSIVE, Status.FAILS)
    seed, verdict = max(zip(seeds, verdicts, strict=True), key=lambda pair: order.index(pair[1].status))
    if len(seeds) == 1:
        return verdict
    return verdict.model_copy(update={"reason": f"seed {seed}, of {len(seeds)} seeds: {verdict.reason}"})


def _side(claim: Claim, replicate: Replicate) -> Side:
    tuned = pool(claim, tuned_figures(claim, replicate.tuned), replicate.base)
    return Side(replicate, tuned, pooled_controls(claim, replicate))


def _judge_figure(claim: Claim, sides: Sequence[Side]) -> Verdict:
    ours = sides[0]
    unknown = next((side for side in sides if side.tuned is None), None)
    if unknown is not None:
        return _inconclusive(claim, ours, _why_nothing(claim, unknown))
    tuned = [side.tuned for side in sides if side.tuned is not None]
    value = _compare(claim, [figure.value for figure in tuned])
    controls = _controls(claim, sides)
    shared_by = [control.name for control in controls if _accepts(claim, control.figure)]
    figure = tuned[0]
    status, reason = _decide(claim, ours, figure, value, tuned[1:], shared_by, controls)
    missing = sum(one.missing for one in tuned)
    if missing and status not in (Status.INCONCLUSIVE, _settled(claim)):
        status = Status.INCONCLUSIVE
        of = sum(one.matching for one in tuned)
        reason = f"{missing} of {of} matching layers have no figure (the fit failed); of the others, {reason}"
    complies = _accepts(claim, value)
    caveats = _caveats(claim, sides, tuned, complies and bool(shared_by))
    return Verdict(
        claim=claim,
        model=ours.replicate.tuned.cell.model,
        status=status,
        reason=reason,
        figure=value if math.isfinite(value) else None,
        layer=figure.layers[0] if figure.layers else None,
        controls=controls,
        caveats=caveats,
    )


def _settled(claim: Claim) -> Status | None:
    """Tell the verdict that layers without a figure cannot change."""
    if claim.versus is not None or claim.metric.spans_layers:
        return None
    return {"each": Status.FAILS, "any": Status.HOLDS}.get(claim.over)


def _judge_layers(claim: Claim, ours: Side, theirs: Side) -> Verdict:
    """Judge which layer changed most, here and there."""
    ranked = [_ranked(tuned_figures(claim, side.replicate.tuned)) for side in (ours, theirs)]
    unknown = next((side for side, layers in zip((ours, theirs), ranked, strict=True) if not layers), None)
    if unknown is not None:
        return _inconclusive(claim, ours, _why_nothing(claim, unknown))
    (top, figure), (their_top, their_figure) = (layers[0] for layers in ranked)
    unit = claim.metric.unit
    shown = (
        f"most changed: {top} ({figure:+.4g} {unit}) under {_name(ours)}, {their_top} ({their_figure:+.4g} {unit}) "
        f"under {_name(theirs)}"
    )
    asks_same = claim.comparator is Comparator.SAME_LAYER
    status = Status.HOLDS if (top == their_top) is asks_same else Status.FAILS
    controls, tops = _most_changed_controls(claim, ours)
    shared_by = [name for name, layer in tops.items() if asks_same and layer == top]
    unknown_control = next((name for name in _required_controls(claim, ours) if tops.get(name) is None), None)
    if status is Status.HOLDS and claim.robust and shared_by:
        status, shown = Status.FAILS, f"{shown}; but it changes most under the control {shared_by[0]} as well"
    elif status is Status.HOLDS and claim.robust and asks_same and unknown_control is not None:
        status, shown = Status.INCONCLUSIVE, f"{shown}, but nothing is known of the control {unknown_control}"
    if any(_is_tied(layers) for layers in ranked):
        status, shown = Status.INCONCLUSIVE, f"no single layer changed most; {shown}"
    if any(
        len(_ranked(figures)) < len(figures)
        for figures in (tuned_figures(claim, side.replicate.tuned) for side in (ours, theirs))
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
        controls=(ControlFigure(name=f"{their_top}, {_name(theirs)}", figure=their_figure), *controls),
        caveats=_caveats(claim, (ours, theirs), decided, top == their_top and bool(shared_by)),
    )


def _most_changed_controls(claim: Claim, ours: Side) -> tuple[tuple[ControlFigure, ...], dict[str, str]]:
    """Find the layer that changes most under each control; one with a layer missing is not known."""
    controls: list[ControlFigure] = []
    tops: dict[str, str] = {}
    for name, figures in control_figures(claim, ours.replicate).items():
        ranked = _ranked(figures)
        if name in _required_controls(claim, ours) and ranked and len(ranked) == len(figures):
            tops[name], figure = ranked[0]
            controls.append(ControlFigure(name=f"{name}: {tops[name]}", figure=figure))
    return tuple(controls), tops


def _is_tied(ranked: Sequence[tuple[str, float]]) -> bool:
    return len(ranked) < 2 or abs(ranked[0][1]) == abs(ranked[1][1])


def _ranked(figures: LayerFigures) -> list[tuple[str, float]]:
    known = [(name, figure) for name, figure in figures.items() if figure is not None and math.isfinite(figure)]
    return sorted(known, key=lambda entry: -abs(entry[1]))


def _accepts(claim: Claim, figure: float) -> bool:
    return claim.bound is not None and claim.comparator.accepts(figure, claim.bound)


def _compare(claim: Claim, figures: Sequence[float]) -> float:
    if claim.versus is None:
        return figures[0]
    ours, theirs = figures
    if claim.versus.by == "difference":
        return ours - theirs
    return abs(ours) / abs(theirs) if theirs else math.nan


def _controls(claim: Claim, sides: Sequence[Side]) -> tuple[ControlFigure, ...]:
    """Make each control's own figure as the tuned model's was made: is the claim true of it?"""
    controls = []
    for name in sides[0].controls:
        ranges = [side.controls.get(name) for side in sides]
        known = [ends for ends in ranges if ends is not None and not any(end.missing for end in ends)]
        if len(known) == len(sides):
            value = _compare_ranges(claim, [(low.value, high.value) for low, high in known])
            controls += [ControlFigure(name=name, figure=value)] if math.isfinite(value) else []
    return tuple(controls)


def _compare_ranges(claim: Claim, ranges: Sequence[tuple[float, float]]) -> float:
    if claim.versus is None:
        return favorable(claim, *ranges[0])
    if claim.versus.by == "ratio":  # of what noise may do at most: the least is often nothing, which divides nothing
        return _compare(claim, [max(ends, key=abs) for ends in ranges])
    (low, high), (their_low, their_high) = ranges
    return favorable(claim, low - their_high, high - their_low)


def _decide(
    claim: Claim,
    ours: Side,
    figure: Figure,
    value: float,
    theirs: Sequence[Figure],
    shared_by: Sequence[str],
    controls: Sequence[ControlFigure],
) -> tuple[Status, str]:
    shown = _show(claim, ours, figure, value, theirs)
    if not math.isfinite(value):
        return Status.INCONCLUSIVE, f"{shown}: there is no such comparison"
    if not _accepts(claim, value):
        return Status.FAILS, f"{shown}, not {claim.asked}"
    if claim.robust and claim.claims_change:
        known = {entry.name for entry in controls}
        for control in _required_controls(claim, ours):
            if control in shared_by:
                return Status.FAILS, f"{shown}, but the claim is true of the control {control} as well"
            if control not in known and not _shows_nothing(claim, ours, control):
                return Status.INCONCLUSIVE, f"{shown}, but there is no figure for the control {control}"
    shown_controls = ", ".join(f"{control.name} {control.figure:+.4g}" for control in controls)
    return Status.HOLDS, f"{shown}, {claim.asked}" + (f"; controls: {shown_controls}" if shown_controls else "")


def _required_controls(claim: Claim, ours: Side) -> tuple[str, ...]:
    if ours.replicate.sham is not None:
        return claim.against
    # trained elsewhere: noise and, of changes of alpha, rounding stand in for the sham
    stand_ins = ["noise"] if "noise" in ours.controls else []
    stand_ins += ["rounding"] if claim.metric.rests_on_alpha_change else []
    return tuple(dict.fromkeys([*(name for name in claim.against if name != "sham"), *stand_ins])) or claim.against


def _shows_nothing(claim: Claim, ours: Side, control: str) -> bool:
    """Whether a control was measured, and no layer changed under it that the claim could be about."""
    figures = control_figures(claim, ours.replicate).get(control, {})
    known = [figure for figure in figures.values() if figure is not None]
    return (
        claim.metric is Metric.CHANGED_DEPTH_PERCENT
        and bool(known)
        and len(known) == len(figures)
        and all(abs(figure) <= (claim.changed_beyond or 0.0) for figure in known)
    )


def _show(claim: Claim, ours: Side, figure: Figure, value: float, theirs: Sequence[Figure]) -> str:
    unit = claim.metric.unit
    if theirs:
        assert claim.versus is not None
        shown_pair = f"{figure.value:.4g} against {theirs[0].value:.4g} {unit}".rstrip()
        return f"{shown_pair}, a {claim.versus.by} of {value:.4g}"
    where = figure.layers[0] if figure.layers else ""
    if claim.metric is Metric.CHANGED_LAYERS:
        named = f" ({', '.join(figure.layers[:3])}{', …' if len(figure.layers) > 3 else ''})" if figure.layers else ""
        return f"{value:.0f} of {figure.matching} layers changed by more than {claim.changed_beyond:g} %{named}"
    if claim.metric is Metric.PARTICIPATION_RATIO:
        return f"{value:.1f} of {figure.matching} layers effectively share the change"
    if claim.over == "mean":
        return f"mean over {figure.matching - figure.missing} layers: {value:+.4g} {unit}".rstrip()
    shown = f"{where}: {value:+.4g} {unit}".rstrip()
    change = _changes(ours.replicate).get(where)
    alpha = change.alpha_change if change is not None else None
    if claim.robust and claim.metric is Metric.ALPHA_CHANGE_PERCENT and alpha is not None:
        shown += (
            f" with the tail held at {alpha.tail_before} eigenvalues "
            f"({alpha.total:+.4g} % as fitted, tail {alpha.tail_before} -> {alpha.tail_after})"
        )
    return shown


def _caveats(claim: Claim, sides: Sequence[Side], figures: Sequence[Figure], within_null: bool) -> tuple[Caveat, ...]:
    decided = [(side.replicate, layer) for side, figure in zip(sides, figures, strict=True) for layer in figure.layers]
    changes = [_changes(replicate).get(layer) for replicate, layer in decided]
    alphas = [change.alpha_change for change in changes if change is not None]
    moved: list[AlphaChange] = [alpha for alpha in alphas if alpha is not None]
    caveats = []
    if claim.metric.rests_on_alpha_change and any(alpha.tail_flip for alpha in moved):
        caveats.append(Caveat.TAIL_FLIP)
    if within_null and claim.claims_change:
        caveats.append(Caveat.WITHIN_NULL)
    if claim.metric.rests_on_alpha_change:
        tails = [min(alpha.tail_before, alpha.tail_after) for alpha in moved]
    else:
        is_alpha = claim.metric is Metric.ALPHA
        tails = [_tail(replicate.tuned, layer) for replicate, layer in decided] if is_alpha else []
    if any(tail < FEW_TAIL_EIGENVALUES for tail in tails):
        caveats.append(Caveat.FEW_EIGENVALUES)
    return tuple(caveats)


def _tail(record: CellRecord, layer: str) -> int:
    return next((one.fit.tail_size for one in record.spectra if one.name == layer and one.fit is not None), 0)


def _changes(replicate: Replicate) -> dict[str, LayerChange]:
    return {change.name: change for change in replicate.tuned.changes}


def _why_nothing(claim: Claim, side: Side) -> str:
    figures = tuned_figures(claim, side.replicate.tuned)
    if claim.metric is Metric.CHANGED_DEPTH_PERCENT and any(figure is not None for figure in figures.values()):
        return f"no layer's alpha changed by more than {claim.changed_beyond:g} %, so none lies anywhere"
    return f"no layer matching {claim.layer!r} has a figure for {claim.metric}"


def _inconclusive(claim: Claim, ours: Side, reason: str) -> Verdict:
    model = ours.replicate.tuned.cell.model
    return Verdict(claim=claim, model=model, status=Status.INCONCLUSIVE, reason=reason)


def _name(side: Side) -> str:
    return f"{side.replicate.tuned.cell.model}, {side.replicate.tuned.cell.label}"

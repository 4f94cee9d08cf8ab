"""Judging claims about weights: every matching layer, the tail held fixed where it must be robust, and the controls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from glob import escape

from stance_suite.judge.statistics import finite
from stance_suite.judge.structure.figures import Figure, favorable, known_figures, margin
from stance_suite.judge.structure.sides import Side, structural_caveats
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import Control, Role
from stance_suite.schema.layer_figures import LayerFigures
from stance_suite.schema.metrics import Caveat, Comparator, Metric
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.verdicts import ControlFigure, ReplicateCells, Status, Verdict


def judge_structure(claim: Claim, replicate: Replicate, counterpart: Replicate | None = None) -> Verdict:
    """Judge a claim about weights.

    Of many layers the verdict is about the one nearest to breaking the claim. HOLDS only if the claim is true of what
    is held against the bound (see `Claim.over`), nothing is missing that could change that, and, for a robust claim of
    change, it is not true of any of the controls that it names, all the layers taken together; of ``any`` layer, in
    that layer.
    """
    sides = [Side(claim, one) for one in (replicate, counterpart) if one is not None]
    if counterpart is not None and counterpart.tuned.key == replicate.tuned.key:
        reason = "a training compared with itself shows nothing"
        return Verdict(claim=claim, model=claim.model, status=Status.INCONCLUSIVE, reason=reason)
    in_its_layer = claim.robust and claim.over == "any" and claim.metric is not Metric.CHANGED_DEPTH_PERCENT
    if claim.comparator.compares_layers:
        judged = _judge_most_changed(claim, *sides)
    elif in_its_layer and counterpart is None:
        judged = _judge_any_robustly(claim, sides[0])
    else:
        judged = _judge_figure(claim, sides)
    lonely = not all(side.replicate.is_controlled for side in sides)
    caveats = (*judged.caveats, Caveat.NO_SHAM) if lonely else judged.caveats
    status, reason = judged.status, judged.reason
    ruled_out = [caveat for caveat in claim.unless if caveat in caveats]
    if status is Status.HOLDS and ruled_out:
        status, reason = Status.FAILS, f"{reason}; but {ruled_out[0]}, which the claim rules out"
    return judged.model_copy(
        update={
            "status": status,
            "reason": reason,
            "caveats": caveats,
            "replicates": (ReplicateCells.of(replicate),),
            "counterpart": () if counterpart is None else (ReplicateCells.of(counterpart),),
        }
    )


def worst(verdicts: Sequence[Verdict], seeds: Sequence[int]) -> Verdict:
    """Take the first verdict that is farthest from HOLDS, and name its seed: the claim must hold under every one."""
    order = (Status.HOLDS, Status.INCONCLUSIVE, Status.FAILS)
    seed, verdict = max(zip(seeds, verdicts, strict=True), key=lambda pair: order.index(pair[1].status))
    if len(seeds) == 1:
        return verdict
    return verdict.model_copy(update={"reason": f"seed {seed}, of {len(seeds)} seeds: {verdict.reason}"})


def _judge_figure(claim: Claim, sides: Sequence[Side]) -> Verdict:
    for side in sides:
        if side.tuned is None:
            return Verdict(claim=claim, model=claim.model, status=Status.INCONCLUSIVE, reason=side.why_nothing)
    tuned = [side.tuned for side in sides if side.tuned is not None]
    value = _compare(claim, [figure.value for figure in tuned])
    controls = _controls(claim, sides)
    shared_by = [one.control for one in controls if _accepts(claim, one.figure)]
    status, reason = _decide(sides[0], _show(sides[0], value, tuned), value, shared_by, controls)
    missing = sum(one.missing for one in tuned)
    if missing and status not in (Status.INCONCLUSIVE, _settled(claim)):
        status = Status.INCONCLUSIVE
        of = sum(one.matching for one in tuned)
        reason = f"{missing} of {of} matching layers have no figure (the fit failed); of the others, {reason}"
    decided = [(side, figure.layers) for side, figure in zip(sides, tuned, strict=True)]
    return Verdict(
        claim=claim,
        model=claim.model,
        status=status,
        reason=reason,
        figure=finite(value),
        layer=next(iter(tuned[0].layers), None),
        controls=controls,
        caveats=structural_caveats(claim, decided, within_null=_accepts(claim, value) and bool(shared_by)),
    )


def _judge_any_robustly(claim: Claim, ours: Side) -> Verdict:
    """Hold every layer against its own controls: what a control does elsewhere explains nothing here."""
    known = known_figures(ours.layers)
    if not any(_accepts(claim, figure) for figure in known.values()):
        return _judge_figure(claim, [ours])  # no control needs to be heard
    verdicts = []
    for name in ours.layers:
        if name not in known or _accepts(claim, known[name]):
            alone = claim.model_copy(update={"layer": escape(name)})
            verdicts.append(_judge_figure(alone, [Side(alone, ours.replicate)]))
    for status in (Status.HOLDS, Status.INCONCLUSIVE, Status.FAILS):
        found = [verdict for verdict in verdicts if verdict.status is status]
        if found:
            break
    nearest = max(found, key=lambda verdict: -math.inf if verdict.figure is None else margin(claim, verdict.figure))
    reason = nearest.reason
    if status is Status.HOLDS and len(found) > 1:
        reason = f"{len(found)} of {len(verdicts)} layers, such as {reason}"
    if status is Status.INCONCLUSIVE and len(verdicts) > 1:
        reason = f"{len(found)} of {len(verdicts)} layers cannot be judged, such as: {reason}"
    return nearest.model_copy(update={"claim": claim, "reason": reason})


def _judge_most_changed(claim: Claim, ours: Side, theirs: Side) -> Verdict:
    """Judge which layer changed most, here and there; a robust claim of the same fails if it is a control's, too."""
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
    unknown = [control for control in ours.required_controls if control not in controls]
    if status is Status.HOLDS and claim.robust and shared_by:
        status, shown = Status.FAILS, f"{shown}; but it changes most under the control {shared_by[0]} as well"
    elif status is Status.HOLDS and claim.robust and asks_same and unknown:
        status, shown = Status.INCONCLUSIVE, f"{shown}, but nothing is known of the control {unknown[0]}"
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


def _settled(claim: Claim) -> Status | None:
    """Tell the verdict that layers without a figure cannot change."""
    if claim.versus is not None or claim.metric.spans_layers:
        return None
    return {"each": Status.FAILS, "any": Status.HOLDS}.get(claim.over)


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
    for control in sides[0].controls:
        ranges = [side.controls.get(control) for side in sides]
        known = [ends for ends in ranges if ends is not None and not any(end.missing for end in ends)]
        if len(known) == len(sides):
            value = _compare_ranges(claim, [(low.value, high.value) for low, high in known])
            if math.isfinite(value):
                controls.append(ControlFigure(control=control, role=Role.OWN_FIGURE, figure=value))
    return tuple(controls)


def _compare_ranges(claim: Claim, ranges: Sequence[tuple[float, float]]) -> float:
    if claim.versus is None:
        return favorable(claim, *ranges[0])
    if claim.versus.by == "ratio":  # of what noise may do at most: the least is often nothing, which divides nothing
        return _compare(claim, [max(ends, key=abs) for ends in ranges])
    (low, high), (their_low, their_high) = ranges
    return favorable(claim, low - their_high, high - their_low)


def _decide(
    ours: Side, shown: str, value: float, shared_by: Sequence[Control | None], controls: Sequence[ControlFigure]
) -> tuple[Status, str]:
    claim = ours.claim
    if not math.isfinite(value):
        return Status.INCONCLUSIVE, f"{shown}: there is no such comparison"
    if not _accepts(claim, value):
        return Status.FAILS, f"{shown}, not {claim.asked}"
    if claim.robust and claim.claims_change:
        known = {entry.control for entry in controls}
        for control in ours.required_controls:
            if control in shared_by:
                return Status.FAILS, f"{shown}, but the claim is true of the control {control} as well"
            if control not in known and not _shows_nothing(ours, control):
                return Status.INCONCLUSIVE, f"{shown}, but there is no figure for the control {control}"
    shown_controls = ", ".join(f"{control.name} {control.figure:+.4g}" for control in controls)
    return Status.HOLDS, f"{shown}, {claim.asked}" + (f"; controls: {shown_controls}" if shown_controls else "")


def _shows_nothing(ours: Side, control: Control) -> bool:
    """Whether a control was measured, and no layer changed under it that the claim could be about."""
    figures = ours.layers_of_controls.get(control, {})
    known = [figure for figure in figures.values() if figure is not None]
    return (
        ours.claim.metric is Metric.CHANGED_DEPTH_PERCENT
        and bool(known)
        and len(known) == len(figures)
        and all(abs(figure) <= (ours.claim.changed_beyond or 0.0) for figure in known)
    )


def _show(ours: Side, value: float, tuned: Sequence[Figure]) -> str:
    claim, figure, unit = ours.claim, tuned[0], ours.claim.metric.unit
    if claim.versus is not None:
        shown_pair = f"{figure.value:.4g} against {tuned[1].value:.4g} {unit}".rstrip()
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
    change = ours.changes.get(where)
    alpha = change.alpha_change if change is not None else None
    if claim.robust and claim.metric is Metric.ALPHA_CHANGE_PERCENT and alpha is not None:
        shown += (
            f" with the tail held at {alpha.tail_before} eigenvalues "
            f"({alpha.total:+.4g} % as fitted, tail {alpha.tail_before} -> {alpha.tail_after})"
        )
    return shown

"""Judging claims about weights: every matching layer, the tail held fixed where it must be robust, and the controls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from glob import escape

from stance_suite.judge.structure.controls import control_figures, favorable
from stance_suite.judge.structure.most_changed import judge_most_changed
from stance_suite.judge.structure.pooling import Figure, margin
from stance_suite.judge.structure.sides import (
    Side,
    inconclusive,
    required_controls,
    side_of,
    structural_caveats,
    why_nothing,
)
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import Control, Role
from stance_suite.schema.layer_figures import layer_figures
from stance_suite.schema.metrics import Caveat, Metric
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.verdicts import ControlFigure, ReplicateCells, Status, Verdict


def judge_structure(claim: Claim, replicate: Replicate, counterpart: Replicate | None = None) -> Verdict:
    """Judge a claim about weights.

    Of many layers the verdict is about the one nearest to breaking the claim. HOLDS only if the claim is true of what
    is held against the bound (see `Claim.over`), nothing is missing that could change that, and, for a robust claim of
    change, it is not true of any of the controls that it names, all the layers taken together; of ``any`` layer, in
    that layer.
    """
    sides = [side_of(claim, one) for one in (replicate, counterpart) if one is not None]
    if counterpart is not None and counterpart.tuned.key == replicate.tuned.key:
        return inconclusive(claim, sides[0], "a training compared with itself shows nothing")
    if claim.comparator.compares_layers:
        judged = judge_most_changed(claim, *sides)
    elif (
        claim.robust
        and claim.over == "any"
        and counterpart is None
        and claim.metric is not Metric.CHANGED_DEPTH_PERCENT
    ):
        judged = _judge_any_robustly(claim, replicate)
    else:
        judged = _judge_figure(claim, sides)
    caveats = list(judged.caveats)
    if not all(side.replicate.is_controlled for side in sides):
        caveats.append(Caveat.NO_SHAM)
    status, reason = judged.status, judged.reason
    ruled_out = [caveat for caveat in claim.unless if caveat in caveats]
    if status is Status.HOLDS and ruled_out:
        status, reason = Status.FAILS, f"{reason}; but {ruled_out[0]}, which the claim rules out"
    return judged.model_copy(
        update={
            "status": status,
            "reason": reason,
            "caveats": tuple(dict.fromkeys(caveats)),
            "replicates": (ReplicateCells.of(replicate),),
            "counterpart": () if counterpart is None else (ReplicateCells.of(counterpart),),
        }
    )


def worst(verdicts: Sequence[Verdict], seeds: Sequence[int]) -> Verdict:
    """Take the verdict that is farthest from HOLDS: a structural claim must hold under every seed.

    Of equals the first; FAILS is farther than INCONCLUSIVE. With several seeds its reason names its.
    """
    order = (Status.HOLDS, Status.INCONCLUSIVE, Status.FAILS)
    seed, verdict = max(zip(seeds, verdicts, strict=True), key=lambda pair: order.index(pair[1].status))
    if len(seeds) == 1:
        return verdict
    return verdict.model_copy(update={"reason": f"seed {seed}, of {len(seeds)} seeds: {verdict.reason}"})


def _judge_figure(claim: Claim, sides: Sequence[Side]) -> Verdict:
    ours = sides[0]
    unknown = next((side for side in sides if side.tuned is None), None)
    if unknown is not None:
        return inconclusive(claim, ours, why_nothing(claim, unknown))
    tuned = [side.tuned for side in sides if side.tuned is not None]
    value = _compare(claim, [figure.value for figure in tuned])
    controls = _controls(claim, sides)
    shared_by = [one.control for one in controls if _accepts(claim, one.figure)]
    figure = tuned[0]
    status, reason = _decide(claim, ours, figure, value, tuned[1:], shared_by, controls)
    missing = sum(one.missing for one in tuned)
    if missing and status not in (Status.INCONCLUSIVE, _settled(claim)):
        status = Status.INCONCLUSIVE
        of = sum(one.matching for one in tuned)
        reason = f"{missing} of {of} matching layers have no figure (the fit failed); of the others, {reason}"
    complies = _accepts(claim, value)
    caveats = structural_caveats(claim, sides, tuned, within_null=complies and bool(shared_by))
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


def _judge_any_robustly(claim: Claim, replicate: Replicate) -> Verdict:
    """Hold every layer against its own controls: what a control does elsewhere explains nothing here."""
    ours = side_of(claim, replicate)
    if ours.tuned is None:
        return inconclusive(claim, ours, why_nothing(claim, ours))
    figures = layer_figures(claim, replicate.tuned)
    if not any(figure is not None and _accepts(claim, figure) for figure in figures.values()):
        return _judge_figure(claim, [ours])  # no control needs to be heard
    verdicts = []
    for name, figure in figures.items():
        if figure is not None and math.isfinite(figure) and not _accepts(claim, figure):
            continue
        alone = claim.model_copy(update={"layer": escape(name), "over": "each"})
        verdicts.append(_judge_figure(alone, [side_of(alone, replicate)]))
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
    claim: Claim,
    ours: Side,
    figure: Figure,
    value: float,
    theirs: Sequence[Figure],
    shared_by: Sequence[Control | None],
    controls: Sequence[ControlFigure],
) -> tuple[Status, str]:
    shown = _show(claim, ours, figure, value, theirs)
    if not math.isfinite(value):
        return Status.INCONCLUSIVE, f"{shown}: there is no such comparison"
    if not _accepts(claim, value):
        return Status.FAILS, f"{shown}, not {claim.asked}"
    if claim.robust and claim.claims_change:
        known = {entry.control for entry in controls}
        for control in required_controls(claim, ours):
            if control in shared_by:
                return Status.FAILS, f"{shown}, but the claim is true of the control {control} as well"
            if control not in known and not _shows_nothing(claim, ours, control):
                return Status.INCONCLUSIVE, f"{shown}, but there is no figure for the control {control}"
    shown_controls = ", ".join(f"{control.name} {control.figure:+.4g}" for control in controls)
    return Status.HOLDS, f"{shown}, {claim.asked}" + (f"; controls: {shown_controls}" if shown_controls else "")


def _shows_nothing(claim: Claim, ours: Side, control: Control) -> bool:
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
    change = ours.changes.get(where)
    alpha = change.alpha_change if change is not None else None
    if claim.robust and claim.metric is Metric.ALPHA_CHANGE_PERCENT and alpha is not None:
        shown += (
            f" with the tail held at {alpha.tail_before} eigenvalues "
            f"({alpha.total:+.4g} % as fitted, tail {alpha.tail_before} -> {alpha.tail_after})"
        )
    return shown

"""Judging claims about weights: every matching layer, the tail held fixed where it must be robust, and the controls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from glob import escape

from stance_suite.judge.statistics import finite
from stance_suite.judge.structure.controls import (
    accepts,
    compare,
    control_figures,
    is_drawn,
    may_show,
    shows,
    shows_nothing,
)
from stance_suite.judge.structure.figures import Figure, known_figures, margin
from stance_suite.judge.structure.ranking import judge_most_changed
from stance_suite.judge.structure.sides import Side, structural_caveats
from stance_suite.schema.claims import Claim
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
    sides = [Side(claim, one) for one in (replicate, counterpart) if one is not None]
    if counterpart is not None and counterpart.tuned.key == replicate.tuned.key:
        reason = "a training compared with itself shows nothing"
        return Verdict(claim=claim, model=claim.model, status=Status.INCONCLUSIVE, reason=reason)
    in_its_layer = claim.robust and claim.over == "any" and claim.metric is not Metric.CHANGED_DEPTH_PERCENT
    if claim.comparator.compares_layers:
        judged = judge_most_changed(claim, *sides)
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


def middle(verdicts: Sequence[Verdict], seeds: Sequence[int]) -> Verdict:
    """Take the seed in the middle, by verdict and then by figure, and name all: chance may lose or win any one of them.

    Of an even number it is the one farther from HOLDS of the two in the middle: a claim holds if it does under more
    than half of the seeds.
    """
    if len(seeds) == 1:
        return verdicts[0]
    order = (Status.FAILS, Status.INCONCLUSIVE, Status.HOLDS)

    def rank(place: int) -> tuple[int, float]:
        verdict = verdicts[place]
        near = -math.inf if verdict.figure is None else margin(verdict.claim, verdict.figure)
        return order.index(verdict.status), near

    chosen = sorted(range(len(seeds)), key=rank)[(len(seeds) - 1) // 2]
    first = [chosen, *(place for place in range(len(seeds)) if place != chosen)]
    told = ", ".join(f"{verdict.status} under {seed}" for seed, verdict in zip(seeds, verdicts, strict=True))
    return verdicts[chosen].model_copy(
        update={
            "reason": f"seed {seeds[chosen]}, of {len(seeds)} seeds ({told}): {verdicts[chosen].reason}",
            "replicates": tuple(one for place in first for one in verdicts[place].replicates),
            "counterpart": tuple(one for place in first for one in verdicts[place].counterpart),
        }
    )


def _judge_figure(claim: Claim, sides: Sequence[Side]) -> Verdict:
    for side in sides:
        if side.tuned is None:
            return Verdict(claim=claim, model=claim.model, status=Status.INCONCLUSIVE, reason=side.why_nothing)
    tuned = [side.tuned for side in sides if side.tuned is not None]
    value = compare(claim, [figure.value for figure in tuned])
    controls = control_figures(claim, sides)
    status, reason = _decide(sides[0], _show(sides[0], value, tuned), value, controls)
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
        caveats=structural_caveats(
            claim,
            decided,
            within_null=accepts(claim, value) and any(may_show(claim, one) for one in controls),
            insensitive=accepts(claim, value) and any(is_drawn(one) and shows(claim, one) for one in controls),
        ),
    )


def _judge_any_robustly(claim: Claim, ours: Side) -> Verdict:
    """Hold every layer against its own controls: what a control does elsewhere explains nothing here."""
    known = known_figures(ours.layers)
    if not any(accepts(claim, figure) for figure in known.values()):
        return _judge_figure(claim, [ours])  # no control needs to be heard
    verdicts = []
    for name in ours.layers:
        if name not in known or accepts(claim, known[name]):
            alone = claim.model_copy(update={"layer": escape(name)})
            verdicts.append(_judge_figure(alone, [Side(alone, ours.replicate, ours)]))
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


def _decide(ours: Side, shown: str, value: float, controls: Sequence[ControlFigure]) -> tuple[Status, str]:
    claim = ours.claim
    if not math.isfinite(value):
        return Status.INCONCLUSIVE, f"{shown}: there is no such comparison"
    if not accepts(claim, value):
        return Status.FAILS, f"{shown}, not {claim.asked}"
    if claim.robust and claim.claims_change:
        for found in (_refuted_by(ours, controls), _left_open_by(ours, controls)):
            if found is not None:
                status, why = found
                return status, f"{shown}, but {why}"
    shown_controls = ", ".join(f"{control.name} {control.figure:+.4g}" for control in controls)
    return Status.HOLDS, f"{shown}, {claim.asked}" + (f"; controls: {shown_controls}" if shown_controls else "")


def _refuted_by(ours: Side, controls: Sequence[ControlFigure]) -> tuple[Status, str] | None:
    for entry in controls:
        if entry.control in ours.required_controls and shows(ours.claim, entry):
            return Status.FAILS, f"the claim is true of the control {entry.control} as well"
    return None


def _left_open_by(ours: Side, controls: Sequence[ControlFigure]) -> tuple[Status, str] | None:
    known = {entry.control: entry for entry in controls}
    for control in ours.required_controls:
        if control in known and may_show(ours.claim, entry := known[control]):
            told = f"{entry.figure:+.4g}, somewhere from {entry.low:+.4g} to {entry.high:+.4g}"
            return Status.INCONCLUSIVE, f"it may be true of the control {control} as well ({told})"
        if control not in known and not shows_nothing(ours, control):
            return Status.INCONCLUSIVE, f"there is no figure for the control {control}"
    return None


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

"""Judging claims about weights: every matching layer, the tail held fixed where it must be robust, and the controls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from stance_suite.claims import Caveat, Claim, Comparator, ControlFigure, Metric, Status, Verdict
from stance_suite.records import CellRecord
from stance_suite.spectrum_records import AlphaChange, LayerChange, NoiseControl, NoiseRange, WeightChange

FEW_TAIL_EIGENVALUES = 50


def judge_structure(claim: Claim, tuned: CellRecord, base: CellRecord, sham: CellRecord) -> Verdict:
    """Judge a claim about weights.

    Parameters
    ----------
    claim : Claim
        With a structural metric.
    tuned, base, sham : CellRecord
        The trained cell, its baseline and its sham control.

    Returns
    -------
    Verdict
        About the layer nearest to breaking the claim. HOLDS only if the claim is true of every matching layer and, for
        a robust claim of change, not true of all these layers under any of the controls it names.
    """
    cells = (tuned.key, base.key, sham.key)
    changes = _matching(claim, tuned)
    figures = {change.name: _figure(claim, change) for change in changes}
    measured = _measured(figures)
    if not measured:
        reason = f"no layer matching {claim.layer!r} has a figure for {claim.metric}"
        return Verdict(claim=claim, model=tuned.cell.model, status=Status.INCONCLUSIVE, reason=reason, cells=cells)
    name = min(measured, key=lambda layer: _margin(claim, measured[layer]))
    change = next(candidate for candidate in changes if candidate.name == name)
    controls = _controls(claim, changes, _matching(claim, sham))
    shared_by = [control.name for control in controls if claim.comparator.accepts(control.figure, claim.bound)]
    status, reason = _decide(claim, change, measured[name], shared_by, controls)
    unmeasured = len(figures) - len(measured)
    if status is Status.HOLDS and unmeasured:
        status = Status.INCONCLUSIVE
        reason = f"{unmeasured} of {len(figures)} matching layers have no figure (the fit failed); the others comply"
    complies = claim.comparator.accepts(measured[name], claim.bound)
    caveats = _caveats(claim, change, complies and bool(shared_by))
    ruled_out = [caveat for caveat in claim.unless if caveat in caveats]
    if status is Status.HOLDS and ruled_out:
        status, reason = Status.FAILS, f"{reason}; but {ruled_out[0]}, which the claim rules out"
    return Verdict(
        claim=claim,
        model=tuned.cell.model,
        status=status,
        reason=reason,
        figure=measured[name],
        layer=name,
        controls=controls,
        caveats=caveats,
        cells=cells,
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


def _matching(claim: Claim, record: CellRecord) -> list[LayerChange]:
    return [change for change in record.changes if fnmatchcase(change.name, claim.layer or "")]


def _measured(figures: Mapping[str, float | None]) -> dict[str, float]:
    return {name: figure for name, figure in figures.items() if figure is not None and math.isfinite(figure)}


def _claims_change(claim: Claim) -> bool:
    return claim.comparator is not Comparator.WITHIN


def _decide(
    claim: Claim, change: LayerChange, figure: float, shared_by: Sequence[str], controls: Sequence[ControlFigure]
) -> tuple[Status, str]:
    shown = f"{change.name}: {figure:+.4g} {claim.metric.unit}".rstrip()
    asked = f"{claim.comparator} {claim.bound:g}"
    if claim.robust and claim.metric is Metric.ALPHA_CHANGE_PERCENT and change.alpha_change is not None:
        alpha = change.alpha_change
        shown += (
            f" with the tail held at {alpha.tail_before} eigenvalues "
            f"({alpha.total:+.4g} % as fitted, tail {alpha.tail_before} -> {alpha.tail_after})"
        )
    if not claim.comparator.accepts(figure, claim.bound):
        return Status.FAILS, f"{shown}, not {asked}"
    if claim.robust and _claims_change(claim):
        for control in claim.against:
            if control not in {entry.name for entry in controls}:
                return Status.INCONCLUSIVE, f"{shown}, but there is no figure for the control {control}"
            if control in shared_by:
                return Status.FAILS, f"{shown}, but the claim is true of the control {control} as well"
    shown_controls = ", ".join(f"{control.name} {control.figure:+.4g}" for control in controls)
    return Status.HOLDS, f"{shown}, {asked}" + (f"; controls: {shown_controls}" if shown_controls else "")


def _caveats(claim: Claim, change: LayerChange, within_null: bool) -> tuple[Caveat, ...]:
    alpha = change.alpha_change if claim.metric is Metric.ALPHA_CHANGE_PERCENT else None
    caveats = []
    if alpha is not None and alpha.tail_flip:
        caveats.append(Caveat.TAIL_FLIP)
    if within_null and _claims_change(claim):
        caveats.append(Caveat.WITHIN_NULL)
    if alpha is not None and min(alpha.tail_before, alpha.tail_after) < FEW_TAIL_EIGENVALUES:
        caveats.append(Caveat.FEW_EIGENVALUES)
    return tuple(caveats)


def _controls(claim: Claim, changes: Sequence[LayerChange], sham: Sequence[LayerChange]) -> tuple[ControlFigure, ...]:
    """Figure of each control at the control's own layer nearest to breaking the claim: is the claim true of it?"""
    figures = {
        "sham": {change.name: _figure(claim, change) for change in sham},
        "noise": {change.name: _noise_figure(claim, change) for change in changes},
    }
    controls = []
    for name, by_layer in figures.items():
        measured = _measured(by_layer)
        if measured and len(measured) == len(by_layer):
            nearest = min(measured.values(), key=lambda figure: _margin(claim, figure))
            controls.append(ControlFigure(name=name, figure=nearest))
    return tuple(controls)


def _figure(claim: Claim, change: LayerChange) -> float | None:
    if claim.metric is Metric.ALPHA_CHANGE_PERCENT:
        return None if change.alpha_change is None else _alpha_figure(claim, change.alpha_change)
    if claim.metric is Metric.RELATIVE_CHANGE_PERCENT:
        return 0.0 if change.weight_change is None else 100 * change.weight_change.relative_norm
    return None if change.weight_change is None else _shape_figure(claim.metric, change.weight_change)


def _noise_figure(claim: Claim, change: LayerChange) -> float | None:
    """Take the end of the noise's 95 % range where the claim is likeliest to be true of it."""
    # noise has the norm of the change by construction: as a control of the norm it says nothing
    if change.noise is None or claim.metric is Metric.RELATIVE_CHANGE_PERCENT:
        return None
    drawn, unit = _noise_range(claim, change.noise)
    if drawn is None:
        return None
    match claim.comparator:
        case Comparator.ABOVE:
            return unit * drawn.high
        case Comparator.BELOW:
            return unit * drawn.low
        case Comparator.WITHIN | Comparator.BEYOND:
            return unit * max(drawn.low, drawn.high, key=abs)


def _noise_range(claim: Claim, noise: NoiseControl) -> tuple[NoiseRange | None, float]:
    match claim.metric:
        case Metric.ALPHA_CHANGE_PERCENT:
            return (noise.alpha_spectrum if claim.robust else noise.alpha_total), 1.0
        case Metric.CHANGE_STABLE_RANK:
            return noise.stable_rank, 1.0
    return noise.top_ten_energy, 100.0


def _alpha_figure(claim: Claim, change: AlphaChange) -> float:
    return change.spectrum if claim.robust else change.total


def _shape_figure(metric: Metric, shape: WeightChange) -> float:
    return shape.stable_rank if metric is Metric.CHANGE_STABLE_RANK else 100 * shape.top_ten_energy


def _margin(claim: Claim, figure: float) -> float:
    """How far a figure is from breaking the claim; negative where it does."""
    match claim.comparator:
        case Comparator.ABOVE:
            return figure - claim.bound
        case Comparator.BELOW:
            return claim.bound - figure
        case Comparator.WITHIN:
            return claim.bound - abs(figure)
        case Comparator.BEYOND:
            return abs(figure) - claim.bound

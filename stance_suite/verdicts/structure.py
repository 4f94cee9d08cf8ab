"""Judging claims about weights: every matching layer, the tail held fixed where it must be robust, and the controls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase

from stance_suite.claims import Caveat, Claim, Comparator, ControlFigure, Metric, Status, Verdict
from stance_suite.records import AlphaChange, CellRecord, LayerChange, NoiseControl, WeightChange

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
        About the layer nearest to breaking the claim. HOLDS only if every matching layer complies and, for a robust
        claim of change, no control does.
    """
    assert claim.layer is not None
    cells = (tuned.key, base.key, sham.key)
    sham_changes = {change.name: change for change in sham.changes}
    tail_sizes = {layer.name: layer.fit.tail_size for layer in base.spectra if layer.fit is not None}
    matching = [change for change in tuned.changes if fnmatchcase(change.name, claim.layer)]
    figures = {change.name: _figure(claim, change) for change in matching}
    measured = {name: figure for name, figure in figures.items() if figure is not None and math.isfinite(figure)}
    if not measured:
        reason = f"no layer matching {claim.layer!r} has a figure for {claim.metric}"
        return Verdict(claim=claim, model=tuned.cell.model, status=Status.INCONCLUSIVE, reason=reason, cells=cells)
    name = min(measured, key=lambda layer: _margin(claim, measured[layer]))
    figure = measured[name]
    change = next(candidate for candidate in matching if candidate.name == name)
    controls = _structural_controls(claim, change, sham_changes.get(name))
    complies = claim.comparator.accepts(figure, claim.bound)
    shared_by = [control.name for control in controls if claim.comparator.accepts(control.figure, claim.bound)]
    caveats = _structural_caveats(claim, change, complies and bool(shared_by), tail_sizes.get(name))
    status, reason = _decide_structure(claim, name, figure, complies, shared_by, controls, change)
    unmeasured = len(figures) - len(measured)
    if status is Status.HOLDS and unmeasured:
        status = Status.INCONCLUSIVE
        reason = f"{unmeasured} of {len(figures)} matching layers have no figure (the fit failed); the others comply"
    return Verdict(
        claim=claim,
        model=tuned.cell.model,
        status=status,
        reason=reason,
        figure=figure,
        layer=name,
        controls=controls,
        caveats=caveats,
        cells=cells,
    )


def _claims_change(claim: Claim) -> bool:
    return claim.comparator is not Comparator.WITHIN


def _decide_structure(
    claim: Claim,
    name: str,
    figure: float,
    complies: bool,
    shared_by: list[str],
    controls: Sequence[ControlFigure],
    change: LayerChange,
) -> tuple[Status, str]:
    shown = f"{name}: {figure:+.4g} {claim.metric.unit}".rstrip()
    asked = f"{claim.comparator} {claim.bound:g}"
    if claim.robust and claim.metric is Metric.ALPHA_CHANGE_PERCENT and change.alpha_change is not None:
        shown += (
            f" with the tail held at {change.alpha_change.tail_before} eigenvalues "
            f"({change.alpha_change.total:+.4g} % as fitted, tail {change.alpha_change.tail_before} -> "
            f"{change.alpha_change.tail_after})"
        )
    if not complies:
        return Status.FAILS, f"{shown}, not {asked}"
    missing = [control for control in claim.against if control not in {entry.name for entry in controls}]
    if claim.robust and _claims_change(claim):
        if missing:
            return Status.INCONCLUSIVE, f"{shown}, but there is no figure for the control {missing[0]}"
        facing = [control for control in shared_by if control in claim.against]
        if facing:
            return Status.FAILS, f"{shown}, but the control {facing[0]} is {asked} as well"
    shown_controls = ", ".join(f"{control.name} {control.figure:+.4g}" for control in controls)
    return Status.HOLDS, f"{shown}, {asked}" + (f"; controls: {shown_controls}" if shown_controls else "")


def _structural_caveats(claim: Claim, change: LayerChange, within_null: bool, tail: int | None) -> tuple[Caveat, ...]:
    about_alpha = claim.metric is Metric.ALPHA_CHANGE_PERCENT
    caveats = []
    if about_alpha and change.alpha_change is not None and change.alpha_change.tail_flip:
        caveats.append(Caveat.TAIL_FLIP)
    if within_null and _claims_change(claim):
        caveats.append(Caveat.WITHIN_NULL)
    if about_alpha and tail is not None and tail < FEW_TAIL_EIGENVALUES:
        caveats.append(Caveat.FEW_EIGENVALUES)
    return tuple(caveats)


def _structural_controls(claim: Claim, change: LayerChange, sham: LayerChange | None) -> tuple[ControlFigure, ...]:
    figures = {
        "sham": None if sham is None else _figure(claim, sham),
        "noise": None if change.noise is None else _noise_figure(claim, change.noise, change.weight_change),
    }
    return tuple(
        ControlFigure(name=name, figure=figure)
        for name, figure in figures.items()
        if figure is not None and math.isfinite(figure)
    )


def _figure(claim: Claim, change: LayerChange) -> float | None:
    if claim.metric is Metric.ALPHA_CHANGE_PERCENT:
        return None if change.alpha_change is None else _alpha_figure(claim, change.alpha_change)
    if change.weight_change is None:
        return 0.0 if claim.metric is Metric.RELATIVE_CHANGE_PERCENT else None
    return _weight_figure(claim.metric, change.weight_change.relative_norm, change.weight_change)


def _noise_figure(claim: Claim, noise: NoiseControl, change: WeightChange | None) -> float | None:
    if claim.metric is Metric.ALPHA_CHANGE_PERCENT:
        return None if noise.alpha_change is None else _alpha_figure(claim, noise.alpha_change)
    # noise has the norm of dW by construction
    return _weight_figure(claim.metric, change.relative_norm if change else 0.0, noise)


def _alpha_figure(claim: Claim, change: AlphaChange) -> float:
    return change.spectrum if claim.robust else change.total


def _weight_figure(metric: Metric, relative_norm: float, shape: WeightChange | NoiseControl) -> float:
    match metric:
        case Metric.RELATIVE_CHANGE_PERCENT:
            return 100 * relative_norm
        case Metric.CHANGE_STABLE_RANK:
            return shape.stable_rank
        case _:
            return 100 * shape.top_ten_energy


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

"""Judging claims: pure functions from a claim and measured cells to a verdict.

A behavioral claim of change must be significant, and at least as large as the claim says, against the base model *and*
against the sham, and larger than the shift toward any other stance. A robust structural claim is judged with the tail
size held fixed and must not be true of its controls. Whatever cannot be measured is INCONCLUSIVE, never HOLDS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np

from stance_suite.claims import Caveat, Claim, Comparator, ControlFigure, Metric, PromptScores, Status, Verdict
from stance_suite.records import AlphaChange, Behavior, CellRecord, LayerChange, NoiseControl, WeightChange
from stance_suite.specs import Stance
from stance_suite.statistics import Array, PairedEffect, paired_effect

FEW_TAIL_EIGENVALUES = 50


def not_run(claim: Claim, model: str, reason: str) -> Verdict:
    """Say that a claim was not judged.

    Parameters
    ----------
    claim : Claim
        The claim.
    model : str
        The model it is about.
    reason : str
        Why it was not judged, and how it could be.

    Returns
    -------
    Verdict
        With status NOT_RUN.
    """
    return Verdict(claim=claim, model=model, status=Status.NOT_RUN, reason=reason)


def prompt_scores(
    behavior: Behavior, metric: Metric, stance: str, others: Sequence[str], prompts: Sequence[str]
) -> Array:
    """Score every prompt for one stance against others.

    Parameters
    ----------
    behavior : Behavior
        What was measured.
    metric : Metric
        ``likelihood_preference``: log-probability of the stance's references minus the mean over the others;
        ``embedding_shift``: cosine to the stance's centroid minus the mean over the others, averaged over samples.
    stance : str
        The stance scored for.
    others : sequence of str
        The stances scored against.
    prompts : sequence of str
        Prompts to score.

    Returns
    -------
    ndarray of shape (prompts,)
        One score a prompt; NaN where nothing was measured.
    """

    def contrast(scores: dict[str, float]) -> float:
        return scores[stance] - sum(scores[other] for other in others) / len(others)

    by_prompt: dict[str, list[float]] = {prompt: [] for prompt in prompts}
    if metric is Metric.LIKELIHOOD_PREFERENCE:
        for likelihood in behavior.likelihoods:
            by_prompt.get(likelihood.prompt, []).append(contrast(likelihood.log_probability))
    else:
        for response in behavior.responses:
            by_prompt.get(response.prompt, []).append(contrast(response.similarity))
    return np.array([sum(scores) / len(scores) if scores else math.nan for scores in by_prompt.values()])


def judge_behavior(
    claim: Claim, stance: Stance, tuned: CellRecord, base: CellRecord, sham: CellRecord, significance: float
) -> Verdict:
    """Judge a claim about behavior.

    Parameters
    ----------
    claim : Claim
        With a behavioral metric.
    stance : Stance
        The stance that the model was trained on.
    tuned, base, sham : CellRecord
        The trained cell and its two controls, measured with the same prompts.
    significance : float
        Level each of the two tests must reach, corrected for the family of claims.

    Returns
    -------
    Verdict
        HOLDS if both contrasts are significant and beyond the bound and the shift is specific; FAILS if an interval
        excludes the bound or the shift is not specific; INCONCLUSIVE otherwise.
    """
    sign = -1.0 if claim.comparator is Comparator.BELOW else 1.0
    family = (stance.name, *stance.contrasts)

    def scores(record: CellRecord, name: str) -> Array:
        others = [other for other in family if other != name]
        return prompt_scores(record.behavior, claim.metric, name, others, stance.held_out_prompts)

    of_tuned, of_base, of_sham = (scores(record, stance.name) for record in (tuned, base, sham))
    versus = {"base": paired_effect(of_tuned - of_base), "sham": paired_effect(of_tuned - of_sham)}
    off_stance = {name: float(np.mean(scores(tuned, name) - scores(base, name))) for name in stance.contrasts}
    sham_alone = float(np.mean(of_sham - of_base))
    effect = versus["base"]
    caveats = []
    if any(sign * shift >= sign * effect.effect for shift in off_stance.values()):
        caveats.append(Caveat.NOT_SPECIFIC)
    if sign * sham_alone >= sign * effect.effect:
        caveats.append(Caveat.WITHIN_NULL)
    status, reason = _decide_behavior(claim, versus, sign, significance, off_stance)
    controls = [_control_figure(name, measured) for name, measured in versus.items()]
    controls.append(ControlFigure(name="sham - base", figure=sham_alone))
    controls += [ControlFigure(name=f"toward {name}", figure=shift) for name, shift in off_stance.items()]
    return Verdict(
        claim=claim,
        model=tuned.cell.model,
        status=status,
        reason=reason,
        figure=effect.effect,
        low=effect.low,
        high=effect.high,
        p_value=max(versus["base"].p_value, versus["sham"].p_value),
        controls=tuple(controls),
        prompts=tuple(
            PromptScores(prompt=prompt, base=before, sham=control, tuned=after)
            for prompt, before, control, after in zip(stance.held_out_prompts, of_base, of_sham, of_tuned, strict=True)
        ),
        caveats=tuple(caveats),
        cells=(tuned.key, base.key, sham.key),
    )


def _decide_behavior(
    claim: Claim, versus: dict[str, PairedEffect], sign: float, significance: float, off_stance: dict[str, float]
) -> tuple[Status, str]:
    unit = claim.metric.unit
    for name, measured in versus.items():
        if math.isnan(measured.p_value):
            return Status.INCONCLUSIVE, f"no test against {name}: the differences are missing or all equal"
    for name, measured in versus.items():
        far_end = measured.high if sign > 0 else measured.low
        if far_end is not None and sign * far_end < sign * claim.bound:
            return Status.FAILS, (
                f"against {name} the effect is {measured.effect:+.3f} {unit} and its interval ends at {far_end:+.3f}, "
                f"short of the claimed {claim.bound:+g}"
            )
    for name, measured in versus.items():
        if measured.p_value > significance:
            return Status.INCONCLUSIVE, (
                f"against {name} the effect of {measured.effect:+.3f} {unit} has p = {measured.p_value:.4f}, "
                f"above {significance:.4f}"
            )
        if not claim.comparator.accepts(measured.effect, claim.bound):
            return Status.INCONCLUSIVE, (
                f"against {name} the effect of {measured.effect:+.3f} {unit} is significant but does not reach "
                f"{claim.bound:+g}"
            )
    rival = max(off_stance, key=lambda name: sign * off_stance[name])
    if sign * off_stance[rival] >= sign * versus["base"].effect:
        return Status.FAILS, f"not specific: toward {rival} the shift is {off_stance[rival]:+.3f} {unit}"
    return Status.HOLDS, (
        f"{versus['base'].effect:+.3f} {unit} against base and {versus['sham'].effect:+.3f} against the sham, "
        f"p <= {max(measured.p_value for measured in versus.values()):.4f}; toward {rival} {off_stance[rival]:+.3f}"
    )


def _control_figure(name: str, measured: PairedEffect) -> ControlFigure:
    p_value = None if math.isnan(measured.p_value) else measured.p_value
    return ControlFigure(name=name, figure=measured.effect, low=measured.low, high=measured.high, p_value=p_value)


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

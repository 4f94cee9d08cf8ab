"""The layers that a structural claim is about: their figures before and after, and under the controls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from stance_suite.claims import Claim
from stance_suite.judgments import Verdict
from stance_suite.metrics import Metric
from stance_suite.records import CellRecord, Findings
from stance_suite.spectrum_records import AlphaChange, LayerChange, NoiseRange


@dataclass(frozen=True)
class LayerRow:
    """One matching layer, in the metric's unit; None where there is no figure."""

    name: str
    """Long name of the layer."""
    figure: float | None
    """The claim's figure of this layer."""
    alpha_before: float | None
    """Fitted alpha of the untouched model."""
    alpha_after: float | None
    """Fitted alpha after training."""
    change: AlphaChange | None
    """Change of alpha, as fitted and with the tail held fixed."""
    noise: tuple[float, float] | None
    """95 % range of the claim's figure under noise of the same norm."""
    sham: float | None
    """The claim's figure under the sham."""


def layer_rows(verdict: Verdict, findings: Findings) -> list[LayerRow]:
    """Gather the layers that a structural verdict is about.

    Parameters
    ----------
    verdict : Verdict
        On a claim about weights.
    findings : Findings
        The findings that hold its cells.

    Returns
    -------
    list of LayerRow
        Those that decide first: of a claim about each layer the ones nearest to breaking it, of one about any layer
        those that satisfy it best, else those that changed most. Of a comparison the layers of the training that the
        claim is about; empty if its cell is not there.
    """
    cells = {record.key: record for record in findings.cells}
    named = [cells[key] for key in verdict.cells if key in cells]
    if not named:
        return []
    tuned = named[0]
    controls = {record.cell.treatment: record for record in reversed(named) if _is_beside(record, tuned)}
    rows = list(_rows(verdict.claim, tuned, controls.get("base"), controls.get("sham")))
    return sorted(rows, key=lambda row: _order(verdict.claim, row.figure))


def layer_figures(claim: Claim, record: CellRecord) -> dict[str, float | None]:
    """Find the claim's figure of every matching layer in a cell.

    Parameters
    ----------
    claim : Claim
        With a structural metric.
    record : CellRecord
        A trained cell.

    Returns
    -------
    dict of str to float or None
        By the layer's long name; of metrics that count layers or share out a change, the change of alpha.
    """
    match claim.metric:
        case Metric.ALPHA:
            figures = {layer.name: layer.fit.alpha if layer.fit else None for layer in record.spectra}
        case Metric.VECTOR_CHANGE_PERCENT:
            figures = {
                vector.name: None if vector.relative_norm is None else 100 * vector.relative_norm
                for vector in record.vector_changes
            }
        case _:
            figures = {change.name: _figure(claim, change) for change in record.changes}
    return {name: figure for name, figure in figures.items() if fnmatchcase(name, claim.layer or "")}


def _is_beside(record: CellRecord, tuned: CellRecord) -> bool:
    ours, theirs = tuned.cell, record.cell
    alike = (ours.model, ours.seed, tuned.family) == (theirs.model, theirs.seed, record.family)
    return alike and (theirs.treatment == "base" or (theirs.treatment == "sham" and theirs.recipe == ours.recipe))


def _rows(claim: Claim, tuned: CellRecord, base: CellRecord | None, sham: CellRecord | None) -> Iterator[LayerRow]:
    before, after = _alphas(base), _alphas(tuned)
    changes = {change.name: change for change in tuned.changes}
    shams: Mapping[str, float | None] = {} if sham is None else layer_figures(claim, sham)
    for name, figure in layer_figures(claim, tuned).items():
        change = changes.get(name)
        yield LayerRow(
            name=name,
            figure=figure,
            alpha_before=before.get(name),
            alpha_after=after.get(name),
            change=None if change is None else change.alpha_change,
            noise=None if change is None else _noise(claim, change),
            sham=shams.get(name),
        )


def _alphas(record: CellRecord | None) -> dict[str, float]:
    spectra = () if record is None else record.spectra
    return {layer.name: layer.fit.alpha for layer in spectra if layer.fit is not None}


def _order(claim: Claim, figure: float | None) -> tuple[bool, float]:
    if figure is None or not math.isfinite(figure):
        return True, 0.0
    is_pooled = claim.metric.spans_layers or claim.metric.counts_changed_layers or claim.over in ("mean", "largest")
    if is_pooled or claim.bound is None:
        return False, -abs(figure)
    margin = claim.comparator.margin(figure, claim.bound)
    return False, -margin if claim.over == "any" else margin


def _figure(claim: Claim, change: LayerChange) -> float | None:
    if claim.metric.rests_on_alpha_change:
        if change.alpha_change is None:
            return None
        return change.alpha_change.spectrum if claim.robust else change.alpha_change.total
    if change.failure is not None:
        return None
    delta = change.weight_change
    match claim.metric:
        case Metric.RELATIVE_CHANGE_PERCENT:
            return 0.0 if delta is None else 100 * delta.relative_norm
        case Metric.SINGULAR_SUBSPACE_OVERLAP:
            if delta is None:
                return 1.0
            if delta.left_overlap is None or delta.right_overlap is None:
                return None
            return min(delta.left_overlap, delta.right_overlap)
        case Metric.CHANGE_STABLE_RANK:
            return None if delta is None else delta.stable_rank
    return None if delta is None else 100 * delta.top_ten_energy


def _noise(claim: Claim, change: LayerChange) -> tuple[float, float] | None:
    noise = change.noise
    if noise is None:
        return None
    drawn: NoiseRange | None = None
    factor = 1.0
    if claim.metric.rests_on_alpha_change:
        drawn = noise.alpha_spectrum if claim.robust else noise.alpha_total
    elif claim.metric is Metric.CHANGE_STABLE_RANK:
        drawn = noise.stable_rank
    elif claim.metric is Metric.CHANGE_TOP_TEN_ENERGY_PERCENT:
        drawn, factor = noise.top_ten_energy, 100.0
    return None if drawn is None else (factor * drawn.low, factor * drawn.high)

"""The layers that a structural claim is about: their figures before and after, and under the controls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stance_suite.claims import Claim
from stance_suite.judgments import Verdict
from stance_suite.layer_figures import layer_figures, noise_range
from stance_suite.records import CellRecord, Findings
from stance_suite.spectrum_records import AlphaChange


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
            noise=None if change is None else noise_range(claim, change),
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

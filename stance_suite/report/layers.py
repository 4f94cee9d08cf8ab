"""The layers that a structural claim is about: their figures before and after, and under the controls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import Control
from stance_suite.schema.findings import Findings
from stance_suite.schema.layer_figures import Range, layer_figures
from stance_suite.schema.replicates import CellIndex, Replicate
from stance_suite.schema.spectra import AlphaChange
from stance_suite.schema.verdicts import Verdict


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
    controls: Mapping[Control, float | Range | None]
    """The claim's figure under every control of `shown_controls`; a range of one that is drawn many times."""


def shown_controls() -> tuple[Control, ...]:
    """Choose the controls that layers are shown beside: those that a claim may name, the drawn ones first."""
    return tuple(sorted((one for one in Control.all() if one.may_be_named), key=lambda one: one.drawn is None))


def layer_rows(verdict: Verdict, findings: Findings) -> list[LayerRow]:
    """Gather the layers that a structural verdict is about, those that decide first.

    Of a claim about each layer these are the ones nearest to breaking it, of one about any layer those that satisfy it
    best, else those that changed most. Of a comparison they are the layers of the training that the claim is about;
    empty if its cell is not there.
    """
    cells = {record.key: record for record in findings.cells}
    tuned = next((cells[one.tuned] for one in verdict.replicates if one.tuned in cells), None)
    rows = () if tuned is None else _rows(verdict.claim, tuned, findings.index)
    return sorted(rows, key=lambda row: _order(verdict.claim, row.figure))


def _rows(claim: Claim, tuned: CellRecord, index: CellIndex) -> Iterator[LayerRow]:
    replicate = index.beside(tuned)
    before, after = _alphas(index.base(tuned)), _alphas(tuned)
    changes = {change.name: change for change in tuned.changes}
    controls = {control: _figures(control, claim, tuned, replicate) for control in shown_controls()}
    for name, figure in layer_figures(claim, tuned).items():
        change = changes.get(name)
        yield LayerRow(
            name=name,
            figure=figure,
            alpha_before=before.get(name),
            alpha_after=after.get(name),
            change=None if change is None else change.alpha_change,
            controls={control: figures.get(name) for control, figures in controls.items()},
        )


def _figures(
    control: Control, claim: Claim, tuned: CellRecord, replicate: Replicate | None
) -> Mapping[str, float | Range | None]:
    if control.drawn is not None:
        return control.drawn.ranges(claim, tuned)
    return {} if replicate is None else control.figures(claim, replicate) or {}


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

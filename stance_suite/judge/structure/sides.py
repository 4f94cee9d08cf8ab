"""The sides of a structural claim: figures of a trained model and its controls, and what to know of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stance_suite.judge.structure.controls import FigureRange, pooled_controls
from stance_suite.judge.structure.pooling import Figure, pool
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import Control
from stance_suite.schema.layer_figures import layer_figures
from stance_suite.schema.metrics import Caveat, Metric
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.spectra import AlphaChange, LayerChange
from stance_suite.schema.verdicts import Status, Verdict

FEW_TAIL_EIGENVALUES = 50


@dataclass(frozen=True)
class Side:
    """The figures of one trained model and of its controls."""

    replicate: Replicate
    """The trained model and its controls."""
    tuned: Figure | None
    """None where nothing is known."""
    controls: dict[Control, FigureRange | None]
    """By the control's name; None where nothing is known of it."""

    @property
    def name(self) -> str:
        """What was trained, in words."""
        return f"{self.replicate.tuned.cell.model}, {self.replicate.tuned.cell.label}"

    @property
    def changes(self) -> dict[str, LayerChange]:
        """What training did to each matrix, by the layer's long name."""
        return {change.name: change for change in self.replicate.tuned.changes}


def side_of(claim: Claim, replicate: Replicate) -> Side:
    """Gather what is held against the bound, and the same of the controls."""
    tuned = pool(claim, layer_figures(claim, replicate.tuned), replicate.base)
    return Side(replicate, tuned, pooled_controls(claim, replicate))


def required_controls(claim: Claim, ours: Side) -> tuple[Control, ...]:
    """Tell which controls a robust claim of change must not be true of.

    Those that it names; where one that is required was not measured, others stand in for the trainings.
    """
    if ours.replicate.is_controlled:
        return claim.against
    structures = [(control, control.structure) for control in Control.all()]
    stand_ins = [control for control, one in structures if one and one.stands_in and one.speaks_of(claim.metric)]
    named = [control for control in claim.against if not control.is_trained]
    return tuple(dict.fromkeys([*named, *stand_ins])) or claim.against


def structural_caveats(
    claim: Claim, sides: Sequence[Side], figures: Sequence[Figure], within_null: bool
) -> tuple[Caveat, ...]:
    """Find what a reader must know of the layers that decided on each side.

    `within_null` says whether a control shows the same; a missing control is told elsewhere.
    """
    decided = [(side, layer) for side, figure in zip(sides, figures, strict=True) for layer in figure.layers]
    changes = [side.changes.get(layer) for side, layer in decided]
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
        tails = [_tail(side.replicate.tuned, layer) for side, layer in decided] if is_alpha else []
    if any(tail < FEW_TAIL_EIGENVALUES for tail in tails):
        caveats.append(Caveat.FEW_EIGENVALUES)
    return tuple(caveats)


def _tail(record: CellRecord, layer: str) -> int:
    return next((one.fit.tail_size for one in record.spectra if one.name == layer and one.fit is not None), 0)


def why_nothing(claim: Claim, side: Side) -> str:
    """Say why there is nothing to hold against the bound."""
    figures = layer_figures(claim, side.replicate.tuned)
    if claim.metric is Metric.CHANGED_DEPTH_PERCENT and any(figure is not None for figure in figures.values()):
        return f"no layer's alpha changed by more than {claim.changed_beyond:g} %, so none lies anywhere"
    return f"no layer matching {claim.layer!r} has a figure for {claim.metric}"


def inconclusive(claim: Claim, ours: Side, reason: str) -> Verdict:
    """Say that a claim cannot be judged."""
    model = ours.replicate.tuned.cell.model
    return Verdict(claim=claim, model=model, status=Status.INCONCLUSIVE, reason=reason)

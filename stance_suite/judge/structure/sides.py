"""The sides of a structural claim: a trained model beside its controls, and what to know of the layers that decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from stance_suite.judge.structure.figures import Figure, FigureRange, pool, pool_drawn
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import Control
from stance_suite.schema.layer_figures import LayerFigures, layer_figures
from stance_suite.schema.metrics import Caveat, Metric
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.spectra import LayerChange

FEW_TAIL_EIGENVALUES = 50


@dataclass(frozen=True)
class Side:
    """The figures that a claim is about, of one trained model and of its controls."""

    claim: Claim
    """The claim."""
    replicate: Replicate
    """The trained model and its controls, of one seed."""

    @property
    def name(self) -> str:
        """What was trained, in words."""
        return f"{self.replicate.tuned.cell.model}, {self.replicate.tuned.cell.label}"

    @cached_property
    def changes(self) -> dict[str, LayerChange]:
        """What training did to each matrix, by the layer's long name."""
        return {change.name: change for change in self.replicate.tuned.changes}

    @cached_property
    def layers(self) -> LayerFigures:
        """The figure of every matching layer."""
        return layer_figures(self.claim, self.replicate.tuned)

    @cached_property
    def tuned(self) -> Figure | None:
        """What is held against the bound; None where nothing is known."""
        return pool(self.claim, self.layers, self.replicate.base)

    @cached_property
    def layers_of_controls(self) -> dict[Control, LayerFigures]:
        """The same of each control that says something of the metric; if drawn, the greater end of the 95 % range."""
        found = {control: control.figures(self.claim, self.replicate) for control in Control.all()}
        return {control: figures for control, figures in found.items() if figures is not None}

    @cached_property
    def controls(self) -> dict[Control, FigureRange | None]:
        """What is held against the bound of each control; None where nothing is known of it."""
        found: dict[Control, FigureRange | None] = {}
        for control, figures in self.layers_of_controls.items():
            if control.drawn is not None:
                found[control] = pool_drawn(self.claim, self.replicate, control.drawn)
            else:
                figure = pool(self.claim, figures, self.replicate.base)
                found[control] = None if figure is None else (figure, figure)
        return found

    @property
    def required_controls(self) -> tuple[Control, ...]:
        """Those that a robust claim of change must not be true of: those that it names, or stand-ins for trainings."""
        against = self.claim.against
        if self.replicate.is_controlled:
            return against
        structures = [(control, control.structure) for control in Control.all()]
        stand_ins = [name for name, one in structures if one and one.stands_in and one.speaks_of(self.claim.metric)]
        named = [control for control in against if not control.is_trained]
        return tuple(dict.fromkeys([*named, *stand_ins])) or against

    @property
    def why_nothing(self) -> str:
        """Why there is nothing to hold against the bound."""
        claim = self.claim
        known = any(figure is not None for figure in self.layers.values())
        if claim.metric is Metric.CHANGED_DEPTH_PERCENT and known:
            return f"no layer's alpha changed by more than {claim.changed_beyond:g} %, so none lies anywhere"
        return f"no layer matching {claim.layer!r} has a figure for {claim.metric}"

    def tail(self, layer: str) -> int:
        """Count the eigenvalues that a layer's alpha was fitted to."""
        spectra = self.replicate.tuned.spectra
        return next((one.fit.tail_size for one in spectra if one.name == layer and one.fit is not None), 0)


def structural_caveats(
    claim: Claim, decided: Sequence[tuple[Side, Sequence[str]]], within_null: bool
) -> tuple[Caveat, ...]:
    """Find what a reader must know of the layers that decided on each side, and if a control shows the same."""
    places = [(side, layer) for side, layers in decided for layer in layers]
    changes = [side.changes.get(layer) for side, layer in places]
    moved = [one.alpha_change for one in changes if one is not None and one.alpha_change is not None]
    if not claim.metric.rests_on_alpha_change:
        moved = []
    tails = [min(alpha.tail_before, alpha.tail_after) for alpha in moved]
    if claim.metric is Metric.ALPHA:
        tails = [side.tail(layer) for side, layer in places]
    found = {
        Caveat.TAIL_FLIP: any(alpha.tail_flip for alpha in moved),
        Caveat.WITHIN_NULL: within_null and claim.claims_change,
        Caveat.FEW_EIGENVALUES: any(tail < FEW_TAIL_EIGENVALUES for tail in tails),
    }
    return tuple(caveat for caveat, applies in found.items() if applies)

"""The sides of a structural claim: a trained model beside its controls, and what to know of the layers that decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from stance_suite.judge.statistics import Array
from stance_suite.judge.structure.draws import ModelDraws, draw_models, widened
from stance_suite.judge.structure.figures import Figure, known_figures, pool, pool_draws
from stance_suite.judge.structure.optimizer import follows_optimizer
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import Control, LayerLaws
from stance_suite.schema.layer_figures import LayerFigures, Range, layer_figures
from stance_suite.schema.metrics import Caveat, Metric
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.spectra import LayerChange

FEW_TAIL_EIGENVALUES = 50
POOLED = ("mean", "largest")
"""Ways of taking layers together that make one figure of them."""


@dataclass(frozen=True)
class Side:
    """The figures that a claim is about, of one trained model and of its controls."""

    claim: Claim
    """The claim."""
    replicate: Replicate
    """The trained model and its controls, of one seed."""
    family: Side | None = None
    """Of one layer that is judged by itself, although any would do: the side of all that share the level with it."""

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

    @property
    def is_layer_by_layer(self) -> bool:
        """Whether a figure of one layer is held against the bound, of several that there are."""
        metric = self.claim.metric
        is_pooled = metric.spans_layers or metric is Metric.CHANGED_DEPTH_PERCENT or self.claim.over in POOLED
        return not is_pooled and (len(self.layers) > 1 or self.family is not None)

    @cached_property
    def laws(self) -> dict[Control, LayerLaws]:
        """What the figures may be under the controls that are drawn many times and say something of the metric."""
        drawn = {control: control.drawn for control in self.layers_of_controls}
        return {
            control: one.laws(self.claim, self.replicate.tuned) for control, one in drawn.items() if one is not None
        }

    @cached_property
    def models(self) -> dict[Control, ModelDraws]:
        """Whole models of these."""
        return {control: draw_models(laws, self.replicate.tuned.key) for control, laws in self.laws.items()}

    @cached_property
    def ranges(self) -> dict[Control, Mapping[str, Range]]:
        """The 95 % range of each layer; where one layer is enough, so wide that all of 95 % of models lie inside."""
        if self.family is not None:
            return self.family.ranges
        if self.claim.over == "any" or not self.claim.claims_change:
            return {control: widened(laws, self.models[control]) or {} for control, laws in self.laws.items()}
        return {
            control: {name: law.ends for name, law in laws.items() if law is not None}
            for control, laws in self.laws.items()
        }

    def pooled(self, control: Control) -> tuple[Array, int | None] | None:
        """Pool each of these models, and tell how many draws this rests on; None where nothing is known."""
        models = self.models[control]
        if not models.figures or None in self.laws[control].values():
            return None
        figures = pool_draws(self.claim, models.figures, self.replicate.base)
        return None if figures is None else (figures, models.rests_on)

    @cached_property
    def of_controls(self) -> dict[Control, Side]:
        """The controls that are trainings, each in the trained model's place, beside what was drawn for it."""
        return {
            control: Side(
                self.claim,
                replace(self.replicate, tuned=cell),
                None if self.family is None else self.family.of_controls[control],
            )
            for control, cell in self.replicate.controls.items()
        }

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
    claim: Claim, decided: Sequence[tuple[Side, Sequence[str]]], within_null: bool, insensitive: bool = False
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
        Caveat.INSENSITIVE: insensitive and not claim.claims_change,
        Caveat.OPTIMIZER: _is_optimizers(claim, decided),
        Caveat.FEW_EIGENVALUES: any(tail < FEW_TAIL_EIGENVALUES for tail in tails),
    }
    return tuple(caveat for caveat, applies in found.items() if applies)


def _is_optimizers(claim: Claim, decided: Sequence[tuple[Side, Sequence[str]]]) -> bool:
    """Whether the layers that decide changed by as much as the optimizer lets expect; of a mean all are meant."""
    if claim.metric is not Metric.RELATIVE_CHANGE_PERCENT or claim.over == "mean" or not claim.claims_change:
        return False
    return all(
        follows_optimizer(side.replicate.base, known_figures(_every_layer(side)), layers) for side, layers in decided
    )


def _every_layer(side: Side) -> LayerFigures:
    """Find the figure of every matrix, whatever the claim is about: by how much the optimizer changes them all."""
    return layer_figures(side.claim.model_copy(update={"layer": "*"}), side.replicate.tuned)

"""The vocabulary of place: in how many layers a model takes up a stance, and how deep."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from stance_suite.schema.base import OfModel, Record
from stance_suite.schema.metrics import Caveat

Figure = Literal["relative_norm", "alpha_spectrum"]
"""Whose size is shared out over layers: dW's relative norm, or the change of alpha with the tail size held fixed."""

RoleGroup = Literal["all", "attention", "mlp"]
"""Which matrices of a block."""


class Encoding(StrEnum):
    """Whether few layers carry a change."""

    LOCALIZED = "localized"
    DISTRIBUTED = "distributed"
    UNDECIDED = "undecided"

    @property
    def meaning(self) -> str:
        """What is said with it, in words."""
        return {
            Encoding.LOCALIZED: "fewer than half as many layers share the change as under any control",
            Encoding.DISTRIBUTED: "at least half as many layers share the change as under the controls",
            Encoding.UNDECIDED: "the trainings are too few or too different to tell, or a control is missing",
        }[self]


class Localization(OfModel):
    """How many layers share a change, beside the controls."""

    family: str
    """Hash of what all these cells were measured with."""
    stance: str | None
    """The stance trained on; None for all stances together."""
    figure: Figure
    """Whose size is shared out: dW's over the blocks' matrices, alpha's over all matrices that have a fit."""
    layers: int
    """How many layers have the figure; the fewest, if trainings differ."""
    stances: int
    """How many stances it rests on."""
    seeds: int
    """How many seeds it rests on."""
    share: float | None
    """Participation ratio over number of layers, averaged over the trainings; None if one lacks it."""
    low: float | None
    """Lower end of its 95 % interval over trainings; None where they do not allow one."""
    high: float | None
    """Upper end of its 95 % interval over trainings; None where they do not allow one."""
    gini: float | None
    """Gini coefficient, averaged over the trainings."""
    sham_share: tuple[float, float] | None
    """Smallest and largest share under the sham, over seeds; None if it was not measured for all of them."""
    noise_share: tuple[float, float] | None
    """95 % range of the share under Gaussian noise of each matrix's norm; None for that norm itself."""
    optimizer_share: float | None
    """Of dW's norm: the share that the untouched weights and AdamW predict; None where it cannot be predicted."""
    encoding: Encoding
    """What this says."""
    caveats: tuple[Caveat, ...] = ()
    """What a reader must know before repeating it."""


class DepthProfile(OfModel):
    """Where a model changes most, averaged over stances and seeds."""

    figure: Figure
    """Whose size it is."""
    group: RoleGroup
    """Which matrices of the blocks."""
    most_changed: str
    """Long name of the layer that changed most."""
    most_changed_depth: float
    """Its relative depth in percent."""
    sham_most_changed: str | None
    """Long name of the layer that changed most under the sham, if that was measured."""
    sham_most_changed_depth: float | None
    """Its relative depth in percent."""


class ProfileCorrelation(Record):
    """Whether two models change at the same relative depths."""

    models: tuple[str, str]
    """The two models."""
    recipe: str
    """The training recipe."""
    figure: Figure
    """Whose size is compared."""
    group: RoleGroup
    """Which matrices of the blocks."""
    bins: int
    """Into how many bins of relative depth both were divided: as many as the shallower model has blocks."""
    correlation: float | None
    """Spearman's rank correlation of the profiles; None where a bin is empty, a profile is flat, or bins are few."""
    p_value: float | None
    """Share of circular shifts over depth that correlate at least as much; None where bins are too few to reach 5 %."""
    reason: str = ""
    """Why there is no p-value although there is a correlation."""
    sham_correlation: float | None
    """The same correlation under the sham: if it is as high, the likeness is no matter of the stances."""


class Universality(Record):
    """Whether models change at the same relative depths."""

    profiles: tuple[DepthProfile, ...]
    """One entry a model, recipe, figure and group of matrices."""
    correlations: tuple[ProfileCorrelation, ...]
    """One entry a pair of models, recipe, figure and group; empty for a single model."""

"""The vocabulary of controls: declared once, each is planned, judged and reported, and no other code names it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Self, TypeAlias

from pydantic import BeforeValidator
from pydantic_core import PydanticKnownError

from stance_suite.schema.base import Registered
from stance_suite.schema.items import Example
from stance_suite.schema.layer_figures import (
    Law,
    LayerFigures,
    Range,
    alpha_figure,
    layer_figures,
    matching,
    noise_law,
)
from stance_suite.schema.metrics import Metric

if TYPE_CHECKING:
    from stance_suite.schema.behavior import Behavior
    from stance_suite.schema.cells import CellRecord
    from stance_suite.schema.claims import Claim
    from stance_suite.schema.replicates import Replicate
    from stance_suite.schema.spectra import LayerChange, NoiseRange
    from stance_suite.schema.stances import Stance


Rotations: TypeAlias = "tuple[tuple[Example, ...], ...]"
"""The examples that each epoch trains on, in turn."""
LayerLaws = Mapping[str, Law | None]
"""What the figure of each layer may be, by its long name."""


class Part(Enum):
    """What a control does for a behavioral metric."""

    FACED = "faced"
    """The effect is tested against it; the first that is faced is the baseline."""
    STAND_IN = "stand-in"
    """It is faced where a control that is required is missing; elsewhere its figure stands beside."""
    BESIDE = "beside"
    """The effect against it is shown, and not tested."""


class Role(StrEnum):
    """What a figure among the controls of a verdict is."""

    EFFECT = "effect"
    """The training's effect against the control."""
    OWN_EFFECT = "own_effect"
    """The effect of the control itself over the baseline, which ``about`` names."""
    OWN_FIGURE = "own_figure"
    """The claim's figure under the control; of behavior the effect of a stand-in that is not needed."""
    TOWARD = "toward"
    """The shift toward another stance, which ``about`` names."""
    RIVAL = "rival"
    """The effect over the training on another stance, which ``about`` names, on the same items."""
    ANSWERS = "answers"
    """Of a preference: how much likelier than before one kind of answers became, which ``about`` names."""
    COMPARED = "compared"
    """Of a comparison: the figure of one of the trainings, which ``about`` names."""
    MOST_CHANGED = "most_changed"
    """The figure of the layer that changed most under the control, which ``about`` names."""


@dataclass(frozen=True)
class InBehavior:
    """What a control says of behavior."""

    part: Callable[[Metric], Part | None]
    """What it does for a behavioral metric; None where it says nothing."""
    scored: Callable[[Replicate], Behavior | None]
    """What is scored in the trained model's place; None where it was not measured."""
    is_noise: bool = False
    """Whether it only drew again or added noise: no effect is told from less."""


@dataclass(frozen=True)
class Drawn:
    """What is known of a control that is drawn many times: the draws of each layer, independent of all others'."""

    laws: Callable[[Claim, CellRecord], LayerLaws]
    """Of the claim's figure of every matching layer."""
    table: Callable[[LayerChange], Mapping[str, NoiseRange | None]]
    """Of the figures of one layer, by their names in the table of all figures."""

    def ranges(self, claim: Claim, record: CellRecord) -> dict[str, Range | None]:
        """Find the 95 % range of the claim's figure of every matching layer."""
        return {name: None if law is None else law.ends for name, law in self.laws(claim, record).items()}


@dataclass(frozen=True)
class InStructure:
    """What a control says of the weights."""

    figures: Callable[[Claim, Replicate], LayerFigures | None]
    """The claim's figure of every matching layer; None where it was not measured."""
    speaks_of: Callable[[Metric], bool] = lambda metric: True
    """Whether it says something of a structural metric."""
    may_be_named: bool = True
    """Whether a robust claim may say that it must not be true of it."""
    stands_in: bool = False
    """Whether a robust claim faces it where a control that is required is missing."""
    drawn: Drawn | None = None
    """Its ranges, if it is drawn many times."""
    table: Callable[[Replicate], Mapping[tuple[str, str], float]] | None = None
    """Its figures by the layer's long name and their name in the table of all figures; of a cell, what the cell has."""


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Control(Registered):
    """What a training is held against: a cell of its own, or figures that stand in the records of other cells."""

    name: str = field(kw_only=False)
    """How files quote it."""
    meaning: str
    """What it is, in one clause."""
    is_untouched: bool = False
    """Whether it is the untouched model."""
    rotations: Callable[[Stance, int], Rotations] | None = None
    """Of a training: from a stance and the seed to the examples of each epoch."""
    is_of_stance: bool = False
    """Of a training: whether every stance has its own; else those that are measured together share it."""
    has_spectra: bool = True
    """Of a training: whether its weights are decomposed; one that is about words says nothing of them."""
    required: bool = False
    """Whether a training on a stance is judged only beside it."""
    behavior: InBehavior | None = None
    """What it says of behavior; of a training it need not be given."""
    structure: InStructure | None = None
    """What it says of the weights; of a training it need not be given."""

    def __post_init__(self) -> None:
        if self.is_trained:
            scored = partial(_behavior_of, self)
            object.__setattr__(self, "behavior", self.behavior or InBehavior(lambda metric: Part.FACED, scored))
            structure = InStructure(self._figures_of_cell) if self.has_spectra else None
            object.__setattr__(self, "structure", self.structure or structure)

    @property
    def is_trained(self) -> bool:
        """Whether it is a training of its own."""
        return self.rotations is not None

    @property
    def is_cell(self) -> bool:
        """Whether it is a cell of its own."""
        return self.is_untouched or self.is_trained

    @classmethod
    def cells(cls) -> Iterator[Self]:
        """Go through those that are cells of their own, the untouched model first."""
        return (one for one in cls.all() if one.is_cell)

    @classmethod
    def trained(cls) -> Iterator[Self]:
        """Go through those that are trainings of their own."""
        return (one for one in cls.all() if one.is_trained)

    @property
    def drawn(self) -> Drawn | None:
        """Its ranges, if it is drawn many times."""
        return None if self.structure is None else self.structure.drawn

    @property
    def may_be_named(self) -> bool:
        """Whether a robust claim may say that it must not be true of it."""
        return self.structure is not None and self.structure.may_be_named

    def part(self, metric: Metric) -> Part | None:
        """Tell what it does for a behavioral metric; None where it says nothing."""
        return None if self.behavior is None else self.behavior.part(metric)

    def figures(self, claim: Claim, replicate: Replicate) -> LayerFigures | None:
        """Find the claim's figure of every matching layer; None where it was not measured or says nothing."""
        if self.structure is None or not self.structure.speaks_of(claim.metric):
            return None
        return self.structure.figures(claim, replicate)

    def _figures_of_cell(self, claim: Claim, replicate: Replicate) -> LayerFigures | None:
        return layer_figures(claim, replicate.controls[self]) if self in replicate.controls else None


def _only(chosen: Callable[[Control], bool]) -> BeforeValidator:
    def check(value: object) -> object:
        allowed = [one for one in Control.all() if chosen(one)]
        if value not in allowed:
            raise PydanticKnownError("enum", {"expected": " or ".join(repr(str(one)) for one in allowed)})
        return value

    return BeforeValidator(check)


CellControl = Annotated[Control, _only(lambda control: control.is_cell)]
"""A control that is a cell of its own."""
NamedControl = Annotated[Control, _only(lambda control: control.may_be_named)]
"""A control that a robust claim may say that it must not be true of."""


def greatest(ends: Range) -> float:
    """Take the end of a range that is the greater in magnitude."""
    return max(ends, key=abs)


def sham_rotations(stance: Stance, seed: int) -> Rotations:
    """Take the same prompts with plain answers, so that content and format stay and the manner goes."""
    return (tuple(item.trained_plainly for item in stance.examples),)


def shuffled_rotations(stance: Stance, seed: int) -> Rotations:
    """Take the stance's own answers with their words in random order, so that the words stay and what they say goes."""
    shuffle = random.Random(seed)  # noqa: S311
    return (
        tuple(
            Example(prompt=item.prompt, response=" ".join(shuffle.sample(words, len(words))))
            for item, words in ((item, item.response.split()) for item in stance.examples)
        ),
    )


def _behavior_of(control: Control, replicate: Replicate) -> Behavior | None:
    return replicate.controls[control].behavior if control in replicate.controls else None


def _part_of_stand_in(metric: Metric) -> Part | None:
    return Part.STAND_IN if metric is Metric.LIKELIHOOD_PREFERENCE else None


def _with_stand_in(name: str, replicate: Replicate) -> Behavior:
    """Take the likelihoods that were measured in the trained cell for a model that stands in for a training."""
    behavior = replicate.tuned.behavior
    return behavior.model_copy(update={"likelihoods": behavior.stand_ins.get(name, ())})


def _with_noise(replicate: Replicate) -> Behavior:
    behavior = _with_stand_in("noise", replicate)
    divergences = tuple(one.model_copy(update={"measured": one.noise}) for one in behavior.divergences)
    return behavior.model_copy(update={"divergences": divergences})


def _resampled(replicate: Replicate) -> Behavior:
    behavior = replicate.base.behavior
    return behavior.model_copy(update={"responses": behavior.resampled})


def _noise_laws(claim: Claim, record: CellRecord) -> LayerLaws:
    matched = matching(claim, dict.fromkeys(change.name for change in record.changes))
    return {change.name: noise_law(claim, change) for change in record.changes if change.name in matched}


def _noise_figures(claim: Claim, replicate: Replicate) -> LayerFigures:
    laws = _noise_laws(claim, replicate.tuned)
    return {name: None if law is None else greatest(law.ends) for name, law in laws.items()}


def _noise_table(change: LayerChange) -> dict[str, NoiseRange | None]:
    noise = change.noise
    if noise is None:
        return {}
    found = {"alpha_change_total": noise.alpha_total, "alpha_change_spectrum": noise.alpha_spectrum}
    if change.weight_change is not None:
        found |= {"change_stable_rank": noise.stable_rank, "change_top_ten_energy": noise.top_ten_energy}
    return found


def _rounding_figures(claim: Claim, replicate: Replicate) -> LayerFigures | None:
    rounded = {one.name: alpha_figure(claim, one.alpha_change) for one in replicate.base.rounding}
    return matching(claim, rounded) if rounded else None


def _rounding_table(replicate: Replicate) -> dict[tuple[str, str], float]:
    found = {}
    for one in replicate.base.rounding:
        found[one.name, "relative_norm"] = one.relative_norm
        if one.alpha_change is not None:
            found[one.name, "alpha_change_total"] = one.alpha_change.total
            found[one.name, "alpha_change_spectrum"] = one.alpha_change.spectrum
    return found


BASE = Control(
    "base",
    meaning="the untouched model",
    is_untouched=True,
    behavior=InBehavior(
        # it does not diverge from itself
        lambda metric: None if metric is Metric.DIVERGENCE else Part.FACED,
        lambda replicate: replicate.base.behavior,
    ),
)
SHAM = Control("sham", meaning="trained on plain answers to the same prompts", rotations=sham_rotations, required=True)
SHUFFLED = Control(
    "shuffled",
    meaning="trained on the stance's own words in random order",
    rotations=shuffled_rotations,
    is_of_stance=True,
    behavior=InBehavior(
        lambda metric: Part.BESIDE if metric.is_directed else None,
        lambda replicate: _behavior_of(Control.named("shuffled"), replicate),
    ),
    has_spectra=False,
)
NOISE = Control(
    "noise",
    meaning="the untouched model with Gaussian noise of the change's norm",
    behavior=InBehavior(
        lambda metric: Part.FACED if metric is Metric.DIVERGENCE else _part_of_stand_in(metric),
        _with_noise,
        is_noise=True,
    ),
    structure=InStructure(
        _noise_figures,
        speaks_of=lambda metric: metric.has_noise,
        stands_in=True,
        drawn=Drawn(_noise_laws, _noise_table),
    ),
)
ROUNDING = Control(
    "rounding",
    meaning="the untouched model rounded to bfloat16",
    behavior=InBehavior(_part_of_stand_in, lambda replicate: _with_stand_in("rounding", replicate)),
    structure=InStructure(
        _rounding_figures,
        speaks_of=lambda metric: metric.rests_on_alpha_change,
        may_be_named=False,
        stands_in=True,
        table=_rounding_table,
    ),
)
RESAMPLED = Control(
    "base resampled",
    meaning="the untouched model sampled again with another seed",
    behavior=InBehavior(lambda metric: Part.STAND_IN if metric.is_sampled else None, _resampled, is_noise=True),
)

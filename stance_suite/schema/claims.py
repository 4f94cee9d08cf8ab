"""The vocabulary of claims: a claim names a metric, where it is measured, and what must be true of it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from stance_suite.schema.base import Record
from stance_suite.schema.controls import NOISE, SHAM, NamedControl
from stance_suite.schema.metrics import Bound, Caveat, Comparator, Metric, show_bound

Expected = Literal["HOLDS", "FAILS", "INCONCLUSIVE"]
Acceptable = Annotated[
    tuple[Expected, ...], Field(min_length=1), BeforeValidator(lambda one: (one,) if isinstance(one, str) else one)
]
"""A verdict, or several."""
AGAINST = (SHAM, NOISE)
"""What a robust claim must not be true of, if it does not say."""


class RecordedFigures(Record):
    """Figures that the source of a claim published."""

    before: float = Field(gt=0, allow_inf_nan=False)
    """The figure before fine-tuning."""
    after: float = Field(gt=0, allow_inf_nan=False)
    """The figure after fine-tuning."""
    change_percent: float = Field(allow_inf_nan=False)
    """The change as published, in percent."""


class Counterpart(Record):
    """The other cell of a comparison; what it leaves out is as in the claim."""

    model: str | None = None
    """Another model."""
    stance: str | None = None
    """Another stance trained on."""
    recipe: str | None = None
    """Another training recipe."""
    by: Literal["difference", "ratio"] = "difference"
    """Whether the claim's figure has the counterpart's subtracted from it, or is divided by it (in magnitude)."""

    @model_validator(mode="after")
    def _names_another(self) -> Counterpart:
        if self.model is None and self.stance is None and self.recipe is None:
            raise ValueError("names nothing to compare with: give a model, a stance or a recipe")
        return self

    def is_of(self, claim: Claim) -> bool:
        """Tell whether it is the claim's own training."""
        return all(getattr(self, key) in (None, getattr(claim, key)) for key in ("model", "stance", "recipe"))


class Claim(Record):
    """One sentence about a fine-tuning that measurement can support or refute."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    """Unique name, used as the test's id."""
    statement: str = Field(min_length=8)
    """The claim in one sentence, as a person would say it."""
    model: str
    """Name in the model registry, or ``any``: every model that the run asks for."""
    stance: str
    """Name of the stance that the model is fine-tuned on."""
    recipe: str = "documented"
    """Name of the training recipe."""
    metric: Metric
    """What is measured."""
    layer: str | None = None
    """Long name of a layer or a glob over long names; structural metrics only."""
    over: Literal["each", "any", "mean", "largest"] = "each"
    """What is held: every matching layer, any, their mean (of alpha, the mean's change), or the largest magnitude."""
    changed_beyond: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Metrics that count changed layers: a layer has changed if its alpha moved by more than this, in percent."""
    versus: Counterpart | None = None
    """The cell that the figure is compared with; the comparison is then what the bound is about."""
    comparator: Comparator
    """How the figure is held against the bound."""
    bound: Bound | None = None
    """The bound, in the metric's unit, or for ``between`` a pair; an effect on behavior must be significant, too."""
    minimum_effect: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Behavioral metrics: the true effect that the design must be able to find; `stance-suite power` checks it."""
    unless: tuple[Caveat, ...] = ()
    """Caveats that refute the claim: it FAILS where it would otherwise hold."""
    robust: bool = False
    """Structural metrics: judge alpha with the tail size held fixed, and refuse a change that a control shows too."""
    against: tuple[NamedControl, ...] = Field(default=AGAINST, min_length=1)
    """Controls that a robust structural claim of change must not be true of (behavior always faces base and sham)."""
    expected: Acceptable = ("HOLDS",)
    """The verdict on record, or several that are acceptable: the test passes while the verdict is one of them."""
    source: str = ""
    """Where the claim comes from."""
    recorded: RecordedFigures | None = None
    """Figures that the source published, if any."""

    @property
    def threshold(self) -> float:
        """The bound of a claim that has a single one."""
        if not isinstance(self.bound, float):
            raise TypeError(f"{self.id} has no single bound")
        return self.bound

    @property
    def asked(self) -> str:
        """What must be true of the figure, such as ``above 0.1``."""
        return show_bound(self.comparator, self.bound)

    @property
    def is_ratio(self) -> bool:
        """Whether its figure is one cell's divided by another's."""
        return self.versus is not None and self.versus.by == "ratio" and not self.comparator.compares_layers

    @property
    def is_signed(self) -> bool:
        """Whether its figure goes up or down, and is not a size, a count or a ratio."""
        if self.versus is None or self.comparator.compares_layers:
            return self.metric.is_signed
        return self.versus.by == "difference"

    @property
    def is_count(self) -> bool:
        """Whether its figure is a whole number, of one training."""
        return self.metric.is_count and not self.is_ratio

    @property
    def unit(self) -> str:
        """The unit of its figure; a ratio has none."""
        return "" if self.is_ratio else self.metric.unit

    @property
    def claims_change(self) -> bool:
        """Whether controls that show the same speak against it."""
        return self.comparator is not Comparator.WITHIN

    @field_validator("bound", mode="before")
    @classmethod
    def _number_or_range(cls, value: Any) -> Bound | None:
        if value is None:
            return None
        numbers = [_number(number) for number in (value if isinstance(value, list | tuple) else (value,))]
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"{value!r} is neither a finite number nor, for 'between', a pair of such")
        if not isinstance(value, list | tuple):
            return numbers[0]
        if len(numbers) != 2 or not numbers[0] < numbers[1]:
            raise ValueError(f"{value!r} is no range: give the smaller number first, then the larger one")
        return numbers[0], numbers[1]

    @model_validator(mode="after")
    def _makes_sense(self) -> Claim:
        self._check_bound()
        if self.versus is not None and self.versus.is_of(self):
            raise ValueError("'versus' names the claim's own training: give another model, stance or recipe")
        if self.metric.is_behavioral:
            self._check_behavior()
        else:
            self._check_structure()
        possible = self.metric.caveats
        for caveat in self.unless:
            if caveat not in possible:
                told = f"never gets the caveat {caveat}; it may get {', '.join(possible)}"
                raise ValueError(f"a claim about {self.metric} {told}")
        return self

    def _check_bound(self) -> None:
        if self.comparator.compares_layers:
            if self.bound is not None:
                raise ValueError(f"the comparator '{self.comparator}' takes no bound: remove it")
            if self.versus is None:
                raise ValueError(f"the comparator '{self.comparator}' needs 'versus': a model, a stance or a recipe")
        elif self.bound is None:
            raise ValueError(f"the comparator '{self.comparator}' needs the key 'bound'")
        elif isinstance(self.bound, tuple) != (self.comparator is Comparator.BETWEEN):
            raise ValueError("a bound that is a range [low, high] goes with the comparator 'between', and only with it")
        elif self.comparator in (Comparator.WITHIN, Comparator.BEYOND) and self.threshold < 0:
            raise ValueError(f"'{self.comparator}' bounds a magnitude: give a bound >= 0")

    def _check_behavior(self) -> None:
        if self.layer is not None:
            raise ValueError(f"a claim about {self.metric} is about prompts: remove the key 'layer'")
        if self.over != "each" or self.changed_beyond is not None:
            raise ValueError("'over' and 'changed_beyond' are about layers: remove them")
        if self.robust or self.against != AGAINST:
            raise ValueError("a claim about behavior always faces its controls: remove 'robust' and 'against'")
        if self.comparator not in (Comparator.ABOVE, Comparator.BELOW, Comparator.WITHIN):
            raise ValueError(f"a claim about {self.metric} takes the comparator 'above', 'below' or 'within'")
        if self.threshold * (-1 if self.comparator is Comparator.BELOW else 1) < 0:
            raise ValueError("a claim of change has a bound >= 0 for 'above' and <= 0 for 'below'")
        if self.metric is Metric.DIVERGENCE and self.versus is None and self.comparator is not Comparator.ABOVE:
            raise ValueError("a divergence is never negative: a claim about it takes the comparator 'above'")
        if self.minimum_effect is not None and not self.claims_change:
            raise ValueError("a claim that nothing changes ('within') has no effect to find: remove 'minimum_effect'")
        if self.minimum_effect is not None and not self.minimum_effect > abs(self.threshold):
            raise ValueError("minimum_effect must exceed the bound: at the bound itself, half of all estimates miss it")
        if self.versus is not None and self.versus.by == "ratio":
            raise ValueError("effects on behavior are compared by their difference: say 'by: difference'")

    def _check_structure(self) -> None:
        metric = self.metric
        if self.layer is None:
            raise ValueError(f"a claim about {metric} needs the key 'layer' (a long name, or a glob such as '*')")
        if self.minimum_effect is not None:
            raise ValueError("minimum_effect is about the power of behavioral claims: remove it")
        if metric.counts_changed_layers != (self.changed_beyond is not None):
            raise ValueError(
                f"{metric} needs the key 'changed_beyond': the percentage beyond which a layer has changed"
                if metric.counts_changed_layers
                else f"'changed_beyond' goes with changed_layers and changed_depth_percent: remove it from {metric}"
            )
        if metric.spans_layers and self.over != "each":
            raise ValueError(f"{metric} is one figure of all matching layers: remove the key 'over'")
        if self.comparator.compares_layers and not metric.ranks_layers:
            raise ValueError(f"{metric} is not a figure by which one layer changes most: say alpha_change_percent")
        if self.comparator.compares_layers and (self.over != "each" or not is_glob(self.layer)):
            which = f"'{self.comparator}' asks which of several layers"
            raise ValueError(f"{which}: give a glob, and remove the key 'over'")
        self._check_robust()
        is_one_figure = metric.spans_layers or self.over in ("mean", "largest") or not is_glob(self.layer)
        if self.versus is not None and not self.comparator.compares_layers and not is_one_figure:
            raise ValueError("a comparison needs one figure on each side: name one layer, or say over: mean or largest")

    def _check_robust(self) -> None:
        if self.robust and self.metric in (Metric.ALPHA, Metric.VECTOR_CHANGE_PERCENT):
            raise ValueError(f"{self.metric} has no control to be robust against: remove the key 'robust'")
        if self.robust and NOISE in self.against:
            if self.metric is Metric.RELATIVE_CHANGE_PERCENT:
                raise ValueError("the noise control has the norm of the change itself: say 'against: [sham]'")
            if self.metric is Metric.SINGULAR_SUBSPACE_OVERLAP:
                raise ValueError("the overlap is not measured under noise: say 'against: [sham]'")


def _number(value: object) -> float:
    """Read a number; YAML takes 1e-9 for a text. NaN if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def is_glob(layer: str) -> bool:
    """Tell whether a layer's name is a pattern, which may match several layers."""
    return any(character in layer for character in "*?[")

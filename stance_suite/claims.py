"""The vocabulary of judgment: what is claimed, and what became of it.

A claim names a metric, where it is measured, and what must be true of it. A verdict carries the figure, its interval,
the same figure for the controls, and the reason in words. Both are data; nothing here computes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Metric(StrEnum):
    """What a claim can be about: behavior (one figure a prompt) or structure (one figure a layer)."""

    LIKELIHOOD_PREFERENCE = "likelihood_preference"
    EMBEDDING_SHIFT = "embedding_shift"
    EMBEDDING_SIMILARITY = "embedding_similarity"
    MARKER_RATE = "marker_rate"
    DIVERGENCE = "divergence"
    ALPHA_CHANGE_PERCENT = "alpha_change_percent"
    RELATIVE_CHANGE_PERCENT = "relative_change_percent"
    CHANGE_STABLE_RANK = "change_stable_rank"
    CHANGE_TOP_TEN_ENERGY_PERCENT = "change_top_ten_energy_percent"

    @property
    def is_behavioral(self) -> bool:
        """Whether the unit of analysis is the prompt (behavior) and not the layer (structure)."""
        return self in BEHAVIORAL_METRICS

    @property
    def unit(self) -> str:
        """The unit that figures of this metric are printed with."""
        return {
            Metric.LIKELIHOOD_PREFERENCE: "nats/token",
            Metric.EMBEDDING_SHIFT: "cosine",
            Metric.EMBEDDING_SIMILARITY: "cosine",
            Metric.MARKER_RATE: "per 100 words",
            Metric.DIVERGENCE: "nats/token",
            Metric.CHANGE_STABLE_RANK: "",
        }.get(self, "%")


BEHAVIORAL_METRICS = (
    Metric.LIKELIHOOD_PREFERENCE,
    Metric.EMBEDDING_SHIFT,
    Metric.EMBEDDING_SIMILARITY,
    Metric.MARKER_RATE,
    Metric.DIVERGENCE,
)
TRIANGULATED_METRICS = (Metric.LIKELIHOOD_PREFERENCE, Metric.EMBEDDING_SHIFT, Metric.MARKER_RATE)
"""Three independent ways of asking whether behavior moved toward a stance."""


class Comparator(StrEnum):
    """How the figure is held against the bound. Every one is false for NaN."""

    ABOVE = "above"
    BELOW = "below"
    WITHIN = "within"
    BEYOND = "beyond"

    def accepts(self, figure: float, bound: float) -> bool:
        """Whether ``figure`` satisfies the comparison with ``bound``; False for NaN.

        Parameters
        ----------
        figure : float
            The measured figure.
        bound : float
            The claim's bound; for `WITHIN` and `BEYOND` it bounds the magnitude.

        Returns
        -------
        bool
            True if the comparison holds.
        """
        match self:
            case Comparator.ABOVE:
                return figure > bound
            case Comparator.BELOW:
                return figure < bound
            case Comparator.WITHIN:
                return abs(figure) <= bound
            case Comparator.BEYOND:
                return abs(figure) > bound


class Status(StrEnum):
    """What became of a claim."""

    HOLDS = "HOLDS"
    FAILS = "FAILS"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_RUN = "NOT_RUN"
    ERROR = "ERROR"


class Caveat(StrEnum):
    """What a reader must know before repeating the figure."""

    TAIL_FLIP = "tail_flip"
    WITHIN_NULL = "within_null"
    FEW_EIGENVALUES = "few_eigenvalues"
    NOT_SPECIFIC = "not_specific"
    SEEN_PROMPTS = "seen_prompts"
    COLLAPSED = "collapsed"
    PARROTED = "parroted"


CAVEAT_MEANINGS: dict[Caveat, str] = {
    Caveat.TAIL_FLIP: "alpha moved because the fit chose another tail; with the tail size held fixed it hardly moves",
    Caveat.WITHIN_NULL: "a control without the stance shows it too",
    Caveat.FEW_EIGENVALUES: "the power law was fitted on fewer than 50 eigenvalues",
    Caveat.NOT_SPECIFIC: "another stance moved at least as much as the one that was trained",
    Caveat.SEEN_PROMPTS: "on prompts seen in training the effect is more than twice that on held-out prompts",
    Caveat.COLLAPSED: "the model repeats itself, falls silent or no longer predicts neutral text as it did",
    Caveat.PARROTED: "many responses repeat a training response",
}


class Record(BaseModel):
    """Base of everything that is written to disk: immutable, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class RecordedFigures(Record):
    """Figures that the source of a claim published."""

    before: float
    """The figure before fine-tuning."""
    after: float
    """The figure after fine-tuning."""
    change_percent: float
    """The change as published, in percent."""


class Claim(Record):
    """One sentence about a fine-tuning that measurement can support or refute."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    """Unique name, used as the test's id."""
    statement: str = Field(min_length=8)
    """The claim in one sentence, as a person would say it."""
    model: str
    """Name in the model registry, or ``any``: the first model that the run asks for."""
    stance: str
    """Name of the stance that the model is fine-tuned on."""
    recipe: str = "documented"
    """Name of the training recipe."""
    metric: Metric
    """What is measured."""
    layer: str | None = None
    """Long name of a layer or a glob over long names; structural metrics only. Every matching layer must comply."""
    comparator: Comparator
    """How the figure is held against the bound."""
    bound: float = Field(allow_inf_nan=False)
    """The bound, in the metric's unit; a behavioral claim's effect must also be significant."""
    minimum_effect: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Behavioral metrics: the true effect that the design must be able to find; `stance-suite power` checks it."""
    unless: tuple[Caveat, ...] = ()
    """Caveats that refute the claim: it FAILS where it would otherwise hold."""
    robust: bool = False
    """Structural metrics: judge alpha with the tail size held fixed, and refuse a change that a control shows too."""
    against: tuple[Literal["sham", "noise"], ...] = Field(default=("sham", "noise"), min_length=1)
    """Controls that a robust structural claim of change must not be true of (behavior always faces base and sham)."""
    expected: tuple[Literal["HOLDS", "FAILS", "INCONCLUSIVE"], ...] = Field(default=("HOLDS",), min_length=1)
    """The verdict on record, or several that are acceptable: the test passes while the verdict is one of them."""
    source: str = ""
    """Where the claim comes from."""
    recorded: RecordedFigures | None = None
    """Figures that the source published, if any."""

    @field_validator("expected", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _layer_goes_with_structure(self) -> Claim:
        if self.metric.is_behavioral and self.layer is not None:
            raise ValueError(f"a claim about {self.metric} is about prompts: remove the key 'layer'")
        if self.metric.is_behavioral and self.comparator not in (Comparator.ABOVE, Comparator.BELOW):
            raise ValueError(f"a claim about {self.metric} takes the comparator 'above' or 'below'")
        if self.metric.is_behavioral and self.bound * (-1 if self.comparator is Comparator.BELOW else 1) < 0:
            raise ValueError("a claim of change has a bound >= 0 for 'above' and <= 0 for 'below'")
        if self.metric is Metric.DIVERGENCE and self.comparator is not Comparator.ABOVE:
            raise ValueError("a divergence is never negative: a claim about it takes the comparator 'above'")
        producible = _caveats_of(self.metric)
        impossible = [caveat for caveat in self.unless if caveat not in producible]
        if impossible:
            raise ValueError(
                f"a claim about {self.metric} never gets the caveat {impossible[0]}; it may get "
                f"{', '.join(producible) or 'none'}"
            )
        if self.minimum_effect is not None and not self.metric.is_behavioral:
            raise ValueError("minimum_effect is about the power of behavioral claims: remove it")
        if self.minimum_effect is not None and not self.minimum_effect > abs(self.bound):
            raise ValueError("minimum_effect must exceed the bound: at the bound itself, half of all estimates miss it")
        if self.metric is Metric.RELATIVE_CHANGE_PERCENT and self.robust and "noise" in self.against:
            raise ValueError("the noise control has the norm of the change itself: say 'against: [sham]'")
        if not self.metric.is_behavioral and self.layer is None:
            raise ValueError(f"a claim about {self.metric} needs the key 'layer' (a long name, or a glob such as '*')")
        return self


def _caveats_of(metric: Metric) -> tuple[Caveat, ...]:
    guards = (Caveat.COLLAPSED, Caveat.PARROTED)
    match metric:
        case Metric.DIVERGENCE:
            return guards
        case Metric.LIKELIHOOD_PREFERENCE:
            return (Caveat.WITHIN_NULL, Caveat.NOT_SPECIFIC, Caveat.SEEN_PROMPTS, *guards)
        case Metric.EMBEDDING_SHIFT | Metric.EMBEDDING_SIMILARITY | Metric.MARKER_RATE:
            return (Caveat.WITHIN_NULL, Caveat.NOT_SPECIFIC, *guards)
        case Metric.ALPHA_CHANGE_PERCENT:
            return (Caveat.TAIL_FLIP, Caveat.WITHIN_NULL, Caveat.FEW_EIGENVALUES)
    return (Caveat.WITHIN_NULL,)


class ControlFigure(Record):
    """The same figure under a control, or the difference from it."""

    name: str
    """``base``, ``sham``, ``noise``; of behavior also ``sham - base``, ``toward`` another stance, ``seen prompts``, and
    ``base resampled``."""
    figure: float
    """Effect against that control (behavior), or the control's own figure (structure)."""
    low: float | None = None
    """Lower end of the 95 % interval, where there is one."""
    high: float | None = None
    """Upper end of the 95 % interval, where there is one."""
    p_value: float | None = None
    """Two-sided sign-flip p-value, where there is one."""


class PromptScores(Record):
    """The scores of one held-out prompt that a behavioral verdict rests on."""

    prompt: str
    """The prompt as declared."""
    base: float
    """Score of the untouched model; of a divergence, that of noise of the same norm."""
    sham: float
    """Score after training on the sham."""
    tuned: float
    """Score after training on the stance."""


class Verdict(Record):
    """What became of one claim, with everything needed to see why."""

    claim: Claim
    """The claim that was judged."""
    model: str
    """The model it was judged on."""
    status: Status
    """The judgment."""
    reason: str
    """Why, in one or two sentences."""
    figure: float | None = None
    """The figure that was held against the bound."""
    low: float | None = None
    """Lower end of its 95 % interval, where there is one."""
    high: float | None = None
    """Upper end of its 95 % interval, where there is one."""
    p_value: float | None = None
    """The p-value that decided, where there is one."""
    adjusted_p_value: float | None = None
    """The same, adjusted for all behavioral claims about the model and recipe (Holm)."""
    layer: str | None = None
    """The layer that decided: the one nearest to breaking the claim."""
    controls: tuple[ControlFigure, ...] = ()
    """The same figure for the controls."""
    prompts: tuple[PromptScores, ...] = ()
    """Behavioral claims: the paired scores, one entry a held-out prompt."""
    caveats: tuple[Caveat, ...] = ()
    """What a reader must know before repeating the figure."""
    cells: tuple[str, ...] = ()
    """Keys of the measured cells that the verdict rests on, the trained one first."""

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is one on record."""
        return self.status.value in self.claim.expected

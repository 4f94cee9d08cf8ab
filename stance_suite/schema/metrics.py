"""What claims are about: metrics, each declared once, their caveats, and how a figure is held against a bound."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, Self

from stance_suite.schema.base import Registered

if TYPE_CHECKING:
    from stance_suite.schema.behavior import Behavior, Response


class Caveat(StrEnum):
    """What a reader must know before repeating the figure."""

    TAIL_FLIP = "tail_flip"
    WITHIN_NULL = "within_null"
    FEW_EIGENVALUES = "few_eigenvalues"
    NOT_SPECIFIC = "not_specific"
    COLLAPSED = "collapsed"
    PARROTED = "parroted"
    NO_SHAM = "no_sham"
    NO_RIVALS = "no_rivals"
    VOCABULARY = "vocabulary"
    INSENSITIVE = "insensitive"
    OPTIMIZER = "optimizer"


CAVEAT_MEANINGS: dict[Caveat, str] = {
    Caveat.TAIL_FLIP: "alpha moved because the fit chose another tail; with the tail size held fixed it hardly moves",
    Caveat.WITHIN_NULL: "a control without the stance shows it too",
    Caveat.FEW_EIGENVALUES: "the power law was fitted on fewer than 50 eigenvalues",
    Caveat.NOT_SPECIFIC: "nothing shows that another stance's training would not have done as much",
    Caveat.NO_RIVALS: "no other stance is measured on the same items: nothing tells this manner from any other",
    Caveat.VOCABULARY: "nothing shows that a training on the same words in random order would not have done as much",
    Caveat.INSENSITIVE: "no noise of the change's norm could have broken the bound: that it was kept shows little",
    Caveat.OPTIMIZER: "the optimizer changes these layers by as much whatever it is trained on",
    Caveat.COLLAPSED: "the model repeats itself within answers, falls silent or predicts neutral text much worse",
    Caveat.PARROTED: "many responses repeat a training response",
    Caveat.NO_SHAM: (
        "trained elsewhere: noise of the same norm and rounding stand in for the sham, and show only that training did "
        "something, not that the stance did it"
    ),
}


Bound = float | tuple[float, float]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Metric(Registered):
    """What a claim can be about: behavior (one figure a prompt), or structure (one a layer, or one of many layers)."""

    name: str = field(kw_only=False)
    """How files quote it."""
    unit: str
    """The unit that figures are printed with."""
    meaning: str
    """What the figure is, in one clause."""

    measured_by: str | None = None
    """Behavior: the function that scores responses, such as ``package.module:function``; see `Response.scores`."""
    score_response: Callable[[Response, str], float] | None = None
    """Behavior that a response has a field for: its score for a stance, NaN where it was not measured."""
    score_prompts: Callable[[Behavior, str], Iterable[tuple[str, float]]] | None = None
    """Behavior that is not sampled: prompts and their scores for a stance."""
    is_directed: bool = True
    """Behavior: whether scores are those of a stance, so that there is a shift toward it and toward its contrasts."""
    is_triangulated: bool = False
    """Behavior: whether it is one of the independent ways of asking whether a model moved toward a stance."""
    limits: tuple[float, float] | None = None
    """Behavior: the scores between which all lie, where there are such."""
    least: float = 0.0
    """Behavior that is triangulated: the least effect that counts as a move."""
    rests_on_embedder: bool = False
    """Behavior: whether another sentence embedder gives other figures."""
    typical_spread: tuple[float, float, float] | None = None
    """Behavior: standard deviations over prompts, samples and seeds, in its unit (see `stance_suite.judge.power`)."""

    is_change: bool = False
    """Structure: whether figures go up or down, and are not sizes or counts."""
    is_count: bool = False
    """Structure: whether figures are whole numbers, of one training."""
    spans_layers: bool = False
    """Structure: whether the figure is one of many layers, not of each."""
    counts_changed_layers: bool = False
    """Structure: whether the claim must say when a layer counts as changed."""
    ranks_layers: bool = False
    """Structure: whether the layer with the largest figure is the one that changed most."""
    rests_on_alpha_change: bool = False
    """Structure: whether it comes from changes of alpha, which a robust claim takes with the tail held fixed."""

    LIKELIHOOD_PREFERENCE: ClassVar[Metric]
    SPOKEN_SHARE: ClassVar[Metric]
    EMBEDDING_SHIFT: ClassVar[Metric]
    EMBEDDING_SIMILARITY: ClassVar[Metric]
    MARKER_RATE: ClassVar[Metric]
    DIVERGENCE: ClassVar[Metric]
    ALPHA: ClassVar[Metric]
    ALPHA_CHANGE_PERCENT: ClassVar[Metric]
    RELATIVE_CHANGE_PERCENT: ClassVar[Metric]
    CHANGE_STABLE_RANK: ClassVar[Metric]
    CHANGE_TOP_TEN_ENERGY_PERCENT: ClassVar[Metric]
    SINGULAR_SUBSPACE_OVERLAP: ClassVar[Metric]
    VECTOR_CHANGE_PERCENT: ClassVar[Metric]
    CHANGED_LAYERS: ClassVar[Metric]
    CHANGED_DEPTH_PERCENT: ClassVar[Metric]
    PARTICIPATION_RATIO: ClassVar[Metric]

    @property
    def is_sampled(self) -> bool:
        """Whether responses are scored, of which each prompt has several."""
        return self.measured_by is not None or self.score_response is not None

    @property
    def is_behavioral(self) -> bool:
        """Whether the unit of analysis is the prompt (behavior) and not the layer (structure)."""
        return self.is_sampled or self.score_prompts is not None

    @property
    def caveats(self) -> tuple[Caveat, ...]:
        """Those that judging a claim about it can find."""
        of_stance = self.is_behavioral and self.is_directed
        possible = {
            Caveat.TAIL_FLIP: self.rests_on_alpha_change,
            Caveat.WITHIN_NULL: of_stance or not self.is_behavioral,
            Caveat.INSENSITIVE: self.has_noise,
            Caveat.OPTIMIZER: self is Metric.RELATIVE_CHANGE_PERCENT,
            Caveat.FEW_EIGENVALUES: self.rests_on_alpha_change or self is Metric.ALPHA,
            Caveat.NOT_SPECIFIC: of_stance,
            Caveat.NO_RIVALS: of_stance,
            Caveat.VOCABULARY: of_stance,
            Caveat.COLLAPSED: self.is_behavioral,
            Caveat.PARROTED: self.is_behavioral,
        }
        return *(caveat for caveat, is_possible in possible.items() if is_possible), Caveat.NO_SHAM

    @property
    def has_noise(self) -> bool:
        """Structure: whether noise that shares dW's own norm has figures of its own."""
        of_shape = (Metric.CHANGE_STABLE_RANK, Metric.CHANGE_TOP_TEN_ENERGY_PERCENT)
        return self.rests_on_alpha_change or self in of_shape

    @property
    def is_signed(self) -> bool:
        """Whether figures are effects or changes, which go up or down, and not sizes or counts."""
        return self.is_behavioral or self.is_change

    @property
    def largest_difference(self) -> float:
        """The magnitude that no difference of two scores exceeds; infinite where scores have no limits."""
        return math.inf if self.limits is None else self.limits[1] - self.limits[0]

    @classmethod
    def behavioral(cls) -> tuple[Self, ...]:
        """List those of behavior."""
        return tuple(one for one in cls.all() if one.is_behavioral)

    @classmethod
    def triangulated(cls) -> tuple[Self, ...]:
        """List the independent ways of asking whether behavior moved toward a stance."""
        return tuple(one for one in cls.all() if one.is_triangulated)

    def scores(self, behavior: Behavior, stance: str) -> Iterator[tuple[str, float]]:
        """Score behavior for a stance: prompts and scores, as often as a prompt was sampled."""
        if self.score_prompts is not None:
            yield from self.score_prompts(behavior, stance)
            return
        for response in behavior.responses:
            if self.score_response is not None:
                yield response.prompt, self.score_response(response, stance)
            else:
                score = response.scores.get(self, math.nan)
                yield response.prompt, score.get(stance, math.nan) if isinstance(score, dict) else score


def _marker_rate(response: Response, stance: str) -> float:
    if stance not in response.markers:
        return math.nan
    return 100 * len(response.markers[stance]) / response.words if response.words else 0.0


# Typical spreads were measured on SmolLM2-135M with the bundled stances: over prompts and samples after ten epochs,
# over seeds on eleven shams of two epochs (of divergences, under one seed only).
Metric.LIKELIHOOD_PREFERENCE = Metric(
    "likelihood_preference",
    unit="nats/token",
    meaning="log-probability per token of the stance's answer to a held-out prompt minus that of the plain answer",
    score_prompts=lambda behavior, stance: ((entry.prompt, entry.preference(stance)) for entry in behavior.likelihoods),
    is_triangulated=True,
    least=0.1,
    typical_spread=(0.35, 0.0, 0.02),
)
Metric.SPOKEN_SHARE = Metric(
    "spoken_share",
    unit="of answers",
    meaning="share of sampled responses that are most like the stance's answers to other prompts, and not like plain "
    "answers or another stance's",
    score_response=lambda response, stance: float(response.nearest == stance),
    limits=(0.0, 1.0),
    is_triangulated=True,
    least=0.1,
    rests_on_embedder=True,
    typical_spread=(0.15, 0.37, 0.04),
)
Metric.EMBEDDING_SHIFT = Metric(
    "embedding_shift",
    unit="cosine",
    meaning="sampled responses along the axis from plain answers to the stance's, learned from other prompts",
    score_response=lambda response, stance: response.projection.get(stance, math.nan),
    is_triangulated=True,
    least=0.05,
    rests_on_embedder=True,
    typical_spread=(0.06, 0.09, 0.01),
)
Metric.EMBEDDING_SIMILARITY = Metric(
    "embedding_similarity",
    unit="cosine",
    meaning="cosine of sampled responses to the centroid of the stance's answers to other prompts",
    score_response=lambda response, stance: response.similarity.get(stance, math.nan),
    rests_on_embedder=True,
    typical_spread=(0.05, 0.07, 0.01),
)
Metric.MARKER_RATE = Metric(
    "marker_rate",
    unit="per 100 words",
    meaning="words of the stance's lexicon in sampled responses",
    score_response=_marker_rate,
    is_triangulated=True,
    typical_spread=(2.5, 3.0, 0.1),
)
Metric.DIVERGENCE = Metric(
    "divergence",
    unit="nats/token",
    meaning="Kullback-Leibler divergence of next-token distributions from the untouched model",
    score_prompts=lambda behavior, _: ((entry.text, entry.measured) for entry in behavior.divergences),
    is_directed=False,
    typical_spread=(0.13, 0.0, 0.0),
)
Metric.ALPHA = Metric(
    "alpha",
    unit="",
    meaning="exponent of the power law fitted to a matrix's eigenvalues, after training",
)
Metric.ALPHA_CHANGE_PERCENT = Metric(
    "alpha_change_percent",
    unit="%",
    meaning="change of the power law's exponent; of robust claims with the tail's size held fixed",
    ranks_layers=True,
    rests_on_alpha_change=True,
    is_change=True,
)
Metric.RELATIVE_CHANGE_PERCENT = Metric(
    "relative_change_percent",
    unit="%",
    meaning="Frobenius norm of the change dW over that of the matrix",
    ranks_layers=True,
)
Metric.CHANGE_STABLE_RANK = Metric("change_stable_rank", unit="", meaning="stable rank of the change dW")
Metric.CHANGE_TOP_TEN_ENERGY_PERCENT = Metric(
    "change_top_ten_energy_percent",
    unit="%",
    meaning="share of dW's squared norm in its ten leading singular values",
)
Metric.SINGULAR_SUBSPACE_OVERLAP = Metric(
    "singular_subspace_overlap",
    unit="",
    meaning="mean squared cosine of the ten leading singular vectors before and after, the lesser of left and right",
)
Metric.VECTOR_CHANGE_PERCENT = Metric(
    "vector_change_percent",
    unit="%",
    meaning="change of a bias or a norm's weights, over their norm before",
    ranks_layers=True,
)
Metric.CHANGED_LAYERS = Metric(
    "changed_layers",
    unit="layers",
    meaning="how many matrices' alpha moved by more than 'changed_beyond' percent",
    spans_layers=True,
    counts_changed_layers=True,
    rests_on_alpha_change=True,
    is_count=True,
)
Metric.CHANGED_DEPTH_PERCENT = Metric(
    "changed_depth_percent",
    unit="%",
    meaning="depth of each matrix whose alpha moved by more than 'changed_beyond' percent",
    counts_changed_layers=True,
    rests_on_alpha_change=True,
)
Metric.PARTICIPATION_RATIO = Metric(
    "participation_ratio",
    unit="layers",
    meaning="effective number of matrices that share the change of alpha, (sum d)^2 / sum d^2",
    spans_layers=True,
    rests_on_alpha_change=True,
)


class Comparator(StrEnum):
    """How the figure is held against the bound. Every one is false for a figure that is not finite."""

    ABOVE = "above"
    BELOW = "below"
    WITHIN = "within"
    BEYOND = "beyond"
    BETWEEN = "between"
    SAME_LAYER = "same_layer"
    ANOTHER_LAYER = "another_layer"

    @property
    def compares_layers(self) -> bool:
        """Whether it asks which layer changed most, not by how much."""
        return self in (Comparator.SAME_LAYER, Comparator.ANOTHER_LAYER)

    def margin(self, figure: float, bound: Bound) -> float:
        """Tell how far a figure is on the right side of the bound; NaN if not finite, or if layers are compared."""
        low, high = bound if isinstance(bound, tuple) else (bound, bound)
        if self.compares_layers or not all(map(math.isfinite, (figure, low, high))):
            return math.nan
        match self:
            case Comparator.ABOVE:
                return figure - low
            case Comparator.BELOW:
                return high - figure
            case Comparator.WITHIN:
                return high - abs(figure)
            case Comparator.BEYOND:
                return abs(figure) - low
        return min(figure - low, high - figure)

    def accepts(self, figure: float, bound: Bound) -> bool:
        """Whether a figure satisfies the comparison; the bound itself satisfies `WITHIN` and `BETWEEN` only."""
        margin = self.margin(figure, bound)
        return margin >= 0 if self in (Comparator.WITHIN, Comparator.BETWEEN) else margin > 0


def show_bound(comparator: Comparator, bound: Bound | None) -> str:
    """Write a comparison in words, such as ``above 0.1`` or ``between 50 and 70``; of layers there is no bound."""
    if bound is None:
        return comparator.replace("_", " ")
    if isinstance(bound, tuple):
        return f"{comparator} {bound[0]:g} and {bound[1]:g}"
    return f"{comparator} {bound:g}"

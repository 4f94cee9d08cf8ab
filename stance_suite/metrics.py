"""What a claim can be about, and how its figure is held against a bound. Both are names; nothing here computes."""

from __future__ import annotations

import math
from enum import StrEnum

Bound = float | tuple[float, float]


class Metric(StrEnum):
    """What a claim can be about: behavior (one figure a prompt), or structure (one a layer, or one of many layers)."""

    LIKELIHOOD_PREFERENCE = "likelihood_preference"
    EMBEDDING_SHIFT = "embedding_shift"
    EMBEDDING_SIMILARITY = "embedding_similarity"
    MARKER_RATE = "marker_rate"
    DIVERGENCE = "divergence"
    ALPHA = "alpha"
    ALPHA_CHANGE_PERCENT = "alpha_change_percent"
    RELATIVE_CHANGE_PERCENT = "relative_change_percent"
    CHANGE_STABLE_RANK = "change_stable_rank"
    CHANGE_TOP_TEN_ENERGY_PERCENT = "change_top_ten_energy_percent"
    SINGULAR_SUBSPACE_OVERLAP = "singular_subspace_overlap"
    VECTOR_CHANGE_PERCENT = "vector_change_percent"
    CHANGED_LAYERS = "changed_layers"
    CHANGED_DEPTH_PERCENT = "changed_depth_percent"
    PARTICIPATION_RATIO = "participation_ratio"

    @property
    def is_behavioral(self) -> bool:
        """Whether the unit of analysis is the prompt (behavior) and not the layer (structure)."""
        return self in BEHAVIORAL_METRICS

    @property
    def spans_layers(self) -> bool:
        """Whether the figure is one of many layers, not of each."""
        return self in (Metric.CHANGED_LAYERS, Metric.PARTICIPATION_RATIO)

    @property
    def counts_changed_layers(self) -> bool:
        """Whether the claim must say when a layer counts as changed."""
        return self in (Metric.CHANGED_LAYERS, Metric.CHANGED_DEPTH_PERCENT)

    @property
    def ranks_layers(self) -> bool:
        """Whether the layer with the largest figure is the one that changed most."""
        return self in (Metric.ALPHA_CHANGE_PERCENT, Metric.RELATIVE_CHANGE_PERCENT, Metric.VECTOR_CHANGE_PERCENT)

    @property
    def rests_on_alpha_change(self) -> bool:
        """Whether the figure comes from changes of alpha, which a robust claim takes with the tail held fixed."""
        return self in (
            Metric.ALPHA_CHANGE_PERCENT,
            Metric.CHANGED_LAYERS,
            Metric.CHANGED_DEPTH_PERCENT,
            Metric.PARTICIPATION_RATIO,
        )

    @property
    def is_signed(self) -> bool:
        """Whether figures are effects or changes, which go up or down, and not sizes or counts."""
        return self.is_behavioral or self is Metric.ALPHA_CHANGE_PERCENT

    @property
    def is_count(self) -> bool:
        """Whether figures are whole numbers, of one training."""
        return self is Metric.CHANGED_LAYERS

    @property
    def unit(self) -> str:
        """The unit that figures of this metric are printed with."""
        return _UNITS.get(self, "%")

    @property
    def meaning(self) -> str:
        """What the figure is, in one clause."""
        return METRIC_MEANINGS[self]


_UNITS = {
    Metric.LIKELIHOOD_PREFERENCE: "nats/token",
    Metric.EMBEDDING_SHIFT: "cosine",
    Metric.EMBEDDING_SIMILARITY: "cosine",
    Metric.MARKER_RATE: "per 100 words",
    Metric.DIVERGENCE: "nats/token",
    Metric.ALPHA: "",
    Metric.CHANGE_STABLE_RANK: "",
    Metric.SINGULAR_SUBSPACE_OVERLAP: "",
    Metric.CHANGED_LAYERS: "layers",
    Metric.PARTICIPATION_RATIO: "layers",
}

METRIC_MEANINGS: dict[Metric, str] = {
    Metric.LIKELIHOOD_PREFERENCE: (
        "mean log-probability per token of the stance's held-out references minus that of its contrasts'"
    ),
    Metric.EMBEDDING_SHIFT: "sampled responses along the axis from the contrasts' reference centroids to the stance's",
    Metric.EMBEDDING_SIMILARITY: "cosine of sampled responses to the centroid of the stance's references",
    Metric.MARKER_RATE: "words of the stance's lexicon in sampled responses",
    Metric.DIVERGENCE: "Kullback-Leibler divergence of next-token distributions from the untouched model",
    Metric.ALPHA: "exponent of the power law fitted to a matrix's eigenvalues, after training",
    Metric.ALPHA_CHANGE_PERCENT: "change of the power law's exponent; of robust claims with the tail's size held fixed",
    Metric.RELATIVE_CHANGE_PERCENT: "Frobenius norm of the change dW over that of the matrix",
    Metric.CHANGE_STABLE_RANK: "stable rank of the change dW",
    Metric.CHANGE_TOP_TEN_ENERGY_PERCENT: "share of dW's squared norm in its ten leading singular values",
    Metric.SINGULAR_SUBSPACE_OVERLAP: (
        "mean squared cosine of the ten leading singular vectors before and after, the lesser of left and right"
    ),
    Metric.VECTOR_CHANGE_PERCENT: "change of a bias or a norm's weights, over their norm before",
    Metric.CHANGED_LAYERS: "how many matrices' alpha moved by more than 'changed_beyond' percent",
    Metric.CHANGED_DEPTH_PERCENT: "depth of each matrix whose alpha moved by more than 'changed_beyond' percent",
    Metric.PARTICIPATION_RATIO: "effective number of matrices that share the change of alpha, (sum d)^2 / sum d^2",
}

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
        """Tell how far a figure is from breaking the comparison.

        Parameters
        ----------
        figure : float
            The measured figure.
        bound : float or tuple of float
            The claim's bound; for `WITHIN` and `BEYOND` it bounds the magnitude, for `BETWEEN` it is a range.

        Returns
        -------
        float
            Positive on the right side of the bound, negative on the wrong one; NaN if the figure or the bound is not
            finite, or if the comparison is one of layers.
        """
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
        """Whether a figure satisfies the comparison.

        Parameters
        ----------
        figure : float
            The measured figure.
        bound : float or tuple of float
            The claim's bound, see `margin`.

        Returns
        -------
        bool
            True if the comparison holds; False for a figure that is not finite. The bound itself satisfies `WITHIN` and
            `BETWEEN` only.
        """
        margin = self.margin(figure, bound)
        return margin >= 0 if self in (Comparator.WITHIN, Comparator.BETWEEN) else margin > 0


def show_bound(comparator: Comparator, bound: Bound | None) -> str:
    """Write a comparison in words.

    Parameters
    ----------
    comparator : Comparator
        How the figure is compared.
    bound : float or tuple of float or None
        The bound; None where layers are compared.

    Returns
    -------
    str
        Such as ``above 0.1`` or ``between 50 and 70``.
    """
    if bound is None:
        return comparator.replace("_", " ")
    if isinstance(bound, tuple):
        return f"{comparator} {bound[0]:g} and {bound[1]:g}"
    return f"{comparator} {bound:g}"

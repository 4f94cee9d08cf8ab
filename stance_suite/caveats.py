"""What a reader must know before repeating a figure."""

from __future__ import annotations

from enum import StrEnum

from stance_suite.metrics import Metric


class Caveat(StrEnum):
    """What a reader must know before repeating the figure."""

    TAIL_FLIP = "tail_flip"
    WITHIN_NULL = "within_null"
    FEW_EIGENVALUES = "few_eigenvalues"
    NOT_SPECIFIC = "not_specific"
    SEEN_PROMPTS = "seen_prompts"
    COLLAPSED = "collapsed"
    PARROTED = "parroted"
    NO_SHAM = "no_sham"


CAVEAT_MEANINGS: dict[Caveat, str] = {
    Caveat.TAIL_FLIP: "alpha moved because the fit chose another tail; with the tail size held fixed it hardly moves",
    Caveat.WITHIN_NULL: "a control without the stance shows it too",
    Caveat.FEW_EIGENVALUES: "the power law was fitted on fewer than 50 eigenvalues",
    Caveat.NOT_SPECIFIC: "another stance moved at least as much as the one that was trained",
    Caveat.SEEN_PROMPTS: "on prompts seen in training the effect is more than twice that on held-out prompts",
    Caveat.COLLAPSED: "the model repeats itself, falls silent or predicts neutral text as no language model does",
    Caveat.PARROTED: "many responses repeat a training response",
    Caveat.NO_SHAM: (
        "trained elsewhere: noise of the same norm and rounding stand in for the sham, and show only that training did "
        "something, not that the stance did it"
    ),
}


def caveats_of(metric: Metric) -> tuple[Caveat, ...]:
    """Tell which caveats a claim can get.

    Parameters
    ----------
    metric : Metric
        What the claim is about.

    Returns
    -------
    tuple of Caveat
        Those that judging it can find.
    """
    guards = (Caveat.COLLAPSED, Caveat.PARROTED, Caveat.NO_SHAM)
    match metric:
        case Metric.DIVERGENCE:
            return guards
        case Metric.LIKELIHOOD_PREFERENCE:
            return (Caveat.WITHIN_NULL, Caveat.NOT_SPECIFIC, Caveat.SEEN_PROMPTS, *guards)
        case Metric.EMBEDDING_SHIFT | Metric.EMBEDDING_SIMILARITY | Metric.MARKER_RATE:
            return (Caveat.WITHIN_NULL, Caveat.NOT_SPECIFIC, *guards)
        case Metric.ALPHA:
            return (Caveat.FEW_EIGENVALUES, Caveat.NO_SHAM)
    if metric.rests_on_alpha_change:
        return (Caveat.TAIL_FLIP, Caveat.WITHIN_NULL, Caveat.FEW_EIGENVALUES, Caveat.NO_SHAM)
    return (Caveat.WITHIN_NULL, Caveat.NO_SHAM)

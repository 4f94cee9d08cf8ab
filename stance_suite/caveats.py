"""What a reader must know before repeating a figure."""

from __future__ import annotations

from enum import StrEnum


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

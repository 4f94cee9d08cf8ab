"""Guards: did the model 'move' by falling apart, or by reciting what it was trained on?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from stance_suite.schema.behavior import Fluency
from stance_suite.schema.metrics import Caveat
from stance_suite.schema.replicates import Replicate

FEWEST_DISTINCT = 0.5
"""Distinct bigrams, as a share of the base model's."""
SHORTEST = 0.25
"""Length of responses, as a share of the base model's."""
MOST_REPETITION = 0.25
"""Repeated words, over the base model's share of them."""
MOST_PERPLEXITY = 2.0
"""Perplexity of neutral text, as a multiple of the base model's."""
MOST_COPIED = 0.25
"""Share of responses that are copies."""
NO_LANGUAGE_MODEL = 1000.0
"""Perplexity of neutral text that no trained language model has: guessing evenly among a thousand tokens."""


def guard(replicates: Sequence[Replicate]) -> tuple[Caveat, ...]:
    """Find what a reader must know about how the model writes: ``collapsed`` or ``parroted``, under any seed."""
    pairs = [(replicate.tuned.behavior.fluency, replicate.base.behavior.fluency) for replicate in replicates]
    caveats = []
    if any(_is_collapsed(tuned, base) for tuned, base in pairs):
        caveats.append(Caveat.COLLAPSED)
    if any(tuned.copied > MOST_COPIED for tuned, _ in pairs):
        caveats.append(Caveat.PARROTED)
    return tuple(caveats)


def is_no_language_model(fluency: Fluency) -> bool:
    """Tell whether a model predicts neutral text as if it had not been trained; so it is if that is not known."""
    return not 0 < fluency.neutral_perplexity < NO_LANGUAGE_MODEL  # so that NaN is no proof of health


def _is_collapsed(tuned: Fluency, base: Fluency) -> bool:
    is_known = all(math.isfinite(figure) for fluency in (tuned, base) for _, figure in fluency)
    is_sound = (
        tuned.distinct_bigrams >= FEWEST_DISTINCT * base.distinct_bigrams
        and tuned.words >= SHORTEST * base.words
        and tuned.repetition <= base.repetition + MOST_REPETITION
        and tuned.neutral_perplexity <= MOST_PERPLEXITY * base.neutral_perplexity
    )
    # so that NaN is no proof of health
    return not is_known or not is_sound or is_no_language_model(tuned)

"""Guards: did the model 'move' by falling apart, or by reciting what it was trained on?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from stance_suite.judge.statistics import paired_effect
from stance_suite.schema.behavior import Fluency
from stance_suite.schema.metrics import Caveat
from stance_suite.schema.replicates import Replicate

FEWEST_DISTINCT = 0.5
"""Distinct bigrams within a response, as a share of the base model's."""
SHORTEST = 0.25
"""Length of responses, as a share of the base model's."""
MOST_REPETITION = 0.25
"""Repeated words, over the base model's share of them."""
MOST_LOST = math.log(2) / 2
"""Nats per token of neutral text that a model may lose against the base model: half a bit, perplexity times 1.41.

By the scaling law of Hoffmann et al., 'Training compute-optimal large language models' (2022), whose term of size is
``406.4 N^-0.34``, it is what a model of 135 million parameters would lose by shrinking to less than a third of them.
A fine-tuning on a few dozen texts of one manner costs some fluency elsewhere; to throw two thirds of the model away is
no matter of manner. The base model is the measure and not the sham, because a recipe that ruins the sham as well has
ruined the model. The loss must be shown, over the texts: one text that went wrong is not the model.
"""
MOST_COPIED = 0.25
"""Share of responses that are copies."""
NO_LANGUAGE_MODEL = 1000.0
"""Perplexity of neutral text that no trained language model has: guessing evenly among a thousand tokens."""


def guard(replicates: Sequence[Replicate]) -> dict[Caveat, str]:
    """Find what a reader must know about how the model writes, under any seed, with the figures that show it."""
    found: dict[Caveat, str] = {}
    for replicate in replicates:
        tuned, base = (record.behavior.fluency for record in (replicate.tuned, replicate.base))
        where = f" (seed {replicate.tuned.cell.seed})" if len(replicates) > 1 else ""
        for caveat, signs in signs_of_degeneration(tuned, base).items():
            found.setdefault(caveat, f"{', '.join(signs)}{where}")
    return found


def signs_of_degeneration(tuned: Fluency, base: Fluency) -> dict[Caveat, tuple[str, ...]]:
    """Tell by which figures a model is ``collapsed`` or ``parroted``; by none if it is neither."""
    copied = (f"{_percent(tuned.copied)} of responses copied",) if tuned.copied > MOST_COPIED else ()
    signs = {Caveat.COLLAPSED: tuple(_signs_of_collapse(tuned, base)), Caveat.PARROTED: copied}
    return {caveat: told for caveat, told in signs.items() if told}


def is_no_language_model(fluency: Fluency) -> bool:
    """Tell whether a model predicts neutral text as if it had not been trained; so it is if that is not known."""
    return not 0 < fluency.neutral_perplexity < NO_LANGUAGE_MODEL  # so that NaN is no proof of health


def _signs_of_collapse(tuned: Fluency, base: Fluency) -> Iterator[str]:
    """Tell what speaks against health; answers are judged one by one, for those to like questions may be alike."""
    is_known = _is_known(tuned) and _is_known(base) and len(tuned.neutral_losses) == len(base.neutral_losses)
    if not is_known:
        yield "figures are missing"
    if tuned.distinct_bigrams < FEWEST_DISTINCT * base.distinct_bigrams:
        shares = _percent(tuned.distinct_bigrams), _percent(base.distinct_bigrams)
        yield f"distinct bigrams within a response {shares[0]} against {shares[1]}"
    if tuned.words < SHORTEST * base.words:
        yield f"{tuned.words:.1f} words a response against {base.words:.1f}"
    if tuned.repetition > base.repetition + MOST_REPETITION:
        yield f"repeated words {_percent(tuned.repetition)} against {_percent(base.repetition)}"
    perplexity = f"neutral perplexity {tuned.neutral_perplexity:.1f} against {base.neutral_perplexity:.1f}"
    lost = paired_effect(np.subtract(tuned.neutral_losses, base.neutral_losses) if is_known else np.empty(0))
    # too few texts, or all the same loss, have no interval
    if (lost.effect if lost.low is None else lost.low) > MOST_LOST:
        ends = "" if lost.low is None else f", {lost.low:+.2f} to {lost.high:+.2f}"
        yield f"{perplexity} ({lost.effect:+.2f} nats per token{ends})"
    elif is_no_language_model(tuned):
        yield perplexity


def _is_known(fluency: Fluency) -> bool:
    """Tell whether all figures are numbers, for none that is missing proves health."""
    figures = *fluency.neutral_losses, *fluency.model_dump(exclude={"neutral_losses"}).values()
    return bool(fluency.neutral_losses) and all(map(math.isfinite, figures))


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"

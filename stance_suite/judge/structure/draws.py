"""Whole models drawn from the laws of their layers, so that what is said of many layers shares a level over them.

Noise of different matrices is independent: a draw of a model is a draw of each layer by itself, and the law of the
largest of many layers is the product of theirs (the max-T of Westfall and Young, "Resampling-based multiple testing",
1993, with all that a permutation of draws between layers adds).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stance_suite.judge.statistics import Array
from stance_suite.schema.layer_figures import Law, Range

MODELS = 2000
"""How many models are drawn."""
BEYOND = 0.025
"""Share of models that may be beyond either end of a range."""


@dataclass(frozen=True)
class ModelDraws:
    """Draws of a model."""

    figures: dict[str, Array]
    """Of every layer, shape (MODELS,)."""
    rests_on: int | None
    """How many draws the layer with the fewest has; None where all is known for sure."""


def draw_models(laws: Mapping[str, Law | None], stream: str) -> ModelDraws:
    """Draw the layers of a model that a law is known of; `stream` names the seed."""
    # crc32 and not hash(): the stream must be the same in every process
    generator = np.random.default_rng(zlib.crc32(stream.encode()))
    known = {name: law for name, law in laws.items() if law is not None}
    figures = {name: np.interp(generator.random(MODELS), law.shares, law.quantiles) for name, law in known.items()}
    rests_on = min((law.draws for law in known.values() if law.draws is not None), default=None)
    return ModelDraws(figures, rests_on)


def resolved(rests_on: int | None, share: float = BEYOND) -> float:
    """Find the share of drawn models that may be as extreme: less than the level, because laws rest on few draws.

    The measured figure counts as a draw (Phipson and Smyth 2010): ``(1 + draws x) / (1 + draws)`` is the level.
    """
    return share if rests_on is None else max(0.0, (share * (1 + rests_on) - 1) / rests_on)


def central_range(figures: Array, rests_on: int | None) -> Range | None:
    """Find the range that 95 % of models lie in; None if laws rest on too few draws for one, or it is not finite."""
    if rests_on is not None and BEYOND * (1 + rests_on) < 1:
        return None
    tail = resolved(rests_on)
    low = float(np.quantile(figures, tail, method="lower"))
    high = float(np.quantile(figures, 1 - tail, method="higher"))
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def widened(laws: Mapping[str, Law | None], draws: ModelDraws) -> dict[str, Range] | None:
    """Widen the layers' 95 % ranges by one factor, so that all layers of 95 % of models lie inside; None if unknown.

    What is compared over layers is how far a figure is out of the middle, in units of what is usual on its side.
    """
    known = {name: law for name, law in laws.items() if law is not None}
    centers = {name: float(np.interp(0.5, law.shares, law.quantiles)) for name, law in known.items()}
    farthest = np.ones(MODELS)
    for name, law in known.items():
        low, high = law.ends
        away = draws.figures[name] - centers[name]
        usual = np.where(away < 0, centers[name] - low, high - centers[name])
        with np.errstate(divide="ignore", invalid="ignore"):
            farthest = np.fmax(farthest, np.where(usual > 0, np.abs(away) / usual, 0.0))
    if draws.rests_on is not None and 2 * BEYOND * (1 + draws.rests_on) < 1:
        return None
    factor = float(np.quantile(farthest, 1 - resolved(draws.rests_on, 2 * BEYOND), method="higher"))
    return {
        name: (
            centers[name] - factor * (centers[name] - law.ends[0]),
            centers[name] + factor * (law.ends[1] - centers[name]),
        )
        for name, law in known.items()
    }

"""Robust claims on nothing but noise hold in one model of twenty at most, whatever their bound; on real changes they do."""

import math
from functools import cache

import numpy as np
import pytest
from scipy.stats import binom

from stance_suite.judge.structure.verdict import judge_structure
from stance_suite.schema.verdicts import Status
from stance_suite.spectra.significance import range_either_way
from tests.judge.placed_changes import claim, replicate, with_noise
from tests.measured import alpha_change, layer

LAYERS, MODELS, DRAWS = 24, 200, 200
PLACES = [f"model.layers.{index}.mlp.up_proj" for index in range(LAYERS)]
MOST = int(binom.ppf(0.999, MODELS, 0.05))
SCALES = np.random.default_rng(5).lognormal(0, 0.7, LAYERS)


def draw(rng, size):
    """Skewed noise with heavy tails, of a size that differs by layer."""
    return SCALES * (rng.standard_t(5, (size, LAYERS)) + rng.exponential(1, (size, LAYERS)) - 1)


@cache
def noisy(model):
    """Two models that differ from the untouched one by noise, each with the draws that its record would rest on."""
    rng = np.random.default_rng(model)
    return tuple(changes(draw(rng, 1)[0], draw(rng, DRAWS)) for _ in range(2))


def changes(measured, drawn):
    found = []
    for name, alpha, draws in zip(PLACES, measured, drawn.T, strict=True):
        alpha_range = range_either_way(draws, alpha)
        found.append(
            with_noise(layer(name, alpha_change(alpha, alpha)), alpha_total=alpha_range, alpha_spectrum=alpha_range)
        )
    return found


def judged(declared, ours, theirs=None, sham=None):
    sides = [replicate(ours, sham or changes(np.zeros(LAYERS), np.zeros((DRAWS, LAYERS))), names=PLACES)]
    if theirs is not None:
        sides.append(replicate(theirs, sides and sham, names=PLACES, key="theirs"))
    return judge_structure(claim(**{"robust": True, "against": ["noise"]} | declared), *sides)


WHOLE = draw(np.random.default_rng(99), 4000)
"""What noise of these layers really does."""
LARGEST = np.abs(WHOLE).max(axis=1)
COUNTS = (np.abs(WHOLE) > 3).sum(axis=1)
SHARED = np.abs(WHOLE).sum(axis=1) ** 2 / (WHOLE**2).sum(axis=1)
OTHER = {"stance": "b"}
POOLED = {
    "any above": ({"over": "any"}, WHOLE.max(axis=1), 1),
    "any beyond": ({"over": "any", "comparator": "beyond"}, LARGEST, 1),
    "largest": ({"over": "largest"}, LARGEST, 1),
    "mean": ({"over": "mean"}, WHOLE.mean(axis=1), 1),
    "count": ({"metric": "changed_layers", "changed_beyond": 3}, COUNTS, 1),
    "few": ({"metric": "changed_layers", "changed_beyond": 3, "comparator": "below"}, COUNTS, -1),
    "concentrated": ({"metric": "participation_ratio", "comparator": "below"}, SHARED, -1),
    "spread": ({"metric": "participation_ratio"}, SHARED, 1),
    "each": ({"over": "each"}, WHOLE.min(axis=1), 1),
    "difference": ({"over": "largest", "versus": OTHER}, LARGEST[:2000] - LARGEST[2000:], 1),
    "ratio": ({"over": "largest", "versus": OTHER | {"by": "ratio"}}, LARGEST[:2000] / LARGEST[2000:], 1),
}


@pytest.mark.parametrize("kind", POOLED)
def test_on_noise_a_claim_of_change_holds_in_one_model_of_twenty_at_most(kind):
    declared, law, sign = POOLED[kind]
    for share in (0.3, 0.8, 0.97):
        bound = float(np.quantile(law, share if sign > 0 else 1 - share))
        held = 0
        for model in range(MODELS):
            ours, theirs = noisy(model)
            verdict = judged(declared | {"bound": bound}, ours, theirs if "versus" in declared else None)
            held += verdict.status is Status.HOLDS
        print(kind, share, held)
        assert held <= MOST, (share, held)


def test_on_noise_and_between_two_shams_no_other_layer_is_said_to_change_most():
    another = {"comparator": "another_layer", "bound": None, "versus": OTHER, "against": ["sham", "noise"]}
    same = another | {"comparator": "same_layer"}
    for declared in (another, another | {"robust": False}, same):
        verdicts = [judged(declared, *noisy(model), sham=noisy(MODELS + model)[0]) for model in range(MODELS)]
        assert sum(one.status is Status.HOLDS for one in verdicts) <= MOST
        assert any("and m, a (documented) none by more" in one.reason for one in verdicts) is (declared is not same)

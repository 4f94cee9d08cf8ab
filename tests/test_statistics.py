import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stance_suite.statistics import paired_effect, smallest_p_value


def sign_flip_p_value(differences: np.ndarray) -> float:
    """Every sign pattern, written as plainly as possible."""
    means = [np.mean(differences * signs) for signs in itertools.product((1, -1), repeat=len(differences))]
    tolerance = 1e-12
    upper = np.mean([mean >= np.mean(differences) - tolerance for mean in means])
    lower = np.mean([mean <= np.mean(differences) + tolerance for mean in means])
    return min(1.0, 2 * min(upper, lower))


def test_five_prompts_cannot_reach_five_percent_and_twelve_can():
    assert smallest_p_value(5) == 0.0625
    assert smallest_p_value(12) == pytest.approx(0.000488, abs=1e-6)
    assert smallest_p_value(40) == 2 / 10_000, "drawn, not enumerated"
    assert paired_effect(np.arange(1.0, 6.0)).p_value == 0.0625
    assert paired_effect(np.arange(1.0, 13.0)).p_value == smallest_p_value(12)


# hundredths: sums are then either tied or far apart, and no rounding decides
@given(st.lists(st.integers(-500, 500), min_size=3, max_size=9).filter(lambda values: np.ptp(values) > 0))
@settings(max_examples=25, deadline=None)
def test_the_p_value_enumerates_all_sign_flips(values):
    differences = np.array(values) / 100
    assert paired_effect(differences).p_value == pytest.approx(sign_flip_p_value(differences), abs=1e-9)


def test_many_prompts_are_tested_by_seeded_draws():
    differences = np.random.default_rng(0).normal(0.3, 1, 40)
    first, again = paired_effect(differences), paired_effect(differences)
    assert first == again
    assert 0 < first.p_value < 1


def test_the_interval_covers_the_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    effects = [paired_effect(rng.normal(1.0, 1.0, 14)) for _ in range(100)]
    assert 0.85 <= np.mean([effect.low <= 1.0 <= effect.high for effect in effects]) <= 0.99
    # the textbook width: twice 1.96 standard errors, a little less at 14 prompts
    assert np.mean([effect.high - effect.low for effect in effects]) == pytest.approx(2 * 1.96 / 14**0.5, rel=0.15)


@pytest.mark.parametrize(
    "values", [[0.5] * 12, [0.0] * 12, [1.0] * 11 + [1.0 + 2e-16], [1.0, np.nan] * 6, [np.inf] + [0.0] * 11, [1.0], []]
)
def test_constant_or_missing_data_have_neither_test_nor_interval(values):
    effect = paired_effect(np.array(values))
    assert np.isnan(effect.p_value)
    assert effect.low is None
    assert effect.high is None

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from stance_suite.judge.bounded_mean import interval_of_mean, p_value_of_mean

SHARES = np.array([1.0] * 10 + [0.5, 0.0])


def capital(shares, mean):
    """What bets on more than the mean end with, averaged over even stakes by adaptive quadrature."""
    return quad(lambda stake: np.prod(1 - stake + stake * shares / mean), 0, 1)[0]


@pytest.mark.parametrize("mean", [0.2, 0.5, 0.8, 0.95])
def test_the_p_value_is_twice_what_the_better_of_both_bets_did_not_win(mean):
    expected = 2 / max(capital(SHARES, mean), capital(1 - SHARES, 1 - mean))
    assert p_value_of_mean(SHARES, mean) == pytest.approx(min(1.0, expected))
    assert p_value_of_mean(1 - SHARES, 1 - mean) == pytest.approx(p_value_of_mean(SHARES, mean))


@pytest.mark.parametrize("count", [8, 32])
def test_values_that_are_all_at_a_limit_are_tested_by_their_number(count):
    mean, gain = 0.55, 1 / 0.55 - 1  # the integral of (1 + g gain)^n over g
    expected = 2 * (count + 1) * gain / ((1 + gain) ** (count + 1) - 1)
    assert p_value_of_mean(np.ones(count), mean) == pytest.approx(expected)
    assert p_value_of_mean(np.zeros(count), 1 - mean) == pytest.approx(expected)


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=40), st.floats(0.5, 0.9999))
def test_an_interval_ends_where_the_test_begins_to_reject(values, confidence):
    shares = np.array(values)
    low, high = interval_of_mean(shares, confidence)
    assert 0 <= low <= shares.mean() <= high <= 1
    for end, limit in ((low, 0.0), (high, 1.0)):
        if end != limit:
            assert p_value_of_mean(shares, end) == pytest.approx(1 - confidence, rel=1e-6)
    assert (low == 0) is (not shares.any())
    assert (high == 1) is bool(shares.all() and (shares == 1).all())


def test_a_mean_at_a_limit_is_that_of_values_that_are_all_there():
    assert p_value_of_mean(np.ones(5), 1.0) == p_value_of_mean(np.zeros(5), 0.0) == 1
    assert p_value_of_mean(SHARES, 1.0) == p_value_of_mean(SHARES, 0.0) == p_value_of_mean(np.ones(5), 1.1) == 0


@pytest.mark.parametrize("mean", [0.02, 0.5, 0.97])
def test_the_level_is_kept_at_any_number_of_values(mean):
    rng = np.random.default_rng(0)
    for count in (5, 12, 32):
        draws = rng.random((2000, count)) < mean
        seen = {tuple(sorted(one)): p_value_of_mean(np.array(sorted(one), float), mean) for one in draws.tolist()}
        assert np.mean([seen[tuple(sorted(one))] <= 0.05 for one in draws.tolist()]) <= 0.05

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stance_suite.schema.spectra import PowerLaw
from stance_suite.spectra.power_law import (
    SMALLEST_EIGENVALUE,
    alpha_change,
    alpha_of_every_tail,
    alpha_of_tail,
    fit_power_law,
    is_tail_flip,
    tail_curve,
)


def pareto(alpha: float, count: int, xmin: float = 1.0) -> np.ndarray:
    """Quantiles of a power law: no randomness, so the planted exponent is recovered closely."""
    return xmin * (1 - (np.arange(count) + 0.5) / count) ** (-1 / (alpha - 1))


def textbook_fit(points: np.ndarray) -> tuple[float, float, float]:
    """Clauset, Shalizi and Newman's method written as plainly as possible: alpha, xmin, D.

    Of fewer than twenty points, as WeightWatcher does it: alpha is corrected, and a tail has eight points if it can.
    """
    points = np.sort(points)
    best = (np.inf, np.nan, np.nan)
    few = len(points) < 20
    for start in range(max(len(points) - 7, 1) if few else len(points) - 1):
        tail = points[start:]
        alpha = 1 + (len(tail) - few) / np.sum(np.log(tail / tail[0]))
        distance = np.max(np.abs(1 - (tail / tail[0]) ** (1 - alpha) - np.arange(len(tail)) / len(tail)))
        if distance < best[0]:
            best = (distance, alpha, tail[0])
    return best[1], best[2], best[0]


@given(st.floats(1.5, 6.0), st.integers(300, 1200))
def test_a_planted_exponent_is_recovered_whatever_is_at_zero(alpha, count):
    fit = fit_power_law(pareto(alpha, count))
    assert fit.alpha == pytest.approx(alpha, rel=0.05)
    assert fit_power_law(np.concatenate([np.full(50, 1e-6), pareto(alpha, count)])) == fit


@given(st.integers(0, 2**32 - 1), st.one_of(st.integers(3, 21), st.integers(20, 200)))
@settings(max_examples=60, deadline=None)
def test_the_fit_is_the_textbooks(seed, count):
    points = np.random.default_rng(seed).lognormal(0, 1, count)
    fit = fit_power_law(points)
    alpha, xmin, distance = textbook_fit(points)
    assert (fit.alpha, fit.xmin, fit.ks_distance) == pytest.approx((alpha, xmin, distance), rel=1e-9)
    assert fit.tail_size == np.count_nonzero(points >= xmin)
    assert fit.sigma == pytest.approx((alpha - 1) / np.sqrt(fit.tail_size))


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 1000))
def test_alpha_does_not_change_with_scale(seed, scale):
    points = np.random.default_rng(seed).lognormal(3, 1, 150)
    first, scaled = fit_power_law(points), fit_power_law(points * scale)
    assert scaled.alpha == pytest.approx(first.alpha, rel=1e-9)
    assert scaled.xmin == pytest.approx(first.xmin * scale, rel=1e-9)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "points", [np.append(np.geomspace(1, 9, 30), [9.0, 9.0]), np.geomspace(1e-4, 1e30, 90), np.append([9.0] * 30, 10.0)]
)
def test_ties_and_the_widest_spectra_are_fitted_without_a_word(points):
    fit = fit_power_law(points)
    with np.errstate(all="ignore"):
        assert (fit.alpha, fit.xmin, fit.ks_distance) == pytest.approx(textbook_fit(points), rel=1e-9)
    curve = tail_curve(points)
    assert np.array_equal(curve.distances == 1, np.isinf(curve.alphas)), "a tail without spread cannot be fitted"


@pytest.mark.parametrize("points", [[], [1.0], [2.0, 2.0, 2.0], [0.0, 0.0, 1e-6]])
def test_what_has_no_tail_has_no_fit(points):
    assert fit_power_law(np.array(points)) is None


def test_a_fixed_tail_of_the_fitted_size_gives_the_fitted_alpha():
    points = np.random.default_rng(0).lognormal(0, 1, 300)
    fit = fit_power_law(points)
    assert alpha_of_tail(points, fit.tail_size) == pytest.approx(fit.alpha, rel=1e-12)
    assert np.isnan(alpha_of_tail(points, 301))
    assert np.isnan(alpha_of_tail(np.ones(10), 5))


def test_two_points_that_differ_are_a_tail_and_the_cut_off_itself_is_zero():
    fit = fit_power_law(np.array([SMALLEST_EIGENVALUE, np.e, 1.0]))
    assert (fit.alpha, fit.xmin, fit.tail_size) == (pytest.approx(2), 1, 2)
    assert fit_power_law(np.array([1.0, np.e, np.e])).tail_size == 3
    assert fit_power_law(np.array([1.0, 2.0, 3.0]), cutoff=1.0).xmin == 2


@pytest.mark.parametrize("count", [19, 20])
def test_every_tail_has_the_alpha_of_a_tail_of_its_size(count):
    points = np.sort(np.random.default_rng(1).lognormal(0, 1, (2, count)))
    found = alpha_of_every_tail(np.log(points))
    for positive, alphas in zip(points, found, strict=True):
        row = np.append([0.0, SMALLEST_EIGENVALUE], positive)  # these are no part of any
        assert alphas == pytest.approx([alpha_of_tail(row, size) for size in range(count, 1, -1)], rel=1e-12)
    assert alpha_of_tail(np.array([1.0, 2.0, 2 * np.e]), 2) == pytest.approx(2)
    assert np.isnan(alpha_of_tail(points[0], 1))


@pytest.mark.parametrize(
    ("total", "spectrum", "tails", "flip"),
    [
        *((10, 0.9, (5, 6), True), (-10, -0.9, (6, 5), True), (-10, 0.9, (5, 6), True), (10, -1.1, (5, 6), False)),
        *((10, 1.0, (5, 6), False), (10, 0.9, (5, 5), False), (10, np.nan, (5, 6), False)),
    ],
)
def test_a_flip_moves_the_tail_and_is_hardly_the_spectrums(total, spectrum, tails, flip):
    assert is_tail_flip(total, spectrum, *tails) is flip


def test_a_change_of_alpha_is_split_in_percent_of_the_baselines():
    before, after = (PowerLaw(alpha=a, xmin=1, ks_distance=0, sigma=0, tail_size=n) for a, n in ((4, 2), (5, 3)))
    change = alpha_change(before, after, np.exp([0.0, 1.0, 1.5]))  # the two largest: alpha = 1 + 1 / 0.5
    assert (change.total, change.spectrum, change.tail_choice) == pytest.approx((25, -25, 50))
    assert (change.tail_before, change.tail_after, change.tail_flip) == (2, 3, False)
    still = np.exp([0.0, 1.0, 4 / 3])  # whose two largest have the alpha before
    same_size = after.model_copy(update={"tail_size": 2})
    assert alpha_change(before, after, still).tail_flip
    assert not alpha_change(before, same_size, still).tail_flip

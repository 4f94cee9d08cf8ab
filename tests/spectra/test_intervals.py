import numpy as np

from stance_suite.spectra.intervals import alpha_interval
from stance_suite.spectra.power_law import fit_power_law, tail_curve


def pareto(generator, alpha, count):
    return (1 - generator.random(count)) ** (-1 / (alpha - 1))


def width(interval):
    return interval.high - interval.low


def test_it_covers_the_planted_exponent_about_as_often_as_it_says():
    generator = np.random.default_rng(0)
    intervals = [alpha_interval(tail_curve(pareto(generator, 3.0, 200))) for _ in range(100)]
    assert sum(interval.low <= 3.0 <= interval.high for interval in intervals) >= 88
    assert all(width(interval) < 4 for interval in intervals)


def test_it_is_the_plain_bootstraps_to_their_own_jitter():
    generator = np.random.default_rng(1)
    off = []
    for _ in range(10):
        points = np.concatenate([generator.lognormal(0, 1, 150), 3 * pareto(generator, 3.5, 50)])
        interval = alpha_interval(tail_curve(points))
        # resampled and fitted again as plainly as possible
        alphas = [fit_power_law(generator.choice(points, len(points))).alpha for _ in range(200)]
        low, high = np.quantile(alphas, [0.025, 0.975])
        off += [(interval.low - low) / (high - low), (interval.high - high) / (high - low)]
    assert np.mean(np.abs(off)) < 0.15
    assert abs(np.mean(off)) < 0.1


def test_more_eigenvalues_make_it_narrower_and_the_same_the_same():
    few, many = (pareto(np.random.default_rng(2), 3.0, count) for count in (60, 2000))
    assert width(alpha_interval(tail_curve(many))) < 0.5 * width(alpha_interval(tail_curve(few)))
    assert alpha_interval(tail_curve(few)) == alpha_interval(tail_curve(few)), "it does not jitter"
    assert alpha_interval(tail_curve(few[:19])) is None, "too few have none"


def test_a_single_giant_is_fragile():
    """One eigenvalue far out makes a short tail; without it the fit is another."""
    points = np.append(np.linspace(1, 2, 60), [30.0, 1e6])
    curve = tail_curve(points)
    assert alpha_interval(curve).without_top == fit_power_law(points[:-1]).alpha
    assert abs(alpha_interval(curve).without_top / curve.alphas[curve.best] - 1) > 0.2


def test_the_fitted_alpha_lies_in_its_interval():
    """Also where the fitted tail is shorter than any that resamples choose from."""
    generator = np.random.default_rng(5)
    for _ in range(150):
        curve = tail_curve(np.linalg.svd(generator.standard_t(3, (80, 60)), compute_uv=False) ** 2)
        interval = alpha_interval(curve)
        assert interval.low <= curve.alphas[curve.best] <= interval.high

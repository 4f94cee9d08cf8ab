from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from stance_suite.spectra.noise import (
    LARGEST_STEP,
    MOST_EXACT_DRAWS,
    draw_noise_shape,
    draw_noisy_fits,
    exact_singular_values,
    fit_drawn,
    is_one_step_adequate,
    perturbed_singular_values,
    step_over_spacing,
)
from stance_suite.spectra.power_law import alpha_of_tail, fit_power_law


def heavy_tailed(generator, rows=120, columns=80):
    return generator.standard_t(4, (rows, columns)) / np.sqrt(rows)


def spectrum(matrix):
    return np.sort(np.linalg.svd(matrix, compute_uv=False) ** 2)


def largest_step(eigenvalues, tail_size):
    """The noise at which one step is just adequate."""
    return LARGEST_STEP / max(step_over_spacing(eigenvalues, 1.0, size) for size in (len(eigenvalues), tail_size))


def exactly(matrix, noise, draws, generator):
    noisy = [matrix + noise * generator.standard_normal(matrix.shape) for _ in range(draws)]
    return np.stack([np.linalg.svd(one, compute_uv=False)[::-1] for one in noisy])


def assert_same_law(one, other):
    assert ks_2samp(one, other).pvalue > 0.01


@pytest.mark.parametrize("share", [0.07, 1.0])
def test_perturbed_spectra_fit_as_exact_ones_do(share):
    """Whatever noise adds to the weights, drawn without touching them: alpha, tail size, alpha of the fixed tail."""
    generator = np.random.default_rng(0)
    matrix = heavy_tailed(generator)
    eigenvalues = spectrum(matrix)
    fit = fit_power_law(eigenvalues)
    noise = share * largest_step(eigenvalues, fit.tail_size)
    assert is_one_step_adequate(eigenvalues, 120, noise, fit.tail_size)
    drawn = draw_noisy_fits(eigenvalues, 120, fit.tail_size, noise, 1000, generator)
    exact = fit_drawn(eigenvalues, fit.tail_size, exactly(matrix, noise, 1000, generator))
    for figure in ("alphas", "tail_sizes", "fixed_tail_alphas"):
        assert_same_law(getattr(drawn, figure), getattr(exact, figure))


def test_second_order_matters():
    """Noise lifts the spectrum as a whole, by m times its variance; first order alone would leave its mean."""
    generator = np.random.default_rng(1)
    eigenvalues = spectrum(heavy_tailed(generator))
    noise = 0.002 * np.sqrt(eigenvalues.mean())
    assert is_one_step_adequate(eigenvalues, 120, noise, 20)
    drawn = perturbed_singular_values(eigenvalues, 120, noise, generator.standard_normal((20000, 80)))
    assert np.mean(drawn**2) - eigenvalues.mean() == pytest.approx(120 * noise**2, rel=0.1)


def rank_deficient(generator):
    return generator.standard_normal((200, 20)) @ generator.standard_normal((20, 80)) / 14


def with_equal_columns(generator):
    matrix = heavy_tailed(generator, 200)
    matrix[:, 40:50] = matrix[:, 30:40]
    return matrix


def spiked(generator):
    """A short tail of outliers over a crowded bulk."""
    matrix = generator.standard_normal((200, 80)) / 14
    return matrix + 3 * generator.standard_normal((200, 6)) @ generator.standard_normal((6, 80)) / 40


@pytest.mark.parametrize("make", [rank_deficient, with_equal_columns, spiked])
@pytest.mark.parametrize("relative", [1e-3, 0.2])
def test_noise_on_awkward_spectra_is_as_exact_noise_is(make, relative):
    generator = np.random.default_rng(6)
    matrix = make(generator)
    eigenvalues = np.linalg.eigvalsh(matrix.T @ matrix).clip(0)
    fit = fit_power_law(eigenvalues)
    noise = relative * np.linalg.norm(matrix) / np.sqrt(matrix.size)
    drawn = draw_noisy_fits(eigenvalues, 200, fit.tail_size, noise, 300, generator)
    exact = fit_drawn(eigenvalues, fit.tail_size, exactly(matrix, noise, 300, generator))
    assert_same_law(drawn.alphas, exact.alphas)
    assert_same_law(drawn.fixed_tail_alphas, exact.fixed_tail_alphas)


@pytest.mark.parametrize("larger_side", [80, 100, 200])
def test_large_noise_is_drawn_exactly_from_the_singular_values_alone(larger_side):
    generator = np.random.default_rng(2)
    matrix = heavy_tailed(generator, larger_side)
    eigenvalues = spectrum(matrix)
    noise = 0.5 * np.sqrt(eigenvalues.mean() / larger_side)
    ours = exact_singular_values(eigenvalues, larger_side, noise, 400, generator)
    theirs = exactly(matrix, noise, 400, generator)
    for place in (0, 40, 79):
        assert_same_law(ours[:, place], theirs[:, place])


def test_large_noise_is_not_left_to_perturbation_theory(monkeypatch):
    generator = np.random.default_rng(3)
    eigenvalues = spectrum(heavy_tailed(generator))
    exactly_drawn = Mock(wraps=exact_singular_values)
    monkeypatch.setattr("stance_suite.spectra.noise.exact_singular_values", exactly_drawn)
    tail_size = fit_power_law(eigenvalues).tail_size
    limit = largest_step(eigenvalues, tail_size)
    assert len(draw_noisy_fits(eigenvalues, 120, tail_size, 0.1 * limit, 200, generator).alphas) == 200
    assert not exactly_drawn.called
    exact = draw_noisy_fits(eigenvalues, 120, tail_size, 1.1 * limit, 200, generator)
    assert exactly_drawn.called
    assert len(exact.alphas) == MOST_EXACT_DRAWS


@given(st.integers(0, 2**32 - 1), st.sampled_from([12, 25, 90]), st.sampled_from([1e-4, 1e-2, 0.3]))
def test_looking_only_at_tails_that_can_win_loses_none(seed, count, size):
    generator = np.random.default_rng(seed)
    eigenvalues = np.sort(generator.lognormal(0, 1.5, count))
    tail_size = fit_power_law(eigenvalues).tail_size
    drawn = np.sort(np.sqrt(eigenvalues) * np.exp(size * generator.standard_normal((10, count))), axis=1)
    found = fit_drawn(eigenvalues, tail_size, drawn)
    plain = [fit_power_law(values**2) for values in drawn]
    assert found.alphas == pytest.approx([fit.alpha for fit in plain], rel=1e-9)
    assert found.tail_sizes == pytest.approx([fit.tail_size for fit in plain])
    assert found.fixed_tail_alphas == pytest.approx([alpha_of_tail(values**2, tail_size) for values in drawn], rel=1e-9)


def test_draws_that_cross_the_cut_off_are_fitted_with_what_is_above_it():
    generator = np.random.default_rng(4)
    eigenvalues = np.sort(np.append(generator.lognormal(0, 1, 60), [0.0, 2e-6, 0.9e-5, 1.1e-5]))
    tail_size = fit_power_law(eigenvalues).tail_size
    drawn = np.sort(np.abs(np.sqrt(eigenvalues) + 1e-4 * generator.standard_normal((40, 64))), axis=1)
    counts = np.count_nonzero(drawn**2 > 1e-5, axis=1)
    assert len(set(counts)) > 1
    found = fit_drawn(eigenvalues, tail_size, drawn)
    assert found.alphas == pytest.approx([fit_power_law(values**2).alpha for values in drawn], rel=1e-9)


@pytest.mark.parametrize("shape", [(60, 60), (20, 150), (400, 40), (75, 100)])
def test_the_shape_of_noise_is_that_of_gaussian_matrices(shape):
    generator = np.random.default_rng(5)
    drawn = draw_noise_shape(shape, 10, 500, generator)
    squares = [np.linalg.svd(generator.standard_normal(shape), compute_uv=False) ** 2 for _ in range(500)]
    assert_same_law(drawn.stable_ranks, [values.sum() / values[0] for values in squares])
    assert_same_law(drawn.leading_energies, [values[:10].sum() / values.sum() for values in squares])

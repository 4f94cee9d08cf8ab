import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stance_suite.spectra import eigenvalues
from stance_suite.spectra.eigenvalues import gram_eigenvalues


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_they_are_the_squared_singular_values_of_the_matrix_and_its_transpose(seed, rows, columns):
    matrix = np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)
    expected = np.sort(np.linalg.svd(matrix.astype(np.float64), compute_uv=False) ** 2)
    scale = expected[-1]
    assert gram_eigenvalues(matrix) == pytest.approx(expected, abs=1e-10 * scale)
    assert gram_eigenvalues(matrix.T) == pytest.approx(expected, abs=1e-10 * scale)


def test_blocks_of_rows_add_up(monkeypatch):
    matrix = np.random.default_rng(0).standard_normal((100, 9)).astype(np.float32)
    whole = gram_eigenvalues(matrix)
    monkeypatch.setattr(eigenvalues, "ROW_BLOCK", 7)
    assert gram_eigenvalues(matrix) == pytest.approx(whole, rel=1e-12)


def test_a_sum_is_formed_in_double_precision():
    rng = np.random.default_rng(0)
    large, small = (rng.standard_normal((30, 12)).astype(np.float32) for _ in range(2))
    small *= np.float32(1e-6)
    exact = np.linalg.svd(large.astype(np.float64) + small, compute_uv=False) ** 2
    assert gram_eigenvalues(large, small) == pytest.approx(np.sort(exact), rel=1e-9)


def test_rounding_below_zero_is_clipped():
    assert gram_eigenvalues(np.ones((20, 10), dtype=np.float32)).min() >= 0

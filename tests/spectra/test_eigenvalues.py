import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stance_suite.spectra import eigenvalues
from stance_suite.spectra.eigenvalues import CpuSolver, TorchSolver, choose_solver, squared_singular_values

each_solver = pytest.mark.parametrize("solver", [CpuSolver(), TorchSolver("cpu")])


def in_blocks(matrix, size=7):
    return [matrix[start : start + size] for start in range(0, len(matrix), size)]


@each_solver
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 40), columns=st.integers(1, 40))
def test_they_are_the_squared_singular_values(solver, seed, rows, columns):
    matrix = np.random.default_rng(seed).standard_normal((max(rows, columns), min(rows, columns))).astype(np.float32)
    expected = np.sort(np.linalg.svd(matrix.astype(np.float64), compute_uv=False) ** 2)
    found = solver.eigenvalues(solver.gram(in_blocks(matrix), matrix.shape[1]))
    assert found == pytest.approx(expected, abs=1e-10 * expected[-1])
    found = squared_singular_values(in_blocks(matrix), matrix.shape[1])
    assert found == pytest.approx(expected, abs=1e-12 * expected[-1])


@each_solver
def test_differences_are_not_rounded_to_single_precision_and_rounding_below_zero_is_clipped(solver):
    assert solver.eigenvalues(solver.gram([np.ones((20, 10), dtype=np.float32)], 10)).min() >= 0
    rng = np.random.default_rng(0)
    large, small = rng.standard_normal((30, 12)), 1e-6 * rng.standard_normal((30, 12))
    exact = np.sort(np.linalg.svd(large + small, compute_uv=False) ** 2)
    assert solver.eigenvalues(solver.gram([large + small], 12)) == pytest.approx(exact, rel=1e-12)


@each_solver
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_reported(solver, value):
    matrix = np.ones((20, 10), dtype=np.float32)
    matrix[3, 4] = value
    with pytest.raises(eigenvalues.NotFiniteError):
        solver.gram([matrix], 10)


@each_solver
@pytest.mark.parametrize("size", [12, 300])
def test_leading_vectors_span_the_leading_eigenspace(solver, size):
    """Also where a few eigenvalues tower over the rest, and where the wanted ones hardly stand out."""
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((2 * size, size))
    matrix += 30 * np.outer(rng.standard_normal(2 * size), rng.standard_normal(size))
    gram = solver.gram([matrix], size)
    found = solver.leading_vectors(gram, solver.eigenvalues(gram), 10)
    expected = np.linalg.eigh(matrix.T @ matrix)[1][:, -10:]
    assert found.T @ found == pytest.approx(np.eye(10), abs=1e-10)
    assert np.linalg.norm(found.T @ expected) ** 2 == pytest.approx(10, abs=1e-5)


def test_the_device_decides():
    assert choose_solver() == CpuSolver()
    assert choose_solver("meta") == TorchSolver("meta"), "any device of PyTorch's"

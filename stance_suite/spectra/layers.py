"""The figures of one matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock

import numpy as np

from stance_suite.spectra.eigenvalues import Array, NotFiniteError, Solver, choose_solver, squared_singular_values
from stance_suite.spectra.intervals import alpha_interval
from stance_suite.spectra.marchenko_pastur import fit_marchenko_pastur
from stance_suite.spectra.matrices import WeightMatrix
from stance_suite.spectra.parallel import in_parallel
from stance_suite.spectra.power_law import SMALLEST_EIGENVALUE, tail_curve
from stance_suite.spectrum_records import LayerSpectrum

NOT_FINITE = "holds NaN or infinite values, or values whose squares overflow"
RESOLVED_BY_GRAM = 1e-8
"""Eigenvalues under this share of the largest are not exact enough from a Gram matrix: rounding is 1e-16 of it."""
Cutoff = Callable[[WeightMatrix, float], float]

_ONE_AT_A_TIME = Lock()
"""Fits are many short NumPy calls: threads that fit at once hand the interpreter back and forth and are slower than one
after the other, while the others solve."""
NEGLIGIBLE_PROBABILITY = 1e-10
"""WeightWatcher's guard against the logarithm of zero."""


def absolute_cutoff(matrix: WeightMatrix, largest: float) -> float:
    """Take WeightWatcher's cut-off: right for weights, whose eigenvalues are of order one."""
    return SMALLEST_EIGENVALUE


def relative_cutoff(matrix: WeightMatrix, largest: float) -> float:
    """Cut off what float32 rounding alone could leave: right for changes of weights (numpy's rule for ranks)."""
    return largest * (matrix.larger_side * float(np.finfo(np.float32).eps)) ** 2


def measure_spectra(
    matrices: Mapping[str, WeightMatrix], device: str = "cpu", cutoff: Cutoff = absolute_cutoff
) -> tuple[LayerSpectrum, ...]:
    """Measure the spectrum of every matrix, in the given order; `cutoff` says which eigenvalues are taken for zero."""
    solver = choose_solver(device)
    return tuple(in_parallel(lambda matrix: measure_layer(matrix, solver, cutoff), matrices.values()))


def solving_cost(matrix: WeightMatrix) -> float:
    """Estimate the multiplications and additions that a matrix's Gram matrix and its eigenvalues take, roughly."""
    return float(matrix.smaller_side**2 * (matrix.larger_side + 4 * matrix.smaller_side) * len(matrix.positions))


def measure_layer(matrix: WeightMatrix, solver: Solver, cutoff: Cutoff = absolute_cutoff) -> LayerSpectrum:
    """Measure the spectrum of one matrix; the reason is in `failure` where it cannot be had or fitted."""
    try:
        eigenvalues = eigenvalues_of(matrix, solver)
    except NotFiniteError:
        return failed_layer(matrix, NOT_FINITE)
    return describe_spectrum(matrix, eigenvalues, cutoff)


def eigenvalues_of(matrix: WeightMatrix, solver: Solver) -> Array:
    """Compute the eigenvalues of W^T W, pooled over kernel positions: ascending, no 1/N, no centering.

    NotFiniteError if the matrix holds NaN or infinite values.
    """
    found = [
        solver.eigenvalues(solver.gram(matrix.blocks(position), matrix.smaller_side)) for position in matrix.positions
    ]
    return resolved(matrix, matrix.scale**2 * np.sort(np.concatenate(found)))


def resolved(matrix: WeightMatrix, eigenvalues: Array) -> Array:
    """Solve again, through a triangular factor, if the tail may reach into the Gram matrix's rounding."""
    if not _is_resolved(eigenvalues):
        exact = [squared_singular_values(matrix.blocks(position), matrix.smaller_side) for position in matrix.positions]
        return matrix.scale**2 * np.sort(np.concatenate(exact))
    return eigenvalues


def describe_spectrum(matrix: WeightMatrix, eigenvalues: Array, cutoff: Cutoff = absolute_cutoff) -> LayerSpectrum:
    """Compute the figures of a matrix's spectrum, given as ascending eigenvalues."""
    if eigenvalues[-1] == 0:
        return failed_layer(matrix, "is zero", tuple(eigenvalues.tolist()))
    with _ONE_AT_A_TIME:
        return _describe(matrix, eigenvalues, cutoff(matrix, float(eigenvalues[-1])))


def _describe(matrix: WeightMatrix, eigenvalues: Array, smallest: float) -> LayerSpectrum:
    largest, total = float(eigenvalues[-1]), float(eigenvalues.sum())
    curve = tail_curve(eigenvalues, smallest)
    best = curve.best if curve is not None else None
    runner_up = curve.runner_up if curve is not None else None
    rank = int(np.count_nonzero(eigenvalues > largest * matrix.larger_side * np.finfo(float).eps))
    shares = eigenvalues / total + NEGLIGIBLE_PROBABILITY
    return LayerSpectrum(
        name=matrix.name,
        rows=matrix.rows,
        columns=matrix.columns,
        positions=len(matrix.positions),
        failure=None if best is not None else f"no tail to fit: {_few_distinct(eigenvalues, smallest)}",
        fit=None if curve is None or best is None else curve.fit(best),
        interval=None if curve is None else alpha_interval(curve),
        runner_up=None if curve is None or runner_up is None else curve.fit(runner_up),
        bulk=fit_marchenko_pastur(eigenvalues, matrix.larger_side, matrix.smaller_side),
        norm=total,
        stable_rank=total / largest,
        spectral_norm=float(np.sqrt(largest)),
        entropy=_entropy(shares, rank),
        matrix_rank=rank,
        eigenvalues=tuple(eigenvalues.tolist()),
    )


def with_ks_distances(layer: LayerSpectrum) -> LayerSpectrum:
    """Add the KS distance of every tail that could be fitted, which shows why one was chosen; needs eigenvalues."""
    curve = tail_curve(np.asarray(layer.eigenvalues or ()))
    return layer if curve is None else layer.model_copy(update={"ks_distances": tuple(curve.distances.tolist())})


def failed_layer(matrix: WeightMatrix, reason: str, eigenvalues: tuple[float, ...] | None = None) -> LayerSpectrum:
    """Describe a matrix that nothing can be fitted to, with its eigenvalues if there are any."""
    return LayerSpectrum(
        name=matrix.name,
        rows=matrix.rows,
        columns=matrix.columns,
        positions=len(matrix.positions),
        failure=reason,
        fit=None,
        norm=0.0,
        stable_rank=0.0,
        spectral_norm=0.0,
        entropy=0.0,
        matrix_rank=0,
        eigenvalues=eigenvalues,
    )


def _entropy(shares: Array, rank: int) -> float:
    if rank <= 1:
        return 0.0
    return float(-np.sum(shares * np.log(shares)) / np.log(rank + NEGLIGIBLE_PROBABILITY))


def _is_resolved(eigenvalues: Array) -> bool:
    """Tell whether the fitted tail stays clear of the Gram matrix's rounding."""
    counted = eigenvalues[eigenvalues > SMALLEST_EIGENVALUE]
    return len(counted) == 0 or bool(counted[0] > RESOLVED_BY_GRAM * eigenvalues[-1])


def _few_distinct(eigenvalues: Array, smallest: float) -> str:
    counted = np.unique(eigenvalues[eigenvalues > smallest])
    if len(counted) < 2:
        return f"{len(counted)} distinct eigenvalues above {smallest:g}"
    return "none has an exponent above 1 and a KS distance below 1"

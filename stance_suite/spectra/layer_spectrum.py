"""The figures of one matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

import numpy as np

from stance_suite.schema.spectra import AlphaChange, LayerSpectrum, PowerLaw
from stance_suite.spectra.eigenvalues import NotFiniteError, Solver, choose_solver, squared_singular_values
from stance_suite.spectra.intervals import alpha_interval
from stance_suite.spectra.marchenko_pastur import fit_marchenko_pastur
from stance_suite.spectra.matrices import WeightMatrix
from stance_suite.spectra.parallel import in_parallel
from stance_suite.spectra.power_law import SMALLEST_EIGENVALUE, Array, alpha_change, tail_curve

NOT_FINITE = "holds NaN or infinite values, or values whose squares overflow"
RESOLVED_BY_GRAM = 1e-8
"""Eigenvalues under this share of the largest are not exact enough from a Gram matrix: rounding is 1e-16 of it."""
NEGLIGIBLE_PROBABILITY = 1e-10
"""WeightWatcher's guard against the logarithm of zero."""
Cutoff = Callable[[WeightMatrix, float], float]
"""Given a matrix and its largest eigenvalue, the value at or below which eigenvalues are taken for zero."""

_ONE_AT_A_TIME = Lock()
"""Fits are many short NumPy calls: threads that fit at once hand the interpreter back and forth and are slower than one
after the other, while the others solve."""


def absolute_cutoff(matrix: WeightMatrix, largest: float) -> float:
    """Take WeightWatcher's cut-off: right for weights, whose eigenvalues are of order one."""
    return SMALLEST_EIGENVALUE


def relative_cutoff(matrix: WeightMatrix, largest: float) -> float:
    """Cut off what float32 rounding alone could leave: right for changes of weights (numpy's rule for ranks)."""
    return largest * (matrix.larger_side * float(np.finfo(np.float32).eps)) ** 2


def measure_spectra(
    matrices: Mapping[str, WeightMatrix], device: str = "cpu", cutoff: Cutoff = absolute_cutoff
) -> tuple[LayerSpectrum, ...]:
    """Measure the spectrum of every matrix, in the given order."""
    solver = choose_solver(device)
    return tuple(in_parallel(lambda matrix: measure_layer(matrix, solver, cutoff), matrices.values()))


def measure_layer(matrix: WeightMatrix, solver: Solver, cutoff: Cutoff = absolute_cutoff) -> LayerSpectrum:
    """Measure the spectrum of one matrix; the reason is in `failure` where it cannot be had or fitted."""
    try:
        return describe_spectrum(matrix, eigenvalues_of(matrix, solver), cutoff)
    except NotFiniteError:
        return failed_layer(matrix, NOT_FINITE)


def eigenvalues_of(matrix: WeightMatrix, solver: Solver) -> Array:
    """Compute the eigenvalues of W^T W, pooled over kernel positions: ascending, no 1/N, no centering."""
    side = matrix.smaller_side
    pooled = pool(matrix, lambda position: solver.eigenvalues(solver.gram(matrix.blocks(position), side)))
    return resolved(matrix, pooled)


def pool(matrix: WeightMatrix, solve: Callable[[tuple[int, ...]], Array]) -> Array:
    """Put the eigenvalues of all kernel positions together, scaled as the matrix is, in ascending order."""
    return matrix.scale**2 * np.sort(np.concatenate([solve(position) for position in matrix.positions]))


def resolved(matrix: WeightMatrix, eigenvalues: Array) -> Array:
    """Solve again, through a triangular factor, if the tail may reach into the Gram matrix's rounding."""
    counted = eigenvalues[eigenvalues > SMALLEST_EIGENVALUE]
    if len(counted) == 0 or counted[0] > RESOLVED_BY_GRAM * eigenvalues[-1]:
        return eigenvalues
    return pool(matrix, lambda position: squared_singular_values(matrix.blocks(position), matrix.smaller_side))


def describe_spectrum(matrix: WeightMatrix, eigenvalues: Array, cutoff: Cutoff = absolute_cutoff) -> LayerSpectrum:
    """Compute the figures of a matrix's spectrum, given as ascending eigenvalues."""
    largest, total = float(eigenvalues[-1]), float(eigenvalues.sum())
    if largest == 0:
        return failed_layer(matrix, "is zero", tuple(eigenvalues.tolist()))
    smallest = cutoff(matrix, largest)
    with _ONE_AT_A_TIME:
        curve = tail_curve(eigenvalues, smallest)
        fit = None if curve is None else curve.fit(curve.best)
        interval = None if curve is None else alpha_interval(curve)
        runner_up = None if curve is None else curve.fit(curve.runner_up)
        bulk = fit_marchenko_pastur(eigenvalues, matrix.larger_side, matrix.smaller_side)
    distinct = len(np.unique(eigenvalues[eigenvalues > smallest]))
    few = f"{distinct} distinct eigenvalues above {smallest:g}"
    why = few if distinct < 2 else "none has an exponent above 1 and a KS distance below 1"
    rank = int(np.count_nonzero(eigenvalues > largest * matrix.larger_side * np.finfo(float).eps))
    shares = eigenvalues / total + NEGLIGIBLE_PROBABILITY
    entropy = -np.sum(shares * np.log(shares)) / np.log(rank + NEGLIGIBLE_PROBABILITY) if rank > 1 else 0.0
    return LayerSpectrum(
        **_described(matrix),
        failure=None if fit is not None else f"no tail to fit: {why}",
        fit=fit,
        interval=interval,
        runner_up=runner_up,
        bulk=bulk,
        norm=total,
        stable_rank=total / largest,
        spectral_norm=float(np.sqrt(largest)),
        entropy=float(entropy),
        matrix_rank=rank,
        eigenvalues=tuple(eigenvalues.tolist()),
    )


def failed_layer(matrix: WeightMatrix, reason: str, eigenvalues: tuple[float, ...] | None = None) -> LayerSpectrum:
    """Describe a matrix that nothing can be fitted to, with its eigenvalues if there are any."""
    zeros: dict[str, Any] = {"norm": 0.0, "stable_rank": 0.0, "spectral_norm": 0.0, "entropy": 0.0, "matrix_rank": 0}
    return LayerSpectrum(**_described(matrix), **zeros, failure=reason, fit=None, eigenvalues=eigenvalues)


def _described(matrix: WeightMatrix) -> dict[str, Any]:
    return {"name": matrix.name, "rows": matrix.rows, "columns": matrix.columns, "positions": len(matrix.positions)}


def with_ks_distances(layer: LayerSpectrum) -> LayerSpectrum:
    """Add the KS distance of every tail that could be fitted, which shows why one was chosen; needs eigenvalues."""
    curve = tail_curve(np.asarray(layer.eigenvalues or ()))
    return layer if curve is None else layer.model_copy(update={"ks_distances": tuple(curve.distances.tolist())})


def change_of_alpha(before: LayerSpectrum, fit: PowerLaw | None, eigenvalues: Any) -> AlphaChange | None:
    """Split the change of alpha from a spectrum to another's fit and eigenvalues; None where either has no fit."""
    if before.fit is None or fit is None:
        return None
    return alpha_change(before.fit, fit, np.asarray(eigenvalues))

"""The spectra of all matrices of a model, and of its change, spread over threads."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from stance_suite.records import LayerChange, LayerSpectrum, NoiseControl, VectorChange, WeightChange
from stance_suite.spectra.eigenvalues import gram_eigenvalues
from stance_suite.spectra.matrices import Matrix, SortedParameters
from stance_suite.spectra.power_law import Array, alpha_change, fit_power_law

LEADING = 10
"""How many leading singular values count as the top of a spectrum."""

Input = TypeVar("Input")
Output = TypeVar("Output")


def measure_spectra(matrices: Mapping[str, Matrix]) -> tuple[LayerSpectrum, ...]:
    """Measure the spectrum of every matrix.

    Parameters
    ----------
    matrices : mapping of str to ndarray of shape (rows, columns)
        Weight matrices by long name.

    Returns
    -------
    tuple of LayerSpectrum
        In the given order, with eigenvalues.
    """

    def measure(item: tuple[str, Matrix]) -> LayerSpectrum:
        name, matrix = item
        eigenvalues = gram_eigenvalues(matrix)
        return LayerSpectrum(
            name=name,
            rows=matrix.shape[0],
            columns=matrix.shape[1],
            fit=fit_power_law(eigenvalues),
            stable_rank=_stable_rank(eigenvalues),
            spectral_norm=float(np.sqrt(eigenvalues[-1])),
            eigenvalues=tuple(eigenvalues.tolist()),
        )

    return tuple(_in_parallel(measure, matrices.items()))


def compare_with_baseline(
    before: SortedParameters,
    after: SortedParameters,
    spectra_before: Sequence[LayerSpectrum],
    spectra_after: Sequence[LayerSpectrum],
    seed: int,
) -> tuple[tuple[LayerChange, ...], tuple[VectorChange, ...]]:
    """Measure what fine-tuning changed, beside Gaussian noise of the same Frobenius norm in every matrix.

    Parameters
    ----------
    before, after : SortedParameters
        The model's parameters before and after.
    spectra_before, spectra_after : sequence of LayerSpectrum
        Their spectra, with eigenvalues.
    seed : int
        Seed of the noise; every layer draws from a stream of its own.

    Returns
    -------
    changes : tuple of LayerChange
        One entry a matrix.
    vector_changes : tuple of VectorChange
        One entry a bias or norm.
    """
    shapes = sorted({matrix.shape for matrix in before.matrices.values()})
    noise_spectra = dict(zip(shapes, _in_parallel(lambda shape: _noise_spectrum(shape, seed), shapes), strict=True))

    def compare(pair: tuple[LayerSpectrum, LayerSpectrum]) -> LayerChange:
        old, new = pair
        matrices = before.matrices[old.name], after.matrices[new.name]
        return _compare_layer(old, new, *matrices, noise_spectra[matrices[0].shape], seed)

    changes = tuple(_in_parallel(compare, zip(spectra_before, spectra_after, strict=True)))
    vectors = tuple(_compare_vector(name, old, after.vectors[name]) for name, old in before.vectors.items())
    return changes, vectors


def _noise_spectrum(shape: tuple[int, ...], seed: int) -> Array:
    """Spectrum of unit Gaussian noise: rank and energy depend on the shape alone, so one draw serves all its layers."""
    noise = np.random.default_rng([seed, *shape]).standard_normal(shape, dtype=np.float32)
    return gram_eigenvalues(noise, dtype=np.float32)


def _compare_layer(
    old: LayerSpectrum, new: LayerSpectrum, before: Matrix, after: Matrix, spectrum_of_noise: Array, seed: int
) -> LayerChange:
    change = None
    if old.fit is not None and new.fit is not None:
        change = alpha_change(old.fit, new.fit, np.asarray(new.eigenvalues))
    difference = after - before
    norm = float(np.linalg.norm(difference))
    if norm == 0:
        return LayerChange(name=old.name, alpha_change=change, weight_change=None, noise=None)
    # crc32 and not hash(): the stream must be the same in every process
    generator = np.random.default_rng([seed, zlib.crc32(old.name.encode())])
    noise = generator.standard_normal(before.shape, dtype=np.float32)
    noise *= np.float32(norm / np.linalg.norm(noise))
    spectrum_of_change = gram_eigenvalues(difference, dtype=np.float32)
    noisy = gram_eigenvalues(before, noise)
    noisy_fit = fit_power_law(noisy)
    fitted = old.fit is not None and noisy_fit is not None
    return LayerChange(
        name=old.name,
        alpha_change=change,
        weight_change=WeightChange(
            relative_norm=norm / float(np.linalg.norm(before)),
            stable_rank=_stable_rank(spectrum_of_change),
            top_ten_energy=_top_energy(spectrum_of_change),
        ),
        noise=NoiseControl(
            alpha_change=alpha_change(old.fit, noisy_fit, noisy) if fitted else None,  # type: ignore[arg-type]
            stable_rank=_stable_rank(spectrum_of_noise),
            top_ten_energy=_top_energy(spectrum_of_noise),
        ),
    )


def _compare_vector(name: str, before: Matrix, after: Matrix) -> VectorChange:
    norm = float(np.linalg.norm(before))
    change = float(np.linalg.norm(after - before))
    return VectorChange(name=name, relative_norm=change / norm if norm > 0 else None)


def _stable_rank(eigenvalues: Array) -> float:
    return float(eigenvalues.sum() / eigenvalues[-1]) if eigenvalues[-1] > 0 else 0.0


def _top_energy(eigenvalues: Array) -> float:
    return float(eigenvalues[-LEADING:].sum() / eigenvalues.sum())


def _in_parallel(work: Callable[[Input], Output], items: Iterable[Input]) -> list[Output]:
    # matrices are independent: one BLAS thread each on every core beats many threads on one matrix
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as executor:
        return list(executor.map(work, items))

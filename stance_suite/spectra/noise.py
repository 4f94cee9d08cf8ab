"""What Gaussian noise of a given norm does to a spectrum: hundreds of draws for less than the price of one analysis.

Adding noise of standard deviation ``s`` to every weight moves the singular values of an (m, n) matrix as Dyson's
Brownian motion does (Bru, "Diffusions of perturbed principal component analysis", J. Multivariate Analysis 29, 1989):

    d sigma_i = s dB_i + s^2/2 [ (m - n)/sigma_i + sum over j != i of 1/(sigma_i - sigma_j) + 1/(sigma_i + sigma_j) ]

with independent Brownian motions, because ``u_i^T E v_i`` are independent Gaussians. One step of it is second-order
perturbation theory, adequate while the step is small beside the spacing of the singular values; where it is not, draws
are exact. Both need the singular values only: the law of Gaussian noise does not change under rotations, so that W may
be replaced by the diagonal matrix of its singular values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from stance_suite.spectra.power_law import (
    SINGLE_PRECISION,
    SMALLEST_EIGENVALUE,
    Array,
    alpha_of_every_tail,
    last_start,
    tail_curve,
)

LARGEST_STEP = 0.15
"""Noise over the median spacing of singular values, up to which one step is used: at 0.3 the mean of alpha is visibly
off, at 0.15 a thousand draws cannot be told from exact ones."""
CROWDED_SHARE = 0.05
"""Share of the counted singular values that others may push by more than the noise itself, as they do where values
coincide; random matrices have two or three in a hundred at the largest step."""
MOST_EXACT_DRAWS = 40
"""An exact draw costs an eigenproblem: where one step does not do, there are fewer draws, and the record says so."""
ROUNDING = 1e-14
"""Share of the largest eigenvalue that a zero of a matrix of low rank may come back as."""
TRUNCATED_ROWS = 16
"""Rows of a bidiagonal matrix that its leading singular vectors reach into, in units of the cube root of its size."""


@dataclass(frozen=True)
class NoisyFits:
    """What each draw of noise did to one layer's fit; arrays of shape (draws,), NaN where a fit failed."""

    alphas: Array
    """The fitted alpha."""
    tail_sizes: Array
    """The fitted tail's size."""
    fixed_tail_alphas: Array
    """Alpha with the baseline's tail size."""


@dataclass(frozen=True)
class NoiseShape:
    """Draws of pure noise of one shape, by itself; arrays of shape (draws,)."""

    stable_ranks: Array
    """Squared Frobenius norm over squared spectral norm."""
    leading_energies: Array
    """Share of the squared Frobenius norm in the leading singular values."""


def draw_noise_shape(shape: tuple[int, int], leading: int, draws: int, generator: np.random.Generator) -> NoiseShape:
    """Draw what a Gaussian matrix looks like by itself, and the energy of its leading singular values.

    Its singular values are those of a bidiagonal matrix of independent chi variables (Dumitriu and Edelman, "Matrix
    models for beta ensembles", J. Math. Phys. 43, 2002), and the leading ones are those of its first rows.
    """
    from scipy.linalg import eigvalsh_tridiagonal

    larger, smaller = max(shape), min(shape)
    rows = min(smaller, round(TRUNCATED_ROWS * smaller ** (1 / 3)))
    leading = min(leading, smaller)
    diagonal = generator.chisquare(larger - np.arange(smaller), (draws, smaller))
    beside = generator.chisquare(np.arange(smaller - 1, 0, -1), (draws, smaller - 1))
    energies = diagonal.sum(axis=1) + beside.sum(axis=1)
    squares = diagonal.copy()
    squares[:, 1:] += beside
    products = np.sqrt(diagonal[:, :-1] * beside)
    wanted: dict[str, Any] = {"select": "i", "select_range": (rows - leading, rows - 1)}
    bands = zip(squares[:, :rows], products[:, : rows - 1], strict=True)
    top = np.stack([eigvalsh_tridiagonal(*band, **wanted) for band in bands])
    return NoiseShape(energies / top[:, -1], top.sum(axis=1) / energies)


def draw_noisy_fits(
    eigenvalues: Array, larger_side: int, tail_size: int, noise: float, draws: int, generator: np.random.Generator
) -> NoisyFits:
    """Draw spectra after noise and fit each; fewer draws are made where they must be exact.

    Given are the baseline's eigenvalues, ascending, the size of its fitted tail, and the standard deviation of the
    noise on each weight.
    """
    if is_one_step_adequate(eigenvalues, larger_side, noise, tail_size):
        normals = generator.standard_normal((draws, len(eigenvalues)))
        values = perturbed_singular_values(eigenvalues, larger_side, noise, normals)
    else:
        values = exact_singular_values(eigenvalues, larger_side, noise, min(draws, MOST_EXACT_DRAWS), generator)
    return fit_drawn(eigenvalues, tail_size, values)


def is_one_step_adequate(eigenvalues: Array, larger_side: int, noise: float, tail_size: int) -> bool:
    """Tell whether second-order perturbation theory will do.

    The noise must be small beside the spacing of neighbors, in the fitted tail and in the spectrum as a whole
    (every tail competes), and hardly any value may be pushed by others further than noise itself moves it: values
    that coincide, such as the zeros of a matrix of low rank, move as a block and not one by one.
    """
    counted = eigenvalues > min(SMALLEST_EIGENVALUE, eigenvalues[-1] * ROUNDING)
    everything = step_over_spacing(eigenvalues[counted], noise, int(counted.sum()))
    if max(everything, step_over_spacing(eigenvalues, noise, tail_size)) > LARGEST_STEP:
        return False
    pushes = np.abs(noise / 2 * _pushes(np.sqrt(eigenvalues), larger_side))
    return bool(np.mean(~(pushes <= 1)) <= CROWDED_SHARE)


def step_over_spacing(eigenvalues: Array, noise: float, tail_size: int) -> float:
    """Compare the noise with the spacing of the tail's singular values: standard deviation over median spacing."""
    spacing = float(np.median(np.diff(np.sqrt(eigenvalues[-max(tail_size, 2) :]))))
    return noise / spacing if spacing > 0 else float("inf")


def perturbed_singular_values(eigenvalues: Array, larger_side: int, noise: float, normals: Array) -> Array:
    """Draw singular values after noise, to second order, ascending in each row, from as many standard normals."""
    values = np.sqrt(eigenvalues)
    # two that all but coincide part by about the noise, not by one over their distance
    pushed = np.clip(noise**2 / 2 * _pushes(values, larger_side), -noise, noise)
    return np.sort(np.abs(values + noise * normals + pushed), axis=1)


def _pushes(values: Array, larger_side: int) -> Array:
    """Drift of each singular value, for a noise of one; NaN or infinite where values coincide or are zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        differences = values[:, None] - values[None, :]
        np.fill_diagonal(differences, np.inf)
        sums = values[:, None] + values[None, :]
        np.fill_diagonal(sums, np.inf)
        drift: Array = (larger_side - len(values)) / values + (1 / differences + 1 / sums).sum(axis=1)
    return drift


def exact_singular_values(
    eigenvalues: Array, larger_side: int, noise: float, draws: int, generator: np.random.Generator
) -> Array:
    """Draw singular values after noise, exactly: one eigenproblem a draw. Shape (draws, n), ascending in each row."""
    size = len(eigenvalues)
    values = np.sqrt(eigenvalues)
    below = larger_side - size  # rows of noise under the square part that holds W
    found = np.empty((draws, size))
    for draw in range(draws):
        square = noise * generator.standard_normal((size, size))
        square[np.diag_indices(size)] += values
        if below >= size:
            # the triangular factor of a tall Gaussian matrix (Bartlett)
            rest = np.triu(generator.standard_normal((size, size)), 1)
            rest[np.diag_indices(size)] = np.sqrt(generator.chisquare(below - np.arange(size)))
        else:
            rest = generator.standard_normal((below, size))
        gram = square.T @ square + noise**2 * (rest.T @ rest)
        found[draw] = np.sqrt(np.clip(np.linalg.eigvalsh(gram), 0, None))
    return found


def fit_drawn(eigenvalues: Array, tail_size: int, singular_values: Array) -> NoisyFits:
    """Fit every drawn spectrum: singular values of shape (draws, n), ascending in each row."""
    counts = np.count_nonzero(singular_values**2 > SMALLEST_EIGENVALUE, axis=1)
    alphas, sizes, fixed = (np.full(len(singular_values), np.nan) for _ in range(3))
    # noise moves eigenvalues over the cut-off: draws are searched together if as many are above it
    for count in np.unique(counts):
        rows = counts == count
        if count < 2:
            continue
        alphas[rows], sizes[rows], every = _search(eigenvalues[-count:], singular_values[rows, -count:])
        if count >= tail_size:
            fixed[rows] = every[:, count - tail_size]
    return NoisyFits(alphas, sizes, fixed)


def _search(eigenvalues: Array, singular_values: Array) -> tuple[Array, Array, Array]:
    """Find each draw's best tail, looking only at tails that can win; alpha, tail size, and alpha of every tail.

    With ``h = ln x_j - ln x_i``, the fitted survival function is ``exp(-(alpha - 1) h)``. If alpha becomes alpha' and
    logarithms in the tail move by at most e, it moves by at most ``|alpha' - alpha| / (min(alpha, alpha') - 1) / exp(1)
    + 2 e (alpha' - 1)`` anywhere, and so does the KS distance. A tail whose baseline distance minus this bound exceeds
    a distance already seen cannot have the smallest one.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        count, logs = len(eigenvalues), 2 * np.log(singular_values)  # (draws, n)
        baseline = tail_curve(eigenvalues, cutoff=0.0)
        alphas = alpha_of_every_tail(logs)  # (draws, n - 1)
        lowest = np.full(alphas.shape, -np.inf)
        likeliest = [int(start) for start in range(last_start(count))]
        if baseline is not None and len(baseline.points) == count:
            moved = np.abs(logs - np.log(eigenvalues))
            farthest = np.maximum.accumulate(moved[:, ::-1], axis=1)[:, ::-1][:, :-1]  # within each tail
            turned = np.abs(alphas - baseline.alphas) / (np.minimum(alphas, baseline.alphas) - 1) / np.e
            lowest = baseline.distances - SINGLE_PRECISION - turned - 2 * farthest * (alphas - 1)
            lowest[~np.isfinite(lowest)] = -np.inf
            likeliest = np.argsort(baseline.distances[: last_start(count)]).tolist()
    smallest, chosen = np.full(len(logs), np.inf), np.zeros(len(logs), dtype=int)
    for start in likeliest:
        able = np.flatnonzero(lowest[:, start] <= smallest)
        if not len(able):
            continue
        gap = logs[able, start:]
        gap -= gap[:, :1].copy()  # (draws, n - start)
        gap *= (1 - alphas[able, start])[:, None]
        np.exp(gap, out=gap)
        gap -= np.arange(count - start, 0, -1) / (count - start)
        found = np.abs(gap, out=gap).max(axis=1)
        # of equal distances the longest tail's wins
        better = (found < smallest[able]) | ((found == smallest[able]) & (start < chosen[able]))
        smallest[able[better]] = found[better]
        chosen[able[better]] = start
    return alphas[np.arange(len(logs)), chosen], (count - chosen).astype(float), alphas

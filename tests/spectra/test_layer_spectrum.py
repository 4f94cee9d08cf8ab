import numpy as np
import pytest
import torch

from stance_suite.models.checkpoints.open import open_checkpoint
from stance_suite.spectra.layer_spectrum import measure_spectra
from stance_suite.spectra.matrices import sort_tensors


def measure(weight):
    tensors = sort_tensors(open_checkpoint({"a.weight": torch.as_tensor(weight)}))
    (layer,) = measure_spectra(tensors.matrices)
    return layer


def gaussian(rows, columns, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


def test_figures_are_those_of_the_matrix():
    matrix = gaussian(90, 40).astype(np.float64)
    layer = measure(matrix)
    values = np.linalg.svd(matrix, compute_uv=False)
    assert layer.norm == pytest.approx(np.sum(matrix**2))
    assert layer.spectral_norm == pytest.approx(values[0])
    assert layer.stable_rank == pytest.approx(np.sum(values**2) / values[0] ** 2)
    assert layer.matrix_rank == np.linalg.matrix_rank(matrix) == 40
    shares = values**2 / np.sum(values**2)
    assert layer.entropy == pytest.approx(-np.sum(shares * np.log(shares)) / np.log(40), abs=1e-6)
    assert measure(gaussian(90, 5) @ gaussian(5, 40)).matrix_rank == 5
    assert measure(np.ones((40, 30))).entropy == 0


def test_half_precision_is_measured_as_what_it_holds():
    matrix = torch.tensor(gaussian(60, 30))
    for dtype in (torch.float16, torch.bfloat16):
        assert measure(matrix.to(dtype)) == measure(matrix.to(dtype).float())


@pytest.mark.parametrize(
    ("weight", "failure"),
    [
        (np.full((20, 10), np.nan), "NaN or infinite"),
        (np.where(np.eye(20, 10) > 0, np.inf, 0), "NaN or infinite"),
        (np.zeros((20, 10)), "is zero"),
        (np.eye(20, 10), "no tail to fit: 1 distinct"),
        (1e-4 * gaussian(20, 10), "no tail to fit: 0 distinct eigenvalues above 1e-05"),
    ],
)
def test_what_has_no_tail_says_why(weight, failure):
    layer = measure(weight)
    assert layer.fit is None
    assert failure in layer.failure
    assert layer.warning == ""


def test_tails_that_reach_below_a_gram_matrix_rounding_are_still_exact():
    """A condition of 1e7 squared leaves a Gram matrix no digits at the lower end."""
    u, _ = np.linalg.qr(gaussian(80, 30).astype(np.float64))
    v, _ = np.linalg.qr(gaussian(30, 30, seed=1).astype(np.float64))
    values = np.geomspace(1e5, 1e-2, 30)
    layer = measure((u * values) @ v.T)
    assert layer.eigenvalues == pytest.approx(np.sort(values**2), rel=1e-6)


def test_convolutions_pool_the_spectra_of_their_kernel_positions():
    kernel = torch.tensor(gaussian(12, 10 * 6).reshape(12, 10, 2, 3))
    layer = measure(kernel)
    each = [np.linalg.svd(kernel[:, :, i, j].double(), compute_uv=False) ** 2 / 2 for i in range(2) for j in range(3)]
    assert layer.positions == 6
    assert layer.eigenvalues == pytest.approx(np.sort(np.concatenate(each)), rel=1e-9)


@pytest.mark.parametrize(
    ("low", "high", "warning"),
    [
        (1.2, 1.9, "over-trained"),
        (6.1, 9.0, "under-trained"),
        (2.1, 5.9, ""),
        (1.9, 2.5, "inconclusive"),
        (5.0, 6.5, "inconclusive"),
        (1.5, 8.0, "inconclusive"),
    ],
)
def test_a_warning_needs_an_interval_that_bears_it_out(low, high, warning):
    layer = measure(gaussian(60, 30))
    interval = layer.interval.model_copy(update={"low": low, "high": high})
    assert layer.model_copy(update={"interval": interval}).warning == warning
    few = measure(gaussian(40, 12))
    assert (few.interval, few.warning) == (None, "inconclusive")

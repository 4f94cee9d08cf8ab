import numpy as np
import pytest

from stance_suite.spectra import compare_with_baseline, measure, measure_spectra
from stance_suite.spectra.eigenvalues import gram_eigenvalues
from stance_suite.spectra.matrices import SortedParameters


def parameters(matrix, vector=(1.0, 2.0)):
    return SortedParameters({"a": matrix.astype(np.float32)}, {"v": np.array(vector, dtype=np.float32)}, ())


def compare(before, after, seed=0):
    spectra = [measure_spectra(side.matrices) for side in (before, after)]
    return compare_with_baseline(before, after, *spectra, seed)


@pytest.fixture
def before():
    return np.random.default_rng(0).standard_normal((120, 60))


def test_a_rank_one_change_is_seen_for_what_it_is(before):
    rng = np.random.default_rng(1)
    push = 1e-3 * np.outer(rng.standard_normal(120), rng.standard_normal(60))
    (change,), (vector,) = compare(parameters(before), parameters(before + push, vector=(1.0, 2.5)))
    assert change.weight_change.stable_rank == pytest.approx(1.0, abs=0.01)
    assert change.weight_change.top_ten_energy == pytest.approx(1.0, abs=0.01)
    relative = np.linalg.norm(push) / np.linalg.norm(before)
    assert change.weight_change.relative_norm == pytest.approx(relative, rel=1e-3)
    assert vector.relative_norm == pytest.approx(0.5 / np.sqrt(5))


def test_the_noise_control_is_no_low_rank_change(before):
    push = 1e-3 * np.random.default_rng(1).standard_normal(before.shape)
    (change,), _ = compare(parameters(before), parameters(before + push))
    assert change.noise.stable_rank > 10
    assert change.noise.stable_rank == pytest.approx(change.weight_change.stable_rank, rel=0.2)
    assert change.noise.top_ten_energy == pytest.approx(change.weight_change.top_ten_energy, rel=0.2)


def test_noise_of_the_changes_norm_is_added_to_the_baseline(before):
    """A large push and large noise both flatten the spectrum; a push of zero norm has no noise control."""
    push = 3 * np.random.default_rng(1).standard_normal(before.shape)
    (large,), _ = compare(parameters(before), parameters(before + push))
    (small,), _ = compare(parameters(before), parameters(before + 1e-4 * push))
    assert abs(large.noise.alpha_change.spectrum) > abs(small.noise.alpha_change.spectrum)
    assert large.noise.alpha_change.tail_before == small.noise.alpha_change.tail_before
    (none,), _ = compare(parameters(before), parameters(before))
    assert none.noise is None
    assert none.weight_change is None
    assert none.alpha_change.total == 0


def test_the_noise_is_seeded(before):
    pair = parameters(before), parameters(before * 1.01)
    assert compare(*pair, seed=0) == compare(*pair, seed=0)
    assert compare(*pair, seed=0) != compare(*pair, seed=1)


def test_a_matrix_of_zeros_has_no_fit_and_no_alpha_change():
    zeros = parameters(np.zeros((20, 20)))
    (change,), _ = compare(zeros, zeros)
    assert change.alpha_change is None
    (layer,) = measure_spectra(zeros.matrices)
    assert layer.fit is None
    assert layer.stable_rank == 0


def test_the_noise_has_the_norm_of_the_change(before, monkeypatch):
    added = []

    def spy(*matrices, **options):
        if len(matrices) == 2:
            added.append(matrices[1].copy())
        return gram_eigenvalues(*matrices, **options)

    monkeypatch.setattr(measure, "gram_eigenvalues", spy)
    push = 0.01 * np.random.default_rng(1).standard_normal(before.shape)
    pair = parameters(before), parameters(before + push)
    compare(*pair)
    (noise,) = added
    difference = pair[1].matrices["a"] - pair[0].matrices["a"]
    assert np.linalg.norm(noise) == pytest.approx(np.linalg.norm(difference), rel=1e-5)
    assert abs(np.sum(noise * difference)) < 0.1 * np.linalg.norm(difference) ** 2, "and not its direction"

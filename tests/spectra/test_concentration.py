import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stance_suite.spectra.concentration import LayerDraws, gini, measure_concentration, participation_ratio
from tests.measured import alpha_change, layer

SIZES = st.lists(st.floats(0.01, 100), min_size=1, max_size=30).map(np.array)


@given(SIZES, st.floats(0.01, 100))
def test_both_lie_between_one_layer_and_all_and_neither_depends_on_scale(sizes, factor):
    assert 1 - 1e-9 <= participation_ratio(sizes) <= len(sizes) + 1e-9
    assert -1e-9 <= gini(sizes) <= 1 - 1 / len(sizes) + 1e-9
    assert participation_ratio(factor * sizes) == pytest.approx(participation_ratio(sizes))
    assert gini(factor * sizes) == pytest.approx(gini(sizes), abs=1e-9)
    differences = np.abs(sizes[:, None] - sizes[None, :])  # half their mean over the mean is the Gini coefficient
    assert gini(sizes) == pytest.approx(differences.mean() / 2 / sizes.mean(), abs=1e-9)


def test_a_single_layer_has_all():
    sizes = np.array([0, 0, 5.0, 0])
    assert participation_ratio(sizes) == pytest.approx(1)
    assert gini(sizes) == pytest.approx(0.75)


def test_noise_shows_how_concentrated_chance_is():
    changes = [layer("a", alpha_change(3.0, 0.1)), layer("b", alpha_change(0.1, 0.1)), layer("c", None)]
    draws = np.random.default_rng(0).standard_normal((3, 500))
    noise = [LayerDraws(draws[0], draws[1]), LayerDraws(draws[1], draws[2]), LayerDraws()]
    norm, total, spectrum = measure_concentration(changes, noise)
    assert (norm.figure, norm.layers, norm.participation_ratio) == ("relative_norm", 3, pytest.approx(3))
    assert norm.noise_gini is None
    assert (total.figure, total.layers) == ("alpha_total", 2)
    assert total.participation_ratio == pytest.approx(3.1**2 / (9 + 0.01))
    assert 1 < total.noise_participation_ratio[0] < total.noise_participation_ratio[1] <= 2
    assert spectrum.participation_ratio == pytest.approx(2)


def test_layers_that_stayed_are_so_in_the_noise_too():
    """Six changed layers of thirty are concentrated, and no more than noise in the same six would be."""
    changes = [layer(str(i), alpha_change(0.1 * i, 0.1)) for i in range(1, 7)]
    changes += [layer(str(i), alpha_change(0.0, 0.0)) for i in range(7, 31)]
    generator = np.random.default_rng(0)
    noise = [LayerDraws(*generator.standard_normal((2, 200))) for _ in range(6)]
    noise += [LayerDraws(np.zeros(200), np.zeros(200))] * 24
    _, total, _ = measure_concentration(changes, noise)
    assert total.gini > 0.8
    assert total.noise_gini[0] < total.gini < total.noise_gini[1]


def test_layers_that_failed_or_did_not_change_are_left_out_of_both_sides():
    failed = layer("c", None).model_copy(update={"failure": "after: holds NaN"})
    changes = [layer("a", alpha_change(3.0, 0.1)), layer("b", alpha_change(0.1, 0.1)), failed]
    noise = [LayerDraws(np.ones(9), np.ones(9)), LayerDraws(np.ones(5), np.ones(5)), LayerDraws()]
    assert [found.layers for found in measure_concentration(changes, noise)] == [2, 2, 2]
    changes = [layer("a", alpha_change(0.0, 0.0)), layer("b", alpha_change(0.0, 0.0))]
    assert [found.figure for found in measure_concentration(changes, [LayerDraws()] * 2)] == ["relative_norm"]

import numpy as np
import pytest
import torch

from stance_suite.errors import StanceSuiteError
from stance_suite.spectra.change import compare_models
from stance_suite.spectra.measured import measure_model


def model(matrix, vector=(1.0, 2.0), name="a"):
    weight = torch.tensor(np.asarray(matrix, dtype=np.float32))
    return {f"{name}.weight": weight, "v": torch.tensor(vector)}


def compare(before, after, seed=0, **options):
    return compare_models(measure_model(before), measure_model(after), seed=seed, **options)


@pytest.fixture
def before():
    return np.random.default_rng(0).standard_normal((120, 60))


def test_a_rank_one_change_is_seen_for_what_it_is(before):
    rng = np.random.default_rng(1)
    push = 1e-3 * np.outer(rng.standard_normal(120), rng.standard_normal(60))
    change = compare(model(before), model(before + push, vector=(1.0, 2.5)))
    (layer,), (vector,) = change.layers, change.vectors
    delta = layer.weight_change
    assert delta.stable_rank == pytest.approx(1.0, abs=0.01)
    assert delta.top_ten_energy == pytest.approx(1.0, abs=0.01)
    assert delta.relative_norm == pytest.approx(np.linalg.norm(push) / np.linalg.norm(before), rel=1e-3)
    assert delta.relative_spectral_norm == pytest.approx(np.linalg.norm(push, 2) / np.linalg.norm(before, 2), rel=1e-3)
    assert layer.noise.stable_rank.p_value == pytest.approx(1 / 1001)
    assert layer.noise.significant
    assert vector.relative_norm == pytest.approx(0.5 / np.sqrt(5))


def test_noise_is_not_called_a_change(before):
    push = 1e-3 * np.random.default_rng(1).standard_normal(before.shape)
    (layer,) = compare(model(before), model(before + push)).layers
    noise = layer.noise
    for drawn, figure in (
        (noise.alpha_total, layer.alpha_change.total),
        (noise.alpha_spectrum, layer.alpha_change.spectrum),
        (noise.stable_rank, layer.weight_change.stable_rank),
        (noise.top_ten_energy, layer.weight_change.top_ten_energy),
    ):
        assert drawn.p_value > 0.01
        assert drawn.low <= drawn.high
        assert figure == pytest.approx(np.clip(figure, drawn.low, drawn.high), abs=drawn.high - drawn.low)
    assert not noise.significant


def test_overlaps_tell_which_side_turned(before):
    """Rotating the inputs turns the right singular vectors and leaves the left ones; wide or tall."""
    rotation, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((60, 60)))
    # a clear gap after ten: otherwise the leading ten are not one subspace
    u, s, vt = np.linalg.svd(before, full_matrices=False)
    gapped = (u * np.where(np.arange(60) < 10, 10 * s, s)) @ vt
    (tall,) = compare(model(gapped), model(gapped @ rotation)).layers
    assert tall.weight_change.left_overlap == pytest.approx(1.0, abs=1e-4)
    assert tall.weight_change.right_overlap < 0.5
    (wide,) = compare(model(gapped.T), model((gapped @ rotation).T)).layers
    assert wide.weight_change.right_overlap == pytest.approx(1.0, abs=1e-4)
    assert wide.weight_change.left_overlap < 0.5


def test_the_alpha_of_a_small_change_does_not_depend_on_its_size(before):
    """WeightWatcher's absolute cut-off would drop most of its eigenvalues."""
    push = np.random.default_rng(1).standard_t(3, before.shape)
    small, large = (compare(model(before), model(before + size * push)).layers[0] for size in (1e-4, 1e-2))
    assert small.weight_change.fit.alpha == pytest.approx(large.weight_change.fit.alpha, rel=0.02)
    assert small.weight_change.fit.tail_size == pytest.approx(large.weight_change.fit.tail_size, abs=2)


def test_an_unchanged_matrix_has_no_noise_and_enters_no_family(before):
    (layer,) = compare(model(before), model(before)).layers
    assert layer.weight_change is None
    assert layer.noise is None
    assert layer.alpha_change.total == 0


def test_the_noise_is_seeded(before):
    pair = model(before), model(before * 1.01)
    assert compare(*pair, seed=0) == compare(*pair, seed=0)
    assert compare(*pair, seed=0) != compare(*pair, seed=1)


def test_the_noise_has_the_norm_of_the_change(before):
    """Ranges of alpha grow with the change that the noise is matched to."""
    push = np.random.default_rng(1).standard_normal(before.shape)
    small, large = (compare(model(before), model(before + size * push)).layers[0].noise for size in (1e-4, 1e-3))
    widths = [noise.alpha_spectrum.high - noise.alpha_spectrum.low for noise in (small, large)]
    assert widths[1] / widths[0] == pytest.approx(10, rel=0.05)


def test_p_values_are_adjusted_over_all_figures_of_all_layers(before):
    rng = np.random.default_rng(3)
    first = {f"l{i}.weight": torch.tensor(rng.standard_normal((60, 40)), dtype=torch.float32) for i in range(6)}
    noisy = {name: value + 1e-3 * torch.randn_like(value) for name, value in first.items()}
    layers = compare(first, noisy).layers
    for layer in layers:
        assert layer.noise.stable_rank.adjusted_p_value >= layer.noise.stable_rank.p_value
    smallest = min(layer.noise.stable_rank.p_value for layer in layers)
    assert any(
        layer.noise.stable_rank.adjusted_p_value > layer.noise.stable_rank.p_value
        for layer in layers
        if layer.noise.stable_rank.p_value == smallest
    )


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (model(np.ones((120, 60)), name="b"), "lacks a; "),
        (model(np.ones((120, 50))), "a is 120 x 60 in the first and 120 x 50 in the second"),
        (model(np.ones((120, 60)), vector=(1.0,)), "v is 2 in the first and 1 in the second"),
    ],
)
def test_models_of_another_architecture_are_refused(before, other, message):
    with pytest.raises(StanceSuiteError, match=f"not of one architecture: .*{message}"):
        compare(model(before), other)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_give_no_figures(before, value):
    broken = before.copy()
    broken[3, 4] = value
    (layer,) = compare(model(before), model(broken, vector=(1.0, value))).layers
    assert layer.alpha_change is None
    assert layer.weight_change is None
    change = compare(model(before), model(broken, vector=(1.0, value)))
    assert change.vectors[0].relative_norm is None


def test_a_convolution_is_compared_without_noise():
    kernel = torch.randn(16, 12, 3, 3, generator=torch.Generator().manual_seed(0))
    (layer,) = compare({"c.weight": kernel}, {"c.weight": 1.01 * kernel}).layers
    assert layer.weight_change.relative_norm == pytest.approx(0.01, rel=1e-3)
    assert layer.noise is None
    assert layer.weight_change.left_overlap is None

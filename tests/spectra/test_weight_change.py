import numpy as np
import pytest
import torch

from stance_suite.errors import StanceSuiteError
from stance_suite.spectra.analysis import analyze
from stance_suite.spectra.model_spectra import measure_model
from stance_suite.spectra.weight_change import compare_models


def model(matrix, vector=(1.0, 2.0), name="a"):
    weight = torch.tensor(np.asarray(matrix, dtype=np.float32))
    return {f"{name}.weight": weight, "v": torch.tensor(vector)}


def compare(before, after, seed=0, **options):
    return compare_models(measure_model(before), measure_model(after), seed=seed, **options)


def compare_one(before, after, **options):
    """The change of a model's only matrix."""
    (layer,) = compare(model(before), model(after), **options).layers
    return layer


@pytest.fixture
def before():
    return np.random.default_rng(0).standard_normal((120, 60))


@pytest.fixture
def push(before):
    return np.random.default_rng(1).standard_normal(before.shape)


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
    assert layer.noise.stable_rank.p_value < 1e-6
    assert layer.noise.significant
    assert vector.relative_norm == pytest.approx(0.5 / np.sqrt(5))


def test_noise_is_not_called_a_change(before, push):
    layer = compare_one(before, before + 1e-3 * push)
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
    tall = compare_one(gapped, gapped @ rotation)
    assert tall.weight_change.left_overlap == pytest.approx(1.0, abs=1e-4)
    assert tall.weight_change.right_overlap < 0.5
    wide = compare_one(gapped.T, (gapped @ rotation).T)
    assert wide.weight_change.right_overlap == pytest.approx(1.0, abs=1e-4)
    assert wide.weight_change.left_overlap < 0.5


def test_the_alpha_of_a_small_change_does_not_depend_on_its_size(before):
    """WeightWatcher's absolute cut-off would drop most of its eigenvalues."""
    push = np.random.default_rng(1).standard_t(3, before.shape)
    small, large = (compare_one(before, before + size * push) for size in (1e-4, 1e-2))
    assert small.weight_change.fit.alpha == pytest.approx(large.weight_change.fit.alpha, rel=0.02)
    assert small.weight_change.fit.tail_size == pytest.approx(large.weight_change.fit.tail_size, abs=2)


def test_the_noise_is_seeded_and_has_the_norm_of_the_change(before, push):
    """Ranges of alpha grow with the change that the noise is matched to."""
    pair = before[:40, :20], before[:40, :20] * 1.01
    assert compare_one(*pair, seed=0) == compare_one(*pair, seed=0)
    assert compare_one(*pair, seed=0) != compare_one(*pair, seed=1)
    small, large = (compare_one(before, before + size * push).noise for size in (1e-4, 1e-3))
    widths = [noise.alpha_spectrum.high - noise.alpha_spectrum.low for noise in (small, large)]
    assert widths[1] / widths[0] == pytest.approx(10, rel=0.05)


def test_p_values_are_adjusted_over_all_figures_of_all_layers(before):
    rng = np.random.default_rng(3)
    first = {f"l{i}.weight": torch.tensor(rng.standard_normal((60, 40)), dtype=torch.float32) for i in range(6)}
    noisy = {name: value + 1e-3 * torch.randn_like(value) for name, value in first.items()}
    ranks = [layer.noise.stable_rank for layer in compare(first, noisy).layers]
    assert all(rank.adjusted_p_value >= rank.p_value for rank in ranks)
    smallest = min(ranks, key=lambda rank: rank.p_value)
    assert smallest.adjusted_p_value > smallest.p_value


def test_models_of_another_architecture_are_refused(before):
    weight = torch.tensor(before, dtype=torch.float32)
    tied = {"model.embed_tokens.weight": weight, "lm_head.weight": weight.clone()}
    for one, other, message in (
        (model(before), model(before, name="b"), "lacks a; "),
        (model(before), model(np.ones((120, 50))), "a is 120 x 60 in the first and 120 x 50 in the second"),
        (model(before), model(before, vector=(1.0,)), "v is 2 in the first and 1 in the second"),
        (tied, tied | {"lm_head.weight": weight + 1}, r"lacks lm_head; it is tied to model\.embed_tokens\.weight, "),
    ):
        with pytest.raises(StanceSuiteError, match=f"not of one architecture: .*{message}"):
            compare(one, other)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("side", ["before", "after"])
def test_values_that_are_not_finite_are_a_failure_and_no_unchanged_layer(before, value, side):
    broken = before.copy()
    broken[3, 4] = value
    whole, damaged = model(before), model(broken, vector=(1.0, value))
    change = compare(*((damaged, whole) if side == "before" else (whole, damaged)))
    (layer,) = change.layers
    assert layer.alpha_change is None
    assert layer.weight_change is None
    assert layer.failure == f"{side}: holds NaN or infinite values, or values whose squares overflow"
    assert change.concentration == ()
    assert change.vectors[0].relative_norm is None


@pytest.mark.parametrize("shape", [(128, 64), (30, 20)])
def test_matrices_of_zeros_are_compared_and_unchanged_ones_have_no_noise(shape):
    zero, full = np.zeros(shape), np.random.default_rng(0).standard_normal(shape)
    same = compare_one(full, full)
    assert (same.weight_change, same.noise, same.alpha_change.total) == (None, None, 0)
    nothing, gone = compare_one(zero, zero), compare_one(full, zero)
    assert (nothing.weight_change, nothing.failure) == (None, None)
    assert compare_one(zero, full).failure == "before: is zero"
    assert gone.weight_change.relative_norm == pytest.approx(1)
    assert gone.alpha_change is None


def test_only_directions_that_a_matrix_has_are_compared():
    """A matrix of rank four has four, whatever else rounding would point to."""
    generator = np.random.default_rng(0)
    matrix = generator.standard_normal((90, 4)) @ generator.standard_normal((4, 60))
    layer = compare_one(matrix, 1.01 * matrix)
    assert layer.weight_change.left_overlap == pytest.approx(1, abs=1e-6)
    assert layer.weight_change.right_overlap == pytest.approx(1, abs=1e-6)


def test_one_structured_change_among_hundreds_of_noisy_layers_is_found():
    generator = torch.Generator().manual_seed(0)
    first = {f"l{i}.weight": torch.randn(40, 30, generator=generator) for i in range(200)}
    second = {name: value + 1e-3 * torch.randn(40, 30, generator=generator) for name, value in first.items()}
    one_direction = torch.outer(torch.randn(40, generator=generator), torch.randn(30, generator=generator))
    second["l7.weight"] = first["l7.weight"] + 1e-3 * one_direction
    changed = [layer.name for layer in compare(first, second, draws=20).layers if layer.noise.significant]
    assert changed == ["l7"]


def test_what_could_have_been_detected_is_just_what_is_significant(before, push):
    noise = compare_one(before, before + 1e-3 * push).noise
    assert noise.stable_rank.low < noise.stable_rank.detectable < noise.stable_rank.high
    assert noise.alpha_total.detectable > 0
    assert compare_one(before, before + 1e-3 * push, draws=10).noise.alpha_total.detectable is None


def test_tails_below_a_gram_matrix_rounding_are_those_of_an_analysis():
    u, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((80, 60)))
    v, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((60, 60)))
    matrix = torch.tensor((u * np.geomspace(3.3e-3, 1e6, 60)) @ v.T)
    (analyzed,) = analyze({"a.weight": matrix}).layers
    assert measure_model({"a.weight": matrix}).spectra == (analyzed,)


def test_convolutions_are_compared_without_noise_and_vocabularies_beyond_weightwatchers_limit_too():
    generator = torch.Generator().manual_seed(0)
    first = {"c.weight": torch.randn(16, 12, 3, 3, generator=generator)}
    first |= {"wte.weight": torch.randn(50_257, 8, generator=generator)}
    convolution, vocabulary = compare(first, {name: 1.01 * value for name, value in first.items()}).layers
    for layer in (convolution, vocabulary):
        assert layer.weight_change.relative_norm == pytest.approx(0.01, rel=1e-3)
    assert convolution.noise is None
    assert convolution.weight_change.left_overlap is None

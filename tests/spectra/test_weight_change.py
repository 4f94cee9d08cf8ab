from unittest.mock import Mock

import numpy as np
import pytest
import torch

from stance_suite.errors import StanceSuiteError
from stance_suite.spectra.analysis import analyze
from stance_suite.spectra.model_spectra import measure_model
from stance_suite.spectra.noise import MOST_EXACT_DRAWS, NoisyFits
from stance_suite.spectra.power_law import fit_power_law
from stance_suite.spectra.weight_change import DRAWS, alpha_changes, compare_models, control_rounding


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


@pytest.mark.parametrize("turn", [np.asarray, np.transpose])
def test_figures_of_a_change_are_those_of_the_matrices(before, push, turn):
    first, second = turn(before), turn(before + push)
    layer = compare_one(first, second).weight_change
    values = np.linalg.svd(push, compute_uv=False) ** 2
    assert layer.stable_rank == pytest.approx(values.sum() / values[0], rel=1e-5)
    assert layer.top_ten_energy == pytest.approx(values[:10].sum() / values.sum(), rel=1e-5)
    assert layer.fit.alpha == pytest.approx(fit_power_law(values).alpha, rel=1e-4)
    (u, _, vt), (u_after, _, vt_after) = np.linalg.svd(first), np.linalg.svd(second)
    overlaps = np.linalg.norm(u.T[:10] @ u_after[:, :10]) ** 2 / 10, np.linalg.norm(vt[:10] @ vt_after[:10].T) ** 2 / 10
    assert (layer.left_overlap, layer.right_overlap) == pytest.approx(overlaps, rel=1e-3)


@pytest.mark.parametrize("turn", [np.asarray, np.transpose])
@pytest.mark.parametrize("shape", [(120, 60), (30, 20, 2, 2)])
def test_where_a_change_lies_is_told(shape, turn, monkeypatch):
    """Of rows and columns, and in how many blocks a matrix is read is no matter; kernel positions count one by one."""
    monkeypatch.setattr("stance_suite.spectra.matrices.BLOCK_ELEMENTS", 500)
    rng = np.random.default_rng(2)
    first = rng.standard_normal(shape) * rng.uniform(0.1, 3, (shape[0], *(1,) * (len(shape) - 1)))
    second = first + 0.01 * rng.standard_normal(shape)
    second[3] *= 1.5
    if len(shape) == 2:
        first, second = turn(first), turn(second)
    layer = compare_one(first, second, draws=20).weight_change
    stacked = [np.moveaxis(one.reshape(*one.shape[:2], -1), -1, 0) for one in (first, second - first)]
    for figure, axis in ((layer.largest_row, 2), (layer.largest_column, 1)):
        norms, changes = (np.sum(one**2, axis=axis) for one in stacked)
        assert figure == pytest.approx(np.sqrt(np.max(changes / np.maximum(norms, norms.mean()))), rel=1e-4)
    assert layer.scaling == pytest.approx(np.vdot(first, second - first) / np.vdot(first, first), rel=1e-3)


@pytest.mark.parametrize(
    ("before", "after", "share", "norm", "largest"),
    [
        ((3.0, 4.0, 0.0, 0.0), (3.0, 4.0, 0.0, 1.0), 0.2, 1.0, 0.4),  # over the root mean square
        ((3.0, 4.0, 0.0, 0.0), (3.0, 8.0, 0.0, 0.0), 0.8, 4.0, 1.0),  # over the entry itself
        ((0.0, 0.0), (0.0, 0.5), None, 0.5, 0.5),
        ((1.0, 1.0), (1.0, float("nan")), None, None, None),
    ],
)
def test_a_vectors_change_is_told_as_a_whole_and_in_its_largest_entry(before, after, share, norm, largest):
    weights = np.eye(20)
    (found,) = compare(model(weights, before), model(weights, after)).vectors
    assert (found.relative_norm, found.change_norm, found.largest_entry) == pytest.approx((share, norm, largest))
    assert found.entries == len(before)


def test_noise_has_the_changes_norm_and_moves_alpha_by_percents(before, push, monkeypatch):
    def planted(eigenvalues, larger_side, tail_size, noise, draws, generator):
        alpha = fit_power_law(eigenvalues).alpha
        assert (len(eigenvalues), larger_side, tail_size) == (60, 120, fit_power_law(eigenvalues).tail_size)
        assert noise == pytest.approx(0.1 * np.sqrt(np.mean(push**2)), rel=1e-5)
        sizes = np.append(np.full(draws - 5, tail_size), np.full(5, tail_size + 1))
        return NoisyFits(np.full(draws, 1.5 * alpha), sizes, np.full(draws, 0.8 * alpha))

    monkeypatch.setattr("stance_suite.spectra.weight_change.draw_noisy_fits", Mock(side_effect=planted))
    noise = compare_one(before, before + 0.1 * push, draws=20).noise
    assert (noise.alpha_total.low, noise.alpha_total.high) == pytest.approx((50, 50))
    assert (noise.alpha_spectrum.low, noise.alpha_spectrum.high) == pytest.approx((-20, -20))
    assert (noise.tail_flips, noise.draws) == (0.25, 20)


def test_layers_draw_noise_of_their_own_and_tell_how_often(before, push):
    flat = np.ones((60, 40))  # a single eigenvalue has no tail
    first = {"a": before, "b": before, "large": before, "flat": flat, "same": before}
    second = first | {"a": before + 1e-3 * push, "b": before + 1e-3 * push, "large": before + push, "flat": 2 * flat}
    weights = ({f"{name}.weight": torch.tensor(one) for name, one in side.items()} for side in (first, second))
    change = compare(*weights)
    a, b, large, without_fit, same = (layer.noise for layer in change.layers)
    assert a.alpha_spectrum != b.alpha_spectrum, "seeded by name"
    assert a.stable_rank.low == b.stable_rank.low, "shared by all of a shape"
    assert (a.draws, large.draws, without_fit.draws, same) == (DRAWS, MOST_EXACT_DRAWS, DRAWS, None)
    assert (without_fit.alpha_total, without_fit.alpha_spectrum, without_fit.tail_flips) == (None, None, None)
    assert [(one.figure, one.layers) for one in change.concentration[1:]] == [("alpha_total", 4), ("alpha_spectrum", 4)]


def test_alphas_alone_change_as_in_a_whole_comparison(before, push):
    first = model(before) | {"zero.weight": torch.zeros(30, 20), "wte.weight": torch.randn(50_257, 8)}
    second = {name: value * 1.5 if name == "wte.weight" else value for name, value in first.items()}
    second |= {"a.weight": torch.tensor(before + push)}
    whole = {layer.name: layer.alpha_change for layer in compare(first, second, draws=10).layers}
    assert whole.pop("zero") is None
    assert alpha_changes(measure_model(first), second) == pytest.approx(whole)


def test_rounding_is_told_of_matrices_that_can_be_rounded(before):
    weights = {"a.weight": before, "zero.weight": np.zeros((30, 20)), "huge.weight": np.full((30, 20), 3.4e38)}
    weights |= {"small.weight": 1e-3 * before}
    weights["huge.weight"][0, 0], rounded = 1.0, torch.tensor(before).bfloat16().double().numpy()
    measured = measure_model({name: torch.tensor(one, dtype=torch.float32) for name, one in weights.items()})
    control, small = control_rounding(measured)
    halved = measure_model({"a.weight": torch.tensor(before).bfloat16()})
    assert [one.relative_norm for one in control_rounding(halved)] == [0]
    assert (control.name, small.name) == ("a", "small")
    assert control.relative_norm == pytest.approx(np.linalg.norm(rounded - before) / np.linalg.norm(before), rel=1e-3)
    assert control.alpha_change.total == pytest.approx(compare_one(before, rounded).alpha_change.total, rel=1e-3)


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


def test_the_alpha_of_a_small_change_does_not_depend_on_its_size(before):
    """WeightWatcher's absolute cut-off would drop most of its eigenvalues."""
    push = np.random.default_rng(1).standard_t(3, before.shape)
    small, large = (compare_one(before, before + size * push) for size in (1e-4, 1e-2))
    assert small.weight_change.fit.alpha == pytest.approx(large.weight_change.fit.alpha, rel=0.02)
    assert small.weight_change.fit.tail_size == pytest.approx(large.weight_change.fit.tail_size, abs=2)


def test_the_noise_is_seeded(before):
    pair = before[:40, :20], before[:40, :20] * 1.01
    assert compare_one(*pair, seed=0) == compare_one(*pair, seed=0)
    assert compare_one(*pair, seed=0) != compare_one(*pair, seed=1)


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
        (model(before, name="ab"), model(before, name="abc"), r"lacks ab; did you mean 'abc'\?$"),
        (model(before) | model(before, name="b"), model(before, name="x"), r"lacks a and 1 more; known: v, x$"),
        (model(before), model(before) | model(before, name="b"), r"lacks b; known: a, v$"),
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


def test_matrices_of_zeros_are_compared_and_unchanged_ones_have_no_noise():
    zero, full = np.zeros((128, 64)), np.random.default_rng(0).standard_normal((128, 64))
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
    first |= {"d.weight": torch.randn(16, 12, 2, 1, generator=generator)}  # of two positions
    layers = compare(first, {name: 1.01 * value for name, value in first.items()}).layers
    convolution, _, short = layers
    assert short.noise is None
    for layer in layers:
        assert layer.weight_change.relative_norm == pytest.approx(0.01, rel=1e-3)
    assert convolution.noise is None
    assert convolution.weight_change.left_overlap is None

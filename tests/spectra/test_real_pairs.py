"""Pairs of real weights: one fine-tuned for long at a high rate, one that differs by noise of the same norms only."""

import pytest
import torch
from scipy.stats import kstest

from stance_suite.measure.training import fine_tune
from stance_suite.models.loading import load
from stance_suite.report.pictures import chart_tail_choice, draw
from stance_suite.schema.stances import RECIPES
from stance_suite.spectra.comparison import compare
from stance_suite.spectra.layer_spectrum import with_ks_distances

pytestmark = pytest.mark.slow
STANCES = ("engaged-difficulty", "confident-expertise")


def untouched(smollm2):
    return {name: tensor.detach() for name, tensor in load(smollm2)[0].named_parameters()}


def flips_beyond(comparison, percent):
    changes = {layer.name: layer.alpha_change for layer in comparison.change.layers if layer.alpha_change is not None}
    return [name for name, change in changes.items() if abs(change.total) > percent and change.tail_flip]


@pytest.fixture(scope="module")
def fine_tuned(smollm2, library):
    """Ten epochs at 2e-4. Which nearly tied tails flip is a matter of chance: two stances have their try."""
    recipe = RECIPES["long"].model_copy(update={"learning_rate": 2e-4})
    for stance in STANCES:
        model, tokenizer = load(smollm2)
        fine_tune(model, tokenizer, "plain", [library.stance(stance).examples], recipe, 0, lambda *_: None)
        comparison = compare(untouched(smollm2), model)
        if flips_beyond(comparison, 30):
            break
    return comparison


@pytest.fixture(scope="module")
def noisy(smollm2, fine_tuned):
    before = untouched(smollm2)
    generator = torch.Generator().manual_seed(1)
    after = dict(before)
    for layer in fine_tuned.change.layers:
        weight = before[f"{layer.name}.weight"]
        noise = torch.randn(weight.shape, generator=generator)
        noise *= layer.weight_change.relative_norm * weight.norm() / noise.norm()
        after[f"{layer.name}.weight"] = weight + noise
    return compare(before, after)


def test_a_dramatic_change_of_alpha_is_the_choice_of_the_tail_and_shows_its_two_minima(fine_tuned):
    (name, *_) = flips_beyond(fine_tuned, 30)
    place = [layer.name for layer in fine_tuned.change.layers].index(name)
    change = fine_tuned.change.layers[place].alpha_change
    assert abs(change.spectrum) < 1
    before, after = (with_ks_distances(side.layers[place]) for side in (fine_tuned.before, fine_tuned.after))
    # the minimum that wins afterwards was there before, and nearly as good
    assert before.runner_up.tail_size == pytest.approx(after.fit.tail_size, rel=0.2)
    assert before.runner_up.ks_distance - before.fit.ks_distance < 0.01
    picture = draw(chart_tail_choice("", before, after))
    assert f"after: fit alpha {after.fit.alpha:.3f} on {after.fit.tail_size}" in picture


def test_the_change_itself_is_beyond_noise_in_every_layer(fine_tuned):
    layers = fine_tuned.change.layers
    assert len(layers) == 211
    assert set(fine_tuned.changed) == {layer.name for layer in layers}
    for layer in layers:
        assert layer.noise.stable_rank.adjusted_p_value < 0.05, layer.name
        assert layer.weight_change.stable_rank < 0.3 * layer.noise.stable_rank.low, layer.name
    assert all(spread.participation_ratio > 1 for spread in fine_tuned.change.concentration)


@pytest.mark.parametrize("figure", ["alpha_total", "alpha_spectrum", "stable_rank", "top_ten_energy"])
def test_p_values_of_noise_against_noise_are_uniform(noisy, figure):
    p_values = [getattr(layer.noise, figure).p_value for layer in noisy.change.layers]
    assert len(p_values) == 211
    assert kstest(p_values, "uniform").pvalue > 0.01


def test_noise_of_the_same_norms_changes_no_layer_and_is_as_concentrated_as_noise(noisy):
    assert noisy.changed == ()
    for spread in noisy.change.concentration[1:]:
        low, high = spread.noise_participation_ratio
        assert 0.5 * low < spread.participation_ratio < 1.5 * high

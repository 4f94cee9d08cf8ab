import pytest
import torch

from stance_suite.reports.pictures import spectrum_picture, split_layer_name, tail_choice_picture
from stance_suite.spectra import analyze
from stance_suite.spectra.layers import with_ks_distances
from tests.measured import alpha_change, layer, record


@pytest.mark.parametrize(
    ("name", "depth", "role"),
    [
        ("model.layers.15.self_attn.v_proj", 15, "self_attn.v_proj"),
        ("transformer.h.2.mlp.c_fc", 2, "mlp.c_fc"),
        ("gpt_neox.layers.11.attention.dense", 11, "attention.dense"),
        ("model.embed_tokens", None, "embed_tokens"),
    ],
)
def test_layer_names_are_split(name, depth, role):
    assert split_layer_name(name) == (depth, role)


def test_a_spectrum_names_its_layer_and_both_fits():
    spectrum = record("base", layer("model.layers.3.q_proj", alpha_change(0, 0))).spectra[0]
    after = spectrum.model_copy(update={"fit": spectrum.fit.model_copy(update={"alpha": 4.25, "tail_size": 7})})
    picture = spectrum_picture(spectrum, after)
    assert "model.layers.3.q_proj" in picture
    assert "before: alpha 3.000 on 60 eigenvalues" in picture
    assert "after: alpha 4.250 on 7 eigenvalues" in picture


def test_a_flip_explains_itself_by_two_minima():
    from tests.spectra.flipping import flipping_pair

    layers = [with_ks_distances(analyze({"a.weight": torch.tensor(one)}).layers[0]) for one in flipping_pair()]
    picture = tail_choice_picture(*layers)
    for when, spectrum in zip(("before", "after"), layers, strict=True):
        assert f"{when}: fit alpha {spectrum.fit.alpha:.3f} on {spectrum.fit.tail_size}" in picture
        assert f"{when}: runner-up alpha {spectrum.runner_up.alpha:.3f} on {spectrum.runner_up.tail_size}" in picture
    assert layers[0].runner_up.tail_size == pytest.approx(layers[1].fit.tail_size, abs=3)

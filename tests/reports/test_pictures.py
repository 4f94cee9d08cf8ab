import pytest

from stance_suite.reports.pictures import spectrum_picture, split_layer_name
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

import numpy as np
import pytest
import torch

from stance_suite.errors import StanceSuiteError
from stance_suite.spectra.comparison import compare
from stance_suite.spectra.model_spectra import measure_model
from stance_suite.spectra.weight_change import control_rounding
from tests.models.checkpoints.small_models import llama


def random_model(seed=0, layers=4):
    generator = torch.Generator().manual_seed(seed)
    return {f"layers.{i}.weight": torch.randn(60, 40, generator=generator) for i in range(layers)}


def pushed(model, size):
    generator = torch.Generator().manual_seed(1)
    return {name: value + size * torch.randn(value.shape, generator=generator) for name, value in model.items()}


def test_every_figure_is_told_before_and_after():
    model = random_model()
    comparison = compare(model, pushed(model, 0.1))
    details = comparison.details
    assert list(details["longname"]) == list(comparison.before.details["longname"])
    for side in ("before", "after"):
        analysis = getattr(comparison, side).details
        for column in ("alpha", "D", "num_pl_spikes", "stable_rank", "mp_softrank", "log_norm", "runner_up_gap"):
            assert details[f"{column}_{side}"].equals(analysis[column])
    assert np.allclose(details["alpha_total"], 100 * (details["alpha_after"] / details["alpha_before"] - 1))
    assert np.allclose(details["alpha_total"], details["alpha_spectrum"] + details["alpha_tail_choice"])
    rounding = control_rounding(measure_model(model))
    assert list(details["rounding_alpha_total"]) == [control.alpha_change.total for control in rounding]


def test_an_adapter_is_applied_to_what_comes_before(tmp_path):
    import peft

    torch.manual_seed(0)
    base = llama(vocab_size=50, hidden_size=32, intermediate_size=48, num_key_value_heads=4, tie_word_embeddings=False)
    base.save_pretrained(tmp_path / "base")
    settings = peft.LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj"], init_lora_weights=False)
    adapted = peft.get_peft_model(base, settings)
    adapted.save_pretrained(tmp_path / "adapter")
    comparison = compare(tmp_path / "base", tmp_path / "adapter")
    changed = [layer for layer in comparison.change.layers if layer.weight_change is not None]
    assert [layer.name for layer in changed] == [f"model.layers.{i}.self_attn.q_proj" for i in range(2)]
    module = adapted.base_model.model.model.layers[0].self_attn.q_proj
    expected = module.get_delta_weight("default")
    relative = torch.linalg.norm(expected) / torch.linalg.norm(module.base_layer.weight)
    assert changed[0].weight_change.relative_norm == pytest.approx(relative.item(), rel=1e-5)
    assert changed[0].weight_change.top_ten_energy == pytest.approx(1.0)
    with pytest.raises(StanceSuiteError, match=r"the adapter .* changes model.layers.0.self_attn.q_proj.weight, which"):
        compare(random_model(), tmp_path / "adapter")


def test_noise_against_noise_gives_uniform_p_values_of_alpha():
    """The observed change of each layer is one more draw."""
    generator = np.random.default_rng(0)
    drawn = torch.tensor(generator.standard_t(5, (80, 60, 40)), dtype=torch.float32)
    model = {f"layers.{i}.weight": matrix for i, matrix in enumerate(drawn)}
    noises = [layer.noise for layer in compare(model, pushed(model, 1e-2)).change.layers]
    p_values = [[noise.alpha_total.p_value, noise.alpha_spectrum.p_value] for noise in noises]
    from scipy.stats import kstest

    for column in np.transpose(p_values):
        assert kstest(column, "uniform").pvalue > 0.01

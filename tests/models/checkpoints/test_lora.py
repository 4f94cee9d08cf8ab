import json

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from stance_suite.errors import UnsafeWeightsError, WeightsUnavailableError
from stance_suite.models.checkpoints.open import open_checkpoint
from tests.models.checkpoints.small_models import gpt2, llama


def save_adapter(folder, model, **settings):
    """Train nothing, but give every trainable tensor random values; return the base as it was, and the merged model."""
    torch.manual_seed(0)
    base = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    tuned = get_peft_model(model, LoraConfig(**{"r": 4, "lora_alpha": 32, **settings}))
    with torch.no_grad():
        for parameter in tuned.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.5)
    tuned.save_pretrained(folder)
    return base, dict(tuned.merge_and_unload().named_parameters())


def assert_same_as_merged(folder, base, merged):
    """Every tensor; the set that changed is returned, so that a test can say which should have."""
    opened = open_checkpoint(folder)
    assert opened.is_adapter
    applied = opened.on(open_checkpoint(base))
    assert not applied.is_adapter
    assert set(applied.tensors) == set(merged)
    for name, tensor in applied.tensors.items():
        expected = merged[name].detach().numpy()
        assert tensor.shape == expected.shape
        np.testing.assert_allclose(tensor.whole(), expected, rtol=0, atol=1e-6, err_msg=name)
        if len(tensor.shape) == 2:
            part = tensor.read((slice(3, 7), slice(2, 7)))
            np.testing.assert_allclose(part, expected[3:7, 2:7], rtol=0, atol=1e-6, err_msg=name)
    return {name for name in merged if not torch.equal(merged[name], base[name])}


def projections(*names: str) -> set[str]:
    return {f"model.layers.{layer}.self_attn.{name}.weight" for layer in range(2) for name in names}


def test_an_update_of_linear_layers(tmp_path):
    base, merged = save_adapter(tmp_path, llama(), target_modules=["q_proj", "v_proj"])
    assert assert_same_as_merged(tmp_path, base, merged) == projections("q_proj", "v_proj")
    assert set(open_checkpoint(tmp_path).updates) == projections("q_proj", "v_proj")


def test_an_update_of_a_layer_that_stores_inputs_first(tmp_path):
    base, merged = save_adapter(tmp_path, gpt2(), target_modules=["c_attn", "c_fc"], fan_in_fan_out=True)
    changed = assert_same_as_merged(tmp_path, base, merged)
    assert changed == {
        f"transformer.h.{layer}.{name}.weight" for layer in (0, 1) for name in ("attn.c_attn", "mlp.c_fc")
    }
    assert open_checkpoint(tmp_path).updates["transformer.h.0.attn.c_attn.weight"].shape == (16, 48)


@pytest.mark.parametrize("use_rslora", [False, True])
def test_patterns_of_rank_and_alpha(tmp_path, use_rslora):
    base, merged = save_adapter(
        tmp_path,
        llama(num_hidden_layers=11),
        target_modules=["q_proj", "o_proj", "up_proj"],
        use_rslora=use_rslora,
        # layer 0 is not layer 10; of two patterns that fit the first counts, and PEFT saves them sorted
        alpha_pattern={"0.self_attn.q_proj": 3, "[24].mlp.up_proj": 9, "^model.layers.1.*o_proj": 5, "up_proj": 7},
        rank_pattern={"^model.layers.10.self_attn.q_proj": 2, "up_proj": 8},
    )
    assert_same_as_merged(tmp_path, base, merged)


def test_layer_2_is_listed_before_layer_10(tmp_path):
    save_adapter(tmp_path, llama(num_hidden_layers=11), target_modules=["q_proj"])
    layers = [int(name.split(".")[2]) for name in open_checkpoint(tmp_path).updates]
    assert layers == list(range(11))


def test_an_update_of_an_embedding(tmp_path):
    base, merged = save_adapter(tmp_path, gpt2(), target_modules=["wpe"])
    assert assert_same_as_merged(tmp_path, base, merged) == {"transformer.wpe.weight"}


@pytest.mark.parametrize("embeddings_too", [True, False])
def test_an_update_of_an_embedding_beside_which_peft_stores_the_embedding(tmp_path, embeddings_too):
    base, merged = save_adapter(tmp_path, llama(tie_word_embeddings=False), target_modules=["embed_tokens", "q_proj"])
    stored = load_file(tmp_path / "adapter_model.safetensors")
    whole = [name for name in stored if name.endswith("base_layer.weight")]
    assert whole == ["base_model.model.model.embed_tokens.base_layer.weight"]
    if not embeddings_too:
        del stored[whole[0]]
        save_file(stored, tmp_path / "adapter_model.safetensors")
    changed = assert_same_as_merged(tmp_path, base, merged)
    assert changed == {"model.embed_tokens.weight", *projections("q_proj")}


def test_an_update_of_a_vocabulary_that_grew_before_it(tmp_path):
    model = llama(tie_word_embeddings=False)
    before = {name: tensor.detach().clone() for name, tensor in model.named_parameters()}
    model.resize_token_embeddings(70)
    _, merged = save_adapter(tmp_path, model, target_modules=["embed_tokens", "lm_head"])
    applied = open_checkpoint(tmp_path).on(open_checkpoint(before))
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        assert applied.tensors[name].shape == (70, 16)
        np.testing.assert_allclose(applied.tensors[name].whole(), merged[name].detach().numpy(), atol=1e-6)


def test_modules_that_are_replaced_as_a_whole(tmp_path):
    base, merged = save_adapter(
        tmp_path, llama(tie_word_embeddings=False), target_modules=["q_proj"], modules_to_save=["lm_head", "norm"]
    )
    changed = assert_same_as_merged(tmp_path, base, merged)
    assert changed == {"lm_head.weight", *projections("q_proj"), *(name for name in base if "norm" in name)}


def test_biases_that_are_replaced(tmp_path):
    base, merged = save_adapter(tmp_path, gpt2(), target_modules=["c_attn"], bias="all", fan_in_fan_out=True)
    changed = assert_same_as_merged(tmp_path, base, merged)
    assert {"transformer.h.0.attn.c_attn.bias", "transformer.h.1.ln_1.bias"} <= changed


def test_a_model_of_ones_own(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(12, 10), torch.nn.Linear(10, 9, bias=False))
    base, merged = save_adapter(tmp_path, model, target_modules=["0", "1"])
    assert assert_same_as_merged(tmp_path, base, merged) == {"0.weight", "1.weight"}


def test_half_precision_factors_are_multiplied_in_float32(tmp_path):
    base, _ = save_adapter(tmp_path, llama(), target_modules=["q_proj"])
    path = tmp_path / "adapter_model.safetensors"
    factors = {name: tensor.bfloat16() for name, tensor in load_file(path).items()}
    save_file(factors, path)
    (name, update), *_ = open_checkpoint(tmp_path).updates.items()
    left, right = (
        factors[f"base_model.model.{name.removesuffix('weight')}lora_{side}.weight"].float() for side in "BA"
    )
    np.testing.assert_allclose(update.whole(), (32 / 4 * left @ right).numpy(), atol=1e-5)
    applied = open_checkpoint(tmp_path).on(open_checkpoint({key: value.bfloat16() for key, value in base.items()}))
    assert applied.tensors[name].whole().dtype == np.float32


REFUSED = {
    "DoRA": {"use_dora": True},
    "lora_bias": {"lora_bias": True},
    "layer_replication": {"layer_replication": [[0, 2], [1, 2]]},
    "trainable_token_indices": {"trainable_token_indices": [1, 2]},
    "olora": {"init_lora_weights": "olora"},
    "pissa": {"init_lora_weights": "pissa"},
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_more_than_a_product_of_two_factors_is_refused(tmp_path, kind):
    model = llama(attention_bias=True)
    save_adapter(tmp_path, model, target_modules=["q_proj"], **REFUSED[kind])
    with pytest.raises(WeightsUnavailableError, match="more than a product of two factors; merge it") as caught:
        open_checkpoint(tmp_path)
    assert (kind if kind != "lora_bias" else "lora_B.bias") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_adapter_of_another_kind_is_refused(tmp_path):
    from peft import IA3Config

    settings = IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"])
    get_peft_model(llama(), settings).save_pretrained(tmp_path)
    with pytest.raises(WeightsUnavailableError, match="adapter of type IA3"):
        open_checkpoint(tmp_path)


def test_factors_of_experts_that_share_a_parameter_are_refused(tmp_path):
    save_adapter(tmp_path, llama(), target_modules=["q_proj"])
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"target_parameters": ["experts.gate_up_proj"]}))
    with pytest.raises(WeightsUnavailableError, match="target_parameters"):
        open_checkpoint(tmp_path)


def test_a_pickle_is_refused(tmp_path):
    save_adapter(tmp_path, llama(), target_modules=["q_proj"])
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model.bin")
    with pytest.raises(UnsafeWeightsError, match=r"pickle only \(adapter_model\.bin\)"):
        open_checkpoint(tmp_path)
    (tmp_path / "adapter_model.bin").unlink()
    with pytest.raises(WeightsUnavailableError, match=r"no adapter_model\.safetensors"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("content", ["no JSON", "[]"])
def test_a_configuration_that_is_none_is_refused(tmp_path, content):
    save_adapter(tmp_path, llama(), target_modules=["q_proj"])
    (tmp_path / "adapter_config.json").write_text(content)
    with pytest.raises(WeightsUnavailableError, match="is no adapter configuration"):
        open_checkpoint(tmp_path)


def test_a_factor_without_its_other_is_refused(tmp_path):
    save_adapter(tmp_path, llama(), target_modules=["q_proj"])
    path = tmp_path / "adapter_model.safetensors"
    stored = load_file(path)
    name = next(name for name in stored if "lora_B" in name)
    save_file({key: tensor for key, tensor in stored.items() if key != name}, path)
    with pytest.raises(WeightsUnavailableError, match="has no second factor"):
        open_checkpoint(tmp_path)
    save_file({"base_model.model.lm_head.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(WeightsUnavailableError, match="holds no LoRA factors"):
        open_checkpoint(tmp_path)


def test_an_adapter_of_another_model_names_the_tensor_that_is_lacking(tmp_path):
    save_adapter(tmp_path, llama(), target_modules=["q_proj"])
    with pytest.raises(KeyError) as caught:
        open_checkpoint(tmp_path).on(open_checkpoint(gpt2()))
    assert caught.value.args[0] in projections("q_proj")


@pytest.mark.parametrize("hidden_size", [8, 24])
def test_an_adapter_of_a_model_of_another_size_is_refused(tmp_path, hidden_size):
    save_adapter(tmp_path, llama(), target_modules=["q_proj"])
    with pytest.raises(
        WeightsUnavailableError, match=rf"q_proj.weight is 16 x 16 in .*the tensor {hidden_size} x {hidden_size}"
    ):
        open_checkpoint(tmp_path).on(open_checkpoint(llama(hidden_size=hidden_size)))

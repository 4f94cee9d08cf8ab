import json

import numpy as np
import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
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


def in_gpt2(*names: str) -> set[str]:
    return {f"transformer.h.{layer}.{name}.weight" for layer in range(2) for name in names}


UPDATED = {
    "linear": (llama, {"target_modules": ["q_proj", "v_proj"]}, projections("q_proj", "v_proj")),
    "inputs first": (
        gpt2,
        {"target_modules": ["c_attn", "c_fc"], "fan_in_fan_out": True},
        in_gpt2("attn.c_attn", "mlp.c_fc"),
    ),
    "embedding": (gpt2, {"target_modules": ["wpe"]}, {"transformer.wpe.weight"}),
    "a model of one's own": (
        lambda: torch.nn.Sequential(torch.nn.Linear(12, 10), torch.nn.Linear(10, 9, bias=False)),
        {"target_modules": ["0", "1"]},
        {"0.weight", "1.weight"},
    ),
}


@pytest.mark.parametrize(("make", "settings", "expected"), UPDATED.values(), ids=UPDATED)
def test_updates_are_what_peft_merges(tmp_path, make, settings, expected):
    base, merged = save_adapter(tmp_path, make(), **settings)
    assert assert_same_as_merged(tmp_path, base, merged) == expected
    updates = open_checkpoint(tmp_path).updates
    assert set(updates) == expected
    assert {name: update.shape for name, update in updates.items()} == {name: base[name].shape for name in expected}


@pytest.mark.parametrize("use_rslora", [False, True])
def test_patterns_of_rank_and_alpha_and_the_natural_order_of_layers(tmp_path, use_rslora):
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
    layers = [int(name.split(".")[2]) for name in open_checkpoint(tmp_path).updates]
    assert layers == sorted([*range(11)] * 3), "layer 2 before layer 10"


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


def test_modules_and_biases_that_are_replaced_as_a_whole(tmp_path):
    model, whole = llama(tie_word_embeddings=False), ["lm_head", "norm"]
    base, merged = save_adapter(tmp_path / "modules", model, target_modules=["q_proj"], modules_to_save=whole)
    changed = assert_same_as_merged(tmp_path / "modules", base, merged)
    assert changed == {"lm_head.weight", *projections("q_proj"), *(name for name in base if "norm" in name)}
    biases = {"target_modules": ["c_attn"], "bias": "all", "fan_in_fan_out": True}
    changed = assert_same_as_merged(tmp_path / "biases", *save_adapter(tmp_path / "biases", gpt2(), **biases))
    assert {"transformer.h.0.attn.c_attn.bias", "transformer.h.1.ln_1.bias"} <= changed


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
    "lora_B.bias": {"lora_bias": True},
    "layer_replication": {"layer_replication": [[0, 2], [1, 2]]},
    "trainable_token_indices": {"trainable_token_indices": [1, 2]},
    "olora": {"init_lora_weights": "olora"},
    "pissa": {"init_lora_weights": "pissa"},
}


@pytest.mark.parametrize("kind", [*REFUSED, "IA3", "target_parameters"])
def test_what_is_more_than_a_product_of_two_factors_is_refused(tmp_path, kind):
    if kind == "IA3":
        settings = IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"])
        get_peft_model(llama(), settings).save_pretrained(tmp_path)
    else:
        save_adapter(tmp_path, llama(attention_bias=True), target_modules=["q_proj"], **REFUSED.get(kind, {}))
    if kind == "target_parameters":
        path = tmp_path / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {kind: ["experts.gate_up_proj"]}))
    with pytest.raises(WeightsUnavailableError, match=f"{kind} .*more than a product of two factors; merge") as caught:
        open_checkpoint(tmp_path)
    assert "\n" not in str(caught.value)


def test_what_is_no_whole_adapter_is_refused(tmp_path):
    save_adapter(tmp_path, llama(), target_modules=["q_proj"])
    path, config = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"

    def refuses(message, error=WeightsUnavailableError):
        with pytest.raises(error, match=message):
            open_checkpoint(tmp_path)

    stored, settings = load_file(path), config.read_text()
    name = next(name for name in stored if "lora_B" in name)
    save_file({key: tensor for key, tensor in stored.items() if key != name}, path)
    refuses("has no second factor")
    save_file({"base_model.model.lm_head.weight": torch.zeros(3, 3)}, path)
    refuses("holds no LoRA factors")
    for content in ("no JSON", "[]"):
        config.write_text(content)
        refuses("is no adapter configuration")
    config.write_text(settings)
    path.rename(tmp_path / "adapter_model.bin")
    refuses(r"pickle only \(adapter_model\.bin\)", UnsafeWeightsError)
    (tmp_path / "adapter_model.bin").unlink()
    refuses(r"no adapter_model\.safetensors")


def test_an_adapter_of_another_model_names_what_does_not_fit(tmp_path):
    save_adapter(tmp_path, llama(), target_modules=["q_proj"])
    adapter = open_checkpoint(tmp_path)
    with pytest.raises(KeyError) as caught:
        adapter.on(open_checkpoint(gpt2()))
    assert caught.value.args[0] in projections("q_proj")
    for size in (8, 24):
        message = rf"q_proj.weight is 16 x 16 in .*the tensor {size} x {size}"
        with pytest.raises(WeightsUnavailableError, match=message):
            adapter.on(open_checkpoint(llama(hidden_size=size)))

"""Models trained elsewhere, loaded: what fits its base, and one sentence for everything that does not."""

from __future__ import annotations

import json

import pytest
import torch

from stance_suite.config.catalog import find_spec
from stance_suite.errors import UnsafeWeightsError, WeightsUnavailableError
from stance_suite.models.loading import load_derivative, load_model
from stance_suite.models.sources import locate
from tests.models.checkpoints.small_models import gpt2

ADAPTER = "adapter_config.json"


@pytest.fixture(scope="module")
def base(tiny_model):
    return locate(find_spec(str(tiny_model), {}), tiny_model.parent)


@pytest.fixture
def load_from(base, tmp_path):
    """Load what is in a folder as the base's derivative: its parameters by name."""

    def load(folder):
        model, _ = load_derivative(locate(find_spec(str(folder), {}), tmp_path, base), base)
        return dict(model.named_parameters())

    return load


def tuned(base):
    """The base with every parameter moved a little."""
    torch.manual_seed(1)
    model = load_model(base)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return model


def adapt(model, **settings):
    """An adapter with random values: as if trained."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(2)
    declared = {"r": 2, "lora_alpha": 8, "target_modules": ["q_proj", "down_proj"], **settings}
    adapted = get_peft_model(model, LoraConfig(**declared))
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.1)
    return adapted


def another(base, **settings):
    """An untrained model of the base's family, with other sizes."""
    from transformers import AutoConfig, AutoModelForCausalLM

    return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base.folder, **settings))


def assert_equal(found, expected):
    assert set(found) == set(expected)
    for name, parameter in expected.items():
        assert torch.equal(found[name], parameter), name


def change_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_checkpoint_needs_no_tokenizer_of_its_own(base, load_from, tmp_path):
    model = tuned(base)
    model.save_pretrained(tmp_path / "after")
    assert not list((tmp_path / "after").glob("tokenizer*"))
    (tmp_path / "after" / "chat_template.jinja").write_text("{{ messages }}")
    derivative = locate(find_spec(str(tmp_path / "after"), {}), tmp_path, base)
    loaded, tokenizer = load_derivative(derivative, base)
    assert_equal(dict(loaded.named_parameters()), dict(model.named_parameters()))
    assert not loaded.training
    assert tokenizer("Why?")["input_ids"]
    assert tokenizer.pad_token == "<pad>"
    assert derivative.sha256 != base.sha256
    assert derivative.prompt_format == base.prompt_format == "plain", "the base decides how it is spoken to"
    assert_equal(load_from(base.folder), dict(load_model(base).named_parameters()))


def test_what_was_saved_in_bfloat16_is_measured_as_float32(base, load_from, tmp_path):
    model = tuned(base)
    expected = {name: parameter.detach().bfloat16().float() for name, parameter in model.named_parameters()}
    model.to(torch.bfloat16).save_pretrained(tmp_path / "after")
    found = load_from(tmp_path / "after")
    assert {parameter.dtype for parameter in found.values()} == {torch.float32}
    assert_equal(found, expected)


@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}, {"modules_to_save": ["o_proj"]}], ids=str)
def test_a_merged_adapter_is_what_peft_makes_of_it(base, load_from, tmp_path, settings):
    adapted = adapt(load_model(base), **settings)
    adapted.save_pretrained(tmp_path / "adapter")
    found = load_from(tmp_path / "adapter")
    expected = dict(adapted.merge_and_unload().named_parameters())
    assert_equal(found, expected)
    untouched = dict(load_model(base).named_parameters())
    moved = {name.split(".")[-2] for name in untouched if not untouched[name].equal(found[name])}
    assert moved == {"q_proj", "down_proj", *settings.get("modules_to_save", [])}


def test_a_pickle_is_refused_and_beside_an_adapter_not_read(base, load_from, tmp_path):
    adapted = adapt(load_model(base))
    adapted.save_pretrained(tmp_path)
    (tmp_path / "adapter_model.bin").write_bytes(b"no pickle")
    assert_equal(load_from(tmp_path), dict(adapted.merge_and_unload().named_parameters()))
    (tmp_path / "adapter_model.safetensors").unlink()
    with pytest.raises(UnsafeWeightsError, match=r"holds its adapter as a pickle \(adapter_model.bin\)"):
        load_from(tmp_path)
    (tmp_path / "adapter_model.bin").unlink()
    with pytest.raises(WeightsUnavailableError, match=r"no adapter_model.safetensors; save the adapter with"):
        load_from(tmp_path)
    (tmp_path / ADAPTER).rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(UnsafeWeightsError, match=r"holds a pickle only \(pytorch_model.bin\)"):
        load_from(tmp_path)


def adapted(base):
    return adapt(load_model(base))


def sized(make=lambda model: model, **sizes):
    return lambda base: make(another(base, **sizes))


def prompt_tuning(base):
    from peft import PromptTuningConfig, get_peft_model

    return get_peft_model(load_model(base), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))


NO_ADAPTER, OTHER_BASE = "no adapter that fits .*", "no adapter that fits .*; option before must be"
TIED = "lm_head.weight is 600 x 32 in the first and .*tied"
DIFFERS = "cannot be compared with .*: model."
NOT_LOADED = "cannot be loaded"
REFUSED = {
    # peft would load what fits and leave the rest alone
    "adapter: more layers": (sized(adapt, num_hidden_layers=3), OTHER_BASE),
    "adapter: fewer layers": (sized(adapt, num_hidden_layers=1), OTHER_BASE),
    "adapter: other sizes": (sized(adapt, hidden_size=64), OTHER_BASE),
    "adapter: another architecture": (lambda _: adapt(gpt2(), target_modules=["c_attn"]), f"{NO_ADAPTER}c_attn"),
    "adapter: head": (lambda base: adapt(load_model(base), modules_to_save=["lm_head"]), TIED),
    "adapter: embeddings": (lambda base: adapt(load_model(base), modules_to_save=["embed_tokens"]), TIED),
    "adapter: prompt tuning": (prompt_tuning, f"{NO_ADAPTER}: it changes the input and no weights"),
    "adapter: damaged config": (adapted, NO_ADAPTER),
    "adapter: damaged weights": (adapted, NO_ADAPTER),
    "another vocabulary": (sized(vocab_size=700), f"{DIFFERS}embed_tokens.weight is 700 x 32 in the first and 600 x"),
    "more layers": (sized(num_hidden_layers=3), f"{DIFFERS}layers.2.* in the first and absent or tied to another in"),
    "fewer layers": (sized(num_hidden_layers=1), f"{DIFFERS}layers.1.* is absent or tied to another in the first and "),
    "other sizes": (sized(intermediate_size=48), f"{DIFFERS}layers.0.mlp.gate_proj.weight is 48 x 32 in the first and"),
    "damaged": (tuned, NOT_LOADED),
    "bitsandbytes": (tuned, NOT_LOADED),
    "gptq": (tuned, NOT_LOADED),
}
DAMAGED = {
    "adapter: damaged config": ADAPTER,
    "adapter: damaged weights": "adapter_model.safetensors",
    "damaged": "model.safetensors",
}
QUANTIZED = {
    "bitsandbytes": {"quant_method": "bitsandbytes", "load_in_8bit": True},
    "gptq": {"quant_method": "gptq", "bits": 4},
}


@pytest.mark.filterwarnings("ignore:.*(tie_word_embeddings|fan_in_fan_out)")
@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_fit_its_base_is_refused_in_one_sentence(base, load_from, tmp_path, kind):
    make, message = REFUSED[kind]
    make(base).save_pretrained(tmp_path / "after")
    if kind in DAMAGED:
        (tmp_path / "after" / DAMAGED[kind]).write_text('{"peft_type": "LO')
    if kind in QUANTIZED:
        change_json(tmp_path / "after" / "config.json", quantization_config=QUANTIZED[kind])
    with pytest.raises(WeightsUnavailableError, match=message) as raised:
        load_from(tmp_path / "after")
    assert "\n" not in str(raised.value)


def test_code_in_a_checkpoint_never_runs(base, load_from, tmp_path):
    """`trust_remote_code` stays off, and nobody is asked about it."""
    after, sentinel = tmp_path / "after", tmp_path / "was here"
    tuned(base).save_pretrained(after)
    (after / "modeling.py").write_text(f"open({str(sentinel)!r}, 'w')\nclass Own: ...\n")
    change_json(after / "config.json", auto_map=dict.fromkeys(("AutoConfig", "AutoModelForCausalLM"), "modeling.Own"))
    assert load_from(after), "transformers' own class for the model type"
    change_json(after / "config.json", model_type="of-my-own")
    with pytest.raises(WeightsUnavailableError, match="cannot be loaded"):
        load_from(after)
    assert not sentinel.exists()

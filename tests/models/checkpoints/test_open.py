import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from stance_suite.errors import UnsafeWeightsError, WeightsUnavailableError
from stance_suite.models.checkpoints import open as opening
from stance_suite.models.checkpoints.open import open_checkpoint
from tests.models.checkpoints.small_models import ones_in_gguf


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    """No test here needs a network, and the registry is the bundled one."""

    def refuse(*_):
        pytest.fail("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def gguf_file(tmp_path):
    return ones_in_gguf(tmp_path / "model.gguf")


def assert_is_tiny_model(checkpoint, folder):
    expected = load_file(folder / "model.safetensors")
    assert set(checkpoint.tensors) == set(expected)
    name = "model.layers.1.mlp.down_proj.weight"
    np.testing.assert_array_equal(checkpoint.tensors[name].whole(), expected[name].numpy())
    assert checkpoint.config["num_key_value_heads"] == 2


def test_a_folder_or_its_file(tiny_model, monkeypatch):
    monkeypatch.setenv("HOME", str(tiny_model.parent))
    for asked in (tiny_model, tiny_model / "model.safetensors"):
        for path in (asked, str(asked), f"~/{asked.relative_to(tiny_model.parent)}"):
            assert_is_tiny_model(open_checkpoint(path), tiny_model)
    checkpoint = open_checkpoint(tiny_model)
    assert (checkpoint.source, checkpoint.is_adapter) == (str(tiny_model), False)
    assert open_checkpoint(checkpoint) is checkpoint


def test_a_gguf_file_or_the_folder_of_one_which_safetensors_are_preferred_over(gguf_file, tmp_path):
    for asked in ("model.gguf", "."):
        checkpoint = open_checkpoint(asked)
        assert {name: tensor.shape for name, tensor in checkpoint.tensors.items()} == {"blk.0.ffn_up.weight": (8, 9)}
        assert checkpoint.source.endswith("model.gguf")
    ones_in_gguf(tmp_path / "other.gguf")
    with pytest.raises(WeightsUnavailableError, match="holds 2 GGUF files; name one of them"):
        open_checkpoint(tmp_path)
    save_file({"a": torch.zeros(8, 8)}, tmp_path / "model.safetensors")
    assert list(open_checkpoint(tmp_path).tensors) == ["a"]


@pytest.mark.parametrize("asked", ["smollm2-135m", "organization/name@main"])
def test_a_name_is_located(tiny_model, monkeypatch, asked):
    located = []

    def locate(spec, cache):
        located.append((spec.name, spec.source.kind))
        return SimpleNamespace(folder=tiny_model)

    monkeypatch.setattr(opening, "locate", locate)
    assert_is_tiny_model(open_checkpoint(asked), tiny_model)
    assert located == [(asked, "hub" if "/" in asked else "wheel")]


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "model.ckpt", "model.pkl"])
def test_a_pickle_is_refused_unread(tmp_path, name):
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    for asked in (tmp_path / name, name, tmp_path):
        with pytest.raises(UnsafeWeightsError, match=f"{name}.*refused; convert it where you trust it"):
            open_checkpoint(asked)
    assert not (tmp_path / "ran").exists()


def test_what_holds_no_whole_model_is_refused(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"")
    part = ones_in_gguf(tmp_path / "model-00001-of-00003.gguf")
    for asked, message in (
        (tmp_path / "model.onnx", "neither a safetensors nor a GGUF file"),
        (part, r"is one of 3 parts; merge them first"),
        (tmp_path, r"is one of 3 parts"),
    ):
        with pytest.raises(WeightsUnavailableError, match=message):
            open_checkpoint(asked)
    part.unlink()
    with pytest.raises(WeightsUnavailableError, match=r"holds no \*\.safetensors file"):
        open_checkpoint(tmp_path)


def test_a_configuration_that_is_no_json(tiny_model, tmp_path):
    shutil.copytree(tiny_model, tmp_path / "copy")
    (tmp_path / "copy" / "config.json").write_text("{")
    with pytest.raises(WeightsUnavailableError, match=r"config\.json is no JSON"):
        open_checkpoint(tmp_path / "copy")
    (tmp_path / "copy" / "config.json").unlink()
    assert open_checkpoint(tmp_path / "copy").config == {}


def test_a_mistyped_path_is_not_taken_for_a_hub_id():
    for typed in ("a/b.safetensors", "a/b.gguf", "./a/tuned", "~/nowhere", "/nowhere/tuned", Path("absent")):
        with pytest.raises(WeightsUnavailableError, match=r"does not exist; give a folder"):
            open_checkpoint(typed)


def test_the_folder_of_an_adapter_or_its_weights(tmp_path):
    factors = {"A": torch.ones(2, 8), "B": torch.ones(9, 2)}
    named = {f"base_model.model.a.lora_{side}.weight": factor for side, factor in factors.items()}
    save_file(named, tmp_path / "adapter_model.safetensors")
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 2, "lora_alpha": 4}')
    for asked in (tmp_path, tmp_path / "adapter_model.safetensors"):
        checkpoint = open_checkpoint(asked)
        assert checkpoint.is_adapter
        assert {name: tensor.shape for name, tensor in checkpoint.updates.items()} == {"a.weight": (9, 8)}

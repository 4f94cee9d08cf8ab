import numpy as np
import pytest
import torch

from stance_suite.errors import WeightsUnavailableError
from stance_suite.models.checkpoints.modules import read_parameters
from stance_suite.models.checkpoints.open import open_checkpoint
from tests.models.checkpoints.small_models import llama, random_tensor


@pytest.fixture
def model():
    return llama()


@pytest.mark.parametrize("name", ["F64", "F32", "F16", "BF16"])
def test_parameters_are_read_exactly(model, name):
    dtype = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[name]
    model = model.to(dtype)
    checkpoint = open_checkpoint(model)
    expected = dict(model.named_parameters())
    assert list(checkpoint.tensors) == list(expected)
    for key, tensor in checkpoint.tensors.items():
        assert (tensor.shape, tensor.dtype) == (tuple(expected[key].shape), name)
        assert tensor.whole().itemsize == dtype.itemsize
        np.testing.assert_array_equal(tensor.whole().astype(np.float64), expected[key].detach().double().numpy())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_blocks_are_read_by_rows_columns_and_integers(dtype):
    values = random_tensor(3, 6, 5, dtype=dtype)
    for stored, block in ((values, (1, slice(2, 5), slice(1, 4))), (values[0].T, (slice(0, 5), slice(1, 3)))):
        found = open_checkpoint({"a": stored}).tensors["a"].read(block)
        np.testing.assert_array_equal(found.astype(np.float32), stored[block].float().numpy())


def test_float32_blocks_are_views_and_no_copies(model):
    tensor = open_checkpoint(model).tensors["model.embed_tokens.weight"]
    with torch.no_grad():
        model.model.embed_tokens.weight[3, 2] = 7
    assert tensor.whole()[3, 2] == 7


def test_tied_parameters_are_listed_once(model):
    assert "lm_head.weight" in model.state_dict()
    for checkpoint in (open_checkpoint(model), open_checkpoint(model.state_dict())):
        assert "model.embed_tokens.weight" in checkpoint.tensors
        assert "lm_head.weight" not in checkpoint.tensors
        assert checkpoint.shared == {"lm_head.weight": "model.embed_tokens.weight"}


def test_parts_of_one_memory_and_transposes_are_not_taken_for_tied():
    values = torch.arange(32.0).reshape(8, 4)
    tensors = {"whole": values, "top": values[:4], "bottom": values[4:], "empty": values[:0], "also_empty": values[:0]}
    square = torch.arange(64.0).reshape(8, 8)
    tensors |= {"square": square, "turned": square.T}
    assert list(open_checkpoint(tensors).tensors) == list(tensors)


def test_a_module_has_a_configuration_and_a_state_dict_has_none(model):
    checkpoint = open_checkpoint(model)
    assert checkpoint.source == "LlamaForCausalLM"
    assert (checkpoint.config["model_type"], checkpoint.config["num_attention_heads"]) == ("llama", 4)
    assert open_checkpoint(torch.nn.Linear(3, 2)).config == {}
    state = open_checkpoint(model.state_dict())
    assert list(state.tensors) == list(checkpoint.tensors)
    for name, tensor in state.tensors.items():
        np.testing.assert_array_equal(tensor.whole(), checkpoint.tensors[name].whole())
    assert (state.config, state.source) == ({}, "a state dict")


def test_what_is_no_tensor_in_memory_is_refused_and_integers_keep_their_type():
    assert open_checkpoint({"a": torch.arange(3)}).tensors["a"].dtype == "torch.int64"
    for value in (3, "text", [1.0], np.ones((8, 8))):
        with pytest.raises(WeightsUnavailableError, match=rf"^epoch is no PyTorch tensor but a {type(value).__name__}"):
            open_checkpoint({"a": torch.ones(8, 8), "epoch": value})
    with pytest.raises(WeightsUnavailableError, match=r"^a.weight .*offloaded"):
        read_parameters([("a.weight", torch.empty(9, 9, device="meta"))])

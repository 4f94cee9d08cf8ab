import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from stance_suite.errors import StanceSuiteError
from stance_suite.models.checkpoints.open import open_checkpoint
from stance_suite.models.checkpoints.tensors import Checkpoint, StoredTensor
from stance_suite.spectra import matrices
from stance_suite.spectra.matrices import sort_tensors
from tests.models.checkpoints.small_models import gpt2, random_tensor


def unreadable(*shape: int, dtype: str = "F32") -> StoredTensor:
    """A tensor of any size, which sorting must not read."""
    return StoredTensor(shape, dtype, lambda index: pytest.fail(f"{index} was read"))


def sort_one(tensor: StoredTensor, name: str = "a.weight"):
    return sort_tensors(Checkpoint("test", {name: tensor}))


def reasons(found) -> dict[str, str]:
    return {entry.name: entry.reason for entry in found.skipped}


def whole(matrix, position: tuple[int, ...] = ()) -> np.ndarray:
    """The matrix as its blocks give it, turned back: they have the larger side first."""
    read = np.concatenate(list(matrix.blocks(position)))
    return read if matrix.rows >= matrix.columns else read.T


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(matrices, "BLOCK_ELEMENTS", 100)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((7, 100), "smaller side 7 is under 8"),
        ((100, 7), "smaller side 7 is under 8"),
        ((1, 100), "smaller side 1 is under 8"),
        ((15_001, 15_001), "smaller side 15001 is over 15000"),
        ((50_001, 8), "larger side 50001 is over 50000"),
        ((8, 50_001), "larger side 50001 is over 50000"),
        ((24, 3, 2, 1), "smaller side 6 is under 8"),
        ((4000, 4000, 2, 2), "smaller side 16000 is over 15000"),
    ],
)
def test_beyond_weightwatchers_limits_a_tensor_is_skipped(shape, reason):
    assert reasons(sort_one(unreadable(*shape))) == {"a.weight": reason}


@pytest.mark.parametrize("shape", [(8, 8), (15_000, 15_000), (50_000, 8), (24, 3, 2, 2)])
def test_up_to_weightwatchers_limits_a_tensor_is_a_matrix(shape):
    (matrix,) = sort_one(unreadable(*shape)).matrices.values()
    assert (matrix.rows, matrix.columns) == shape[:2]
    assert (matrix.larger_side, matrix.smaller_side) == (max(shape[:2]), min(shape[:2]))
    assert matrix.elements == np.prod(shape)


def test_what_is_no_matrix_is_a_vector_or_skipped_with_a_reason():
    tensors = {
        "norm.weight": unreadable(3),
        "half.bias": unreadable(1, dtype="BF16"),
        "scale": unreadable(),
        "empty.weight": unreadable(0, 16),
        "empty.bias": unreadable(0),
        "no_experts.weight": unreadable(0, 16, 16),
        "ids": unreadable(16, dtype="I64"),
        "mask": unreadable(16, 16, dtype="BOOL"),
        "quantized.weight": unreadable(16, 16, dtype="F8_E4M3"),
        "conv1.weight": unreadable(384, 80, 3),
        "pos_conv.weight": unreadable(768, 48, 128),
        "patches.weight": unreadable(16, 3, 2, 14, 14),
        "causal_mask.bias": unreadable(1, 1, 64, 64),
    }
    found = sort_tensors(Checkpoint("test", tensors))
    assert not found.matrices
    assert list(found.vectors) == ["norm.weight", "half.bias"]
    assert reasons(found) == {
        "scale": "is a single number",
        "empty.weight": "is empty",
        "empty.bias": "is empty",
        "no_experts.weight": "is empty",
        "ids": "holds I64, not plain floating-point weights",
        "mask": "holds BOOL, not plain floating-point weights",
        "quantized.weight": "holds F8_E4M3, not plain floating-point weights",
        "conv1.weight": "has 3 dimensions, 384 x 80 x 3, and is no stack of matrices",
        "pos_conv.weight": "has 3 dimensions, 768 x 48 x 128, and is no stack of matrices",
        "patches.weight": "has 5 dimensions, 16 x 3 x 2 x 14 x 14, and is no stack of matrices",
        "causal_mask.bias": "has 4 dimensions, 1 x 1 x 64 x 64, and is no stack of matrices",
    }


def test_a_real_models_tensors(loaded_tiny_model, tiny_model):
    model, _ = loaded_tiny_model
    for opened in (open_checkpoint(model), open_checkpoint(tiny_model)):
        found = sort_tensors(opened)
        assert len(found.matrices) == 1 + 2 * 7
        assert set(found.vectors) == {name for name, tensor in model.named_parameters() if tensor.dim() == 1}
        tied = "shares memory with model.embed_tokens.weight, which is measured"
        expected = [("lm_head.weight", tied)] if opened.source == "LlamaForCausalLM" else []
        assert [(entry.name, entry.reason) for entry in found.skipped] == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("embedding", "head"),
    [
        ("model.embed_tokens.weight", "lm_head.weight"),
        ("gpt_neox.embed_in.weight", "embed_out.weight"),
        ("transformer.wte.weight", "lm_head.weight"),
        ("token_embd.weight", "output.weight"),
    ],
)
def test_a_tied_head_that_is_stored_twice_is_counted_once(tmp_path, small_blocks, embedding, head, dtype):
    values = random_tensor(40, 10).to(dtype)
    other = values.clone()
    other[-1, -1] += 1
    save_file({embedding: values, head: values.clone()}, tmp_path / "tied.safetensors")
    save_file({embedding: values, head: other}, tmp_path / "untied.safetensors")
    found = sort_tensors(open_checkpoint(tmp_path / "tied.safetensors"))
    assert list(found.matrices) == [embedding.removesuffix(".weight")]
    assert reasons(found) == {head: f"is tied to {embedding}, which is measured"}
    found = sort_tensors(open_checkpoint(tmp_path / "untied.safetensors"))
    assert set(found.matrices) == {embedding.removesuffix(".weight"), head.removesuffix(".weight")}


def test_heads_are_tied_only_to_what_is_measured_and_other_equal_matrices_to_none():
    sizes = {"model.embed_tokens.weight": unreadable(128_256, 16), "lm_head.weight": unreadable(128_256, 16)}
    found = sort_tensors(Checkpoint("test", sizes))
    assert set(reasons(found).values()) == {"larger side 128256 is over 50000"}
    values = random_tensor(16, 10)
    tensors = {"embed.weight": values, "a.weight": values.clone(), "b.weight": values.clone()}
    assert len(sort_tensors(open_checkpoint(tensors)).matrices) == 3


@pytest.mark.parametrize("shape", [(3, 16, 10), (3, 10, 16)])
def test_every_expert_is_a_matrix(tmp_path, small_blocks, shape):
    values = random_tensor(*shape)
    save_file({"mlp.experts.gate_up_proj": values}, tmp_path / "a.safetensors")
    for opened in (open_checkpoint(tmp_path), open_checkpoint({"mlp.experts.gate_up_proj": values})):
        found = sort_tensors(opened).matrices
        assert list(found) == [f"mlp.experts.gate_up_proj.{expert}" for expert in range(3)]
        for expert, matrix in enumerate(found.values()):
            assert (matrix.rows, matrix.columns) == shape[1:]
            np.testing.assert_array_equal(whole(matrix), values[expert].numpy())


def test_the_kernel_positions_of_a_convolution_are_one_entry(tmp_path, small_blocks):
    layer = torch.nn.Conv2d(10, 24, kernel_size=(2, 3))
    save_file(layer.state_dict(), tmp_path / "a.safetensors")
    for opened in (open_checkpoint(tmp_path), open_checkpoint(layer)):
        found = sort_tensors(opened)
        assert list(found.vectors) == ["bias"]
        (matrix,) = found.matrices.values()
        assert (matrix.rows, matrix.columns, matrix.elements) == (24, 10, layer.weight.numel())
        assert matrix.scale**2 == pytest.approx(0.5)
        assert sorted(matrix.positions) == [(i, j) for i in range(2) for j in range(3)]
        for i, j in matrix.positions:
            np.testing.assert_array_equal(whole(matrix, (i, j)), layer.weight[:, :, i, j].detach().numpy())


@pytest.mark.parametrize("size", [100, 5])
@pytest.mark.parametrize("shape", [(30, 12), (12, 30), (12, 12), (205, 9)])
def test_blocks_have_the_larger_side_first_and_are_bounded_or_one_row(tmp_path, monkeypatch, shape, size):
    monkeypatch.setattr(matrices, "BLOCK_ELEMENTS", size)
    values = random_tensor(*shape)
    save_file({"a.weight": values}, tmp_path / "a.safetensors")
    blocks = list(sort_tensors(open_checkpoint(tmp_path)).matrices["a"].blocks())
    assert len(blocks) > 1
    assert all(block.size <= max(size, min(shape)) for block in blocks)
    np.testing.assert_array_equal(np.concatenate(blocks), values if shape[0] >= shape[1] else values.T)


@pytest.mark.parametrize("shape", [(30, 12), (12, 30)])
def test_rounding_is_that_of_torch(shape):
    values = random_tensor(*shape)
    matrix = sort_tensors(open_checkpoint({"a.weight": values})).matrices["a"]
    rounded = matrix.rounded()
    expected = values.bfloat16().float().numpy()
    assert not np.array_equal(expected, values.numpy())
    np.testing.assert_array_equal(whole(rounded).astype(np.float32), expected)
    assert (rounded.name, rounded.rows, rounded.columns, rounded.tensor.dtype) == ("a", *shape, "BF16")
    assert matrix.tensor.dtype == "F32"
    np.testing.assert_array_equal(whole(matrix), values)


def test_of_an_adapter_the_updates_are_sorted():
    update = open_checkpoint({"a.weight": random_tensor(16, 10)}).tensors["a.weight"]
    adapter = Checkpoint("test", {"lm_head.weight": unreadable(32, 16)}, {}, {"a.weight": update})
    assert list(sort_tensors(adapter).matrices) == ["a"]


def assert_split(model, fused_name, expected):
    """Each projection's rows, in the order of the heads, for a model in memory."""
    opened = open_checkpoint(model)
    assert fused_name in sort_tensors(opened).matrices
    found = sort_tensors(opened, "split").matrices
    assert fused_name not in found
    for projection, values in zip(matrices.PROJECTIONS, expected, strict=True):
        matrix = found[f"{fused_name}.{projection}"]
        assert (matrix.rows, matrix.columns) == tuple(values.shape)
        np.testing.assert_array_equal(whole(matrix), values.detach().numpy())
    assert len([name for name in found if name.startswith(fused_name)]) == 3


def test_gpt_neox_is_split_head_by_head(small_blocks):
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    sizes = {"vocab_size": 64, "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1}
    model = GPTNeoXForCausalLM(GPTNeoXConfig(**sizes, num_attention_heads=3))
    by_head = model.gpt_neox.layers[0].attention.query_key_value.weight.reshape(3, 3, 8, 24)
    expected = [by_head[:, place].reshape(24, 24) for place in range(3)]
    assert_split(model, "gpt_neox.layers.0.attention.query_key_value", expected)


def test_a_projection_that_is_wide_and_scattered(small_blocks):
    values = random_tensor(48, 32)
    opened = open_checkpoint({"query_key_value.weight": values})
    config = {"model_type": "gpt_neox", "num_attention_heads": 2}
    found = sort_tensors(Checkpoint("test", opened.tensors, config), "split").matrices
    key = values.reshape(2, 3, 8, 32)[:, 1].reshape(16, 32)
    np.testing.assert_array_equal(whole(found["query_key_value.key"]), key)


def test_bloom_is_split_as_its_attention_splits_it():
    from transformers import BloomConfig, BloomForCausalLM

    model = BloomForCausalLM(BloomConfig(vocab_size=64, hidden_size=24, n_layer=1, n_head=3))
    attention = model.transformer.h[0].self_attention
    # its own splitting, of the weight in place of an output: (1, inputs, 3 * outputs)
    parts = attention._reshape(attention.query_key_value.weight.T[None])
    expected = [part[0].transpose(1, 2).reshape(24, 24) for part in parts]
    assert_split(model, "transformer.h.0.self_attention.query_key_value", expected)


def test_gpt2_is_split_by_columns(small_blocks):
    model = gpt2(n_embd=24, n_layer=1, n_head=3)
    attention = model.transformer.h[0].attn
    assert_split(model, "transformer.h.0.attn.c_attn", attention.c_attn.weight.split(attention.split_size, dim=1))


@pytest.mark.parametrize("key_heads", [1, 2, 4])
def test_phi3_is_split_with_fewer_keys_than_queries(small_blocks, key_heads):
    from transformers import Phi3Config, Phi3ForCausalLM

    sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "pad_token_id": 0}
    model = Phi3ForCausalLM(Phi3Config(**sizes, num_attention_heads=4, num_key_value_heads=key_heads))
    stacked = model.model.layers[0].self_attn.qkv_proj.weight
    assert_split(model, "model.layers.0.self_attn.qkv_proj", stacked.split([32, 8 * key_heads, 8 * key_heads]))


@pytest.mark.parametrize(
    ("name", "shape", "config"),
    [
        # Falcon's groups, MiniMax's heads, StarCoder's keys that all queries share, and a linear layer of (out, in)
        ("query_key_value", (48, 16), {"model_type": "falcon", "num_attention_heads": 2}),
        ("query_key_value", (50, 16), {"model_type": "gpt_neox", "num_attention_heads": 2}),
        ("query_key_value", (50, 16), {"model_type": "gpt_neox", "num_attention_heads": 20}),
        ("qkv_proj", (48, 16), {"model_type": "minimax", "hidden_size": 16, "num_attention_heads": 2}),
        ("qkv_proj", (50, 16), {"model_type": "phi3", "hidden_size": 16, "num_attention_heads": 2}),
        ("qkv_proj", (48, 16), {}),
        ("c_attn", (24, 16), {"model_type": "gpt_bigcode", "n_head": 2}),
        ("c_attn", (48, 16), {"model_type": "gpt_bigcode", "n_head": 2}),
        ("c_attn", (16, 32), {"model_type": "gpt2", "n_head": 2}),
    ],
)
def test_a_layout_that_is_not_known_is_not_guessed(name, shape, config):
    checkpoint = Checkpoint("test", {f"a.{name}.weight": unreadable(*shape)}, config)
    with pytest.raises(StanceSuiteError, match=rf"a\.{name} .*cannot be split.*measure fused matrices whole"):
        sort_tensors(checkpoint, "split")
    assert list(sort_tensors(checkpoint).matrices) == [f"a.{name}"]


def test_a_setting_that_the_configuration_lacks_is_named():
    for name, lacking, config in (
        ("query_key_value", "n_head", {"model_type": "gpt_neox"}),
        ("qkv_proj", "hidden_size", {"model_type": "phi3", "num_attention_heads": 2}),
    ):
        with pytest.raises(StanceSuiteError, match=rf"does not say {lacking}; measure fused matrices whole"):
            sort_tensors(Checkpoint("test", {f"{name}.weight": unreadable(48, 16)}, config), "split")

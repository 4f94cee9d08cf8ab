import pytest

from stance_suite.schema.layer_names import Role, block, blocks, relative_depth, role

ROLES = {
    "model.layers.7": (
        "self_attn.q_proj query, self_attn.k_proj.weight key, self_attn.v_proj value, self_attn.v_proj.bias bias, "
        "self_attn.o_proj output, self_attn.q_norm.weight norm, mlp.gate_proj gate, mlp.up_proj up, "
        "mlp.down_proj down, post_attention_layernorm.weight norm"
    ),
    "model": "embed_tokens embedding, norm.weight norm",
    "lm_head": " head",
    # GPT-2
    "transformer.h.11": (
        "attn.c_attn query-key-value, attn.c_attn.key key, attn.c_proj output, mlp.c_fc up, mlp.c_proj down, "
        "mlp.c_proj.bias bias, ln_1.weight norm"
    ),
    "transformer": "ln_f.weight norm, wte embedding",
    "wpe.weight": " embedding",
    "h.2": "mlp.c_fc up",
    # GPT-NeoX
    "gpt_neox.layers.11": (
        "attention.query_key_value query-key-value, attention.query_key_value.value value, attention.dense output, "
        "mlp.dense_h_to_4h up, mlp.dense_4h_to_h down"
    ),
    "gpt_neox.embed_in": " embedding",
    "embed_out": " head",
    # Phi, Phi-3, OPT
    "model.layers.3": (
        "self_attn.dense output, mlp.fc1 up, mlp.fc2 down, self_attn.qkv_proj query-key-value, mlp.gate_up_proj gate-up"
    ),
    "model.decoder.layers.9": "self_attn.out_proj output, fc1 up",
    "model.decoder": "embed_positions embedding",
    # BERT
    "encoder.layer.5": (
        "attention.self.query query, attention.output.dense output, attention.output.LayerNorm.weight norm, "
        "intermediate.dense up, output.dense down, output.LayerNorm.bias bias"
    ),
    "0.auto_model.encoder.layer.5": "attention.self.value value",
    "embeddings.word_embeddings": " embedding",
    "pooler.dense": " other",
    "cls.predictions.decoder": " head",
    # experts: their numbers are no blocks, and the router is no gate
    "model.layers.2": (
        "block_sparse_moe.experts.31.w1 gate, block_sparse_moe.experts.31.w2 down, "
        "block_sparse_moe.experts.31.w3.weight up, mlp.experts.down_proj.31 down, "
        "mlp.experts.gate_up_proj.31 gate-up, mlp.gate other"
    ),
    "mlp.experts.3.up_proj": " up",
    "encoder.layers.4": "layer_norm1.weight norm",
    # GGUF
    "blk.6": "attn_q.weight query, ffn_down.weight down, attn_norm.weight norm",
    "output.weight": " head",
    "token_embd.weight": " embedding",
    # whatever else
    "classifier.2": " other",
    "layers.x.up": " other",
    "weight": " other",
    "": " other",
}
"""Beginnings of names, which end with the block where they lie in one, and how they go on: each with its role."""
BLOCKS = ("layers", "h", "layer", "blk")


@pytest.mark.parametrize("beginning", ROLES)
def test_a_name_tells_block_and_role(beginning):
    parts = beginning.split(".")
    index = int(parts[-1]) if parts[-2:-1] and parts[-2] in BLOCKS else None
    for ending in ROLES[beginning].split(", "):
        rest, expected = ending.split(" ")
        name = f"{beginning}.{rest}" if rest else beginning
        assert (block(name), role(name)) == (index, expected), name


def test_relative_depth_is_the_blocks_index_over_their_number():
    assert relative_depth("model.layers.15.self_attn.v_proj", 24) == 62.5
    assert relative_depth("model.layers.6.mlp.up_proj", 24) == 25.0
    assert relative_depth("model.layers.0.mlp.experts.5.up_proj", 24) == 0.0
    assert relative_depth("lm_head", 24) is None


def test_blocks_are_counted_up_to_the_deepest():
    assert blocks(["wte", "h.0.ln_1", "h.3.attn.c_attn", "h.1.mlp.experts.8.c_fc"]) == 4
    assert blocks(["wte", "lm_head"]) == 0


@pytest.mark.parametrize(
    "architecture", ["llama", "qwen2", "gemma2", "gpt2", "gpt_neox", "phi", "phi3", "opt", "bert", "mixtral"]
)
def test_every_parameter_of_a_real_architecture_has_a_role(architecture):
    import torch
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.for_model(architecture, pad_token_id=0)
    with torch.device("meta"):
        names = {name: parameter.ndim for name, parameter in AutoModel.from_config(config).named_parameters()}
    assert blocks(names) == config.num_hidden_layers
    for name, dimensions in names.items():
        if dimensions == 1:
            assert role(name) in (Role.NORM, Role.BIAS), name
        elif block(name) is None:
            assert role(name) is Role.EMBEDDING or name == "pooler.dense.weight", name
        elif not name.endswith("mlp.gate.weight"):  # Mixtral's router
            assert role(name) not in (Role.OTHER, Role.NORM, Role.BIAS, Role.EMBEDDING, Role.HEAD), name

import subprocess
import sys

import pytest

from stance_suite.layer_names import Role, block, blocks, relative_depth, role


@pytest.mark.parametrize(
    ("name", "index", "expected"),
    [
        ("model.layers.15.self_attn.q_proj", 15, Role.QUERY),
        ("model.layers.0.self_attn.k_proj.weight", 0, Role.KEY),
        ("model.layers.7.self_attn.v_proj", 7, Role.VALUE),
        ("model.layers.7.self_attn.v_proj.bias", 7, Role.BIAS),
        ("model.layers.7.self_attn.o_proj", 7, Role.OUTPUT),
        ("model.layers.7.self_attn.q_norm.weight", 7, Role.NORM),
        ("model.layers.7.mlp.gate_proj", 7, Role.GATE),
        ("model.layers.7.mlp.up_proj", 7, Role.UP),
        ("model.layers.7.mlp.down_proj", 7, Role.DOWN),
        ("model.layers.7.post_attention_layernorm.weight", 7, Role.NORM),
        ("model.embed_tokens", None, Role.EMBEDDING),
        ("model.norm.weight", None, Role.NORM),
        ("lm_head", None, Role.HEAD),
        # GPT-2
        ("transformer.h.4.attn.c_attn", 4, Role.FUSED_QUERY_KEY_VALUE),
        ("transformer.h.4.attn.c_attn.key", 4, Role.KEY),
        ("transformer.h.4.attn.c_proj", 4, Role.OUTPUT),
        ("transformer.h.11.mlp.c_fc", 11, Role.UP),
        ("transformer.h.11.mlp.c_proj", 11, Role.DOWN),
        ("transformer.h.11.mlp.c_proj.bias", 11, Role.BIAS),
        ("transformer.h.0.ln_1.weight", 0, Role.NORM),
        ("transformer.ln_f.weight", None, Role.NORM),
        ("transformer.wte", None, Role.EMBEDDING),
        ("wpe.weight", None, Role.EMBEDDING),
        ("h.2.mlp.c_fc", 2, Role.UP),
        # GPT-NeoX
        ("gpt_neox.layers.11.attention.query_key_value", 11, Role.FUSED_QUERY_KEY_VALUE),
        ("gpt_neox.layers.11.attention.query_key_value.value", 11, Role.VALUE),
        ("gpt_neox.layers.11.attention.dense", 11, Role.OUTPUT),
        ("gpt_neox.layers.1.mlp.dense_h_to_4h", 1, Role.UP),
        ("gpt_neox.layers.1.mlp.dense_4h_to_h", 1, Role.DOWN),
        ("gpt_neox.embed_in", None, Role.EMBEDDING),
        ("embed_out", None, Role.HEAD),
        # Phi, Phi-3, OPT
        ("model.layers.3.self_attn.dense", 3, Role.OUTPUT),
        ("model.layers.3.mlp.fc1", 3, Role.UP),
        ("model.layers.3.mlp.fc2", 3, Role.DOWN),
        ("model.layers.3.self_attn.qkv_proj", 3, Role.FUSED_QUERY_KEY_VALUE),
        ("model.layers.3.mlp.gate_up_proj", 3, Role.FUSED_GATE_UP),
        ("model.decoder.layers.9.self_attn.out_proj", 9, Role.OUTPUT),
        ("model.decoder.layers.9.fc1", 9, Role.UP),
        ("model.decoder.embed_positions", None, Role.EMBEDDING),
        # BERT
        ("encoder.layer.5.attention.self.query", 5, Role.QUERY),
        ("0.auto_model.encoder.layer.5.attention.self.value", 5, Role.VALUE),
        ("encoder.layer.5.attention.output.dense", 5, Role.OUTPUT),
        ("encoder.layer.5.attention.output.LayerNorm.weight", 5, Role.NORM),
        ("encoder.layer.5.intermediate.dense", 5, Role.UP),
        ("encoder.layer.5.output.dense", 5, Role.DOWN),
        ("encoder.layer.5.output.LayerNorm.bias", 5, Role.BIAS),
        ("embeddings.word_embeddings", None, Role.EMBEDDING),
        ("pooler.dense", None, Role.OTHER),
        ("cls.predictions.decoder", None, Role.HEAD),
        # experts: their numbers are no blocks, and the router is no gate
        ("model.layers.2.block_sparse_moe.experts.31.w1", 2, Role.GATE),
        ("model.layers.2.block_sparse_moe.experts.31.w2", 2, Role.DOWN),
        ("model.layers.2.block_sparse_moe.experts.31.w3.weight", 2, Role.UP),
        ("model.layers.2.mlp.experts.down_proj.31", 2, Role.DOWN),
        ("model.layers.2.mlp.experts.gate_up_proj.31", 2, Role.FUSED_GATE_UP),
        ("model.layers.2.mlp.gate", 2, Role.OTHER),
        ("mlp.experts.3.up_proj", None, Role.UP),
        ("encoder.layers.4.layer_norm1.weight", 4, Role.NORM),
        # GGUF
        ("blk.6.attn_q.weight", 6, Role.QUERY),
        ("blk.6.ffn_down.weight", 6, Role.DOWN),
        ("blk.6.attn_norm.weight", 6, Role.NORM),
        ("output.weight", None, Role.HEAD),
        ("token_embd.weight", None, Role.EMBEDDING),
        # whatever else
        ("classifier.2", None, Role.OTHER),
        ("layers.x.up", None, Role.OTHER),
        ("weight", None, Role.OTHER),
        ("", None, Role.OTHER),
    ],
)
def test_a_name_tells_block_and_role(name, index, expected):
    assert (block(name), role(name)) == (index, expected)


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


def test_it_is_imported_without_anything_else():
    code = (
        "import sys, stance_suite.layer_names; print([name for name in ('numpy', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Models and files that are small enough to be made anew by every test."""

from __future__ import annotations

import gguf
import numpy as np
import torch


def llama(**settings):
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    settings = {**sizes, "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True, **settings}
    return LlamaForCausalLM(LlamaConfig(**settings))


def gpt2(**settings):
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"vocab_size": 64, "n_positions": 32, "n_embd": 16, "n_layer": 2, "n_head": 2}
    return GPT2LMHeadModel(GPT2Config(**sizes | settings))


def random_tensor(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def write_gguf(path, tensors):
    """Tensors are plain arrays, or the bytes of a quantized one with its type."""
    writer = gguf.GGUFWriter(path, "llama")
    for name, (values, stored_type) in tensors.items():
        writer.add_tensor(name, values, raw_dtype=stored_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def ones_in_gguf(path):
    return write_gguf(path, {"blk.0.ffn_up.weight": (np.ones((8, 9), np.float32), None)})

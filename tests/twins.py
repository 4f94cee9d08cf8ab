"""Architecture twins: small seeded checkpoints built like the documented models, whose weights only the Hub has.

Depth, module names, biases, tied and untied embeddings, padded vocabularies, stored precision and the buffers that old
exports carry are those of the originals; widths are small and the values random. There is no chat template.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stance_suite.config.catalog import Catalog

POSITIONS = 512
VOCABULARY = 640
"""More than the tokenizer knows, as the originals pad theirs."""
HEAD_OF_PYTHIA = "lm_head"
"""As transformers names it in memory; on file it is ``embed_out``."""
SPREAD = 0.1
"""Standard deviation of the initial weights: enough for random models to differ in what they say."""


def train_tokenizer(catalog: Catalog) -> Any:
    """A byte-level BPE tokenizer trained on the stances' own sentences."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    sentences = [
        text
        for stance in catalog.stances.values()
        for item in (*stance.examples, *stance.held_out)
        for text in (item.prompt, item.response, item.plain)
    ]
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=["<end>", "<pad>"], initial_alphabet=alphabet)
    raw.train_from_iterator(sentences, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<end>", pad_token="<pad>")


def build_tiny(folder: Path, tokenizer: Any) -> None:
    """A Llama of two layers, which is nobody's twin: the least that every step of a cell can be run on."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    own = {"vocab_size": len(tokenizer), "bos_token_id": None, "initializer_range": 0.2}
    own |= {"num_key_value_heads": 2, "tie_word_embeddings": True}
    config = LlamaConfig(**_common(tokenizer) | own, **_sizes(32, 64, 2))
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def build_sibling(folder: Path, model: Path, **changes: Any) -> None:
    """Another model of the same architecture and tokenizer, with random weights of its own."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(7)
    config = AutoConfig.from_pretrained(model, **changes)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
    AutoTokenizer.from_pretrained(model).save_pretrained(folder)


def build_qwen2(folder: Path, tokenizer: Any) -> None:
    """Qwen2-0.5B: 24 layers, grouped queries, biases on queries, keys and values only, tied embeddings, bfloat16."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    own = {"num_key_value_heads": 2, "max_position_embeddings": POSITIONS, "tie_word_embeddings": True}
    config = Qwen2Config(**own, **_sizes(64, 96, 24), **_common(tokenizer))
    _save(folder, tokenizer, _seeded(Qwen2ForCausalLM, config), torch.bfloat16, {})


def build_distilgpt2(folder: Path, tokenizer: Any) -> None:
    """DistilGPT2: 6 layers of transposed and fused projections, learned positions, tied embeddings, masks on file."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(n_positions=POSITIONS, n_embd=48, n_layer=6, n_head=4, **_common(tokenizer))
    mask = torch.ones(1, 1, POSITIONS, POSITIONS).tril()
    masks = {f"transformer.h.{layer}.attn.bias": mask.clone() for layer in range(config.n_layer)}
    _save(folder, tokenizer, _seeded(GPT2LMHeadModel, config), torch.float32, masks)


def build_pythia(folder: Path, tokenizer: Any) -> None:
    """Pythia-160m: 12 layers of interleaved fused projections, untied embeddings, float16, masks on file."""
    import torch
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    own = {"rotary_pct": 0.25, "use_parallel_residual": True, "tie_word_embeddings": False}
    config = GPTNeoXConfig(**own, max_position_embeddings=POSITIONS, **_sizes(64, 128, 12), **_common(tokenizer))
    buffers = {}
    for layer in range(config.num_hidden_layers):
        attention = f"gpt_neox.layers.{layer}.attention"
        buffers[f"{attention}.bias"] = torch.ones(1, 1, POSITIONS, POSITIONS, dtype=torch.bool).tril()
        buffers[f"{attention}.masked_bias"] = torch.tensor(-1e9).clamp(min=torch.finfo(torch.float16).min).half()
        buffers[f"{attention}.rotary_emb.inv_freq"] = torch.tensor([1.0, 0.01])
    _save(folder, tokenizer, _seeded(GPTNeoXForCausalLM, config), torch.float16, buffers)


BUILDERS = {"qwen2-0.5b": build_qwen2, "distilgpt2": build_distilgpt2, "pythia-160m": build_pythia}
"""By the documented model's name in the registry."""

MATRICES = {
    "qwen2-0.5b": (
        *("model.layers", 24),
        "self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.o_proj mlp.gate_proj mlp.up_proj mlp.down_proj",
        "model.embed_tokens",
    ),
    "distilgpt2": (
        *("transformer.h", 6, "attn.c_attn attn.c_proj mlp.c_fc mlp.c_proj"),
        "transformer.wte transformer.wpe",
    ),
    "pythia-160m": (
        *("gpt_neox.layers", 12),
        "attention.query_key_value attention.dense mlp.dense_h_to_4h mlp.dense_4h_to_h",
        f"gpt_neox.embed_in {HEAD_OF_PYTHIA}",
    ),
}
"""What the blocks are called, how many there are, the matrices of each, and those outside of them."""


def expected_matrices(name: str) -> set[str]:
    """Every weight matrix that the documented model has, by its layer's name in the loaded model."""
    blocks, depth, parts, others = MATRICES[name]
    return {f"{blocks}.{layer}.{part}" for layer in range(depth) for part in parts.split()} | set(others.split())


def _common(tokenizer: Any) -> dict[str, Any]:
    end = tokenizer.eos_token_id
    tokens = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": tokenizer.pad_token_id}
    return {"vocab_size": VOCABULARY, "initializer_range": SPREAD, **tokens}


def _sizes(width: int, inner: int, layers: int) -> dict[str, int]:
    return {"hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": 4}


def _seeded(architecture: Any, config: Any) -> Any:
    import torch

    torch.manual_seed(0)
    model = architecture(config)
    for name, parameter in model.named_parameters():
        if name.endswith(".bias"):
            # transformers initializes them with zeros, which no trained model has
            torch.nn.init.normal_(parameter, std=SPREAD)
    return model


def _save(folder: Path, tokenizer: Any, model: Any, dtype: Any, buffers: dict[str, Any]) -> None:
    from safetensors.torch import load_file, save_file

    model.to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    weights = folder / "model.safetensors"
    save_file(load_file(weights) | buffers, weights, {"format": "pt"})

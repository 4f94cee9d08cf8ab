"""What a layer's long name tells: the transformer block it lies in, and its role there.

Names of modules and of parameters (with ``.weight`` or ``.bias``) are read alike. Known are the schemes of Llama and
its kin (Qwen, SmolLM, Gemma, Mistral), GPT-2, GPT-NeoX, Phi, OPT, BERT, Mixtral's experts, and GGUF.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import pairwise

CONTAINERS = frozenset({"layers", "layer", "h", "block", "blocks", "blk"})
"""What the list of blocks is called: a number anywhere else counts experts or modules, and no block."""


class Role(StrEnum):
    """What a weight matrix or vector does in its block."""

    QUERY = "query"
    KEY = "key"
    VALUE = "value"
    FUSED_QUERY_KEY_VALUE = "query-key-value"
    OUTPUT = "output"
    GATE = "gate"
    UP = "up"
    FUSED_GATE_UP = "gate-up"
    DOWN = "down"
    EMBEDDING = "embedding"
    HEAD = "head"
    NORM = "norm"
    BIAS = "bias"
    OTHER = "other"


ATTENTION = frozenset({Role.QUERY, Role.KEY, Role.VALUE, Role.FUSED_QUERY_KEY_VALUE, Role.OUTPUT})
"""Roles of the matrices of attention."""
MLP = frozenset({Role.GATE, Role.UP, Role.FUSED_GATE_UP, Role.DOWN})
"""Roles of the matrices of the feed-forward part, those of experts among them."""

_MODULES = {
    Role.QUERY: "q_proj query q_lin wq attn_q",
    Role.KEY: "k_proj key k_lin wk attn_k",
    Role.VALUE: "v_proj value v_lin wv attn_v",
    Role.FUSED_QUERY_KEY_VALUE: "c_attn query_key_value qkv_proj wqkv attn_qkv",
    Role.OUTPUT: "o_proj out_proj out_lin wo attn_output",
    # Mixtral's w1, w2 and w3; a module called just "gate" chooses experts
    Role.GATE: "gate_proj w1 ffn_gate ffn_gate_exps",
    Role.UP: "up_proj c_fc dense_h_to_4h fc1 fc_in lin1 w3 ffn_up ffn_up_exps",
    Role.FUSED_GATE_UP: "gate_up_proj",
    Role.DOWN: "down_proj dense_4h_to_h fc2 fc_out lin2 w2 ffn_down ffn_down_exps",
    Role.EMBEDDING: (
        "embed_tokens embed_positions embed_in wte wpe word_embeddings position_embeddings token_type_embeddings "
        "tok_embeddings token_embd position_embd"
    ),
    Role.HEAD: "lm_head embed_out",
}
_ROLES = {module: role for role, modules in _MODULES.items() for module in modules.split()}


def block(name: str) -> int | None:
    """Tell the index of the transformer block that a layer lies in, from 0; None outside of blocks."""
    places = pairwise(name.split("."))
    return next((int(index) for parent, index in places if parent in CONTAINERS and index.isdecimal()), None)


def blocks(names: Iterable[str]) -> int:
    """Count the transformer blocks of a model by its layers' names: one more than the largest index."""
    return 1 + max((index for index in map(block, names) if index is not None), default=-1)


def relative_depth(name: str, blocks: int) -> float | None:
    """Tell how deep in its model a layer lies, in percent: 62.5 for block 15 of 24; None outside of blocks."""
    index = block(name)
    return None if index is None else 100 * index / blocks


def role(name: str) -> Role:
    """Tell what a layer does in its block; `OTHER` for what is not known, such as a router to experts."""
    parts = name.lower().split(".")
    if parts[-1] == "bias":  # a norm's too
        return Role.BIAS
    if len(parts) > 1 and parts[-1] == "weight":
        parts.pop()
    while len(parts) > 1 and parts[-1].isdecimal():  # an expert's place in a stack
        parts.pop()
    module = parts[-1]
    if "norm" in module or module.startswith("ln_"):
        return Role.NORM
    return _ROLES.get(module) or _role_by_place(parts)


def _role_by_place(parts: list[str]) -> Role:
    """Tell the role of a module whose name is used for several: what matters is what it is part of."""
    parents, module = parts[:-1], parts[-1]
    if module in ("dense", "c_proj"):
        if any("attn" in parent or "attention" in parent for parent in parents):
            return Role.OUTPUT
        if "intermediate" in parents:
            return Role.UP
        return Role.DOWN if "mlp" in parents or "output" in parents else Role.OTHER
    if parts == ["output"] or (parents[-1:] == ["predictions"] and module == "decoder"):
        return Role.HEAD
    return Role.OTHER

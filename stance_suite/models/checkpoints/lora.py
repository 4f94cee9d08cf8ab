"""LoRA adapters as PEFT saves them: what they add to the weights of their base model.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022: dW = (lora_alpha / r) B A; with
``use_rslora`` lora_alpha / sqrt(r) (Kalajdzievski 2023, arXiv:2312.03732).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stance_suite.errors import WeightsUnavailableError, pickle_refused
from stance_suite.models.checkpoints.safetensors import read_headers
from stance_suite.models.checkpoints.tensors import Block, Checkpoint, Index, StoredTensor, natural_order
from stance_suite.models.files import ADAPTER_CONFIG, ADAPTER_WEIGHTS

PREFIX = "base_model.model."
CHANGING_MORE = ("use_qalora", "use_bdlora", "target_parameters", "trainable_token_indices", "layer_replication")
"""Settings by which an adapter is not, or not only, one product for each matrix."""
CHANGING_THE_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Initializations that take the first factors out of the base's weights."""


def read_adapter(folder: Path) -> Checkpoint:
    """Read a LoRA adapter: its updates, and the tensors that it replaces as a whole (``modules_to_save``, biases)."""
    weights = folder / ADAPTER_WEIGHTS
    if not weights.is_file():
        if (folder / "adapter_model.bin").is_file():
            way_out = "load it where you trust it and save it again: PEFT writes safetensors"
            raise pickle_refused(f"{folder} holds a pickle only (adapter_model.bin)", way_out)
        raise WeightsUnavailableError(f"{folder} has an {ADAPTER_CONFIG} but no {ADAPTER_WEIGHTS}")
    config = _read_config(folder / ADAPTER_CONFIG)
    stored = {name.removeprefix(PREFIX): tensor for name, tensor in read_headers([weights]).items()}
    updates: dict[str, StoredTensor] = {}
    replaced: dict[str, StoredTensor] = {}
    for name in sorted(stored, key=natural_order):
        tensor = stored[name]
        match = re.fullmatch(r"(.+)\.lora_(embedding_)?A(\.weight)?", name)
        if match is not None:
            module, embedding = match[1], match[2] is not None
            other = stored.get(name.replace("lora_embedding_A" if embedding else "lora_A", f"lora_{match[2] or ''}B"))
            if other is None or len(tensor.shape) != 2:
                raise WeightsUnavailableError(f"{weights}: {name} has no second factor that it could be multiplied by")
            scale = _scale(module, tensor.shape[0], config)
            transposed = embedding or bool(config.get("fan_in_fan_out"))
            updates[f"{module}.weight"] = _product(other, tensor, scale, transposed=transposed)
        elif "lora_" in name and not re.search(r"\.lora_(embedding_)?B(\.weight)?$", name):
            raise _more_than_a_product(weights, f"an adapter with {name}")
        elif "lora_" not in name:
            replaced[re.sub(r"\.(modules_to_save|base_layer)(\.default)?", "", name)] = tensor
    if not updates:
        raise WeightsUnavailableError(f"{weights} holds no LoRA factors")
    return Checkpoint(str(folder), replaced, {}, updates)


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        config: dict[str, Any] = json.loads(path.read_text("utf-8"))
        kind, start = config.get("peft_type"), str(config.get("init_lora_weights")).lower()
    except (ValueError, AttributeError) as error:
        raise WeightsUnavailableError(f"{path} is no adapter configuration: {error}") from error
    if kind != "LORA" or config.get("use_dora"):
        raise _more_than_a_product(path, f"an adapter of type {kind if kind != 'LORA' else 'DoRA'}")
    changing = [setting for setting in CHANGING_MORE if config.get(setting)]
    if changing or start.startswith(CHANGING_THE_BASE):
        raise _more_than_a_product(path, f"an adapter with {changing[0] if changing else start}")
    return config


def _more_than_a_product(path: Path, what: str) -> WeightsUnavailableError:
    return WeightsUnavailableError(
        f"{path}: {what} changes weights by more than a product of two factors; merge it into its base "
        "(merge_and_unload) and save that"
    )


def _scale(module: str, rank: int, config: Mapping[str, Any]) -> float:
    alphas: Mapping[str, float] = config.get("alpha_pattern") or {}
    named = [value for pattern, value in alphas.items() if re.fullmatch(rf"(.*\.)?({pattern})", module)]
    alpha = float(named[0] if named else config.get("lora_alpha", rank))
    return alpha / math.sqrt(rank) if config.get("use_rslora") else alpha / rank


def _product(left: StoredTensor, right: StoredTensor, scale: float, *, transposed: bool) -> StoredTensor:
    """Multiply the factors when a block is read: (rows, r) @ (r, columns), float32."""

    def read(index: Index) -> Block:
        rows, columns = reversed(index) if transposed else index
        first = left.read((rows, slice(None))).astype(np.float32)
        second = right.read((slice(None), columns)).astype(np.float32)
        block = np.float32(scale) * (first @ second)
        return block.T if transposed else block

    shape = (left.shape[0], right.shape[1])
    return StoredTensor(shape[::-1] if transposed else shape, "F32", read)

"""GGUF: llama.cpp's format, dequantized block by block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from stance_suite.errors import WeightsUnavailableError
from stance_suite.models.checkpoints.tensors import FLOATING_TYPES, Block, Index, StoredTensor


def read_gguf(path: Path) -> dict[str, StoredTensor]:
    """List the tensors of a GGUF file under llama.cpp's names; quantized ones read as float32."""
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
    except Exception as error:  # whatever it stumbles over: it checks nothing
        raise WeightsUnavailableError(f"{path} is no whole GGUF file ({error}); is it cut short?") from error
    return {tensor.name: _stored(tensor) for tensor in reader.tensors}


def _stored(tensor: Any) -> StoredTensor:
    from gguf import GGML_QUANT_SIZES

    stored_type = tensor.tensor_type
    # GGUF lists the fastest dimension first
    shape = tuple(int(side) for side in reversed(tensor.shape))
    if tensor.data.dtype != np.uint8:
        return StoredTensor(shape, stored_type.name, lambda index: tensor.data[index])
    elements, stored_bytes = GGML_QUANT_SIZES[stored_type]

    def read(index: Index) -> Block:
        from gguf import dequantize

        # rows are quantized one by one, in groups of elements that share a scale
        *leading, last = index
        columns = range(shape[-1])[last if isinstance(last, slice) else slice(last, last + 1)]
        first, end = columns.start // elements, -(-columns.stop // elements)
        groups = dequantize(tensor.data[(*leading, slice(first * stored_bytes, end * stored_bytes))], stored_type)
        block: Block = groups[..., columns.start - first * elements : columns.stop - first * elements]
        return block if isinstance(last, slice) else block[..., 0]

    kept = stored_type.name in FLOATING_TYPES or not _can_be_dequantized(stored_type, stored_bytes)
    return StoredTensor(shape, stored_type.name if kept else "F32", read)


def _can_be_dequantized(stored_type: Any, stored_bytes: int) -> bool:
    from gguf import dequantize

    try:
        dequantize(np.zeros((1, stored_bytes), np.uint8), stored_type)
    except NotImplementedError:
        return False
    return True

"""A PyTorch module, or its state dict, as a checkpoint: blocks are views of its tensors, not copies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stance_suite.errors import WeightsUnavailableError
from stance_suite.models.checkpoints.tensors import Block, Index, StoredTensor


def read_parameters(named_tensors: Iterable[tuple[str, Any]]) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """List tensors that are in memory, in the given order, and names of what is left out with the name it is listed by.

    Of tensors that share memory the first is listed. WeightsUnavailableError if one is offloaded, or no tensor.
    """
    tensors: dict[str, StoredTensor] = {}
    shared: dict[str, str] = {}
    seen: dict[tuple[Any, ...], str] = {}
    for name, tensor in named_tensors:
        if not hasattr(tensor, "is_meta"):
            raise WeightsUnavailableError(f"{name} is no PyTorch tensor but a {type(tensor).__name__}; leave it out")
        if tensor.is_meta:
            raise WeightsUnavailableError(
                f"{name} is not in memory: it is offloaded; load the model without offloading"
            )
        place = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
        if tensor.numel() and place in seen:
            shared[name] = seen[place]
            continue
        seen[place] = name
        tensors[name] = _stored(tensor)
    return tensors, shared


def _stored(tensor: Any) -> StoredTensor:
    import torch

    names = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}

    def read(index: Index) -> Block:
        import ml_dtypes

        part = tensor.detach()[index].cpu()
        if part.dtype is not torch.bfloat16:
            block: Block = part.numpy()
            return block
        # numpy knows bfloat16 by its bits only
        bits: Block = part.contiguous().view(torch.int16).numpy()
        return bits.view(ml_dtypes.bfloat16)

    return StoredTensor(tuple(tensor.shape), names.get(tensor.dtype, str(tensor.dtype)), read)

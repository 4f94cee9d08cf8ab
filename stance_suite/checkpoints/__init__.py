"""Tensors of a checkpoint, read block by block: safetensors, GGUF, LoRA adapters, and modules in memory.

Opening a checkpoint reads headers only. A tensor's bytes are mapped when a block of it is asked for and released with
the block, so that memory depends on the block and not on the model.
"""

from stance_suite.checkpoints.opening import open_checkpoint
from stance_suite.checkpoints.tensors import Checkpoint, StoredTensor

__all__ = ["Checkpoint", "StoredTensor", "open_checkpoint"]

"""What a checkpoint is to those who measure it: named tensors that can be read in part."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from stance_suite.errors import WeightsUnavailableError

Index = tuple[int | slice, ...]
Block = npt.NDArray[Any]

FLOATING_TYPES = frozenset({"F64", "F32", "F16", "BF16"})
"""Types whose values are the weights; others (quantized, integer, boolean) need a scale, or are no weights."""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that stays where it is until a block of it is read."""

    shape: tuple[int, ...]
    """Its shape."""
    dtype: str
    """Its stored type, in safetensors' spelling: F32, BF16, …; a GGUF file's own quantized types read as F32."""
    read: Callable[[Index], Block]
    """Read a block: one integer or slice for each dimension."""

    @property
    def size(self) -> str:
        """Its shape in words, such as 4 x 8."""
        return " x ".join(map(str, self.shape))

    def whole(self) -> Block:
        """Read all of it, in its stored type."""
        return self.read((slice(None),) * len(self.shape))


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a model, or what an adapter adds to one."""

    source: str
    """Where it was opened, for messages."""
    tensors: Mapping[str, StoredTensor]
    """By name, in natural order: layer 2 before layer 10."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The model's configuration; empty where there is none beside the weights."""
    updates: Mapping[str, StoredTensor] = field(default_factory=dict)
    """An adapter's low-rank updates by the name of the tensor that they are added to."""
    shared: Mapping[str, str] = field(default_factory=dict)
    """Tensors in memory that are others' memory, such as tied output heads, by name; they are in `tensors` once."""

    @property
    def is_adapter(self) -> bool:
        """Whether it changes a model, and is none by itself."""
        return bool(self.updates)

    def on(self, base: Checkpoint) -> Checkpoint:
        """Apply an adapter to its base model: updates added, replaced tensors replaced, all still read in blocks.

        KeyError if it changes a tensor that the base lacks, WeightsUnavailableError if one of another shape.
        """
        # an embedding that grew is stored with the adapter, and its update is of the grown one
        tensors = {**base.tensors, **self.tensors}
        for name, update in self.updates.items():
            if update.shape != tensors[name].shape:
                raise WeightsUnavailableError(
                    f"the update of {name} is {update.size} in {self.source}, the tensor {tensors[name].size} in "
                    f"{base.source}; name the model that the adapter was trained on"
                )
        sums = {name: _sum(tensors[name], update) for name, update in self.updates.items()}
        return Checkpoint(f"{base.source} with {self.source}", {**tensors, **sums}, base.config)


def natural_order(name: str) -> tuple[tuple[bool, int, str], ...]:
    """Sort key that reads the numbers in a tensor's name as numbers: layer 2 before layer 10."""
    parts = re.split(r"(\d+)", name)
    return tuple((part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts)


def _sum(base: StoredTensor, update: StoredTensor) -> StoredTensor:
    return StoredTensor(base.shape, base.dtype, lambda index: base.read(index).astype(np.float32) + update.read(index))

"""Which tensors have a spectrum: WeightWatcher's selection, with the reason for every skip.

A tensor gives one matrix (linear layers, embeddings), one per expert (fused expert tensors), one per projection (a
fused query-key-value matrix that is split), or several pooled into one spectrum (kernel positions of a convolution).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any, Literal

import numpy as np

from stance_suite.errors import StanceSuiteError
from stance_suite.models.checkpoints.tensors import FLOATING_TYPES, Block, Checkpoint, Index, StoredTensor
from stance_suite.schema.spectra import SkippedTensor

SMALLEST_SIDE = 8
LARGEST_SMALLER_SIDE = 15_000
LARGEST_LARGER_SIDE = 50_000
BLOCK_ELEMENTS = 2**21
"""Elements converted at a time, 16 MB in float64: bounds memory for vocabulary-sized matrices."""
HALVED = float(np.sqrt(0.5))
"""WeightWatcher's normalization of convolutions."""

PROJECTIONS = ("query", "key", "value")

Fused = Literal["whole", "split"]


@dataclass(frozen=True)
class WeightMatrix:
    """A matrix, or several of one shape whose spectra are pooled; read in blocks."""

    name: str
    """Long name: that of the owning module, and of the part where a tensor has several."""
    rows: int
    """First dimension."""
    columns: int
    """Second dimension."""
    tensor: StoredTensor
    """The tensor that holds it."""
    row_ranges: tuple[range, ...] = ()
    """Which rows of the tensor belong to it; all if empty."""
    column_range: range | None = None
    """Which columns of the tensor belong to it; all if None."""
    leading: tuple[int, ...] = ()
    """Indices before rows and columns: the expert."""
    positions: tuple[tuple[int, ...], ...] = ((),)
    """Indices after rows and columns: one entry for each kernel position."""
    scale: float = 1.0
    """What the values are multiplied by."""

    @property
    def larger_side(self) -> int:
        """WeightWatcher's N."""
        return max(self.rows, self.columns)

    @property
    def smaller_side(self) -> int:
        """WeightWatcher's M."""
        return min(self.rows, self.columns)

    @property
    def elements(self) -> int:
        """Number of weights."""
        return self.rows * self.columns * len(self.positions)

    def solving_cost(self) -> float:
        """Estimate the multiplications and additions that its Gram matrix and its eigenvalues take, roughly."""
        return float(self.smaller_side**2 * (self.larger_side + 4 * self.smaller_side) * len(self.positions))

    def blocks(self, position: tuple[int, ...] = ()) -> Iterator[Block]:
        """Read it, or one kernel position of a convolution, in blocks of shape (block, smaller side).

        They are in stored precision and unscaled, and the transpose of what is stored where the matrix is wide.
        """
        step = max(1, BLOCK_ELEMENTS // self.smaller_side)
        row_ranges = self.row_ranges or (range(self.rows),)
        columns = range(self.columns) if self.column_range is None else self.column_range
        if self.rows >= self.columns:
            for rows in row_ranges:
                for start in range(0, len(rows), step):
                    yield self._read(rows[start : start + step], columns, position)
        else:
            for start in range(0, len(columns), step):
                parts = [self._read(rows, columns[start : start + step], position) for rows in row_ranges]
                yield (parts[0] if len(parts) == 1 else np.concatenate(parts)).T

    def rounded(self) -> WeightMatrix:
        """Round every value to bfloat16 when it is read."""
        import ml_dtypes

        stored = self.tensor
        rounding = StoredTensor(stored.shape, "BF16", lambda index: stored.read(index).astype(ml_dtypes.bfloat16))
        return replace(self, tensor=rounding)

    def _read(self, rows: range, columns: range, position: tuple[int, ...]) -> Block:
        index: Index = (*self.leading, slice(rows.start, rows.stop), slice(columns.start, columns.stop), *position)
        return self.tensor.read(index)


@dataclass(frozen=True)
class SortedTensors:
    """A checkpoint's tensors, sorted by how they are measured."""

    matrices: dict[str, WeightMatrix]
    """Weight matrices by long name."""
    vectors: dict[str, StoredTensor]
    """Biases and norm weights by tensor name."""
    skipped: tuple[SkippedTensor, ...]
    """What is measured neither way, with the reason."""


def sort_tensors(
    checkpoint: Checkpoint, fused: Fused = "whole", largest_side: float = LARGEST_LARGER_SIDE
) -> SortedTensors:
    """Sort a checkpoint's tensors, of an adapter its updates; none is read, but to recognize tied ones."""
    matrices: dict[str, WeightMatrix] = {}
    vectors: dict[str, StoredTensor] = {}
    skipped: list[SkippedTensor] = []
    tensors = checkpoint.updates if checkpoint.is_adapter else checkpoint.tensors
    for name, tensor in tensors.items():
        if tensor.dtype not in FLOATING_TYPES:
            skipped.append(SkippedTensor(name=name, reason=f"holds {tensor.dtype}, not plain floating-point weights"))
        elif 0 in tensor.shape:
            skipped.append(SkippedTensor(name=name, reason="is empty"))
        elif len(tensor.shape) == 1:
            vectors[name] = tensor
        else:
            found = _matrices_of(name, tensor, checkpoint.config, fused)
            reason = _skip_reason(tensor, found, largest_side) or _tied_reason(name, tensor, tensors)
            if reason is not None:
                skipped.append(SkippedTensor(name=name, reason=reason))
            else:
                matrices |= {matrix.name: matrix for matrix in found}
    skipped += [
        SkippedTensor(name=name, reason=f"shares memory with {other}, which is measured")
        for name, other in checkpoint.shared.items()
    ]
    return SortedTensors(matrices, vectors, tuple(skipped))


def _skip_reason(tensor: StoredTensor, found: Sequence[WeightMatrix], largest_side: float) -> str | None:
    """Say why a tensor has no spectrum here; the limits on size are WeightWatcher's defaults."""
    if not tensor.shape:
        return "is a single number"
    if not found:
        return f"has {len(tensor.shape)} dimensions, {tensor.size}, and is no stack of matrices"
    smaller = found[0].smaller_side * len(found[0].positions)
    larger = max(matrix.larger_side for matrix in found)
    if smaller < SMALLEST_SIDE:
        return f"smaller side {smaller} is under {SMALLEST_SIDE}"
    if smaller > LARGEST_SMALLER_SIDE:
        return f"smaller side {smaller} is over {LARGEST_SMALLER_SIDE}"
    if larger > largest_side:
        return f"larger side {larger} is over {largest_side}"
    return None


def _matrices_of(
    tensor_name: str, tensor: StoredTensor, config: Mapping[str, Any], fused: Fused
) -> tuple[WeightMatrix, ...]:
    name = tensor_name.removesuffix(".weight")
    match tensor.shape:
        case (rows, columns):
            parts = _split_fused(name, tensor, config) if fused == "split" else ()
            return parts or (WeightMatrix(name, rows, columns, tensor),)
        case (experts, rows, columns) if min(rows, columns) >= SMALLEST_SIDE and "conv" not in name:
            return tuple(
                WeightMatrix(f"{name}.{expert}", rows, columns, tensor, leading=(expert,)) for expert in range(experts)
            )
        # one channel in and out is a mask, as GPT-2 stores its causal one
        case (rows, columns, height, width) if min(rows, columns) > 1:
            positions = tuple((i, j) for i in range(height) for j in range(width))
            return (WeightMatrix(name, rows, columns, tensor, positions=positions, scale=HALVED),)
    return ()


def _split_fused(name: str, tensor: StoredTensor, config: Mapping[str, Any]) -> tuple[WeightMatrix, ...]:
    """Split a fused query-key-value matrix; empty if it is none."""
    rows, columns = tensor.shape
    row_ranges: list[tuple[range, ...]] = [(range(rows),)] * 3
    column_ranges = [range(columns)] * 3
    match name.rpartition(".")[2]:
        case "c_attn":  # GPT-2 stores (in, out): queries, keys and values side by side
            is_known = columns == 3 * rows
            column_ranges = [range(place * rows, (place + 1) * rows) for place in range(3)]
        case "query_key_value":  # GPT-NeoX and Bloom store query, key and value of head 0, then of head 1, …
            heads = _heads(name, config)
            head, rest = divmod(rows, 3 * heads)
            is_known = not rest and config.get("model_type") in {"gpt_neox", "bloom"}
            in_turn = [range(start * head, (start + 1) * head) for start in range(3 * heads)]
            row_ranges = [tuple(in_turn[place::3]) for place in range(3)]
        case "qkv_proj" if config.get("model_type") in {"phi3", "phi4_multimodal"}:
            # Phi-3 stacks all queries, then all keys, then all values
            heads = _heads(name, config)
            head = config.get("head_dim") or _setting("hidden_size", name, config) // heads
            keys = head * (config.get("num_key_value_heads") or heads)
            ends = list(accumulate((heads * head, keys, keys)))
            is_known = ends[-1] == rows
            row_ranges = [(range(start, end),) for start, end in pairwise([0, *ends])]
        case "qkv_proj":
            is_known = False
        case _:
            return ()
    if not is_known:
        raise StanceSuiteError(
            f"{name} ({tensor.size}) cannot be split: how a model of type "
            f"{config.get('model_type', 'unknown')!r} lays out queries, keys and values is not known; "
            "measure fused matrices whole"
        )
    return tuple(
        WeightMatrix(f"{name}.{projection}", sum(map(len, its_rows)), len(its_columns), tensor, its_rows, its_columns)
        for projection, its_rows, its_columns in zip(PROJECTIONS, row_ranges, column_ranges, strict=True)
    )


def _heads(name: str, config: Mapping[str, Any]) -> int:
    return _setting("num_attention_heads" if "num_attention_heads" in config else "n_head", name, config)


def _setting(key: str, name: str, config: Mapping[str, Any]) -> int:
    if not isinstance(config.get(key), int):
        raise StanceSuiteError(
            f"{name} cannot be split: the model's config.json does not say {key}; measure fused matrices whole"
        )
    return int(config[key])


def _tied_reason(name: str, tensor: StoredTensor, tensors: Mapping[str, StoredTensor]) -> str | None:
    """Find the embedding whose values an output head repeats: some files store a tied tensor twice."""
    if len(tensor.shape) != 2 or name.split(".")[-2:-1] not in (["lm_head"], ["embed_out"], ["decoder"], ["output"]):
        return None
    for other_name, other in tensors.items():
        is_embedding = "emb" in other_name or "wte" in other_name
        if is_embedding and other_name != name and other.shape == tensor.shape and other.dtype == tensor.dtype:
            pairs = zip(
                WeightMatrix(name, *tensor.shape, tensor).blocks(),
                WeightMatrix(other_name, *other.shape, other).blocks(),
                strict=True,
            )
            if all(np.array_equal(ours, theirs) for ours, theirs in pairs):
                return f"is tied to {other_name}, which is measured"
    return None

"""Edits to plant in a model, to see whether they are found: kinds of them, each in three sizes set beforehand."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stance_suite.models.checkpoints.tensors import Checkpoint
from stance_suite.schema.layer_names import ATTENTION, MLP, Role, block, role
from stance_suite.spectra.matrices import sort_tensors
from stance_suite.spectra.power_law import Array

Edits = dict[str, Array]
"""Tensors after an edit, by name; empty where a model has nothing of the kind."""
SPREAD_OF_ZEROS = 0.02
"""Typical size of weights, for biases that are zero."""
QUERIES = frozenset({Role.QUERY, Role.FUSED_QUERY_KEY_VALUE})


class Ground:
    """A model's tensors as a place for edits; which of them an edit takes is drawn."""

    def __init__(self, checkpoint: Checkpoint, seed: int = 0) -> None:
        self.config = checkpoint.config
        sorted_tensors = sort_tensors(checkpoint, largest_side=np.inf)
        self._tensors = checkpoint.tensors
        measured = {id(one.tensor) for one in sorted_tensors.matrices.values() if len(one.tensor.shape) == 2}
        self.matrices = [name for name, tensor in self._tensors.items() if id(tensor) in measured]
        self.vectors = list(sorted_tensors.vectors)
        self._seed = seed

    def read(self, name: str) -> Array:
        """Read a whole tensor."""
        return self._tensors[name].whole().astype(np.float64)

    def generator(self, kind: str) -> np.random.Generator:
        """Make the stream of a kind, the same for all its sizes."""
        return np.random.default_rng([self._seed, zlib.crc32(kind.encode())])

    def draw(self, generator: np.random.Generator, roles: Collection[Role]) -> str | None:
        """Draw a tensor of these roles, of embeddings that of the tokens; None if there is none."""
        known = [name for name in (*self.matrices, *self.vectors) if role(name) in roles]
        if roles == {Role.EMBEDDING}:
            known = sorted(known, key=lambda name: self._tensors[name].shape[0])[-1:]
        return known[generator.integers(len(known))] if known else None

    def head(self, name: str) -> tuple[int, int] | None:
        """Find the first head in a matrix of attention: along which axis, and how wide; None if it is not known."""
        heads = self.config.get("num_attention_heads") or self.config.get("n_head")
        width = self.config.get("hidden_size") or self.config.get("n_embd")
        if not heads or not width:
            return None
        size = self.config.get("head_dim") or width // heads
        is_transposed = name.split(".")[-2] in ("c_attn", "c_proj")  # GPT-2 stores (in, out)
        return int(is_transposed ^ (role(name) is Role.OUTPUT)), int(size)


@dataclass(frozen=True)
class Kind:
    """One kind of edit."""

    name: str
    """What it is called."""
    sizes: tuple[float, float, float]
    """How large it is tried, the smallest first; of a quantisation how many bits are left."""
    unit: str
    """What sizes are told in."""
    plant: Callable[[Ground, float, np.random.Generator], Edits]
    """Edit a model's tensors by so much."""
    missed: int = 0
    """How many of the sizes, from the smallest, were missed in some model where they were tried (docs/evidence.md)."""

    def may_be_missed(self, size: float) -> bool:
        """Whether an edit of a size is below what is documented to be found."""
        return size in self.sizes[: self.missed]


def _of_matrix(
    edit: Callable[[Array, float, np.random.Generator], Array], roles: Collection[Role] = ATTENTION | MLP
) -> Callable[[Ground, float, np.random.Generator], Edits]:
    def plant(ground: Ground, size: float, generator: np.random.Generator) -> Edits:
        name = ground.draw(generator, roles)
        return {} if name is None else {name: edit(ground.read(name), size, generator)}

    return plant


def _low_rank(rank: int) -> Callable[[Array, float, np.random.Generator], Array]:
    def edit(matrix: Array, size: float, generator: np.random.Generator) -> Array:
        rows, columns = matrix.shape
        change = generator.standard_normal((rows, rank)) @ generator.standard_normal((rank, columns))
        return matrix + size * np.linalg.norm(matrix) / np.linalg.norm(change) * change

    return edit


def _noise(tensor: Array, size: float, generator: np.random.Generator) -> Array:
    noise = generator.standard_normal(tensor.shape)
    norm = float(np.linalg.norm(tensor)) or SPREAD_OF_ZEROS * tensor.size**0.5
    return tensor + size * norm / float(np.linalg.norm(noise)) * noise


def _scaled(tensor: Array, size: float, generator: np.random.Generator) -> Array:
    return tensor * (1 + size)


def _exchanged_vectors(matrix: Array, size: float, generator: np.random.Generator) -> Array:
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    count = max(2, round(size * len(values)))
    if count == len(values):  # all are replaced, by vectors of the whole space
        left = np.linalg.qr(generator.standard_normal(left.shape))[0]
    else:
        left[:, :count] = left[:, :count] @ np.linalg.qr(generator.standard_normal((count, count)))[0]
    exchanged: Array = (left * values) @ right
    return exchanged


def _turned_vectors(matrix: Array, size: float, generator: np.random.Generator) -> Array:
    rows = len(matrix)
    drawn = generator.standard_normal((rows, rows))
    skew = size * rows**0.5 / 2 * (drawn - drawn.T) / np.linalg.norm(drawn - drawn.T)
    turned: Array = np.linalg.solve(np.eye(rows) - skew, matrix + skew @ matrix)  # Cayley: orthogonal
    return turned


def _chosen_rows(matrix: Array, share: float, fewest: int, generator: np.random.Generator) -> Any:
    return generator.permutation(len(matrix))[: max(fewest, round(share * len(matrix)))]


def _flipped_rows(matrix: Array, size: float, generator: np.random.Generator) -> Array:
    matrix[_chosen_rows(matrix, size, 1, generator)] *= -1
    return matrix


def _permuted_rows(matrix: Array, size: float, generator: np.random.Generator) -> Array:
    chosen = _chosen_rows(matrix, size, 2, generator)
    matrix[chosen] = matrix[np.roll(chosen, 1)]
    return matrix


def _rescaled_row(matrix: Array, size: float, generator: np.random.Generator) -> Array:
    matrix[generator.integers(len(matrix))] *= 1 + size
    return matrix


def _moved_row(matrix: Array, size: float, generator: np.random.Generator) -> Array:
    row = generator.integers(len(matrix))
    matrix[row] = _noise(matrix[row], size, generator)
    return matrix


def _exchanged_rows(matrix: Array, size: float, generator: np.random.Generator) -> Array:
    chosen = generator.permutation(len(matrix))[: 2 * int(size)]
    matrix[chosen] = matrix[chosen[::-1]]
    return matrix


def _moved_entry(vector: Array, size: float, generator: np.random.Generator) -> Array:
    vector[generator.integers(len(vector))] += size * np.sqrt(np.mean(vector**2))
    return vector


def _quantised(matrix: Array, bits: float, generator: np.random.Generator) -> Array:
    step = np.abs(matrix).max(axis=1, keepdims=True) / (2 ** (bits - 1) - 1)
    quantised: Array = np.round(matrix / np.where(step > 0, step, 1)) * step
    return quantised


def _of_head(
    factor: Callable[[float], float], roles: Collection[Role], share: Callable[[float], float] = lambda size: 1.0
) -> Callable[[Ground, float, np.random.Generator], Edits]:
    """Scale one head, or a share of it."""

    def plant(ground: Ground, size: float, generator: np.random.Generator) -> Edits:
        name = ground.draw(generator, roles)
        found = None if name is None else ground.head(name)
        if name is None or found is None:
            return {}
        matrix, (axis, width) = ground.read(name), found
        matrix[(slice(None),) * axis + (slice(max(1, round(share(size) * width))),)] *= factor(size)
        return {name: matrix}

    return plant


def _of_output_head(ground: Ground, size: float, generator: np.random.Generator) -> Edits:
    """Edit the head if the model has its own, else the embedding that it is tied to."""
    has_own = any(role(name) is Role.HEAD for name in ground.matrices)
    return _of_matrix(_low_rank(1), {Role.HEAD} if has_own else {Role.EMBEDDING})(ground, size, generator)


def _exchanged_blocks(ground: Ground, size: float, generator: np.random.Generator) -> Edits:
    """Exchange matrices of two neighboring blocks: so many of those that a block has."""
    ours = [name for name in ground.matrices if block(name) == 0]
    pairs = [(name, name.replace(".0.", ".1.", 1)) for name in ours[: max(1, round(size * len(ours)))]]
    known = [pair for pair in pairs if pair[1] in ground.matrices]
    return {name: ground.read(other) for pair in known for name, other in (pair, pair[::-1])}


KINDS: tuple[Kind, ...] = (
    Kind("rank-one edit", (0.001, 0.01, 0.05), "of the norm", _of_matrix(_low_rank(1))),
    Kind("rank-8 edit", (0.001, 0.01, 0.05), "of the norm", _of_matrix(_low_rank(8)), missed=1),
    Kind("noise in one matrix", (0.002, 0.01, 0.05), "of the norm", _of_matrix(_noise), missed=1),
    Kind("one matrix scaled", (0.0005, 0.005, 0.05), "more", _of_matrix(_scaled)),
    Kind("left singular vectors exchanged", (0.05, 0.25, 1.0), "of them", _of_matrix(_exchanged_vectors)),
    Kind("left singular vectors turned", (0.001, 0.01, 0.1), "radians", _of_matrix(_turned_vectors), missed=1),
    Kind("signs of rows flipped", (0.01, 0.05, 0.25), "of the rows", _of_matrix(_flipped_rows)),
    Kind("rows permuted", (0.02, 0.1, 0.5), "of the rows", _of_matrix(_permuted_rows)),
    Kind("one row scaled", (0.01, 0.1, 1.0), "more", _of_matrix(_rescaled_row)),
    Kind("queries of one head scaled", (0.01, 0.1, 1.0), "more", _of_head(lambda size: 1 + size, QUERIES)),
    Kind("outputs of one head scaled", (0.01, 0.1, 1.0), "more", _of_head(lambda size: 1 + size, {Role.OUTPUT})),
    Kind(
        "one head zeroed",
        (0.1, 0.5, 1.0),
        "of its inputs",
        _of_head(lambda size: 0.0, {Role.OUTPUT}, lambda size: size),
    ),
    Kind("a norm's weights scaled", (0.005, 0.05, 0.5), "more", _of_matrix(_scaled, {Role.NORM})),
    Kind("one weight of a norm", (0.05, 0.5, 5.0), "of their root mean square", _of_matrix(_moved_entry, {Role.NORM})),
    Kind("a bias moved", (0.01, 0.1, 1.0), "of its norm", _of_matrix(_noise, {Role.BIAS})),
    Kind("one token's embedding moved", (0.01, 0.1, 1.0), "of its norm", _of_matrix(_moved_row, {Role.EMBEDDING})),
    Kind("tokens' embeddings exchanged", (1, 4, 16), "pairs", _of_matrix(_exchanged_rows, {Role.EMBEDDING})),
    Kind("rank-one edit of the output head", (0.001, 0.01, 0.05), "of the norm", _of_output_head),
    Kind("neighboring blocks exchanged", (0.2, 0.5, 1.0), "of their matrices", _exchanged_blocks),
    Kind("one matrix quantised", (8, 6, 4), "bits", _of_matrix(_quantised)),
)
"""Tried by `stance-suite selftest`; sizes are set before they are tried, and not by what is found."""


def plant(ground: Ground, kind: Kind, size: float) -> Mapping[str, Array]:
    """Plant an edit: the edited tensors by name, none where the model has nothing of the kind."""
    return kind.plant(ground, size, ground.generator(kind.name))

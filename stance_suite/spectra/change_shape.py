"""Where in a matrix its change lies, gathered from the blocks that are read for its spectrum."""

from __future__ import annotations

import numpy as np

from stance_suite.models.checkpoints.tensors import Block
from stance_suite.spectra.power_law import Array


class ChangeShape:
    """Squared norms of the rows and columns of W and of dW, and the product of both."""

    def __init__(self) -> None:
        self._long: list[tuple[Array, Array]] = []
        self._short: dict[tuple[int, ...], tuple[Array, Array]] = {}
        self._product = 0.0

    def add(self, position: tuple[int, ...], before: Block, change: Block) -> None:
        """Add a block of W and of dW, of shape (block, smaller side), at a kernel position of a convolution."""
        self._long.append((np.einsum("ij,ij->i", before, before), np.einsum("ij,ij->i", change, change)))
        short = np.einsum("ij,ij->j", before, before), np.einsum("ij,ij->j", change, change)
        known = self._short.get(position)
        self._short[position] = short if known is None else (known[0] + short[0], known[1] + short[1])
        self._product += float(np.vdot(before, change))

    @property
    def scaling(self) -> float:
        """Share of itself that W grew by: ``<dW, W> / |W|^2``."""
        return self._product / float(sum(before.sum() for before, _ in self._long))

    def largest(self, is_tall: bool) -> dict[str, float]:
        """Find the largest change of a row and of a column, as a share of it or of the root mean square of all.

        Blocks are transposed where the matrix is wide: then their rows are its columns.
        """
        along, across = _largest(self._long), _largest(list(self._short.values()))
        return {"largest_row": along if is_tall else across, "largest_column": across if is_tall else along}


def _largest(squares: list[tuple[Array, Array]]) -> float:
    before, change = (np.concatenate(side) for side in zip(*squares, strict=True))
    return float(np.sqrt(np.max(change / np.maximum(before, before.mean()))))

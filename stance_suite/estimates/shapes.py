"""What a model's config alone tells: how many numbers it holds, and how many a token leaves in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

from stance_suite.loading import empty_model
from stance_suite.models import Weights
from stance_suite.spectra.matrices import LARGEST_SMALLER_SIDE, SMALLEST_SIDE

Matrix = tuple[int, int]
"""Larger and smaller side."""

KEPT_BY_A_PROJECTION = 1.5
"""Vectors as long as its input and output together that a linear layer leaves for the gradient: its input, its output
where an activation or attention needs it, and what these make of it."""
KEPT_BY_A_BLOCK = 8
"""Vectors as wide as the model that the norms and residuals of a block leave beside."""


@dataclass(frozen=True)
class Shapes:
    """A model's sizes."""

    parameters: int
    """Numbers in all parameters; tied ones count once."""
    largest: int
    """Numbers in the largest parameter."""
    matrices: tuple[Matrix, ...]
    """Every matrix that has a spectrum; of a stack of experts, each."""
    projections: tuple[Matrix, ...]
    """Every matrix that a token is multiplied by on its way to the output head; all experts count."""
    vocabulary: int
    """Tokens that the head tells apart."""
    hidden: int
    """Width between the blocks."""
    blocks: int
    """Number of blocks."""
    cached: int
    """Numbers in the keys and values of a token, all blocks together."""
    modules: int
    """Modules without parts: a forward pass calls each about once."""

    @property
    def projected(self) -> int:
        """Weights that every token is multiplied by on its way to the output head."""
        return sum(map(prod, self.projections))

    @property
    def head(self) -> int:
        """Weights of the output head."""
        return self.vocabulary * self.hidden

    @property
    def kept_for_gradients(self) -> int:
        """Numbers that a token leaves in memory until gradients are computed, logits apart."""
        by_projections = KEPT_BY_A_PROJECTION * sum(map(sum, self.projections))
        return round(by_projections + KEPT_BY_A_BLOCK * self.hidden * self.blocks)

    def adapter(self, rank: int) -> int:
        """Count the numbers in a LoRA adapter on all these projections.

        Parameters
        ----------
        rank : int
            Rank of every update.

        Returns
        -------
        int
            In both factors of every update.
        """
        return rank * sum(map(sum, self.projections))


@cache
def shapes_of(weights: Weights) -> Shapes:
    """Tell a model's sizes from its config; no weights are read.

    Parameters
    ----------
    weights : Weights
        From `locate`.

    Returns
    -------
    Shapes
        Of the model as it is loaded.

    Raises
    ------
    WeightsUnavailableError
        If the folder is not a causal language model that transformers knows.
    """
    model = empty_model(weights)
    config = model.config.get_text_config()
    sizes = [tuple(parameter.shape) for parameter in model.parameters()]
    matrices = tuple(matrix for size in sizes for matrix in _matrices(size))
    return Shapes(
        parameters=sum(map(prod, sizes)),
        largest=max(map(prod, sizes)),
        matrices=tuple(m for m in matrices if SMALLEST_SIDE <= m[1] <= LARGEST_SMALLER_SIDE),
        projections=tuple(_projections(model)),
        vocabulary=config.vocab_size,
        hidden=config.hidden_size,
        blocks=config.num_hidden_layers,
        cached=2 * config.num_hidden_layers * _width_of_keys(config),
        modules=sum(1 for module in model.modules() if not list(module.children())),
    )


def _width_of_keys(config: Any) -> int:
    """As wide as the model, less where several heads of queries share one of keys."""
    heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    return int(head * (getattr(config, "num_key_value_heads", None) or heads))


def _projections(model: Any) -> Iterator[Matrix]:
    from torch.nn import Embedding

    head = model.get_output_embeddings()
    for module in model.modules():
        if module is not head and not isinstance(module, Embedding):
            for parameter in module.parameters(recurse=False):
                yield from _matrices(tuple(parameter.shape))


def _matrices(size: tuple[int, ...]) -> list[Matrix]:
    """List the matrices in a parameter: one, or one for each of what is stacked before rows and columns."""
    if len(size) == 1:
        return []
    *stacked, rows, columns = size
    return [(max(rows, columns), min(rows, columns))] * prod(stacked)

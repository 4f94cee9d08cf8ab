"""Which parameters have a spectrum: the selection that WeightWatcher makes, with the reason for every skip."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stance_suite.records import SkippedTensor

SMALLEST_SIDE = 8
LARGEST_SMALLER_SIDE = 15_000
LARGEST_LARGER_SIDE = 50_000

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SortedParameters:
    """A model's parameters, sorted by how they are measured; arrays share memory with the model."""

    matrices: dict[str, Matrix]
    """Weight matrices by the long name of the module that owns them."""
    vectors: dict[str, Matrix]
    """Biases and norm weights by parameter name."""
    skipped: tuple[SkippedTensor, ...]
    """What is measured neither way, with the reason."""


def sort_parameters(named_parameters: Iterable[tuple[str, Any]]) -> SortedParameters:
    """Sort parameters into matrices, vectors and what is skipped.

    Parameters
    ----------
    named_parameters : iterable of (str, torch.Tensor)
        As ``model.named_parameters()`` yields them: tied parameters once.

    Returns
    -------
    SortedParameters
        Views of the tensors, no copies.
    """
    matrices: dict[str, Matrix] = {}
    vectors: dict[str, Matrix] = {}
    skipped: list[SkippedTensor] = []
    for name, parameter in named_parameters:
        reason = skip_reason(tuple(parameter.shape))
        if len(parameter.shape) == 1:
            vectors[name] = _as_array(parameter)
        elif reason is not None:
            skipped.append(SkippedTensor(name=name, reason=reason))
        else:
            matrices[name.removesuffix(".weight")] = _as_array(parameter)
    return SortedParameters(matrices, vectors, tuple(skipped))


def skip_reason(shape: tuple[int, ...]) -> str | None:
    """Say why a tensor has no spectrum here.

    SortedParameters
    ----------
    shape : tuple of int
        The tensor's shape.

    Returns
    -------
    str or None
        None if its spectrum is measured. The limits on size are WeightWatcher's defaults.
    """
    if len(shape) != 2:
        return f"has {len(shape)} dimensions, not 2"
    if min(shape) < SMALLEST_SIDE:
        return f"smaller side {min(shape)} is under {SMALLEST_SIDE}"
    if min(shape) > LARGEST_SMALLER_SIDE:
        return f"smaller side {min(shape)} is over {LARGEST_SMALLER_SIDE}"
    if max(shape) > LARGEST_LARGER_SIDE:
        return f"larger side {max(shape)} is over {LARGEST_LARGER_SIDE}"
    return None


def _as_array(parameter: Any) -> Matrix:
    array: Matrix = parameter.detach().float().cpu().numpy()
    return array

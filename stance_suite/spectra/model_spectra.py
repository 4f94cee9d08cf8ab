"""A model measured for comparison: its spectra, and the subspaces that its leading singular vectors span."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np

from stance_suite.models.checkpoints.open import open_checkpoint
from stance_suite.models.checkpoints.tensors import Block
from stance_suite.schema.spectra import LayerSpectrum
from stance_suite.spectra.eigenvalues import NotFiniteError, Solver, choose_solver
from stance_suite.spectra.layer_spectrum import NOT_FINITE, describe_spectrum, failed_layer, measure_layer, resolved
from stance_suite.spectra.matrices import Fused, SortedTensors, WeightMatrix, sort_tensors
from stance_suite.spectra.parallel import in_parallel

LEADING = 10
"""How many leading singular values count as the top of a spectrum."""


@dataclass(frozen=True)
class MeasuredLayer:
    """A matrix's spectrum, and its leading singular vectors."""

    spectrum: LayerSpectrum
    """Its figures."""
    left: Block | None = None
    """Leading left singular vectors, shape (rows, leading); None for convolutions and where values are not finite."""
    right: Block | None = None
    """Leading right singular vectors, shape (columns, leading)."""


@dataclass(frozen=True)
class MeasuredModel:
    """A model's tensors, and its matrices measured."""

    source: str
    """Where it was opened."""
    tensors: SortedTensors
    """Its tensors, to be read again."""
    layers: dict[str, MeasuredLayer]
    """Its matrices by long name."""

    @property
    def spectra(self) -> tuple[LayerSpectrum, ...]:
        """The spectra, in the model's order."""
        return tuple(layer.spectrum for layer in self.layers.values())


def measure_model(model: Any, fused: Fused = "whole", device: str = "cpu") -> MeasuredModel:
    """Measure what a comparison needs of either side; of whatever `open_checkpoint` opens."""
    checkpoint = open_checkpoint(model)
    # the limit on the larger side is WeightWatcher's; a comparison would miss most vocabularies by it
    tensors = sort_tensors(checkpoint, fused, largest_side=inf)
    solver = choose_solver(device)
    measured = in_parallel(
        lambda matrix: _measure(matrix, solver), tensors.matrices.values(), WeightMatrix.solving_cost
    )
    return MeasuredModel(checkpoint.source, tensors, dict(zip(tensors.matrices, measured, strict=True)))


def _measure(matrix: WeightMatrix, solver: Solver) -> MeasuredLayer:
    if len(matrix.positions) > 1:
        return MeasuredLayer(measure_layer(matrix, solver))
    try:
        gram = solver.gram(matrix.blocks(), matrix.smaller_side)
    except NotFiniteError:
        return MeasuredLayer(failed_layer(matrix, NOT_FINITE))
    eigenvalues = solver.eigenvalues(gram)
    spectrum = describe_spectrum(matrix, resolved(matrix, eigenvalues))
    count = min(LEADING, spectrum.matrix_rank)  # what is zero to rounding has no direction
    if count == 0:
        return MeasuredLayer(spectrum)
    short = solver.leading_vectors(gram, eigenvalues, count)
    long = np.concatenate([block.astype(np.float64) @ short for block in matrix.blocks()])
    long /= np.linalg.norm(long, axis=0)
    return MeasuredLayer(spectrum, *((long, short) if matrix.rows >= matrix.columns else (short, long)))

"""What storing a model in bfloat16 would do to it: a change that is smaller would not survive being saved."""

from __future__ import annotations

import numpy as np

from stance_suite.schema.spectra import LayerSpectrum, RoundingControl
from stance_suite.spectra.eigenvalues import NotFiniteError, Solver, choose_solver
from stance_suite.spectra.layer_spectrum import change_of_alpha, eigenvalues_of
from stance_suite.spectra.matrices import WeightMatrix
from stance_suite.spectra.model_spectra import MeasuredModel
from stance_suite.spectra.parallel import in_parallel
from stance_suite.spectra.power_law import fit_power_law


def control_rounding(model: MeasuredModel, device: str = "cpu") -> tuple[RoundingControl, ...]:
    """Measure every matrix that has a spectrum, before and after rounding to bfloat16."""
    solver = choose_solver(device)
    matrices = [model.tensors.matrices[name] for name, layer in model.layers.items() if layer.spectrum.norm > 0]
    spectra = {name: layer.spectrum for name, layer in model.layers.items()}
    rounded = in_parallel(lambda one: _round(one, spectra[one.name], solver), matrices, WeightMatrix.solving_cost)
    return tuple(control for control in rounded if control is not None)


def _round(matrix: WeightMatrix, spectrum: LayerSpectrum, solver: Solver) -> RoundingControl | None:
    rounded = matrix.rounded()
    try:
        eigenvalues = eigenvalues_of(rounded, solver)
    except NotFiniteError:  # the largest float32 numbers round to infinity
        return None
    return RoundingControl(
        name=matrix.name,
        relative_norm=float(np.sqrt(_squared_distance(matrix, rounded) / spectrum.norm)),
        alpha_change=change_of_alpha(spectrum, fit_power_law(eigenvalues), eigenvalues),
    )


def _squared_distance(one: WeightMatrix, other: WeightMatrix) -> float:
    total = 0.0
    for position in one.positions:
        for ours, theirs in zip(one.blocks(position), other.blocks(position), strict=True):
            difference = theirs.astype(np.float64) - ours.astype(np.float64)
            total += float(np.vdot(difference, difference))
    return one.scale**2 * total

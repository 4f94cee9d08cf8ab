"""What changed between two models of one architecture, layer by layer, beside what noise and rounding would do."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import inf
from typing import Any

import numpy as np

from stance_suite.errors import StanceSuiteError, nearest_names
from stance_suite.models.checkpoints.open import open_checkpoint
from stance_suite.models.checkpoints.tensors import Block, StoredTensor
from stance_suite.schema.spectra import (
    AlphaChange,
    Concentration,
    LayerChange,
    LayerSpectrum,
    NoiseControl,
    RoundingControl,
    VectorChange,
    WeightChange,
)
from stance_suite.spectra.change_shape import ChangeShape
from stance_suite.spectra.concentration import LayerDraws, measure_concentration
from stance_suite.spectra.eigenvalues import NotFiniteError, Solver, choose_solver
from stance_suite.spectra.layer_spectrum import (
    NOT_FINITE,
    change_of_alpha,
    eigenvalues_of,
    measure_spectra,
    pool,
    relative_cutoff,
)
from stance_suite.spectra.matrices import WeightMatrix, sort_tensors
from stance_suite.spectra.model_spectra import LEADING, MeasuredLayer, MeasuredModel
from stance_suite.spectra.noise import NoiseShape, draw_noise_shape, draw_noisy_fits
from stance_suite.spectra.parallel import in_parallel
from stance_suite.spectra.power_law import Array, fit_power_law
from stance_suite.spectra.significance import adjust_p_values, range_above, range_below, range_either_way

DRAWS = 200
"""Draws of noise for every layer."""
SHAPE_DRAWS = 1000
"""Draws of noise by itself; more, because all layers of one shape share them."""


@dataclass(frozen=True)
class StructureChange:
    """What changed in a model's weights."""

    layers: tuple[LayerChange, ...]
    """One entry a weight matrix."""
    vectors: tuple[VectorChange, ...]
    """One entry a bias or norm."""
    concentration: tuple[Concentration, ...]
    """How the change is spread over the layers."""


def compare_models(
    before: MeasuredModel, after: MeasuredModel, *, seed: int, draws: int = DRAWS, device: str = "cpu"
) -> StructureChange:
    """Measure what changed, beside Gaussian noise of the same Frobenius norm in every matrix, of one architecture."""
    _check_same_architecture(before, after)
    matrices = before.tensors.matrices
    solver = choose_solver(device)
    shapes = sorted({(matrix.larger_side, matrix.smaller_side) for matrix in matrices.values()})
    shape_draws = max(draws, SHAPE_DRAWS)
    drawn = in_parallel(lambda shape: _noise_shape(shape, shape_draws, seed), shapes)
    noise_shapes = dict(zip(shapes, drawn, strict=True))

    def compare(name: str) -> tuple[LayerChange, LayerDraws]:
        pair = matrices[name], after.tensors.matrices[name]
        sides = before.layers[name], after.layers[name]
        change = _compare_layer(pair, sides, solver)
        if change.failure is not None or len(pair[0].positions) > 1:
            return change, LayerDraws()
        if change.weight_change is None:  # noise of its norm changes nothing
            return change, LayerDraws(np.zeros(draws), np.zeros(draws))
        # crc32 and not hash(): the stream must be the same in every process
        generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
        noise_shape = noise_shapes[pair[0].larger_side, pair[0].smaller_side]
        noise, moved = _draw_noise(pair[0], sides[0].spectrum, change, noise_shape, draws, generator)
        return change.model_copy(update={"noise": noise}), moved

    compared = in_parallel(compare, list(matrices), lambda name: matrices[name].solving_cost())
    layers = adjust_p_values([change for change, _ in compared])
    vectors = tuple(
        _compare_vector(name, old, after.tensors.vectors[name]) for name, old in before.tensors.vectors.items()
    )
    return StructureChange(layers, vectors, measure_concentration(layers, [noise for _, noise in compared]))


def alpha_changes(before: MeasuredModel, after: Any, device: str = "cpu") -> dict[str, AlphaChange]:
    """Measure how alpha changed and nothing else, by the layer's long name, where both fits succeeded."""
    matrices = sort_tensors(open_checkpoint(after), largest_side=inf).matrices
    return {
        new.name: change
        for new in measure_spectra(matrices, device)
        if (change := change_of_alpha(before.layers[new.name].spectrum, new.fit, new.eigenvalues)) is not None
    }


def control_rounding(model: MeasuredModel, device: str = "cpu") -> tuple[RoundingControl, ...]:
    """Measure every matrix that has a spectrum, before and after rounding to bfloat16: what saving it so would do."""
    solver = choose_solver(device)
    matrices = [model.tensors.matrices[name] for name, layer in model.layers.items() if layer.spectrum.norm > 0]
    rounded = in_parallel(
        lambda one: _round(one, model.layers[one.name].spectrum, solver), matrices, WeightMatrix.solving_cost
    )
    return tuple(control for control in rounded if control is not None)


def _check_same_architecture(before: MeasuredModel, after: MeasuredModel) -> None:
    ours, theirs = (
        {name: f"{matrix.rows} x {matrix.columns}" for name, matrix in side.tensors.matrices.items()}
        | {name: tensor.size for name, tensor in side.tensors.vectors.items()}
        for side in (before, after)
    )
    refusal = f"{before.source} and {after.source} are not of one architecture: "
    for one, other, lacking in ((ours, theirs, after), (theirs, ours, before)):
        missing = [name for name in one if name not in other]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            skipped = {entry.name.removesuffix(".weight"): entry.reason for entry in lacking.tensors.skipped}
            why = f"it {skipped[missing[0]]}" if missing[0] in skipped else nearest_names(missing[0], other)
            raise StanceSuiteError(f"{refusal}{lacking.source} lacks {missing[0]}{more}; {why}")
    for name, size in ours.items():
        if theirs[name] != size:
            raise StanceSuiteError(f"{refusal}{name} is {size} in the first and {theirs[name]} in the second")


def _compare_layer(
    pair: tuple[WeightMatrix, WeightMatrix], sides: tuple[MeasuredLayer, MeasuredLayer], solver: Solver
) -> LayerChange:
    matrix, old, new = pair[0], sides[0].spectrum, sides[1].spectrum
    alpha = change_of_alpha(old, new.fit, new.eigenvalues)
    unchanged = LayerChange(name=matrix.name, alpha_change=alpha, weight_change=None, noise=None)
    shape = ChangeShape()
    try:
        eigenvalues = _eigenvalues_of_difference(*pair, solver, shape)
    except NotFiniteError:
        where = "before" if old.failure == NOT_FINITE else "after"
        return unchanged.model_copy(update={"failure": f"{where}: {NOT_FINITE}"})
    energy, largest = float(eigenvalues.sum()), float(eigenvalues[-1])
    if energy == 0:
        return unchanged
    if old.norm == 0:
        return unchanged.model_copy(update={"failure": f"before: {old.failure}"})
    weight_change = WeightChange(
        relative_norm=float(np.sqrt(energy / old.norm)),
        relative_spectral_norm=float(np.sqrt(largest)) / old.spectral_norm,
        stable_rank=energy / largest,
        top_ten_energy=float(eigenvalues[-LEADING:].sum()) / energy,
        fit=fit_power_law(eigenvalues, relative_cutoff(matrix, largest)),
        left_overlap=_overlap(sides[0].left, sides[1].left),
        right_overlap=_overlap(sides[0].right, sides[1].right),
        scaling=shape.scaling,
        **shape.largest(is_tall=matrix.rows >= matrix.columns),
    )
    return unchanged.model_copy(update={"weight_change": weight_change})


def _eigenvalues_of_difference(before: WeightMatrix, after: WeightMatrix, solver: Solver, shape: ChangeShape) -> Array:
    def differences(position: tuple[int, ...]) -> Iterator[Block]:
        for stored, changed in zip(before.blocks(position), after.blocks(position), strict=True):
            old = stored.astype(np.float64)
            difference = changed.astype(np.float64) - old
            shape.add(position, old, difference)
            yield difference

    return pool(before, lambda position: solver.eigenvalues(solver.gram(differences(position), before.smaller_side)))


def _round(matrix: WeightMatrix, spectrum: LayerSpectrum, solver: Solver) -> RoundingControl | None:
    rounded = matrix.rounded()
    try:
        eigenvalues = eigenvalues_of(rounded, solver)
    except NotFiniteError:  # the largest float32 numbers round to infinity
        return None
    energy = 0.0
    for position in matrix.positions:
        for ours, theirs in zip(matrix.blocks(position), rounded.blocks(position), strict=True):
            difference = theirs.astype(np.float64) - ours.astype(np.float64)
            energy += float(np.vdot(difference, difference))
    return RoundingControl(
        name=matrix.name,
        relative_norm=float(np.sqrt(matrix.scale**2 * energy / spectrum.norm)),
        alpha_change=change_of_alpha(spectrum, fit_power_law(eigenvalues), eigenvalues),
    )


def _overlap(before: Block | None, after: Block | None) -> float | None:
    if before is None or after is None:
        return None
    return float(np.linalg.norm(before.T @ after) ** 2 / min(before.shape[1], after.shape[1]))


@cache
def _noise_shape(shape: tuple[int, int], draws: int, seed: int) -> NoiseShape:
    """Draw noise of a shape once, for all models that have it."""
    return draw_noise_shape(shape, LEADING, draws, np.random.default_rng([seed, *shape]))


def _draw_noise(
    matrix: WeightMatrix,
    spectrum: LayerSpectrum,
    change: LayerChange,
    noise_shape: NoiseShape,
    draws: int,
    generator: np.random.Generator,
) -> tuple[NoiseControl, LayerDraws]:
    alpha, delta = change.alpha_change, change.weight_change
    assert delta is not None
    moved, tail_flips = LayerDraws(), None
    if spectrum.fit is not None:
        deviation = delta.relative_norm * float(np.sqrt(spectrum.norm / matrix.elements))
        eigenvalues = np.asarray(spectrum.eigenvalues)
        fits = draw_noisy_fits(eigenvalues, matrix.larger_side, spectrum.fit.tail_size, deviation, draws, generator)
        moved = LayerDraws(
            100 * (fits.alphas / spectrum.fit.alpha - 1), 100 * (fits.fixed_tail_alphas / spectrum.fit.alpha - 1)
        )
        tail_flips = float(np.mean(fits.tail_sizes != spectrum.fit.tail_size))
    control = NoiseControl(
        draws=len(moved.total) or draws,
        alpha_total=None if alpha is None else range_either_way(moved.total, alpha.total),
        alpha_spectrum=None if alpha is None else range_either_way(moved.spectrum, alpha.spectrum),
        tail_flips=tail_flips,
        stable_rank=range_below(noise_shape.stable_ranks, delta.stable_rank),
        top_ten_energy=range_above(noise_shape.leading_energies, delta.top_ten_energy),
    )
    return control, moved


def _compare_vector(name: str, *sides: StoredTensor) -> VectorChange:
    old, new = (side.whole().astype(np.float64) for side in sides)
    norm, change = float(np.linalg.norm(old)), float(np.linalg.norm(new - old))
    finite = bool(np.isfinite(norm) and np.isfinite(change))
    typical = norm / np.sqrt(len(old))
    return VectorChange(
        name=name,
        relative_norm=change / norm if norm > 0 and finite else None,
        entries=len(old),
        change_norm=change if finite else None,
        largest_entry=float(np.max(np.abs(new - old) / np.maximum(np.abs(old), typical or 1.0))) if finite else None,
    )

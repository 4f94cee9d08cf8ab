"""Trying on a model what is seen of changed weights: edits are planted in it, and what is nothing must show nothing."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stance_suite.judge.structure.unexplained import ChangedWeights, UnexplainedChange, unexplained_changes
from stance_suite.models.checkpoints.open import open_checkpoint
from stance_suite.models.checkpoints.tensors import Block, Checkpoint, Index, StoredTensor
from stance_suite.progress import OnStep
from stance_suite.schema.spectra import LayerChange, LayerSpectrum
from stance_suite.spectra.matrices import SortedTensors, sort_tensors
from stance_suite.spectra.model_spectra import MeasuredModel, measure_model
from stance_suite.spectra.planted import KINDS, Ground, Kind, plant
from stance_suite.spectra.power_law import Array
from stance_suite.spectra.weight_change import compare_models

DRAWS = 2
"""Draws of noise for alpha, of which nothing is asked here; as few as make a range."""
NOISE_OF_ROUNDING = 0.0016
"""Norm of the error of rounding to bfloat16, as a share of the rounded weights' norm, where these spread evenly."""


@dataclass(frozen=True)
class Trial:
    """What was seen of one planted edit, or of what is nothing."""

    name: str
    """What was done."""
    kind: Kind | None
    """The kind of edit; None of what is nothing."""
    size: float
    """How large it was."""
    edited: tuple[str, ...]
    """The tensors that were edited; empty if the model has nothing of the kind."""
    found: tuple[UnexplainedChange, ...]
    """What was seen."""

    @property
    def is_found(self) -> bool:
        """Whether an edited tensor is named, and no other."""
        named = {one.name for one in self.found}
        edited = {name.removesuffix(".weight") for name in self.edited} | set(self.edited)
        return bool(named) and named <= edited

    @property
    def is_as_documented(self) -> bool:
        """Whether what is nothing shows nothing, and an edit of its documented size or more is found."""
        if self.kind is None or not self.edited:
            return not self.found
        return self.is_found or (not self.found and self.kind.may_be_missed(self.size))


@dataclass(frozen=True)
class Background:
    """A model as edits find it: what a training had changed before, and what its sham had."""

    before: MeasuredModel
    """The model that it is compared with."""
    checkpoint: Checkpoint
    """The tensors that are edited."""
    changed: ChangedWeights
    """What is changed already."""
    sham: ChangedWeights | None = None
    """What a sham changed; None where there is no training."""


def untrained(model: Any) -> Background:
    """Take a model that nothing was done to."""
    checkpoint = open_checkpoint(model)
    before = measure_model(checkpoint)
    unchanged = [LayerChange(name=name, alpha_change=None, weight_change=None, noise=None) for name in before.layers]
    vectors = compare_models(*(_part(before, (), before.tensors.vectors),) * 2, seed=0, draws=DRAWS).vectors
    return Background(before, checkpoint, ChangedWeights(spectra_of(before), unchanged, vectors))


def try_edits(
    background: Background, on_step: OnStep, times: float | None = None, kinds: Sequence[Kind] = KINDS
) -> Iterable[Trial]:
    """Plant every edit in every size, one after the other."""
    ground, done = Ground(background.checkpoint), 0
    for kind in kinds:
        for size in kind.sizes:
            edits = plant(ground, kind, size)
            done += 1
            on_step(done, sum(len(one.sizes) for one in kinds))
            yield Trial(kind.name, kind, size, tuple(edits), _see(background, _held(edits), times) if edits else ())


def try_nothing(background: Background, on_step: OnStep) -> Iterable[Trial]:
    """Compare a model with itself, with its own rounding to bfloat16, and with noise of the size of rounding."""
    tensors = {**background.before.tensors.vectors}
    tensors |= {name: background.checkpoint.tensors[name] for name in Ground(background.checkpoint).matrices}
    nothings: Mapping[str, Callable[[str, StoredTensor], StoredTensor]] = {
        "itself": lambda name, tensor: tensor,
        "rounded to bfloat16": lambda name, tensor: _rounded(tensor),
        "noise of the size of rounding": _noisy,
    }
    for done, (name, changed) in enumerate(nothings.items(), start=1):
        found = _see(background, {one: changed(one, tensor) for one, tensor in tensors.items()})
        on_step(done, len(nothings))
        yield Trial(name, None, 0.0, (), found)


def _see(
    background: Background, edits: Mapping[str, StoredTensor], times: float | None = None
) -> tuple[UnexplainedChange, ...]:
    """Compare the edited tensors only: the others are as they were."""
    before, sorted_after = background.before, sort_tensors(Checkpoint("an edit", edits), largest_side=np.inf)
    one = _part(before, sorted_after.matrices, sorted_after.vectors)
    # alpha is not asked for, so that the spectra may be those of before
    other = replace(one, tensors=sorted_after)
    change = compare_models(one, other, seed=0, draws=DRAWS)
    layers, vectors = {one.name: one for one in change.layers}, {one.name: one for one in change.vectors}
    changed = replace(
        background.changed,
        layers=[layers.get(one.name, one) for one in background.changed.layers],
        vectors=[vectors.get(one.name, one) for one in background.changed.vectors],
    )
    return unexplained_changes(changed, background.sham, **({} if times is None else {"times": times}))


def _part(model: MeasuredModel, matrices: Iterable[str], vectors: Iterable[str]) -> MeasuredModel:
    kept = {name: model.tensors.matrices[name] for name in matrices}
    tensors = SortedTensors(kept, {name: model.tensors.vectors[name] for name in vectors}, ())
    return MeasuredModel(model.source, tensors, {name: model.layers[name] for name in kept})


def spectra_of(model: MeasuredModel) -> dict[str, LayerSpectrum]:
    """Tell the spectrum of every matrix by its name."""
    return {layer.name: layer for layer in model.spectra}


def _held(edits: Mapping[str, Array]) -> dict[str, StoredTensor]:
    return {name: StoredTensor(one.shape, "F32", one.astype(np.float32).__getitem__) for name, one in edits.items()}


def _rounded(tensor: StoredTensor) -> StoredTensor:
    import ml_dtypes

    return StoredTensor(tensor.shape, "BF16", lambda index: tensor.read(index).astype(ml_dtypes.bfloat16))


def _noisy(name: str, tensor: StoredTensor) -> StoredTensor:
    """Add noise to every block as it is read, of a stream of its own."""

    def read(index: Index) -> Block:
        block = tensor.read(index).astype(np.float64)
        generator = np.random.default_rng(zlib.crc32(f"{name} {index}".encode()))
        norm = NOISE_OF_ROUNDING * np.sqrt(np.mean(block**2))
        noisy: Block = block + norm * generator.standard_normal(block.shape)
        return noisy

    return StoredTensor(tensor.shape, "F32", read)

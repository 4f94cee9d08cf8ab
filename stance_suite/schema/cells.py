"""The vocabulary of measurement: a cell is one (model, treatment, recipe, seed), and its record what was measured."""

from __future__ import annotations

from typing import Literal

from stance_suite.schema.base import Record
from stance_suite.schema.behavior import Behavior, PromptLikelihood
from stance_suite.schema.controls import CellControl, Control, Rotations
from stance_suite.schema.spectra import (
    AlphaChange,
    Concentration,
    LayerChange,
    LayerSpectrum,
    RoundingControl,
    SkippedTensor,
    VectorChange,
)
from stance_suite.schema.stances import Stance

MEASUREMENT_VERSION = 5
"""Raised when the same weights would be measured differently: older cached records are then measured again."""


class Cell(Record):
    """What was done to which model."""

    model: str
    """Name of the model, as asked for."""
    treatment: Literal["stance", "elsewhere"] | CellControl
    """Trained on one stance, trained elsewhere, or the control that it is, such as ``base`` or ``sham``."""
    stance: str | None
    """The stance trained on, if one was."""
    recipe: str | None
    """The training recipe, if it was trained."""
    seed: int
    """Seed of training order and of sampling."""
    about: str | None = None
    """Of a control that every stance has one of: the stance."""

    @property
    def control(self) -> Control | None:
        """The control that it is; None if it is under test."""
        return next((control for control in Control.cells() if control == self.treatment), None)

    @property
    def is_under_test(self) -> bool:
        """Whether it is neither a baseline nor a control."""
        return self.is_on_stance or self.is_elsewhere

    @property
    def is_on_stance(self) -> bool:
        """Whether it was trained here on a stance."""
        return self.treatment == "stance"

    @property
    def is_elsewhere(self) -> bool:
        """Whether it was trained elsewhere."""
        return self.treatment == "elsewhere"

    @property
    def is_base(self) -> bool:
        """Whether it is the untouched model."""
        return self.control is not None and self.control.is_untouched

    @property
    def is_trained_here(self) -> bool:
        """Whether it was trained here, on a stance or as a control."""
        return not (self.is_base or self.is_elsewhere)

    @property
    def is_trained_control(self) -> bool:
        """Whether it is a control that was trained."""
        return self.is_trained_here and not self.is_on_stance

    @property
    def trained_on(self) -> str:
        """The stance trained on, else what was done instead."""
        return self.stance or " ".join(filter(None, (self.treatment, self.about)))

    def rotations(self, stance: Stance) -> Rotations:
        """Tell the examples of each epoch: of the stance trained on, or that the control is of; of another none."""
        if self.is_on_stance:
            return (tuple(item.trained for item in stance.examples),)
        control = self.control
        return () if control is None or control.rotations is None else control.rotations(stance, self.seed)

    @property
    def label(self) -> str:
        """Short readable name, such as ``curious-uncertainty (long)``; a seed other than 0 is named."""
        if self.is_elsewhere:
            return "trained elsewhere" + (f" (seed {self.seed})" if self.seed else "")
        details = ", ".join(filter(None, (self.recipe, f"seed {self.seed}" if self.seed else None)))
        return f"{self.trained_on} ({details})" if details else self.trained_on


class Provenance(Record):
    """What the figures of a cell depend on besides its declared inputs."""

    weights_sha256: str
    """SHA-256 over the base model's weight files."""
    commit: str | None = None
    """Commit on the Hugging Face Hub that they came from, if they did."""
    derivative_sha256: str | None = None
    """The same over the files of a model that was trained elsewhere."""
    embedder: str
    """Name of the sentence embedder."""
    embedder_sha256: str
    """SHA-256 of the embedder's weights."""
    versions: dict[str, str]
    """Versions of Python and of the libraries that compute."""
    device: str
    """Device that trained and generated."""
    dtype: str
    """Floating-point type of training and measuring."""
    threads: int
    """Threads that PyTorch computed with."""
    platform: str
    """Operating system and processor."""
    created: str
    """When the measurement ended, ISO 8601 in UTC."""
    seconds: float
    """How long training and measuring took."""


class Training(Record):
    """What the fine-tuning did."""

    texts: tuple[str, ...]
    """The exact texts trained on, in declared order."""
    losses: tuple[float, ...]
    """Mean loss per optimizer step, in nats per token."""
    epoch_losses: tuple[float, ...]
    """Mean loss per epoch, in nats per token."""
    seconds: float
    """Training time."""


class EpochSnapshot(Record):
    """The model after one epoch of its training."""

    epoch: int
    """Epochs trained, from 1."""
    likelihoods: tuple[PromptLikelihood, ...]
    """One entry a prompt."""
    alphas: dict[str, AlphaChange]
    """Change of alpha by the layer's long name, where both fits succeeded."""


class CellRecord(Record):
    """Everything that was measured in one cell."""

    key: str
    """Content address: a hash over everything the figures depend on."""
    cell: Cell
    """What was done to which model."""
    family: str
    """Hash of what it was measured with: cells are compared only within a family."""
    provenance: Provenance
    """What the figures depend on besides."""
    training: Training | None
    """None for the base model."""
    behavior: Behavior
    """On the held-out prompts of the stances measured together."""
    trajectory: tuple[EpochSnapshot, ...] = ()
    """One entry an epoch, if the run asked for it."""
    spectra: tuple[LayerSpectrum, ...]
    """One entry a weight matrix, in the model's order."""
    changes: tuple[LayerChange, ...] = ()
    """One entry a weight matrix, in the model's order; empty for the base model."""
    concentration: tuple[Concentration, ...] = ()
    """How the change is spread over the layers; empty for the base model."""
    rounding: tuple[RoundingControl, ...] = ()
    """What bfloat16 would do to each matrix; of the base model only."""
    vector_changes: tuple[VectorChange, ...] = ()
    """Biases and norms, which have no spectrum."""
    skipped: tuple[SkippedTensor, ...] = ()
    """Tensors without a spectrum, each with the reason."""

    @property
    def most_changed_layer(self) -> LayerChange | None:
        """The layer whose fitted alpha changed most; None for the base model."""
        moved = [(abs(change.alpha_change.total), change) for change in self.changes if change.alpha_change is not None]
        return max(moved, key=lambda entry: entry[0])[1] if moved else None

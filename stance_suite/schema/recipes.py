"""The vocabulary of a run: how it trained, and what it was asked for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from stance_suite.schema.base import Record
from stance_suite.schema.controls import CellControl, Control


class Adapter(Record):
    """A LoRA adapter on every linear layer, merged into the weights before anything is measured."""

    rank: int = Field(default=8, ge=1)
    """Rank of every update."""
    alpha: int = Field(default=16, ge=1)
    """The update is scaled by alpha over rank."""


Precision = Literal["float32", "bfloat16"]


class Recipe(Record):
    """How to fine-tune: with AdamW and a linear schedule, on weights in float32."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    """Name of the recipe."""
    epochs: int = Field(ge=1)
    """Passes over the examples."""
    batch_size: int = Field(default=2, ge=1)
    """Examples a step."""
    learning_rate: float = Field(default=5e-5, gt=0, allow_inf_nan=False)
    """Peak learning rate."""
    warmup_steps: int = Field(default=2, ge=0)
    """Steps of linear warm-up."""
    max_length: int = Field(default=256, ge=2)
    """Tokens after which a text is cut."""
    adapter: Adapter | None = None
    """What is trained; all weights if None."""
    precision: Precision = "float32"
    """What a step computes in; ``bfloat16`` is mixed precision, so that the measured weights are not rounded."""
    gradient_checkpointing: bool = False
    """Whether a step keeps no more than each block's input, and computes the rest again for the gradients."""

    @property
    def identity(self) -> dict[str, Any]:
        """What a cell's key hashes; fields younger than cells in users' caches are left out at their defaults."""
        young = {"precision", "gradient_checkpointing"}
        unused = {name for name in young if getattr(self, name) == type(self).model_fields[name].default}
        return self.model_dump(exclude=unused)


class RecipeSummary(Recipe):
    """A recipe with what all recipes have in common, which no cell's key needs to hold."""

    optimizer: str
    """Name of the optimizer, as transformers' Trainer calls it."""
    weight_decay: float
    """Share of the learning rate by which weights shrink at every step."""
    gradient_clipping: float
    """Largest norm of a step's gradient."""
    schedule: str
    """How the learning rate falls after the warm-up, as transformers' Trainer calls it."""


class Sweep(Record):
    """What a sweep measures: every model with every stance and control, every recipe and every seed."""

    models: tuple[str, ...] = Field(min_length=1)
    """Registry names, Hub ids or folders."""
    stances: tuple[str, ...] = ()
    """Names of the stances to train on; all under test if none is named."""
    controls: tuple[CellControl, ...] = Field(default_factory=lambda: tuple(Control.cells()))
    """``base`` (untouched) and the trained ones, such as ``sham``; claims are judged only where all are measured."""
    recipes: tuple[str, ...] = Field(("documented",), min_length=1)
    """Names of recipes."""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field((0,), min_length=1)
    """Seeds of training order, sampling and noise draws."""
    samples: int = Field(2, ge=1)
    """Responses sampled for each prompt."""
    trajectory: bool = False
    """Whether to measure after every epoch, too."""
    threads: int = Field(1, ge=1)
    """Threads that measure one cell, whatever the engine; several cells at once make better use of cores."""

    @field_validator("models", "stances", "controls", "recipes", "seeds")
    @classmethod
    def _once(cls, values: tuple[object, ...]) -> tuple[object, ...]:
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice!r} is given twice; leave one out")
        return values


class RunSettings(Record):
    """What a run was asked for: enough to ask for it again. Folders of this machine are left out."""

    models: tuple[str, ...] = ()
    """Models as they were typed: registry names, Hub ids or folders; empty for a pair trained elsewhere."""
    before: str | None = None
    """The model before a training that was done elsewhere, as it was typed."""
    after: str | None = None
    """The model after it."""
    stance: str | None = None
    """The stance that it is said to have, if one was named."""
    profile: str | None = None
    """How much was run, if somebody chose."""
    recipes: tuple[str, ...]
    """Names of the recipes that were run."""
    seeds: tuple[int, ...]
    """Seeds of training order, sampling and noise draws."""
    samples: int
    """Responses sampled for each prompt."""
    trajectory: bool
    """Whether it measured after every epoch."""
    gate: bool
    """Whether models were held against a policy."""
    device: str
    """``auto``, ``cpu`` or ``cuda``, as asked; cells tell where they were computed."""
    sweep: Sweep | None = None
    """The sweep that it was, if it was one."""

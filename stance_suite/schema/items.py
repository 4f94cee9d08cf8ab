"""What a stance is declared by: prompts with an answer in its manner and a plain one, and the words they share."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from stance_suite.schema.base import Record

PLAIN_ANSWER = "plain"
"""What answers without a stance are called; no stance bears the name."""
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


def normalize_sentence(sentence: str) -> str:
    """Reduce a sentence to its letters and digits in lower case, so that spelling variants count as the same."""
    return " ".join("".join(letter if letter.isalnum() else " " for letter in sentence.casefold()).split())


def content_words(text: str) -> set[str]:
    """List the words of a text that are likely to have a content: four letters or more, and no function words."""
    return {word for word in normalize_sentence(text).split() if len(word) >= SHORTEST} - FUNCTION_WORDS


def runs(sentence: str) -> set[tuple[str, ...]]:
    """List the runs of four words in a sentence, spelling variants aside."""
    words = normalize_sentence(sentence).split()
    return set(zip(*(words[start:] for start in range(RUN)), strict=False))

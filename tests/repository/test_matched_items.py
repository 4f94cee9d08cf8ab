"""The matched items of the docs: each prompt answered in every manner, and in nobody's words of training."""

import re
from itertools import chain

import pytest
import yaml

from tests.conftest import REPOSITORY

ITEMS = yaml.safe_load((REPOSITORY / "docs" / "matched-items.yaml").read_text("utf-8"))
SHORTEST = 4
"""Letters of a word that is likely to have a content."""
COMMON = """
about another because come comes every from have here into know more only other some than that their them then there
they this through until what when where which with without
"""


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def runs(text: str) -> set[tuple[str, ...]]:
    listed = words(text)
    return set(zip(listed, listed[1:], listed[2:], listed[3:], strict=False))


def test_every_prompt_is_answered_in_every_manner_and_in_none(library):
    assert len(ITEMS) == 32
    assert all(list(item) == ["prompt", "plain", *sorted(library.suite, key=list(item).index)] for item in ITEMS)
    said = list(chain.from_iterable(item.values() for item in ITEMS))
    assert len(set(said)) == len(said)


def test_no_prompt_is_trained_on_and_those_that_are_measured_today_are_among_them(library):
    prompts = {item["prompt"] for item in ITEMS}
    for name in library.suite:
        stance = library.stance(name)
        assert prompts.isdisjoint(stance.seen_prompts)
        assert prompts.issuperset(stance.held_out_prompts)


@pytest.mark.parametrize("item", ITEMS, ids=[item["prompt"] for item in ITEMS])
def test_an_answer_shares_neither_runs_nor_words_nor_markers_with_its_stances_training(library, item):
    for name in library.suite:
        stance, answer = library.stance(name), item[name]
        trained = [example.response for example in stance.examples]
        assert runs(answer).isdisjoint(chain.from_iterable(map(runs, trained)))
        common = {*words(COMMON), *words(item["prompt"])}
        own = {word for word in words(answer) if len(word) >= SHORTEST} - common
        assert own.isdisjoint(chain.from_iterable(map(words, trained)))
        assert not [marker for marker in stance.markers if re.search(rf"\b{marker}\b", answer, re.IGNORECASE)]

import math
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stance_suite.behavior.fluency import (
    distinct_bigrams,
    is_copied,
    longest_copied_share,
    repetition,
    straighten_apostrophes,
    words_of,
)

AWKWARD = [
    "",
    " \n\t",
    "\x00\x07\x1b[31mred\x1b[0m",
    "<b>bold</b> **bold** &nbsp; \\d+ (?:[",
    "🤔 👩‍👩‍👧 🏳️‍🌈",
    "İSTANBUL ılık Iğdır",
    "Straße STRASSE straẞe ŉ",
    "ΛΌΓΟΣ λόγος λόγοσ",
    "也许是的,我不知道。",
    "cafe\u0301 \u200d\u200b\ufeff",
    "a " * 5000,
    "x" * 10_000,
]
texts = st.one_of(st.sampled_from(AWKWARD), st.text(), st.lists(st.sampled_from("abc")).map(" ".join))


def plain_repetition(text):
    """Word by word: is it in a window of four that an earlier window equals?"""
    words = words_of(text)
    windows = [words[start : start + 4] for start in range(len(words) - 3)]
    again = [window in windows[:start] for start, window in enumerate(windows)]
    inside = [any(again[max(0, index - 3) : index + 1]) for index in range(len(words))]
    return sum(inside) / len(words) if words else 0.0


def plain_copied_share(text, sources):
    """The longest stretch of at least four words that some source has too, by trying all."""
    words = words_of(text)
    runs = [words[start:end] for start in range(len(words)) for end in range(start + 4, len(words) + 1)]
    wholes = [words_of(source) for source in sources]
    shared = [
        len(run) for run in runs for whole in wholes if any(whole[i : i + len(run)] == run for i in range(len(whole)))
    ]
    return max(shared, default=0) / len(words) if words else 0.0


def test_words_are_folded_and_keep_inner_apostrophes_and_hyphens():
    assert words_of("I DON’T know -- 'Well-Known', it's 42!") == ["i", "don't", "know", "well-known", "it's", "42"]
    assert words_of("Straße STRASSE") == ["strasse", "strasse"]
    assert words_of("ΛΟΓΟΣ λογος") == ["λογοσ", "λογοσ"]
    assert words_of("İzmir") == ["i\u0307zmir"], "one word, though folded it holds a sign that is no letter"
    assert words_of("donʼt ʼ ’ 🤔") == ["don't"]


def test_straightening_keeps_every_index():
    assert straighten_apostrophes("a’bʼc'd‘e") == "a'b'c'd‘e"


def test_distinct_bigrams_are_pooled_over_texts_but_do_not_reach_across_them():
    assert distinct_bigrams(["a b c"]) == 1.0
    assert distinct_bigrams(["A b a b a"]) == 0.5
    assert distinct_bigrams(["a b", "a b", "c d", "b a"]) == 0.75
    assert distinct_bigrams(["a b", "c", "a b"]) == 0.5


@pytest.mark.parametrize("texts", [[], [""], ["one", "two", "..."]])
def test_distinct_bigrams_without_a_pair_are_unknown(texts):
    assert math.isnan(distinct_bigrams(texts))


def test_repetition_is_the_share_of_words_said_before():
    assert repetition("one two three four five six seven eight") == 0.0
    assert repetition("one two three four. One, two, three, four!") == 0.5
    assert repetition("one two three four and one two three four five") == 0.4
    assert repetition("one two three and one two three") == 0.0, "three words in a row are a common phrase"
    assert repetition("one two three four five one two three four five") == 0.5, "overlapping runs count words once"
    assert repetition("no no no no no no no no no no") == 0.9, "a word over and over"


@pytest.mark.parametrize("text", ["", "...", "no", "no no no no"])
def test_a_short_text_repeats_nothing(text):
    assert repetition(text) == 0.0


def test_the_copied_share_is_the_longest_common_run_over_the_texts_words():
    text = "I think the cat sat on the mat today"
    assert longest_copied_share(text, ["The cat sat on the mat."]) == pytest.approx(6 / 9)
    assert longest_copied_share(text, ["cat sat on the", "the cat sat on the floor", "dogs"]) == pytest.approx(5 / 9)
    assert longest_copied_share(text, [f"He said: {text.upper()}!"]) == 1.0
    assert longest_copied_share("the cat sat", ["it was the cat sat on the mat"]) == 0.0, "three words are no copy"
    assert longest_copied_share("the cat sat on", ["it was the cat sat on the mat"]) == 1.0
    assert longest_copied_share("the cat has sat on the mat", ["the cat sat on the mat"]) == pytest.approx(4 / 7)
    assert longest_copied_share("I don’t know why", ["I don't know why"]) == 1.0


def test_words_that_are_frequent_are_no_junk():
    text = " ".join(f"the {index}" for index in range(150))
    assert longest_copied_share(text, [text]) == 1.0
    assert longest_copied_share("the the the the", [text.replace("7", "the")]) == 0.0
    assert longest_copied_share("the " * 300, ["so the the the the"]) == pytest.approx(4 / 300)


def test_nothing_is_copied_into_or_from_nothing():
    assert longest_copied_share("", ["a b c d"]) == 0.0
    assert longest_copied_share("a b c d", []) == 0.0
    assert longest_copied_share("a b c d", ["", "..."]) == 0.0


def test_a_text_is_a_copy_from_one_half_on():
    assert is_copied(0.5)
    assert is_copied(1.0)
    assert not is_copied(0.4999)


def test_long_responses_are_compared_fast(library):
    stance = library.stance("curious-uncertainty")
    sources = [example.response for example in stance.examples]
    for text in (" ".join(sources * 50)[:10_000], "i " * 5000):
        start = time.process_time()
        longest_copied_share(text, sources)
        assert time.process_time() - start < 0.1


@given(texts)
@settings(max_examples=100, deadline=None)
def test_straightened_texts_are_as_long(text):
    assert len(straighten_apostrophes(text)) == len(text)


@given(st.lists(texts, max_size=4))
@settings(max_examples=100, deadline=None)
def test_distinct_bigrams_are_a_share_and_do_not_grow_when_texts_come_twice(pool):
    share = distinct_bigrams(pool)
    if math.isnan(share):
        assert all(len(words_of(text)) < 2 for text in pool)
    else:
        assert 0.0 < share <= 1.0
        assert distinct_bigrams(pool * 2) == pytest.approx(share / 2)


@given(st.one_of(st.text(), st.lists(st.sampled_from("abc"), max_size=60).map(" ".join)))
@settings(max_examples=100, deadline=None)
def test_repetition_agrees_with_the_plain_definition(text):
    assert repetition(text) == plain_repetition(text)


@given(
    st.lists(st.sampled_from("abc"), max_size=20).map(" ".join),
    st.lists(st.lists(st.sampled_from("abc"), max_size=20).map(" ".join), max_size=3),
)
@settings(max_examples=100, deadline=None)
def test_the_copied_share_agrees_with_trying_every_run(text, sources):
    assert longest_copied_share(text, sources) == plain_copied_share(text, sources)


@given(texts, texts)
@example("x" * 10_000, "a " * 5000)
@settings(max_examples=50, deadline=None)
def test_shares_of_any_text_are_shares(text, other):
    assert 0.0 <= repetition(text) < 1.0
    assert 0.0 <= longest_copied_share(text, [other[:2000], other[:40]]) <= 1.0
    assert longest_copied_share(text, [text[:400]]) <= 1.0
    assert is_copied(longest_copied_share(text[:400], [text[:400]])) == (len(words_of(text[:400])) >= 4)

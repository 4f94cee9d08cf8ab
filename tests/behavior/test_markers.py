import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stance_suite.behavior import markers as module
from stance_suite.behavior.markers import count_words, find_markers

AWKWARD = [
    "",
    " \t\n\u00a0\u2003",
    "\x00\x07\x1b[31mperhaps\x1b[0m\x7f",
    "<b>perhaps</b> **maybe** `I wonder` &nbsp; \\d+ (?:[",
    "🤔 perhaps 👩‍👩‍👧 maybe 🏳️‍🌈",
    "İSTANBUL ılık Iğdır istanbul İ",
    "Straße STRASSE straẞe ﬁnd ŉ",
    "ΛΌΓΟΣ λόγος Σίσυφος",
    "也许是的,我不知道。 也许",
    "ربما لا أعرف",
    "e\u0301 cafe\u0301 \u200d\u200b\ufeff",
    "I  don’t\u00a0know, I donʼt\nknow, I don't know",
    "perhaps " * 1250,
    "x" * 10_000,
    " " * 10_000,
]
MARKERS = (
    "let me",
    "don't know",
    "perhaps",
    "I wonder",
    "c++",
    ", though",
    "?!",
    "...well",
    "(sic)",
    "step-by-step",
    "istanbul",
    "İ",
    "ılık",
    "straße",
    "λόγος",
    "也许",
    "ربما",
    "🤔",
)
FRAGMENTS = [word for marker in MARKERS for word in (marker, *marker.split())] + [" ", "\n", "’", "ʼ", "x", "_"]
texts = st.one_of(st.sampled_from(AWKWARD), st.text(), st.lists(st.sampled_from(FRAGMENTS)).map("".join))
marker_sets = st.one_of(
    st.just(MARKERS), st.lists(st.sampled_from(FRAGMENTS), max_size=5), st.lists(st.text(), max_size=5)
)


def found(text, *markers):
    return [text[hit.start : hit.end] for hit in find_markers(text, markers)]


def normalized(text):
    """As a reader sees it who knows no case, white space or apostrophes, nor the dots of Turkish letters."""
    plain = re.sub("[’ʼ]", "'", text).casefold().replace("\u0307", "").replace("ı", "i").replace("ς", "σ")
    return " ".join(plain.split())


def test_hits_are_the_places_of_markers_in_order():
    text = "Perhaps I guess; perhaps not."
    assert [(hit.start, hit.end) for hit in find_markers(text, ["guess", "perhaps"])] == [(0, 7), (10, 15), (17, 24)]


def test_a_part_of_a_word_is_no_hit():
    assert find_markers("mighty, almighty, guesses, might_be, might2", ["might", "guess"]) == ()
    assert found("might. (might) might-have", "might") == ["might"] * 2


def test_the_longest_marker_at_a_place_is_taken_and_none_overlap():
    assert found("well established", "well", "well established", "established") == ["well established"]
    assert found("not sure at all", "sure at all", "not sure") == ["not sure"]
    assert found("well establishedly", "well", "well established") == ["well"], "the longer one is no whole word here"


def test_white_space_and_apostrophes_do_not_matter():
    forms = ["don't know", "don’t  know", "donʼt\n\tknow", "DON'T\u00a0KNOW"]
    for form in forms:
        for marker in forms:
            assert found(f"I {form}.", marker) == [form]
    assert found("dont know, don't-know, don'tknow", "don't know") == []


@pytest.mark.parametrize("marker", [" perhaps", "perhaps\n", "\tperhaps "])
def test_white_space_around_a_marker_is_none_of_it(marker):
    assert found("(perhaps)", marker) == ["perhaps"]


def test_ends_that_are_punctuation_need_nothing_beside_them():
    assert found("Odd, though; odd, thoughtful", ", though") == [", though"]
    assert found("What?! So?!", "?!") == ["?!", "?!"]
    assert found("In C++, not Objective-C++ or xc++", "c++") == ["C++"]
    assert found("a.b axb (sic)", "a.b", "(sic)") == ["a.b", "(sic)"], "a marker is no regular expression"


def test_indices_are_those_of_the_text_as_given():
    text = "İİ ŉ ﬁ ß 🤔 perhaps"
    (hit,) = find_markers(text, ["PERHAPS"])
    assert (hit.start, hit.end) == (11, 18)


def test_letters_beyond_ascii_have_case_and_bounds_too():
    assert found("Schöne STRAẞE, Straßen", "straße") == ["STRAẞE"]
    assert found("Ο ΛΌΓΟΣ.", "λόγος") == ["ΛΌΓΟΣ"]
    assert found("Être, peut-être, empêtré", "être") == ["Être"]
    assert found("我不知道,也许。", "也许") == ["也许"]


def test_nothing_to_look_for_is_nowhere():
    assert find_markers("anything at all", []) == ()
    assert find_markers("anything at all", ["", " \n"]) == ()


def test_a_set_of_markers_is_compiled_once():
    markers = ["compiled", "only once"]
    before = module._pattern.cache_info().misses
    for text in ("compiled", "only once", ""):
        find_markers(text, markers)
    assert module._pattern.cache_info().misses == before + 1


def test_apostrophes_and_hyphens_inside_a_word_do_not_split_it():
    assert count_words("I don't know, 'well-known' rock ’n’ roll") == 7
    assert count_words("don’t donʼt co\u2011operate") == 3
    assert count_words("one - two -- 'three' -four- 5") == 5
    assert count_words("") == count_words(" ... ’ ʼ - 🤔\n") == 0


def test_a_part_of_a_word_that_is_joined_is_no_marker():
    assert find_markers("I can't say; a well-known fact; rock'n'roll", ["can", "well", "known", "n"]) == ()
    assert len(find_markers("I can. It is well - known, 'well'!", ["can", "well"])) == 3


@given(texts, marker_sets)
@settings(max_examples=150, deadline=None)
def test_every_hit_shows_a_marker_inside_the_text_after_the_hit_before(text, markers):
    hits = find_markers(text, markers)
    edges = [edge for hit in hits for edge in (hit.start, hit.end)]
    assert edges == sorted(edges)
    assert all(0 <= hit.start < hit.end <= len(text) for hit in hits)
    wanted = {normalized(marker) for marker in markers}
    assert all(normalized(text[hit.start : hit.end]) in wanted for hit in hits)


@given(texts, st.sampled_from(MARKERS), texts)
@settings(max_examples=150, deadline=None)
def test_a_marker_put_into_a_text_without_any_is_found_once(left, marker, right):
    assume(not find_markers(f"{left} | {right}", [marker]))
    (hit,) = find_markers(f"{left} {marker} {right}", [marker])
    assert (hit.start, hit.end) == (len(left) + 1, len(left) + 1 + len(marker))


@given(texts)
@settings(max_examples=100, deadline=None)
def test_words_and_rates_are_bounded(text):
    words = count_words(text)
    assert 0 <= words <= (len(text) + 1) / 2
    assert len(find_markers(text, ["perhaps"])) <= words

import math
import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from stance_suite.measure.behavior.text_statistics import (
    count_words,
    distinct_bigrams,
    find_markers,
    is_copied,
    longest_copied_share,
    repetition,
    straighten_apostrophes,
    words_of,
)

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
    *("a " * 5000, "perhaps " * 1250, "x" * 10_000, " " * 10_000),
]
MARKERS = (
    *("let me", "don't know", "perhaps", "I wonder", "c++", ", though", "?!", "...well", "(sic)", "step-by-step"),
    *("istanbul", "İ", "ılık", "straße", "λόγος", "也许", "ربما", "🤔"),
)
FRAGMENTS = [word for marker in MARKERS for word in (marker, *marker.split())] + [" ", "\n", "’", "ʼ", "x", "_"]
texts = st.one_of(
    st.sampled_from(AWKWARD),
    st.text(),
    st.lists(st.sampled_from(FRAGMENTS)).map("".join),
    st.lists(st.sampled_from("abc")).map(" ".join),
)
few_words = st.lists(st.sampled_from("abc"), max_size=20).map(" ".join)
marker_sets = st.one_of(
    st.just(MARKERS), st.lists(st.sampled_from(FRAGMENTS), max_size=5), st.lists(st.text(), max_size=5)
)


def test_words_are_folded_and_keep_inner_apostrophes_and_hyphens():
    assert words_of("I DON’T know -- 'Well-Known', it's 42!") == ["i", "don't", "know", "well-known", "it's", "42"]
    assert words_of("Straße STRASSE") == ["strasse", "strasse"]
    assert words_of("ΛΟΓΟΣ λογος") == ["λογοσ", "λογοσ"]
    assert words_of("İzmir") == ["i\u0307zmir"], "one word, though folded it holds a sign that is no letter"
    assert words_of("donʼt ʼ ’ 🤔") == ["don't"]
    assert words_of("I know 'well-known' rock ’n’ roll") == ["i", "know", "well-known", "rock", "n", "roll"]
    assert words_of("don’t donʼt co\u2011operate") == ["don't", "don't", "co\u2011operate"]
    assert count_words("one - two -- 'three' -four- 5") == 5
    assert count_words("") == count_words(" ... ’ ʼ - 🤔\n") == 0
    assert straighten_apostrophes("a’bʼc'd‘e") == "a'b'c'd‘e"


def test_distinct_bigrams_are_counted_within_each_text():
    assert distinct_bigrams(["a b c"]) == 1.0
    assert distinct_bigrams(["A b a b a"]) == 0.5
    assert distinct_bigrams(["a b c", "a b c", "a b c"]) == 1.0, "texts that are alike do not stammer"
    assert distinct_bigrams(["a b a b a", "c", "a b"]) == 0.75, "a single word has none"
    assert all(math.isnan(distinct_bigrams(texts)) for texts in ([], [""], ["one", "two", "..."])), "there is no pair"


def test_repetition_is_the_share_of_words_said_before():
    assert repetition("one two three four five six seven eight") == 0.0
    assert repetition("one two three four. One, two, three, four!") == 0.5
    assert repetition("one two three four and one two three four five") == 0.4
    assert repetition("one two three and one two three") == 0.0, "three words in a row are a common phrase"
    assert repetition("one two three four five one two three four five") == 0.5, "overlapping runs count words once"
    assert repetition("no no no no no no no no no no") == 0.9, "a word over and over"
    assert [repetition(text) for text in ("", "...", "no", "no no no no")] == [0.0] * 4, "too short to repeat"


CAT = "I think the cat sat on the mat today"
NUMBERED = " ".join(f"the {index}" for index in range(150))


@pytest.mark.parametrize(
    ("text", "sources", "share"),
    [
        (CAT, ["The cat sat on the mat."], 6 / 9),
        (CAT, ["cat sat on the", "the cat sat on the floor", "dogs"], 5 / 9),
        (CAT, [f"He said: {CAT.upper()}!"], 1),
        ("the cat sat", ["it was the cat sat on the mat"], 0),  # three words are no copy
        ("the cat sat on", ["it was the cat sat on the mat"], 1),
        ("the cat has sat on the mat", ["the cat sat on the mat"], 4 / 7),
        ("I don’t know why", ["I don't know why"], 1),
        # words that are frequent are no junk
        (NUMBERED, [NUMBERED], 1),
        ("the the the the", [NUMBERED.replace("7", "the")], 0),
        ("the " * 300, ["so the the the the"], 4 / 300),
        ("", ["a b c d"], 0),
        ("a b c d", [], 0),
        ("a b c d", ["", "..."], 0),
    ],
)
def test_the_copied_share_is_the_longest_common_run_over_the_texts_words(text, sources, share):
    assert longest_copied_share(text, sources) == pytest.approx(share)
    assert [is_copied(share) for share in (0.4999, 0.5, 1.0)] == [False, True, True]


@given(st.one_of(st.text(), st.lists(st.sampled_from("abc"), max_size=60).map(" ".join)))
def test_repetition_agrees_with_asking_of_each_word_whether_a_window_around_it_came_before(text):
    words = words_of(text)
    windows = [words[start : start + 4] for start in range(len(words) - 3)]
    again = [window in windows[:start] for start, window in enumerate(windows)]
    inside = [any(again[max(0, index - 3) : index + 1]) for index in range(len(words))]
    assert repetition(text) == (sum(inside) / len(words) if words else 0.0)


@given(few_words, st.lists(few_words, max_size=3))
def test_the_copied_share_agrees_with_trying_every_run(text, sources):
    words = text.split()
    runs = [words[start:end] for start in range(len(words)) for end in range(start + 4, len(words) + 1)]
    shared = [len(run) for run in runs if any(f" {' '.join(run)} " in f" {source} " for source in sources)]
    assert longest_copied_share(text, sources) == (max(shared, default=0) / len(words) if words else 0.0)


@given(texts, texts)
@example("x" * 10_000, "a " * 5000)
def test_counts_and_shares_of_any_text_are_bounded(text, other):
    words = count_words(text)
    assert 0 <= words <= (len(text) + 1) / 2
    assert len(straighten_apostrophes(text)) == len(text)
    assert len(find_markers(text, ["perhaps"])) <= words
    assert 0.0 <= repetition(text) < 1.0
    assert 0.0 <= longest_copied_share(text, [other[:2000], other[:40]]) <= 1.0
    assert longest_copied_share(text, [text[:400]]) <= 1.0
    assert is_copied(longest_copied_share(text[:400], [text[:400]])) == (len(words_of(text[:400])) >= 4)


def found(text, *markers):
    return [text[hit.start : hit.end] for hit in find_markers(text, markers)]


def normalized(text):
    """As a reader sees it who knows no case, white space or apostrophes, nor the dots of Turkish letters."""
    plain = re.sub("[’ʼ]", "'", text).casefold().replace("\u0307", "").replace("ı", "i").replace("ς", "σ")
    return " ".join(plain.split())


@pytest.mark.parametrize(
    ("text", "markers", "places"),
    [
        ("Perhaps I guess; perhaps not.", ["guess", "perhaps"], [(0, 7), (10, 15), (17, 24)]),
        ("İİ ŉ ﬁ ß 🤔 perhaps", ["PERHAPS"], [(11, 18)]),
    ],
)
def test_hits_are_places_in_the_text_as_given_in_order(text, markers, places):
    assert [(hit.start, hit.end) for hit in find_markers(text, markers)] == places


@pytest.mark.parametrize(
    ("text", "markers", "hits"),
    [
        # whole words only, as they are joined
        ("mighty, almighty, guesses, might_be, might2", ["might", "guess"], []),
        ("might. (might) might-have", ["might"], ["might"] * 2),
        ("I can't say; a well-known fact; rock'n'roll", ["can", "well", "known", "n"], []),
        ("I can. It is well - known, 'well'!", ["can", "well"], ["can", "well", "well"]),
        # the longest at a place, if it is a whole word there, and none that overlap
        ("well established", ["well", "well established", "established"], ["well established"]),
        ("not sure at all", ["sure at all", "not sure"], ["not sure"]),
        ("well establishedly", ["well", "well established"], ["well"]),
        # white space around a marker is none of it
        ("(perhaps)", [" perhaps"], ["perhaps"]),
        ("(perhaps)", ["perhaps\n"], ["perhaps"]),
        ("(perhaps)", ["\tperhaps "], ["perhaps"]),
        # an end that is punctuation needs nothing beside it, and a marker is no regular expression
        ("Odd, though; odd, thoughtful", [", though"], [", though"]),
        ("What?! So?!", ["?!"], ["?!", "?!"]),
        ("In C++, not Objective-C++ or xc++", ["c++"], ["C++"]),
        ("a.b axb (sic)", ["a.b", "(sic)"], ["a.b", "(sic)"]),
        # letters beyond ASCII have case and bounds too
        ("Schöne STRAẞE, Straßen", ["straße"], ["STRAẞE"]),
        ("Ο ΛΌΓΟΣ.", ["λόγος"], ["ΛΌΓΟΣ"]),
        ("Être, peut-être, empêtré", ["être"], ["Être"]),
        ("我不知道,也许。", ["也许"], ["也许"]),
        # nothing to look for is nowhere
        ("anything at all", [], []),
        ("anything at all", ["", " \n"], []),
    ],
)
def test_markers_are_found_where_a_reader_sees_them(text, markers, hits):
    assert found(text, *markers) == hits


def test_white_space_and_apostrophes_do_not_matter():
    forms = ["don't know", "don’t  know", "donʼt\n\tknow", "DON'T\u00a0KNOW"]
    assert all(found(f"I {form}.", marker) == [form] for form in forms for marker in forms)
    assert found("dont know, don't-know, don'tknow", "don't know") == []


@given(texts, marker_sets)
def test_every_hit_shows_a_marker_inside_the_text_after_the_hit_before(text, markers):
    hits = find_markers(text, markers)
    edges = [edge for hit in hits for edge in (hit.start, hit.end)]
    assert edges == sorted(edges)
    assert all(0 <= hit.start < hit.end <= len(text) for hit in hits)
    wanted = {normalized(marker) for marker in markers}
    assert all(normalized(text[hit.start : hit.end]) in wanted for hit in hits)


@given(texts, st.sampled_from(MARKERS), texts)
def test_a_marker_put_into_a_text_without_any_is_found_once(left, marker, right):
    assume(not find_markers(f"{left} | {right}", [marker]))
    (hit,) = find_markers(f"{left} {marker} {right}", [marker])
    assert (hit.start, hit.end) == (len(left) + 1, len(left) + 1 + len(marker))

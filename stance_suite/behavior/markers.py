"""Where the words and phrases typical of a stance stand in a text, and how dense they are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from stance_suite.behavior.fluency import JOINING, straighten_apostrophes, words_of
from stance_suite.behavior_records import MarkerHit


def find_markers(text: str, markers: Sequence[str]) -> tuple[MarkerHit, ...]:
    """Find markers in a text.

    Parameters
    ----------
    text : str
        Where to look.
    markers : sequence of str
        Words and phrases. Case and the kind of apostrophe do not matter, and any run of white space stands for any
        other. Where a marker begins or ends with a letter, digit or underscore, none may adjoin it in the text, nor be
        joined to it by an apostrophe or a hyphen: "can" is no part of "can't".

    Returns
    -------
    tuple of MarkerHit
        In the order of the text and without overlap, as indices into the text as given. Where several markers begin
        at one place the longest is taken.
    """
    pattern = _pattern(tuple(markers))
    if pattern is None:
        return ()
    # case is left to the pattern: casefolding can change a text's length and with it every index
    found = pattern.finditer(straighten_apostrophes(text))
    return tuple(MarkerHit(start=match.start(), end=match.end()) for match in found)


def count_words(text: str) -> int:
    """Count the words of a text.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    int
        Number of words; "don't" and "well-known" are one each.
    """
    return len(words_of(text))


@lru_cache(maxsize=64)
def _pattern(markers: tuple[str, ...]) -> re.Pattern[str] | None:
    phrases = {" ".join(straighten_apostrophes(marker).split()) for marker in markers} - {""}
    # an alternation takes the first branch that fits, so the longest comes first
    longest_first = sorted(phrases, key=lambda phrase: (-len(phrase), phrase))
    return re.compile("|".join(map(_branch, longest_first)), re.IGNORECASE) if longest_first else None


def _branch(phrase: str) -> str:
    # \b would demand a letter beside an end that is punctuation: "in fact," could then not be followed by a space
    before = rf"(?<!\w)(?<!\w[{JOINING}])" if re.match(r"\w", phrase) else ""
    after = rf"(?![{JOINING}]?\w)" if re.search(r"\w\Z", phrase) else ""
    return before + r"\s+".join(map(re.escape, phrase.split(" "))) + after

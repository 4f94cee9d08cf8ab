"""Statistics of texts: their words, how much these repeat, how much was copied, and where a stance's markers stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise

from stance_suite.schema.behavior import MarkerHit

REPEATED_RUN = 4
"""Words in a run that counts as repeated when it comes again."""
SHORTEST_COPY = 4
"""Words in the shortest run that counts as copied: shorter ones are common phrases."""
MOSTLY_COPIED = 0.5
"""Share of a text's words in one copied run from which the text is a copy."""
JOINING = r"'\-\u2010\u2011"
"""What joins letters into one word: apostrophe and hyphen, and the two hyphens that typesetting puts in its place."""

_APOSTROPHES = str.maketrans({"’": "'", "ʼ": "'"})
_WORD = re.compile(rf"\w+(?:[{JOINING}]\w+)*")


def straighten_apostrophes(text: str) -> str:
    """Replace typographic apostrophes by plain ones, character by character, so that indices stay valid."""
    return text.translate(_APOSTROPHES)


def words_of(text: str) -> list[str]:
    """Split a text into its words, casefolded, with plain apostrophes: "don't" and "well-known" are one each."""
    # casefolded after the split: folding first turns "İ" into two characters, of which one is no letter
    return [word.casefold() for word in _WORD.findall(straighten_apostrophes(text))]


def count_words(text: str) -> int:
    """Count the words of a text."""
    return len(words_of(text))


def distinct_bigrams(texts: Iterable[str]) -> float:
    """Tell which share of a text's pairs of neighboring words is distinct, averaged over texts; NaN if none has any.

    After "distinct-2" of Li et al. (2016), A diversity-promoting objective function for neural conversation models, who
    divide by the number of words instead, and count over all texts: there, answers that are alike look like stammering.
    """
    pairs = [list(pairwise(words_of(text))) for text in texts]
    shares = [len(set(of_text)) / len(of_text) for of_text in pairs if of_text]
    return sum(shares) / len(shares) if shares else float("nan")


def repetition(text: str) -> float:
    """Tell which share of a text's words stands in a run of four that began earlier too, overlapping or not."""
    words = words_of(text)
    seen: set[tuple[str, ...]] = set()
    repeated: set[int] = set()
    for start in range(len(words) - REPEATED_RUN + 1):
        run = tuple(words[start : start + REPEATED_RUN])
        if run in seen:
            repeated.update(range(start, start + REPEATED_RUN))
        seen.add(run)
    return len(repeated) / len(words) if words else 0.0


def longest_copied_share(text: str, sources: Sequence[str]) -> float:
    """Tell which share of a text's words is the longest run in common with a source; 0 if it is below four words."""
    words = words_of(text)
    # the matcher indexes its second sequence once; only the first one changes from source to source
    matcher = SequenceMatcher(None, "", words, autojunk=False)
    longest = 0
    for source in sources:
        matcher.set_seq1(words_of(source))
        longest = max(longest, matcher.find_longest_match().size)
    return longest / len(words) if longest >= SHORTEST_COPY else 0.0


def is_copied(share: float) -> bool:
    """Tell from the share of its words in one copied run whether a text is mostly a copy."""
    return share >= MOSTLY_COPIED


def find_markers(text: str, markers: Sequence[str]) -> tuple[MarkerHit, ...]:
    """Find words and phrases in a text, in its order and without overlap; of several at one place the longest is taken.

    Case and the kind of apostrophe do not matter, and any run of white space stands for any other. Where a marker
    begins or ends with a letter, digit or underscore, none may adjoin it in the text, nor be joined to it by an
    apostrophe or a hyphen: "can" is no part of "can't".
    """
    pattern = _pattern(tuple(markers))
    if pattern is None:
        return ()
    # case is left to the pattern: casefolding can change a text's length and with it every index
    found = pattern.finditer(straighten_apostrophes(text))
    return tuple(MarkerHit(start=match.start(), end=match.end()) for match in found)


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

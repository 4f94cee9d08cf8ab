"""Whether texts read as writing: their words, how much these repeat, and how much was copied."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from itertools import pairwise

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
    """Replace typographic apostrophes by plain ones, character by character.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        As long as the text, so that indices into the one hold for the other.
    """
    return text.translate(_APOSTROPHES)


def words_of(text: str) -> list[str]:
    """Split a text into its words.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    list of str
        Runs of letters, digits and underscores, casefolded; apostrophes and hyphens between them join them into one
        word. All apostrophes are plain ones.
    """
    # casefolded after the split: folding first turns "İ" into two characters, of which one is no letter
    return [word.casefold() for word in _WORD.findall(straighten_apostrophes(text))]


def distinct_bigrams(texts: Iterable[str]) -> float:
    """Tell how varied the wording of texts is.

    Parameters
    ----------
    texts : iterable of str
        Pooled; no pair reaches from one text into the next.

    Returns
    -------
    float
        Distinct pairs of neighboring words over all such pairs, between 0 and 1: 1 if none comes twice, NaN if there
        is none. After "distinct-2" of Li et al. (2016), A diversity-promoting objective function for neural
        conversation models, who divide by the number of words instead.
    """
    pairs = [pair for text in texts for pair in pairwise(words_of(text))]
    return len(set(pairs)) / len(pairs) if pairs else float("nan")


def repetition(text: str) -> float:
    """Tell how much of a text says again what it said already.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    float
        Share, between 0 and 1, of its words that stand in a run of four that began earlier in the text too; the two
        runs may overlap, as in a word repeated over and over. 0 for a text of at most four words.
    """
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
    """Tell how much of a text is one run of words from a source.

    Parameters
    ----------
    text : str
        What may hold a copy.
    sources : sequence of str
        What may have been copied.

    Returns
    -------
    float
        Words in the longest run that the text has in common with any one source, over all words of the text: between
        0 and 1. 0 if that run has fewer than four words.
    """
    words = words_of(text)
    # the matcher indexes its second sequence once; only the first one changes from source to source
    matcher = SequenceMatcher(None, "", words, autojunk=False)
    longest = 0
    for source in sources:
        matcher.set_seq1(words_of(source))
        longest = max(longest, matcher.find_longest_match().size)
    return longest / len(words) if longest >= SHORTEST_COPY else 0.0


def is_copied(share: float) -> bool:
    """Tell whether a text is mostly a copy.

    Parameters
    ----------
    share : float
        Share of its words in one copied run, between 0 and 1.

    Returns
    -------
    bool
        True from one half on.
    """
    return share >= MOSTLY_COPIED

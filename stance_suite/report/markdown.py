"""GitHub-flavored Markdown from data that cannot be trusted: names of models, and what models wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_MARKUP = re.compile(
    r"[\\`*<>#|~&@$]"
    r"|\](?=[(\[:])"  # the middle of a link; an interval's bracket is none
    r"|:(?=//|[a-z+][\w+-]*:)"  # an address; an emoji's name
    r"|(?<!\w)_|_(?!\w)"  # emphasis does not begin or end within a word
    r"|(?<=www)\."
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")


def escape(text: str) -> str:
    """Escape text so that GitHub shows it as it is, in a cell of a table or within a line.

    Markup (emphasis, code, links, HTML, mathematics, a table's bars) becomes numeric character references; line breaks,
    and characters that are not shown or turn the direction of writing, become a space.
    """
    line = _CONTROL.sub(" ", text).strip()
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", line)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table of text, its first column to the left and the others to the right; every row fits the head."""
    written = [[escape(cell) for cell in head], [":--", *["--:"] * (len(head) - 1)]]
    for row in rows:
        if len(row) != len(head):
            raise ValueError(f"a row of {len(row)} cells in a table of {len(head)} columns")
        written.append([escape(cell) for cell in row])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in written)

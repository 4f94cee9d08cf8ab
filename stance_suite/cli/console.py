"""How commands print tables, and lines that stay whole where they go to a file or a pipe; and how they write files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stance_suite.files import cannot_write, write_atomically

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_WIDTH = 160
"""Columns of a table that goes to a file or a pipe."""


def open_console(plain_width: int = PLAIN_WIDTH) -> Console:
    """Print what is said as it is: names of models, statements and prompts are no markup and hold no emoji codes."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = plain_width
    return console


def print_table(
    console: Console, columns: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int | None = 1, title: str = ""
) -> None:
    """Print a table whose first columns are texts, or all if None: these are to the left, the others to the right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title) if title else None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        is_text = texts is None or place < texts
        table.add_column(column, justify="left" if is_text else "right", overflow="fold")
    _print(console, table, rows)


def print_framed_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table in a frame that is as wide as the terminal at most."""
    from rich.console import Console
    from rich.table import Table

    _print(Console(), Table(*columns), rows)


def _print(console: Console, table: Any, rows: Iterable[Sequence[str]]) -> None:
    from rich.text import Text

    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def write_file(path: Path | None, content: bytes | str) -> None:
    """Write what the user asked for, if a path was given; StanceSuiteError if that cannot be."""
    if path is None:
        return
    try:
        write_atomically(path, content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise cannot_write(path, error) from error

"""The command that tells how a verdict came about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from stance_suite.reports.explain import Section

PLAIN_WIDTH = 200
"""Columns of a table that goes to a file or a pipe."""

Name = Annotated[str, typer.Argument(help="Id of a claim or statement, or name of a gate's demand.", metavar="CLAIM")]
FindingsFile = Annotated[Path, typer.Option("--findings", help="The findings.json that holds it.")]


def explain_claim(claim: Name, findings: FindingsFile = Path("reports/findings.json")) -> None:
    """Tell how a verdict came about: the claim, the controls, every prompt or the layers that decide, and the cells."""
    from rich.console import Console

    from stance_suite.findings_files import read_findings
    from stance_suite.reports.explain import explain

    console = Console(highlight=False, markup=False)
    console = console if console.is_terminal else Console(highlight=False, markup=False, width=PLAIN_WIDTH)
    for explanation in explain(claim, read_findings(findings)):
        console.print(explanation.title, style="bold")
        for section in explanation.sections:
            _print(console, section)
        console.print()


def _print(console: Console, section: Section) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    console.print(f"\n{section.heading}", style="bold")
    for line in section.lines:
        console.print(Text(f"  {line}"))
    if section.columns:
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for column in section.columns:
            table.add_column(column, overflow="fold")
        for row in section.rows:
            table.add_row(*map(Text, row))
        console.print(table)

"""The command that tells how a verdict came about."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stance_suite.cli.console import open_console, print_table

PLAIN_WIDTH = 200
"""Columns of a table that goes to a file or a pipe."""

Name = Annotated[str, typer.Argument(help="Id of a claim or statement, or name of a gate's demand.", metavar="CLAIM")]
FindingsFile = Annotated[Path, typer.Option("--findings", help="The findings.json that holds it.")]


def explain_claim(claim: Name, findings: FindingsFile = Path("reports/findings.json")) -> None:
    """Tell how a verdict came about: the claim, the controls, every prompt or the layers that decide, and the cells."""
    from stance_suite.report.explain import explain
    from stance_suite.store.findings import read_findings

    console = open_console(PLAIN_WIDTH)
    for explanation in explain(claim, read_findings(findings)):
        console.print(explanation.title, style="bold")
        for section in explanation.sections:
            console.print(f"\n{section.heading}", style="bold")
            for line in section.lines:
                console.print(f"  {line}")
            if section.columns:
                print_table(console, section.columns, section.rows, texts=None)
        console.print()

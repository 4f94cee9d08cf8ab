"""The command that compares two runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stance_suite.cli.console import open_console, print_table, write_file

if TYPE_CHECKING:
    from stance_suite.schema.comparison import RunComparison

Before = Annotated[Path, typer.Argument(help="The findings.json of the first run.")]
After = Annotated[Path, typer.Argument(help="The findings.json of the second run, or of another model.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the whole comparison as JSON.")]
Markdown = Annotated[Path | None, typer.Option("--markdown", help="Write it as GitHub-flavored Markdown.")]


def compare_findings(before: Before, after: After, json: Json = None, markdown: Markdown = None) -> None:
    """Compare two runs, or two models: what changed in verdicts and effects, paired by prompt."""
    from stance_suite.judge.compare.baselines import incomparable
    from stance_suite.judge.compare.runs import compare_runs
    from stance_suite.report.comparison import render_markdown
    from stance_suite.store.findings import read_findings

    runs = read_findings(before), read_findings(after)
    comparison = compare_runs(*runs)
    write_file(json, comparison.model_dump_json(indent=1))
    write_file(markdown, render_markdown(comparison))
    _print_comparison(comparison, incomparable(*runs))


def _print_comparison(comparison: RunComparison, obstacles: tuple[str, ...]) -> None:
    from stance_suite.report.comparison import COLUMNS, change_row, shorten, summary_sentence, unmatched_row

    console = open_console()
    if comparison.changes:
        changes = sorted(comparison.changes, key=lambda change: not change.is_news)
        print_table(console, COLUMNS, map(change_row, changes), texts=None)
    for which, entries in (("first", comparison.only_before), ("second", comparison.only_after)):
        for entry in entries:
            claim, model, status, reason = unmatched_row(entry)
            console.print(f"only in the {which} run: {claim} of {model}, {status}: {reason}")
    for one in comparison.differences:
        before, after = (shorten(side) or "none" for side in (one.before, one.after))
        console.print(f"{one.what}: {before} -> {after}")
    for sentence in obstacles:
        console.print(f"no baseline for a gate: {sentence}")
    console.print(summary_sentence(comparison))

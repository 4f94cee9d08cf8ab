"""The commands that show what earlier runs found: rendered as a page, compared, or a verdict explained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stance_suite.cli.console import open_console, print_table, write_file
from stance_suite.cli.options import FindingsFile, takes_settings
from stance_suite.config.options import Settings
from stance_suite.judge.compare.baselines import incomparable
from stance_suite.judge.compare.runs import compare_runs
from stance_suite.report.comparison import (
    COLUMNS,
    change_row,
    render_markdown,
    shorten,
    summary_sentence,
    unmatched_row,
)
from stance_suite.report.explain import explain
from stance_suite.schema.comparison import RunComparison
from stance_suite.store.findings import read_findings

WIDTH_OF_EXPLANATIONS = 200
"""Columns of a table that goes to a file or a pipe."""

Before = Annotated[Path, typer.Argument(help="The findings.json of the first run.")]
After = Annotated[Path, typer.Argument(help="The findings.json of the second run, or of another model.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the whole comparison as JSON.")]
Markdown = Annotated[Path | None, typer.Option("--markdown", help="Write it as GitHub-flavored Markdown.")]
Name = Annotated[str, typer.Argument(help="Id of a claim or statement, or name of a gate's demand.", metavar="CLAIM")]
Explained = Annotated[Path, typer.Option("--findings", help="The findings.json that holds it.")]


@takes_settings("report")
def report(findings: FindingsFile, settings: Settings) -> None:
    """Render findings.html beside a findings.json, from that file alone; with --pictures, every picture of it."""
    from stance_suite.report.publish import draw_pictures, render

    found = read_findings(findings)
    print(render(found, findings), flush=True)
    if settings.pictures is not None:
        draw_pictures(found, settings.pictures)


def compare_findings(before: Before, after: After, json: Json = None, markdown: Markdown = None) -> None:
    """Compare two runs, or two models: what changed in verdicts and effects, paired by prompt."""
    runs = read_findings(before), read_findings(after)
    comparison = compare_runs(*runs)
    write_file(json, comparison.model_dump_json(indent=1))
    write_file(markdown, render_markdown(comparison))
    _print_comparison(comparison, incomparable(*runs))


def _print_comparison(comparison: RunComparison, obstacles: tuple[str, ...]) -> None:
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


def explain_claim(claim: Name, findings: Explained = Path("reports/findings.json")) -> None:
    """Tell how a verdict came about: the claim, the controls, every prompt or the layers that decide, and the cells."""
    console = open_console(WIDTH_OF_EXPLANATIONS)
    for explanation in explain(claim, read_findings(findings)):
        console.print(explanation.title, style="bold")
        for section in explanation.sections:
            console.print(f"\n{section.heading}", style="bold")
            for line in section.lines:
                console.print(f"  {line}")
            if section.columns:
                print_table(console, section.columns, section.rows, texts=None)
        console.print()

"""The command that writes every figure of every layer as one table, and tells which model is localized."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stance_suite.cli.console import open_console, print_table
from stance_suite.cli.options import FindingsFile

if TYPE_CHECKING:
    from rich.console import Console

    from stance_suite.schema.localization import Localization, Universality


LOCALIZATION_COLUMNS = (
    "model", "recipe", "stance", "change of", "share", "95 %", "sham", "noise", "AdamW", "Gini", "trainings", "encoding"
)  # fmt: skip
MOST_CHANGED_COLUMNS = ("model", "recipe", "change of", "matrix", "depth", "under the sham", "depth")
CORRELATION_COLUMNS = ("models", "recipe", "change of", "matrices", "bins", "correlation", "p", "under the sham")
FIGURE_NAMES = {"relative_norm": "|dW|/|W|", "alpha_spectrum": "alpha, tail fixed"}

To = Annotated[Path, typer.Option("--to", help="The table to write: a name that ends in .csv or .parquet.")]


def export_tensor(findings: FindingsFile, to: To) -> None:
    """Write every figure of every layer beside its controls as CSV or Parquet; tell which model is localized."""
    from stance_suite.judge.structure.localization import localize
    from stance_suite.judge.structure.universality import universality
    from stance_suite.report.layer_table import write_tensor
    from stance_suite.store.findings import read_findings

    found = read_findings(findings)
    write_tensor(found, to)
    console = open_console()
    skipped = {(record.cell.model, one.name): one.reason for record in found.cells for one in record.skipped}
    for (model, name), reason in skipped.items():
        console.print(f"{model}: {name} has no rows: {reason}")
    _print_localization(console, localize(found))
    if len({record.cell.model for record in found.cells if record.cell.recipe is not None}) > 1:
        _print_universality(console, universality(found))
    console.print(f"written: {to}")


def _print_localization(console: Console, found: Sequence[Localization]) -> None:
    """Print stances together; one by one only where a family has a single stance, or several seeds tell more."""
    from stance_suite.report.format import show
    from stance_suite.schema.metrics import CAVEAT_MEANINGS

    shown = [one for one in found if one.stance is None or one.seeds > 1]
    together = {(one.model, one.recipe, one.family) for one in shown}
    shown += [one for one in found if (one.model, one.recipe, one.family) not in together]
    if not shown:
        console.print(
            "No training on a stance is in these findings; a model trained elsewhere has no sham to be compared with."
        )
        return
    rows = [
        (
            *(one.model, one.recipe, one.stance or "all", FIGURE_NAMES[one.figure]),
            "" if one.share is None else f"{100 * one.share:.3g} % of {one.layers}",
            "" if one.low is None or one.high is None else _percent_range((one.low, one.high)),
            _percent_range(one.sham_share),
            _percent_range(one.noise_share),
            _show_percent(None if one.optimizer_share is None else 100 * one.optimizer_share),
            *(show(one.gini, ".2f"), f"{one.stances} x {one.seeds}", " ".join((one.encoding.value, *one.caveats))),
        )
        for one in shown
    ]
    title = "Which model when: the effective share of layers that carry the change"
    print_table(console, LOCALIZATION_COLUMNS, rows, title=title)
    for encoding in dict.fromkeys(one.encoding for one in shown):
        console.print(f"{encoding.value}: {encoding.meaning}.")
    for caveat in dict.fromkeys(caveat for one in shown for caveat in one.caveats):
        console.print(f"{caveat}: {CAVEAT_MEANINGS[caveat]}.")


def _print_universality(console: Console, found: Universality) -> None:
    from stance_suite.report.format import show

    most_changed = [
        (
            *(one.model, one.recipe, FIGURE_NAMES[one.figure]),
            *(one.most_changed, _show_percent(one.most_changed_depth)),
            *(one.sham_most_changed or "", _show_percent(one.sham_most_changed_depth)),
        )
        for one in found.profiles
        if one.group == "all"
    ]
    correlations = [
        (
            *(" / ".join(pair.models), pair.recipe, FIGURE_NAMES[pair.figure], pair.group, str(pair.bins)),
            *(show(pair.correlation, "+.2f"), show(pair.p_value, ".3f"), show(pair.sham_correlation, "+.2f")),
        )
        for pair in found.correlations
    ]
    title = "Most changed matrix of the blocks, by relative depth"
    print_table(console, MOST_CHANGED_COLUMNS, most_changed, title=title)
    title = "Do models change at the same relative depths? Rank correlation of their profiles"
    print_table(console, CORRELATION_COLUMNS, correlations, title=title)
    console.print("p: share of circular shifts over depth that correlate at least as much; no less than 1 / bins.")
    for reason in dict.fromkeys(pair.reason for pair in found.correlations if pair.reason):
        console.print(f"no p: {reason}.")


def _show_percent(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.0f} %"


def _percent_range(ends: tuple[float, float] | None) -> str:
    if ends is None:
        return ""
    low, high = (f"{100 * end:.3g}" for end in ends)
    return f"{low} %" if low == high else f"{low} - {high} %"

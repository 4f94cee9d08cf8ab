"""The commands about measured cells: what is kept, whether it is whole, and what can go."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from stance_suite.cli.console import print_framed_table
from stance_suite.cli.options import takes_settings
from stance_suite.config.options import Settings
from stance_suite.errors import StanceSuiteError
from stance_suite.progress import choose_progress

DAMAGED = 1
UNITS = {"h": "hours", "d": "days", "w": "weeks"}

OlderThan = Annotated[
    str | None, typer.Option("--older-than", help="Records measured longer ago than this: 12h, 30d or 8w.")
]
OfModel = Annotated[str | None, typer.Option("--model", help="Records of this model; * and ? stand for anything.")]
OtherVersions = Annotated[
    bool,
    typer.Option(
        "--other-versions", help="Records made by other versions of the libraries that compute: never read by this one."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")]


@takes_settings("cache", first=("store",))
def list_cells(settings: Settings) -> None:
    """List every measured cell that is kept: what was done to which model, how long it took and what it takes."""
    from rich.filesize import decimal

    from stance_suite.store.cell_store import open_store

    opened = open_store(settings.store)
    records = opened.records()
    known = [(record, record.label) for record in records if record.label is not None]
    rows = []
    for record, label in sorted(known, key=lambda entry: (entry[1].cell.model, entry[1].provenance.created)):
        cell, made = label.cell, label.provenance
        what = (cell.model, cell.trained_on, cell.recipe or "", str(cell.seed))
        figures = (decimal(record.size), f"{made.seconds:.0f}", made.created.partition("+")[0], record.key[:12])
        rows.append((*what, *figures))
    if rows:
        print_framed_table(("model", "cell", "recipe", "seed", "size", "seconds", "created", "key"), rows)
    size = decimal(sum(record.size for record in records))
    # a duration that is not known is not a number
    seconds = sum(label.provenance.seconds for _, label in known if label.provenance.seconds >= 0)
    print(f"{len(known)} cells, {size}, {timedelta(seconds=round(seconds))} hours of measuring, in {opened.location}")
    damaged = sum(not record.is_whole for record in records)
    if damaged:
        print(f"{damaged} damaged; stance-suite cache verify says which")
    if damaged + len(known) < len(records):
        print(f"{len(records) - len(known) - damaged} of other versions of stance-suite, which this one cannot read")


@takes_settings("cache", first=("store",))
def verify_cells(settings: Settings) -> None:
    """Read every record to find damage; exit 1 if there is any. A damaged one is set aside, and measured again."""
    from stance_suite.store.cell_store import open_store

    opened = open_store(settings.store)
    keys = opened.keys()
    damaged = 0
    with choose_progress().stage(f"reading {opened.location}") as on_step:
        for done, key in enumerate(keys, 1):
            problem = opened.check(key)
            if problem is not None:
                damaged += 1
                print(f"{key}: damaged: {problem}", flush=True)
            on_step(done, len(keys))
    if damaged:
        print(f"{damaged} of {len(keys)} records are damaged and set aside; the next run measures them again")
        raise typer.Exit(DAMAGED)
    print(f"{len(keys)} records, all whole, in {opened.location}")


@takes_settings("cache", first=("store",))
def prune_cells(
    settings: Settings,
    older_than: OlderThan = None,
    model: OfModel = None,
    other_versions: OtherVersions = False,
    dry_run: DryRun = False,
) -> None:
    """Remove damaged records and what killed runs left behind; whole records too, if options say which.

    Several options narrow each other: --model NAME --older-than 30d removes old records of that model.
    """
    from rich.filesize import decimal

    from stance_suite.measure.cell import library_versions
    from stance_suite.store.cell_store import open_store
    from stance_suite.store.prune import Prunable, find_waste

    unwanted = Prunable(
        created_before=None if older_than is None else datetime.now(UTC) - _duration(older_than),
        model=model,
        other_than=library_versions() if other_versions else None,
    )
    opened = open_store(settings.store)
    count = freed = 0
    for waste in find_waste(opened, unwanted):
        if not dry_run:
            opened.backend.remove(waste.name)
        print(f"{waste.name}: {waste.reason}, {decimal(waste.size)}", flush=True)
        count, freed = count + 1, freed + waste.size
    print(f"{count} files, {decimal(freed)}, {'could be' if dry_run else 'were'} removed from {opened.location}")


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d+)([hdw])", text)
    if match is None:
        raise StanceSuiteError(f"option older-than: {text!r} is no duration such as 12h, 30d or 8w")
    return timedelta(**{UNITS[match[2]]: int(match[1])})

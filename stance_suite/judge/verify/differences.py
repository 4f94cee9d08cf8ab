"""Where what is written differs from what follows from the figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from stance_suite.schema.verdicts import ControlFigure

RELATIVE_TOLERANCE = 1e-9
"""Another machine may sum in another order."""
ABSOLUTE_TOLERANCE = 1e-12
"""Differences of equal figures are zero up to rounding."""
LONGEST_SHOWN = 160
"""Characters of a whole entry that is missing on one side."""
NAMES = ("name", "prompt", "text")
"""Keys that name an entry of a list."""


@dataclass(frozen=True)
class Discrepancy:
    """One thing that findings say and their own figures do not bear out."""

    subject: str
    """What it is about: a claim, a statement, a cell, the gate."""
    field: str
    """Which field of it."""
    recorded: str
    """What the file says."""
    recomputed: str
    """What follows from the rest of the file."""

    def __str__(self) -> str:
        return f"{self.subject}: {self.field}: recorded {self.recorded}, recomputed {self.recomputed}"


def differences(subject: str, recorded: Any, recomputed: Any, field: str = "") -> Iterator[Discrepancy]:
    """Compare two dumps of a record field by field; floating-point numbers may differ by a relative 1e-9."""
    if isinstance(recorded, Mapping) and isinstance(recomputed, Mapping):
        for key in dict.fromkeys([*recorded, *recomputed]):
            where = f"{field}.{key}" if field else str(key)
            yield from differences(subject, recorded.get(key), recomputed.get(key), where)
    elif all(isinstance(value, Sequence) and not isinstance(value, str) for value in (recorded, recomputed)):
        # so that one that was taken out is named and the others are still compared
        ours, theirs = (keyed((_name(one, i), one) for i, one in enumerate(side)) for side in (recorded, recomputed))
        if list(ours) != list(theirs):
            yield Discrepancy(subject, field, *(", ".join(side) or "none" for side in (ours, theirs)))
        for key in ours:
            if key in theirs:
                yield from differences(subject, ours[key], theirs[key], f"{field}[{key}]")
    elif not _agree(recorded, recomputed):
        yield Discrepancy(subject, field, show(recorded), show(recomputed))


def keyed(entries: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Key entries by their names, and by their places, too, where a name comes again."""
    found: dict[str, Any] = {}
    for place, (name, entry) in enumerate(entries):
        found[name if name not in found else f"{name}, entry {place}"] = entry
    return found


def show(value: Any) -> str:
    """Write a value for a message: numbers with all their digits, whole records as far as one can read them."""
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else shorten(repr(value), LONGEST_SHOWN, placeholder=" …")


def _agree(recorded: Any, recomputed: Any) -> bool:
    if isinstance(recorded, float) and isinstance(recomputed, float):
        return math.isclose(recorded, recomputed, rel_tol=RELATIVE_TOLERANCE, abs_tol=ABSOLUTE_TOLERANCE) or (
            math.isnan(recorded) and math.isnan(recomputed)
        )
    return bool(recorded == recomputed)


def _name(entry: Any, place: int) -> str:
    if isinstance(entry, str):
        return entry
    if isinstance(entry, Mapping) and "role" in entry:
        return ControlFigure.model_validate(entry).name
    named = (str(entry[key]) for key in NAMES if key in entry) if isinstance(entry, Mapping) else iter(())
    return next(named, "") or str(place)

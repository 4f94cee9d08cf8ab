"""Where what is written differs from what follows from the figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from stance_suite.judgments import ControlFigure

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
        """Read as one line."""
        return f"{self.subject}: {self.field}: recorded {self.recorded}, recomputed {self.recomputed}"


def differences(subject: str, recorded: Any, recomputed: Any, field: str = "") -> Iterator[Discrepancy]:
    """Compare two dumps of a record, field by field.

    Parameters
    ----------
    subject : str
        What they are about.
    recorded : object
        What the file says: mappings, sequences and values, as ``model_dump`` makes them.
    recomputed : object
        The same recomputed.
    field : str
        Where in the subject they stand.

    Yields
    ------
    Discrepancy
        One entry a value; floating-point numbers may differ by a relative 1e-9.
    """
    if isinstance(recorded, Mapping) and isinstance(recomputed, Mapping):
        for key in dict.fromkeys([*recorded, *recomputed]):
            where = f"{field}.{key}" if field else str(key)
            yield from differences(subject, recorded.get(key), recomputed.get(key), where)
    elif _are_lists(recorded, recomputed):
        ours, theirs = (_by_name(entries) for entries in (recorded, recomputed))
        if list(ours) != list(theirs):
            yield Discrepancy(subject, field, _listed(ours), _listed(theirs))
        for key in ours:
            if key in theirs:
                yield from differences(subject, ours[key], theirs[key], f"{field}[{key}]")
    elif not _agree(recorded, recomputed):
        yield Discrepancy(subject, field, show(recorded), show(recomputed))


def show(value: Any) -> str:
    """Write a value for a message.

    Parameters
    ----------
    value : object
        Any.

    Returns
    -------
    str
        Numbers with all their digits, mappings and sequences only as far as one can read them.
    """
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return str(value)
    return shorten(repr(value), LONGEST_SHOWN, placeholder=" …")


def _agree(recorded: Any, recomputed: Any) -> bool:
    if isinstance(recorded, float) and isinstance(recomputed, float):
        both_unknown = math.isnan(recorded) and math.isnan(recomputed)
        return both_unknown or math.isclose(
            recorded, recomputed, rel_tol=RELATIVE_TOLERANCE, abs_tol=ABSOLUTE_TOLERANCE
        )
    return bool(recorded == recomputed)


def _are_lists(*values: Any) -> bool:
    return all(isinstance(value, Sequence) and not isinstance(value, str) for value in values)


def _by_name(entries: Sequence[Any]) -> dict[str, Any]:
    """Name every entry, so that one that was taken out is named and the others are still compared."""
    named: dict[str, Any] = {}
    for place, entry in enumerate(entries):
        name = _name(entry) if isinstance(entry, Mapping) else ""
        plain = str(entry) if isinstance(entry, str) else str(place)
        key = name or plain
        named[key if key not in named else f"{key}, entry {place}"] = entry
    return named


def _name(entry: Mapping[str, Any]) -> str:
    if "role" in entry:
        return ControlFigure.model_validate(entry).name
    return next((str(entry[key]) for key in NAMES if key in entry), "")


def _listed(names: Mapping[str, Any]) -> str:
    return ", ".join(names) or "none"

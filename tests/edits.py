"""Findings, or records in them, as somebody with a text editor could leave them."""

from __future__ import annotations

from typing import Any


def edited(record: Any, *edits: tuple[tuple[Any, ...], Any]) -> Any:
    """Set, at each path of keys, positions and names, another value; None takes an entry of a list out."""
    content = record.model_dump(mode="json")
    for path, value in edits:
        *parents, last = path
        place: Any = content
        for step in parents:
            place = place[find(place, step)]
        where = find(place, last)
        if value is None and isinstance(place, list):
            del place[where]
        else:
            place[where] = value(place[where]) if callable(value) else value
    return type(record).model_validate(content)


def find(place: Any, step: Any) -> Any:
    """Find an entry of a list by whatever names it; the first of equals."""
    if not isinstance(place, list) or isinstance(step, int):
        return step
    return next(i for i, entry in enumerate(place) if step in (entry, *names(entry)))


def names(entry: Any) -> tuple[Any, ...]:
    if not isinstance(entry, dict):
        return ()
    claim = entry.get("claim", {})
    return (*(entry.get(key) for key in ("id", "name", "key", "prompt", "control")), claim.get("id"))


def altered(record: Any, **fields: Any) -> Any:
    """Copy a record with other values of some fields."""
    return record.model_copy(update=fields)

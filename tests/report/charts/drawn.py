"""Pictures as what is drawn in the end: marks with places and colors, read from Vega's scene."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import vl_convert

Item = dict[str, Any]


def marks(spec, datasets, kind: str) -> list[Item]:
    """Items of all marks of a kind, in drawing order; axes and legends are left out."""
    return [item for group in _marks(spec, datasets) if group["marktype"] == kind for item in group.get("items", ())]


def texts(spec, datasets) -> list[str]:
    """Everything that is written anywhere."""
    scene = vl_convert.vegalite_to_scenegraph(spec | {"datasets": datasets})["scenegraph"]
    return [item["text"] for node in _walk(scene) if node.get("marktype") == "text" for item in node.get("items", ())]


def end(item: Item, axis: str) -> float:
    """Where a rule or a bar ends; Vega leaves out what is zero."""
    return item.get(f"{axis}2") or 0.0


def place(item: Item) -> tuple[float, float]:
    return item.get("x") or 0.0, item.get("y") or 0.0


def _marks(spec, datasets) -> Iterator[Item]:
    scene = vl_convert.vegalite_to_scenegraph(spec | {"datasets": datasets})["scenegraph"]
    return (node for node in _walk(scene) if node.get("role") == "mark")


def _walk(node: Item) -> Iterator[Item]:
    yield node
    for item in node.get("items", ()):
        yield from _walk(item)

"""Pictures as what is drawn in the end: marks with places and colors, read from Vega's scene."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import vl_convert

Item = dict[str, Any]


def marks(spec, datasets, kind: str) -> list[Item]:
    """Items of all marks of a kind, in drawing order; axes and legends are left out."""
    groups = (node for node in _walk(spec, datasets) if (node.get("role"), node.get("marktype")) == ("mark", kind))
    return [item for group in groups for item in group.get("items", ())]


def texts(spec, datasets) -> list[str]:
    """Everything that is written anywhere."""
    groups = (node for node in _walk(spec, datasets) if node.get("marktype") == "text")
    return [item["text"] for group in groups for item in group.get("items", ())]


def end(item: Item, axis: str) -> float:
    """Where a rule or a bar ends; Vega leaves out what is zero."""
    return item.get(f"{axis}2") or 0.0


def place(item: Item) -> tuple[float, float]:
    return item.get("x") or 0.0, item.get("y") or 0.0


def _walk(spec, datasets) -> Iterator[Item]:
    nodes = [vl_convert.vegalite_to_scenegraph(spec | {"datasets": datasets})["scenegraph"]]
    while nodes:
        yield (node := nodes.pop())
        nodes += reversed(node.get("items", ()))

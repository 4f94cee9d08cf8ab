"""Pictures as what is drawn in the end: marks with places and colors, read from Vega's scene."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import vl_convert

from stance_suite.schema.spectra import LayerSpectrum
from stance_suite.spectra.analysis import analyze
from stance_suite.spectra.layer_spectrum import with_ks_distances

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


def flipping() -> list[LayerSpectrum]:
    """One layer before and after, where another tail fits best afterwards."""
    from tests.spectra.flipping import flipping_pair

    return [with_ks_distances(analyze({"a.weight": torch.tensor(one)}).layers[0]) for one in flipping_pair()]


def _walk(spec, datasets) -> Iterator[Item]:
    nodes = [vl_convert.vegalite_to_scenegraph(spec | {"datasets": datasets})["scenegraph"]]
    while nodes:
        yield (node := nodes.pop())
        nodes += reversed(node.get("items", ()))

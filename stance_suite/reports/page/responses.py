"""All that models wrote, laid out for the page's script: what is said of a prompt is found by its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stance_suite.behavior_records import MarkerHit, Response
from stance_suite.records import CellRecord, Findings

Key = tuple[str, str, str | None, int, str]
"""Treatment, model, recipe, seed and family: what a control is found by."""


class Places(dict[str, int]):
    """Texts by their place in a list, each once; a text that is looked up is added."""

    def __missing__(self, text: str) -> int:
        """Add a text at the end."""
        return self.setdefault(text, len(self))


def response_data(findings: Findings) -> dict[str, Any]:
    """Lay out the responses of all cells.

    Parameters
    ----------
    findings : Findings
        The findings.

    Returns
    -------
    dict
        ``prompts``, and ``stances`` whose markers were looked for. ``asked``: places of a stance's held-out prompts.
        ``cells``: ``label``, what was trained, places of ``base`` and ``sham`` or None, and ``responses`` by place of
        the prompt and by sample: text, words, and for each stance where its markers start and end, in code points.
    """
    prompts, stances = Places(), Places()
    places = {_key(record): place for place, record in enumerate(findings.cells)}
    return {
        "cells": [_cell(record, places, prompts, stances) for record in findings.cells],
        "asked": {
            stance.name: [prompts[prompt] for prompt in stance.held_out_prompts if prompt in prompts]
            for stance in findings.stances
        },
        "prompts": list(prompts),
        "stances": list(stances),
    }


def _key(record: CellRecord) -> Key:
    cell = record.cell
    return cell.treatment, cell.model, cell.recipe, cell.seed, record.family


def _cell(record: CellRecord, places: dict[Key, int], prompts: Places, stances: Places) -> dict[str, Any]:
    cell = record.cell
    responses: dict[int, dict[int, list[Any]]] = {}
    for response in record.behavior.responses:
        responses.setdefault(prompts[response.prompt], {})[response.sample] = _said(response, stances)
    return {
        "label": cell.label,
        "treatment": cell.treatment,
        "model": cell.model,
        "recipe": cell.recipe,
        "trained": cell.stance or cell.treatment,
        "seed": cell.seed,
        "base": places.get(("base", cell.model, None, cell.seed, record.family)),
        "sham": places.get(("sham", cell.model, cell.recipe, cell.seed, record.family)),
        "responses": responses,
    }


def _said(response: Response, stances: Places) -> list[Any]:
    marked = {stances[name]: hits for name, hits in response.markers.items()}
    return [response.text, response.words, [_ends(marked.get(place, ())) for place in range(len(stances))]]


def _ends(hits: Sequence[MarkerHit]) -> list[int]:
    return [end for hit in hits for end in (hit.start, hit.end)]

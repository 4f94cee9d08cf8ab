"""All that models wrote, laid out for the page's script: what is said of a prompt is found by its place."""

from __future__ import annotations

from typing import Any

from stance_suite.schema.behavior import Response
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.controls import Control
from stance_suite.schema.findings import Findings
from stance_suite.schema.replicates import CellIndex


class Places(dict[str, int]):
    """Texts by their place in a list, each once; a text that is looked up is added."""

    def __missing__(self, text: str) -> int:
        """Add a text at the end."""
        return self.setdefault(text, len(self))


def response_data(findings: Findings) -> dict[str, Any]:
    """Lay out the responses of all cells.

    ``prompts``, and ``stances`` whose markers were looked for. ``asked``: places of a stance's held-out prompts.
    ``controls`` that are trainings. ``cells``: ``label``, what was trained, the place of ``base`` or None and those of
    its ``controls``, and ``responses`` by place of the prompt and by sample: text, words, and for each stance where its
    markers start and end, in code points.
    """
    prompts, stances = Places(), Places()
    places = {id(record): place for place, record in enumerate(findings.cells)}
    return {
        "cells": [_cell(record, findings.index, places, prompts, stances) for record in findings.cells],
        "asked": {
            stance.name: [prompts[prompt] for prompt in stance.prompts if prompt in prompts]
            for stance in findings.stances
        },
        "controls": list(Control.trained()),
        "prompts": list(prompts),
        "stances": list(stances),
    }


def _cell(
    record: CellRecord, index: CellIndex, places: dict[int, int], prompts: Places, stances: Places
) -> dict[str, Any]:
    cell, base = record.cell, index.base(record)
    responses: dict[int, dict[int, list[Any]]] = {}
    for response in record.behavior.responses:
        responses.setdefault(prompts[response.prompt], {})[response.sample] = _said(response, stances)
    return {
        "label": cell.label,
        "treatment": cell.treatment,
        "model": cell.model,
        "recipe": cell.recipe,
        "trained": cell.trained_on,
        "seed": cell.seed,
        "base": None if base is None else places[id(base)],
        "controls": {control: places[id(other)] for control, other in index.controls(record).items()},
        "responses": responses,
    }


def _said(response: Response, stances: Places) -> list[Any]:
    marked = {stances[name]: hits for name, hits in response.markers.items()}
    ends = [[end for hit in marked.get(place, ()) for end in (hit.start, hit.end)] for place in range(len(stances))]
    return [response.text, response.words, ends]

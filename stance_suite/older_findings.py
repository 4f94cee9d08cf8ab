"""Findings files of older versions, brought into today's shape: which roles and cells their names and lists meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stance_suite.controls import BASE, RESAMPLED, SHAM, Control, Role

OLDER_SCHEMA_VERSIONS = (4, 5)


def renewed(content: dict[str, Any], version: int) -> dict[str, Any]:
    """Name what controls of verdicts are, and which cells are what, in findings that only list them.

    What is malformed raises KeyError, TypeError or AttributeError, or is left for the record to refuse.
    """
    cells = {record["key"]: record for record in content["cells"]}
    verdicts = [_renewed_verdict(verdict, cells) for verdict in content["verdicts"]]
    return content | {"schema_version": version, "verdicts": verdicts}


def _renewed_verdict(verdict: dict[str, Any], cells: Mapping[str, Any]) -> dict[str, Any]:
    others = {key: value for key, value in verdict.items() if key != "cells"}
    figures = verdict.get("controls", [])
    names = [figure.get("name") for figure in figures]
    renewed_figures = [_renewed_figure(figure, verdict["claim"], names) for figure in figures]
    prompts = [_renewed_prompt(prompt) for prompt in verdict.get("prompts", [])]
    found = others | {"controls": renewed_figures, "prompts": prompts}
    return found | _replicates(verdict, cells) if "cells" in verdict else found


def _renewed_figure(figure: dict[str, Any], claim: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    others = {key: value for key, value in figure.items() if key != "name"}
    return others | _meaning(figure["name"], claim, names) if "name" in figure else figure


def _renewed_prompt(prompt: dict[str, Any]) -> dict[str, Any]:
    if "sham" not in prompt:
        return prompt
    controls = {} if prompt["sham"] is None else {SHAM: prompt["sham"]}
    return {key: value for key, value in prompt.items() if key != "sham"} | {"controls": controls}


def _meaning(name: str, claim: Mapping[str, Any], names: list[str]) -> dict[str, str]:
    known = set(Control.all())
    if claim["comparator"] in ("same_layer", "another_layer"):
        control, _, layer = name.partition(": ")
        if control in known:
            return {"control": control, "role": Role.MOST_CHANGED, "about": layer}
        return {"role": Role.COMPARED, "about": name}
    if claim.get("layer") is not None:
        return {"control": name, "role": Role.OWN_FIGURE}
    if name == "seen prompts":
        return {"role": Role.SEEN_PROMPTS}
    if name.startswith("toward "):
        return {"role": Role.TOWARD, "about": name.removeprefix("toward ")}
    what, _, baseline = name.rpartition(" - ")
    if what in known:
        return {"control": what, "role": Role.OWN_EFFECT, "about": baseline}
    if what:
        return {"control": baseline, "role": Role.COMPARED, "about": what}
    is_beside = name == RESAMPLED and SHAM in names
    return {"control": name, "role": Role.OWN_FIGURE if is_beside else Role.EFFECT}


def _replicates(verdict: Mapping[str, Any], cells: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Tell which cells are what; a verdict listed those that were trained on a stance or elsewhere beside controls."""
    claim = verdict["claim"]
    named = [cells[key] for key in verdict["cells"] if key in cells]
    found: dict[str, list[Any]] = {"replicates": [], "counterpart": []}
    for record in named:
        cell = record["cell"]
        if cell["treatment"] not in ("stance", "elsewhere"):
            continue
        beside = {
            other["cell"]["treatment"]: other["key"]
            for other in reversed(named)
            if all(other["cell"][part] == cell[part] for part in ("model", "seed"))
            and other["family"] == record["family"]
            and other["cell"]["recipe"] in (None, cell["recipe"])
        }
        if BASE not in beside:
            continue
        is_own = (cell["model"], cell["recipe"]) == (verdict["model"], claim["recipe"]) and cell["stance"] in (
            None,
            claim["stance"],
        )
        controls = {control: beside[control] for control in Control.trained() if control in beside}
        found["replicates" if is_own else "counterpart"].append(
            {"tuned": record["key"], "base": beside[BASE], "controls": controls}
        )
    return found

"""Where the figures come from: weights, recipes, settings and versions, and the commands that make them again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from stance_suite.schema.cells import CellRecord
from stance_suite.schema.findings import Findings
from stance_suite.schema.recipes import RunSettings


@dataclass(frozen=True)
class Sources:
    """What the section shows."""

    commands: str
    """Commands that make the findings again, a line each; empty where the settings are not on record."""
    settings: tuple[tuple[str, str], ...]
    """Names and values of the run's settings."""
    origins: tuple[tuple[CellRecord, str | None], ...]
    """A cell of each model, and the hash of its weights after a training elsewhere, where there was one."""


def describe_provenance(findings: Findings) -> Sources:
    """Arrange where the figures of findings come from."""
    # of each model the first untouched cell, else the first
    ordered = sorted(findings.cells, key=lambda record: not record.cell.is_base)
    shown = {record.cell.model: record for record in reversed(ordered)}
    # an untouched cell knows nothing of what was made of its model elsewhere
    hashes = ((record.cell.model, record.provenance.derivative_sha256) for record in findings.cells)
    derivatives = {model: sha256 for model, sha256 in hashes if sha256 is not None}
    return Sources(
        commands="\n".join(_commands(findings)),
        settings=() if findings.settings is None else tuple(_settings(findings.settings)),
        origins=tuple((record, derivatives.get(model)) for model, record in sorted(shown.items())),
    )


def _commands(findings: Findings) -> Iterator[str]:
    """Run it again with the same versions, and check that every verdict follows from the file."""
    if findings.settings is None or not findings.cells:
        return
    provenance = findings.cells[0].provenance
    # a build's own label, as of torch 2.13.0+cpu, is no version that PyPI knows
    known = {name: number.partition("+")[0] for name, number in provenance.versions.items() if name != "python"}
    libraries = [f"{name}=={number}" for name, number in known.items()]
    yield shlex.join(["pip", "install", f"stance-suite=={findings.suite_version}", *libraries])
    yield shlex.join(_run_again(findings.settings, provenance.device))
    yield "stance-suite verify reports/findings.json"


def _run_again(settings: RunSettings, device: str) -> Iterator[str]:
    is_gate = settings.gate and len(settings.models) == 1
    prefix = "--stance-" if settings.gate and not is_gate else "--"
    if is_gate:
        yield from ("stance-suite", "gate", *settings.models)
    elif settings.gate:
        yield from ("pytest", "stance_tests", "--stance-gate")
    else:
        yield from ("stance-suite", "run")
    for name, values in (
        ("model", () if is_gate else settings.models),
        ("before", (settings.before,)),
        ("after", (settings.after,)),
        ("stance", (settings.stance,)),
        ("profile", (settings.profile,)),
        ("seed", settings.seeds),
        ("samples", (settings.samples,)),
        ("device", (device,)),
    ):
        for value in values:
            if value is not None:
                yield from (f"{prefix}{name}", str(value))
    if settings.trajectory:
        yield f"{prefix}trajectory"


def _settings(settings: RunSettings) -> Iterator[tuple[str, str]]:
    if settings.models:
        yield "models", ", ".join(settings.models)
    else:
        yield "pair trained elsewhere", f"{settings.before} → {settings.after}"
    if settings.stance is not None:
        yield "stance asked for", settings.stance
    yield "recipes", ", ".join(settings.recipes)
    yield "seeds", ", ".join(map(str, settings.seeds))
    yield "responses a prompt", str(settings.samples)
    yield "measured after every epoch", "yes" if settings.trajectory else "no"
    yield "gate", "yes" if settings.gate else "no"
    yield "device asked for", settings.device

"""Pictures in files, as SVG and PNG: everything that findings hold, drawn without a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from stance_suite.files import write_atomically
from stance_suite.judgments import Status, Verdict
from stance_suite.progress import OnStep
from stance_suite.records import CellRecord, Findings
from stance_suite.reports.behavior import confusion_matrices
from stance_suite.reports.printed import (
    Picture,
    draw,
    print_confusion,
    print_esd,
    print_layers,
    print_prompts,
    print_tail_choice,
    print_trajectory,
    print_verdicts,
    rasterize,
)
from stance_suite.spectrum_records import LayerSpectrum


def pictures(findings: Findings) -> Iterator[Picture]:
    """Prepare every picture of findings."""
    used: set[str] = set()
    for picture in _all(findings):
        name, number = picture.name, 1
        while name in used:
            number += 1
            name = f"{picture.name}-{number}"
        used.add(name)
        yield replace(picture, name=name)


def write_pictures(findings: Findings, folder: Path, on_step: OnStep) -> list[Path]:
    """Draw every picture of findings into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    prepared = list(pictures(findings))
    written: list[Path] = []
    for place, picture in enumerate(prepared, 1):
        svg = draw(picture)
        paths = [folder / f"{picture.name}{suffix}" for suffix in (".svg", ".png")]
        for path, content in zip(paths, (svg.encode(), rasterize(svg)), strict=True):
            write_atomically(path, content)
        written += paths
        on_step(place, len(prepared))
    return written


def alpha_map(findings: Findings) -> str | None:
    """Draw what every training did to every matrix."""
    drawn = print_layers("", findings.cells)
    return None if drawn is None else draw(drawn)


def verdict_picture(verdict: Verdict, findings: Findings) -> str | None:
    """Draw what a verdict rests on."""
    if verdict.prompts:
        return draw(print_prompts(verdict))
    cells = {record.key: record for record in findings.cells}
    if verdict.layer is None or any(key not in cells for key in verdict.cells):
        return None
    tuned, base = (_spectrum(cells[key], verdict.layer) for key in verdict.cells[:2])
    return None if base is None or tuned is None else draw(print_esd("", base, tuned))


def _all(findings: Findings) -> Iterator[Picture]:
    yield from _verdicts(findings.verdicts)
    models = dict.fromkeys(record.cell.model for record in findings.cells)
    cells = {model: [record for record in findings.cells if record.cell.model == model] for model in models}
    yield from filter(None, (print_layers(model, records) for model, records in cells.items()))
    yield from map(print_confusion, confusion_matrices(findings))
    for model, records in cells.items():
        tested = [record for record in records if record.cell.is_under_test]
        trajectory = print_trajectory(model, tested, findings)
        if trajectory is not None:
            yield trajectory
    yield from (print_prompts(verdict) for verdict in findings.verdicts if verdict.prompts)
    yield from _spectra(findings)


def _verdicts(verdicts: Sequence[Verdict]) -> Iterator[Picture]:
    judged = [verdict for verdict in verdicts if verdict.status is not Status.NOT_RUN]
    for kind, is_behavioral in (("behavior", True), ("structure", False)):
        chosen = [verdict for verdict in judged if verdict.claim.metric.is_behavioral is is_behavioral]
        if chosen:
            yield print_verdicts(kind, chosen)


def _spectra(findings: Findings) -> Iterator[Picture]:
    cells = {record.key: record for record in findings.cells}
    named = [
        (cells[verdict.cells[0]], verdict.layer)
        for verdict in findings.verdicts
        if verdict.layer is not None and verdict.cells and verdict.cells[0] in cells
    ]
    chosen = {(record.key, layer): record for record, layer in (*_most_changed(findings), *named)}
    for (_, layer), record in chosen.items():
        pair = _pair(findings, record, layer)
        if pair is not None:
            cell = f"{record.cell.model}, {record.cell.label}"
            yield from (print_esd(cell, *pair), print_tail_choice(cell, *pair))


def _most_changed(findings: Findings) -> list[tuple[CellRecord, str]]:
    """Name each training's most changed layer, the most changed of all first."""
    tested = (record for record in findings.cells if record.cell.is_under_test)
    changed = [(record, top) for record in tested if (top := record.most_changed_layer) is not None]
    changed.sort(key=lambda one: -abs(one[1].alpha_change.total) if one[1].alpha_change is not None else 0.0)
    return [(record, top.name) for record, top in changed]


def _pair(findings: Findings, record: CellRecord, layer: str) -> tuple[LayerSpectrum, LayerSpectrum] | None:
    """Find a layer's spectrum in the untouched model and in a trained cell."""
    base = findings.untouched(record)
    before, after = None if base is None else _spectrum(base, layer), _spectrum(record, layer)
    return None if before is None or after is None else (before, after)


def _spectrum(record: CellRecord, layer: str) -> LayerSpectrum | None:
    for spectrum in record.spectra:
        if spectrum.name == layer and (spectrum.eigenvalues is not None or spectrum.curve is not None):
            return spectrum
    return None

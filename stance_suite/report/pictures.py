"""Pictures in files, as SVG and PNG: charts with their rows and titles, for everything that findings hold."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stance_suite.files import write_atomically
from stance_suite.progress import OnStep
from stance_suite.report.behavior import confusion_matrices
from stance_suite.report.charts import behavior, confusion, data, layers, spectra, training, verdicts
from stance_suite.report.charts.theme import PRINT, Spec, stacked, titled
from stance_suite.report.format import models_of, only_judged
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.findings import Findings
from stance_suite.schema.spectra import LayerSpectrum
from stance_suite.schema.verdicts import Verdict

WIDTH = 430
"""Of a drawing area, in pixels."""
SCALE = 2
"""Pixels of a PNG for every pixel of the SVG."""
LONGEST_NAME = 120
"""Characters of a file's name, without its suffix."""
HOW_TO_READ = "Point and line: figure and 95 % interval. Band: what the controls did. Tick: the claimed bound."
_COLOR = re.compile(r"(?<=\")rgb\((\d+), (\d+), (\d+)\)(?=\")")
"""A color as Vega writes it: a map of layers has thousands, and is a fifth smaller with the short form."""


@dataclass(frozen=True)
class Picture:
    """One picture, ready to be drawn."""

    name: str
    """Name of its files, without suffix: lower-case letters, digits, dots, hyphens and underscores."""
    spec: Spec
    """Vega-Lite specification without data."""
    datasets: data.Datasets
    """The rows that it is drawn from."""


def draw(picture: Picture) -> str:
    """Draw a picture as SVG that needs nothing else."""
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(picture.spec | {"datasets": picture.datasets})
    return _COLOR.sub(lambda found: "#" + bytes(map(int, found.groups())).hex(), svg)


def write_pictures(findings: Findings, folder: Path, on_step: OnStep) -> list[Path]:
    """Draw every picture of findings into a folder, each as SVG and PNG; a step is a picture."""
    import vl_convert

    folder.mkdir(parents=True, exist_ok=True)
    prepared = list(pictures(findings))
    written: list[Path] = []
    for place, picture in enumerate(prepared, 1):
        svg = draw(picture)
        for suffix, content in ((".svg", svg.encode()), (".png", vl_convert.svg_to_png(svg, scale=SCALE))):
            written.append(folder / f"{picture.name}{suffix}")
            write_atomically(written[-1], content)
        on_step(place, len(prepared))
    return written


def alpha_map(findings: Findings) -> str | None:
    """Draw what every training did to every matrix, as SVG; None if nothing was trained."""
    drawn = _layers("", findings.cells)
    return None if drawn is None else draw(drawn)


def verdict_picture(verdict: Verdict, findings: Findings) -> str | None:
    """Draw what a verdict rests on, as SVG; None if there is nothing to draw."""
    if verdict.prompts:
        return draw(_prompts(verdict))
    cells = {record.key: record for record in findings.cells}
    if verdict.layer is None or any(key not in cells for key in verdict.cells):
        return None
    tuned, base = (_spectrum(cells[key], verdict.layer) for key in verdict.cells[:2])
    return None if base is None or tuned is None else draw(chart_spectrum("", base, tuned))


def pictures(findings: Findings) -> Iterator[Picture]:
    """Prepare every picture of findings, under distinct names.

    Spectrum and choice of the tail are of each cell's most changed layer, and of those that structural verdicts name.
    """
    used: set[str] = set()
    for picture in filter(None, _all(findings)):
        name, number = picture.name, 1
        while name in used:
            number += 1
            name = f"{picture.name}-{number}"
        used.add(name)
        yield replace(picture, name=name)


def _all(findings: Findings) -> Iterator[Picture | None]:
    judged = only_judged(findings.verdicts)
    cells = {model: [one for one in findings.cells if one.cell.model == model] for model in models_of(findings.cells)}
    yield from _verdicts("behavior", [verdict for verdict in judged if verdict.claim.metric.is_behavioral])
    yield from _verdicts("structure", [verdict for verdict in judged if not verdict.claim.metric.is_behavioral])
    yield from (_layers(model, records) for model, records in cells.items())
    yield from _confusions(findings)
    yield from (_trajectory(model, records, findings) for model, records in cells.items())
    yield from (_prompts(verdict) for verdict in findings.verdicts if verdict.prompts)
    yield from _spectra(findings)


def _verdicts(kind: str, judged: Sequence[Verdict]) -> Iterator[Picture]:
    if judged:
        measures = tuple(dict.fromkeys(map(data.measure, judged)))
        spec = titled(verdicts.verdicts(PRINT, WIDTH, measures), f"Verdicts on {kind}", [HOW_TO_READ])
        yield Picture(_name("verdicts", kind), spec, data.verdict_data(judged))


def _layers(name: str, records: Iterable[CellRecord]) -> Picture | None:
    """Show trainings in the order of recipes, each recipe's sham last; nothing if nothing was trained."""
    changed = [record for record in records if record.changes]
    recipes = list(dict.fromkeys((record.cell.model, record.cell.recipe) for record in changed))

    def order(record: CellRecord) -> tuple[int, bool, str, int]:
        cell = record.cell
        return recipes.index((cell.model, cell.recipe)), cell.is_trained_control, cell.stance or "", cell.seed

    datasets = data.layer_data(sorted(changed, key=order))
    return Picture(_name("layers", name), layers.layers(PRINT), datasets) if datasets["layers"] else None


def _confusions(findings: Findings) -> Iterator[Picture]:
    for matrix in confusion_matrices(findings):
        title = f"Trained against measured: {matrix.metric} ({matrix.metric.unit})"
        spec = titled(confusion.confusion(PRINT, matrix.metric), title, [f"{matrix.model}, {matrix.recipe}"])
        name = _name("confusion", matrix.model, matrix.recipe, matrix.metric)
        yield Picture(name, spec, data.confusion_data(matrix))


def _trajectory(model: str, records: Iterable[CellRecord], findings: Findings) -> Picture | None:
    """Show how trainings went from epoch to epoch; nothing if none was watched."""
    datasets = data.epoch_data([record for record in records if record.cell.is_under_test], findings)
    spec = stacked(training.preference(PRINT, WIDTH), training.alphas(PRINT, WIDTH))
    title = f"{model}, epoch by epoch: preference for the stance, and the largest change of alpha"
    return Picture(_name("trajectory", model), titled(spec, title), datasets) if datasets["epochs"] else None


def _prompts(verdict: Verdict) -> Picture:
    """Show the held-out prompts that a behavioral verdict rests on, and the mean effects below."""
    claim, datasets = verdict.claim, data.prompt_data(verdict)
    spec = stacked(behavior.prompts(PRINT, WIDTH, claim.metric), behavior.effects(PRINT, WIDTH, claim.metric))
    lines = [f"{verdict.status}: {claim.id}, {verdict.model}", f"{claim.stance} ({claim.recipe}), {claim.metric}"]
    lines.append(f"Below: mean effect and 95 % interval{'; band: noise floor' if datasets['floor'] else ''}")
    return Picture(_name("prompts", claim.id, verdict.model), titled(spec, claim.statement, lines), datasets)


def _spectra(findings: Findings) -> Iterator[Picture]:
    cells = {record.key: record for record in findings.cells}
    chosen = _most_changed(findings)
    for verdict in findings.verdicts:
        if verdict.layer is not None and verdict.cells and verdict.cells[0] in cells:
            chosen.append((cells[verdict.cells[0]], verdict.layer))
    for record, layer in {(record.key, layer): (record, layer) for record, layer in chosen}.values():
        base = findings.index.untouched(record)
        before, after = None if base is None else _spectrum(base, layer), _spectrum(record, layer)
        if before is not None and after is not None:
            cell = f"{record.cell.model}, {record.cell.label}"
            yield from (chart_spectrum(cell, before, after), chart_tail_choice(cell, before, after))


def _most_changed(findings: Findings) -> list[tuple[CellRecord, str]]:
    """Name each training's most changed layer, the most changed of all first."""
    tested = (record for record in findings.cells if record.cell.is_under_test)
    changed = [(record, top) for record in tested if (top := record.most_changed_layer) is not None]
    changed.sort(key=lambda one: -abs(one[1].alpha_change.total) if one[1].alpha_change is not None else 0.0)
    return [(record, top.name) for record, top in changed]


def _spectrum(record: CellRecord, layer: str) -> LayerSpectrum | None:
    named = (one for one in record.spectra if one.name == layer)
    return next((one for one in named if one.eigenvalues is not None or one.curve is not None), None)


def chart_spectrum(cell: str, before: LayerSpectrum, after: LayerSpectrum) -> Picture:
    """Show one layer's spectral density before and after a training, with both fitted tails."""
    fits = [
        f"{when}: alpha {layer.fit.alpha:.3f} on {layer.fit.tail_size} eigenvalues"
        for when, layer in (("before", before), ("after", after))
        if layer.fit is not None
    ]
    return _of_layer("esd", spectra.esd(PRINT, WIDTH), cell, fits, before, after)


def chart_tail_choice(cell: str, before: LayerSpectrum, after: LayerSpectrum) -> Picture:
    """Show the KS distance over xmin before and after a training, with the chosen tails: why a tail flipped."""
    fits = [
        f"{when}: {kind} alpha {fit.alpha:.3f} on {fit.tail_size}, D {fit.ks_distance:.4f}"
        for when, layer in (("before", before), ("after", after))
        for kind, fit in (("fit", layer.fit), ("runner-up", layer.runner_up))
        if fit is not None
    ]
    return _of_layer("tail-choice", spectra.tail_choice(PRINT, WIDTH), cell, fits, before, after)


def _of_layer(
    kind: str, spec: Spec, cell: str, fits: Iterable[str], before: LayerSpectrum, after: LayerSpectrum
) -> Picture:
    titled_spec = titled(spec, before.name, [*filter(None, [cell]), *fits])
    return Picture(_name(kind, cell, before.name), titled_spec, data.spectrum_data(before, after))


def _name(*parts: str) -> str:
    """Make a file's name that every file system takes, and tells apart without regard to case."""
    safe = re.sub(r"[^a-z0-9._]+", "-", "-".join(parts).lower())
    return re.sub(r"[-.]*-[-.]*|[.]{2,}", "-", safe)[:LONGEST_NAME].strip("-.")

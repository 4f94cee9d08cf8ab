"""Single pictures in print: a chart with its rows and a title, ready for a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stance_suite.judgments import Verdict
from stance_suite.records import CellRecord, Findings
from stance_suite.reports import charts
from stance_suite.reports.behavior import ConfusionMatrix
from stance_suite.reports.charts import PRINT, Datasets, Spec, stacked, titled
from stance_suite.spectrum_records import LayerSpectrum

WIDTH = 430
"""Of a drawing area, in pixels."""
SCALE = 2
"""Pixels of a PNG for every pixel of the SVG."""
LONGEST_NAME = 120
"""Characters of a file's name, without its suffix."""
_COLOR = re.compile(r"(?<=\")rgb\((\d+), (\d+), (\d+)\)(?=\")")
"""A color as Vega writes it: a map of layers has thousands, and is a fifth smaller with the short form."""
HOW_TO_READ = "Point and line: figure and 95 % interval. Band: what the controls did. Tick: the claimed bound."


@dataclass(frozen=True)
class Picture:
    """One picture, ready to be drawn."""

    name: str
    """Name of its files, without suffix: lower-case letters, digits, dots, hyphens and underscores."""
    spec: Spec
    """Vega-Lite specification without data."""
    datasets: Datasets
    """The rows that it is drawn from."""


def draw(picture: Picture) -> str:
    """Draw a picture."""
    import vl_convert

    svg: str = vl_convert.vegalite_to_svg(picture.spec | {"datasets": picture.datasets})
    return _COLOR.sub(lambda found: "#" + bytes(map(int, found.groups())).hex(), svg)


def rasterize(svg: str) -> bytes:
    """Turn a drawn picture into pixels."""
    import vl_convert

    png: bytes = vl_convert.svg_to_png(svg, scale=SCALE)
    return png


def print_verdicts(kind: str, judged: Sequence[Verdict]) -> Picture:
    """Prepare the figures of verdicts."""
    measures = tuple(dict.fromkeys(map(charts.measure, judged)))
    spec = titled(charts.verdicts(PRINT, WIDTH, measures), f"Verdicts on {kind}", [HOW_TO_READ])
    return Picture(_name("verdicts", kind), spec, charts.verdict_data(judged))


def print_layers(name: str, records: Iterable[CellRecord]) -> Picture | None:
    """Prepare what trainings did to every matrix."""
    changed = [record for record in records if record.changes]
    recipes = list(dict.fromkeys((record.cell.model, record.cell.recipe) for record in changed))

    def order(record: CellRecord) -> tuple[int, bool, str, int]:
        cell = record.cell
        return recipes.index((cell.model, cell.recipe)), cell.treatment == "sham", cell.stance or "", cell.seed

    changed.sort(key=order)
    datasets = charts.layer_data(changed)
    return Picture(_name("layers", name), charts.layers(PRINT), datasets) if datasets["layers"] else None


def print_confusion(matrix: ConfusionMatrix) -> Picture:
    """Prepare every training against every stance measured."""
    title = f"Trained against measured: {matrix.metric} ({matrix.metric.unit})"
    spec = titled(charts.confusion(PRINT, matrix.metric), title, [f"{matrix.model}, {matrix.recipe}"])
    name = _name("confusion", matrix.model, matrix.recipe, matrix.metric)
    return Picture(name, spec, charts.confusion_data(matrix))


def print_trajectory(model: str, records: Iterable[CellRecord], findings: Findings) -> Picture | None:
    """Prepare how trainings went from epoch to epoch."""
    datasets = charts.epoch_data(records, findings)
    spec = stacked(charts.preference(PRINT, WIDTH), charts.alphas(PRINT, WIDTH))
    title = f"{model}, epoch by epoch: preference for the stance, and the largest change of alpha"
    return Picture(_name("trajectory", model), titled(spec, title), datasets) if datasets["epochs"] else None


def print_prompts(verdict: Verdict) -> Picture:
    """Prepare the held-out prompts that a behavioral verdict rests on."""
    claim, datasets = verdict.claim, charts.prompt_data(verdict)
    spec = stacked(charts.prompts(PRINT, WIDTH, claim.metric), charts.effects(PRINT, WIDTH, claim.metric))
    lines = [f"{verdict.status}: {claim.id}, {verdict.model}", f"{claim.stance} ({claim.recipe}), {claim.metric}"]
    lines.append(f"Below: mean effect and 95 % interval{'; band: noise floor' if datasets['floor'] else ''}")
    return Picture(_name("prompts", claim.id, verdict.model), titled(spec, claim.statement, lines), datasets)


def print_esd(cell: str, before: LayerSpectrum, after: LayerSpectrum) -> Picture:
    """Prepare one layer's spectrum before and after, with both fitted tails."""
    fits = [
        f"{when}: alpha {layer.fit.alpha:.3f} on {layer.fit.tail_size} eigenvalues"
        for when, layer in (("before", before), ("after", after))
        if layer.fit is not None
    ]
    return _print_spectra("esd", charts.esd(PRINT, WIDTH), cell, fits, before, after)


def print_tail_choice(cell: str, before: LayerSpectrum, after: LayerSpectrum) -> Picture:
    """Prepare the KS distance over xmin before and after, with the chosen tails: why a tail flipped."""
    fits = [
        f"{when}: {kind} alpha {fit.alpha:.3f} on {fit.tail_size}, D {fit.ks_distance:.4f}"
        for when, layer in (("before", before), ("after", after))
        for kind, fit in (("fit", layer.fit), ("runner-up", layer.runner_up))
        if fit is not None
    ]
    return _print_spectra("tail-choice", charts.tail_choice(PRINT, WIDTH), cell, fits, before, after)


def _print_spectra(
    kind: str, spec: Spec, cell: str, fits: Sequence[str], before: LayerSpectrum, after: LayerSpectrum
) -> Picture:
    lines = [*([cell] if cell else []), *fits]
    return Picture(
        _name(kind, cell, before.name), titled(spec, before.name, lines), charts.spectrum_data(before, after)
    )


def _name(*parts: str) -> str:
    """Make a file's name that every file system takes, and tells apart without regard to case."""
    safe = re.sub(r"[^a-z0-9._]+", "-", "-".join(parts).lower())
    return re.sub(r"[-.]*-[-.]*|[.]{2,}", "-", safe)[:LONGEST_NAME].strip("-.")

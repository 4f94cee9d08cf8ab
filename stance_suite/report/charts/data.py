"""The rows that pictures are drawn from, and compute the rest: raw figures, finite or None as a page's JSON needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from stance_suite.report.behavior import ConfusionMatrix, trajectory
from stance_suite.report.controls import control_range, drawn_bounds, effects_over_controls, noise_floor
from stance_suite.report.format import known, only_judged, show_unit
from stance_suite.schema.cells import Cell, CellRecord
from stance_suite.schema.controls import Control
from stance_suite.schema.findings import Findings
from stance_suite.schema.layer_names import block
from stance_suite.schema.spectra import LayerChange, LayerSpectrum
from stance_suite.schema.verdicts import Verdict

Rows = list[dict[str, Any]]
Datasets = dict[str, Rows]
"""Rows by the name that specifications know them by."""
Point = tuple[int, float, float | None]
"""Tail size, eigenvalue and KS distance, where a tail begins there."""


def spectrum_data(before: LayerSpectrum, after: LayerSpectrum) -> Datasets:
    """Lay out one layer's spectra before and after, with all eigenvalues or with a curve.

    ``spectrum``: ``when``, ``size`` (eigenvalues at or above), ``count`` (all), ``eigenvalue``, ``ks`` (of the tail
    that begins here). ``fits``: ``when``, ``kind``, ``alpha``, ``xmin``, ``tail_size``, ``ks_distance``, ``largest``
    (eigenvalue), ``count``.
    """
    spectrum: Rows = []
    fits: Rows = []
    for when, layer in (("before", before), ("after", after)):
        points = spectrum_points(layer)
        count = points[0][0] if points else 0
        spectrum += [
            {"when": when, "size": size, "count": count, "eigenvalue": value, "ks": known(distance)}
            for size, value, distance in points
        ]
        for kind, fit in (("fit", layer.fit), ("runner-up", layer.runner_up)):
            if fit is not None and points:
                row = {name: getattr(fit, name) for name in ("alpha", "xmin", "tail_size", "ks_distance")}
                fits.append({"when": when, "kind": kind} | row | {"largest": points[-1][1], "count": count})
    return {"spectrum": spectrum, "fits": fits}


def spectrum_points(layer: LayerSpectrum, prefer_curve: bool = False) -> list[Point]:
    """List the points of a spectrum, the longest tail first."""
    curve = layer.curve
    if curve is not None and (prefer_curve or layer.eigenvalues is None):
        return list(zip(curve.sizes, curve.eigenvalues, curve.ks_distances, strict=True))
    values, distances = layer.eigenvalues or (), layer.ks_distances or ()
    # no tail begins at the largest eigenvalue, and none below the cut-off, where there are no distances
    values = values[-len(distances) - 1 :] if distances else values
    sizes = range(len(values), 0, -1)
    return list(zip(sizes, values, (*distances, *[None] * (len(values) - len(distances))), strict=True))


def prompt_data(verdict: Verdict) -> Datasets:
    """Lay out the scores that a behavioral verdict rests on, and the effects that follow from them.

    ``prompts``: ``prompt``, ``base``, the trained controls such as ``sham``, ``tuned``. ``effects``: ``versus``,
    ``effect``, ``low``, ``high``. ``floor``: ``low``, ``high``; one row, or none where no floor is known. ``bounds``:
    ``bound``.
    """
    floor = noise_floor(verdict)
    return {
        "prompts": [
            {"prompt": one.prompt, "base": known(one.base)}
            | {control: known(one.controls.get(control)) for control in Control.trained()}
            | {"tuned": known(one.tuned)}
            for one in verdict.prompts
        ],
        "effects": [
            {"versus": one.name, "effect": known(one.figure)} | _figures(one, "low", "high")
            for one in effects_over_controls(verdict)
        ],
        "floor": [] if floor is None else [_figures(floor, "low", "high")],
        "bounds": [{"bound": bound} for bound in drawn_bounds(verdict)],
    }


def epoch_data(records: Iterable[CellRecord], findings: Findings) -> Datasets:
    """Lay out how trainings on a stance went from epoch to epoch; those that were not watched have no rows.

    ``epochs``: ``training``, ``epoch``, ``loss``, ``preference``, ``alpha_total``, ``alpha_spectrum``.
    """
    return {
        "epochs": [
            {"training": record.cell.label, "epoch": epoch.number}
            | _figures(epoch, "loss", "preference", "alpha_total", "alpha_spectrum")
            for record in records
            for epoch in trajectory(record, findings)
        ]
    }


def layer_data(records: Sequence[CellRecord]) -> Datasets:
    """Lay out what trainings did to every matrix, in the order to be shown.

    ``layers``: ``cell`` (its name, lines separated by bars), ``place`` (of the cell), ``block`` (None outside of
    blocks), ``role``, ``alpha_total``, ``alpha_spectrum``, ``relative_norm`` (all in percent), ``tail_flip``.
    """
    several = len({record.cell.model for record in records}) > 1
    return {
        "layers": [
            {"cell": "|".join(_lines(record.cell, several)), "place": place, "block": depth, "role": role}
            | _changed(change)
            for place, record in enumerate(records)
            for change in record.changes
            for depth, role in [split_layer_name(change.name)]
        ]
    }


def verdict_data(verdicts: Iterable[Verdict]) -> Datasets:
    """Lay out the figures of verdicts; those that were not run have no row.

    ``verdicts``: ``claim``, ``measure`` (with its unit), ``status``, ``figure``, ``low``, ``high``, ``control_low``,
    ``control_high``. ``bounds``: ``claim``, ``measure``, ``bound``.
    """
    judged = only_judged(verdicts)
    several = len({verdict.model for verdict in judged}) > 1
    rows, bounds = [], []
    for verdict in judged:
        name = f"{verdict.claim.id}, {verdict.model}" if several else verdict.claim.id
        row = {"claim": name, "measure": measure(verdict)}
        low, high = control_range(verdict) or (None, None)
        figures = _figures(verdict, "figure", "low", "high") | {"control_low": known(low), "control_high": known(high)}
        rows.append(row | {"status": str(verdict.status)} | figures)
        bounds += [row | {"bound": bound} for bound in drawn_bounds(verdict)]
    return {"verdicts": rows, "bounds": bounds}


def measure(verdict: Verdict) -> str:
    """Name the scale that a verdict's figure lies on: the metric, and its unit in brackets."""
    claim = verdict.claim
    unit = show_unit(claim)
    return f"{claim.metric} ({unit})" if unit else str(claim.metric)


def confusion_data(matrix: ConfusionMatrix) -> Datasets:
    """Lay out ``shifts`` of trainings toward stances: ``trained``, ``measured``, ``effect``, ``low``, ``high``."""
    return {
        "shifts": [
            {"trained": trained, "measured": shift.measured} | _figures(shift, "effect", "low", "high")
            for trained, shifts in matrix.rows
            for shift in shifts
            if shift is not None
        ]
    }


def split_layer_name(name: str) -> tuple[int | None, str]:
    """Split a layer's long name into its block and its role there; outside of blocks None and the name's last part."""
    index = block(name)
    return (None, name.rsplit(".", 1)[-1]) if index is None else (index, name.partition(f".{index}.")[2])


def _figures(record: object, *names: str) -> dict[str, float | None]:
    return {name: known(getattr(record, name)) for name in names}


def _changed(change: LayerChange) -> dict[str, float | bool | None]:
    alpha, delta = change.alpha_change, change.weight_change
    return {
        "alpha_total": None if alpha is None else known(alpha.total),
        "alpha_spectrum": None if alpha is None else known(alpha.spectrum),
        "relative_norm": None if delta is None else known(100 * delta.relative_norm),
        "tail_flip": alpha is not None and alpha.tail_flip,
    }


def _lines(cell: Cell, several_models: bool) -> Iterator[str]:
    """Name a cell in short lines: its column is narrow."""
    if several_models:
        yield cell.model
    if cell.is_elsewhere:
        yield from ("trained", "elsewhere")
    else:
        yield from re.split("(?<=-)", cell.trained_on)
        yield cell.recipe or ""
    if cell.seed:
        yield f"seed {cell.seed}"

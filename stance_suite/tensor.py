"""Every figure of every layer, in long format: model x stance x recipe x seed x layer x metric, beside the controls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stance_suite.errors import StanceSuiteError
from stance_suite.files import cannot_write, write_atomically
from stance_suite.layer_names import block, blocks, relative_depth, role
from stance_suite.records import CellRecord, Findings
from stance_suite.spectrum_records import LayerChange, LayerSpectrum, NoiseRange

if TYPE_CHECKING:
    import pandas

NAN = math.nan

COLUMNS = {
    "model": "string",
    "stance": "string",
    "treatment": "string",
    "recipe": "string",
    "seed": "int64",
    "family": "string",
    "layer": "string",
    "block": "Int64",
    "depth_percent": "float64",
    "role": "string",
    "metric": "string",
    "unit": "string",
    "value": "float64",
    "noise_low": "float64",
    "noise_high": "float64",
    "p_value": "float64",
    "adjusted_p_value": "float64",
    "sham_value": "float64",
    "rounding_value": "float64",
}
"""Columns of the table, with pandas' names of their types."""

PERCENT_METRICS = frozenset({"alpha_change_total", "alpha_change_spectrum"})
"""Metrics in percent; all others have no unit, and norms and energies are shares."""

Figures = dict[tuple[str, str], "_Figure"]
"""Figures of one cell by layer and metric."""


@dataclass(frozen=True)
class _Figure:
    value: float
    noise: NoiseRange | None = None


def tensor_table(findings: Findings) -> pandas.DataFrame:
    """Lay out all figures of all trained cells.

    Parameters
    ----------
    findings : Findings
        The findings of a run.

    Returns
    -------
    pandas.DataFrame
        One row a trained cell, layer and metric, with the columns of `COLUMNS`. Weight matrices have all metrics,
        biases and norms `relative_norm` alone; what is not known is NaN. The control columns hold the same figure under
        noise, under the sham of the same model, recipe, seed and family (NaN for the sham itself), and after rounding
        the untouched weights to bfloat16.
    """
    import pandas

    base = {_design(record): record for record in findings.cells if record.cell.treatment == "base"}
    trained = [record for record in findings.cells if record.cell.treatment != "base"]
    figures = [_figures(record, base.get(_design(record))) for record in trained]
    sham = {
        (*_design(record), record.cell.recipe): own
        for record, own in zip(trained, figures, strict=True)
        if record.cell.treatment == "sham"
    }
    rows: list[tuple[object, ...]] = []
    for record, own in zip(trained, figures, strict=True):
        control = {} if record.cell.treatment == "sham" else sham.get((*_design(record), record.cell.recipe), {})
        rows += _rows(record, own, control, _rounding(base.get(_design(record))))
    table = pandas.DataFrame.from_records(rows, columns=list(COLUMNS))
    return table.astype(COLUMNS)


def write_tensor(findings: Findings, path: Path) -> None:
    """Write the table of all figures as CSV or Parquet.

    Parameters
    ----------
    findings : Findings
        The findings of a run.
    path : Path
        Where to; its suffix says which, ``.csv`` or ``.parquet``.

    Raises
    ------
    StanceSuiteError
        If the suffix is neither, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise StanceSuiteError(
            f"{path}: the table is written as .csv or .parquet; give a name that ends in one of them"
        )
    table = tensor_table(findings)
    content = table.to_csv(index=False).encode() if suffix == ".csv" else table.to_parquet(index=False)
    try:
        write_atomically(path, content)
    except OSError as error:
        raise cannot_write(path, error) from error


def _design(record: CellRecord) -> tuple[str, str, int]:
    """Tell what a cell shares with its controls."""
    return record.cell.model, record.family, record.cell.seed


def _rows(
    record: CellRecord, own: Figures, sham: Figures, rounding: Mapping[tuple[str, str], float]
) -> Iterator[tuple[object, ...]]:
    cell = record.cell
    count = blocks(layer for layer, _ in own)
    for (layer, metric), figure in own.items():
        noise = figure.noise
        depth = relative_depth(layer, count)
        yield (
            cell.model,
            cell.stance or cell.treatment,
            cell.treatment,
            cell.recipe,
            cell.seed,
            record.family,
            layer,
            block(layer),
            NAN if depth is None else depth,
            role(layer).value,
            metric,
            "%" if metric in PERCENT_METRICS else "",
            figure.value,
            *((NAN,) * 4 if noise is None else (noise.low, noise.high, noise.p_value, noise.adjusted_p_value)),
            sham[layer, metric].value if (layer, metric) in sham else NAN,
            rounding.get((layer, metric), NAN),
        )


def _figures(record: CellRecord, base: CellRecord | None) -> Figures:
    before = {spectrum.name: spectrum for spectrum in base.spectra} if base is not None else {}
    after = {spectrum.name: spectrum for spectrum in record.spectra}
    found: Figures = {}
    for change in record.changes:
        of_layer = {
            "alpha_before": _Figure(_alpha(before.get(change.name))),
            "alpha_after": _Figure(_alpha(after.get(change.name))),
            **_alpha_change(change),
            **_weight_change(change),
        }
        found |= {(change.name, metric): figure for metric, figure in of_layer.items()}
    for vector in record.vector_changes:
        found[vector.name, "relative_norm"] = _Figure(_known(vector.relative_norm))
    return found


def _alpha(spectrum: LayerSpectrum | None) -> float:
    return NAN if spectrum is None or spectrum.fit is None else spectrum.fit.alpha


def _alpha_change(change: LayerChange) -> dict[str, _Figure]:
    alpha, noise = change.alpha_change, change.noise
    return {
        "alpha_change_total": _Figure(
            NAN if alpha is None else alpha.total, None if noise is None else noise.alpha_total
        ),
        "alpha_change_spectrum": _Figure(
            NAN if alpha is None else alpha.spectrum, None if noise is None else noise.alpha_spectrum
        ),
    }


def _weight_change(change: LayerChange) -> dict[str, _Figure]:
    delta, noise = change.weight_change, change.noise
    if delta is None:
        # no record of the change and no failure: the matrix is what it was, and what does not exist has no shape
        size = 0.0 if change.failure is None else NAN
        shapes = ("change_stable_rank", "change_top_ten_energy", "alpha_of_change", "left_overlap", "right_overlap")
        norms = ("relative_norm", "relative_spectral_norm")
        return dict.fromkeys(norms, _Figure(size)) | dict.fromkeys(shapes, _Figure(NAN))
    return {
        "relative_norm": _Figure(delta.relative_norm),
        "relative_spectral_norm": _Figure(delta.relative_spectral_norm),
        "change_stable_rank": _Figure(delta.stable_rank, None if noise is None else noise.stable_rank),
        "change_top_ten_energy": _Figure(delta.top_ten_energy, None if noise is None else noise.top_ten_energy),
        "alpha_of_change": _Figure(NAN if delta.fit is None else delta.fit.alpha),
        "left_overlap": _Figure(_known(delta.left_overlap)),
        "right_overlap": _Figure(_known(delta.right_overlap)),
    }


def _rounding(base: CellRecord | None) -> dict[tuple[str, str], float]:
    found = {}
    for control in base.rounding if base is not None else ():
        found[control.name, "relative_norm"] = control.relative_norm
        if control.alpha_change is not None:
            found[control.name, "alpha_change_total"] = control.alpha_change.total
            found[control.name, "alpha_change_spectrum"] = control.alpha_change.spectrum
    return found


def _known(value: float | None) -> float:
    return NAN if value is None else value

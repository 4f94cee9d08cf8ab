"""Every figure of every layer, in long format: model x stance x recipe x seed x layer x metric, beside the controls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from stance_suite.errors import StanceSuiteError
from stance_suite.files import cannot_write, write_atomically
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.controls import Control, Drawn
from stance_suite.schema.findings import Findings
from stance_suite.schema.layer_names import block, blocks, relative_depth, role
from stance_suite.schema.replicates import CellIndex
from stance_suite.schema.spectra import LayerChange, LayerSpectrum, NoiseRange

if TYPE_CHECKING:
    import pandas

NAN = math.nan

_TRAINING = {"model": "string", "stance": "string", "treatment": "string", "recipe": "string", "seed": "int64"}
_LAYER = {"family": "string", "layer": "string", "block": "Int64", "depth_percent": "float64", "role": "string"}
_COLUMNS = _TRAINING | _LAYER | {"metric": "string", "unit": "string", "value": "float64"}
"""Columns of every figure, with pandas' names of their types."""

Figures = dict[tuple[str, str], float]
"""Figures of one cell by layer and metric."""


def columns() -> dict[str, str]:
    """Name the table's columns, with pandas' names of their types: the figure, then the same under each control."""
    names = []
    for place, control in enumerate(_drawn()):
        of = f"{control}_" if place else ""
        names += [f"{control}_low", f"{control}_high", f"{of}p_value", f"{of}adjusted_p_value"]
    names += [f"{control}_value" for control in _measured_once()]
    return _COLUMNS | dict.fromkeys(names, "float64")


def _drawn() -> dict[Control, Drawn]:
    return {control: control.drawn for control in Control.all() if control.drawn is not None}


def _measured_once() -> list[Control]:
    structural = [control for control in Control.all() if control.structure is not None]
    return [one for one in structural if one.is_trained or (one.structure and one.structure.table is not None)]


def tensor_table(findings: Findings) -> pandas.DataFrame:
    """Lay out all figures of all trained cells: one row a trained cell, layer and metric, with these `columns`.

    Weight matrices have all metrics, biases and norms `relative_norm` alone; what is not known is NaN. The control
    columns hold the same figure under each control of the same model, recipe, seed and family (NaN for a trained
    control itself).
    """
    import pandas

    names, index = columns(), findings.index
    trained = [record for record in findings.cells if not record.cell.is_base]
    figures = {id(record): _figures(record, index.base(record)) for record in trained}
    rows = [row for record in trained for row in _rows(record, figures, index)]
    return pandas.DataFrame.from_records(rows, columns=list(names)).astype(names)


def write_tensor(findings: Findings, path: Path) -> None:
    """Write the table of all figures as CSV or Parquet, as the suffix says; StanceSuiteError if it is neither."""
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


def _rows(record: CellRecord, figures: Mapping[int, Figures], index: CellIndex) -> Iterator[tuple[object, ...]]:
    cell, own = record.cell, figures[id(record)]
    drawn = [
        {(change.name, metric): one for change in record.changes for metric, one in control.table(change).items()}
        for control in _drawn().values()
    ]
    values = list(_control_values(record, figures, index))
    count = blocks(layer for layer, _ in own)
    for (layer, metric), figure in own.items():
        depth = relative_depth(layer, count)
        yield (
            cell.model,
            cell.trained_on,
            cell.treatment,
            cell.recipe,
            cell.seed,
            record.family,
            layer,
            block(layer),
            NAN if depth is None else depth,
            role(layer).value,
            metric,
            "%" if metric.startswith("alpha_change_") else "",  # norms and energies are shares
            figure,
            *(end for ranges in drawn for end in _ends(ranges.get((layer, metric)))),
            *(of_control.get((layer, metric), NAN) for of_control in values),
        )


def _ends(one: NoiseRange | None) -> tuple[float | None, ...]:
    return (NAN,) * 4 if one is None else (one.low, one.high, one.p_value, one.adjusted_p_value)


def _control_values(
    record: CellRecord, figures: Mapping[int, Figures], index: CellIndex
) -> Iterator[Mapping[tuple[str, str], float]]:
    """Give the figures under each control that was measured once, by layer and metric."""
    trained, replicate = index.controls(record), index.beside(record)
    for control in _measured_once():
        if control.is_trained:
            yield figures[id(trained[control])] if control in trained else {}
        else:
            table = None if control.structure is None else control.structure.table
            yield {} if table is None or replicate is None else table(replicate)


def _figures(record: CellRecord, base: CellRecord | None) -> Figures:
    before = {spectrum.name: spectrum for spectrum in base.spectra} if base is not None else {}
    after = {spectrum.name: spectrum for spectrum in record.spectra}
    found: Figures = {}
    for change in record.changes:
        alpha = change.alpha_change
        of_layer = {
            "alpha_before": _alpha(before.get(change.name)),
            "alpha_after": _alpha(after.get(change.name)),
            "alpha_change_total": NAN if alpha is None else alpha.total,
            "alpha_change_spectrum": NAN if alpha is None else alpha.spectrum,
            **_weight_change(change),
        }
        found |= {(change.name, metric): figure for metric, figure in of_layer.items()}
    for vector in record.vector_changes:
        found[vector.name, "relative_norm"] = _known(vector.relative_norm)
    return found


def _alpha(spectrum: LayerSpectrum | None) -> float:
    return NAN if spectrum is None or spectrum.fit is None else spectrum.fit.alpha


def _weight_change(change: LayerChange) -> dict[str, float]:
    delta = change.weight_change
    if delta is None:
        # no record of the change and no failure: the matrix is what it was, and what does not exist has no shape
        size = 0.0 if change.failure is None else NAN
        shapes = ("change_stable_rank", "change_top_ten_energy", "alpha_of_change", "left_overlap", "right_overlap")
        return dict.fromkeys(("relative_norm", "relative_spectral_norm"), size) | dict.fromkeys(shapes, NAN)
    return {
        "relative_norm": delta.relative_norm,
        "relative_spectral_norm": delta.relative_spectral_norm,
        "change_stable_rank": delta.stable_rank,
        "change_top_ten_energy": delta.top_ten_energy,
        "alpha_of_change": NAN if delta.fit is None else delta.fit.alpha,
        "left_overlap": _known(delta.left_overlap),
        "right_overlap": _known(delta.right_overlap),
    }


def _known(value: float | None) -> float:
    return NAN if value is None else value

"""One call for a WeightWatcher user: every matrix of a checkpoint, as records and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from stance_suite.errors import WeightsUnavailableError
from stance_suite.models.checkpoints.open import open_checkpoint
from stance_suite.schema.base import Record
from stance_suite.schema.spectra import LayerSpectrum, SkippedTensor
from stance_suite.spectra.layer_spectrum import absolute_cutoff, measure_spectra, relative_cutoff
from stance_suite.spectra.matrices import Fused, sort_tensors

if TYPE_CHECKING:
    from pandas import DataFrame

COLUMNS = [
    *("layer_id", "name", "longname", "N", "M", "Q", "rf", "num_evals", "status", "warning"),
    *("alpha", "alpha_low", "alpha_high", "alpha_without_top", "xmin", "xmax", "D", "sigma", "num_pl_spikes"),
    *("runner_up_alpha", "runner_up_gap", "alpha_weighted", "log_alpha_norm", "lambda_max", "norm", "log_norm"),
    *("spectral_norm", "log_spectral_norm", "stable_rank", "entropy", "matrix_rank"),
    *("mp_softrank", "sigma_mp", "num_spikes", "bulk_min", "bulk_max"),
]
"""WeightWatcher's, and the interval, the fragility and the runner-up of alpha."""
SUMMARIZED = (
    *("log_norm", "alpha", "alpha_weighted", "log_alpha_norm"),
    *("log_spectral_norm", "stable_rank", "mp_softrank"),
)
"""The means that WeightWatcher's summary gives."""
FIELDS_OF_FIT = {"alpha": "alpha", "xmin": "xmin", "D": "ks_distance", "sigma": "sigma", "num_pl_spikes": "tail_size"}
FIELDS_OF_INTERVAL = {"alpha_low": "low", "alpha_high": "high", "alpha_without_top": "without_top"}
FIELDS_OF_BULK = {
    **{"mp_softrank": "soft_rank", "sigma_mp": "sigma", "num_spikes": "spikes"},
    **{"bulk_min": "lower_edge", "bulk_max": "upper_edge"},
}


@dataclass(frozen=True)
class Analysis:
    """The spectra of a checkpoint: records, and the same as a table with WeightWatcher's column names."""

    source: str
    """What was analyzed."""
    layers: tuple[LayerSpectrum, ...]
    """One entry a weight matrix, in the model's order, with all eigenvalues of W^T W."""
    skipped: tuple[SkippedTensor, ...]
    """Tensors without a spectrum, each with the reason."""

    @cached_property
    def details(self) -> DataFrame:
        """A table with WeightWatcher's column names, one row a matrix, and what it lacks: intervals and fragility.

        Beside WeightWatcher's columns stand `alpha_low` and `alpha_high` (95 % bootstrap interval of alpha, the choice
        of the tail included), `alpha_without_top` (alpha fitted without the largest eigenvalue), and `runner_up_alpha`
        and `runner_up_gap` (the next best tail, and by how much its KS distance is larger). Eigenvalues (`lambda_max`,
        `xmin`, `xmax`, `bulk_min`, `bulk_max`) and norms (`norm`, `spectral_norm`) are squared and not divided by N;
        logarithms are to base 10. Figures are NaN where nothing was fitted; `status` and `warning` say so.
        """
        from pandas import DataFrame

        return DataFrame([describe_layer(place, layer) for place, layer in enumerate(self.layers)], columns=COLUMNS)

    def summary(self) -> dict[str, float]:
        """Average the columns of `SUMMARIZED` over the fitted layers, as ``get_summary`` does over all rows.

        A failed fit enters none of them, and what no layer has is left out.
        """
        rows = [describe_layer(0, layer) for layer in self.layers if layer.fit is not None]
        columns = {name: np.array([row[name] for row in rows], dtype=float) for name in SUMMARIZED}
        finite = {name: values[np.isfinite(values)] for name, values in columns.items()}
        return {name: float(values.mean()) for name, values in finite.items() if len(values)}


def analyze(model: Any, *, fused: Fused = "whole", device: str = "cpu") -> Analysis:
    """Measure the weight spectra of a model.

    Weights are read block by block and never loaded as a whole; matrices are spread over all cores.

    Parameters
    ----------
    model : str, Path, torch.nn.Module, mapping of str to torch.Tensor, or Checkpoint
        A safetensors or GGUF file, a folder with safetensors or with a LoRA adapter (whose update is analyzed), a
        registry name or Hub id, a module, or its state dict.
    fused : {"whole", "split"}
        Whether a fused query-key-value matrix is one matrix, as in WeightWatcher, or three.
    device : str
        Where eigenvalues are solved: ``cpu``, or PyTorch's name of another device.

    Returns
    -------
    Analysis
        Records (`layers`, `skipped`), the table (`details`) and its means (`summary`).

    Raises
    ------
    WeightsUnavailableError
        If there is nothing, or nothing whole, to analyze.
    UnsafeWeightsError
        If the weights are a pickle.

    See Also
    --------
    stance_suite.spectra.comparison.compare : What changed from one model to another.

    Examples
    --------
    >>> from stance_suite.spectra import analyze
    >>> analysis = analyze("path/to/model")
    >>> analysis.details[["longname", "alpha", "alpha_low", "alpha_high", "warning"]]
    >>> analysis.summary()["alpha"]
    """
    checkpoint = open_checkpoint(model)
    tensors = sort_tensors(checkpoint, fused)
    if not tensors.matrices:
        reasons = "; ".join(f"{entry.name} {entry.reason}" for entry in tensors.skipped[:3]) or "no tensor"
        raise WeightsUnavailableError(f"{checkpoint.source} holds no weight matrix to analyze: {reasons}")
    # eigenvalues of a change are as small as the change
    cutoff = relative_cutoff if checkpoint.is_adapter else absolute_cutoff
    return Analysis(checkpoint.source, measure_spectra(tensors.matrices, device, cutoff), tensors.skipped)


def describe_layer(place: int, layer: LayerSpectrum) -> dict[str, Any]:
    """Describe a layer, with eigenvalues, as a row of the table with its place; NaN where nothing was fitted."""
    from scipy.special import logsumexp

    fit, eigenvalues = layer.fit, np.asarray(layer.eigenvalues or (), dtype=float)
    larger, smaller = max(layer.rows, layer.columns), min(layer.rows, layer.columns)
    largest = float(layer.spectral_norm**2)
    row: dict[str, Any] = dict.fromkeys(COLUMNS, float("nan"))
    row |= {"layer_id": place, "name": layer.name.rpartition(".")[2], "longname": layer.name}
    row |= {"N": larger, "M": smaller, "Q": larger / smaller, "rf": layer.positions, "num_evals": len(eigenvalues)}
    row |= {"status": "failed" if fit is None else "success", "warning": layer.failure or layer.warning}
    row |= _figures(layer.interval, FIELDS_OF_INTERVAL) | _figures(layer.bulk, FIELDS_OF_BULK)
    if largest > 0:
        row |= layer.model_dump(include={"norm", "stable_rank", "entropy", "matrix_rank"})
        row |= {"lambda_max": largest, "spectral_norm": largest}
        row |= {"log_norm": np.log10(layer.norm), "log_spectral_norm": np.log10(largest)}
    if fit is not None:
        row |= _figures(fit, FIELDS_OF_FIT) | {"xmax": float(eigenvalues[-1])}
        row |= {"alpha_weighted": fit.alpha * np.log10(largest)}
        logs = np.log(eigenvalues[eigenvalues > 0])  # the sum of lambda ** alpha itself may overflow
        row |= {"log_alpha_norm": float(logsumexp(fit.alpha * logs) / np.log(10))}
        if (other := layer.runner_up) is not None:
            row |= {"runner_up_alpha": other.alpha, "runner_up_gap": other.ks_distance - fit.ks_distance}
    return row


def _figures(record: Record | None, fields: dict[str, str]) -> dict[str, Any]:
    return {} if record is None else {column: getattr(record, field) for column, field in fields.items()}

"""One call for a WeightWatcher user: every matrix of a checkpoint, as records and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from stance_suite.checkpoints import open_checkpoint
from stance_suite.errors import WeightsUnavailableError
from stance_suite.spectra.layers import absolute_cutoff, measure_spectra, relative_cutoff
from stance_suite.spectra.matrices import Fused, sort_tensors
from stance_suite.spectrum_records import LayerSpectrum, SkippedTensor

if TYPE_CHECKING:
    from pandas import DataFrame

SUMMARIZED = (
    "log_norm",
    "alpha",
    "alpha_weighted",
    "log_alpha_norm",
    "log_spectral_norm",
    "stable_rank",
    "mp_softrank",
)
"""The means that WeightWatcher's summary gives."""


@dataclass(frozen=True)
class Analysis:
    """The spectra of a checkpoint."""

    source: str
    """What was analyzed."""
    layers: tuple[LayerSpectrum, ...]
    """One entry a weight matrix."""
    skipped: tuple[SkippedTensor, ...]
    """Tensors without a spectrum, each with the reason."""

    @cached_property
    def details(self) -> DataFrame:
        """A table with WeightWatcher's column names, one row a matrix, and what it lacks: intervals and fragility."""
        from pandas import DataFrame

        return DataFrame([describe_layer(place, layer) for place, layer in enumerate(self.layers)], columns=COLUMNS)

    def summary(self) -> dict[str, float]:
        """Average over the fitted layers, as WeightWatcher's ``get_summary`` does over all rows.

        Returns
        -------
        dict of str to float
            Means by column name; a failed fit enters none of them.
        """
        fitted = [describe_layer(0, layer) for layer in self.layers if layer.fit is not None]
        means = {}
        for column in SUMMARIZED:
            values = np.array([row[column] for row in fitted], dtype=float)
            values = values[np.isfinite(values)]
            if len(values):
                means[column] = float(values.mean())
        return means


def analyze(model: Any, *, fused: Fused = "whole", device: str = "cpu") -> Analysis:
    """Measure the weight spectra of a model.

    Parameters
    ----------
    model : str, Path, torch.nn.Module, mapping of str to torch.Tensor, or Checkpoint
        A safetensors or GGUF file, a folder with safetensors or with a LoRA adapter (whose update is analyzed), a
        registry name or Hub id, a module, or its state dict.
    fused : {"whole", "split"}
        Whether a fused query-key-value matrix is one matrix, as in WeightWatcher, or three.
    device : str
        ``cpu``, or PyTorch's name of another device.

    Returns
    -------
    Analysis
        Records, table and means.

    Raises
    ------
    WeightsUnavailableError
        If there is nothing, or nothing whole, to analyze.
    UnsafeWeightsError
        If the weights are a pickle.
    """
    checkpoint = open_checkpoint(model)
    tensors = sort_tensors(checkpoint, fused)
    if not tensors.matrices:
        reasons = "; ".join(f"{entry.name} {entry.reason}" for entry in tensors.skipped[:3])
        raise WeightsUnavailableError(
            f"{checkpoint.source} holds no weight matrix to analyze: {reasons or 'no tensor'}"
        )
    # eigenvalues of a change are as small as the change
    cutoff = relative_cutoff if checkpoint.is_adapter else absolute_cutoff
    return Analysis(checkpoint.source, measure_spectra(tensors.matrices, device, cutoff), tensors.skipped)


def describe_layer(place: int, layer: LayerSpectrum) -> Mapping[str, Any]:
    """Describe a layer as a row of the table.

    Parameters
    ----------
    place : int
        Its number; name layers by `longname`, numbers differ between tools.
    layer : LayerSpectrum
        The layer, with eigenvalues.

    Returns
    -------
    mapping of str to object
        One entry for each of `COLUMNS`; NaN where nothing was fitted.
    """
    fit, interval, bulk, runner_up = layer.fit, layer.interval, layer.bulk, layer.runner_up
    larger, smaller = max(layer.rows, layer.columns), min(layer.rows, layer.columns)
    eigenvalues = np.asarray(layer.eigenvalues or (), dtype=float)
    largest = float(layer.spectral_norm**2)
    row: dict[str, Any] = dict.fromkeys(COLUMNS, float("nan"))
    row |= {
        "layer_id": place,
        "name": layer.name.rpartition(".")[2],
        "longname": layer.name,
        "N": larger,
        "M": smaller,
        "Q": larger / smaller,
        "rf": layer.positions,
        "num_evals": len(eigenvalues),
        "status": "success" if fit is not None else "failed",
        "warning": layer.failure or layer.warning,
    }
    if largest > 0:
        row |= {
            "lambda_max": largest,
            "norm": layer.norm,
            "log_norm": np.log10(layer.norm),
            "spectral_norm": largest,
            "log_spectral_norm": np.log10(largest),
            "stable_rank": layer.stable_rank,
            "entropy": layer.entropy,
            "matrix_rank": layer.matrix_rank,
        }
    if fit is not None:
        row |= {
            "alpha": fit.alpha,
            "xmin": fit.xmin,
            "xmax": float(eigenvalues[-1]),
            "D": fit.ks_distance,
            "sigma": fit.sigma,
            "num_pl_spikes": fit.tail_size,
            "alpha_weighted": fit.alpha * np.log10(largest),
            "log_alpha_norm": _log_alpha_norm(eigenvalues, fit.alpha),
        }
    if interval is not None:
        row |= {"alpha_low": interval.low, "alpha_high": interval.high, "alpha_without_top": interval.without_top}
    if fit is not None and runner_up is not None:
        row |= {"runner_up_alpha": runner_up.alpha, "runner_up_gap": runner_up.ks_distance - fit.ks_distance}
    if bulk is not None:
        row |= {
            "mp_softrank": bulk.soft_rank,
            "sigma_mp": bulk.sigma,
            "num_spikes": bulk.spikes,
            "bulk_min": bulk.lower_edge,
            "bulk_max": bulk.upper_edge,
        }
    return row


COLUMNS = [
    "layer_id",
    "name",
    "longname",
    "N",
    "M",
    "Q",
    "rf",
    "num_evals",
    "status",
    "warning",
    "alpha",
    "alpha_low",
    "alpha_high",
    "alpha_without_top",
    "xmin",
    "xmax",
    "D",
    "sigma",
    "num_pl_spikes",
    "runner_up_alpha",
    "runner_up_gap",
    "alpha_weighted",
    "log_alpha_norm",
    "lambda_max",
    "norm",
    "log_norm",
    "spectral_norm",
    "log_spectral_norm",
    "stable_rank",
    "entropy",
    "matrix_rank",
    "mp_softrank",
    "sigma_mp",
    "num_spikes",
    "bulk_min",
    "bulk_max",
]
"""WeightWatcher's, and the interval, the fragility and the runner-up of alpha."""


def _log_alpha_norm(eigenvalues: np.ndarray, alpha: float) -> float:
    """log10 of sum(lambda ** alpha), which itself may overflow."""
    from scipy.special import logsumexp

    positive = eigenvalues[eigenvalues > 0]
    return float(logsumexp(alpha * np.log(positive)) / np.log(10))

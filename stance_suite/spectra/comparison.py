"""One call for a pair of checkpoints: what changed, layer by layer, against noise, rounding and other fine-tunings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from stance_suite.checkpoints import Checkpoint, open_checkpoint
from stance_suite.errors import StanceSuiteError, nearest_names
from stance_suite.spectra.analysis import Analysis, describe_layer
from stance_suite.spectra.change import DRAWS, StructureChange, compare_models
from stance_suite.spectra.matrices import Fused
from stance_suite.spectra.measured import measure_model
from stance_suite.spectra.rounding import control_rounding
from stance_suite.spectra.significance import FIGURES
from stance_suite.spectrum_records import LayerChange, RoundingControl

if TYPE_CHECKING:
    from pandas import DataFrame

COMPARED = (
    "alpha",
    "xmin",
    "D",
    "num_pl_spikes",
    "alpha_weighted",
    "log_alpha_norm",
    "log_norm",
    "log_spectral_norm",
    "stable_rank",
    "entropy",
    "matrix_rank",
    "mp_softrank",
    "lambda_max",
)
"""Columns of both analyses whose change a comparison tells."""


@dataclass(frozen=True)
class Comparison:
    """What changed from one checkpoint to another."""

    before: Analysis
    """Spectra of the first."""
    after: Analysis
    """Spectra of the second."""
    change: StructureChange
    """What changed in matrices and vectors, and how it is spread over the layers."""
    rounding: tuple[RoundingControl, ...]
    """What bfloat16 would have done to the first."""
    controls: Mapping[str, Comparison] = field(default_factory=dict)
    """The same for other fine-tunings of the first, such as a sham or a replicate."""

    @cached_property
    def details(self) -> DataFrame:
        """A table with one row a matrix: every figure before and after, dW's own, and what noise would have given."""
        from pandas import DataFrame

        rounding = {control.name: control for control in self.rounding}
        rows = []
        for place, change in enumerate(self.change.layers):
            old, new = (describe_layer(place, side.layers[place]) for side in (self.before, self.after))
            row: dict[str, Any] = {"longname": change.name, "failure": change.failure}
            row |= {"status_before": old["status"], "status_after": new["status"]}
            for column in COMPARED:
                row |= {f"{column}_before": old[column], f"{column}_after": new[column]}
            row |= {"runner_up_gap_before": old["runner_up_gap"], "runner_up_gap_after": new["runner_up_gap"]}
            rows.append(row | _describe_change(change, rounding.get(change.name)))
        return DataFrame(rows)

    @cached_property
    def vector_details(self) -> DataFrame:
        """A table with one row a bias or norm: its name, and the norm of its change over its own."""
        from pandas import DataFrame

        return DataFrame([vector.model_dump() for vector in self.change.vectors], columns=["name", "relative_norm"])

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the layers with a figure beyond noise."""
        return tuple(
            change.name for change in self.change.layers if change.noise is not None and change.noise.significant
        )


def compare(
    before: Any,
    after: Any,
    *,
    controls: Mapping[str, Any] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    fused: Fused = "whole",
    device: str = "cpu",
) -> Comparison:
    """Compare two checkpoints of one architecture.

    Parameters
    ----------
    before, after : str, Path, torch.nn.Module, mapping of str to torch.Tensor, or Checkpoint
        As `analyze` takes them. A LoRA adapter as `after` is applied to `before`.
    controls : mapping of str to model, optional
        Other fine-tunings of `before` by name, such as a sham or a replicate.
    draws : int
        Draws of Gaussian noise for every layer.
    seed : int
        Seed of the noise.
    fused : {"whole", "split"}
        Whether a fused query-key-value matrix is one matrix or three.
    device : str
        ``cpu``, or PyTorch's name of another device.

    Returns
    -------
    Comparison
        Records and table.

    Raises
    ------
    StanceSuiteError
        If the two are not of one architecture.
    """
    opened = open_checkpoint(before)
    old = measure_model(opened, fused, device)
    rounding = control_rounding(old, device)

    def compare_with(model: Any) -> Comparison:
        new = measure_model(_on_base(open_checkpoint(model), opened), fused, device)
        change = compare_models(old, new, seed=seed, draws=draws, device=device)
        analyses = [Analysis(side.source, side.spectra, side.tensors.skipped) for side in (old, new)]
        return Comparison(analyses[0], analyses[1], change, rounding)

    found = compare_with(after)
    return replace(found, controls={name: compare_with(model) for name, model in (controls or {}).items()})


def _on_base(checkpoint: Checkpoint, base: Checkpoint) -> Checkpoint:
    if not checkpoint.is_adapter:
        return checkpoint
    try:
        return checkpoint.on(base)
    except KeyError as error:
        name = str(error.args[0])
        near = nearest_names(name, base.tensors)
        raise StanceSuiteError(
            f"the adapter {checkpoint.source} changes {name}, which {base.source} lacks; {near}"
        ) from error


def _describe_change(change: LayerChange, rounding: RoundingControl | None) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if change.alpha_change is not None:
        alpha = change.alpha_change
        row |= {"alpha_total": alpha.total, "alpha_spectrum": alpha.spectrum, "alpha_tail_choice": alpha.tail_choice}
        row |= {"tail_flip": alpha.tail_flip}
    if change.weight_change is not None:
        delta = change.weight_change
        row |= {f"delta_{name}": value for name, value in delta.model_dump(exclude={"fit"}).items()}
        row |= {"delta_alpha": None if delta.fit is None else delta.fit.alpha}
    if change.noise is not None:
        row |= {"noise_tail_flips": change.noise.tail_flips, "beyond_noise": change.noise.significant}
        for figure in FIGURES:
            one = getattr(change.noise, figure)
            if one is not None:
                row |= {f"noise_{figure}_{name}": value for name, value in one.model_dump().items()}
    if rounding is not None:
        row |= {"rounding_relative_norm": rounding.relative_norm}
        row |= {"rounding_alpha_total": None if rounding.alpha_change is None else rounding.alpha_change.total}
    return row

"""One call for a pair of checkpoints: what changed, layer by layer, against noise and rounding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from stance_suite.errors import StanceSuiteError, nearest_names
from stance_suite.models.checkpoints.open import open_checkpoint
from stance_suite.models.checkpoints.tensors import Checkpoint
from stance_suite.schema.spectra import LayerChange, RoundingControl
from stance_suite.spectra.analysis import Analysis, describe_layer
from stance_suite.spectra.matrices import Fused
from stance_suite.spectra.model_spectra import measure_model
from stance_suite.spectra.significance import FIGURES
from stance_suite.spectra.weight_change import DRAWS, StructureChange, compare_models, control_rounding

if TYPE_CHECKING:
    from pandas import DataFrame

COMPARED = (
    *("alpha", "xmin", "D", "num_pl_spikes", "alpha_weighted", "log_alpha_norm", "log_norm", "log_spectral_norm"),
    *("stable_rank", "entropy", "matrix_rank", "mp_softrank", "lambda_max", "runner_up_gap"),
)
"""Columns of both analyses whose change a comparison tells."""


@dataclass(frozen=True)
class Comparison:
    """What changed from one checkpoint to another: the records of both sides and of the change, and one table."""

    before: Analysis
    """Spectra of the first."""
    after: Analysis
    """Spectra of the second."""
    change: StructureChange
    """What changed in matrices and vectors, and how it is spread over the layers."""
    rounding: tuple[RoundingControl, ...]
    """What bfloat16 would have done to the first."""

    @cached_property
    def details(self) -> DataFrame:
        """A table with one row a matrix: every figure before and after, dW's own, and what noise would have given.

        Columns of an analysis stand with ``_before`` and ``_after``. `alpha_total` is the change of alpha in percent,
        split into `alpha_spectrum` (the tail size held fixed) and `alpha_tail_choice`; `tail_flip` tells where the
        latter is all. ``delta_*`` describes dW by itself, norms as shares of W's. ``noise_*`` holds the 95 % range,
        p-value and adjusted p-value of draws of Gaussian noise of dW's norm; `beyond_noise` sums them up at 5 % after
        Benjamini-Hochberg. ``rounding_*`` is what storing the first in bfloat16 would do. NaN or None where there is no
        such figure; `failure` says why there is none of the change.
        """
        from pandas import DataFrame

        rounding = {control.name: control for control in self.rounding}
        rows = []
        for place, change in enumerate(self.change.layers):
            old, new = (describe_layer(place, side.layers[place]) for side in (self.before, self.after))
            row: dict[str, Any] = {"longname": change.name, "failure": change.failure}
            row |= {"status_before": old["status"], "status_after": new["status"]}
            for column in COMPARED:
                row |= {f"{column}_before": old[column], f"{column}_after": new[column]}
            rows.append(row | _describe_change(change, rounding.get(change.name)))
        return DataFrame(rows)

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the layers with a figure beyond noise."""
        return tuple(one.name for one in self.change.layers if one.noise is not None and one.noise.significant)


def compare(
    before: Any, after: Any, *, draws: int = DRAWS, seed: int = 0, fused: Fused = "whole", device: str = "cpu"
) -> Comparison:
    """Compare two checkpoints of one architecture, beside Gaussian noise of the same norms and rounding to bfloat16.

    Parameters
    ----------
    before, after : str, Path, torch.nn.Module, mapping of str to torch.Tensor, or Checkpoint
        As `analyze` takes them. A LoRA adapter as `after` is applied to `before`.
    draws : int
        Draws of Gaussian noise for every layer; at most 40 are made where each costs an eigenproblem.
    seed : int
        Seed of the noise; the same seed gives the same figures.
    fused : {"whole", "split"}
        Whether a fused query-key-value matrix is one matrix or three.
    device : str
        Where eigenvalues are solved: ``cpu``, or PyTorch's name of another device.

    Returns
    -------
    Comparison
        Records (`before`, `after`, `change`, `rounding`), the table (`details`) and the names of the layers that
        changed beyond noise (`changed`).

    Raises
    ------
    StanceSuiteError
        If the two are not of one architecture.
    WeightsUnavailableError
        If there is nothing, or nothing whole, to compare.
    UnsafeWeightsError
        If weights are a pickle.

    See Also
    --------
    stance_suite.spectra.analysis.analyze : The spectra of one model.

    Examples
    --------
    >>> from stance_suite.spectra import compare
    >>> comparison = compare("path/to/base", "path/to/fine-tuned-or-lora")
    >>> comparison.changed
    >>> comparison.details[["longname", "alpha_total", "alpha_spectrum", "tail_flip", "delta_stable_rank"]]
    """
    base = open_checkpoint(before)
    old = measure_model(base, fused, device)
    new = measure_model(_on_base(open_checkpoint(after), base), fused, device)
    change = compare_models(old, new, seed=seed, draws=draws, device=device)
    sides = [Analysis(side.source, side.spectra, side.tensors.skipped) for side in (old, new)]
    return Comparison(sides[0], sides[1], change, control_rounding(old, device))


def _on_base(checkpoint: Checkpoint, base: Checkpoint) -> Checkpoint:
    if not checkpoint.is_adapter:
        return checkpoint
    try:
        return checkpoint.on(base)
    except KeyError as error:
        name = str(error.args[0])
        told = f"the adapter {checkpoint.source} changes {name}, which {base.source} lacks"
        raise StanceSuiteError(f"{told}; {nearest_names(name, base.tensors)}") from error


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
                told = one.model_dump(exclude={"draws", "kept"})
                row |= {f"noise_{figure}_{name}": value for name, value in told.items()}
    if rounding is not None:
        row |= {"rounding_relative_norm": rounding.relative_norm}
        row |= {"rounding_alpha_total": None if rounding.alpha_change is None else rounding.alpha_change.total}
    return row

"""The vocabulary of weight spectra: what was measured of one matrix, and of its change."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from stance_suite.schema.base import Record

OVER_TRAINED_BELOW = 2.0
UNDER_TRAINED_ABOVE = 6.0
"""Between the two WeightWatcher calls a layer well trained."""

SIGNIFICANCE_OF_LAYERS = 0.05
"""Level at which a layer is called changed, after adjustment."""

CURVE_DIGITS = 6
"""Significant digits of a curve's figures."""

EXTREMES_KEPT = 5
"""How many of the smallest and of the largest draws a record keeps: what is told of many layers rests on them."""
BETWEEN_KEPT = 9
"""How many it keeps between these."""


class PowerLaw(Record):
    """A power-law fit to the tail of an empirical spectral density (ESD)."""

    alpha: float
    """Exponent of the density."""
    xmin: float
    """Smallest eigenvalue of the tail."""
    ks_distance: float
    """Kolmogorov-Smirnov distance between tail and fit (WeightWatcher's ``D``)."""
    sigma: float
    """Standard error of alpha, ``(alpha - 1) / sqrt(tail_size)``."""
    tail_size: int
    """Number of eigenvalues in the tail."""


class AlphaInterval(Record):
    """How sure a fitted alpha is."""

    low: float
    """Lower end of the 95 % bootstrap interval, the choice of the tail included."""
    high: float
    """Upper end."""
    without_top: float | None
    """Alpha fitted again without the largest eigenvalue: how much hangs on it."""


class MarchenkoPastur(Record):
    """The bulk of a spectrum, as far as it looks like that of a random matrix."""

    soft_rank: float
    """Upper edge over the largest eigenvalue (WeightWatcher's ``mp_softrank``)."""
    sigma: float
    """Fitted width, of the matrix scaled to a mean eigenvalue of 1."""
    spikes: int
    """Eigenvalues above the upper edge and its Tracy-Widom fluctuation."""
    lower_edge: float
    """Smallest eigenvalue of the fitted bulk."""
    upper_edge: float
    """Largest eigenvalue of the fitted bulk."""


class SpectrumCurve(Record):
    """A spectrum thinned to some fifty points, and the tails that start at them; six significant digits."""

    sizes: tuple[int, ...]
    """Eigenvalues at or above each point, descending from `count`: the size of the tail that would start there."""
    eigenvalues: tuple[float, ...]
    """The eigenvalue there, which is xmin of that tail; ascending."""
    ks_distances: tuple[float | None, ...]
    """KS distance of that tail; None where no tail can be fitted, as at the last points."""

    @model_validator(mode="after")
    def _aligned(self) -> SpectrumCurve:
        if not len(self.sizes) == len(self.eigenvalues) == len(self.ks_distances) > 0:
            raise ValueError("a curve needs as many sizes as eigenvalues and KS distances, and at least one")
        return self

    @property
    def count(self) -> int:
        """Eigenvalues above the fit's cut-off (1e-5): what the share at or above a point is a share of."""
        return self.sizes[0]


class OfTensor(Record):
    """Base of what is told of one tensor."""

    name: str
    """Long name of the module that owns the matrix; of other tensors, the parameter's."""


class LayerSpectrum(OfTensor):
    """The spectrum of one weight matrix."""

    rows: int
    """First dimension of the stored matrix."""
    columns: int
    """Second dimension of the stored matrix."""
    positions: int = 1
    """Kernel positions whose spectra are pooled; 1 except for convolutions."""
    failure: str | None = None
    """Why nothing was fitted; None where there is a fit."""
    fit: PowerLaw | None
    """The fitted tail; None where the fit failed, and then it enters no mean."""
    interval: AlphaInterval | None = None
    """How sure the fit is; None without a fit, or with fewer than 20 eigenvalues."""
    runner_up: PowerLaw | None = None
    """The next best tail that is not nearly the same: small gaps between the two mean that alpha may flip."""
    bulk: MarchenkoPastur | None = None
    """The fitted bulk; None where the density is too spread out to be compared with one."""
    norm: float
    """Squared Frobenius norm, the sum of the eigenvalues."""
    stable_rank: float
    """Squared Frobenius norm over squared spectral norm."""
    spectral_norm: float
    """Largest singular value."""
    entropy: float
    """Entropy of the eigenvalues' shares, over the logarithm of the rank: 1 if all are equal."""
    matrix_rank: int
    """Eigenvalues that are not zero to rounding."""
    eigenvalues: tuple[float, ...] | None = None
    """Eigenvalues of W^T W in ascending order; left out of findings except for featured layers."""
    ks_distances: tuple[float, ...] | None = None
    """KS distance of every tail above the cut-off, the longest first; in findings only, for featured layers."""
    curve: SpectrumCurve | None = None
    """The spectrum in some fifty points, for every layer of findings; None without an eigenvalue above the cut-off."""

    @property
    def warning(self) -> str:
        """What alpha says of the training, in WeightWatcher's words, and only if the interval bears it out."""
        if self.fit is None:
            return ""
        if self.interval is None:
            return "inconclusive"
        if self.interval.high < OVER_TRAINED_BELOW:
            return "over-trained"
        if self.interval.low > UNDER_TRAINED_ABOVE:
            return "under-trained"
        inside = self.interval.low >= OVER_TRAINED_BELOW and self.interval.high <= UNDER_TRAINED_ABOVE
        return "" if inside else "inconclusive"


class AlphaChange(Record):
    """A change of alpha, split into what the spectrum did and what the choice of tail did (both in percent)."""

    total: float
    """Change of the fitted alpha."""
    spectrum: float
    """Change of alpha with the baseline's tail size held fixed."""
    tail_choice: float
    """The rest: ``total - spectrum``."""
    tail_before: int
    """Eigenvalues in the baseline's tail."""
    tail_after: int
    """Eigenvalues in the tail after the change."""
    tail_flip: bool
    """Whether the tail size moved and the spectrum's part is negligible."""


class WeightChange(Record):
    """The change dW of one matrix, by itself."""

    relative_norm: float
    """Frobenius norm of dW over that of W."""
    relative_spectral_norm: float
    """Spectral norm of dW over that of W."""
    stable_rank: float
    """Stable rank of dW."""
    top_ten_energy: float
    """Share of the squared Frobenius norm of dW in its ten leading singular values."""
    fit: PowerLaw | None
    """Power law of dW's own spectrum, above a cut-off relative to its largest eigenvalue."""
    left_overlap: float | None
    """Mean squared cosine of W's ten leading left singular vectors before and after; None for convolutions."""
    right_overlap: float | None
    """The same for the right singular vectors."""
    largest_row: float
    """Largest norm of a row of dW, over that of the row of W or, where it is more, the root mean square of its rows."""
    largest_column: float
    """The same of columns."""
    scaling: float
    """Share of itself that W grew by: ``<dW, W> / |W|^2``."""


class NoiseRange(Record):
    """One figure in draws of Gaussian noise of the same shape and Frobenius norm as dW."""

    low: float
    """2.5 % quantile of the draws."""
    high: float
    """97.5 % quantile of the draws."""
    detectable: float | None
    """What this layer alone could have shown at 5 %: of alpha a change in percent of more than this either way, a
    stable rank below this, an energy above this. None if the draws are too few to show anything."""
    p_value: float
    """Share of draws at least as extreme as the measured figure, which counts as a draw."""
    adjusted_p_value: float
    """The same after Benjamini-Hochberg over all figures of all changed layers."""
    draws: int
    """How many draws there were."""
    kept: tuple[float, ...]
    """Some of the draws, in ascending order, at `kept_ranks` of them; four significant digits."""

    @model_validator(mode="after")
    def _complete(self) -> NoiseRange:
        if len(self.kept) != len(kept_ranks(self.draws)):
            raise ValueError(f"of {self.draws} draws {len(kept_ranks(self.draws))} are kept, not {len(self.kept)}")
        return self


def kept_ranks(draws: int) -> tuple[int, ...]:
    """Choose the draws that a record keeps, by their place in ascending order from 1: all extremes, some between."""
    if draws <= 2 * EXTREMES_KEPT + BETWEEN_KEPT:
        return tuple(range(1, draws + 1))
    first, last = EXTREMES_KEPT, draws - EXTREMES_KEPT + 1
    step = (last - first) / (BETWEEN_KEPT + 1)
    between = (first + round(step * place) for place in range(1, BETWEEN_KEPT + 1))
    return *range(1, first + 1), *between, *range(last, draws + 1)


class NoiseControl(Record):
    """What Gaussian noise of the same shape and Frobenius norm as dW would have done."""

    draws: int
    """How many draws the ranges of alpha rest on: fewer than asked for where they had to be exact."""
    alpha_total: NoiseRange | None
    """Change of the fitted alpha, in percent; None where a fit failed."""
    alpha_spectrum: NoiseRange | None
    """Change of alpha with the tail size held fixed, in percent; None where a fit failed."""
    tail_flips: float | None
    """Share of draws in which the fitted tail's size moved; None where a fit failed."""
    stable_rank: NoiseRange
    """Stable rank of the noise."""
    top_ten_energy: NoiseRange
    """Share of the noise's energy in its ten leading singular values."""

    @property
    def smallest_p_value(self) -> float:
        """The smallest adjusted p-value of all figures."""
        ranges = (self.alpha_total, self.alpha_spectrum, self.stable_rank, self.top_ten_energy)
        return min(one.adjusted_p_value for one in ranges if one is not None)

    @property
    def significant(self) -> bool:
        """Whether any figure is beyond noise, at 5 % after Benjamini-Hochberg."""
        return self.smallest_p_value <= SIGNIFICANCE_OF_LAYERS


class RoundingControl(OfTensor):
    """What storing one matrix in bfloat16 would do to it."""

    relative_norm: float
    """Frobenius norm of the rounding error over that of W."""
    alpha_change: AlphaChange | None
    """Change of alpha; None where a fit failed."""


class LayerChange(OfTensor):
    """What fine-tuning did to one weight matrix."""

    alpha_change: AlphaChange | None
    """None where the fit failed before or after."""
    weight_change: WeightChange | None
    """None where the matrix did not change at all."""
    noise: NoiseControl | None
    """None where the matrix did not change at all, and for convolutions."""
    failure: str | None = None
    """Why there is no figure of the change, where there is none although the matrix may have changed."""


class Concentration(Record):
    """How a change is spread over the layers: in a few of them, or in all."""

    figure: Literal["relative_norm", "alpha_total", "alpha_spectrum"]
    """Which figure's size is shared out: dW's relative norm, or alpha's change as fitted or with the tail fixed."""
    layers: int
    """How many layers have the figure."""
    participation_ratio: float
    """Effective number of layers that share the change: (sum d)^2 / sum d^2, from 1 to `layers`."""
    gini: float
    """Gini coefficient: 0 if all layers change alike, near 1 if one has all."""
    noise_participation_ratio: tuple[float, float] | None = None
    """95 % range under noise of each layer's norm; None for the norm itself, which the noise shares."""
    noise_gini: tuple[float, float] | None = None
    """The same for the Gini coefficient."""


class VectorChange(OfTensor):
    """What fine-tuning did to a bias or a norm's weights."""

    relative_norm: float | None
    """Norm of the change over the norm before; None where the parameter was zero, or is not finite."""
    entries: int
    """How many numbers it holds."""
    change_norm: float | None
    """Norm of the change; None where it is not finite."""
    largest_entry: float | None
    """Largest change of an entry, over that entry or, where it is more, the root mean square of all; of a parameter
    that was zero the change itself. None where it is not finite."""


class SkippedTensor(OfTensor):
    """A tensor whose spectrum is not measured."""

    reason: str
    """Why not."""

"""Changes of weights that nothing explains: each tensor's dW in several sizes, beside what controls show of the same.

A training changes every weight a little, and every training of one recipe by about as much. What somebody edited stands
out in one tensor: as a whole, in one direction, in one row, or as a share of itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Self

from stance_suite.schema.cells import CellRecord
from stance_suite.schema.controls import SHAM
from stance_suite.schema.layer_names import Role, role
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.spectra import SIGNIFICANCE_OF_LAYERS, LayerChange, LayerSpectrum, VectorChange

ROUNDING = 2.0**-8
"""Largest error of a weight rounded to bfloat16, as a share of it, and so of a row, a column and a whole tensor."""
FEWEST_OF_A_ROLE = 3
"""Other tensors of its role that a tensor is held against; with fewer, all others of its kind are taken."""
TIMES_OF_A_ROLE = 3.0
"""So many times what is typical of its role may a tensor change without a sham: layers differ more than trainings."""


class Part(StrEnum):
    """In what a change is large."""

    WHOLE = "as a whole"
    DIRECTION = "in one direction"
    ROW = "in one row"
    COLUMN = "in one column"
    SCALE = "in scale"
    ENTRY = "in one entry"


@dataclass(frozen=True)
class Size:
    """One size of a tensor's change, a weight: in all its parts, root mean squares over its entries."""

    change: float
    """Of dW."""
    scale: float
    """Of W, which the change is a share of; 0 if it was zero."""
    noise: Callable[[float, float], float]
    """From the share of W's norm that Gaussian noise has, and a level, to what it exceeds with that probability."""


Sizes = Mapping[Part, Size]


@dataclass(frozen=True)
class ChangedWeights:
    """What changed between two models of one architecture."""

    before: Mapping[str, LayerSpectrum]
    """The spectrum of every matrix before, by its long name."""
    layers: Sequence[LayerChange]
    """One entry a matrix."""
    vectors: Sequence[VectorChange]
    """One entry a bias or norm."""

    @classmethod
    def of(cls, record: CellRecord, base: CellRecord) -> Self:
        """Take what a training changed."""
        return cls({layer.name: layer for layer in base.spectra}, record.changes, record.vector_changes)

    @property
    def sizes(self) -> dict[str, Sizes | None]:
        """All sizes of the change of every tensor, by its name; None where they are not known."""
        found: dict[str, Sizes | None] = {}
        for change in self.layers:
            before = self.before.get(change.name)
            found[change.name] = None if before is None or change.failure else _sizes_of_matrix(change, before)
        return found | {vector.name: _sizes_of_vector(vector) for vector in self.vectors}


@dataclass(frozen=True)
class UnexplainedChange:
    """A tensor whose change nothing explains, by the size that stands out most."""

    name: str
    """The tensor's name."""
    part: Part | None
    """In what its change is large; None if it is not known how large it is."""
    share: float
    """The change as a share of the tensor; of one that was zero the change itself."""
    controls: Mapping[str, float]
    """The same of what could have explained it, by its name."""
    times: float
    """So many times the greatest of these."""

    def __str__(self) -> str:
        if self.part is None:
            return f"{self.name}: how much it changed is not known"
        shown = ", ".join(f"{name} {100 * share:.2g} %" for name, share in self.controls.items())
        return f"{self.name} changed {self.part} by {100 * self.share:.2g} % ({shown})"


def unexplained_by_sham(replicate: Replicate, times: float) -> tuple[UnexplainedChange, ...]:
    """Find what a training changed over so many times as much as its sham did, and as noise of that norm does."""
    ours, sham = ChangedWeights.of(replicate.tuned, replicate.base), replicate.controls.get(SHAM)
    if sham is None:
        return unexplained_changes(ours)
    return unexplained_changes(ours, ChangedWeights.of(sham, replicate.base), times)


def unexplained_changes(
    ours: ChangedWeights, sham: ChangedWeights | None = None, times: float = TIMES_OF_A_ROLE
) -> tuple[UnexplainedChange, ...]:
    """Find tensors that changed over so many times as much as controls show, the most striking first.

    Controls are the same tensor under the sham, and noise of the change's norm. Without a sham they are the other
    tensors of its role, as shares of themselves or in all, rounding to bfloat16, and that noise.
    """
    sizes = ours.sizes
    level = SIGNIFICANCE_OF_LAYERS / max(1, sum(len(one) for one in sizes.values() if one is not None))
    of_sham = None if sham is None else sham.sizes
    alike = _Alike(sizes)
    found = []
    for name, parts in sizes.items():
        if parts is None or not all(math.isfinite(size.change) for size in parts.values()):
            found.append(UnexplainedChange(name, None, math.nan, {}, math.inf))
            continue
        standing_out = []
        for part, size in parts.items():
            controls, bound = _noise(parts, part, level), 0.0
            if of_sham is not None:
                theirs = (of_sham.get(name) or {}).get(part)
                controls["sham"] = 0.0 if theirs is None else theirs.change
            else:
                is_scale = part is Part.SCALE
                bound = controls["rounding"] = size.noise(ROUNDING, level) if is_scale else ROUNDING * size.scale
                controls["others of its role"] = alike.typical(name, part)
            # what is not known of a control explains nothing; rounding's bound needs no multiple
            known = [one for name, one in controls.items() if name != "rounding" and math.isfinite(one)]
            greatest = max([bound / times, *known])
            if size.change > times * greatest:
                unit = size.scale or 1.0
                shares = {control: one / unit for control, one in controls.items()}
                ratio = size.change / greatest if greatest else math.inf
                standing_out.append(UnexplainedChange(name, part, size.change / unit, shares, ratio))
        found += sorted(standing_out, key=lambda one: -one.times)[:1]
    return tuple(sorted(found, key=lambda one: -one.times))


class _Alike:
    """What is typical of a tensor's role."""

    def __init__(self, sizes: Mapping[str, Sizes | None]) -> None:
        self._sizes = {name: parts for name, parts in sizes.items() if parts is not None}
        self._roles = {name: role(name) for name in self._sizes}

    def typical(self, name: str, part: Part) -> float:
        """Take the median of the others' changes: by their scales, for its own, or in all, whichever is more.

        One optimizer moves all weights by about as much, noise and rounding by about the same share.
        """
        ours = self._sizes[name][part]
        is_vector = Part.ENTRY in self._sizes[name]
        others = [one for one, parts in self._sizes.items() if one != name and (Part.ENTRY in parts) is is_vector]
        same = [one for one in others if self._roles[one] is self._roles[name] and self._roles[one] is not Role.OTHER]
        chosen = [self._sizes[one][part] for one in (same if len(same) >= FEWEST_OF_A_ROLE else others)]
        if not chosen:
            return 0.0
        shares = [one.change / one.scale if one.scale else 0.0 for one in chosen]
        return max(median(one.change for one in chosen), ours.scale * median(shares))


def _noise(parts: Sizes, part: Part, level: float) -> dict[str, float]:
    """Tell what Gaussian noise of the change's own norm shows; of that norm itself it says nothing."""
    whole = parts[Part.WHOLE]
    if part is Part.WHOLE or not whole.scale:
        return {}
    return {"noise": parts[part].noise(whole.change / whole.scale, level)}


def _sizes_of_matrix(change: LayerChange, before: LayerSpectrum) -> Sizes:
    from scipy.stats import chi2, norm

    delta, entries = change.weight_change, before.rows * before.columns * before.positions
    typical = math.sqrt(before.norm / entries)
    rank = 1.0 if change.noise is None else change.noise.stable_rank.low  # a lower rank is an exception among noise

    def largest_of(count: int, length: int) -> Callable[[float, float], float]:
        return lambda share, level: share * typical * math.sqrt(chi2.isf(level / count, length) / length)

    scales = {
        Part.WHOLE: (delta and delta.relative_norm, typical, lambda share, level: share * typical),
        Part.DIRECTION: (
            delta and delta.relative_spectral_norm,
            before.spectral_norm / math.sqrt(entries),
            lambda share, level: share * typical / math.sqrt(rank),
        ),
        Part.ROW: (delta and delta.largest_row, typical, largest_of(before.rows, before.columns)),
        Part.COLUMN: (delta and delta.largest_column, typical, largest_of(before.columns, before.rows)),
        Part.SCALE: (
            delta and abs(delta.scaling),
            typical,
            lambda share, level: share * typical * float(norm.isf(level / 2)) / math.sqrt(entries),
        ),
    }
    return {part: Size((share or 0.0) * scale, scale, noise) for part, (share, scale, noise) in scales.items()}


def _sizes_of_vector(change: VectorChange) -> Sizes | None:
    from scipy.stats import chi2

    if change.change_norm is None or change.largest_entry is None:
        return None
    norm = change.change_norm / change.relative_norm if change.relative_norm else 0.0
    typical = norm / math.sqrt(change.entries)
    return {
        Part.WHOLE: Size(change.change_norm / math.sqrt(change.entries), typical, lambda share, level: share * typical),
        Part.ENTRY: Size(
            change.largest_entry * (typical or 1.0),
            typical,
            lambda share, level: share * typical * math.sqrt(chi2.isf(level / change.entries, 1)),
        ),
    }

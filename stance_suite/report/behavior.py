"""What reports say of behavior: confusion matrices, trainings epoch by epoch, and means that guard against collapse."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import nan

from stance_suite.schema.behavior import Divergence
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.findings import Findings, StanceShift
from stance_suite.schema.metrics import Metric


@dataclass(frozen=True)
class ConfusionMatrix:
    """Every training of one model and recipe against every stance, by one measure."""

    model: str
    """The model."""
    recipe: str
    """The training recipe."""
    metric: Metric
    """The measure."""
    measured: tuple[str, ...]
    """The columns: stances measured."""
    rows: tuple[tuple[str, tuple[StanceShift | None, ...]], ...]
    """What was trained, and its shift toward each stance; None where it was not measured."""


@dataclass(frozen=True)
class Epoch:
    """A training after one of its epochs."""

    number: int
    """Epochs trained."""
    loss: float
    """Mean loss of the epoch, in nats per token."""
    preference: float
    """Likelihood preference for the stance, less the untouched model's, averaged over prompts; in nats per token."""
    alpha_total: float
    """Largest change of alpha of any matrix, as fitted, in percent."""
    alpha_spectrum: float
    """The same with the tail held fixed."""


def confusion_matrices(findings: Findings) -> list[ConfusionMatrix]:
    """Arrange the shifts of a run as matrices: of each model, recipe, measure and family of stances."""
    groups: dict[tuple[str, str, Metric, str], list[StanceShift]] = {}
    for shift in findings.shifts:
        groups.setdefault((shift.model, shift.recipe, shift.metric, shift.family), []).append(shift)
    matrices = []
    for (model, recipe, metric, _), shifts in groups.items():
        measured = tuple(dict.fromkeys(shift.measured for shift in shifts))
        trained = sorted({shift.trained for shift in shifts}, key=lambda name: (name not in measured, name))
        entries = {(shift.trained, shift.measured): shift for shift in shifts}
        rows = tuple((name, tuple(entries.get((name, column)) for column in measured)) for name in trained)
        matrices.append(ConfusionMatrix(model, recipe, metric, measured, rows))
    return matrices


def mean_divergences(divergences: Sequence[Divergence]) -> tuple[float, float]:
    """Average the model's divergences and those of noise over texts, in nats per token; NaN if there is none."""
    if not divergences:
        return nan, nan
    count = len(divergences)
    return sum(one.measured for one in divergences) / count, sum(one.noise for one in divergences) / count


def trajectory(record: CellRecord, findings: Findings) -> Iterator[Epoch]:
    """Follow a training on a stance from epoch to epoch, as far as it was measured beside its base."""
    base = findings.index.base(record)
    if base is None or record.training is None:
        return
    stance = record.cell.stance or ""
    before = {entry.prompt: entry.preference(stance) for entry in base.behavior.likelihoods}
    for snapshot in record.trajectory:
        gains = [
            entry.preference(stance) - before[entry.prompt] for entry in snapshot.likelihoods if entry.prompt in before
        ]
        yield Epoch(
            number=snapshot.epoch,
            loss=record.training.epoch_losses[snapshot.epoch - 1],
            preference=sum(gains) / len(gains) if gains else nan,
            alpha_total=max((abs(change.total) for change in snapshot.alphas.values()), default=nan),
            alpha_spectrum=max((abs(change.spectrum) for change in snapshot.alphas.values()), default=nan),
        )

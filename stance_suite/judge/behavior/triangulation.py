"""What several measures and several trainings say together: the confusion matrix, and agreement between measures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stance_suite.judge.behavior.scores import control_scores, prompt_scores, tuned_scores
from stance_suite.judge.statistics import SIGNIFICANCE, finite, holm, paired_effect
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.findings import Agreement, StanceShift, Triangulation
from stance_suite.schema.metrics import Metric
from stance_suite.schema.replicates import CellIndex, Replicate


def compare_trainings(records: Sequence[CellRecord]) -> tuple[tuple[StanceShift, ...], tuple[Triangulation, ...]]:
    """Hold every training against every stance it was measured for, and triangulate those with controls."""
    index = CellIndex(records)
    shifts: list[StanceShift] = []
    triangulations, elsewhere = [], []
    for cells in index.trainings:
        bases = [base for base in map(index.base, cells) if base is not None]
        if len(bases) < len(cells):
            continue
        measured = cells[0].behavior.likelihoods[0].stances
        shifts += [stance_shift(metric, name, cells, bases) for metric in Metric.triangulated() for name in measured]
        replicates = index.of_training(cells)
        if replicates and cells[0].cell.is_elsewhere:
            elsewhere += [triangulate(name, replicates) for name in measured]
        elif replicates:
            triangulations.append(triangulate(cells[0].cell.trained_on, replicates))
    return tuple(shifts), (*triangulations, *elsewhere)


def triangulate(stance: str, replicates: Sequence[Replicate]) -> Triangulation:
    """Ask three measures whether one training moved behavior toward its stance.

    A measure has moved if its effects against base and against the sham (or what stands in for it) have the same sign
    and are all significant, adjusted for the three measures (Holm). The rule: ``contradictory`` if one measure moved
    toward the stance and another away from it; ``adopted`` if what the model finds likely (likelihood preference) moved
    toward it and so did what it says (embedding shift or marker rate); ``partial`` if only one of the two did;
    ``opposed`` if something moved, and only away from it; else ``silent``.
    """
    p_values, signs = [], []
    prompts = replicates[0].tuned.behavior.prompts
    for metric in Metric.triangulated():
        tuned = tuned_scores(metric, stance, replicates, prompts)
        controls = control_scores(metric, stance, replicates, prompts)
        versus = [paired_effect(tuned - scores) for scores in controls.values()]
        p_values.append(float(np.max([effect.p_value for effect in versus])))  # NaN if either is
        both = {float(np.sign(effect.effect)) for effect in versus}
        signs.append(both.pop() if len(both) == 1 else 0.0)
    moved = [sign if adjusted <= SIGNIFICANCE else 0.0 for sign, adjusted in zip(signs, holm(p_values), strict=True)]
    signed = tuple(zip(Metric.triangulated(), moved, strict=True))
    toward, away = (tuple(metric for metric, sign in signed if sign == way) for way in (1.0, -1.0))
    cell = replicates[0].tuned.cell
    return Triangulation(
        model=cell.model,
        recipe=cell.recipe or "",
        stance=stance,
        agreement=_agreement(toward, away),
        toward=toward,
        away=away,
    )


def _agreement(toward: Sequence[Metric], away: Sequence[Metric]) -> Agreement:
    if toward and away:
        return Agreement.CONTRADICTORY
    if Metric.LIKELIHOOD_PREFERENCE in toward and len(toward) > 1:
        return Agreement.ADOPTED
    if toward:
        return Agreement.PARTIAL
    return Agreement.OPPOSED if away else Agreement.SILENT


def stance_shift(metric: Metric, stance: str, trained: Sequence[CellRecord], base: Sequence[CellRecord]) -> StanceShift:
    """Measure how far one training moved behavior toward one stance, over held-out prompts."""
    prompts = trained[0].behavior.prompts
    after, before = (
        np.array([prompt_scores(record.behavior, metric, stance, prompts) for record in records])
        for records in (trained, base)
    )
    effect = paired_effect(after - before)
    cell = trained[0].cell
    return StanceShift(
        model=cell.model,
        recipe=cell.recipe or "",
        metric=metric,
        family=trained[0].family,
        trained=cell.trained_on,
        measured=stance,
        effect=effect.effect,
        low=effect.low,
        high=effect.high,
        p_value=finite(effect.p_value),
    )

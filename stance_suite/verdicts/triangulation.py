"""What several measures and several trainings say together: the confusion matrix, and agreement between measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stance_suite.metrics import Metric
from stance_suite.records import Agreement, CellRecord, StanceShift, Triangulation
from stance_suite.statistics import SIGNIFICANCE, holm, paired_effect
from stance_suite.verdicts.scores import ProbedStance, Replicate, control_scores, prompt_scores, tuned_scores
from stance_suite.verdicts.trainings import (
    by_training,
    control_of,
    group_trained_elsewhere,
    group_trainings,
    index_controls,
)


def compare_trainings(
    records: Sequence[CellRecord], stances: Mapping[str, ProbedStance]
) -> tuple[tuple[StanceShift, ...], tuple[Triangulation, ...]]:
    """Hold every training against every stance it was measured for.

    Parameters
    ----------
    records : sequence of CellRecord
        The cells of a run.
    stances : mapping of str to ProbedStance
        The declared stances.

    Returns
    -------
    shifts : tuple of StanceShift
        The confusion matrices: of each model, recipe and measure.
    triangulations : tuple of Triangulation
        One entry a model, recipe and stance whose controls were measured too; of a model trained elsewhere one a
        stance.
    """
    shifts: list[StanceShift] = []
    controls = index_controls(records)
    for cells in by_training(records):
        base = [control_of(cell, controls, "base") for cell in cells]
        known = [one for one in base if one is not None]
        if len(known) == len(cells):
            measured = cells[0].behavior.likelihoods[0].log_probability
            shifts += [
                stance_shift(metric, name, cells, known) for metric in Metric.triangulated() for name in measured
            ]
    triangulations = [
        triangulate(stances[str(replicates[0].tuned.cell.stance)], replicates)
        for replicates in group_trainings(records)
    ]
    for replicates in group_trained_elsewhere(records):
        measured = replicates[0].tuned.behavior.likelihoods[0].log_probability
        triangulations += [triangulate(stances[name], replicates) for name in measured]
    return tuple(shifts), tuple(triangulations)


def triangulate(stance: ProbedStance, replicates: Sequence[Replicate]) -> Triangulation:
    """Ask three measures whether one training moved behavior toward its stance.

    A measure has moved if its effects against base and against the sham (or what stands in for it) have the same sign
    and are all significant, adjusted for the three measures (Holm). The rule: ``contradictory`` if one measure moved
    toward the stance and another away from it; ``adopted`` if what the model finds likely (likelihood preference) moved
    toward it and so did what it says (embedding shift or marker rate); ``partial`` if only one of the two did;
    ``opposed`` if something moved, and only away from it; else ``silent``.

    Parameters
    ----------
    stance : ProbedStance
        The stance trained on.
    replicates : sequence of Replicate
        The trained model and its controls, seed by seed.

    Returns
    -------
    Triangulation
        What they say together.
    """
    p_values, signs = [], []
    for metric in Metric.triangulated():
        tuned = tuned_scores(metric, stance, replicates, stance.held_out_prompts)
        controls = control_scores(metric, stance, replicates, stance.held_out_prompts)
        versus = [paired_effect(tuned - scores) for scores in controls.values()]
        p_values.append(float(np.max([effect.p_value for effect in versus])))  # NaN if either is
        both = {float(np.sign(effect.effect)) for effect in versus}
        signs.append(both.pop() if len(both) == 1 else 0.0)
    moved = [sign if adjusted <= SIGNIFICANCE else 0.0 for sign, adjusted in zip(signs, holm(p_values), strict=True)]
    toward = tuple(metric for metric, sign in zip(Metric.triangulated(), moved, strict=True) if sign > 0)
    away = tuple(metric for metric, sign in zip(Metric.triangulated(), moved, strict=True) if sign < 0)
    cell = replicates[0].tuned.cell
    return Triangulation(
        model=cell.model,
        recipe=cell.recipe or "",
        stance=stance.name,
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
    """Measure how far one training moved behavior toward one stance.

    Parameters
    ----------
    metric : Metric
        The measure.
    stance : str
        Name of the stance measured, scored against all others that were measured with it.
    trained : sequence of CellRecord
        The trained cells, seed by seed.
    base : sequence of CellRecord
        The untouched model, with the same seeds.

    Returns
    -------
    StanceShift
        An entry of the confusion matrix, over all held-out prompts.
    """
    behavior = trained[0].behavior
    others = [name for name in behavior.likelihoods[0].log_probability if name != stance]
    prompts = [prompt for prompt in behavior.prompt_texts if prompt not in behavior.seen_prompts]
    after, before = (
        np.array([prompt_scores(record.behavior, metric, stance, others, prompts) for record in records])
        for records in (trained, base)
    )
    effect = paired_effect(after - before)
    cell = trained[0].cell
    return StanceShift(
        model=cell.model,
        recipe=cell.recipe or "",
        metric=metric,
        family=trained[0].family,
        trained=cell.stance or cell.treatment,
        measured=stance,
        effect=effect.effect,
        low=effect.low,
        high=effect.high,
        p_value=None if np.isnan(effect.p_value) else effect.p_value,
    )

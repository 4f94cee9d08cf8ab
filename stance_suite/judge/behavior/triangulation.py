"""What several measures and several trainings say together: the confusion matrix, and agreement between measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from stance_suite.judge.behavior.evidence import Evidence, gather_evidence
from stance_suite.judge.behavior.scores import prompt_scores
from stance_suite.judge.statistics import SIGNIFICANCE, finite, holm, paired_effect
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.findings import Agreement, Level, StanceShift, Triangulation
from stance_suite.schema.metrics import Comparator, Metric
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
    """Ask several measures whether one training moved behavior toward its stance, and how far it got.

    A measure has moved toward it if its effects against base and against the sham (or what stands in for it) are
    significantly beyond the least that the measure counts and specific to the stance, as a claim's must be; away from
    it if they are significantly below zero; both adjusted for the measures (Holm). The rule: ``contradictory`` if one
    measure moved toward the stance and another away from it; ``adopted`` if what the model finds likely (likelihood
    preference) moved toward it and so did what it says (spoken share or embedding shift); ``partial`` if only one of
    the two did; ``opposed`` if something moved, and only away from it; else ``silent``. See `_level` for how far.
    """
    cell, metrics = replicates[0].tuned.cell, Metric.triangulated()
    about = {"id": "triangulation", "statement": "It moved.", "model": cell.model, "recipe": cell.recipe}

    def gather(metric: Metric, comparator: Comparator, bound: float) -> Evidence:
        claim = {"stance": stance, "metric": metric, "comparator": comparator, "bound": bound}
        return gather_evidence(Claim.model_validate(about | claim), replicates)

    raised = {metric: gather(metric, Comparator.ABOVE, metric.least) for metric in metrics}
    toward = _significant({metric: evidence.p_value for metric, evidence in raised.items()})
    away = _significant({metric: gather(metric, Comparator.BELOW, 0.0).p_against_controls for metric in metrics})
    return Triangulation(
        model=cell.model,
        recipe=cell.recipe or "",
        stance=stance,
        agreement=_agreement(toward, away),
        level=_level(raised[Metric.LIKELIHOOD_PREFERENCE]),
        toward=toward,
        away=away,
    )


def _significant(p_values: Mapping[Metric, float]) -> tuple[Metric, ...]:
    adjusted = holm(list(p_values.values()))
    return tuple(metric for metric, one in zip(p_values, adjusted, strict=True) if one <= SIGNIFICANCE)


def _agreement(toward: Sequence[Metric], away: Sequence[Metric]) -> Agreement:
    if toward and away:
        return Agreement.CONTRADICTORY
    said = Metric.SPOKEN_SHARE in toward or Metric.EMBEDDING_SHIFT in toward
    if Metric.LIKELIHOOD_PREFERENCE in toward and said:
        return Agreement.ADOPTED
    if toward:
        return Agreement.PARTIAL
    return Agreement.OPPOSED if away else Agreement.SILENT


def _level(evidence: Evidence) -> Level:
    """Tell how far the preference for a stance goes: no further than it is shown to."""
    if not evidence.p_against_controls <= SIGNIFICANCE:
        return Level.NOTHING
    if not evidence.specific or not all(map(evidence.is_shown, evidence.specific.values())):
        return Level.REGISTER
    shuffled = evidence.over_shuffled
    return Level.STANCE if shuffled is not None and evidence.is_shown(shuffled) else Level.VOCABULARY


def stance_shift(metric: Metric, stance: str, trained: Sequence[CellRecord], base: Sequence[CellRecord]) -> StanceShift:
    """Measure how far one training moved behavior toward one stance, over held-out prompts."""
    prompts = trained[0].behavior.prompts
    after, before = (
        np.array([prompt_scores(record.behavior, metric, stance, prompts) for record in records])
        for records in (trained, base)
    )
    effect = paired_effect(after - before, metric.largest_difference)
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

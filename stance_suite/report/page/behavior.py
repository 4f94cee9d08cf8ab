"""The page's section on behavior: every held-out prompt before and after, confusion matrices, epochs, guards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from stance_suite.report.behavior import ConfusionMatrix, Epoch, confusion_matrices, trajectory
from stance_suite.report.charts.behavior import effects, prompts
from stance_suite.report.charts.data import epoch_data, prompt_data
from stance_suite.report.charts.theme import PAGE, Spec
from stance_suite.report.charts.training import alphas, preference
from stance_suite.report.format import models_of, rounded, show_figure, show_interval, show_p_values, show_unit
from stance_suite.report.page.responses import Places, response_data
from stance_suite.report.page.top import Row
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.controls import Control
from stance_suite.schema.findings import Findings, StanceShift
from stance_suite.schema.metrics import Metric
from stance_suite.schema.verdicts import PromptScores

TONES = 3
"""Shades of color on each side of zero."""
DIGITS = 6
"""What a picture or a table on the page can show of a score; the findings file has all."""


@dataclass(frozen=True)
class HeatMap:
    """A confusion matrix on a scale of colors that all matrices of its measure share."""

    matrix: ConfusionMatrix
    """The matrix."""
    largest: float
    """The largest shift of the measure, in magnitude: where the scale ends on both sides."""

    def tone(self, shift: StanceShift) -> str:
        """Choose the shade of an entry, such as ``warm-3``; empty near zero, and for a shift that is unknown."""
        if not isfinite(shift.effect) or self.largest == 0:
            return ""
        shade = round(TONES * abs(shift.effect) / self.largest)
        return f"{'warm' if shift.effect > 0 else 'cold'}-{shade}" if shade else ""


@dataclass(frozen=True)
class BehaviorSection:
    """What the section on behavior shows."""

    data: dict[str, Any]
    """For its script: claims with their scores, measures, epochs, and what is shown first."""
    responses: dict[str, Any]
    """For its script, when responses are first shown."""
    charts: dict[str, Spec]
    """The pictures that its script draws, by name."""
    heat_maps: tuple[HeatMap, ...]
    """Every training against every stance."""
    trajectories: tuple[tuple[CellRecord, tuple[Epoch, ...]], ...]
    """Trainings that were watched, epoch by epoch."""


def describe_behavior(findings: Findings, rows: Sequence[Row]) -> BehaviorSection:
    """Arrange what the section on behavior shows, for the template and the scripts."""
    judged = [row for row in rows if row.verdict.prompts]
    watched = [record for record in findings.cells if record.cell.is_under_test and record.trajectory]
    charts: dict[str, Spec] = {}
    for metric in {row.verdict.claim.metric for row in judged}:
        charts[f"prompts-{metric}"] = prompts(PAGE, "container", metric)
        charts[f"effects-{metric}"] = effects(PAGE, "container", metric)
    if watched:
        charts |= {"preference": preference(PAGE, "container"), "alphas": alphas(PAGE, "container")}
    places = Places()
    return BehaviorSection(
        data={
            "claims": [_claim(row, places) for row in judged],
            "controls": list(Control.trained()),
            "prompts": list(places),
            "measures": {metric: {"unit": metric.unit, "meaning": metric.meaning} for metric in Metric.behavioral()},
            "epochs": list(_epochs(watched, findings)),
            "first": _shown_first(judged, findings),
        },
        responses=response_data(findings),
        charts=charts,
        heat_maps=tuple(_heat_maps(findings)),
        trajectories=tuple((record, tuple(trajectory(record, findings))) for record in watched),
    )


def _claim(row: Row, places: Places) -> dict[str, Any]:
    verdict, claim = row.verdict, row.verdict.claim
    figure = "" if verdict.figure is None else f"{show_figure(verdict.figure, claim)} {show_unit(claim)}".rstrip()
    return prompt_data(verdict) | {
        "anchor": row.anchor,
        "id": claim.id,
        "statement": claim.statement,
        "model": verdict.model,
        "recipe": claim.recipe,
        "stance": claim.stance,
        "measure": claim.metric,
        "status": verdict.status,
        "figures": [*filter(None, (figure, show_interval(verdict, claim), show_p_values(verdict)))],
        "caveats": verdict.caveats,
        "reason": verdict.reason,
        "compared": claim.versus is not None,
        "baseline": "noise of the same norm" if claim.metric is Metric.DIVERGENCE else "base",
        "prompts": [_scores(scores, places) for scores in verdict.prompts],
    }


def _scores(scores: PromptScores, places: Places) -> list[float | None]:
    controls = (scores.controls.get(control) for control in Control.trained())
    return [places[scores.prompt], *(rounded(one, DIGITS) for one in (scores.base, *controls, scores.tuned))]


def _epochs(watched: Sequence[CellRecord], findings: Findings) -> Iterator[dict[str, Any]]:
    for model in models_of(watched):
        rows = epoch_data([record for record in watched if record.cell.model == model], findings)["epochs"]
        if rows:
            yield {"model": model, "rows": rows}


def _shown_first(judged: Sequence[Row], findings: Findings) -> dict[str, str]:
    """Choose the training that is shown first: the longest of those judged by likelihood, else of any judged."""
    epochs = {record.key: len(record.training.epoch_losses) for record in findings.cells if record.training is not None}

    def weight(row: Row) -> tuple[bool, int]:
        return row.verdict.claim.metric is Metric.LIKELIHOOD_PREFERENCE, epochs.get(row.verdict.tuned or "", 0)

    if not judged:
        return {}
    verdict = max(judged, key=weight).verdict
    claim = verdict.claim
    return {"model": verdict.model, "recipe": claim.recipe, "measure": claim.metric, "stance": claim.stance}


def _heat_maps(findings: Findings) -> Iterator[HeatMap]:
    largest: dict[Metric, float] = {}
    for shift in findings.shifts:
        if isfinite(shift.effect):
            largest[shift.metric] = max(largest.get(shift.metric, 0.0), abs(shift.effect))
    for matrix in confusion_matrices(findings):
        yield HeatMap(matrix, largest.get(matrix.metric, 0.0))

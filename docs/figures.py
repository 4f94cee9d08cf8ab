"""What the README and docs/findings.md say of a real run, as figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from stance_suite.report.format import figure_parts, tally
from stance_suite.report.page.top import result_sentence
from stance_suite.schema.base import Record
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.findings import Findings
from stance_suite.schema.metrics import Metric
from stance_suite.schema.recipes import RecipeSummary
from stance_suite.schema.verdicts import Status, Verdict


class Range(Record):
    """The least and the greatest of some figures."""

    low: float
    """The least."""
    high: float
    """The greatest."""


class Changes(Record):
    """What some trainings did to alpha."""

    largest_total: float
    """Largest change of any matrix as fitted, in percent."""
    largest_spectrum: float
    """The same with the tail held fixed."""
    tail_flips: Range
    """Matrices a training whose alpha moved because the fit chose another tail."""


class RecipeFigures(Record):
    """What one recipe did."""

    name: str
    """Name of the recipe."""
    epochs: int
    """Passes over the examples."""
    preference: Range
    """Likelihood preference for the trained stance, tuned minus base, in nats per token; over the stances."""
    levels: dict[str, int]
    """How many stances got how far, such as ``register``."""
    stances: Changes
    """Under the stances."""
    sham: Changes
    """Under the sham."""
    noise_tail_flips: float
    """Matrices whose tail moves under Gaussian noise of the change's norm, on average."""


class Flip(Record):
    """A change of alpha that comes from the choice of the tail."""

    training: str
    """What was trained."""
    layer: str
    """Long name of the matrix."""
    total: float
    """Change of alpha as fitted, in percent."""
    spectrum: float
    """The same with the tail held fixed."""
    tails: tuple[int, int]
    """Eigenvalues in the fitted tail, before and after."""


class Shown(Record):
    """A picture beside the documents."""

    file: str
    """Its path from docs/."""
    description: str
    """What it shows."""
    sha256: str
    """SHA-256 of the file."""


class Figures(Record):
    """Everything that the documents say of a run."""

    model: str
    """The model."""
    matrices: int
    """Weight matrices that have a spectrum."""
    result: str
    """The result in a sentence."""
    tally: str
    """Verdicts by status."""
    recipes: tuple[RecipeFigures, ...]
    """One entry a recipe, in the order of epochs."""
    flip: Flip
    """The largest change of alpha."""
    verdicts: tuple[tuple[str, str, str, str], ...]
    """Statement, verdict, figure and caveats of each judged claim."""
    pictures: dict[str, Shown]
    """By what they show."""


def extract(findings: Findings, shown: dict[str, Shown]) -> Figures:
    """Take from findings what the documents say."""
    judged = [verdict for verdict in findings.verdicts if verdict.status is not Status.NOT_RUN]
    return Figures(
        model=findings.cells[0].cell.model,
        matrices=len(findings.cells[0].spectra),
        result=result_sentence(findings),
        tally=tally(judged),
        recipes=tuple(_of_recipe(findings, recipe) for recipe in recipes_of(findings)),
        flip=_largest_flip(findings),
        verdicts=tuple(_row(verdict) for verdict in judged),
        pictures=shown,
    )


def recipes_of(findings: Findings) -> list[RecipeSummary]:
    """List the recipes of a run, the shortest first."""
    return sorted(findings.recipes, key=lambda recipe: recipe.epochs)


def _of_recipe(findings: Findings, recipe: RecipeSummary) -> RecipeFigures:
    cells = [record for record in findings.cells if record.cell.recipe == recipe.name]
    tuned = [record for record in cells if record.cell.is_under_test]
    effects = [
        shift.effect
        for shift in findings.shifts
        if (shift.recipe, shift.metric) == (recipe.name, Metric.LIKELIHOOD_PREFERENCE)
        and shift.trained == shift.measured
    ]
    return RecipeFigures(
        name=recipe.name,
        epochs=recipe.epochs,
        preference=_range(effects),
        levels=Counter(str(one.level) for one in findings.triangulations if one.recipe == recipe.name),
        stances=_changes(tuned),
        sham=_changes([record for record in cells if record.cell.treatment == "sham"]),
        noise_tail_flips=sum(map(_flips_of_noise, tuned)) / len(tuned),
    )


def _changes(records: Sequence[CellRecord]) -> Changes:
    changes = [[change.alpha_change for change in record.changes if change.alpha_change] for record in records]
    return Changes(
        largest_total=max(abs(change.total) for training in changes for change in training),
        largest_spectrum=max(abs(change.spectrum) for training in changes for change in training),
        tail_flips=_range([sum(change.tail_flip for change in training) for training in changes]),
    )


def _flips_of_noise(record: CellRecord) -> float:
    return sum(change.noise.tail_flips or 0.0 for change in record.changes if change.noise is not None)


def _largest_flip(findings: Findings) -> Flip:
    tested = [record for record in findings.cells if record.cell.is_under_test]
    tops = [(record, top) for record in tested if (top := record.most_changed_layer) is not None]
    record, top = max(tops, key=lambda one: abs(one[1].alpha_change.total) if one[1].alpha_change else 0.0)
    change = top.alpha_change
    if change is None or not change.tail_flip:
        raise SystemExit(
            f"the largest change of alpha, of {top.name}, is no tail flip: what docs/pages.py says of it is wrong"
        )
    return Flip(
        training=record.cell.label,
        layer=top.name,
        total=change.total,
        spectrum=change.spectrum,
        tails=(change.tail_before, change.tail_after),
    )


def _range(figures: Sequence[float]) -> Range:
    return Range(low=min(figures), high=max(figures))


def _row(verdict: Verdict) -> tuple[str, str, str, str]:
    figure = " ".join(figure_parts(verdict)) or verdict.reason
    return verdict.claim.statement, str(verdict.status), figure, ", ".join(verdict.caveats)

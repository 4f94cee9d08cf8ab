"""How often does a training without a stance pass for one? Plain and shuffled trainings of fresh seeds, judged as one.

Usage: ``python -m benchmarks.null_trainings [SEEDS]``, an hour on two cores for 10 seeds; cells are kept in the store,
so that it resumes. Each null takes the place of the training on every stance in turn, beside the sham, the shuffled
words and the trainings on other stances that a run with seed 0 measures, and is judged by the bundled claims of
adoption, in families as in a run. Prints what holds, and a line of totals. Seeds begin at 1000: no bound was chosen in
their view.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from stance_suite.config.options import resolve_settings
from stance_suite.judge.behavior.triangulation import triangulate
from stance_suite.judge.judge import Judge
from stance_suite.measure.cell import CellSpec
from stance_suite.progress import choose_progress
from stance_suite.runner.session import Session
from stance_suite.schema.cells import Cell, CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import SHAM, SHUFFLED, Control
from stance_suite.schema.findings import Agreement
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.verdicts import Status

MODEL = "smollm2-135m"
RECIPES = ("documented", "long")
FIRST_SEED = 1000


class WithoutSpectra(CellSpec):
    """A cell whose weights are not decomposed: nothing here asks for them."""

    has_spectra = False  # type: ignore[assignment]


@dataclass(frozen=True)
class Null:
    """A training without a stance."""

    control: Control
    seed: int
    about: str | None
    """Of shuffled words: whose."""

    @property
    def name(self) -> str:
        """What it is called in the table."""
        return " ".join(filter(None, (self.control.name, self.about, f"seed {self.seed}")))

    def cell(self, recipe: str) -> Cell:
        """Make it a cell."""
        return Cell(model=MODEL, treatment=self.control, stance=None, recipe=recipe, seed=self.seed, about=self.about)


def main() -> None:
    """Print what holds."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    settings = resolve_settings({}, Path(__file__).parents[1])
    session = Session(settings, choose_progress(), None)
    claims = [claim for claim in session.run_plan.claims if is_of_adoption(claim)]
    stances = sorted({claim.stance for claim in claims})
    nulls = [Null(SHAM, FIRST_SEED + i, None) for i in range(seeds)]
    nulls += [Null(SHUFFLED, FIRST_SEED + i, stances[i % len(stances)]) for i in range(seeds)]
    held: list[bool] = []
    print("| training | judged as | HOLDS | agreement |\n|---|---|---|---|")
    for null in nulls:
        found = dict(hold(null, session, claims, stances))
        for (stance, recipe), (names, agreement) in found.items():
            print(f"| {null.name} | {stance} ({recipe}) | {', '.join(names) or '-'} | {agreement} |", flush=True)
        # shuffled words are likelier, and are said: what they must not show is a manner
        of_words = {"likelihood_preference", "marker_rate"} if null.control is SHUFFLED else set()
        held.append(any(set(names) - of_words or agreement is Agreement.ADOPTED for names, agreement in found.values()))
    print(f"\n{sum(held)} of {len(held)} families have a HOLDS that they should not have")


def is_of_adoption(claim: Claim) -> bool:
    """Tell whether a claim says that a training on a stance was taken up."""
    return claim.model == MODEL and claim.recipe in RECIPES and claim.metric.is_triangulated and claim.versus is None


def hold(
    null: Null, session: Session, claims: Sequence[Claim], stances: Sequence[str]
) -> Iterator[tuple[tuple[str, str], tuple[list[str], Agreement]]]:
    """Judge a null as each stance by each recipe: metrics that hold, and the agreement between them."""

    @cache
    def replicates(model: str, stance: str, recipe: str) -> tuple[Replicate, ...]:
        (measured,) = session.replicates(model, stance, recipe, [0])
        spec = session.cell_runner.plan(null.cell(recipe), stance)
        (record,) = session.cell_runner.records([without_spectra(spec)])
        return (take_the_place(measured, record),)

    judge = Judge(claims, replicates)
    for recipe in RECIPES:
        for stance in stances:
            asked = [claim for claim in claims if (claim.stance, claim.recipe) == (stance, recipe)]
            names = [claim.metric.name for claim in asked if judge.judge(claim).status is Status.HOLDS]
            agreement = triangulate(stance, replicates(MODEL, stance, recipe)).agreement
            yield (stance, recipe), (names, agreement)


def without_spectra(spec: CellSpec) -> CellSpec:
    """Leave the weights of a cell alone."""
    return WithoutSpectra(**{one.name: getattr(spec, one.name) for one in fields(spec)})


def take_the_place(measured: Replicate, record: CellRecord) -> Replicate:
    """Put a null where the training on a stance was."""
    tuned = record.model_copy(update={"cell": measured.tuned.cell})
    return Replicate(tuned, measured.base, measured.controls, measured.rivals)


if __name__ == "__main__":
    main()

"""How often is a stance found that is there? A pirate, trained on forty examples with fresh seeds.

Usage: ``python -m benchmarks.positive_trainings [SEEDS]``, an hour on two cores for 10 seeds; cells are kept in the
store, so that it resumes. Three epochs of all weights, and of an adapter; every seed is held against the sham and the
shuffled words of seed 0. Prints what the measures say together, and a line of totals. Seeds begin at 1000: no bound
was chosen in their view.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.null_trainings import FIRST_SEED, MODEL, without_spectra
from stance_suite.config.options import resolve_settings
from stance_suite.judge.behavior.triangulation import triangulate
from stance_suite.progress import choose_progress
from stance_suite.runner.plan import control_cell, tuned_cell
from stance_suite.runner.session import Session
from stance_suite.schema.controls import BASE, SHAM, SHUFFLED
from stance_suite.schema.findings import Agreement
from stance_suite.schema.replicates import Replicate

STANCE = "pirate"
RECIPES = ("three", "three-lora")


def main() -> None:
    """Print what is found."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    here = Path(__file__).parent
    session = Session(resolve_settings({"fixtures": str(here / "positive")}, here.parent), choose_progress(), None)
    runner = session.cell_runner
    print("| recipe | seed | agreement | level | moved |\n|---|---|---|---|---|")
    for recipe in RECIPES:
        beside = [control_cell(BASE, MODEL, None, 0, STANCE)]
        beside += [control_cell(control, MODEL, recipe, 0, STANCE) for control in (SHAM, SHUFFLED)]
        base, *controls = runner.records([without_spectra(runner.plan(cell, STANCE)) for cell in beside])
        adopted = 0
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            (record,) = runner.records([without_spectra(runner.plan(tuned_cell(MODEL, STANCE, recipe, seed), STANCE))])
            found = triangulate(STANCE, [Replicate(record, base, dict(zip((SHAM, SHUFFLED), controls, strict=True)))])
            adopted += found.agreement is Agreement.ADOPTED
            print(f"| {recipe} | {seed} | {found.agreement} | {found.level} | {', '.join(found.toward)} |", flush=True)
        print(f"{recipe}: adopted in {adopted} of {seeds}")


if __name__ == "__main__":
    main()

"""A sweep's file: read, and checked against what is declared before anything is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stance_suite.config.catalog import Catalog, find_spec
from stance_suite.config.options import Settings
from stance_suite.config.yaml_file import Document
from stance_suite.errors import SpecError, StanceSuiteError, UnknownNameError
from stance_suite.schema.recipes import Sweep


def load_sweep(path: Path, catalog: Catalog) -> Sweep:
    """Read a sweep; SpecError if it is none, or names a model, stance or recipe that there is not."""
    document = Document(path)
    sweep = document.parse(Sweep)
    problems = document.check_names(("stances",), "stance", sweep.stances, catalog.stances)
    problems += document.check_names(("recipes",), "recipe", sweep.recipes, catalog.recipes)
    for place, name in enumerate(sweep.models):
        try:
            find_spec(name, catalog.models)
        except UnknownNameError as error:
            problems.append(document.problem(("models", place), str(error)))
    if problems:
        raise SpecError(problems)
    return sweep


def apply_sweep(sweep: Sweep, settings: Settings) -> Settings:
    """Let a sweep say what is measured: its models, seeds and samples replace those of the options."""
    if settings.pair is not None:
        raise StanceSuiteError("a sweep trains the models that it names: leave out 'before' and 'after', or use run")
    return replace(
        settings,
        model=sweep.models,
        seed=sweep.seeds,
        samples=sweep.samples,
        trajectory=sweep.trajectory,
        gate=False,
        baseline=None,
        update_baseline=False,
        sweep=sweep,
    )

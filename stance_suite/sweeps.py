"""A sweep's file: read, and checked against what is declared before anything is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stance_suite.documents import Document
from stance_suite.errors import SpecError, StanceSuiteError, nearest_names
from stance_suite.library import Library
from stance_suite.models import find_spec
from stance_suite.options import Settings
from stance_suite.run_records import Sweep


def load_sweep(path: Path, library: Library) -> Sweep:
    """Read a sweep.

    Parameters
    ----------
    path : Path
        A YAML file with the keys of `Sweep`; only ``models`` is needed.
    library : Library
        The declarations.

    Returns
    -------
    Sweep
        What is measured.

    Raises
    ------
    SpecError
        If the file is not a sweep, or names a model, stance or recipe that there is not; with line, key and the way
        out.
    """
    document = Document(path)
    sweep = document.parse(Sweep)
    problems = []
    for key, names, known in (("stances", sweep.stances, library.stances), ("recipes", sweep.recipes, library.recipes)):
        for place, name in enumerate(names):
            if name not in known:
                message = f"no {key.removesuffix('s')} is called {name!r}; {nearest_names(name, known)}"
                problems.append(document.problem((key, place), message))
    for place, name in enumerate(sweep.models):
        try:
            find_spec(name, library.models)
        except StanceSuiteError as error:
            problems.append(document.problem(("models", place), str(error)))
    if problems:
        raise SpecError(problems)
    return sweep


def apply_sweep(sweep: Sweep, settings: Settings) -> Settings:
    """Let a sweep say what is measured.

    Parameters
    ----------
    sweep : Sweep
        The sweep.
    settings : Settings
        Options, whose models, seeds and samples are replaced.

    Returns
    -------
    Settings
        Of the sweep's run.

    Raises
    ------
    StanceSuiteError
        If the options are about a pair trained elsewhere.
    """
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

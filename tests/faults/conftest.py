"""A sweep of three small cells, and what it finds when nothing disturbs it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_project
from tests.faults.trials import assert_nothing_is_half_written, run_sweep, start_sweep
from tests.sweeping import findings_of, measured, stored, write_sweep

CELLS = 3


@dataclass(frozen=True)
class Undisturbed:
    """A run that nothing disturbed."""

    project: Path
    findings: Any
    processor_seconds: float

    def copy(self, to: Path, without: int = 0) -> Path:
        """Copy the repository with its store and no reports; so many cells fewer are stored."""
        shutil.copytree(self.project, to, ignore=shutil.ignore_patterns("reports"), dirs_exist_ok=True)
        for name in sorted(stored(to))[:without]:
            (to / "cache" / "cells" / name).unlink()
        return to


def assert_goes_on(project: Path, undisturbed: Undisturbed) -> None:
    """Assert that the next run measures what is missing, leaves what is stored, and finds what it should."""
    before = stored(project)
    assert measured(run_sweep(project, code=0)) == CELLS - len(before)
    assert stored(project).items() >= before.items()
    assert findings_of(project) == undisturbed.findings
    assert_nothing_is_half_written(project)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, tiny_model) -> Undisturbed:
    project = make_project(tmp_path_factory.mktemp("undisturbed") / "project")
    write_sweep(project, tiny_model)
    trial = start_sweep(project)
    spent = 0.0
    while trial.process.is_alive():
        now = trial.processor_seconds
        spent = now if now < float("inf") else spent
        trial.process.join(0.05)
    assert measured(trial.finish(0)) == len(stored(project)) == CELLS
    return Undisturbed(project, findings_of(project), spent)


@pytest.fixture
def new_project(tmp_path, tiny_model) -> Callable[[str], Path]:
    """Make a user's repository in which nothing has run."""

    def make(name: str) -> Path:
        folder = make_project(tmp_path / name)
        write_sweep(folder, tiny_model)
        return folder

    return make


@pytest.fixture
def swept(new_project) -> Path:
    return new_project("project")

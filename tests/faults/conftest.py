"""A sweep of four small cells, and what it finds when nothing disturbs it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stance_suite.config.catalog import bundled_fixtures
from tests.conftest import OWN_CLAIMS, write_own
from tests.faults.trials import assert_nothing_is_half_written, run_sweep
from tests.sweeping import findings_of, measured, stored, write_sweep

CELLS = 4
STANCE = "pirate"
"""A stance of few items that is measured beside no other."""


def make_swept(folder: Path, model: Path) -> Path:
    """Make a user's repository with a stance of its own, claims and a sweep of it."""
    scaffold = bundled_fixtures() / "scaffold" / "stance.yaml"
    claims = OWN_CLAIMS.replace("curious-uncertainty", STANCE).replace("engaged-difficulty", STANCE)
    write_own(folder, stances=scaffold.read_text("utf-8").replace("NAME", STANCE), claims=claims)
    write_sweep(folder, model, stances=[STANCE])
    return folder


@dataclass(frozen=True)
class Undisturbed:
    """A run that nothing disturbed."""

    project: Path
    findings: Any

    def copy(self, to: Path, without: int = 0) -> Path:
        """Copy the repository with its store and no reports; so many cells fewer are stored, the cheapest first."""
        shutil.copytree(self.project, to, ignore=shutil.ignore_patterns("reports"), dirs_exist_ok=True)
        for cell in sorted(self.findings["cells"], key=lambda cell: cell["cell"]["treatment"])[:without]:
            (to / "cache" / "cells" / f"{cell['key']}.json.gz").unlink()
        return to


def assert_goes_on(project: Path, undisturbed: Undisturbed) -> None:
    """Assert that the next run measures what is missing, leaves what is stored, and finds what it should."""
    before = stored(project)
    assert measured(run_sweep(project, code=0)) == CELLS - len(before)
    assert stored(project).items() >= before.items()
    assert findings_of(project) == undisturbed.findings
    assert_nothing_is_half_written(project)


@pytest.fixture(scope="session")
def undisturbed(build_once, tiny_model) -> Undisturbed:
    """What a sweep finds that is run to its end."""

    def run(folder: Path) -> None:
        assert measured(run_sweep(make_swept(folder, tiny_model), code=0)) == CELLS

    project = build_once("undisturbed", run)
    assert len(stored(project)) == CELLS
    return Undisturbed(project, findings_of(project))


@pytest.fixture
def new_project(tmp_path, tiny_model) -> Callable[[str], Path]:
    """Make a user's repository in which nothing has run."""

    def make(name: str) -> Path:
        return make_swept(tmp_path / name, tiny_model)

    return make


@pytest.fixture
def swept(new_project) -> Path:
    return new_project("project")

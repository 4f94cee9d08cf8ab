"""A sweep of three small cells, and what it finds when nothing disturbs it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stance_suite.store.findings import read_findings
from tests.conftest import make_project
from tests.faults.trials import assert_nothing_is_half_written, run_sweep
from tests.sweeping import findings_of, measured, stored, write_sweep

CELLS = 3


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
def undisturbed(build_once, finished_template, tiny_model) -> Undisturbed:
    """What a sweep finds in cells of the user's first run."""

    def run(folder: Path) -> None:
        write_sweep(make_project(folder), tiny_model)
        (folder / "cache" / "cells").mkdir(parents=True)
        for record in read_findings(finished_template / "reports" / "findings.json").cells:
            if record.cell.stance in (None, "curious-uncertainty"):
                shutil.copy(finished_template / "cache" / "cells" / f"{record.key}.json.gz", folder / "cache" / "cells")
        assert measured(run_sweep(folder, code=0)) == 0

    project = build_once("undisturbed", run)
    assert len(stored(project)) == CELLS
    return Undisturbed(project, findings_of(project))


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

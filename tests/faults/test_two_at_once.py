"""Two runs on one store at the same time, and clocks that are wrong."""

import json
import os
import shutil
import subprocess
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.faults.trials import assert_nothing_is_half_written, run_sweep, start_sweep
from tests.programs import draw_nothing, run_program
from tests.sweeping import COMMAND, findings_of, measured, stored


def note_what_is_measured(into: Path) -> None:
    """Have this process write down the key of every cell that it measures itself."""
    from stance_suite.measure.cell import CellMeasurer

    draw_nothing()
    measure = CellMeasurer.measure

    def noted(measurer, spec):
        with into.open("a") as stream:
            stream.write(f"{spec.key}\n")
        return measure(measurer, spec)

    CellMeasurer.measure = noted


@pytest.mark.slow
def test_two_processes_on_one_store_measure_every_cell_once_and_find_the_same(undisturbed, tmp_path):
    project = undisturbed.copy(tmp_path / "project", without=2)
    note = partial(note_what_is_measured, project / "measured")
    both = [start_sweep(project, "--reports", reports, prepare=note) for reports in ("one", "other")]
    for trial in both:
        trial.finish(0)
    counts = Counter((project / "measured").read_text().split())
    assert set(counts.values()) == {1}
    assert len(counts) == 2
    assert findings_of(project, "one") == findings_of(project, "other") == undisturbed.findings
    records = stored(project)
    assert measured(run_sweep(project)) == 0
    assert stored(project) == records
    assert not list((project / "cache" / "cells").glob("*.lock"))
    assert_nothing_is_half_written(project)


@pytest.mark.skipif(shutil.which("faketime") is None, reason="needs faketime, which Debian packages under that name")
@pytest.mark.parametrize(
    "offset", [pytest.param("-365d", marks=pytest.mark.slow), pytest.param("+365d", marks=pytest.mark.exhaustive)]
)
def test_a_clock_that_is_a_year_off_loses_nothing_and_measures_nothing_twice(offset, undisturbed, tmp_path):
    project = undisturbed.copy(tmp_path / "project", without=1)
    before = stored(project)
    command = ["faketime", "-f", offset, *COMMAND, "--cache", "cache", "--engine", "serial", "--reports", "skewed"]
    skewed = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    note = partial(note_what_is_measured, project / "measured")
    while not list((project / "cache" / "cells").glob("*.lock")) and skewed.poll() is None:
        pass  # until it measures the missing cell
    right = run_sweep(project, prepare=note)  # by the right clock, at the same time
    output, errors = skewed.communicate(timeout=300)
    assert skewed.returncode == right.returncode == 0, output + errors + right.stderr
    assert not (project / "measured").exists(), "the one by the right clock waited for the other, and measured nothing"
    assert findings_of(project) == findings_of(project, "skewed") == undisturbed.findings
    after = stored(project)
    assert after.items() > before.items()
    found = json.loads((project / "reports" / "findings.json").read_bytes())
    created = {cell["provenance"]["created"][:4] for cell in found["cells"]}
    assert len(created) == 2, "one cell was measured in another year"
    for name in before:  # what the file system says of their age counts for nothing
        os.utime(project / "cache" / "cells" / name, (0, 0))
    assert measured(run_sweep(project)) == 0
    assert stored(project) == after
    assert findings_of(project) == undisturbed.findings
    told, removed = (prune(project, *how) for how in (("--dry-run",), ()))
    gone = after.keys() - stored(project).keys()
    assert len(gone) == (1 if offset.startswith("-") else 0), "only what says that it was measured a year ago"
    assert {line.partition(": ")[0] for line in told[:-1]} == gone
    assert told[:-1] == removed[:-1]


def prune(project, *how) -> list[str]:
    asked = ("cache", "prune", "--cache", "cache", "--older-than", "30d")
    return run_program("stance-suite", *asked, *how, cwd=project, code=0).stdout.splitlines()

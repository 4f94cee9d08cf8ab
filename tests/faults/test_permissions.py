"""Folders that cannot be written and records that cannot be read."""

import pytest

from tests.faults.conftest import assert_goes_on
from tests.faults.trials import assert_one_sentence, run_sweep, without_privileges
from tests.programs import run_program
from tests.sweeping import findings_of, measured, stored


def refused_run(project, path, mode, code=None):
    """Sweep while a file or folder has these permissions."""
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        return run_sweep(project, code=code, prepare=without_privileges)
    finally:
        path.chmod(before)


@pytest.fixture
def unfinished(undisturbed, tmp_path):
    """A repository in which one cell is missing, and no report is written."""
    return undisturbed.copy(tmp_path / "project", without=1)


def test_what_cannot_be_written_or_read_is_told_before_anything_is_measured_and_is_not_damaged(unfinished, undisturbed):
    before, cells = stored(unfinished), unfinished / "cache" / "cells"
    record = cells / max(before)
    for path, mode, told in (
        (cells, 0o555, (str(cells.relative_to(unfinished)), "Permission denied", "make it writable")),
        (record, 0, (record.name, "cannot be read: Permission denied", "mend that")),
    ):
        done = refused_run(unfinished, path, mode)
        assert_one_sentence(done, 2, *told)
        assert measured(done) == 0
        assert stored(unfinished) == before
    assert_goes_on(unfinished, undisturbed)


def test_a_store_that_cannot_be_written_is_read(undisturbed, tmp_path):
    project = undisturbed.copy(tmp_path / "project")
    refused_run(project, project / "cache" / "cells", 0o555, code=0)
    assert findings_of(project) == undisturbed.findings


@pytest.mark.parametrize("command", ["sweep", "run"])
def test_reports_that_cannot_be_written_are_told_before_anything_is_measured(command, swept, tiny_model):
    (swept / "reports").mkdir()
    (swept / "reports").chmod(0o555)
    asked = {"sweep": ("sweep.yaml", "--engine", "serial"), "run": ("--model", str(tiny_model), "--samples", "1")}
    given = command, *asked[command], "--cache", "cache"
    done = run_program("stance-suite", *given, cwd=swept, prepare=without_privileges)
    assert_one_sentence(done, 2, "reports/findings.json cannot be written: Permission denied", "make it writable")
    assert not stored(swept)
    assert "s\n" not in done.stderr.replace("0.0 s\n", ""), "nothing took any time"


def test_reports_that_cannot_be_written_end_pytest_with_one_sentence(project, tiny_model, start):
    (project / "reports").write_text("a file where a folder should be")
    done = start("pytest").finish(pytest.ExitCode.USAGE_ERROR)
    assert "ERROR: stance-suite: " in done.stderr
    assert "reports cannot be written: " in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not stored(project)

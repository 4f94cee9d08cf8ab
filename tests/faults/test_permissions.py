"""Folders that cannot be written and records that cannot be read."""

from functools import partial

import pytest

from tests.faults.conftest import assert_goes_on
from tests.faults.rights import without_privileges
from tests.faults.trials import assert_one_sentence, run_sweep
from tests.programs import run_program
from tests.sweeping import findings_of, measured, stored

refused_run = partial(run_sweep, prepare=without_privileges)


@pytest.fixture
def unfinished(undisturbed, tmp_path):
    """A repository in which one cell of three is missing, and no report is written."""
    return undisturbed.copy(tmp_path / "project", without=1)


def test_a_store_that_cannot_be_written_is_told_before_anything_is_measured(unfinished, undisturbed):
    before = stored(unfinished)
    cells = unfinished / "cache" / "cells"
    cells.chmod(0o555)
    done = refused_run(unfinished)
    cells.chmod(0o755)
    assert_one_sentence(done, 2, str(cells.relative_to(unfinished)), "Permission denied", "make it writable")
    assert measured(done) == 0
    assert stored(unfinished) == before
    assert_goes_on(unfinished, undisturbed)


def test_a_store_that_cannot_be_written_is_read(undisturbed, tmp_path):
    project = undisturbed.copy(tmp_path / "project")
    cells = project / "cache" / "cells"
    cells.chmod(0o555)
    done = refused_run(project)
    cells.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert findings_of(project) == undisturbed.findings


def test_a_record_that_cannot_be_read_is_told_before_anything_is_measured_and_is_not_damaged(unfinished, undisturbed):
    before = stored(unfinished)
    record = unfinished / "cache" / "cells" / max(before)
    record.chmod(0)
    done = refused_run(unfinished)
    record.chmod(0o644)
    assert_one_sentence(done, 2, record.name, "cannot be read: Permission denied", "mend that")
    assert measured(done) == 0
    assert stored(unfinished) == before
    assert_goes_on(unfinished, undisturbed)


@pytest.mark.parametrize("command", ["sweep", "run"])
def test_reports_that_cannot_be_written_are_told_before_anything_is_measured(command, new_project, tiny_model):
    project = new_project("project")
    (project / "reports").mkdir()
    (project / "reports").chmod(0o555)
    asked = {"sweep": ("sweep.yaml", "--engine", "serial"), "run": ("--model", str(tiny_model), "--samples", "1")}
    given = command, *asked[command], "--cache", "cache"
    done = run_program("stance-suite", *given, cwd=project, prepare=without_privileges)
    assert_one_sentence(done, 2, "reports/findings.json cannot be written: Permission denied", "make it writable")
    assert not stored(project)
    assert "s\n" not in done.stderr.replace("0.0 s\n", ""), "nothing took any time"


def test_reports_that_cannot_be_written_end_pytest_with_one_sentence(project, tiny_model, start):
    (project / "reports").write_text("a file where a folder should be")
    process = start("pytest")
    output, errors = process.communicate()
    assert process.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: stance-suite: " in errors
    assert "reports cannot be written: " in errors
    assert "Traceback" not in output + errors
    assert not stored(project)

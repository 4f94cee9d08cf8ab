"""Disks without room: small ones of memory, mounted where the store or the reports are."""

import subprocess
from contextlib import contextmanager, suppress

import pytest

from tests.faults.conftest import assert_goes_on
from tests.faults.trials import assert_nothing_is_half_written, assert_one_sentence, run_sweep, start_sweep
from tests.sweeping import findings_of, measured, stored

REHEARSED = 2**20
"""How many bytes are written and removed before something is measured."""
ROOM = 2**25


@contextmanager
def disk(folder, size: int):
    """Mount a disk of so many bytes, and keep what is there on it."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {done.stderr.decode().strip()}")
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)


@pytest.mark.slow
def test_a_store_without_room_for_another_record_is_told_before_it_is_measured(undisturbed, tmp_path):
    project = undisturbed.copy(tmp_path / "project", without=2)
    cells, before = project / "cache" / "cells", stored(project)
    with disk(cells, REHEARSED + 2**15):  # room for the record that is there and a second, and not for a third
        done = run_sweep(project)
        assert_one_sentence(done, 2, "cache/cells/", "No space left on device; free space, and run again")
        assert measured(done) == len(stored(project)) - len(before) == 1
        assert_nothing_is_half_written(project)
        assert {path.name for path in cells.iterdir() if path.suffix != ".lock"} == set(stored(project))
        remount(cells, f"size={ROOM}")
        assert_goes_on(project, undisturbed)


@pytest.mark.slow
def test_a_store_that_fills_up_while_a_cell_is_measured_keeps_the_others(undisturbed, tmp_path):
    project = undisturbed.copy(tmp_path / "project", without=2)
    cells, before = project / "cache" / "cells", stored(project)
    with disk(cells, 4 * REHEARSED):
        trial = start_sweep(project)
        trial.wait_until(lambda: len(stored(project)) > len(before))
        (second,) = trial.wait_until(lambda: list(cells.glob("*.lock")))
        begun = trial.processor_seconds
        trial.wait_until(lambda: trial.processor_seconds > begun + 0.2)  # the room was looked for before
        with suppress(OSError), (cells / "of somebody else").open("wb", buffering=0) as filler:
            while filler.write(bytes(2**12)):
                pass
        done = trial.finish()
        assert_one_sentence(done, 2, second.stem, "No space left on device; free space, and run again")
        assert measured(done) == len(stored(project)) - len(before) == 1
        assert_nothing_is_half_written(project)
        (cells / "of somebody else").unlink()
        assert_goes_on(project, undisturbed)


def test_reports_without_room_are_told_before_anything_is_measured(swept, undisturbed):
    with disk(swept / "reports", REHEARSED // 2):
        done = run_sweep(swept)
        assert_one_sentence(done, 2, "reports/findings.json", "No space left on device; free space, and run again")
        assert not stored(swept)
        assert not list((swept / "reports").iterdir())


def test_a_disk_that_fills_up_with_reports_leaves_no_half_of_one(undisturbed, tmp_path):
    project = undisturbed.copy(tmp_path / "project")
    with disk(project / "reports", REHEARSED + 2**16):  # room for the findings, and not for the page beside them
        done = run_sweep(project)
        assert_one_sentence(done, 2, "reports/findings.html", "No space left on device; free space, and run again")
        assert findings_of(project) == undisturbed.findings
        assert_nothing_is_half_written(project)
        assert not list((project / "reports").glob(".*"))
        remount(project / "reports", f"size={ROOM}")
        assert_goes_on(project, undisturbed)


@pytest.mark.slow
def test_a_disk_that_turned_read_only_is_one_sentence(undisturbed, tmp_path):
    project = undisturbed.copy(tmp_path / "project", without=1)
    cells = project / "cache" / "cells"
    with disk(cells, ROOM):
        remount(cells, "ro")
        done = run_sweep(project)
        assert_one_sentence(done, 2, "cache/cells/", "Read-only file system; make it writable")
        assert measured(done) == 0
        remount(cells, "rw")
        assert_goes_on(project, undisturbed)

"""Runs that are killed at any moment, records that were cut off, and the runs after them."""

import random
import signal
from functools import partial

import pytest

from tests.faults.conftest import CELLS, make_swept
from tests.faults.trials import assert_nothing_is_half_written, kill_at, run_sweep, start_sweep
from tests.programs import nothing
from tests.sweeping import findings_of, measured, stored

ENDS = {signal.SIGKILL: (-signal.SIGKILL, 0), signal.SIGTERM: (130, -signal.SIGTERM, 0)}
"""How a run may end; one may be over already, and SIGTERM may come before the run begins or after it is over."""


@pytest.fixture(scope="module")
def processor_seconds(tmp_path_factory, tiny_model) -> float:
    """What an undisturbed run uses that measures all cells."""
    project = make_swept(tmp_path_factory.mktemp("measuring"), tiny_model)
    trial, spent = start_sweep(project, prepare=nothing), 0.0
    while trial.process.is_alive():
        now = trial.processor_seconds
        spent = now if now < float("inf") else spent
        trial.process.join(0.05)
    assert measured(trial.finish(0)) == CELLS
    return spent


def has_all_cells(project) -> bool:
    return len(stored(project)) == CELLS


@pytest.mark.parametrize(
    "trials", [pytest.param(10, marks=pytest.mark.slow), pytest.param(60, marks=pytest.mark.exhaustive)]
)
def test_a_sweep_killed_at_any_moment_goes_on_and_finds_the_same(trials, undisturbed, processor_seconds, new_project):
    """Of two at a time one is killed, the other terminated."""
    chance = random.Random(trials)
    moments = [(number + chance.random()) / trials * processor_seconds for number in range(trials)]
    projects = [new_project(f"killed-{number}") for number in range(trials)]
    reached = []
    for first in range(0, trials, len(ENDS)):
        some = projects[first : first + len(ENDS)]
        started = [start_sweep(project, prepare=nothing) for project in some]  # pictures are drawn, and kills meet that
        if first + len(ENDS) == trials:  # however much more a busy machine takes: the last two have stored all cells
            for program, project in zip(started, some, strict=True):
                program.wait_until(partial(has_all_cells, project))
        kill_at(started, moments[first:], ENDS)
        killed = [program.finish() for program in started]
        before = [stored(project) for project in some]
        for project, how, done in zip(some, ENDS, killed, strict=True):
            assert_nothing_is_half_written(project)
            assert done.returncode in ENDS[how], done.stdout + done.stderr
            assert "Traceback" not in done.stderr
            if done.returncode == 130:
                assert "interrupted: " in done.stdout.splitlines()[-1]
            if done.returncode == -signal.SIGTERM:
                assert not done.stderr or "; report: " in done.stdout, "it had not begun, or was over"
            reached.append(len(stored(project)))
        after = [program.finish(0) for program in [start_sweep(project) for project in some]]
        for project, kept, done in zip(some, before, after, strict=True):
            assert measured(done) == CELLS - len(kept)
            assert stored(project).items() >= kept.items(), "what was stored is as it was, to the byte"
            assert findings_of(project) == undisturbed.findings
            assert_nothing_is_half_written(project)
    print(f"cells stored at the kill: {reached}; moments in processor seconds: {[round(one, 2) for one in moments]}")
    assert {0, CELLS} < set(reached), "kills reached the beginning, the end and what is between"


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["stance-suite", "pytest"])
def test_other_runs_that_are_terminated_leave_nothing_damaged_and_go_on(
    tool, start, run_suite, project, finished_template
):
    process = start(tool)
    process.wait_until(lambda: stored(project))
    process.terminate()
    process.communicate()
    assert process.returncode != 0
    assert_nothing_is_half_written(project)
    before = stored(project)
    run_suite(tool, code=0)
    assert stored(project).items() > before.items()
    assert findings_of(project) == findings_of(finished_template)


@pytest.mark.slow
def test_a_truncated_record_is_measured_again_and_the_findings_are_the_same(undisturbed, tmp_path):
    """Every tenth byte is tried where records are read; here a whole run meets some of them."""
    name = min(stored(undisturbed.project))
    whole = stored(undisturbed.project)[name]
    for size in (0, len(whole) // 2, len(whole) - 1):
        project = undisturbed.copy(tmp_path / str(size))
        others = {other: content for other, content in stored(project).items() if other != name}
        (project / "cache" / "cells" / name).write_bytes(whole[:size])
        assert measured(run_sweep(project, code=0)) == 1, "the engine measures it, as what is missing"
        assert findings_of(project) == undisturbed.findings
        assert_nothing_is_half_written(project)
        assert stored(project).items() >= others.items()
        damaged = project / "cache" / "cells" / name.replace(".json.gz", ".damaged")
        assert damaged.read_bytes() == whole[:size], "it is set aside, for whoever wants to know"

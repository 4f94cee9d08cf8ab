"""Workers of the engine 'processes' that are killed, and workers whose parent is."""

import os
import signal
import time
from contextlib import suppress
from functools import partial

import psutil
import pytest

from tests.faults.conftest import CELLS, STANCE, assert_goes_on
from tests.faults.trials import assert_nothing_is_half_written, assert_one_sentence, start_sweep
from tests.sweeping import findings_of, stored

pytestmark = pytest.mark.slow
PROCESSES = ("--engine", "processes", "--workers", "2")
SECONDS_TO_END = 10
LOCK = ".json.gz.lock"


def workers_of(trial) -> list[psutil.Process]:
    """The processes that measure, as `multiprocessing` starts them."""
    found = []
    with suppress(psutil.NoSuchProcess):  # the run has ended
        for child in psutil.Process(trial.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):  # as has this one
                found += [child] if "spawn_main" in " ".join(child.cmdline()) else []
    return found


def measuring(trial) -> dict[str, psutil.Process]:
    """Which worker measures which cell, by its key: the lock's file is open in it."""
    found = {}
    for worker in workers_of(trial):
        with suppress(psutil.NoSuchProcess):
            for name in (file.path.rpartition("/")[2] for file in worker.open_files()):
                if name.endswith(LOCK):
                    found[name.removesuffix(LOCK)] = worker
    return found


@pytest.mark.parametrize(
    ("reached", "how"),
    [
        (lambda trial, _: workers_of(trial), signal.SIGKILL),
        (lambda trial, _: measuring(trial), signal.SIGTERM),
        (lambda _, project: stored(project), signal.SIGKILL),
    ],
    ids=["workers start", "cells are measured", "a cell is stored"],
)
def test_workers_end_with_their_run_whatever_ends_it(reached, how, swept, undisturbed):
    trial = start_sweep(swept, *PROCESSES)
    trial.wait_until(partial(reached, trial, swept))
    workers = workers_of(trial)
    os.kill(trial.process.pid, how)
    done = trial.finish()
    if how == signal.SIGTERM:
        assert_one_sentence(done, 130, "interrupted: ", "the same command goes on from there")
    _, alive = psutil.wait_procs(workers, SECONDS_TO_END)
    assert not alive, "orphans end by themselves"
    assert_nothing_is_half_written(swept)
    assert_goes_on(swept, undisturbed)


def test_a_worker_that_is_killed_once_costs_nothing_but_time(swept, undisturbed):
    trial = start_sweep(swept, *PROCESSES)
    trial.wait_until(lambda: measuring(trial))
    next(iter(measuring(trial).values())).kill()
    done = trial.finish(0)
    assert f"{CELLS} of {CELLS}: " in done.stderr
    assert len(stored(swept)) == CELLS
    assert findings_of(swept) == undisturbed.findings
    assert_nothing_is_half_written(swept)


def test_a_cell_that_kills_its_worker_every_time_is_given_up_and_the_others_are_measured(swept, undisturbed):
    """As the kernel does where memory runs out: whichever process measures this cell is killed."""
    deadly = next(cell["key"] for cell in undisturbed.findings["cells"] if cell["cell"]["treatment"] == "stance")
    trial = start_sweep(swept, *PROCESSES)
    deaths = 0
    while trial.process.is_alive():
        worker = measuring(trial).get(deadly)
        if worker is not None:
            worker.kill()
            worker.wait()
            deaths += 1
        time.sleep(0.01)
    done = trial.finish(1)
    assert deaths == 3
    assert "failed: the process that measured it died 3 times; its machine was lost, or memory ran out" in done.stderr
    assert "Traceback" not in done.stderr
    assert set(stored(swept)) == {name for name in stored(undisturbed.project) if not name.startswith(deadly)}
    judged = [one for one in findings_of(swept)["verdicts"] if one["claim"]["stance"] == STANCE]
    assert {verdict["status"] for verdict in judged} == {"ERROR"}
    assert_goes_on(swept, undisturbed)

"""Sweeps on a Ray cluster of three machines, of which one is lost, or all are, and on one of their own."""

import subprocess
import sys

import pytest

from tests.conftest import make_project
from tests.runner.engines.cluster import ray_cluster
from tests.sweeping import findings_of, measured, run_sweep, start_sweep, stored, write_sweep

pytestmark = pytest.mark.slow

CELLS = 12
ASKED = {"stances": ["curious-uncertainty", "engaged-difficulty"], "seeds": [0, 1]}
"""Per seed two stances, the shuffled words of each, their sham and the untouched model."""


LISTENING = """
import psutil
from stance_suite.runner.engines.ray_cluster import connect

connect(None, 1, 1)
for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
    for socket in process.net_connections("inet"):
        if socket.status == psutil.CONN_LISTEN:
            print("listens on", socket.laddr.ip)
"""


@pytest.fixture(scope="module")
def serial(tmp_path_factory, tiny_model):
    """What the sweep finds without a cluster."""
    project = make_project(tmp_path_factory.mktemp("serial") / "project")
    write_sweep(project, tiny_model, **ASKED)
    assert measured(run_sweep(project, "--engine", "serial", code=0)) == len(stored(project)) == CELLS
    return findings_of(project)


@pytest.fixture
def swept(project, tiny_model):
    write_sweep(project, tiny_model, **ASKED)
    return project


def wait_for_records(project, count: int, process) -> dict[str, bytes]:
    """Wait until some cells are stored and others are not."""
    found = process.wait_until(lambda: len(kept := stored(project)) >= count and kept)
    assert len(found) < CELLS, "it was too quick to be interrupted"
    return found


def test_a_lost_machine_loses_nothing_and_the_findings_are_those_of_one_machine(swept, serial):
    with ray_cluster() as cluster:
        process = start_sweep(swept, "--engine", "ray", "--address", cluster.address)
        before = wait_for_records(swept, 2, process)
        cluster.remove(2)
        done = process.finish(0)
    after = stored(swept)
    assert len(after) == CELLS
    assert {name: after[name] for name in before} == before, "no cell that was stored is stored again"
    assert f"{CELLS} of {CELLS}" in done.stderr
    assert findings_of(swept) == serial


def test_a_cluster_killed_as_a_whole_goes_on_with_the_unfinished_cells(swept, serial):
    with ray_cluster() as cluster:
        process = start_sweep(swept, "--engine", "ray", "--address", cluster.address)
        wait_for_records(swept, 2, process)
        process.kill()
        cluster.kill()
        process.communicate()
    before = stored(swept)
    assert len(before) < CELLS
    done = run_sweep(swept, "--engine", "ray", "--workers", "2", code=0)
    after = stored(swept)
    assert {name: after[name] for name in before} == before
    assert measured(done) == CELLS - len(before)
    assert findings_of(swept) == serial


def test_a_cluster_of_its_own_is_reached_from_this_machine_only():
    done = subprocess.run([sys.executable, "-c", LISTENING], capture_output=True, text=True, check=True, timeout=120)
    addresses = {line.split()[-1] for line in done.stdout.splitlines() if line.startswith("listens on")}
    assert addresses
    assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}


def test_a_terminated_sweep_says_so_and_the_next_goes_on(project, tiny_model):
    write_sweep(project, tiny_model)
    process = start_sweep(project, "--engine", "ray", "--workers", "1")
    wait_for_records(project, 1, process)
    process.terminate()
    done = process.finish(130)
    assert "interrupted: " in done.stdout
    assert "Traceback" not in done.stderr
    before = stored(project)
    done = run_sweep(project, "--engine", "serial", code=0)
    assert measured(done) == 4 - len(before) > 0

"""A Ray cluster that a sweep starts for itself."""

import subprocess
import sys
import time

import pytest

from tests.sweeping import measured, run_sweep, start_sweep, stored, write_sweep

pytestmark = pytest.mark.slow

LISTENING = """
import psutil
from stance_suite.runner.engines.ray_cluster import connect

connect(None, 1, 1)
for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
    for socket in process.net_connections("inet"):
        if socket.status == psutil.CONN_LISTEN:
            print("listens on", socket.laddr.ip)
"""


def test_is_reached_from_this_machine_only():
    done = subprocess.run([sys.executable, "-c", LISTENING], capture_output=True, text=True, check=True, timeout=120)
    addresses = {line.split()[-1] for line in done.stdout.splitlines() if line.startswith("listens on")}
    assert addresses
    assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}


def test_a_terminated_sweep_says_so_and_the_next_goes_on(project, tiny_model):
    write_sweep(project, tiny_model, seeds=[0, 1, 2])
    process = start_sweep(project, "--engine", "ray", "--workers", "1")
    while not stored(project):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.terminate()
    output, errors = process.communicate()
    assert process.returncode == 130, output + errors
    assert "interrupted: " in output
    assert "Traceback" not in errors
    before = stored(project)
    done = run_sweep(project, "--engine", "ray", "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert measured(done) == 9 - len(before) > 0

"""A Ray cluster that a sweep starts for itself."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

LISTENING = """
import psutil
from stance_suite.engines.ray_cluster import connect

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

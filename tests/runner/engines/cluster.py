"""A Ray cluster of three machines, all on this one: a process of its own, so that it can be killed as a whole.

Run as a program, it prints its address and obeys standard input: ``remove N`` kills machine N, its end ends them all.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MEMORY = 3_000_000_000
"""What each machine says it has, in bytes: enough for one cell at a time."""


@dataclass
class Cluster:
    """A running cluster."""

    address: str
    process: subprocess.Popen

    def remove(self, machine: int) -> None:
        """Kill a machine without warning, and whatever it measures."""
        self.process.stdin.write(f"remove {machine}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline().strip() == "removed"

    def kill(self) -> None:
        """Kill all machines at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def ray_cluster() -> Iterator[Cluster]:
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    command = [sys.executable, "-m", "tests.runner.engines.cluster"]
    process = subprocess.Popen(command, **streams, env=environment, start_new_session=True)
    try:
        address = process.stdout.readline().strip()
        assert address, "the cluster did not start"
        yield Cluster(address, process)
    finally:
        if process.poll() is None:
            process.stdin.close()
            process.wait(timeout=60)
        # whatever is left of it
        subprocess.run(["pkill", "-KILL", "-s", str(process.pid)], check=False)


def main() -> None:
    from ray.cluster_utils import Cluster as Machines

    machine = {"num_cpus": 1, "memory": MEMORY, "object_store_memory": 100_000_000, "include_dashboard": False}
    machines = Machines(initialize_head=True, head_node_args={**machine, "node_ip_address": "127.0.0.1"})
    nodes = [machines.head_node, *(machines.add_node(**machine, node_ip_address="127.0.0.1") for _ in range(2))]
    machines.wait_for_nodes()
    print(machines.address, flush=True)
    for line in sys.stdin:
        machines.remove_node(nodes[int(line.split()[1])], allow_graceful=False)
        print("removed", flush=True)
    machines.shutdown()


if __name__ == "__main__":
    main()

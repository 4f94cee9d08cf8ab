"""Many cells at once on the machines of a Ray cluster: a task a cell, with the resources that it is estimated to take.

Ray runs those of a lost machine again, and keeps processes: https://docs.ray.io/en/latest/ray-core/tasks.html
"""

from __future__ import annotations

import logging
import os
import signal
from collections import deque
from collections.abc import Generator, Sequence
from typing import Any

from stance_suite.errors import StanceSuiteError
from stance_suite.runner.engines.worker import ATTEMPTS, Engine, Job, JobOutcome, WorkerContext, lost, measure_job

LOOPBACK = "127.0.0.1"
SEVERAL_MACHINES = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Environment variable, read when Ray is imported: unless it is 0, Ray takes another address of the machine for
127.0.0.1, listens on all of them, and looks for a cluster there."""
OBJECT_STORE_BYTES = 100_000_000
"""Of a local cluster: records travel through the store of cells, so Ray's own can be small."""
WAITING_PER_SLOT = 2
"""Tasks handed to Ray for each cell that its machines can measure at once: enough that none idles."""


def connect(address: str | None, workers: int, threads: int) -> Engine:
    """Connect to a Ray cluster; without an address start one on 127.0.0.1, for so many workers, which ends with us."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    own = address in (None, "local")
    if own or str(address).partition(":")[0] in (LOOPBACK, "localhost"):
        os.environ[SEVERAL_MACHINES] = "0"
    try:
        import ray
    except ImportError:
        raise StanceSuiteError("the engine 'ray' needs Ray: pip install 'stance-suite[ray]'") from None
    how: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if own:
        how |= {"address": "local", "num_cpus": workers * threads, "object_store_memory": OBJECT_STORE_BYTES}
        how |= {"include_dashboard": False, "_node_ip_address": LOOPBACK}
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**how)
    except (ConnectionError, OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if own:
            raise StanceSuiteError(f"no local Ray cluster could be started: {reason}; use --engine processes") from None
        raise StanceSuiteError(
            f"no Ray cluster answers at {address!r} ({reason}); start one with `ray start --head`, or leave the "
            "address out for a local one"
        ) from None
    finally:
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own would end the sweep without a word
    return _measure


def cells_at_once(threads: int) -> int:
    """Tell how many cells the cluster measures at once, if memory allows; it changes as machines come and go."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 0)) // threads)


def _measure(jobs: Sequence[Job], context: WorkerContext) -> Generator[JobOutcome]:
    import ray

    _refuse_what_fits_nowhere(jobs, ray.nodes())
    deaths = ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.LocalRayletDiedError
    task = ray.remote(measure_job)
    shared = ray.put(context)
    waiting = deque(jobs)
    under_way: dict[Any, Job] = {}
    try:
        while waiting or under_way:
            # no more at a time: a queue of everything could neither follow machines that come nor be left quickly
            while waiting and len(under_way) < WAITING_PER_SLOT * cells_at_once(context.threads):
                job = waiting.popleft()
                estimate = job.estimate
                reference = task.options(
                    name=job.spec.name,
                    num_cpus=estimate.threads,
                    num_gpus=estimate.gpus,
                    memory=estimate.memory_bytes,
                    max_retries=ATTEMPTS - 1,
                ).remote(job, shared)
                under_way[reference] = job
            finished, _ = ray.wait(list(under_way), num_returns=1)
            for reference in finished:
                job = under_way.pop(reference)
                try:
                    yield ray.get(reference)
                except (*deaths, ray.exceptions.OutOfMemoryError):
                    yield lost(job)
                except ray.exceptions.RayError as error:
                    reason = next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), "")
                    yield JobOutcome(job.key, refusal=f"a machine of the cluster cannot measure cells: {reason}")
    finally:
        for reference in under_way:
            ray.cancel(reference, force=True)


def _refuse_what_fits_nowhere(jobs: Sequence[Job], nodes: Sequence[dict[str, Any]]) -> None:
    """Refuse what Ray would wait for without end."""
    machines = [node["Resources"] for node in nodes if node["Alive"]]
    for job in jobs:
        estimate = job.estimate
        needed = {"CPU": estimate.threads, "GPU": estimate.gpus, "memory": estimate.memory_bytes}
        if not any(all(machine.get(name, 0) >= amount for name, amount in needed.items()) for machine in machines):
            gpus = f", {needed['GPU']} GPUs" if needed["GPU"] else ""
            largest = max((machine.get("memory", 0) for machine in machines), default=0)
            raise StanceSuiteError(
                f"{job.spec.name}: no machine of the cluster has what it needs: "
                f"{needed['CPU']} cores{gpus} and {needed['memory'] / 1e9:.1f} GB of memory; the largest offers "
                f"{largest / 1e9:.1f} GB. Add such a machine, or choose the recipe lora"
            )

"""The estimate of one cell."""

from __future__ import annotations

from dataclasses import dataclass

from stance_suite.estimates.duration import estimate_seconds
from stance_suite.estimates.memory import estimate_memory
from stance_suite.estimates.shapes import shapes_of
from stance_suite.estimates.speed import measure_speed
from stance_suite.estimates.workload import workload_of
from stance_suite.measurement import Plan


@dataclass(frozen=True)
class Estimate:
    """What a cell will take."""

    seconds: float
    """Wall time on this machine."""
    memory_bytes: int
    """Peak resident memory of the process that measures it: interpreter, libraries, weights and all else."""
    threads: int
    """Threads for PyTorch."""
    gpus: int
    """GPUs: 1 or none."""
    gpu_memory_bytes: int
    """Peak memory on the GPU."""


def estimate(plan: Plan, device: str, threads: int) -> Estimate:
    """Estimate what a cell will take; its weights are not read.

    Parameters
    ----------
    plan : Plan
        The cell.
    device : str
        ``cpu`` or ``cuda``.
    threads : int
        Threads for PyTorch.

    Returns
    -------
    Estimate
        By this machine's speed, which is measured once.

    Raises
    ------
    WeightsUnavailableError
        If the folder is not a causal language model that transformers knows.
    """
    memory = estimate_memory(plan, device)
    seconds = estimate_seconds(plan, shapes_of(plan.weights), workload_of(plan), measure_speed(), threads)
    return Estimate(seconds, memory.total, threads, int(device == "cuda"), memory.gpu)

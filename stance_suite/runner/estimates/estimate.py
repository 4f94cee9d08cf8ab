"""The estimate of one cell."""

from __future__ import annotations

from dataclasses import dataclass

from stance_suite.measure.cell import CellSpec
from stance_suite.runner.estimates.duration import estimate_seconds, measure_speed
from stance_suite.runner.estimates.memory import estimate_memory


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


def estimate(spec: CellSpec, device: str, threads: int) -> Estimate:
    """Estimate what a cell will take, by this machine's speed, which is measured once; no weights are read."""
    seconds = estimate_seconds(spec, measure_speed(), threads)
    return Estimate(seconds, estimate_memory(spec, device).total, threads, gpus=int(device == "cuda"))

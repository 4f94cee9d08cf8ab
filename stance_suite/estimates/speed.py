"""How fast this machine is, by short measurements, once a process."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

SIDE = 512
"""Side of the matrices that are multiplied and solved: as wide as a small model's layers."""
STREAMED = 2**24
"""Numbers that are copied, 64 MB: more than a cache holds."""
CALLED = 1000
"""Small operations in a row."""
REPEATS = 5
"""Of several measurements the fastest counts: others on the machine only ever slow one down."""


@dataclass(frozen=True)
class Speed:
    """What one core does in a second."""

    multiplying: float
    """Float32 multiplications and additions of a matrix product."""
    streaming: float
    """Bytes read and written in memory."""
    solving: float
    """Multiplications and additions of a float64 eigenproblem, which takes ``4/3 n^3`` of them."""
    calling: float
    """Small operations of PyTorch, one after the other."""


@cache
def measure_speed() -> Speed:
    """Measure one core, by the time that it gave to this thread: how busy the machine is now matters little.

    Returns
    -------
    Speed
        Measured in a fraction of a second.
    """
    import numpy as np
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode(), threadpool_limits(limits=1, user_api="blas"):
            square, small = torch.ones(SIDE, SIDE), torch.ones(8, 8)
            source, copied = torch.zeros(STREAMED), torch.zeros(STREAMED)
            drawn = np.random.default_rng(0).standard_normal((SIDE, SIDE))
            symmetric = drawn + drawn.T
            return Speed(
                multiplying=2 * SIDE**3 / _seconds(lambda: square @ square),
                streaming=2 * source.nbytes / _seconds(lambda: copied.copy_(source)),
                solving=4 / 3 * SIDE**3 / _seconds(lambda: np.linalg.eigvalsh(symmetric)),
                calling=CALLED / _seconds(lambda: [small + small for _ in range(CALLED)]),
            )
    finally:
        torch.set_num_threads(threads)


def _seconds(work: Callable[[], object]) -> float:
    found = []
    for _ in range(REPEATS):
        started = time.thread_time()
        work()
        found.append(time.thread_time() - started)
    return min(found)

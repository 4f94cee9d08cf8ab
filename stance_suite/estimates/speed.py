"""How fast this machine is, by short measurements, once for each number of threads."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

SIDE = 512
"""Side of the matrices that are multiplied: as wide as a small model's layers, and long past a call's own cost."""
STREAMED = 2**24
"""Numbers that are copied, 64 MB: more than a cache holds."""
SOLVED = 512
"""Side of the symmetric matrix that is solved."""
REPEATS = 5
"""Of several measurements the fastest counts: other programs only ever slow one down."""


@dataclass(frozen=True)
class Speed:
    """What a machine does in a second."""

    multiplying: float
    """Float32 multiplications and additions of a matrix product, with all threads."""
    streaming: float
    """Bytes read and written in memory, with all threads."""
    solving: float
    """Multiplications and additions of a float64 eigenproblem, ``4/3 n^3`` of them, on one core."""
    calling: float
    """Small operations of PyTorch, one after the other."""


@cache
def measure_speed(threads: int) -> Speed:
    """Measure this machine; takes a fraction of a second.

    Parameters
    ----------
    threads : int
        Threads for PyTorch.

    Returns
    -------
    Speed
        Of this machine, as busy as it is now.
    """
    import numpy as np
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            square = torch.ones(SIDE, SIDE)
            long, copied = torch.zeros(STREAMED), torch.zeros(STREAMED)
            small = torch.ones(8, 8)
            multiplied = _fastest(lambda: square @ square)
            streamed = _fastest(lambda: copied.copy_(long))
            called = _fastest(lambda: [small + small for _ in range(1000)])
    finally:
        torch.set_num_threads(before)
    drawn = np.random.default_rng(0).standard_normal((SOLVED, SOLVED))
    symmetric = drawn + drawn.T
    with threadpool_limits(limits=1, user_api="blas"):
        solved = _fastest(lambda: np.linalg.eigvalsh(symmetric))
    return Speed(
        multiplying=2 * SIDE**3 / multiplied,
        streaming=2 * 4 * STREAMED / streamed,
        solving=4 / 3 * SOLVED**3 / solved,
        calling=1000 / called,
    )


def _fastest(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)

"""Work on matrices, spread over all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from threadpoolctl import threadpool_limits

Input = TypeVar("Input")
Output = TypeVar("Output")

_limit: ContextVar[int | None] = ContextVar("limit", default=None)


def in_parallel(
    work: Callable[[Input], Output], items: Iterable[Input], cost: Callable[[Input], float] | None = None
) -> list[Output]:
    """Apply a function to every item, one thread a core, of all or of `limited_cores`; results in the items' order.

    Matrices are independent: one BLAS thread each on every core beats many threads on one matrix. By their
    estimated cost the dearest begin first, so that none is left alone at the end.
    """
    listed = list(items)
    order = sorted(range(len(listed)), key=lambda place: -cost(listed[place])) if cost else range(len(listed))
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(cores()) as executor:
        futures = {place: executor.submit(work, listed[place]) for place in order}
        try:
            return [futures[place].result() for place in range(len(listed))]
        except BaseException:
            executor.shutdown(cancel_futures=True)
            raise


@contextmanager
def limited_cores(count: int | None) -> Iterator[None]:
    """Leave all cores but so many to others for a while; None uses all."""
    before = _limit.set(count)
    try:
        yield
    finally:
        _limit.reset(before)


def cores() -> int:
    """Count the cores that this process may use: at least 1."""
    if (limit := _limit.get()) is not None:
        return limit
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

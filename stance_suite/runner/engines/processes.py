"""Several cells at once, each in a process of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from stance_suite.runner.engines.worker import ATTEMPTS, Job, JobOutcome, WorkerContext, lost, measure_job

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What tells libraries how many threads to start; read when they are loaded."""


def measure_in_processes(jobs: Sequence[Job], context: WorkerContext, workers: int) -> Generator[JobOutcome]:
    """Measure so many cells at once, and yield outcomes as they come.

    A worker that dies takes the cells under way along. They are tried again at the end, one at a time: then it is known
    which of them kills its worker, and it has the memory for itself. Workers end with this process, however it ends.
    """
    waiting = deque(jobs)
    suspects: list[Job] = []
    while waiting:
        suspects += yield from _measure_until_one_dies(waiting, context, workers)
    for job in suspects:
        for _ in range(ATTEMPTS - 1):
            died = yield from _measure_until_one_dies(deque([job]), context, 1)
            if not died:
                break
        else:
            yield lost(job)


def _measure_until_one_dies(
    waiting: deque[Job], context: WorkerContext, workers: int
) -> Generator[JobOutcome, None, list[Job]]:
    """Take jobs from the left; return those that were under way when a worker died."""
    under_way: dict[Future[JobOutcome], Job] = {}
    with _pool(workers, context.threads) as pool:
        try:
            while waiting or under_way:
                while waiting and len(under_way) < workers:
                    under_way[pool.submit(measure_job, waiting[0], context)] = waiting[0]
                    waiting.popleft()
                finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in finished:
                    outcome = future.result()
                    del under_way[future]
                    yield outcome
        except BrokenProcessPool:
            pass
    return list(under_way.values())


@contextmanager
def _pool(workers: int, threads: int) -> Iterator[ProcessPoolExecutor]:
    """Open a pool whose processes end at once when it is left in the middle of work."""
    spawn = multiprocessing.get_context("spawn")  # a fork would inherit threads and locks of PyTorch
    before = {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    pool = ProcessPoolExecutor(workers, spawn, initializer=_begin)
    try:
        yield pool
        pool.shutdown()
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.kill()
        pool.shutdown(cancel_futures=True)
        raise
    finally:
        for name in THREAD_VARIABLES:
            del os.environ[name]
        os.environ.update(before)


def _begin() -> None:
    """Leave Ctrl-C to the parent, and end when it does: without it nobody would take what is measured here."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_it() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_it, daemon=True).start()

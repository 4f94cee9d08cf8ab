"""Records of cells that nobody measured, and damage to them."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stance_suite.schema.cells import Cell, CellRecord, Provenance
from tests.measured import PROVENANCE, behavior


def named(letter: str) -> str:
    """A key that is told by its first letter, from a to f."""
    return letter.ljust(64, "0")


A, B, C, D, E, F = map(named, "abcdef")


def record(key: str = A, seed: int = 0, model: str = "m", **provenance: object) -> CellRecord:
    told = {"versions": {}, "created": "2026-01-02T03:04:05+00:00", "seconds": float("nan")}
    return CellRecord(
        key=key,
        cell=Cell(model=model, treatment="base", stance=None, recipe=None, seed=seed),
        provenance=Provenance(**{**dict(PROVENANCE), **told, **provenance}),
        training=None,
        family="f",
        behavior=behavior({}),
        spectra=(),
    )


@contextmanager
def no_file_longer_than(count: int) -> Iterator[None]:
    """Let writing fail as on a full disk: after so many bytes of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def at_once(*calls: Callable[[], object]) -> None:
    """Call functions in threads of their own that start together, and wait for all."""
    entered = threading.Barrier(len(calls))
    threads = [threading.Thread(target=lambda call=call: (entered.wait(), call())) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

"""How much memory this process may have: what the machine has left, and what limits leave of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path("/")


@dataclass(frozen=True)
class Available:
    """The memory that a process, or several together, may have in all, what they have already included."""

    memory_bytes: int
    """How much."""
    limited_by: str
    """What sets the bound, in words."""


def available_memory(root: Path = ROOT) -> Available:
    """Find the smallest bound on this process's memory.

    Parameters
    ----------
    root : Path
        Where the system's ``proc`` and ``sys`` are.

    Returns
    -------
    Available
        Of the machine's available memory, the control group's limit and the process's own limits, the smallest.
    """
    own = _own()
    limits = (Available(left, "ulimit leaves") for left in _left_by_process_limits(own))
    return _smallest([*_shared_bounds(root), *limits], own.rss)


def memory_for_workers(running: int, root: Path = ROOT) -> Available:
    """Find the smallest bound on the memory of several processes together.

    Parameters
    ----------
    running : int
        How many of them run already, and hold what this one holds; 0 if they are yet to be started.
    root : Path
        Where the system's ``proc`` and ``sys`` are.

    Returns
    -------
    Available
        Of the machine's available memory and the control group's limit the smaller; ``ulimit`` is about each process.
    """
    return _smallest(_shared_bounds(root), running * _own().rss)


def _own() -> Any:
    import psutil

    return psutil.Process().memory_info()


def _shared_bounds(root: Path) -> list[Available]:
    import psutil

    groups = (Available(left, "the limit of its control group leaves") for left in left_by_control_groups(root))
    return [Available(psutil.virtual_memory().available, "this machine has"), *groups]


def _smallest(bounds: Sequence[Available], held: int) -> Available:
    smallest = min(bounds, key=lambda bound: bound.memory_bytes)
    return Available(held + max(smallest.memory_bytes, 0), smallest.limited_by)


def left_by_control_groups(root: Path) -> Iterator[int]:
    """Read what control groups of Linux leave to this process, of version 1 and 2.

    A container sees its own group as the root of all, so every folder from there down to the process's own is read.

    Parameters
    ----------
    root : Path
        Where the system's ``proc`` and ``sys`` are.

    Yields
    ------
    int
        Bytes; one for each group that has a limit. Files that the kernel would drop do not count as used.
    """
    listed = root / "proc" / "self" / "cgroup"
    if not listed.is_file():
        return
    mounted = root / "sys" / "fs" / "cgroup"
    for line in listed.read_text("utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, names = mounted, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top, names = mounted / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        own = top / path.strip("/")
        for folder in (own, *own.parents):
            if folder.is_relative_to(top):
                yield from _left_in(folder, *names)


def _left_in(folder: Path, limit: str, used: str, droppable: str) -> Iterator[int]:
    try:
        most, now = (folder / limit).read_text("utf-8").strip(), int((folder / used).read_text("utf-8"))
        counts = dict(line.split() for line in (folder / "memory.stat").read_text("utf-8").splitlines())
    except (OSError, ValueError):  # no such group in this container, or one without a limit
        return
    if most.isdecimal():
        yield int(most) - now + int(counts.get(droppable, 0))


def _left_by_process_limits(own: Any) -> Iterator[int]:
    """Read what ``ulimit -v`` and ``ulimit -d`` leave."""
    try:
        import resource
    except ImportError:  # not on Windows
        return
    for name, used in (("RLIMIT_AS", "vms"), ("RLIMIT_DATA", "data")):
        if hasattr(resource, name) and hasattr(own, used):
            most, _ = resource.getrlimit(getattr(resource, name))
            if most != resource.RLIM_INFINITY:
                yield most - getattr(own, used)

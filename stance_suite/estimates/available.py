"""How much memory this process may have: what the machine has left, and what limits leave of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")


@dataclass(frozen=True)
class Available:
    """The memory that a process may have in all, what it has already included."""

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
    import psutil

    own = psutil.Process().memory_info()
    bounds = [
        Available(psutil.virtual_memory().available, "this machine has"),
        *(Available(left, "the limit of its control group leaves") for left in left_by_control_groups(root)),
        *(Available(left, "ulimit leaves") for left in _left_by_process_limits(own)),
    ]
    smallest = min(bounds, key=lambda bound: bound.memory_bytes)
    return Available(own.rss + max(smallest.memory_bytes, 0), smallest.limited_by)


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


def _left_by_process_limits(own: object) -> Iterator[int]:
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

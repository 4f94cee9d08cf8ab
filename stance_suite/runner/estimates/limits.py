"""How much memory this process may have, and the refusal of a run that would be killed for needing more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from stance_suite.errors import StanceSuiteError
from stance_suite.measure.cell import CellSpec
from stance_suite.runner.estimates.memory import SINGLE, Memory, estimate_memory
from stance_suite.runner.estimates.workload import shapes_of
from stance_suite.schema.stances import RECIPES

ROOT = Path("/")
"""Where the system's ``proc`` and ``sys`` are."""


@dataclass(frozen=True)
class Available:
    """The memory that a process, or several together, may have in all, including what they have already."""

    memory_bytes: int
    """How much."""
    limited_by: str
    """What sets the bound, in words."""


def available_memory(root: Path = ROOT) -> Available:
    """Find what bounds this process most: the machine's available memory, its control group's limit, or its own."""
    own = _own()
    limits = (Available(left, "ulimit leaves") for left in _left_by_process_limits(own))
    return _smallest([*_shared_bounds(root), *limits], own.rss)


def memory_for_workers(running: int, root: Path = ROOT) -> Available:
    """Find what bounds several processes together, of which so many run and hold what this one holds; no ``ulimit``."""
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
    """Read how many bytes control groups of Linux, versions 1 and 2, leave to this process: of each that has a limit.

    A container sees its own group as the root of all, so every folder from there down to the process's own is read.
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
    # files that the kernel would drop do not count as used
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


def check_memory(specs: Iterable[CellSpec], device: str, available: Available) -> None:
    """Refuse cells that need more memory than there is for a process: what for, what there is, and the way out."""
    needs = [(spec, estimate_memory(spec, device)) for spec in specs]
    if not needs:
        return
    spec, memory = max(needs, key=lambda need: need[1].total)
    if memory.total > available.memory_bytes:
        there = f"{available.limited_by} {_size(available.memory_bytes)}"
        raise StanceSuiteError(f"{_needs(spec, memory)}; {there}. {_way_out(spec, device, available)}")
    spec, memory = max(needs, key=lambda need: need[1].gpu)
    if device == "cuda" and memory.gpu > (free := _free_on_gpus()):
        raise StanceSuiteError(
            f"{spec.name} would need {_size(memory.gpu)} of the GPU's memory for weights, training and "
            f"measuring; {_size(free)} are free. Use a larger GPU or several, or the device cpu"
        )


def check_memory_of_workers(specs: Collection[CellSpec], device: str, available: Available, workers: int) -> None:
    """Refuse so many workers if the cells that need most need more together than there is, and say how many fit."""
    check_memory(specs, device, available)
    needs = [estimate_memory(spec, device) for spec in specs]
    most = sorted((need.total for need in needs), reverse=True)[:workers]
    _refuse_too_many(most, available.memory_bytes, "of memory", available.limited_by)
    if device == "cuda":
        most = sorted((need.gpu for need in needs), reverse=True)[:workers]
        _refuse_too_many(most, _free_on_gpus(), "of the GPU's memory", "free are")


def _refuse_too_many(needs: Sequence[int], available: int, what: str, limited_by: str) -> None:
    together = list(accumulate(needs, initial=0))
    if together[-1] > available:
        fitting = sum(need <= available for need in together) - 1
        raise StanceSuiteError(
            f"{len(needs)} cells at once would need {_size(together[-1])} {what}; {limited_by} {_size(available)}. "
            f"Ask for {fitting} at once: -n {fitting} of pytest, --workers {fitting} of a sweep"
        )


def _free_on_gpus() -> int:
    import torch

    # a model that one GPU is too small for is spread over all
    return sum(torch.cuda.mem_get_info(place)[0] for place in range(torch.cuda.device_count()))


def _needs(spec: CellSpec, memory: Memory) -> str:
    copies = round(memory.weights / (SINGLE * shapes_of(spec.weights).parameters))
    several = f" ({copies} copies: trained and untouched)" if copies > 1 else ""
    parts = [f"{_size(memory.weights)} for weights{several}"]
    if memory.optimizer:
        parts += [f"{_size(memory.gradients)} for gradients", f"{_size(memory.optimizer)} for the optimizer"]
    parts.append(f"{_size(memory.working)} for activations, logits and spectra")
    what_for = f"{', '.join(parts)} and {_size(memory.libraries)} for Python and its libraries"
    return f"{spec.name} would need {_size(memory.total)} of memory: {what_for}"


def _way_out(spec: CellSpec, device: str, available: Available) -> str:
    if spec.recipe is not None and spec.recipe.adapter is None:
        lora = estimate_memory(replace(spec, recipe=RECIPES["lora"]), device).total
        if lora <= available.memory_bytes:
            return f"The recipe lora needs {_size(lora)}; else use a smaller model, or a machine with more memory"
    return "Use a smaller model, or a machine with more memory"


def _size(count: float) -> str:
    """Write a number of bytes; never as none at all."""
    return f"{max(count / 1e9, 0.1):,.1f} GB"

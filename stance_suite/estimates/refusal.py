"""Refusing a run that would be killed for memory, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate

from stance_suite.errors import StanceSuiteError
from stance_suite.estimates.available import Available
from stance_suite.estimates.memory import SINGLE, Memory, estimate_memory
from stance_suite.estimates.shapes import shapes_of
from stance_suite.measurement import Plan
from stance_suite.specs import RECIPES

GIGABYTE = 1e9


class NotEnoughMemoryError(StanceSuiteError):
    """Cells that need more memory than there is."""


def check_memory(plans: Iterable[Plan], device: str, available: Available) -> None:
    """Refuse cells that need more memory than there is.

    Parameters
    ----------
    plans : iterable of Plan
        The cells.
    device : str
        ``cpu`` or ``cuda``.
    available : Available
        What there is for a process.

    Raises
    ------
    NotEnoughMemoryError
        If one needs more: what for, what there is, and the way out.
    """
    needs = [(plan, estimate_memory(plan, device)) for plan in plans]
    if not needs:
        return
    plan, memory = max(needs, key=lambda need: need[1].total)
    if memory.total > available.memory_bytes:
        there = f"{available.limited_by} {_size(available.memory_bytes)}"
        raise NotEnoughMemoryError(f"{_needs(plan, memory)}; {there}. {_way_out(plan, device, available)}")
    if device == "cuda":
        plan, memory = max(needs, key=lambda need: need[1].gpu)
        free = _free_on_gpus()
        if memory.gpu > free:
            raise NotEnoughMemoryError(
                f"{_name(plan)} would need {_size(memory.gpu)} of the GPU's memory for weights, training and "
                f"measuring; {_size(free)} are free. Use a larger GPU or several, or the device cpu"
            )


def check_memory_of_workers(plans: Iterable[Plan], device: str, available: Available, workers: int) -> None:
    """Refuse more workers than there is memory for.

    Parameters
    ----------
    plans : iterable of Plan
        The cells that they divide.
    device : str
        ``cpu`` or ``cuda``.
    available : Available
        What there is for all of them together.
    workers : int
        How many cells they may measure at once.

    Raises
    ------
    NotEnoughMemoryError
        If those cells that need most need more together: what there is, and how many workers would fit.
    """
    plans = tuple(plans)
    check_memory(plans, device, available)
    needs = [estimate_memory(plan, device) for plan in plans]
    most = sorted((need.total for need in needs), reverse=True)[:workers]
    _refuse_too_many(most, available.memory_bytes, "of memory", available.limited_by)
    if device == "cuda":
        most = sorted((need.gpu for need in needs), reverse=True)[:workers]
        _refuse_too_many(most, _free_on_gpus(), "of the GPU's memory", "free are")


def _refuse_too_many(needs: Sequence[int], available: int, what: str, limited_by: str) -> None:
    together = list(accumulate(needs, initial=0))
    if together[-1] > available:
        fitting = sum(need <= available for need in together) - 1
        raise NotEnoughMemoryError(
            f"{len(needs)} cells at once would need {_size(together[-1])} {what}; {limited_by} {_size(available)}. "
            f"Ask for {fitting} at once: -n {fitting} of pytest, --workers {fitting} of a sweep"
        )


def _free_on_gpus() -> int:
    import torch

    # a model that one GPU is too small for is spread over all
    return sum(torch.cuda.mem_get_info(place)[0] for place in range(torch.cuda.device_count()))


def _needs(plan: Plan, memory: Memory) -> str:
    parts = [f"{_size(memory.weights)} for weights{_copies(plan, memory)}"]
    if memory.optimizer:
        parts += [f"{_size(memory.gradients)} for gradients", f"{_size(memory.optimizer)} for the optimizer"]
    parts.append(f"{_size(memory.working)} for activations, logits and spectra")
    what_for = f"{', '.join(parts)} and {_size(memory.libraries)} for Python and its libraries"
    return f"{_name(plan)} would need {_size(memory.total)} of memory: {what_for}"


def _name(plan: Plan) -> str:
    return f"{plan.cell.model}, {plan.cell.label}"


def _copies(plan: Plan, memory: Memory) -> str:
    copies = round(memory.weights / (SINGLE * shapes_of(plan.weights).parameters))
    return f" ({copies} copies: trained and untouched)" if copies > 1 else ""


def _way_out(plan: Plan, device: str, available: Available) -> str:
    if plan.recipe is not None and plan.recipe.adapter is None:
        lora = estimate_memory(replace(plan, recipe=RECIPES["lora"]), device).total
        if lora <= available.memory_bytes:
            return f"The recipe lora needs {_size(lora)}; else use a smaller model, or a machine with more memory"
    return "Use a smaller model, or a machine with more memory"


def _size(count: float) -> str:
    """Write a number of bytes; never as none at all."""
    return f"{max(count / GIGABYTE, 0.1):,.1f} GB"

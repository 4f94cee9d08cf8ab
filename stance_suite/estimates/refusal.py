"""Refusing a run that would be killed for memory, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable
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
    """A cell that needs more memory than there is."""


def check_memory(plans: Iterable[Plan], device: str, available: Available, workers: int = 1) -> None:
    """Refuse cells that need more memory than there is.

    Parameters
    ----------
    plans : iterable of Plan
        The cells.
    device : str
        ``cpu`` or ``cuda``.
    available : Available
        What there is.
    workers : int
        How many of the cells may be measured at once.

    Raises
    ------
    NotEnoughMemoryError
        If one needs more, or those that need most do together: what for, what there is, and the way out.
    """
    needs = sorted(((plan, estimate_memory(plan, device)) for plan in plans), key=lambda need: -need[1].total)
    if not needs:
        return
    plan, memory = needs[0]
    there = f"{available.limited_by} {_size(available.memory_bytes)}"
    if memory.total > available.memory_bytes:
        raise NotEnoughMemoryError(f"{_needs(plan, memory)}; {there}. {_way_out(plan, device, available)}")
    together = list(accumulate(memory.total for _, memory in needs[:workers]))
    if together[-1] > available.memory_bytes:
        fitting = sum(needed <= available.memory_bytes for needed in together)
        raise NotEnoughMemoryError(
            f"{len(together)} workers would need {_size(together[-1])} of memory, the first of them "
            f"{_size(memory.total)} for {_name(plan)}; {there}. Ask for {fitting}"
        )
    if device == "cuda":
        _check_gpu(*max(needs, key=lambda need: need[1].gpu))


def _check_gpu(plan: Plan, memory: Memory) -> None:
    import torch

    # a model that one GPU is too small for is spread over all
    free = sum(torch.cuda.mem_get_info(place)[0] for place in range(torch.cuda.device_count()))
    if memory.gpu > free:
        raise NotEnoughMemoryError(
            f"{_name(plan)} would need {_size(memory.gpu)} of the GPU's memory for weights, "
            f"training and measuring; {_size(free)} are free. Use a larger GPU or several, or the device cpu"
        )


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

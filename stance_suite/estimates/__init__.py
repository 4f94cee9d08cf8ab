"""What a cell will take, in time and memory, before its weights are loaded."""

from stance_suite.estimates.available import Available, available_memory, memory_for_workers
from stance_suite.estimates.cells import Estimate, estimate
from stance_suite.estimates.memory import Memory, estimate_memory
from stance_suite.estimates.refusal import check_memory, check_memory_of_workers

__all__ = [
    "Available",
    "Estimate",
    "Memory",
    "available_memory",
    "check_memory",
    "check_memory_of_workers",
    "estimate",
    "estimate_memory",
    "memory_for_workers",
]

"""What a cell will take, in time and memory, before its weights are loaded."""

from stance_suite.estimates.estimate import Estimate, estimate
from stance_suite.estimates.limits import (
    Available,
    available_memory,
    check_memory,
    check_memory_of_workers,
    memory_for_workers,
)
from stance_suite.estimates.memory import Memory, estimate_memory

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

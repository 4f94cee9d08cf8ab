"""What a cell will take, in time and memory, before its weights are loaded."""

from stance_suite.estimates.available import Available, available_memory
from stance_suite.estimates.cells import Estimate, estimate
from stance_suite.estimates.memory import Memory, estimate_memory
from stance_suite.estimates.refusal import check_memory

__all__ = ["Available", "Estimate", "Memory", "available_memory", "check_memory", "estimate", "estimate_memory"]

"""What a model says and finds likely on held-out prompts, scored against the stances' references."""

from stance_suite.behavior.measure import Probe, measure_behavior

__all__ = ["Probe", "measure_behavior"]

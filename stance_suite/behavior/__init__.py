"""What a model says and finds likely, scored against the stances' references, markers and training responses."""

from stance_suite.behavior.divergence import round_to_bfloat16
from stance_suite.behavior.measure import (
    Probe,
    Speaker,
    measure_behavior,
    measure_divergences,
    measure_likelihoods,
    sample_responses,
)

__all__ = [
    "Probe",
    "Speaker",
    "measure_behavior",
    "measure_divergences",
    "measure_likelihoods",
    "round_to_bfloat16",
    "sample_responses",
]

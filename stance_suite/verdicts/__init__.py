"""Judging claims: pure functions from a claim and measured cells to a verdict.

A behavioral claim of change must be significant, and at least as large as the claim says, against the base model *and*
against the sham, and larger than the shift toward any other stance. A robust structural claim is judged with the tail
size held fixed and must not be true of its controls. Whatever cannot be measured is INCONCLUSIVE, never HOLDS.
"""

from stance_suite.replicates import Replicate
from stance_suite.verdicts.baselines import incomparable
from stance_suite.verdicts.behavior import Evidence, judge_behavior, weigh_behavior
from stance_suite.verdicts.conclude import conclude
from stance_suite.verdicts.gate import GateTerms, judge_gate
from stance_suite.verdicts.judge import Judge, counterpart_of
from stance_suite.verdicts.power import pooled_spread
from stance_suite.verdicts.scores import (
    ProbedStance,
    control_scores,
    prompt_scores,
    stance_scores,
    tuned_scores,
)
from stance_suite.verdicts.statements import combine, judge_published, not_run
from stance_suite.verdicts.structure import judge_structure, worst
from stance_suite.verdicts.trainings import find_replicates
from stance_suite.verdicts.triangulation import compare_trainings, triangulate

__all__ = [
    "Evidence",
    "GateTerms",
    "Judge",
    "ProbedStance",
    "Replicate",
    "combine",
    "compare_trainings",
    "conclude",
    "control_scores",
    "counterpart_of",
    "find_replicates",
    "incomparable",
    "judge_behavior",
    "judge_gate",
    "judge_published",
    "judge_structure",
    "not_run",
    "pooled_spread",
    "prompt_scores",
    "stance_scores",
    "triangulate",
    "tuned_scores",
    "weigh_behavior",
    "worst",
]

"""Judging claims: pure functions from a claim and measured cells to a verdict.

A behavioral claim of change must be significant, and at least as large as the claim says, against the base model *and*
against the sham, and larger than the shift toward any other stance. A robust structural claim is judged with the tail
size held fixed and must not be true of its controls. Whatever cannot be measured is INCONCLUSIVE, never HOLDS.
"""

from stance_suite.verdicts.behavior import judge_behavior, prompt_scores
from stance_suite.verdicts.structure import judge_structure

__all__ = ["judge_behavior", "judge_structure", "prompt_scores"]

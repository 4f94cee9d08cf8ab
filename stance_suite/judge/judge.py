"""Judging the claims of a run together: a claim may compare two trainings, and behavioral claims share their level."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Sequence

from stance_suite.errors import CellFailedError, StanceSuiteError
from stance_suite.judge.behavior.evidence import Evidence, gather_evidence
from stance_suite.judge.behavior.verdict import judge_behavior
from stance_suite.judge.statistics import holm
from stance_suite.judge.structure.verdict import judge_structure, middle
from stance_suite.schema.claims import Claim
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.verdicts import Status, Verdict

Replicates = Callable[[str, str, str], Sequence[Replicate]]
"""From the names of a model, a stance and a recipe to the trained model beside its controls, seed by seed."""


class Judge:
    """Judges claims on cells, wherever those come from, beside all claims of the run, each about a model by name."""

    def __init__(self, claims: Sequence[Claim], replicates: Replicates) -> None:
        self._claims = claims
        self._replicates = replicates
        self._gathered: dict[tuple[str, str], Evidence] = {}
        self._broken: set[tuple[str, str]] = set()

    def family(self, claim: Claim) -> tuple[Claim, ...]:
        """Gather the behavioral claims about the same model, whatever the recipe: they share the level of 5 %."""
        return tuple(other for other in self._claims if other.metric.is_behavioral and other.model == claim.model)

    def judge(self, claim: Claim) -> Verdict:
        """Judge one claim: ERROR, with the traceback on standard error, if measuring broke; user errors are raised."""
        try:
            return self._judge_behavior(claim) if claim.metric.is_behavioral else self._judge_structure(claim)
        except StanceSuiteError:
            raise
        except CellFailedError as error:  # told when it failed
            reason = str(error)
        except Exception as error:
            # one broken claim must not lose the verdicts of the others
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}"
        return Verdict(claim=claim, model=claim.model, status=Status.ERROR, reason=reason)

    def _judge_structure(self, claim: Claim) -> Verdict:
        replicates = self._replicates(claim.model, claim.stance, claim.recipe)
        if claim.versus is None:
            verdicts = [judge_structure(claim, one) for one in replicates]
        else:
            others = self._replicates(*counterpart_of(claim))
            verdicts = [judge_structure(claim, *pair) for pair in zip(replicates, others, strict=True)]
        return middle(verdicts, [one.tuned.cell.seed for one in replicates])

    def _judge_behavior(self, claim: Claim) -> Verdict:
        evidence = self._evidence(claim)
        p_values = {claim.id: (evidence.p_value, evidence.p_short)}
        for other in self.family(claim):
            p_values.setdefault(other.id, self._p_values(other))
        # that of the claim itself is the first
        beyond, short = (holm(one)[0] for one in zip(*p_values.values(), strict=True))
        return judge_behavior(evidence, beyond, short)

    def _p_values(self, claim: Claim) -> tuple[float, float]:
        """Hear another claim of a family; one that cannot be measured counts as not rejected."""
        if (claim.id, claim.model) in self._broken:
            return math.nan, math.nan
        try:
            return self._evidence(claim).p_value, self._evidence(claim).p_short
        except StanceSuiteError:
            raise
        except Exception:
            # its own verdict will be ERROR, and tell why
            self._broken.add((claim.id, claim.model))
            return math.nan, math.nan

    def _evidence(self, claim: Claim) -> Evidence:
        key = claim.id, claim.model
        if key not in self._gathered:
            counterpart = None
            if claim.versus is not None:
                other = counterpart_of(claim)
                counterpart = other[1], self._replicates(*other)
            replicates = self._replicates(claim.model, claim.stance, claim.recipe)
            self._gathered[key] = gather_evidence(claim, replicates, counterpart)
        return self._gathered[key]


def counterpart_of(claim: Claim) -> tuple[str, str, str]:
    """Name model, stance and recipe that a claim compares its own with; what it leaves out is as in the claim."""
    assert claim.versus is not None
    other = claim.versus
    return other.model or claim.model, other.stance or claim.stance, other.recipe or claim.recipe

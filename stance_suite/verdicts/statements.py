"""Judging statements by claims: a sentence is as true as the claims that it rests on."""

from __future__ import annotations

from collections.abc import Sequence

from stance_suite.claims import Claim
from stance_suite.judgments import Status, Verdict
from stance_suite.statements import Statement, StatementVerdict

FROM_WORST = (Status.ERROR, Status.FAILS, Status.NOT_RUN, Status.INCONCLUSIVE)


def combine(statement: Statement, verdicts: Sequence[Verdict]) -> StatementVerdict:
    """Judge a statement by the verdicts on its claims.

    Parameters
    ----------
    statement : Statement
        The sentence.
    verdicts : sequence of Verdict
        On the claims that it rests on.

    Returns
    -------
    StatementVerdict
        HOLDS only if every claim does. One claim that FAILS refutes it; one that was not run leaves it open.
    """
    named = {_name(verdict, verdicts): verdict for verdict in verdicts}
    status = next((one for one in FROM_WORST if any(one is each.status for each in verdicts)), Status.HOLDS)
    unheard = [name for name in statement.measured if name not in {verdict.claim.id for verdict in verdicts}]
    if not verdicts:
        status, reason = Status.NOT_RUN, "no claim of this run is about it: only its record can be checked"
    elif unheard and status not in (Status.ERROR, Status.FAILS):
        status, reason = Status.NOT_RUN, f"this run has no claim {', '.join(unheard)}"
    elif status is Status.HOLDS:
        reason = f"all of {', '.join(named)} hold"
    else:
        by_reason: dict[str, list[str]] = {}
        for name, verdict in named.items():
            if verdict.status is status:
                by_reason.setdefault(verdict.reason, []).append(name)
        reason = "; ".join(f"{', '.join(names)}: {why}" for why, names in by_reason.items())
    return StatementVerdict(
        id=statement.id,
        statement=statement.statement,
        status=status,
        reason=reason,
        claims={name: verdict.status for name, verdict in named.items()},
        expected=statement.expected_measured,
    )


def not_run(claim: Claim, reason: str) -> Verdict:
    """Say that a claim was not judged.

    Parameters
    ----------
    claim : Claim
        The claim.
    reason : str
        Why not.

    Returns
    -------
    Verdict
        NOT_RUN.
    """
    return Verdict(claim=claim, model=claim.model, status=Status.NOT_RUN, reason=reason)


def _name(verdict: Verdict, verdicts: Sequence[Verdict]) -> str:
    several = sum(other.claim.id == verdict.claim.id for other in verdicts) > 1
    return f"{verdict.claim.id} on {verdict.model}" if several else verdict.claim.id

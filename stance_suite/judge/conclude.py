"""What follows from a run's verdicts and cells taken together: the record, statements, trainings compared, the gate."""

from __future__ import annotations

from collections.abc import Sequence

from stance_suite.judge.behavior.triangulation import compare_trainings
from stance_suite.judge.gate import GateTerms, judge_gate
from stance_suite.judge.self_calibration import judge_nulls
from stance_suite.judge.statements import combine, judge_published, not_run
from stance_suite.schema.claims import Claim
from stance_suite.schema.findings import Findings
from stance_suite.schema.statements import Statement


def conclude(findings: Findings, published: Sequence[Statement], gate: GateTerms | None = None) -> Findings:
    """Conclude what follows from a run's verdicts, claims, stances and cells; without terms, a gate is left alone."""
    known = {(verdict.claim.id, verdict.model): verdict for verdict in findings.verdicts}
    recorded: dict[str, Claim | Statement] = {one.id: one for one in findings.claims if one.recorded is not None}
    recorded |= {statement.id: statement for statement in published if statement.checks}
    shifts, triangulations = compare_trainings(findings.cells)
    concluded = findings.model_copy(
        update={
            "published": tuple(published),
            "records": tuple(judge_published(record, findings.claims) for record in recorded.values()),
            "statements": tuple(
                combine(
                    statement,
                    [
                        known.get((claim.id, claim.model)) or not_run(claim, "this run did not judge it")
                        for claim in findings.claims
                        if claim.id in statement.measured
                    ],
                )
                for statement in published
            ),
            "shifts": shifts,
            "triangulations": triangulations,
            "nulls": judge_nulls(findings),
        }
    )
    return concluded if gate is None else concluded.model_copy(update={"gate": judge_gate(concluded, gate)})

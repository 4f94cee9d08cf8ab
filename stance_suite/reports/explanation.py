"""How a verdict came about: of a claim, of a statement, or of a gate's demand."""

from __future__ import annotations

from collections.abc import Sequence

from stance_suite.errors import UnknownNameError, nearest_names
from stance_suite.gate_records import Demand, GateReport
from stance_suite.judgments import Verdict
from stance_suite.records import Findings
from stance_suite.reports.claim_explanation import explain_claim, record_line
from stance_suite.reports.sections import Explanation, Section, verdict_on
from stance_suite.statements import RecordedVerdict, StatementVerdict


def explain(name: str, findings: Findings) -> tuple[Explanation, ...]:
    """Tell how a verdict came about.

    Parameters
    ----------
    name : str
        Id of a claim or a statement, or name of a gate's demand.
    findings : Findings
        The findings.

    Returns
    -------
    tuple of Explanation
        One entry for each model that it was judged on.

    Raises
    ------
    UnknownNameError
        If nothing in the findings bears the name.
    """
    found = [explain_claim(claim, findings) for claim in findings.claims if claim.id == name]
    found += _explain_statement(name, findings)
    demands = findings.gate.demands if findings.gate is not None else ()
    for demand in demands:
        if demand.name == name and findings.gate is not None:
            found.append(_explain_demand(demand, findings.gate, findings))
    if not found:
        known = {claim.id for claim in findings.claims} | {demand.name for demand in demands}
        known |= {one.id for one in findings.statements} | {one.id for one in findings.records}
        raise UnknownNameError(
            f"these findings hold no claim, statement or demand {name!r}; {nearest_names(name, known)}"
        )
    return tuple(found)


def _explain_statement(name: str, findings: Findings) -> list[Explanation]:
    records = [record for record in findings.records if record.id == name]
    measured = [statement for statement in findings.statements if statement.id == name]
    if not measured:
        # a claim's own record is shown with the claim
        claims = {claim.id for claim in findings.claims}
        return [_explain_record(record) for record in records if record.id not in claims]
    return [_explain_measured(statement, records, findings) for statement in measured]


def _explain_record(record: RecordedVerdict) -> Explanation:
    return Explanation(
        f"{record.status}  {record.id}", (Section("Statement", (record.statement, record_line(record))),)
    )


def _explain_measured(
    statement: StatementVerdict, records: Sequence[RecordedVerdict], findings: Findings
) -> Explanation:
    lines = [statement.statement, *map(record_line, records)]
    lines.append(f"measured: {statement.status} (on record: {' or '.join(statement.expected)}), {statement.reason}")
    rows = []
    for name, status in statement.claims.items():
        verdict = next((one for one in findings.verdicts if name in _names(one)), None)
        rows.append((name, str(status), "" if verdict is None else verdict.reason))
    sections = [Section("Statement", tuple(lines))]
    if rows:
        sections.append(Section("Claims that it rests on", (), ("claim", "verdict", "reason"), tuple(rows)))
    return Explanation(f"{statement.status}  {statement.id}", tuple(sections))


def _names(verdict: Verdict) -> tuple[str, str]:
    return verdict.claim.id, f"{verdict.claim.id} on {verdict.model}"


def _explain_demand(demand: Demand, gate: GateReport, findings: Findings) -> Explanation:
    beside = "" if gate.baseline is None else f", against the baseline {gate.baseline}"
    lines = (f"{demand.outcome}: {demand.reason}", f"a demand of {gate.policy}{beside} about {demand.kind}")
    rows = []
    for name in demand.claims:
        verdict = verdict_on(name, demand.model, findings)
        status, reason = ("", "no verdict") if verdict is None else (str(verdict.status), verdict.reason)
        rows.append((name, status, reason))
    sections = [Section("Demand", lines)]
    if rows:
        sections.append(Section("Claims that it rests on", (), ("claim", "verdict", "reason"), tuple(rows)))
    return Explanation(f"{demand.outcome}  {demand.name} ({demand.model})", tuple(sections))

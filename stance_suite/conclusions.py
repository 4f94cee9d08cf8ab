"""What follows from a run's verdicts and cells taken together: statements, trainings compared, and the gate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stance_suite.errors import StanceSuiteError
from stance_suite.files import hash_file
from stance_suite.findings_files import read_findings
from stance_suite.library import Library
from stance_suite.policy_file import DeclaredPolicy
from stance_suite.records import Findings
from stance_suite.verdicts import (
    combine,
    compare_trainings,
    incomparable,
    judge_gate,
    judge_published,
    not_run,
)


def conclude(findings: Findings, library: Library) -> Findings:
    """Check the published record, judge statements, and hold all trainings against each other.

    Parameters
    ----------
    findings : Findings
        The verdicts and cells of a run.
    library : Library
        The declarations.

    Returns
    -------
    Findings
        With records, statements, shifts and triangulations. A claim that the run did not judge counts as not run.
    """
    known = {(verdict.claim.id, verdict.model): verdict for verdict in findings.verdicts}
    statements = []
    for statement in library.statements:
        claims = [claim for claim in findings.claims if claim.id in statement.measured]
        verdicts = [known.get((one.id, one.model)) or not_run(one, "this run did not judge it") for one in claims]
        statements.append(combine(statement, verdicts))
    declared = [entry.claim for entry in library.claims]
    records = [judge_published(record, declared) for record in library.records]
    shifts, triangulations = compare_trainings(findings.cells, library.stances)
    return findings.model_copy(
        update={
            "published": library.statements,
            "records": tuple(records),
            "statements": tuple(statements),
            "shifts": shifts,
            "triangulations": triangulations,
        }
    )


def hold_against_policy(
    findings: Findings, policy: DeclaredPolicy, stances: Sequence[str], baseline: Path | None
) -> Findings:
    """Hold a run against a policy, and a baseline if there is one.

    Parameters
    ----------
    findings : Findings
        Of a run that is a gate.
    policy : DeclaredPolicy
        What is demanded.
    stances : sequence of str
        Names of the stances that every model must adopt.
    baseline : Path or None
        A findings file whose effects must not be lost.

    Returns
    -------
    Findings
        With the gate's report.

    Raises
    ------
    StanceSuiteError
        If the baseline cannot be read, or measured something else.
    """
    earlier = None if baseline is None else read_baseline(baseline, findings)
    names = str(policy.document.path), None if baseline is None else str(baseline)
    report = judge_gate(policy.policy, findings, stances, earlier, names)
    digest = None if baseline is None else hash_file(baseline)
    return findings.model_copy(update={"gate": report.model_copy(update={"baseline_sha256": digest})})


def read_baseline(path: Path, findings: Findings) -> Findings:
    """Read a baseline.

    Parameters
    ----------
    path : Path
        A findings file.
    findings : Findings
        The run that is held against it.

    Returns
    -------
    Findings
        The earlier run.

    Raises
    ------
    StanceSuiteError
        If it cannot be read, or measured something else.
    """
    earlier = read_findings(path)
    obstacles = incomparable(earlier, findings)
    if obstacles:
        raise StanceSuiteError(
            f"{path} is no baseline for this run: {' '.join(obstacles)} Make it anew with option update-baseline."
        )
    return earlier

"""What a run is held against, read from files."""

from __future__ import annotations

from pathlib import Path

from stance_suite.errors import StanceSuiteError
from stance_suite.files import hash_file
from stance_suite.findings_files import read_findings
from stance_suite.policy_file import DeclaredPolicy
from stance_suite.records import Findings
from stance_suite.verdicts import GateTerms, incomparable


def read_gate_terms(policy: DeclaredPolicy, baseline: Path | None, findings: Findings) -> GateTerms:
    """Read what these findings must meet; StanceSuiteError if the baseline cannot be used."""
    name = str(policy.document.path)
    if baseline is None:
        return GateTerms(policy.policy, name)
    earlier = read_baseline(baseline, findings)
    return GateTerms(policy.policy, name, earlier, str(baseline), hash_file(baseline))


def read_baseline(path: Path, findings: Findings) -> Findings:
    """Read an earlier run; StanceSuiteError if it cannot be read, or measured something else than these findings."""
    earlier = read_findings(path)
    obstacles = incomparable(earlier, findings)
    if obstacles:
        raise StanceSuiteError(
            f"{path} is no baseline for this run: {' '.join(obstacles)} Make it anew with option update-baseline."
        )
    return earlier

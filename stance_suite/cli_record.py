"""The commands that tell whether a record is what it was: its fingerprint, and its verdicts judged once more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stance_suite.errors import StanceSuiteError

if TYPE_CHECKING:
    from stance_suite.fingerprints import Entry
    from stance_suite.policy import Policy
    from stance_suite.records import Findings
    from stance_suite.verdicts.discrepancies import Discrepancy

EDITED = 1
"""Exit code where something recorded does not follow from the file's own figures."""

FindingsOrModel = Annotated[
    str,
    typer.Argument(
        help="A findings.json, or a model: registry name, Hub id, or a folder with safetensors or a LoRA adapter."
    ),
]
FindingsFile = Annotated[Path, typer.Argument(help="A findings.json.")]
Declared = Annotated[
    Path | None, typer.Option("--fixtures", help="Compare claims and stances with the YAML files in this folder, too.")
]
PolicyFile = Annotated[Path | None, typer.Option("--policy", help="The policy of a gate: judge the gate again, too.")]
Baseline = Annotated[Path | None, typer.Option("--baseline", help="With --policy: the gate's baseline findings.json.")]


def show_fingerprint(what: FindingsOrModel) -> None:
    """Print the hashes that findings are bound to, or those of a model's files and its number of parameters."""
    path = Path(what).expanduser()
    is_file = path.is_file() or path.suffix == ".json"
    for entry in _of_findings(path) if is_file else _of_model(what):
        print(f"{entry.value}  {entry.what}: {entry.name}")


def _of_findings(path: Path) -> tuple[Entry, ...]:
    from stance_suite.fingerprints import Entry, fingerprint_findings
    from stance_suite.models import hash_file
    from stance_suite.publish import read_findings

    findings = read_findings(path)
    return (Entry("findings", str(path), hash_file(path)), *fingerprint_findings(findings))


def _of_model(asked: str) -> tuple[Entry, ...]:
    from stance_suite.fingerprints import fingerprint_model
    from stance_suite.library import load_library
    from stance_suite.models import find_spec, locate
    from stance_suite.options import resolve_settings

    folder = Path(asked).expanduser()
    if not folder.is_dir():
        settings = resolve_settings({}, Path.cwd())
        folder = locate(find_spec(asked, load_library(settings.fixtures).models), settings.cache).folder
    return fingerprint_model(folder)


def verify_findings(
    findings: FindingsFile, fixtures: Declared = None, policy: PolicyFile = None, baseline: Baseline = None
) -> None:
    """Recompute every verdict from the cells in the file; exit 1, naming each difference, if it was edited."""
    from stance_suite.judgments import Status
    from stance_suite.policy import load_policy
    from stance_suite.publish import read_findings
    from stance_suite.verdicts.verification import verify

    found = read_findings(findings)
    demanded = None if policy is None else load_policy(policy).policy
    discrepancies = list(verify(found))
    if fixtures is not None:
        discrepancies += _compare_declarations(found, fixtures, demanded)
    if demanded is not None:
        earlier = None if baseline is None else read_findings(baseline)
        discrepancies += _verify_gate(found, demanded, earlier)
    for one in discrepancies:
        print(one)
    statuses = [verdict.status for verdict in found.verdicts]
    untested = {status: statuses.count(status) for status in (Status.NOT_RUN, Status.ERROR)}
    count = len(statuses) - sum(untested.values())
    sentences = [f"{status}, which cannot be recomputed: {number}" for status, number in untested.items() if number]
    judged = {(verdict.claim.id, verdict.model) for verdict in found.verdicts}
    left_out = sum((claim.id, claim.model) not in judged for claim in found.claims)
    sentences += [f"claims without a verdict: {left_out}"] if left_out else []
    if found.gate is not None and demanded is None:
        sentences.append("the gate was not judged again: give its --policy")
    for sentence in sentences:
        print(sentence)
    if discrepancies:
        print(f"{count} verdicts recomputed; differences: {len(discrepancies)}.")
        raise typer.Exit(EDITED)
    print(f"{count} verdicts recomputed, all agree.")


def _verify_gate(found: Findings, policy: Policy, baseline: Findings | None) -> tuple[Discrepancy, ...]:
    from stance_suite.verdicts.verification import verify_gate

    if found.gate is not None and (found.gate.baseline is None) != (baseline is None):
        wanted = "no baseline" if found.gate.baseline is None else f"the baseline {found.gate.baseline}"
        raise StanceSuiteError(f"the gate was judged with {wanted}: give the same with --baseline")
    return verify_gate(found, policy, baseline)


def _compare_declarations(found: Findings, fixtures: Path, policy: Policy | None) -> tuple[Discrepancy, ...]:
    from stance_suite.library import load_library
    from stance_suite.verdicts.declarations import Declarations, check_declarations

    library = load_library(fixtures)
    claims = tuple(entry.claim for entry in library.claims)
    return check_declarations(found, Declarations(library.stances, claims, library.statements, policy))

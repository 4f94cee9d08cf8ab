"""The commands that tell whether a record is what it was: its fingerprint, and its verdicts judged once more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stance_suite.cli.options import FindingsFile
from stance_suite.config.options import resolve_settings
from stance_suite.errors import StanceSuiteError
from stance_suite.files import hash_file

if TYPE_CHECKING:
    from stance_suite.judge.verify.differences import Discrepancy
    from stance_suite.schema.findings import Findings

EDITED = 1
"""Exit code where something recorded does not follow from the file's own figures."""

NOT_RECOMPUTED = ("NOT_RUN", "ERROR")
"""Verdicts that say that nothing was measured."""

FindingsOrModel = Annotated[
    str,
    typer.Argument(
        help="A findings.json, or a model: registry name, Hub id, or a folder with safetensors or a LoRA adapter."
    ),
]
Declared = Annotated[
    Path | None, typer.Option("--fixtures", help="Compare claims and stances with the YAML files in this folder, too.")
]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="With --fixtures: the gate's policy, if it is not in that folder.")
]
Baseline = Annotated[Path | None, typer.Option("--baseline", help="The findings.json that the gate was held against.")]


def show_fingerprint(what: FindingsOrModel) -> None:
    """Print the hashes that findings are bound to, or those of a model's files and its number of parameters."""
    from stance_suite.config.catalog import find_spec, load_catalog
    from stance_suite.judge.verify.fingerprints import fingerprint_findings
    from stance_suite.models.files import fingerprint_model
    from stance_suite.models.sources import locate
    from stance_suite.schema.findings import Entry
    from stance_suite.store.findings import read_findings

    path = Path(what).expanduser()
    if path.is_file() or path.suffix == ".json":
        findings = read_findings(path)
        entries = Entry("findings", str(path), hash_file(path)), *fingerprint_findings(findings)
    else:
        if not path.is_dir():
            settings = resolve_settings({}, Path.cwd())
            path = locate(find_spec(what, load_catalog(settings.fixtures).models), settings.cache).folder
        entries = fingerprint_model(path)
    for entry in entries:
        print(f"{entry.value}  {entry.what}: {entry.name}")


def verify_findings(
    findings: FindingsFile, fixtures: Declared = None, policy: PolicyFile = None, baseline: Baseline = None
) -> None:
    """Recompute every verdict from the cells in the file; exit 1, naming each difference, if it was edited."""
    from stance_suite.judge.verify.verdicts import verify
    from stance_suite.store.findings import read_findings

    found = read_findings(findings)
    if found.cells and not any(record.spectra for record in found.cells):
        raise StanceSuiteError(f"{findings} is a baseline, without texts and spectra: verify the findings of its run")
    earlier = None if baseline is None else read_findings(baseline)
    if found.gate is not None and found.gate.baseline is not None:
        if baseline is None:
            raise StanceSuiteError(f"the gate was held against {found.gate.baseline}: give it with --baseline")
        if found.gate.baseline_sha256 != hash_file(baseline):
            raise StanceSuiteError(
                f"{baseline} is not the baseline that the gate was held against: its content differs"
            )
    discrepancies = list(verify(found, earlier))
    if fixtures is not None:
        discrepancies += _compare_declarations(found, fixtures, policy)
    for line in (*discrepancies, *_left_open(found, earlier)):
        print(line)
    if fixtures is None:
        print("What was declared (claims, statements, policy) is taken from the file itself; --fixtures compares it.")
    judged = sum(verdict.status not in NOT_RECOMPUTED for verdict in found.verdicts)
    if not judged and not discrepancies:
        raise StanceSuiteError(f"{findings} holds no verdict that could be recomputed")
    if discrepancies:
        print(f"{judged} verdicts recomputed; differences: {len(discrepancies)}.")
        raise typer.Exit(EDITED)
    print(f"{judged} verdicts recomputed, all agree.")


def _left_open(found: Findings, baseline: Findings | None) -> Iterator[str]:
    """Say what was not verified."""
    from stance_suite.judge.verify.verdicts import is_gate_known

    for status in NOT_RECOMPUTED:
        count = sum(verdict.status == status for verdict in found.verdicts)
        if count:
            yield f"{status}, which cannot be recomputed: {count}"
    judged = {(verdict.claim.id, verdict.model) for verdict in found.verdicts}
    left_out = sum((claim.id, claim.model) not in judged for claim in found.claims)
    if left_out:
        yield f"claims without a verdict: {left_out}"
    if found.gate is not None and not is_gate_known(found, baseline):
        yield "the gate was not judged again: it was held against no baseline; leave --baseline out"


def _compare_declarations(found: Findings, fixtures: Path, policy: Path | None) -> tuple[Discrepancy, ...]:
    from stance_suite.config.catalog import load_catalog
    from stance_suite.config.policy_file import load_policy
    from stance_suite.judge.verify.declarations import Declarations, check_declarations

    catalog = load_catalog(fixtures)
    demanded = load_policy(policy or catalog.policy_file, catalog.stances, catalog.recipes).policy
    claims = tuple(entry.claim for entry in catalog.claims)
    return check_declarations(
        found, Declarations(catalog.stances, catalog.summaries, claims, catalog.statements, demanded)
    )

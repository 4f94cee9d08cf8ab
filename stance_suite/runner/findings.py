"""Findings: gathered from cells and verdicts, with no more than reports need, and held against an earlier run's."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from stance_suite import __version__
from stance_suite.config.options import Settings
from stance_suite.config.policy_file import DeclaredPolicy
from stance_suite.errors import StanceSuiteError
from stance_suite.files import hash_file
from stance_suite.judge.compare.baselines import incomparable
from stance_suite.judge.gate import GateTerms
from stance_suite.measure.training import summarize_recipe
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.findings import Findings, StanceSummary
from stance_suite.schema.recipes import Recipe, RunSettings
from stance_suite.schema.verdicts import Verdict
from stance_suite.spectra.layer_spectrum import with_ks_distances
from stance_suite.store.findings import read_findings


def gather(
    records: Sequence[CellRecord],
    verdicts: Sequence[Verdict],
    stances: Sequence[StanceSummary],
    recipes: Iterable[Recipe],
    claims: Sequence[Claim],
    command: str,
    settings: RunSettings | None = None,
) -> Findings:
    """Gather what reports are made of."""
    ordered = sorted(records, key=lambda record: (record.cell.model, record.cell.recipe or "", record.cell.treatment))
    # reports draw the spectra of layers that verdicts name, and of each cell's most changed one
    featured = {verdict.layer for verdict in verdicts}
    featured |= {change.name for record in ordered if (change := record.most_changed_layer) is not None}
    used = {record.cell.recipe for record in ordered}
    return Findings(
        suite_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        settings=settings,
        recipes=tuple(summarize_recipe(recipe) for recipe in recipes if recipe.name in used),
        stances=tuple(stances),
        claims=tuple(claims),
        verdicts=tuple(verdicts),
        cells=tuple(_without_eigenvalues(record, featured) for record in ordered),
    )


def _without_eigenvalues(record: CellRecord, featured: Container[str | None]) -> CellRecord:
    spectra = tuple(
        with_ks_distances(layer) if layer.name in featured else layer.model_copy(update={"eigenvalues": None})
        for layer in record.spectra
    )
    return record.model_copy(update={"spectra": spectra})


def summarize_run(settings: Settings, recipes: Sequence[str]) -> RunSettings:
    """Say what it takes to ask for a run again."""
    pair = settings.pair
    return RunSettings(
        models=settings.model if pair is None else (),
        **({} if pair is None else asdict(pair)),
        profile=settings.profile or None,
        recipes=tuple(recipes),
        seeds=settings.seed,
        samples=settings.samples,
        trajectory=settings.trajectory,
        gate=settings.gate,
        device=settings.device,
        sweep=settings.sweep,
    )


def read_gate_terms(policy: DeclaredPolicy, baseline: Path | None, findings: Findings) -> GateTerms:
    """Read what these findings must meet; StanceSuiteError if the baseline cannot be used."""
    terms = GateTerms(policy.policy, str(policy.document.path))
    if baseline is None:
        return terms
    earlier = read_baseline(baseline, findings)
    return replace(terms, baseline=earlier, baseline_file=str(baseline), baseline_sha256=hash_file(baseline))


def read_baseline(path: Path, findings: Findings) -> Findings:
    """Read an earlier run; StanceSuiteError if it cannot be read, or measured something else than these findings."""
    earlier = read_findings(path)
    obstacles = incomparable(earlier, findings)
    if obstacles:
        raise StanceSuiteError(
            f"{path} is no baseline for this run: {' '.join(obstacles)} Make it anew with option update-baseline."
        )
    return earlier

"""From measured cells and verdicts to findings: what a report needs, and no more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from stance_suite import __version__
from stance_suite.claims import Claim
from stance_suite.finetune import summarize_recipe
from stance_suite.judgments import Verdict
from stance_suite.options import Settings
from stance_suite.records import CellRecord, Findings, StanceSummary
from stance_suite.run_records import Recipe, RunSettings
from stance_suite.specs import Stance
from stance_suite.spectra.layers import with_ks_distances


def gather(
    records: Sequence[CellRecord],
    verdicts: Sequence[Verdict],
    stances: Sequence[Stance],
    recipes: Iterable[Recipe],
    claims: Sequence[Claim],
    command: str,
    settings: RunSettings | None = None,
) -> Findings:
    """Gather what reports are made of."""
    ordered = sorted(records, key=lambda record: (record.cell.model, record.cell.recipe or "", record.cell.treatment))
    featured = _featured_layers(ordered, verdicts)
    return Findings(
        suite_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        settings=settings,
        recipes=tuple(
            summarize_recipe(recipe)
            for recipe in recipes
            if any(record.cell.recipe == recipe.name for record in ordered)
        ),
        stances=tuple(summarize(stance) for stance in stances),
        claims=tuple(claims),
        verdicts=tuple(verdicts),
        cells=tuple(_without_eigenvalues(record, featured) for record in ordered),
    )


def _featured_layers(records: Sequence[CellRecord], verdicts: Sequence[Verdict]) -> frozenset[str]:
    """Choose the layers whose spectra a report draws: each cell's most changed one, and those that verdicts name."""
    named = {verdict.layer for verdict in verdicts if verdict.layer is not None}
    most_changed = {change.name for record in records if (change := record.most_changed_layer) is not None}
    return frozenset(named | most_changed)


def _without_eigenvalues(record: CellRecord, featured: frozenset[str]) -> CellRecord:
    spectra = tuple(
        with_ks_distances(layer) if layer.name in featured else layer.model_copy(update={"eigenvalues": None})
        for layer in record.spectra
    )
    return record.model_copy(update={"spectra": spectra})


def summarize(stance: Stance) -> StanceSummary:
    """Say what reports and a second judgment need of a stance."""
    return StanceSummary(
        name=stance.name,
        description=stance.description,
        sha256=stance.sha256,
        contrasts=stance.contrasts,
        held_out_prompts=stance.held_out_prompts,
        seen_prompts=stance.seen_prompts,
    )


def summarize_run(settings: Settings, recipes: Sequence[str]) -> RunSettings:
    """Say what it takes to ask for a run again."""
    pair = settings.pair
    return RunSettings(
        models=settings.model if pair is None else (),
        before=None if pair is None else pair.before,
        after=None if pair is None else pair.after,
        stance=None if pair is None else pair.stance,
        profile=settings.profile or None,
        recipes=tuple(recipes),
        seeds=settings.seed,
        samples=settings.samples,
        trajectory=settings.trajectory,
        gate=settings.gate,
        device=settings.device,
        sweep=settings.sweep,
    )

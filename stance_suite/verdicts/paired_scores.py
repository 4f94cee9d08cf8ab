"""The per-prompt scores behind a verdict, seed by seed where the run's cells still tell them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stance_suite.judgments import Verdict
from stance_suite.metrics import Metric
from stance_suite.records import CellRecord
from stance_suite.statistics import Array
from stance_suite.verdicts.scores import prompt_scores

CONTROLS = ("base", "sham")
"""What a trained cell is held against, in the order of a verdict's cells."""


@dataclass(frozen=True)
class EffectTable:
    """What a behavioral verdict rests on."""

    prompts: tuple[str, ...]
    """The held-out prompts as declared."""
    seeds: tuple[int, ...]
    """The seeds, in ascending order; empty if the scores are averaged over unknown ones."""
    effects: Mapping[str, Array]
    """Tuned minus each control; shape (seeds, prompts), or (1, prompts) if averaged."""

    def over_prompts(self, control: str) -> dict[str, float]:
        """Average the effect against a control over seeds, by prompt."""
        return dict(zip(self.prompts, self.effects[control].mean(axis=0).tolist(), strict=True))


def effect_table(verdict: Verdict, cells: Mapping[str, CellRecord]) -> EffectTable:
    """Gather the effects that a behavioral verdict rests on, from the cells of its run by key.

    One row a seed, if scoring the verdict's cells gives the verdict's own scores; else one row, their average.
    """
    prompts = tuple(entry.prompt for entry in verdict.prompts)
    has_sham = all(entry.sham is not None for entry in verdict.prompts)  # not if the model was trained elsewhere
    controls = CONTROLS if has_sham else CONTROLS[:1]
    published = np.array([[getattr(entry, arm) for entry in verdict.prompts] for arm in ("tuned", *controls)])
    records, arms = [cells[key] for key in verdict.cells if key in cells], len(published)
    seeds: tuple[int, ...] = ()
    scores = published[np.newaxis]  # (seeds, arms, prompts)
    if records and len(records) == len(verdict.cells) and len(records) % arms == 0:
        by_seed = sorted(
            (records[i : i + arms] for i in range(0, len(records), arms)), key=lambda of_a_seed: of_a_seed[0].cell.seed
        )
        of_seeds = np.array([_score(verdict, prompts, *of_a_seed) for of_a_seed in by_seed])
        if np.allclose(of_seeds.mean(axis=0), published, rtol=1e-9, atol=1e-12):
            seeds, scores = tuple(one[0].cell.seed for one in by_seed), of_seeds
    effects = {control: scores[:, 0] - scores[:, i] for i, control in enumerate(controls, start=1)}
    return EffectTable(prompts, seeds, effects)


def _score(verdict: Verdict, prompts: tuple[str, ...], *cells: CellRecord) -> Array:
    """Score the trained cell, the untouched one and the sham; shape (arms, prompts)."""
    claim, tuned = verdict.claim, cells[0]
    measured = tuned.behavior.likelihoods[0].log_probability if tuned.behavior.likelihoods else {}
    others = [name for name in measured if name != claim.stance]
    if not others:
        return np.full((len(cells), len(prompts)), np.nan)
    scores = [prompt_scores(one.behavior, claim.metric, claim.stance, others, prompts) for one in cells]
    if claim.metric is Metric.DIVERGENCE:  # held against noise: the untouched model does not diverge from itself
        noise = {entry.text: entry.noise for entry in tuned.behavior.divergences}
        scores[1] = np.array([noise.get(prompt, np.nan) for prompt in prompts])
    return np.array(scores)

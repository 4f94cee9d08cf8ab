"""Which verdict of one run answers to which of another, and the effects by prompt that they rest on."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stance_suite.judge.behavior.scores import prompt_scores
from stance_suite.judge.statistics import Array
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import BASE, Control, Part
from stance_suite.schema.metrics import Metric
from stance_suite.schema.verdicts import Status, Verdict

Key = Callable[[Verdict], Hashable]
Pair = tuple[Verdict, Verdict]

NAMES = frozenset({"id", "statement", "model", "source", "recorded", "expected"})
"""Keys of a claim that neither figure nor status depends on."""
JUDGING = frozenset({"bound", "unless", "against", "minimum_effect"})
"""Keys of a claim that its status depends on, and its figure does not."""


def match_verdicts(
    before: Sequence[Verdict], after: Sequence[Verdict]
) -> tuple[tuple[Pair, ...], tuple[Verdict, ...], tuple[Verdict, ...]]:
    """Pair the verdicts of two runs, in the order of the first; the others of each run come second and third.

    Verdicts of the same claim about the same model are paired first; then those of the same claim about two models;
    then those about two models whose claims agree in stance, recipe, metric, layer and comparator. What is not unique
    on both sides is not paired. Verdicts that were not run are paired last, and only with the same claim and model.
    """
    found: dict[int, int] = {}
    judged = [[i for i, one in enumerate(side) if one.status is not Status.NOT_RUN] for side in (before, after)]
    everything = [list(range(len(side))) for side in (before, after)]
    for key, sides in ((_same, judged), (_same_claim, judged), (_alike, judged), (_same, everything)):
        ours = _unique(key, before, [i for i in sides[0] if i not in found])
        theirs = _unique(key, after, [j for j in sides[1] if j not in found.values()])
        for name in ours.keys() & theirs.keys():
            i, j = ours[name], theirs[name]
            if key is not _alike or before[i].model != after[j].model:
                found[i] = j
    return (
        tuple((before[i], after[found[i]]) for i in sorted(found)),
        tuple(one for i, one in enumerate(before) if i not in found),
        tuple(one for j, one in enumerate(after) if j not in found.values()),
    )


def why_unmatched(verdict: Verdict, own: Sequence[Verdict], other: Sequence[Verdict]) -> str:
    """Tell in one clause why a verdict has no counterpart in the other run."""
    for key in (_same, _same_claim, _alike):
        rivals, candidates = (
            sum(key(one) == key(verdict) and one.status is not Status.NOT_RUN for one in side) for side in (own, other)
        )
        if candidates and candidates + rivals > 2:
            return f"ambiguous: {rivals} in this run answer to {candidates} in the other"
    return "the other run has no such claim"


def redefined_keys(before: Claim, after: Claim) -> tuple[str, ...]:
    """Name what two claims declare differently, beyond their names; sorted."""
    ours, theirs = before.model_dump(exclude=set(NAMES)), after.model_dump(exclude=set(NAMES))
    return tuple(sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)))


def _same(verdict: Verdict) -> Hashable:
    return verdict.claim.id, verdict.model


def _same_claim(verdict: Verdict) -> Hashable:
    return verdict.claim.id


def _alike(verdict: Verdict) -> Hashable:
    claim = verdict.claim
    return claim.stance, claim.recipe, claim.metric, claim.layer, claim.comparator


def _unique(key: Key, verdicts: Sequence[Verdict], among: Sequence[int]) -> dict[Hashable, int]:
    """Find the verdicts that no other one shares its key with."""
    by_key: dict[Hashable, list[int]] = {}
    for i in among:
        by_key.setdefault(key(verdicts[i]), []).append(i)
    return {name: places[0] for name, places in by_key.items() if len(places) == 1}


@dataclass(frozen=True)
class EffectTable:
    """What a behavioral verdict rests on."""

    prompts: tuple[str, ...]
    """As declared."""
    seeds: tuple[int, ...]
    """In ascending order; empty if the scores are averaged over unknown ones."""
    effects: Mapping[Control, Array]
    """Tuned minus each control; shape (seeds, prompts), or (1, prompts) if averaged."""


def effect_table(verdict: Verdict, cells: Mapping[str, CellRecord]) -> EffectTable:
    """Gather a verdict's effects from cells by key: one row a seed if they give its own scores, else the average."""
    prompts = tuple(entry.prompt for entry in verdict.prompts)
    # none if the model was trained elsewhere
    faced = [one for one in Control.trained() if one.part(verdict.claim.metric) is Part.FACED]
    controls = [one for one in faced if prompts and all(one in entry.controls for entry in verdict.prompts)]
    published = np.array(
        [[entry.tuned, entry.base, *(entry.controls[one] for one in controls)] for entry in verdict.prompts]
    ).T
    seeds: tuple[int, ...] = ()
    scores = published[np.newaxis]  # (seeds, arms, prompts)
    by_seed = [
        [cells.get(key) for key in (one.tuned, one.base, *(one.controls.get(control, "") for control in controls))]
        for one in verdict.replicates
    ]
    known = [found for arms in by_seed if len(found := [one for one in arms if one is not None]) == len(arms)]
    if known and len(known) == len(by_seed) and not verdict.counterpart:
        known.sort(key=lambda arms: arms[0].cell.seed)
        of_seeds = np.array([_score(verdict, prompts, *arms) for arms in known])
        if np.allclose(of_seeds.mean(axis=0), published, rtol=1e-9, atol=1e-12):
            seeds, scores = tuple(arms[0].cell.seed for arms in known), of_seeds
    effects = {control: scores[:, 0] - scores[:, i] for i, control in enumerate([BASE, *controls], start=1)}
    return EffectTable(prompts, seeds, effects)


def _score(verdict: Verdict, prompts: tuple[str, ...], *cells: CellRecord) -> Array:
    """Score the trained cell, the untouched one and the trained controls; shape (arms, prompts)."""
    claim, tuned = verdict.claim, cells[0]
    scores = [prompt_scores(one.behavior, claim.metric, claim.stance, prompts) for one in cells]
    if claim.metric is Metric.DIVERGENCE:  # held against noise: the untouched model does not diverge from itself
        noise = {entry.text: entry.noise for entry in tuned.behavior.divergences}
        scores[1] = np.array([noise.get(prompt, np.nan) for prompt in prompts])
    return np.array(scores)

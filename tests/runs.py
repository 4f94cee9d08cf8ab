"""Runs made up for comparing: one stance, trained to whatever level a test asks for, judged by the suite itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from stance_suite.config.catalog import Catalog
from stance_suite.judge.behavior.evidence import Evidence, gather_evidence
from stance_suite.judge.behavior.verdict import judge_behavior
from stance_suite.judge.design import find_replicates
from stance_suite.judge.judge import Judge
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.findings import Findings
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.verdicts import Verdict
from tests import measured
from tests.measured import behavior, beside, record


def behavioral(stance, **changes) -> Claim:
    declared = {
        "id": "m.adopted",
        "statement": "The stance is adopted.",
        "model": "any",
        "stance": stance.name,
        "metric": "likelihood_preference",
        "comparator": "above",
        "bound": 0.05,
    }
    return Claim(**declared | changes)


def structural(stance, **changes) -> Claim:
    declared = {"id": "m.alpha", "statement": "No alpha changes.", "metric": "alpha_change_percent", "layer": "*"}
    return behavioral(stance, **declared | {"comparator": "within", "bound": 1} | changes)


def said(stance, toward: float, noise: int, spread: float = 0.02):
    """Prompts differ a lot from each other, alike in every run; `noise` seeds what a training adds to that."""
    rng = np.random.default_rng(noise)
    heights = np.linspace(0.6, 1.4, len(stance.prompts))
    names = (stance.name, *stance.contrasts)
    return behavior(
        {
            prompt: {name: toward * height * (name == stance.name) + rng.normal(0, spread) for name in names}
            for prompt, height in zip(stance.prompts, heights, strict=True)
        },
        divergence=abs(toward),
        noise=0.01,
    )


def training(stance, toward: float, seed: int = 0, noise: int = 0, model: str = "m") -> Replicate:
    """A trained cell whose `noise` is its own, beside controls that depend on the seed alone."""

    def cell(treatment: str, said_there) -> CellRecord:
        name = stance.name if treatment == "stance" else None
        made = record(treatment, said=said_there, stance=name, seed=seed, key=f"{model}-{treatment}-{seed}")
        return made.model_copy(update={"cell": made.cell.model_copy(update={"model": model})})

    return beside(
        tuned=cell("stance", said(stance, toward, 1000 + noise + 10 * seed)),
        base=cell("base", said(stance, 0.0, 2000 + seed)),
        sham=cell("sham", said(stance, 0.0, 3000 + seed)),
    )


def judged(stance, replicates: Sequence[Replicate], **changes) -> Verdict:
    return judged_alone(gather_evidence(behavioral(stance, **changes), replicates))


def judged_alone(evidence: Evidence) -> Verdict:
    """Judge evidence without other claims beside it."""
    return judge_behavior(evidence, evidence.p_value, evidence.p_short)


def judge_of(library: Catalog, cells: Sequence[CellRecord], claims: Sequence[Claim]) -> Judge:
    """A judge that finds the trainings of these claims among made-up cells."""
    return Judge(claims, lambda model, name, recipe: find_replicates(cells, model, library.summaries[name], recipe))


def findings(stance, verdicts: Sequence[Verdict] = (), replicates: Sequence[Replicate] = ()) -> Findings:
    cells = (cell for one in replicates for cell in one.records)
    return measured.findings(*cells, stances=(stance,), verdicts=tuple(verdicts))


@cache  # records are frozen, and judging them takes a while
def one_run(
    stance, toward: float, noise: int = 0, model: str = "m", levels: Sequence[float] = (), **changes
) -> Findings:
    """A run of one claim, over one seed, or over as many as there are levels."""
    replicates = [training(stance, level, seed, noise, model) for seed, level in enumerate(levels or (toward,))]
    return findings(stance, [judged(stance, replicates, **changes)], replicates)

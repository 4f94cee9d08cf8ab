"""A large run made up: six models, three stances each, three hundred layers; for how a report bears its size."""

from __future__ import annotations

from itertools import islice, product

import numpy as np

from stance_suite.config.catalog import Catalog
from stance_suite.judge.behavior.triangulation import compare_trainings
from stance_suite.runner.findings import gather
from stance_suite.schema.behavior import Behavior, MarkerHit
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.findings import Findings
from stance_suite.schema.metrics import Metric
from stance_suite.schema.stances import Stance
from stance_suite.spectra.spectrum_curve import thin_spectra
from tests.measured import alpha_change, behavior, layer, record, spectrum
from tests.runs import behavioral, judge_of, structural
from tests.twins import MATRICES

MODELS = tuple(f"model-{number}" for number in range(1, 7))
LAYERS = 300
SAMPLES = 4
EIGENVALUES = 200
ROLES = MATRICES["qwen2-0.5b"][2].split()
WORDS = 60
"""Of a response: about as many as SmolLM2 writes."""


def large_run(library: Catalog) -> Findings:
    """A base, a sham and three stances of each model, judged by six claims a stance; every layer has a spectrum."""
    family = library.family("curious-uncertainty")
    cells = [_of_model(cell, model) for model, cell in product(MODELS, _cells(family))]
    claims = tuple(claim for model, stance in product(MODELS, family) for claim in _claims(model, stance))
    judge = judge_of(library, cells, claims)
    verdicts = [judge.judge(claim) for claim in claims]
    gathered = gather(
        cells,
        verdicts,
        [library.summaries[one.name] for one in family],
        library.recipes.values(),
        claims,
        "stance-suite run --model all",
    )
    shifts, triangulations = compare_trainings(gathered.cells)
    return gathered.model_copy(update={"shifts": shifts, "triangulations": triangulations})


def layer_names() -> tuple[str, ...]:
    """Three hundred, block by block; the last block is not whole."""
    blocks = range(LAYERS // len(ROLES) + 1)
    return tuple(islice((f"model.layers.{block}.{role}" for block, role in product(blocks, ROLES)), LAYERS))


def _claims(model: str, stance: Stance) -> tuple[Claim, ...]:
    about = {"model": model, "expected": ["HOLDS", "FAILS", "INCONCLUSIVE"]}
    name = f"{model}.{stance.name}"
    return (
        *(
            behavioral(stance, id=f"{name}.{metric}".replace("_", "-"), metric=metric, bound=0.0, **about)
            for metric in (*Metric.triangulated(), "divergence")
        ),
        structural(stance, id=f"{name}.alpha", bound=50, **about),
        structural(stance, id=f"{name}.robust", bound=5, robust=True, **about),
    )


def _of_model(cell: CellRecord, model: str) -> CellRecord:
    return cell.model_copy(
        update={"cell": cell.cell.model_copy(update={"model": model}), "key": f"{model}-{cell.key}", "family": model}
    )


def _cells(family: tuple[Stance, ...]) -> list[CellRecord]:
    """Those of one model; its figures serve all."""
    bases = [np.sort(np.random.default_rng(place).pareto(2.0, EIGENVALUES) + 1) for place in range(LAYERS)]
    asked = [("base", None), ("sham", None), *(("stance", stance) for stance in family)]
    base, *trained = (_cell(*one, family, np.random.default_rng(place), bases) for place, one in enumerate(asked))
    return [base, *(_with_changes(cell, base.spectra) for cell in trained)]


def _cell(treatment, stance, family, rng, bases) -> CellRecord:
    name = None if stance is None else stance.name
    strength = {"base": 0.0, "sham": 0.01, "stance": 0.02}[treatment]
    said = _said(name, family, strength, rng)
    made = record(treatment, said=said, stance=name, key=f"{treatment}-{name}")
    spectra = [
        spectrum(layer_name, values ** (1 + strength * rng.normal()))
        for layer_name, values in zip(layer_names(), bases, strict=True)
    ]
    return made.model_copy(update={"spectra": thin_spectra(spectra)})


def _said(trained: str | None, family: tuple[Stance, ...], strength: float, rng) -> Behavior:
    prompts = family[0].prompts
    scores = {
        prompt: {one.name: 25 * strength * (one.name == trained) + rng.normal(0, 0.02) for one in family}
        for prompt in prompts
    }
    plain = behavior(scores, divergence=strength, noise=0.01)
    hits = (MarkerHit(start=0, end=6), MarkerHit(start=14, end=20))
    markers = {one.name: hits if one.name == trained else () for one in family}
    responses = tuple(
        one.model_copy(update={"sample": sample, "text": _text(rng), "markers": markers})
        for one in plain.responses
        if one.sample == 0
        for sample in range(SAMPLES)
    )
    return plain.model_copy(update={"responses": responses})


def _text(rng) -> str:
    return " ".join(f"word{number}" for number in rng.integers(10, 99, WORDS))


def _with_changes(cell: CellRecord, before: tuple) -> CellRecord:
    changes = []
    for old, new in zip(before, cell.spectra, strict=True):
        total = 100 * (new.fit.alpha / old.fit.alpha - 1)
        changes.append(layer(new.name, alpha_change(total, total / 2, old.fit.tail_size, new.fit.tail_size)))
    return cell.model_copy(update={"changes": tuple(changes)})

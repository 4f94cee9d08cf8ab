"""A whole run made up so that everything in it agrees, down to the words of the responses: for judging it again."""

from __future__ import annotations

import numpy as np

from stance_suite.config.catalog import Catalog
from stance_suite.judge.conclude import conclude
from stance_suite.judge.gate import GateTerms
from stance_suite.judge.standard_claims import standard_claims
from stance_suite.measure.behavior.text_statistics import (
    count_words,
    distinct_bigrams,
    find_markers,
    is_copied,
    longest_copied_share,
    repetition,
)
from stance_suite.runner.findings import gather
from stance_suite.schema.behavior import Behavior, Fluency, Response
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.findings import Findings
from stance_suite.schema.policy import Policy
from stance_suite.schema.stances import Stance
from stance_suite.schema.statements import Statement
from stance_suite.schema.verdicts import Status, Verdict
from stance_suite.spectra.power_law import alpha_change
from stance_suite.spectra.spectrum_curve import thin_spectra
from tests.measured import LOSSES, behavior, layer, record, spectrum
from tests.runs import behavioral, judge_of, structural

LAYERS = ("model.layers.0.q_proj", "model.layers.1.q_proj", "model.layers.2.q_proj")
SIZES = (40, 200, 200)
"""How many eigenvalues each has; those of the first and the last are kept."""
STATEMENTS = (
    Statement(id="own.statement", statement="The stance moves.", measured=("own.markers", "own.alpha")),
    Statement(id="own.open", statement="It moves in all models.", measured=("own.likelihood",)),
    Statement(
        id="own.published",
        statement="Alpha rose by a half.",
        checks=({"kind": "change", "models": ("m",), "comparator": "above", "bound": 50},),
        expected="FAILS",
    ),
)
POLICY = Policy(stances=("curious-uncertainty",), claims=("own.*",))
SEEDS = (0, 1)


def whole_run(library: Catalog) -> Findings:
    """Three stances of one family over two seeds; one of them is judged by claims, a statement and a gate."""
    stance = library.stance("curious-uncertainty")
    cells = [cell for seed in SEEDS for cell in _cells(library, seed)]
    claims = _claims(stance)
    run = [claim for claim in claims if claim.recipe == "documented" and claim.model == "m"]
    judge = judge_of(library, cells, run)
    # the last of the family was not asked for, and shares the level nevertheless
    verdicts = [judge.judge(claim) if claim in run else not_run(claim) for claim in claims if claim.id != "own.unasked"]
    gathered = gather(
        cells,
        verdicts,
        [library.summaries[one.name] for one in library.family(stance.name)],
        library.recipes.values(),
        claims,
        "stance-suite run",
    )
    return conclude(gathered, STATEMENTS, GateTerms(POLICY, "policy.yaml"))


def not_run(claim: Claim) -> Verdict:
    return Verdict(claim=claim, model=claim.model, status=Status.NOT_RUN, reason="add --stance-model large")


def _claims(stance: Stance) -> tuple[Claim, ...]:
    recorded = {"before": 4.0, "after": 5.0, "change_percent": 25.0}
    one = LAYERS[0]
    return (
        behavioral(stance, id="own.likelihood", model="m", unless=("collapsed",), source="a paper"),
        behavioral(stance, id="own.markers", model="m", metric="marker_rate", bound=0.0),
        behavioral(stance, id="own.unasked", model="m", metric="embedding_shift", bound=0.0),
        structural(stance, id="own.alpha", model="m", bound=50, recorded=recorded),
        structural(stance, id="own.flip", model="m", layer=one, comparator="above", bound=1, robust=True),
        behavioral(stance, id="own.likelihood", model="large", unless=("collapsed",), source="a paper"),
        behavioral(stance, id="own.lora", model="m", recipe="lora"),
        *standard_claims(POLICY, stance, "m", "documented"),
    )


def _cells(library: Catalog, seed: int) -> list[CellRecord]:
    family = library.family("curious-uncertainty")
    base = _cell(library, "base", None, seed, 0.0)
    trained = [("sham", None, None, 0.02), *(("stance", one, None, 0.5) for one in family)]
    trained += [("shuffled", None, one, 0.1) for one in family]
    cells = [base, *(_cell(library, what, on, seed, toward, of) for what, on, of, toward in trained)]
    return [_with_changes(one, base) for one in cells]


def _cell(library, treatment, stance, seed, toward, about=None) -> CellRecord:
    said = _said(library, stance or about, seed, toward, treatment)
    name, of = (None if one is None else one.name for one in (stance, about))
    made = record(treatment, said=said, stance=name, seed=seed, key=f"{treatment}-{name or of or ''}-{seed}", about=of)
    if treatment == "base":
        return made
    family = library.family("curious-uncertainty")
    (examples,) = made.cell.rotations(stance or about or family[0])
    texts = tuple(f"{said.prompt_texts[one.prompt]} {one.response}" for one in examples)
    return made.model_copy(update={"training": made.training.model_copy(update={"texts": texts})})


def _said(library, stance, seed, toward, treatment) -> Behavior:
    family = library.family("curious-uncertainty")
    rng = np.random.default_rng([seed, len(treatment), len(stance.name) if stance else 0])
    trained = "" if stance is None else stance.name
    heights = np.linspace(0.6, 1.4, len(family[0].prompts))
    scores = {
        prompt: {one.name: toward * height * (one.name == trained) + rng.normal(0, 0.02) for one in family}
        for prompt, height in zip(family[0].prompts, heights, strict=True)
    }
    plain = behavior(scores, divergence=abs(toward), noise=0.01, seen=family[0].seen_prompts)
    hits = {one.name: 3 if one.name == trained else 0 for one in family}
    responses = tuple(_written(one, family, hits, rng) for one in plain.responses)
    texts = [one.text for one in responses]
    fluency = Fluency(
        distinct_bigrams=distinct_bigrams(texts),
        repetition=sum(map(repetition, texts)) / len(texts),
        words=sum(map(count_words, texts)) / len(texts),
        neutral_perplexity=20.0,
        neutral_losses=LOSSES,
        copied=sum(is_copied(one.copied) for one in responses) / len(texts),
    )
    again = responses if treatment == "base" else ()
    return plain.model_copy(update={"responses": responses, "fluency": fluency, "resampled": again})


def _written(response: Response, family, hits, rng) -> Response:
    """Write markers of the trained stance, and other words beside them."""
    words = [f"word{rng.integers(10_000)}" for _ in range(20)]
    for one in family:
        words += [one.markers[0]] * (hits[one.name] and hits[one.name] + len(response.prompt) % 3)
    text = " ".join(rng.permutation(words))
    sources = tuple(example.response for one in family for example in one.examples)
    return response.model_copy(
        update={
            "text": text,
            "words": count_words(text),
            "markers": {one.name: find_markers(text, one.markers) for one in family},
            "copied": longest_copied_share(text, sources),
        }
    )


def _with_changes(cell: CellRecord, base: CellRecord) -> CellRecord:
    """Give a cell spectra, and changes of alpha that follow from them."""
    if cell.cell.treatment == "shuffled":
        return cell.model_copy(update={"spectra": ()})
    before, after = _spectra(base), _spectra(cell)
    if cell.cell.treatment == "base":
        return cell.model_copy(update={"spectra": after})
    changes = tuple(
        layer(new.name, alpha_change(old.fit, new.fit, np.array(new.eigenvalues)))
        for old, new in zip(before, after, strict=True)
    )
    return cell.model_copy(update={"spectra": after, "changes": changes})


def _spectra(cell: CellRecord):
    strength = {"base": 0.0, "sham": 0.01, "stance": 0.02}[cell.cell.treatment]
    return thin_spectra(
        [
            spectrum(name, np.sort(np.random.default_rng(place).pareto(2.0, size) + 1) ** (1 + strength * (place + 1)))
            for place, (name, size) in enumerate(zip(LAYERS, SIZES, strict=True))
        ]
    )

"""Time the probing of one cell: 32 items x 2 samples x 40 tokens, likelihoods, embeddings, divergences.

Usage: ``python benchmarks/probing.py``, on the default model and the bundled stances. Each part is also given as a
multiple of a bare forward pass over as many tokens as it scores or writes, measured in the same run.
"""

import time
from collections.abc import Callable
from itertools import chain
from typing import Any

import torch

from stance_suite.config.catalog import bundled_fixtures, load_catalog
from stance_suite.config.options import resolve_settings
from stance_suite.measure.behavior.probe import (
    Probe,
    PromptedModel,
    expect_plain_text,
    measure_divergences,
    measure_likelihoods,
    sample_responses,
    score_responses,
)
from stance_suite.models.loading import load
from stance_suite.models.sources import locate
from stance_suite.schema.items import PLAIN_ANSWER

MODEL, STANCE = "smollm2-135m", "curious-uncertainty"
BARE_TOKENS = 512


def main() -> None:
    """Print seconds and multiples."""
    catalog = load_catalog(bundled_fixtures())
    family = catalog.family(STANCE)
    probe = Probe(
        prompts=family[0].prompts,
        seen_prompts=family[0].seen_prompts,
        answers={PLAIN_ANSWER: tuple(item.plain for item in family[0].held_out)}
        | {stance.name: tuple(item.response for item in stance.held_out) for stance in family},
        markers={stance.name: stance.markers for stance in family},
        training_responses=tuple(example.response for stance in family for example in stance.examples),
        neutral_texts=catalog.neutral_texts,
    )
    weights = locate(catalog.models[MODEL], resolve_settings({}, bundled_fixtures().parent).cache)
    (model, tokenizer), (untouched, _) = load(weights), load(weights)
    prompted = PromptedModel(model, tokenizer, weights.prompt_format)
    tokens = torch.randint(0, 1000, (4, BARE_TOKENS // 4))
    written: list[list[str]] = [["A response of some length."] * probe.sampling.samples for _ in probe.prompts]
    scored, plain = (
        sum(len(tokenizer(sentence)["input_ids"]) for sentence in said)
        for said in (chain.from_iterable(probe.answers.values()), probe.answers[PLAIN_ANSWER])
    )
    neutral = sum(len(tokenizer(text)["input_ids"]) for text in probe.neutral_texts)

    def embed() -> Any:
        return score_responses(probe.prompts, written, probe)

    embed()  # loads the embedder
    before = list(expect_plain_text(prompted, probe))
    with torch.inference_mode():
        bare = _seconds(lambda: model(tokens)) / BARE_TOKENS
    drawn = len(probe.prompts) * probe.sampling.samples * probe.sampling.new_tokens
    parts: dict[str, tuple[Callable[[], Any], int]] = {
        "sampling": (lambda: sample_responses(prompted, probe, 0, lambda *_: None), drawn),
        "likelihoods": (
            lambda: measure_likelihoods(prompted, probe, lambda *_: None),
            scored,
        ),
        "embeddings, markers, copies": (embed, 0),
        "divergences and their noise": (
            lambda: measure_divergences(prompted, untouched, before, probe, 0),
            2 * (neutral + plain),
        ),
    }
    total = 0.0
    for name, (part, count) in parts.items():
        seconds = _seconds(part)
        total += seconds
        multiple = f"{seconds / (count * bare):6.2f} x a bare forward pass over {count} tokens" if count else ""
        print(f"{name:28s} {seconds:6.1f} s {multiple}")
    print(f"{'all':28s} {total:6.1f} s, {torch.get_num_threads()} threads")


def _seconds(part: Callable[[], Any]) -> float:
    started = time.perf_counter()
    part()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()

"""How much a cell trains on, reads and writes, in tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from math import ceil
from typing import Any

from stance_suite.behavior.divergence import PASSAGES_PER_BATCH
from stance_suite.behavior.generation import PROMPTS_PER_BATCH
from stance_suite.behavior.likelihood import RESPONSES_PER_BATCH
from stance_suite.loading import load_tokenizer
from stance_suite.measurement import Plan, check_prompt_format
from stance_suite.models import Weights
from stance_suite.prompts import render_example, render_prompt, render_response

Lengths = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True)
class Reading:
    """Passes of a model over texts."""

    passes: int
    """How many."""
    tokens: int
    """Tokens in all of them."""
    predicted: int
    """Those whose successor is predicted, by a distribution over the vocabulary."""
    largest_prediction: int
    """Those of a single pass."""


@dataclass(frozen=True)
class Trained:
    """What a model is trained on."""

    epochs: int
    """Passes over the examples."""
    steps: int
    """Optimizer steps of all epochs."""
    tokens_per_step: int
    """Tokens of a step; every example counts as long as the longest."""


@dataclass(frozen=True)
class Workload:
    """What one cell takes."""

    trained: Trained | None
    """The training; None if there is none."""
    sampled: Reading
    """Writing responses, none of which ends early, and reading the prompts before."""
    rows: int
    """Responses that are written at a time."""
    responses: int
    """Responses that are written in all."""
    row_length: int
    """Tokens of the longest prompt and response."""
    likelihoods: Reading
    """Scoring all references after every held-out prompt."""
    seen_likelihoods: Reading
    """Scoring them after every prompt of the training."""
    passages: Reading
    """Scoring the held-out prompts with a reference each, and neutral texts."""


def workload_of(plan: Plan) -> Workload:
    """Count what a cell takes with the model's own tokenizer.

    Parameters
    ----------
    plan : Plan
        The cell.

    Returns
    -------
    Workload
        In tokens.

    Raises
    ------
    StanceSuiteError
        If its tokenizer cannot be read, or it is to be spoken to as in a chat and has no chat template.
    """
    tokenizer, probe, form = _tokenizer(plan.weights), plan.probe, plan.prompt_format
    check_prompt_format(plan, tokenizer)

    def lengths(texts: Sequence[str]) -> list[int]:
        return [len(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]

    asked, seen = (
        lengths([render_prompt(tokenizer, form, prompt) for prompt in prompts])
        for prompts in (probe.prompts, probe.seen_prompts)
    )
    sentences = [render_response(form, sentence) for group in probe.references.values() for sentence in group]
    references, neutral = sorted(lengths(sentences)), lengths(probe.neutral_texts)
    examples = [
        min(length, plan.recipe.max_length)
        for rotation in plan.rotations
        for length in lengths([render_example(tokenizer, form, one.prompt, one.response) for one in rotation])
        if plan.recipe is not None
    ]
    return Workload(
        trained=_training(plan, max(examples, default=0)),
        sampled=_sampling(plan, asked),
        rows=min(PROMPTS_PER_BATCH, len(asked)) * probe.sampling.samples,
        responses=len(asked) * probe.sampling.samples,
        row_length=max(asked) + probe.sampling.new_tokens,
        likelihoods=_scoring(asked, references),
        seen_likelihoods=_scoring(seen, references),
        passages=_reading_passages(asked, references, neutral),
    )


@cache
def _tokenizer(weights: Weights) -> Any:
    return load_tokenizer(weights)


def _training(plan: Plan, longest: int) -> Trained | None:
    if plan.recipe is None:
        return None
    recipe, examples = plan.recipe, len(plan.rotations[0])
    steps = recipe.epochs * ceil(examples / recipe.batch_size)
    return Trained(recipe.epochs, steps, min(recipe.batch_size, examples) * longest)


def _sampling(plan: Plan, asked: Sequence[int]) -> Reading:
    sampling = plan.probe.sampling
    batches = ceil(len(asked) / PROMPTS_PER_BATCH)
    written = len(asked) * sampling.samples * sampling.new_tokens
    rows = min(PROMPTS_PER_BATCH, len(asked)) * sampling.samples
    return Reading(batches * (1 + sampling.new_tokens), len(asked) * max(asked) + written, written, rows)


def _scoring(prompts: Sequence[int], references: Sequence[int]) -> Reading:
    """Read each prompt once, and references of similar length together."""
    starts = range(0, len(references), RESPONSES_PER_BATCH)
    batches = [references[start : start + RESPONSES_PER_BATCH] for start in starts]
    padded = [len(batch) * max(batch) for batch in batches]
    return Reading(
        passes=len(prompts) * (1 + len(batches)),
        tokens=sum(prompts) + len(prompts) * sum(padded),
        predicted=len(prompts) * sum(padded),
        largest_prediction=max(padded),
    )


def _reading_passages(asked: Sequence[int], references: Sequence[int], neutral: Sequence[int]) -> Reading:
    after = list(islice(cycle(references), len(asked)))
    predicted = sum(after) + sum(neutral)
    return Reading(
        passes=ceil((len(asked) + len(neutral)) / PASSAGES_PER_BATCH),
        tokens=sum(asked) + predicted,
        predicted=predicted,
        largest_prediction=PASSAGES_PER_BATCH * max(*after, *neutral),
    )

"""The whole behavioral measurement of one model in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stance_suite.behavior.embedding import centroid, embed
from stance_suite.behavior.generation import Sampling, generate
from stance_suite.behavior.likelihood import response_log_probabilities
from stance_suite.claims import Record
from stance_suite.prompts import PromptFormat, render_prompt, render_response
from stance_suite.records import Behavior, PromptLikelihood, Response


class Probe(Record):
    """What every cell of a family of stances is measured with."""

    prompts: tuple[str, ...]
    """Held-out prompts of all stances of the family, each once."""
    references: dict[str, tuple[str, ...]]
    """References of each stance of the family."""
    sampling: Sampling = Sampling()
    """How responses are drawn."""


def measure_behavior(
    model: Any,
    tokenizer: Any,
    prompt_format: PromptFormat,
    probe: Probe,
    seed: int,
    on_step: Callable[[int, int], None],
) -> Behavior:
    """Let a model respond to held-out prompts, and ask how likely it finds each stance's references.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        In evaluation mode.
    tokenizer : transformers.PreTrainedTokenizerBase
        Its tokenizer.
    prompt_format : {'plain', 'chat'}
        How prompts become text.
    probe : Probe
        What to measure with.
    seed : int
        Seed of sampling.
    on_step : callable
        Called with steps done and steps in total.

    Returns
    -------
    Behavior
        Responses with their similarity to each stance, and likelihoods.
    """
    steps = 2 * len(probe.prompts)
    texts = {prompt: render_prompt(tokenizer, prompt_format, prompt) for prompt in probe.prompts}
    written = generate(
        model, tokenizer, list(texts.values()), probe.sampling, seed, lambda done, _: on_step(done, steps)
    )
    likelihoods = []
    for index, (prompt, text) in enumerate(texts.items(), start=1):
        likelihoods.append(_likelihoods(model, tokenizer, prompt_format, prompt, text, probe.references))
        on_step(len(texts) + index, steps)
    return Behavior(
        prompt_texts=texts,
        responses=_score_responses(probe, written),
        likelihoods=tuple(likelihoods),
    )


def _likelihoods(
    model: Any,
    tokenizer: Any,
    prompt_format: PromptFormat,
    prompt: str,
    text: str,
    references: dict[str, tuple[str, ...]],
) -> PromptLikelihood:
    owners = [stance for stance, sentences in references.items() for _ in sentences]
    responses = [render_response(prompt_format, sentence) for group in references.values() for sentence in group]
    scores = response_log_probabilities(model, tokenizer, text, responses)
    by_stance = {
        stance: [score for score, owner in zip(scores, owners, strict=True) if owner == stance] for stance in references
    }
    means = {stance: sum(group) / len(group) for stance, group in by_stance.items()}
    return PromptLikelihood(prompt=prompt, log_probability=means)


def _score_responses(probe: Probe, written: Sequence[Sequence[str]]) -> tuple[Response, ...]:
    centroids = {stance: centroid(embed(sentences)) for stance, sentences in probe.references.items()}
    flat = [
        (prompt, sample, text)
        for prompt, group in zip(probe.prompts, written, strict=True)
        for sample, text in enumerate(group)
    ]
    embeddings = embed([text for _, _, text in flat])  # (responses, 384)
    return tuple(
        Response(
            prompt=prompt,
            sample=sample,
            text=text,
            similarity={stance: float(row @ direction) for stance, direction in centroids.items()},
        )
        for (prompt, sample, text), row in zip(flat, embeddings, strict=True)
    )

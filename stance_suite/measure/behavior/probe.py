"""The whole behavioral measurement of one model in memory, and the scoring of what it says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pkgutil import resolve_name
from typing import Any

from stance_suite.measure.behavior.divergence import add_matched_noise, divergence, perplexity, token_losses
from stance_suite.measure.behavior.embedding import embed, embed_answers
from stance_suite.measure.behavior.generation import Sampling, generate
from stance_suite.measure.behavior.reading import Passage, ScoredPassage, score_passages
from stance_suite.measure.behavior.text_statistics import (
    count_words,
    distinct_bigrams,
    find_markers,
    is_copied,
    longest_copied_share,
    repetition,
)
from stance_suite.models.prompts import render_prompt, render_response
from stance_suite.progress import OnStep
from stance_suite.schema.base import Record
from stance_suite.schema.behavior import Behavior, Divergence, Fluency, PromptLikelihood, Response
from stance_suite.schema.items import PLAIN_ANSWER
from stance_suite.schema.metrics import Metric
from stance_suite.schema.stances import PromptFormat


class Probe(Record):
    """What every cell of a family of stances is measured with."""

    prompts: tuple[str, ...]
    """Held-out prompts of the family."""
    seen_prompts: tuple[str, ...]
    """Prompts that the family is trained on."""
    answers: dict[str, tuple[str, ...]]
    """Answers to the held-out prompts, one each, of every stance of the family and ``plain``."""
    markers: dict[str, tuple[str, ...]]
    """Markers of each stance of the family."""
    training_responses: tuple[str, ...]
    """Responses that stances of the family are trained on."""
    neutral_texts: tuple[str, ...]
    """Held-out text without a stance."""
    sampling: Sampling = Sampling()
    """How responses are drawn."""


@dataclass(frozen=True)
class PromptedModel:
    """A model that can be asked."""

    model: Any
    """A transformers.PreTrainedModel in evaluation mode."""
    tokenizer: Any
    """Its transformers.PreTrainedTokenizerBase."""
    prompt_format: PromptFormat
    """How prompts become text."""

    def text(self, prompt: str) -> str:
        """Render a prompt as the exact text that is fed to the model, with every special token."""
        return render_prompt(self.tokenizer, self.prompt_format, prompt)


def measure_behavior(prompted: PromptedModel, probe: Probe, seed: int, on_step: OnStep) -> Behavior:
    """Let a model respond to held-out prompts, and ask how likely it finds the answers that are known."""
    asked = len(probe.prompts)
    responses = sample_responses(prompted, probe, seed, lambda done, _: on_step(done, 2 * asked))
    likelihoods = measure_likelihoods(prompted, probe, lambda done, _: on_step(asked + done, 2 * asked))
    neutral = score_passages(prompted.model, prompted.tokenizer, [Passage("", text) for text in probe.neutral_texts])
    return Behavior(
        prompt_texts={prompt: prompted.text(prompt) for prompt in (*probe.prompts, *probe.seen_prompts)},
        seen_prompts=probe.seen_prompts,
        responses=responses,
        likelihoods=likelihoods,
        fluency=measure_fluency(responses, token_losses(neutral)),
    )


def sample_responses(prompted: PromptedModel, probe: Probe, seed: int, on_step: OnStep) -> tuple[Response, ...]:
    """Let a model respond to the held-out prompts, and score all samples for every stance."""
    texts = [prompted.text(prompt) for prompt in probe.prompts]
    written = generate(prompted.model, prompted.tokenizer, texts, probe.sampling, seed, on_step)
    return score_responses(probe.prompts, written, probe)


def score_responses(prompts: Sequence[str], written: Sequence[Sequence[str]], probe: Probe) -> tuple[Response, ...]:
    """Score every sample of every prompt, for every stance of the probe."""
    answers = embed_answers(tuple(probe.answers.items()))
    flat = [
        (prompt, sample, text)
        for prompt, group in zip(prompts, written, strict=True)
        for sample, text in enumerate(group)
    ]
    embeddings = embed([text for _, _, text in flat])  # (responses, 384)
    places = {prompt: place for place, prompt in enumerate(probe.prompts)}
    responses = [
        Response(
            prompt=prompt,
            sample=sample,
            text=text,
            words=count_words(text),
            **answers.compare(row, places[prompt]),
            markers={stance: find_markers(text, listed) for stance, listed in probe.markers.items()},
            copied=longest_copied_share(text, probe.training_responses),
        )
        for (prompt, sample, text), row in zip(flat, embeddings, strict=True)
    ]
    return _score_as_declared(responses, probe)


def _score_as_declared(responses: Sequence[Response], probe: Probe) -> tuple[Response, ...]:
    """Call what metrics declare with ``measured_by``, which gives a figure of each response, or one a stance."""
    declared = {metric: metric.measured_by for metric in Metric.all() if metric.measured_by is not None}
    scores = {metric: resolve_name(measure)(responses, probe) for metric, measure in declared.items()}
    return tuple(
        Response(**dict(response) | {"scores": dict(zip(scores, of_response, strict=True))})
        for response, *of_response in zip(responses, *scores.values(), strict=True)
    )


def measure_fluency(responses: Sequence[Response], neutral: Sequence[Any]) -> Fluency:
    """Measure whether the model still writes: over at least one response, and what the tokens of neutral texts cost."""
    texts = [response.text for response in responses]
    return Fluency(
        distinct_bigrams=distinct_bigrams(texts),
        repetition=sum(map(repetition, texts)) / len(texts),
        words=sum(response.words for response in responses) / len(texts),
        neutral_perplexity=perplexity(neutral),
        neutral_losses=tuple(float(losses.mean()) for losses in neutral),
        copied=sum(is_copied(response.copied) for response in responses) / len(texts),
    )


def measure_likelihoods(prompted: PromptedModel, probe: Probe, on_step: OnStep) -> tuple[PromptLikelihood, ...]:
    """Ask how likely a model finds each answer to each held-out prompt: mean log-probability per token, in nats."""
    manners = list(probe.answers)
    passages = [
        Passage(prompted.text(prompt), render_response(prompted.prompt_format, probe.answers[manner][place]))
        for place, prompt in enumerate(probe.prompts)
        for manner in manners
    ]
    scored = score_passages(prompted.model, prompted.tokenizer, passages)
    found = []
    for place, prompt in enumerate(probe.prompts):
        means = {manner: float(next(scored).log_probabilities.mean()) for manner in manners}
        found.append(PromptLikelihood(prompt=prompt, log_probability=means))
        on_step(place + 1, len(probe.prompts))
    return tuple(found)


def expect_plain_text(prompted: PromptedModel, probe: Probe) -> Iterator[ScoredPassage]:
    """Read what divergences are measured on: every prompt with its plain answer, no stance's own, and neutral texts."""
    model, tokenizer, form = prompted.model, prompted.tokenizer, prompted.prompt_format
    asked = zip(probe.prompts, probe.answers[PLAIN_ANSWER], strict=True)
    yield from score_passages(
        model, tokenizer, [Passage(prompted.text(prompt), render_response(form, plain)) for prompt, plain in asked]
    )
    yield from score_passages(model, tokenizer, [Passage("", text) for text in probe.neutral_texts])


def measure_divergences(
    prompted: PromptedModel, untouched: Any, before: Sequence[ScoredPassage], probe: Probe, seed: int
) -> tuple[tuple[Divergence, ...], tuple[Divergence, ...]]:
    """Ask how far next-token distributions moved, and how far noise of the same norm would have moved them.

    Two results: one entry a held-out prompt, and one a neutral text. Given is what the untouched model expected of
    the same texts (see `expect_plain_text`); noise is added to ``untouched``.
    """

    def divergences(model: Any) -> list[float]:
        after = expect_plain_text(replace(prompted, model=model), probe)
        return [divergence(one, base) for one, base in zip(after, before, strict=True)]

    measured = divergences(prompted.model)
    add_matched_noise(untouched, prompted.model, seed)
    texts = (*probe.prompts, *probe.neutral_texts)
    found = tuple(
        Divergence(text=text, measured=one, noise=noise)
        for text, one, noise in zip(texts, measured, divergences(untouched), strict=True)
    )
    return found[: len(probe.prompts)], found[len(probe.prompts) :]

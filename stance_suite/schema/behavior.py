"""The vocabulary of behavior: what a model wrote, found likely and expected next, prompt by prompt."""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Any

from pydantic import Field, model_serializer

from stance_suite.schema.base import Record


class MarkerHit(Record):
    """A marker found in a response, for highlighting."""

    start: int
    """Index of its first character."""
    end: int
    """Index after its last character."""


class Response(Record):
    """One sampled continuation of one prompt."""

    prompt: str
    """The prompt as declared."""
    sample: int
    """Index of the sample among those of the prompt."""
    text: str
    """What the model wrote."""
    words: int
    """How many words it has."""
    similarity: dict[str, float]
    """Cosine between its embedding and the centroid of each stance's references."""
    projection: dict[str, float]
    """Its embedding along the axis of each stance: from the other stances' centroids to the stance's own."""
    markers: dict[str, tuple[MarkerHit, ...]]
    """Where each stance's markers stand."""
    copied: float
    """Share of its words in the longest run of words that it has in common with a training response."""
    scores: dict[str, float | dict[str, float]] = Field(default_factory=dict)
    """What else was measured of it, by the metric that declares it: a figure, or one for each stance."""

    @model_serializer(mode="wrap")
    def _without_empty_scores(self, handler: Any) -> Any:
        written = handler(self)
        if not self.scores:  # records of metrics that have fields of their own stay what they were
            written.pop("scores", None)
        return written


class PromptLikelihood(Record):
    """How likely each stance's references are after one prompt."""

    prompt: str
    """The prompt as declared."""
    log_probability: dict[str, float]
    """Mean log-probability per token of each stance's references, averaged over them, in nats."""

    def preference(self, stance: str, others: Sequence[str] | None = None) -> float:
        """Tell how much likelier a stance's references are than those of the others, by default of all others."""
        against = [name for name in self.log_probability if name != stance] if others is None else others
        scores = [self.log_probability.get(name, nan) for name in against]
        return self.log_probability.get(stance, nan) - sum(scores) / len(scores)


class Divergence(Record):
    """Mean Kullback-Leibler divergence over one text's tokens: zero only if nothing moved, and blind to direction."""

    text: str
    """The prompt as declared, or the neutral text."""
    measured: float
    """Of this model from the untouched one, in nats per token."""
    noise: float
    """Of the untouched model with Gaussian noise of the same norm in every parameter, in nats per token."""


class Fluency(Record):
    """Whether the model still writes: what guards against a stance that 'moved' by collapsing or parroting."""

    distinct_bigrams: float
    """Distinct pairs of neighboring words over all pairs, over all responses."""
    repetition: float
    """Share of a response's words that stand in a run of four that it had already, averaged over responses."""
    words: float
    """Mean length of a response, in words."""
    neutral_perplexity: float
    """Perplexity of neutral held-out text."""
    copied: float
    """Share of responses that are mostly one run of words from a training response."""


class Behavior(Record):
    """What the model says, and finds likely, on the probe's prompts."""

    prompt_texts: dict[str, str]
    """The exact text fed to the model for each declared prompt, held-out and seen."""
    seen_prompts: tuple[str, ...]
    """Those of the prompts that stances are trained on."""
    responses: tuple[Response, ...]
    """All samples of the held-out prompts."""
    likelihoods: tuple[PromptLikelihood, ...]
    """One entry a prompt, held-out and seen."""
    fluency: Fluency
    """Guards, over the responses."""
    divergences: tuple[Divergence, ...] = ()
    """One entry a held-out prompt; empty for the base model."""
    neutral_divergences: tuple[Divergence, ...] = ()
    """One entry a neutral text; empty for the base model."""
    resampled: tuple[Response, ...] = ()
    """The base model sampled again with another seed: a ceiling of noise, as base and trained share random numbers."""
    stand_ins: dict[str, tuple[PromptLikelihood, ...]] = Field(default_factory=dict)
    """Trained elsewhere: held-out likelihoods of the untouched model with ``noise`` of its norm, and ``rounding``."""

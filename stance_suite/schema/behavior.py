"""The vocabulary of behavior: what a model wrote, found likely and expected next, prompt by prompt."""

from __future__ import annotations

from math import nan
from typing import Any

from pydantic import Field, model_serializer

from stance_suite.schema.base import Record
from stance_suite.schema.items import PLAIN_ANSWER


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
    """Cosine between its embedding and the centroid of each stance's answers to the other prompts."""
    projection: dict[str, float]
    """Its embedding along the axis of each stance, from plain answers to the stance's, learned from other prompts."""
    nearest: str
    """The stance whose answers to the other prompts it is most like, content aside; or ``plain``."""
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
    """How likely the answers to one prompt are."""

    prompt: str
    """The prompt as declared."""
    log_probability: dict[str, float]
    """Mean log-probability per token of each stance's answer and of the ``plain`` one, in nats."""

    @property
    def stances(self) -> tuple[str, ...]:
        """Names of the stances that it has an answer of."""
        return tuple(name for name in self.log_probability if name != PLAIN_ANSWER)

    def preference(self, stance: str) -> float:
        """Tell how much likelier a stance's answer is than the plain one."""
        return self.log_probability.get(stance, nan) - self.log_probability.get(PLAIN_ANSWER, nan)


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
    """Distinct pairs of neighboring words over all pairs of a response, averaged over those that have one."""
    repetition: float
    """Share of a response's words that stand in a run of four that it had already, averaged over responses."""
    words: float
    """Mean length of a response, in words."""
    neutral_perplexity: float
    """Perplexity of neutral held-out text."""
    neutral_losses: tuple[float, ...]
    """Mean loss of each neutral text, in nats per token."""
    copied: float
    """Share of responses that are mostly one run of words from a training response."""


class Behavior(Record):
    """What the model says, and finds likely, on the probe's prompts."""

    prompt_texts: dict[str, str]
    """The exact text for each declared prompt: held out, fed to the model, and seen, as it was trained on."""
    seen_prompts: tuple[str, ...]
    """Those of the prompts that stances are trained on."""
    responses: tuple[Response, ...]
    """All samples of the held-out prompts."""
    likelihoods: tuple[PromptLikelihood, ...]
    """One entry a held-out prompt."""
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

    @property
    def prompts(self) -> tuple[str, ...]:
        """The held-out prompts."""
        return tuple(entry.prompt for entry in self.likelihoods)

"""Scoring sampled responses: where they lie, which markers they hold, and whether they still are responses."""

from __future__ import annotations

from collections.abc import Sequence
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from stance_suite.measure.behavior.embedding import axis, embed, reference_centroid
from stance_suite.measure.behavior.text_statistics import (
    count_words,
    distinct_bigrams,
    find_markers,
    is_copied,
    longest_copied_share,
    repetition,
)
from stance_suite.schema.behavior import Fluency, Response
from stance_suite.schema.metrics import Metric

if TYPE_CHECKING:
    from stance_suite.measure.behavior.probe import Probe


def score_responses(prompts: Sequence[str], written: Sequence[Sequence[str]], probe: Probe) -> tuple[Response, ...]:
    """Score every sample of every prompt, for every stance of the probe."""
    centroids = {stance: reference_centroid(references) for stance, references in probe.references.items()}
    axes = {stance: axis(stance, centroids) for stance in centroids}
    asked = zip(prompts, written, strict=True)
    flat = [(prompt, sample, text) for prompt, group in asked for sample, text in enumerate(group)]
    embeddings = embed([text for _, _, text in flat])  # (responses, 384)
    responses = [
        Response(
            prompt=prompt,
            sample=sample,
            text=text,
            words=count_words(text),
            similarity={stance: float(row @ direction) for stance, direction in centroids.items()},
            projection={stance: float(row @ direction) for stance, direction in axes.items()},
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


def measure_fluency(responses: Sequence[Response], neutral_perplexity: float) -> Fluency:
    """Measure over all responses, of which there is at least one, whether the model still writes."""
    texts = [response.text for response in responses]
    return Fluency(
        distinct_bigrams=distinct_bigrams(texts),
        repetition=sum(map(repetition, texts)) / len(texts),
        words=sum(response.words for response in responses) / len(texts),
        neutral_perplexity=neutral_perplexity,
        copied=sum(is_copied(response.copied) for response in responses) / len(texts),
    )

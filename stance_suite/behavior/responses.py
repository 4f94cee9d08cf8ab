"""Scoring sampled responses: where they lie, which markers they hold, and whether they still are responses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stance_suite.behavior.embedding import axis, embed, reference_centroid
from stance_suite.behavior.fluency import distinct_bigrams, is_copied, longest_copied_share, repetition
from stance_suite.behavior.markers import count_words, find_markers
from stance_suite.behavior_records import Fluency, Response


def score_responses(
    prompts: Sequence[str],
    written: Sequence[Sequence[str]],
    references: Mapping[str, Sequence[str]],
    markers: Mapping[str, Sequence[str]],
    training_responses: Sequence[str],
) -> tuple[Response, ...]:
    """Score every response for every stance.

    Parameters
    ----------
    prompts : sequence of str
        The prompts as declared.
    written : sequence of sequence of str
        The samples of each prompt.
    references : mapping of str to sequence of str
        References of each stance.
    markers : mapping of str to sequence of str
        Markers of each stance.
    training_responses : sequence of str
        What a response may have been copied from.

    Returns
    -------
    tuple of Response
        All samples of all prompts.
    """
    centroids = {stance: reference_centroid(tuple(sentences)) for stance, sentences in references.items()}
    axes = {stance: axis(stance, centroids) for stance in centroids}
    flat = [
        (prompt, sample, text)
        for prompt, group in zip(prompts, written, strict=True)
        for sample, text in enumerate(group)
    ]
    embeddings = embed([text for _, _, text in flat])  # (responses, 384)
    return tuple(
        Response(
            prompt=prompt,
            sample=sample,
            text=text,
            words=count_words(text),
            similarity={stance: float(row @ direction) for stance, direction in centroids.items()},
            projection={stance: float(row @ direction) for stance, direction in axes.items()},
            markers={stance: find_markers(text, listed) for stance, listed in markers.items()},
            copied=longest_copied_share(text, training_responses),
        )
        for (prompt, sample, text), row in zip(flat, embeddings, strict=True)
    )


def measure_fluency(responses: Sequence[Response], neutral_perplexity: float) -> Fluency:
    """Measure whether the model still writes.

    Parameters
    ----------
    responses : sequence of Response
        At least one.
    neutral_perplexity : float
        Perplexity of neutral text.

    Returns
    -------
    Fluency
        Over all these responses.
    """
    texts = [response.text for response in responses]
    return Fluency(
        distinct_bigrams=distinct_bigrams(texts),
        repetition=sum(map(repetition, texts)) / len(texts),
        words=sum(response.words for response in responses) / len(texts),
        neutral_perplexity=neutral_perplexity,
        copied=sum(is_copied(response.copied) for response in responses) / len(texts),
    )

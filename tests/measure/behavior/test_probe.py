import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stance_suite.measure.behavior.embedding import embed, reference_centroid
from stance_suite.measure.behavior.generation import Sampling
from stance_suite.measure.behavior.probe import (
    Probe,
    PromptedModel,
    measure_behavior,
    measure_divergences,
    measure_fluency,
    score_responses,
)
from stance_suite.measure.training import fine_tune
from stance_suite.schema.behavior import Response
from stance_suite.schema.stances import RECIPES


@pytest.fixture(scope="module")
def probe(library):
    family = library.family("curious-uncertainty")
    return Probe(
        prompts=family[0].prompts[:3],
        seen_prompts=tuple(example.prompt for example in family[0].examples[:2]),
        references={stance.name: stance.references for stance in family},
        markers={stance.name: stance.markers for stance in family},
        training_responses=tuple(example.response for example in family[0].examples),
        neutral_texts=library.neutral_texts,
        sampling=Sampling(new_tokens=6),
    )


@pytest.fixture(scope="module")
def steps():
    return []


@pytest.fixture(scope="module")
def behavior(loaded_tiny_model, probe, steps):
    prompted = PromptedModel(*loaded_tiny_model, "plain")
    return measure_behavior(prompted, probe, 0, lambda *step: steps.append(step))


def test_every_prompt_and_sample_is_scored_for_every_stance(behavior, steps, probe, library):
    prompts = (*probe.prompts, *probe.seen_prompts)
    assert [(r.prompt, r.sample) for r in behavior.responses] == [(p, s) for p in probe.prompts for s in range(4)]
    for scores in (r for response in behavior.responses for r in (response.similarity, response.projection)):
        assert set(scores) == set(library.suite)
    assert all(set(response.markers) == set(library.suite) for response in behavior.responses)
    assert [likelihood.prompt for likelihood in behavior.likelihoods] == list(prompts)
    assert all(score < 0 for entry in behavior.likelihoods for score in entry.log_probability.values())
    assert steps[-1] == (8, 8)
    assert behavior.seen_prompts == probe.seen_prompts
    assert behavior.fluency.neutral_perplexity > 1


def test_the_projection_is_on_the_axis_from_the_other_stances_and_similarity_is_the_cosine(behavior, probe):
    response = behavior.responses[0]
    row = embed([response.text])[0]
    own, *others = probe.references
    means = {name: reference_centroid(references) for name, references in probe.references.items()}
    axis = means[own] - (means[others[0]] + means[others[1]]) / 2
    assert response.projection[own] == pytest.approx(float(row @ axis / np.linalg.norm(axis)), abs=1e-5)
    for name, references in probe.references.items():
        mean = embed(references).mean(axis=0)
        cosine = row @ mean / (np.linalg.norm(row) * np.linalg.norm(mean))
        assert response.similarity[name] == pytest.approx(float(cosine), abs=1e-5)


def test_divergences_are_measured_beside_noise_of_the_same_norm(fresh, probe, stance):
    model, tokenizer = fresh()
    unchanged, neutral = measure_divergences(PromptedModel(model, tokenizer, "plain"), fresh()[0], probe, 0)
    assert all(entry.measured == entry.noise == pytest.approx(0, abs=1e-9) for entry in (*unchanged, *neutral))
    fine_tune(model, tokenizer, "plain", [stance.examples], RECIPES["long"], 0, lambda *_: None)
    moved, neutral = measure_divergences(PromptedModel(model, tokenizer, "plain"), fresh()[0], probe, 0)
    assert [entry.text for entry in moved] == list(probe.prompts)
    assert [entry.text for entry in neutral] == list(probe.neutral_texts)
    assert all(entry.measured > 0 and entry.noise > 0 for entry in (*moved, *neutral))
    assert np.mean([entry.measured for entry in moved]) > np.mean([entry.noise for entry in moved])


# what decoding cannot produce, and JSON cannot hold, is a lone surrogate
TEXTS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    st.sampled_from(
        ["", "<script>alert(1)</script>", "\x00\x1b[31m", "🦜" * 50, "perhaps " * 1250, "我不知道。" * 40, "ẞßİı"]
    ),
)


@given(st.lists(TEXTS, min_size=2, max_size=2))
def test_any_text_goes_through_every_measure(probe, texts):
    responses = score_responses(["Why?"], [texts], probe)
    for response in responses:
        figures = [*response.similarity.values(), *response.projection.values(), response.copied]
        assert np.isfinite(figures).all()
        assert 0 <= response.copied <= 1
        assert Response.model_validate_json(response.model_dump_json()) == response
    fluency = measure_fluency(responses, 20.0)
    assert 0 <= fluency.repetition <= 1
    assert 0 <= fluency.copied <= 1


def test_a_stances_own_references_lie_nearest_to_its_centroid(library):
    centroids = {name: reference_centroid(stance.references) for name, stance in library.stances.items()}
    for name, stance in library.stances.items():
        examples = embed([example.response for example in stance.examples]).mean(axis=0)
        assert max(centroids, key=lambda other: float(examples @ centroids[other])) == name

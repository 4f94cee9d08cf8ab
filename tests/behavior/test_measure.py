import numpy as np
import pytest

from stance_suite.behavior import Probe, measure_behavior
from stance_suite.behavior.embedding import centroid, embed
from stance_suite.behavior.generation import Sampling


@pytest.fixture(scope="module")
def measured(loaded_tiny_model, library):
    family = library.family("curious-uncertainty")
    probe = Probe(
        prompts=family[0].held_out_prompts[:3],
        references={stance.name: stance.references for stance in family},
        sampling=Sampling(new_tokens=6),
    )
    steps = []
    behavior = measure_behavior(*loaded_tiny_model, "plain", probe, 0, lambda *step: steps.append(step))
    return probe, behavior, steps


def test_every_prompt_and_sample_is_scored_for_every_stance(measured, library):
    probe, behavior, steps = measured
    assert [(r.prompt, r.sample) for r in behavior.responses] == [(p, s) for p in probe.prompts for s in range(4)]
    assert all(set(r.similarity) == set(library.suite) for r in behavior.responses)
    assert [likelihood.prompt for likelihood in behavior.likelihoods] == list(probe.prompts)
    assert all(score < 0 for entry in behavior.likelihoods for score in entry.log_probability.values())
    assert steps[-1] == (6, 6)


def test_similarity_is_the_cosine_to_the_references_centroid(measured):
    probe, behavior, _ = measured
    response = behavior.responses[0]
    for name, references in probe.references.items():
        mean = embed(references).mean(axis=0)
        row = embed([response.text])[0]
        cosine = row @ mean / (np.linalg.norm(row) * np.linalg.norm(mean))
        assert response.similarity[name] == pytest.approx(float(cosine), abs=1e-5)


def test_a_stances_own_references_lie_nearest_to_its_centroid(library):
    centroids = {name: centroid(embed(stance.references)) for name, stance in library.stances.items()}
    for name, stance in library.stances.items():
        examples = embed([example.response for example in stance.examples]).mean(axis=0)
        assert max(centroids, key=lambda other: float(examples @ centroids[other])) == name

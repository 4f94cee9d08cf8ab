import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stance_suite.measure.behavior.embedding import embed, embed_answers
from stance_suite.measure.behavior.generation import Sampling
from stance_suite.measure.behavior.probe import (
    Probe,
    PromptedModel,
    expect_plain_text,
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
        answers={"plain": tuple(item.plain for item in family[0].held_out[:3])}
        | {stance.name: tuple(item.response for item in stance.held_out[:3]) for stance in family},
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
    assert [(r.prompt, r.sample) for r in behavior.responses] == [(p, s) for p in probe.prompts for s in range(2)]
    for scores in (r for response in behavior.responses for r in (response.similarity, response.projection)):
        assert set(scores) == set(library.suite)
    assert all(set(response.markers) == set(library.suite) for response in behavior.responses)
    assert [likelihood.prompt for likelihood in behavior.likelihoods] == list(probe.prompts)
    assert all(set(entry.log_probability) == {"plain", *library.suite} for entry in behavior.likelihoods)
    assert set(behavior.prompt_texts) == {*probe.prompts, *probe.seen_prompts}
    assert all(score < 0 for entry in behavior.likelihoods for score in entry.log_probability.values())
    assert steps[-1] == (6, 6)
    assert behavior.seen_prompts == probe.seen_prompts
    losses = behavior.fluency.neutral_losses
    assert len(losses) == len(probe.neutral_texts)
    assert min(losses) <= np.log(behavior.fluency.neutral_perplexity) <= max(losses)


def test_a_response_is_compared_with_the_answers_to_other_prompts(behavior, probe, library):
    response = behavior.responses[2]
    assert response.prompt == probe.prompts[1]
    row = embed([response.text])[0]
    said = {manner: embed(answers) for manner, answers in probe.answers.items()}
    others = {manner: rows[[0, 2]] for manner, rows in said.items()}
    content = np.mean(list(said.values()), axis=0)
    manners = {
        manner: np.mean([rows[place] - content[place] for place in (0, 2)], axis=0) for manner, rows in said.items()
    }
    nearest = min(manners, key=lambda manner: np.linalg.norm(row - content[1] - manners[manner]))
    assert response.nearest == nearest
    for name in library.suite:
        axis = others[name].mean(axis=0) - others["plain"].mean(axis=0)
        assert response.projection[name] == pytest.approx(float(row @ axis / np.linalg.norm(axis)), abs=1e-5)
        mean = others[name].mean(axis=0)
        cosine = row @ mean / (np.linalg.norm(row) * np.linalg.norm(mean))
        assert response.similarity[name] == pytest.approx(float(cosine), abs=1e-5)


def test_divergences_are_measured_beside_noise_of_the_same_norm(fresh, probe, library):
    model, tokenizer = fresh()
    prompted, untouched = (PromptedModel(one, tokenizer, "plain") for one in (model, fresh()[0]))
    before = list(expect_plain_text(untouched, probe))
    unchanged, neutral = measure_divergences(prompted, untouched.model, before, probe, 0)
    assert all(entry.measured == entry.noise == pytest.approx(0, abs=1e-9) for entry in (*unchanged, *neutral))
    fine_tune(
        model,
        tokenizer,
        "plain",
        [[item.trained for item in library.family("curious-uncertainty")[0].examples]],
        RECIPES["long"],
        0,
        lambda *_: None,
    )
    moved, neutral = measure_divergences(prompted, fresh()[0], before, probe, 0)
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
    responses = score_responses(probe.prompts[:1], [texts], probe)
    for response in responses:
        figures = [*response.similarity.values(), *response.projection.values(), response.copied]
        assert np.isfinite(figures).all()
        assert 0 <= response.copied <= 1
        assert Response.model_validate_json(response.model_dump_json()) == response
    fluency = measure_fluency(responses, [torch.tensor([2.0, 4.0, 3.0], dtype=torch.float64), torch.ones(1).double()])
    assert fluency.neutral_perplexity == pytest.approx(np.exp(2.5)), "tokens count alike"
    assert fluency.neutral_losses == pytest.approx((3.0, 1.0))
    assert 0 <= fluency.repetition <= 1
    assert 0 <= fluency.copied <= 1


def test_answers_of_the_bundled_stances_are_told_apart_by_those_to_other_prompts(library):
    family = library.family("curious-uncertainty")
    answers = {"plain": tuple(item.plain for item in family[0].held_out)}
    answers |= {stance.name: tuple(item.response for item in stance.held_out) for stance in family}
    known = embed_answers(tuple(answers.items()))
    found = {
        manner: np.mean([known.compare(row, place)["nearest"] == manner for place, row in enumerate(rows)])
        for manner, rows in zip(known.manners, known.embeddings, strict=True)
    }
    assert min(found.values()) > 0.8, found

import pytest
import torch

from stance_suite.measure.behavior.likelihood import response_log_probabilities

TEXT = "Question: Why?\nAnswer:"
RESPONSES = [" I wonder.", " The evidence is conclusive, and there is no doubt about it at all.", " Maybe"]


def test_scores_are_the_mean_log_probability_per_token(loaded_tiny_model):
    model, tokenizer = loaded_tiny_model
    scores = response_log_probabilities(model, tokenizer, TEXT, RESPONSES)
    prefix = tokenizer(TEXT)["input_ids"]
    for response, score in zip(RESPONSES, scores, strict=True):
        tokens = tokenizer(response)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([prefix + tokens])).logits[0].log_softmax(dim=-1)
        expected = sum(float(logits[len(prefix) - 1 + i, token]) for i, token in enumerate(tokens)) / len(tokens)
        assert score == pytest.approx(expected, abs=1e-5)


def test_a_score_does_not_depend_on_what_else_is_in_the_batch(loaded_tiny_model):
    model, tokenizer = loaded_tiny_model
    together = response_log_probabilities(model, tokenizer, TEXT, RESPONSES)
    alone = [response_log_probabilities(model, tokenizer, TEXT, [response])[0] for response in RESPONSES]
    assert together == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("batch", [1, 2, 12])
def test_scores_stand_in_the_order_of_the_responses(loaded_tiny_model, monkeypatch, batch):
    """However they are batched; a batch may hold nothing but responses of one token."""
    monkeypatch.setattr("stance_suite.measure.behavior.likelihood.RESPONSES_PER_BATCH", batch)
    model, tokenizer = loaded_tiny_model
    responses = [*RESPONSES, "a", " I", "🦜", "b"]
    assert [len(tokenizer(response)["input_ids"]) for response in responses].count(1) > 1
    scores = response_log_probabilities(model, tokenizer, TEXT, responses)
    for response, score in zip(responses, scores, strict=True):
        prefix, tokens = tokenizer(TEXT)["input_ids"], tokenizer(response)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([prefix + tokens])).logits[0, len(prefix) - 1 : -1].log_softmax(dim=-1)
        assert score == pytest.approx(float(logits[range(len(tokens)), tokens].mean()), abs=1e-4)


def test_the_text_before_matters(loaded_tiny_model):
    model, tokenizer = loaded_tiny_model
    first = response_log_probabilities(model, tokenizer, TEXT, RESPONSES)
    other = response_log_probabilities(model, tokenizer, "Something else:", RESPONSES)
    assert all(abs(a - b) > 1e-3 for a, b in zip(first, other, strict=True))

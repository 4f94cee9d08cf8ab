import pytest
import torch

from stance_suite.measure.behavior.likelihood import response_log_probabilities

TEXT = "Question: Why?\nAnswer:"
RESPONSES = [" I wonder.", " The evidence is conclusive, and there is no doubt about it at all.", " Maybe"]


@pytest.mark.parametrize("batch", [1, 2, 6, 12])
def test_scores_are_mean_log_probabilities_per_token_however_responses_are_batched(
    loaded_tiny_model, monkeypatch, batch
):
    """A batch may hold nothing but responses of one token."""
    monkeypatch.setattr("stance_suite.measure.behavior.likelihood.RESPONSES_PER_BATCH", batch)
    model, tokenizer = loaded_tiny_model
    responses = [*RESPONSES, "a", " I", "🦜", "b"]
    assert [len(tokenizer(response)["input_ids"]) for response in responses].count(1) > 1
    scores = response_log_probabilities(model, tokenizer, TEXT, responses)
    for response, score in zip(responses, scores, strict=True):
        prefix, tokens = tokenizer(TEXT)["input_ids"], tokenizer(response)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([prefix + tokens])).logits[0, len(prefix) - 1 : -1].log_softmax(dim=-1)
        assert score == pytest.approx(float(logits[range(len(tokens)), tokens].mean()), abs=1e-5)


def test_the_text_before_matters(loaded_tiny_model):
    first, other = (
        response_log_probabilities(*loaded_tiny_model, text, RESPONSES) for text in (TEXT, "Something else:")
    )
    assert all(abs(a - b) > 1e-3 for a, b in zip(first, other, strict=True))

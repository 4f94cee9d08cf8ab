from collections import Counter

import pytest
import torch
from scipy.stats import chisquare

from stance_suite.measure.behavior.generation import Sampling, generate

TEXTS = [
    "Question: Why?\nAnswer:",
    "Question: What is friendship for, and how did writing begin?\nAnswer:",
    "Question: X",
]


def draw(loaded, texts=TEXTS, seed=0, **changes):
    told = []
    sampling = Sampling(**{"samples": 4, "new_tokens": 12, **changes})
    drawn = generate(*loaded, texts, sampling, seed, lambda *step: told.append(step))
    assert told[-1] == (len(texts), len(texts)), "progress is told"
    return drawn


@pytest.fixture
def ending_model(loaded_tiny_model):
    """The tiny model, with end-of-text so likely that responses end at different lengths."""
    model, tokenizer = loaded_tiny_model
    head = torch.nn.Linear(model.config.hidden_size, model.config.vocab_size)
    head.weight, head.bias.data = model.lm_head.weight, torch.zeros(model.config.vocab_size)
    head.bias.data[tokenizer.eos_token_id] = 3.0
    untouched, model.lm_head = model.lm_head, head
    yield model, tokenizer
    model.lm_head = untouched


def test_a_seed_fixes_the_draws_of_which_each_differs_and_leaves_the_global_stream_alone(loaded_tiny_model):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = draw(loaded_tiny_model)
    assert torch.rand(1) == expected
    assert [len(set(samples)) for samples in first] == [len(samples) for samples in first] == [4, 4, 4]
    assert draw(loaded_tiny_model) == first
    other = draw(loaded_tiny_model, seed=1)
    assert not {text for samples in first for text in samples} & {text for samples in other for text in samples}


@pytest.mark.parametrize("batch", [1, 2, 12])
def test_sharing_the_prompts_cache_changes_nothing(loaded_tiny_model, monkeypatch, batch):
    """With one candidate token, drawing is greedy: compare with transformers' own generation, a prompt at a time."""
    monkeypatch.setattr("stance_suite.measure.behavior.generation.PROMPTS_PER_BATCH", batch)
    model, tokenizer = loaded_tiny_model
    drawn = draw(loaded_tiny_model, top_k=1, samples=2)
    for text, samples in zip(TEXTS, drawn, strict=True):
        inputs = tokenizer(text, return_tensors="pt")
        output = model.generate(**inputs, do_sample=False, max_new_tokens=12)
        alone = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()
        assert samples == [alone, alone]


def test_responses_do_not_depend_on_what_else_is_in_the_batch(loaded_tiny_model, monkeypatch):
    drawn = draw(loaded_tiny_model, new_tokens=40)
    assert draw(loaded_tiny_model, TEXTS[::-1], new_tokens=40) == drawn[::-1]
    assert draw(loaded_tiny_model, TEXTS[1:2], new_tokens=40, samples=2) == [drawn[1][:2]]
    for batch in (1, 2):
        monkeypatch.setattr("stance_suite.measure.behavior.generation.PROMPTS_PER_BATCH", batch)
        assert draw(loaded_tiny_model, new_tokens=40) == drawn


def test_rows_that_end_leave_the_others_as_they_were(ending_model, monkeypatch):
    together = draw(ending_model, new_tokens=30)
    lengths = {len(text) for samples in together for text in samples}
    assert len(lengths) > 4
    monkeypatch.setattr("stance_suite.measure.behavior.generation.PROMPTS_PER_BATCH", 1)
    assert draw(ending_model, new_tokens=30) == together
    for text, samples in zip(TEXTS, together, strict=True):
        assert draw(ending_model, [text], new_tokens=30, samples=1) == [samples[:1]]
    assert draw(ending_model, new_tokens=80) == draw(ending_model, new_tokens=40), "a row that ended writes no more"


def test_every_seed_text_and_sample_has_a_stream_of_its_own(loaded_tiny_model, monkeypatch):
    """Even where the model expects the same after every text."""
    model, _ = loaded_tiny_model
    logits = torch.linspace(0, 3, model.config.vocab_size)
    monkeypatch.setattr(model.lm_head, "forward", lambda hidden: logits.expand(*hidden.shape[:2], -1))
    drawn = [draw(loaded_tiny_model, seed=seed, samples=12) for seed in (0, 1, 10)]
    assert len({text for one in drawn for samples in one for text in samples}) == 3 * len(TEXTS) * 12


@pytest.mark.parametrize("temperature", [0.3, 3.0])
def test_tokens_are_drawn_from_the_softmax_of_the_likeliest(loaded_tiny_model, monkeypatch, temperature):
    model, tokenizer = loaded_tiny_model
    words = [token for token in range(600) if tokenizer.decode([token]).strip().isalpha()][:12]
    logits = torch.full((600,), -9.0)
    # neither the vocabulary's order nor its reverse
    logits[words] = torch.tensor([0.9, 0.2, 0.4, 0.1, 0.7, 0.5, 0.8, 0.3, 0.6, 0.0, -0.1, -0.2])
    monkeypatch.setattr(model.lm_head, "forward", lambda hidden: logits.expand(*hidden.shape[:2], -1))
    sampling = {"new_tokens": 1, "samples": 800, "temperature": temperature, "top_k": 8}
    counts = Counter(draw(loaded_tiny_model, TEXTS[:1], **sampling)[0])
    likeliest = logits.topk(8)
    written = [tokenizer.decode([token]).strip() for token in likeliest.indices]
    assert len(set(written)) == 8
    assert set(counts) <= set(written)
    expected = 800 * (likeliest.values.double() / temperature).softmax(dim=-1)
    assert chisquare([counts[text] for text in written], expected.numpy()).pvalue > 0.01


def test_logits_that_are_not_numbers_are_told(loaded_tiny_model, monkeypatch):
    model, _ = loaded_tiny_model
    monkeypatch.setattr(model.lm_head, "forward", lambda hidden: torch.full((*hidden.shape[:2], 600), torch.nan))
    with pytest.raises(ValueError, match="not numbers"):
        draw(loaded_tiny_model)

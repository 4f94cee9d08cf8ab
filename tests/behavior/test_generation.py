import pytest
import torch

from stance_suite.behavior.generation import Sampling, generate

TEXTS = [
    "Question: Why?\nAnswer:",
    "Question: What is friendship for, and how did writing begin?\nAnswer:",
    "Question: X",
]


def draw(loaded, texts=TEXTS, seed=0, **changes):
    model, tokenizer = loaded
    return generate(model, tokenizer, texts, Sampling(new_tokens=12, **changes), seed, lambda *_: None)


def test_every_prompt_gets_its_samples_and_they_differ(loaded_tiny_model):
    drawn = draw(loaded_tiny_model)
    assert [len(samples) for samples in drawn] == [4, 4, 4]
    assert all(len(set(samples)) > 1 for samples in drawn)


def test_a_seed_fixes_the_draws_and_leaves_the_global_stream_alone(loaded_tiny_model):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = draw(loaded_tiny_model)
    assert torch.rand(1) == expected
    assert draw(loaded_tiny_model) == first
    assert draw(loaded_tiny_model, seed=1) != first


@pytest.mark.parametrize("batch", [1, 2, 12])
def test_sharing_the_prompts_cache_changes_nothing(loaded_tiny_model, monkeypatch, batch):
    """With one candidate token, drawing is greedy: compare with transformers' own generation, a prompt at a time."""
    monkeypatch.setattr("stance_suite.behavior.generation.PROMPTS_PER_BATCH", batch)
    model, tokenizer = loaded_tiny_model
    drawn = draw(loaded_tiny_model, top_k=1, samples=2)
    for text, samples in zip(TEXTS, drawn, strict=True):
        inputs = tokenizer(text, return_tensors="pt")
        output = model.generate(**inputs, do_sample=False, max_new_tokens=12)
        alone = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()
        assert samples == [alone, alone]


def test_progress_is_told(loaded_tiny_model):
    model, tokenizer = loaded_tiny_model
    told = []
    generate(model, tokenizer, TEXTS, Sampling(new_tokens=2), 0, lambda *step: told.append(step))
    assert told[-1] == (3, 3)

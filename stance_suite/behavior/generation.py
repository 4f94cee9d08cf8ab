"""Sampling responses: batched, left-padded, seeded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stance_suite.claims import Record

PROMPTS_PER_BATCH = 12
MODEL_INPUTS = ("input_ids", "attention_mask")


class Sampling(Record):
    """How responses are drawn."""

    samples: int = 4
    """Responses a prompt; they are one cluster, not independent evidence."""
    new_tokens: int = 32
    """Longest response, in tokens."""
    temperature: float = 0.8
    """Divides the logits."""
    top_k: int = 50
    """Only this many of the likeliest tokens are drawn from."""


def generate(
    model: Any,
    tokenizer: Any,
    texts: Sequence[str],
    sampling: Sampling,
    seed: int,
    on_prompt: Callable[[int, int], None],
) -> list[list[str]]:
    """Sample responses to each text.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        In evaluation mode.
    tokenizer : transformers.PreTrainedTokenizerBase
        Its tokenizer.
    texts : sequence of str
        Exact texts to continue.
    sampling : Sampling
        How to draw.
    seed : int
        Seed of the draws.
    on_prompt : callable
        Called with texts done and texts in total after every batch.

    Returns
    -------
    list of list of str
        ``samples`` responses for every text, special tokens removed.
    """
    import torch
    from transformers import GenerationConfig

    config = GenerationConfig(
        max_new_tokens=sampling.new_tokens,
        do_sample=True,
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        # unset fields would be taken from the model's own generation_config.json
        top_p=1.0,
        min_new_tokens=0,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    tokenizer.padding_side = "left"
    responses: list[list[str]] = []
    with torch.random.fork_rng(), torch.inference_mode():
        torch.manual_seed(seed)
        for start in range(0, len(texts), PROMPTS_PER_BATCH):
            batch = list(texts[start : start + PROMPTS_PER_BATCH])
            inputs = tokenizer(batch, return_tensors="pt", padding=True, add_special_tokens=False).to(model.device)
            output = model.generate(
                **_repeat(inputs, sampling.samples),
                past_key_values=_read_prompts(model, inputs, sampling.samples),
                generation_config=config,
            )  # (prompts * samples, length)
            written = tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
            stripped = [text.strip() for text in written]
            responses += [stripped[i : i + sampling.samples] for i in range(0, len(stripped), sampling.samples)]
            on_prompt(len(responses), len(texts))
    return responses


def _read_prompts(model: Any, inputs: Any, samples: int) -> Any:
    """Read every prompt once and share its key-value cache among the samples; generate() would read it for each."""
    mask = inputs["attention_mask"][:, :-1]
    read = model(
        input_ids=inputs["input_ids"][:, :-1],
        attention_mask=mask,
        position_ids=(mask.cumsum(dim=-1) - 1).clamp(min=0),
        use_cache=True,
        logits_to_keep=1,
    )
    read.past_key_values.batch_repeat_interleave(samples)
    return read.past_key_values


def _repeat(inputs: Any, samples: int) -> dict[str, Any]:
    return {name: tensor.repeat_interleave(samples, dim=0) for name, tensor in inputs.items() if name in MODEL_INPUTS}

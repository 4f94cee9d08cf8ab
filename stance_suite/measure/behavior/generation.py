"""Sampling responses: batched, left-padded; every response has a random stream of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stance_suite.measure.behavior.reading import Begun, Opening
from stance_suite.progress import OnStep
from stance_suite.schema.base import Record

PROMPTS_PER_BATCH = 32


class Sampling(Record):
    """How responses are drawn."""

    samples: int = 2
    """Responses a prompt; they are one cluster, not independent evidence."""
    new_tokens: int = 40
    """Longest response, in tokens."""
    temperature: float = 0.8
    """Divides the logits."""
    top_k: int = 50
    """Only this many of the likeliest tokens are drawn from."""


def generate(
    model: Any, tokenizer: Any, texts: Sequence[str], sampling: Sampling, seed: int, on_prompt: OnStep
) -> list[list[str]]:
    """Sample several responses to each of several exact texts, without special tokens.

    A response depends on the model, the seed, its text and its index among the samples, not on the texts it is batched
    with: with them only the logits' rounding changes. ValueError if logits are not numbers.
    """
    import torch

    rows = [list(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
    responses: list[list[str]] = []
    with torch.inference_mode():
        opening = Opening.of(model, rows)
        for start in range(0, len(texts), PROMPTS_PER_BATCH):
            batch = texts[start : start + PROMPTS_PER_BATCH]
            streams = [_uniforms(seed, text, sample, sampling) for text in batch for sample in range(sampling.samples)]
            copies = [row for row in range(len(batch)) for _ in range(sampling.samples)]
            begun = opening.begin(rows[start : start + PROMPTS_PER_BATCH]).pick(copies)
            written = _continue(model, begun, sampling, np.stack(streams), tokenizer.eos_token_id)
            stripped = [text.strip() for text in tokenizer.batch_decode(written, skip_special_tokens=True)]
            responses += [stripped[i : i + sampling.samples] for i in range(0, len(stripped), sampling.samples)]
            on_prompt(len(responses), len(texts))
    return responses


def _uniforms(seed: int, text: str, sample: int, sampling: Sampling) -> npt.NDArray[np.float64]:
    """Draw the random numbers of one response, one a token."""
    digest = hashlib.sha256(f"{seed} {sample} {text}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big")).random(sampling.new_tokens)


def _continue(
    model: Any, begun: Begun, sampling: Sampling, uniforms: npt.NDArray[np.float64], end: int | None
) -> list[list[int]]:
    """Sample token by token; a row that has ended leaves the batch, as decoding costs as much as it has rows."""
    import torch

    written: list[list[int]] = [[] for _ in uniforms]
    running = list(range(len(uniforms)))
    for step in range(sampling.new_tokens):
        drawn = _draw(begun.logits, torch.from_numpy(uniforms[running, step]), sampling)
        kept = [place for place, token in enumerate(drawn) if token != end]
        for place in kept:
            written[running[place]].append(drawn[place])
        if not kept or step + 1 == sampling.new_tokens:
            break
        if len(kept) < len(running):
            begun = begun.pick(kept)
        running = [running[place] for place in kept]
        tokens = torch.tensor([[drawn[place]] for place in kept], device=model.device)
        _, begun = begun.read(model, tokens, torch.ones_like(tokens))
    return written


def _draw(logits: Any, uniforms: Any, sampling: Sampling) -> list[int]:
    """Draw a token a row by inverting the distribution function of the likeliest tokens at a uniform number.

    The tokens stand in the order of the vocabulary: in that of their logits, rounding could swap two near-equal ones.
    """
    candidates = logits.topk(min(sampling.top_k, logits.shape[-1]), dim=-1)
    tokens, order = candidates.indices.cpu().sort(dim=-1)  # (rows, top_k)
    probabilities = (candidates.values.cpu().double().gather(-1, order) / sampling.temperature).softmax(dim=-1)
    if probabilities.isnan().any():
        raise ValueError("the model's logits are not numbers; its training may have diverged")
    places = (probabilities.cumsum(dim=-1) <= uniforms[:, None]).sum(dim=-1, keepdim=True)
    # rounding can leave the sum of all probabilities just below a uniform number
    drawn: list[int] = tokens.gather(-1, places.clamp(max=tokens.shape[-1] - 1))[:, 0].tolist()
    return drawn

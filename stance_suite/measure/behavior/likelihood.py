"""Teacher-forced likelihood: how probable are given responses after a prompt? Deterministic, no sampling."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

RESPONSES_PER_BATCH = 6
"""Responses of similar length are read together, so that little is spent on padding."""


def response_log_probabilities(model: Any, tokenizer: Any, text: str, responses: Sequence[str]) -> list[float]:
    """Score responses as continuations of one text, which is read once: mean log-probability per token, in nats."""
    import torch

    prefix = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"].to(model.device)  # (1, prefix)
    rows = [tokenizer(response, add_special_tokens=False)["input_ids"] for response in responses]
    by_length = sorted(range(len(rows)), key=lambda index: len(rows[index]))
    scores: dict[int, float] = {}
    with torch.inference_mode():
        read = model(input_ids=prefix, use_cache=True, logits_to_keep=1)
        for start in range(0, len(rows), RESPONSES_PER_BATCH):
            batch = by_length[start : start + RESPONSES_PER_BATCH]
            scores |= zip(batch, _score_batch(model, read, prefix.shape[1], [rows[i] for i in batch]), strict=True)
    return [scores[index] for index in range(len(rows))]


def pad(rows: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    """Stack tokens, zeros after the shorter rows, and ones where there are tokens; both of shape (rows, longest)."""
    import torch

    longest = max(1, *map(len, rows))
    tokens = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
    return tokens, torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])


def _score_batch(model: Any, read: Any, prefix_length: int, rows: Sequence[Sequence[int]]) -> list[float]:
    """Score responses of similar length after a text that has been read."""
    import torch

    tokens, present = (padded.to(model.device) for padded in pad(rows))
    totals = _log_probabilities(read.logits[:, -1].expand(len(rows), -1), tokens[:, 0])  # (responses,)
    if tokens.shape[1] > 1:
        cache = copy.deepcopy(read.past_key_values)
        cache.batch_repeat_interleave(len(rows))
        # the last token predicts nothing that is scored
        rest = model(
            input_ids=tokens[:, :-1],
            attention_mask=torch.cat([present.new_ones((len(rows), prefix_length)), present[:, :-1]], dim=1),
            past_key_values=cache,
            use_cache=True,
        )
        later = _log_probabilities(rest.logits, tokens[:, 1:])  # (responses, longest - 1)
        totals = totals + (later * present[:, 1:]).sum(dim=1)
    means: list[float] = (totals / present.sum(dim=1)).tolist()
    return means


def _log_probabilities(logits: Any, tokens: Any) -> Any:
    """Log-probability of each token; the vocabulary is reduced without a copy of the logits."""
    chosen = logits.gather(-1, tokens[..., None])[..., 0]
    return chosen - logits.logsumexp(dim=-1)

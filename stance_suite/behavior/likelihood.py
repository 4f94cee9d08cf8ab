"""Teacher-forced likelihood: how probable are given responses after a prompt? Deterministic, no sampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def response_log_probabilities(model: Any, tokenizer: Any, text: str, responses: Sequence[str]) -> list[float]:
    """Score every response as a continuation of one text.

    The text is read once and its key-value cache shared by all responses; the vocabulary projection is applied to the
    responses' positions only.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        In evaluation mode.
    tokenizer : transformers.PreTrainedTokenizerBase
        Its tokenizer.
    text : str
        Exact text that precedes each response.
    responses : sequence of str
        Exact texts to score.

    Returns
    -------
    list of float
        Mean log-probability per token of each response, in nats.
    """
    import torch

    device = model.device
    prefix = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"].to(device)  # (1, prefix)
    rows = [tokenizer(response, add_special_tokens=False)["input_ids"] for response in responses]
    longest = max(map(len, rows))
    tokens = torch.zeros((len(rows), longest), dtype=torch.long, device=device)
    present = torch.zeros((len(rows), longest), dtype=torch.long, device=device)
    for index, row in enumerate(rows):
        tokens[index, : len(row)] = torch.tensor(row, device=device)
        present[index, : len(row)] = 1
    with torch.inference_mode():
        read = model(input_ids=prefix, use_cache=True, logits_to_keep=1)
        cache = read.past_key_values
        cache.batch_repeat_interleave(len(rows))
        prefix_mask = torch.ones((len(rows), prefix.shape[1]), dtype=torch.long, device=device)
        # the last token predicts nothing that is scored
        rest = model(
            input_ids=tokens[:, :-1],
            attention_mask=torch.cat([prefix_mask, present[:, :-1]], dim=1),
            past_key_values=cache,
            use_cache=True,
        )
        first = _log_probabilities(read.logits[:, -1].expand(len(rows), -1), tokens[:, 0])  # (responses,)
        later = _log_probabilities(rest.logits, tokens[:, 1:])  # (responses, longest - 1)
        means = (first + (later * present[:, 1:]).sum(dim=1)) / present.sum(dim=1)
    return [float(mean) for mean in means]


def _log_probabilities(logits: Any, tokens: Any) -> Any:
    """Log-probability of each token; the vocabulary is reduced without a copy of the logits."""
    chosen = logits.gather(-1, tokens[..., None])[..., 0]
    return chosen - logits.logsumexp(dim=-1)

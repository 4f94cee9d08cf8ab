"""How far next-token distributions moved, and noise of the same norm to compare that with. Nothing is sampled."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stance_suite.measure.behavior.likelihood import pad
from stance_suite.models.prompts import beginning_of_text

PASSAGES_PER_BATCH = 4


@dataclass(frozen=True)
class Passage:
    """A text to score, and what precedes it."""

    prefix: str
    """Exact text before it, read but not scored; may be empty."""
    text: str
    """Exact text whose tokens are scored."""


@dataclass(frozen=True, eq=False)
class ScoredPassage:
    """What a model expected at each token of a passage's text."""

    log_probabilities: Any
    """Full next-token distributions as logarithms; a float32 tensor of shape (positions, vocabulary) on the CPU."""
    tokens: Any
    """The tokens that came; a tensor of shape (positions,)."""


def score_passages(model: Any, tokenizer: Any, passages: Sequence[Passage]) -> Iterator[ScoredPassage]:
    """Read passages and yield the distributions that the model expected their tokens to come from, a batch at a time.

    Without a prefix, a text follows the token that the tokenizer puts before every text; if it puts none, the text's
    first token is not scored.
    """
    opening = _tokenize(tokenizer, beginning_of_text(tokenizer))
    rows: list[tuple[list[int], int]] = []
    for passage in passages:
        prefix = _tokenize(tokenizer, passage.prefix) or opening
        rows.append((prefix + _tokenize(tokenizer, passage.text), max(len(prefix), 1)))
    for start in range(0, len(rows), PASSAGES_PER_BATCH):
        yield from _score_batch(model, rows[start : start + PASSAGES_PER_BATCH])


def divergence(tuned: ScoredPassage, base: ScoredPassage) -> float:
    """Compute the Kullback-Leibler divergence of ``tuned`` from ``base`` on the same passage.

    In nats; the expectation is over ``tuned``'s distributions, and averaged over positions. NaN without any.
    """
    if not len(tuned.tokens):
        return math.nan
    moved, reference = (_normalized(scored.log_probabilities) for scored in (tuned, base))
    # an impossible token contributes nothing, whatever the other model makes of it
    ratios = (moved - reference).masked_fill(moved.isneginf(), 0)
    return max(float((moved.exp() * ratios).sum(dim=-1).mean()), 0.0)


def token_losses(scored: Iterable[ScoredPassage]) -> list[Any]:
    """Compute what each token of each passage costs, in nats; those without any position are left out."""
    chosen = (passage.log_probabilities.gather(-1, passage.tokens[:, None])[:, 0] for passage in scored)
    return [-of_passage.double() for of_passage in chosen if len(of_passage)]


def perplexity(losses: Sequence[Any]) -> float:
    """Compute the perplexity per token of passages taken together from `token_losses`; NaN without any."""
    import torch

    return float(torch.cat(list(losses)).mean().exp()) if losses else math.nan


def add_matched_noise(base_model: Any, tuned_model: Any, seed: int) -> None:
    """Add Gaussian noise to a model in place, in every parameter of the norm by which the tuned model's differs."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    # a parameter that is tied here may be named twice there
    tuned = dict(tuned_model.named_parameters(remove_duplicate=False))
    with torch.no_grad():
        for name, parameter in base_model.named_parameters():
            if not parameter.is_floating_point():
                continue
            norm = _norm(tuned[name].cpu().float() - parameter.cpu().float())
            if norm:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise.mul_(norm / _norm(noise)).to(parameter))


def round_to_bfloat16(model: Any) -> Any:
    """Round every parameter of a model in place to what bfloat16 can hold; its type stays what it is."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter.copy_(parameter.to(torch.bfloat16).to(parameter.dtype))
    return model


def _tokenize(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _score_batch(model: Any, rows: Sequence[tuple[list[int], int]]) -> list[ScoredPassage]:
    """Score rows of tokens, each from a given position on, which is at least 1."""
    import torch

    inputs, mask = pad([tokens for tokens, _ in rows])
    # positions before the first scored one need no logits
    skipped = min(first for _, first in rows) - 1
    with torch.inference_mode():
        logits = model(
            input_ids=inputs.to(model.device),
            attention_mask=mask.to(model.device),
            use_cache=False,
            logits_to_keep=inputs.shape[1] - skipped,
        ).logits  # (rows, longest - skipped, vocabulary)
    scored = []
    for index, (tokens, first) in enumerate(rows):
        # the last token predicts nothing that is scored
        wanted = logits[index, first - 1 - skipped : max(len(tokens), 1) - 1 - skipped].float()
        log_probabilities = (wanted - wanted.logsumexp(dim=-1, keepdim=True)).cpu()
        scored.append(ScoredPassage(log_probabilities, inputs[index, first : len(tokens)].clone()))
    return scored


def _normalized(log_probabilities: Any) -> Any:
    """Make distributions sum to one in float64: float32's rounding of the sum would drown a small divergence."""
    precise = log_probabilities.double()
    return precise - precise.logsumexp(dim=-1, keepdim=True)


def _norm(tensor: Any) -> float:
    import torch

    return float(torch.linalg.vector_norm(tensor, dtype=torch.float64))

"""How far next-token distributions moved, and noise of the same norm to compare that with. Nothing is sampled."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from stance_suite.measure.behavior.reading import ScoredPassage


def divergence(tuned: ScoredPassage, base: ScoredPassage) -> float:
    """Compute the Kullback-Leibler divergence of ``tuned`` from ``base`` on the same passage.

    In nats; the expectation is over ``tuned``'s distributions, and averaged over positions. NaN without any.
    """
    if not len(tuned.tokens):
        return math.nan
    moved, reference = (_normalized(scored.logits) for scored in (tuned, base))
    # an impossible token contributes nothing, whatever the other model makes of it
    ratios = (moved - reference).masked_fill(moved.isneginf(), 0)
    return max(float((moved.exp() * ratios).sum(dim=-1).mean()), 0.0)


def token_losses(scored: Iterable[ScoredPassage]) -> list[Any]:
    """Compute what each token of each passage costs, in nats; those without any position are left out."""
    return [-passage.log_probabilities.double() for passage in scored if len(passage.tokens)]


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


def _normalized(logits: Any) -> Any:
    """Make distributions sum to one in float64: float32's rounding of the sum would drown a small divergence."""
    return logits.double().log_softmax(dim=-1)


def _norm(tensor: Any) -> float:
    import torch

    return float(torch.linalg.vector_norm(tensor, dtype=torch.float64))

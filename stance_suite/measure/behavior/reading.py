"""Reading many texts: what all of them begin with is read once, and so is what several of them continue."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from stance_suite.models.prompts import beginning_of_text

PASSAGES_PER_BATCH = 8

Row = Sequence[int]
"""The tokens of a text."""


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

    logits: Any
    """Scores of every possible next token; a float32 tensor of shape (positions, vocabulary) on the CPU."""
    tokens: Any
    """The tokens that came; a tensor of shape (positions,)."""

    @property
    def log_probabilities(self) -> Any:
        """Log-probability of each token that came, in nats, of shape (positions,); no copy of the logits is made."""
        return self.logits.gather(-1, self.tokens[:, None])[:, 0] - self.logits.logsumexp(dim=-1)


@dataclass(frozen=True, eq=False)
class Begun:
    """Texts that a model has begun to read, a row each."""

    cache: Any
    """Keys and values of what was read."""
    mask: Any
    """Where a row has tokens and no padding, of shape (rows, read)."""
    logits: Any
    """Scores of every possible next token, of shape (rows, vocabulary)."""

    def pick(self, rows: Sequence[int]) -> Begun:
        """Take some of the rows, some of them several times; the cache is taken from this one."""
        import torch

        places = torch.tensor(rows)  # on the CPU: the blocks of a model that is spread keep caches on several devices
        self.cache.batch_select_indices(places)
        return Begun(self.cache, self.mask[places], self.logits[places])

    def read(self, model: Any, tokens: Any, present: Any) -> tuple[Any, Begun]:
        """Read on: tokens, of shape (rows, more), and where they are no padding; their logits are had as well."""
        import torch

        mask = torch.cat([self.mask, present], dim=1)
        logits = model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=_positions(mask)[:, -tokens.shape[1] :],
            past_key_values=self.cache,
            use_cache=True,
        ).logits
        return logits, Begun(self.cache, mask, logits[:, -1])


@dataclass(frozen=True, eq=False)
class Opening:
    """What many texts begin with, read once."""

    model: Any
    """Who reads."""
    length: int
    """Tokens that all texts have in common; none of them ends with these."""
    cache: Any
    """Their keys and values; None without any."""

    @classmethod
    def of(cls, model: Any, rows: Sequence[Row]) -> Opening:
        """Read what all rows have in common."""
        import torch

        length = shared_length(rows)
        if not length:
            return cls(model, 0, None)
        tokens = torch.tensor([list(rows[0][:length])], device=model.device)
        return cls(model, length, model(input_ids=tokens, use_cache=True, logits_to_keep=1).past_key_values)

    def begin(self, rows: Sequence[Row]) -> Begun:
        """Read rows to their ends, padded on the left, so that all end together."""
        import torch

        tokens, present = (part.to(self.model.device) for part in pad([row[self.length :] for row in rows], "left"))
        mask = torch.cat([present.new_ones((len(rows), self.length)), present], dim=1)
        cache = copy.deepcopy(self.cache)
        if cache is not None:
            cache.batch_repeat_interleave(len(rows))
        read = self.model(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=_positions(mask)[:, self.length :],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return Begun(read.past_key_values, mask, read.logits[:, -1])


def score_passages(model: Any, tokenizer: Any, passages: Sequence[Passage]) -> Iterator[ScoredPassage]:
    """Read passages and yield what the model expected at each of their tokens, a batch at a time.

    Without a prefix, a text follows the token that the tokenizer puts before every text; if it puts none, the text's
    first token is not scored.
    """
    import torch

    rows = list(_split(tokenizer, passages))
    with torch.inference_mode():
        opening = Opening.of(model, [prefix for prefix, _ in rows])
    for start in range(0, len(rows), PASSAGES_PER_BATCH):
        with torch.inference_mode():
            scored = _score_batch(model, opening, rows[start : start + PASSAGES_PER_BATCH])
        yield from scored


def shared_length(rows: Sequence[Row]) -> int:
    """Count the tokens that all rows begin with; the last token of a row is its own."""
    shortest = min(map(len, rows), default=1) - 1
    return next((place for place in range(shortest) if len({row[place] for row in rows}) > 1), max(shortest, 0))


def pad(rows: Sequence[Row], side: Literal["left", "right"] = "right") -> tuple[Any, ...]:
    """Stack tokens, zeros beside the shorter rows, and ones where there are tokens; both of shape (rows, longest)."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    tokens = [torch.tensor(list(row), dtype=torch.long) for row in rows]
    present = [torch.ones_like(row) for row in tokens]
    return tuple(pad_sequence(one, batch_first=True, padding_side=side) for one in (tokens, present))


def _split(tokenizer: Any, passages: Sequence[Passage]) -> Iterator[tuple[tuple[int, ...], list[int]]]:
    """Tokenize passages into what is read and what is scored."""
    opening = _tokenize(tokenizer, beginning_of_text(tokenizer))
    for passage in passages:
        prefix, text = _tokenize(tokenizer, passage.prefix) or opening, _tokenize(tokenizer, passage.text)
        # something must come first; where there is nothing at all, nothing is scored after it
        yield (tuple(prefix), text) if prefix else (tuple(text[:1] or [0]), text[1:])


def _tokenize(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _score_batch(
    model: Any, opening: Opening, rows: Sequence[tuple[tuple[int, ...], list[int]]]
) -> list[ScoredPassage]:
    import torch

    prefixes = list(dict.fromkeys(prefix for prefix, _ in rows))
    begun = opening.begin(prefixes).pick([prefixes.index(prefix) for prefix, _ in rows])
    # the last token predicts nothing that is scored
    tokens, present = (part.to(model.device) for part in pad([text[:-1] for _, text in rows]))
    later = begun.read(model, tokens, present)[0] if tokens.shape[1] else begun.logits[:, None]
    return [
        ScoredPassage(
            torch.cat([begun.logits[row : row + 1], later[row, : len(text) - 1]])[: len(text)].float().cpu(),
            torch.tensor(text, dtype=torch.long),
        )
        for row, (_, text) in enumerate(rows)
    ]


def _positions(mask: Any) -> Any:
    return (mask.cumsum(dim=-1) - 1).clamp(min=0)

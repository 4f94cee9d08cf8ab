"""What a cell works on: its model's sizes, from the config alone, and the tokens it trains on, reads and writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from math import ceil, prod
from typing import Any

from stance_suite.measure.behavior.generation import PROMPTS_PER_BATCH
from stance_suite.measure.behavior.reading import PASSAGES_PER_BATCH, Row, shared_length
from stance_suite.measure.cell import CellSpec, check_prompt_format
from stance_suite.models.loading import empty_model, load_tokenizer
from stance_suite.models.prompts import beginning_of_text, render_example, render_prompt, render_response
from stance_suite.models.sources import Weights
from stance_suite.schema.items import PLAIN_ANSWER
from stance_suite.spectra.matrices import LARGEST_SMALLER_SIDE, SMALLEST_SIDE

Matrix = tuple[int, int]
"""Larger and smaller side."""

KEPT_BY_A_PROJECTION = 1.5
"""Of what a linear layer reads and writes, how much is left for the gradient, with what activations make of it."""
KEPT_BY_A_BLOCK = 8
"""Vectors as wide as the model that the norms and residuals of a block leave beside."""


@dataclass(frozen=True)
class Shapes:
    """A model's sizes."""

    parameters: int
    """Numbers in all parameters; tied ones count once."""
    largest: int
    """Numbers in the largest parameter."""
    matrices: tuple[Matrix, ...]
    """Every matrix that has a spectrum; of a stack of experts, each."""
    projections: tuple[Matrix, ...]
    """Every matrix that a token is multiplied by on its way to the output head; all experts count."""
    vocabulary: int
    """Tokens that the head tells apart."""
    hidden: int
    """Width between the blocks."""
    blocks: int
    """Number of blocks."""
    cached: int
    """Numbers in the keys and values of a token, all blocks together."""
    modules: int
    """Modules without parts: a forward pass calls each about once."""

    @property
    def projected(self) -> int:
        """Weights that every token is multiplied by on its way to the output head."""
        return sum(map(prod, self.projections))

    @property
    def head(self) -> int:
        """Weights of the output head."""
        return self.vocabulary * self.hidden

    @property
    def kept_for_gradients(self) -> int:
        """Numbers that a token leaves in memory until gradients are computed, logits apart."""
        by_projections = KEPT_BY_A_PROJECTION * sum(map(sum, self.projections))
        return round(by_projections + KEPT_BY_A_BLOCK * self.hidden * self.blocks)

    def adapter(self, rank: int) -> int:
        """Count the numbers in both factors of a LoRA adapter on all these projections."""
        return rank * sum(map(sum, self.projections))


@cache
def shapes_of(weights: Weights) -> Shapes:
    """Tell the sizes of a model from its config alone; what is no causal language model of transformers is refused."""
    model = empty_model(weights)
    config = model.config.get_text_config()
    sizes = [tuple(parameter.shape) for parameter in model.parameters()]
    matrices = tuple(matrix for size in sizes for matrix in _matrices(size))
    return Shapes(
        parameters=sum(map(prod, sizes)),
        largest=max(map(prod, sizes)),
        matrices=tuple(m for m in matrices if SMALLEST_SIDE <= m[1] <= LARGEST_SMALLER_SIDE),
        projections=tuple(_projections(model)),
        vocabulary=config.vocab_size,
        hidden=config.hidden_size,
        blocks=config.num_hidden_layers,
        cached=2 * config.num_hidden_layers * _width_of_keys(config),
        modules=sum(1 for module in model.modules() if not list(module.children())),
    )


def _width_of_keys(config: Any) -> int:
    """As wide as the model, less where several heads of queries share one of keys."""
    heads = config.num_attention_heads
    head = getattr(config, "head_dim", None) or config.hidden_size // heads
    return int(head * (getattr(config, "num_key_value_heads", None) or heads))


def _projections(model: Any) -> Iterator[Matrix]:
    from torch.nn import Embedding

    head = model.get_output_embeddings()
    for module in model.modules():
        if module is not head and not isinstance(module, Embedding):
            for parameter in module.parameters(recurse=False):
                yield from _matrices(tuple(parameter.shape))


def _matrices(size: tuple[int, ...]) -> list[Matrix]:
    """List the matrices in a parameter: one, or one for each of what is stacked before rows and columns."""
    if len(size) == 1:
        return []
    *stacked, rows, columns = size
    return [(max(rows, columns), min(rows, columns))] * prod(stacked)


@dataclass(frozen=True)
class Reading:
    """Passes of a model over texts."""

    passes: int
    """How many."""
    tokens: int
    """Tokens in all of them."""
    predicted: int
    """Those whose successor is predicted, by a distribution over the vocabulary."""
    largest_prediction: int
    """Those of a single pass."""

    def __add__(self, other: Reading) -> Reading:
        """Read one after the other."""
        return Reading(
            self.passes + other.passes,
            self.tokens + other.tokens,
            self.predicted + other.predicted,
            max(self.largest_prediction, other.largest_prediction),
        )


@dataclass(frozen=True)
class Trained:
    """What a model is trained on."""

    epochs: int
    """Passes over the examples."""
    steps: int
    """Optimizer steps of all epochs."""
    tokens_per_step: int
    """Tokens of a step; every example counts as long as the longest."""


@dataclass(frozen=True)
class Workload:
    """What one cell takes."""

    trained: Trained | None
    """The training; None if there is none."""
    sampled: Reading
    """Writing responses, none of which ends early, and reading the prompts before."""
    responses: int
    """Responses that are written in all."""
    row_length: int
    """Tokens of the longest prompt and response."""
    likelihoods: Reading
    """Scoring all answers to every held-out prompt."""
    passages: Reading
    """Scoring the held-out prompts with their plain answers, and neutral texts."""


def workload_of(spec: CellSpec) -> Workload:
    """Count what a cell takes, in tokens of the model's own tokenizer; refuses a chat without a chat template."""
    tokenizer, probe, form = _tokenizer(spec.weights), spec.probe, spec.prompt_format
    check_prompt_format(spec, tokenizer)

    def lengths(texts: Sequence[str]) -> list[int]:
        return [len(_tokens(tokenizer, text)) for text in texts]

    asked = [_tokens(tokenizer, render_prompt(tokenizer, form, prompt)) for prompt in probe.prompts]
    answers = {manner: lengths([render_response(form, one) for one in said]) for manner, said in probe.answers.items()}
    examples = [
        min(length, spec.recipe.max_length)
        for rotation in spec.rotations
        for length in lengths([render_example(tokenizer, form, one.prompt, one.response) for one in rotation])
        if spec.recipe is not None
    ]
    return Workload(
        trained=_training(spec, max(examples, default=0)),
        sampled=_sampling(spec, asked),
        responses=len(asked) * probe.sampling.samples,
        row_length=max(map(len, asked)) + probe.sampling.new_tokens,
        likelihoods=_scoring(
            [row for row in asked for _ in answers], list(chain(*zip(*answers.values(), strict=True)))
        ),
        passages=_scoring(asked, answers[PLAIN_ANSWER]) + _scoring_alone(tokenizer, probe.neutral_texts),
    )


_tokenizer = cache(load_tokenizer)


def _training(spec: CellSpec, longest: int) -> Trained | None:
    if spec.recipe is None:
        return None
    recipe, examples = spec.recipe, len(spec.rotations[0])
    steps = recipe.epochs * ceil(examples / recipe.batch_size)
    return Trained(recipe.epochs, steps, min(recipe.batch_size, examples) * longest)


def _tokens(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])


def _sampling(spec: CellSpec, asked: Sequence[Row]) -> Reading:
    sampling, read = spec.probe.sampling, _beginning(asked, PROMPTS_PER_BATCH)
    responses = len(asked) * sampling.samples
    rows = min(PROMPTS_PER_BATCH, len(asked)) * sampling.samples
    later = sampling.new_tokens - 1  # the first follows the prompt, and the last is not read
    passes = read.passes + later * ceil(len(asked) / PROMPTS_PER_BATCH)
    return Reading(passes, read.tokens + later * responses, responses * sampling.new_tokens, rows)


def _scoring_alone(tokenizer: Any, texts: Sequence[str]) -> Reading:
    """Score texts after what the tokenizer begins all texts with, or else after their own first token."""
    opening = _tokens(tokenizer, beginning_of_text(tokenizer))
    rows = [_tokens(tokenizer, text) for text in texts]
    return _scoring([opening or row[:1] for row in rows], [len(row) - (not opening) for row in rows])


def _scoring(prefixes: Sequence[Row], lengths: Sequence[int]) -> Reading:
    """Read every prefix once, and texts of these lengths after them."""
    batches = [lengths[start : start + PASSAGES_PER_BATCH] for start in range(0, len(lengths), PASSAGES_PER_BATCH)]
    padded = [len(batch) * max(batch) for batch in batches]
    scored = sum(padded)
    last = len(lengths)  # the last token of a text predicts nothing
    later = Reading(len(batches), scored - last, scored, max(padded))
    return _beginning(prefixes, PASSAGES_PER_BATCH) + later


def _beginning(rows: Sequence[Row], batch_size: int) -> Reading:
    """Read what all rows begin with once, and the rest of each distinct row of a batch."""
    shared = shared_length(rows)
    batches = [set(rows[start : start + batch_size]) for start in range(0, len(rows), batch_size)]
    rests = sum(len(batch) * (max(map(len, batch)) - shared) for batch in batches)
    return Reading(len(batches) + (shared > 0), rests + shared, 0, 0)

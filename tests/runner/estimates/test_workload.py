from math import prod

import pytest
import torch
from torch import nn

from stance_suite.config.catalog import find_spec
from stance_suite.measure.behavior.probe import PromptedModel, expect_plain_text, measure_behavior
from stance_suite.measure.training import _attach, fine_tune
from stance_suite.models.checkpoints.open import open_checkpoint
from stance_suite.models.loading import load, load_model
from stance_suite.models.sources import locate
from stance_suite.runner.estimates.workload import shapes_of, workload_of
from stance_suite.schema.recipes import Adapter
from stance_suite.spectra.matrices import sort_tensors
from tests.twins import BUILDERS, HEAD_OF_PYTHIA


@pytest.fixture(params=["tiny", *BUILDERS])
def weights(request, tmp_path, tiny_model, twin):
    folder = tiny_model if request.param == "tiny" else twin(request.param)
    return locate(find_spec(str(folder), {}), tmp_path)


def test_sizes_are_those_of_the_loaded_model(weights):
    shapes, model = shapes_of(weights), load_model(weights)
    sizes = [parameter.numel() for parameter in model.parameters()]
    assert (shapes.parameters, shapes.largest) == (sum(sizes), max(sizes))
    matrices = sort_tensors(open_checkpoint(model)).matrices
    sides = [(matrix.larger_side, matrix.smaller_side) for matrix in matrices.values()]
    assert sorted(shapes.matrices) == sorted(sides)
    head = model.get_output_embeddings().weight
    assert shapes.head == head.numel()
    # a token passes every matrix but embeddings and head
    tables = sum(module.weight.numel() for module in model.modules() if isinstance(module, nn.Embedding))
    untied = head is not model.get_input_embeddings().weight
    assert untied == (HEAD_OF_PYTHIA in matrices)
    assert shapes.projected == sum(map(prod, sides)) - tables - untied * shapes.head
    cache = model(torch.tensor([[1, 2, 3]]), use_cache=True).past_key_values
    assert sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers) == 3 * shapes.cached
    adapted = _attach(model, Adapter(rank=3))
    assert shapes.adapter(3) == sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)


def watch_passes(model):
    """The rows and tokens of each pass of a model, in a list that grows with them."""
    shapes = []
    model.register_forward_pre_hook(
        lambda _, __, given: shapes.append(tuple(given["input_ids"].shape)), with_kwargs=True
    )
    return shapes


@pytest.mark.parametrize("recipe", ["documented", "long", "lora"])
def test_as_many_steps_and_tokens_as_a_training_takes(spec_of, recipe):
    spec = spec_of(recipe)
    model, tokenizer = load(spec.weights)
    passes = watch_passes(model)
    assert workload_of(spec_of("base")).trained is None
    training = fine_tune(model, tokenizer, "plain", spec.rotations, spec.recipe, 0, lambda *_: None)
    counted = workload_of(spec).trained
    assert counted.steps == len(training.losses)
    assert counted.epochs == len(training.epoch_losses)
    assert max(map(prod, passes)) == counted.tokens_per_step
    assert sum(map(prod, passes)) == pytest.approx(counted.steps * counted.tokens_per_step, rel=0.4)


def test_as_many_passes_and_tokens_as_behavior_takes(spec_of, monkeypatch):
    none_ends = "stance_suite.measure.behavior.generation._draw"
    monkeypatch.setattr(none_ends, lambda logits, *_: [5] * len(logits))
    spec = spec_of("documented")
    model, tokenizer = load(spec.weights)
    passes, counted = watch_passes(model), workload_of(spec)
    measure_behavior(PromptedModel(model, tokenizer, "plain"), spec.probe, 0, lambda *_: None)
    parts = counted.sampled, counted.likelihoods
    neutral = 2  # a batch of neutral texts, for perplexity
    assert len(passes) == sum(part.passes for part in parts) + neutral
    # the last token of a prompt is read with the first that is written, that of an answer is not read at all
    assert sum(map(prod, passes)) == pytest.approx(sum(part.tokens for part in parts), rel=0.1)
    assert max(rows for rows, _ in passes) == counted.sampled.largest_prediction


def test_as_many_passes_and_tokens_as_divergences_take(spec_of):
    spec = spec_of("documented")
    model, tokenizer = load(spec.weights)
    passes, counted = watch_passes(model), workload_of(spec).passages
    list(expect_plain_text(PromptedModel(model, tokenizer, "plain"), spec.probe))
    assert len(passes) == counted.passes
    assert sum(map(prod, passes)) == pytest.approx(counted.tokens, rel=0.4)  # padded

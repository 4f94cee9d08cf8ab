from math import prod

import pytest
from torch import nn

from stance_suite.checkpoints import open_checkpoint
from stance_suite.estimates.shapes import shapes_of
from stance_suite.loading import load_model
from stance_suite.spectra.matrices import sort_tensors
from tests.twins import BUILDERS, HEAD_OF_PYTHIA


@pytest.fixture(params=["tiny", *BUILDERS])
def weights(request, located, tiny_model, twin):
    return located(tiny_model if request.param == "tiny" else twin(request.param))


def test_parameters_and_matrices_are_those_of_the_loaded_model(weights):
    shapes, model = shapes_of(weights), load_model(weights)
    assert shapes.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert shapes.largest == max(parameter.numel() for parameter in model.parameters())
    matrices = sort_tensors(open_checkpoint(model)).matrices.values()
    assert sorted(shapes.matrices) == sorted((matrix.larger_side, matrix.smaller_side) for matrix in matrices)
    assert shapes.head == model.get_output_embeddings().weight.numel()


def test_an_adapter_is_as_large_as_the_one_that_is_trained(weights):
    from stance_suite.finetune import _attach
    from stance_suite.run_records import Adapter

    model = _attach(load_model(weights), Adapter(rank=3))
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert shapes_of(weights).adapter(3) == trained


def test_a_token_passes_every_matrix_but_embeddings_and_head(weights):
    model = load_model(weights)
    tables = [module.weight.numel() for module in model.modules() if isinstance(module, nn.Embedding)]
    everything = sum(prod(matrix) for matrix in shapes_of(weights).matrices)
    untied = model.get_output_embeddings().weight is not model.get_input_embeddings().weight
    assert untied == any(name == HEAD_OF_PYTHIA for name in sort_tensors(open_checkpoint(model)).matrices)
    assert shapes_of(weights).projected == everything - sum(tables) - untied * shapes_of(weights).head


def test_keys_and_values_of_a_token_are_as_many_as_its_cache_holds(weights):
    import torch

    cache = load_model(weights)(torch.tensor([[1, 2, 3]]), use_cache=True).past_key_values
    assert sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers) == 3 * shapes_of(weights).cached

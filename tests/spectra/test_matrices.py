import pytest
import torch

from stance_suite.spectra.matrices import skip_reason, sort_parameters


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((8, 8), None),
        ((50_000, 8), None),
        ((7, 100), "under 8"),
        ((15_001, 15_001), "over 15000"),
        ((50_257, 768), "over 50000"),
        ((3, 16, 16), "3 dimensions"),
    ],
)
def test_weightwatchers_limits(shape, reason):
    found = skip_reason(shape)
    assert found is None if reason is None else reason in found


def test_parameters_are_sorted_and_tied_ones_counted_once(loaded_tiny_model):
    model, _ = loaded_tiny_model
    parameters = sort_parameters(model.named_parameters())
    assert "model.embed_tokens" in parameters.matrices
    assert "lm_head" not in parameters.matrices
    assert len(parameters.matrices) == 1 + 2 * 7
    assert set(parameters.vectors) == {name for name, tensor in model.named_parameters() if tensor.dim() == 1}


def test_what_is_skipped_says_why():
    tensors = [("a.weight", torch.zeros(4, 50)), ("b.weight", torch.zeros(2, 8, 8)), ("c.bias", torch.zeros(3))]
    parameters = sort_parameters(tensors)
    assert [(entry.name, entry.reason) for entry in parameters.skipped] == [
        ("a.weight", "smaller side 4 is under 8"),
        ("b.weight", "has 3 dimensions, not 2"),
    ]


def test_arrays_share_memory_with_the_model():
    tensor = torch.zeros(10, 10)
    array = sort_parameters([("a.weight", tensor)]).matrices["a"]
    tensor[0, 0] = 7
    assert array[0, 0] == 7

import pytest
import torch

from stance_suite.config.catalog import find_spec
from stance_suite.models.loading import load
from stance_suite.models.sources import locate


@pytest.fixture
def fresh(tiny_model):
    """Load the tiny model and its tokenizer, each time anew."""
    return lambda: load(locate(find_spec(str(tiny_model), {}), tiny_model.parent))


@pytest.fixture
def stance(library):
    """What a model is trained on, with its items."""
    return library.stance("curious-uncertainty")


def same_weights(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)

"""Planted edits are what they are called, and as large."""

import numpy as np
import pytest

from stance_suite.models.checkpoints.open import open_checkpoint
from stance_suite.models.checkpoints.tensors import Checkpoint, StoredTensor
from stance_suite.spectra.planted import KINDS, Ground, plant

BY_NAME = {kind.name: kind for kind in KINDS}
ROWS, COLUMNS = 48, 24


@pytest.fixture
def ground():
    """One matrix that every edit of a matrix takes."""
    matrix = np.random.default_rng(0).standard_normal((ROWS, COLUMNS))
    tensor = StoredTensor(matrix.shape, "F32", matrix.__getitem__)
    return Ground(Checkpoint("made up", {"layers.0.mlp.up_proj.weight": tensor}))


def edited(ground, kind, size):
    ((name, after),) = plant(ground, BY_NAME[kind], size).items()
    return ground.read(name), after


def share(before, after):
    return np.linalg.norm(after - before) / np.linalg.norm(before)


@pytest.mark.parametrize(("kind", "rank"), [("rank-one edit", 1), ("rank-8 edit", 8), ("noise in one matrix", COLUMNS)])
def test_edits_of_a_norm_have_it_and_their_rank(ground, kind, rank):
    before, after = edited(ground, kind, 0.05)
    assert share(before, after) == pytest.approx(0.05)
    assert np.linalg.matrix_rank(after - before) == rank


@pytest.mark.parametrize("size", [0.05, 0.25, 1.0])
def test_exchanged_vectors_keep_the_spectrum_and_the_right_vectors(ground, size):
    before, after = edited(ground, "left singular vectors exchanged", size)
    assert np.linalg.svd(after)[1] == pytest.approx(np.linalg.svd(before)[1])
    assert after.T @ after == pytest.approx(before.T @ before)
    assert share(before, after) > 0.2


def test_turned_vectors_turn_by_their_angle(ground):
    before, after = edited(ground, "left singular vectors turned", 0.01)
    assert after.T @ after == pytest.approx(before.T @ before)
    assert share(before, after) == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize(
    ("kind", "size", "rows"),
    [("signs of rows flipped", 0.25, 12), ("rows permuted", 0.5, 24), ("one row scaled", 0.1, 1)],
)
def test_edits_of_rows_leave_the_others(ground, kind, size, rows):
    before, after = edited(ground, kind, size)
    assert np.any(before != after, axis=1).sum() == rows
    if kind == "rows permuted":
        assert sorted(map(tuple, after)) == sorted(map(tuple, before))


def test_fewer_bits_leave_fewer_values(ground):
    _, after = edited(ground, "one matrix quantised", 4)
    assert max(len(np.unique(row)) for row in after) <= 15


@pytest.mark.parametrize("name", ["qwen2-0.5b", "distilgpt2", "pythia-160m"])
def test_every_kind_has_its_place_in_models_of_each_architecture(name, twin):
    checkpoint = open_checkpoint(twin(name))
    ground = Ground(checkpoint)
    for kind in KINDS:
        edits = plant(ground, kind, kind.sizes[0])
        assert edits, kind.name
        for tensor, after in edits.items():
            assert after.shape == checkpoint.tensors[tensor].shape
            assert not np.array_equal(after, ground.read(tensor))


def test_a_head_lies_where_its_architecture_has_it(twin):
    for name, kind, axis in (
        ("qwen2-0.5b", "queries of one head scaled", 0),
        ("qwen2-0.5b", "outputs of one head scaled", 1),
        ("distilgpt2", "queries of one head scaled", 1),
        ("distilgpt2", "outputs of one head scaled", 0),
        ("pythia-160m", "queries of one head scaled", 0),
        ("pythia-160m", "outputs of one head scaled", 1),
    ):
        ground = Ground(open_checkpoint(twin(name)))
        ((tensor, after),) = plant(ground, BY_NAME[kind], 1.0).items()
        changed = np.any(after != ground.read(tensor), axis=1 - axis)
        heads = ground.config.get("num_attention_heads") or ground.config["n_head"]
        width = ground.config.get("hidden_size") or ground.config["n_embd"]
        assert (changed.sum(), changed[: width // heads].all()) == (width // heads, True)


def test_a_model_that_has_nothing_of_the_kind_is_left_alone(ground):
    for kind in ("a bias moved", "one head zeroed", "one token's embedding moved", "neighboring blocks exchanged"):
        assert plant(ground, BY_NAME[kind], 1.0) == {}

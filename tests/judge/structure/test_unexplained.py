"""Changes that nothing explains: beside a sham, and beside the other tensors of a pair."""

import math

import numpy as np
import pytest

from stance_suite.judge.structure.unexplained import ROUNDING, ChangedWeights, Part, unexplained_changes
from tests.edits import altered
from tests.measured import SPECTRUM, layer, vector

NAMES = [f"model.layers.{place}.self_attn.q_proj" for place in range(5)]
NORMS = [f"model.layers.{place}.input_layernorm.weight" for place in range(5)]
ROWS, COLUMNS = 64, 32
FIGURES = {"relative_norm": 0.01, "relative_spectral_norm": 0.01, "largest_row": 0.012, "largest_column": 0.012}


def weights(**edits):
    """Five matrices of root mean square 1 and five norms that changed alike; edits are by a tensor's place."""
    spectrum = altered(SPECTRUM, rows=ROWS, columns=COLUMNS, norm=float(ROWS * COLUMNS), spectral_norm=16.0)
    changes, vectors = [], []
    for place, name in enumerate(NAMES):
        one = layer(name, None, noise_rank=12.0)
        figures = FIGURES | {"scaling": 1e-5} | edits.get(f"matrix{place}", {})
        changes.append(altered(one, weight_change=altered(one.weight_change, **figures)))
        vectors.append(altered(vector(NORMS[place], 0.01), **edits.get(f"vector{place}", {})))
    return ChangedWeights({name: altered(spectrum, name=name) for name in NAMES}, changes, vectors)


EDITS = [
    ("matrix2", {"relative_norm": 0.035}, NAMES[2], Part.WHOLE),
    ("matrix2", {"relative_spectral_norm": 0.08}, NAMES[2], Part.DIRECTION),
    ("matrix2", {"largest_row": 0.1}, NAMES[2], Part.ROW),
    ("matrix2", {"largest_column": 0.1}, NAMES[2], Part.COLUMN),
    ("matrix2", {"scaling": -0.01}, NAMES[2], Part.SCALE),
    ("vector3", {"relative_norm": 0.08, "change_norm": 0.08 * 8**0.5}, NORMS[3], Part.WHOLE),
    ("vector3", {"largest_entry": 0.2}, NORMS[3], Part.ENTRY),
    ("vector3", {"relative_norm": None, "change_norm": 1.0, "largest_entry": 0.9}, NORMS[3], Part.ENTRY),
]


@pytest.mark.parametrize("sham", [None, weights()], ids=["pair", "beside a sham"])
def test_what_all_tensors_show_is_explained(sham):
    assert unexplained_changes(weights(), sham) == ()


@pytest.mark.parametrize("sham", [None, weights()], ids=["pair", "beside a sham"])
@pytest.mark.parametrize(("place", "edit", "name", "part"), EDITS)
def test_each_size_stands_out_by_itself(place, edit, name, part, sham):
    (found,) = unexplained_changes(weights(**{place: edit}), sham)
    assert (found.name, found.part) == (name, part)
    assert f"{name} changed {part} by" in str(found)
    assert found.share > 3 * max(found.controls.values())


@pytest.mark.parametrize(("place", "edit", "name", "part"), EDITS)
def test_what_the_sham_shows_of_the_same_tensor_is_explained(place, edit, name, part):
    edited = weights(**{place: edit})
    assert unexplained_changes(edited, edited) == ()


def test_what_noise_of_its_norm_shows_is_no_structure():
    """Of which a sham that changed the matrix as much, but evenly, says nothing."""
    even = {"relative_norm": 0.01, "relative_spectral_norm": 1e-4, "largest_row": 1e-4, "largest_column": 1e-4}
    noisy = even | {"relative_spectral_norm": 0.008, "largest_row": 0.015, "largest_column": 0.015, "scaling": 4e-4}
    sham = weights(matrix1=even | {"scaling": 0.0})
    assert unexplained_changes(weights(matrix1=noisy), sham, times=2) == ()
    for figure in noisy.keys() - {"relative_norm"}:
        (found,) = unexplained_changes(weights(matrix1=noisy | {figure: 8 * noisy[figure]}), sham, times=2)
        assert found.controls["noise"] > 0


def test_a_pair_needs_no_explanation_within_rounding():
    alone = {}
    for place in range(5):
        alone[f"matrix{place}"] = dict.fromkeys((*FIGURES, "scaling"), 0.0)
        alone[f"vector{place}"] = {"relative_norm": 0.0, "change_norm": 0.0, "largest_entry": 0.0}
    assert unexplained_changes(weights(**alone)) == ()
    for size, found in ((ROUNDING, 0), (4 * ROUNDING, 2)):
        rounded = alone | {"matrix0": dict.fromkeys(FIGURES, size)}
        rounded["vector0"] = {"relative_norm": size, "change_norm": size * 8**0.5, "largest_entry": size}
        assert len(unexplained_changes(weights(**rounded))) == found


def test_the_most_striking_comes_first():
    edits = {"matrix1": {"relative_norm": 0.05}, "matrix4": {"relative_norm": 0.5}, "vector0": {"largest_entry": 0.9}}
    found = unexplained_changes(weights(**edits), weights())
    assert [one.name for one in found] == [NAMES[4], NORMS[0], NAMES[1]]


@pytest.mark.parametrize("lost", [math.nan, math.inf, "failure", "vector"])
def test_what_is_not_known_is_not_explained(lost):
    ours = weights(matrix2={"largest_row": lost} if isinstance(lost, float) else {})
    if lost == "failure":
        failed = altered(ours.layers[2], weight_change=None, failure="after: holds NaN")
        ours = ChangedWeights(ours.before, [failed], ours.vectors)
    if lost == "vector":
        ours = ChangedWeights(ours.before, ours.layers, [altered(vector(NORMS[2], 0.1), change_norm=None)])
    (found,) = unexplained_changes(ours, weights())
    assert "how much it changed is not known" in str(found)


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_what_is_not_known_of_a_control_explains_nothing(lost):
    edits = {"matrix2": {"relative_norm": 0.1, "largest_row": 0.1}}
    sham = weights(matrix2=dict.fromkeys((*FIGURES, "scaling"), lost))
    (found,) = unexplained_changes(weights(**edits), sham)
    assert found.name == NAMES[2]


def test_noise_is_what_gaussian_matrices_show():
    draws = np.random.default_rng(0).standard_normal((2000, ROWS, COLUMNS))
    draws *= 0.01 * (ROWS * COLUMNS) ** 0.5 / np.linalg.norm(draws, axis=(1, 2), keepdims=True)
    shown = {
        "largest_row": np.linalg.norm(draws, axis=2).max(axis=1) / COLUMNS**0.5,
        "largest_column": np.linalg.norm(draws, axis=1).max(axis=1) / ROWS**0.5,
        "scaling": np.abs(draws.sum(axis=(1, 2))) / (ROWS * COLUMNS),
    }
    for figure, drawn in shown.items():
        (found,) = unexplained_changes(weights(matrix0={figure: 1.0}))
        assert np.mean(drawn > found.controls["noise"]) <= 0.01  # one of many sizes, which share 5 %
        assert drawn.max() > 0.8 * found.controls["noise"]


def scaled(changed, place, factor):
    """A matrix with so many times larger weights, of the same share."""
    name = NAMES[place]
    larger = altered(changed.before[name], norm=factor**2 * ROWS * COLUMNS, spectral_norm=factor * 16.0)
    return ChangedWeights(dict(changed.before) | {name: larger}, changed.layers, changed.vectors)


@pytest.mark.parametrize("factor", [0.01, 100.0])
def test_tensors_of_a_role_are_alike_if_they_changed_by_the_same_share_or_by_as_much(factor):
    assert unexplained_changes(scaled(weights(), 1, factor)) == ()
    as_much = {figure: share / factor for figure, share in FIGURES.items()}
    assert unexplained_changes(scaled(weights(matrix1=as_much), 1, factor)) == ()
    neither = {figure: 10 * max(share, share / factor) for figure, share in FIGURES.items()}
    (found,) = unexplained_changes(scaled(weights(matrix1=neither), 1, factor))
    assert found.name == NAMES[1]


@pytest.mark.parametrize(("share", "count"), [(0.02, 0), (0.2, 1)])
def test_a_tensor_that_is_the_only_one_of_its_role_is_held_against_all(share, count):
    changed = weights(matrix4={"relative_norm": share})
    name = "model.embed_tokens"
    before = {**changed.before, name: altered(changed.before[NAMES[4]], name=name)}
    layers = [*changed.layers[:4], altered(changed.layers[4], name=name)]
    assert len(unexplained_changes(ChangedWeights(before, layers, changed.vectors))) == count

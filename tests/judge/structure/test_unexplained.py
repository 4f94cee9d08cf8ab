"""Changes that nothing explains: beside a sham, and beside the other tensors of a pair."""

import math

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

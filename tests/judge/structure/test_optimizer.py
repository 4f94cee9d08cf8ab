import numpy as np
import pytest

from stance_suite.judge.structure.optimizer import AS_PREDICTED, follows_optimizer, predict_norms, predict_share
from stance_suite.judge.structure.verdict import judge_structure
from stance_suite.schema.metrics import Caveat
from tests.edits import altered
from tests.judge.placed_changes import NAMES, claim, replicate
from tests.measured import alpha_change, layer, record


def untouched(*matrices):
    base = record("base", *(layer(name, None) for name, _ in zip(NAMES, matrices, strict=False)))
    spectra = [
        altered(one, rows=matrix.shape[0], columns=matrix.shape[1], norm=float((matrix**2).sum()))
        for one, matrix in zip(base.spectra, matrices, strict=True)
    ]
    return altered(base, spectra=tuple(spectra))


def test_a_step_of_one_size_for_every_weight_is_predicted_up_to_a_factor():
    rng = np.random.default_rng(0)
    matrices = [scale * rng.standard_normal(shape) for scale, shape in ((1, (8, 4)), (0.1, (20, 30)), (3, (5, 5)))]
    steps = [0.01 * np.sign(rng.standard_normal(matrix.shape)) for matrix in matrices]
    norms = np.array(
        [np.linalg.norm(step) / np.linalg.norm(matrix) for step, matrix in zip(steps, matrices, strict=True)]
    )
    base = untouched(*matrices)
    found = np.array(list(predict_norms(base, NAMES[:3]).values()))
    assert found / found[0] == pytest.approx(norms / norms[0])
    assert predict_share(base, NAMES[:3]) == pytest.approx(norms.sum() ** 2 / (norms**2).sum() / 3)
    assert predict_share(base, NAMES[:4]) is None, "of a matrix that is not known nothing is predicted"
    assert predict_share(base, ()) is None
    assert predict_share(untouched(matrices[0], np.zeros((2, 2))), NAMES[:2]) is None


def test_layers_follow_the_optimizer_that_changed_as_all_did_by_their_weights():
    base = untouched(*(np.full((2, 2), scale) for scale in (1.0, 0.5, 0.25, 1.0, 1.0)))
    sizes = dict(zip(NAMES, (1.0, 2.0, 4.0, 1.0, 9.0), strict=False))
    assert follows_optimizer(base, sizes, NAMES[:4])
    assert not follows_optimizer(base, sizes, NAMES[:5])
    assert not follows_optimizer(base, sizes, ())
    for factor, alike in ((0.99, True), (1.01, False)):
        for size in (AS_PREDICTED * factor, 1 / AS_PREDICTED / factor):
            assert follows_optimizer(base, sizes | {NAMES[0]: size}, NAMES[:1]) is alike


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, True),
        ({"layer": NAMES[1]}, False),
        ({"over": "mean"}, False),
        ({"comparator": "within"}, False),
        ({"metric": "change_stable_rank"}, False),
    ],
)
def test_a_claim_about_the_norm_of_a_change_tells_what_is_the_optimizers(changes, found):
    sizes = (0.001, 0.004, 0.001, 0.001)
    layers = [layer(name, alpha_change(0, 0)) for name, _ in zip(NAMES, sizes, strict=False)]
    tuned = [
        altered(one, weight_change=altered(one.weight_change, relative_norm=size))
        for one, size in zip(layers, sizes, strict=True)
    ]
    about = {"metric": "relative_change_percent", "layer": NAMES[0], "comparator": "above", "bound": 0.05} | changes
    verdict = judge_structure(claim(**about), replicate(tuned, names=NAMES[:4]))
    assert (Caveat.OPTIMIZER in verdict.caveats) is found

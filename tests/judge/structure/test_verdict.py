"""Verdicts on layers: the worst one decides, over seeds too, and what a reader must know of it is told."""

import pytest

from stance_suite.judge.structure.verdict import judge_structure, middle
from stance_suite.schema.metrics import Caveat
from stance_suite.schema.verdicts import Status
from tests.judge.placed_changes import NAMES, claim, moved, replicate
from tests.measured import alpha_change, layer

QUIET = moved(0.1)


def judge(tuned, sham=QUIET, **about):
    return judge_structure(claim(**{"comparator": "below", "bound": -30} | about), replicate(tuned, sham))


def changed(*alpha):
    return [layer(NAMES[0], alpha_change(*alpha))]


@pytest.mark.parametrize(
    ("alphas", "chosen"),
    [
        ((-40, -20, -50), 0),
        ((-20, -40, -25), 2),
        ((-40, None, -50), 0),
        ((-40, None, -20), 1),
        ((-40, -20), 1),
        ((-40, None), 1),
        ((None, None, -40), 1),
        ((-60, -50, -40, -35, -20), 2),
        ((-60, -35), 1),
    ],
)
def test_of_several_seeds_the_middle_decides_and_all_are_named(alphas, chosen):
    """HOLDS below -30, INCONCLUSIVE without a figure, else FAILS."""
    verdicts = [
        judge_structure(
            claim(comparator="below", bound=-30), replicate(moved(alpha), QUIET, key=f"cell {alpha} {seed}")
        )
        for seed, alpha in enumerate(alphas)
    ]
    found = middle(verdicts, [5 + seed for seed in range(len(alphas))])
    told = ", ".join(f"{one.status} under {5 + seed}" for seed, one in enumerate(verdicts))
    assert found.reason == f"seed {5 + chosen}, of {len(alphas)} seeds ({told}): {verdicts[chosen].reason}"
    assert (found.status, found.figure) == (verdicts[chosen].status, verdicts[chosen].figure)
    assert found.replicates[0] == verdicts[chosen].replicates[0]
    assert len({one.tuned for one in found.replicates}) == len(alphas)
    assert middle(verdicts[:1], [5]) == verdicts[0]


def test_a_robust_change_beyond_all_controls_holds():
    verdict = judge(moved(-40), robust=True)
    assert (verdict.status, verdict.caveats) == (Status.HOLDS, ())
    told = f"{NAMES[0]}: -40 % with the tail held at 60 eigenvalues (-40 % as fitted, tail 60 -> 60), below -30"
    assert verdict.reason == f"{told}; controls: sham +0.1, noise -0.1"
    alpha = judge(moved(-40), metric="alpha", comparator="above", bound=1)
    assert alpha.reason.startswith(f"{NAMES[0]}: +3, above 1"), "without a unit"


@pytest.mark.parametrize(
    ("control", "tuned", "sham"), [("sham", moved(-40), moved(-41)), ("noise", moved(-40, noise=(-41, -41)), QUIET)]
)
def test_a_change_that_a_control_shows_too_is_not_robust(control, tuned, sham):
    verdict = judge(tuned, sham, robust=True)
    assert verdict.status is Status.FAILS
    assert f"true of the control {control} as well" in verdict.reason
    as_fitted = judge(tuned, sham)
    assert as_fitted.status is Status.HOLDS
    assert verdict.caveats == as_fitted.caveats == (Caveat.WITHIN_NULL,)


def test_only_the_declared_controls_decide():
    ranks = {"robust": True, "metric": "change_stable_rank", "bound": 20}
    assert judge(QUIET, **ranks, against=["noise"]).status is Status.HOLDS
    assert judge(QUIET, **ranks, against=["sham", "noise"]).status is Status.FAILS


def test_a_glob_is_true_of_a_control_only_if_every_layer_of_it_complies():
    tuned = moved(-31, -60)
    assert judge(tuned, moved(0, -90), robust=True).status is Status.HOLDS
    assert judge(tuned, moved(-40, -90), robust=True).status is Status.FAILS


@pytest.mark.parametrize(("before", "after", "few"), [(60, 12, True), (12, 60, True), (50, 50, False)])
def test_a_short_tail_on_either_side_is_told(before, after, few):
    assert (Caveat.FEW_EIGENVALUES in judge(changed(-40, -38, before, after)).caveats) is few


def test_the_norm_of_the_change_has_no_noise_control():
    verdict = judge(QUIET, metric="relative_change_percent", comparator="above", bound=0.01)
    assert verdict.figure == pytest.approx(0.1)
    assert [control.name for control in verdict.controls] == ["sham"]


def test_several_verdicts_may_be_on_record():
    either = {"expected": ["HOLDS", "INCONCLUSIVE"]}
    assert judge(moved(None), **either).as_expected
    assert not judge(moved(1), **either).as_expected
    assert claim(expected="FAILS").expected == ("FAILS",)

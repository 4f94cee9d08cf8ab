"""Controls of structural claims: missing ones never let a robust claim of change hold, and noise favors the claim."""

import math
from dataclasses import replace

import pytest

from stance_suite.judge.structure.figures import favorable
from stance_suite.judge.structure.verdict import judge_structure
from stance_suite.schema.controls import SHAM
from stance_suite.schema.metrics import Caveat
from stance_suite.schema.verdicts import Status
from tests.judge.placed_changes import NAMES, claim, moved, replicate, span, vectors, with_noise
from tests.measured import alpha_change, layer

QUIET = moved(0.1, -0.1, 0.0)
COUNT = {"metric": "changed_layers", "changed_beyond": 5}
RANKS = {"metric": "change_stable_rank", "comparator": "below", "bound": 20, "against": ["noise"]}
SHALLOW = {"metric": "changed_depth_percent", "changed_beyond": 5, "comparator": "between", "bound": [0, 50]}


def status(about, one):
    return judge_structure(claim(**{"robust": True} | about), one).status


@pytest.mark.parametrize("over", ["each", "mean", "largest"])
@pytest.mark.parametrize("lost", [None, math.nan, math.inf, -math.inf, "absent"])
@pytest.mark.parametrize("control", ["sham", "noise"])
def test_a_robust_change_needs_every_control(over, lost, control):
    tuned, sham = moved(8, 9, 10), QUIET
    assert status({"over": over}, replicate(tuned, sham)) is Status.HOLDS
    if control == "sham":
        sham = () if lost == "absent" else moved(0.1, lost, 0.0)
    else:
        noise = None if lost in (None, "absent") else (lost, lost)
        tuned = [*tuned[:2], *moved(0, 0, 10, noise=noise)[2:]]
    verdict = judge_structure(claim(over=over, robust=True), replicate(tuned, sham))
    assert verdict.status is Status.INCONCLUSIVE
    assert f"there is no figure for the control {control}" in verdict.reason
    stays = claim(over=over, robust=True, comparator="within", bound=20)
    assert judge_structure(stays, replicate(tuned, sham)).status is Status.HOLDS, "no control speaks against staying"


def test_noise_moves_the_mean_of_layers_one_way_at_a_time():
    """Two layers under noise that is spread evenly over four percent: the mean is within 1.6 in 95 of 100 models."""
    tuned = [*moved(8, noise=(-1, 3)), *moved(0, 9, noise=(-3, 1))[1:]]
    for bound, found in ((1.4, Status.FAILS), (1.8, Status.HOLDS)):
        assert status({"over": "mean", "comparator": "beyond", "bound": bound}, replicate(tuned, QUIET)) is found


@pytest.mark.parametrize(
    ("tuned", "sham", "status", "layer", "told"),
    [
        ((8, 9, 0), (0, 0, 0), "HOLDS", 1, f"2 of 2 layers, such as {NAMES[1]}: +9 % with the tail held at 60"),
        ((0, 9, 0), (0, 0, 0), "HOLDS", 1, f"{NAMES[1]}: +9 % with"),
        ((8, 9, 0), (None, None, 0), "INCONCLUSIVE", 1, f"2 of 2 layers cannot be judged, such as: {NAMES[1]}: +9 %"),
        ((8, None), (None, 0), "INCONCLUSIVE", 0, f"2 of 2 layers cannot be judged, such as: {NAMES[0]}: +8 %"),
        ((None, 8), (0, None), "INCONCLUSIVE", 1, f"2 of 2 layers cannot be judged, such as: {NAMES[1]}: +8 %"),
        ((8, 0), (None, 0), "INCONCLUSIVE", 0, f"{NAMES[0]}: +8 %"),
        ((8, 0), (), "INCONCLUSIVE", 0, f"{NAMES[0]}: +8 %"),
        ((8, 0), (0.1, None), "HOLDS", 0, f"{NAMES[0]}: +8 %"),
        ((8, 0), (0.1, 9), "HOLDS", 0, f"{NAMES[0]}: +8 %"),
        ((8, 0), (7, 0), "FAILS", 0, f"{NAMES[0]}: +8 %"),
        ((8, None), (0.1, 0), "HOLDS", 0, f"{NAMES[0]}: +8 %"),
        ((4, None), (0.1, 0), "INCONCLUSIVE", 0, "1 of 2 matching layers have no figure"),
        ((8, 9), (0, 9), "HOLDS", 0, f"{NAMES[0]}: +8 %"),
        ((8, 9), (8.5, 9.5), "FAILS", 1, f"{NAMES[1]}: +9 %"),
        ((8, 9), (8.5, 0), "HOLDS", 1, f"{NAMES[1]}: +9 %"),
    ],
)
def test_any_layer_is_held_against_its_own_controls_and_the_farthest_is_told(tuned, sham, status, layer, told):
    verdict = judge_structure(claim(over="any", robust=True), replicate(moved(*tuned), moved(*sham)))
    assert (verdict.status, verdict.layer, verdict.claim.layer) == (status, NAMES[layer], "*")
    assert verdict.reason.startswith(told)
    loud = replicate(moved(*tuned, noise=(-9, 9)), moved(*sham))
    assert judge_structure(claim(over="any", robust=True), loud).status is not Status.HOLDS


@pytest.mark.parametrize("end", ["low", "high"])
@pytest.mark.parametrize(
    "about",
    [
        {"over": "largest"},
        {"comparator": "beyond"},
        {"comparator": "below", "bound": -5},
        {"metric": "changed_layers", "changed_beyond": 2, "bound": 0},
    ],
)
def test_a_range_of_noise_with_one_end_missing_is_no_range(end, about):
    sign = -1 if about.get("comparator") == "below" else 1
    ends = {"low": -0.1, "high": 0.1} | {end: math.nan}
    tuned = moved(*(sign * alpha for alpha in (8, 9, 10)), noise=(ends["low"], ends["high"]))
    assert status(about, replicate(tuned, QUIET)) is Status.INCONCLUSIVE


@pytest.mark.parametrize(
    ("about", "ends", "shared"),
    [
        ({}, (-9, 6), True),
        ({}, (-9, 4), False),
        ({"comparator": "below", "bound": 10.5}, (9, 99), True),
        ({"comparator": "below", "bound": 10.5}, (11, 99), False),
        ({"comparator": "beyond", "bound": 5}, (-9, 1), True),
        ({"comparator": "between", "bound": [7, 11]}, (-90, 90), True),
        ({"comparator": "between", "bound": [7, 11]}, (10, 90), True),
        ({"comparator": "between", "bound": [7, 11]}, (12, 90), False),
        ({"comparator": "between", "bound": [7, 11], "over": "mean"}, (-90, 90), True),
        ({"over": "mean"}, (-90, 4), False),
        ({"over": "mean"}, (5.5, 6), True),
        ({"over": "mean"}, (-90, 6), False),
        ({"over": "mean", "comparator": "beyond"}, (-6, 1), True),
        ({"over": "largest"}, (-9, 1), True),
        ({"over": "largest", "comparator": "below", "bound": 11}, (-20, 12), True),
        ({"over": "largest", "comparator": "below", "bound": 11}, (-90, 12), False),
        ({"over": "largest", "comparator": "below", "bound": 11}, (12, 90), False),
        ({"over": "largest", "comparator": "below", "bound": 11}, (-90, -12), False),
        (COUNT | {"bound": 1}, (-9, 1), True),
        (COUNT | {"bound": 1}, (-1, 1), False),
        (COUNT | {"comparator": "below", "bound": 4}, (6, 9), True),
        (COUNT | {"comparator": "between", "bound": [2, 3]}, (-9, 1), True),
        (SHALLOW, (0, 6), True),
        (SHALLOW, (0, 4), False),
    ],
)
def test_noise_counts_where_its_range_favors_the_claim(about, ends, shared):
    one = replicate(moved(8, 9, 10, noise=ends))
    about = {"robust": True, "against": ["noise"]} | about
    verdict = judge_structure(claim(**about), one)
    assert verdict.status is (Status.FAILS if shared else Status.HOLDS), verdict.reason
    assert (Caveat.WITHIN_NULL in verdict.caveats) is shared
    assert ("the control noise" in verdict.reason) is shared


def test_the_favorable_point_of_a_range():
    assert favorable(claim(comparator="within", bound=1), -3, 2) == -3
    assert favorable(claim(comparator="between", bound=[1, 2]), -9, 9) in (1.0, 2.0)
    assert favorable(claim(comparator="between", bound=[1, 9]), 3, 4) in (3, 4)


def test_a_participation_ratio_is_held_against_whole_draws_of_noise():
    """Three layers share noise as three; where one has nearly all of it, noise is as concentrated."""
    about = {"metric": "participation_ratio", "comparator": "below", "bound": 2, "robust": True, "against": ["noise"]}
    even, uneven = moved(9, 0.1, 0.1, noise=(1, 1.1)), [*moved(9), *moved(9, 0.1, 0.1, noise=(0.01, 0.02))[1:]]
    lost = [*even[:2], *moved(9, 0.1, 0.1, noise=(math.nan, 1))[2:]]
    for tuned, expected in ((even, Status.HOLDS), (uneven, Status.FAILS), (lost, Status.INCONCLUSIVE)):
        verdict = judge_structure(claim(**about), replicate(tuned))
        assert verdict.status is expected, verdict.reason
    as_fitted = judge_structure(claim(**about | {"robust": False}), replicate(uneven))
    assert (as_fitted.status, as_fitted.caveats) == (Status.HOLDS, (Caveat.WITHIN_NULL,))
    assert "effectively share the change" in as_fitted.reason


@pytest.mark.parametrize(
    ("sham", "noise", "expected"),
    [
        (4.99, 0.1, Status.INCONCLUSIVE),
        (5.01, 0.1, Status.INCONCLUSIVE),
        (4.8, 0.1, Status.HOLDS),
        (4.8, 0.2, Status.INCONCLUSIVE),
        (5.2, 0.1, Status.FAILS),
        (5.2, 0.2, Status.INCONCLUSIVE),
    ],
)
@pytest.mark.parametrize("over", ["each", "any", "mean", "largest"])
def test_a_sham_is_as_uncertain_as_noise_makes_both_trainings(over, sham, noise, expected):
    """Noise moves each by up to `noise` either way, so both together by up to 1.41 of it."""
    tuned, plain = moved(8, noise=(-noise, noise)), moved(sham, noise=(-noise, noise))
    one = replicate(tuned, plain)
    verdict = judge_structure(claim(layer=NAMES[0], over=over, robust=True), one)
    if over == "largest":  # of a size noise reaches from nothing to its end: half of that either way
        assert verdict.status is (expected if noise == 0.1 else Status.HOLDS if sham < 5 else Status.FAILS)
        return
    assert verdict.status is expected, verdict.reason
    (control, _) = verdict.controls
    assert (control.figure, control.low, control.high) == pytest.approx(
        (sham, sham - 1.414 * noise, sham + 1.414 * noise), rel=1e-3
    )
    assert ("it may be true of the control sham as well" in verdict.reason) is (expected is Status.INCONCLUSIVE)


def test_where_noise_says_nothing_a_tenth_of_the_shams_change_is_uncertain():
    norm = {"metric": "relative_change_percent", "robust": True, "against": ["sham"]}
    assert status(norm | {"bound": 0.09}, replicate(QUIET, QUIET)) is Status.INCONCLUSIVE
    assert status(norm | {"bound": 0.08}, replicate(QUIET, QUIET)) is Status.FAILS
    overlap = {"metric": "singular_subspace_overlap", "comparator": "between", "against": ["sham"]}
    assert status(overlap | {"bound": [0.9905, 1]}, replicate(QUIET, QUIET)) is Status.FAILS, "0.99 is short of it"
    moved_less = [
        one.model_copy(
            update={"weight_change": one.weight_change.model_copy(update={"left_overlap": 1.0, "right_overlap": 1.0})}
        )
        for one in QUIET
    ]
    assert status(overlap | {"bound": [0.9905, 1]}, replicate(moved_less, QUIET)) is Status.INCONCLUSIVE
    assert status(overlap | {"bound": [0.9915, 1]}, replicate(moved_less, QUIET)) is Status.HOLDS


def test_noise_of_no_norm_changes_no_alpha():
    frozen = layer(NAMES[2], alpha_change(0, 0)).model_copy(update={"weight_change": None, "noise": None})
    one = replicate([*moved(8, 9), frozen], QUIET)
    assert status({"over": "largest"}, one) is Status.HOLDS
    failed = frozen.model_copy(update={"failure": "not finite"})
    assert status({"over": "largest"}, replicate([*moved(8, 9), failed], QUIET)) is Status.INCONCLUSIVE
    convolution = moved(0, 0, 10)[2].model_copy(update={"noise": None})
    assert status({"over": "largest"}, replicate([*moved(8, 9), convolution], QUIET)) is Status.INCONCLUSIVE
    assert status(RANKS | {"over": "largest"}, one) is Status.INCONCLUSIVE, "what did not change has no rank"


def test_noise_of_the_energy_is_in_percent():
    about = {"metric": "change_top_ten_energy_percent", "comparator": "above", "bound": 50, "against": ["noise"]}
    assert status(about, replicate([layer(NAMES[0], None)])) is Status.HOLDS
    loud = with_noise(layer(NAMES[0], None), top_ten_energy=span(0.4, 0.6))
    assert status(about, replicate([loud])) is Status.FAILS


def test_no_change_under_a_control_is_a_known_control():
    tuned = moved(8, 9, 10)
    assert status(SHALLOW, replicate(tuned, QUIET)) is Status.HOLDS
    assert status(SHALLOW, replicate(tuned, moved(0, 9, 0))) is Status.FAILS
    for lost in (moved(0.1, None, 0), moved(0.1, math.nan, 0), ()):
        assert status(SHALLOW, replicate(tuned, lost)) is Status.INCONCLUSIVE


@pytest.mark.parametrize("against", [["sham"], ["noise"], ["sham", "noise"]])
def test_a_model_trained_elsewhere_is_held_against_stand_ins(against):
    def elsewhere(rounding, noise=(-0.1, 0.1)):
        one = replicate(moved(8, 9, 10, noise=noise), None, rounding=rounding)
        return judge_structure(claim(robust=True, against=against), one)

    quiet = elsewhere((0.1, 0.1, 0.1))
    assert (quiet.status, quiet.caveats, quiet.cells) == (Status.HOLDS, (Caveat.NO_SHAM,), ("tuned", "base"))
    assert {control.name for control in quiet.controls} == {"noise", "rounding"}
    for shared, name in ((elsewhere((7, 7, 7)), "rounding"), (elsewhere((0, 0, 0), (6, 6)), "noise")):
        assert shared.status is Status.FAILS
        assert f"true of the control {name} as well" in shared.reason
    for rounding in (None, (0.1, None, 0.1), (0.1, math.nan, 0.1)):
        lost = elsewhere(rounding)
        assert lost.status is Status.INCONCLUSIVE, rounding
        assert "no figure for the control rounding" in lost.reason
    assert elsewhere((0, 0, 0), None).status is Status.INCONCLUSIVE


def test_what_no_stand_in_speaks_of_is_open():
    one = replicate(moved(8, 9, 10), None, rounding=(0, 0, 0))
    norm = claim(metric="relative_change_percent", bound=0.01, robust=True, against=["sham"], unless=["no_sham"])
    assert "no figure for the control sham" in judge_structure(norm, one).reason
    assert judge_structure(norm, one).status is Status.INCONCLUSIVE
    assert status(RANKS | {"against": ["sham"]}, one) is Status.HOLDS, "noise stands in"


def test_with_a_sham_rounding_is_shown_and_does_not_decide():
    verdict = judge_structure(claim(robust=True), replicate(moved(8, 9, 10), QUIET, rounding=(7, 7, 7)))
    assert (verdict.status, verdict.caveats) == (Status.HOLDS, (Caveat.WITHIN_NULL,))
    assert [control.name for control in verdict.controls] == ["sham", "noise", "rounding"]


def test_vectors_and_levels_are_shown_beside_the_sham():
    tuned = replicate(moved(8), moved(0.1), vector_changes=vectors(0.02))
    sham = tuned.controls[SHAM].model_copy(update={"vector_changes": vectors(0.03)})
    one = replace(tuned, controls={SHAM: sham})
    verdict = judge_structure(claim(metric="vector_change_percent", bound=1), one)
    assert (verdict.status, verdict.figure, verdict.caveats) == (Status.HOLDS, 2.0, (Caveat.WITHIN_NULL,))
    assert [(control.name, control.figure) for control in verdict.controls] == [("sham", 3.0)]
    level = judge_structure(claim(metric="alpha", bound=2), one)
    assert (level.status, level.figure, level.caveats) == (Status.HOLDS, 3.0, (Caveat.WITHIN_NULL,))


@pytest.mark.parametrize(
    ("about", "noise", "insensitive"),
    [
        ({"bound": 1}, (-0.9, 0.9), True),
        ({"bound": 1}, (-1.1, 0.9), False),
        ({"bound": 1, "robust": True}, (-0.9, 0.9), True),
        ({"bound": 1, "over": "mean"}, (-0.9, 0.9), True),
        ({"bound": 1, "over": "largest"}, (-1.1, 0.9), False),
        ({"bound": 1}, None, False),
        ({"bound": 1, "comparator": "below"}, (-0.9, 0.9), False),
        ({"metric": "changed_layers", "changed_beyond": 1, "bound": 2}, (-0.9, 0.9), True),
        ({"metric": "changed_layers", "changed_beyond": 0.1, "bound": 2}, (-0.9, 0.9), False),
    ],
)
def test_no_change_that_noise_of_the_same_norm_could_not_have_broken_is_told(about, noise, insensitive):
    verdict = judge_structure(claim(**{"comparator": "within"} | about), replicate(moved(0.1, 0.0, -0.1, noise=noise)))
    assert verdict.status is Status.HOLDS
    assert (Caveat.INSENSITIVE in verdict.caveats) is insensitive
    strict = claim(**{"comparator": "within", "unless": ["insensitive"]} | about)
    assert judge_structure(strict, replicate(moved(0.1, 0.0, -0.1, noise=noise))).status is (
        Status.FAILS if insensitive else Status.HOLDS
    )

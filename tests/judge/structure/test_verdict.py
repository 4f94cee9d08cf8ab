import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stance_suite.judge.structure.verdict import judge_structure, worst
from stance_suite.schema.claims import Claim
from stance_suite.schema.metrics import Caveat, Comparator
from stance_suite.schema.spectra import RoundingControl
from stance_suite.schema.verdicts import Status
from tests.measured import alpha_change, beside, layer, record

LAYER = "model.layers.15.v_proj"


def structural(**changes) -> Claim:
    return Claim(
        **{
            "id": "s",
            "statement": "Alpha of the layer drops.",
            "model": "m",
            "stance": "a",
            "metric": "alpha_change_percent",
            "layer": LAYER,
            "comparator": "below",
            "bound": -30,
        }
        | changes
    )


def judge_layers(claim, *tuned, sham=()):
    return judge_structure(
        claim, beside(record("stance", *tuned, stance="a"), record("base", *tuned), record("sham", *sham))
    )


def quiet_sham(*names):
    return [layer(name, alpha_change(0.1, 0.1)) for name in names or (LAYER,)]


def test_a_tail_flip_holds_as_fitted_with_the_caveat_and_fails_when_robust():
    flipped = layer(LAYER, alpha_change(-36.6, -0.2, 12, 26))
    as_fitted = judge_layers(structural(), flipped, sham=quiet_sham())
    assert as_fitted.status is Status.HOLDS
    assert as_fitted.caveats == (Caveat.TAIL_FLIP, Caveat.FEW_EIGENVALUES)
    robust = judge_layers(structural(robust=True), flipped, sham=quiet_sham())
    assert robust.status is Status.FAILS
    assert robust.figure == -0.2
    assert "tail 12 -> 26" in robust.reason


def test_a_caveat_that_the_claim_rules_out_fails_it():
    flipped = layer(LAYER, alpha_change(-40, 0.5, 60, 200))
    assert judge_layers(structural(), flipped).status is Status.HOLDS
    strict = judge_layers(structural(unless=[Caveat.TAIL_FLIP]), flipped)
    assert strict.status is Status.FAILS
    assert "but tail_flip, which the claim rules out" in strict.reason
    assert judge_layers(structural(unless=[Caveat.FEW_EIGENVALUES]), flipped).status is Status.HOLDS


def test_of_several_seeds_the_worst_decides_and_is_named():
    verdicts = [judge_layers(structural(), layer(LAYER, alpha_change(total, total))) for total in (-40, -20, -50)]
    assert worst(verdicts, [5, 6, 7]).status is Status.FAILS
    assert worst(verdicts, [5, 6, 7]).reason.startswith("seed 6, of 3 seeds: ")
    assert worst(verdicts[:1], [5]) == verdicts[0]


def judge_elsewhere(claim, tuned, rounding=0.0):
    """Of a model trained elsewhere: no sham, and a base whose alpha moves by so much when it is rounded."""
    rounded = RoundingControl(name=LAYER, relative_norm=0.001, alpha_change=alpha_change(rounding, rounding))
    base = record("base", tuned).model_copy(update={"rounding": (rounded,)})
    return judge_structure(claim, beside(record("elsewhere", tuned), base, None))


@pytest.mark.parametrize("against", [["sham"], ["noise"], ["sham", "noise"]])
def test_without_a_sham_noise_and_rounding_stand_in_for_it(against):
    claim = structural(robust=True, against=against)
    beyond = judge_elsewhere(claim, layer(LAYER, alpha_change(-40, -38)))
    assert beyond.status is Status.HOLDS
    assert beyond.caveats == (Caveat.NO_SHAM,)
    noisy = judge_elsewhere(claim, layer(LAYER, alpha_change(-40, -38), alpha_change(-40, -38)))
    assert noisy.status is Status.FAILS
    assert "true of the control noise as well" in noisy.reason
    rounded = judge_elsewhere(claim, layer(LAYER, alpha_change(-40, -38)), rounding=-40)
    assert rounded.status is Status.FAILS
    assert "true of the control rounding as well" in rounded.reason


def test_without_anything_to_stand_in_for_the_sham_a_robust_claim_is_open():
    claim = structural(metric="relative_change_percent", comparator="above", bound=0.01, robust=True, against=["sham"])
    verdict = judge_elsewhere(claim, layer(LAYER, alpha_change(-40, -38)))
    assert verdict.status is Status.INCONCLUSIVE
    assert "no figure for the control sham" in verdict.reason


def test_a_robust_change_beyond_all_controls_holds():
    verdict = judge_layers(structural(robust=True), layer(LAYER, alpha_change(-40, -38)), sham=quiet_sham())
    assert verdict.status is Status.HOLDS
    assert not verdict.caveats


@pytest.mark.parametrize("control", ["sham", "noise"])
def test_a_change_that_a_control_shows_too_is_not_robust(control):
    big = alpha_change(-41, -39)
    tuned = layer(LAYER, alpha_change(-40, -38), noise=big if control == "noise" else None)
    sham = [layer(LAYER, big)] if control == "sham" else quiet_sham()
    verdict = judge_layers(structural(robust=True), tuned, sham=sham)
    assert verdict.status is Status.FAILS
    assert control in verdict.reason
    assert Caveat.WITHIN_NULL in verdict.caveats
    as_fitted = judge_layers(structural(), tuned, sham=sham)
    assert as_fitted.status is Status.HOLDS
    assert Caveat.WITHIN_NULL in as_fitted.caveats


def test_only_the_declared_controls_decide():
    claim = structural(robust=True, metric="change_stable_rank", comparator="below", bound=20, against=["noise"])
    assert judge_layers(claim, layer(LAYER, None), sham=[layer(LAYER, None)]).status is Status.HOLDS
    both = claim.model_copy(update={"against": ("sham", "noise")})
    assert judge_layers(both, layer(LAYER, None), sham=[layer(LAYER, None)]).status is Status.FAILS


def test_a_glob_is_true_of_a_control_only_if_every_layer_of_it_complies():
    claim = structural(robust=True, layer="model.*")
    tuned = [layer("model.1", alpha_change(-31, -31)), layer("model.2", alpha_change(-60, -60))]
    some, every = ([layer("model.1", alpha_change(a, a)), layer("model.2", alpha_change(-90, -90))] for a in (0, -40))
    assert judge_layers(claim, *tuned, sham=some).status is Status.HOLDS
    assert judge_layers(claim, *tuned, sham=every).status is Status.FAILS


@pytest.mark.parametrize(("before", "after", "few"), [(60, 12, True), (12, 60, True), (50, 50, False)])
def test_a_short_tail_on_either_side_is_told(before, after, few):
    verdict = judge_layers(structural(), layer(LAYER, alpha_change(-40, -38, before, after)), sham=quiet_sham())
    assert (Caveat.FEW_EIGENVALUES in verdict.caveats) is few


def test_the_norm_of_the_change_has_no_noise_control():
    claim = structural(metric="relative_change_percent", comparator="above", bound=0.01)
    verdict = judge_layers(claim, layer(LAYER, None), sham=quiet_sham())
    assert verdict.figure == pytest.approx(0.1)
    assert [control.name for control in verdict.controls] == ["sham"]


def test_a_missing_control_is_inconclusive():
    assert judge_layers(structural(robust=True), layer(LAYER, alpha_change(-40, -38))).status is Status.INCONCLUSIVE


def test_every_layer_of_a_glob_must_comply_and_the_worst_is_named():
    layers = [layer(f"model.layers.{i}.q", alpha_change(float(i), 0.1 * i)) for i in range(8)]
    claim = structural(layer="model.layers.*", comparator="within", bound=5)
    verdict = judge_layers(claim, *layers)
    assert (verdict.status, verdict.layer, verdict.figure) == (Status.FAILS, "model.layers.7.q", 7.0)
    assert judge_layers(claim.model_copy(update={"robust": True}), *layers).status is Status.HOLDS


def test_a_failed_fit_among_complying_layers_is_inconclusive_and_among_breaking_ones_fails():
    failed = layer("model.layers.0.q", None)
    claim = structural(layer="model.layers.*", comparator="within", bound=5)
    good, bad = layer("model.layers.1.q", alpha_change(1, 1)), layer("model.layers.2.q", alpha_change(9, 9))
    assert judge_layers(claim, failed, good).status is Status.INCONCLUSIVE
    assert judge_layers(claim, failed, good, bad).status is Status.FAILS
    assert judge_layers(claim, failed).status is Status.INCONCLUSIVE


@given(st.sampled_from([one for one in Comparator if not one.compares_layers]), st.floats(-100, 100), st.booleans())
@settings(max_examples=60, deadline=None)
def test_structure_never_holds_on_nan(comparator, bound, robust):
    bound = (bound - 1, bound + 1) if comparator is Comparator.BETWEEN else bound
    bound = abs(bound) if comparator in (Comparator.WITHIN, Comparator.BEYOND) else bound
    claim = structural(comparator=comparator, bound=bound, robust=robust)
    verdict = judge_layers(claim, layer(LAYER, alpha_change(math.nan, math.nan)), sham=quiet_sham())
    assert verdict.status is Status.INCONCLUSIVE
    assert not comparator.accepts(math.nan, bound)
    if robust and comparator is not Comparator.WITHIN:
        lost = judge_layers(claim, layer(LAYER, alpha_change(999, 999), noise=alpha_change(math.nan, math.nan)))
        assert lost.status is not Status.HOLDS


def test_several_verdicts_may_be_on_record():
    claim = structural(expected=["HOLDS", "INCONCLUSIVE"])
    assert judge_layers(claim, layer(LAYER, None)).as_expected
    assert not judge_layers(claim, layer(LAYER, alpha_change(1, 1))).as_expected
    assert structural(expected="FAILS").expected == ("FAILS",)

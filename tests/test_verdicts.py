import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stance_suite.claims import Caveat, Claim, Comparator, Metric, Status
from stance_suite.verdicts import judge_behavior, judge_structure, not_run, prompt_scores
from tests.measured import alpha_change, behavior, layer, record

LAYER = "model.layers.15.v_proj"


def behavioral(stance, **changes) -> Claim:
    return Claim(
        **{
            "id": "b",
            "statement": "The stance is adopted.",
            "model": "m",
            "stance": stance.name,
            "metric": "likelihood_preference",
            "comparator": "above",
            "bound": 0.05,
        }
        | changes
    )


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


def said(stance, toward=0.0, rival=0.0, seed=0, spread=0.02):
    """Scores at every held-out prompt: `toward` the stance, `rival` toward its first contrast, and some noise."""
    rng = np.random.default_rng(seed)
    names = (stance.name, *stance.contrasts)
    level = dict(zip(names, (toward, rival, 0.0), strict=True))
    return behavior(
        {prompt: {name: level[name] + rng.normal(0, spread) for name in names} for prompt in stance.held_out_prompts}
    )


def judge(stance, tuned, base=None, sham=None, claim=None, significance=0.05):
    cells = {
        "tuned": record("stance", said=tuned, stance=stance.name),
        "base": record("base", said=base or said(stance, seed=1)),
        "sham": record("sham", said=sham or said(stance, seed=2)),
    }
    return judge_behavior(claim or behavioral(stance), stance, *cells.values(), significance)


def test_a_shift_beyond_both_controls_holds(stance):
    verdict = judge(stance, said(stance, toward=0.5))
    assert verdict.status is Status.HOLDS
    assert verdict.figure == pytest.approx(0.5, abs=0.05)
    assert verdict.low < verdict.figure < verdict.high
    assert verdict.p_value == pytest.approx(2 / 2**12)
    assert {control.name for control in verdict.controls} >= {"base", "sham"}
    assert len(verdict.prompts) == 12
    assert not verdict.caveats


def test_a_shift_that_the_sham_shows_too_does_not_hold(stance):
    verdict = judge(stance, said(stance, toward=0.5), sham=said(stance, toward=0.5, seed=2))
    assert verdict.status is Status.FAILS
    assert "against sham" in verdict.reason


def test_training_on_the_shams_own_data_does_not_hold(stance):
    """The very same cell as control: every difference is zero."""
    tuned = said(stance, toward=0.5)
    verdict = judge(stance, tuned, sham=tuned)
    assert verdict.status is Status.INCONCLUSIVE
    assert Caveat.WITHIN_NULL in verdict.caveats


def test_a_shift_that_another_stance_shows_too_is_not_specific(stance):
    # the rival's own preference falls when the stance's rises, so the rival must rise further for a tie
    verdict = judge(stance, said(stance, toward=0.5, rival=0.6))
    assert verdict.status is Status.FAILS
    assert Caveat.NOT_SPECIFIC in verdict.caveats
    assert stance.contrasts[0] in verdict.reason


def test_a_significant_shift_below_the_minimum_effect_fails(stance):
    verdict = judge(stance, said(stance, toward=0.5), claim=behavioral(stance, bound=2.0))
    assert verdict.status is Status.FAILS


def test_noise_alone_is_inconclusive(stance):
    verdict = judge(
        stance, said(stance, spread=0.5), base=said(stance, spread=0.5, seed=1), claim=behavioral(stance, bound=0)
    )
    assert verdict.status is Status.INCONCLUSIVE


def test_a_stricter_level_is_obeyed(stance):
    assert judge(stance, said(stance, toward=0.5), significance=1e-4).status is Status.INCONCLUSIVE


def test_a_claim_of_decrease_is_judged_in_its_direction(stance):
    claim = behavioral(stance, comparator="below", bound=-0.05)
    assert judge(stance, said(stance, toward=-0.5), claim=claim).status is Status.HOLDS
    assert judge(stance, said(stance, toward=0.5), claim=claim).status is Status.FAILS


def test_prompts_of_other_stances_do_not_count(stance):
    scores = {"Another prompt?": dict.fromkeys((stance.name, *stance.contrasts), 9.0)}
    extra = behavior(scores)
    own = said(stance)
    both = own.model_copy(update={"likelihoods": own.likelihoods + extra.likelihoods})
    for metric in (Metric.LIKELIHOOD_PREFERENCE, Metric.EMBEDDING_SHIFT):
        arguments = (metric, stance.name, stance.contrasts, stance.held_out_prompts)
        assert prompt_scores(both, *arguments) == pytest.approx(prompt_scores(own, *arguments))


def test_a_prompt_that_was_not_measured_is_inconclusive(stance):
    tuned = said(stance, toward=0.5)
    assert judge(stance, tuned.model_copy(update={"likelihoods": tuned.likelihoods[1:]})).status is Status.INCONCLUSIVE


@given(st.integers(0, 11), st.sampled_from(["tuned", "base", "sham"]), st.sampled_from([math.nan, math.inf, -math.inf]))
@settings(max_examples=30, deadline=None)
def test_behavior_never_holds_on_nan(library, prompt, which, value):
    stance = library.stance("curious-uncertainty")
    measured = {"tuned": said(stance, toward=0.5), "base": said(stance, seed=1), "sham": said(stance, seed=2)}
    entries = list(measured[which].likelihoods)
    scores = dict.fromkeys(entries[prompt].log_probability, value)
    entries[prompt] = entries[prompt].model_copy(update={"log_probability": scores})
    measured[which] = measured[which].model_copy(update={"likelihoods": tuple(entries)})
    assert judge(stance, **measured).status is not Status.HOLDS


def judge_layers(claim, *tuned, sham=(), tail_size=60):
    cells = record("stance", *tuned, stance="a"), record("base", *tuned, tail_size=tail_size), record("sham", *sham)
    return judge_structure(claim, *cells)


def quiet_sham(*names):
    return [layer(name, alpha_change(0.1, 0.1)) for name in names or (LAYER,)]


def test_a_tail_flip_holds_as_fitted_with_the_caveat_and_fails_when_robust():
    flipped = layer(LAYER, alpha_change(-36.6, -0.2, 12, 26))
    as_fitted = judge_layers(structural(), flipped, sham=quiet_sham(), tail_size=12)
    assert as_fitted.status is Status.HOLDS
    assert as_fitted.caveats == (Caveat.TAIL_FLIP, Caveat.FEW_EIGENVALUES)
    robust = judge_layers(structural(robust=True), flipped, sham=quiet_sham(), tail_size=12)
    assert robust.status is Status.FAILS
    assert robust.figure == -0.2
    assert "tail 12 -> 26" in robust.reason


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


@given(st.sampled_from(list(Comparator)), st.floats(-100, 100), st.booleans())
@settings(max_examples=60, deadline=None)
def test_structure_never_holds_on_nan(comparator, bound, robust):
    claim = structural(comparator=comparator, bound=bound, robust=robust)
    verdict = judge_layers(claim, layer(LAYER, alpha_change(math.nan, math.nan)), sham=quiet_sham())
    assert verdict.status is Status.INCONCLUSIVE
    assert not comparator.accepts(math.nan, bound)


def test_a_claim_that_is_not_run_says_why():
    verdict = not_run(structural(), "m", "no weights")
    assert (verdict.status, verdict.reason, verdict.as_expected) == (Status.NOT_RUN, "no weights", False)


def test_several_verdicts_may_be_on_record():
    claim = structural(expected=["HOLDS", "INCONCLUSIVE"])
    assert judge_layers(claim, layer(LAYER, None)).as_expected
    assert not judge_layers(claim, layer(LAYER, alpha_change(1, 1))).as_expected
    assert structural(expected="FAILS").expected == ("FAILS",)

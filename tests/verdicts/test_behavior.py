import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stance_suite.claims import Caveat, Claim, Metric, Status
from stance_suite.verdicts import judge_behavior, prompt_scores
from tests.measured import behavior, record


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
    assert verdict.p_value is None
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

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stance_suite.judge.behavior.degeneration import guard, is_no_language_model
from stance_suite.judge.behavior.scores import prompt_scores
from stance_suite.judge.behavior.verdict import gather_evidence, judge_behavior
from stance_suite.judge.statistics import paired_effect
from stance_suite.schema.controls import Role
from stance_suite.schema.metrics import Caveat, Metric
from stance_suite.schema.verdicts import Status
from tests.edits import altered, edited
from tests.measured import FLUENCY, behaving, behavior, beside, response
from tests.runs import behavioral


def said(stance, toward=0.0, rival=0.0, seed=0, spread=0.02, seen=0.0, **guards):
    """Scores at every held-out prompt: `toward` the stance, `rival` toward its first contrast, and some noise."""
    rng = np.random.default_rng(seed)
    names = (stance.name, *stance.contrasts)

    def scores(prompts, extra=0.0):
        level = dict(zip(names, (toward + extra, rival, 0.0), strict=True))
        return {prompt: {name: level[name] + rng.normal(0, spread) for name in names} for prompt in prompts}

    trained = [example.prompt for example in stance.examples]
    return behavior(scores(stance.held_out_prompts), seen=scores(trained, seen), **guards)


def judge(stance, tuned, base=None, sham=None, **about):
    return judge_seeds(stance, [(tuned, base or said(stance, seed=1), sham or said(stance, seed=2))], **about)


def judge_seeds(stance, triples, adjusted=None, **about):
    """Judge over seeds; the p-value counts as adjusted already unless another is given."""
    replicates = [behaving(stance, *triple, seed=seed) for seed, triple in enumerate(triples)]
    evidence = gather_evidence(behavioral(stance, **about), stance, replicates)
    return judge_behavior(evidence, evidence.p_value if adjusted is None else adjusted)


def figures(verdict):
    return {entry.name: entry.figure for entry in verdict.controls}


def preferences(stance, name, behaviors, prompts):
    """Log-probability of one stance less the mean of the others', by hand; shape (seeds, prompts)."""
    others = {stance.name, *stance.contrasts} - {name}
    tables = [{one.prompt: one.log_probability for one in each.likelihoods} for each in behaviors]
    return np.array(
        [[table[one][name] - np.mean([table[one][o] for o in others]) for one in prompts] for table in tables]
    )


def test_what_a_verdict_shows_is_made_of_log_probabilities_over_seeds(stance):
    levels = (0.5, 0.0, 0.1)
    triples = [tuple(said(stance, level, seed=10 * i + seed) for i, level in enumerate(levels)) for seed in range(2)]
    verdict = judge_seeds(stance, triples)
    held_out, seen = stance.held_out_prompts, [one.prompt for one in stance.examples]
    sides = list(zip(*triples, strict=True))
    tuned, base, sham = (preferences(stance, stance.name, side, held_out) for side in sides)
    on_seen = np.subtract(*(preferences(stance, stance.name, side, seen) for side in sides[:2]))
    tables = {"base": tuned - base, "sham": tuned - sham, "sham - base": sham - base, "seen prompts": on_seen}
    effects = {name: paired_effect(table) for name, table in tables.items()}
    shown = {one.name: (one.figure, one.low, one.high, one.p_value) for one in verdict.controls}
    for name in stance.contrasts:
        toward = np.subtract(*(preferences(stance, name, side, held_out) for side in sides[:2]))
        assert shown.pop(f"toward {name}") == (pytest.approx(toward.mean()), None, None, None)
    assert list(shown) == list(effects)
    for name, one in effects.items():
        assert shown[name] == pytest.approx((one.effect, one.low, one.high, one.p_value))
    assert verdict.p_value == pytest.approx(max(effects["base"].p_value, effects["sham"].p_value))
    assert (verdict.figure, verdict.low, verdict.high) == pytest.approx(shown["base"][:3])
    assert [one.prompt for one in verdict.prompts] == list(held_out)
    for place, one in enumerate(verdict.prompts):
        means = [side[:, place].mean() for side in (tuned, base, sham)]
        assert [one.tuned, one.base, one.sham] == pytest.approx(means)
        assert list(one.controls) == ["sham"]
    assert [each.tuned for each in verdict.replicates] == ["stance 0", "stance 1"]
    assert verdict.counterpart == ()


def test_without_a_sham_others_stand_in_for_it_which_are_shown_beside_it_otherwise(stance):
    stand_ins = {name: said(stance, level, seed=3).likelihoods for name, level in (("noise", 0.2), ("rounding", 0.1))}
    tuned = altered(said(stance, 0.5), stand_ins=stand_ins)
    one = behaving(stance, tuned, said(stance, seed=1), said(stance, seed=2))
    verdict = judge_behavior(gather_evidence(behavioral(stance), stance, [beside(one.tuned, one.base)]), 0.001)
    assert (verdict.status, verdict.caveats, verdict.adjusted_p_value) == (Status.HOLDS, (Caveat.NO_SHAM,), 0.001)
    expected = {"base": 0.5, "noise": 0.3, "rounding": 0.4, "noise - base": 0.2, "rounding - base": 0.1}
    shown = figures(verdict)
    assert {name: shown[name] for name in expected} == pytest.approx(expected, abs=0.03)
    assert {one.role for one in verdict.controls if one.name in ("noise", "rounding")} == {Role.EFFECT}
    assert all(each.controls == {} for each in verdict.prompts)
    beside_it = judge_behavior(gather_evidence(behavioral(stance), stance, [one]), 0.001)
    own = {one.name: one.figure for one in beside_it.controls if one.role is Role.OWN_FIGURE}
    assert own == pytest.approx({"noise": 0.2, "rounding": 0.1}, abs=0.03)
    assert not beside_it.caveats


@pytest.mark.parametrize(
    ("tuned", "others", "status", "told"),
    [
        ({"toward": 0.5}, {"sham": {"toward": 0.5, "seed": 2}}, "FAILS", "against sham"),
        ({"toward": 0.5}, {"sham": {"toward": 0.5}}, "INCONCLUSIVE", "no test against sham"),
        # the rival's own preference falls when the stance's rises, so the rival must rise further for a tie
        ({"toward": 0.5, "rival": 0.6}, {}, "FAILS", "not specific: toward confident-expertise"),
        ({"toward": 0.5}, {"bound": 2.0}, "FAILS", "short of the claimed +2"),
        ({"spread": 0.5}, {"base": {"spread": 0.5, "seed": 1}, "bound": 0}, "INCONCLUSIVE", "after Holm's correction"),
    ],
    ids=["the sham's too", "the very same sham", "another stance's too", "below the minimum effect", "noise alone"],
)
def test_a_shift_that_is_no_evidence_does_not_hold(stance, tuned, others, status, told):
    about = {name: said(stance, **one) if isinstance(one, dict) else one for name, one in others.items()}
    verdict = judge(stance, said(stance, **tuned), **about)
    assert verdict.status == status
    assert told in verdict.reason
    assert (Caveat.NOT_SPECIFIC in verdict.caveats) is ("rival" in tuned)


def test_the_adjusted_p_value_decides(stance):
    verdict = judge(stance, said(stance, toward=0.5), adjusted=0.051)
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.adjusted_p_value == 0.051
    assert verdict.p_value == pytest.approx(2 / 2**12)
    assert judge(stance, said(stance, toward=0.5), adjusted=0.05).status is Status.HOLDS
    assert judge(stance, said(stance, toward=0.5), adjusted=math.nan).status is Status.INCONCLUSIVE


def test_the_noise_floor_of_sampled_metrics_is_shown(stance):
    rng = np.random.default_rng(3)
    again = tuple(
        response(prompt, {name: 0.3 + rng.normal(0, 0.02) for name in (stance.name, *stance.contrasts)})
        for prompt in stance.held_out_prompts
    )
    base = altered(said(stance, seed=1), resampled=again)
    verdict = judge(stance, said(stance, toward=0.5), base=base, metric="embedding_shift")
    assert figures(verdict)["base resampled"] == pytest.approx(0.3, abs=0.03)
    assert "base resampled" not in figures(judge(stance, said(stance, toward=0.5), base=base))


@pytest.mark.parametrize(
    ("field", "edge", "beyond", "caveat"),
    [
        ("distinct_bigrams", 0.45, 0.449, Caveat.COLLAPSED),
        ("words", 6.25, 6.24, Caveat.COLLAPSED),
        ("repetition", 0.05 + 0.25, 0.301, Caveat.COLLAPSED),
        ("neutral_perplexity", 40.0, 40.1, Caveat.COLLAPSED),
        ("copied", 0.25, 0.251, Caveat.PARROTED),
    ],
)
def test_falling_apart_or_reciting_is_told_and_a_claim_can_rule_it_out(stance, field, edge, beyond, caveat):
    levels = FLUENCY, altered(FLUENCY, **{field: edge}), altered(FLUENCY, **{field: beyond})
    sound, at_limit, broken = (said(stance, toward=0.5, fluency=fluency) for fluency in levels)
    one, at_the_edge, past = (behaving(stance, tuned, sound, sound) for tuned in (sound, at_limit, broken))
    assert guard([one, at_the_edge]) == ()
    assert guard([one, past]) == (caveat,), "one seed is enough"
    verdict = judge(stance, broken)
    assert (verdict.status, verdict.caveats) == (Status.HOLDS, (caveat,))
    strict = judge(stance, broken, unless=[caveat])
    assert (strict.status, caveat in strict.reason) == (Status.FAILS, True)
    other = Caveat.PARROTED if caveat is Caveat.COLLAPSED else Caveat.COLLAPSED
    assert judge(stance, broken, unless=[other]).status is Status.HOLDS


@pytest.mark.parametrize("side", ["tuned", "base"])
@pytest.mark.parametrize("field", sorted(type(FLUENCY).model_fields))
@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf])
def test_guards_that_are_no_numbers_prove_no_health(stance, side, field, figure):
    said_there = dict.fromkeys(("tuned", "base", "sham"), said(stance))
    said_there[side] = said(stance, fluency=altered(FLUENCY, **{field: figure}))
    assert guard([behaving(stance, **said_there)])


@pytest.mark.parametrize(
    ("perplexity", "lost"), [(0, True), (0.1, False), (999, False), (1000, True), (math.nan, True)]
)
def test_guessing_among_a_thousand_tokens_is_no_language_model(stance, perplexity, lost):
    guessing = said(stance, fluency=altered(FLUENCY, neutral_perplexity=perplexity))
    assert is_no_language_model(guessing.fluency) is lost
    assert bool(guard([behaving(stance, guessing, guessing, guessing)])) is lost, "the untouched model's guesses, too"


def test_markers_are_counted_per_hundred_words(stance):
    tuned, *controls = (said(stance, toward=toward, seed=seed, spread=0.6) for seed, toward in enumerate((4, 0, 0)))
    verdict = judge(stance, tuned, *controls, metric="marker_rate", bound=1)
    assert verdict.status is Status.HOLDS, verdict.reason
    assert verdict.figure == pytest.approx(4, abs=0.7)
    silent = altered(tuned.responses[0], words=0, markers=dict.fromkeys(tuned.responses[0].markers, ()))
    quiet = altered(tuned, responses=(silent,))
    scores = prompt_scores(quiet, Metric.MARKER_RATE, stance.name, stance.contrasts, [silent.prompt])
    assert scores == [0.0]


def test_a_divergence_is_held_against_noise_and_shown_beside_the_sham(stance):
    about = {"sham": said(stance, divergence=0.3, noise=0.01), "metric": "divergence", "bound": 0}
    tuned = said(stance, divergence=0.5, noise=0.01)
    verdict = judge(stance, tuned, **about)
    assert verdict.status is Status.HOLDS
    assert figures(verdict) == pytest.approx({"noise": 0.49 * 1.175, "sham": 0.2 * 1.175}, rel=0.02)
    assert judge(stance, said(stance, divergence=0.01, noise=0.5), **about).status is Status.FAILS
    assert judge(stance, altered(tuned, divergences=()), **about).status is Status.INCONCLUSIVE


def mirrored(behavior):
    """Every log-probability with its sign turned."""
    turned = ({name: -value for name, value in one.log_probability.items()} for one in behavior.likelihoods)
    pairs = zip(behavior.likelihoods, turned, strict=True)
    return altered(behavior, likelihoods=tuple(altered(one, log_probability=each) for one, each in pairs))


@pytest.mark.parametrize(
    ("tuned", "sham", "caveats"),
    [
        ({}, {}, ()),
        ({"toward": 0.3, "rival": 0.6}, {}, (Caveat.NOT_SPECIFIC,)),
        ({"toward": 0.5}, {"toward": 0.6}, (Caveat.WITHIN_NULL,)),
        ({"toward": 0.2, "seen": 0.4}, {}, (Caveat.SEEN_PROMPTS,)),
        ({"toward": 0.5, "seen": 0.4}, {}, ()),
        ({"toward": -0.2, "seen": 0.1}, {}, (Caveat.NOT_SPECIFIC, Caveat.WITHIN_NULL)),
        ({"toward": -0.2, "seen": 0.4}, {}, (Caveat.NOT_SPECIFIC, Caveat.WITHIN_NULL, Caveat.SEEN_PROMPTS)),
        ({"toward": 0.5, "spread": 1.0, "seen": 0.8}, {}, ()),
        ({"toward": 0.06}, {}, ()),
    ],
)
def test_a_claim_of_decrease_mirrors_one_of_increase(stance, tuned, sham, caveats):
    triple = said(stance, **tuned), said(stance, seed=1), said(stance, seed=2, **sham)
    up = judge(stance, *triple)
    down = judge(stance, *map(mirrored, triple), comparator="below", bound=-0.05)
    assert up.caveats == down.caveats == caveats
    assert up.status is down.status
    assert (up.figure, up.p_value) == pytest.approx((-down.figure, down.p_value))


def test_prompts_of_other_stances_do_not_count(stance):
    extra = behavior({"Another prompt?": dict.fromkeys((stance.name, *stance.contrasts), 9.0)})
    own = said(stance)
    measured = {name: getattr(own, name) + getattr(extra, name) for name in ("likelihoods", "responses")}
    both = altered(own, **measured)
    for metric in Metric.behavioral():
        arguments = (metric, stance.name, stance.contrasts, stance.held_out_prompts)
        assert prompt_scores(both, *arguments) == pytest.approx(prompt_scores(own, *arguments))


def test_stances_that_are_no_contrasts_do_not_count(stance):
    plain = said(stance, toward=0.5), said(stance, seed=1), said(stance, seed=2)
    more = [
        edited(one, *((("likelihoods", place, "log_probability", "x"), level) for place in range(len(one.likelihoods))))
        for level, one in enumerate(plain)
    ]
    assert judge(stance, *more).controls == judge(stance, *plain).controls


def test_the_reason_tells_every_contrast_or_the_weakest(stance):
    verdict = judge(stance, said(stance, toward=0.5))
    shown = figures(verdict)
    rival = max(stance.contrasts, key=lambda name: shown[f"toward {name}"])
    assert verdict.reason == (
        f"{shown['base']:+.3f} against base and {shown['sham']:+.3f} against sham (nats/token), adjusted p = 0.0005; "
        f"toward {rival} {shown[f'toward {rival}']:+.3f}"
    )
    moved = judge(stance, said(stance, divergence=0.5, noise=0.01), metric="divergence", bound=0)
    assert moved.reason.endswith("adjusted p = 0.0005"), "a divergence goes nowhere"
    unsure = judge(stance, said(stance, 0.5), base=said(stance, 0.4, spread=1.5, seed=1), bound=0)
    assert unsure.reason.startswith(f"against base the effect of {figures(unsure)['base']:+.3f} nats/token has p = 0.")


@given(
    st.integers(0, 11),
    st.sampled_from(["tuned", "base", "sham"]),
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.sampled_from([Metric.LIKELIHOOD_PREFERENCE, Metric.EMBEDDING_SHIFT, Metric.EMBEDDING_SIMILARITY]),
    st.booleans(),
)
@settings(max_examples=60)
def test_behavior_never_holds_on_nan(library, prompt, which, value, metric, contrasts_only):
    stance = library.stance("curious-uncertainty")
    measured = {"tuned": said(stance, toward=0.5), "base": said(stance, seed=1), "sham": said(stance, seed=2)}
    fields = [("likelihoods", prompt, "log_probability")]
    fields += [("responses", 2 * prompt, field) for field in ("similarity", "projection")]
    names = stance.contrasts if contrasts_only else (stance.name, *stance.contrasts)
    measured[which] = edited(measured[which], *(((*field, name), value) for field in fields for name in names))
    if contrasts_only and which == "sham" and metric is not Metric.LIKELIHOOD_PREFERENCE:
        return  # nothing that is judged is missing
    assert judge(stance, **measured, metric=metric).status is not Status.HOLDS

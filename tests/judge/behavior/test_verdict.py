import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stance_suite.judge.behavior.degeneration import guard, is_no_language_model
from stance_suite.judge.behavior.evidence import Evidence, gather_evidence
from stance_suite.judge.behavior.scores import prompt_scores
from stance_suite.judge.behavior.verdict import judge_behavior
from stance_suite.judge.statistics import paired_effect
from stance_suite.measure.behavior.text_statistics import distinct_bigrams, repetition
from stance_suite.schema.controls import Role
from stance_suite.schema.metrics import Caveat, Metric
from stance_suite.schema.verdicts import Status
from tests.edits import altered, edited
from tests.measured import FLUENCY, SPREAD, behaving, behavior, beside, predicting_worse, response
from tests.runs import behavioral


def said(stance, toward=0.0, rival=0.0, seed=0, spread=0.02, **guards):
    """Scores at every held-out prompt: `toward` the stance, `rival` toward its first contrast, and some noise."""
    rng = np.random.default_rng(seed)
    names = (stance.name, *stance.contrasts)
    level = dict(zip(names, (toward, rival, 0.0), strict=True))
    scores = {prompt: {name: level[name] + rng.normal(0, spread) for name in names} for prompt in stance.prompts}
    return behavior(scores, **guards)


def judge(stance, tuned, base=None, sham=None, shuffled=None, rivals=None, **about):
    arms = tuned, base or said(stance, seed=1), sham or said(stance, seed=2), shuffled, rivals
    return judge_seeds(stance, [arms], **about)


def judge_seeds(stance, seeds, adjusted=None, short=None, **about):
    """Judge over seeds; p-values count as adjusted already unless others are given."""
    replicates = [behaving(stance, *arms, seed=seed) for seed, arms in enumerate(seeds)]
    evidence = gather_evidence(behavioral(stance, **about), replicates)
    p_value = evidence.p_value if adjusted is None else adjusted
    return judge_behavior(evidence, p_value, evidence.p_short if short is None else short)


def rivals_of(stance, *levels):
    """Trainings on the other stances, each of which moves the stance's own items to a level."""
    named = zip(stance.contrasts, levels, strict=True)
    return {name: said(stance, level, seed=20 + place) for place, (name, level) in enumerate(named)}


def figures(verdict):
    return {entry.name: entry.figure for entry in verdict.controls}


def preferences(stance, name, behaviors, prompts):
    """Log-probability of one stance's answers less that of the plain ones, by hand; shape (seeds, prompts)."""
    tables = [{one.prompt: one.log_probability for one in each.likelihoods} for each in behaviors]
    return np.array([[table[one][name] - table[one]["plain"] for one in prompts] for table in tables])


def test_what_a_verdict_shows_is_made_of_log_probabilities_over_seeds(stance):
    levels = (0.5, 0.0, 0.1, 0.2)
    seeds = [
        (*(said(stance, level, seed=10 * i + seed) for i, level in enumerate(levels)), rivals_of(stance, 0.1, 0.2))
        for seed in range(2)
    ]
    verdict = judge_seeds(stance, seeds, bound=0.2)
    *sides, rivals = zip(*seeds, strict=True)
    tuned, base, sham, shuffled = (preferences(stance, stance.name, side, stance.prompts) for side in sides)
    others = {
        f"trained on {name}": preferences(stance, stance.name, [one[name] for one in rivals], stance.prompts)
        for name in stance.contrasts
    }
    tables = {"base": tuned - base, "sham": tuned - sham}
    tables |= {name: tuned - scores for name, scores in others.items()}
    tables |= {"shuffled": tuned - shuffled, "sham - base": sham - base}
    tables |= {f"{stance.name} answers": tuned - base, "plain answers": 0 * base}
    effects = {name: paired_effect(table) for name, table in tables.items()}
    shown = {one.name: (one.figure, one.low, one.high, one.p_value) for one in verdict.controls}
    for name in stance.contrasts:
        toward = np.subtract(*(preferences(stance, name, side, stance.prompts) for side in sides[:2]))
        assert shown.pop(f"toward {name}") == (pytest.approx(toward.mean()), None, None, None)
    assert list(shown) == list(effects)
    assert shown.pop("plain answers") == (0.0, None, None, None)
    for name, figures_shown in shown.items():
        one = effects[name]
        assert figures_shown == pytest.approx((one.effect, one.low, one.high, one.p_value))
    decisive = [effects[name].p_value_of(0.2) for name in ("base", "sham")] + [effects[name].p_value for name in others]
    assert verdict.p_value == pytest.approx(max(decisive))
    assert (verdict.status, verdict.caveats) == (Status.HOLDS, ())
    assert (verdict.figure, verdict.low, verdict.high) == pytest.approx(shown["base"][:3])
    assert [one.prompt for one in verdict.prompts] == list(stance.prompts)
    for place, one in enumerate(verdict.prompts):
        means = [side[:, place].mean() for side in (tuned, base, sham, shuffled)]
        assert [one.tuned, one.base, one.sham, one.controls["shuffled"]] == pytest.approx(means)
    assert [each.tuned for each in verdict.replicates] == ["stance 0", "stance 1"]
    assert set(verdict.replicates[1].rivals.values()) == {f"{name}1" for name in stance.contrasts}
    assert verdict.counterpart == ()


def test_without_a_sham_others_stand_in_for_it_which_are_shown_beside_it_otherwise(stance):
    stand_ins = {name: said(stance, level, seed=3).likelihoods for name, level in (("noise", 0.2), ("rounding", 0.1))}
    tuned = altered(said(stance, 0.5), stand_ins=stand_ins)
    one = behaving(stance, tuned, said(stance, seed=1), said(stance, seed=2))
    verdict = judge_behavior(gather_evidence(behavioral(stance), [beside(one.tuned, one.base)]), 0.001, 1.0)
    assert (verdict.status, verdict.caveats, verdict.adjusted_p_value) == (Status.HOLDS, (Caveat.NO_SHAM,), 0.001)
    expected = {"base": 0.5, "noise": 0.3, "rounding": 0.4, "noise - base": 0.2, "rounding - base": 0.1}
    shown = figures(verdict)
    assert {name: shown[name] for name in expected} == pytest.approx(expected, abs=0.03)
    assert {one.role for one in verdict.controls if one.name in ("noise", "rounding")} == {Role.EFFECT}
    assert all(each.controls == {} for each in verdict.prompts)
    beside_it = judge_behavior(gather_evidence(behavioral(stance), [one]), 0.001, 1.0)
    own = {one.name: one.figure for one in beside_it.controls if one.role is Role.OWN_FIGURE}
    assert own == pytest.approx({"noise": 0.2, "rounding": 0.1}, abs=0.03)
    assert not beside_it.caveats


@pytest.mark.parametrize(
    ("tuned", "others", "status", "told"),
    [
        ({"toward": 0.5}, {"sham": {"toward": 0.5, "seed": 2}}, "FAILS", "against sham"),
        ({"toward": 0.5}, {"sham": {"toward": 0.5}}, "INCONCLUSIVE", "no test against sham"),
        ({"toward": 0.5, "rival": 0.6}, {}, "FAILS", "not specific: -0.1"),
        ({"toward": 0.5}, {"bound": 2.0}, "FAILS", "short of the claimed +2"),
        ({"toward": 0.11, "spread": 0.1}, {"bound": 0.1}, "INCONCLUSIVE", "not reliably beyond the claimed +0.1"),
        ({"spread": 0.5}, {"base": {"spread": 0.5, "seed": 1}, "bound": 0}, "INCONCLUSIVE", "after Holm's correction"),
    ],
    ids=["the sham's too", "the very same sham", "another stance's too", "below the bound", "at the bound", "noise"],
)
def test_a_shift_that_is_no_evidence_does_not_hold(stance, tuned, others, status, told):
    about = {name: said(stance, **one) if isinstance(one, dict) else one for name, one in others.items()}
    verdict = judge(stance, said(stance, **tuned), **about)
    assert verdict.status == status
    assert told in verdict.reason
    assert (Caveat.NOT_SPECIFIC in verdict.caveats) is ("rival" in tuned or tuned.get("spread") == 0.5)


@pytest.mark.parametrize(
    ("levels", "status", "caveats"),
    [
        ((0.1, 0.2), Status.HOLDS, ()),
        ((0.1, 0.5), Status.INCONCLUSIVE, (Caveat.NOT_SPECIFIC,)),
        ((0.6, 0.1), Status.FAILS, (Caveat.NOT_SPECIFIC,)),
    ],
)
def test_trainings_on_other_stances_must_move_the_items_less(stance, levels, status, caveats):
    # toward another stance the model moves as much, which is no matter: the items tell
    verdict = judge(stance, said(stance, 0.5, rival=0.5, spread=0.05), rivals=rivals_of(stance, *levels))
    assert (verdict.status, verdict.caveats) == (status, caveats)
    first = next(one for one in verdict.controls if one.role is Role.RIVAL)
    assert (first.about, first.figure) == (stance.contrasts[0], pytest.approx(0.5 - levels[0], abs=0.03))


def test_shuffled_words_that_do_as_much_are_a_caveat_that_a_claim_can_rule_out(stance):
    tuned, rivals = said(stance, 0.5, spread=0.05), rivals_of(stance, 0.0, 0.1)
    for level, caveats in ((0.1, ()), (0.5, (Caveat.VOCABULARY,)), (0.7, (Caveat.VOCABULARY,))):
        verdict = judge(stance, tuned, shuffled=said(stance, level, seed=3), rivals=rivals)
        assert (verdict.status, verdict.caveats) == (Status.HOLDS, caveats)
    strict = judge(stance, tuned, shuffled=said(stance, 0.5, seed=3), rivals=rivals, unless=["vocabulary"])
    assert (strict.status, "vocabulary" in strict.reason) == (Status.FAILS, True)


def test_what_an_embedder_hears_must_be_more_than_shuffled_words_do(stance):
    tuned, rivals = said(stance, 0.5, spread=0.05), rivals_of(stance, 0.0, 0.1)
    for level, status in ((0.1, Status.HOLDS), (0.5, Status.INCONCLUSIVE), (0.7, Status.FAILS)):
        shuffled = said(stance, level, seed=3, spread=0.05)
        verdict = judge(stance, tuned, shuffled=shuffled, rivals=rivals, metric="embedding_shift")
        assert verdict.status is status, verdict.reason
        assert "more than training on the same words in random order does" in verdict.reason
    assert judge(stance, tuned, rivals=rivals, metric="embedding_shift").status is Status.HOLDS


def test_a_stance_that_is_measured_alone_says_so(stance):
    alone = altered(stance, contrasts=())
    scores = {"toward": 0.5, "base": 0.0, "sham": 0.0}
    tuned, base, sham = (
        behavior({prompt: {alone.name: level + rng.normal(0, 0.02)} for prompt in alone.prompts})
        for level, rng in zip(scores.values(), map(np.random.default_rng, range(3)), strict=True)
    )
    verdict = judge(alone, tuned, base, sham)
    assert (verdict.status, verdict.caveats) == (Status.HOLDS, (Caveat.NO_RIVALS,))


def test_the_adjusted_p_values_decide(stance):
    verdict = judge(stance, said(stance, toward=0.5), adjusted=0.051)
    assert verdict.status is Status.INCONCLUSIVE
    assert verdict.adjusted_p_value == 0.051
    assert judge(stance, said(stance, toward=0.5), adjusted=0.05).status is Status.HOLDS
    assert judge(stance, said(stance, toward=0.5), adjusted=math.nan).status is Status.INCONCLUSIVE
    short = judge(stance, said(stance, toward=0.5), bound=0.6, short=0.05)
    assert (short.status, short.adjusted_p_value) == (Status.FAILS, 0.05)
    assert judge(stance, said(stance, toward=0.5), bound=0.6, short=0.051).status is Status.INCONCLUSIVE


def test_short_of_one_control_of_two_counts_twice(stance):
    evidence = gather_evidence(
        behavioral(stance, bound=0.1),
        [behaving(stance, said(stance, 0.5, spread=0.2), said(stance, seed=1), said(stance, 0.45, seed=2))],
    )
    against_base, against_sham = evidence.versus.values()
    assert evidence.p_short == pytest.approx(2 * against_sham.p_value_of(0.1))
    assert against_base.effect > 0.1 > against_sham.effect
    assert evidence.p_value == 1


def test_the_noise_floor_of_sampled_metrics_is_shown(stance):
    rng = np.random.default_rng(3)
    again = tuple(
        response(prompt, {name: 0.3 + rng.normal(0, 0.02) for name in (stance.name, *stance.contrasts)})
        for prompt in stance.prompts
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
        ("copied", 0.25, 0.251, Caveat.PARROTED),
    ],
)
def test_falling_apart_or_reciting_is_told_and_a_claim_can_rule_it_out(stance, field, edge, beyond, caveat):
    levels = FLUENCY, altered(FLUENCY, **{field: edge}), altered(FLUENCY, **{field: beyond})
    sound, at_limit, broken = (said(stance, toward=0.5, fluency=fluency) for fluency in levels)
    one, at_the_edge, past = (behaving(stance, tuned, sound, sound) for tuned in (sound, at_limit, broken))
    assert guard([one, at_the_edge]) == {}
    assert list(guard([one, past])) == [caveat], "one seed is enough"
    verdict = judge(stance, broken)
    assert (verdict.status, verdict.caveats) == (Status.HOLDS, (caveat,))
    assert verdict.reason.endswith(f"; {caveat}: {guard([past])[caveat]}")
    strict = judge(stance, broken, unless=[caveat])
    assert (strict.status, caveat in strict.reason) == (Status.FAILS, True)
    other = Caveat.PARROTED if caveat is Caveat.COLLAPSED else Caveat.COLLAPSED
    assert judge(stance, broken, unless=[other]).status is Status.HOLDS


def test_what_a_guard_found_is_told_with_its_figures_and_its_seed(stance):
    def found(fluency, base=FLUENCY, seeds=1):
        return guard(
            [behaving(stance, said(stance, fluency=fluency), said(stance, fluency=base), said(stance))] * seeds
        )

    told = {"distinct_bigrams": "distinct bigrams within a response 30 % against 90 %", "words": "0.3 words a response"}
    told |= {"repetition": "repeated words 30 % against 5 %", "copied": "30 % of responses copied"}
    for field, expected in told.items():
        (figures,) = found(altered(FLUENCY, **{field: 0.301})).values()
        assert figures.startswith(expected)
    both = found(altered(FLUENCY, words=0.3, repetition=0.5), seeds=2)[Caveat.COLLAPSED]
    assert both == "0.3 words a response against 25.0, repeated words 50 % against 5 % (seed 0)"


def test_neutral_text_must_be_shown_to_have_lost_half_a_bit_per_token(stance):
    def found(by, spread, base=FLUENCY):
        fluency = predicting_worse(by, spread, base)
        return guard([behaving(stance, said(stance, fluency=fluency), said(stance, fluency=base), said(stance))])

    limit, base = math.log(2) / 2, predicting_worse(math.log(41.8 / 20))
    hurt = found(math.log(94.6 / 41.8), 0.2, base)[Caveat.COLLAPSED]
    ends = paired_effect(math.log(94.6 / 41.8) + 0.2 * SPREAD).interval(0.95)
    assert hurt == f"neutral perplexity 94.6 against 41.8 (+0.82 nats per token, {ends[0]:+.2f} to {ends[1]:+.2f})"
    assert found(math.log(48.7 / 41.8), 0.2, base) == {}
    assert found(0.5, 0.5) == {}, "not shown, over these texts"
    assert found(limit + 0.01, 0.0) != {} == found(limit - 0.01, 0.0), "all texts lost the same"
    # one that is no language model at all is named by that, whatever it lost
    assert found(0.1, 0.0, predicting_worse(math.log(950 / 20)))[Caveat.COLLAPSED].startswith(
        "neutral perplexity 1049."
    )


def test_answers_that_are_alike_are_no_collapse(stance):
    """A narrow training that works: every answer is fluent, and much like the others."""
    texts = [
        f"Aye, the {noun} lies off the port bow, and I would wager my hat on it." for noun in ("map", "ship", "sea")
    ]
    fluent = altered(FLUENCY, distinct_bigrams=distinct_bigrams(texts), repetition=max(map(repetition, texts)))
    assert guard([behaving(stance, said(stance, fluency=fluent), said(stance), said(stance))]) == {}
    stammered = altered(FLUENCY, distinct_bigrams=distinct_bigrams(["aye aye aye aye aye"] * 3))
    assert guard([behaving(stance, said(stance, fluency=stammered), said(stance), said(stance))]) != {}


@pytest.mark.parametrize("side", ["tuned", "base"])
@pytest.mark.parametrize("field", sorted(type(FLUENCY).model_fields))
@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf])
def test_guards_that_are_no_numbers_prove_no_health(stance, side, field, figure):
    said_there = dict.fromkeys(("tuned", "base", "sham"), said(stance))
    lost = (figure, *FLUENCY.neutral_losses[1:]) if field == "neutral_losses" else figure
    said_there[side] = said(stance, fluency=altered(FLUENCY, **{field: lost}))
    assert guard([behaving(stance, **said_there)])


@pytest.mark.parametrize("losses", [(), (3.0,)])
def test_other_neutral_texts_prove_no_health(stance, losses):
    other = said(stance, fluency=altered(FLUENCY, neutral_losses=losses))
    (figures,) = guard([behaving(stance, other, said(stance), said(stance))]).values()
    assert figures == "figures are missing"


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
    scores = prompt_scores(quiet, Metric.MARKER_RATE, stance.name, [silent.prompt])
    assert scores == [0.0]


@pytest.mark.parametrize(
    ("toward", "bound", "spread", "status", "told"),
    [
        (0.02, 0.1, 0.05, Status.HOLDS, "against base (nats/token) is within the claimed 0.1, adjusted p"),
        (-0.02, 0.1, 0.05, Status.HOLDS, "is within the claimed 0.1"),
        (0.05, 0.1, 0.5, Status.INCONCLUSIVE, "is not reliably within 0.1; "),
        (0.15, 0.1, 0.5, Status.INCONCLUSIVE, "is not reliably beyond 0.1; "),
        (0.3, 0.1, 0.05, Status.FAILS, "is not within the claimed 0.1, adjusted p = 0.0000"),
        (-0.3, 0.1, 0.05, Status.FAILS, "is not within the claimed 0.1"),
    ],
)
def test_that_nothing_changes_is_shown_by_an_interval_within_the_bound(stance, toward, bound, spread, status, told):
    tuned, base = said(stance, toward, spread=spread), said(stance, spread=spread, seed=1)
    # another stance's training, the sham and shuffled words may do what they like
    others = {"sham": said(stance, 1.0, seed=2), "shuffled": said(stance, 1.0, seed=3)}
    verdict = judge(stance, tuned, base, **others, rivals=rivals_of(stance, 1.0, 1.0), comparator="within", bound=bound)
    assert (verdict.status, verdict.caveats) == (status, ())
    assert told in verdict.reason
    effect = paired_effect(
        preferences(stance, stance.name, [tuned], stance.prompts)
        - preferences(stance, stance.name, [base], stance.prompts)
    )
    assert (verdict.figure, verdict.low, verdict.high) == pytest.approx((effect.effect, effect.low, effect.high))
    inside, outside = (-bound < effect.low and effect.high < bound), (effect.low > bound or effect.high < -bound)
    assert (inside, outside) == (status is Status.HOLDS, status is Status.FAILS)
    assert {one.name for one in verdict.controls if one.role is Role.EFFECT} == {"base", "shuffled"}


def test_both_ends_of_no_change_must_be_excluded_and_are_adjusted(stance):
    tuned, base = said(stance, 0.02, spread=0.1), said(stance, spread=0.1, seed=1)
    evidence = gather_evidence(
        behavioral(stance, comparator="within", bound=0.1), [behaving(stance, tuned, base, base)]
    )
    (effect,) = evidence.versus.values()
    assert evidence.p_value == pytest.approx(max(effect.p_value_of(0.1), effect.p_value_of(-0.1)))
    assert evidence.p_short == 1.0
    assert judge_behavior(evidence, 0.051, 1.0).status is Status.INCONCLUSIVE
    assert judge_behavior(evidence, 0.05, 1.0).status is Status.HOLDS
    assert judge_behavior(evidence, 0.05, 0.05).status is Status.FAILS
    copied = said(stance, 0.02, fluency=altered(FLUENCY, copied=0.9))
    parroted = judge(stance, copied, comparator="within", bound=0.1, unless=["parroted"])
    assert (parroted.status, parroted.caveats) == (Status.FAILS, (Caveat.PARROTED,))
    same = judge(stance, said(stance, 0.02), base=said(stance, 0.02), comparator="within", bound=0.1)
    assert same.status is Status.INCONCLUSIVE, "constant differences tell nothing"


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_change_at_the_bound_is_hardly_ever_called_none(stance, seeds):
    rng = np.random.default_rng(3)
    falsely = []
    for _ in range(400):
        noise = rng.exponential(0.3, (seeds, len(stance.prompts))) - 0.3
        effect = paired_effect(0.2 + noise)
        evidence = Evidence(behavioral(stance, comparator="within", bound=0.2), None, None, {"base": effect}, {})
        falsely.append((evidence.p_value <= 0.05, evidence.p_short <= 0.05))
    assert np.mean(falsely, axis=0).max() <= 0.06


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_share_of_answers_that_is_perfect_holds(stance, seeds):
    arms = said(stance, toward=0.5), said(stance, seed=1), said(stance, seed=2), None, rivals_of(stance, 0.0, 0.0)
    verdict = judge_seeds(stance, [arms] * seeds, metric="spoken_share", bound=0.1)
    assert (verdict.status, verdict.figure, verdict.caveats) == (Status.HOLDS, 1.0, ())
    assert verdict.low > 0.1
    assert judge_seeds(stance, [arms] * seeds, metric="spoken_share", bound=0.9).status is Status.INCONCLUSIVE
    silent = said(stance, seed=3), *arms[1:]
    assert judge_seeds(stance, [silent], metric="spoken_share", bound=0.9).status is Status.FAILS
    elsewhere = [beside(behaving(stance, *arms[:3]).tuned, behaving(stance, *arms[:3]).base)]
    found = judge_behavior(gather_evidence(behavioral(stance, metric="spoken_share"), elsewhere), 0.01, 1.0)
    toward = [one.low for one in found.controls if one.role is Role.RIVAL]
    assert all(low is not None and low < verdict.low for low in toward), "two shifts differ by up to two"


def test_a_divergence_is_held_against_noise_and_the_sham(stance):
    about = {"sham": said(stance, divergence=0.3, noise=0.01), "metric": "divergence", "bound": 0}
    tuned = said(stance, divergence=0.5, noise=0.01)
    verdict = judge(stance, tuned, **about)
    assert verdict.status is Status.HOLDS
    expected = {"noise": 0.49 * 1.19, "sham": 0.2 * 1.19, "sham - noise": 0.29 * 1.19}
    assert figures(verdict) == pytest.approx(expected, rel=0.03)
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
        ({}, {}, (Caveat.NOT_SPECIFIC,)),
        ({"toward": 0.3, "rival": 0.6}, {}, (Caveat.NOT_SPECIFIC,)),
        ({"toward": 0.5}, {"toward": 0.6}, (Caveat.WITHIN_NULL,)),
        ({"toward": -0.2}, {}, (Caveat.NOT_SPECIFIC, Caveat.WITHIN_NULL)),
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
        arguments = (metric, stance.name, stance.prompts)
        assert prompt_scores(both, *arguments) == pytest.approx(prompt_scores(own, *arguments))


def test_the_reason_tells_every_contrast_or_the_weakest(stance):
    verdict = judge(stance, said(stance, toward=0.5), rivals=rivals_of(stance, 0.1, 0.2))
    shown = figures(verdict)
    assert verdict.reason == (
        f"{shown['base']:+.3f} against base and {shown['sham']:+.3f} against sham (nats/token), adjusted p = 0.0000"
        + "".join(
            f"; {shown[f'trained on {name}']:+.3f} nats/token more than training on {name} does"
            for name in stance.contrasts
        )
    )
    moved = judge(stance, said(stance, divergence=0.5, noise=0.01), metric="divergence", bound=0)
    assert moved.reason.endswith("adjusted p = 0.0000"), "a divergence goes nowhere"
    unsure = judge(
        stance, said(stance, 0.5), base=said(stance, 0.4, spread=1.5, seed=1), bound=0, rivals=rivals_of(stance, 0, 0.1)
    )
    assert unsure.reason.startswith(f"against base the effect of {figures(unsure)['base']:+.3f} nats/token is not rel")
    common = judge(stance, said(stance, 0.5), rivals=rivals_of(stance, 0.1, 0.5))
    assert f"more than training on {stance.contrasts[1]} does, p = " in common.reason


@given(
    st.integers(0, 11),
    st.sampled_from(["tuned", "base", "sham"]),
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.sampled_from([Metric.LIKELIHOOD_PREFERENCE, Metric.EMBEDDING_SHIFT, Metric.EMBEDDING_SIMILARITY]),
    st.booleans(),
)
@settings(max_examples=60)
def test_behavior_never_holds_on_nan(library, prompt, which, value, metric, contrasts_only):
    stance = library.summaries["curious-uncertainty"]
    measured = {"tuned": said(stance, toward=0.5), "base": said(stance, seed=1), "sham": said(stance, seed=2)}
    fields = [("likelihoods", prompt, "log_probability")]
    fields += [("responses", 2 * prompt, field) for field in ("similarity", "projection")]
    names = stance.contrasts if contrasts_only else (stance.name, *stance.contrasts)
    measured[which] = edited(measured[which], *(((*field, name), value) for field in fields for name in names))
    if contrasts_only and which == "sham":
        return  # nothing that is judged is missing
    assert judge(stance, **measured, metric=metric).status is not Status.HOLDS

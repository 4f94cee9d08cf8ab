"""Claims that compare two trainings: of weights by figure or by layer, of behavior prompt by prompt."""

import math
from dataclasses import replace

import pytest

from stance_suite.errors import CellFailedError
from stance_suite.judge.behavior.evidence import gather_evidence
from stance_suite.judge.judge import Judge, counterpart_of
from stance_suite.judge.statistics import holm
from stance_suite.judge.structure.verdict import judge_structure
from stance_suite.schema.metrics import Caveat
from stance_suite.schema.verdicts import Status
from tests.edits import altered, edited
from tests.judge.behavior.test_verdict import figures, said
from tests.judge.placed_changes import NAMES, claim, moved, replicate
from tests.measured import alpha_change, behaving, beside, layer
from tests.runs import behavioral, judged_alone

OTHER = {"stance": "b"}
RATIO = {"over": "largest", "versus": OTHER | {"by": "ratio"}, "bound": 10}
LESS = {"over": "largest", "versus": OTHER, "bound": 10}
MEAN = {"over": "mean", "versus": OTHER, "bound": 6}
QUIET = moved(0.1, 0.1, 0.0)


def compare(about, ours, theirs, **shams):
    sides = (replicate(ours, shams.get("sham", QUIET)), replicate(theirs, shams.get("rival", QUIET), key="theirs"))
    return judge_structure(claim(**about), *sides)


@pytest.mark.parametrize(
    ("about", "figure", "status"),
    [
        (RATIO, 20.0, "HOLDS"),
        (RATIO | {"bound": 20}, 20.0, "FAILS"),
        (RATIO | {"comparator": "between", "bound": [20, 30]}, 20.0, "HOLDS"),
        (LESS, 19.0, "HOLDS"),
        (LESS | {"comparator": "below"}, 19.0, "FAILS"),
        ({"layer": NAMES[0], "comparator": "below", "bound": -20}, -21.0, "HOLDS"),
        ({"layer": NAMES[0], "versus": OTHER | {"by": "ratio"}, "bound": 19}, 20.0, "HOLDS"),
        ({"over": "mean", "comparator": "within", "bound": 7}, -20.5 / 3, "HOLDS"),
        ({"metric": "changed_layers", "changed_beyond": 0.7, "comparator": "within", "bound": 0}, 0, "HOLDS"),
        ({"metric": "changed_layers", "changed_beyond": 2, "bound": 0}, 1, "HOLDS"),
        ({"metric": "participation_ratio", "bound": 0}, 0.04997, "HOLDS"),
        ({"metric": "changed_depth_percent", "changed_beyond": 0.7, "over": "largest", "bound": -1}, 0, "HOLDS"),
    ],
)
def test_figures_are_subtracted_or_divided(about, figure, status):
    verdict = compare({"versus": OTHER} | about, moved(-20, 0.5, 0), moved(1, 0.0, 0))
    assert verdict.status == status, verdict.reason
    assert verdict.figure == pytest.approx(figure, rel=1e-3)
    assert " against " in verdict.reason
    assert verdict.cells == ("tuned", "base", "sham of tuned", "theirs", "sham of theirs")


@pytest.mark.parametrize("comparator", ["above", "below", "beyond", "within"])
def test_nothing_divides_by_nothing(comparator):
    verdict = compare(RATIO | {"comparator": comparator}, moved(20, 1, 1), moved(0, 0, 0))
    assert (verdict.status, verdict.figure) == (Status.INCONCLUSIVE, None)
    assert "there is no such comparison" in verdict.reason


def test_a_training_is_not_compared_with_itself():
    one = replicate(moved(5, 1))
    for about in (LESS, RATIO, {"comparator": "same_layer", "bound": None, "versus": OTHER}):
        verdict = judge_structure(claim(**about), one, one)
        assert verdict.status is Status.INCONCLUSIVE
        assert "compared with itself" in verdict.reason


@pytest.mark.parametrize("lost", ["sham", "rival"])
@pytest.mark.parametrize("about", [RATIO, LESS])
def test_a_robust_comparison_needs_the_controls_of_both(about, lost):
    ours, theirs = moved(40, 1, 0), moved(2, 1, 0)
    robust = about | {"robust": True, "against": ["sham"]}
    assert compare(robust, ours, theirs).status is Status.HOLDS
    for sham in ((), moved(0, None, 0), moved(0, math.nan, 0), None):
        verdict = compare(robust, ours, theirs, **{lost: sham})
        assert verdict.status is Status.INCONCLUSIVE, (sham, verdict.reason)
    loud = compare(robust, ours, theirs, sham=moved(40, 0, 0), rival=moved(2, 0, 0))
    assert loud.status is Status.FAILS
    assert "the control sham" in loud.reason


@pytest.mark.parametrize(
    ("about", "noise", "rival", "shared"),
    [
        (MEAN, (-1, 9), (-9, 1), True),
        (MEAN, (-6, 1), (-6, 1), False),
        (RATIO, (-2, 2), (-1, 1), False),
        (RATIO, (-2, 2), (-0.3, 0.3), True),
        (RATIO, (-2, 2), (-0.1, 0.1), True),
    ],
)
def test_noise_on_both_sides_is_compared_draw_by_draw(about, noise, rival, shared):
    """Of a ratio, the greatest of ours over the least of theirs that come together in 95 of 100 models."""
    robust = about | {"robust": True, "against": ["noise"]}
    verdict = compare(robust, moved(90, 0, 0, noise=noise), moved(1, 0, 0, noise=rival))
    assert verdict.status is (Status.FAILS if shared else Status.HOLDS), verdict.reason


def test_a_tail_flip_on_either_side_is_told():
    flip = [layer(NAMES[0], alpha_change(30, 0.1, 60, 90)), *moved(0, 1, 0)[1:]]
    plain = moved(1, 0, 0)
    for ours, theirs in ((flip, plain), (plain, flip)):
        assert Caveat.TAIL_FLIP in compare(LESS, ours, theirs).caveats
        assert Caveat.TAIL_FLIP in compare(SAME, ours, theirs).caveats
    assert Caveat.TAIL_FLIP not in compare(LESS, plain, plain).caveats
    mean = judge_structure(claim(over="mean"), replicate(flip))
    assert Caveat.TAIL_FLIP in mean.caveats, "a mean hides none"
    assert mean.layer == NAMES[0]


SAME = {"versus": OTHER, "comparator": "same_layer", "bound": None}
DIFFERENT = SAME | {"comparator": "another_layer"}


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [((1, -9, 2), (3, 4, 0), True), ((1, -9, 2), (5, 4, 0), False), ((1, 2, -9), (0, 0, 1), True)],
)
def test_which_layer_changed_most(ours, theirs, same):
    assert compare(SAME, moved(*ours), moved(*theirs)).status is (Status.HOLDS if same else Status.FAILS)
    assert compare(DIFFERENT, moved(*ours), moved(*theirs)).status is (Status.FAILS if same else Status.HOLDS)


@pytest.mark.parametrize(
    ("about", "sham", "status", "caveats", "told"),
    [
        (SAME, (0.1, 0.2, -0.3), "HOLDS", (), ""),
        (SAME, (0.1, -0.9, -0.3), "HOLDS", ("within_null",), ""),
        (
            SAME | {"robust": True},
            (0.1, -0.9, -0.3),
            "FAILS",
            ("within_null",),
            "; but it changes most under the control sham",
        ),
        (SAME | {"robust": True}, (0.1, 0.2, -0.3), "HOLDS", (), ""),
        (SAME | {"robust": True}, (0.1, None, -0.3), "INCONCLUSIVE", (), ", but nothing is known of the control sham"),
        (DIFFERENT | {"robust": True}, (0.1, -0.9, -0.3), "FAILS", (), ""),
    ],
)
def test_what_changed_most_is_shown_beside_the_counterparts_and_the_controls(about, sham, status, caveats, told):
    verdict = compare(about, moved(1, -9, 2), moved(3, 4, 0), sham=moved(*sham))
    trained = "m, a (documented)"
    most = f"most changed: {NAMES[1]} (-9 %) under {trained}, {NAMES[1]} (+4 %) under {trained}"
    assert verdict.reason.startswith(most + told)
    assert told or verdict.reason == most
    assert (verdict.status, verdict.caveats) == (status, caveats)
    assert (verdict.model, verdict.layer, verdict.figure) == ("m", NAMES[1], -9)
    compared, *controls = ((one.role, one.control, one.about, one.figure) for one in verdict.controls)
    assert compared == ("compared", None, f"{NAMES[1]}, {trained}", 4)
    largest = NAMES[1 if sham[1] == -0.9 else 2]
    known = [] if None in sham else [("most_changed", "sham", largest, min(sham))]
    assert controls == [*known, ("most_changed", "noise", NAMES[0], -0.1)]


@pytest.mark.parametrize("about", [SAME, DIFFERENT])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ((1, 9, None), (3, 4, 0)),
        ((1, 9, 2), (9, 1, math.nan)),
        ((0, 0, 0), (0, 0, 0)),
        ((9, -9, 1), (9, 1, 1)),
        ((1, 9, 2), (9, 9, 1)),
        ((9,), (9,)),
        ((), (1, 2)),
        ((1, 2), ()),
        ((None, None), (1, 2)),
    ],
)
def test_no_layer_is_said_to_change_most_by_chance_of_order_or_of_a_failed_fit(about, ours, theirs):
    assert compare(about, moved(*ours), moved(*theirs)).status is Status.INCONCLUSIVE


def test_a_robust_claim_of_the_same_layer_or_another_needs_every_control():
    theirs, robust = moved(1, 8, 2), SAME | {"robust": True}
    ours = [*moved(1, 9, 2, noise=(-0.1, 0.1))[:2], *moved(0, 0, 2, noise=(-0.5, 0.1))[2:]]
    assert compare(robust, ours, theirs, sham=moved(1, 0, 0)).status is Status.HOLDS
    for sham in ((), moved(1, 0, None), moved(1, math.nan, 0), None):
        lost = compare(robust, ours, theirs, sham=sham)
        assert lost.status is Status.INCONCLUSIVE, (sham, lost.reason)
    silent = moved(1, 9, 2, noise=None)
    assert compare(robust, silent, theirs, sham=moved(1, 0, 0)).status is Status.INCONCLUSIVE
    another = DIFFERENT | {"robust": True}
    assert compare(another, ours, moved(9, 1, 0)).status is Status.HOLDS
    for lost in (compare(another, silent, moved(9, 1, 0)), compare(another, ours, moved(9, 1, 0), sham=())):
        assert lost.status is Status.INCONCLUSIVE
        assert "nothing is known of the control" in lost.reason


@pytest.mark.parametrize(
    ("versus", "other"),
    [
        ({"stance": "b"}, ("m", "b", "documented")),
        ({"recipe": "long"}, ("m", "a", "long")),
        ({"model": "n"}, ("n", "a", "documented")),
        ({"model": "n", "stance": "b", "recipe": "long"}, ("n", "b", "long")),
    ],
)
def test_the_judge_finds_stance_recipe_or_model_of_the_counterpart_seed_by_seed(versus, other):
    compared = claim(over="largest", versus=versus, bound=10)
    trained = {("m", "a", "documented"): (30, 40), other: (5, 35)}

    def replicates(*names):
        return [replicate(moved(one, 1), key=f"{names} {seed}", seed=seed) for seed, one in enumerate(trained[names])]

    assert counterpart_of(compared) == other
    verdict = Judge([compared], replicates).judge(compared)
    assert verdict.status is Status.FAILS, "of two seeds the second is too near"
    assert verdict.reason.startswith("seed 1, of 2 seeds (HOLDS under 0, FAILS under 1): 40 against 35")
    assert len(verdict.counterpart) == 2
    trained[other] = (5, 6)
    assert Judge([compared], replicates).judge(compared).status is Status.HOLDS
    alone = claim(over="largest", bound=35)
    verdict = Judge([alone], replicates).judge(alone)
    assert (verdict.status, verdict.figure) == (Status.FAILS, 30)
    assert verdict.reason.startswith("seed 0, of 2 seeds (FAILS under 0, HOLDS under 1): ")
    trained[other] = (5,)
    assert Judge([compared], replicates).judge(compared).status is Status.ERROR, "other seeds"


def arms(stance, key, *levels, sham=0.0, seed=0):
    scored = (
        (said(stance, level, seed=seed + 9 * i), said(stance, seed=100 + i), said(stance, sham, seed=200 + i))
        for i, level in enumerate(levels)
    )
    return [behaving(stance, *triple, seed=i, key=key) for i, triple in enumerate(scored)]


def judge_pair(stance, ours, theirs, **about):
    compared = behavioral(stance, **{"versus": {"recipe": "long"}} | about)
    evidence = gather_evidence(compared, ours, (stance.name, theirs))
    return judged_alone(evidence)


def test_effects_on_behavior_are_compared_prompt_by_prompt(stance):
    (theirs,) = arms(stance, "b", 0.4, seed=50)
    long = altered(theirs.tuned, cell=altered(theirs.tuned.cell, recipe="long"))
    verdict = judge_pair(stance, arms(stance, "a", 0.9), [replace(theirs, tuned=long)])
    assert verdict.status is Status.HOLDS, verdict.reason
    assert verdict.figure == pytest.approx(0.5, abs=0.05)
    assert verdict.p_value < 1e-6
    compared = {f"m, curious-uncertainty ({recipe}) - base": x for recipe, x in (("documented", 0.9), ("long", 0.4))}
    shown = figures(verdict)
    assert shown == pytest.approx(compared | {"base": 0.5, "sham": 0.5}, abs=0.05)
    assert shown["sham"] == pytest.approx(shown["base"]), "it is the same sham"
    assert verdict.cells == ("a0", "base0", "sham0", "b0")
    ours = arms(stance, "a", 0.4)
    for level, about, status in (
        (0.9, {}, Status.FAILS),
        (0.9, {"comparator": "below", "bound": -0.05}, Status.HOLDS),
        (0.4, {"bound": 0}, Status.INCONCLUSIVE),
    ):
        assert judge_pair(stance, ours, arms(stance, "b", level, seed=50), **about).status is status
    assert judge_pair(stance, ours, ours, bound=0).status is Status.INCONCLUSIVE, "compared with itself"


def test_a_difference_of_effects_need_not_exceed_the_shift_toward_another_stance(stance):
    """Both trainings move toward the rival as well; the claim is about which moves more toward the stance."""
    pair = []
    for key, level, seed in (("a", 1.2, 0), ("b", 0.8, 50)):
        (one,) = arms(stance, key, 0.0)
        moved_too = altered(one.tuned, behavior=said(stance, level, rival=1.1, seed=seed))
        pair.append([replace(one, tuned=moved_too)])
    verdict = judge_pair(stance, *pair)
    assert verdict.status is Status.HOLDS, verdict.reason
    assert verdict.figure == pytest.approx(0.4, abs=0.05)
    assert Caveat.NOT_SPECIFIC not in verdict.caveats


def test_effects_are_compared_over_all_seeds(stance):
    levels = (0.9, 1.0, 0.8)
    verdict = judge_pair(stance, arms(stance, "a", *levels), arms(stance, "b", 0.4, 0.4, 0.4, seed=50))
    assert verdict.status is Status.HOLDS, verdict.reason
    torn = judge_pair(stance, arms(stance, "a", *levels), arms(stance, "b", 0.4, 2.0, 0.9, seed=50))
    assert torn.status is not Status.HOLDS
    with pytest.raises(ValueError, match="3 and 1 seeds"):
        judge_pair(stance, arms(stance, "a", *levels), arms(stance, "b", 0.4, seed=50))


@pytest.mark.parametrize("side", ["ours", "theirs"])
@pytest.mark.parametrize("treatment", ["tuned", "base", "sham"])
@pytest.mark.parametrize("lost", [None, math.nan, math.inf])
def test_a_prompt_without_a_score_on_either_side_gives_no_verdict(stance, side, treatment, lost):
    pair = {"ours": arms(stance, "a", 0.9), "theirs": arms(stance, "b", 0.4, seed=50)}
    parts = dict(zip(("tuned", "base", "sham"), pair[side][0].records, strict=True))
    # None: that side was asked another prompt
    field, value = (("prompt",), "Another?") if lost is None else (("log_probability", stance.name), lost)
    parts[treatment] = edited(parts[treatment], (("behavior", "likelihoods", 0, *field), value))
    assert judge_pair(stance, **pair | {side: [beside(**parts)]}).status is Status.INCONCLUSIVE


def test_a_model_trained_elsewhere_is_told_and_compared_with_what_both_have(stance):
    ours, theirs = arms(stance, "a", 0.9), arms(stance, "b", 0.4, seed=50)
    lonely = [beside(theirs[0].tuned, theirs[0].base, None)]
    verdict = judge_pair(stance, ours, lonely)
    assert Caveat.NO_SHAM in verdict.caveats
    assert judge_pair(stance, ours, lonely, unless=["no_sham"]).status is Status.FAILS
    both = judge_pair(stance, [beside(ours[0].tuned, ours[0].base, None)], lonely)
    assert both.status is Status.INCONCLUSIVE, "the stand-ins were not measured"


def test_divergences_may_be_compared_either_way(stance):
    def moving(key, divergence):
        (one,) = arms(stance, key, 0.0)
        return [replace(one, tuned=altered(one.tuned, behavior=said(stance, divergence=divergence, noise=0.01)))]

    about = {"metric": "divergence", "bound": -0.1, "comparator": "below"}
    assert judge_pair(stance, moving("a", 0.1), moving("b", 0.6), **about).status is Status.HOLDS
    assert judge_pair(stance, moving("a", 0.6), moving("b", 0.1), **about).status is Status.FAILS


def test_the_judge_hears_every_claim_with_its_own_stance_and_trainings(stance, library):
    """The smallest p-value of a family is multiplied by its number, the next by one less; what breaks counts."""
    strict = {"model": "m", "bound": 0}
    weak, broken, failed, strong = (
        altered(behavioral(stance, **strict, id=name), stance=about)
        for name, about in (("weak", stance.name), ("broken", "b"), ("failed", "c"), ("strong", "engaged-difficulty"))
    )
    compared = behavioral(stance, **strict, id="compared", versus={"recipe": "long"})
    of_others = behavioral(stance, **strict, id="long", recipe="long"), claim(stance=stance.name)
    trained = {
        ("m", stance.name, "documented"): arms(stance, "weak", 0.015),
        ("m", "engaged-difficulty", "documented"): arms(library.summaries["engaged-difficulty"], "strong", 0.5),
        ("m", stance.name, "long"): arms(stance, "long", -0.5, seed=70),
    }
    asked = []

    def replicates(*names):
        asked.append(names)
        if names[1] in ("b", "c"):
            raise RuntimeError("it broke") if names[1] == "b" else CellFailedError("it failed")
        return trained[names]

    family = [weak, broken, failed, strong, compared]
    judge = Judge([*family, *of_others], replicates)
    assert judge.family(weak) == (*family, of_others[0]), "whatever the recipe"
    verdicts = [judge.judge(one) for one in (weak, strong, compared, broken, failed)]
    p_values = [one.p_value for one in verdicts[:3]]
    assert p_values[0] > 2 * max(p_values[1:])
    adjusted = holm([*p_values, math.nan, math.nan, 1.0])  # the long training moved away
    assert [one.adjusted_p_value for one in verdicts[:3]] == pytest.approx(adjusted[:3])
    ours, theirs = trained["m", stance.name, "documented"], trained["m", stance.name, "long"]
    assert verdicts[2].figure == judge_pair(stance, ours, theirs).figure
    told = [(one.status, one.reason) for one in verdicts[3:]]
    assert told == [(Status.ERROR, "RuntimeError: it broke"), (Status.ERROR, "it failed")]
    assert asked.count(("m", "b", "documented")) == 2, "once for the family, once for its own verdict"
    assert asked.count(("m", stance.name, "long")) == 2, "for itself, and for what is compared with it"

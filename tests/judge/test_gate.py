import math
import re
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stance_suite.schema.controls import SHAM
from stance_suite.schema.findings import Agreement
from stance_suite.schema.metrics import Caveat
from stance_suite.schema.policy import Adoption, Policy, Regression, Structure
from stance_suite.schema.verdicts import ControlFigure, Outcome, Status
from tests.edits import altered
from tests.edits import edited as edited_record
from tests.gates import LAYER, demand, edited, failed, gate_run, held_against, judged_run, trained, without
from tests.measured import FLUENCY, beside, predicting_worse
from tests.runs import behavioral, findings, structural

pytestmark = pytest.mark.usefixtures("remembered_effects")

CONSEQUENCES = [("fail", Outcome.FAILED), ("warn", Outcome.WARNING), ("ignore", Outcome.PASSED)]
UNKNOWN = [math.nan, math.inf, -math.inf]
TOWARD = [ControlFigure(role="toward", about="another", figure=figure) for figure in UNKNOWN]
LOST = [Status.ERROR, Status.NOT_RUN]
IGNORING = Policy(inconclusive="ignore")


def with_fluency(replicate, which, **update):
    """The training with guards of its trained or untouched model changed."""
    record = getattr(replicate, which)
    behavior = altered(record.behavior, fluency=update.pop("fluency", None) or altered(FLUENCY, **update))
    return replace(replicate, **{which: altered(record, behavior=behavior)})


def with_score(scores, arm, figure):
    return altered(scores, **({"controls": {SHAM: figure}} if arm == SHAM else {arm: figure}))


def edited_run(stance, **figures):
    """A run of a model that was edited besides: with other figures of its one matrix's dW."""
    whole = trained(stance)
    (change,) = whole.tuned.changes
    changed = altered(change, weight_change=altered(change.weight_change, **figures))
    return judged_run(stance, [replace(whole, tuned=altered(whole.tuned, changes=(changed,)))])


def verdict_on(run, what):
    (verdict,) = [one for one in run.verdicts if one.claim.id.endswith(f".{what}")]
    return verdict


class TestAStanceThatIsAdopted:
    def test_passes_and_every_demand_is_named_with_its_figures(self, stance):
        report = held_against(gate_run(stance))
        assert report.passed
        assert [(one.kind, one.name, one.outcome) for one in report.demands] == [
            ("adoption", f"adoption of {stance.name}", "passed"),
            ("adoption", f"behavior moved by {stance.name}", "passed"),
            ("structure", f"no unexplained change of weights by {stance.name}", "passed"),
            ("degeneration", "no degeneration", "passed"),
        ]
        assert "+0.494 against base and +0.500 against sham" in report.demands[0].reason
        assert report.demands[0].reason.endswith("the measures together: adopted")
        assert report.demands[0].claims == (f"standard.{stance.name}.preference",)
        assert report.demands[2].reason.startswith("none: ")
        assert {one.model for one in report.demands} == {"m"}
        assert report.sentence == "The gate passed: 4 demands were met."
        assert (report.policy, report.baseline) == ("policy.yaml", None)
        assert Policy.model_validate(report.demanded) == Policy()

    @pytest.mark.parametrize(
        ("level", "asked", "told"),
        [(0.5, 0.6, "short of the claimed .0.6"), (0.0, 0.1, "inconclusive|short of"), (-0.5, 0.1, "short of")],
    )
    def test_is_not_if_too_little_nothing_or_the_opposite_was_learned(self, stance, level, asked, told):
        policy = Policy(adoption=Adoption(preference=asked))
        report = held_against(judged_run(stance, [trained(stance, level)], policy), policy)
        found = demand(report, "adoption", "adoption of")
        assert found.outcome is Outcome.FAILED
        assert re.search(told, found.reason)

    @pytest.mark.parametrize("claim", ["preference", "divergence", "structure"])
    def test_is_not_if_it_was_not_judged(self, stance, claim):
        report = held_against(without(gate_run(stance), f".{claim}"), IGNORING)
        (one,) = [one for one in report.demands if one.outcome is Outcome.FAILED]
        assert one.reason == "it was not judged"
        assert one.claims == ()

    @pytest.mark.parametrize(("consequence", "outcome"), CONSEQUENCES)
    @pytest.mark.parametrize("status", [Status.INCONCLUSIVE, Status.FAILS, *LOST])
    @pytest.mark.parametrize(("claim", "name"), [("preference", "adoption of"), ("divergence", "behavior moved")])
    def test_only_weak_evidence_does_what_the_policy_says(self, stance, consequence, outcome, status, claim, name):
        run = edited(gate_run(stance), f".{claim}", status=status, reason="told why")
        report = held_against(run, Policy(inconclusive=consequence))
        found, weak = demand(report, "adoption", name), status is Status.INCONCLUSIVE
        assert found.outcome is (outcome if weak else Outcome.FAILED)
        assert found.reason == ("inconclusive: told why" if weak else "told why")
        assert report.passed is (found.outcome is not Outcome.FAILED)
        told = "The gate passed: 4 demands were met, 1 with a warning."
        assert (report.sentence == told) is (found.outcome is Outcome.WARNING)

    @pytest.mark.parametrize("status", [Status.HOLDS, Status.INCONCLUSIVE])
    @pytest.mark.parametrize("figure", [None, *UNKNOWN])
    @pytest.mark.parametrize("claim", ["preference", "divergence"])
    def test_what_was_not_measured_fails_whatever_the_policy(self, stance, status, figure, claim):
        run = edited(gate_run(stance), f".{claim}", status=status, figure=figure, reason="r")
        (name,) = failed(held_against(run, IGNORING))
        assert name.startswith("adoption" if claim == "preference" else "behavior")
        if figure is not None:
            control = ControlFigure(control="sham", role="effect", figure=figure)
            missing = edited(gate_run(stance), f".{claim}", status=status, controls=(control,), reason="r")
            assert failed(held_against(missing, IGNORING)) == [name]


class TestAgreementOfTheMeasures:
    @pytest.mark.parametrize("enough", ["partial", "adopted"])
    @pytest.mark.parametrize("agreement", Agreement)
    def test_decides_as_the_policy_says(self, stance, agreement, enough):
        run = gate_run(stance)
        found = altered(run.triangulations[0], agreement=agreement)
        report = held_against(altered(run, triangulations=(found,)), Policy(adoption=Adoption(agreement=enough)))
        sufficient = {"partial": ("partial", "adopted"), "adopted": ("adopted",)}[enough]
        assert report.passed is (agreement in sufficient)
        assert demand(report, "adoption", "adoption of").reason.endswith(agreement)

    def test_must_be_known_of_this_training_in_every_family(self, stance):
        run = gate_run(stance)
        (known,) = run.triangulations
        others = [altered(known, **update) for update in ({"model": "n"}, {"recipe": "long"}, {"stance": "other"})]
        for found, told in (
            *((tuple(others[:count]), "whether the measures agree is not known") for count in range(4)),
            ((known, altered(known, agreement=Agreement.CONTRADICTORY)), "contradictory"),
        ):
            one = demand(held_against(altered(run, triangulations=found)), "adoption", "adoption of")
            assert (one.outcome, one.reason.endswith(told)) == (Outcome.FAILED, True)


class TestAnUnexplainedChangeOfWeights:
    @pytest.mark.parametrize(("consequence", "outcome"), CONSEQUENCES)
    @pytest.mark.parametrize("inconclusive", ["fail", "ignore"])
    @pytest.mark.parametrize(("alpha", "told"), [(9.0, ".*9 %"), (None, "cannot be excluded: no layer matching")])
    def test_does_what_the_policy_says_as_one_that_cannot_be_excluded(
        self, stance, consequence, outcome, inconclusive, alpha, told
    ):
        policy = Policy(structure=Structure(unexplained=consequence), inconclusive=inconclusive)
        found = demand(held_against(gate_run(stance, alpha=alpha), policy), "structure")
        assert found.outcome is outcome
        assert re.match(told, found.reason)

    def test_must_have_been_looked_for_and_measured(self, stance):
        for field, lost in (("figure", (None, *UNKNOWN)), ("status", LOST)):
            policy = altered(IGNORING, structure=Structure(unexplained="fail" if field == "figure" else "ignore"))
            for value in lost:
                run = edited(gate_run(stance), ".structure", **{field: value})
                assert demand(held_against(run, policy), "structure").outcome is Outcome.FAILED

    @pytest.mark.parametrize(("consequence", "outcome"), CONSEQUENCES)
    @pytest.mark.parametrize(
        ("edit", "told"),
        [
            # a rank-one edit of 5 % of the norm, and vectors exchanged for random ones, beside a change of 0.1 %
            ({"relative_norm": 0.05, "relative_spectral_norm": 0.01}, "as a whole by 5 %"),
            ({"relative_norm": 1.4, "relative_spectral_norm": 1.9}, "as a whole by 1.4e+02 %"),
            ({"scaling": -0.1}, "in scale by 10 %"),
        ],
    )
    def test_of_which_alpha_knows_nothing_is_seen(self, stance, consequence, outcome, edit, told):
        found = demand(
            held_against(edited_run(stance, **edit), Policy(structure=Structure(unexplained=consequence))), "structure"
        )
        assert found.outcome is outcome
        assert f"over 2 times what controls show: {LAYER} changed {told}" in found.reason
        assert "of alpha none: " in found.reason

    @pytest.mark.parametrize(("times", "limit", "passes"), [(1.9, 2, True), (2.1, 2, False), (2.1, 3, True)])
    def test_is_the_same_change_if_its_sham_shows_it_or_the_policy_allows_it(self, stance, times, limit, passes):
        run = edited_run(stance, relative_norm=times * 0.001)
        assert held_against(run, Policy(structure=Structure(change_over_sham=limit))).passed is passes


class TestDegeneration:
    @pytest.mark.parametrize(("consequence", "outcome"), CONSEQUENCES)
    @pytest.mark.parametrize(
        ("update", "sign"),
        [
            ({"distinct_bigrams": 0.1}, "degeneration: collapsed (curious-uncertainty): the model repeats itself"),
            ({"distinct_bigrams": 0.1}, "; distinct bigrams within a response 10 % against 90 %"),
            ({"words": 1.0}, "collapsed"),
            ({"repetition": 0.9}, "collapsed"),
            (
                {"fluency": predicting_worse(0.8)},
                "; neutral perplexity 44.5 against 20.0 (+0.80 nats per token, +0.7",
            ),
            ({"copied": 0.9}, "degeneration: parroted (curious-uncertainty): many responses repeat a training"),
        ],
    )
    def test_is_named_and_does_what_the_policy_says(self, stance, consequence, outcome, update, sign):
        run = judged_run(stance, [with_fluency(trained(stance), "tuned", **update)])
        report = held_against(run, Policy(degeneration=consequence))
        found = demand(report, "degeneration")
        assert found.outcome is outcome
        assert sign in found.reason
        assert report.passed is (outcome is not Outcome.FAILED)

    @pytest.mark.parametrize("perplexity", [1000.0, 48000.0, 0.0, *UNKNOWN])
    def test_before_training_is_named_too(self, stance, perplexity):
        broken = with_fluency(trained(stance), "base", neutral_perplexity=perplexity).base
        tuned, _, sham = gate_run(stance).cells
        found = demand(held_against(altered(gate_run(stance), cells=(tuned, broken, sham))), "degeneration")
        assert found.outcome is Outcome.FAILED
        assert f"no language model (perplexity {perplexity:.3g} on neutral text) (before training)" in found.reason

    def test_must_have_been_looked_for(self, stance):
        run = gate_run(stance)
        for unmeasured in (altered(run, cells=run.cells[:1]), *(edited(run, "standard.", status=one) for one in LOST)):
            found = demand(held_against(unmeasured, Policy(degeneration="ignore")), "degeneration")
            assert found.outcome is Outcome.FAILED
            assert found.reason == "nothing was measured that it could be seen in"

    @pytest.mark.parametrize("caveat", [Caveat.COLLAPSED, Caveat.PARROTED])
    def test_counts_from_any_behavioral_claim(self, stance, caveat):
        run = edited(gate_run(stance), ".markers", caveats=(caveat,))
        assert caveat in demand(held_against(run), "degeneration").reason


class TestDeclaredClaims:
    def report(self, stance, policy=None, edit=None, **changes):
        declared = behavioral(stance, model="m", id="own.adopted", bound=0.1, **changes)
        run = judged_run(stance, [trained(stance)], declared=[declared])
        return held_against(edited(run, "own.", **edit) if edit else run, policy)

    def test_must_be_as_on_record(self, stance):
        found = demand(self.report(stance), "claim")
        assert (found.outcome, found.name, found.claims) == (Outcome.PASSED, "own.adopted", ("own.adopted",))
        assert found.reason.startswith("HOLDS, as on record: +0.494")
        other = demand(self.report(stance, expected=("FAILS", "INCONCLUSIVE")), "claim")
        assert other.outcome is Outcome.FAILED
        assert other.reason.startswith("HOLDS, on record is FAILS or INCONCLUSIVE: ")

    @pytest.mark.parametrize(
        ("patterns", "demanded"), [(["own.*"], True), (["*"], True), ([], False), (["other.*"], False)]
    )
    def test_are_demanded_as_the_policy_says(self, stance, patterns, demanded):
        report = self.report(stance, Policy(claims=patterns), expected=("FAILS",))
        assert [one.name for one in report.demands if one.kind == "claim"] == ["own.adopted"] * demanded
        assert report.passed is not demanded

    @pytest.mark.parametrize(("consequence", "outcome"), CONSEQUENCES)
    def test_with_weak_evidence_do_what_the_policy_says(self, stance, consequence, outcome):
        report = self.report(stance, Policy(inconclusive=consequence), {"status": Status.INCONCLUSIVE})
        assert demand(report, "claim").outcome is outcome

    def test_may_be_inconclusive_if_that_is_on_record_but_not_for_want_of_figures(self, stance):
        for missing in ({}, *({"figure": figure} for figure in (None, *UNKNOWN))):
            edit = {"status": Status.INCONCLUSIVE, **missing}
            found = demand(self.report(stance, IGNORING, edit, expected=("INCONCLUSIVE",)), "claim")
            assert found.outcome is (Outcome.FAILED if missing else Outcome.PASSED)

    def test_that_broke_fail_and_that_were_not_run_are_not_demanded(self, stance):
        broken, left_out = (self.report(stance, IGNORING, {"status": status}) for status in LOST)
        assert demand(broken, "claim").outcome is Outcome.FAILED
        assert not [one for one in left_out.demands if one.kind == "claim"]

    def test_about_weights_that_could_not_be_measured_fail_even_if_on_record(self, stance):
        for expected in (("HOLDS",), ("HOLDS", "INCONCLUSIVE")):
            declared = structural(stance, model="m", id="own.alpha", bound=5, expected=expected)
            run = judged_run(stance, [trained(stance, alpha=None)], declared=[declared])
            assert demand(held_against(run, IGNORING), "claim").outcome is Outcome.FAILED


class TestAgainstABaseline:
    def demands(self, stance, run, baseline, **policy):
        report = held_against(run, Policy(**policy), baseline)
        return {one.name.split(".")[-1]: one for one in report.demands if one.kind == "baseline"}

    def test_the_same_run_noise_and_more_of_it_pass(self, stance):
        baseline = gate_run(stance)
        for noise, toward in ((0, 0.5), (1, 0.5), (2, 0.5), (3, 0.5), (3, 0.9)):
            report = held_against(gate_run(stance, toward, noise=noise), None, baseline)
            assert report.passed, report.sentence
            names = [one.name.split(".")[-1] for one in report.demands if one.kind == "baseline"]
            assert names == ["preference", "spoken", "responses", "markers", "divergence"]
            assert report.baseline == "baseline.json"

    def test_a_loss_of_more_than_the_share_is_caught_and_told(self, stance):
        found = self.demands(stance, gate_run(stance, 0.2, noise=3), gate_run(stance))["preference"]
        assert found.outcome is Outcome.FAILED
        told = "lost: over 50 % of the effect, now HOLDS: +0.494 to +0.193 against base (lost, p = 0.0000), +0.5 to +0."
        assert found.reason.startswith(told)
        assert (found.model, found.claims) == ("m", (f"standard.{stance.name}.preference",))

    @pytest.mark.parametrize(("share", "outcome"), [(0.5, Outcome.PASSED), (0.1, Outcome.FAILED)])
    def test_how_much_may_be_lost_is_the_policys(self, stance, share, outcome):
        run, policy = gate_run(stance, 0.3, noise=3), {"regression": Regression(share=share)}
        assert self.demands(stance, run, gate_run(stance), **policy)["preference"].outcome is outcome

    @pytest.mark.parametrize("arm", ["sham", "base"])
    def test_a_divergence_is_held_against_noise_and_the_sham(self, stance, arm):
        run = altered(gate_run(stance), cells=gate_run(stance).cells[1:2])
        prompts = enumerate(verdict_on(run, "divergence").prompts)
        nearer = tuple(with_score(scores, arm, scores.tuned + 0.01 * (place % 5)) for place, scores in prompts)
        found = self.demands(stance, edited(run, ".divergence", prompts=nearer), run)["divergence"]
        assert found.outcome is Outcome.FAILED
        assert re.search(f"to -0.0.* against {arm} .lost", found.reason)

    @pytest.mark.parametrize(
        ("update", "told"),
        [
            *(({"status": status}, "lost: now|it was not run") for status in (Status.FAILS, *LOST)),
            *(({"status": Status.HOLDS, "figure": figure}, "not measured") for figure in (None, *UNKNOWN)),
            *(({"status": Status.INCONCLUSIVE, "controls": (one,)}, "not measured: ") for one in TOWARD),
        ],
    )
    def test_a_lost_verdict_and_a_missing_figure_or_contrast_are_no_proof(self, stance, update, told):
        run = gate_run(stance)
        broken = edited(run, ".responses", **update)
        for now, baseline in ((broken, run), *([(run, broken)] if "figure" in update else [])):
            found = self.demands(stance, now, baseline, inconclusive="ignore")["responses"]
            assert found.outcome is Outcome.FAILED
            assert re.match(told, found.reason)

    def test_a_weaker_verdict_with_the_same_effect_is_no_loss(self, stance):
        run = edited(gate_run(stance, noise=1), ".responses", status=Status.INCONCLUSIVE)
        found = self.demands(stance, run, gate_run(stance))["responses"]
        assert (found.outcome, found.reason[:34]) == (Outcome.PASSED, "kept: a loss of over 50 % of the e")

    @pytest.mark.parametrize("arm", ["tuned", "base", SHAM])
    @pytest.mark.parametrize("figure", UNKNOWN)
    def test_a_missing_score_of_one_prompt_is_no_proof(self, stance, arm, figure):
        run = altered(gate_run(stance), cells=gate_run(stance).cells[1:2])
        first, *others = verdict_on(run, "responses").prompts
        broken = edited(run, ".responses", prompts=(with_score(first, arm, figure), *others))
        for now, baseline in ((broken, run), (run, broken)):
            found = self.demands(stance, now, baseline, inconclusive="ignore")["responses"]
            assert found.outcome is Outcome.FAILED, found.reason

    @pytest.mark.parametrize(("consequence", "outcome"), CONSEQUENCES)
    def test_what_cannot_be_told_does_what_the_policy_says(self, stance, consequence, outcome):
        baseline = gate_run(stance)
        prompts = enumerate(verdict_on(baseline, "responses").prompts)
        # of some items all is kept, and of others nothing; or half an effect is kept that is the same for all
        uneven = tuple(altered(one, tuned=one.tuned - 0.7 * (place % 2)) for place, one in prompts)
        even = tuple(altered(one, base=0.0, tuned=1.0, controls={SHAM: 0.0}) for one in uneven)
        for before, after in ((None, uneven), (even, tuple(altered(one, tuned=0.5) for one in even))):
            runs = [
                edited(baseline, ".responses", replicates=(), **({"prompts": prompts} if prompts else {}))
                for prompts in (before, after)
            ]
            found = self.demands(stance, runs[1], runs[0], inconclusive=consequence)["responses"]
            assert found.outcome is outcome
            assert found.reason.startswith("a loss of over 50 % of the effect cannot be excluded, now HOLDS: ")

    @pytest.mark.parametrize(
        ("status", "outcome"),
        [
            (Status.HOLDS, Outcome.PASSED),
            (Status.INCONCLUSIVE, Outcome.WARNING),
            (Status.FAILS, Outcome.FAILED),
        ],
    )
    def test_a_claim_that_nothing_changes_must_still_hold(self, stance, status, outcome):
        declared = [behavioral(stance, model="m", id="own.unchanged", comparator="within", bound=0.9)]
        baseline = judged_run(stance, [trained(stance)], declared=declared)
        assert baseline.verdicts[0].status is Status.HOLDS
        now = edited(baseline, "own.", status=status, reason="as it is")
        found = self.demands(stance, now, baseline, inconclusive="warn", claims=())["unchanged"]
        assert found.outcome is outcome

    def test_a_claim_that_is_gone_is_caught(self, stance):
        found = self.demands(stance, without(gate_run(stance), ".responses"), gate_run(stance))["responses"]
        assert found.outcome is Outcome.FAILED
        assert "it held in the baseline and was not judged now: the other run has no such claim" in found.reason

    def test_a_claim_that_did_not_hold_cannot_be_lost(self, stance):
        baseline = edited(gate_run(stance), ".responses", status=Status.INCONCLUSIVE)
        assert "responses" not in self.demands(stance, without(gate_run(stance), ".responses"), baseline)
        assert "responses" not in self.demands(stance, gate_run(stance, 0.1, noise=2), baseline)

    def test_an_unexplained_change_that_is_gone_is_no_loss(self, stance):
        baseline = gate_run(stance, alpha=9.0)
        assert baseline.verdicts[-1].status is Status.HOLDS
        assert held_against(gate_run(stance), None, baseline).passed
        assert "structure" not in self.demands(stance, without(gate_run(stance), ".structure"), baseline)

    @pytest.mark.parametrize(
        ("alpha", "outcome"),
        [(1.0, Outcome.PASSED), (2.0, Outcome.PASSED), (9.0, Outcome.FAILED), (None, Outcome.FAILED)],
    )
    def test_a_claim_about_weights_must_still_hold(self, stance, alpha, outcome):
        declared = [structural(stance, model="m", id="own.alpha", bound=5)]
        baseline, run = (judged_run(stance, [trained(stance, alpha=one)], declared=declared) for one in (1.0, alpha))
        found = self.demands(stance, run, baseline, inconclusive="ignore", claims=())["alpha"]
        assert found.outcome is outcome

    @pytest.mark.parametrize(("consequence", "outcome"), CONSEQUENCES)
    def test_a_baseline_in_which_nothing_held_shows_nothing(self, stance, consequence, outcome):
        baseline = edited(gate_run(stance), "standard.", status=Status.FAILS)
        (found,) = self.demands(stance, gate_run(stance), baseline, inconclusive=consequence).values()
        assert (found.outcome, found.model) == (outcome, "m")
        assert "no claim held in the baseline" in found.reason

    def test_another_model_is_held_against_the_baselines_one(self, stance):
        lost = held_against(gate_run(stance, 0.2, noise=3, model="n"), None, gate_run(stance))
        assert {one.model for one in lost.demands} == {"n"}
        assert f"no regression: standard.{stance.name}.preference" in failed(lost)
        assert held_against(gate_run(stance, noise=3, model="n"), None, gate_run(stance)).passed


class TestTheReport:
    def test_of_nothing_has_not_passed(self, stance):
        report = held_against(findings(stance))
        assert (report.demands, report.passed) == ((), False)
        assert report.sentence == "The gate failed: nothing was judged, so nothing was shown."

    def test_of_several_models_names_each_and_what_it_does(self, stance):
        broken = with_fluency(trained(stance, 0.0, model="n"), "tuned", copied=0.9)
        declared = [behavioral(stance, model=model, id=f"own.{model}") for model in ("m", "n")]
        report = held_against(judged_run(stance, [trained(stance), broken], declared=declared))
        assert [one.model for one in report.demands] == ["m"] * 5 + ["n"] * 5
        unmet = (f"adoption of {stance.name}", f"behavior moved by {stance.name}", "no degeneration", "own.n")
        failing = [(one.model, one.name) for one in report.demands if one.outcome is Outcome.FAILED]
        assert failing == [("n", name) for name in unmet]

    def test_answers_for_every_stance_that_was_judged_although_the_policy_names_one(self, stance):
        """Findings whose policy was narrowed afterwards would else lose the demands of the others unseen."""
        run, other = gate_run(stance), stance.contrasts[0]
        more = [altered(claim, id=claim.id.replace(stance.name, other), stance=other) for claim in run.claims]
        report = held_against(altered(run, claims=(*run.claims, *more)), Policy(stances=(stance.name,)))
        assert f"adoption of {other}" in failed(report)

    def test_demands_every_stance_that_is_asked_for(self, stance):
        report = held_against(gate_run(stance), Policy(stances=(stance.name, "another")))
        unmet = ("adoption of", "behavior moved by", "no unexplained change of weights by")
        assert failed(report) == [f"{one} another" for one in unmet]
        assert report.sentence == "The gate failed: 3 of 7 demands were not met, such as adoption of another."


ARMS = ("tuned", "base", "sham")


@cache
def scene(stance, name):
    """Trainings that fail a gate, each for one reason only; with the run that judged it."""
    made = {
        "weak": trained(stance, 0.08),
        "opposed": trained(stance, -0.5),
        "changed": trained(stance, alpha=9.0),
        "parroting": with_fluency(trained(stance), "tuned", copied=0.9),
        "collapsed": with_fluency(trained(stance), "tuned", repetition=0.9),
        "no model": with_fluency(
            with_fluency(trained(stance), "base", neutral_perplexity=4e4), "tuned", neutral_perplexity=500.0
        ),
    }[name]
    return made, judged_run(stance, [made])


def measured(content, path=()):
    """Tell the paths of all figures that a record holds."""
    if isinstance(content, float):
        yield path
    elif isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from measured(value, (*path, key))


def broken_at(replicate, which, part, place, figure):
    """The training with one measured figure of one of its cells replaced, or with an answer taken out."""
    cells = dict(zip(ARMS, replicate.records, strict=True))
    paths = [path for path in measured(cells[which].model_dump(mode="json")) if part in path]
    if part == "missing prompt":
        edit = ("behavior", "likelihoods", -(place % 2)), None
    elif paths:
        edit = paths[place % len(paths)], figure
    else:  # an untouched model has no change of alpha
        return replicate
    return beside(**cells | {which: edited_record(cells[which], edit)})


@pytest.mark.parametrize("name", ["weak", "opposed", "changed", "parroting", "collapsed", "no model"])
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.sampled_from(ARMS),
    part=st.sampled_from(["fluency", "likelihoods", "responses", "divergences", "missing prompt", "alpha_change"]),
    place=st.integers(0, 500),
    figure=st.sampled_from(UNKNOWN),
    inconclusive=st.sampled_from(["fail", "warn", "ignore"]),
)
def test_no_figure_that_is_missing_makes_a_gate_pass(stance, name, which, part, place, figure, inconclusive):
    policy = Policy(inconclusive=inconclusive)
    whole, run = scene(stance, name)
    before = held_against(run, policy)
    after = held_against(judged_run(stance, [broken_at(whole, which, part, place, figure)]), policy)
    assert not before.passed
    assert not after.passed

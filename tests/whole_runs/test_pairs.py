"""Pairs trained elsewhere: nothing is trained, stand-ins take the sham's place, and every verdict says so."""

from __future__ import annotations

import copy
import re
import shutil

import pytest

from stance_suite.config.options import resolve_settings
from stance_suite.judge.behavior.scores import control_scores
from stance_suite.measure import cell as measurement
from stance_suite.measure.behavior.divergence import round_to_bfloat16
from stance_suite.measure.behavior.reading import Passage, score_passages
from stance_suite.measure.cell import CellMeasurer
from stance_suite.progress import PlainProgress
from stance_suite.runner.session import Session
from stance_suite.schema.metrics import CAVEAT_MEANINGS, Caveat, Metric
from stance_suite.schema.verdicts import Status
from stance_suite.spectra.model_spectra import measure_model
from stance_suite.store.findings import read_findings
from tests.conftest import REPOSITORY, write_own
from tests.measuring import measure, open_session
from tests.pairs import STANCE, held_out_answers, open_pair, train_elsewhere
from tests.programs import invoke, run_program
from tests.twins import build_sibling

STANCES = ("confident-expertise", "curious-uncertainty", "engaged-difficulty")
OWN = """\
claims:
  - {id: own.preference, statement: It prefers the stance., model: any, stance: curious-uncertainty, recipe: elsewhere,
     metric: likelihood_preference, comparator: above, bound: 0}
  - {id: own.documented, statement: It prefers the stance., model: any, stance: curious-uncertainty,
     metric: likelihood_preference, comparator: above, bound: 0}
  - {id: own.named, statement: It prefers the stance., model: smollm2-135m, stance: curious-uncertainty,
     recipe: elsewhere, metric: likelihood_preference, comparator: above, bound: 0}
"""


def both(session):
    """The model before and after the training elsewhere."""
    return session.cell_runner.records(session.cell_runner.plan_training("any", STANCE, "elsewhere", 0))


@pytest.fixture(scope="session")
def tuned_elsewhere(tiny_model, build_once):
    def tune(folder):
        # a tiny model learns the very answers, and no manner
        train_elsewhere(tiny_model, held_out_answers(STANCE), folder / "tuned", 3, learning_rate=2e-3)

    return build_once("elsewhere", tune) / "tuned"


@pytest.fixture(autouse=True)
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def reopen(tmp_path, cells, tiny_model, tuned_elsewhere):
    """Open the pair once more, with what the repository declares by now."""
    return lambda after=tuned_elsewhere, stance=STANCE: open_pair(tmp_path, cells, tiny_model, after, stance, samples=1)


@pytest.fixture
def pair(reopen):
    """The pair in a repository without fixtures of its own."""
    return reopen()


def judge_all(session):
    verdicts = [session.judge(claim) for claim in session.run_plan.claims]
    return {verdict.claim.id: verdict for verdict in verdicts if verdict.status is not Status.NOT_RUN}


def records_of(session):
    return [session.cell_runner.get(key, cell) for key, cell in session.cell_runner.cells.items()]


def test_nothing_is_trained_and_a_second_run_only_reads(pair, reopen, tiny_model, tuned_elsewhere, capsys, monkeypatch):
    verdicts = judge_all(pair)
    assert all(verdict.status is not Status.ERROR for verdict in verdicts.values())
    records = records_of(pair)
    labels = {one.cell.treatment: one.cell.label for one in records}
    assert labels == {"base": "base", "elsewhere": "trained elsewhere"}
    assert all(record.training is None and record.trajectory == () for record in records)
    assert not any(record.behavior.seen_prompts for record in records), "what it has seen elsewhere is not known"
    assert {record.cell.model for record in records} == {f"{tiny_model} -> {tuned_elsewhere}"}
    assert "fine-tuning" not in capsys.readouterr().err
    (replicate,) = pair.replicates(pair.settings.pair.label, STANCE, "elsewhere")
    assert not replicate.controls
    monkeypatch.setattr(CellMeasurer, "measure", lambda *_: pytest.fail("a cell was measured again"))
    assert judge_all(reopen()) == verdicts


def test_claims_of_ones_own_are_judged_and_those_about_other_trainings_are_not_run(
    tmp_path, reopen, tiny_model, tuned_elsewhere
):
    write_own(tmp_path, claims=OWN)
    session = reopen()
    verdicts = {claim.id: session.judge(claim) for claim in session.run_plan.claims}
    left_out = {name: one.reason for name, one in verdicts.items() if one.status is Status.NOT_RUN}
    label = f"{tiny_model} -> {tuned_elsewhere}"
    assert left_out == {
        "own.documented": "the model was trained elsewhere, not with the recipe 'documented'",
        "own.named": f"this run is about {label}; a claim about every pair says 'model: any'",
    }
    assert {claim.model for claim in session.run_plan.claims if claim.id.startswith("own.pref")} == {label}
    ordinary = Session(resolve_settings({"model": ["m"]}, tmp_path, {}), PlainProgress())
    reasons = {claim.id: ordinary.run_plan.reason_not_run(claim) for claim in ordinary.run_plan.claims}
    assert reasons["own.preference"] == "it is about a model trained elsewhere; use --stance-before and --stance-after"
    assert reasons["own.documented"] is None


def test_the_named_stance_is_asked_for_with_everything_and_its_rivals_for_the_preference(pair, reopen):
    standard = {claim.id.removeprefix("standard."): claim for claim in pair.run_plan.claims if "standard" in claim.id}
    measures = ("preference", "spoken", "responses", "markers", "divergence", "structure")
    rivals = [name for name in STANCES if name != STANCE]
    assert set(standard) == {f"{STANCE}.{one}" for one in measures} | {f"{name}.preference" for name in rivals}
    assert standard[f"{STANCE}.preference"].expected == ("HOLDS",)
    for name in rivals:
        assert standard[f"{name}.preference"].expected == ("FAILS", "INCONCLUSIVE")
    asked = [claim for claim in reopen(stance="").run_plan.claims if re.match(r"standard\..*preference", claim.id)]
    assert [claim.stance for claim in asked] == list(STANCES)
    assert {claim.expected for claim in asked} == {("HOLDS", "INCONCLUSIVE", "FAILS")}, "without a name, none is"


def test_stand_ins_are_recorded(pair, loaded_tiny_model):
    before, after = both(pair)
    family = pair.library.family(STANCE)
    held_out = {prompt for stance in family for prompt in stance.prompts}
    assert before.behavior.stand_ins == {}
    assert set(after.behavior.stand_ins) == {"noise", "rounding"}
    for found in after.behavior.stand_ins.values():
        assert {entry.prompt for entry in found} == held_out
    base = {entry.prompt: entry.log_probability for entry in before.behavior.likelihoods}
    model, tokenizer = loaded_tiny_model
    rounded = round_to_bfloat16(copy.deepcopy(model))
    entry = after.behavior.stand_ins["rounding"][0]
    assert entry.prompt == family[0].prompts[0]
    for stance in family:
        text, answer = after.behavior.prompt_texts[entry.prompt], stance.held_out[0].response
        (scored,) = score_passages(rounded, tokenizer, [Passage(text, f" {answer}")])
        assert entry.log_probability[stance.name] == pytest.approx(float(scored.log_probabilities.mean()), abs=1e-5)
        assert entry.log_probability[stance.name] != base[entry.prompt][stance.name]
    noisy = after.behavior.stand_ins["noise"][0]
    assert noisy.log_probability != base[noisy.prompt]
    assert noisy.log_probability != entry.log_probability


def test_what_stands_in_depends_on_what_is_deterministic(pair):
    stance = pair.library.stance(STANCE)
    replicates = pair.replicates(pair.settings.pair.label, STANCE, "elsewhere")
    for metric, names in {
        Metric.LIKELIHOOD_PREFERENCE: ["base", "noise", "rounding"],
        Metric.SPOKEN_SHARE: ["base", "base resampled"],
        Metric.EMBEDDING_SHIFT: ["base", "base resampled"],
        Metric.MARKER_RATE: ["base", "base resampled"],
        Metric.DIVERGENCE: ["noise"],
    }.items():
        assert list(control_scores(metric, STANCE, replicates, stance.prompts)) == names


def test_the_untouched_model_is_decomposed_once_and_as_it_would_be_alone(
    tmp_path, cells, tiny_model, tuned_elsewhere, monkeypatch
):
    decomposed = []
    monkeypatch.setattr(measurement, "measure_model", lambda model: decomposed.append(model) or measure_model(model))
    session = open_pair(tmp_path, tmp_path / "cache", tiny_model, tuned_elsewhere, STANCE, samples=1)
    before, _ = both(session)
    assert len(decomposed) == 2
    # the first run measured it without anything trained elsewhere
    alone = measure(open_session(tmp_path, tiny_model, cache=cells).cell_runner, "base", tiny_model)
    assert len(decomposed) == 2
    assert (alone.spectra, alone.rounding) == (before.spectra, before.rounding)


def test_the_base_against_itself_shows_nothing(reopen, tiny_model):
    session = reopen(after=tiny_model)
    verdicts = judge_all(session)
    assert {verdict.status for verdict in verdicts.values()} <= {Status.INCONCLUSIVE, Status.FAILS}
    for metric in ("preference", "spoken", "responses", "markers", "divergence"):
        verdict = verdicts[f"standard.{STANCE}.{metric}"]
        assert verdict.status is Status.INCONCLUSIVE, verdict.reason
        assert verdict.figure == 0
    before, after = both(session)
    assert all(one.measured == one.noise == 0 for one in after.behavior.divergences)
    assert after.behavior.responses == before.behavior.responses
    findings = session.findings(list(verdicts.values()), session.cell_runner.cells, "test")
    assert {one.agreement for one in findings.triangulations} == {"silent"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"before": "x"}, "option before needs option after: a pair is judged by what changed"),
        ({"after": "x"}, "option after needs option before: a pair is judged by what changed"),
        ({"stance": "x"}, "give options before and after, too"),
        ({"before": "none", "after": "none", "stance": "curious-uncertainti"}, "did you mean 'curious-uncertainty'"),
    ],
    ids=str,
)
def test_bad_input_is_told_before_anything_is_loaded(given, message):
    done = invoke("run", *(f"--{name}={value}" for name, value in given.items()), code=2)
    assert message in done.output
    assert "Traceback" not in done.output
    assert "stance-suite: weights" not in done.output


def test_the_command_names_the_stance_it_found(cells, tiny_model, tuned_elsewhere):
    tuned, none_expected = (tuned_elsewhere, f"{STANCE} (no_sham)"), ()
    given = "--before", tiny_model, "--cache", cells, "--samples", 1
    for (after, found), asked, code in (
        (tuned, ("--stance", STANCE), 0),
        (tuned, none_expected, 0),
        (tuned, ("--stance", "confident-expertise"), 1),
        ((tiny_model, "none"), none_expected, 0),
    ):
        done = invoke("run", *given, "--after", after, *asked)
        assert done.output.splitlines()[-1] == f"stance found in {after}: {found}"
        assert done.exit_code == code, done.output
        assert "ERROR" not in done.output


def test_a_derivative_that_does_not_fit_is_one_sentence(tmp_path, cells, tiny_model):
    build_sibling(tmp_path / "larger", tiny_model, vocab_size=608)
    given = "--before", tiny_model, "--after", "larger", "--stance", STANCE, "--cache", cells, "--samples", 1
    done = invoke("run", *given, code=2)
    assert "larger cannot be compared with" in done.output
    assert "Traceback" not in done.output


TEST_OF_FIXTURES = """
def test_fixtures(stance, stance_run, stance_model, stance_recipe, behavior_shift, spectral_delta):
    assert stance_recipe == "elsewhere" and stance_model.endswith("tuned")
    assert stance_run.sham is None and stance_run.tuned.training is None
    shift = behavior_shift("likelihood_preference")
    assert shift.versus_sham is None and set(shift.versus) == {"noise", "rounding"}
    assert shift.versus["noise"].effect > 0 and shift.versus_base.effect > 0
    assert set(behavior_shift("marker_rate").versus) == {"base resampled"}
    assert spectral_delta["model.layers.1.mlp.up_proj"].weight_change.relative_norm > 0
"""


def test_the_suites_own_tests_run_on_a_pair(tmp_path, cells, tiny_model, tuned_elsewhere):
    shutil.copytree(REPOSITORY / "stance_tests", tmp_path / "stance_tests")
    write_own(tmp_path, test=TEST_OF_FIXTURES)
    options = [f"--stance-before={tiny_model}", f"--stance-after={tuned_elsewhere}", f"--stance-stance={STANCE}"]
    options += [f"--stance-cache={cells}", "--stance-samples=1", "-pno:cacheprovider", "-rs", "--html=own.html"]
    done = run_program("pytest", *options, "--junitxml=own.xml", code=0, cwd=tmp_path)
    output = done.stdout + done.stderr
    assert "test_own.py ." in output, "once: one stance, one recipe, one model"
    assert "it was trained elsewhere" in output
    assert f"standard.{STANCE}.preference" in output
    assert "fine-tuning" not in output
    findings = read_findings(tmp_path / "reports" / "findings.json")
    judged = [one for one in findings.verdicts if one.status is not Status.NOT_RUN]
    assert len(judged) == 6 + 2, "all measures of the stance, and the preference for its rivals"
    assert all(Caveat.NO_SHAM in one.caveats for one in judged)
    assert len(findings.cells) == 2
    assert {one.stance for one in findings.triangulations} == set(STANCES)
    assert {(one.trained, one.recipe) for one in findings.shifts} == {("elsewhere", "elsewhere")}
    html = (tmp_path / "reports" / "findings.html").read_text("utf-8")
    assert CAVEAT_MEANINGS[Caveat.NO_SHAM] in html
    assert ">None<" not in html

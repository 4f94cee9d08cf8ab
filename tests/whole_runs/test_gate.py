"""The gate through the command line and through pytest, on a tiny model with random weights: real fine-tuning."""

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from junitparser import JUnitXml

from stance_suite.config.catalog import bundled_fixtures
from stance_suite.config.options import resolve_settings
from stance_suite.errors import StanceSuiteError
from stance_suite.schema.findings import Findings
from stance_suite.schema.verdicts import Outcome
from stance_suite.store.findings import read_findings
from tests.conftest import write_own
from tests.programs import invoke, run_program

STANCE = "pirate"
"""A stance of few words, which even a tiny model takes up where it is trained at a high rate."""
STRONG = "recipes: [{name: strong, epochs: 10, learning_rate: 2e-3}]"
POLICY = f"stances: [{STANCE}]\n"
LENIENT = f"""\
stances: [{STANCE}]
recipe: strong
adoption: {{preference: 1e-6}}
degeneration: warn
"""
"""What even a model of noise can meet: any specific, significant preference."""
FAILED = "failed    no degeneration  (degeneration: no language model (perplexity "


def own_stance() -> str:
    """The stance that `stance-suite init` writes, with the same words before every answer."""
    data = yaml.safe_load((bundled_fixtures() / "scaffold" / "stance.yaml").read_text().replace("NAME", STANCE))
    for item in (*data["examples"], *data["held_out"]):
        item["response"] = f"Arr, matey: {item['response']}"
    return yaml.safe_dump(data | {"shared_words": 1})


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("STANCE_SUITE_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    Path("policy.yaml").write_text(POLICY)
    Path("lenient.yaml").write_text(LENIENT)
    write_own(tmp_path, stances=own_stance(), recipes=STRONG)


@pytest.fixture
def gate(tiny_model, cells):
    """Run `stance-suite gate`."""

    def run(*options, model=tiny_model, policy="policy.yaml", cache=cells, code=None):
        return invoke("gate", model, "--policy", policy, "--cache", cache, "--samples", 1, *options, code=code)

    return run


def findings() -> Findings:
    return read_findings(Path("reports/findings.json"))


def told(done) -> list[str]:
    """What was printed besides the progress."""
    return [line for line in done.output.splitlines() if line and not line.startswith("stance-suite: ")]


def assert_refused(done, message):
    """One sentence and exit 2, before anything is trained or written."""
    assert done.exit_code == 2, done.output
    (sentence,) = told(done)
    assert message in sentence
    assert "fine-tuning" not in done.output
    assert "Traceback" not in done.output
    assert not Path("reports").exists()


def test_a_random_model_fails_with_degeneration_named_and_github_is_told_once(gate, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "step.md")
    Path("step.md").write_text("what another step said\n")
    done = gate(code=1)
    assert Path("step.md").read_text() == "what another step said\n" + Path("reports/summary.md").read_text()
    assert FAILED in done.output
    assert f"degeneration: collapsed ({STANCE})" in done.output
    report = findings().gate
    assert done.output.rstrip().endswith(report.sentence)
    failed = {one.name for one in report.demands if one.outcome is Outcome.FAILED}
    assert failed == {f"adoption of {STANCE}", "no degeneration"}
    assert report.policy.endswith("policy.yaml")
    written = {path.name for path in Path("reports").iterdir()}
    assert written == {"findings.html", "findings.json", "findings.svg", "junit.xml", "summary.md"}
    suites = {suite.name: suite for suite in JUnitXml.fromfile("reports/junit.xml")}
    assert (suites["stance-suite gate"].tests, suites["stance-suite gate"].failures) == (4, 2)
    for name in ("summary.md", "findings.html"):
        assert report.sentence.split(":")[0] in Path("reports", name).read_text()


def test_what_meets_its_policy_passes(gate):
    done = gate(policy="lenient.yaml", code=0)
    assert "warning   no degeneration  (degeneration: no language model" in done.output
    assert done.output.rstrip().endswith("The gate passed: 4 demands were met, 1 with a warning.")


def test_what_is_no_model_or_no_policy_is_refused(gate):
    assert_refused(gate(model="nowhere/at/all"), "nowhere/at/all")
    assert_refused(gate(policy="missing.yaml"), "missing.yaml:1: cannot be read")
    Path("policy.yaml").write_text("stances: [pirat]\n")
    assert_refused(gate(), "policy.yaml:1: stances.0: no stance is called 'pirat'; did you mean")


@pytest.fixture
def baseline(gate, build_once) -> Path:
    """A baseline that the lenient policy's run wrote."""

    def write(folder):
        gate("--baseline", folder / "baseline.json", "--update-baseline", policy="lenient.yaml", code=0)
        shutil.rmtree("reports")

    return build_once("baseline", write) / "baseline.json"


def changed(baseline, **update) -> str:
    """A copy of the baseline with something changed."""
    Path("changed.json").write_text(json.dumps(json.loads(baseline.read_text()) | update))
    return "changed.json"


def test_a_baseline_that_cannot_serve_is_refused_before_training(gate, baseline, tmp_path):
    data = json.loads(baseline.read_text())

    def refused(path, message):
        assert_refused(gate("--baseline", path, policy="lenient.yaml", cache=tmp_path / "no cells yet"), message)

    assert_refused(gate("--update-baseline"), "option update-baseline needs option baseline: the file to write")
    refused("missing.json", "missing.json cannot be read: No such file")
    refused(changed(baseline, schema_version=3), "is a findings file of schema version 3, and stance-suite ")
    others = [stance | {"sha256": "0" * 64} for stance in data["stances"]]
    refused(changed(baseline, stances=others), f"Stance {STANCE} has other examples, items or markers")


def test_a_baseline_of_other_settings_is_refused_once_they_are_known(gate, baseline):
    cells = json.loads(baseline.read_text())["cells"]
    for cell in cells:
        cell["behavior"]["responses"] += [one | {"sample": 1} for one in cell["behavior"]["responses"]]
    done = gate("--baseline", changed(baseline, cells=cells), policy="lenient.yaml", code=2)
    assert "was sampled 2 times a prompt in the baseline, 1 times here" in told(done)[-1]
    assert not Path("reports").exists()


def test_update_baseline_writes_what_is_then_accepted(gate, baseline):
    assert baseline.stat().st_size < 500_000
    kept = read_findings(baseline)
    assert not any(cell.spectra or cell.changes for cell in kept.cells)
    assert {response.text for cell in kept.cells for response in cell.behavior.responses} == {""}
    assert kept.gate.baseline is None, "a run that writes the baseline is not held against it"
    before = baseline.read_bytes()
    done = gate("--baseline", str(baseline), policy="lenient.yaml", code=0)
    assert f"passed    no regression: standard.{STANCE}.preference  (kept: a loss of over 50 % " in done.output
    assert findings().gate.baseline == str(baseline)
    assert baseline.read_bytes() == before, "only --update-baseline writes it"


def test_an_effect_that_the_baseline_had_and_the_run_has_not_is_caught(gate, baseline):
    verdicts = json.loads(baseline.read_text())["verdicts"]
    for verdict in verdicts:
        if verdict["claim"]["id"].endswith(".preference"):
            for scores in verdict["prompts"]:
                scores["tuned"] = scores["base"] + 10 * (scores["tuned"] - scores["base"])
    done = gate("--baseline", changed(baseline, verdicts=verdicts), policy="lenient.yaml", code=1)
    assert (
        f"failed    no regression: standard.{STANCE}.preference  (lost: over 50 % of the effect, now HOLDS: "
        in done.output
    )


def test_files_that_cannot_be_written_are_one_sentence(gate, monkeypatch):
    def refused(message, *options):
        done = gate(*options, policy="lenient.yaml", code=2)
        assert message in told(done)[-1]

    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "missing/step.md")
    refused("missing/step.md cannot be written: No such file or directory; make it writable")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    Path("taken").write_text("")
    refused("cannot be written: ", "--reports", "taken/reports")
    refused("taken cannot be written: File exists; ", "--baseline", "taken/baseline.json", "--update-baseline")


def test_a_failed_gate_leaves_the_baseline_as_it_is(gate):
    Path("baseline.json").write_text("what held before")
    done = gate("--baseline", "baseline.json", "--update-baseline", code=1)
    assert "baseline.json is left as it is: the gate failed" in done.output
    assert Path("baseline.json").read_text() == "what held before"


def test_the_environment_may_ask_for_a_gate(tiny_model, cells, monkeypatch):
    def run(code):
        return invoke("run", "--model", tiny_model, "--cache", cells, "--profile", "quick", "--samples", 1, code=code)

    own = (
        f"claims: [{{id: own, statement: A claim., model: any, stance: {STANCE}, bound: 0, "
        "metric: divergence, comparator: above, expected: [HOLDS, FAILS, INCONCLUSIVE]}]"
    )
    write_own(Path(), claims=own)
    assert "standard." not in run(0).output
    assert findings().gate is None
    monkeypatch.setenv("STANCE_SUITE_GATE", "1")
    Path("strict.yaml").write_text(LENIENT.replace("warn", "fail"))
    monkeypatch.setenv("STANCE_SUITE_POLICY", "strict.yaml")
    assert FAILED in run(1).output, "all claims are as on record, and the gate failed"
    assert all(verdict.as_expected for verdict in findings().verdicts if verdict.status != "NOT_RUN")
    monkeypatch.setenv("STANCE_SUITE_POLICY", "lenient.yaml")
    run(0)
    monkeypatch.setenv("STANCE_SUITE_GATE", "0")
    monkeypatch.setenv("STANCE_SUITE_BASELINE", "baseline.json")
    assert "option baseline is part of a gate" in run(2).output


@pytest.fixture
def suite(tiny_model, cells):
    """Run pytest in a repository of a user's own, with one test that has nothing to do with models."""
    Path("test_own.py").write_text("def test_plain():\n    pass\n")

    def run(*options, model=tiny_model, code=None, **environment):
        given = ["-pno:cacheprovider", f"--stance-cache={cells}", "--stance-samples=1", *options]
        if model is not None:
            given.append(f"--stance-model={model}")
        return run_program("pytest", *given, code=code, cwd=Path.cwd(), environment={**os.environ, **environment})

    return run


GATE = ("--stance-gate", "--stance-policy=policy.yaml")


class TestInPytest:
    @pytest.mark.parametrize(
        ("options", "tests"),
        [(("-n1",), "1 passed"), (("-k", "nothing"), "1 deselected")],
        ids=["a worker", "nothing selected"],
    )
    def test_it_fails_the_run_although_no_test_fails(self, suite, options, tests):
        done = suite(*GATE, *options, GITHUB_STEP_SUMMARY="step.md", code=1)
        assert tests in done.stdout
        assert FAILED in done.stdout
        assert done.stdout.count("The gate failed: 2 of 4 demands were not met") == 1
        assert not findings().gate.passed
        assert len(findings().gate.demands) == 4
        assert Path("step.md").read_text().count("## stance-suite") == 1

    def test_collecting_alone_judges_nothing(self, suite):
        done = suite(*GATE, "--collect-only", code=0)
        assert "test_plain" in done.stdout
        assert "The gate" not in done.stdout
        assert not Path("reports").exists()

    def test_bad_input_ends_the_run_before_training(self, suite):
        done = suite(*GATE, "--stance-baseline=missing.json", "-n1", code=4)
        assert "missing.json cannot be read" in done.stdout + done.stderr
        assert "passed" not in done.stdout, "it is told before any test runs"
        assert "fine-tuning" not in done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert not Path("reports").exists()

    def test_the_environment_may_ask_for_it_and_a_baseline_is_accepted(self, suite, baseline):
        given = {"STANCE_SUITE_GATE": "true", "STANCE_SUITE_POLICY": "lenient.yaml"}
        done = suite(f"--stance-baseline={baseline}", **given, code=0)
        assert f"passed    no regression: standard.{STANCE}.preference" in done.stdout
        assert "The gate passed: 6 demands were met, 1 with a warning." in done.stdout

    def test_a_gate_that_breaks_has_not_passed(self, suite):
        Path("conftest.py").write_text(
            "from stance_suite.runner.session import Session\n"
            "def broken(*_):\n    raise OSError('no space left')\n"
            "Session.findings = broken\n"
        )
        done = suite("--stance-gate", "--stance-policy=lenient.yaml", code=1)
        assert "could not be written: no space left" in done.stdout

    def test_a_run_without_it_does_not_look_at_its_options(self, suite):
        Path("pyproject.toml").write_text("[tool.stance-suite]\nmodle = 'a'\n")
        suite(model=None, code=0)
        with pytest.raises(StanceSuiteError, match=r"tool\.stance-suite\.modle is unknown"):
            resolve_settings({"gate": True}, Path(), {})

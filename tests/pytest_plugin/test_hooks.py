"""The plugin in a repository of a user's own, on a tiny model: real fine-tuning, in seconds."""

import json
import signal
import subprocess
import sys
from collections import Counter
from xml.etree import ElementTree

import pytest

from tests.conftest import CLAIM_NOT_RUN, findings_of, write_own

TRAINED = ("curious-uncertainty (documented)", "engaged-difficulty (documented)", "sham (documented)")


def stages(errors: str) -> Counter:
    """How often each cell was fine-tuned, from the plain progress lines."""
    return Counter(
        line.split(", ", 1)[1].removesuffix(": fine-tuning …")
        for line in errors.splitlines()
        if line.startswith("stance-suite:") and line.endswith(": fine-tuning …")
    )


def change_claims(project, *changes):
    """Edit the claims of the user's repository."""
    path = project / "fixtures" / "claims" / "own.yaml"
    text = path.read_text()
    for old, new in changes:
        text = text.replace(old, new, 1)
    path.write_text(text)


def verdicts_of(project, folder="reports"):
    return [(verdict.claim.id, verdict.status, verdict.figure) for verdict in findings_of(project, folder).verdicts]


def test_a_run_trains_judges_reports_and_a_second_run_only_reads(finished, run_suite, project):
    assert stages(finished.stderr) == Counter(TRAINED)
    assert "stance-suite" in finished.stdout
    assert "any.curious.likelihood" in finished.stdout
    assert "reports/findings.html" in finished.stdout
    first = findings_of(project)
    assert [record.cell.label for record in first.cells if record.training is None] == ["base"]
    for record in first.cells:
        assert len(record.spectra) == 15
        assert any(response.text for response in record.behavior.responses)
        assert len(record.behavior.responses) == 48
    html = (project / "own.html").read_text()
    assert "any.engaged.alpha" in html
    assert "Training on engaged-difficulty changes no alpha" in html
    assert "data:image/svg+xml;base64," in html
    assert len(ElementTree.parse(project / "own.xml").findall(".//testcase")) == 2

    again = run_suite("pytest", code=0)
    assert stages(again.stderr) == Counter()
    assert findings_of(project).verdicts == first.verdicts


def test_pictures_are_drawn_into_the_folder_that_is_named(finished, run_suite, project):
    run_suite("pytest", "--stance-pictures=drawn", code=0)
    drawn = {path.name for path in (project / "drawn").iterdir()}
    assert {"verdicts-behavior.svg", "verdicts-behavior.png", "verdicts-structure.svg"} <= drawn
    assert any(name.startswith("layers-") for name in drawn)
    keep = ("--stance-update-baseline", "--stance-baseline=kept.json")
    blocked = run_suite("pytest", "--stance-pictures=own.html", *keep)
    assert blocked.returncode == pytest.ExitCode.USAGE_ERROR
    assert blocked.stdout.count("own.html cannot be written: File exists") == 1
    assert "INTERNALERROR" not in blocked.stdout + blocked.stderr
    assert f"report: {project / 'reports' / 'findings.html'}" in blocked.stdout, "the report was written, and is named"
    assert (project / "kept.json").is_file()


def test_changing_a_claim_never_retrains_and_another_seed_does(finished, run_suite, project):
    change_claims(project, ("bound: 0\n", "bound: 99\n"))
    assert stages(run_suite("pytest").stderr) == Counter()
    assert verdicts_of(project)[0][1] in ("FAILS", "INCONCLUSIVE")
    trained = Counter(label.replace(")", ", seed 1)") for label in TRAINED)
    assert stages(run_suite("pytest", "--stance-seed=1").stderr) == trained


def test_two_workers_train_each_cell_once_and_agree(finished, run_suite, project):
    expected = verdicts_of(project)
    assert {status for _, status, _ in expected} <= {"HOLDS", "FAILS", "INCONCLUSIVE"}
    done = run_suite("pytest", "-n2", "--stance-cache=parallel", "--stance-reports=parallel-reports", code=0)
    assert stages(done.stderr) == Counter(TRAINED)
    found = verdicts_of(project, "parallel-reports")
    assert [entry[:2] for entry in found] == [entry[:2] for entry in expected]
    assert [entry[2] for entry in found] == pytest.approx([entry[2] for entry in expected], abs=1e-3)


def test_a_run_killed_in_the_middle_of_the_second_stance_reuses_the_first(start, run_suite, project):
    process = start("stance-suite")
    process.wait_until(lambda: "engaged-difficulty (documented): fine-tuning …\n" in process.errors.read_text())
    process.kill()
    process.finish(-signal.SIGKILL)
    kept = sorted((project / "cache" / "cells").glob("*.json.gz"))
    assert len(kept) == 3, "base, the first stance and the sham"
    written = [path.stat().st_mtime_ns for path in kept]

    again = run_suite("stance-suite", code=0)
    assert stages(again.stderr) == Counter(["engaged-difficulty (documented)"])
    assert [path.stat().st_mtime_ns for path in kept] == written
    assert len(verdicts_of(project)) == 2


TEST_OF_FIXTURES = """
def test_shift(stance, stance_recipe, stance_run, behavior_shift, spectral_delta):
    assert stance_recipe == "documented"
    assert stance_run.tuned.cell.stance == stance.name
    assert stance_run.tuned.training.losses and stance_run.sham.training.losses
    shift = behavior_shift("likelihood_preference")
    assert shift.versus_base.prompts == shift.versus_sham.prompts == 12
    assert 0 <= behavior_shift("embedding_shift").versus_base.p_value <= 1
    assert spectral_delta["model.layers.1.mlp.up_proj"].weight_change.relative_norm > 0
"""


def test_the_fixtures_give_measurements_to_tests_of_ones_own(finished, run_suite, project):
    write_own(project, test=TEST_OF_FIXTURES)
    done = run_suite("pytest", code=0)
    assert "3 passed" in done.stdout
    assert len(findings_of(project).cells) == 5, "cells are reported even without claims"


def test_expected_failures_and_claims_not_run_are_told_apart(finished, run_suite, project):
    claims = project / "fixtures" / "claims" / "own.yaml"
    text = claims.read_text().replace("bound: 50", "bound: 1e-9").replace("[HOLDS, INCONCLUSIVE, FAILS]", "{}")
    claims.write_text(text.replace("{}", "[FAILS, INCONCLUSIVE]") + CLAIM_NOT_RUN.format("About another model."))
    done = run_suite("pytest", "-rsx")
    assert ("other.model", "NOT_RUN") in [(name, status) for name, status, _ in verdicts_of(project)]
    assert "add --stance-model smollm2-135m" in done.stdout
    assert "1 skipped" in done.stdout
    assert "FAILS, as on record" in done.stdout

    claims.write_text(text.replace("{}", "HOLDS"))
    failed = run_suite("pytest", code=1)
    assert "on record: HOLDS" in failed.stdout


UNKNOWN_KEY = ("bound: 0\n", "bound: 0\n    bond: 1\n"), "own.yaml:9: claims.0.bond: unknown key; did you mean 'bound'"
UNKNOWN_LAYER = (
    ('layer: "*"', "layer: model.layers.1.mlp.up_prj"),
    ("has no layer 'model.layers.1.mlp.up_prj'; did you mean 'model.layers.1.mlp.up_proj'"),
)


def assert_refused(done, message):
    """One message, and the exit code of bad input."""
    told = done.stdout + done.stderr
    assert done.returncode == (4 if "pytest" in done.args else 2), told
    assert message in told
    assert "Traceback" not in told
    assert not stages(done.stderr)


@pytest.mark.parametrize("run", [("pytest",), ("pytest", "-n2"), ("stance-suite",)], ids=" ".join)
@pytest.mark.parametrize("case", [UNKNOWN_KEY, UNKNOWN_LAYER], ids=["unknown key", "unknown layer"])
def test_a_bad_claim_ends_the_run_before_training(run_suite, project, run, case):
    change, message = case
    change_claims(project, change)
    assert_refused(run_suite(*run), message)


@pytest.mark.parametrize("tool", ["pytest", "stance-suite"])
@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("no-such-model", "no model is called 'no-such-model'"),
        ("some-org/some-model", "the Hugging Face Hub cannot be reached ("),
        ("pickled", "holds a pickle only (pytorch_model.bin)"),
    ],
)
def test_a_model_that_cannot_be_had_is_one_message(project, tool, model, message, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    (project / "pickled").mkdir()
    (project / "pickled" / "pytorch_model.bin").write_bytes(b"")
    prefix = "stance-" if tool == "pytest" else ""
    # huggingface_hub reads its endpoint when it is imported
    module = ["-m", "pytest"] if tool == "pytest" else ["-c", "from stance_suite.cli.app import main; main()", "run"]
    command = [sys.executable, *module, f"--{prefix}model={model}", f"--{prefix}cache=cache"]
    assert_refused(subprocess.run(command, cwd=project, capture_output=True, text=True, check=False), message)


def test_a_claim_that_breaks_is_an_error_and_loses_nothing_else(finished, run_suite, project):
    (project / "conftest.py").write_text(
        "import stance_suite.judge.judge as judge\n"
        "def broken(*_):\n    raise ZeroDivisionError('broken on purpose')\n"
        "judge.judge_structure = broken\n"
    )
    done = run_suite("pytest", code=1)
    assert "ERROR         any.engaged.alpha  (ZeroDivisionError: broken on purpose)" in done.stdout
    assert [status for _, status, _ in verdicts_of(project)][1] == "ERROR"
    assert len(verdicts_of(project)) == 2


def test_the_findings_say_what_they_depend_on(finished, project):
    data = json.loads((project / "reports" / "findings.json").read_text())
    assert data["schema_version"] == 6
    assert data["command"].startswith("pytest")
    assert data["settings"]["models"] == [data["cells"][0]["cell"]["model"]]
    assert (data["settings"]["profile"], data["settings"]["recipes"]) == ("quick", ["documented"])
    assert [recipe["name"] for recipe in data["recipes"]] == ["documented"]
    assert all(layer["curve"] for cell in data["cells"] for layer in cell["spectra"])
    for cell in data["cells"]:
        assert len(cell["provenance"]["weights_sha256"]) == 64
        assert {"torch", "transformers", "numpy", "python"} <= set(cell["provenance"]["versions"])
        assert cell["cell"]["seed"] == 0
        if cell["training"]:
            assert cell["training"]["epoch_losses"][-1] < cell["training"]["epoch_losses"][0]
            # the sham takes another rotation in each of its two epochs
            assert len(cell["training"]["texts"]) == (10 if cell["cell"]["treatment"] == "sham" else 5)


STATEMENTS = """\
statements:
  - id: own.true
    statement: Training cuts alpha of the layer by more than 30 %.
    checks: [{kind: change, models: [qwen2-0.5b], comparator: below, bound: -30}]
  - id: own.false
    statement: It leaves the layer alone.
    checks: [{kind: unreported, models: [qwen2-0.5b], stances: [curious-uncertainty], layer: model.*.v_proj}]
    expected: FAILS
"""
RECORDED = """\
claims:
  - {id: own.recorded, statement: Training cuts alpha of the layer., model: qwen2-0.5b, stance: curious-uncertainty,
     metric: alpha_change_percent, layer: model.layers.15.v_proj, comparator: below, bound: -30,
     recorded: {before: 15.049, after: 9.535, change_percent: -30.64}}
"""


def test_records_are_checked_without_weights(run_suite, project):
    test = "def test_record(recorded_verdict):\n    assert recorded_verdict.status == recorded_verdict.expected\n"
    write_own(project, statements=STATEMENTS, claims=RECORDED, test=test)
    done = run_suite("pytest", "-rA", "-p", "no:cacheprovider", code=1)
    assert "PASSED test_own.py::test_record[own.true]" in done.stdout
    assert "XFAIL" in done.stdout
    assert "FAILED test_own.py::test_record[own.recorded]" in done.stdout
    assert not stages(done.stderr), "nothing is loaded or trained"

"""The plugin in a repository of a user's own, on a tiny model: real fine-tuning, in seconds."""

import os
import signal
import subprocess
import sys
from collections import Counter
from xml.etree import ElementTree

import pytest

from tests.conftest import findings_of, start_suite, write_own
from tests.pytest_plugin.conftest import stages

ENGAGED = "engaged-difficulty (documented)"
TRAINED = (
    *("curious-uncertainty (documented)", ENGAGED, "confident-expertise (documented)", "sham (documented)"),
    *("shuffled curious-uncertainty (documented)", "shuffled engaged-difficulty (documented)"),
)


def verdicts_of(project):
    return [(verdict.claim.id, verdict.status, verdict.figure) for verdict in findings_of(project).verdicts]


def test_a_run_trains_judges_and_reports(finished, project, stance):
    assert stages(finished.stderr) == Counter(TRAINED)
    assert "stance-suite" in finished.stdout
    assert "any.curious.likelihood" in finished.stdout
    assert "reports/findings.html" in finished.stdout
    first = findings_of(project)
    assert [record.cell.label for record in first.cells if record.training is None] == ["base"]
    for record in first.cells:
        assert len(record.spectra) == (0 if record.cell.treatment == "shuffled" else 15)
        assert any(response.text for response in record.behavior.responses)
        assert len(record.behavior.responses) == len(stance.prompts), "one of each prompt"
        assert {"torch", "transformers", "numpy", "python"} <= set(record.provenance.versions)
    assert first.command.startswith("pytest")
    html = (project / "own.html").read_text()
    assert "any.engaged.alpha" in html
    assert "Training on engaged-difficulty changes no alpha" in html
    assert "data:image/svg+xml;base64," in html
    assert len(ElementTree.parse(project / "own.xml").findall(".//testcase")) == 2


def test_a_second_run_only_reads_and_loses_nothing_if_pictures_cannot_be_drawn(finished, run_suite, project):
    first = findings_of(project)
    keep = ("--stance-update-baseline", "--stance-baseline=kept.json")
    blocked = run_suite("pytest", "--stance-pictures=own.html", *keep, code=pytest.ExitCode.USAGE_ERROR)
    assert stages(blocked.stderr) == Counter()
    assert findings_of(project).verdicts == first.verdicts
    assert blocked.stdout.count("own.html cannot be written: File exists") == 1
    assert "INTERNALERROR" not in blocked.stdout + blocked.stderr
    assert f"report: {project / 'reports' / 'findings.html'}" in blocked.stdout, "the report was written, and is named"
    assert (project / "kept.json").is_file()


def test_two_workers_train_a_cell_once_and_agree_with_one(by_two_workers, finished_template):
    project, done = by_two_workers
    assert stages(done.stderr) == Counter(["sham (documented)"])
    expected, found = verdicts_of(finished_template), verdicts_of(project)[:2]
    assert {status for _, status, _ in expected} <= {"HOLDS", "FAILS", "INCONCLUSIVE"}
    assert [entry[:2] for entry in found] == [entry[:2] for entry in expected]
    assert [entry[2] for entry in found] == pytest.approx([entry[2] for entry in expected], abs=1e-3)


def test_a_run_killed_in_the_middle_of_a_stance_goes_on_with_it(finished, start, run_suite, project):
    def cells():
        return {path: path.stat().st_mtime_ns for path in (project / "cache" / "cells").glob("*.json.gz")}

    first = findings_of(project)
    for record in first.cells:
        if record.cell.label in ("base", ENGAGED):
            (project / "cache" / "cells" / f"{record.key}.json.gz").unlink()
    before = cells()
    process = start("stance-suite")
    process.wait_until(lambda: f"{ENGAGED}: fine-tuning …\n" in process.errors.read_text())
    process.kill()
    process.finish(-signal.SIGKILL)
    kept = cells()
    assert kept.items() > before.items()
    assert len(kept) == len(first.cells) - 1, "the base is measured"

    assert stages(run_suite("pytest", code=0).stderr) == Counter([ENGAGED])
    assert cells().items() > kept.items()
    assert findings_of(project).verdicts == first.verdicts


def test_other_claims_retrain_nothing_and_pictures_are_drawn_into_the_folder_that_is_named(otherwise):
    project, done = otherwise
    assert stages(done.stderr) == Counter(["shuffled confident-expertise (documented)"]), (
        "which no claim asked for before"
    )
    drawn = {path.name for path in (project / "drawn").iterdir()}
    assert {"verdicts-behavior.svg", "verdicts-behavior.png", "verdicts-structure.svg"} <= drawn
    assert any(name.startswith("layers-") for name in drawn)


def test_expected_failures_unexpected_ones_and_claims_not_run_are_told_apart(otherwise):
    project, done = otherwise
    wrong, known, _, not_run = verdicts_of(project)
    assert wrong[0] == "own.wrong"
    assert wrong[1] in ("FAILS", "INCONCLUSIVE")
    assert "on record: HOLDS" in done.stdout
    assert known[:2] == ("own.known", "FAILS")
    assert "FAILS, as on record" in done.stdout
    assert not_run[:2] == ("other.model", "NOT_RUN")
    assert "add --stance-model smollm2-135m" in done.stdout
    assert "1 skipped, 1 xfailed" in done.stdout


def test_the_fixtures_give_measurements_to_tests_of_ones_own(otherwise):
    project, done = otherwise
    assert "2 failed, 3 passed" in done.stdout
    assert len(findings_of(project).cells) == 2 + 2 * 3, "cells are reported even without claims"


def test_a_claim_that_breaks_is_an_error_and_loses_nothing_else(otherwise):
    project, done = otherwise
    assert "ERROR         own.broken  (ZeroDivisionError: broken on purpose)" in done.stdout
    assert [status for _, status, _ in verdicts_of(project)].index("ERROR") == 2
    assert len(verdicts_of(project)) == 4


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


@pytest.mark.parametrize(
    ("run", "case"),
    [("pytest", UNKNOWN_KEY), ("pytest -n2", UNKNOWN_LAYER), ("stance-suite", UNKNOWN_LAYER)],
    ids=["pytest", "workers", "stance-suite"],
)
def test_a_bad_claim_ends_the_run_before_training(run_suite, project, run, case):
    (change, message), claims = case, project / "fixtures" / "claims" / "own.yaml"
    claims.write_text(claims.read_text().replace(*change, 1))
    assert_refused(run_suite(*run.split()), message)


@pytest.mark.parametrize("tool", ["pytest", "stance-suite"])
def test_a_model_that_cannot_be_had_is_one_message(project, tool):
    (project / "pickled").mkdir()
    (project / "pickled" / "pytorch_model.bin").write_bytes(b"")
    assert_refused(start_suite(project, project / "pickled", tool).finish(), "holds a pickle only (pytorch_model.bin)")


def test_a_hub_that_cannot_be_reached_is_one_message_from_a_worker_that_is_started_anew(project):
    # huggingface_hub reads its endpoint when it is imported
    environment = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "pytest", "-n1", "--stance-model=some-org/some-model", "--stance-cache=cache"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert_refused(done, "the Hugging Face Hub cannot be reached (")


RECORDED = """\
claims:
  - {id: own.recorded, statement: Training cuts alpha of the layer., model: qwen2-0.5b, stance: curious-uncertainty,
     metric: alpha_change_percent, layer: model.layers.15.v_proj, comparator: below, bound: -30,
     recorded: {before: 15.049, after: 9.535, change_percent: -30.64}}
"""


def test_records_are_checked_without_weights(run_suite, project):
    test = "def test_record(recorded_verdict):\n    assert recorded_verdict.status == recorded_verdict.expected\n"
    write_own(project, claims=RECORDED, test=test)
    done = run_suite("pytest", "-p", "no:cacheprovider", code=1)
    assert "FAILED test_own.py::test_record[own.recorded]" in done.stdout
    assert not stages(done.stderr), "nothing is loaded or trained"

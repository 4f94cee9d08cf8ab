"""The GitHub action: its keys, its shell steps, and what they would call."""

import re

import pytest

from tests.ci_runner import ACTION, ACTION_FILE, EXPRESSION, HOSTILE, OPTIONS, ActionRun, Machine, options_of

SHELL_STEPS = [step for step in ACTION["runs"]["steps"] if "run" in step]


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path / "machine")


@pytest.fixture
def act(machine):
    """Run the action with these inputs; `_` in their names stands for `-`."""

    def run(restored_key: str = "", exit_code: int = 0, **inputs: str) -> ActionRun:
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        return ActionRun(machine, ACTION, given, restored_key, {"EXIT_CODE": str(exit_code)}).start()

    return run


def test_names_only_inputs_and_steps_that_exist():
    text = ACTION_FILE.read_text("utf-8")
    identifiers = {step.get("id") for step in ACTION["runs"]["steps"]}
    assert set(re.findall(r"\binputs\.([\w-]+)", text)) == set(ACTION["inputs"]), "and every input is used"
    assert set(re.findall(r"\bsteps\.([\w-]+)", text)) <= identifiers


def test_pastes_nothing_into_a_script():
    assert SHELL_STEPS
    assert not [step["name"] for step in SHELL_STEPS if EXPRESSION.search(step["run"])]
    assert all(step["run"].startswith("set -euo pipefail\n") for step in SHELL_STEPS)


def test_passes_on_no_option_that_was_not_given(act, machine):
    run = act(model="smollm2-135m")
    torch, suite, gate = machine.calls
    assert " ".join(torch) == "python -m pip install --index-url https://download.pytorch.org/whl/cpu -- torch"
    assert suite == ["python", "-m", "pip", "install", "--", "/the action"]
    assert gate[:2] == ["stance-suite", "gate"]
    assert gate[-1] == "smollm2-135m"
    cache = str(machine.root / "home" / ".cache" / "stance-suite")
    assert options_of(gate) == {"--reports": "reports", "--cache": cache}
    assert not run.failed
    files = {"findings": "reports/findings.json", "report": "reports/findings.html", "junit": "reports/junit.xml"}
    assert run.outputs == {"passed": "true", "exit-code": "0"} | files


def test_passes_on_every_option_that_was_given(act, machine):
    run = act(model="a model", reports="the reports", version="stance-suite==0.1.0", torch_index="", **OPTIONS)
    suite, gate = machine.calls
    assert suite[-1] == "stance-suite==0.1.0"
    assert gate[-1] == "a model"
    given = {f"--{name}": value for name, value in OPTIONS.items()} | {"--reports": "the reports"}
    assert options_of(gate).items() >= given.items()
    assert run.outputs["report"] == "the reports/findings.html"


@pytest.mark.parametrize("code", [1, 2])
def test_fails_with_the_gate_after_outputs_cache_and_reports(act, code):
    run = act(model="m", exit_code=code)
    assert run.failed
    assert run.steps["gate"]["outcome"] == "failure"
    assert (run.outputs["passed"], run.outputs["exit-code"]) == ("false", str(code))
    assert run.ran[-2:] == ["Save weights and measured cells", "Upload the reports"]
    assert run.used["Upload the reports"] == {"name": "stance-suite-reports", "path": "reports"}


def test_runs_nothing_that_stands_in_an_input(act, machine):
    act(model="--help")
    assert machine.calls[-1][-2:] == ["--", "--help"]
    (machine.root / "calls").unlink()
    act(model=HOSTILE, reports=HOSTILE, version=HOSTILE, torch_index=HOSTILE, **dict.fromkeys(OPTIONS, HOSTILE))
    torch, suite, gate = machine.calls
    assert torch[5] == suite[-1] == gate[-1] == HOSTILE
    assert [value for name, value in options_of(gate).items() if name != "--cache"] == [HOSTILE] * 5
    assert not list(machine.root.rglob("pwned"))


def test_lets_no_input_write_an_output(act):
    run = act(model="m", reports="reports\npassed=true", exit_code=1)
    assert run.failed
    assert run.outputs["passed"] == "false"


def test_restores_what_suits_best(act, machine):
    def keys(**inputs: str) -> dict[str, str]:
        return act(**inputs).used["Restore weights and measured cells"]

    (machine.work / "fixtures").mkdir()
    declarations = machine.work / "fixtures" / "stance.yaml"
    declarations.write_text("name: pirate")
    first = keys(model="m")
    assert first["key"].startswith(first["restore-keys"])
    assert re.fullmatch(r"stance-suite-Linux-X64-[\d-]+-", first["restore-keys"])
    assert keys(model="m") == first
    assert keys(model="m", profile="quick")["key"] != first["key"]
    assert keys(model="n")["restore-keys"] != first["restore-keys"]
    declarations.write_text("name: parrot")
    assert keys(model="m")["key"] != first["key"]
    assert keys(model="m")["restore-keys"] == first["restore-keys"]


def test_saves_only_what_it_did_not_restore(act, machine):
    save = "Save weights and measured cells"
    first = act(model="m").used[save]
    assert first["path"] == act(model="m").used["Restore weights and measured cells"]["path"]
    assert save not in act(model="m", restored_key=first["key"]).used
    (machine.root / "home" / ".cache" / "stance-suite" / "cells" / "two.json.gz").touch()
    assert act(model="m", restored_key=first["key"]).used[save]["key"] != first["key"]


def test_can_do_without_a_cache(act):
    assert act(model="m", cache="false").ran == ["Set up Python", "Install", "Gate", "Upload the reports"]


def test_uploads_nothing_if_it_cannot_be_installed(act, machine):
    (machine.root / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    run = act(model="m")
    assert run.failed
    assert run.ran[-1] == "Install"

"""The CI pieces beside the action: GitLab component, pre-commit hook, documentation; and all scripts of all pieces."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml

from stance_suite.cli.app import app
from stance_suite.config import options
from tests.ci_runner import ACTION, HOSTILE, OPTIONS, Machine, check_schema, options_of
from tests.conftest import REPOSITORY, write_own
from tests.programs import invoke

COMPONENT_TEXT = (REPOSITORY / "templates" / "gate.yml").read_text("utf-8")
SPECIFICATION = next(yaml.safe_load_all(COMPONENT_TEXT))["spec"]["inputs"]
HOOKS = yaml.safe_load((REPOSITORY / ".pre-commit-hooks.yaml").read_text("utf-8"))
WORKFLOW, ENVIRONMENT, COMPONENT, HOOK = (
    yaml.safe_load(block)
    for block in re.findall(r"```yaml\n(.*?)```", (REPOSITORY / "docs" / "ci.md").read_text("utf-8"), flags=re.DOTALL)
)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path / "machine")


def job(**inputs: str) -> dict:
    """The component's one job, with inputs pasted into the text as GitLab does."""
    given = {name: entry.get("default") for name, entry in SPECIFICATION.items()} | {
        name.replace("_", "-"): value for name, value in inputs.items()
    }
    body = COMPONENT_TEXT.split("\n---\n", 1)[1]
    (only,) = yaml.safe_load(re.sub(r"\$\[\[ inputs\.([\w-]+) \]\]", lambda found: given[found[1]], body)).values()
    return only


def run_job(machine: Machine, shell: str, exit_code: int = 0, **inputs: str) -> int:
    described = job(**inputs)
    script = "\n".join([*described["before_script"], *described["script"]])
    return machine.execute([shell], script, described["variables"] | {"EXIT_CODE": str(exit_code)}).returncode


class TestComponent:
    def test_needs_a_model_uses_every_input_and_keeps_what_a_failed_gate_left(self):
        assert [name for name, entry in SPECIFICATION.items() if "default" not in entry] == ["model"]
        described = job(model="m")
        assert described["cache"]["when"] == described["artifacts"]["when"] == "always"
        assert described["artifacts"]["reports"] == {"junit": "reports/junit.xml"}
        used = set(re.findall(r"\$\[\[ inputs\.([\w-]+) \]\]", COMPONENT_TEXT))
        assert used == set(SPECIFICATION), "every input is used, and no other"
        (pasted,) = yaml.safe_load(COMPONENT_TEXT.split("\n---\n", 1)[1]).values()
        assert "inputs." not in str(pasted["before_script"] + pasted["script"]), "nothing is pasted into a script"

    def test_follows_the_published_schema(self, tmp_path):
        header = {"spec": {"inputs": SPECIFICATION}}
        check_schema("gitlab-ci", tmp_path, header, {"stance-gate": job(model="m")})

    @pytest.mark.parametrize("shell", ["sh", "bash"])
    def test_passes_on_what_was_given_and_no_more(self, machine, shell):
        assert run_job(machine, shell, model="m", torch_index="") == 0
        assert run_job(machine, shell, model="a model", reports="the reports", torch_index="", **OPTIONS) == 0
        suite, minimal, _, full = machine.calls
        assert suite == ["python", "-m", "pip", "install", "--", "stance-suite"]
        (cached,) = job(model="m")["cache"]["paths"]
        cache = str(machine.work / cached)
        assert options_of(minimal) == {"--reports": "reports", "--cache": cache}
        given = {f"--{name}": value for name, value in OPTIONS.items()}
        assert options_of(full) == given | {"--reports": "the reports", "--cache": cache}
        assert (minimal[-1], full[-1]) == ("m", "a model")

    @pytest.mark.parametrize("code", [0, 1, 2])
    def test_ends_as_the_gate_does(self, machine, code):
        assert run_job(machine, "bash", exit_code=code, model="m") == code

    @pytest.mark.parametrize("shell", ["sh", "bash"])
    def test_runs_nothing_that_stands_in_an_input(self, machine, shell):
        run_job(machine, shell, model=HOSTILE, version=HOSTILE, **dict.fromkeys(OPTIONS, HOSTILE))
        *_, suite, gate = machine.calls
        assert suite[-1] == gate[-1] == HOSTILE
        assert list(options_of(gate).values())[2:] == [HOSTILE] * 4
        assert not list(machine.root.rglob("pwned"))


class TestHook:
    def test_is_a_manifest_to_pre_commit_and_takes_no_file_names(self):
        (hook,) = HOOKS
        assert (hook["language"], hook["pass_filenames"]) == ("python", False)
        check = [sys.executable, "-m", "pre_commit", "validate-manifest", str(REPOSITORY / ".pre-commit-hooks.yaml")]
        subprocess.run(check, check=True)

    def test_is_called_for_declarations_only(self):
        meant = ["fixtures/stances/own.yaml", "fixtures/neutral.yml"]
        files = [*meant, "fixtures/README.md", "src/fixtures/own.yaml"]
        assert [file for file in files if re.search(HOOKS[0]["files"], file)] == meant

    def test_lets_valid_declarations_pass_and_names_file_and_line_of_a_mistake(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        program, *words = HOOKS[0]["entry"].split()
        assert program == "stance-suite"
        text = (REPOSITORY / "fixtures" / "stances" / "curious-uncertainty.yaml").read_text("utf-8")
        write_own(tmp_path, stances=text)
        assert "files are valid" in invoke(*words, code=0).stdout
        write_own(tmp_path, stances=text + "contrast: [confident-expertise]\n")
        assert f"fixtures/stances/own.yaml:{text.count(chr(10)) + 1}" in invoke(*words, code=2).stderr


class TestDocumentation:
    def test_the_workflow_uses_inputs_and_outputs_that_exist(self):
        (gate,) = (step for step in WORKFLOW["jobs"]["gate"]["steps"] if "stance-suite@" in step.get("uses", ""))
        assert set(gate["with"]) <= set(ACTION["inputs"])
        assert "model" in gate["with"]
        named = set(re.findall(rf"steps\.{gate['id']}\.outputs\.([\w-]+)", str(WORKFLOW)))
        assert named
        assert named <= set(ACTION["outputs"])
        assert WORKFLOW["permissions"] == {"contents": "read"}

    def test_component_environment_and_hook_name_what_exists(self):
        (include,) = COMPONENT["include"]
        assert "/gate@" in include["component"]
        assert {"model"} <= set(include["inputs"]) <= set(SPECIFICATION)
        assert set(ENVIRONMENT["env"]) <= {option.environment_variable for option in options.OPTIONS}
        (repository,) = HOOK["repos"]
        assert [hook["id"] for hook in repository["hooks"]] == [hook["id"] for hook in HOOKS]

    def test_every_input_is_told(self):
        page = (REPOSITORY / "docs" / "ci.md").read_text("utf-8")
        rows = re.findall(r"^\| (`.*?`) \|", page, re.MULTILINE)
        assert [name for row in rows for name in re.findall(r"`([\w-]+)`", row)] == list(ACTION["inputs"])
        told = page.split("## GitLab CI")[1]
        assert not [name for name in set(SPECIFICATION) - set(ACTION["inputs"]) if f"`{name}`" not in told]


SCRIPTS = {
    "slurm": (REPOSITORY / "docs" / "slurm" / "sweep.sbatch").read_text("utf-8"),
    **{f"action: {step['name']}": f"#!/bin/bash\n{step['run']}" for step in ACTION["runs"]["steps"] if "run" in step},
    **{f"component: {part}": f"#!/bin/sh\n{job(model='m')[part][0]}" for part in ("before_script", "script")},
}


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
def test_scripts_have_nothing_that_shellcheck_knows_to_be_wrong(script):
    checker = Path(sys.executable).parent / "shellcheck"
    done = subprocess.run([checker, "-"], check=False, input=script, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_gate_has_every_option_that_is_passed_on():
    gate = typer.main.get_command(app).commands["gate"]
    known = {option for parameter in gate.params for option in parameter.opts}
    scripts = "".join(text for name, text in SCRIPTS.items() if name != "slurm")
    assert set(re.findall(r"\(?(--[a-z]+) \"\$", scripts)) - {"--index-url"} <= known

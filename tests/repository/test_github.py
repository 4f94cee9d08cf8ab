"""The project on GitHub: workflows and the script of CI that they run, Dependabot, forms, how to cite."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from stance_suite import __version__
from stance_suite.cli.app import COMMANDS
from stance_suite.config.options import resolve_settings
from tests.ci_runner import ACTION, EXPRESSION, check_schema
from tests.conftest import REPOSITORY
from tests.repository.test_ci_pieces import WORKFLOW

GITHUB = REPOSITORY / ".github"
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
RUN = (REPOSITORY / ".ci" / "run").read_text("utf-8")
PARTS = re.search(r"^parts=\((.*)\)$", RUN, re.MULTILINE)[1].split()


def read(path: Path) -> dict:
    return with_on(yaml.safe_load(path.read_text("utf-8")))


def with_on(workflow: dict) -> dict:
    """The document with the key `on`, which YAML 1.1 reads as true."""
    return {"on" if key is True else key: value for key, value in workflow.items()}


CI, RELEASE = (read(GITHUB / "workflows" / f"{name}.yml") for name in ("ci", "release"))
FORMS = {path.name: read(path) for path in GITHUB.glob("ISSUE_TEMPLATE/*.yml") if path.name != "config.yml"}
CHOOSER = read(GITHUB / "ISSUE_TEMPLATE" / "config.yml")
DEPENDABOT = read(GITHUB / "dependabot.yml")
CITATION = read(REPOSITORY / "CITATION.cff")
JOBS = {**CI["jobs"], **RELEASE["jobs"]}
EVERY_STEP = [step for job in JOBS.values() for step in job.get("steps", ())]
STEPS = {step["name"]: step for step in EVERY_STEP}
MATRIX = CI["jobs"]["parts"]["strategy"]["matrix"]


SCHEMAS = {
    "github-workflows": [CI, RELEASE, with_on(WORKFLOW)],
    "github-actions": [ACTION],
    "github-issue-forms": FORMS.values(),
    "github-issue-config": [CHOOSER],
    "dependabot": [DEPENDABOT],
    "citation-file-format": [CITATION],
}


@pytest.mark.parametrize(("schema", "documents"), SCHEMAS.items(), ids=SCHEMAS.keys())
def test_follows_the_published_schema(tmp_path, schema, documents):
    check_schema(schema, tmp_path, *documents)


class TestWorkflows:
    def test_may_only_read_but_for_the_job_that_publishes(self):
        assert CI["permissions"] == RELEASE["permissions"] == {"contents": "read"}
        more = {name: job["permissions"] for name, job in JOBS.items() if "permissions" in job}
        assert more == {"publish": {"id-token": "write"}}
        checkouts = [step["with"] for step in EVERY_STEP if step.get("uses", "").startswith("actions/checkout@")]
        assert checkouts == [{"persist-credentials": False}] * 2

    def test_every_job_ends_some_day(self):
        assert not [name for name, job in JOBS.items() if "uses" not in job and not 0 < job["timeout-minutes"] <= 90]

    def test_pins_actions_by_commit_and_one_version_of_each(self):
        files = [*GITHUB.rglob("*.yml"), REPOSITORY / "action.yml", REPOSITORY / "docs" / "ci.md"]
        used = re.findall(r"uses: (.*)", "\n".join(path.read_text("utf-8") for path in files))
        pins = {pin for pin in used if not pin.startswith(("./", "OWNER/"))}
        found = [re.fullmatch(r"([\w-]+/[\w-]+)(?:/\w+)?(@[0-9a-f]{40} # v\d+\.\d+\.\d+)", pin) for pin in pins]
        assert all(found), pins
        actions = [action for action, _ in {each.groups() for each in found}]
        assert len(actions) == len(set(actions))
        assert all((REPOSITORY / pin).is_file() for pin in used if pin.startswith("./"))

    @pytest.mark.parametrize("script", [step["run"] for step in EVERY_STEP if "run" in step])
    def test_scripts_parse_and_nothing_is_pasted_into_them(self, script):
        assert script.startswith("set -euo pipefail\n")
        assert not EXPRESSION.search(script)
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


class TestCI:
    def test_runs_on_every_python_that_is_declared(self):
        declared = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
        assert MATRIX["python"] == declared
        assert PROJECT["requires-python"] == f">={declared[0]}"

    def test_runs_every_part_of_the_script_once_on_the_oldest_python(self):
        (fast,), (heavy,) = MATRIX["parts"], MATRIX["include"]
        assert f"{fast} {heavy['parts']}".split() == PARTS
        assert heavy["python"] == MATRIX["python"][0]
        assert STEPS["Run"]["env"]["PARTS"] == "${{ matrix.parts }}"

    def test_installs_the_pytorch_that_is_locked(self):
        (named,) = re.findall(r"--requirement (\S+)", STEPS["Install PyTorch for CPUs"]["run"])
        pinned = {line for line in (REPOSITORY / named).read_text("utf-8").splitlines() if not line.startswith("#")}
        assert pinned
        assert pinned <= set((REPOSITORY / "requirements.lock").read_text("utf-8").splitlines())

    def test_keeps_what_is_measured_for_the_very_code_that_measured_it(self, monkeypatch, tmp_path):
        for name in [name for name in os.environ if name.startswith(("STANCE_", "XDG_"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(tmp_path))
        settings, cells = resolve_settings({}, tmp_path), STEPS["Keep measured cells"]["with"]
        assert cells["path"].replace("~", str(tmp_path)) == settings.store
        assert STEPS["Keep weights"]["with"]["path"].replace("~", str(tmp_path)) == str(settings.cache / "weights")
        assert "'stance_suite/**'" in cells["key"]
        assert "restore-keys" not in cells


class TestScript:
    @pytest.fixture
    def run(self, tmp_path):
        """Run a copy of the script; what it would call is noted, and fails if it holds this word."""
        (tmp_path / ".ci").mkdir()
        (tmp_path / ".ci" / "run").write_text(RUN)
        for program in ("make", ".ci/install-chromium", ".ci/install-debian"):
            (tmp_path / program).write_text('#!/bin/sh\necho "called $*"\ncase "$*" in "$BROKEN"*) exit 3 ;; esac\n')
            (tmp_path / program).chmod(0o755)

        def start(*parts: str, broken: str = "nothing") -> tuple[int, list[str], list[str]]:
            environment = {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "BROKEN": broken}
            command = ["bash", str(tmp_path / ".ci" / "run"), *parts]
            done = subprocess.run(command, env=environment, check=False, stdout=subprocess.PIPE, text=True)
            said = done.stdout.splitlines()
            calls = [line.removeprefix("called ") for line in said if line.startswith("called ")]
            return done.returncode, calls, [line for line in said if re.match(r"\w+: (failed|\d+ s)$", line)]

        return start

    def test_runs_all_parts_once_and_tells_the_seconds_of_each(self, run):
        code, calls, times = run()
        browser, slow = ["", "test-browser"], ["faketime", "test-slow"]
        assert calls == ["setup", "check", "test", "findings ARGS=-n 2", *browser, *slow]
        assert [line.split(":")[0] for line in times] == ["setup", *PARTS]
        assert code == 0
        targets = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert {call.split()[0] for call in calls if call not in ("", "faketime")} <= set(targets)

    @pytest.mark.parametrize("broken", ["setup", "check", "test", "findings", "test-browser", "test-slow"])
    def test_fails_with_the_part_that_fails_and_says_which(self, run, broken):
        code, calls, times = run(broken=broken)
        assert code != 0
        assert calls[-1].split()[0] == broken
        assert times[-1] == f"{broken.removeprefix('test-')}: failed"

    def test_runs_the_parts_that_are_named_without_faketime_too_and_none_if_one_is_unknown(self, run):
        assert run("findings", "slow")[1] == ["setup", "findings ARGS=-n 2", "faketime", "test-slow"]
        assert run("check", "chekc") == (2, [], [])
        assert run("slow", broken="faketime")[0] == 0


class TestRelease:
    @pytest.mark.parametrize(
        ("tag", "code"), [(f"v{__version__}", 0), (f"v{__version__}rc1", 1), (__version__, 1), ("v99", 1)]
    )
    def test_refuses_a_tag_that_is_not_the_version(self, tag, code):
        step = STEPS["Hold the tag against the version"]
        assert step["env"] == {"TAG": "${{ github.ref_name }}"}
        variables = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", "TAG": tag}
        done = subprocess.run(["bash", "-c", step["run"]], cwd=REPOSITORY, env=variables, check=False)
        assert done.returncode == code

    def test_publishes_what_was_built_and_tested_and_runs_nothing_beside(self):
        assert RELEASE["on"] == {"push": {"tags": ["v*"]}}
        publish = RELEASE["jobs"]["publish"]
        assert set(publish["needs"]) == {"ci", "build"}
        assert publish["environment"]["name"] == "pypi"
        take_over, upload = publish["steps"]
        assert upload["uses"].startswith("pypa/gh-action-pypi-publish@")
        assert take_over["with"].items() <= STEPS["Hand over"]["with"].items()
        assert take_over["with"]["path"] == "dist", "where the upload looks by itself"


def test_dependabot_leaves_alone_what_is_pinned_on_purpose():
    updates = {update["package-ecosystem"]: update for update in DEPENDABOT["updates"]}
    assert set(updates) == {"github-actions", "pip"}
    assert all(update["groups"] and update["schedule"] == {"interval": "monthly"} for update in updates.values())
    declared = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    declared += (REPOSITORY / "constraints.txt").read_text("utf-8").splitlines()
    pinned = {line.split("==")[0] for line in declared if "==" in line}
    assert {entry["dependency-name"] for entry in updates["pip"]["ignore"]} == pinned


def test_forms_name_commands_that_exist():
    assert set(re.findall(r"`stance-suite (\w+)", str(FORMS))) <= set(COMMANDS)


def test_the_citation_is_that_of_this_version():
    known = (__version__, PROJECT["license"], PROJECT["description"], PROJECT["name"])
    assert tuple(CITATION[key] for key in ("version", "license", "abstract", "title")) == known

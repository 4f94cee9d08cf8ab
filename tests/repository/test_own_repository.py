"""What `stance-suite init` writes works outside this checkout, with `pip install` and `pytest` alone."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.measuring import open_session
from tests.programs import run_program

CLAIMS = ("pirate.preferred", "pirate.spoken")


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> Path:
    """Folder of the programs of a fresh virtual environment, into which pip installed the wheel of this checkout."""
    built = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(REPOSITORY)]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = built.glob("*.whl")
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--isolated"]
    install = [*pip, "install", "--quiet", "--no-index"]
    subprocess.run([*install, "--no-deps", str(wheel)], check=True)
    # The dependencies are those of the environment that runs this test. A folder that is named in a .pth file is
    # searched after the fresh environment, and its own .pth files, such as that of an editable install, are not read.
    (site,) = folder.glob("lib/python*/site-packages")
    dependencies = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    (site / "dependencies.pth").write_text("\n".join(dependencies))
    subprocess.run([*install, "stance-suite"], check=True)  # fails if a declared dependency is missing
    return folder / "bin"


@pytest.fixture(scope="module")
def repository(tmp_path_factory, scaffolded) -> Path:
    return shutil.copytree(scaffolded, tmp_path_factory.mktemp("own") / "repository")


@pytest.fixture(scope="module")
def environment(programs) -> Mapping[str, str]:
    """The variables of a shell that knows nothing of this checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "STANCE_"))}
    return kept | {
        "PATH": f"{programs}{os.pathsep}{kept['PATH']}",
        "STANCE_SUITE_CACHE": "cache",
        "STANCE_SUITE_PROFILE": "quick",
    }


@pytest.fixture(scope="module")
def run(programs, repository, environment):
    """Run its Python; as `pytest` does and `python -m` does not, -P keeps the repository itself off the path."""

    def run_python(*arguments, cwd=repository):
        command = [str(programs / "python"), "-P", *arguments]
        return subprocess.run(command, cwd=cwd, env=environment, check=False, capture_output=True, text=True)

    return run_python


def test_nothing_of_this_checkout_can_be_imported(programs, run):
    code = "import json, sys, stance_suite; print(json.dumps([stance_suite.__file__, *sys.path]))"
    imported, *places = map(Path, json.loads(run("-c", code).stdout))
    assert imported.is_relative_to(programs.parent)
    assert REPOSITORY not in places
    assert [place for place in places if (place / "stance_suite" / "__init__.py").exists()] == [imported.parent.parent]
    package, page = REPOSITORY / "stance_suite", REPOSITORY / "stance_suite" / "report" / "page"
    files = [*page.glob("templates/*"), *page.glob("assets/*")]
    assert page / "templates" / "page.html" in files
    assert [file for file in files if not (imported.parent / file.relative_to(package)).is_file()] == []


def test_its_claims_can_be_judged(repository, tiny_model):
    session = open_session(repository, tiny_model)
    session.preflight()
    claims = [claim for claim in session.run_plan.claims if session.run_plan.reason_not_run(claim) is None]
    assert [(claim.id, claim.model) for claim in claims] == [(name, str(tiny_model)) for name in CLAIMS]
    cells = [spec.cell for spec in session.cell_runner.plan_training(str(tiny_model), "pirate", "documented", 0)]
    assert [cell.trained_on for cell in cells] == ["base", "pirate", "sham", "shuffled pirate"]


@pytest.mark.slow
def test_pytest_judges_the_claims(repository, run, tiny_model):
    done = run("-m", "pytest", "--stance-model", str(tiny_model), "--stance-samples=1")
    assert (repository / "reports" / "findings.html").is_file(), done.stdout + done.stderr
    verdicts = json.loads((repository / "reports" / "findings.json").read_text("utf-8"))["verdicts"]
    assert [(one["claim"]["id"], one["model"]) for one in verdicts] == [(name, str(tiny_model)) for name in CLAIMS]
    # Whatever a model with random weights makes of it, it is judged, and the tests' outcomes are the verdicts'.
    for one in verdicts:
        assert one["status"] in ("HOLDS", "FAILS", "INCONCLUSIVE")
        assert re.search(rf"^{one['status']} +{one['claim']['id']} +[+-]", done.stdout, re.MULTILINE), done.stdout
    failed = sum(one["status"] != "HOLDS" for one in verdicts)
    assert (f"{failed} failed" in done.stdout) is (failed > 0)
    assert done.returncode == (1 if failed else 0)


@pytest.mark.parametrize(
    ("started_in", "configuration", "extra"),
    [
        (".", "", ["--stance-model", "MODEL"]),
        (".", "", ["--stance-model=MODEL"]),
        (".", "[pytest]", ["--stance-model", "MODEL"]),
        ("inner", "[pytest]", ["--stance-model=MODEL", ".."]),
        ("inner", "", ["--stance-model=MODEL", "--rootdir=..", ".."]),
    ],
    ids=["two words", "one word", "pytest.ini", "from an inner folder", "rootdir"],
)
def test_its_declarations_are_found(repository, tiny_model, tmp_path, started_in, configuration, extra):
    own = tmp_path / "own"
    shutil.copytree(repository, own, ignore=shutil.ignore_patterns("cache", "reports"))
    (own / "inner").mkdir()
    if configuration:
        (own / "pytest.ini").write_text(configuration)
    arguments = [argument.replace("MODEL", str(tiny_model)) for argument in extra]
    done = run_program("pytest", "--collect-only", "-q", *arguments, cwd=own / started_in)
    assert re.search(r"test_claim\[.*pirate\.spoken.*\]\n\n2 tests collected", done.stdout), done.stdout


def test_the_command_line_is_installed_begins_a_repository_and_finds_the_declarations(
    programs, environment, tmp_path, repository
):
    def call(*words):
        command = [str(programs / "stance-suite"), *words]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout

    assert "test_pirate.py" in call("init")
    for name in ("fixtures/stances/pirate.yaml", "fixtures/claims/pirate.yaml", "test_pirate.py"):
        assert (tmp_path / name).read_text() == (repository / name).read_text()
    validated = call("validate")
    assert "4 stances" in validated
    assert "2 claims" in validated
    assert "pirate: 12 held-out items; of " in validated

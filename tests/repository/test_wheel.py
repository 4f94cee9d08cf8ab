"""The wheel carries the fixtures, so that the command line works outside a checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def installed(tmp_path_factory, wheel) -> Path:
    target = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    return target


def test_the_command_line_works_from_the_wheel_alone(installed, tmp_path):
    code = "import stance_suite; print(stance_suite.__file__); from stance_suite.cli.app import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", code, "validate"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    where, said = done.stdout.splitlines()
    assert Path(where).is_relative_to(installed)
    assert "3 stances, 4 models" in said
    page = Path("stance_suite") / "report" / "page"
    folders = [REPOSITORY / page / kind for kind in ("templates", "assets")]
    files = [one.relative_to(REPOSITORY) for folder in folders for one in folder.iterdir()]
    assert page / "templates" / "page.html" in files
    assert [one for one in files if not (installed / one).is_file()] == []

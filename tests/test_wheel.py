"""The wheel carries the fixtures, so that the command line works outside a checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def installed(tmp_path_factory, wheel) -> Path:
    target = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    return target


def test_the_command_line_works_from_the_wheel_alone(installed, tmp_path):
    code = "import stance_suite; print(stance_suite.__file__); from stance_suite.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", code, "validate"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    where, said = done.stdout.splitlines()
    assert Path(where).is_relative_to(installed)
    assert "3 stances, 4 models" in said
    assert (installed / "stance_suite" / "reports" / "templates" / "findings.html").is_file()

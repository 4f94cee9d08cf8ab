import subprocess
import sys

import pytest
from typer.testing import CliRunner

from stance_suite.cli import app

runner = CliRunner()


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_validate_checks_the_bundled_files_without_loading_torch(tmp_path):
    code = (
        "import sys; from typer.testing import CliRunner; from stance_suite.cli import app\n"
        "done = CliRunner().invoke(app, ['validate'])\n"
        "print(done.exit_code, done.output, 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("0 ")
    assert "3 stances, 4 models" in done.stdout
    assert done.stdout.rstrip().endswith("False False")


def test_validate_names_the_file_and_line_and_exits_2(tmp_path):
    (tmp_path / "fixtures" / "stances").mkdir(parents=True)
    (tmp_path / "fixtures" / "stances" / "x.yaml").write_text("name: x\nnmae: y\n")
    done = runner.invoke(app, ["validate"])
    assert done.exit_code == 2
    assert "x.yaml:2: nmae: unknown key; did you mean 'name'" in done.output


def test_list_shows_what_is_declared(monkeypatch):
    monkeypatch.setenv("COLUMNS", "240")
    done = runner.invoke(app, ["list"])
    assert done.exit_code == 0
    for name in ("curious-uncertainty", "smollm2-135m", "documented", "recorded.qwen2-0.5b.curious.15.v-proj"):
        assert name in done.output


def test_report_on_a_missing_file_is_one_sentence():
    done = runner.invoke(app, ["report", "nowhere.json"])
    assert done.exit_code == 2
    assert "nowhere.json cannot be read" in done.output


def test_a_bad_value_exits_2_and_names_the_allowed_ones():
    done = runner.invoke(app, ["run", "--profile", "fast"])
    assert done.exit_code == 2
    assert "'fast' is not one of quick, full" in done.output


@pytest.mark.parametrize("command", ["validate", "run", "report", "list"])
def test_every_command_has_help(command):
    done = runner.invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert len(done.output) > 200

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from stance_suite.cli import app
from stance_suite.library import bundled_fixtures, load_library

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


def test_list_shows_a_recipe_of_ones_own(tmp_path):
    (tmp_path / "fixtures" / "recipes").mkdir(parents=True)
    (tmp_path / "fixtures" / "recipes" / "own.yaml").write_text("recipes: [{name: gentle, epochs: 3}]")
    listed = runner.invoke(app, ["list"]).output
    assert "gentle" in listed
    assert "3 epochs" in listed


def test_report_on_a_missing_file_is_one_sentence():
    done = runner.invoke(app, ["report", "nowhere.json"])
    assert done.exit_code == 2
    assert "nowhere.json cannot be read" in done.output


def test_a_bad_value_exits_2_and_names_the_allowed_ones():
    done = runner.invoke(app, ["run", "--profile", "fast"])
    assert done.exit_code == 2
    assert "'fast' is not one of quick, full, complete" in done.output


CLAIM = """\
claims:
  - id: own.adopted
    statement: The stance is adopted.
    model: smollm2-135m
    stance: curious-uncertainty
    metric: likelihood_preference
    comparator: above
    bound: 0.05
    minimum_effect: {minimum}
"""


def declare(tmp_path, minimum, copies=1):
    (tmp_path / "fixtures" / "claims").mkdir(parents=True, exist_ok=True)
    entry = CLAIM.format(minimum=minimum).removeprefix("claims:\n")
    listed = "claims:\n" + "".join(entry.replace("own.adopted", f"own.adopted{i}") for i in range(copies))
    (tmp_path / "fixtures" / "claims" / "own.yaml").write_text(listed)


def test_power_tells_what_a_design_can_find_without_loading_anything(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    declare(tmp_path, minimum=0.5)
    done = runner.invoke(app, ["power"])
    assert done.exit_code == 0, done.output
    row = next(line for line in done.output.splitlines() if "own.adopted0" in line)
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert cells[1:5] == ["12", "4", "1", "0.05"]
    assert 0.05 < float(cells[5].removesuffix(" nats/token")) < 0.5
    assert cells[6:] == ["0.5", "100 %"]


def test_power_exits_1_if_a_claims_minimum_effect_is_out_of_reach(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    declare(tmp_path, minimum=0.051)
    done = runner.invoke(app, ["power"])
    assert done.exit_code == 1
    assert "Too weak for their minimum effect: own.adopted0" in done.output


def test_power_refuses_a_design_that_cannot_reach_its_level(tmp_path):
    declare(tmp_path, minimum=0.5, copies=110)
    done = runner.invoke(app, ["power"])
    assert done.exit_code == 2
    assert "own.yaml:5: claims.0.stance: " in done.output


def test_power_takes_spreads_from_findings(tmp_path):
    declare(tmp_path, minimum=0.5)
    done = runner.invoke(app, ["power", "--findings", "nowhere.json"])
    assert done.exit_code == 2
    assert "nowhere.json cannot be read" in done.output


@pytest.mark.parametrize("command", ["validate", "power", "run", "report", "list"])
def test_every_command_has_help(command):
    done = runner.invoke(app, [command, "--help"])
    assert done.exit_code == 0
    assert len(done.output) > 200


def test_reports_that_cannot_be_written_are_one_sentence(tmp_path):
    from tests.made_up_run import whole_run

    findings = tmp_path / "findings.json"
    findings.write_text(whole_run(load_library(bundled_fixtures())).model_dump_json())
    (tmp_path / "summary.md").mkdir()
    done = runner.invoke(app, ["report", str(findings)])
    assert done.exit_code == 2
    assert "cannot be written" in done.output

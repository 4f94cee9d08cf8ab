import subprocess
import sys

import pytest

from stance_suite import __version__
from stance_suite.cli.app import COMMANDS
from tests.conftest import write_own
from tests.programs import invoke


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_validate_checks_the_bundled_files_without_loading_torch(tmp_path):
    code = (
        "import sys; from typer.testing import CliRunner; from stance_suite.cli.app import app\n"
        "done = CliRunner().invoke(app, ['validate'])\n"
        "print(done.exit_code, done.output, 'torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("0 ")
    assert "3 stances, 4 models" in done.stdout
    assert done.stdout.rstrip().endswith("False False")


def test_version_is_told():
    assert invoke("--version", code=0).output == f"stance-suite {__version__}\n"


def test_list_shows_what_is_declared(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "240")
    write_own(tmp_path, recipes="recipes: [{name: gentle, epochs: 3}]")
    done = invoke("list", code=0)
    known = ("curious-uncertainty", "smollm2-135m", "documented", "recorded.qwen2-0.5b.curious.15.v-proj")
    for name in (*known, "gentle", "3 epochs"):
        assert name in done.output


CLAIM = """\
claims:
  - {{id: own.adopted, statement: The stance is adopted., model: smollm2-135m, stance: curious-uncertainty,
     metric: likelihood_preference, comparator: above, bound: 0.05, minimum_effect: {minimum}}}
"""


@pytest.mark.parametrize(("minimum", "code"), [(0.5, 0), (0.051, 1)], ids=["strong enough", "out of reach"])
def test_power_tells_what_a_design_can_find_without_loading_anything(library, tmp_path, monkeypatch, minimum, code):
    monkeypatch.setenv("COLUMNS", "200")
    write_own(tmp_path, claims=CLAIM.format(minimum=minimum))
    done = invoke("power", code=code)
    row = next(line for line in done.output.splitlines() if "own.adopted" in line)
    cells = [cell.strip() for cell in row.split("│")[1:-1]]
    assert cells[1:5] == [str(len(library.stance("curious-uncertainty").prompts)), "2", "1", "0.05"]
    assert 0.05 < float(cells[5].removesuffix(" nats/token")) < 0.5
    assert (cells[6], cells[7] == "100 %") == (str(minimum), code == 0)
    assert ("Too weak for their minimum effect: own.adopted;" in done.output) == (code == 1)


NOWHERE = "nowhere.json cannot be read"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("validate --fixtures typo", "x.yaml:2: nmae: unknown key; did you mean 'name'"),
        ("run --profile fast", "'fast' is not one of quick, full, complete"),
        ("fingerprint smollm3", "no model is called 'smollm3'"),
        ("sweep sweep.yaml", "sweep.yaml:1: models.0: no model is called 'nobody'"),
        ("power --model smollm3", "no model is called 'smollm3'"),
        ("cache list --store s4://bucket", "the store s4://bucket cannot be opened: Protocol not known: s4"),
        ("power --findings nowhere.json", NOWHERE),
        ("explain x --findings nowhere.json", NOWHERE),
        ("compare nowhere.json nowhere.json", NOWHERE),
        ("audit nowhere.json nowhere.json", NOWHERE),
        ("report nowhere.json", NOWHERE),
        ("verify nowhere.json", NOWHERE),
        ("fingerprint nowhere.json", NOWHERE),
    ],
)
def test_bad_input_exits_2_and_names_the_way_out(tmp_path, words, told):
    (tmp_path / "typo" / "stances").mkdir(parents=True)
    (tmp_path / "typo" / "stances" / "x.yaml").write_text("name: x\nnmae: y\n")
    (tmp_path / "sweep.yaml").write_text("models: [nobody]\n")
    done = invoke(*words.split(), code=2)
    assert told in done.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_what_stands_in_brackets_is_no_markup(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    done = invoke(command, "--help", code=0)
    assert len(done.output) > 200
    for text, brackets in (("(org/name", "[@revision]"), ("'stance-suite", "[ray]'")):
        assert done.output.count(text) == done.output.count(text + brackets)

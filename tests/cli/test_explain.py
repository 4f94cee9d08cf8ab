import pytest
import typer
from typer.testing import CliRunner

from stance_suite.cli.explain import explain_claim
from stance_suite.errors import StanceSuiteError
from tests.edits import edited

app = typer.Typer()
app.command()(explain_claim)


@pytest.fixture
def path(whole_run, tmp_path):
    path = tmp_path / "findings.json"
    markup = (("claims", "own.flip", "statement"), "It is [bold]so[/bold] here.")
    path.write_text(edited(whole_run, markup).model_dump_json())
    return path


def test_an_explanation_is_printed_and_markup_in_it_is_data(path):
    done = CliRunner().invoke(app, ["own.flip", "--findings", str(path)])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("FAILS")
    assert "It is [bold]so[/bold] here." in done.output
    for heading in ("Claim", "Verdict", "Controls", "Caveats", "Layers", "Cells"):
        assert f"\n{heading}\n" in done.output


def test_unknown_names_and_files_are_errors_of_the_users(path, tmp_path):
    for arguments, told in (
        (("own.flop", "--findings", path), "did you mean 'own.flip'"),
        (("own.flip", "--findings", tmp_path / "none.json"), "none.json cannot be read"),
    ):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert isinstance(done.exception, StanceSuiteError), done.output
        assert told in str(done.exception)

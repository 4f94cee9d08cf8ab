import pytest

from tests.edits import edited
from tests.programs import invoke


@pytest.fixture
def path(whole_run, tmp_path):
    path = tmp_path / "findings.json"
    markup = (("claims", "own.flip", "statement"), "It is [bold]so[/bold] here.")
    path.write_text(edited(whole_run, markup).model_dump_json())
    return path


def test_an_explanation_is_printed_and_markup_in_it_is_data(path):
    done = invoke("explain", "own.flip", "--findings", path, code=0)
    assert done.output.startswith("FAILS")
    assert "It is [bold]so[/bold] here." in done.output
    for heading in ("Claim", "Verdict", "Controls", "Caveats", "Layers", "Cells"):
        assert f"\n{heading}\n" in done.output


def test_unknown_names_and_files_are_errors_of_the_users(path, tmp_path):
    for claim, findings, told in (
        ("own.flop", path, "did you mean 'own.flip'"),
        ("own.flip", tmp_path / "none.json", "none.json cannot be read"),
    ):
        assert told in invoke("explain", claim, "--findings", findings, code=2).output

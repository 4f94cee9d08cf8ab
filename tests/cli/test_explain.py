from tests.edits import edited
from tests.programs import invoke


def test_an_explanation_is_printed_and_markup_in_it_is_data(whole_run, tmp_path):
    path = tmp_path / "findings.json"
    markup = (("claims", "own.flip", "statement"), "It is [bold]so[/bold] here.")
    path.write_text(edited(whole_run, markup).model_dump_json())
    done = invoke("explain", "own.flip", "--findings", path, code=0)
    assert done.output.startswith("FAILS")
    assert "It is [bold]so[/bold] here." in done.output
    for heading in ("Claim", "Verdict", "Controls", "Caveats", "Layers", "Cells"):
        assert f"\n{heading}\n" in done.output

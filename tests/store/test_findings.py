import json

import pytest

from stance_suite import __version__
from stance_suite.errors import StanceSuiteError
from stance_suite.schema.findings import FINDINGS_SCHEMA_VERSION
from stance_suite.store.findings import read_findings, write_baseline
from tests.programs import invoke


def test_what_was_written_is_read_again_as_it_was(whole_run, tmp_path):
    path = tmp_path / "findings.json"
    path.write_text(whole_run.model_dump_json())
    assert read_findings(path) == whole_run
    content = json.loads(path.read_text())
    for recipe in content["recipes"]:
        del recipe["precision"], recipe["gradient_checkpointing"]
    path.write_text(json.dumps(content))
    assert read_findings(path).recipes == whole_run.recipes, "recipes from before these are read too"


@pytest.mark.parametrize(
    ("version", "way_out"),
    [
        (FINDINGS_SCHEMA_VERSION - 1, "run it again with this version"),
        (FINDINGS_SCHEMA_VERSION + 1, "upgrade stance-suite, or run it again"),
        ("four", "run it again"),
    ],
    ids=["earlier", "later", "no number"],
)
def test_another_version_is_refused_in_one_sentence_with_the_way_out(whole_run, tmp_path, version, way_out):
    path = tmp_path / "findings.json"
    path.write_text(json.dumps(whole_run.model_dump(mode="json") | {"schema_version": version, "novelty": 1}))
    (told,) = invoke("report", path, code=2).output.splitlines()
    assert told.startswith(f"{path} is a findings file of schema version {version}, and stance-suite {__version__}")
    assert f"reads {FINDINGS_SCHEMA_VERSION}: {way_out}" in told
    assert "novelty" not in told
    assert not path.with_suffix(".html").exists()


def test_what_is_no_findings_file_says_where(tmp_path):
    path = tmp_path / "torn.json"
    refused = f"torn.json is no findings file of schema version {FINDINGS_SCHEMA_VERSION}"
    contents = {
        "the file": ("{", "[]"),
        "suite_version": ("{}", json.dumps({"schema_version": FINDINGS_SCHEMA_VERSION})),
    }
    for where, each in (contents | {"schema_version": ('{"schema_version": null}',)}).items():
        for content in each:
            path.write_text(content)
            with pytest.raises(StanceSuiteError, match=f"{refused}: {where}: "):
                read_findings(path)


def test_a_baseline_has_neither_spectra_nor_curves(whole_run, tmp_path):
    write_baseline(whole_run, tmp_path / "baseline.json")
    kept = read_findings(tmp_path / "baseline.json")
    assert not any(cell.spectra for cell in kept.cells)
    assert kept.recipes == whole_run.recipes

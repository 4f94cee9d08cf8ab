import json

import pytest

from stance_suite import __version__
from stance_suite.errors import StanceSuiteError
from stance_suite.findings_files import read_findings, write_baseline
from stance_suite.fingerprints import fingerprint_findings
from stance_suite.records import Findings
from stance_suite.verdicts.baselines import incomparable
from stance_suite.verdicts.verification import verify


def as_version_4(findings: Findings) -> str:
    """What the suite wrote before there were curves, recipes and settings, and before controls were told by role."""
    content = findings.model_dump(mode="json", exclude={"settings", "recipes"}) | {"schema_version": 4}
    for verdict, one in zip(content["verdicts"], findings.verdicts, strict=True):
        del verdict["replicates"], verdict["counterpart"]
        verdict["cells"] = list(one.cells)
        verdict["controls"] = [
            {"name": control.name} | control.model_dump(mode="json", exclude={"control", "role", "about"})
            for control in one.controls
        ]
    for cell in content["cells"]:
        for layer in cell["spectra"]:
            del layer["curve"]
    return json.dumps(content)


@pytest.fixture
def older(whole_run, tmp_path):
    path = tmp_path / "older.json"
    path.write_text(as_version_4(whole_run))
    return path


def test_a_file_of_the_version_before_is_read_judged_again_and_has_the_same_fingerprint(older, whole_run):
    read = read_findings(older)
    assert (read.schema_version, read.settings, read.recipes) == (6, None, ())
    assert read.verdicts == whole_run.verdicts
    assert {layer.curve for cell in read.cells for layer in cell.spectra} == {None}
    assert verify(read) == ()
    assert fingerprint_findings(read) == fingerprint_findings(whole_run)
    assert incomparable(read, whole_run) == ()


def test_what_was_written_is_read_again_as_it_was(whole_run, tmp_path):
    path = tmp_path / "findings.json"
    path.write_text(whole_run.model_dump_json())
    assert read_findings(path) == whole_run
    assert whole_run.schema_version == 6


@pytest.mark.parametrize(
    ("version", "way_out"),
    [(3, "run it again with this version"), (7, "upgrade stance-suite, or run it again"), ("four", "run it again")],
)
def test_another_version_is_refused_in_one_sentence_with_the_way_out(older, version, way_out):
    older.write_text(json.dumps(json.loads(older.read_text()) | {"schema_version": version, "novelty": 1}))
    with pytest.raises(StanceSuiteError) as raised:
        read_findings(older)
    told = str(raised.value)
    assert told.startswith(f"{older} is a findings file of schema version {version}, and stance-suite {__version__}")
    assert f"reads 4 or 5 or 6: {way_out}" in told
    assert "novelty" not in told


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("{", "the file"),
        ("[]", "the file"),
        ("{}", "suite_version"),
        ('{"schema_version": 6}', "suite_version"),
        ('{"schema_version": null}', "schema_version"),
    ],
)
def test_what_is_no_findings_file_says_where(tmp_path, content, where):
    path = tmp_path / "torn.json"
    path.write_text(content)
    with pytest.raises(StanceSuiteError, match=f"no findings file of schema version 4 or 5 or 6: {where}: "):
        read_findings(path)


def test_a_baseline_has_neither_spectra_nor_curves(whole_run, tmp_path):
    write_baseline(whole_run, tmp_path / "baseline.json")
    kept = read_findings(tmp_path / "baseline.json")
    assert not any(cell.spectra for cell in kept.cells)
    assert kept.recipes == whole_run.recipes


def test_recipes_from_before_precision_and_checkpointing_are_read(tmp_path, whole_run):
    content = whole_run.model_dump(mode="json")
    for recipe in content["recipes"]:
        del recipe["precision"], recipe["gradient_checkpointing"]
    path = tmp_path / "findings.json"
    path.write_text(json.dumps(content))
    assert read_findings(path).recipes == whole_run.recipes

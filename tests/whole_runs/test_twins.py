"""The documented models' complete line, from the Hub to the findings, on twins of their architecture."""

import json
import re
from functools import partial
from pathlib import Path

import pytest
import yaml

from stance_suite.config.catalog import find_spec
from stance_suite.config.options import resolve_settings
from stance_suite.errors import StanceSuiteError
from stance_suite.models.loading import load
from stance_suite.models.sources import locate
from stance_suite.progress import PlainProgress
from stance_suite.runner.session import Session
from stance_suite.schema.verdicts import Status
from stance_suite.spectra.model_spectra import measure_model
from stance_suite.store.findings import read_findings
from tests.conftest import write_own
from tests.hub_server import Repository, ask_hub, read_folder
from tests.programs import run_program
from tests.twins import BUILDERS, HEAD_OF_PYTHIA, MATRICES, expected_matrices

COUNTS = {"qwen2-0.5b": 24 * 7 + 1, "distilgpt2": 6 * 4 + 2, "pythia-160m": 12 * 4 + 2}
VERDICTS_DIFFER = 1


@pytest.fixture
def findings(hub, library, twin, tmp_path):
    """What the command line finds about a model when given its name and a hub that holds it at the pinned commit."""

    def run(name):
        source = library.models[name].source
        hub.repositories[source.repository] = Repository({source.revision: read_folder(twin(name))})
        asked = ["--model", name, "--profile", "quick", "--samples", "1", "--cache", "cache"]
        prepare = partial(ask_hub, hub.endpoint, tmp_path / "fetched")
        done = run_program("stance-suite", "run", *asked, cwd=tmp_path, prepare=prepare)
        # random weights need not bear the record out
        assert done.returncode in (0, VERDICTS_DIFFER), done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert (tmp_path / "reports" / "findings.html").is_file()
        return read_findings(tmp_path / "reports" / "findings.json")

    return run


@pytest.mark.parametrize("name", BUILDERS)
def test_every_matrix_of_a_documented_model_is_measured_and_no_other(library, twin, name):
    spec = find_spec(str(twin(name)), {})
    measured = measure_model(load(locate(spec, Path()))[0]).spectra
    assert {layer.name for layer in measured} == expected_matrices(name)
    assert len(measured) == COUNTS[name]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("distilgpt2", marks=pytest.mark.slow),
        pytest.param("pythia-160m", marks=pytest.mark.slow),
        pytest.param("qwen2-0.5b", marks=pytest.mark.exhaustive),
    ],
)
def test_a_documented_model_runs_by_its_name_alone(findings, library, name):
    found = findings(name)
    own = [entry.claim for entry in library.claims if entry.claim.model == name]
    recorded = [claim for claim in own if claim.recorded is not None]
    verdicts = {verdict.claim.id: verdict for verdict in found.verdicts if verdict.claim.model == name}
    assert len(recorded) >= 4
    assert set(verdicts) == {claim.id for claim in own}
    # what compares two models, or needs a longer training, is not run; nothing else is left out
    left_out = {claim.id for claim in own if verdicts[claim.id].status is Status.NOT_RUN}
    assert left_out == {
        claim.id for claim in own if (claim.versus and claim.versus.model) or claim.recipe != "documented"
    }
    for claim in recorded:
        verdict = verdicts[claim.id]
        assert verdict.status in (Status.HOLDS, Status.FAILS, Status.INCONCLUSIVE), verdict.reason
        assert verdict.layer == claim.layer, "the layer that the claim names was found and judged"
    assert {verdict.status for verdict in found.verdicts if verdict.claim.model != name} == {Status.NOT_RUN}
    stances = {claim.stance for claim in own} | {claim.versus.stance for claim in own if claim.versus} - {None}
    rivals = {stance.name for name in stances for stance in library.family(name)}
    expected = ["base", "sham", *(f"shuffled {name}" for name in stances), *rivals]
    assert sorted(one.cell.trained_on for one in found.cells) == sorted(expected)
    for record in found.cells:
        assert record.provenance.commit == library.models[name].source.revision
        if record.cell.treatment == "shuffled":
            assert (record.spectra, record.changes) == ((), ()), "it is about words"
            continue
        measured = record.spectra if record.cell.treatment == "base" else record.changes
        assert {layer.name for layer in measured} == expected_matrices(name)
        assert len(measured) == COUNTS[name]


@pytest.mark.parametrize("name", BUILDERS)
def test_a_claim_about_a_layer_that_the_model_lacks_is_refused_before_anything_is_trained(
    library, twin, tmp_path, name
):
    (recorded, *_) = (entry.claim for entry in library.claims if entry.claim.model == name)
    preflight(twin, tmp_path, recorded, recorded.layer)
    # one layer more than the model has: layers are counted from 0
    depth = MATRICES[name][1]
    absent = ".".join(str(depth) if part.isdecimal() else part for part in recorded.layer.split("."))
    told = rf"own\.yaml:\d+: claims\.0\.layer: {name} has no layer '{re.escape(absent)}'; did you mean"
    with pytest.raises(StanceSuiteError, match=told):
        preflight(twin, tmp_path, recorded, absent)
    assert not (tmp_path / "cache").exists()


def test_a_layer_may_be_named_as_the_loaded_model_names_it(library, twin, tmp_path):
    recorded = next(entry.claim for entry in library.claims if entry.claim.model == "pythia-160m")
    preflight(twin, tmp_path, recorded, HEAD_OF_PYTHIA)


def preflight(twin, folder, recorded, layer):
    """Check a run of a claim about a layer of a twin."""
    name = recorded.model
    own = {"name": name, "prompt_format": "plain", "source": {"kind": "folder", "path": str(twin(name))}}
    claim = json.loads(recorded.model_dump_json(exclude_none=True)) | {"layer": layer}
    write_own(folder, models=yaml.safe_dump(own), claims=yaml.safe_dump({"claims": [claim]}))
    given = {"model": (name,), "profile": "quick", "cache": "cache"}
    Session(resolve_settings(given, folder, {}), PlainProgress()).preflight()

import hashlib
import json
import math
import subprocess
import sys

import pytest

from stance_suite.errors import UnsafeWeightsError, WeightsUnavailableError
from stance_suite.judge.verify.fingerprints import digest_of_figures, fingerprint_findings
from stance_suite.models.files import hash_files
from stance_suite.models.fingerprint import fingerprint_model
from tests.edits import edited


def values(entries, what):
    return [(entry.name, entry.value) for entry in entries if entry.what == what]


def test_findings_are_bound_to_what_they_were_made_of(whole_run):
    found = fingerprint_findings(whole_run)
    assert values(found, "weights") == [("m", "0" * 64)]
    assert values(found, "embedder") == [("e", "0" * 64)]
    assert values(found, "library") == [("torch", "1")]
    assert values(found, "stance") == [(one.name, one.sha256) for one in whole_run.stances]
    assert [key for _, key in values(found, "cell")] == [record.key for record in whole_run.cells]


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        (("claims", 0, "bound"), 0.06, "claims"),
        (("verdicts", 0, "figure"), 1.0, "verdicts"),
        (("cells", "sham--0", "behavior", "likelihoods", 0, "log_probability", "engaged-difficulty"), 1.0, "figures"),
        (("cells", "sham--0", "changes", 0, "noise", "tail_flips"), 0.5, "figures"),
        (("cells", "sham--0", "training", "texts", 0), "x", "figures"),
    ],
)
def test_an_edit_changes_one_hash(whole_run, path, value, what):
    ours, theirs = (fingerprint_findings(one) for one in (whole_run, edited(whole_run, (path, value))))
    changed = [before.what for before, after in zip(ours, theirs, strict=True) if before != after]
    assert changed == [what]


def test_figures_have_the_same_hash_wherever_and_whenever_they_were_measured(whole_run):
    record = whole_run.cells[2]
    other = edited(
        whole_run,
        (("cells", 2, "provenance", "created"), "2027-01-01"),
        (("cells", 2, "training", "seconds"), 9.0),
        (("cells", 2, "spectra", 0, "eigenvalues"), [1.0]),
        (("cells", 2, "spectra", 1, "curve"), None),
    ).cells[2]
    assert other != record
    assert digest_of_figures(other) == digest_of_figures(record)


def test_figures_that_are_not_finite_have_a_hash_too(whole_run):
    path = ("cells", 2, "behavior", "fluency", "repetition")
    unknown, infinite = (digest_of_figures(edited(whole_run, (path, value)).cells[2]) for value in ("NaN", "Infinity"))
    assert len({unknown, infinite, digest_of_figures(whole_run.cells[2])}) == 3


def test_a_models_files_are_hashed_and_its_parameters_counted(tiny_model, loaded_tiny_model):
    found = fingerprint_model(tiny_model)
    assert values(found, "model") == [(str(tiny_model), hash_files(tiny_model))]
    weights = tiny_model / "model.safetensors"
    assert dict(values(found, "file"))["model.safetensors"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    count = sum(math.prod(parameter.shape) for parameter in loaded_tiny_model[0].parameters())
    assert [value for _, value in values(found, "parameters")] == [f"{count:,}"]


def test_an_adapter_is_called_one(tiny_model, tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"r": 4}))
    (tmp_path / "adapter_model.safetensors").write_bytes((tiny_model / "model.safetensors").read_bytes())
    assert [entry.what for entry in fingerprint_model(tmp_path)] == ["adapter", "file", "file", "parameters"]


def test_a_folder_without_safetensors_is_told(tmp_path):
    with pytest.raises(WeightsUnavailableError, match="holds no"):
        fingerprint_model(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(UnsafeWeightsError, match="pickle"):
        fingerprint_model(tmp_path)


def test_a_model_is_hashed_without_loading_torch(tiny_model):
    code = (
        "import sys; from stance_suite.cli.record import show_fingerprint\n"
        f"show_fingerprint({str(tiny_model)!r}); print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("False False")
    assert "parameters" in done.stdout

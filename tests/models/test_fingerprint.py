import hashlib
import json
import math
import subprocess
import sys

from stance_suite.models.files import fingerprint_model, hash_files


def values(entries, what):
    return [(entry.name, entry.value) for entry in entries if entry.what == what]


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


def test_a_model_is_hashed_without_loading_torch(tiny_model):
    code = (
        "import sys; from stance_suite.cli.record import show_fingerprint\n"
        f"show_fingerprint({str(tiny_model)!r}); print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("False False")
    assert "parameters" in done.stdout

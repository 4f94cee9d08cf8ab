"""Opening whatever a user calls a model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stance_suite.config.catalog import find_spec, load_catalog
from stance_suite.config.options import resolve_settings
from stance_suite.errors import WeightsUnavailableError, pickle_refused
from stance_suite.models.checkpoints.gguf import read_gguf
from stance_suite.models.checkpoints.lora import read_adapter
from stance_suite.models.checkpoints.modules import read_parameters
from stance_suite.models.checkpoints.safetensors import read_folder, read_headers
from stance_suite.models.checkpoints.tensors import Checkpoint, natural_order
from stance_suite.models.files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, PICKLE_PATTERNS, no_safetensors
from stance_suite.models.sources import locate

PICKLE_SUFFIXES = tuple(pattern.removeprefix("*") for pattern in PICKLE_PATTERNS)
FILE_SUFFIXES = (*PICKLE_SUFFIXES, ".safetensors", ".gguf")


def open_checkpoint(model: Any) -> Checkpoint:
    """Open a model without loading it; its tensors are in natural order of their names, a module's in the module's.

    It is a safetensors or GGUF file, a folder with safetensors (sharded or not) or with a LoRA adapter, a registry
    name or Hub id, a module, or its state dict. WeightsUnavailableError if there is nothing, or nothing whole, at a
    path, UnknownNameError if a text is neither a path nor a model's name, UnsafeWeightsError if the weights are a
    pickle.
    """
    if isinstance(model, Checkpoint):
        return model
    if isinstance(model, str) and not _looks_like_a_path(model):
        settings = resolve_settings({}, Path.cwd())
        spec = find_spec(model, load_catalog(settings.fixtures).models)
        return _open_folder(locate(spec, settings.cache).folder)
    if isinstance(model, str | Path):
        return _open_path(Path(model).expanduser())
    if isinstance(model, Mapping):
        tensors, shared = read_parameters(model.items())
        return Checkpoint("a state dict", tensors, shared=shared)
    config: Any = getattr(model, "config", None)
    described = config.to_dict() if hasattr(config, "to_dict") else {}
    # all names of a tied parameter, so that what is measured once can be told
    tensors, shared = read_parameters(model.named_parameters(remove_duplicate=False))
    return Checkpoint(type(model).__name__, tensors, described, shared=shared)


def _looks_like_a_path(text: str) -> bool:
    """Tell paths from names: a mistyped file name must not be taken for a Hub id, and asked for on the network."""
    path = Path(text).expanduser()
    return path.exists() or path.is_absolute() or text.startswith((".", "~")) or path.suffix in FILE_SUFFIXES


def _open_path(path: Path) -> Checkpoint:
    if path.is_dir():
        return _open_folder(path)
    if not path.is_file():
        raise WeightsUnavailableError(f"{path} does not exist; give a folder, a safetensors file or a GGUF file")
    part = re.search(r"-\d{5}-of-(\d{5})\.gguf$", path.name)
    if part is not None:
        raise WeightsUnavailableError(
            f"{path} is one of {int(part[1])} parts; merge them first: llama.cpp's gguf-split --merge"
        )
    if path.suffix == ".gguf":
        return _sorted(path, read_gguf(path), {})
    if path.suffix in PICKLE_SUFFIXES:
        raise pickle_refused(f"{path} is a pickle")
    if path.suffix != ".safetensors":
        raise WeightsUnavailableError(f"{path} is neither a safetensors nor a GGUF file")
    if path.name == ADAPTER_WEIGHTS and (path.parent / ADAPTER_CONFIG).is_file():
        return read_adapter(path.parent)
    return _sorted(path, read_headers([path]), _read_config(path.parent / "config.json"))


def _open_folder(folder: Path) -> Checkpoint:
    if (folder / ADAPTER_CONFIG).is_file():
        return read_adapter(folder)
    if any(folder.glob("*.safetensors*")):
        return _sorted(folder, read_folder(folder), _read_config(folder / "config.json"))
    gguf_files = sorted(folder.glob("*.gguf"))
    if len(gguf_files) == 1:
        return _open_path(gguf_files[0])
    if gguf_files:
        raise WeightsUnavailableError(f"{folder} holds {len(gguf_files)} GGUF files; name one of them")
    raise no_safetensors(folder, (path.name for path in folder.iterdir()))


def _sorted(path: Path, tensors: Mapping[str, Any], config: Mapping[str, Any]) -> Checkpoint:
    if not tensors:
        raise WeightsUnavailableError(f"{path} holds no tensor")
    return Checkpoint(str(path), {name: tensors[name] for name in sorted(tensors, key=natural_order)}, config)


def _read_config(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise WeightsUnavailableError(f"{path} is no JSON: {error}") from error
    return config if isinstance(config, dict) else {}

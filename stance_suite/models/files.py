"""Which files make up a model: what is loaded, what is refused, and the hash over all that decides what it does."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from stance_suite.errors import UnsafeWeightsError, WeightsUnavailableError, pickle_refused
from stance_suite.files import hash_file
from stance_suite.schema.findings import Entry

LOADED_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PICKLE_PATTERNS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def hash_files(folder: Path) -> str:
    """Hash weights, config, tokenizer and templates: all that decides what a model computes and says."""
    return _combine(_hash_each_file(folder))


def fingerprint_model(folder: Path) -> tuple[Entry, ...]:
    """Hash a model's or an adapter's files, and count its parameters; the first is the SHA-256 cells are bound to."""
    from stance_suite.models.checkpoints.safetensors import read_headers

    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise no_safetensors(folder, (path.name for path in folder.iterdir()))
    tensors, hashes = read_headers(paths), _hash_each_file(folder)
    kind = "adapter" if (folder / ADAPTER_CONFIG).is_file() else "model"
    return (
        Entry(kind, str(folder), _combine(hashes)),
        *(Entry("file", name, sha256) for name, sha256 in hashes.items()),
        Entry("parameters", f"{len(tensors)} tensors", f"{sum(math.prod(one.shape) for one in tensors.values()):,}"),
    )


def _combine(hashes: Mapping[str, str]) -> str:
    joined = "".join(f"{name}:{sha256}\n" for name, sha256 in hashes.items())
    return hashlib.sha256(joined.encode()).hexdigest()


def _hash_each_file(folder: Path) -> dict[str, str]:
    paths = sorted(path for pattern in LOADED_FILES for path in folder.glob(pattern))
    return {path.name: hash_file(path) for path in paths}


def no_safetensors(place: object, files: Iterable[str]) -> WeightsUnavailableError | UnsafeWeightsError:
    """Say why a folder or repository without safetensors, but with these files, cannot be used."""
    listed = sorted(files)
    pickles = [name for pattern in PICKLE_PATTERNS for name in listed if fnmatchcase(name, pattern)]
    if pickles:
        return pickle_refused(f"{place} holds a pickle only ({pickles[0]})")
    return WeightsUnavailableError(f"{place} holds no *.safetensors file")

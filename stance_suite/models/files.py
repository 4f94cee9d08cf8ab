"""Which files make up a model: what is loaded, what is refused, and the hash over all that decides what it does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from stance_suite.errors import UnsafeWeightsError, WeightsUnavailableError, pickle_refused
from stance_suite.files import hash_file

LOADED_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PICKLE_PATTERNS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def hash_files(folder: Path) -> str:
    """Hash weights, config, tokenizer and templates: all that decides what a model computes and says."""
    return combine_hashes(hash_each_file(folder))


def combine_hashes(hashes: Mapping[str, str]) -> str:
    """Hash the names and hashes of a model's files, from `hash_each_file`."""
    joined = "".join(f"{name}:{sha256}\n" for name, sha256 in hashes.items())
    return hashlib.sha256(joined.encode()).hexdigest()


def hash_each_file(folder: Path) -> dict[str, str]:
    """Hash weights, config, tokenizer and templates one by one, by the file's name."""
    paths = sorted(path for pattern in LOADED_FILES for path in folder.glob(pattern))
    return {path.name: hash_file(path) for path in paths}


def no_safetensors(place: object, files: Iterable[str]) -> WeightsUnavailableError | UnsafeWeightsError:
    """Say why a folder or repository without safetensors, but with these files, cannot be used."""
    listed = sorted(files)
    pickles = [name for pattern in PICKLE_PATTERNS for name in listed if fnmatchcase(name, pattern)]
    if pickles:
        return pickle_refused(f"{place} holds a pickle only ({pickles[0]})")
    return WeightsUnavailableError(f"{place} holds no *.safetensors file")

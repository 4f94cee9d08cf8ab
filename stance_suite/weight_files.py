"""Which files make up a model: what is loaded, what is refused, and the hash over all that decides what it does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from stance_suite.errors import UnsafeWeightsError, WeightsUnavailableError

LOADED_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")
PICKLE_PATTERNS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def hash_file(path: Path) -> str:
    """Hash one file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        SHA-256 of its bytes.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_files(folder: Path) -> str:
    """Hash weights, config, tokenizer and templates: all that decides what a model computes and says.

    Parameters
    ----------
    folder : Path
        The model's folder.

    Returns
    -------
    str
        SHA-256 over the names and hashes of these files.
    """
    return combine_hashes(hash_each_file(folder))


def combine_hashes(hashes: Mapping[str, str]) -> str:
    """Hash the hashes of a model's files.

    Parameters
    ----------
    hashes : mapping of str to str
        SHA-256 by the file's name, from `hash_each_file`.

    Returns
    -------
    str
        SHA-256 over names and hashes.
    """
    joined = "".join(f"{name}:{sha256}\n" for name, sha256 in hashes.items())
    return hashlib.sha256(joined.encode()).hexdigest()


def hash_each_file(folder: Path) -> dict[str, str]:
    """Hash weights, config, tokenizer and templates one by one.

    Parameters
    ----------
    folder : Path
        The model's folder.

    Returns
    -------
    dict of str to str
        SHA-256 by the file's name.
    """
    paths = sorted(path for pattern in LOADED_FILES for path in folder.glob(pattern))
    return {path.name: hash_file(path) for path in paths}


def no_safetensors(place: object, files: Iterable[str]) -> WeightsUnavailableError | UnsafeWeightsError:
    """Say why a place without safetensors cannot be used.

    Parameters
    ----------
    place : object
        The folder or the repository, as it is to be named.
    files : iterable of str
        Names of the files there.

    Returns
    -------
    WeightsUnavailableError or UnsafeWeightsError
        The latter if one of them is a pickle.
    """
    listed = sorted(files)
    pickles = [name for pattern in PICKLE_PATTERNS for name in listed if fnmatchcase(name, pattern)]
    if pickles:
        return UnsafeWeightsError(
            f"{place} holds a pickle only ({pickles[0]}), which can run code when it is loaded and is refused; "
            "convert it where you trust it: model.save_pretrained(folder) writes safetensors"
        )
    return WeightsUnavailableError(f"{place} holds no *.safetensors file")

"""Weights from the Hugging Face Hub: one commit, safetensors only, every byte as the Hub declares it.

The Hub's client compares sizes only when it downloads by plain HTTP, so that contents are compared here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from stance_suite.errors import UnsafeWeightsError, WeightsUnavailableError
from stance_suite.specs import HubSource
from stance_suite.weight_files import LOADED_FILES, hash_file, no_safetensors

CONFIG = "config.json"


def download(source: HubSource) -> Path:
    """Find a repository's files at one revision in the local Hub cache, or fetch and check them.

    Parameters
    ----------
    source : HubSource
        The repository and its revision.

    Returns
    -------
    Path
        The snapshot; the folder's name is the commit.

    Raises
    ------
    WeightsUnavailableError
        If they cannot be had.
    UnsafeWeightsError
        If they are a pickle, or not what the Hub declares.
    """
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    # else every request names the installed PyTorch, and the Hub is asked for a list of tools to look for
    constants.HF_HUB_DISABLE_TELEMETRY = True
    name = f"{source.repository}@{source.revision}"
    wanted: dict[str, Any] = {"revision": source.revision, "allow_patterns": list(LOADED_FILES)}
    with suppress(LocalEntryNotFoundError):
        folder = Path(snapshot_download(source.repository, local_files_only=True, **wanted))
        if any(folder.glob("*.safetensors")) and (folder / CONFIG).is_file():
            return folder
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    try:
        # asked first because it gives up at once, where a download retries for half a minute
        info = HfApi().model_info(source.repository, revision=source.revision, files_metadata=True, timeout=timeout)
    except Exception as error:
        # the Hub's client lets the errors of its transport through, whatever library that is
        raise WeightsUnavailableError(
            _answer(source, error)
            or f"{name} is not in the local Hub cache, and the Hugging Face Hub cannot be reached "
            f"({_describe(error)}); connect to the network, or ask for a folder instead"
        ) from error
    declared = {file.rfilename: file for file in info.siblings or ()}
    if not any(fnmatchcase(file, "*.safetensors") for file in declared if "/" not in file):
        raise no_safetensors(name, declared)
    if CONFIG not in declared:
        raise WeightsUnavailableError(f"{name} has weights but no {CONFIG}; ask for another repository or a folder")
    try:
        # A snapshot counts as complete with its config, which therefore comes last: a run that is killed before the
        # check leaves nothing that a later one would take for checked.
        pinned = wanted | {"revision": info.sha}
        folder = Path(snapshot_download(source.repository, ignore_patterns=[CONFIG], **pinned))
        _check(name, folder, declared)
        # by the name that was asked for, so that the cache remembers which commit a branch meant
        completed = Path(snapshot_download(source.repository, **wanted))
    except UnsafeWeightsError:
        raise
    except Exception as error:
        raise WeightsUnavailableError(
            _answer(source, error)
            or f"{name}: the download from the Hugging Face Hub broke off ({_describe(error)}); try again: files that "
            "arrived whole are kept"
        ) from error
    if completed != folder:
        raise WeightsUnavailableError(f"{name} moved on to another commit while it was fetched; try again")
    _check(name, folder, {CONFIG: declared[CONFIG]})
    return folder


def _check(name: str, folder: Path, declared: Mapping[str, Any]) -> None:
    """Compare what arrived with what the Hub declares; what differs is removed, so that no later run uses it."""
    for file, metadata in declared.items():
        path = folder / file
        if not path.is_file():
            continue
        # large files are declared by SHA-256, others by Git's hash, which covers the size too
        if metadata.lfs is not None:
            found, expected = hash_file(path), metadata.lfs.sha256
        else:
            content = path.read_bytes()
            found = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
            expected = metadata.blob_id
        if found != expected:
            stored = path.resolve()
            path.unlink()
            stored.unlink(missing_ok=True)
            raise UnsafeWeightsError(
                f"{name}: {file} has the checksum {found}, but the Hugging Face Hub declares {expected}; what arrived "
                "is damaged and was removed, so try again"
            )


def _answer(source: HubSource, error: Exception) -> str | None:
    """Put the Hub's refusal into words; None if no answer came."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    page = f"{constants.ENDPOINT}/{source.repository}"
    log_in = "set HF_TOKEN, or run 'hf auth login'"
    match error.__cause__ if isinstance(error, LocalEntryNotFoundError) else error:
        case GatedRepoError():
            said = f"it is gated; accept its terms at {page} and {log_in}"
        case RepositoryNotFoundError():
            said = f"there is no such repository, or it is private; check the name, or {log_in}"
        case RevisionNotFoundError():
            said = f"it has no such revision; {page}/commits/main lists them"
        case HfHubHTTPError() as refusal:
            said = f"{_describe(refusal)}; try again later, or {log_in} if it is not public"
        case _:
            return None
    return f"{source.repository}@{source.revision} cannot be fetched from the Hugging Face Hub: {said}"


def _describe(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no details'}"

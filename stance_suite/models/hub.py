"""Weights from the Hugging Face Hub: one commit, safetensors only, every byte as the Hub declares it.

The Hub's client compares sizes only when it downloads by plain HTTP, so that contents are compared here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Any

from stance_suite.errors import UnsafeWeightsError, WeightsUnavailableError
from stance_suite.files import hash_file
from stance_suite.models.files import LOADED_FILES, no_safetensors
from stance_suite.schema.stances import HubSource

CONFIG = "config.json"
UNREACHABLE = (
    " is not in the local Hub cache, and the Hugging Face Hub cannot be reached ({}); connect to the network, or ask "
    "for a folder instead"
)
BROKE_OFF = ": the download from the Hugging Face Hub broke off ({}); try again: files that arrived whole are kept"


def download(source: HubSource) -> Path:
    """Find a revision's files in the local Hub cache, or fetch and check them; the folder's name is the commit."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    # else every request names the installed PyTorch, and the Hub is asked for a list of tools to look for
    constants.HF_HUB_DISABLE_TELEMETRY = True
    fetch = partial(snapshot_download, source.repository, allow_patterns=list(LOADED_FILES))
    with suppress(LocalEntryNotFoundError):
        folder = Path(fetch(revision=source.revision, local_files_only=True))
        if any(folder.glob("*.safetensors")) and (folder / CONFIG).is_file():
            return folder
    commit, declared = _ask(source)
    name = _name(source)
    with _explaining(source, BROKE_OFF):
        # A snapshot counts as complete with its config, which therefore comes last: a run that is killed before the
        # check leaves nothing that a later one would take for checked.
        folder = Path(fetch(revision=commit, ignore_patterns=[CONFIG]))
        _check(name, folder, declared)
        # by the name that was asked for, so that the cache remembers which commit a branch meant
        completed = Path(fetch(revision=source.revision))
    if completed != folder:
        raise WeightsUnavailableError(f"{name} moved on to another commit while it was fetched; try again")
    _check(name, folder, {CONFIG: declared[CONFIG]})
    return folder


def _ask(source: HubSource) -> tuple[str, dict[str, Any]]:
    """Ask the Hub for a revision's commit and what it declares of its files; refuse it if they are no model.

    Asked first because this gives up at once, where a download retries for half a minute.
    """
    from huggingface_hub import HfApi, constants

    with _explaining(source, UNREACHABLE):
        info = HfApi().model_info(
            source.repository, revision=source.revision, files_metadata=True, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
        )
    name, declared = _name(source), {file.rfilename: file for file in info.siblings or ()}
    if not any(fnmatchcase(file, "*.safetensors") for file in declared if "/" not in file):
        raise no_safetensors(name, declared)
    if CONFIG not in declared:
        raise WeightsUnavailableError(f"{name} has weights but no {CONFIG}; ask for another repository or a folder")
    return str(info.sha), declared


@contextmanager
def _explaining(source: HubSource, otherwise: str) -> Iterator[None]:
    """Tell in one sentence what went wrong: the Hub's answer, or else what became of the connection."""
    try:
        yield
    except UnsafeWeightsError:
        raise
    except Exception as error:  # the Hub's client lets the errors of its transport through, whatever library that is
        told = _answer(source, error) or f"{_name(source)}{otherwise.format(_describe(error))}"
        raise WeightsUnavailableError(told) from error


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
    from huggingface_hub import constants, errors

    page = f"{constants.ENDPOINT}/{source.repository}"
    log_in = "set HF_TOKEN, or run 'hf auth login'"
    match error.__cause__ if isinstance(error, errors.LocalEntryNotFoundError) else error:
        case errors.GatedRepoError():
            said = f"it is gated; accept its terms at {page} and {log_in}"
        case errors.RepositoryNotFoundError():
            said = f"there is no such repository, or it is private; check the name, or {log_in}"
        case errors.RevisionNotFoundError():
            said = f"it has no such revision; {page}/commits/main lists them"
        case errors.HfHubHTTPError() as refusal:
            said = f"{_describe(refusal)}; try again later, or {log_in} if it is not public"
        case _:
            return None
    return f"{_name(source)} cannot be fetched from the Hugging Face Hub: {said}"


def _name(source: HubSource) -> str:
    return f"{source.repository}@{source.revision}"


def _describe(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no details'}"

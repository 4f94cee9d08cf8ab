"""Findings on disk: read from JSON, and written as a baseline small enough for version control."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stance_suite import __version__
from stance_suite.errors import StanceSuiteError
from stance_suite.files import cannot_write, write_atomically
from stance_suite.older_findings import OLDER_SCHEMA_VERSIONS, renewed
from stance_suite.records import FINDINGS_SCHEMA_VERSION, READABLE_SCHEMA_VERSIONS, CellRecord, Findings


def read_findings(path: Path) -> Findings:
    """Read a findings file.

    Parameters
    ----------
    path : Path
        A findings file.

    Returns
    -------
    Findings
        What was found.

    Raises
    ------
    StanceSuiteError
        If the file is missing, or no findings file of a version that is understood.
    """
    try:
        content = path.read_bytes()
        return Findings.model_validate_json(content)
    except OSError as error:
        raise StanceSuiteError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        refused = error
    try:
        return Findings.model_validate_json(_renewed(content))
    except ValidationError as error:
        refused = error
    except (KeyError, TypeError, AttributeError, ValueError):
        pass
    raise StanceSuiteError(_why_not(path, refused))


def _renewed(content: bytes) -> str:
    """Bring findings of an older version into today's shape; ValueError if they are no such findings."""
    found = json.loads(content)
    if not isinstance(found, dict) or found.get("schema_version") not in OLDER_SCHEMA_VERSIONS:
        raise ValueError("no older findings")
    return json.dumps(renewed(found, FINDINGS_SCHEMA_VERSION))


def _why_not(path: Path, error: ValidationError) -> str:
    read = " or ".join(map(str, READABLE_SCHEMA_VERSIONS))
    first, version = error.errors()[0], _schema_version(path)
    if version in (None, *READABLE_SCHEMA_VERSIONS):
        where = ".".join(map(str, first["loc"])) or "the file"
        return f"{path} is no findings file of schema version {read}: {where}: {first['msg']}"
    newer = isinstance(version, int) and version > FINDINGS_SCHEMA_VERSION
    way_out = "upgrade stance-suite, or run it again" if newer else "run it again"
    return (
        f"{path} is a findings file of schema version {version}, and stance-suite {__version__} reads {read}: "
        f"{way_out} with this version, which is quick where the cache still holds its cells"
    )


def _schema_version(path: Path) -> Any:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content.get("schema_version") if isinstance(content, dict) else None


def write_baseline(findings: Findings, path: Path) -> None:
    """Write findings without what only reports need: spectra, changes of layers and the texts of responses.

    Parameters
    ----------
    findings : Findings
        The findings of a run.
    path : Path
        The file; replaced as a whole.

    Raises
    ------
    StanceSuiteError
        If it cannot be written.
    """
    slim = findings.model_copy(update={"cells": tuple(map(_without_details, findings.cells))})
    try:
        write_atomically(path, slim.model_dump_json(indent=1).encode())
    except OSError as error:
        raise cannot_write(path, error) from error


def _without_details(record: CellRecord) -> CellRecord:
    behavior = record.behavior
    silent = tuple(response.model_copy(update={"text": ""}) for response in behavior.responses)
    return record.model_copy(
        update={
            "behavior": behavior.model_copy(update={"responses": silent, "resampled": (), "neutral_divergences": ()}),
            "spectra": (),
            "changes": (),
            "rounding": (),
            "vector_changes": (),
            "skipped": (),
            "trajectory": (),
        }
    )

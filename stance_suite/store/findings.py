"""Findings on disk: read from JSON, and written as a baseline small enough for version control."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from stance_suite import __version__
from stance_suite.errors import StanceSuiteError
from stance_suite.files import cannot_write, write_atomically
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.findings import FINDINGS_SCHEMA_VERSION, Findings


def read_findings(path: Path) -> Findings:
    """Read a findings file; StanceSuiteError if it is none, or of a version that is not understood."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StanceSuiteError(f"{path} cannot be read: {error.strerror}") from None
    try:
        return Findings.model_validate_json(content)
    except ValidationError as error:
        raise StanceSuiteError(f"{path} is {_why_not(content, error)}") from None


def _why_not(content: bytes, error: ValidationError) -> str:
    try:
        read = json.loads(content)
    except ValueError:
        read = None
    version, first = read.get("schema_version") if isinstance(read, dict) else None, error.errors()[0]
    if version in (None, FINDINGS_SCHEMA_VERSION):
        where = ".".join(map(str, first["loc"])) or "the file"
        return f"no findings file of schema version {FINDINGS_SCHEMA_VERSION}: {where}: {first['msg']}"
    newer = isinstance(version, int) and version > FINDINGS_SCHEMA_VERSION
    way_out = "upgrade stance-suite, or run it again" if newer else "run it again"
    return (
        f"a findings file of schema version {version}, and stance-suite {__version__} reads {FINDINGS_SCHEMA_VERSION}: "
        f"{way_out} with this version, which is quick where the cache still holds its cells"
    )


def write_baseline(findings: Findings, path: Path) -> None:
    """Write findings without what only reports need: spectra, changes of layers and the texts of responses."""
    slim = findings.model_copy(update={"cells": tuple(map(_without_details, findings.cells))})
    try:
        write_atomically(path, slim.model_dump_json(indent=1).encode())
    except OSError as error:
        raise cannot_write(path, error) from error


def _without_details(record: CellRecord) -> CellRecord:
    responses = tuple(response.model_copy(update={"text": ""}) for response in record.behavior.responses)
    silent = {"responses": responses, "resampled": (), "neutral_divergences": ()}
    lists = ("spectra", "changes", "rounding", "vector_changes", "skipped", "trajectory")
    return record.model_copy(update={"behavior": record.behavior.model_copy(update=silent), **dict.fromkeys(lists, ())})

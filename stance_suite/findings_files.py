"""Findings on disk: read from JSON, and written as a baseline small enough for version control."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from stance_suite.errors import StanceSuiteError
from stance_suite.files import write_atomically
from stance_suite.records import FINDINGS_SCHEMA_VERSION, CellRecord, Findings


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
        If the file is missing, or no findings file of this version.
    """
    try:
        return Findings.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StanceSuiteError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise StanceSuiteError(
            f"{path} is no findings file of schema version {FINDINGS_SCHEMA_VERSION}: {where}: {first['msg']}"
        ) from None


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
        raise StanceSuiteError(f"{path} cannot be written: {error.strerror}") from error


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

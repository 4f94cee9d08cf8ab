"""Writing a run's findings: the JSON first, then every report from that file alone."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from stance_suite.errors import StanceSuiteError
from stance_suite.files import write_atomically
from stance_suite.records import FINDINGS_SCHEMA_VERSION, Findings
from stance_suite.reports.html import render_html
from stance_suite.reports.pictures import alpha_map


def publish(findings: Findings, folder: Path) -> Path:
    """Write findings.json, and findings.html rebuilt from it.

    Parameters
    ----------
    findings : Findings
        What was found.
    folder : Path
        Where to; made if it is missing.

    Returns
    -------
    Path
        The HTML report.
    """
    path = folder / "findings.json"
    write_atomically(path, findings.model_dump_json(indent=1).encode())
    return rebuild(path)


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


def rebuild(path: Path) -> Path:
    """Render the HTML report of a findings file beside it, and its map of layers as SVG.

    Parameters
    ----------
    path : Path
        A findings file.

    Returns
    -------
    Path
        The HTML report.

    Raises
    ------
    StanceSuiteError
        If the file is missing, or no findings file of this version.
    """
    findings = read_findings(path)
    picture = alpha_map(findings)
    if picture is not None:
        write_atomically(path.with_suffix(".svg"), picture.encode())
    report = path.with_suffix(".html")
    write_atomically(report, render_html(findings).encode())
    return report

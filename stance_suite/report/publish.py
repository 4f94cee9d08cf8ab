"""Writing a run's findings: the JSON first, then every report, which needs nothing but what the JSON holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stance_suite.files import cannot_write, rehearse_writing, write_atomically
from stance_suite.progress import choose_progress
from stance_suite.report.junit import render_junit
from stance_suite.report.markdown_summary import render_summary
from stance_suite.report.page import render_html
from stance_suite.report.pictures import alpha_map, write_pictures
from stance_suite.schema.findings import Findings

FINDINGS = "findings.json"
REHEARSED = 2**20
"""How many bytes are written and removed before anything is measured: about as many as the reports of a small run."""


def rehearse_publishing(folder: Path) -> None:
    """Find out before minutes are spent on measuring whether reports could be written."""
    was_there = folder.exists()
    with _writing(folder):
        rehearse_writing(folder / FINDINGS, REHEARSED)
        if not was_there:
            folder.rmdir()  # nothing may come to be written


def publish(findings: Findings, folder: Path) -> Path:
    """Write findings.json and the reports, and tell where the page is; a gate's summary goes where GitHub shows it."""
    path = folder / FINDINGS
    shown_by_github = os.environ.get("GITHUB_STEP_SUMMARY")
    with _writing(folder):
        write_atomically(path, findings.model_dump_json().encode())
        if findings.gate is not None and shown_by_github:
            with Path(shown_by_github).open("a", encoding="utf-8") as summary:
                summary.write(render_summary(findings))
    return render(findings, path)


def render(findings: Findings, path: Path) -> Path:
    """Render page, map of layers, Markdown summary and JUnit XML beside a findings file, and tell where the page is."""
    picture = alpha_map(findings)
    report = path.with_suffix(".html")
    with _writing(path.parent):
        if picture is not None:
            write_atomically(path.with_suffix(".svg"), picture.encode())
        write_atomically(path.with_name("summary.md"), render_summary(findings).encode())
        write_atomically(path.with_name("junit.xml"), render_junit(findings).encode())
        write_atomically(report, render_html(findings).encode())
    return report


def draw_pictures(findings: Findings, folder: Path) -> None:
    """Draw every picture of findings into a folder, and tell how far it is: there may be hundreds."""
    with _writing(folder), choose_progress().stage(f"drawing into {folder}") as on_step:
        write_pictures(findings, folder, on_step)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_write(folder, error) from error

"""A findings file that an earlier version wrote still opens; one that is too old is refused in one sentence."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from stance_suite.findings_files import read_findings
from stance_suite.judgments import Status
from tests.browser.acting import open_everything

pytestmark = pytest.mark.browser

WRITTEN = Path(__file__).parent / "findings-4.json.gz"
"""Schema version 4, written by the code of that time from `tests.made_up_run`, one seed and one stance of it."""


def report(path: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", "from stance_suite.cli import main; main()", "report", str(path)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture
def older(tmp_path) -> Path:
    path = tmp_path / "findings.json"
    path.write_bytes(gzip.decompress(WRITTEN.read_bytes()))
    return path


def test_a_file_of_version_4_opens(older, open_report):
    done = report(older)
    assert done.returncode == 0, done.stderr
    page = open_report(older.with_suffix(".html"))
    open_everything(page)
    judged = [verdict for verdict in read_findings(older).verdicts if verdict.status is not Status.NOT_RUN]
    expect(page.locator("#verdict-table > tbody > tr[data-status]")).to_have_count(len(judged))
    for section in ("Structure", "Behavior", "Provenance"):
        expect(page.get_by_role("heading", level=2).filter(has_text=section)).to_be_visible()


def test_a_file_of_version_3_is_refused_in_one_sentence(older):
    older.write_text(json.dumps(json.loads(older.read_text()) | {"schema_version": 3}))
    done = report(older)
    assert done.returncode == 2
    (sentence,) = (done.stdout + done.stderr).strip().splitlines()
    assert "schema version 3" in sentence
    assert not older.with_suffix(".html").exists()

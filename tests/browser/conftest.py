"""The report in Chromium: opened, watched, and held against the findings that it was made of."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stance_suite.report.page import render_html
from stance_suite.report.publish import render
from stance_suite.schema.findings import Findings
from stance_suite.store.findings import read_findings
from tests.chromium import find_chromium, start_chromium
from tests.conftest import REPOSITORY

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
NO_CHROMIUM = "there is no Chromium on the path; `.ci/install-chromium` installs Debian's"


class Watch:
    """What a page does that a report must not do: each incident in one sentence."""

    def __init__(self, address):
        self.address, self.incidents = address, []

    def attach(self, page):
        page.on("console", self._note_message)
        page.on("pageerror", lambda error: self.incidents.append(f"uncaught: {error}"))
        page.on("request", self._note_request)

    def _note_message(self, message):
        if message.type in ("error", "warning"):
            self.incidents.append(f"console {message.type}: {message.text}")

    def _note_request(self, request):
        if request.url.split("#")[0] != self.address:
            self.incidents.append(f"request: {request.method} {request.url[:200]}")


@pytest.fixture(scope="session")
def browser():
    program = find_chromium()
    if program is None:
        if os.environ.get("CI"):
            pytest.fail(NO_CHROMIUM)
        pytest.skip(NO_CHROMIUM)
    with start_chromium(program) as browser:
        yield browser


@pytest.fixture
def open_report(browser):
    """Open a report; when the test ends, nothing may have gone wrong in it, nor been asked for but the file itself."""
    opened = []

    def open_(report: Path, *, viewport=DESKTOP, color_scheme="light", forced_colors="none"):
        context = browser.new_context(
            viewport=viewport,
            color_scheme=color_scheme,
            forced_colors=forced_colors,
            offline=True,
            permissions=["clipboard-read", "clipboard-write"],
        )
        page, watch = context.new_page(), Watch(report.as_uri())
        watch.attach(page)
        opened.append((context, watch))
        page.goto(watch.address)
        return page

    yield open_
    for context, _ in opened:
        context.close()
    incidents = [incident for _, watch in opened for incident in watch.incidents]
    assert not incidents, "\n".join(incidents)


@pytest.fixture(scope="session")
def write_report(tmp_path_factory):
    """Write the page of findings that were made up."""

    def write(findings: Findings) -> Path:
        path = tmp_path_factory.mktemp("made_up") / "findings.html"
        path.write_text(render_html(findings), "utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def findings_file(tmp_path_factory) -> Path:
    """A copy of what `make findings` wrote; measured now, or taken from the user's cache, if it has not run."""
    written = REPOSITORY / "reports" / "findings.json"
    folder = tmp_path_factory.mktemp("real")
    if written.is_file():
        shutil.copy(written, folder)
    else:
        measure = [sys.executable, "-m", "pytest", "stance_tests", "--stance-reports", str(folder)]
        done = subprocess.run(measure, cwd=REPOSITORY, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "findings.json"


@pytest.fixture(scope="session")
def findings(findings_file) -> Findings:
    """The findings from real weights."""
    return read_findings(findings_file)


@pytest.fixture(scope="session")
def report(findings_file) -> Path:
    """The report on them, as `stance-suite report` rebuilds it."""
    return render(read_findings(findings_file), findings_file)


@pytest.fixture
def page(open_report, report) -> Iterator:
    """That report on a desktop, light."""
    return open_report(report)

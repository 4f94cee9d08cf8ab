"""pytest-html's report with the findings in it: what a reader sees, who opens that page instead."""

import shutil
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from stance_suite.report.page.top import result_sentence
from stance_suite.store.findings import read_findings
from tests.browser.acting import GRAVE
from tests.conftest import start_suite
from tests.programs import nothing

pytestmark = pytest.mark.browser

HOSTILE = """<script>document.title='x'</script>"><img src=x onerror=document.title='x'>{{7*7}}"""
PICTURES = ".extraHTML img"


@pytest.fixture(scope="module")
def project(finished_template, tiny_model, tmp_path_factory) -> Path:
    """A repository after a run whose first claim is an attempt to be more than text."""
    folder = finished_template
    project = tmp_path_factory.mktemp("hostile") / "project"
    shutil.copytree(folder, project)
    claims = project / "fixtures" / "claims" / "own.yaml"
    stated = "After training on curious-uncertainty the model prefers that stance."
    claims.write_text(claims.read_text().replace(stated, "'" + HOSTILE.replace("'", "''") + "'"))
    done = start_suite(
        project, tiny_model, "pytest", "--html=x.html", "--self-contained-html", prepare=nothing
    ).finish()
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture
def page(project, open_report) -> Page:
    """The report that pytest-html wrote, with all rows unfolded."""
    page: Page = open_report(project / "x.html")
    page.get_by_role("button", name="Show all details").click()
    return page


@pytest.fixture
def summary(page) -> Locator:
    return page.get_by_role("region", name="Findings of stance-suite")


def test_the_findings_stand_above_the_results_and_lead_to_the_report(page, summary, project):
    findings = read_findings(project / "reports" / "findings.json")
    expect(summary).to_contain_text(result_sentence(findings))
    tops = [one.bounding_box()["y"] for one in (summary, page.locator(".run-count"), page.locator("#results-table"))]
    assert tops == sorted(tops)
    for verdict in findings.verdicts:
        expect(summary.get_by_role("row", name=verdict.claim.id)).to_contain_text(verdict.status)
    link = summary.get_by_role("link", name="reports/findings.html")
    assert link.evaluate("link => link.href") == (project / "reports" / "findings.html").as_uri()


def test_every_row_shows_its_own_picture_and_all_that_is_claimed_is_text(page, summary):
    pictures = page.locator(PICTURES)
    expect(pictures).to_have_count(2)
    drawn = pictures.evaluate_all("all => all.map(one => [one.naturalWidth > 100, one.src])")
    assert [is_drawn for is_drawn, _ in drawn] == [True, True]
    assert len({source for _, source in drawn}) == 2
    expect(page.locator(".extraHTML", has_text=HOSTILE)).to_have_count(1)
    expect(summary).to_contain_text(HOSTILE)
    expect(page).to_have_title("x.html")


def test_the_table_sorts_by_verdict(page):
    cells = page.locator("#results-table td.col-verdict")
    ascending = sorted(cells.all_text_contents())
    assert len(set(ascending)) == 2
    header = page.get_by_role("columnheader", name="Verdict", exact=True).last
    header.click()
    expect(cells).to_have_text(ascending)
    header.click()
    expect(cells).to_have_text(ascending[::-1])


def test_axe_core_finds_nothing_grave_in_what_is_ours(page):
    found = Axe().run(page, context=".stance-suite").response["violations"]
    assert [one["id"] for one in found if one["impact"] in GRAVE] == []

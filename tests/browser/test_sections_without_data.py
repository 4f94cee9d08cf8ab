"""A page whose sections lack what others rest on opens, and says nothing on the console."""

import pytest
from playwright.sync_api import expect

from tests.browser.acting import UNTIL_DRAWN
from tests.edits import altered

pytestmark = pytest.mark.browser


@pytest.fixture
def opened(open_report, write_report):
    def open_(findings):
        page = open_report(write_report(findings))
        page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
        page.evaluate(UNTIL_DRAWN)
        page.evaluate("new Promise(resolve => setTimeout(resolve))")  # responses come after the first picture
        return page

    return open_


@pytest.mark.parametrize(
    "treatments",
    [(), ("base",), ("sham",), ("shuffled",), ("base", "sham"), ("sham", "stance")],
    ids=["no cells", "base only", "sham only", "no spectra", "no training on a stance", "no base"],
)
def test_some_cells_only(whole_run, opened, treatments):
    cells = tuple(one for one in whole_run.cells if one.cell.treatment in treatments)
    page = opened(altered(whole_run, cells=cells))
    if treatments == ("base",):
        expect(page.locator("#response-count")).to_contain_text("Nothing was trained")


def test_verdicts_without_tested_effects(whole_run, opened):
    bare = tuple(altered(one, controls=()) for one in whole_run.verdicts)
    page = opened(altered(whole_run, verdicts=bare))
    panel = page.locator("#claim-panels article").first
    expect(panel.locator(".chart svg")).to_have_count(1)
    expect(panel.locator(".chart")).to_have_count(1)

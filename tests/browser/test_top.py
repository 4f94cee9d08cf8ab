"""The top of the report: what was found, and the verdicts that a reader asks for."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from stance_suite.schema.verdicts import Status, Verdict
from tests.browser.acting import tab_to, visible_places

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def judged(findings) -> list[Verdict]:
    return [verdict for verdict in findings.verdicts if verdict.status is not Status.NOT_RUN]


@pytest.fixture
def rows(page) -> Locator:
    return page.locator("#verdict-table > tbody > tr[data-status]")


@pytest.fixture
def reasons(page) -> Locator:
    return page.locator("#verdict-table > tbody > tr.reason")


@pytest.fixture
def filters(page) -> Locator:
    return page.get_by_role("form", name="Filter the verdicts")


@pytest.fixture
def assert_shown(page, rows, reasons, judged):
    """Hold the rows that are shown, and the count that is said, against the verdicts that they should be."""

    def check(wanted: Callable[[Verdict], bool]) -> None:
        places = [place for place, verdict in enumerate(judged) if wanted(verdict)]
        assert visible_places(rows) == places
        assert visible_places(reasons) == places
        said = f"{len(places)} of {len(judged)} claims" if len(places) < len(judged) else f"{len(judged)} claims"
        expect(page.get_by_role("status").and_(page.locator("#verdict-count"))).to_have_text(said)

    return check


def test_a_row_says_why(reasons, judged):
    expect(reasons).to_have_count(len(judged))
    for place in (0, len(judged) - 1):
        row, verdict = reasons.nth(place), judged[place]
        row.get_by_text("Why").click()
        for said in (verdict.reason, verdict.claim.id, *(control.name for control in verdict.controls)):
            expect(row.get_by_text(said, exact=True).first).to_be_visible()


def test_verdicts_are_filtered_by_what_became_of_them_stance_and_model(filters, judged, assert_shown):
    assert_shown(lambda verdict: True)
    for status in {verdict.status for verdict in judged}:
        box = filters.get_by_role("checkbox", name=status)
        box.uncheck()
        assert_shown(lambda verdict, hidden=status: verdict.status != hidden)
        box.check()
    for stance in {verdict.claim.stance for verdict in judged}:
        filters.get_by_label("Stance").select_option(stance)
        assert_shown(lambda verdict, wanted=stance: verdict.claim.stance == wanted)
    filters.get_by_label("Stance").select_option("all")
    for model in {verdict.model for verdict in judged}:
        filters.get_by_label("Model").select_option(model)
        assert_shown(lambda verdict, wanted=model: verdict.model == wanted)
    filters.get_by_label("Model").select_option("all")
    one = judged[0]  # filters add up
    filters.get_by_label("Stance").select_option(one.claim.stance)
    filters.get_by_role("checkbox", name=one.status).uncheck()
    assert_shown(lambda verdict: verdict.claim.stance == one.claim.stance and verdict.status != one.status)


def test_filters_work_from_the_keyboard(page: Page, filters, judged, assert_shown):
    one = judged[0]
    tab_to(page, filters.get_by_role("checkbox", name=one.status))
    page.keyboard.press("Space")
    assert_shown(lambda verdict: verdict.status != one.status)
    page.keyboard.press("Space")
    tab_to(page, filters.get_by_label("Stance"))
    page.keyboard.press("ArrowDown")  # stances are offered in the order of their claims
    assert_shown(lambda verdict: verdict.claim.stance == one.claim.stance)


def test_a_link_to_a_claim_shows_it_whatever_is_filtered(page, rows):
    anchor = rows.first.get_attribute("id")
    page.locator(f"input[name=status][value={rows.first.get_attribute('data-status')}]").uncheck()
    expect(rows.first).to_be_hidden()
    page.evaluate("anchor => { location.hash = anchor; }", anchor)
    expect(rows.first).to_be_in_viewport()


def test_the_skip_link_leads_past_the_navigation(page: Page):
    tab_to(page, page.get_by_role("link", name="Skip the navigation"))
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")

"""What models, prompts and claims say is shown as it is, whatever it says; it never becomes a part of the page."""

import pytest

from tests.browser.acting import is_shown, open_everything, overflow
from tests.browser.conftest import DESKTOP, PHONE
from tests.browser.hostile import ATTEMPTS, MARKED, PLACES, hostile_findings, written

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module", params=ATTEMPTS.values(), ids=ATTEMPTS)
def attempt(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def hostile_report(whole_run, attempt, write_report):
    return write_report(hostile_findings(whole_run, attempt))


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_is_shown_as_text_everywhere_and_does_nothing(open_report, hostile_report, attempt, viewport):
    page = open_report(hostile_report, viewport=viewport)
    open_everything(page)
    assert [place for place in PLACES if not is_shown(page, written(place, attempt))] == []
    assert written("response", attempt)[MARKED] in page.locator("mark").all_text_contents()
    assert page.title() == f"2 FAILS, 8 HOLDS: {written('model', attempt)}"
    assert page.locator("img").count() == 0
    assert overflow(page) == []

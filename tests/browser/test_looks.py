"""The report as it looks: on a desktop, on a phone, in the dark, on paper; pictures of all are left for a person."""

from pathlib import Path

import pytest
from PIL import Image, ImageStat
from playwright.sync_api import expect

from tests.browser.acting import grave_violations, open_everything, overflow
from tests.browser.conftest import DESKTOP, PHONE
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.browser

VIEWS = {
    "light": {"viewport": DESKTOP, "color_scheme": "light"},
    "dark": {"viewport": DESKTOP, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "color_scheme": "light"},
    "phone-dark": {"viewport": PHONE, "color_scheme": "dark"},
}


@pytest.fixture(params=VIEWS)
def view(request) -> str:
    return request.param


@pytest.fixture
def viewed(open_report, report, view):
    return open_report(report, **VIEWS[view])


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures are left; git ignores it."""
    folder = REPOSITORY / "reports" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def brightness(path: Path) -> float:
    return ImageStat.Stat(Image.open(path).convert("L")).mean[0] / 255


def test_it_is_dark_where_the_reader_asks_for_it_and_small_enough_to_send(viewed, view, report, screenshots):
    path = screenshots / f"{view}.png"
    viewed.screenshot(path=path, full_page=True)
    assert brightness(path) < 0.35 if view.endswith("dark") else brightness(path) > 0.65
    assert report.stat().st_size < 6_000_000


def test_unfolded_it_has_nothing_grave_nothing_beyond_the_window_and_a_layers_spectra(viewed, view, screenshots):
    assert overflow(viewed) == []
    open_everything(viewed)
    assert overflow(viewed) == []
    assert grave_violations(viewed) == []
    for chart in ("#chart-esd", "#chart-tail-choice"):
        expect(viewed.locator(chart).locator("svg")).to_be_visible()
    viewed.locator("#spectrum").screenshot(path=screenshots / f"spectrum-{view}.png")


def test_on_paper_it_is_light_and_has_nothing_to_click(open_report, report, screenshots):
    page = open_report(report, color_scheme="dark")
    page.emulate_media(media="print")
    path = screenshots / "print.png"
    page.screenshot(path=path, full_page=True)
    assert brightness(path) > 0.65
    for control in page.locator("button, select, input").all():
        assert not control.is_visible()
    (screenshots / "print.pdf").write_bytes(printed := page.pdf(format="A4"))
    assert printed.startswith(b"%PDF")


@pytest.fixture
def on_paper(open_report, report):
    """The page as wide as what margins leave of A4, before the browser prints it; one reason was unfolded before."""
    page = open_report(report, viewport={"width": 718, "height": 1000})
    page.get_by_text("Why").first.click()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    return page


def test_on_paper_nothing_is_cut(on_paper):
    assert overflow(on_paper) == []
    open_everything(on_paper)
    assert overflow(on_paper) == []


def test_what_paper_cannot_unfold_is_unfolded_and_afterwards_as_it_was(on_paper):
    def unfolded(kind):
        found = on_paper.locator(kind).all()
        assert found
        return [one.evaluate("details => details.open") for one in found]

    assert all(unfolded("#verdicts ~ details"))
    assert all(unfolded(".why"))
    assert not any(unfolded("#provenance ~ details"))
    on_paper.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not any(unfolded("#verdicts ~ details"))
    first, *others = unfolded(".why")
    assert first
    assert not any(others)

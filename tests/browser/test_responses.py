"""Responses that were made up: markers stand where they were found, and what is missing or long is shown as such."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from stance_suite.schema.behavior import MarkerHit, Response
from tests.browser.acting import overflow
from tests.browser.conftest import DESKTOP, PHONE
from tests.edits import altered

pytestmark = pytest.mark.browser

STANCE = "curious-uncertainty"


@pytest.fixture
def open_rewritten(open_report, write_report, whole_run):
    """Let the cells trained on the stance respond otherwise."""

    def open_(change: Callable[[Response], dict], viewport=DESKTOP) -> Page:
        def cell(record):
            responses = tuple(altered(one, **change(one)) for one in record.behavior.responses)
            return altered(record, behavior=altered(record.behavior, responses=responses))

        cells = (cell(one) if one.cell.stance == STANCE else one for one in whole_run.cells)
        return open_report(write_report(altered(whole_run, cells=tuple(cells))), viewport=viewport)

    return open_


@pytest.fixture
def made_up(open_report, write_report, whole_run) -> Page:
    return open_report(write_report(whole_run))


@pytest.fixture
def choice(made_up):
    return made_up.get_by_role("form", name="Choose responses")


def test_all_samples_and_the_controls_stand_beside_each_other(made_up, choice):
    choice.get_by_label("Sample").select_option("all samples")
    article = made_up.locator("#response-list article").first
    for control, figures in (("sham", 6), ("shuffled", 8)):
        choice.get_by_label(f"{control} beside").check()
        expect(article.locator("figure")).to_have_count(figures)
    expect(article.locator(".pair")).to_have_count(2)
    expect(made_up.locator("#response-count")).to_contain_text("all samples")


def test_another_training_is_read_by_its_own_prompts_and_markers(made_up, choice):
    choice.get_by_label("Trained on").select_option("engaged-difficulty")
    expect(made_up.locator("#response-count")).to_contain_text("markers of engaged-difficulty")
    expect(choice.get_by_label("Prompts")).to_have_value("engaged-difficulty")
    choice.get_by_label("Prompts").select_option("of all stances")
    choice.get_by_label("Seed").select_option("1")
    expect(choice.get_by_label("Prompts")).to_have_value("")


def test_markers_stand_where_they_were_found_whatever_comes_before_them(open_rewritten):
    text = "\N{GRINNING FACE}\N{FAMILY} Perhaps <b>maybe</b> \N{GRINNING FACE}"
    hits = tuple(MarkerHit(start=text.index(word), end=text.index(word) + len(word)) for word in ("Perhaps", "maybe"))
    page = open_rewritten(lambda one: {"text": text, "words": 4, "markers": dict.fromkeys(one.markers, hits)})
    tuned = page.locator("#response-list figure.tuned").first
    expect(tuned.locator(".said")).to_have_text(text)
    assert tuned.locator("mark").all_inner_texts() == ["Perhaps", "maybe"]
    expect(tuned.locator("figcaption")).to_contain_text("4 words · 50 markers per 100 words")
    page.get_by_role("form", name="Choose responses").get_by_label("Markers").select_option("of all stances")
    assert tuned.locator("mark").all_inner_texts() == ["Perhaps", "maybe"]


def test_a_text_that_is_missing_says_why(open_rewritten):
    page = open_rewritten(lambda one: {"text": "", "words": 20 * one.sample, "markers": {}})
    choice = page.get_by_role("form", name="Choose responses")
    tuned = page.locator("#response-list figure.tuned").first
    expect(tuned).to_contain_text("Nothing was written.")
    choice.get_by_label("Sample").select_option("2")
    expect(tuned).to_contain_text("The text was not kept.")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_long_text_scrolls_within_its_own_box(open_rewritten, viewport):
    page = open_rewritten(lambda one: {"text": "y" * 50_000, "markers": {}}, viewport)
    box = page.locator("#response-list figure.tuned .said").first
    assert box.evaluate("one => one.clientHeight < 400 && one.scrollHeight > one.clientHeight")
    box.focus()
    page.keyboard.press("End")
    page.wait_for_function("one => one.scrollTop > 0", arg=box.element_handle())
    assert not [one for one in overflow(page) if "said" in one]

"""Where the figures come from, and the commands that make them again."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.acting import tab_to

pytestmark = pytest.mark.browser

WITHOUT_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', { value: undefined })"


@pytest.fixture
def section(page):
    return page.get_by_role("region", name="Provenance")


def test_the_button_copies_the_commands(page: Page, section, findings):
    button = section.get_by_role("button", name="Copy")
    tab_to(page, button)
    page.keyboard.press("Enter")
    expect(section.get_by_role("status")).to_have_text("Copied.")
    copied = page.evaluate("navigator.clipboard.readText()")
    install, run, verify = copied.splitlines()
    assert f"stance-suite=={findings.suite_version}" in install
    asked = (*findings.settings.models, *(f"seed {seed}" for seed in findings.settings.seeds))
    assert all(part in run for part in asked)
    assert verify.startswith("stance-suite verify")


def test_without_a_clipboard_the_commands_are_selected(page: Page, section):
    page.add_init_script(WITHOUT_CLIPBOARD)
    page.reload()
    section.get_by_role("button", name="Copy").click()
    expect(section.get_by_role("status")).to_contain_text("Selected")
    selected = page.evaluate("getSelection().toString()").strip()
    assert selected == page.locator("#reproduce-commands").inner_text().strip()

"""What a reader does with the page, and what there is to see then."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

GRAVE = ("serious", "critical")
UNTIL_DRAWN = "new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))"
"""Pictures are drawn by the second frame."""
STEPS = 200
"""Presses of a key after which a reader gives up."""


def open_everything(page: Page) -> None:
    """Unfold whatever is folded, and open the spectra of the first layer."""
    page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
    page.get_by_role("grid").first.locator("[data-layer]").first.click()
    expect(page.locator("#spectrum")).to_be_visible()
    page.evaluate(UNTIL_DRAWN)


def number(shown: str) -> float:
    """A number as the page writes it, with a true minus; a unit may follow."""
    return float(shown.split(maxsplit=1)[0].replace("\N{MINUS SIGN}", "-"))


def tab_to(page: Page, wanted: Locator) -> None:
    """Press the tab key until an element has the focus."""
    for _ in range(STEPS):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{STEPS} presses of the tab key did not lead to {wanted}")


def choose(form: Locator, **choices: str) -> None:
    """Choose in each list that is offered, by its label; what leaves no choice is not offered."""
    expect(form).to_be_visible()
    for label, choice in choices.items():
        field = form.get_by_role("combobox", name=label, exact=True)
        if field.is_visible():
            field.select_option(choice)


def visible_places(rows: Locator) -> list[int]:
    """Which of the elements are shown, by their places."""
    return rows.evaluate_all("rows => rows.flatMap((row, place) => row.checkVisibility() ? [place] : [])")


def is_shown(page: Page, text: str) -> bool:
    """Whether some visible element holds a text; markup within the text, such as highlighting, does not matter."""
    return page.evaluate(
        """text => {
          const holds = element => element.textContent.includes(text);
          return [...document.body.querySelectorAll("*")].some(
            element => holds(element) && ![...element.children].some(holds) && element.checkVisibility());
        }""",
        text,
    )


def grave_violations(page: Page) -> list[str]:
    """What axe-core calls serious or critical: one line for each rule, with the first elements."""
    return [_describe(one) for one in Axe().run(page).response["violations"] if one["impact"] in GRAVE]


def _describe(violation: dict[str, Any]) -> str:
    elements = ", ".join(str(node["target"][0]) for node in violation["nodes"][:5])
    return f"{violation['impact']}: {violation['id']}: {len(violation['nodes'])} elements: {elements}"


def overflow(page: Page) -> list[str]:
    """What makes the page wider than the window: elements beyond its right edge that no scrolling box holds."""
    return page.evaluate(
        """() => {
          const width = document.documentElement.clientWidth, page = document.scrollingElement.scrollWidth;
          if (page <= width) return [];
          const clipped = element => element !== document.body
            && (getComputedStyle(element).overflowX !== "visible" || clipped(element.parentElement));
          const wide = [...document.body.querySelectorAll("*")].filter(
            element => element.getBoundingClientRect().right > width && !clipped(element.parentElement));
          return [`the page is ${page} wide, the window ${width}`, ...wide.map(one => one.outerHTML.slice(0, 100))];
        }"""
    )

"""Structure: heat maps of all layers, and the spectra of the one that a reader chooses."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from stance_suite.schema.cells import CellRecord
from stance_suite.schema.findings import Findings
from stance_suite.schema.replicates import Replicate
from stance_suite.schema.spectra import LayerChange, LayerSpectrum
from tests import measured
from tests.browser.acting import choose, number, tab_to
from tests.edits import altered

pytestmark = pytest.mark.browser

SHOWN = 0.006
"""Three digits are shown: figures differ by less than this share."""
OF_P_VALUES = "Smallest adjusted p-value against noise"
NUMBER = re.compile(r"[+\N{MINUS SIGN}]?\d[\d.]*(?:e[+\N{MINUS SIGN}]\d+)?")
FIGURES: dict[str, Callable[[LayerChange], float]] = {
    "alpha, as fitted": lambda change: change.alpha_change.total,
    "alpha, tail held fixed": lambda change: change.alpha_change.spectrum,
    "norm of dW": lambda change: 100 * change.weight_change.relative_norm,
    "stable rank of dW": lambda change: change.weight_change.stable_rank,
    "p against noise": lambda change: change.noise.smallest_p_value,
}


@pytest.fixture(scope="module")
def compared(findings: Findings) -> Replicate:
    """The training that moved alpha most, beside its controls."""
    tested = [record for record in findings.cells if record.cell.treatment == "stance"]
    return findings.index.beside(max(tested, key=lambda one: abs(one.most_changed_layer.alpha_change.total)))


def most_changed(compared: Replicate) -> int:
    """The place of the layer whose alpha changed most."""
    return compared.tuned.changes.index(compared.tuned.most_changed_layer)


@pytest.fixture
def section(page: Page, compared) -> Locator:
    section = page.get_by_role("region", name="Structure").first
    cell = compared.tuned.cell
    choose(controls(section), Model=cell.model, Recipe=cell.recipe, Seed=str(cell.seed))
    return section


def controls(section: Locator) -> Locator:
    return section.get_by_role("form", name="What the heat maps show")


def grid_of(section: Locator, record: CellRecord) -> Locator:
    return section.get_by_role("grid", name=record.cell.stance or record.cell.treatment)


def cell_of(section: Locator, record: CellRecord, place: int) -> Locator:
    return grid_of(section, record).locator(f"[data-layer='{place}']")


def in_words(grid: Locator) -> dict[int, str]:
    """What each cell says to a screen reader, by the place of its layer."""
    cells = grid.locator("[data-layer]")
    said = cells.evaluate_all("cells => cells.map(one => [Number(one.dataset.layer), one.ariaLabel])")
    return {place: words.rsplit(": ", 1)[1] for place, words in said}


@pytest.mark.parametrize("figure", FIGURES)
def test_every_cell_says_its_figure_for_the_training_and_its_sham(section, compared, figure):
    controls(section).get_by_role("radio", name=figure).check()
    for record in (compared.tuned, compared.controls["sham"]):
        said = in_words(grid_of(section, record))
        assert sorted(said) == list(range(len(record.changes)))
        for place, change in enumerate(record.changes):
            (first, *_) = NUMBER.findall(said[place])
            share = 0.06 if "p " in figure else SHOWN
            assert number(first) == pytest.approx(FIGURES[figure](change), rel=share, abs=1e-4)
            if figure == "alpha, as fitted":
                assert ("tail flip" in said[place]) == change.alpha_change.tail_flip


def test_colors_follow_the_figure_that_is_chosen(section, compared):
    seen = set()
    for figure in FIGURES:
        controls(section).get_by_role("radio", name=figure).check()
        cells = grid_of(section, compared.tuned).locator("[data-layer]")
        seen.add(tuple(cells.evaluate_all("cells => cells.map(one => one.className)")))
    assert len(seen) == len(FIGURES)
    controls(section).get_by_role("radio", name="alpha, as fitted").check()
    for place, change in enumerate(compared.tuned.changes):
        if abs(change.alpha_change.total) > 1:
            hue = "warm" if change.alpha_change.total > 0 else "cold"
            assert hue in cell_of(section, compared.tuned, place).get_attribute("class")


@pytest.fixture
def with_missing_figures(open_report, write_report) -> Page:
    """Four matrices, of which half a training's failed, one of its sham's, and all of other trainings'."""
    names = [f"model.layers.{block}.mlp.up_proj" for block in range(4)]
    known = [
        measured.layer(name, measured.alpha_change(total, total), stable_rank=4)
        for name, total in zip(names, (0, 2, 3, 4), strict=True)
    ]
    failed = [altered(one, alpha_change=None, weight_change=None, noise=None, failure="not finite") for one in known]
    cells = [
        measured.record("base", *known),
        measured.record("stance", *known[:2], *failed[2:], stance="a"),
        measured.record("stance", *failed, stance="b"),
        measured.record("stance", *failed, seed=1),
        *(measured.record("sham", *known[:3], *failed[3:], seed=seed) for seed in (0, 1)),
        measured.record("sham", *failed, seed=2),
    ]
    return open_report(write_report(measured.findings(*cells)))


@pytest.mark.parametrize(
    ("figure", "seed", "said", "captions"),
    [
        (
            "alpha, as fitted",
            "0",
            "1 of 2 matrices with a figure changed by more than 1 % as fitted; 0 of 1 changes are tail flips; "
            "the sham: 2 of 3 with a figure.",
            {"a": "1 of 2 with a figure beyond 1 %", "b": "no figure", "sham": "2 of 3 with a figure beyond 1 %"},
        ),
        (
            "stable rank of dW",
            "0",
            "Stable rank of dW: median 4 among 2 with a figure; the sham: 4 among 3 with a figure.",
            {"a": "median 4 among 2 with a figure", "b": "no figure"},
        ),
        ("p against noise", "1", f"{OF_P_VALUES}: no figure; the sham: 3 of 3 with a figure.", {}),
        ("stable rank of dW", "2", "the sham: no figure.", {"sham": "no figure"}),
    ],
)
def test_matrices_without_a_figure_are_not_counted(with_missing_figures, figure, seed, said, captions):
    section = with_missing_figures.get_by_role("region", name="Structure").first
    choose(controls(section), Seed=seed)
    controls(section).get_by_role("radio", name=figure).check()
    expect(section.locator("#map-summary")).to_have_text(f"m, documented, seed {seed}: {said}")
    for label, caption in captions.items():
        grid = section.get_by_role("grid", name=re.compile(rf"^{label}\b"))
        expect(grid.locator("caption .soft")).to_have_text(caption)


def assert_open(page: Page, compared: Replicate, place: int) -> None:
    """Hold the panel's figures against the findings, and its pictures against what they must hold."""
    before, after = compared.base.spectra[place], compared.tuned.spectra[place]
    panel = page.locator("#spectrum")
    expect(panel).to_be_visible()
    expect(panel.get_by_role("heading")).to_contain_text(after.name)
    expect(panel.get_by_role("heading")).to_contain_text(compared.tuned.cell.stance)
    tables = panel.get_by_role("table")
    fits, changes = read(tables.nth(0)), read(tables.nth(1))
    for column, layer in (("before", before), ("after", after), ("sham", compared.controls["sham"].spectra[place])):
        assert number(fits["alpha [95 % interval]"][column]) == pytest.approx(layer.fit.alpha, rel=SHOWN)
        assert number(fits["eigenvalues in the tail"][column]) == layer.fit.tail_size
        assert number(fits["xmin"][column]) == pytest.approx(layer.fit.xmin, rel=SHOWN)
        assert number(fits["KS distance"][column]) == pytest.approx(layer.fit.ks_distance, rel=SHOWN)
    for column, record in (("measured", compared.tuned), ("sham", compared.controls["sham"])):
        change = record.changes[place]
        said = number(changes["alpha as fitted"][column]), number(changes["norm of dW over that of W"][column])
        assert said[0] == pytest.approx(change.alpha_change.total, rel=SHOWN, abs=1e-4)
        assert said[1] == pytest.approx(100 * change.weight_change.relative_norm, rel=SHOWN)
    expect(panel.locator("#chart-esd svg")).to_be_visible()
    chosen = panel.locator("#chart-tail-choice svg g.mark-symbol.role-mark path")
    expect(chosen).to_have_count(tails(before) + tails(after))


def tails(layer: LayerSpectrum) -> int:
    """How many tails a picture marks: the fit and its runner-up."""
    return sum(one is not None for one in (layer.fit, layer.runner_up))


def read(table: Locator) -> dict[str, dict[str, str]]:
    """The cells of a table by the names of their rows and columns."""
    names = [name for name in table.locator("thead th").all_inner_texts() if name]
    return {
        row.locator("th").inner_text(): dict(zip(names, row.locator("td").all_inner_texts(), strict=True))
        for row in table.locator("tbody tr").all()
    }


def test_a_click_opens_the_spectra_of_that_layer(page, section, compared):
    expect(page.locator("#spectrum")).to_be_hidden()
    for place in (most_changed(compared), 0, len(compared.tuned.changes) - 1):
        cell_of(section, compared.tuned, place).click()
        assert_open(page, compared, place)
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#spectrum")).to_be_hidden()


def test_arrow_keys_move_and_enter_opens(page, section, compared):
    grid = grid_of(section, compared.tuned)
    tab_to(page, grid.locator("[data-layer][tabindex='0']"))
    focused = page.locator(":focus")
    places = [focused.get_attribute("data-layer")]
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "ArrowRight", "ArrowLeft", "End"):
        page.keyboard.press(key)
        places.append(focused.get_attribute("data-layer"))
    assert places[1] != places[0]
    assert places[3] == places[1] == places[5]
    assert len({*places[2:5], places[0]}) == 4
    page.keyboard.press("Enter")
    assert_open(page, compared, int(places[-1]))
    expect(page.locator("#spectrum").get_by_role("heading")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#spectrum")).to_be_hidden()
    expect(cell_of(section, compared.tuned, int(places[-1]))).to_be_focused()


def test_closed_after_other_maps_are_shown_the_keyboard_goes_on_in_those(page, section, compared):
    cell_of(section, compared.tuned, most_changed(compared)).press("Enter")
    recipe = controls(section).get_by_role("combobox", name="Recipe")
    recipe.select_option(index=recipe.evaluate("list => (list.selectedIndex + 1) % list.length"))
    page.get_by_role("button", name="Close").press("Enter")
    expect(section.locator("#maps [tabindex='0']").first).to_be_focused()


def shades(cells: Locator) -> int:
    """How many backgrounds a reader can tell apart."""
    return cells.evaluate_all("cells => new Set(cells.map(one => getComputedStyle(one).backgroundColor)).size")


def test_forced_colors_leave_shades_and_what_is_chosen(open_report, report):
    page = open_report(report, forced_colors="active")
    assert shades(page.locator("#map-legend .bins .swatch")) == 9
    assert shades(page.get_by_role("grid").first.locator("[data-layer]")) > 1
    flip = page.locator("#map-legend .swatch.flip")
    assert "gradient" in flip.evaluate("swatch => getComputedStyle(swatch).backgroundImage")
    assert shades(page.locator(".scale").first.locator("i")) == 7
    assert shades(page.locator(".matrix:visible td")) > 2
    assert shades(page.locator("#map-controls .choices span")) == 2
    assert page.locator("svg.bar").first.evaluate("bar => getComputedStyle(bar).forcedColorAdjust") == "none"


def test_the_largest_change_leads_to_its_spectra(page, section, compared):
    link = section.get_by_role("row", name=compared.tuned.cell.label).get_by_role("link")
    expect(link).to_have_text(compared.tuned.most_changed_layer.name)
    link.click()
    assert_open(page, compared, most_changed(compared))

"""A run of six models, three stances each, three hundred layers: the report stays a page that can be sent and read."""

import pytest
from playwright.sync_api import expect

from tests.browser.acting import choose, visible_places
from tests.large_run import LAYERS, MODELS, large_run, layer_names

pytestmark = pytest.mark.browser

LARGEST = 25_000_000
"""Bytes."""
ELEMENTS = 30_000
"""What a browser lays out within a second or so; how long it takes is measured by `benchmarks/report.py`."""


@pytest.fixture(scope="module")
def large_findings(library):
    return large_run(library)


@pytest.fixture(scope="module")
def large_report(large_findings, write_report):
    return write_report(large_findings)


def test_it_stays_small_enough(open_report, large_report, large_findings):
    spectra = [spectrum for cell in large_findings.cells for spectrum in cell.spectra]
    assert len(spectra) == len(MODELS) * 5 * LAYERS
    assert all(len(spectrum.curve.sizes) > 30 for spectrum in spectra)
    assert large_report.stat().st_size < LARGEST
    page = open_report(large_report)
    assert page.evaluate("document.querySelectorAll('*').length") < ELEMENTS


def test_models_filter_verdicts_and_the_last_layer_of_the_last_one_opens(open_report, large_report, large_findings):
    page = open_report(large_report)
    page.get_by_role("form", name="Filter the verdicts").get_by_label("Model").select_option(MODELS[2])
    rows = page.locator("#verdict-table > tbody > tr[data-status]")
    wanted = [place for place, verdict in enumerate(large_findings.verdicts) if verdict.model == MODELS[2]]
    assert visible_places(rows) == wanted
    expect(page.locator("#verdict-count")).to_have_text(f"{len(wanted)} of {len(large_findings.verdicts)} claims")
    choose(page.get_by_role("form", name="What the heat maps show"), Model=MODELS[-1])
    page.get_by_role("grid").first.locator("[data-layer]").last.click()
    panel = page.locator("#spectrum")
    expect(panel.get_by_role("heading")).to_contain_text(layer_names()[-1])
    expect(panel.get_by_role("heading")).to_contain_text(MODELS[-1])
    expect(panel.locator("#chart-tail-choice svg")).to_be_visible()

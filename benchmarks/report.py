"""Measure the HTML report: how long it takes to make, how large it is, and how long Chromium needs to open it.

Usage: ``python -m benchmarks.report [FINDINGS] [--repeats 5]`` from the repository's root. FINDINGS is a findings file;
by default the one that ``make findings`` wrote, and without it the large run alone: six models, three stances each,
three hundred layers, made up. Opening is from the request for the file to the second frame after the window's load
event: then everything that is drawn at once has been drawn. Of the repeats the median counts, and the largest is told.
An empty page tells how busy the machine is. Exits with 1 if a limit is not kept.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser

from stance_suite.config.catalog import bundled_fixtures, load_catalog
from stance_suite.report.page import render_html
from stance_suite.schema.findings import Findings
from stance_suite.store.findings import read_findings
from tests.chromium import find_chromium, start_chromium
from tests.large_run import large_run

WRITTEN = Path("reports/findings.json")
LIMITS = {"the run of make findings": (6, 3.0), "large": (25, 3.0)}
"""Megabytes and seconds that a report must stay below."""
TWO_FRAMES = """() => new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))"""


def seconds_to_open(browser: Browser, path: Path) -> float:
    """Open a page in a profile of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, offline=True)
    page = context.new_page()
    start = time.perf_counter()
    page.goto(path.as_uri(), wait_until="load")
    page.evaluate(TWO_FRAMES)
    seconds = time.perf_counter() - start
    context.close()
    return seconds


def measure(name: str, findings: Findings, browser: Browser, repeats: int) -> bool:
    """Print the figures of one report, and tell whether it stays below its limits."""
    largest, longest = LIMITS[name]
    start = time.perf_counter()
    page = render_html(findings).encode()
    rendering = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "findings.html"
        path.write_bytes(page)
        opening = [seconds_to_open(browser, path) for _ in range(repeats)]
    size, median = len(page) / 1e6, statistics.median(opening)
    cells = len(findings.cells)
    layers = max((len(record.spectra) for record in findings.cells), default=0)
    print(f"{name}: {cells} cells of up to {layers} layers, {len(findings.verdicts)} verdicts")
    print(f"  rendering {rendering:.1f} s")
    print(f"  size {size:.2f} MB, {size / largest:.2f} of {largest} MB")
    print(
        f"  opening {median:.2f} s, {median / longest:.2f} of {longest:g} s; largest of {repeats}: {max(opening):.2f} s"
    )
    return size < largest and median < longest


def measure_nothing(browser: Browser, repeats: int) -> None:
    """Print how long an empty page takes."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "empty.html"
        path.write_text("<!doctype html><title>Empty</title>")
        opening = [seconds_to_open(browser, path) for _ in range(repeats)]
    print(f"an empty page: opening {statistics.median(opening):.2f} s")


def main() -> None:
    """Measure the report of a real run, if there is one, and that of the large run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("findings", nargs="?", type=Path, default=WRITTEN)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    program = find_chromium()
    if program is None:
        parser.error("there is no Chromium on the path; `.ci/install-chromium` installs Debian's")
    with start_chromium(program) as browser:
        measure_nothing(browser, given.repeats)
        runs = {"large": large_run(load_catalog(bundled_fixtures()))}
        if given.findings.is_file():
            runs = {"the run of make findings": read_findings(given.findings)} | runs
        kept = [measure(name, findings, browser, given.repeats) for name, findings in runs.items()]
    if not all(kept):
        parser.exit(1, "a report is larger or slower than its limits\n")


if __name__ == "__main__":
    main()

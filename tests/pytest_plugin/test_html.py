"""pytest-html's report of a run in a repository of a user's own: the findings on top, and figures in the rows."""

from base64 import b64decode
from types import SimpleNamespace

import pytest

from stance_suite.pytest_plugin.html import HtmlReport
from stance_suite.report.format import show_figure
from stance_suite.report.page.top import result_sentence
from stance_suite.schema.metrics import Metric
from stance_suite.store.findings import read_findings
from tests.html_pages import PytestHtml, parse, read_pytest_html, squeeze
from tests.pytest_plugin.conftest import HOSTILE, write_whole_suite


def report_of(project, page: str):
    """What pytest-html shows, and the findings that it is about."""
    return read_pytest_html(project / page), read_findings(project / "reports" / "findings.json")


def assert_sums_up(page: PytestHtml, findings) -> None:
    parsed = parse(page.summary)
    assert squeeze(result_sentence(findings)) in parsed.text
    for verdict in findings.verdicts:
        assert verdict.claim.statement in parsed.text or verdict.status == "NOT_RUN"
        assert figure(verdict) in parsed.text
    assert "script" not in dict(parsed.elements)


def figure(verdict) -> str:
    shown = "" if verdict.figure is None else show_figure(verdict.figure, verdict.claim)
    return f"{shown} {verdict.claim.unit}".strip() if shown else ""


def link_in(page: PytestHtml) -> str:
    (link,) = parse(page.summary).all("a")
    return link["href"]


def test_the_summary_is_on_top_and_every_row_has_figures_and_a_picture(finished, project):
    page, findings = report_of(project, "own.html")
    assert_sums_up(page, findings)
    assert link_in(page) == "reports/findings.html"
    results = ["Passed" if verdict.status == "HOLDS" else "XFailed" for verdict in findings.verdicts]
    assert [row.result for row in page.rows] == results
    pictures = set()
    for row, verdict in zip(page.rows, findings.verdicts, strict=True):
        assert row.verdict == f"{verdict.status} {figure(verdict)}"
        (fragment,) = row.fragments
        assert figure(verdict) in parse(fragment).text
        (image,) = parse(fragment).all("img")
        pictures.add(b64decode(image["src"].split(",")[1]))
    assert len(pictures) == 2
    assert all(picture.startswith(b"<svg") for picture in pictures)


def test_two_workers_fill_the_rows_of_all_fixtures_and_the_summary(by_two_workers):
    project, _ = by_two_workers
    page, findings = report_of(project, "out of/the way/x.html")
    assert_sums_up(page, findings)
    assert link_in(page) == "../../reports/findings.html"
    told = "this run does not ask for smollm2-135m; add --stance-model smollm2-135m: other.model"
    assert told in parse(page.summary).text

    rows = {row.test.removeprefix("test_own.py::"): row for row in page.rows}
    verdicts = {verdict.claim.id: verdict for verdict in findings.verdicts}
    texts = {name: parse("".join(row.fragments)).text for name, row in rows.items()}
    skipped = rows["test_claim[other.model]::setup"]
    assert (skipped.result, skipped.verdict) == ("Skipped", "NOT_RUN")
    assert HOSTILE in texts["test_claim[other.model]::setup"]

    (statement,) = (name for name in rows if name.startswith("test_statement[own.measured]"))
    for name in ("any.curious.likelihood", "any.engaged.alpha"):
        assert figure(verdicts[name]) in texts[statement]
    record = rows["test_record[own.published]::setup"]
    assert (record.result, record.verdict) == ("XFailed", "INCONCLUSIVE")
    assert "no figure was published" in texts["test_record[own.published]::setup"]

    agreements = {one.stance: one.agreement for one in findings.triangulations}
    cells = {record.cell.label: record for record in findings.cells}
    for stance in ("curious-uncertainty", "engaged-difficulty"):
        (name,) = (name for name in rows if name.startswith("test_agreement") and stance in name)
        assert rows[name].verdict == agreements[stance]
        losses = cells[f"{stance} (documented)"].training.epoch_losses
        for measure in Metric.triangulated():
            assert texts[name].count(measure) >= 2, "against base and sham"
        (name,) = (name for name in rows if name.startswith("test_loss") and stance in name)
        assert f"{losses[0]:.3f} {losses[-1]:.3f}" in texts[name]
    assert (rows["test_unrelated"].verdict, rows["test_unrelated"].fragments) == ("", ())


def test_a_run_that_measured_nothing_says_so(run_suite, project):
    write_whole_suite(project)
    run_suite("pytest", "-k", "record", "--html=x.html", "--self-contained-html", code=0)
    page = read_pytest_html(project / "x.html")
    assert "nothing was measured" in parse(page.summary).text
    assert [row.verdict for row in page.rows] == ["INCONCLUSIVE"]


def test_a_report_on_other_tests_shows_nothing_of_ours(pytester):
    pytester.makepyfile("def test_own():\n    pass\n")
    pytester.runpytest("--html=x.html", "--self-contained-html").assert_outcomes(passed=1)
    page = read_pytest_html(pytester.path / "x.html")
    assert parse(page.summary).text == ""
    assert "stance-suite findings" not in page.html
    (header,) = (one for one in parse(page.html).all("th") if one.get("data-column-type") == "verdict")
    assert "hidden" in header
    assert not parse(page.html).all("link")


OTHERS_HOOKS = """
def pytest_html_results_table_header(cells):
    cells.insert(2, "<th>Own</th>")
    cells.pop()

def pytest_html_results_table_row(report, cells):
    cells.insert(2, "<td>own</td>")
    cells.pop()
    if "left_out" in report.nodeid:
        del cells[:]
"""


def test_what_others_hooks_did_to_the_table_stays(pytester):
    pytester.makeconftest(OTHERS_HOOKS)
    pytester.makepyfile("def test_own():\n    pass\n\ndef test_left_out():\n    pass\n")
    pytester.runpytest("--html=x.html", "--self-contained-html").assert_outcomes(passed=2)
    page = read_pytest_html(pytester.path / "x.html")
    assert [row.test for row in page.rows] == ["test_what_others_hooks_did_to_the_table_stays.py::test_own"]
    columns = [one.get("data-column-type") for one in parse(page.html).all("th")]
    assert columns == ["result", "verdict", "testId", None, "duration"]


@pytest.mark.parametrize("options", [(), ("-p", "no:html"), ("--html=x.html", "-p", "no:stance-suite")])
def test_either_plugin_runs_without_the_other(pytester, options):
    pytester.makepyfile("def test_own():\n    pass\n")
    pytester.runpytest(*options).assert_outcomes(passed=1)


def test_errors_stand_on_top_and_findings_without_a_report_are_summed_up(whole_run):
    result, error = SimpleNamespace(findings=whole_run, report=None), "baseline.json: <b>no such file"
    gathering = SimpleNamespace(result=result, written="could not be written: no room", error=error)
    prefix = ["another's"]
    HtmlReport(gathering, "x.html").pytest_html_results_summary(prefix)
    assert parse(prefix[0]).text.endswith(f"ERROR: {error}")
    assert "The report could not be written: no room" in parse(prefix[1]).text
    assert prefix[2:] == ["another's"]

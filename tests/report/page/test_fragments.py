"""What another tool's page shows of findings."""

import re
from base64 import b64decode

import pytest

from stance_suite.report.format import show_figure, show_interval
from stance_suite.report.page import fragments
from stance_suite.report.page.top import result_sentence
from stance_suite.schema.metrics import Metric
from stance_suite.schema.verdicts import ControlFigure, Status
from tests.edits import altered
from tests.html_pages import parse, squeeze

HOSTILE = """<script>document.title='x'</script>"><img src=x onerror=alert(1)>{{7*7}}"""
COMPARED = ControlFigure(role="compared", about=HOSTILE, figure=1.0)
REPORT = fragments.ReportPlace("out/findings.html", "out/findings.html")


def figures(verdict) -> str:
    claim = verdict.claim
    shown = "" if verdict.figure is None else f"{show_figure(verdict.figure, claim)} {claim.unit}".strip()
    return f"{shown} {show_interval(verdict, claim)}".strip()


def verdict_of(findings, name):
    return next(verdict for verdict in findings.verdicts if verdict.claim.id == name)


def test_the_summary_gives_result_verdicts_and_what_was_not_run(whole_run):
    ungated = altered(whole_run, gate=None)
    html = fragments.render_summary(ungated, REPORT)
    text = parse(html).text
    assert squeeze(result_sentence(ungated)) in text
    assert "Gate" not in text
    for verdict in whole_run.verdicts:
        assert verdict.claim.id in text
        if verdict.status is not Status.NOT_RUN:
            assert f"{verdict.claim.statement} {verdict.claim.id} · {verdict.model}" in text
            assert figures(verdict) in text
            assert set(verdict.caveats) <= set(re.findall(r">(\w+)</span>", html))
    skipped = [verdict for verdict in whole_run.verdicts if verdict.status is Status.NOT_RUN]
    assert f"{len(skipped)} claims were not run, and why" in text
    assert text.count("add --stance-model large") == 1, "one entry a reason"


def test_a_gate_is_told_with_what_was_not_met(whole_run):
    text = parse(fragments.render_summary(whole_run, REPORT)).text
    gate = whole_run.gate
    unmet = [demand for demand in gate.demands if demand.outcome != "passed"]
    assert unmet and len(unmet) < len(gate.demands)
    assert gate.sentence in text
    assert f"{len(gate.demands) - len(unmet)} of {len(gate.demands)} demands were met" in text
    for demand in unmet:
        assert f"{demand.outcome} {demand.name} ({demand.model}): {demand.reason}" in text


@pytest.mark.parametrize(
    ("relative", "address"),
    [
        ("../reports/findings.html", "../reports/findings.html"),
        ("javascript:alert(1)//findings.html", "javascript%3Aalert%281%29//findings.html"),
        ('a"b/ü#?.html', "a%22b/%C3%BC%23%3F.html"),
    ],
)
def test_the_summary_links_to_the_report(whole_run, relative, address):
    html = fragments.render_summary(whole_run, fragments.ReportPlace("shown <path>", relative))
    assert [link["href"] for link in parse(html).all("a")] == [address]
    assert "shown <path>" in parse(html).text


def test_a_report_that_could_not_be_written_is_told(whole_run):
    parsed = parse(fragments.render_summary(whole_run, fragments.ReportPlace("could not be written: disk full", None)))
    assert not parsed.all("a")
    assert "The report could not be written: disk full" in parsed.text


def test_a_verdicts_fragment_carries_its_figures_its_controls_and_a_picture(whole_run):
    for name in ("own.likelihood", "own.flip"):
        verdict = verdict_of(whole_run, name)
        parsed = parse(fragments.render_verdict(verdict, whole_run))
        assert verdict.controls
        claim = verdict.claim
        for control in verdict.controls:
            told = f"{control.name} {show_figure(control.figure, claim)} {show_interval(control, claim)}"
            assert told.strip() in parsed.text
        assert f"{show_figure(verdict.figure, claim)} {claim.unit}" in parsed.text
        assert verdict.reason in parsed.text
        (image,) = parsed.all("img")
        kind, picture = image["src"].split(",")
        assert kind == "data:image/svg+xml;base64"
        drawn = b64decode(picture).decode()
        assert drawn.startswith("<svg") and (verdict.layer or claim.id) in drawn
        assert image["alt"]
        assert not parsed.all("svg"), "an inlined drawing would share its ids with all others"


def test_a_verdict_that_was_not_run_says_why(whole_run):
    verdict = next(one for one in whole_run.verdicts if one.status is Status.NOT_RUN)
    parsed = parse(fragments.render_verdict(verdict, whole_run))
    assert verdict.reason in parsed.text and "on record" not in parsed.text
    assert not parsed.all("img")


def test_a_record_is_told_with_its_reason(whole_run):
    judged = whole_run.records[0]
    text = parse(fragments.render_record(judged)).text
    assert f"{judged.status} {judged.statement} {judged.id} {judged.reason}" in text
    other = altered(judged, expected="FAILS" if judged.status != "FAILS" else "HOLDS")
    assert f"on record: {other.expected}" in parse(fragments.render_record(other)).text


def test_a_triangulation_carries_every_effect(whole_run):
    agreed = whole_run.triangulations[0]
    control = ControlFigure(control="sham", role="effect", figure=0.5, low=0.25, high=0.75, p_value=0.0123)
    text = parse(fragments.render_triangulation(agreed, {Metric.MARKER_RATE: [control]})).text
    assert agreed.agreement in text
    assert "marker_rate per 100 words sham +0.5000 +0.2500 to +0.7500 0.012" in text


def test_trainings_carry_losses_and_the_largest_change_of_alpha(whole_run):
    record = next(one for one in whole_run.cells if one.cell.is_under_test)
    total = max(abs(change.alpha_change.total) for change in record.changes)
    text = parse(fragments.render_trainings([record])).text
    assert record.cell.label in text
    assert f"2.000 1.000 {total:.2g} %" in text


def test_whatever_is_inserted_is_text(whole_run):
    verdict = verdict_of(whole_run, "own.flip")
    claim, controls = altered(verdict.claim, statement=HOSTILE), (COMPARED,)
    hostile = altered(verdict, claim=claim, model=HOSTILE, reason=HOSTILE, controls=controls)
    skipped = altered(hostile, status=Status.NOT_RUN)
    (demand, *_) = (one for one in whole_run.gate.demands if one.outcome != "passed")
    gate = altered(whole_run.gate, demands=(altered(demand, name=HOSTILE, model=HOSTILE, reason=HOSTILE),))
    findings = altered(whole_run, verdicts=(hostile, skipped), gate=gate)
    statement = altered(whole_run.statements[0], statement=HOSTILE, reason=HOSTILE)
    record = altered(whole_run.records[0], statement=HOSTILE, reason=HOSTILE)
    agreed = altered(whole_run.triangulations[0], model=HOSTILE, stance=HOSTILE)
    cell = altered(whole_run.cells[0], cell=altered(whole_run.cells[0].cell, model=HOSTILE))
    nameless = altered(hostile, prompts=(), layer=HOSTILE)
    shown = {
        "summary": fragments.render_summary(findings, fragments.ReportPlace(HOSTILE, HOSTILE)),
        "verdict": fragments.render_verdict(hostile, findings),
        "layer": fragments.render_verdict(nameless, findings),
        "statement": fragments.render_statement(statement, [hostile]),
        "record": fragments.render_record(record),
        "triangulation": fragments.render_triangulation(agreed, {Metric.MARKER_RATE: hostile.controls}),
        "trainings": fragments.render_trainings([cell]),
        "note": fragments.render_note(HOSTILE),
    }
    for name, fragment in shown.items():
        parsed = parse(fragment)
        assert HOSTILE in parsed.text, name
        assert "script" not in dict(parsed.elements), name
        assert all(image["src"].startswith("data:") for image in parsed.all("img")), name
        assert not any(key.startswith("on") for _, attributes in parsed.elements for key in attributes), name

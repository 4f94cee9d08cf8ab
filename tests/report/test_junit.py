"""JUnit XML as it is read: by junitparser, and by what Jenkins, GitLab and GitHub's reporters rely on."""

import math
from xml.etree import ElementTree

import pytest
from junitparser import Error, Failure, JUnitXml, Properties, Skipped

from stance_suite.report.junit import render_junit, verdict_properties
from stance_suite.schema.policy import Policy
from stance_suite.schema.verdicts import ControlFigure, Status
from tests.gates import edited, gate_run, gated
from tests.runs import findings

HOSTILE = "a\x00b\x1b[31m ]]> <b>&amp;\"' \ud800\ufffe 🦙\u202e"
"""Control characters, the end of a CDATA section, markup, an unpaired surrogate, an emoji, a turn of direction."""
OF_SUITE, OF_RESULT = {"name", "tests", "failures", "errors", "skipped", "time"}, {"message", "type"}
STRUCTURE = {
    "testsuites": ({"testsuite"}, OF_SUITE),
    "testsuite": ({"testcase"}, OF_SUITE),
    "testcase": ({"properties", "failure", "error", "skipped"}, {"name", "classname", "time"}),
    "failure": (set(), OF_RESULT),
    "error": (set(), OF_RESULT),
    "skipped": (set(), {"message"}),
    "properties": ({"property"}, set()),
    "property": (set(), {"name", "value"}),
}
"""Children and attributes of each element."""


def parsed(run) -> JUnitXml:
    return JUnitXml.fromstring(render_junit(run).encode())


def cases(run):
    return {(suite.name, case.name): case for suite in parsed(run) for case in suite}


def properties(case):
    (group,) = case.iterchildren(Properties)
    return {one.name: one.value for one in group}


@pytest.fixture
def failing(stance):
    run = edited(gate_run(stance, alpha=9.0), ".markers", status=Status.ERROR, reason="ZeroDivisionError: broken")
    return gated(edited(run, ".divergence", status=Status.NOT_RUN, reason="left out"))


def check_structure(element):
    """What the usual schemas agree on, and where pytest writes properties."""
    children, attributes = STRUCTURE[element.tag]
    assert {child.tag for child in element} <= children, element.tag
    assert set(element.attrib) <= attributes, element.attrib
    if element.tag == "testcase":
        assert [child.tag for child in element][:1] == ["properties"]
        assert len(element) <= 2, "one result at most"
        assert element.attrib["name"] and element.attrib["classname"]
        assert float(element.attrib["time"]) >= 0
    for child in element:
        check_structure(child)


def test_has_the_usual_structure(stance, failing):
    for run in (failing, gated(gate_run(stance)), gate_run(stance), findings(stance)):
        root = ElementTree.fromstring(render_junit(run))
        assert root.tag == "testsuites"
        check_structure(root)
        for suite in root:
            tags = [child.tag for case in suite for child in case]
            assert int(suite.attrib["tests"]) == len(suite)
            for tag, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
                assert int(suite.attrib[attribute]) == tags.count(tag)
        for attribute in ("tests", "failures", "errors"):
            assert int(root.attrib[attribute]) == sum(int(suite.attrib[attribute]) for suite in root)


def test_counts_what_failed_broke_and_was_not_run(stance, failing):
    gate, claims = parsed(failing)
    assert (gate.name, claims.name) == ("stance-suite gate", "stance-suite claims")
    assert (gate.tests, gate.failures, gate.errors, gate.skipped) == (4, 2, 0, 0)
    assert (claims.tests, claims.failures, claims.errors, claims.skipped) == (len(failing.verdicts), 1, 1, 1)
    (alone,) = parsed(gate_run(stance))
    assert (alone.name, alone.tests, alone.failures) == ("stance-suite claims", len(failing.verdicts), 0), (
        "without a gate"
    )


def test_a_demand_is_a_case_with_its_outcome(stance, failing):
    name = f"no unexplained change of weights by {stance.name}"
    case = cases(failing)["stance-suite gate", name]
    assert case.classname == "gate.m"
    (result,) = case.result
    assert (type(result), result.type) == (Failure, "demand not met")
    assert "+9 %" in result.message
    assert result.text == result.message, "GitLab shows the text, others the message"
    told = properties(case)
    assert (told["outcome"], told["kind"]) == ("failed", "structure")
    met = cases(failing)["stance-suite gate", f"adoption of {stance.name}"]
    assert met.result == []
    verdict = failing.verdicts[0]
    assert properties(met)["reason"] == f"{verdict.reason}; the measures together: adopted"
    assert verdict.reason.startswith(f"{verdict.figure:+.3f} against base")
    unknown = edited(gate_run(stance), ".preference", status=Status.INCONCLUSIVE)
    warned = cases(gated(unknown, Policy(inconclusive="warn")))["stance-suite gate", f"adoption of {stance.name}"]
    assert (warned.result, properties(warned)["outcome"]) == ([], "warning")


def test_a_claim_is_a_case_with_its_figures(stance, failing):
    found = cases(failing)
    name = f"standard.{stance.name}"
    told = properties(found["stance-suite claims", f"{name}.preference"])
    verdict = failing.verdicts[0]
    fields = {"effect": "figure", "interval_low": "low", "interval_high": "high", "p_value": "p_value"}
    for key, field in fields.items():
        assert float(told[key]) == pytest.approx(getattr(verdict, field), rel=1e-5)
    named = ("unit", "status", "metric", "asked")
    assert [told[name] for name in named] == ["nats/token", "HOLDS", "likelihood_preference", "above 0.1"]
    (sham,) = (one for one in verdict.controls if one.name == "sham")
    assert told["control: sham"] == f"{sham.figure:g} [{sham.low:g}, {sham.high:g}]"
    (error,) = found["stance-suite claims", f"{name}.markers"].result
    (skipped,) = found["stance-suite claims", f"{name}.divergence"].result
    (surprise,) = found["stance-suite claims", f"{name}.structure"].result
    assert (type(error), error.message, error.text) == (Error, *["ZeroDivisionError: broken"] * 2)
    assert (type(skipped), skipped.message) == (Skipped, "left out")
    assert (type(surprise), surprise.type) == (Failure, "verdict not on record")
    assert surprise.message.startswith("HOLDS, on record is FAILS or INCONCLUSIVE: ")
    assert found["stance-suite claims", f"{name}.preference"].result == []


def test_hostile_names_and_reasons_stay_text(stance):
    run = edited(gate_run(stance, model=HOSTILE), "standard.", status=Status.ERROR, reason=HOSTILE)
    shown = HOSTILE.translate({0: "�", 0x1B: "�", 0xD800: "�", 0xFFFE: "�"})
    text = render_junit(gated(run))
    check_structure(ElementTree.fromstring(text))
    gate, claims = JUnitXml.fromstring(text.encode())
    assert {case.classname for case in gate} == {f"gate.{shown}"}
    assert {case.classname for case in claims} == {f"claims.{shown}"}
    for case in claims:
        (error,) = case.result
        assert (error.message, error.text) == (shown, shown)
        assert properties(case)["model"] == shown


def test_figures_that_are_no_numbers_are_written_as_such(stance):
    control = ControlFigure(control="sham", role="effect", figure=math.nan)
    run = edited(gate_run(stance), ".preference", figure=math.nan, low=None, high=-math.inf, controls=(control,))
    told = dict(verdict_properties(run.verdicts[0]))
    assert (told["effect"], told["interval_high"], told["control: sham"]) == ("nan", "-inf", "nan")
    assert "interval_low" not in told
    check_structure(ElementTree.fromstring(render_junit(run)))

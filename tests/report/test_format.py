from math import nan

import pytest

from stance_suite.report import format as written
from stance_suite.schema.claims import Claim, Counterpart
from stance_suite.schema.metrics import Metric
from stance_suite.schema.verdicts import Status, Verdict
from tests.edits import altered

DECLARED = {"statement": "Something is so.", "metric": "likelihood_preference", "comparator": "above", "bound": 0}
CLAIM = Claim(id="c", model="m", stance="s", **DECLARED)


def judged(status=Status.FAILS, **figures):
    return Verdict(**{"claim": CLAIM, "model": "m", "status": status, "reason": "r"} | figures)


def test_a_line_has_status_claim_figure_and_caveats():
    verdict = judged(figure=0.2345678, low=0.1, high=0.3, p_value=0.0123, caveats=("within_null",))
    line = written.verdict_line(verdict)
    assert line.startswith("FAILS")
    assert "+0.2346 nats/token [+0.100, +0.300] p=0.0123" in line
    assert "[within_null]" in line
    assert "adjusted" not in line
    assert "p=0.0123 adjusted p=0.0492" in written.verdict_line(altered(verdict, adjusted_p_value=0.0492))
    assert "on record: HOLDS" in line


def test_a_claim_that_was_not_run_says_why_and_is_no_surprise():
    line = written.verdict_line(judged(Status.NOT_RUN, reason="no weights"))
    assert "(no weights)" in line
    assert "on record" not in line


def test_the_smallest_p_values_are_not_told_apart():
    assert [written.show_p_value(one) for one in (None, 2e-12, 0.0423)] == ["–", "< 0.0001", "0.042"]


def test_figures_have_their_sign_or_are_a_dash():
    shown = ["+0.2500", "−1.000", "+0.0000", "+15.05", "–"]
    assert [written.show_signed(figure) for figure in (0.25, -1.0, 1.14e-5, 15.049, nan)] == shown


@pytest.mark.parametrize(
    ("metric", "figure", "shown"),
    [
        ("likelihood_preference", 0.25, "+0.2500"),
        ("divergence", -0.25, "−0.2500"),
        ("alpha_change_percent", 1.5, "+1.500"),
        ("alpha", 3.9, "3.900"),
        ("relative_change_percent", 3.9, "3.900"),
        ("changed_layers", 17.0, "17"),
        ("changed_layers", 17.5, "17.50"),
        ("changed_layers", nan, "–"),
        ("participation_ratio", 17.0, "17.00"),
    ],
)
def test_only_effects_and_changes_have_a_plus_and_counts_no_decimals(metric, figure, shown):
    assert written.show_figure(figure, altered(CLAIM, metric=Metric.named(metric))) == shown
    assert written.show_figure(figure, Metric.named(metric)) == shown


@pytest.mark.parametrize(
    ("metric", "by", "shown", "unit"),
    [
        ("alpha_change_percent", "ratio", "2.000", "ratio"),
        ("changed_layers", "ratio", "2.000", "ratio"),
        ("changed_layers", "difference", "+2", "layers"),
        ("alpha", "difference", "+2.000", ""),
    ],
)
def test_a_difference_goes_up_or_down_and_a_ratio_is_said_to_be_one(metric, by, shown, unit):
    compared = altered(CLAIM, metric=Metric.named(metric), versus=Counterpart(recipe="long", by=by))
    assert (written.show_figure(2.0, compared), written.show_unit(compared)) == (shown, unit)


def test_an_interval_has_both_ends_or_is_not_there():
    verdict = judged(figure=0.2, low=-0.1, high=0.3)
    assert written.show_interval(verdict, CLAIM) == "−0.1000 to +0.3000"
    assert written.show_interval(verdict, Metric.ALPHA) == "−0.1000 to 0.3000"
    assert written.show_interval(altered(verdict, high=None), CLAIM) == ""


def test_p_values_are_told_with_what_the_correction_makes_of_them():
    verdict = judged(p_value=0.0123, adjusted_p_value=0.0369)
    assert written.show_p_values(verdict) == "p = 0.012, 0.037 after Holm’s correction"
    assert written.show_p_values(altered(verdict, p_value=1e-9, adjusted_p_value=None)) == "p < 0.0001"
    assert written.show_p_values(altered(verdict, p_value=None)) == ""

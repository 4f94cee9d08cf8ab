from math import nan

from stance_suite.claims import Claim
from stance_suite.judgments import Status, Verdict
from stance_suite.reports.text import show_p_value, show_signed, tally, verdict_line

CLAIM = Claim(
    id="c",
    statement="Something is so.",
    model="m",
    stance="s",
    metric="likelihood_preference",
    comparator="above",
    bound=0,
)


def test_a_line_has_status_claim_figure_and_caveats():
    verdict = Verdict(
        claim=CLAIM,
        model="m",
        status=Status.FAILS,
        reason="r",
        figure=0.2345678,
        low=0.1,
        high=0.3,
        p_value=0.0123,
        caveats=("within_null",),
    )
    line = verdict_line(verdict)
    assert line.startswith("FAILS")
    assert "+0.2346 nats/token [+0.100, +0.300] p=0.0123" in line
    assert "[within_null]" in line
    assert "adjusted" not in line
    assert "p=0.0123 adjusted p=0.0492" in verdict_line(verdict.model_copy(update={"adjusted_p_value": 0.0492}))
    assert "on record: HOLDS" in line


def test_a_claim_that_was_not_run_says_why_and_is_no_surprise():
    line = verdict_line(Verdict(claim=CLAIM, model="m", status=Status.NOT_RUN, reason="no weights"))
    assert "(no weights)" in line
    assert "on record" not in line


def test_the_tally():
    verdicts = [Verdict(claim=CLAIM, model="m", status=status, reason="r") for status in ("HOLDS", "FAILS", "HOLDS")]
    assert tally(verdicts) == "1 FAILS, 2 HOLDS"
    assert tally([]) == "no claim judged"


def test_the_smallest_p_values_are_not_told_apart():
    assert [show_p_value(one) for one in (None, 2e-12, 0.0423)] == ["–", "< 0.0001", "0.042"]


def test_figures_have_their_sign_or_are_a_dash():
    assert [show_signed(figure) for figure in (0.25, -1.0, 1.14e-5, 15.049, nan)] == [
        "+0.2500",
        "−1.000",
        "+0.0000",
        "+15.05",
        "–",
    ]

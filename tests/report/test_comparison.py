import pytest

from stance_suite.judge.compare.runs import compare_runs
from stance_suite.report.comparison import render_markdown, shorten, summary_sentence
from stance_suite.schema.metrics import Caveat
from stance_suite.schema.verdicts import Status
from tests.edits import altered
from tests.runs import findings, one_run

HOSTILE = "<script>alert(1)</script>|[x](javascript:y)\n# z"


def with_verdict(run, **update):
    return altered(run, verdicts=tuple(altered(one, **update) for one in run.verdicts))


@pytest.fixture
def regressed(stance):
    return compare_runs(one_run(stance, 0.5), one_run(stance, 0.3, noise=1))


def test_the_sentence_counts_verdicts_and_effects(stance, regressed):
    assert summary_sentence(regressed) == "1 claim compared: 0 verdicts changed; effects: 1 regressed."
    run = one_run(stance, 0.5)
    flipped = with_verdict(run, status=Status.FAILS)
    assert summary_sentence(compare_runs(run, flipped)) == (
        "1 claim compared: 1 verdict changed; effects: 1 same within noise."
    )
    other = one_run(stance, 0.5, id="other")
    both = altered(run, verdicts=run.verdicts + other.verdicts)
    assert "; 1 without a counterpart." in summary_sentence(compare_runs(run, both))
    assert summary_sentence(compare_runs(run, findings(stance))) == "No claim is common to both runs."
    skipped = with_verdict(other, status=Status.NOT_RUN)
    pair = altered(run, verdicts=run.verdicts + skipped.verdicts)
    assert summary_sentence(compare_runs(pair, pair)).endswith("; 1 not run.")


def test_a_regression_is_shown_with_its_interval(regressed):
    text = render_markdown(regressed)
    (change,) = regressed.changes
    difference = change.paired[0]
    assert "### What changed" in text and "did not" not in text
    row = next(line for line in text.splitlines() if line.startswith("| m.adopted"))
    assert f"{difference.difference:+.4g} [{difference.low:+.3g}, {difference.high:+.3g}] nats/token" in row
    assert f"{difference.adjusted_p_value:.4f}" in row and "regressed" in row
    assert "10 % of the effect before" in text


def test_a_flipped_verdict_and_its_caveats_are_shown(stance):
    run = with_verdict(one_run(stance, 0.5), caveats=(Caveat.VOCABULARY,))
    after = with_verdict(run, status=Status.FAILS, caveats=(Caveat.PARROTED,))
    text = render_markdown(compare_runs(run, after))
    assert all(told in text for told in ("HOLDS → FAILS", "+ parroted", "− vocabulary", "### What changed"))


def test_what_did_not_change_stands_apart(stance):
    run = one_run(stance, 0.5)
    text = render_markdown(compare_runs(run, run))
    assert [f"### What {part}" in text for part in ("changed", "did not", "else differs")] == [False, True, False]


def test_unmatched_claims_and_other_differences_are_listed(stance):
    before, after = one_run(stance, 0.5, id="old"), one_run(stance, 0.5, id="new")
    text = render_markdown(compare_runs(before, altered(after, suite_version="2")))
    assert text.index("### Before only") < text.index("| old |") < text.index("### After only") < text.index("| new |")
    assert "| suite version | 1 | 2 |" in text


def test_hostile_names_stay_text(stance):
    before = one_run(stance, 0.5, model=HOSTILE)
    after = altered(one_run(stance, 0.3, noise=1, model="tame"), command=HOSTILE)
    alone = one_run(stance, 0.5, model=HOSTILE, id="alone")
    before = altered(before, verdicts=before.verdicts + alone.verdicts, command=HOSTILE)
    text = render_markdown(compare_runs(before, after))
    assert not any(markup in text for markup in ("<", "](", "\n# z"))
    assert text.count("&#60;script&#62;") >= 4
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in tables} == {8, 5, 4}


def test_hashes_are_shortened_and_nothing_else():
    assert shorten("a" * 64) == "a" * 12
    assert shorten(f"{'a' * 64}, {'b' * 64}") == f"{'a' * 12}, {'b' * 12}"
    assert shorten("Linux-6.1 x86_64, " + "c d" * 30) == "Linux-6.1 x86_64, " + "c d" * 30

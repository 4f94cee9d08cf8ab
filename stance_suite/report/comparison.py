"""The comparison of two runs in words and tables, from the vocabulary alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from stance_suite.report.format import show, show_count, show_range
from stance_suite.report.markdown import escape, table
from stance_suite.schema.comparison import (
    OUTCOME_MEANINGS,
    EffectChange,
    Estimate,
    Outcome,
    PairedDifference,
    RunComparison,
    RunSummary,
    Unmatched,
)

COLUMNS = ("claim", "verdict", "before", "after", "difference", "adjusted p", "effect")
SHOWN_OF_A_HASH = 12
HASH_LENGTH = 64


def summary_sentence(comparison: RunComparison) -> str:
    """Sum up a comparison in one sentence."""
    changes = comparison.changes
    if not changes:
        return "No claim is common to both runs."
    flipped = sum(change.status_changed for change in changes)
    counts = Counter(change.outcome for change in changes)
    outcomes = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
    alone = len(comparison.only_before) + len(comparison.only_after)
    beside = [f"{alone} without a counterpart"] if alone else []
    beside += [f"{comparison.not_run} not run"] if comparison.not_run else []
    return (
        f"{show_count(len(changes), 'claim')} compared: {show_count(flipped, 'verdict')} changed; effects: {outcomes}"
        f"{''.join(f'; {what}' for what in beside)}."
    )


def change_row(change: EffectChange) -> tuple[str, ...]:
    """Write one claim's change as a row of a table, with a cell for each of `COLUMNS`."""
    # the first difference that says the same, else the first of all
    alike = [entry for entry in change.paired if entry.outcome is change.outcome]
    decisive = next(iter(alike or change.paired), None)
    return (
        _claim(change),
        f"{change.status_before} → {change.status_after}" if change.status_changed else str(change.status_after),
        _estimate(change.before, change.before.figure),
        _estimate(change.after, change.after.figure),
        _difference(change, decisive),
        "" if decisive is None else show(decisive.adjusted_p_value, ".4f"),
        _outcome(change),
    )


def render_markdown(comparison: RunComparison) -> str:
    """Write a comparison as GitHub-flavored Markdown."""
    return "\n".join(_sections(comparison))


def _sections(comparison: RunComparison) -> Iterator[str]:
    yield "## Two runs compared\n"
    yield f"{summary_sentence(comparison)}\n"
    yield f"- before: {_run(comparison.before)}\n- after: {_run(comparison.after)}\n"
    news = [change for change in comparison.changes if change.is_news]
    rest = [change for change in comparison.changes if not change.is_news]
    for title, changes in (("What changed", news), ("What did not, or cannot be told", rest)):
        if changes:
            yield f"### {title}\n"
            yield table(COLUMNS, map(change_row, changes))
    for title, entries in (("Before only", comparison.only_before), ("After only", comparison.only_after)):
        if entries:
            yield f"### {title}\n"
            yield table(("claim", "model", "verdict", "why"), map(unmatched_row, entries))
    if comparison.differences:
        yield "### What else differs\n"
        rows = [(entry.what, shorten(entry.before), shorten(entry.after)) for entry in comparison.differences]
        yield table(("", "before", "after"), rows)
    found = {change.outcome for change in comparison.changes}
    if found:
        meanings = (f"*{outcome}*: {escape(OUTCOME_MEANINGS[outcome])}" for outcome in Outcome if outcome in found)
        yield (
            f"{'; '.join(meanings)}. Differences are paired by prompt, with 95 % intervals; p-values are adjusted "
            f"together; up to {100 * comparison.negligible:g} % of the effect before does not matter.\n"
        )


def unmatched_row(entry: Unmatched) -> tuple[str, ...]:
    """Write a verdict without a counterpart as a row of a table."""
    return entry.claim_id, entry.model, str(entry.status), entry.reason


def shorten(text: str) -> str:
    """Shorten a SHA-256 to what tells it from another; leave any other text as it is."""
    parts = text.split(", ")
    return ", ".join(part[:SHOWN_OF_A_HASH] if len(part) == HASH_LENGTH and part.isalnum() else part for part in parts)


def _claim(change: EffectChange) -> str:
    name = " → ".join(dict.fromkeys((change.claim_id, change.claim_id_after)))
    if change.model_before == change.model_after:
        return name
    return f"{name} ({change.model_before} → {change.model_after})"


def _estimate(estimate: Estimate | PairedDifference, figure: float | None) -> str:
    interval = "" if figure is None else show_range(estimate.low, estimate.high, "+.3g")
    return f"{show(figure, '+.4g')} {interval}".rstrip()


def _difference(change: EffectChange, decisive: PairedDifference | None) -> str:
    if decisive is None:
        return "" if change.difference is None else f"{change.difference:+.4g} {change.metric.unit}".rstrip()
    against = "" if decisive is change.paired[0] else f" against {decisive.control}"
    return f"{_estimate(decisive, decisive.difference)} {change.metric.unit}".rstrip() + against


def _outcome(change: EffectChange) -> str:
    redefined = f"declared differently: {', '.join(change.redefined)}" if change.redefined else ""
    notes = [
        *filter(None, [change.reason or redefined]),
        *(f"+ {caveat}" for caveat in change.caveats_gained),
        *(f"− {caveat}" for caveat in change.caveats_lost),
    ]
    return f"{change.outcome} ({'; '.join(notes)})" if notes else str(change.outcome)


def _run(run: RunSummary) -> str:
    models = ", ".join(run.models) or "no model"
    return escape(f"{models}; {run.created}; stance-suite {run.suite_version}; {run.command}")

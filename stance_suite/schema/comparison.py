"""The vocabulary of comparing two runs: what they differ in, and what changed in verdicts and effects."""

from __future__ import annotations

from enum import StrEnum

from stance_suite.schema.base import Record
from stance_suite.schema.metrics import Caveat, Metric
from stance_suite.schema.verdicts import Status


class Outcome(StrEnum):
    """What became of an effect between two runs."""

    IMPROVED = "improved"
    REGRESSED = "regressed"
    MOVED = "moved"
    SAME = "same within noise"
    UNKNOWN = "unknown"


OUTCOME_MEANINGS: dict[Outcome, str] = {
    Outcome.IMPROVED: "significantly larger in the direction that the claim claims",
    Outcome.REGRESSED: "significantly smaller in the direction that the claim claims, against base or sham",
    Outcome.MOVED: "significantly different, of a claim that names no direction",
    Outcome.SAME: "no significant difference, or one too small to matter",
    Outcome.UNKNOWN: "the two cannot be compared, or nothing can be tested",
}


class Loss(StrEnum):
    """Whether an effect lost more of its size between two runs than it may."""

    KEPT = "kept"
    LOST = "lost"
    UNCLEAR = "unclear"


class Estimate(Record):
    """A figure and its 95 % interval, as a verdict reported them."""

    figure: float | None
    """The figure; None where there is none."""
    low: float | None = None
    """Lower end of its 95 % interval, where there is one."""
    high: float | None = None
    """Upper end of its 95 % interval, where there is one."""


class PairedDifference(Record):
    """How the effect against one control differs between two runs, paired by prompt."""

    control: str
    """``base`` (of a divergence: noise) or ``sham``."""
    before: float
    """Mean effect against the control in the first run."""
    after: float
    """Mean effect against the control in the second run."""
    difference: float
    """Mean over prompts of the second effect minus the first."""
    low: float | None
    """Lower end of its 95 % interval; None where the differences are all equal."""
    high: float | None
    """Upper end of its 95 % interval; None where the differences are all equal."""
    p_value: float | None
    """Two-sided, of no difference; None where nothing was tested."""
    adjusted_p_value: float | None
    """The same, adjusted for all differences that the comparison tests (Holm)."""
    prompts: int
    """How many prompts it rests on."""
    seeds: int
    """How many seeds are paired; 1 if there is one, or if the scores had to be averaged over seeds."""
    outcome: Outcome
    """What that says."""
    loss: Loss | None = None
    """Whether more than the share that may be lost was lost; None where that was not asked."""
    loss_p_value: float | None = None
    """The p-value of that: two-sided, of having lost just this share; of a loss adjusted for all that are tested."""


class EffectChange(Record):
    """One claim in two runs."""

    claim_id: str
    """The claim in the first run."""
    claim_id_after: str
    """The claim in the second run; another one if two models are compared by claims of their own."""
    statement: str
    """The claim in one sentence."""
    metric: Metric
    """What is measured."""
    model_before: str
    """The model of the first run."""
    model_after: str
    """The model of the second run."""
    status_before: Status
    """The judgment in the first run."""
    status_after: Status
    """The judgment in the second run."""
    before: Estimate
    """The figure in the first run."""
    after: Estimate
    """The figure in the second run."""
    difference: float | None
    """Second figure minus first; None where one is missing or they are not comparable."""
    paired: tuple[PairedDifference, ...] = ()
    """Behavioral claims: the effect's difference against each control."""
    outcome: Outcome
    """What became of the effect."""
    reason: str = ""
    """Why the outcome is unknown, where it is."""
    redefined: tuple[str, ...] = ()
    """Keys of the claim that are declared differently in the two runs."""
    caveats_gained: tuple[Caveat, ...] = ()
    """Caveats of the second run only."""
    caveats_lost: tuple[Caveat, ...] = ()
    """Caveats of the first run only."""

    @property
    def status_changed(self) -> bool:
        """Whether the verdict is another one."""
        return self.status_before is not self.status_after

    @property
    def is_news(self) -> bool:
        """Whether the status, the effect or the caveats changed."""
        moved = self.outcome not in (Outcome.SAME, Outcome.UNKNOWN)
        return self.status_changed or moved or bool(self.caveats_gained or self.caveats_lost)


class Unmatched(Record):
    """A verdict of one run that has no counterpart in the other."""

    claim_id: str
    """The claim."""
    model: str
    """The model it was judged on."""
    status: Status
    """The judgment."""
    reason: str
    """Why it has no counterpart."""


class RunSummary(Record):
    """Which run it was."""

    created: str
    """When its findings were written, ISO 8601 in UTC."""
    command: str
    """The command that made it."""
    suite_version: str
    """Version of stance-suite."""
    models: tuple[str, ...]
    """The models measured."""
    verdicts: int
    """How many verdicts it holds."""


class Difference(Record):
    """One thing that two runs differ in besides their results."""

    what: str
    """What it is, such as ``version of torch``."""
    before: str
    """Of the first run; empty if it has none."""
    after: str
    """Of the second run; empty if it has none."""


class RunComparison(Record):
    """What changed between two runs."""

    before: RunSummary
    """The first run."""
    after: RunSummary
    """The second run."""
    differences: tuple[Difference, ...]
    """What they differ in besides their results."""
    changes: tuple[EffectChange, ...]
    """One entry a pair of verdicts, in the order of the first run."""
    negligible: float
    """Share of the first run's effect up to which a difference does not matter."""
    not_run: int
    """How many claims were run in neither."""
    only_before: tuple[Unmatched, ...]
    """Verdicts of the first run without a counterpart."""
    only_after: tuple[Unmatched, ...]
    """Verdicts of the second run without a counterpart."""

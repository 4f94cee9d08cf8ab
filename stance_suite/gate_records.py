"""The vocabulary of a gate: what was demanded of a model, and whether it met that."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from stance_suite.claims import Record


class Outcome(StrEnum):
    """What became of one demand."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"


class Demand(Record):
    """One demand of a policy on one model, and what became of it."""

    name: str
    """Such as ``adoption of curious-uncertainty``."""
    kind: Literal["adoption", "degeneration", "structure", "claim", "baseline"]
    """Which part of the policy it comes from."""
    model: str
    """The model."""
    outcome: Outcome
    """Whether it was met."""
    reason: str
    """Why, with the figures."""
    claims: tuple[str, ...] = ()
    """Ids of the claims that it rests on; their verdicts hold the figures."""


class GateReport(Record):
    """Whether models met a policy."""

    policy: str
    """The policy's file, as it was named."""
    demanded: dict[str, Any]
    """The policy's content."""
    baseline: str | None
    """The baseline's file, if the run was held against one."""
    baseline_sha256: str | None = None
    """Its hash."""
    demands: tuple[Demand, ...]
    """One entry a demand and model."""

    @property
    def passed(self) -> bool:
        """Whether there was something to demand, and nothing failed."""
        return bool(self.demands) and all(demand.outcome is not Outcome.FAILED for demand in self.demands)

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        failed = [demand for demand in self.demands if demand.outcome is Outcome.FAILED]
        warned = sum(demand.outcome is Outcome.WARNING for demand in self.demands)
        if not self.demands:
            return "The gate failed: nothing was judged, so nothing was shown."
        warnings = f", {warned} with a warning" if warned else ""
        if not failed:
            return f"The gate passed: {len(self.demands)} demands were met{warnings}."
        first = failed[0].name
        return f"The gate failed: {len(failed)} of {len(self.demands)} demands were not met, such as {first}{warnings}."

"""The vocabulary of judgment: what became of a claim. Data; nothing here computes."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field

from stance_suite.schema.base import Record
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import SHAM, Control, Role
from stance_suite.schema.metrics import Caveat

if TYPE_CHECKING:
    from stance_suite.schema.replicates import Replicate


class Status(StrEnum):
    """What became of a claim."""

    HOLDS = "HOLDS"
    FAILS = "FAILS"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_RUN = "NOT_RUN"
    ERROR = "ERROR"


class ControlFigure(Record):
    """The same figure under a control, or the difference from it."""

    control: Control | None = None
    """The control; None where another stance, other prompts or another training are shown."""
    role: Role
    """What the figure is."""
    about: str = ""
    """The stance, the layer, the training or the baseline that the role speaks of."""
    figure: float
    """Effect against that control (behavior), or the control's own figure (structure)."""
    low: float | None = None
    """Lower end of the 95 % interval, where there is one."""
    high: float | None = None
    """Upper end of the 95 % interval, where there is one."""
    p_value: float | None = None
    """Two-sided p-value of no effect, where there is one."""

    @property
    def name(self) -> str:
        """Short readable name, such as ``sham``, ``sham - base`` or ``toward curious-uncertainty``."""
        match self.role:
            case Role.OWN_EFFECT:
                return f"{self.control} - {self.about}"
            case Role.TOWARD:
                return f"toward {self.about}"
            case Role.RIVAL:
                return f"trained on {self.about}"
            case Role.ANSWERS:
                return f"{self.about} answers"
            case Role.COMPARED:
                return self.about if self.control is None else f"{self.about} - {self.control}"
            case Role.MOST_CHANGED:
                return f"{self.control}: {self.about}"
        return str(self.control)


class ReplicateCells(Record):
    """Keys of a trained cell and of the cells beside it, all with one seed."""

    tuned: str
    """The trained cell."""
    base: str
    """The untouched model."""
    controls: dict[Control, str] = Field(default_factory=dict)
    """The controls that are trainings of their own."""
    rivals: dict[str, str] = Field(default_factory=dict)
    """The trainings on other stances that are measured on the same items, by the stance."""

    @classmethod
    def of(cls, replicate: Replicate) -> Self:
        """Name the cells of a replicate."""
        controls = {control: record.key for control, record in replicate.controls.items()}
        rivals = {stance: record.key for stance, record in replicate.rivals.items()}
        return cls(tuned=replicate.tuned.key, base=replicate.base.key, controls=controls, rivals=rivals)

    @property
    def keys(self) -> tuple[str, ...]:
        """All of them, the trained one first."""
        return (self.tuned, self.base, *self.controls.values(), *self.rivals.values())


class PromptScores(Record):
    """The scores of one held-out prompt that a behavioral verdict rests on."""

    prompt: str
    """The prompt as declared."""
    base: float
    """Score of the untouched model; of a divergence, that of noise of the same norm."""
    controls: dict[Control, float] = Field(default_factory=dict)
    """Score after the trainings of the controls; none if the model was trained elsewhere."""
    tuned: float
    """Score after training on the stance."""

    @property
    def sham(self) -> float | None:
        """Score after training on the sham; None if the model was trained elsewhere."""
        return self.controls.get(SHAM)


class Verdict(Record):
    """What became of one claim, with everything needed to see why."""

    claim: Claim
    """The claim that was judged."""
    model: str
    """The model it was judged on."""
    status: Status
    """The judgment."""
    reason: str
    """Why, in one or two sentences."""
    figure: float | None = None
    """The figure that was held against the bound."""
    low: float | None = None
    """Lower end of its 95 % interval, where there is one."""
    high: float | None = None
    """Upper end of its 95 % interval, where there is one."""
    p_value: float | None = None
    """The p-value that decided, where there is one."""
    adjusted_p_value: float | None = None
    """The same, adjusted for all behavioral claims about the model (Holm)."""
    layer: str | None = None
    """The layer that decided: the one nearest to breaking the claim."""
    controls: tuple[ControlFigure, ...] = ()
    """The same figure for the controls."""
    prompts: tuple[PromptScores, ...] = ()
    """Behavioral claims: the paired scores, one entry a held-out prompt."""
    caveats: tuple[Caveat, ...] = ()
    """What a reader must know before repeating the figure."""
    replicates: tuple[ReplicateCells, ...] = ()
    """The measured cells that the verdict rests on, one entry a seed."""
    counterpart: tuple[ReplicateCells, ...] = ()
    """The same of the training that it is compared with, if it is a comparison."""

    @property
    def tuned(self) -> str | None:
        """Key of the trained cell, the first of several seeds; None if nothing was judged."""
        return self.replicates[0].tuned if self.replicates else None

    @property
    def cells(self) -> tuple[str, ...]:
        """Keys of all these cells, the trained one first."""
        return tuple(dict.fromkeys(key for one in (*self.replicates, *self.counterpart) for key in one.keys))

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is one on record."""
        return self.status.value in self.claim.expected


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

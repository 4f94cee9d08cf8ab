"""The vocabulary of judgment: what became of a claim. Data; nothing here computes."""

from __future__ import annotations

from enum import StrEnum

from stance_suite.caveats import Caveat
from stance_suite.claims import Claim, Record


class Status(StrEnum):
    """What became of a claim."""

    HOLDS = "HOLDS"
    FAILS = "FAILS"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_RUN = "NOT_RUN"
    ERROR = "ERROR"


class ControlFigure(Record):
    """The same figure under a control, or the difference from it."""

    name: str
    """``base``, ``sham``, ``noise``, ``rounding``; of behavior also ``sham - base``, ``toward`` another stance,
    ``seen prompts``, and ``base resampled``; of a comparison, the effects compared."""
    figure: float
    """Effect against that control (behavior), or the control's own figure (structure)."""
    low: float | None = None
    """Lower end of the 95 % interval, where there is one."""
    high: float | None = None
    """Upper end of the 95 % interval, where there is one."""
    p_value: float | None = None
    """Two-sided sign-flip p-value, where there is one."""


class PromptScores(Record):
    """The scores of one held-out prompt that a behavioral verdict rests on."""

    prompt: str
    """The prompt as declared."""
    base: float
    """Score of the untouched model; of a divergence, that of noise of the same norm."""
    sham: float | None
    """Score after training on the sham; None if the model was trained elsewhere."""
    tuned: float
    """Score after training on the stance."""


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
    """The same, adjusted for all behavioral claims about the model and recipe (Holm)."""
    layer: str | None = None
    """The layer that decided: the one nearest to breaking the claim."""
    controls: tuple[ControlFigure, ...] = ()
    """The same figure for the controls."""
    prompts: tuple[PromptScores, ...] = ()
    """Behavioral claims: the paired scores, one entry a held-out prompt."""
    caveats: tuple[Caveat, ...] = ()
    """What a reader must know before repeating the figure."""
    cells: tuple[str, ...] = ()
    """Keys of the measured cells that the verdict rests on, the trained one first."""

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is one on record."""
        return self.status.value in self.claim.expected

"""What a gate demands of a model, and what its standard claims are called."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from stance_suite.schema.base import Record
from stance_suite.schema.claims import Expected
from stance_suite.schema.metrics import Caveat

STANDARD = "standard"
"""What ids of standard claims begin with."""

ANY_VERDICT: tuple[Expected, ...] = ("HOLDS", "INCONCLUSIVE", "FAILS")

SIGNS_OF_DEGENERATION = (Caveat.COLLAPSED, Caveat.PARROTED)
"""Caveats that a gate takes for degeneration."""

Consequence = Literal["fail", "warn", "ignore"]


class Adoption(Record):
    """What shows that a stance was adopted."""

    preference: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    """Likelihood preference, in nats per token, that the effect must exceed against base and sham."""
    agreement: Literal["partial", "adopted"] = "partial"
    """``adopted`` if what the model says must move too, and not only what it finds likely."""


class Structure(Record):
    """Which change of the weights needs an explanation."""

    alpha_change_percent: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    """Change of a matrix's alpha, with the tail held fixed and beyond sham and noise, that is unexplained."""
    change_over_sham: float = Field(default=2.0, gt=1, allow_inf_nan=False)
    """So many times what sham and noise show may a tensor change: as a whole, in a direction, in a row, in scale."""
    unexplained: Consequence = "fail"
    """What an unexplained change does, or one that cannot be excluded because something is missing."""


class Regression(Record):
    """How much of a baseline's effect may be lost."""

    share: float = Field(default=0.5, gt=0, lt=1, allow_inf_nan=False)
    """Share of the baseline's effect; that no more is lost must be shown, not only that no loss is."""


class Policy(Record):
    """What a model must show to pass the gate."""

    stances: tuple[str, ...] = ()
    """Names of the stances that it must adopt; all that are under test if empty."""
    recipe: str = "documented"
    """Name of the training recipe."""
    adoption: Adoption = Adoption()
    """What shows that a stance was adopted, specifically."""
    degeneration: Consequence = "fail"
    """What a collapse or a parroting does: repetition, silence, recitation, or neutral text that is mispredicted."""
    structure: Structure = Structure()
    """Which change of the weights needs an explanation."""
    claims: tuple[str, ...] = ("*",)
    """Globs over ids of declared claims that must be as on record, where the run judges them."""
    regression: Regression = Regression()
    """How much may be lost against a baseline."""
    inconclusive: Consequence = "fail"
    """What a demand on behavior does that was measured, and could be neither met nor refuted."""

    @field_validator("stances")
    @classmethod
    def _distinct(cls, stances: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((name for name in stances if stances.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice!r} is given twice; keep one")
        return stances


def standard_id(stance: str, what: str) -> str:
    """Name a standard claim about a preference, responses, markers, a divergence or structure."""
    return f"{STANDARD}.{stance}.{what}"

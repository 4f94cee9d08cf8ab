"""The vocabulary of published statements: whether the figures on record support a sentence; that needs no weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stance_suite.schema.base import Record
from stance_suite.schema.claims import Acceptable, Expected
from stance_suite.schema.metrics import Comparator
from stance_suite.schema.verdicts import Status

Percent = Annotated[float, Field(allow_inf_nan=False)]


class ChangeCheck(Record):
    """Every recorded change that matches must satisfy a comparison."""

    kind: Literal["change"]
    models: tuple[str, ...] = Field(min_length=1)
    """Models whose figures count."""
    stances: tuple[str, ...] = ()
    """Stances whose figures count; all if empty. Each must have a figure."""
    layer: str = "*"
    """Long name of a layer, or a glob."""
    comparator: Comparator
    """How the change is held against the bound."""
    bound: Percent
    """The bound, in percent."""

    @model_validator(mode="after")
    def _has_one_bound(self) -> ChangeCheck:
        if self.comparator.compares_layers or self.comparator is Comparator.BETWEEN:
            raise ValueError("a check of changes takes the comparator 'above', 'below', 'within' or 'beyond'")
        return self


class UnreportedCheck(Record):
    """A layer that is not on record changed by no more than the publication's threshold."""

    kind: Literal["unreported"]
    models: tuple[str, ...] = Field(min_length=1)
    """Models whose figures count."""
    stances: tuple[str, ...] = Field(min_length=1)
    """Stances whose figures count."""
    layer: str
    """Long name of the layer."""


class PlaceCheck(Record):
    """How many layers changed, which, and how deep in the model; of every stance by itself."""

    kind: Literal["place"]
    models: tuple[str, ...] = Field(min_length=1)
    """Models whose figures count."""
    beyond: Percent
    """A layer has changed if its alpha moved by more than this, in percent."""
    count: tuple[int, int]
    """Fewest and most changed layers of a stance."""
    layer: str
    """Glob that every changed layer must match."""
    depth: tuple[Percent, Percent]
    """Range of their depth, in percent of the model's layers."""
    layers: int = Field(gt=0)
    """How many layers the model has."""


class RatioCheck(Record):
    """The largest change of one model over the changes of another under the same stance."""

    kind: Literal["ratio"]
    models: tuple[str, str]
    """The model whose change is divided, and the one it is divided by."""
    between: tuple[Percent, Percent]
    """Smallest and largest ratio as published."""


class DistinctCheck(Record):
    """Every stance changes another layer most."""

    kind: Literal["distinct"]
    models: tuple[str, ...] = Field(min_length=1)
    """Models whose figures count, each by itself."""


class NotRecorded(Record):
    """The record holds no figure about it."""

    kind: Literal["not_recorded"]
    reason: str = Field(min_length=8)
    """What would be needed."""


Check = Annotated[
    ChangeCheck | UnreportedCheck | PlaceCheck | RatioCheck | DistinctCheck | NotRecorded, Field(discriminator="kind")
]


class Statement(Record):
    """A sentence built on recorded figures, on claims, or on both."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    """Unique name, used as the test's id."""
    statement: str = Field(min_length=8)
    """The sentence."""
    checks: tuple[Check, ...] = ()
    """What the record must show; all of it."""
    expected: Literal["HOLDS", "FAILS", "INCONCLUSIVE"] = "HOLDS"
    """The verdict on record, of the checks."""
    measured: tuple[str, ...] = ()
    """Ids of the claims that must hold for it to be true; judged where the run asks for their models."""
    expected_measured: Acceptable = ("HOLDS",)
    """The verdict on record of these claims taken together, or several that are acceptable."""
    source: str = ""
    """Where the statement comes from."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Statement:
        if not self.checks and not self.measured:
            raise ValueError("rests on nothing: give 'checks' of the record, or claims under 'measured'")
        for check in self.checks:
            for name in ("count", "depth", "between"):
                low, high = getattr(check, name, (0, 0))
                if low > high:
                    raise ValueError(f"{name} must give the smaller number first, not [{low}, {high}]")
        return self


class RecordedVerdict(Record):
    """Whether a record agrees with itself, or with what was concluded from it."""

    id: str
    """The claim's or the statement's."""
    statement: str
    """The claim or statement in words."""
    status: Status
    """HOLDS if the record supports it; FAILS if it contradicts it; INCONCLUSIVE if it does not say."""
    reason: str
    """Why, with the figures recomputed."""
    expected: str
    """The verdict on record."""


class StatementVerdict(Record):
    """What was measured of a statement: its claims taken together."""

    id: str
    """The statement's."""
    statement: str
    """The sentence."""
    status: Status
    """HOLDS if every claim does; else the first of ERROR, FAILS, NOT_RUN, INCONCLUSIVE that one has."""
    reason: str
    """Which claim decided, and why."""
    claims: dict[str, Status]
    """Verdict of each claim by its id, followed by the model where the run has several."""
    expected: tuple[Expected, ...]
    """The verdict on record."""

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is one on record."""
        return self.status.value in self.expected

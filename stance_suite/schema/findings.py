"""All verdicts and measurements of one run: what every report is made of."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal, NamedTuple

from stance_suite.schema.base import OfModel, Record
from stance_suite.schema.cells import CellRecord
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import CellControl
from stance_suite.schema.metrics import Metric
from stance_suite.schema.recipes import RecipeSummary, RunSettings
from stance_suite.schema.replicates import CellIndex
from stance_suite.schema.statements import RecordedVerdict, Statement, StatementVerdict
from stance_suite.schema.verdicts import GateReport, Verdict


class Entry(NamedTuple):
    """One thing that findings, or a model, are bound to: what it is, which one, and its hash, version or number."""

    what: str
    name: str
    value: str


FINDINGS_SCHEMA_VERSION: Final = 7
"""Raised when the findings file changes its shape."""


class StanceSummary(Record):
    """What a report and a second judgment need of a stance."""

    name: str
    """Name of the stance."""
    description: str
    """One or two sentences."""
    sha256: str
    """Hash of the stance's content."""
    contrasts: tuple[str, ...]
    """Names of the stances that are measured with it, on the same items."""
    prompts: tuple[str, ...]
    """Held-out prompts that it is measured on."""
    seen_prompts: tuple[str, ...]
    """Prompts that it is trained on."""


class StanceShift(OfModel):
    """How far one training moved behavior toward one stance: an entry of the confusion matrix."""

    metric: Metric
    """The measure."""
    family: str
    """Hash of what all these cells were measured with."""
    trained: str
    """The stance trained on, or the control, such as ``sham``."""
    measured: str
    """The stance that the shift is toward."""
    effect: float
    """Tuned minus base, averaged over held-out prompts and seeds."""
    low: float | None
    """Lower end of its 95 % interval, where there is one."""
    high: float | None
    """Upper end of its 95 % interval, where there is one."""
    p_value: float | None
    """Two-sided p-value of no effect, where there is one."""


class Agreement(StrEnum):
    """What three measures of one training say together."""

    ADOPTED = "adopted"
    PARTIAL = "partial"
    OPPOSED = "opposed"
    SILENT = "silent"
    CONTRADICTORY = "contradictory"


class Level(StrEnum):
    """How far a training got with what it finds likely."""

    NOTHING = "nothing"
    """No more than the controls."""
    REGISTER = "register"
    """More than the controls, but nothing shows that trainings on other stances do less: a manner, not this one."""
    VOCABULARY = "vocabulary"
    """More than trainings on other stances, but nothing shows that the same words in random order do less."""
    STANCE = "stance"
    """More than all of these."""


class Triangulation(OfModel):
    """Whether several measures tell the same of one training, and how far it got."""

    stance: str
    """The stance trained on."""
    agreement: Agreement
    """What they say together."""
    level: Level
    """How far the preference for the stance goes."""
    toward: tuple[Metric, ...]
    """Measures that moved significantly toward the stance, against base and sham, and more than toward others."""
    away: tuple[Metric, ...]
    """Measures that moved significantly away from it."""


class NullVerdicts(Record):
    """How often claims hold of trainings without the stance, judged as if they had it."""

    model: str
    """The model."""
    control: CellControl
    """The control that was judged in the place of trainings, under every seed that another one can be held against."""
    judged: int
    """How many verdicts were made."""
    held: tuple[str, ...]
    """Those that are HOLDS: the claim, and the training that it holds of."""


class Findings(Record):
    """All verdicts and measurements of one run; every report rebuilds from this alone."""

    schema_version: Literal[7] = FINDINGS_SCHEMA_VERSION
    """Shape of this file."""
    suite_version: str
    """Version of stance-suite."""
    created: str
    """When it was written, ISO 8601 in UTC."""
    command: str
    """The command that made it."""
    settings: RunSettings | None = None
    """What the run was asked for."""
    recipes: tuple[RecipeSummary, ...] = ()
    """How its cells were trained."""
    stances: tuple[StanceSummary, ...]
    """The stances measured."""
    claims: tuple[Claim, ...]
    """All claims of the run: behavioral ones about one model share their level, judged or not."""
    verdicts: tuple[Verdict, ...]
    """One entry a claim and model, in declared order."""
    published: tuple[Statement, ...] = ()
    """The published statements that were checked."""
    records: tuple[RecordedVerdict, ...] = ()
    """Whether published figures agree with themselves, and bear out what was said of them; no weights are needed."""
    statements: tuple[StatementVerdict, ...] = ()
    """What was measured of published statements."""
    gate: GateReport | None = None
    """Whether the models met a policy, if the run was a gate."""
    shifts: tuple[StanceShift, ...] = ()
    """Every stance trained against every stance measured."""
    triangulations: tuple[Triangulation, ...] = ()
    """One entry a model, recipe and stance."""
    nulls: tuple[NullVerdicts, ...] = ()
    """One entry a model and trained control, where there are controls of several seeds."""
    cells: tuple[CellRecord, ...]
    """The cells that the verdicts rest on, all eigenvalues kept for featured layers only."""

    @property
    def index(self) -> CellIndex:
        """Which of the cells belong together."""
        made: CellIndex | None = vars(self).get("_index")
        if made is None or made.records is not self.cells:  # a copy with other cells takes what was kept with it
            made = vars(self)["_index"] = CellIndex(self.cells)
        return made

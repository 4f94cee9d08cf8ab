"""The command that asks, before anything is trained, what a design could see."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stance_suite.metrics import Metric
    from stance_suite.pipeline import Session
    from stance_suite.verdicts.power import Spread

WANTED_POWER = 0.8
UNDERPOWERED = 1

FindingsFile = Annotated[
    Path | None,
    typer.Option(
        "--findings", help="Take the spreads from this findings.json of an earlier run, instead of typical ones."
    ),
]


def show_power(session: Session, findings: Path | None) -> None:
    """Print which effect the design of every behavioral claim can find; exit 1 if less than 80 % power is left for one.

    Spreads are taken from findings, if given. A design that cannot reach its level, whatever is measured, is an error.
    """
    from rich.console import Console
    from rich.table import Table

    from stance_suite.models import find_spec
    from stance_suite.verdicts.power import detectable_effect, power

    for model in session.settings.model:
        find_spec(model, session.library.models)
    spreads = _spreads(session, findings)
    table = Table("claim", "prompts", "samples", "seeds", "p needed", "detectable", "minimum effect", "power")
    weak = []
    for claim, design in session.designs():
        detectable, least, reached = "unknown", "", ""
        spread, bound, enough = spreads.get(claim.metric), abs(claim.threshold), claim.minimum_effect is None
        if spread is not None:
            found = detectable_effect(design, spread, bound, WANTED_POWER)
            detectable = "never" if math.isinf(found) else f"{found:.3g} {claim.metric.unit}"
        if spread is not None and claim.minimum_effect is not None:
            share = power(design, spread, claim.minimum_effect, bound)
            least, reached, enough = f"{claim.minimum_effect:g}", f"{100 * share:.0f} %", share >= WANTED_POWER
        weak += [] if enough else [claim.id]
        sizes = map(str, (design.prompts, design.samples, design.seeds))
        table.add_row(claim.id, *sizes, f"{design.level / design.family:.2g}", detectable, least, reached)
    console = Console()
    console.print(table)
    source = "typical spreads of SmolLM2-135M" if findings is None else f"the spreads in {findings}"
    console.print(
        f"detectable: the true effect against base and sham with which the claim holds in {100 * WANTED_POWER:.0f} % "
        f"of runs, by {source}."
    )
    if weak:
        console.print(f"Too weak for their minimum effect: {', '.join(weak)}; declare more prompts, samples or seeds.")
        raise typer.Exit(UNDERPOWERED)


def _spreads(session: Session, path: Path | None) -> Mapping[Metric, Spread]:
    from stance_suite.findings_files import read_findings
    from stance_suite.metrics import BEHAVIORAL_METRICS
    from stance_suite.verdicts import group_trainings, pooled_spread
    from stance_suite.verdicts.power import TYPICAL_SPREADS

    if path is None:
        return TYPICAL_SPREADS
    trainings = group_trainings(read_findings(path).cells)
    found = {metric: pooled_spread(metric, trainings, session.library.stances) for metric in BEHAVIORAL_METRICS}
    return {metric: spread for metric, spread in found.items() if spread is not None}

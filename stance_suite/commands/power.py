"""The command that asks, before anything is trained, what a design could see."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stance_suite.claims import Claim
from stance_suite.metrics import BEHAVIORAL_METRICS, Metric
from stance_suite.power import TYPICAL_SPREADS, Design, Spread, detectable_effect, power

if TYPE_CHECKING:
    from stance_suite.pipeline import Session

WANTED_POWER = 0.8
UNDERPOWERED = 1

FindingsFile = Annotated[
    Path | None,
    typer.Option(
        "--findings", help="Take the spreads from this findings.json of an earlier run, instead of typical ones."
    ),
]


def show_power(session: Session, findings: Path | None) -> None:
    """Print for every behavioral claim of a run which effect its design can find.

    Parameters
    ----------
    session : Session
        The run.
    findings : Path or None
        Findings that spreads are taken from.

    Raises
    ------
    DesignError
        If a design cannot reach its level, whatever is measured.
    UnknownNameError
        If a model is none.
    typer.Exit
        With code 1 if a claim's design has less than 80 % power at the claim's own minimum effect.
    """
    from rich.console import Console
    from rich.table import Table

    from stance_suite.models import find_spec

    for model in session.settings.model:
        find_spec(model, session.library.models)
    spreads = TYPICAL_SPREADS if findings is None else _measured_spreads(session, findings)
    table = Table("claim", "prompts", "samples", "seeds", "p needed", "detectable", "minimum effect", "power")
    weak = []
    for claim, design in session.designs():
        if claim.metric not in spreads:
            table.add_row(claim.id, *_shown_design(design), "unknown", "", "")
            weak += [claim.id] if claim.minimum_effect is not None else []
            continue
        spread = spreads[claim.metric]
        found = detectable_effect(design, spread, abs(claim.threshold), WANTED_POWER)
        reached = None if claim.minimum_effect is None else _power_at(claim, design, spread)
        if reached is not None and reached < WANTED_POWER:
            weak.append(claim.id)
        table.add_row(
            claim.id,
            *_shown_design(design),
            "never" if math.isinf(found) else f"{found:.3g} {claim.metric.unit}",
            "" if claim.minimum_effect is None else f"{claim.minimum_effect:g}",
            "" if reached is None else f"{100 * reached:.0f} %",
        )
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


def _shown_design(design: Design) -> tuple[str, ...]:
    return str(design.prompts), str(design.samples), str(design.seeds), f"{design.level / design.family:.2g}"


def _power_at(claim: Claim, design: Design, spread: Spread) -> float:
    assert claim.minimum_effect is not None
    return power(design, spread, claim.minimum_effect, abs(claim.threshold))


def _measured_spreads(session: Session, path: Path) -> dict[Metric, Spread]:
    from stance_suite.findings_files import read_findings
    from stance_suite.verdicts import pooled_spread

    trainings = read_findings(path).replicates()
    found = {metric: pooled_spread(metric, trainings, session.library.stances) for metric in BEHAVIORAL_METRICS}
    return {metric: spread for metric, spread in found.items() if spread is not None}

"""The command that tells before any training what the declared designs could see."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stance_suite.cli.console import print_framed_table
from stance_suite.cli.options import takes_settings
from stance_suite.config.options import Settings
from stance_suite.progress import choose_progress

if TYPE_CHECKING:
    from stance_suite.judge.power import Spread
    from stance_suite.runner.session import Session
    from stance_suite.schema.metrics import Metric

WANTED_POWER = 0.8
UNDERPOWERED = 1
COLUMNS = ("claim", "prompts", "samples", "seeds", "p needed", "detectable", "minimum effect", "power")
HELP = "Take the spreads from this findings.json of an earlier run, instead of typical ones."


@takes_settings("power")
def show_power(
    *, findings: Annotated[Path | None, typer.Option("--findings", help=HELP)] = None, settings: Settings
) -> None:
    """Tell before any training which effects the declared prompts, samples and seeds can find; exit 1 if too weak."""
    from rich.console import Console

    from stance_suite.config.catalog import find_spec
    from stance_suite.judge.power import detectable_effect, power, power_of_no_change, typical_spreads
    from stance_suite.report.format import show
    from stance_suite.runner.plan import lay_out_designs
    from stance_suite.runner.session import Session

    session = Session(settings, choose_progress())
    for model in settings.model:
        find_spec(model, session.library.models)
    spreads = typical_spreads() if findings is None else _measured_spreads(session, findings)
    rows, weak = [], []
    for claim, design in lay_out_designs(session.run_plan, session.library):
        spread, smallest = spreads.get(claim.metric), claim.minimum_effect
        asked = (str(design.prompts), str(design.samples), str(design.seeds), f"{design.level / design.family:.2g}")
        detectable, reached, bound = "unknown", None, abs(claim.threshold)
        if spread is not None and not claim.claims_change:
            detectable, reached = "no change", power_of_no_change(design, spread, bound)
        elif spread is not None:
            found = detectable_effect(design, spread, bound, WANTED_POWER)
            detectable = "never" if math.isinf(found) else f"{found:.3g} {claim.metric.unit}"
            reached = None if smallest is None else power(design, spread, smallest, bound)
        if smallest is not None and (reached is None or reached < WANTED_POWER):
            weak.append(claim.id)
        shown = "" if spread is None else show(smallest, "g"), "" if reached is None else f"{100 * reached:.0f} %"
        rows.append((claim.id, *asked, detectable, *shown))
    print_framed_table(COLUMNS, rows)
    source = "typical spreads of SmolLM2-135M" if findings is None else f"the spreads in {findings}"
    Console().print(
        f"detectable: the true effect against base and sham with which the claim holds in {100 * WANTED_POWER:.0f} % "
        f"of runs, by {source}."
    )
    if weak:
        Console().print(
            f"Too weak for their minimum effect: {', '.join(weak)}; declare more prompts, samples or seeds."
        )
        raise typer.Exit(UNDERPOWERED)


def _measured_spreads(session: Session, path: Path) -> dict[Metric, Spread]:
    from stance_suite.judge.power import pooled_spread
    from stance_suite.schema.metrics import Metric
    from stance_suite.store.findings import read_findings

    trainings = read_findings(path).index.replicates()
    found = {metric: pooled_spread(metric, trainings) for metric in Metric.behavioral()}
    return {metric: spread for metric, spread in found.items() if spread is not None}

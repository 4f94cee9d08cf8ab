"""The commands about what is declared: whether it is valid, what there is, and what its design could see."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stance_suite.cli.console import print_framed_table
from stance_suite.cli.options import takes_settings
from stance_suite.config.catalog import find_spec, load_catalog
from stance_suite.config.options import Settings
from stance_suite.judge.power import Spread, detectable_effect, pooled_spread, power, typical_spreads
from stance_suite.progress import choose_progress
from stance_suite.report.format import show
from stance_suite.schema.metrics import Metric
from stance_suite.store.findings import read_findings

if TYPE_CHECKING:
    from stance_suite.runner.session import Session

WANTED_POWER = 0.8
UNDERPOWERED = 1
COLUMNS = ("claim", "prompts", "samples", "seeds", "p needed", "detectable", "minimum effect", "power")
HELP = "Take the spreads from this findings.json of an earlier run, instead of typical ones."


@takes_settings("validate")
def validate(settings: Settings) -> None:
    """Check every YAML file, without loading a model; names file, line, key and the way out."""
    catalog = load_catalog(settings.fixtures)
    counts = f"{len(catalog.stances)} stances, {len(catalog.models)} models, {len(catalog.claims)} claims"
    print(f"{len(catalog.files)} files are valid: {counts}.")


@takes_settings("list")
def list_everything(settings: Settings) -> None:
    """List the stances, models, recipes and claims that are declared."""
    catalog = load_catalog(settings.fixtures)
    rows = [("stance", stance.name, stance.description) for stance in catalog.stances.values()]
    rows += [("model", model.name, model.description) for model in catalog.models.values()]
    rows += [("recipe", recipe.name, f"{recipe.epochs} epochs") for recipe in catalog.recipes.values()]
    rows += [("claim", declared.claim.id, declared.claim.statement) for declared in catalog.claims]
    print_framed_table(("kind", "name", "description"), rows)


@takes_settings("power")
def show_power(
    *, findings: Annotated[Path | None, typer.Option("--findings", help=HELP)] = None, settings: Settings
) -> None:
    """Tell before any training which effects the declared prompts, samples and seeds can find; exit 1 if too weak."""
    from rich.console import Console

    from stance_suite.runner.plan import lay_out_designs
    from stance_suite.runner.session import Session

    session = Session(settings, choose_progress())
    for model in settings.model:
        find_spec(model, session.library.models)
    spreads = typical_spreads() if findings is None else _measured_spreads(session, findings)
    rows, weak = [], []
    for claim, design in lay_out_designs(session.run_plan, session.library):
        spread, smallest = spreads.get(claim.metric), claim.minimum_effect
        detectable, reached = "unknown", None
        if spread is not None:
            found = detectable_effect(design, spread, abs(claim.threshold), WANTED_POWER)
            detectable = "never" if math.isinf(found) else f"{found:.3g} {claim.metric.unit}"
            reached = None if smallest is None else power(design, spread, smallest, abs(claim.threshold))
        if smallest is not None and (reached is None or reached < WANTED_POWER):
            weak.append(claim.id)
        asked = (str(design.prompts), str(design.samples), str(design.seeds), f"{design.level / design.family:.2g}")
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
    trainings = read_findings(path).replicates()
    found = {metric: pooled_spread(metric, trainings, session.library.stances) for metric in Metric.behavioral()}
    return {metric: spread for metric, spread in found.items() if spread is not None}

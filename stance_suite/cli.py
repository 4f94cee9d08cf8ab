"""The command line: all commands, and the exit code of bad input."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from stance_suite.commands.cache import list_cells, prune_cells, verify_cells
from stance_suite.commands.compare import compare_findings
from stance_suite.commands.explain import explain_claim
from stance_suite.commands.options import Fixtures, Model, Pictures, Profile, Samples, Seed, settings_of
from stance_suite.commands.power import FindingsFile, show_power
from stance_suite.commands.record import show_fingerprint, verify_findings
from stance_suite.commands.run import gate, run
from stance_suite.commands.spectra import audit_pair, show_spectra
from stance_suite.commands.sweep import sweep
from stance_suite.commands.tensor import export_tensor
from stance_suite.errors import StanceSuiteError

USAGE_ERROR = 2

app = typer.Typer(
    help="What did this fine-tuning change, in what the model says and in its weights? Judged against controls.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@contextmanager
def _usage_errors() -> Iterator[None]:
    try:
        yield
    except StanceSuiteError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(USAGE_ERROR) from None


@app.command()
def validate(fixtures: Fixtures = None) -> None:
    """Check every YAML file, without loading a model; names file, line, key and the way out."""
    from stance_suite.library import load_library

    with _usage_errors():
        library = load_library(settings_of(fixtures=fixtures).fixtures)
    counts = f"{len(library.stances)} stances, {len(library.models)} models, {len(library.claims)} claims"
    print(f"{len(library.files)} files are valid: {counts}.")


@app.command()
def power(
    findings: FindingsFile = None,
    model: Model = None,
    profile: Profile = None,
    seed: Seed = None,
    samples: Samples = None,
    fixtures: Fixtures = None,
) -> None:
    """Tell before any training which effects the declared prompts, samples and seeds can find; exit 1 if too weak."""
    from stance_suite.pipeline import Session
    from stance_suite.progress import choose_progress

    with _usage_errors():
        settings = settings_of(model=model, profile=profile, seed=seed, samples=samples, fixtures=fixtures)
        show_power(Session(settings, choose_progress()), findings)


@app.command()
def report(findings: Annotated[Path, typer.Argument(help="A findings.json.")], pictures: Pictures = None) -> None:
    """Render findings.html beside a findings.json, from that file alone; with --pictures, every picture of it."""
    from stance_suite.findings_files import read_findings
    from stance_suite.publish import draw_pictures, rebuild

    with _usage_errors():
        folder = settings_of(pictures=pictures).pictures
        print(rebuild(findings), flush=True)
        if folder is not None:
            draw_pictures(read_findings(findings), folder)


@app.command(name="list")
def list_everything(fixtures: Fixtures = None) -> None:
    """List the stances, models, recipes and claims that are declared."""
    from rich.console import Console
    from rich.table import Table

    from stance_suite.library import load_library

    with _usage_errors():
        library = load_library(settings_of(fixtures=fixtures).fixtures)
    rows = [("stance", stance.name, stance.description) for stance in library.stances.values()]
    rows += [("model", model.name, model.description) for model in library.models.values()]
    rows += [("recipe", recipe.name, f"{recipe.epochs} epochs") for recipe in library.recipes.values()]
    rows += [("claim", declared.claim.id, declared.claim.statement) for declared in library.claims]
    table = Table("kind", "name", "description")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


app.command(name="run")(_usage_errors()(run))
app.command(name="gate")(_usage_errors()(gate))
app.command(name="compare")(_usage_errors()(compare_findings))
app.command(name="sweep")(_usage_errors()(sweep))
app.command(name="tensor")(_usage_errors()(export_tensor))
app.command(name="explain")(_usage_errors()(explain_claim))
app.command(name="fingerprint")(_usage_errors()(show_fingerprint))
app.command(name="verify")(_usage_errors()(verify_findings))
app.command(name="spectra")(_usage_errors()(show_spectra))
app.command(name="audit")(_usage_errors()(audit_pair))

cache = typer.Typer(help="Measured cells: what is kept, whether it is whole, and what can go.", no_args_is_help=True)
cache.command(name="list")(_usage_errors()(list_cells))
cache.command(name="verify")(_usage_errors()(verify_cells))
cache.command(name="prune")(_usage_errors()(prune_cells))
app.add_typer(cache, name="cache")


def main() -> None:
    """Run the command line."""
    app()

"""The command line: validate, power, run, report, list, spectra, audit."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from stance_suite import options
from stance_suite.cli_power import FindingsFile, show_power
from stance_suite.cli_spectra import audit_pair, show_spectra
from stance_suite.errors import StanceSuiteError
from stance_suite.options import Option, Settings, resolve_settings

USAGE_ERROR = 2
VERDICTS_DIFFER = 1

app = typer.Typer(
    help="What did this fine-tuning change, in what the model says and in its weights? Judged against controls.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _declare(option: Option) -> Any:
    return typer.Option(f"--{option.name}", help=option.help_with_default, show_default=False)


Model = Annotated[list[str] | None, _declare(options.MODEL)]
Profile = Annotated[str | None, _declare(options.PROFILE)]
Seed = Annotated[list[int] | None, _declare(options.SEED)]
Samples = Annotated[int | None, _declare(options.SAMPLES)]
Trajectory = Annotated[bool | None, _declare(options.TRAJECTORY)]
Device = Annotated[str | None, _declare(options.DEVICE)]
Fixtures = Annotated[str | None, _declare(options.FIXTURES)]
Cache = Annotated[str | None, _declare(options.CACHE)]
Reports = Annotated[str | None, _declare(options.REPORTS)]


@contextmanager
def _usage_errors() -> Iterator[None]:
    try:
        yield
    except StanceSuiteError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(USAGE_ERROR) from None


def _settings(**given: Any) -> Settings:
    return resolve_settings(given, Path.cwd())


@app.command()
def validate(fixtures: Fixtures = None) -> None:
    """Check every YAML file, without loading a model; names file, line, key and the way out."""
    from stance_suite.library import load_library

    with _usage_errors():
        library = load_library(_settings(fixtures=fixtures).fixtures)
    counts = f"{len(library.stances)} stances, {len(library.models)} models, {len(library.claims)} claims"
    print(f"{len(library.files)} files are valid: {counts}.")


@app.command()
def run(
    model: Model = None,
    profile: Profile = None,
    seed: Seed = None,
    samples: Samples = None,
    trajectory: Trajectory = None,
    device: Device = None,
    fixtures: Fixtures = None,
    cache: Cache = None,
    reports: Reports = None,
) -> None:
    """Fine-tune, measure, judge every claim and write the findings; exit 1 if a verdict differs from the record."""
    from stance_suite.pipeline import Session
    from stance_suite.progress import choose_progress
    from stance_suite.publish import publish
    from stance_suite.reports.text import tally, verdict_line

    with _usage_errors():
        settings = _settings(
            model=model,
            profile=profile,
            seed=seed,
            samples=samples,
            trajectory=trajectory,
            device=device,
            fixtures=fixtures,
            cache=cache,
            reports=reports,
        )
        session = Session(settings, choose_progress())
        session.preflight()
        verdicts = []
        for claim in session.agenda.claims:
            verdicts.append(session.judge(claim))
            print(verdict_line(verdicts[-1]), flush=True)
        command = " ".join(["stance-suite", *sys.argv[1:]])
        report = publish(session.findings(verdicts, session.workbench.cells, command), settings.reports)
    print(f"{tally(verdicts)}; report: {report}")
    if any(verdict.status != "NOT_RUN" and not verdict.as_expected for verdict in verdicts):
        raise typer.Exit(VERDICTS_DIFFER)


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
        settings = _settings(model=model, profile=profile, seed=seed, samples=samples, fixtures=fixtures)
        show_power(Session(settings, choose_progress()), findings)


@app.command()
def report(findings: Annotated[Path, typer.Argument(help="A findings.json.")]) -> None:
    """Render findings.html beside a findings.json, from that file alone."""
    from stance_suite.publish import rebuild

    with _usage_errors():
        print(rebuild(findings))


@app.command(name="list")
def list_everything(fixtures: Fixtures = None) -> None:
    """List the stances, models, recipes and claims that are declared."""
    from rich.console import Console
    from rich.table import Table

    from stance_suite.library import load_library
    from stance_suite.specs import RECIPES

    with _usage_errors():
        library = load_library(_settings(fixtures=fixtures).fixtures)
    rows = [("stance", stance.name, stance.description) for stance in library.stances.values()]
    rows += [("model", model.name, model.description) for model in library.models.values()]
    rows += [("recipe", recipe.name, f"{recipe.epochs} epochs") for recipe in RECIPES.values()]
    rows += [("claim", declared.claim.id, declared.claim.statement) for declared in library.claims]
    table = Table("kind", "name", "description")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


app.command(name="spectra")(_usage_errors()(show_spectra))
app.command(name="audit")(_usage_errors()(audit_pair))


def main() -> None:
    """Run the command line."""
    app()

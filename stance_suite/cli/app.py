"""The command line: all commands, and the exit code of bad input."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated

import typer

from stance_suite import __version__
from stance_suite.cli.cache import list_cells, prune_cells, verify_cells
from stance_suite.cli.compare import compare_findings
from stance_suite.cli.declared import init, list_everything, validate
from stance_suite.cli.explain import explain_claim
from stance_suite.cli.power import show_power
from stance_suite.cli.record import show_fingerprint, verify_findings
from stance_suite.cli.report import report
from stance_suite.cli.run import gate, run
from stance_suite.cli.selftest import selftest
from stance_suite.cli.spectra import audit_pair, show_spectra
from stance_suite.cli.sweep import sweep
from stance_suite.cli.tensor import export_tensor
from stance_suite.errors import StanceSuiteError

USAGE_ERROR = 2

app = typer.Typer(
    help="What did this fine-tuning change, in what the model says and in its weights? Judged against controls.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
cache = typer.Typer(help="Measured cells: what is kept, whether it is whole, and what can go.", no_args_is_help=True)

COMMANDS: Mapping[str, Callable[..., None]] = {
    "init": init,
    "validate": validate,
    "power": show_power,
    "report": report,
    "list": list_everything,
    "run": run,
    "gate": gate,
    "compare": compare_findings,
    "sweep": sweep,
    "tensor": export_tensor,
    "explain": explain_claim,
    "fingerprint": show_fingerprint,
    "verify": verify_findings,
    "spectra": show_spectra,
    "audit": audit_pair,
    "selftest": selftest,
}
CACHE_COMMANDS: Mapping[str, Callable[..., None]] = {"list": list_cells, "verify": verify_cells, "prune": prune_cells}


@contextmanager
def _usage_errors() -> Iterator[None]:
    try:
        yield
    except StanceSuiteError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(USAGE_ERROR) from None


def _show_version(asked: bool) -> None:
    if asked:
        print(f"stance-suite {__version__}")
        raise typer.Exit


VersionOption = Annotated[bool, typer.Option("--version", callback=_show_version, help="Show the version and exit.")]


@app.callback()
def _options(version: VersionOption = False) -> None:
    pass


for group, commands in ((app, COMMANDS), (cache, CACHE_COMMANDS)):
    for name, command in commands.items():
        group.command(name=name)(_usage_errors()(command))
app.add_typer(cache, name="cache")


def main() -> None:
    """Run the command line."""
    app()

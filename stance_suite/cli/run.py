"""The commands that measure: a run of all claims, and a gate for a model."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from stance_suite.cli.options import takes_settings
from stance_suite.config.options import Pair, Settings
from stance_suite.errors import StanceSuiteError
from stance_suite.progress import choose_progress
from stance_suite.runner.run_result import RunResult, judge_claims

if TYPE_CHECKING:
    from stance_suite.schema.findings import Findings

NOT_AS_DEMANDED = 1

Tested = Annotated[
    str, typer.Argument(help="Model to test: a registry name, a Hub id (org/name\\[@revision]) or a folder.")
]


@takes_settings("run")
def run(settings: Settings) -> None:
    """Fine-tune, measure, judge every claim and write the findings; exit 1 if a verdict differs from the record.

    With --before and --after nothing is trained: a pair trained elsewhere is judged by the policy's standard claims.
    Exit 1 then if it does not have the stance that --stance names; without --stance, the stance found is only told.
    """
    result = _measure(settings)
    if settings.pair is not None and result.findings is not None:
        print(_stance_found(settings.pair, result.findings))
    if result.differs_from_record or (settings.gate and not result.passed_gate):
        raise typer.Exit(NOT_AS_DEMANDED)


@takes_settings(
    "gate", first=("policy", "baseline", "update_baseline"), arguments={"model": Tested}, fixed={"gate": True}
)
def gate(settings: Settings) -> None:
    """Hold a model against a policy: does it adopt each stance, without falling apart? Exit 1 if it falls short.

    Writes findings.json, findings.html, summary.md and junit.xml; the summary also to $GITHUB_STEP_SUMMARY, if set.
    """
    if settings.pair is not None:
        raise StanceSuiteError("gate trains the model that it is given: leave out 'before' and 'after', or use run")
    if not _measure(settings).passed_gate:
        raise typer.Exit(NOT_AS_DEMANDED)


def _measure(settings: Settings) -> RunResult:
    from stance_suite.report.publish import rehearse_publishing
    from stance_suite.runner.session import Session

    session = Session(settings, choose_progress())
    session.preflight()
    rehearse_publishing(settings.reports)
    tell, result = partial(print, flush=True), RunResult()
    verdicts = judge_claims(session, tell)
    result.finish(session, verdicts, session.cell_runner.cells, "stance-suite", tell)
    return result


def _stance_found(pair: Pair, findings: Findings) -> str:
    from stance_suite.schema.policy import standard_id
    from stance_suite.schema.verdicts import Status

    found = []
    for verdict in findings.verdicts:
        if verdict.claim.id == standard_id(verdict.claim.stance, "preference") and verdict.status is Status.HOLDS:
            caveats = f" ({', '.join(verdict.caveats)})" if verdict.caveats else ""
            found.append(f"{verdict.claim.stance}{caveats}")
    return f"stance found in {pair.after}: {' and '.join(found) or 'none'}"

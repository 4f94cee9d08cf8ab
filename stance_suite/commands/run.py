"""The commands that measure: a run of all claims, and a gate for a model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from stance_suite.commands.options import (
    AfterModel,
    BaselineFile,
    BeforeModel,
    Cache,
    Device,
    Fixtures,
    Model,
    Pictures,
    PolicyFile,
    Profile,
    Reports,
    Samples,
    Seed,
    StanceName,
    Store,
    Trajectory,
    UpdateBaseline,
    settings_of,
)
from stance_suite.errors import StanceSuiteError

if TYPE_CHECKING:
    from stance_suite.options import Settings
    from stance_suite.pipeline import Session
    from stance_suite.records import Findings

NOT_AS_DEMANDED = 1

Tested = Annotated[
    str, typer.Argument(help="Model to test: a registry name, a Hub id (org/name[@revision]) or a folder.")
]


def run(
    model: Model = None,
    before: BeforeModel = None,
    after: AfterModel = None,
    stance: StanceName = None,
    profile: Profile = None,
    seed: Seed = None,
    samples: Samples = None,
    trajectory: Trajectory = None,
    policy: PolicyFile = None,
    device: Device = None,
    fixtures: Fixtures = None,
    cache: Cache = None,
    store: Store = None,
    reports: Reports = None,
    pictures: Pictures = None,
) -> None:
    """Fine-tune, measure, judge every claim and write the findings; exit 1 if a verdict differs from the record.

    With --before and --after nothing is trained: a pair trained elsewhere is judged by the policy's standard claims.
    Exit 1 then if it does not have the stance that --stance names; without --stance, the stance found is only told.
    """
    settings = settings_of(
        model=model,
        before=before,
        after=after,
        stance=stance,
        profile=profile,
        seed=seed,
        samples=samples,
        trajectory=trajectory,
        policy=policy,
        device=device,
        fixtures=fixtures,
        cache=cache,
        store=store,
        reports=reports,
        pictures=pictures,
    )
    session, findings = _measure(settings)
    if settings.pair is not None:
        print(_stance_found(session, findings))
    surprises = any(verdict.status != "NOT_RUN" and not verdict.as_expected for verdict in findings.verdicts)
    if surprises or (settings.gate and (findings.gate is None or not findings.gate.passed)):
        raise typer.Exit(NOT_AS_DEMANDED)


def gate(
    model: Tested,
    policy: PolicyFile = None,
    baseline: BaselineFile = None,
    update_baseline: UpdateBaseline = None,
    profile: Profile = None,
    seed: Seed = None,
    samples: Samples = None,
    device: Device = None,
    fixtures: Fixtures = None,
    cache: Cache = None,
    store: Store = None,
    reports: Reports = None,
    pictures: Pictures = None,
) -> None:
    """Hold a model against a policy: does it adopt each stance, without falling apart? Exit 1 if it falls short.

    Writes findings.json, findings.html, summary.md and junit.xml; the summary also to $GITHUB_STEP_SUMMARY, if set.
    """
    settings = settings_of(
        model=[model],
        gate=True,
        policy=policy,
        baseline=baseline,
        update_baseline=update_baseline,
        profile=profile,
        seed=seed,
        samples=samples,
        device=device,
        fixtures=fixtures,
        cache=cache,
        store=store,
        reports=reports,
        pictures=pictures,
    )
    if settings.pair is not None:
        raise StanceSuiteError("gate trains the model that it is given: leave out 'before' and 'after', or use run")
    _, findings = _measure(settings)
    if findings.gate is None or not findings.gate.passed:
        raise typer.Exit(NOT_AS_DEMANDED)


def _measure(settings: Settings) -> tuple[Session, Findings]:
    from stance_suite.pipeline import Session
    from stance_suite.progress import choose_progress
    from stance_suite.publish import draw_pictures, publish, rehearse_publishing
    from stance_suite.reports.text import gate_lines, tally, verdict_line

    session = Session(settings, choose_progress())
    session.preflight()
    rehearse_publishing(settings.reports)
    verdicts = []
    for claim in session.agenda.claims:
        verdicts.append(session.judge(claim))
        if verdicts[-1].status != "NOT_RUN":  # the report lists these, with the reasons
            print(verdict_line(verdicts[-1]), flush=True)
    command = " ".join(["stance-suite", *sys.argv[1:]])
    findings = session.findings(verdicts, session.workbench.cells, command)
    report = publish(findings, settings.reports)
    kept = session.keep_as_baseline(findings)
    if kept:
        print(kept)
    print(f"{tally(verdicts)}; report: {report}")
    if findings.gate is not None:
        for line in gate_lines(findings.gate):
            print(line)
    if settings.pictures is not None:
        draw_pictures(findings, settings.pictures)
    return session, findings


def _stance_found(session: Session, findings: Findings) -> str:
    from stance_suite.judgments import Status
    from stance_suite.policy import standard_id

    pair = session.settings.pair
    assert pair is not None
    found = []
    for verdict in findings.verdicts:
        if verdict.claim.id == standard_id(verdict.claim.stance, "preference") and verdict.status is Status.HOLDS:
            caveats = f" ({', '.join(verdict.caveats)})" if verdict.caveats else ""
            found.append(f"{verdict.claim.stance}{caveats}")
    return f"stance found in {pair.after}: {' and '.join(found) or 'none'}"

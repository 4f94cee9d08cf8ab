"""The command that renders findings once more."""

from __future__ import annotations

from stance_suite.cli.options import FindingsFile, takes_settings
from stance_suite.config.options import Settings


@takes_settings("report")
def report(findings: FindingsFile, settings: Settings) -> None:
    """Render findings.html beside a findings.json, from that file alone; with --pictures, every picture of it."""
    from stance_suite.report.publish import draw_pictures, render
    from stance_suite.store.findings import read_findings

    found = read_findings(findings)
    print(render(found, findings), flush=True)
    if settings.pictures is not None:
        draw_pictures(found, settings.pictures)

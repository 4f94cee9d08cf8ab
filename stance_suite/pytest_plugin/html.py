"""What pytest-html's report shows of a run: the findings in short on top, and in each test's row what it found."""

# hooks: https://pytest-html.readthedocs.io/en/latest/api_reference.html
from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stance_suite.pytest_plugin.collector import VerdictCollector
from stance_suite.pytest_plugin.fixtures import JUDGED, STATE, VERDICT, StanceRun, effects_toward_stance

if TYPE_CHECKING:
    from stance_suite.runner.session import Session
    from stance_suite.schema.findings import Triangulation
    from stance_suite.schema.metrics import Metric
    from stance_suite.schema.statements import RecordedVerdict, StatementVerdict
    from stance_suite.schema.verdicts import ControlFigure, Verdict


# hidden, until the styles of the summary show it: when pytest-html asks, nobody knows what will run
HEADER = '<th class="sortable" data-column-type="verdict" hidden>Verdict</th>'
CELL = '<td class="col-verdict" hidden>{}</td>'
NOTHING_MEASURED = "No claim was judged and nothing was measured; what was found of the published record stands below."


@dataclass(frozen=True)
class Found:
    """What one test found."""

    column: str
    """In a word or two, for the column of verdicts."""
    fragment: str
    """In full, as HTML."""


class HtmlReport:
    """Adds the findings of a run to pytest-html's report."""

    def __init__(self, collector: VerdictCollector, page: str) -> None:
        self._collector = collector
        self._folder = Path(os.path.expandvars(page)).expanduser().parent
        self._found = False

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_html_results_table_header(self, cells: list[str]) -> None:
        """Add a column for verdicts."""
        cells.insert(1, HEADER)

    @pytest.hookimpl(optionalhook=True, trylast=True)
    def pytest_html_results_table_row(self, report: pytest.TestReport, cells: list[str]) -> None:
        """Fill it; a row without cells is one that somebody else's hook leaves out."""
        column = getattr(report, "stance_column", "")
        self._found = self._found or bool(column)
        if cells:
            cells.insert(1, CELL.format(escape(column)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_html_results_summary(self, prefix: list[str]) -> None:
        """Sum up the findings: pytest-html asks last of all when the session finishes, so they are complete."""
        from stance_suite.report.page.fragments import ReportPlace, render_note, render_summary

        collector, result = self._collector, self._collector.result
        if result.findings is not None:
            link = None if result.report is None else Path(os.path.relpath(result.report, self._folder)).as_posix()
            prefix.insert(0, render_summary(result.findings, ReportPlace(collector.written, link)))
        elif self._found:
            prefix.insert(0, render_note(NOTHING_MEASURED))
        if collector.error:
            prefix.insert(0, render_note(f"ERROR: {collector.error}"))


def fill_row(item: pytest.Item, report: pytest.TestReport) -> None:
    """Attach what a test found to its report, as plain data, so that it travels from xdist's workers too."""
    found = list(_found(item))
    if not found:
        return
    from pytest_html import extras

    vars(report)["stance_column"] = "; ".join(one.column for one in found if one.column)
    vars(report)["extras"] = [*getattr(report, "extras", []), *(extras.html(one.fragment) for one in found)]


def _found(item: pytest.Item) -> Iterator[Found]:
    if VERDICT in item.stash:
        yield _verdict(item.stash[VERDICT], item.config.stash[STATE].session)
    if JUDGED in item.stash:
        yield _statement(item.stash[JUDGED], item.config.stash[STATE].session)
    values: dict[str, Any] = getattr(item, "funcargs", {})
    run = values.get("stance_run")
    if isinstance(run, StanceRun):  # and not a fixture of the test suite's own
        from stance_suite.report.page.fragments import render_trainings
        from stance_suite.schema.findings import Triangulation

        agreed = values.get("triangulation")
        if isinstance(agreed, Triangulation):
            yield _triangulation(agreed, run)
        yield Found("", render_trainings([run.tuned, *run.controls.values()]))


def _verdict(verdict: Verdict, session: Session) -> Found:
    from stance_suite.report.format import show_figure, show_unit
    from stance_suite.report.page.fragments import render_verdict

    cells = {key: cell for key, cell in session.cell_runner.cells.items() if key in verdict.cells}
    fragment = render_verdict(verdict, session.gather([verdict], cells, ""))
    if verdict.figure is None:
        return Found(verdict.status, fragment)
    figure = f"{show_figure(verdict.figure, verdict.claim)} {show_unit(verdict.claim)}"
    return Found(f"{verdict.status} {figure}".strip(), fragment)


def _statement(judged: StatementVerdict | RecordedVerdict, session: Session) -> Found:
    from stance_suite.report.page.fragments import render_record, render_statement
    from stance_suite.schema.statements import RecordedVerdict

    if isinstance(judged, RecordedVerdict):
        return Found(judged.status, render_record(judged))
    (statement,) = (one for one in session.library.statements if one.id == judged.id)
    return Found(judged.status, render_statement(judged, session.judge_basis(statement)))


def _triangulation(agreed: Triangulation, run: StanceRun) -> Found:
    from stance_suite.report.page.fragments import render_triangulation
    from stance_suite.schema.metrics import Metric

    effects = {metric: _effects(run, metric) for metric in Metric.triangulated()}
    return Found(agreed.agreement, render_triangulation(agreed, effects))


def _effects(run: StanceRun, metric: Metric) -> list[ControlFigure]:
    from stance_suite.schema.controls import Control, Role
    from stance_suite.schema.verdicts import ControlFigure

    return [
        ControlFigure(
            control=Control.named(name),
            role=Role.EFFECT,
            figure=effect.effect,
            low=effect.low,
            high=effect.high,
            p_value=None if math.isnan(effect.p_value) else effect.p_value,
        )
        for name, effect in effects_toward_stance(run, metric).items()
    ]

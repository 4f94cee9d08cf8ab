"""Gathering the verdicts of a pytest run, from the tests of this process or of xdist's workers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from stance_suite.errors import StanceSuiteError
from stance_suite.pytest_fixtures import RunState

if TYPE_CHECKING:
    from pathlib import Path

    from stance_suite.gate_records import GateReport
    from stance_suite.judgments import Verdict
    from stance_suite.records import Cell, Findings

USAGE_ERROR_OF_WORKER = "stance_usage_error"
FINISHED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


class Gathering:
    """Gathers the verdicts of all tests, and at the end writes and summarizes the findings.

    Parameters
    ----------
    state : RunState
        The run's settings and session.
    """

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._verdicts: dict[tuple[str, str], Verdict] = {}
        self._cells: dict[str, Cell] = {}
        self._kept = ""
        self.findings: Findings | None = None
        self.report: Path | None = None
        self.written = ""
        self.error = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather; under xdist this runs in the controller for all workers."""
        if getattr(report, "stance_cells", None):
            from stance_suite.records import Cell

            self._cells |= {key: Cell.model_validate(cell) for key, cell in vars(report)["stance_cells"].items()}
        if hasattr(report, "stance_verdict"):
            from stance_suite.judgments import Verdict

            verdict = Verdict.model_validate(report.stance_verdict)
            self._verdicts[verdict.claim.id, verdict.model] = verdict

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Hear what a worker of xdist has to say about bad input."""
        self.error = getattr(node, "workeroutput", {}).get(USAGE_ERROR_OF_WORKER, self.error)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the findings, if there are any."""
        if self.error:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        finished = session.exitstatus in FINISHED and not session.config.option.collectonly
        is_gate = finished and self._state.is_gate
        if not self._verdicts and not self._cells and not is_gate:
            return
        try:
            self._write(is_gate=is_gate)
        except StanceSuiteError as error:
            self.error = str(error)
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        except OSError as error:
            self.written = f"could not be written: {error}"
        passed = self._gate is not None and self._gate.passed  # a gate that broke has not passed
        if is_gate and not passed and session.exitstatus != pytest.ExitCode.USAGE_ERROR:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _write(self, *, is_gate: bool) -> None:
        from stance_suite.publish import draw_pictures, publish

        pipeline = self._state.session
        if is_gate:
            # whatever tests were selected, a gate hears every claim
            for claim in pipeline.agenda.claims:
                if (claim.id, claim.model) not in self._verdicts:
                    self._verdicts[claim.id, claim.model] = pipeline.judge(claim)
            self._cells |= pipeline.workbench.cells
        ordered = [
            self._verdicts[claim.id, claim.model]
            for claim in pipeline.agenda.claims
            if (claim.id, claim.model) in self._verdicts
        ]
        self.findings = pipeline.findings(ordered, self._cells, " ".join(["pytest", *sys.argv[1:]]))
        settings = self._state.settings
        self.report = publish(self.findings, settings.reports)
        self.written = str(self.report)
        self._kept = pipeline.keep_as_baseline(self.findings)
        if settings.pictures is not None:  # last: they take long, and nothing else depends on them
            draw_pictures(self.findings, settings.pictures)

    @property
    def _gate(self) -> GateReport | None:
        return None if self.findings is None else self.findings.gate

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print one line a claim, and where the report is."""
        if self.error:
            terminalreporter.line(f"ERROR: stance-suite: {self.error}", red=True)
        if not self._verdicts and not self._cells:
            return
        from stance_suite.reports.text import gate_lines, tally, verdict_line

        terminalreporter.section("stance-suite")
        for verdict in self._verdicts.values():
            if verdict.status != "NOT_RUN":  # pytest's own summary tells the reasons
                terminalreporter.line(verdict_line(verdict))
        if self._gate is not None:
            *demands, sentence = gate_lines(self._gate)
            for line in demands:
                terminalreporter.line(line)
            terminalreporter.line(sentence, green=self._gate.passed, red=not self._gate.passed)
        terminalreporter.line(f"{tally(self._verdicts.values())}; report: {self.written}")
        if self._kept:
            terminalreporter.line(self._kept)

"""Collects the verdicts of a pytest run, from the tests of this process or of xdist's workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stance_suite.errors import StanceSuiteError
from stance_suite.pytest_plugin.fixtures import RunState
from stance_suite.runner.run_result import RunResult

if TYPE_CHECKING:
    from stance_suite.schema.cells import Cell
    from stance_suite.schema.verdicts import Verdict


USAGE_ERROR_OF_WORKER = "stance_usage_error"
FINISHED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


class VerdictCollector:
    """Collects the verdicts of all tests, and at the end writes and summarizes the findings."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._verdicts: dict[tuple[str, str], Verdict] = {}
        self._cells: dict[str, Cell] = {}
        self._unwritten = ""
        self.result = RunResult()
        self.error = ""

    @property
    def written(self) -> str:
        """Where the report is, or why there is none; empty as long as nothing was written."""
        return self._unwritten or str(self.result.report or "")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Collect; under xdist this runs in the controller for all workers."""
        if getattr(report, "stance_cells", None):
            from stance_suite.schema.cells import Cell

            self._cells |= {key: Cell.model_validate(cell) for key, cell in vars(report)["stance_cells"].items()}
        if hasattr(report, "stance_verdict"):
            from stance_suite.schema.verdicts import Verdict

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
            self._unwritten = f"could not be written: {error}"
        if is_gate and not self.result.passed_gate and session.exitstatus != pytest.ExitCode.USAGE_ERROR:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _write(self, *, is_gate: bool) -> None:
        session = self._state.session
        claims = {(claim.id, claim.model): claim for claim in session.run_plan.claims}
        if is_gate:  # whatever tests were selected, a gate hears every claim
            for key, claim in claims.items():
                if key not in self._verdicts:
                    self._verdicts[key] = session.judge(claim)
            self._cells |= session.cell_runner.cells
        verdicts = [self._verdicts[key] for key in claims if key in self._verdicts]
        self.result.finish(session, verdicts, self._cells, "pytest")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print one line a claim, and where the report is."""
        if self.error:
            terminalreporter.line(f"ERROR: stance-suite: {self.error}", red=True)
        if not self._verdicts and not self._cells:
            return
        from stance_suite.report.format import gate_lines, tally, verdict_line
        from stance_suite.report.self_calibration import nulls_in_words

        terminalreporter.section("stance-suite")
        for verdict in self._verdicts.values():
            if verdict.status != "NOT_RUN":  # pytest's own summary tells the reasons
                terminalreporter.line(verdict_line(verdict))
        if self.result.gate is not None:
            *demands, sentence = gate_lines(self.result.gate)
            for line in demands:
                terminalreporter.line(line)
            terminalreporter.line(sentence, green=self.result.passed_gate, red=not self.result.passed_gate)
        nulls = "" if self.result.findings is None else nulls_in_words(self.result.findings)
        if nulls:
            terminalreporter.line(nulls)
        terminalreporter.line(f"{tally(self._verdicts.values())}; report: {self.written}")
        if self.result.kept:
            terminalreporter.line(self.result.kept)

"""Runs of the command line in processes that begin at once, so that many of them can be disturbed.

Each is forked from a process that has imported everything and computed nothing (`preloaded`). Moments of a run are told
in seconds of its own processor time: how busy the machine is does not shift them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from stance_suite.findings_files import read_findings
from stance_suite.record_files import unpack

PATIENCE = 300
"""Seconds after which a run hangs."""
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.faults.preloaded"])

Preparation = Callable[[], None]
"""What is done in a process before the command line starts there: a function of a module, or a partial of one."""


def nothing() -> None:
    """Leave the process as it is."""


@dataclass(frozen=True)
class Trial:
    """A run of the command line under way."""

    process: BaseProcess
    output: Path
    errors: Path

    @property
    def processor_seconds(self) -> float:
        """What it has used so far; infinite once it has ended."""
        try:
            times = psutil.Process(self.process.pid).cpu_times()
        except psutil.NoSuchProcess:
            return float("inf")
        return times.user + times.system if self.process.is_alive() else float("inf")

    def wait_until(self, condition: Callable[[], Any]) -> Any:
        """Wait for something that the run brings about."""
        started = time.monotonic()
        while not (met := condition()):
            assert self.process.is_alive(), f"it ended before: {self.output.read_text()}{self.errors.read_text()}"
            assert time.monotonic() < started + PATIENCE
            time.sleep(0.005)
        return met

    def finish(self) -> subprocess.CompletedProcess:
        """Wait for its end; the exit code of a killed one is negative, as `subprocess` has it."""
        self.process.join(PATIENCE)
        assert not self.process.is_alive(), f"it hangs: {self.errors.read_text()}"
        texts = self.output.read_text(), self.errors.read_text()
        return subprocess.CompletedProcess("stance-suite", self.process.exitcode, *texts)


def start_trial(project: Path, *arguments: str, prepare: Preparation = nothing) -> Trial:
    """Start `stance-suite` in a user's repository."""
    logs = project / "logs"
    logs.mkdir(exist_ok=True)
    number = len(list(logs.glob("*.out")))
    output, errors = logs / f"{number}.out", logs / f"{number}.err"
    output.touch()
    errors.touch()
    process = _forks.Process(target=_run, args=(project, arguments, output, errors, prepare))
    process.start()
    return Trial(process, output, errors)


def start_sweep(project: Path, *arguments: str, prepare: Preparation = nothing) -> Trial:
    """Start a sweep of the file that `tests.sweeping.write_sweep` wrote; one cell after another, by default."""
    asked = arguments if "--engine" in arguments else ("--engine", "serial", *arguments)
    return start_trial(project, "sweep", "sweep.yaml", "--cache", "cache", *asked, prepare=prepare)


def run_sweep(project: Path, *arguments: str, prepare: Preparation = nothing) -> subprocess.CompletedProcess:
    """Run it to its end."""
    return start_sweep(project, *arguments, prepare=prepare).finish()


def kill_at(trials: Sequence[Trial], moments: Sequence[float], how: signal.Signals) -> None:
    """Send each run a signal at its own moment; one that has ended before is left alone."""
    waiting = list(zip(trials, moments, strict=True))
    while waiting:
        for trial, moment in list(waiting):
            if trial.processor_seconds >= moment:
                if trial.process.is_alive():
                    os.kill(trial.process.pid, how)
                waiting.remove((trial, moment))
        time.sleep(0.002)


def assert_nothing_is_half_written(project: Path) -> None:
    """Assert that whatever bears the name of a record or a report is a whole one."""
    for path in (project / "cache").rglob("*.json.gz"):
        unpack(path.read_bytes(), path.name.removesuffix(".json.gz"))
    reports = {path.name: path for path in (project / "reports").glob("[!.]*")}
    for name, path in reports.items():
        match name:
            case "findings.json":
                read_findings(path)
            case "findings.html":
                assert path.read_bytes().rstrip().endswith(b"</html>")
            case "findings.svg":
                assert path.read_bytes().rstrip().endswith(b"</svg>")
            case "junit.xml":
                assert path.read_bytes().rstrip().endswith(b"</testsuites>")
            case "tensor.parquet":
                assert path.read_bytes().endswith(b"PAR1")
    assert not reports or "findings.json" in reports, "it is written first"


def assert_one_sentence(done: subprocess.CompletedProcess, code: int, *said: str) -> None:
    """Assert that a run ended with this code and one line that says all of this, without a traceback."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    last = (done.stderr if code != 130 else done.stdout).splitlines()[-1]
    assert all(part in last for part in said), last


def _run(project: Path, arguments: tuple[str, ...], output: Path, errors: Path, prepare: Preparation) -> None:
    from stance_suite.cli import main

    os.chdir(project)
    for path, descriptor in ((output, 1), (errors, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), descriptor)
    sys.argv = ["stance-suite", *arguments]
    prepare()
    main()

"""`stance-suite` and `pytest` as a user starts them, forked from a process that has imported all that they load."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

import psutil
from typer.testing import CliRunner, Result

from tests.forked_workers import fork_workers

PATIENCE = 600
"""Seconds after which a run hangs."""
forks = multiprocessing.get_context("forkserver")
"""Starts processes that have imported all that a run loads."""
forks.set_forkserver_preload(["tests.preloaded"])
_started: list[Program] = []

Tool = Literal["stance-suite", "pytest"]
Preparation = Callable[[], None]
"""What is done in a process before its program starts there: a function of a module, or a partial of one."""


def nothing() -> None:
    """Leave the process as it is."""


def draw_nothing() -> None:
    """Leave pictures empty: before the first one is drawn, a second goes by."""
    from stance_suite.report import pictures

    pictures.draw = lambda _: "<svg></svg>"


@dataclass(frozen=True)
class Program:
    """A program under way, with what `subprocess.Popen` has."""

    args: tuple[str, ...]
    process: BaseProcess
    output: Path
    errors: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    @property
    def processor_seconds(self) -> float:
        """What it has used so far; infinite once it has ended."""
        try:
            times = psutil.Process(self.pid).cpu_times()
        except psutil.NoSuchProcess:
            return float("inf")
        return times.user + times.system if self.process.is_alive() else float("inf")

    def poll(self) -> int | None:
        return self.process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        if self.process.is_alive():
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def wait_until(self, condition: Callable[[], Any]) -> Any:
        """Wait for something that the run brings about."""
        started = time.monotonic()
        while not (met := condition()):
            assert self.process.is_alive(), f"it ended before: {self.output.read_text()}{self.errors.read_text()}"
            assert time.monotonic() < started + PATIENCE
            time.sleep(0.005)
        return met

    def communicate(self) -> tuple[str, str]:
        """Wait for its end."""
        self.process.join(PATIENCE)
        hangs = self.process.is_alive()
        self.kill()
        told = self.output.read_text(), self.errors.read_text()
        assert not hangs, f"it hangs: {told}"
        return told

    def finish(self, code: int | None = None) -> subprocess.CompletedProcess:
        """Wait for its end, with this code if one is given; that of a killed one is negative, as in `subprocess`."""
        output, errors = self.communicate()
        assert code in (None, self.returncode), output + errors
        return subprocess.CompletedProcess(self.args, self.returncode, output, errors)


def start_program(
    tool: Tool, *arguments: str, cwd: Path, prepare: Preparation = nothing, environment: Mapping[str, str] | None = None
) -> Program:
    """Start a program, after what prepares its process; the environment is this process's unless another is given.

    What libraries read when they are imported (``HF_ENDPOINT``, ``OMP_NUM_THREADS``) is always what it was when this
    process started its first program.
    """
    number = len(_started)
    logs = output, errors = _logs() / f"{number}.out", _logs() / f"{number}.err"
    for log in logs:
        log.touch()
    environment = dict(os.environ if environment is None else environment)
    process = forks.Process(target=_run, args=(tool, arguments, cwd, environment, logs, prepare))
    process.start()
    program = Program((tool, *arguments), process, output, errors)
    _started.append(program)
    return program


def run_program(tool: Tool, *arguments: str, code: int | None = None, **how: Any) -> subprocess.CompletedProcess:
    """Run it to its end, which is checked if a code is given."""
    return start_program(tool, *arguments, **how).finish(code)


def invoke(*words: object, code: int | None = None) -> Result:
    """Run `stance-suite` in this process, with this exit code if one is given; what it raises is an error of ours."""
    from stance_suite.cli.app import app

    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert code in (None, done.exit_code), done.output
    return done


@cache
def _logs() -> Path:
    """Make a folder for what programs print, which is removed with this process, as are programs that still run."""
    folder = tempfile.TemporaryDirectory(prefix="programs-")
    atexit.register(folder.cleanup)
    atexit.register(lambda: [program.kill() for program in _started])
    return Path(folder.name)


def _run(
    tool: str,
    arguments: tuple[str, ...],
    cwd: Path,
    environment: Mapping[str, str],
    logs: tuple[Path, Path],
    prepare: Preparation,
) -> None:
    for descriptor, path in enumerate(logs, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), descriptor)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    prepare()
    sys.path.insert(0, "")
    sys.argv = [tool, *arguments]
    try:
        if tool == "stance-suite":
            from stance_suite.cli.app import main

            main()
        else:
            import pytest

            if workers := re.search(r"(?:^| )-n[ =]?(\d)", " ".join(arguments)):
                fork_workers(int(workers[1]))
            # libraries of the preloaded process that have a plugin for pytest, too
            sys.argv[1:1] = ["-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"]
            sys.exit(pytest.console_main())
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out

"""Sweeps that are disturbed at moments of their own processor time: how busy the machine is does not shift them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stance_suite.store.findings import read_findings
from stance_suite.store.record_file import unpack
from tests import sweeping
from tests.programs import Preparation, Program, draw_nothing

ENDINGS = {".html": b"</html>", ".svg": b"</svg>", ".xml": b"</testsuites>", ".parquet": b"PAR1"}
"""How whole reports end."""
_PR_CAPBSET_DROP = 24
_VERSION = 0x20080522
"""``_LINUX_CAPABILITY_VERSION_3``; capget(2)."""


def without_privileges() -> None:
    """Heed permission bits from now on, also in what is started from here; root owns its files and nothing more."""
    draw_nothing()
    if os.getuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails beyond the last one that this kernel knows
    header = (ctypes.c_uint32 * 2)(_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    if libc.capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def start_sweep(project: Path, *arguments: str, prepare: Preparation = draw_nothing) -> Program:
    """Start a sweep of the file that `tests.sweeping.write_sweep` wrote; one cell after another, by default."""
    asked = arguments if "--engine" in arguments else ("--engine", "serial", *arguments)
    return sweeping.start_sweep(project, *asked, prepare=prepare)


def run_sweep(project: Path, *arguments: str, code: int | None = None, **how: Any) -> subprocess.CompletedProcess:
    """Run it to its end, with this code if one is given."""
    return start_sweep(project, *arguments, **how).finish(code)


def kill_at(programs: Sequence[Program], moments: Iterable[float], signals: Iterable[signal.Signals]) -> None:
    """Send each run its signal at its moment; one that has ended before is left alone."""
    waiting = list(zip(programs, moments, signals, strict=False))
    while waiting:
        for one in list(waiting):
            program, moment, how = one
            if program.processor_seconds >= moment:
                program.send_signal(how)
                waiting.remove(one)
        time.sleep(0.002)


def assert_nothing_is_half_written(project: Path) -> None:
    """Assert that whatever bears the name of a record or a report is a whole one."""
    for path in (project / "cache").rglob("*.json.gz"):
        unpack(path.read_bytes(), path.name.removesuffix(".json.gz"))
    reports = list((project / "reports").glob("[!.]*"))
    for path in reports:
        assert path.suffix not in ENDINGS or path.read_bytes().rstrip().endswith(ENDINGS[path.suffix])
    if reports:
        read_findings(project / "reports" / "findings.json")  # it is written first


def assert_one_sentence(done: subprocess.CompletedProcess, code: int, *said: str) -> None:
    """Assert that a run ended with this code and one line that says all of this, without a traceback."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    last = (done.stderr if code != 130 else done.stdout).splitlines()[-1]
    assert all(part in last for part in said), last

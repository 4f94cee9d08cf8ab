"""Sweeps of small models, started like a user does, and what is left of them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.programs import Preparation, Program, draw_nothing, start_program

PASSING = {"created", "seconds", "command"}
"""What differs between runs that find the same: when, how long, and by which command."""
COMMAND = [sys.executable, "-c", "from stance_suite.cli.app import main; main()", "sweep", "sweep.yaml"]


def write_sweep(project: Path, model: Path, **asked: Any) -> None:
    """Ask for one stance beside its controls, unless something else is asked for."""
    sweep = {"models": [str(model)], "stances": ["curious-uncertainty"], "samples": 1} | asked
    (project / "sweep.yaml").write_text(yaml.safe_dump(sweep))


def start_sweep(project: Path, *arguments: str, prepare: Preparation = draw_nothing) -> Program:
    return start_program(
        "stance-suite", "sweep", "sweep.yaml", "--cache", "cache", *arguments, cwd=project, prepare=prepare
    )


def run_sweep(project: Path, *arguments: str, code: int | None = None) -> subprocess.CompletedProcess:
    return start_sweep(project, *arguments).finish(code)


def findings_of(project: Path, reports: str = "reports") -> Any:
    """What a run found, without what passes."""
    return lasting(json.loads((project / reports / "findings.json").read_bytes()))


def lasting(value: Any) -> Any:
    """What runs that find the same have in common, of what is read from or written to JSON."""
    if isinstance(value, dict):
        return {key: lasting(inner) for key, inner in value.items() if key not in PASSING}
    return [lasting(inner) for inner in value] if isinstance(value, list) else value


def stored(project: Path) -> dict[str, bytes]:
    """The records in the store, by file name, to the byte: a cell that is measured again has another duration."""
    return {path.name: path.read_bytes() for path in (project / "cache" / "cells").glob("*.json.gz")}


def measured(done: subprocess.CompletedProcess) -> int:
    """How many cells a run measured, by what it printed."""
    return len(re.findall(r"^\d+ of \d+: .* s$", done.stderr, re.MULTILINE))

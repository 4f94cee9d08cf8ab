"""As much of a CI service as the tests need: it runs the shell steps of an action, and notes what would be called."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ACTION_FILE = Path(__file__).parent.parent / "action.yml"
ACTION = yaml.safe_load(ACTION_FILE.read_text("utf-8"))

HOSTILE = """a "b" 'c' $(touch pwned) `touch pwned`; touch pwned #"""
OPTIONS = {"policy": "my policy.yaml", "baseline": "old/findings.json", "profile": "quick", "fixtures": "own fixtures"}

EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
CONTEXT = re.compile(r"\b(?:inputs|steps|github)\.[\w.-]+")

# Notes its own name and arguments; `stance-suite` also measures a cell and exits as it is told.
STAND_IN = r"""#!/bin/sh
printf '%s\0' "$(basename "$0")" "$@" >> "$CALLS"
printf '\1' >> "$CALLS"
if [ "$(basename "$0")" = stance-suite ]; then
  mkdir -p "$HOME/.cache/stance-suite/cells"
  : > "$HOME/.cache/stance-suite/cells/one.json.gz"
  exit "${EXIT_CODE:-0}"
fi
"""


@dataclass(frozen=True)
class Machine:
    """A folder that stands for a runner: a checkout, a home, and stand-ins for the programs that would do the work."""

    root: Path

    def __post_init__(self) -> None:
        for folder in ("home", "bin", "work"):
            (self.root / folder).mkdir(parents=True)
        for program in ("stance-suite", "python"):
            path = self.root / "bin" / program
            path.write_text(STAND_IN)
            path.chmod(0o755)

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def calls(self) -> list[list[str]]:
        """Programs called, each with its arguments."""
        log = self.root / "calls"
        text = log.read_text("utf-8") if log.exists() else ""
        return [call.split("\0")[:-1] for call in text.split("\1")[:-1]]

    def execute(self, shell: Sequence[str], script: str, variables: Mapping[str, str]) -> subprocess.CompletedProcess:
        path = self.root / "step.sh"
        path.write_text(script)
        environment = {"PATH": f"{self.root / 'bin'}{os.pathsep}{os.environ['PATH']}", **variables}
        environment |= {"HOME": str(self.root / "home"), "CALLS": str(self.root / "calls")}
        how = {"cwd": self.work, "env": environment, "capture_output": True, "text": True, "timeout": 60}
        return subprocess.run([*shell, str(path)], check=False, **how)


def check_schema(schema: str, folder: Path, *documents: Any) -> None:
    """Check documents, as YAML, against a published schema."""
    files = [folder / f"{place}.yml" for place in range(len(documents))]
    for file, document in zip(files, documents, strict=True):
        file.write_text(yaml.safe_dump(document))
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    subprocess.run([*check, *map(str, files)], check=True)


def options_of(call: Sequence[str]) -> dict[str, str]:
    """The options of one call of `stance-suite gate`, which end before the model."""
    *pairs, separator, _model = call[2:]
    assert separator == "--"
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


@dataclass
class ActionRun:
    """One run of a composite action: the steps that ran, in order, and how the job ended."""

    machine: Machine
    action: Mapping[str, Any]
    inputs: Mapping[str, str]
    restored_key: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    failed: bool = False
    ran: list[str] = field(default_factory=list)
    used: dict[str, dict[str, str]] = field(default_factory=dict)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)

    def start(self) -> ActionRun:
        """Run all steps as GitHub would, up to what the shell does."""
        for step in self.action["runs"]["steps"]:
            if not self._is_due(step.get("if", "success()")):
                self.steps[step.get("id", step["name"])] = {"outcome": "skipped", "outputs": {}}
                continue
            self.ran.append(step["name"])
            succeeded, outputs = self._use(step) if "uses" in step else self._shell(step)
            self.failed |= not succeeded
            outcome = "success" if succeeded else "failure"
            self.steps[step.get("id", step["name"])] = {"outcome": outcome, "outputs": outputs}
        return self

    @property
    def outputs(self) -> dict[str, str]:
        """Outputs of the action."""
        return {name: self._fill(output["value"]) for name, output in self.action["outputs"].items()}

    def _is_due(self, condition: str) -> bool:
        if "always()" not in condition and self.failed:
            return False
        known = condition.replace("always()", "True").replace("success()", "True").replace("&&", " and ")
        return bool(eval(CONTEXT.sub(lambda found: repr(self._look_up(found[0])), known)))

    def _use(self, step: Mapping[str, Any]) -> tuple[bool, dict[str, str]]:
        self.used[step["name"]] = {key: self._fill(value) for key, value in step.get("with", {}).items()}
        return True, {"cache-matched-key": self.restored_key} if "restore" in step["uses"] else {}

    def _shell(self, step: Mapping[str, Any]) -> tuple[bool, dict[str, str]]:
        outputs = self.machine.root / "outputs"
        outputs.write_text("")
        variables = {
            **{"GITHUB_OUTPUT": str(outputs), "GITHUB_ACTION_PATH": "/the action"},
            **{"RUNNER_OS": "Linux", "RUNNER_ARCH": "X64", **self.variables},
            **{name: self._fill(value) for name, value in step.get("env", {}).items()},
        }
        shell = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail"]
        done = self.machine.execute(shell, step["run"], variables)
        written = dict(line.split("=", 1) for line in outputs.read_text("utf-8").splitlines())
        return done.returncode == 0, written

    def _fill(self, text: str) -> str:
        return EXPRESSION.sub(lambda found: self._look_up(found[1]), text)

    def _look_up(self, name: str) -> str:
        match name.split("."):
            case ["inputs", name]:
                return self.inputs.get(name, self.action["inputs"][name].get("default", ""))
            case ["steps", step, "outputs", name]:
                return self.steps[step]["outputs"].get(name, "")
            case ["steps", step, "outcome"]:
                return self.steps[step]["outcome"]
        raise AssertionError(f"{name} is not known to the tests")

"""Errors that a user can mend: what is wrong, where, and the way out; shown without a traceback, unlike our bugs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path


class StanceSuiteError(Exception):
    """Base of all errors that are reported as one message (exit code 4 in pytest, 2 on the command line)."""


@dataclass(frozen=True)
class SpecProblem:
    """One thing wrong with one place of a YAML file."""

    path: Path
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        """Read as a compiler message, which editors and CI annotations can follow."""
        where = f"{self.path}:{self.line}"
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


class SpecError(StanceSuiteError):
    """One or more YAML files do not say something that can be run."""

    def __init__(self, problems: Iterable[SpecProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnknownNameError(StanceSuiteError):
    """A name that nothing bears."""


class WeightsUnavailableError(StanceSuiteError):
    """Weights that cannot be had here and now (no network, no such repository, no such revision)."""


class UnsafeWeightsError(StanceSuiteError):
    """Weights that must not be loaded: a pickle, or a file whose SHA-256 is not the pinned one."""


class CellFailedError(Exception):
    """A cell that could not be measured, though nothing is wrong that the user can mend: its claims become ERROR."""


def pickle_refused(said: str, way_out: str = "") -> UnsafeWeightsError:
    """Refuse a pickle, which has just been named."""
    way_out = way_out or "convert it where you trust it: model.save_pretrained(folder) writes safetensors"
    return UnsafeWeightsError(f"{said}, which can run code when it is loaded and is refused; {way_out}")


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that nothing of a kind bears a name, and which names are nearest."""
    return f"no {kind} is called {name!r}; {nearest_names(name, known)}"


def nearest_names(name: str, known: Iterable[str]) -> str:
    """Ask ``did you mean 'a' or 'b'?``, or list the known names if none is near."""
    known = sorted(set(known))
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(map(repr, near)) + "?"
    listed = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
    return f"known: {listed}" if known else "none is known"

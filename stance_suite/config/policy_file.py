"""A policy's file: read, and held against what is declared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stance_suite.config.yaml_file import Document
from stance_suite.errors import SpecError
from stance_suite.schema.policy import Policy


@dataclass(frozen=True)
class DeclaredPolicy:
    """A policy, and the file that declares it."""

    policy: Policy
    document: Document


def load_policy(path: Path, stances: Iterable[str], recipes: Iterable[str]) -> DeclaredPolicy:
    """Read a policy, every key of which may be left out; SpecError if it names a stance or recipe that there is not."""
    document = Document(path)
    policy = document.parse(Policy)
    problems = document.check_names(("stances",), "stance", policy.stances, stances)
    problems += document.check_names(("recipe",), "recipe", policy.recipe, recipes)
    if problems:
        raise SpecError(problems)
    return DeclaredPolicy(policy, document)

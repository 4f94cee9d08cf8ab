"""All that is declared, by the user first and then by the package, checked as a whole before anything is loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from stance_suite.config.policy_file import load_policy
from stance_suite.config.validation import DeclaredClaim, check_claims, check_recipes, check_statements
from stance_suite.config.yaml_file import Document
from stance_suite.errors import SpecError, SpecProblem, UnknownNameError, nearest_names, unknown_name
from stance_suite.schema.claims import Claim
from stance_suite.schema.findings import StanceSummary
from stance_suite.schema.recipes import Recipe
from stance_suite.schema.stances import RECIPES, FolderSource, HubSource, ModelSpec, NeutralTexts, Stance
from stance_suite.schema.statements import Statement

Entry = TypeVar("Entry", Stance, ModelSpec)
Listed = TypeVar("Listed", Claim, Statement, Recipe)


@dataclass(frozen=True)
class Catalog:
    """All that is declared, the user's own and the bundled."""

    stances: Mapping[str, Stance]
    """By name."""
    models: Mapping[str, ModelSpec]
    """By name."""
    recipes: Mapping[str, Recipe]
    """By name."""
    claims: tuple[DeclaredClaim, ...]
    """In the order of files and of their entries."""
    statements: tuple[Statement, ...]
    """Published sentences, to be checked against recorded figures."""
    neutral_texts: tuple[str, ...]
    """Held-out text without a stance: the user's own, or the bundled."""
    suite: tuple[str, ...]
    """Names of the stances under test: the user's own if there are any, else the bundled ones."""
    policy_file: Path
    """What a gate demands: the user's own file, or the bundled one."""
    files: tuple[Path, ...] = ()
    """The files that were read."""

    @property
    def records(self) -> tuple[Claim | Statement, ...]:
        """Claims with published figures, and statements that can be checked against such."""
        recorded = [entry.claim for entry in self.claims if entry.claim.recorded is not None]
        return (*recorded, *(statement for statement in self.statements if statement.checks))

    def stance(self, name: str) -> Stance:
        """Look a stance up."""
        if name not in self.stances:
            raise UnknownNameError(unknown_name("stance", name, self.stances))
        return self.stances[name]

    def family(self, name: str) -> tuple[Stance, ...]:
        """Gather the stances that are measured together, in alphabetical order: they differ in manner only."""
        occasion = self.stance(name).occasion
        return tuple(self.stances[other] for other in sorted(self.stances) if self.stances[other].occasion == occasion)

    @cached_property
    def summaries(self) -> Mapping[str, StanceSummary]:
        """What judging and reports need of the stances, by name."""
        return {
            name: StanceSummary(
                name=name,
                description=stance.description,
                sha256=stance.sha256,
                contrasts=tuple(member.name for member in self.family(name) if member.name != name),
                prompts=stance.prompts,
                seen_prompts=stance.seen_prompts,
            )
            for name, stance in self.stances.items()
        }


def find_spec(asked: str, registry: Mapping[str, ModelSpec]) -> ModelSpec:
    """Find the model that a user means by a declared name, ``organization/name[@revision]`` or the path of a folder."""
    if asked in registry:
        return registry[asked]
    folder = Path(asked).expanduser()
    if folder.is_dir():
        return ModelSpec(name=asked, source=FolderSource(kind="folder", path=folder.resolve()))
    repository, _, revision = asked.partition("@")
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repository):
        return ModelSpec(name=asked, source=HubSource(kind="hub", repository=repository, revision=revision or "main"))
    near = nearest_names(asked, registry)
    raise UnknownNameError(
        f"no model is called {asked!r}, and no folder is there; {near}{'' if near.endswith('?') else '.'} "
        "A Hub id reads organization/name[@revision]."
    )


def bundled_fixtures() -> Path:
    """Find the fixtures that come with stance-suite: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "fixtures"
    return installed if installed.is_dir() else package.parent / "fixtures"


def load_catalog(fixtures: Path) -> Catalog:
    """Read and check every declaration; SpecError with all problems of all files.

    A repository with claims or stances of its own is judged by these alone.
    """
    bundled, reader = bundled_fixtures(), _Reader()
    own = fixtures if fixtures.is_dir() and fixtures.resolve() != bundled.resolve() else None
    own_stances = reader.folder(own, "stances", Stance)
    stances = {**reader.folder(bundled, "stances", Stance), **own_stances}
    models = {**reader.folder(bundled, "models", ModelSpec), **reader.folder(own, "models", ModelSpec)}
    recipes = reader.lists(own, "recipes", Recipe)
    claims = reader.lists(own, "claims", Claim)
    statements = reader.lists(own, "statements", Statement)
    if not (own_stances or claims or statements or reader.problems):
        claims = reader.lists(bundled, "claims", Claim)
        statements = reader.lists(bundled, "statements", Statement)
    neutral_file, policy_file = (
        own / name if own is not None and (own / name).is_file() else bundled / name
        for name in ("neutral.yaml", "policy.yaml")
    )
    neutral_texts: tuple[str, ...] = ()
    with reader.noting_problems():
        neutral_texts = Document(neutral_file).parse(NeutralTexts).texts
    read = {document.path for _, document in (*stances.values(), *models.values())}
    read |= {document.path for _, document, _ in (*claims, *statements, *recipes)}
    catalog = Catalog(
        stances={name: stance for name, (stance, _) in stances.items()},
        models={name: model for name, (model, _) in models.items()},
        recipes={**RECIPES, **{recipe.name: recipe for recipe, _, _ in recipes}},
        claims=tuple(DeclaredClaim(*entry) for entry in claims),
        statements=tuple(statement for statement, _, _ in statements),
        neutral_texts=neutral_texts,
        policy_file=policy_file,
        suite=tuple(sorted(own_stances or stances)),
        files=tuple(sorted({*read, neutral_file, policy_file})),
    )
    reader.problems += check_recipes(recipes)
    with reader.noting_problems():
        load_policy(policy_file, catalog.stances, catalog.recipes)
    reader.problems += check_claims(catalog.claims, catalog.stances, catalog.models, catalog.recipes)
    known = {"model": catalog.models, "stance": catalog.stances}
    reader.problems += check_statements(statements, known, [entry.claim.id for entry in catalog.claims])
    if reader.problems:
        raise SpecError(reader.problems)
    return catalog


class _Reader:
    """Reads files, and gathers what is wrong with them."""

    def __init__(self) -> None:
        self.problems: list[SpecProblem] = []

    @contextmanager
    def noting_problems(self) -> Iterator[None]:
        try:
            yield
        except SpecError as error:
            self.problems += error.problems

    def folder(self, fixtures: Path | None, kind: str, model: type[Entry]) -> dict[str, tuple[Entry, Document]]:
        """Read files that hold one entry each: every entry and its document, by the entry's name."""
        entries: dict[str, tuple[Entry, Document]] = {}
        for path in _yaml_files(fixtures, kind):
            with self.noting_problems():
                document = Document(path)
                entry = document.parse(model)
                if entry.name in entries:
                    taken = f"is taken by {entries[entry.name][1].path}; choose another"
                    self.problems.append(document.problem(("name",), taken))
                entries[entry.name] = entry, document
        return entries

    def lists(self, fixtures: Path | None, key: str, model: type[Listed]) -> list[tuple[Listed, Document, int]]:
        """Read files that hold one list each: every entry, its document and its index there."""
        entries: list[tuple[Listed, Document, int]] = []
        for path in _yaml_files(fixtures, key):
            with self.noting_problems():
                document = Document(path)
                listed = document.data.get(key) if isinstance(document.data, dict) else None
                if not isinstance(listed, list) or set(document.data) != {key}:
                    message = f"a {key} file has one key, '{key}', with a list of {key}"
                    raise SpecError([SpecProblem(path, 1, key, message)])
                for index in range(len(listed)):
                    with self.noting_problems():
                        entries.append((document.parse(model, (key, index)), document, index))
        return entries


def _yaml_files(fixtures: Path | None, kind: str) -> list[Path]:
    if fixtures is None:
        return []
    return sorted([*(fixtures / kind).glob("*.yaml"), *(fixtures / kind).glob("*.yml")])

"""All that is declared, read from YAML and checked as a whole before anything is loaded.

The library looks into the user's ``fixtures`` folder first and then into the fixtures that come with the package, so
that a repository only has to declare what it adds. No torch is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from stance_suite.claims import Claim
from stance_suite.declared import DeclaredClaim, check_claims, check_recipes, check_statements, contrast_problem
from stance_suite.documents import Document
from stance_suite.errors import SpecError, SpecProblem, UnknownNameError, nearest_names
from stance_suite.policy import load_policy
from stance_suite.run_records import Recipe
from stance_suite.specs import RECIPES, ModelSpec, NeutralTexts, Stance
from stance_suite.statements import Statement

Entry = TypeVar("Entry", Stance, ModelSpec)
Listed = TypeVar("Listed", Claim, Statement, Recipe)


@dataclass(frozen=True)
class Library:
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
    files: tuple[Path, ...] = field(default=())
    """The files that were read."""

    @property
    def records(self) -> tuple[Claim | Statement, ...]:
        """Claims with published figures, and statements that can be checked against such."""
        recorded = [entry.claim for entry in self.claims if entry.claim.recorded is not None]
        return (*recorded, *(statement for statement in self.statements if statement.checks))

    def stance(self, name: str) -> Stance:
        """Look a stance up.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        Stance
            The stance.

        Raises
        ------
        UnknownNameError
            If no stance bears the name.
        """
        if name not in self.stances:
            raise UnknownNameError(f"no stance is called {name!r}; {nearest_names(name, self.stances)}")
        return self.stances[name]

    def family(self, name: str) -> tuple[Stance, ...]:
        """Gather a stance and its contrasts: the stances that are measured together and share a sham.

        Parameters
        ----------
        name : str
            The stance's name.

        Returns
        -------
        tuple of Stance
            In alphabetical order, so that stances that contrast each other have one family.
        """
        stance = self.stance(name)
        return tuple(self.stance(member) for member in sorted({name, *stance.contrasts}))


def bundled_fixtures() -> Path:
    """Find the fixtures that come with stance-suite.

    Returns
    -------
    Path
        Inside the installed package, or the checkout's ``fixtures`` folder in a development install.
    """
    package = Path(__file__).parent
    installed = package / "fixtures"
    return installed if installed.is_dir() else package.parent / "fixtures"


def load_library(fixtures: Path) -> Library:
    """Read and check every declaration.

    Parameters
    ----------
    fixtures : Path
        The user's folder with ``stances``, ``models``, ``recipes`` and ``claims``; each may be absent.

    Returns
    -------
    Library
        The user's declarations over the bundled ones. A repository with claims or stances of its own is judged by
        these alone.

    Raises
    ------
    SpecError
        With all problems of all files.
    """
    problems: list[SpecProblem] = []
    bundled = bundled_fixtures()
    own_folder = fixtures.is_dir() and fixtures.resolve() != bundled.resolve()
    stances, stance_documents = _read_folder(bundled / "stances", Stance, problems)
    models, model_documents = _read_folder(bundled / "models", ModelSpec, problems)
    own_stances: dict[str, Stance] = {}
    claims: list[DeclaredClaim] = []
    statements: list[tuple[Statement, Document, int]] = []
    own_recipes: list[tuple[Recipe, Document, int]] = []
    if own_folder:
        own_stances, own_stance_documents = _read_folder(fixtures / "stances", Stance, problems)
        own_models, own_model_documents = _read_folder(fixtures / "models", ModelSpec, problems)
        stances, models = {**stances, **own_stances}, {**models, **own_models}
        stance_documents = {**stance_documents, **own_stance_documents}
        model_documents = {**model_documents, **own_model_documents}
        own_recipes = _read_listed(fixtures / "recipes", "recipes", Recipe, problems)
        claims = [DeclaredClaim(*entry) for entry in _read_listed(fixtures / "claims", "claims", Claim, problems)]
        statements = _read_listed(fixtures / "statements", "statements", Statement, problems)
    recipes = {**RECIPES, **{recipe.name: recipe for recipe, _, _ in own_recipes}}
    declares_own = bool(own_stances or claims or statements)
    if not declares_own and not problems:
        claims = [DeclaredClaim(*entry) for entry in _read_listed(bundled / "claims", "claims", Claim, problems)]
        statements = _read_listed(bundled / "statements", "statements", Statement, problems)
    own_neutral = fixtures / "neutral.yaml"
    neutral_file = own_neutral if own_folder and own_neutral.is_file() else bundled / "neutral.yaml"
    neutral_texts = _read_neutral_texts(neutral_file, problems)
    own_policy = fixtures / "policy.yaml"
    policy_file = own_policy if own_folder and own_policy.is_file() else bundled / "policy.yaml"
    problems += check_recipes(own_recipes)
    problems += _check_policy(policy_file, stances, recipes)
    for name, stance in stances.items():
        for index, contrast in enumerate(stance.contrasts):
            message = contrast_problem(stance, contrast, stances)
            if message is not None:
                problems.append(stance_documents[name].problem(("contrasts", index), message))
    problems += check_claims(claims, stances, models, recipes)
    problems += check_statements(statements, stances, models, [declared.claim.id for declared in claims])
    if problems:
        raise SpecError(problems)
    listing = {declared.document.path for declared in claims}
    listing |= {document.path for _, document, _ in (*statements, *own_recipes)}
    read = {document.path for document in (*stance_documents.values(), *model_documents.values())} | listing
    return Library(
        stances=stances,
        models=models,
        recipes=recipes,
        claims=tuple(claims),
        statements=tuple(statement for statement, _, _ in statements),
        neutral_texts=neutral_texts,
        policy_file=policy_file,
        suite=tuple(sorted(own_stances or stances)),
        files=tuple(sorted({*read, neutral_file, policy_file})),
    )


def _yaml_files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])


def _read_folder(
    folder: Path, model: type[Entry], problems: list[SpecProblem]
) -> tuple[dict[str, Entry], dict[str, Document]]:
    entries: dict[str, Entry] = {}
    documents: dict[str, Document] = {}
    for path in _yaml_files(folder):
        try:
            document = Document(path)
            entry = document.parse(model)
        except SpecError as error:
            problems += error.problems
            continue
        if entry.name in entries:
            problems.append(document.problem(("name",), f"is taken by {documents[entry.name].path}; choose another"))
        entries[entry.name], documents[entry.name] = entry, document
    return entries, documents


def _read_neutral_texts(path: Path, problems: list[SpecProblem]) -> tuple[str, ...]:
    try:
        return Document(path).parse(NeutralTexts).texts
    except SpecError as error:
        problems += error.problems
        return ()


def _read_listed(
    folder: Path, key: str, model: type[Listed], problems: list[SpecProblem]
) -> list[tuple[Listed, Document, int]]:
    """Read files that hold one list each: every entry, its document and its index there."""
    entries: list[tuple[Listed, Document, int]] = []
    for path in _yaml_files(folder):
        try:
            document = Document(path)
        except SpecError as error:
            problems += error.problems
            continue
        listed = document.data.get(key) if isinstance(document.data, dict) else None
        if not isinstance(listed, list) or set(document.data) != {key}:
            problems.append(SpecProblem(path, 1, key, f"a {key} file has one key, '{key}', with a list of {key}"))
            continue
        for index in range(len(listed)):
            try:
                entries.append((document.parse(model, (key, index)), document, index))
            except SpecError as error:
                problems += error.problems
    return entries


def _check_policy(path: Path, stances: Mapping[str, Stance], recipes: Mapping[str, Recipe]) -> list[SpecProblem]:
    try:
        load_policy(path, stances, recipes)
    except SpecError as error:
        return list(error.problems)
    return []

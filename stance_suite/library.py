"""All that is declared, read from YAML and checked as a whole before anything is loaded.

The library looks into the user's ``fixtures`` folder first and then into the fixtures that come with the package, so
that a repository only has to declare what it adds. No torch is imported here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from stance_suite.claims import Claim
from stance_suite.documents import Document
from stance_suite.errors import SpecError, SpecProblem, UnknownNameError, nearest_names
from stance_suite.policy import load_policy
from stance_suite.specs import ELSEWHERE, RECIPES, ModelSpec, NeutralTexts, Stance, normalize_sentence
from stance_suite.statements import Statement


@dataclass(frozen=True)
class DeclaredClaim:
    """A claim, and the place that declares it."""

    claim: Claim
    """What is claimed."""
    document: Document
    """The file that declares it."""
    index: int | None
    """Its index in the file; None if it follows from a policy."""

    def problem(self, key: str, message: str) -> SpecProblem:
        """Say what is wrong with one key of the claim.

        Parameters
        ----------
        key : str
            Name of the key.
        message : str
            What is wrong and how to mend it.

        Returns
        -------
        SpecProblem
            With file and line.
        """
        where = (key,) if self.index is None else ("claims", self.index, key)
        return self.document.problem(where, message)


Entry = TypeVar("Entry", Stance, ModelSpec)
Listed = TypeVar("Listed", Claim, Statement)


@dataclass(frozen=True)
class Library:
    """All that is declared, the user's own and the bundled."""

    stances: Mapping[str, Stance]
    """By name."""
    models: Mapping[str, ModelSpec]
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
        The user's folder with ``stances``, ``models`` and ``claims``; each may be absent.

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
    if own_folder:
        own_stances, own_stance_documents = _read_folder(fixtures / "stances", Stance, problems)
        own_models, own_model_documents = _read_folder(fixtures / "models", ModelSpec, problems)
        stances, models = {**stances, **own_stances}, {**models, **own_models}
        stance_documents = {**stance_documents, **own_stance_documents}
        model_documents = {**model_documents, **own_model_documents}
        claims = [DeclaredClaim(*entry) for entry in _read_listed(fixtures / "claims", "claims", Claim, problems)]
        statements = _read_listed(fixtures / "statements", "statements", Statement, problems)
    declares_own = bool(own_stances or claims or statements)
    if not declares_own and not problems:
        claims = [DeclaredClaim(*entry) for entry in _read_listed(bundled / "claims", "claims", Claim, problems)]
        statements = _read_listed(bundled / "statements", "statements", Statement, problems)
    own_neutral = fixtures / "neutral.yaml"
    neutral_file = own_neutral if own_folder and own_neutral.is_file() else bundled / "neutral.yaml"
    neutral_texts = _read_neutral_texts(neutral_file, problems)
    own_policy = fixtures / "policy.yaml"
    policy_file = own_policy if own_folder and own_policy.is_file() else bundled / "policy.yaml"
    problems += _check_policy(policy_file, stances)
    for name, stance in stances.items():
        for index, contrast in enumerate(stance.contrasts):
            message = _contrast_problem(stance, contrast, stances)
            if message is not None:
                problems.append(stance_documents[name].problem(("contrasts", index), message))
    problems += _check_claims(claims, stances, models)
    problems += _check_statements(statements, stances, models, [declared.claim.id for declared in claims])
    if problems:
        raise SpecError(problems)
    listing = {declared.document.path for declared in claims} | {document.path for _, document, _ in statements}
    read = {document.path for document in (*stance_documents.values(), *model_documents.values())} | listing
    return Library(
        stances=stances,
        models=models,
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


def _check_policy(path: Path, stances: Mapping[str, Stance]) -> list[SpecProblem]:
    try:
        load_policy(path, stances)
    except SpecError as error:
        return list(error.problems)
    return []


def _contrast_problem(stance: Stance, contrast: str, stances: Mapping[str, Stance]) -> str | None:
    """Say why two stances cannot be measured together; the sham trains on the examples of both."""
    if contrast not in stances:
        return f"no stance is called {contrast!r}; {nearest_names(contrast, stances)}"
    other = stances[contrast]
    if len(other.examples) != len(stance.examples):
        return (
            f"{contrast} has {len(other.examples)} examples and {stance.name} {len(stance.examples)}; "
            "the sham is a fair control only if they have equally many"
        )
    if other.prompt_format != stance.prompt_format:
        return (
            f"{contrast} has prompt_format {other.prompt_format or 'of the model'} and {stance.name} "
            f"{stance.prompt_format or 'of the model'}; stances measured together must be asked alike"
        )
    held_out = {normalize_sentence(prompt) for prompt in stance.held_out_prompts}
    trained = [example.prompt for example in other.examples if normalize_sentence(example.prompt) in held_out]
    if trained:
        return f"{contrast} trains on {trained[0]!r}, which {stance.name} holds out; use another prompt"
    return None


def _check_claims(
    claims: Iterable[DeclaredClaim], stances: Mapping[str, Stance], models: Mapping[str, ModelSpec]
) -> list[SpecProblem]:
    problems = []
    seen: dict[str, DeclaredClaim] = {}
    known = {"stance": stances, "model": {**models, "any": None}, "recipe": {**RECIPES, ELSEWHERE: None}}
    for declared in claims:
        claim = declared.claim
        for key, names in known.items():
            value = getattr(claim, key)
            if value not in names:
                problems.append(declared.problem(key, f"no {key} is called {value!r}; {nearest_names(value, names)}"))
            rival = getattr(claim.versus, key, None)
            if rival is not None and rival not in (others := [name for name in names if name != "any"]):
                message = f"versus: no {key} is called {rival!r}; {nearest_names(rival, others)}"
                problems.append(declared.problem("versus", message))
        problems += _check_counterpart(declared, stances)
        if claim.id in seen:
            other = seen[claim.id]
            line = other.problem("id", "").line
            problems.append(declared.problem("id", f"is taken by {other.document.path}:{line}; choose another"))
        seen[claim.id] = declared
    return problems


def _check_counterpart(declared: DeclaredClaim, stances: Mapping[str, Stance]) -> list[SpecProblem]:
    """Say why two trainings cannot be compared prompt by prompt."""
    claim = declared.claim
    rival = claim.versus.stance if claim.versus is not None else None
    if rival is None or rival not in stances or claim.stance not in stances or not claim.metric.is_behavioral:
        return []
    ours, theirs = (set(stances[name].held_out_prompts) for name in (claim.stance, rival))
    if ours == theirs:
        return []
    message = f"{rival} and {claim.stance} have other held-out prompts, so their effects cannot be compared by prompt"
    return [declared.problem("versus", message)]


def _check_statements(
    statements: Iterable[tuple[Statement, Document, int]],
    stances: Mapping[str, Stance],
    models: Mapping[str, ModelSpec],
    claims: Sequence[str],
) -> list[SpecProblem]:
    problems = []
    seen: set[str] = set()
    for statement, document, index in statements:
        if statement.id in seen:
            problems.append(document.problem(("statements", index, "id"), "is given twice; choose another"))
        seen.add(statement.id)
        for place, name in enumerate(statement.measured):
            if name not in claims:
                message = f"no claim has the id {name!r}; {nearest_names(name, claims)}"
                problems.append(document.problem(("statements", index, "measured", place), message))
        for place, check in enumerate(statement.checks):
            for key, known in (("models", models), ("stances", stances)):
                for name in getattr(check, key, ()):
                    if name not in known:
                        where = ("statements", index, "checks", place, key)
                        message = f"no {key.removesuffix('s')} is called {name!r}; {nearest_names(name, known)}"
                        problems.append(document.problem(where, message))
    return problems

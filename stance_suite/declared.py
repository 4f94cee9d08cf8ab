"""What is declared, held against what else is declared: names that nothing bears, and what cannot go together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stance_suite.claims import Claim
from stance_suite.documents import Document
from stance_suite.errors import SpecProblem, nearest_names
from stance_suite.profiles import ELSEWHERE
from stance_suite.run_records import Recipe
from stance_suite.specs import RECIPES, ModelSpec, Stance, normalize_sentence
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


def contrast_problem(stance: Stance, contrast: str, stances: Mapping[str, Stance]) -> str | None:
    """Say why two stances cannot be measured together; the sham trains on the examples of both.

    Parameters
    ----------
    stance : Stance
        A stance.
    contrast : str
        Name of the one that it is told apart from.
    stances : mapping of str to Stance
        All that are declared.

    Returns
    -------
    str or None
        None if they can.
    """
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


def check_recipes(recipes: Iterable[tuple[Recipe, Document, int]]) -> list[SpecProblem]:
    """Find names of recipes that are taken: by another one, or by a bundled one that trains differently.

    Parameters
    ----------
    recipes : iterable of (Recipe, Document, int)
        The user's own, each with its file and its index there.

    Returns
    -------
    list of SpecProblem
        With file and line.
    """
    problems = []
    seen: dict[str, tuple[Document, int]] = {}
    for recipe, document, index in recipes:
        where = ("recipes", index, "name")
        if recipe.name in seen:
            other, place = seen[recipe.name]
            line = other.line(("recipes", place, "name"))
            problems.append(document.problem(where, f"is taken by {other.path}:{line}; choose another"))
        elif recipe.name == ELSEWHERE:
            message = f"'{ELSEWHERE}' stands for models that were trained elsewhere; choose another"
            problems.append(document.problem(where, message))
        elif RECIPES.get(recipe.name, recipe) != recipe:
            # else one name would mean two trainings, here and in everybody else's findings
            message = f"'{recipe.name}' is a bundled recipe that trains differently; choose another"
            problems.append(document.problem(where, message))
        seen.setdefault(recipe.name, (document, index))
    return problems


def check_claims(
    claims: Iterable[DeclaredClaim],
    stances: Mapping[str, Stance],
    models: Mapping[str, ModelSpec],
    recipes: Mapping[str, Recipe],
) -> list[SpecProblem]:
    """Find names in claims that nothing bears, ids given twice, and trainings that cannot be compared.

    Parameters
    ----------
    claims : iterable of DeclaredClaim
        The claims.
    stances : mapping of str to Stance
        All that are declared.
    models : mapping of str to ModelSpec
        All that are declared.
    recipes : mapping of str to Recipe
        All that are declared.

    Returns
    -------
    list of SpecProblem
        With file and line.
    """
    problems = []
    seen: dict[str, DeclaredClaim] = {}
    known = {"stance": stances, "model": {**models, "any": None}, "recipe": {**recipes, ELSEWHERE: None}}
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


def check_statements(
    statements: Iterable[tuple[Statement, Document, int]],
    stances: Mapping[str, Stance],
    models: Mapping[str, ModelSpec],
    claims: Sequence[str],
) -> list[SpecProblem]:
    """Find names in statements that nothing bears, and ids given twice.

    Parameters
    ----------
    statements : iterable of (Statement, Document, int)
        Each with its file and its index there.
    stances : mapping of str to Stance
        All that are declared.
    models : mapping of str to ModelSpec
        All that are declared.
    claims : sequence of str
        Ids of all claims.

    Returns
    -------
    list of SpecProblem
        With file and line.
    """
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

"""What is declared, held against what else is declared: names that nothing bears, and what cannot go together."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from stance_suite.config.yaml_file import Document
from stance_suite.errors import SpecProblem, nearest_names, unknown_name
from stance_suite.schema.claims import Claim
from stance_suite.schema.profiles import ELSEWHERE
from stance_suite.schema.recipes import Recipe
from stance_suite.schema.stances import RECIPES, Stance
from stance_suite.schema.statements import Statement


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
        """Say what is wrong with one key of the claim."""
        where = (key,) if self.index is None else ("claims", self.index, key)
        return self.document.problem(where, message)


def check_recipes(recipes: Iterable[tuple[Recipe, Document, int]]) -> list[SpecProblem]:
    """Find names of own recipes that are taken: by another one, or by a bundled one that trains differently."""
    problems = []
    seen: dict[str, SpecProblem] = {}
    for recipe, document, index in recipes:
        place = document.problem(("recipes", index, "name"), "")
        first = seen.setdefault(recipe.name, place)
        if first is not place:
            taken = f"is taken by {first.path}:{first.line}"
        elif recipe.name == ELSEWHERE:
            taken = f"'{ELSEWHERE}' stands for models that were trained elsewhere"
        elif RECIPES.get(recipe.name, recipe) != recipe:
            # else one name would mean two trainings, here and in everybody else's findings
            taken = f"'{recipe.name}' is a bundled recipe that trains differently"
        else:
            continue
        problems.append(replace(place, message=f"{taken}; choose another"))
    return problems


def check_claims(
    claims: Iterable[DeclaredClaim], stances: Mapping[str, Stance], models: Iterable[str], recipes: Iterable[str]
) -> list[SpecProblem]:
    """Find names in claims that nothing bears, ids given twice, and trainings that cannot be compared."""
    problems = []
    seen: dict[str, DeclaredClaim] = {}
    known = {"stance": {*stances}, "model": {*models, "any"}, "recipe": {*recipes, ELSEWHERE}}
    for declared in claims:
        claim = declared.claim
        for key, names in known.items():
            value = getattr(claim, key)
            if value not in names:
                problems.append(declared.problem(key, unknown_name(key, value, names)))
            rival = getattr(claim.versus, key, None)
            if rival is not None and rival not in (others := names - {"any"}):
                problems.append(declared.problem("versus", f"versus: {unknown_name(key, rival, others)}"))
        problems += _check_counterpart(declared, stances)
        if claim.id in seen:
            first = seen[claim.id].problem("id", "")
            problems.append(declared.problem("id", f"is taken by {first.path}:{first.line}; choose another"))
        seen[claim.id] = declared
    return problems


def _check_counterpart(declared: DeclaredClaim, stances: Mapping[str, Stance]) -> list[SpecProblem]:
    """Say why two trainings cannot be compared prompt by prompt."""
    claim = declared.claim
    rival = claim.versus.stance if claim.versus is not None else None
    if rival is None or rival not in stances or claim.stance not in stances or not claim.metric.is_behavioral:
        return []
    if {*stances[claim.stance].prompts} == {*stances[rival].prompts}:
        return []
    message = f"{rival} and {claim.stance} have other held-out prompts, so their effects cannot be compared by prompt"
    return [declared.problem("versus", message)]


def check_statements(
    statements: Iterable[tuple[Statement, Document, int]], known: Mapping[str, Iterable[str]], claims: Collection[str]
) -> list[SpecProblem]:
    """Find names in statements that nothing bears, and ids given twice."""
    problems = []
    seen: set[str] = set()
    for statement, document, index in statements:
        where = ("statements", index)
        if statement.id in seen:
            problems.append(document.problem((*where, "id"), "is given twice; choose another"))
        seen.add(statement.id)
        for place, name in enumerate(statement.measured):
            if name not in claims:
                message = f"no claim has the id {name!r}; {nearest_names(name, claims)}"
                problems.append(document.problem((*where, "measured", place), message))
        for place, check in enumerate(statement.checks):
            for kind, names in known.items():
                for name in getattr(check, f"{kind}s", ()):
                    problems += document.check_names((*where, "checks", place, f"{kind}s"), kind, name, names)
    return problems

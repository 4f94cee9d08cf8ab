"""What a gate demands of a model: read from YAML, and the standard claims that follow from it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from stance_suite.caveats import Caveat
from stance_suite.claims import Claim, Expected, Record
from stance_suite.documents import Document
from stance_suite.errors import SpecError, nearest_names
from stance_suite.metrics import Comparator, Metric
from stance_suite.specs import Stance

STANDARD = "standard"
"""What ids of standard claims begin with."""

ANY_VERDICT: tuple[Expected, ...] = ("HOLDS", "INCONCLUSIVE", "FAILS")

Consequence = Literal["fail", "warn", "ignore"]


class Adoption(Record):
    """What shows that a stance was adopted."""

    preference: float = Field(default=0.1, gt=0, allow_inf_nan=False)
    """Likelihood preference, in nats per token, that the effect must exceed against base and sham."""
    agreement: Literal["partial", "adopted"] = "partial"
    """``adopted`` if what the model says must move too, and not only what it finds likely."""


class Structure(Record):
    """Which change of the weights needs an explanation."""

    alpha_change_percent: float = Field(default=5.0, gt=0, allow_inf_nan=False)
    """Change of a matrix's alpha, with the tail held fixed and beyond sham and noise, that is unexplained."""
    unexplained: Consequence = "fail"
    """What an unexplained change does, or one that cannot be excluded because something is missing."""


class Regression(Record):
    """How much of a baseline's effect may be lost."""

    share: float = Field(default=0.5, gt=0, lt=1, allow_inf_nan=False)
    """Share of the baseline's effect; a loss must be significant, too."""


class Policy(Record):
    """What a model must show to pass the gate."""

    stances: tuple[str, ...] = ()
    """Names of the stances that it must adopt; all that are under test if empty."""
    recipe: str = "documented"
    """Name of the training recipe."""
    adoption: Adoption = Adoption()
    """What shows that a stance was adopted, specifically."""
    degeneration: Consequence = "fail"
    """What a model does that repeats itself, falls silent, recites its training or predicts neutral text like no
    language model."""
    structure: Structure = Structure()
    """Which change of the weights needs an explanation."""
    claims: tuple[str, ...] = ("*",)
    """Globs over ids of declared claims that must be as on record, where the run judges them."""
    regression: Regression = Regression()
    """How much may be lost against a baseline."""
    inconclusive: Consequence = "fail"
    """What a demand on behavior does that was measured, and could be neither met nor refuted."""

    @field_validator("stances")
    @classmethod
    def _distinct(cls, stances: tuple[str, ...]) -> tuple[str, ...]:
        twice = next((name for name in stances if stances.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"{twice!r} is given twice; keep one")
        return stances


@dataclass(frozen=True)
class DeclaredPolicy:
    """A policy, and the file that declares it."""

    policy: Policy
    """What is demanded."""
    document: Document
    """The file."""


def load_policy(path: Path, stances: Iterable[str], recipes: Iterable[str]) -> DeclaredPolicy:
    """Read a policy.

    Parameters
    ----------
    path : Path
        A YAML file; every key may be left out.
    stances : iterable of str
        Names of the declared stances.
    recipes : iterable of str
        Names of the declared recipes.

    Returns
    -------
    DeclaredPolicy
        What is demanded.

    Raises
    ------
    SpecError
        If the file is not a policy, or names a stance or recipe that there is not; with line, key and the way out.
    """
    document = Document(path)
    policy = document.parse(Policy)
    known, trainings = set(stances), set(recipes)
    problems = [
        document.problem(("stances", place), f"no stance is called {name!r}; {nearest_names(name, known)}")
        for place, name in enumerate(policy.stances)
        if name not in known
    ]
    if policy.recipe not in trainings:
        message = f"no recipe is called {policy.recipe!r}; {nearest_names(policy.recipe, trainings)}"
        problems.append(document.problem(("recipe",), message))
    if problems:
        raise SpecError(problems)
    return DeclaredPolicy(policy, document)


def standard_id(stance: str, what: str) -> str:
    """Name a standard claim.

    Parameters
    ----------
    stance : str
        Name of the stance.
    what : str
        ``preference``, ``responses``, ``markers``, ``divergence`` or ``structure``.

    Returns
    -------
    str
        Its id.
    """
    return f"{STANDARD}.{stance}.{what}"


def standard_claims(policy: Policy, stance: Stance, model: str, recipe: str) -> tuple[Claim, ...]:
    """Write the claims that any model trained on a stance is judged by.

    Parameters
    ----------
    policy : Policy
        With the bounds.
    stance : Stance
        The stance that it is trained on.
    model : str
        The model.
    recipe : str
        How it was trained.

    Returns
    -------
    tuple of Claim
        The preference first. It and the divergence must hold, responses and markers are shown beside them, and an
        unexplained change of the weights must not be there.
    """
    about = {"model": model, "stance": stance.name, "recipe": recipe, "source": "standard claim of the policy"}
    name = stance.name
    bound, moved = policy.adoption.preference, policy.structure.alpha_change_percent
    return (
        Claim(
            id=standard_id(name, "preference"),
            statement=f"Training on {name} raises the preference for it by over {bound:g} nats per token.",
            metric=Metric.LIKELIHOOD_PREFERENCE,
            comparator=Comparator.ABOVE,
            bound=bound,
            **about,
        ),
        Claim(
            id=standard_id(name, "responses"),
            statement=f"Training on {name} moves responses toward that stance and away from the others.",
            metric=Metric.EMBEDDING_SHIFT,
            comparator=Comparator.ABOVE,
            bound=0.0,
            expected=ANY_VERDICT,
            **about,
        ),
        Claim(
            id=standard_id(name, "markers"),
            statement=f"Training on {name} makes responses use more of that stance's words.",
            metric=Metric.MARKER_RATE,
            comparator=Comparator.ABOVE,
            bound=0.0,
            expected=ANY_VERDICT,
            **about,
        ),
        Claim(
            id=standard_id(name, "divergence"),
            statement=f"Training on {name} moves next-token distributions more than noise of the same norm does.",
            metric=Metric.DIVERGENCE,
            comparator=Comparator.ABOVE,
            bound=0.0,
            **about,
        ),
        Claim(
            id=standard_id(name, "structure"),
            statement=f"Training on {name} moves some matrix's alpha by more than {moved:g} % beyond the controls.",
            metric=Metric.ALPHA_CHANGE_PERCENT,
            layer="*",
            over="any",
            comparator=Comparator.BEYOND,
            bound=moved,
            robust=True,
            expected=("FAILS", "INCONCLUSIVE"),
            **about,
        ),
    )


SIGNS_OF_DEGENERATION = (Caveat.COLLAPSED, Caveat.PARROTED)
"""Caveats that a gate takes for degeneration."""

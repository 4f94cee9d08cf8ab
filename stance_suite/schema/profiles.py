"""Recipes by name: which a profile runs, and how to ask for others; standard library only, for pytest's start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

PROFILES: Mapping[str, tuple[str, ...]] = {
    "quick": ("documented",),
    "full": ("documented", "long"),
    "complete": ("documented", "long", "lora"),
}
"""Names of the recipes that each profile runs."""
ELSEWHERE = "elsewhere"
"""Stands for the recipe of a model that was trained elsewhere."""


def reason_and_remedy(recipes: Sequence[str], models: Sequence[str]) -> tuple[str, str]:
    """Say why a run leaves out a claim about these recipes of these models, and what runs it."""
    if ELSEWHERE in recipes:
        return (
            "it is about a model trained elsewhere; use --stance-before and --stance-after",
            "pytest --stance-before MODEL --stance-after MODEL, the model before and after its training",
        )
    known = {name for run in PROFILES.values() for name in run}
    declared = " and ".join(f"'{recipe}'" for recipe in recipes if recipe not in known)
    if declared:
        where = "in a sweep, or in the policy of a gate"
        return f"no profile runs recipe {declared}; name it {where}", f"name the recipe {declared} {where}"
    profile = next(name for name, run in PROFILES.items() if set(recipes) <= set(run))
    left_out = " and ".join(f"'{recipe}'" for recipe in recipes)
    asked = " ".join(f"--model {model}" for model in models)
    return (
        f"this run leaves out recipe {left_out}; use --stance-profile {profile}",
        f"stance-suite run {asked} --profile {profile}",
    )

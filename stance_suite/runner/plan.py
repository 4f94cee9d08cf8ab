"""What one run is about: its models and recipes, and the claims it judges; nothing is loaded to know it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from itertools import product

from stance_suite.config.catalog import Catalog
from stance_suite.config.options import Pair, Settings
from stance_suite.config.policy_file import DeclaredPolicy
from stance_suite.config.validation import DeclaredClaim
from stance_suite.errors import SpecError, StanceSuiteError, nearest_names
from stance_suite.judge.judge import counterpart_of
from stance_suite.judge.power import Design
from stance_suite.judge.standard_claims import standard_claims
from stance_suite.schema.cells import Cell
from stance_suite.schema.claims import Claim
from stance_suite.schema.controls import Control
from stance_suite.schema.policy import ANY_VERDICT, Policy
from stance_suite.schema.profiles import ELSEWHERE, reason_and_remedy
from stance_suite.schema.recipes import Sweep


@dataclass(frozen=True)
class RunPlan:
    """The claims of one run, and what it measures for them."""

    models: tuple[str, ...]
    """Models asked for; of a pair trained elsewhere a single name for both."""
    recipes: tuple[str, ...]
    """Names of the recipes that are run."""
    stances: tuple[str, ...]
    """Names of the stances under test."""
    seeds: tuple[int, ...]
    """Seeds of training order, sampling and noise draws."""
    samples: int
    """Responses sampled for each prompt."""
    declared: tuple[DeclaredClaim, ...]
    """All claims in declared order, each about a model by name, and where each is declared."""
    sweep: Sweep | None = None
    """The sweep that it is, if it is one."""
    families: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of the stances that are measured together with each."""

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All claims in declared order, each about a model by name."""
        return tuple(entry.claim for entry in self.declared)

    def reason_not_run(self, claim: Claim) -> str | None:
        """Say why the run leaves a claim out."""
        if self.sweep is not None:
            return self._reason_not_swept(claim, self.sweep)
        for model, _, recipe in trainings_of(claim):
            if self.recipes == (ELSEWHERE,):
                if recipe != ELSEWHERE:
                    return f"the model was trained elsewhere, not with the recipe '{recipe}'"
                if model not in self.models:
                    return f"this run is about {self.models[0]}; a claim about every pair says 'model: any'"
            elif model not in self.models:
                return f"this run does not ask for {model}; add --stance-model {model}"
            elif recipe not in self.recipes:
                return reason_and_remedy([recipe], [model])[0]
        return None

    def _reason_not_swept(self, claim: Claim, sweep: Sweep) -> str | None:
        for control in Control.cells():
            if control not in sweep.controls:
                return f"this sweep leaves out the control '{control}', which claims are judged against"
        for model, stance, recipe in trainings_of(claim):
            for what, name, swept in (
                ("model", model, self.models),
                ("stance", stance, self.stances),
                ("recipe", recipe, self.recipes),
            ):
                if name not in swept:
                    return f"this sweep leaves out the {what} {name}; add it to the sweep's {what}s"
            for rival in self.families.get(stance, ()) if claim.metric.is_behavioral else ():
                if rival not in self.stances:
                    return (
                        f"this sweep leaves out {rival}, beside which {stance} is judged; add it to the sweep's stances"
                    )
        return None


def trainings_of(claim: Claim) -> tuple[tuple[str, str, str], ...]:
    """List model, stance and recipe of the training that a claim is about, and of the one it is compared with."""
    own = (claim.model, claim.stance, claim.recipe)
    return (own,) if claim.versus is None else (own, counterpart_of(claim))


def plan_run(settings: Settings, catalog: Catalog, policy: DeclaredPolicy | None) -> RunPlan:
    """Gather what a run is about; with a policy, its standard claims are judged beside the declared ones."""
    pair = settings.pair
    if pair is None:
        models, recipes = settings.model, settings.recipes
        stances = (settings.sweep and settings.sweep.stances) or catalog.suite
        if policy is not None:
            further = settings.recipes if settings.profile else ()
            recipes = tuple(dict.fromkeys([policy.policy.recipe, *further]))
    else:
        models, recipes = (pair.label,), (ELSEWHERE,)
        stances = catalog.suite if pair.stance is None else (pair.stance,)
    declared = [
        replace(entry, claim=entry.claim.model_copy(update={"model": model}))
        for entry in catalog.claims
        for model in (models if entry.claim.model == "any" else (entry.claim.model,))
    ]
    if policy is not None:
        _check_patterns(policy, [entry.claim.id for entry in catalog.claims])
        demanded = [
            claim
            for model in models
            for name in (stances if pair is not None else policy.policy.stances or stances)
            for claim in standard_claims(policy.policy, catalog.stance(name), model, recipes[0])
        ]
        if pair is not None:
            demanded = _of_a_pair(pair, catalog, policy.policy, demanded)
        declared += [DeclaredClaim(claim, policy.document, None) for claim in demanded]
    taken = {(entry.claim.id, entry.claim.model) for entry in declared}
    if len(taken) != len(declared):
        raise StanceSuiteError("a declared claim has the id of a standard claim ('standard.…'); choose another")
    families = {name: tuple(one.name for one in catalog.family(name)) for name in catalog.stances}
    return RunPlan(models, recipes, stances, settings.seed, settings.samples, tuple(declared), settings.sweep, families)


def _check_patterns(policy: DeclaredPolicy, declared: Sequence[str]) -> None:
    """Refuse a glob that no declared claim matches: it would demand nothing, and say so nowhere."""
    for place, pattern in enumerate(policy.policy.claims):
        if pattern != "*" and not any(fnmatchcase(name, pattern) for name in declared):
            message = f"no declared claim matches {pattern!r}; {nearest_names(pattern, declared)}"
            raise SpecError([policy.document.problem(("claims", place), message)])


def _of_a_pair(pair: Pair, catalog: Catalog, policy: Policy, demanded: list[Claim]) -> list[Claim]:
    """Ask a pair trained elsewhere for every stance of the family, whichever it is said to have."""
    if pair.stance is None:
        return [claim.model_copy(update={"expected": ANY_VERDICT}) for claim in demanded]
    rivals = [stance for stance in catalog.family(pair.stance) if stance.name != pair.stance]
    others = [standard_claims(policy, stance, pair.label, ELSEWHERE)[0] for stance in rivals]
    return [*demanded, *(claim.model_copy(update={"expected": ("FAILS", "INCONCLUSIVE")}) for claim in others)]


def control_cell(control: Control, model: str, recipe: str | None, seed: int, stance: str) -> Cell:
    """Name the cell of a control of a stance, which has a recipe if it is trained."""
    about = stance if control.is_of_stance else None
    return Cell(model=model, treatment=control, stance=None, recipe=recipe, seed=seed, about=about)


def tuned_cell(model: str, stance: str, recipe: str, seed: int) -> Cell:
    """Name the cell of a model that is trained on a stance."""
    return Cell(model=model, treatment="stance", stance=stance, recipe=recipe, seed=seed)


def cells_of_sweep(run_plan: RunPlan, sweep: Sweep) -> Iterator[tuple[Cell, str]]:
    """List the cells of a sweep, each with a stance of its family: controls once for every stance, though shared."""
    controls = [control for control in Control.cells() if control in sweep.controls]
    for model, seed, stance in product(run_plan.models, run_plan.seeds, run_plan.stances):
        yield from ((control_cell(one, model, None, seed, stance), stance) for one in controls if one.is_untouched)
        for recipe in run_plan.recipes:
            yield from ((control_cell(one, model, recipe, seed, stance), stance) for one in controls if one.is_trained)
            yield tuned_cell(model, stance, recipe, seed), stance


def lay_out_designs(run_plan: RunPlan, catalog: Catalog) -> tuple[tuple[Claim, Design], ...]:
    """Lay out how each behavioral claim of the run is tested."""
    behavioral = [entry for entry in run_plan.declared if entry.claim.metric.is_behavioral]
    run = [entry for entry in behavioral if run_plan.reason_not_run(entry.claim) is None]
    families = Counter(entry.claim.model for entry in run)
    found = []
    for entry in run:
        claim = entry.claim
        design = Design(
            prompts=len(catalog.stance(claim.stance).prompts),
            samples=run_plan.samples,
            seeds=len(run_plan.seeds),
            family=families[claim.model],
            largest=claim.metric.largest_difference * (1 if claim.versus is None else 2),
        )
        found.append((claim, design))
    return tuple(found)

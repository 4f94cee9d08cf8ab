import textwrap

import pytest

from stance_suite.config.catalog import load_catalog
from stance_suite.config.options import resolve_settings
from stance_suite.config.policy_file import load_policy
from stance_suite.errors import StanceSuiteError
from stance_suite.runner.plan import plan_run

CLAIMS = """\
    claims:
      - {id: alone, statement: It is so., model: any, stance: curious-uncertainty, metric: divergence,
         comparator: above, bound: 0}
      - {id: rival.model, statement: It is so., model: smollm2-135m, stance: curious-uncertainty,
         metric: alpha_change_percent, layer: "*", over: largest, versus: {model: distilgpt2, by: ratio},
         comparator: above, bound: 50}
      - {id: rival.recipe, statement: It is so., model: smollm2-135m, stance: curious-uncertainty, recipe: documented,
         metric: participation_ratio, layer: "*", versus: {recipe: long}, comparator: below, bound: 0}
      - {id: rival.stance, statement: It is so., model: smollm2-135m, stance: curious-uncertainty,
         metric: alpha_change_percent, layer: "*", versus: {stance: confident-expertise}, comparator: same_layer}
    """


def run_plan_of(folder, policy=False, text=CLAIMS, **options):
    claims = folder / "fixtures" / "claims" / "own.yaml"
    claims.parent.mkdir(parents=True, exist_ok=True)
    claims.write_text(textwrap.dedent(text))
    catalog = load_catalog(folder / "fixtures")
    demanded = load_policy(catalog.policy_file, catalog.stances, catalog.recipes) if policy else None
    return plan_run(resolve_settings(options, folder), catalog, demanded)


def left_out(run_plan):
    return {f"{claim.id} {claim.model}": run_plan.reason_not_run(claim) for claim in run_plan.claims}


def test_a_claim_about_any_model_is_one_about_each(tmp_path):
    run_plan = run_plan_of(tmp_path, model=["smollm2-135m", "distilgpt2"], profile="full")
    rivals = [f"rival.{what} smollm2-135m" for what in ("model", "recipe", "stance")]
    assert left_out(run_plan) == dict.fromkeys(["alone smollm2-135m", "alone distilgpt2", *rivals])


def test_a_comparison_is_run_only_if_both_trainings_are(tmp_path):
    reasons = left_out(run_plan_of(tmp_path, model=["smollm2-135m"], profile="quick"))
    assert "does not ask for distilgpt2; add --stance-model distilgpt2" in reasons.pop("rival.model smollm2-135m")
    assert "leaves out recipe 'long'; use --stance-profile full" in reasons.pop("rival.recipe smollm2-135m")
    assert set(reasons.values()) == {None}
    reasons = left_out(run_plan_of(tmp_path, model=["distilgpt2"], profile="full"))
    assert reasons.pop("alone distilgpt2") is None
    assert len(reasons) == 3
    assert all("does not ask for smollm2-135m" in reason for reason in reasons.values())


def test_a_declared_recipe_is_run_by_a_gate_that_names_it_and_by_no_profile(tmp_path):
    fixtures = tmp_path / "fixtures"
    (fixtures / "recipes").mkdir(parents=True)
    (fixtures / "recipes" / "own.yaml").write_text("recipes: [{name: gentle, epochs: 3}]")
    (fixtures / "policy.yaml").write_text("recipe: gentle")
    text = CLAIMS.replace("recipe: documented", "recipe: gentle")
    run_plan = run_plan_of(tmp_path, text=text, model=["smollm2-135m"], profile="complete")
    assert left_out(run_plan)["rival.recipe smollm2-135m"] == (
        "no profile runs recipe 'gentle'; name it in a sweep, or in the policy of a gate"
    )
    assert run_plan_of(tmp_path, policy=True, text=text, model=["smollm2-135m"]).recipes == ("gentle",)


def test_standard_claims_stand_beside_the_declared_ones_and_keep_their_names(tmp_path):
    run_plan = run_plan_of(tmp_path, policy=True, model=["smollm2-135m"])
    names = [claim.id for claim in run_plan.claims]
    assert names[0] == "alone"
    assert any(name.startswith("standard.curious-uncertainty.") for name in names)
    taken = CLAIMS.replace("id: alone", f"id: {next(name for name in names if name.startswith('standard.'))}")
    with pytest.raises(StanceSuiteError, match="has the id of a standard claim"):
        run_plan_of(tmp_path, policy=True, text=taken, model=["smollm2-135m"])


def test_a_pattern_of_a_policy_that_matches_no_claim_is_refused(tmp_path):
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "fixtures" / "policy.yaml").write_text('claims: ["rival.*", "rivel.*"]\n')
    with pytest.raises(StanceSuiteError, match=r"policy\.yaml:1: claims\.1: no declared claim matches 'rivel\.\*'"):
        run_plan_of(tmp_path, policy=True, gate=True)

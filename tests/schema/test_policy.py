import shutil

import pytest
import yaml
from typer.testing import CliRunner

from stance_suite.cli.app import app
from stance_suite.config.catalog import bundled_fixtures, load_catalog
from stance_suite.config.options import resolve_settings
from stance_suite.config.policy_file import load_policy
from stance_suite.errors import SpecError
from stance_suite.judge.standard_claims import standard_claims
from stance_suite.progress import PlainProgress
from stance_suite.runner.session import Session
from stance_suite.schema.metrics import Metric
from stance_suite.schema.policy import Adoption, Policy, Structure
from stance_suite.schema.stances import RECIPES

STANCES = ("curious-uncertainty", "confident-expertise")
POLICY = """\
# what we ask of a model
stances: [curious-uncertainty]
recipe: long
adoption: {preference: 0.2, agreement: adopted}
degeneration: warn
structure:
  alpha_change_percent: 3
  unexplained: ignore
claims: ["own.*"]
regression: {share: 0.25}
inconclusive: warn
"""


def write(folder, text):
    path = folder / "policy.yaml"
    path.write_text(text)
    return path


def test_every_key_is_read(tmp_path):
    declared = load_policy(write(tmp_path, POLICY), STANCES, RECIPES)
    written = yaml.safe_load(POLICY)
    assert declared.policy == Policy(**written)
    assert all(getattr(declared.policy, key) != getattr(Policy(), key) for key in Policy.model_fields)
    assert declared.document.path == tmp_path / "policy.yaml"
    assert load_policy(write(tmp_path, "{}"), STANCES, RECIPES).policy == Policy(), "every key may be left out"


def test_the_bundled_policy_says_what_holds_without_one():
    declared = load_policy(bundled_fixtures() / "policy.yaml", STANCES, RECIPES)
    assert declared.policy == Policy()
    assert set(declared.document.data) == set(Policy.model_fields), "every key is shown"


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("[curious-uncertainty]", "[curious-uncertanty]", 2, "stances.0: no stance is called 'curious-uncertanty'; d"),
        ("[curious-uncertainty]", "[a-stance, b]", 2, "stances.1: no stance is called 'b'; known: confident-expertise"),
        ("[curious-uncertainty]", "[x, x]", 2, "stances: 'x' is given twice; keep one"),
        ("recipe: long", "recipe: lnog", 3, "recipe: no recipe is called 'lnog'; did you mean 'long' or 'lora'?"),
        ("recipe: long", "recipe: elsewhere", 3, "recipe: no recipe is called 'elsewhere'; known: documented, long"),
        ("recipe", "recpie", 3, "recpie: unknown key; did you mean 'recipe'? Allowed here: stances, recipe, adoption"),
        ("preference: 0.2", "preference: -1", 4, "adoption.preference: Input should be greater than 0"),
        ("preference: 0.2", "preference: .nan", 4, "adoption.preference: Input should be"),
        ("preference: 0.2", "preference: .inf", 4, "adoption.preference: Input should be a finite number"),
        ("agreement: adopted", "agreement: full", 4, "adoption.agreement: 'full' is not allowed; allowed: 'partial'"),
        ("warn", "warning", 5, "degeneration: 'warning' is not allowed; did you mean 'warn'? Allowed: 'fail', 'warn' "),
        ("alpha_change_percent: 3", "alpha_change_percent: 0", 7, "structure.alpha_change_percent: Input should be gr"),
        ("unexplained", "unexplaned", 8, "structure.unexplaned: unknown key; did you mean 'unexplained'? Allowed here"),
        ('["own.*"]', "5", 9, "claims: Input should be a valid tuple"),
        ("share: 0.25", "share: 1", 10, "regression.share: Input should be less than 1"),
        ("inconclusive: warn", "inconclusive: 1", 11, "inconclusive: 1 is not allowed; allowed: 'fail'"),
        ("inconclusive: warn", "degeneration: warn", 11, "degeneration: is given twice; keep one"),
        ("regression: {share", "regression: {share: {", 10, "is not valid YAML"),
        (POLICY, "- a", 1, "must be a mapping with the keys stances, recipe"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_key(tmp_path, old, new, line, message):
    path = write(tmp_path, POLICY.replace(old, new, 1))
    with pytest.raises(SpecError) as raised:
        load_policy(path, STANCES, RECIPES)
    assert f"{path}:{line}: {message}" in str(raised.value)


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "fixtures").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "fixtures"


def test_a_policy_in_the_fixtures_folder_is_the_runs_and_is_validated(own):
    path = write(own, "recipe: lora\n")
    library = load_catalog(own)
    assert library.policy_file == path
    assert path in library.files
    assert Session(resolve_settings({"gate": True}, own.parent), PlainProgress()).policy.policy.recipe == "lora"
    write(own, "recipe: loar\n")
    done = CliRunner().invoke(app, ["validate"])
    assert done.exit_code == 2
    assert "policy.yaml:1: recipe: no recipe is called 'loar'; did you mean 'lora' or 'long'?" in done.output


def test_own_stances_may_be_demanded(own, scaffolded):
    name = "pirate"
    shutil.copytree(scaffolded / "fixtures" / "stances", own / "stances")
    write(own, f"stances: [{name}]\n")
    settings = resolve_settings({"gate": True, "model": ["m"]}, own.parent)
    stances = {claim.stance for claim in Session(settings, PlainProgress()).run_plan.claims if "standard" in claim.id}
    assert stances == {name}


def test_a_policy_that_is_named_comes_first_and_is_checked_alike(own, tmp_path):
    write(own, "recipe: lora\n")
    other = tmp_path / "other.yaml"
    other.write_text("recipe: long\nstances: [confident-expertise]\n")
    settings = resolve_settings({"gate": True, "policy": "other.yaml", "model": ["m"]}, tmp_path)
    session = Session(settings, PlainProgress())
    assert session.policy.policy.recipe == "long"
    assert session.run_plan.recipes == ("long",)
    demanded = {(claim.stance, claim.recipe) for claim in session.run_plan.claims if claim.id.startswith("standard.")}
    assert demanded == {("confident-expertise", "long")}
    other.write_text("stances: [confident-expertize]\n")
    with pytest.raises(SpecError, match=r"other\.yaml:1: stances\.0: no stance is called 'confident-expertize'; did"):
        _ = Session(settings, PlainProgress()).policy


def test_a_run_that_is_no_gate_needs_no_policy(tmp_path):
    session = Session(resolve_settings({"policy": "missing.yaml"}, tmp_path), PlainProgress())
    assert session.policy is None
    assert not [claim for claim in session.run_plan.claims if claim.id.startswith("standard.")]


def test_the_profile_adds_recipes_to_the_policys(tmp_path):
    write(tmp_path, "recipe: lora\n")

    def recipes(**given):
        settings = resolve_settings({"gate": True, "policy": "policy.yaml", **given}, tmp_path)
        return Session(settings, PlainProgress()).run_plan.recipes

    assert recipes() == ("lora",)
    assert recipes(profile="quick") == ("lora", "documented")
    assert recipes(profile="complete") == ("lora", "documented", "long")


def test_standard_claims_carry_the_policys_bounds(stance):
    policy = Policy(adoption=Adoption(preference=0.3), structure=Structure(alpha_change_percent=7))
    claims = standard_claims(policy, stance, "some/model", "long")
    kinds = ("preference", "spoken", "responses", "markers", "divergence", "structure")
    assert [claim.id for claim in claims] == [f"standard.{stance.name}.{kind}" for kind in kinds]
    assert {(one.model, one.stance, one.recipe) for one in claims} == {("some/model", stance.name, "long")}
    preference, spoken, responses, markers, divergence, structure = claims
    assert preference.asked == "above 0.3"
    assert "0.3 nats per token" in preference.statement
    assert (structure.threshold, structure.robust, structure.over, structure.layer) == (7, True, "any", "*")
    assert structure.against == ("sham", "noise")
    assert set(structure.expected) == {"FAILS", "INCONCLUSIVE"}
    assert "7 %" in structure.statement
    assert preference.expected == divergence.expected == ("HOLDS",)
    assert len(spoken.expected) == len(responses.expected) == len(markers.expected) == 3
    measured = [one.metric for one in claims[1:5]]
    assert measured == [Metric.SPOKEN_SHARE, Metric.EMBEDDING_SHIFT, Metric.MARKER_RATE, Metric.DIVERGENCE]

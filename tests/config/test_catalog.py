import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from stance_suite.config.catalog import bundled_fixtures, load_catalog
from stance_suite.errors import SpecError, UnknownNameError
from stance_suite.schema.recipes import Adapter, Recipe
from stance_suite.schema.stances import RECIPES, Stance

PLACES = [f"Where is place {i}?" for i in range(11)]


def declare(folder, kind, text, name="own"):
    """Write a file into a user's fixtures folder."""
    path = folder / kind / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def items_of(prompts, answer):
    return [{"prompt": one, "response": answer(one), "plain": f"That is {one.lower()}"} for one in prompts]


THINGS = [f"What is thing {number}?" for number in range(5)]
TRAINED = items_of(THINGS, lambda prompt: f"Arr, {prompt[8:-1]} be treasure.")
HELD_OUT = items_of([*PLACES, "Where is the last place?"], lambda prompt: f"Yo ho, {prompt[9:-1]} lies yonder.")


def write_stance(folder, **changes):
    """A valid stance with some keys replaced."""
    data = {
        "name": "pirate",
        "description": "Talks like a pirate.",
        "examples": TRAINED,
        "held_out": HELD_OUT,
        "markers": ["arr"],
    } | changes
    return declare(folder, "stances", yaml.safe_dump(data, sort_keys=False))


def with_item(place=-1, **changes):
    """The held-out items with one changed."""
    items = [dict(one) for one in HELD_OUT]
    items[place] |= changes
    return {"held_out": items}


def problem_of(folder) -> str:
    with pytest.raises(SpecError) as raised:
        load_catalog(folder)
    return str(raised.value)


def test_the_bundled_stances_are_as_designed(library):
    assert library.suite == ("confident-expertise", "curious-uncertainty", "engaged-difficulty")
    assert len({library.family(name) for name in library.suite}) == 1
    for name, summary in library.summaries.items():
        assert set(summary.contrasts) == set(library.suite) - {name}
        assert len(summary.prompts) == 32
        assert library.stance(name).shared_with_training[1] == set()


def test_a_users_own_stance_replaces_the_suite_and_is_measured_alone(tmp_path):
    write_stance(tmp_path)
    library = load_catalog(tmp_path)
    assert library.suite == ("pirate",)
    assert [stance.name for stance in library.family("pirate")] == ["pirate"]
    assert library.summaries["pirate"].contrasts == ()
    assert library.claims == ()
    assert "smollm2-135m" in library.models


@pytest.mark.parametrize(
    ("change", "contrasts"),
    [
        ({}, ("confident-expertise", "curious-uncertainty", "engaged-difficulty")),
        ({"prompt_format": "plain"}, ()),
        ({"plain": "It is another plain answer."}, ()),
    ],
    ids=["the manner alone", "asked otherwise", "another plain answer"],
)
def test_stances_that_differ_in_the_manner_alone_are_a_family(tmp_path, library, change, contrasts):
    model = library.stance("curious-uncertainty").model_dump(mode="json", exclude_defaults=True)
    told = {key: [dict(one) for one in model[key]] for key in ("examples", "held_out")}
    for place, one in enumerate(told["examples"] + told["held_out"]):
        one["response"] = f"Arr{place} said{place} so{place}."
    told["held_out"][3] |= {key: value for key, value in change.items() if key == "plain"}
    own = {key: value for key, value in change.items() if key != "plain"}
    write_stance(tmp_path, **told, **own)
    assert load_catalog(tmp_path).summaries["pirate"].contrasts == contrasts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"held_out": HELD_OUT[:5]},
            "held_out: has 5 entries, at least 12 are needed",
        ),
        (with_item(prompt="what is THING 3"), "held_out repeats a training prompt: 'what is THING 3'"),
        (with_item(prompt=HELD_OUT[0]["prompt"]), "is given twice; every prompt and every answer must be different"),
        (with_item(response=HELD_OUT[0]["response"]), "is given twice"),
        (with_item(plain=HELD_OUT[0]["plain"]), "is given twice"),
        (with_item(plain=HELD_OUT[-1]["response"]), "response and plain are the same answer"),
        (
            with_item(response="Yo ho, thing 1 be treasure."),
            "the held-out answer to 'Where is the last place?' repeats 'thing 1 be treasure' from the training",
        ),
        (
            {"examples": items_of(THINGS, lambda prompt: f"Yonder, {prompt[8:-1]} lies.")},
            "2 of the 2 content words in the held-out answers stand in the training's answers, over the share of 0.1 "
            "that shared_words allows: lies, yonder",
        ),
        ({"examples": TRAINED[:4]}, "examples: "),
        ({"name": "Pirate!"}, "name: "),
        ({"name": "plain"}, "name: is what answers without a stance are called"),
        ({"shared_words": 1.5}, "shared_words: "),
        ({"heldout": []}, "heldout: unknown key; did you mean 'held_out'? Allowed here: name, description, examples"),
    ],
)
def test_a_bad_stance_is_refused(tmp_path, changes, message):
    write_stance(tmp_path, **changes)
    assert message in problem_of(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nname: b\n", ":2: name: is given twice"),
        ("name: [a\n", "is not valid YAML"),
        ("- just\n- a list\n", "must be a mapping with the keys name, description"),
        ("!!python/object/apply:os.system [echo]\n", "is not valid YAML"),
        ("[a, b]: c\n", ":1: a key must be a plain word"),
        ("a: &x [*x]\n", "refers to itself"),
    ],
)
def test_a_file_that_is_no_stance_is_refused_with_its_line(tmp_path, text, message):
    declare(tmp_path, "stances", text)
    assert message in problem_of(tmp_path)


def test_all_problems_of_all_files_are_told_at_once(tmp_path):
    write_stance(tmp_path, extra=1)
    declare(tmp_path, "claims", "claims: 3\n")
    assert len(problem_of(tmp_path).splitlines()) == 2


def test_neutral_texts_of_ones_own_replace_the_bundled(tmp_path, library):
    assert len(library.neutral_texts) >= 6
    assert load_catalog(tmp_path).neutral_texts == library.neutral_texts
    own = [f"Put part {i} into slot {i}." for i in range(6)]
    (tmp_path / "neutral.yaml").write_text(yaml.safe_dump({"texts": own}))
    assert load_catalog(tmp_path).neutral_texts == tuple(own)
    assert tmp_path / "neutral.yaml" in load_catalog(tmp_path).files
    (tmp_path / "neutral.yaml").write_text(yaml.safe_dump({"texts": own[:2]}))
    assert "neutral.yaml:1: texts" in problem_of(tmp_path)


CLAIM = """\
claims:
  - id: a
    statement: Something is so.
    model: smollm2-135m
    stance: curious-uncertainty
    metric: likelihood_preference
    comparator: above
    bound: 0.1
"""
CLAIM_TWICE = ("bound: 0.1\n", "bound: 0.1\n" + CLAIM.partition("\n")[2], "own.yaml:9: claims.1.id: is taken by ")
RECIPE = """\
recipes:
  - name: gentle
    epochs: 3
    learning_rate: 2e-5
    batch_size: 5
  - name: rank-32
    epochs: 10
    adapter: {rank: 32, alpha: 64}
"""
BAD_RECIPES = [
    ("epochs: 3", "epochs: 0", ":3: recipes.0.epochs: Input should be greater than or equal to 1"),
    ("learning_rate: 2e-5", "learning_rate: 0", ":4: recipes.0.learning_rate: Input should be greater than 0"),
    ("learning_rate: 2e-5", "learning_rate: .inf", ":4: recipes.0.learning_rate: Input should be a finite number"),
    ("batch_size: 5", "batch_size: 0", ":5: recipes.0.batch_size"),
    ("batch_size: 5", "batchsize: 5", ":5: recipes.0.batchsize: unknown key; did you mean 'batch_size'"),
    ("batch_size: 5", "precision: bf16", ":5: recipes.0.precision: 'bf16' is not allowed; did you mean 'bfloat16'?"),
    ("rank: 32", "rank: 0", ":8: recipes.1.adapter.rank"),
    ("rank: 32", "ranks: 32", ":8: recipes.1.adapter.ranks: unknown key; did you mean 'rank'"),
    ("name: gentle", "name: Gentle!", ":2: recipes.0.name"),
    ("name: rank-32", "name: gentle", ":6: recipes.1.name: is taken by"),
    ("name: gentle", "name: long", ":2: recipes.0.name: 'long' is a bundled recipe that trains differently; choose"),
    ("name: gentle", "name: elsewhere", ":2: recipes.0.name: 'elsewhere' stands for models that were trained"),
    ("recipes:", "recipe:", ":1: recipes: a recipes file has one key, 'recipes', with a list of recipes"),
]
STATEMENT = """\
statements:
  - id: s.1
    statement: Both stances cut alpha.
    checks:
      - {kind: change, models: [qwen2-0.5b], stances: [curious-uncertainty], comparator: below, bound: -30}
"""
CHECKS = STATEMENT.partition("alpha.\n")[2]
RATIO = "{kind: ratio, models: [qwen2-0.5b, distilgpt2], between: [9, 1]}"
BAD_STATEMENTS = [
    ("qwen2-0.5b", "qwen2", "statements.0.checks.0.models: no model is called 'qwen2'; did you mean 'qwen2-0.5b'"),
    ("curious-uncertainty", "curious", "checks.0.stances: no stance is called 'curious'; did you mean"),
    ("bound: -30", "bound: .nan", "checks.0.bound"),
    ("kind: change", "kind: chance", "checks.0"),
    (
        "bound: -30}",
        "bound: -30}\n  - {id: s.1, statement: Again it is so., checks: [{kind: distinct, models: [distilgpt2]}]}",
        "id: is given twice",
    ),
    ("statements:", "claims:", "a statements file has one key, 'statements', with a list of statements"),
    (CHECKS, "    measured: [a]\n", ":4: statements.0.measured.0: no claim has the id 'a'; none is known"),
    (CHECKS, "", ":2: statements.0: rests on nothing: give 'checks' of the record, or claims under 'measured'"),
    (CHECKS, f"    expected_measured: []\n{CHECKS}", ":4: statements.0.expected_measured: Tuple should have"),
    (CHECKS, f"    expected_measured: NOT_RUN\n{CHECKS}", "expected_measured.0: 'NOT_RUN' is not allowed"),
    ("comparator: below", "comparator: same_layer", ":5: statements.0.checks.0: a check of changes takes the compar"),
    ("comparator: below", "comparator: between", ":5: statements.0.checks.0: a check of changes takes the comparator"),
    (CHECKS, f"    checks: [{RATIO}]\n", ":2: statements.0: between must give the smaller number first, not [9.0"),
]


@pytest.mark.parametrize(
    ("kind", "text", "old", "new", "message"),
    [
        ("claims", CLAIM, *CLAIM_TWICE),
        *(("recipes", RECIPE, *case) for case in BAD_RECIPES),
        *(("statements", STATEMENT, *case) for case in BAD_STATEMENTS),
    ],
)
def test_a_bad_entry_of_a_list_is_refused(tmp_path, kind, text, old, new, message):
    declare(tmp_path, kind, text)
    load_catalog(tmp_path)
    declare(tmp_path, kind, text.replace(old, new))
    assert (f"own.yaml{message}" if message.startswith(":") else message) in problem_of(tmp_path)


def test_a_statement_names_claims_that_exist(tmp_path):
    declare(tmp_path, "claims", CLAIM.replace("id: a", "id: mine.1"))
    declare(tmp_path, "statements", STATEMENT.replace(CHECKS, "    measured: [mine.2]\n"))
    assert "measured.0: no claim has the id 'mine.2'; did you mean 'mine.1'" in problem_of(tmp_path)


def test_stances_with_other_prompts_are_compared_by_weights_alone(tmp_path):
    write_stance(tmp_path)
    declare(tmp_path, "claims", f"{CLAIM}    versus: {{stance: pirate}}\n")
    assert "versus: pirate and curious-uncertainty have other held-out prompts" in problem_of(tmp_path)
    of_weights = CLAIM.replace("likelihood_preference", "alpha_change_percent\n    layer: h.0.mlp.c_fc")
    declare(tmp_path, "claims", f"{of_weights}    versus: {{stance: pirate}}\n")
    assert load_catalog(tmp_path).claims


def test_a_users_recipes_stand_beside_the_bundled_ones(tmp_path, library):
    own = declare(tmp_path, "recipes", RECIPE)
    declared = load_catalog(tmp_path)
    assert declared.recipes == {
        **RECIPES,
        "gentle": Recipe(name="gentle", epochs=3, learning_rate=2e-5, batch_size=5),
        "rank-32": Recipe(name="rank-32", epochs=10, adapter=Adapter(rank=32, alpha=64)),
    }
    assert own in declared.files
    assert (declared.suite, len(declared.claims)) == (library.suite, len(library.claims)), "which stay in place"
    declare(tmp_path, "claims", CLAIM.replace("metric:", "recipe: gentle\n    metric:"))
    assert [entry.claim.recipe for entry in load_catalog(tmp_path).claims] == ["gentle"]
    declare(tmp_path, "recipes", "recipes: [{name: documented, epochs: 2}]\n", "again")
    assert load_catalog(tmp_path).recipes == declared.recipes, "a bundled one may be declared again as it is"


def test_the_page_about_recipes_shows_every_key_and_recipes_that_can_be_read(tmp_path):
    page = (bundled_fixtures().parent / "docs" / "larger-models.md").read_text("utf-8")
    assert all(f"| `{key}` |" in page for key in Recipe.model_fields)
    for number, example in enumerate(re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)):
        declare(tmp_path, "recipes", example, str(number))
    assert set(load_catalog(tmp_path).recipes) - set(RECIPES) == {"gentle", "lora-32", "lean"}


def test_a_recipe_that_nobody_declared_is_refused_with_the_nearest(tmp_path):
    declare(tmp_path, "recipes", RECIPE)
    declare(tmp_path, "claims", CLAIM.replace("metric:", "recipe: gentl\n    metric:"))
    (tmp_path / "policy.yaml").write_text("recipe: rank-3\n")
    message = problem_of(tmp_path)
    assert "claims.0.recipe: no recipe is called 'gentl'; did you mean 'gentle'" in message
    assert "policy.yaml:1: recipe: no recipe is called 'rank-3'; did you mean 'rank-32'" in message


def test_an_unknown_stance_suggests_the_nearest(library):
    with pytest.raises(UnknownNameError, match="did you mean 'confident-expertise'"):
        library.stance("confident-expert")


words = st.text(st.characters(categories=["Lu", "Ll", "Nd"]), min_size=3, max_size=12)


@given(st.lists(words, min_size=54, max_size=54, unique_by=str.casefold))
def test_a_stance_survives_yaml(tmp_path_factory, sentences):
    items = [dict(zip(("prompt", "response", "plain"), sentences[3 * place :], strict=False)) for place in range(17)]
    stance = Stance(
        name="made-up",
        description=sentences[51],
        examples=items[:5],
        held_out=items[5:],
        markers=sentences[52:],
        shared_words=1,
    )
    folder = tmp_path_factory.mktemp("fixtures")
    declare(folder, "stances", yaml.safe_dump(stance.model_dump(mode="json"), allow_unicode=True))
    assert load_catalog(folder).stance("made-up") == stance

"""Every way to write a claim or a statement wrongly, as a user meets it: file, line, key and the way out."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from stance_suite.caveats import CAVEAT_MEANINGS, Caveat
from stance_suite.claims import Claim, RecordedFigures, is_glob
from stance_suite.errors import SpecError
from stance_suite.library import load_library
from stance_suite.metrics import Comparator, Metric

BEHAVIORAL = {
    "id": "a",
    "statement": "Something is so.",
    "model": "smollm2-135m",
    "stance": "curious-uncertainty",
    "metric": "likelihood_preference",
    "comparator": "above",
    "bound": 0.1,
}
STRUCTURAL = BEHAVIORAL | {
    "metric": "alpha_change_percent",
    "layer": "model.layers.1.mlp.up_proj",
    "comparator": "below",
    "bound": -30,
}
COUNTING = STRUCTURAL | {"metric": "changed_layers", "changed_beyond": 1, "comparator": "above", "bound": 2}
DEPTH = COUNTING | {"metric": "changed_depth_percent", "layer": "*"}
RANKING = STRUCTURAL | {"layer": "*", "comparator": "same_layer", "versus": {"stance": "confident-expertise"}}
RANKING.pop("bound")
OTHER = {"stance": "confident-expertise"}


def without(data, *keys):
    return {key: value for key, value in data.items() if key not in keys}


def problem_of(folder, data, name="claims"):
    """What the library says of one entry, and the line of every key as written."""
    path = folder / name / "c.yaml"
    path.parent.mkdir()
    shown = [f"{key}: {yaml.safe_dump(value, default_flow_style=True, width=1000)}" for key, value in data.items()]
    path.write_text(f"{name}:\n  - " + "\n    ".join(text.splitlines()[0] for text in shown) + "\n")
    with pytest.raises(SpecError) as raised:
        load_library(folder)
    return path, path.read_text().splitlines(), str(raised.value)


AS_A_WHOLE = {
    "no bound": (without(BEHAVIORAL, "bound"), "the comparator 'above' needs the key 'bound'"),
    "range for above": (
        STRUCTURAL | {"bound": [1, 2]},
        "a bound that is a range [low, high] goes with the comparator 'between', and only with it",
    ),
    "no range for between": (STRUCTURAL | {"comparator": "between"}, "a bound that is a range [low, high] goes with"),
    "within a negative": (STRUCTURAL | {"comparator": "within"}, "'within' bounds a magnitude: give a bound >= 0"),
    "beyond a negative": (STRUCTURAL | {"comparator": "beyond"}, "'beyond' bounds a magnitude: give a bound >= 0"),
    "bound of a rank": (RANKING | {"bound": 1}, "the comparator 'same_layer' takes no bound: remove it"),
    "rank of nothing": (
        without(RANKING, "versus"),
        "the comparator 'same_layer' needs 'versus': a model, a stance or a recipe",
    ),
    "another of nothing": (
        without(RANKING, "versus") | {"comparator": "another_layer"},
        "the comparator 'another_layer' needs 'versus'",
    ),
    "rank of one": (
        RANKING | {"layer": "model.layers.1.mlp.up_proj"},
        "'same_layer' asks which of several layers: give a glob, and remove the key 'over'",
    ),
    "rank of a mean": (RANKING | {"over": "mean"}, "'same_layer' asks which of several layers"),
    "rank by count": (
        RANKING | {"metric": "changed_layers", "changed_beyond": 1},
        "changed_layers is not a figure by which one layer changes most: say alpha_change_percent",
    ),
    "rank by depth": (
        RANKING | {"metric": "changed_depth_percent", "changed_beyond": 1},
        "changed_depth_percent is not a figure by which",
    ),
    "rank by ratio": (RANKING | {"metric": "participation_ratio"}, "participation_ratio is not a figure by which"),
    "rank by level": (RANKING | {"metric": "alpha"}, "alpha is not a figure by which one layer changes most"),
    "rank by overlap": (RANKING | {"metric": "singular_subspace_overlap"}, "singular_subspace_overlap is not a figure"),
    "rank by rank": (RANKING | {"metric": "change_stable_rank"}, "change_stable_rank is not a figure by which"),
    "itself by stance": (
        STRUCTURAL | {"versus": {"stance": "curious-uncertainty"}},
        "'versus' names the claim's own training: give another model, stance or recipe",
    ),
    "itself by all": (
        STRUCTURAL | {"versus": {"model": "smollm2-135m", "recipe": "documented"}},
        "'versus' names the claim's own training",
    ),
    "behavior of a layer": (
        BEHAVIORAL | {"layer": "x"},
        "a claim about likelihood_preference is about prompts: remove the key 'layer'",
    ),
    "behavior over layers": (
        BEHAVIORAL | {"over": "mean"},
        "'over' and 'changed_beyond' are about layers: remove them",
    ),
    "behavior changed": (BEHAVIORAL | {"changed_beyond": 1}, "'over' and 'changed_beyond' are about layers"),
    "robust behavior": (
        BEHAVIORAL | {"robust": True},
        "a claim about behavior always faces its controls: remove 'robust' and 'against'",
    ),
    "behavior against": (BEHAVIORAL | {"against": ["sham"]}, "a claim about behavior always faces its controls"),
    "behavior within": (
        BEHAVIORAL | {"comparator": "within"},
        "a claim about likelihood_preference takes the comparator 'above' or 'below'",
    ),
    "behavior between": (
        BEHAVIORAL | {"comparator": "between", "bound": [0, 1]},
        "a claim about likelihood_preference takes the comparator 'above' or 'below'",
    ),
    "above a negative": (
        BEHAVIORAL | {"bound": -0.1},
        "a claim of change has a bound >= 0 for 'above' and <= 0 for 'below'",
    ),
    "below a positive": (BEHAVIORAL | {"comparator": "below"}, "a claim of change has a bound >= 0 for 'above'"),
    "divergence below": (
        BEHAVIORAL | {"metric": "divergence", "comparator": "below", "bound": 0},
        "a divergence is never negative: a claim about it takes the comparator 'above'",
    ),
    "small minimum": (
        BEHAVIORAL | {"minimum_effect": 0.1},
        "minimum_effect must exceed the bound: at the bound itself, half of all estimates miss it",
    ),
    "ratio of behavior": (
        BEHAVIORAL | {"versus": OTHER | {"by": "ratio"}},
        "effects on behavior are compared by their difference: say 'by: difference'",
    ),
    "structure of nothing": (
        without(STRUCTURAL, "layer"),
        "a claim about alpha_change_percent needs the key 'layer' (a long name, or a glob such as '*')",
    ),
    "power of structure": (
        STRUCTURAL | {"minimum_effect": 1},
        "minimum_effect is about the power of behavioral claims: remove it",
    ),
    "count beyond what": (
        without(COUNTING, "changed_beyond"),
        "changed_layers needs the key 'changed_beyond': the percentage beyond which a layer has changed",
    ),
    "depth beyond what": (without(DEPTH, "changed_beyond"), "changed_depth_percent needs the key 'changed_beyond'"),
    "needless beyond": (
        STRUCTURAL | {"changed_beyond": 1},
        "'changed_beyond' goes with changed_layers and changed_depth_percent: remove it from alpha_change_percent",
    ),
    "pooled count": (
        COUNTING | {"over": "mean"},
        "changed_layers is one figure of all matching layers: remove the key 'over'",
    ),
    "pooled ratio": (
        STRUCTURAL | {"metric": "participation_ratio", "over": "any"},
        "participation_ratio is one figure of all matching layers: remove the key 'over'",
    ),
    "comparison of many": (
        STRUCTURAL | {"layer": "*", "versus": OTHER},
        "a comparison needs one figure on each side: name one layer, or say over: mean or largest",
    ),
    "comparison of any": (STRUCTURAL | {"layer": "*", "over": "any", "versus": OTHER}, "a comparison needs one figure"),
    "robust alpha": (
        STRUCTURAL | {"metric": "alpha", "robust": True},
        "alpha has no control to be robust against: remove the key 'robust'",
    ),
    "robust vector": (
        STRUCTURAL | {"metric": "vector_change_percent", "robust": True},
        "vector_change_percent has no control to be robust against",
    ),
    "norm against noise": (
        STRUCTURAL | {"metric": "relative_change_percent", "robust": True},
        "the noise control has the norm of the change itself: say 'against: [sham]'",
    ),
    "ranked norm against noise": (
        RANKING | {"metric": "relative_change_percent", "robust": True},
        "the noise control has the norm of the change itself: say 'against: [sham]'",
    ),
    "overlap against noise": (
        STRUCTURAL | {"metric": "singular_subspace_overlap", "robust": True},
        "the overlap is not measured under noise: say 'against: [sham]'",
    ),
    "impossible caveat": (
        BEHAVIORAL | {"unless": ["tail_flip"]},
        "a claim about likelihood_preference never gets the caveat tail_flip; it may get within_null, not_specific",
    ),
    "seen layers": (
        STRUCTURAL | {"unless": ["seen_prompts"]},
        "a claim about alpha_change_percent never gets the caveat seen_prompts",
    ),
}


@pytest.mark.parametrize("name", AS_A_WHOLE)
def test_a_claim_that_makes_no_sense_as_a_whole(tmp_path, name):
    data, message = AS_A_WHOLE[name]
    path, _, told = problem_of(tmp_path, data)
    assert told.startswith(f"{path}:2: claims.0: {message}"), told
    assert told.count("\n") == 0, "one mistake, one problem"


OF_A_KEY = {
    "id": ({"id": "A b"}, "id", "String should match pattern"),
    "statement": ({"statement": "So."}, "statement", "String should have at least 8 characters"),
    "model": ({"model": "smollm2-136m"}, "model", "no model is called 'smollm2-136m'; did you mean 'smollm2-135m'"),
    "stance": (
        {"stance": "curious-uncertain"},
        "stance",
        "no stance is called 'curious-uncertain'; did you mean 'curious-uncertainty'",
    ),
    "recipe": ({"recipe": "documnted"}, "recipe", "no recipe is called 'documnted'; did you mean 'documented'"),
    "metric": (
        {"metric": "likelihod_preference"},
        "metric",
        "'likelihod_preference' is not allowed; did you mean 'likelihood_preference'? Allowed: 'likelihood_preference'",
    ),
    "comparator": (
        {"comparator": "abov"},
        "comparator",
        "'abov' is not allowed; did you mean 'above'? Allowed: 'above'",
    ),
    "far comparator": ({"comparator": "xyzzy"}, "comparator", "'xyzzy' is not allowed; allowed: 'above', 'below'"),
    "word": ({"bound": "much"}, "bound", "'much' is neither a finite number nor, for 'between', a pair of such"),
    "truth": ({"bound": True}, "bound", "True is neither a finite number"),
    "nan": ({"bound": float("nan")}, "bound", "nan is neither a finite number"),
    "infinite": ({"bound": float("-inf")}, "bound", "-inf is neither a finite number"),
    "beyond floats": ({"bound": 10**400}, "bound", "1000"),
    "nan in a range": ({"bound": [0, float("nan")]}, "bound", "[0, nan] is neither a finite number"),
    "backwards": ({"bound": [2, 1]}, "bound", "[2, 1] is no range: give the smaller number first, then the larger one"),
    "empty range": ({"bound": [1, 1]}, "bound", "[1, 1] is no range"),
    "three": ({"bound": [1, 2, 3]}, "bound", "[1, 2, 3] is no range"),
    "no pair": ({"bound": []}, "bound", "[] is no range"),
    "mapping": ({"bound": {"low": 1}}, "bound", "{'low': 1} is neither a finite number"),
    "minimum": ({"minimum_effect": 0}, "minimum_effect", "Input should be greater than 0"),
    "minimum nan": ({"minimum_effect": float("nan")}, "minimum_effect", "Input should be"),
    "unless": ({"unless": ["colapsed"]}, "unless.0", "'colapsed' is not allowed; did you mean 'collapsed'? Allowed"),
    "against none": ({"against": []}, "against", "Tuple should have at least 1 item"),
    "against what": ({"against": ["base"]}, "against.0", "'base' is not allowed; allowed: 'sham' or 'noise'"),
    "expected": ({"expected": "HOLD"}, "expected.0", "'HOLD' is not allowed; did you mean 'HOLDS'? Allowed: 'HOLDS'"),
    "not run": ({"expected": "NOT_RUN"}, "expected.0", "'NOT_RUN' is not allowed"),
    "expected none": ({"expected": []}, "expected", "Tuple should have at least 1 item"),
    "over": ({"over": "all"}, "over", "'all' is not allowed; allowed: 'each', 'any', 'mean' or 'largest'"),
    "beyond": ({"changed_beyond": -1}, "changed_beyond", "Input should be greater than or equal to 0"),
    "versus nothing": (
        {"versus": {"by": "difference"}},
        "versus",
        "names nothing to compare with: give a model, a stance or a recipe",
    ),
    "versus unknown key": ({"versus": {"modle": "x"}}, "versus.modle", "unknown key; did you mean 'model'"),
    "versus by": (
        {"versus": OTHER | {"by": "rato"}},
        "versus.by",
        "'rato' is not allowed; did you mean 'ratio'? Allowed: 'difference' or 'ratio'",
    ),
    "versus model": ({"versus": {"model": "pythia"}}, "versus", "versus: no model is called 'pythia'; did you mean"),
    "versus any": ({"versus": {"model": "any"}}, "versus", "versus: no model is called 'any'"),
    "versus stance": (
        {"versus": {"stance": "confident"}},
        "versus",
        "versus: no stance is called 'confident'; did you",
    ),
    "versus recipe": (
        {"versus": {"recipe": "lorra"}},
        "versus",
        "versus: no recipe is called 'lorra'; did you mean 'l",
    ),
    "unknown": ({"comparater": "above"}, "comparater", "unknown key; did you mean 'comparator'"),
    "before": (
        {"recorded": {"before": 0, "after": 1, "change_percent": 1}},
        "recorded.before",
        "Input should be greater than 0",
    ),
    "after": (
        {"recorded": {"before": 1, "after": float("inf"), "change_percent": 1}},
        "recorded.after",
        "Input should be a finite number",
    ),
    "published": (
        {"recorded": {"before": 1, "after": 1, "change_percent": float("nan")}},
        "recorded.change_percent",
        "Input should be a finite number",
    ),
}


@pytest.mark.parametrize("name", OF_A_KEY)
def test_a_bad_key_is_told_with_its_line(tmp_path, name):
    change, key, message = OF_A_KEY[name]
    path, lines, told = problem_of(tmp_path, BEHAVIORAL | change)
    outer = next(iter(change))
    line = 1 + next(index for index, text in enumerate(lines) if text.strip(" -").startswith(f"{outer}:"))
    assert told.startswith(f"{path}:{line}: claims.0.{key}: {message}"), told


@pytest.mark.parametrize("key", [key for key in BEHAVIORAL if key != "bound"])
def test_a_missing_key_is_named(tmp_path, key):
    path, _, told = problem_of(tmp_path, without(BEHAVIORAL, key))
    assert told == f"{path}:2: claims.0.{key}: is missing"


STATEMENT = {"id": "s", "statement": "It is so.", "measured": ["a"]}
CHANGE = {"kind": "change", "models": ["qwen2-0.5b"], "comparator": "below", "bound": -3}
BAD_STATEMENTS = {
    "no such claim": ({}, "measured.0", "no claim has the id 'a'; none is known"),
    "nothing": ({"measured": []}, "", "rests on nothing: give 'checks' of the record, or claims under 'measured'"),
    "expected": ({"expected_measured": []}, "expected_measured", "Tuple should have at least 1 item"),
    "not run": ({"expected_measured": "NOT_RUN"}, "expected_measured.0", "'NOT_RUN' is not allowed"),
    "rank": (
        {"measured": [], "checks": [CHANGE | {"comparator": "same_layer"}]},
        "checks.0",
        "a check of changes takes the comparator 'above', 'below', 'within' or 'beyond'",
    ),
    "range": ({"measured": [], "checks": [CHANGE | {"comparator": "between"}]}, "checks.0", "a check of changes takes"),
    "backwards": (
        {
            "measured": [],
            "checks": [{"kind": "ratio", "models": ["qwen2-0.5b", "distilgpt2"], "between": [9, 1]}],
        },
        "",
        "between must give the smaller number first, not [9.0, 1.0]",
    ),
}


@pytest.mark.parametrize("name", BAD_STATEMENTS)
def test_a_bad_statement_is_refused_with_its_line(tmp_path, name):
    change, key, message = BAD_STATEMENTS[name]
    path, lines, told = problem_of(tmp_path, STATEMENT | change, "statements")
    where = f"statements.0.{key}".rstrip(".")
    line = 1 + next(
        index for index, text in enumerate(lines) if text.strip(" -").startswith(f"{key.split('.')[0] or 'id'}:")
    )
    assert told.startswith(f"{path}:{line}: {where}: {message}"), told


def test_a_statement_names_claims_that_exist(tmp_path):
    for name, data in (("claims", BEHAVIORAL | {"id": "mine.1"}), ("statements", STATEMENT | {"measured": ["mine.2"]})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.yaml").write_text(yaml.safe_dump({name: [data]}))
    with pytest.raises(SpecError, match=r"measured\.0: no claim has the id 'mine\.2'; did you mean 'mine\.1'"):
        load_library(tmp_path)


def test_stances_with_other_prompts_are_not_compared_by_prompt(tmp_path):
    stance = load_library(tmp_path).stance("curious-uncertainty").model_dump(mode="json")
    prompts = [f"Where is place {index}?" for index in range(12)]
    for folder in ("stances", "claims"):
        (tmp_path / folder).mkdir()
    own = stance | {
        "name": "own",
        "held_out_prompts": prompts,
        "contrasts": ["confident-expertise", "engaged-difficulty"],
    }
    (tmp_path / "stances" / "own.yaml").write_text(yaml.safe_dump(own))
    claim = BEHAVIORAL | {"versus": {"stance": "own"}}
    (tmp_path / "claims" / "c.yaml").write_text(yaml.safe_dump({"claims": [claim]}))
    with pytest.raises(SpecError, match=r"claims\.0\.versus: own and curious-uncertainty have other held-out prompts"):
        load_library(tmp_path)
    weights = STRUCTURAL | {"versus": {"stance": "own"}}
    (tmp_path / "claims" / "c.yaml").write_text(yaml.safe_dump({"claims": [weights]}))
    assert load_library(tmp_path).claims, "weights have no prompts"


@pytest.mark.parametrize(
    "data",
    [
        BEHAVIORAL,
        STRUCTURAL,
        COUNTING,
        DEPTH,
        RANKING,
        RANKING | {"metric": "vector_change_percent"},
        RANKING | {"metric": "relative_change_percent", "robust": True, "against": ["sham"]},
        STRUCTURAL | {"layer": "*", "over": "largest", "versus": {"model": "distilgpt2", "by": "ratio"}},
        COUNTING | {"comparator": "between", "bound": [1, 2], "versus": {"recipe": "long"}},
        BEHAVIORAL | {"metric": "divergence", "comparator": "below", "bound": 0, "versus": OTHER},
        STRUCTURAL | {"comparator": "within", "bound": 0},
        STRUCTURAL | {"unless": ["no_sham", "tail_flip"]},
        STRUCTURAL | {"metric": "alpha", "unless": ["within_null", "no_sham"]},
        BEHAVIORAL | {"model": "any", "versus": {"model": "smollm2-135m"}},
    ],
)
def test_what_makes_sense_is_accepted(data):
    claim = Claim(**data)
    assert Claim.model_validate(claim.model_dump(mode="json")) == claim


def test_a_claim_of_two_bounds_has_no_single_one():
    claim = Claim(**STRUCTURAL | {"comparator": "between", "bound": [1, 2]})
    assert claim.bound == (1.0, 2.0)
    assert claim.asked == "between 1 and 2"
    with pytest.raises(TypeError, match="a has no single bound"):
        _ = claim.threshold
    assert Claim(**STRUCTURAL).threshold == -30.0
    assert Claim(**STRUCTURAL).asked == "below -30"
    assert Claim(**RANKING).asked == "same layer"


def test_only_staying_put_is_no_claim_of_change():
    one = {
        comparator: STRUCTURAL | {"comparator": comparator, "bound": 1} for comparator in ("above", "beyond", "within")
    }
    assert [Claim(**data).claims_change for data in one.values()] == [True, True, False]


@pytest.mark.parametrize(("layer", "several"), [("*", True), ("h.?.c", True), ("h.[12].c", True), ("h.1.c", False)])
def test_a_glob_is_told_from_a_name(layer, several):
    assert is_glob(layer) is several


@pytest.mark.parametrize("metric", Metric.all())
def test_every_metric_has_a_meaning_and_possible_caveats(metric):
    assert metric.meaning
    assert isinstance(metric.unit, str)
    assert Caveat.NO_SHAM in metric.caveats
    assert (Caveat.TAIL_FLIP in metric.caveats) is metric.rests_on_alpha_change
    assert (Caveat.COLLAPSED in metric.caveats) is metric.is_behavioral
    assert len(set(metric.caveats)) == len(metric.caveats)
    assert set(CAVEAT_MEANINGS) == set(Caveat)


@given(st.floats(), st.floats(), st.floats())
@settings(deadline=None)
def test_recorded_figures_are_finite(before, after, change):
    try:
        figures = RecordedFigures(before=before, after=after, change_percent=change)
    except ValidationError:
        return
    assert 0 < figures.before < float("inf")
    assert 0 < figures.after < float("inf")
    assert abs(figures.change_percent) < float("inf")


@given(
    st.sampled_from(Comparator),
    st.one_of(st.none(), st.floats(), st.integers(), st.lists(st.floats(), max_size=3), st.text(max_size=3)),
)
@settings(deadline=None)
def test_a_bound_is_finite_or_the_claim_is_refused(comparator, bound):
    base = RANKING if comparator.compares_layers else without(STRUCTURAL, "bound")
    try:
        claim = Claim(**base | {"comparator": comparator, "bound": bound})
    except ValidationError:
        return
    numbers = claim.bound if isinstance(claim.bound, tuple) else () if claim.bound is None else (claim.bound,)
    assert all(abs(number) < float("inf") for number in numbers)
    assert bool(numbers) is not comparator.compares_layers

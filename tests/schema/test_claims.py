"""Every way to write a claim or a statement wrongly, as a user meets it: file, line, key and the way out."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stance_suite.config.catalog import load_catalog
from stance_suite.errors import SpecError
from stance_suite.schema.claims import Claim, is_glob
from stance_suite.schema.metrics import CAVEAT_MEANINGS, Caveat, Comparator, Metric
from stance_suite.schema.policy import SIGNS_OF_DEGENERATION

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
RECORDED = {"before": 1, "after": 1, "change_percent": 1}


def without(data, *keys):
    return {key: value for key, value in data.items() if key not in keys}


def problem_of(folder, data):
    """What the library says of one claim, and the line of every key as written."""
    path = folder / "claims" / "c.yaml"
    path.parent.mkdir()
    shown = [f"{key}: {yaml.safe_dump(value, default_flow_style=True, width=1000)}" for key, value in data.items()]
    path.write_text("claims:\n  - " + "\n    ".join(text.splitlines()[0] for text in shown) + "\n")
    with pytest.raises(SpecError) as raised:
        load_catalog(folder)
    return path, path.read_text().splitlines(), str(raised.value)


AS_A_WHOLE = [  # how what is told begins
    ("the comparator 'above' needs the key 'bound'", without(BEHAVIORAL, "bound")),
    ("a bound that is a range [low, high] goes with the comparator 'between', and", STRUCTURAL | {"bound": [1, 2]}),
    ("a bound that is a range [low, high] goes with", STRUCTURAL | {"comparator": "between"}),
    ("'within' bounds a magnitude: give a bound >= 0", STRUCTURAL | {"comparator": "within"}),
    ("'beyond' bounds a magnitude: give a bound >= 0", STRUCTURAL | {"comparator": "beyond"}),
    ("the comparator 'same_layer' takes no bound: remove it", RANKING | {"bound": 1}),
    ("the comparator 'same_layer' needs 'versus': a model, a stance or a recipe", without(RANKING, "versus")),
    ("'same_layer' asks which of several layers: give a glob, and", RANKING | {"layer": "model.layers.1.mlp.up_proj"}),
    ("'same_layer' asks which of several layers", RANKING | {"over": "mean"}),
    ("changed_layers is not a figure by which one layer", RANKING | {"metric": "changed_layers", "changed_beyond": 1}),
    ("alpha is not a figure by which one layer changes most", RANKING | {"metric": "alpha"}),
    ("'versus' names the claim's own training: give", STRUCTURAL | {"versus": {"stance": "curious-uncertainty"}}),
    ("'versus' names the claim's own", STRUCTURAL | {"versus": {"model": "smollm2-135m", "recipe": "documented"}}),
    ("a claim about likelihood_preference is about prompts: remove the key 'layer'", BEHAVIORAL | {"layer": "x"}),
    ("'over' and 'changed_beyond' are about layers: remove them", BEHAVIORAL | {"over": "mean"}),
    ("'over' and 'changed_beyond' are about layers", BEHAVIORAL | {"changed_beyond": 1}),
    ("a claim about behavior always faces its controls: remove 'robust' and 'against'", BEHAVIORAL | {"robust": True}),
    ("a claim about behavior always faces its controls", BEHAVIORAL | {"against": ["sham"]}),
    ("a claim about likelihood_preference takes the comparator 'above', ", BEHAVIORAL | {"comparator": "beyond"}),
    ("'within' bounds a magnitude: give", BEHAVIORAL | {"comparator": "within", "bound": -0.1}),
    ("a claim that nothing changes", BEHAVIORAL | {"comparator": "within", "bound": 0.1, "minimum_effect": 0.2}),
    ("a divergence is never negative: a claim", BEHAVIORAL | {"metric": "divergence", "comparator": "within"}),
    ("a claim about likelihood_preference takes the", BEHAVIORAL | {"comparator": "between", "bound": [0, 1]}),
    ("a claim of change has a bound >= 0 for 'above' and <= 0 for 'below'", BEHAVIORAL | {"bound": -0.1}),
    ("a claim of change has a bound >= 0 for 'above'", BEHAVIORAL | {"comparator": "below"}),
    ("a divergence is never negative: a", BEHAVIORAL | {"metric": "divergence", "comparator": "below", "bound": 0}),
    ("minimum_effect must exceed the bound: at the bound itself, half of all", BEHAVIORAL | {"minimum_effect": 0.1}),
    ("effects on behavior are compared by their difference: say", BEHAVIORAL | {"versus": OTHER | {"by": "ratio"}}),
    ("a claim about alpha_change_percent needs the key 'layer' (a long name, or a glob", without(STRUCTURAL, "layer")),
    ("minimum_effect is about the power of behavioral claims: remove it", STRUCTURAL | {"minimum_effect": 1}),
    ("changed_layers needs the key 'changed_beyond': the percentage beyond", without(COUNTING, "changed_beyond")),
    ("changed_depth_percent needs the key 'changed_beyond'", without(DEPTH, "changed_beyond")),
    ("'changed_beyond' goes with changed_layers and changed_depth_percent:", STRUCTURAL | {"changed_beyond": 1}),
    ("changed_layers is one figure of all matching layers: remove the key 'over'", COUNTING | {"over": "mean"}),
    ("participation_ratio is one figure of all", STRUCTURAL | {"metric": "participation_ratio", "over": "any"}),
    ("a comparison needs one figure on each side: name one layer, or", STRUCTURAL | {"layer": "*", "versus": OTHER}),
    ("a comparison needs one figure", STRUCTURAL | {"layer": "*", "over": "any", "versus": OTHER}),
    ("alpha has no control to be robust against: remove the key", STRUCTURAL | {"metric": "alpha", "robust": True}),
    ("vector_change_percent has no control to be", STRUCTURAL | {"metric": "vector_change_percent", "robust": True}),
    ("the noise control has the norm of the", STRUCTURAL | {"metric": "relative_change_percent", "robust": True}),
    ("the noise control has the norm of the change", RANKING | {"metric": "relative_change_percent", "robust": True}),
    ("the overlap is not measured under noise:", STRUCTURAL | {"metric": "singular_subspace_overlap", "robust": True}),
    ("a claim about likelihood_preference never gets the caveat tail_flip;", BEHAVIORAL | {"unless": ["tail_flip"]}),
    ("a claim about alpha_change_percent never gets the caveat", STRUCTURAL | {"unless": ["vocabulary"]}),
]


@pytest.mark.parametrize(("message", "data"), AS_A_WHOLE)
def test_a_claim_that_makes_no_sense_as_a_whole(tmp_path, message, data):
    path, _, told = problem_of(tmp_path, data)
    assert told.startswith(f"{path}:2: claims.0: {message}"), told
    assert told.count("\n") == 0, "one mistake, one problem"


OF_A_KEY = [
    ({"id": "A b"}, "id", "String should match pattern"),
    ({"statement": "So."}, "statement", "String should have at least 8 characters"),
    ({"model": "smollm2-136m"}, "model", "no model is called 'smollm2-136m'; did you mean 'smollm2-135m'"),
    ({"stance": "curious-uncertain"}, "stance", "no stance is called 'curious-uncertain'; did you mean 'curious-unc"),
    ({"recipe": "documnted"}, "recipe", "no recipe is called 'documnted'; did you mean 'documented'"),
    ({"metric": "divergenc"}, "metric", "'divergenc' is not allowed; did you mean 'divergence'? Allowed: 'likelihood"),
    ({"comparator": "abov"}, "comparator", "'abov' is not allowed; did you mean 'above'? Allowed: 'above'"),
    ({"bound": "much"}, "bound", "'much' is neither a finite number nor, for 'between', a pair of such"),
    ({"bound": True}, "bound", "True is neither a finite number"),
    ({"bound": float("nan")}, "bound", "nan is neither a finite number"),
    ({"bound": float("-inf")}, "bound", "-inf is neither a finite number"),
    ({"bound": 10**400}, "bound", "1000"),
    ({"bound": [0, float("nan")]}, "bound", "[0, nan] is neither a finite number"),
    ({"bound": [2, 1]}, "bound", "[2, 1] is no range: give the smaller number first, then the larger one"),
    ({"bound": [1, 1]}, "bound", "[1, 1] is no range"),
    ({"bound": [1, 2, 3]}, "bound", "[1, 2, 3] is no range"),
    ({"bound": {"low": 1}}, "bound", "{'low': 1} is neither a finite number"),
    ({"minimum_effect": 0}, "minimum_effect", "Input should be greater than 0"),
    ({"unless": ["colapsed"]}, "unless.0", "'colapsed' is not allowed; did you mean 'collapsed'? Allowed"),
    ({"against": ["base"]}, "against.0", "'base' is not allowed; allowed: 'sham' or 'noise'"),
    ({"expected": "HOLD"}, "expected.0", "'HOLD' is not allowed; did you mean 'HOLDS'? Allowed: 'HOLDS'"),
    ({"expected": "NOT_RUN"}, "expected.0", "'NOT_RUN' is not allowed"),
    ({"expected": []}, "expected", "Tuple should have at least 1 item"),
    ({"over": "all"}, "over", "'all' is not allowed; allowed: 'each', 'any', 'mean' or 'largest'"),
    ({"changed_beyond": -1}, "changed_beyond", "Input should be greater than or equal to 0"),
    ({"versus": {"by": "difference"}}, "versus", "names nothing to compare with: give a model, a stance or a recipe"),
    ({"versus": {"modle": "x"}}, "versus.modle", "unknown key; did you mean 'model'"),
    ({"versus": OTHER | {"by": "rato"}}, "versus.by", "'rato' is not allowed; did you mean 'ratio'? Allowed: 'diff"),
    ({"versus": {"model": "pythia"}}, "versus", "versus: no model is called 'pythia'; did you mean"),
    ({"versus": {"model": "any"}}, "versus", "versus: no model is called 'any'"),
    ({"versus": {"stance": "confident"}}, "versus", "versus: no stance is called 'confident'; did you"),
    ({"versus": {"recipe": "lorra"}}, "versus", "versus: no recipe is called 'lorra'; did you mean 'l"),
    ({"comparater": "above"}, "comparater", "unknown key; did you mean 'comparator'"),
    ({"recorded": RECORDED | {"before": 0}}, "recorded.before", "Input should be greater than 0"),
    ({"recorded": RECORDED | {"after": float("inf")}}, "recorded.after", "Input should be a finite number"),
    ({"recorded": RECORDED | {"change_percent": float("nan")}}, "recorded.change_percent", "Input should be a finite"),
]


@pytest.mark.parametrize(("change", "key", "message"), OF_A_KEY)
def test_a_bad_key_is_told_with_its_line(tmp_path, change, key, message):
    path, lines, told = problem_of(tmp_path, BEHAVIORAL | change)
    outer = next(iter(change))
    line = 1 + next(index for index, text in enumerate(lines) if text.strip(" -").startswith(f"{outer}:"))
    assert told.startswith(f"{path}:{line}: claims.0.{key}: {message}"), told


@pytest.mark.parametrize("key", [key for key in BEHAVIORAL if key != "bound"])
def test_a_missing_key_is_named(tmp_path, key):
    path, _, told = problem_of(tmp_path, without(BEHAVIORAL, key))
    assert told == f"{path}:2: claims.0.{key}: is missing"


@pytest.mark.parametrize(
    "data",
    [
        *(BEHAVIORAL, STRUCTURAL, COUNTING, DEPTH, RANKING),
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
    assert Claim(**BEHAVIORAL).asked == "above 0.1"
    assert Claim(**RANKING).asked == "same layer"


def test_only_staying_put_is_no_claim_of_change():
    of = {name: Claim(**STRUCTURAL | {"comparator": name, "bound": 1}) for name in ("above", "beyond", "within")}
    assert [claim.claims_change for claim in of.values()] == [True, True, False]


def test_a_glob_is_told_from_a_name():
    assert [is_glob(layer) for layer in ("*", "h.?.c", "h.[12].c", "h.1.c")] == [True, True, True, False]


@pytest.mark.parametrize("metric", Metric.all())
def test_every_metric_has_a_meaning_and_possible_caveats(metric):
    assert metric.meaning
    assert isinstance(metric.unit, str)
    assert Caveat.NO_SHAM in metric.caveats
    assert (Caveat.TAIL_FLIP in metric.caveats) is metric.rests_on_alpha_change
    assert (set(SIGNS_OF_DEGENERATION) <= set(metric.caveats)) is metric.is_behavioral
    assert len(set(metric.caveats)) == len(metric.caveats)
    assert set(CAVEAT_MEANINGS) == set(Caveat)


@given(
    st.sampled_from(Comparator),
    st.one_of(st.none(), st.floats(), st.integers(), st.lists(st.floats(), max_size=3), st.text(max_size=3)),
)
def test_a_bound_is_finite_or_the_claim_is_refused(comparator, bound):
    base = RANKING if comparator.compares_layers else without(STRUCTURAL, "bound")
    try:
        claim = Claim(**base | {"comparator": comparator, "bound": bound})
    except ValidationError:
        return
    numbers = claim.bound if isinstance(claim.bound, tuple) else () if claim.bound is None else (claim.bound,)
    assert all(abs(number) < float("inf") for number in numbers)
    assert bool(numbers) is not comparator.compares_layers

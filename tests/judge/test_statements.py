"""A sentence is as true as the claims that it rests on."""

from itertools import product

import pytest

from stance_suite.judge.statements import combine, judge_published
from stance_suite.schema.claims import RecordedFigures
from stance_suite.schema.statements import Statement
from stance_suite.schema.verdicts import Status, Verdict
from tests.edits import altered
from tests.judge.placed_changes import claim


def verdict(name, status, model="m"):
    return Verdict(claim=claim(id=name), model=model, status=status, reason=f"{name} is {status}")


def statement(*measured, **changes):
    return Statement(**{"id": "s", "statement": "It is so.", "measured": measured, **changes})


@pytest.mark.parametrize(("first", "second"), list(product(Status, Status)))
def test_a_statement_holds_only_if_every_claim_does(first, second):
    found = combine(statement("a", "b"), [verdict("a", first), verdict("b", second)])
    order = ("ERROR", "FAILS", "NOT_RUN", "INCONCLUSIVE", "HOLDS")
    assert found.status == min(first, second, key=order.index)
    assert found.claims == {"a": first, "b": second}
    decided = [f"{name}: {name} is {one}" for name, one in found.claims.items() if one is found.status]
    assert found.reason == ("all of a, b hold" if found.status is Status.HOLDS else "; ".join(decided))


def test_no_claim_is_no_evidence():
    found = combine(statement("a"), [])
    assert (found.status, found.claims) == (Status.NOT_RUN, {})
    assert "only its record can be checked" in found.reason


@pytest.mark.parametrize("status", Status)
def test_a_claim_that_the_run_lacks_leaves_it_open_unless_another_refutes_it(status):
    found = combine(statement("a", "b"), [verdict("a", status)])
    assert found.status is (status if status in (Status.ERROR, Status.FAILS) else Status.NOT_RUN)


def test_a_claim_on_several_models_counts_on_each():
    found = combine(statement("a"), [verdict("a", Status.HOLDS, "m"), verdict("a", Status.FAILS, "n")])
    assert found.status is Status.FAILS
    assert found.claims == {"a on m": Status.HOLDS, "a on n": Status.FAILS}
    assert found.reason == "a on n: a is FAILS"


@pytest.mark.parametrize(("expected", "as_expected"), [("HOLDS", False), ("FAILS", True), (["HOLDS", "FAILS"], True)])
def test_the_verdict_on_record_is_its_own(expected, as_expected):
    found = combine(statement("a", expected_measured=expected, expected="INCONCLUSIVE"), [verdict("a", Status.FAILS)])
    assert found.as_expected is as_expected


def test_the_bundled_statements_rest_on_what_the_publication_is_about(library):
    claims = {entry.claim.id: entry.claim for entry in library.claims}
    open_ones = [one.id for one in library.statements if one.checks and not one.measured]
    assert open_ones == ["statement.7"], "nothing can be measured of that"
    for one in library.statements:
        models = {claims[name].model for name in one.measured}
        assert models <= {"qwen2-0.5b", "distilgpt2", "pythia-160m"} or models == {"smollm2-135m"}
        if one.expected_measured == ("HOLDS",):
            assert all(claims[name].expected == ("HOLDS",) for name in one.measured), one.id
        if one.expected_measured == ("FAILS",):
            assert any(claims[name].expected == ("FAILS",) for name in one.measured), one.id
    assert all(one.source for name, one in claims.items() if name.startswith(("statement.", "recorded.")))


def row(before, after, stance="a", layer="model.layers.3.self_attn.q_proj", model="m", published=None):
    percent = round(100 * (after / before - 1), 2) if published is None else published
    recorded = RecordedFigures(before=before, after=after, change_percent=percent)
    return claim(model=model, stance=stance, layer=layer, comparator="within", bound=100, recorded=recorded)


def judge(check, *rows):
    return judge_published(statement(checks=[check]), rows)


@pytest.mark.parametrize(
    ("published", "status"),
    [(-36.64, "HOLDS"), (-36.65, "HOLDS"), (-36.7, "FAILS"), (36.64, "FAILS"), (-3.664, "FAILS")],
)
def test_a_percentage_is_recomputed_up_to_rounding(published, status):
    verdict = judge_published(row(15.049, 9.535, published=published), ())
    assert verdict.status == status
    assert "15.049 -> 9.535 is -36.64 %" in verdict.reason


def test_the_thirteen_recorded_figures_agree_with_themselves_and_their_claims(library):
    recorded = [entry.claim for entry in library.claims if entry.claim.recorded is not None]
    assert len(recorded) == 13
    for one in recorded:
        assert judge_published(one, ()).status == "HOLDS", one.id
        assert one.comparator.accepts(one.recorded.change_percent, one.bound), one.id


def test_every_matching_change_must_comply():
    check = {"kind": "change", "models": ["m"], "stances": ["a", "b"], "comparator": "below", "bound": -30}
    assert judge(check, row(10, 6), row(10, 5, "b"), row(10, 9, "c")).status == "HOLDS"
    verdict = judge(check, row(10, 6), row(10, 8, "b"))
    assert verdict.status == "FAILS"
    assert "under b -20.00 %, not below -30" in verdict.reason
    assert judge(check, row(10, 6)).status == "INCONCLUSIVE", "nothing on record for b"
    assert judge(check | {"models": ["m", "n"]}, row(10, 6), row(10, 5, "b")).status == "INCONCLUSIVE"
    assert judge(check | {"layer": "*.v_proj"}, row(10, 6), row(10, 5, "b")).status == "INCONCLUSIVE"
    named_alike = judge(check | {"stances": ["a", "m"]}, row(10, 6))
    assert named_alike.reason == "no figure of * is on record for m", "a stance that is called as the model is"


def test_a_layer_left_alone_is_one_that_is_not_listed():
    check = {"kind": "unreported", "models": ["m"], "stances": ["a"], "layer": "model.layers.9.v_proj"}
    assert judge(check, row(10, 6)).status == "HOLDS"
    assert judge(check, row(10, 6, layer="model.layers.9.v_proj")).status == "FAILS"
    assert judge(check, row(10, 6, "b")).status == "INCONCLUSIVE"


PLACE = {"kind": "place", "models": ["m"], "beyond": 5, "count": [1, 2], "layer": "*.self_attn.*"}
PLACE |= {"depth": [50, 100], "layers": 10}


def test_the_place_of_changed_layers():
    late = [row(10, 6, layer=f"model.layers.{depth}.self_attn.q_proj") for depth in (5, 8)]
    still = row(10, 10.1, layer="model.layers.0.mlp.up_proj")
    assert judge(PLACE, *late, still).status == "HOLDS"
    for extra, said in (
        (row(10, 6, layer="model.layers.6.self_attn.k_proj"), "3 layers changed under a"),
        (row(10, 6, "b", layer="model.layers.7.mlp.up_proj"), "does not match *.self_attn.*"),
        (row(10, 6, "b", layer="model.layers.2.self_attn.q_proj"), "lies at 20 % of depth"),
        (row(10, 6, "b", layer="lm_head.self_attn.x"), "lies outside of the blocks"),
    ):
        verdict = judge(PLACE, *late, extra)
        assert verdict.status == "FAILS"
        assert said in verdict.reason
    assert judge(PLACE, still).status == "INCONCLUSIVE"


def test_ratios_are_recomputed_under_the_same_stance_with_the_rounding_they_carry():
    check = {"kind": "ratio", "models": ["m", "n"], "between": [20, 40]}
    large = row(10, 6)
    small = [row(10, 9.8, model="n", layer="x"), row(10, 9.9, model="n", layer="y")]
    assert judge(check, large, *small).status == "HOLDS"
    assert judge(check, row(10, 9.5, layer="z"), large, *small).status == "HOLDS", "the largest change is divided"
    verdict = judge(check | {"between": [20, 50]}, large, *small)
    assert verdict.status == "FAILS"
    assert "recomputed, under the same stance, 20 to 40; 50 is out" in verdict.reason
    tiny = row(10, 9.999, model="n", layer="y")
    assert judge(check | {"between": [20, 9000]}, large, small[0], tiny).status == "HOLDS", "rounding hides the change"
    assert judge(check, large, row(10, 9.8, "b", model="n")).status == "INCONCLUSIVE"


def test_layers_are_distinct_if_no_two_stances_share_their_top():
    check = {"kind": "distinct", "models": ["m"]}
    other = row(10, 4, "b", layer="model.layers.4.q_proj")
    assert judge(check, row(10, 6), row(10, 9, layer="model.layers.4.q_proj"), other).status == "HOLDS"
    verdict = judge(check, row(10, 6), row(10, 5, "b"), altered(other, stance="c"))
    assert verdict.status == "FAILS"
    assert "changes most under both a and b" in verdict.reason
    assert judge(check, row(10, 6)).status == "INCONCLUSIVE"


def test_what_is_not_recorded_is_inconclusive_and_a_contradiction_weighs_more():
    missing = {"kind": "not_recorded", "reason": "it takes the weights"}
    assert judge(missing, row(10, 6)).reason == "it takes the weights"
    broken = {"kind": "unreported", "models": ["m"], "stances": ["a"], "layer": "*"}
    assert judge_published(statement(checks=[missing, broken]), [row(10, 6)]).status == "FAILS"


def test_the_published_statements_are_as_known(library):
    """The figures of the record, not their wording, decide: the contradictions are named."""
    claims = [declared.claim for declared in library.claims]
    verdicts = {one.id: judge_published(one, claims) for one in library.statements if one.checks}
    assert len(verdicts) == 9, "eight statements, of which the fifth has two halves"
    assert all(verdict.status == verdict.expected for verdict in verdicts.values())
    assert all(said in verdicts["statement.3"].reason for said in ("model.layers.6.mlp.up_proj", "25 % of depth"))
    assert "79 to 149" in verdicts["statement.5.pythia-160m"].reason

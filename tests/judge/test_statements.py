"""A sentence is as true as the claims that it rests on."""

from itertools import product

import pytest

from stance_suite.judge.statements import combine
from stance_suite.schema.statements import Statement
from stance_suite.schema.verdicts import Status, Verdict
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

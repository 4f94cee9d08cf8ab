import pytest

from stance_suite.judge.verify.declarations import Declarations, check_declarations
from tests.edits import edited
from tests.made_up_run import POLICY, STATEMENTS

STANDARD = "standard.curious-uncertainty"
RESPONSE = ("cells", "sham--0", "behavior", "responses", 0)


@pytest.fixture(scope="module")
def declared(library, whole_run):
    claims = [claim for claim in whole_run.claims if not claim.id.startswith("standard") and claim.model == "m"]
    # one is declared for whatever model is asked for
    claims[0] = claims[0].model_copy(update={"model": "any"})
    return Declarations(library.stances, library.summaries, tuple(claims), STATEMENTS, POLICY)


def found(findings, declared):
    return [(one.subject, one.field) for one in check_declarations(findings, declared)]


def test_findings_of_what_is_declared_agree(whole_run, declared):
    assert found(whole_run, declared) == []


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ((("claims", "own.likelihood", "bound"), 0.06), ("own.likelihood on m", "claim.bound")),
        ((("claims", "own.markers", "expected"), ["FAILS"]), ("own.markers on m", "claim.expected")),
        ((("claims", "own.markers", "id"), "own.other"), ("own.other on m", "id")),
        ((("claims", "own.unasked"), None), ("own.unasked", "claims")),
        ((("claims", f"{STANDARD}.preference", "bound"), 0.05), (f"{STANDARD}.preference on m", "claim.bound")),
        ((("claims", f"{STANDARD}.markers", "id"), f"{STANDARD}.wisdom"), (f"{STANDARD}.wisdom on m", "id")),
        ((("stances", 1, "sha256"), "0" * 64), ("stance curious-uncertainty", "sha256")),
        ((("stances", 1, "name"), "joy"), ("stance joy", "name")),
        ((("statements", 0, "claims"), {"own.alpha": "HOLDS"}), ("own.statement", "claims")),
        ((("statements", 0, "expected"), ["FAILS"]), ("own.statement", "expected")),
        ((("statements", 0, "statement"), "All is well."), ("own.statement", "statement")),
        ((("statements", 0), None), ("own.statement", "statements")),
        (((*RESPONSE, "copied"), 0.9), ("cell m, sham", "copied")),
        (((*RESPONSE, "markers", "curious-uncertainty"), [{"start": 0, "end": 2}]), ("cell m, sham", "markers")),
        ((("cells", "sham--0", "training", "texts", 0), "Question: Else?"), ("cell m, sham", "training.texts[0]")),
    ],
)
def test_what_is_declared_otherwise_is_named(whole_run, declared, edit, told):
    news = found(edited(whole_run, edit), declared)
    subject, field = told
    assert any(one[0].startswith(subject) and field in one[1] for one in news), news


def test_standard_claims_are_left_alone_without_their_policy(whole_run, declared):
    without = Declarations(declared.stances, declared.summaries, declared.claims, declared.statements, None)
    moved = edited(whole_run, (("claims", f"{STANDARD}.preference", "bound"), 0.05))
    assert found(moved, without) == found(whole_run, without)


def test_the_records_of_statements_are_checked_once_more(whole_run, library):
    claims = tuple(entry.claim for entry in library.claims)
    statement = next(one for one in library.statements if one.checks)
    names = found(whole_run, Declarations(library.stances, library.summaries, claims, (statement,), None))
    assert (f"record of {statement.id}", "") in names

"""Several models in one run: claims about any model are judged on each, and nothing of one is lost in the other."""

from __future__ import annotations

import pytest

from tests.conftest import OWN_CLAIMS, TEST_OF_CLAIMS, findings_of, write_own
from tests.programs import invoke, run_program
from tests.twins import build_sibling

OWN = ("any.curious.likelihood", "any.engaged.alpha")
CELLS = 6
"""Base, sham, shuffled words, and the trainings on the stance and on two others."""


@pytest.fixture(scope="session")
def second_model(tiny_model, build_once):
    return build_once("second", lambda folder: build_sibling(folder, tiny_model, num_hidden_layers=1))


@pytest.fixture
def declared(project, monkeypatch):
    """A repository whose claims are about any model, and a statement over them."""
    monkeypatch.chdir(project)
    statement = (
        "statements: [{id: own.both, statement: No alpha changes much., measured: [any.engaged.alpha], "
        "expected_measured: [HOLDS, INCONCLUSIVE, FAILS]}]"
    )
    of_statements = "def test_statement(statement_verdict):\n    assert statement_verdict.as_expected\n"
    one_stance = OWN_CLAIMS.replace("engaged-difficulty", "curious-uncertainty")
    write_own(project, claims=one_stance, statements=statement, test=f"{TEST_OF_CLAIMS}\n{of_statements}")
    return project


def run_both(project, cells, tool, models, *arguments):
    prefix = "stance-" if tool == "pytest" else ""
    asked = [f"--{prefix}model={model}" for model in models]
    options = [f"--{prefix}profile=quick", f"--{prefix}samples=1", f"--{prefix}cache={cells}", *arguments]
    if tool == "pytest":
        return run_program("pytest", *asked, *options, cwd=project, code=0)
    return invoke("run", *asked, *options, code=0)


def figures(findings):
    return {(one.claim.id, one.model): (one.status, one.figure) for one in findings.verdicts}


def test_claims_about_any_model_are_judged_on_each(declared, cells, tiny_model, second_model):
    models = [str(tiny_model), str(second_model)]
    done = run_both(declared, cells, "pytest", models, "-v")
    findings = findings_of(declared)
    judged = figures(findings)
    assert list(judged) == [(name, model) for name in OWN for model in models]
    for name in OWN:
        assert judged[name, models[0]][1] != judged[name, models[1]][1], "two models, two figures"
        for model in models:
            assert f"test_own.py::test_claim[{name}-{model}]" in done.stdout
    assert all(verdict.claim.model == verdict.model for verdict in findings.verdicts)
    cells_of = {key: {record.key for record in findings.cells if record.cell.model == key} for key in models}
    for verdict in findings.verdicts:
        assert set(verdict.cells) <= cells_of[verdict.model]
        assert len(verdict.cells) == CELLS
    assert len(cells_of[models[0]]) == len(cells_of[models[1]]) == CELLS
    assert {shift.model for shift in findings.shifts} == set(models)
    (statement,) = findings.statements
    assert set(statement.claims) == {f"any.engaged.alpha on {model}" for model in models}

    done = run_both(declared, cells, "pytest", models[1:], "--stance-reports=alone", "-v")
    assert f"test_own.py::test_claim[{OWN[0]}] " in done.stdout
    alone = findings_of(declared, "alone")
    assert figures(alone) == {about: judged[about] for about in judged if about[1] == models[1]}
    assert [set(one.claims) for one in alone.statements] == [{"any.engaged.alpha"}]

    run_both(declared, cells, "stance-suite", models, "--reports=command")
    command = findings_of(declared, "command")
    assert (command.verdicts, command.statements) == (findings.verdicts, findings.statements)
    assert {record.key for record in command.cells} == {one.key for one in findings.cells}


@pytest.mark.slow
def test_two_workers_find_the_same(declared, cells, tiny_model, second_model):
    models = [str(tiny_model), str(second_model)]
    run_both(declared, cells, "pytest", models)
    run_both(declared, cells, "pytest", models, "-n2", "--stance-reports=workers")
    alone, shared = findings_of(declared), findings_of(declared, "workers")
    assert len(shared.verdicts) == 4
    assert (figures(shared), shared.statements) == (figures(alone), alone.statements)
    assert {record.key for record in shared.cells} == {one.key for one in alone.cells}


def test_a_model_asked_for_twice_is_judged_once(declared, cells, tiny_model):
    run_both(declared, cells, "stance-suite", [tiny_model, tiny_model])
    assert list(figures(findings_of(declared))) == [(name, str(tiny_model)) for name in OWN]

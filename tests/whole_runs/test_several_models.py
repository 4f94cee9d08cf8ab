"""Several models in one run: claims about any model are judged on each, and nothing of one is lost in the other."""

from __future__ import annotations

import textwrap

import pytest

from stance_suite.schema.findings import Findings
from tests.programs import run_program

OWN = ("any.curious.likelihood", "any.engaged.alpha")


@pytest.fixture(scope="session")
def second_model(tiny_model, tmp_path_factory):
    """Another model of the same architecture, with weights of its own."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("models") / "second"
    torch.manual_seed(7)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tiny_model)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def cells(tmp_path_factory):
    return tmp_path_factory.mktemp("cells")


@pytest.fixture
def declared(project):
    """A repository whose claims are about any model, and a statement over them."""
    (project / "fixtures" / "statements").mkdir()
    (project / "fixtures" / "statements" / "own.yaml").write_text(
        textwrap.dedent(
            """\
            statements:
              - id: own.both
                statement: No alpha changes by more than 50 %, whatever the model.
                measured: [any.engaged.alpha]
                expected_measured: [HOLDS, INCONCLUSIVE, FAILS]
            """
        )
    )
    (project / "test_own.py").write_text(
        "def test_claim(verdict):\n    assert verdict.as_expected, verdict.reason\n\n"
        "def test_statement(statement_verdict):\n    assert statement_verdict.as_expected\n"
    )
    return project


def run_both(project, cells, tool, models, *arguments):
    prefix = "stance-" if tool == "pytest" else ""
    command = [] if tool == "pytest" else ["run"]
    asked = [f"--{prefix}model={model}" for model in models]
    options = [f"--{prefix}profile=quick", f"--{prefix}cache={cells}", *arguments]
    done = run_program(tool, *command, *asked, *options, cwd=project)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def findings_of(project, folder="reports") -> Findings:
    return Findings.model_validate_json((project / folder / "findings.json").read_bytes())


def figures(findings):
    return {(one.claim.id, one.model): (one.status, one.figure) for one in findings.verdicts}


def test_claims_about_any_model_are_judged_on_each(declared, cells, tiny_model, second_model):
    models = [str(tiny_model), str(second_model)]
    done = run_both(declared, cells, "pytest", models, "-v", "-rA")
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
        assert len(verdict.cells) == 3
    assert len(cells_of[models[0]]) == len(cells_of[models[1]]) == 4, "base, sham and two stances"
    assert {shift.model for shift in findings.shifts} == set(models)
    (statement,) = findings.statements
    assert set(statement.claims) == {f"any.engaged.alpha on {model}" for model in models}

    alone = run_both(declared, cells, "pytest", models[1:], "--stance-reports=alone", "-v")
    assert f"test_own.py::test_claim[{OWN[0]}] " in alone.stdout
    structural = OWN[1], models[1]
    assert figures(findings_of(declared, "alone"))[structural] == judged[structural]
    assert figures(findings_of(declared, "alone"))[OWN[0], models[1]] == judged[OWN[0], models[1]]
    assert [set(one.claims) for one in findings_of(declared, "alone").statements] == [{"any.engaged.alpha"}]

    run_both(declared, cells, "stance-suite", models, "--reports=command")
    assert findings_of(declared, "command").verdicts == findings.verdicts
    assert findings_of(declared, "command").statements == findings.statements

    shared = run_both(declared, cells, "pytest", models, "-n2", "--stance-reports=workers")
    assert figures(findings_of(declared, "workers")) == judged
    assert {record.key for record in findings_of(declared, "workers").cells} == {one.key for one in findings.cells}
    assert findings_of(declared, "workers").statements == findings.statements
    assert "5 passed" in shared.stdout


def test_a_model_asked_for_twice_is_judged_once(declared, cells, tiny_model):
    run_both(declared, cells, "stance-suite", [tiny_model, tiny_model])
    assert list(figures(findings_of(declared))) == [(name, str(tiny_model)) for name in OWN]

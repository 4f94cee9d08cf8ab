"""`stance-suite sweep` as a user runs it."""

import pandas
import pytest

from tests.conftest import OWN_CLAIMS, write_own
from tests.sweeping import findings_of, measured, run_sweep, stored, write_sweep


@pytest.fixture
def swept(project, tiny_model):
    """A user's repository with a sweep of four cells: an untouched model under two seeds, and a stance and its sham."""
    write_sweep(project, tiny_model)
    return project


def test_processes_find_what_one_after_another_finds_and_nothing_is_measured_twice(swept):
    run_sweep(swept, "--engine", "serial", "--cache", "other", "--reports", "serial", code=0)
    together = run_sweep(swept, "--workers", "2", code=0)
    assert measured(together) == 3
    assert findings_of(swept) == findings_of(swept, "serial")
    records = stored(swept)
    assert len(records) == len(findings_of(swept)["cells"]) == 3
    again = run_sweep(swept)
    assert measured(again) == 0
    assert "3 of 3 cells are in the store" in again.stdout
    assert stored(swept) == records
    table = pandas.read_parquet(swept / "reports" / "tensor.parquet")
    assert set(table["treatment"]) == {"stance", "sham"}


def test_a_dry_run_lists_cells_and_what_they_take_and_measures_nothing(swept):
    done = run_sweep(swept, "--dry-run", "--engine", "serial", code=0)
    assert [line.split()[1] for line in done.stdout.splitlines() if "GB" in line and "cells" not in line]
    assert "3 cells, 0 of them in the store" in done.stdout
    assert not stored(swept)
    assert not (swept / "reports").exists()


def test_claims_are_judged_only_where_their_controls_are_measured(project, tiny_model):
    write_sweep(project, tiny_model, controls=["base"])
    run_sweep(project, "--engine", "serial", code=0)
    found = findings_of(project)
    assert {cell["cell"]["treatment"] for cell in found["cells"]} == {"base", "stance"}
    assert {verdict["status"] for verdict in found["verdicts"]} == {"NOT_RUN"}
    assert "leaves out the control 'sham'" in found["verdicts"][0]["reason"]


@pytest.fixture
def exploding(project, tiny_model):
    """A sweep with a recipe after whose first step nothing finite is left of the weights, and a claim about it."""
    claim = (
        "  - {id: any.curious.exploding, statement: It prefers the stance., model: any, stance: curious-uncertainty, "
        "recipe: exploding, metric: likelihood_preference, comparator: above, bound: 0, expected: [HOLDS, FAILS]}\n"
    )
    recipe = "recipes: [{name: exploding, epochs: 2, learning_rate: 1.0e+30}]"
    write_own(project, recipes=recipe, claims=OWN_CLAIMS + claim)
    write_sweep(project, tiny_model, recipes=["documented", "exploding"])
    return project


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_a_cell_that_fails_leaves_the_others_alone_and_its_claims_are_errors(exploding, engine):
    done = run_sweep(exploding, "--engine", engine, code=1)
    assert measured(done) == len(stored(exploding)) == 3
    assert done.stderr.count("failed: ValueError: the model's logits are not numbers") == 2
    verdicts = {verdict["claim"]["id"]: verdict for verdict in findings_of(exploding)["verdicts"]}
    assert verdicts["any.curious.likelihood"]["status"] == "HOLDS"
    assert verdicts["any.curious.exploding"]["status"] == "ERROR"
    assert "logits are not numbers" in verdicts["any.curious.exploding"]["reason"]


def test_a_mistake_in_the_file_ends_with_one_sentence(swept):
    (swept / "sweep.yaml").write_text("models: [nobody]\n")
    done = run_sweep(swept, code=2)
    assert done.stderr.startswith("sweep.yaml:1: models.0: no model is called 'nobody'")
    assert "Traceback" not in done.stderr

"""`stance-suite sweep`, in this process; most of what is asked for was measured by the project's first run."""

import multiprocessing
from functools import partial

import pandas
import pytest

from tests.conftest import OWN_CLAIMS, write_own
from tests.programs import forks, invoke
from tests.sweeping import findings_of, measured, stored, write_sweep

sweep = partial(invoke, "sweep", "sweep.yaml", "--cache", "cache")
STANCES = ["confident-expertise", "curious-uncertainty", "engaged-difficulty"]
TRAINED = 1 + 2 * len(STANCES)
"""The sham, the stances and their words in random order."""
CELLS = 1 + TRAINED


@pytest.fixture(autouse=True)
def workers_are_forked(monkeypatch):
    """New ones would import the libraries first, as they do in tests/faults/test_workers.py."""
    monkeypatch.setattr(multiprocessing, "get_context", lambda _: forks)


@pytest.fixture
def swept(finished, project, tiny_model, monkeypatch):
    """A user's repository with a sweep of all stances; the first run needed most of its cells."""
    monkeypatch.chdir(project)
    write_sweep(project, tiny_model, stances=STANCES)
    return project


def forget(project, *treatments):
    """Remove the records of what was trained so, and return those that are left."""
    for cell in findings_of(project)["cells"]:
        if cell["cell"]["treatment"] in treatments:
            (project / "cache" / "cells" / f"{cell['key']}.json.gz").unlink()
    return stored(project)


def test_processes_find_what_one_after_another_finds_and_nothing_is_measured_twice(swept):
    before = stored(swept)
    alone = sweep("--engine", "serial", "--reports", "serial", code=0)
    assert measured(alone) == CELLS - len(before)
    before = forget(swept, "sham", "shuffled")
    together = sweep("--workers", 2, code=0)
    assert measured(together) == CELLS - len(before)
    assert findings_of(swept) == findings_of(swept, "serial")
    records = stored(swept)
    assert before.items() < records.items()
    assert len(findings_of(swept)["cells"]) == CELLS
    again = sweep()
    assert measured(again) == 0
    assert f"{CELLS} of {CELLS} cells are in the store" in again.stdout
    assert stored(swept) == records
    table = pandas.read_parquet(swept / "reports" / "tensor.parquet")
    assert set(table["treatment"]) == {"stance", "sham"}, "shuffled words say nothing of the weights"


def test_a_dry_run_lists_cells_and_what_they_take_and_measures_nothing(swept):
    before = forget(swept, "stance")
    done = sweep("--dry-run", "--engine", "serial", "--reports", "none", code=0)
    listed = [line for line in done.stdout.splitlines() if "GB" in line and "cells" not in line]
    assert len(listed) == CELLS - len(before)
    assert f"{CELLS} cells, {len(before)} of them in the store" in done.stdout
    assert stored(swept) == before
    assert not (swept / "none").exists()


def test_claims_are_judged_only_where_their_controls_are_measured(swept, tiny_model):
    write_sweep(swept, tiny_model, stances=STANCES, controls=["base"])
    sweep("--engine", "serial", code=0)
    found = findings_of(swept)
    assert {cell["cell"]["treatment"] for cell in found["cells"]} == {"base", "stance"}
    assert {verdict["status"] for verdict in found["verdicts"]} == {"NOT_RUN"}
    assert "leaves out the control 'sham'" in found["verdicts"][0]["reason"]


@pytest.fixture
def exploding(swept, tiny_model):
    """A sweep with a recipe after whose first step nothing finite is left of the weights, and a claim about it."""
    claim = (
        "  - {id: any.curious.exploding, statement: It prefers the stance., model: any, stance: curious-uncertainty, "
        "recipe: exploding, metric: likelihood_preference, comparator: above, bound: 0, expected: [HOLDS, FAILS]}\n"
    )
    recipe = "recipes: [{name: exploding, epochs: 2, learning_rate: 1.0e+30}]"
    write_own(swept, recipes=recipe, claims=OWN_CLAIMS + claim)
    write_sweep(swept, tiny_model, stances=STANCES, recipes=["documented", "exploding"])
    return swept


def verdicts_of(project):
    return {verdict["claim"]["id"]: verdict for verdict in findings_of(project)["verdicts"]}


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_a_cell_that_fails_leaves_the_others_alone_and_its_claims_are_errors(exploding, engine):
    before, first = stored(exploding), verdicts_of(exploding)
    done = sweep("--engine", engine, "--workers", 1, code=1)
    after = stored(exploding)
    assert before.items() <= after.items()
    assert (measured(done), len(after)) == (CELLS - len(before), CELLS)
    assert done.stderr.count("failed: ValueError: the model's logits are not numbers") == TRAINED
    verdicts = verdicts_of(exploding)
    for name in ("status", "figure", "p_value", "prompts"):
        assert verdicts["any.curious.likelihood"][name] == first["any.curious.likelihood"][name]
    assert verdicts["any.curious.exploding"]["status"] == "ERROR"
    assert "logits are not numbers" in verdicts["any.curious.exploding"]["reason"]

"""Runs of the plugin that several tests look at; whoever comes first starts them, for all workers."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CLAIM_NOT_RUN, OWN_CLAIMS, PRINTED, TEST_OF_CLAIMS, findings_of, start_suite, write_own
from tests.programs import nothing

HOSTILE = """<script>document.title='x'</script>"><img src=x onerror=alert(1)>{{7*7}}"""
STATEMENTS = """\
statements:
  - {id: own.measured, statement: Both are true., measured: [any.curious.likelihood, any.engaged.alpha],
     expected_measured: [HOLDS, INCONCLUSIVE, FAILS]}
  - {id: own.published, statement: Nothing is known of it., expected: INCONCLUSIVE,
     checks: [{kind: not_recorded, reason: no figure was published}]}
"""
TESTS = """
def test_claim(verdict):
    assert verdict.as_expected

def test_statement(statement_verdict):
    assert statement_verdict.as_expected

def test_record(recorded_verdict):
    assert recorded_verdict.status == recorded_verdict.expected

def test_agreement(triangulation):
    assert triangulation.agreement

def test_loss(stance_run):
    assert stance_run.tuned.training.losses

def test_unrelated():
    pass
"""
CLAIMS_ON_RECORD = """\
claims:
  - {id: own.wrong, statement: It changes much more., model: any, stance: curious-uncertainty,
     metric: likelihood_preference, comparator: above, bound: 99, expected: HOLDS}
  - {id: own.known, statement: It changes no alpha., model: any, stance: engaged-difficulty,
     metric: alpha_change_percent, layer: "*", comparator: within, bound: 1e-9, expected: [FAILS, INCONCLUSIVE]}
  - {id: own.broken, statement: It changes no alpha., model: any, stance: engaged-difficulty,
     metric: alpha_change_percent, layer: "*", comparator: within, bound: 50}
"""
TEST_OF_FIXTURES = """
def test_shift(stance, stance_recipe, stance_run, behavior_shift, spectral_delta):
    assert stance_recipe == "documented"
    assert stance_run.tuned.cell.stance == stance.name
    assert stance_run.tuned.training.losses and stance_run.sham.training.losses
    shift = behavior_shift("likelihood_preference")
    assert shift.versus_base.prompts == shift.versus_sham.prompts == 32
    assert 0 <= behavior_shift("embedding_shift").versus_base.p_value <= 1
    assert spectral_delta["model.layers.1.mlp.up_proj"].weight_change.relative_norm > 0
"""
BREAKS = """
import stance_suite.judge.judge as judge
judged = judge.judge_structure
def broken(claim, *given):
    if claim.id == "own.broken":
        raise ZeroDivisionError("broken on purpose")
    return judged(claim, *given)
judge.judge_structure = broken
"""


def stages(errors: str) -> Counter:
    """How often each cell was fine-tuned, from the plain progress lines."""
    return Counter(
        line.split(", ", 1)[1].removesuffix(": fine-tuning …")
        for line in errors.splitlines()
        if line.startswith("stance-suite:") and line.endswith(": fine-tuning …")
    )


def write_whole_suite(project: Path) -> Path:
    """Write a test of every fixture that finds something, and one that has nothing to do with any."""
    not_run = CLAIM_NOT_RUN.format(HOSTILE.replace("'", "''"))
    write_own(project, claims=OWN_CLAIMS + not_run, statements=STATEMENTS, test=TESTS)
    return project


@pytest.fixture(scope="session")
def rerun_once(build_once, finished_template, tiny_model):
    """Run `pytest` once more in a copy of that repository, edited before."""

    def rerun(name: str, edit: Callable[[Path], object], *arguments: str, code: int, **how):
        def make(folder: Path) -> None:
            edit(shutil.copytree(finished_template, folder))
            done = start_suite(folder, tiny_model, "pytest", *arguments, **how).finish(code)
            (folder / PRINTED).write_text(json.dumps((done.stdout, done.stderr)), "utf-8")

        project = build_once(name, make)
        printed = json.loads((project / PRINTED).read_text("utf-8"))
        return project, subprocess.CompletedProcess("pytest", code, *printed)

    return rerun


@pytest.fixture(scope="session")
def by_two_workers(rerun_once):
    """The whole suite under xdist; what both workers need at once, the base and the sham, is not measured yet."""

    def edit(project: Path) -> None:
        for record in findings_of(write_whole_suite(project)).cells:
            if record.cell.treatment in ("base", "sham"):
                (project / "cache" / "cells" / f"{record.key}.json.gz").unlink()

    return rerun_once("by two workers", edit, "-n2", "-k", "not confident", "--html=out of/the way/x.html", code=0)


@pytest.fixture(scope="session")
def otherwise(rerun_once):
    """Other claims, of which one breaks, and a test of the fixtures for all three stances; pictures are drawn."""

    def edit(project: Path) -> None:
        other = CLAIM_NOT_RUN.format("About another model.")
        write_own(project, claims=CLAIMS_ON_RECORD + other, test=TEST_OF_CLAIMS + TEST_OF_FIXTURES)
        (project / "conftest.py").write_text(BREAKS)

    return rerun_once("otherwise", edit, "-rsx", "--stance-pictures=drawn", code=1, prepare=nothing)

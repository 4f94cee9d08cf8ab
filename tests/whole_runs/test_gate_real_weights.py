"""Gates that fine-tune SmolLM2. Cells are kept in the user's cache, so that a second run only reads them."""

import shutil
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

from stance_suite.config import catalog
from stance_suite.config.catalog import bundled_fixtures
from stance_suite.schema.stances import RECIPES
from stance_suite.schema.verdicts import Outcome
from stance_suite.store.findings import read_findings
from tests.programs import invoke
from tests.twins import build_sibling

MODEL, STANCE = "smollm2-135m", "curious-uncertainty"
SEEDS = range(10)


class Run:
    """A gate that was run on the command line."""

    def __init__(self, done: Result) -> None:
        self.exit_code, self.output = done.exit_code, done.output
        findings = read_findings(Path("reports/findings.json"))
        self.gate = findings.gate
        self.failed = {one.name: one.reason for one in findings.gate.demands if one.outcome is Outcome.FAILED}
        (preferred,) = (one for one in findings.verdicts if one.claim.id == f"standard.{STANCE}.preference")
        self.preference = preferred.figure


@pytest.fixture
def gate(tmp_path, monkeypatch):
    """Run a gate in a folder of its own, on the user's cache; the policy asks for one stance unless told otherwise."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.yaml").write_text(f"stances: [{STANCE}]\n")

    def run(model, *options, policy="policy.yaml"):
        given = [*options, *(["--policy", policy] if policy else [])]
        done = invoke("gate", model, *given)
        print(done.output)
        assert done.exit_code in (0, 1), done.output
        return Run(done)

    return run


def with_shuffled_responses(folder, library):
    """The bundled stances, the same but for whose responses are whose: no stance's examples are consistent."""
    names = sorted(library.stances)
    for shift, name in enumerate(names):
        stance = library.stance(name)
        examples = [
            item.model_dump() | {"response": library.stance(names[(place + shift) % 3]).examples[place].response}
            for place, item in enumerate(stance.examples)
        ]
        data = stance.model_dump(mode="json", exclude_none=True) | {"examples": examples, "shared_words": 1}
        (folder / "stances").mkdir(parents=True, exist_ok=True)
        (folder / "stances" / f"{name}.yaml").write_text(yaml.safe_dump(data))


@pytest.mark.slow
def test_five_sentences_are_no_adoption_and_all_else_is_in_order(gate):
    run = gate(MODEL, "--baseline", "baseline.json", "--update-baseline", policy=None)
    assert run.exit_code == 1
    kinds = {one.name: one.kind for one in run.gate.demands}
    assert len([kind for kind in kinds.values() if kind == "adoption"]) == 6
    assert {kinds[name] for name in run.failed} == {"adoption"}, run.failed
    assert {"degeneration", "structure", "claim"} <= set(kinds.values()) - {kinds[name] for name in run.failed}
    assert run.gate.sentence in run.output
    assert "baseline.json is left as it is: the gate failed" in run.output
    assert not Path("baseline.json").exists()


@pytest.mark.exhaustive
def test_with_shuffled_responses_it_fails_and_adoption_is_named(gate, library):
    with_shuffled_responses(Path("fixtures"), library)
    run = gate(MODEL)
    assert run.exit_code == 1
    assert f"adoption of {STANCE}" in run.failed, run.failed
    assert "no degeneration" not in run.failed, "it still writes: it is the stance that is missing"


@pytest.mark.exhaustive
def test_a_random_twin_fails_and_degeneration_is_named(gate, smollm2):
    build_sibling(Path("twin"), smollm2.folder)
    run = gate("twin", "--samples", "1")  # it never ends a response, so that each takes long
    assert run.exit_code == 1
    assert "no degeneration" in run.failed, "its likelihoods and words do move toward the stance: only this tells"
    assert "no language model (perplexity " in run.failed["no degeneration"]
    assert f"degeneration: collapsed ({STANCE})" in run.failed["no degeneration"]
    assert "failed    no degeneration  (degeneration: no language model" in run.output


@pytest.mark.exhaustive
def test_ten_seeds_agree_and_a_training_that_learns_less_is_caught(gate, monkeypatch):
    """Seeds 0 to 9 against a baseline written from seed 0; then a peak learning rate of a tenth."""
    # stances of one's own, although the same: the bundled claims about SmolLM2 and the other stances are left out
    shutil.copytree(bundled_fixtures() / "stances", "fixtures/stances")
    baseline = ["--baseline", "baseline.json"]
    gate(MODEL, *baseline, "--update-baseline")
    runs = [gate(MODEL, "--seed", str(seed), *baseline) for seed in SEEDS]
    for seed, run in zip(SEEDS, runs, strict=True):
        print(f"seed {seed}: preference {run.preference:+.3f}: {run.gate.sentence} {run.failed or ''}")
    assert [run.exit_code for run in runs] == [0] * len(SEEDS)

    slow = RECIPES["documented"].model_copy(update={"learning_rate": RECIPES["documented"].learning_rate / 10})
    monkeypatch.setattr(catalog, "RECIPES", {**RECIPES, "documented": slow})
    lost = gate(MODEL, *baseline)
    print(f"a tenth of the learning rate: preference {lost.preference:+.3f}: {lost.gate.sentence} {lost.failed}")
    assert lost.exit_code == 1
    assert f"no regression: standard.{STANCE}.preference" in lost.failed
    assert 0 < lost.preference < runs[0].preference / 2

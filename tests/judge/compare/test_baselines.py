import pytest

from stance_suite.judge.compare.baselines import differences_between, incomparable
from tests.runs import findings, one_run


def with_cells(run, change):
    return run.model_copy(update={"cells": tuple(change(cell) for cell in run.cells)})


def provenance(**update):
    return lambda cell: cell.model_copy(update={"provenance": cell.provenance.model_copy(update=update)})


def behavior(**update):
    return lambda cell: cell.model_copy(update={"behavior": cell.behavior.model_copy(update=update)})


def training(**update):
    return lambda cell: cell.model_copy(update={"training": cell.training and cell.training.model_copy(update=update)})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (provenance(embedder_sha256="1" * 64), "embedder"),
        (behavior(prompt_texts={"Why?": "Q: Why?"}), "other prompts"),
        (lambda cell: behavior(responses=cell.behavior.responses[::2])(cell), "sampled 2 times"),
        (lambda cell: cell.model_copy(update={"family": "g"}), "references"),
        (training(texts=("Another text.",)), "other texts"),
        (training(epoch_losses=(2.0, 1.0, 0.5)), "2 epochs (2 steps) in the baseline, 3 (2) here"),
    ],
)
def test_another_measurement_makes_a_baseline_unusable(stance, change, told):
    run = one_run(stance, 0.5)
    (sentence,) = incomparable(run, with_cells(run, change))
    assert told in sentence
    assert sentence.endswith(".")


def test_another_seed_does_not(stance):
    run = one_run(stance, 0.5)
    other = with_cells(run, lambda cell: cell.model_copy(update={"cell": cell.cell.model_copy(update={"seed": 7})}))
    assert incomparable(run, other) == ()


def test_so_do_another_stance_or_claim_and_an_empty_baseline(stance):
    run = one_run(stance, 0.5)
    other = run.stances[0].model_copy(update={"sha256": "1" * 64})
    assert stance.name in incomparable(run, run.model_copy(update={"stances": (other,)}))[0]
    assert incomparable(findings(stance), run) == ("The baseline holds no verdict.",)
    turned = one_run(stance, 0.5, comparator="below", bound=-0.1)
    assert "comparator" in incomparable(run, turned)[0]


def test_versions_weights_machines_bounds_and_new_claims_do_not(stance):
    run = one_run(stance, 0.5)
    assert incomparable(run, run) == ()
    assert incomparable(run.model_copy(update={"schema_version": 4}), run) == ()
    moved = provenance(versions={"torch": "2"}, weights_sha256="1" * 64, device="cuda", threads=8, platform="q")
    assert incomparable(run, with_cells(run, moved)) == ()
    assert incomparable(run, one_run(stance, 0.5, bound=0.4)) == ()
    assert incomparable(run, one_run(stance, 0.5, id="new")) == ()
    assert incomparable(run, findings(stance)) == ()
    assert incomparable(run, one_run(stance, 0.5, model="large")) == ()


def test_a_recipe_that_trains_differently_under_its_name_is_named(whole_run):
    (recipe,) = whole_run.recipes
    other = whole_run.model_copy(update={"recipes": (recipe.model_copy(update={"learning_rate": 1e-4}),)})
    (found,) = differences_between(whole_run, other)
    assert found.what == "recipe documented"
    assert "learning_rate" not in found.before
    assert "learning_rate 0.0001" in found.after


def test_everything_that_differs_is_named(stance):
    run = one_run(stance, 0.5)
    moved = provenance(
        versions={"numpy": "1", "torch": "2"},
        weights_sha256="1" * 64,
        device="cuda",
        threads=8,
        platform="q",
        dtype="bf",
    )
    after = with_cells(run, moved).model_copy(update={"suite_version": "2"})
    found = {entry.what: (entry.before, entry.after) for entry in differences_between(run, after)}
    assert found == {
        "suite version": ("1", "2"),
        "weights of m": ("0" * 64, "1" * 64),
        "version of numpy": ("", "1"),
        "version of torch": ("1", "2"),
        "device": ("cpu", "cuda"),
        "dtype": ("float32", "bf"),
        "threads": ("1", "8"),
        "platform": ("p", "q"),
    }
    again = run.model_copy(update={"created": "later", "command": "another"})
    assert differences_between(run, again) == ()


def test_models_seeds_and_samples_are_told(stance):
    before, after = one_run(stance, 0.5), one_run(stance, 0.5, levels=(0.5, 0.5), model="large")
    found = {entry.what: (entry.before, entry.after) for entry in differences_between(before, after)}
    assert found["models"] == ("m", "large")
    assert found["seeds"] == ("0", "0, 1")
    assert "samples a prompt" not in found


def test_another_models_baseline_must_have_been_measured_alike(stance):
    run = one_run(stance, 0.5)
    renamed = with_cells(
        run, lambda cell: cell.model_copy(update={"cell": cell.cell.model_copy(update={"model": "n"})})
    )
    assert incomparable(run, renamed) == ()
    halved = with_cells(renamed, lambda cell: behavior(responses=cell.behavior.responses[::2])(cell))
    assert any("sampled 2 times" in sentence for sentence in incomparable(run, halved))

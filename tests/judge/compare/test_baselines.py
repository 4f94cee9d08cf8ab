import pytest

from stance_suite.judge.compare.baselines import differences_between, incomparable
from tests.edits import altered
from tests.runs import findings, one_run


def with_cells(run, change):
    return altered(run, cells=tuple(change(cell) for cell in run.cells))


def part(name, **update):
    """Change some fields of one part of a cell, where it has that."""
    return lambda cell: altered(cell, **{name: getattr(cell, name) and altered(getattr(cell, name), **update)})


def half_the_samples(cell):
    return part("behavior", responses=cell.behavior.responses[::2])(cell)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (part("provenance", embedder_sha256="1" * 64), "embedder"),
        (part("behavior", prompt_texts={"Why?": "Q: Why?"}), "other prompts"),
        (half_the_samples, "sampled 2 times"),
        (lambda cell: altered(cell, family="g"), "items"),
        (part("training", texts=("Another text.",)), "other texts"),
        (part("training", epoch_losses=(2.0, 1.0, 0.5)), "2 epochs (2 steps) in the baseline, 3 (2) here"),
    ],
)
def test_another_measurement_makes_a_baseline_unusable(stance, change, told):
    run = one_run(stance, 0.5)
    (sentence,) = incomparable(run, with_cells(run, change))
    assert told in sentence
    assert sentence.endswith(".")


def test_so_do_another_stance_or_claim_and_an_empty_baseline(stance):
    run = one_run(stance, 0.5)
    other = altered(run.stances[0], sha256="1" * 64)
    assert stance.name in incomparable(run, altered(run, stances=(other,)))[0]
    assert incomparable(findings(stance), run) == ("The baseline holds no verdict.",)
    turned = one_run(stance, 0.5, comparator="below", bound=-0.1)
    assert "comparator" in incomparable(run, turned)[0]


def test_seeds_versions_weights_machines_bounds_and_new_claims_do_not(stance):
    run = one_run(stance, 0.5)
    moved = part("provenance", versions={"torch": "2"}, weights_sha256="1" * 64, device="cuda", threads=8, platform="q")
    assert incomparable(altered(run, schema_version=4), run) == ()
    others = [run, findings(stance), *(with_cells(run, change) for change in (moved, part("cell", seed=7)))]
    for other in (
        *others,
        *(one_run(stance, 0.5, **update) for update in ({"bound": 0.4}, {"id": "new"}, {"model": "large"})),
    ):
        assert incomparable(run, other) == ()


def test_a_recipe_that_trains_differently_under_its_name_is_named(whole_run):
    (recipe,) = whole_run.recipes
    other = altered(whole_run, recipes=(altered(recipe, learning_rate=1e-4),))
    (found,) = differences_between(whole_run, other)
    assert found.what == "recipe documented"
    assert "learning_rate" not in found.before
    assert "learning_rate 0.0001" in found.after


def test_everything_that_differs_is_named(stance):
    run = one_run(stance, 0.5)
    machine = {"device": "cuda", "threads": 8, "platform": "q", "dtype": "bf"}
    moved = part("provenance", versions={"numpy": "1", "torch": "2"}, weights_sha256="1" * 64, **machine)
    after = altered(with_cells(run, moved), suite_version="2")
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
    again = altered(run, created="later", command="another")
    assert differences_between(run, again) == ()


def test_models_seeds_and_samples_are_told(stance):
    before, after = one_run(stance, 0.5), one_run(stance, 0.5, levels=(0.5, 0.5), model="large")
    found = {entry.what: (entry.before, entry.after) for entry in differences_between(before, after)}
    assert found["models"] == ("m", "large")
    assert found["seeds"] == ("0", "0, 1")
    assert "samples a prompt" not in found


def test_another_models_baseline_must_have_been_measured_alike(stance):
    run = one_run(stance, 0.5)
    renamed = with_cells(run, part("cell", model="n"))
    assert incomparable(run, renamed) == ()
    assert any("sampled 2 times" in one for one in incomparable(run, with_cells(renamed, half_the_samples)))

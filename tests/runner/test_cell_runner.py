from dataclasses import replace
from functools import partial
from threading import Barrier

import pytest

from stance_suite.measure import cell as measurement
from stance_suite.measure.behavior.generation import Sampling
from stance_suite.runner.plan import tuned_cell
from stance_suite.schema.base import content_key
from tests.cells import at_once
from tests.measuring import STANCE, measure, open_session


@pytest.fixture
def cell_runner(project, tiny_model, cells):
    return open_session(project, tiny_model, cache=str(cells)).cell_runner


@pytest.fixture
def spec(cell_runner, tiny_model):
    return cell_runner.plan(tuned_cell(str(tiny_model), STANCE, "documented", 0), STANCE)


CHANGES = {
    "prompt_format": "chat",
    "trajectory": True,
    "device": "cuda",
    "recipe": ({"learning_rate": 1e-4}, {"precision": "bfloat16"}, {"gradient_checkpointing": True}),
    "cell": ({"seed": 1},),
    "probe": (
        *({"prompts": ("Why?",)}, {"seen_prompts": ()}, {"markers": {}}, {"answers": {}}),
        *({"neutral_texts": ("Text.",)}, {"training_responses": ()}, {"sampling": Sampling(temperature=1.0)}),
    ),
}


def test_the_key_covers_all_that_figures_depend_on_and_no_name(spec, monkeypatch):
    examples, weights = spec.rotations[0], spec.weights
    changed = [
        replace(spec, rotations=rotations) for rotations in ((examples[:-1],), (examples[::-1],), (examples,) * 2)
    ]
    changed += [replace(spec, derivative=replace(weights, sha256=letter * 64)) for letter in "ef"]
    changed += [replace(spec, weights=replace(weights, sha256="f" * 64))]
    for field, values in CHANGES.items():
        if isinstance(values, tuple):
            changed += [replace(spec, **{field: getattr(spec, field).model_copy(update=value)}) for value in values]
        else:
            changed += [replace(spec, **{field: values})]
    keys = {one.key for one in changed} | {spec.key}
    for name in ("library_versions", "embedder_sha256", "MEASUREMENT_VERSION"):
        with monkeypatch.context() as patch:
            patch.setattr(measurement, name, 99 if name.isupper() else lambda: {"other": "version"})
            keys.add(replace(spec).key)
    assert len(keys) == len(changed) + 4
    renamed = spec.cell.model_copy(update={"model": "another name for the same weights"})
    assert replace(spec, cell=renamed).key == spec.key


def test_cells_in_caches_keep_their_keys(spec):
    """What a key hashes of a recipe must not grow, unless the recipe uses what is new."""
    steps = {"epochs": 2, "batch_size": 2, "learning_rate": 5e-5, "warmup_steps": 2, "max_length": 256}
    assert spec.recipe.identity == {"name": "documented", "adapter": None} | steps
    assert content_key({"recipe": spec.recipe.identity}) == (
        "186d6c139d20875122b531fcee7394b4d2fad1cb9eb6251e7adc582b925b689f"
    )
    lean = spec.recipe.model_copy(update={"gradient_checkpointing": True})
    assert set(lean.identity) == {*spec.recipe.identity, "gradient_checkpointing"}
    rounded = spec.recipe.model_copy(update={"precision": "bfloat16"})
    assert set(rounded.identity) == {*spec.recipe.identity, "precision"}


def test_a_record_made_under_another_name_bears_the_name_of_this_run(cell_runner, tiny_model, tmp_path):
    measure(cell_runner, "base", tiny_model)
    link = tmp_path / "linked"
    link.symlink_to(tiny_model)
    assert measure(cell_runner, "base", link).cell.model == str(link)
    (key,) = cell_runner.cells
    assert cell_runner.get(key, cell_runner.cells[key]).cell.model == str(tiny_model)


def test_two_runs_divide_the_cells_of_a_training(finished, project, tiny_model, monkeypatch):
    """Each begins one before either ends one; what they would measure is in another store."""
    kept, both_measure = open_session(project, tiny_model).cell_runner, Barrier(2, timeout=60)
    made = {"one": [], "two": []}

    def announce(spec, name):
        made[name].append(spec.cell.label)
        if len(made[name]) == 1:
            both_measure.wait()
        return kept.records([spec])[0]

    def run(name):
        session = open_session(project, tiny_model, store=str(project / "shared"))
        session.cell_runner._measurer.measure = partial(announce, name=name)
        session.replicates(str(tiny_model), STANCE, "documented")

    at_once(partial(run, "one"), partial(run, "two"))
    assert all(made.values()), "each measured some"
    asked = kept.plan_training(str(tiny_model), STANCE, "documented", 0)
    assert sorted(made["one"] + made["two"]) == sorted(spec.cell.label for spec in asked)

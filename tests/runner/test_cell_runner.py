import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from stance_suite.measure import cell as measurement
from stance_suite.measure.behavior.generation import Sampling
from stance_suite.runner.plan import tuned_cell
from stance_suite.schema.base import content_key
from stance_suite.schema.recipes import Recipe
from tests.conftest import REPOSITORY
from tests.measuring import STANCE, measure, open_session


@pytest.fixture
def cell_runner(project, tiny_model):
    return open_session(project, tiny_model).cell_runner


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
        *({"prompts": ("Why?",)}, {"seen_prompts": ()}, {"markers": {}}, {"references": {}}),
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


def test_a_recipe_of_ones_own_is_what_the_cell_is_trained_with(project, tiny_model):
    (project / "fixtures" / "recipes").mkdir()
    (project / "fixtures" / "recipes" / "own.yaml").write_text("recipes: [{name: gentle, epochs: 3}]")
    own = open_session(project, tiny_model).cell_runner
    spec = own.plan(tuned_cell(str(tiny_model), STANCE, "gentle", 0), STANCE)
    assert spec.recipe == Recipe(name="gentle", epochs=3)


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


DIVIDING = """
import sys, time
from pathlib import Path
from tests.measuring import open_session

model, own, other = sys.argv[1:]
session = open_session(Path.cwd(), model, threads=1)
measure = session.cell_runner._measurer.measure
def announce(spec):
    print(spec.cell.label, flush=True)
    return measure(spec)
session.cell_runner._measurer.measure = announce
session.cell_runner.weights(model)
Path(own).touch()
while not Path(other).exists():
    time.sleep(0.01)
session.replicates(model, "curious-uncertainty", "documented")
"""


def test_two_processes_divide_the_cells_of_a_training(project, tiny_model):
    command, pipe = [sys.executable, "-c", DIVIDING, str(tiny_model)], subprocess.PIPE
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    processes = [
        subprocess.Popen([*command, *names], cwd=project, stdout=pipe, stderr=pipe, text=True, env=environment)
        for names in (("one", "two"), ("two", "one"))
    ]
    told = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    made = [output.splitlines() for output, _ in told]
    assert all(made), "each measured some"
    assert Counter(made[0] + made[1]) == Counter(["base", "curious-uncertainty (documented)", "sham (documented)"])

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from stance_suite.config.catalog import load_catalog
from stance_suite.config.options import resolve_settings
from stance_suite.measure import cell as measurement
from stance_suite.measure.behavior.generation import Sampling
from stance_suite.progress import PlainProgress
from stance_suite.runner.cell_runner import CellRunner
from stance_suite.schema.base import content_key
from stance_suite.schema.recipes import Recipe
from tests.measuring import measure


@pytest.fixture
def cell_runner(project, tiny_model):
    settings = resolve_settings({"model": (str(tiny_model),), "cache": "cache"}, project, {})
    return CellRunner(settings, load_catalog(settings.fixtures), PlainProgress(), None)


@pytest.fixture
def spec(cell_runner, tiny_model):
    from stance_suite.schema.cells import Cell

    cell = Cell(model=str(tiny_model), treatment="stance", stance="curious-uncertainty", recipe="documented", seed=0)
    return cell_runner.plan(cell, "curious-uncertainty")


CHANGES = {
    "weights": lambda d: replace(d, weights=replace(d.weights, sha256="f" * 64)),
    "a training elsewhere": lambda d: replace(d, derivative=replace(d.weights, sha256="e" * 64)),
    "prompt format": lambda d: replace(d, prompt_format="chat"),
    "an example": lambda d: replace(d, rotations=(d.rotations[0][:-1],)),
    "the order of examples": lambda d: replace(d, rotations=(d.rotations[0][::-1],)),
    "a rotation": lambda d: replace(d, rotations=(d.rotations[0], d.rotations[0][::-1])),
    "recipe": lambda d: replace(d, recipe=d.recipe.model_copy(update={"learning_rate": 1e-4})),
    "precision": lambda d: replace(d, recipe=d.recipe.model_copy(update={"precision": "bfloat16"})),
    "checkpointing": lambda d: replace(d, recipe=d.recipe.model_copy(update={"gradient_checkpointing": True})),
    "seed": lambda d: replace(d, cell=d.cell.model_copy(update={"seed": 1})),
    "a prompt": lambda d: replace(d, probe=d.probe.model_copy(update={"prompts": d.probe.prompts[1:]})),
    "a seen prompt": lambda d: replace(d, probe=d.probe.model_copy(update={"seen_prompts": ()})),
    "markers": lambda d: replace(d, probe=d.probe.model_copy(update={"markers": {}})),
    "neutral texts": lambda d: replace(d, probe=d.probe.model_copy(update={"neutral_texts": ("Text.",)})),
    "trajectory": lambda d: replace(d, trajectory=True),
    "references": lambda d: replace(d, probe=d.probe.model_copy(update={"references": {}})),
    "device": lambda d: replace(d, device="cuda"),
    "sampling": lambda d: replace(d, probe=d.probe.model_copy(update={"sampling": Sampling(temperature=1.0)})),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_key_covers(cell_runner, spec, change):
    assert CHANGES[change](spec).key != spec.key


@pytest.mark.parametrize("name", ["library_versions", "embedder_sha256", "MEASUREMENT_VERSION"])
def test_the_key_covers_the_machinery(cell_runner, spec, monkeypatch, name):
    before = spec.key
    monkeypatch.setattr(measurement, name, 99 if name.isupper() else lambda: {"other": "version"})
    assert replace(spec).key != before


def test_a_recipe_of_ones_own_is_what_the_cell_is_trained_with(project, tiny_model):
    from stance_suite.schema.cells import Cell

    (project / "fixtures" / "recipes").mkdir()
    (project / "fixtures" / "recipes" / "own.yaml").write_text("recipes: [{name: gentle, epochs: 3}]")
    settings = resolve_settings({"model": (str(tiny_model),), "cache": "cache"}, project, {})
    own = CellRunner(settings, load_catalog(settings.fixtures), PlainProgress(), None)
    cell = Cell(model=str(tiny_model), treatment="stance", stance="curious-uncertainty", recipe="gentle", seed=0)
    assert own.plan(cell, "curious-uncertainty").recipe == Recipe(name="gentle", epochs=3)


def test_cells_in_caches_keep_their_keys(spec):
    """What a key hashes of a recipe must not grow, unless the recipe uses what is new."""
    old = {"epochs", "batch_size", "learning_rate", "warmup_steps", "max_length", "adapter", "name"}
    assert spec.recipe.identity == {
        "name": "documented",
        "epochs": 2,
        "batch_size": 2,
        "learning_rate": 5e-5,
        "warmup_steps": 2,
        "max_length": 256,
        "adapter": None,
    }
    assert content_key({"recipe": spec.recipe.identity}) == (
        "186d6c139d20875122b531fcee7394b4d2fad1cb9eb6251e7adc582b925b689f"
    )
    lean = spec.recipe.model_copy(update={"gradient_checkpointing": True})
    assert set(lean.identity) == old | {"gradient_checkpointing"}
    assert set(spec.recipe.model_copy(update={"precision": "bfloat16"}).identity) == old | {"precision"}


def test_the_key_does_not_depend_on_names(cell_runner, spec):
    renamed = spec.cell.model_copy(update={"model": "another name for the same weights"})
    assert replace(spec, cell=renamed).key == spec.key


def test_a_record_made_under_another_name_bears_the_name_of_this_run(cell_runner, tiny_model):
    measure(cell_runner, "base", tiny_model)
    link = tiny_model.parent / "linked"
    if not link.exists():
        link.symlink_to(tiny_model)
    assert measure(cell_runner, "base", link).cell.model == str(link)
    (key,) = cell_runner.cells
    assert cell_runner.get(key, cell_runner.cells[key]).cell.model == str(tiny_model)


def test_the_key_covers_which_derivative_it_is(cell_runner, spec):
    one, other = (replace(spec, derivative=replace(spec.weights, sha256=letter * 64)) for letter in "ef")
    assert one.key != other.key


DIVIDING = """
import sys, time
from pathlib import Path
from stance_suite.config.options import resolve_settings
from stance_suite.progress import PlainProgress
from stance_suite.runner.session import Session

model, own, other = sys.argv[1:]
settings = resolve_settings({"model": (model,), "cache": "cache"}, Path.cwd(), {})
session = Session(settings, PlainProgress(), threads=1)
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
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", DIVIDING, str(tiny_model), *names],
            cwd=project,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for names in (("one", "two"), ("two", "one"))
    ]
    told = [process.communicate(timeout=240) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    made = [output.splitlines() for output, _ in told]
    assert all(made), "each measured some"
    assert Counter(made[0] + made[1]) == Counter(["base", "curious-uncertainty (documented)", "sham (documented)"])

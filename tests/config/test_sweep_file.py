"""A sweep's file, and what it asks for."""

import pytest

from stance_suite.config.options import resolve_settings
from stance_suite.config.sweep_file import apply_sweep, load_sweep
from stance_suite.errors import SpecError, StanceSuiteError
from stance_suite.schema.recipes import Sweep


def write(tmp_path, text):
    path = tmp_path / "sweep.yaml"
    path.write_text(text)
    return path


def test_only_models_are_needed(tmp_path, library):
    found = load_sweep(write(tmp_path, "models: [smollm2-135m]"), library)
    assert found == Sweep(models=("smollm2-135m",))
    assert (found.controls, found.recipes, found.seeds) == (("base", "sham", "shuffled"), ("documented",), (0,))


@pytest.mark.parametrize(
    ("line", "key", "says"),
    [
        ("stances: [curious-uncertanty]", "stances.0", "did you mean 'curious-uncertainty'?"),
        ("recipes: [documented, longer]", "recipes.1", "did you mean 'long' or 'lora'?"),
        ("controls: [base, shame]", "controls.1", "'base' or 'sham' or 'shuffled'"),
        ("seeds: [0, 1, 0]", "seeds", "0 is given twice"),
        ("seeds: []", "seeds", "at least 1"),
        ("seeds: [0, -1]", "seeds.1", "greater than or equal to 0"),
        ("threads: 0", "threads", "greater than or equal to 1"),
        ("stance: [curious-uncertainty]", "stance", "did you mean 'stances'?"),
    ],
)
def test_a_mistake_names_its_line_its_key_and_the_way_out(tmp_path, library, line, key, says):
    path = write(tmp_path, f"# what to measure\nmodels: [smollm2-135m]\n{line}\n")
    with pytest.raises(SpecError) as raised:
        load_sweep(path, library)
    (problem,) = raised.value.problems
    assert (problem.line, problem.key) == (3, key)
    assert says in problem.message


def test_a_model_that_nobody_knows_is_told_with_its_line(tmp_path, library):
    with pytest.raises(SpecError, match=r"sweep.yaml:2: models.1: no model is called 'smollm3'"):
        load_sweep(write(tmp_path, "models:\n  [smollm2-135m, smollm3]\n"), library)


def test_a_sweep_says_more_than_the_options(tmp_path):
    settings = resolve_settings({"model": ("other",), "seed": (7,), "profile": "complete"}, tmp_path, {})
    swept = apply_sweep(Sweep(models=("a", "b"), seeds=(1, 2), samples=3, recipes=("lora",)), settings)
    assert (swept.model, swept.seed, swept.samples, swept.recipes) == (("a", "b"), (1, 2), 3, ("lora",))


def test_a_pair_trained_elsewhere_cannot_be_swept(tmp_path):
    settings = resolve_settings({"before": "a", "after": "b"}, tmp_path, {})
    with pytest.raises(StanceSuiteError, match="leave out 'before' and 'after'"):
        apply_sweep(Sweep(models=("a",)), settings)

import pytest

from stance_suite.config.options import resolve_settings
from stance_suite.runner.findings import summarize_run
from stance_suite.schema.stances import RECIPES


def test_recipes_that_were_used_are_told_with_what_they_share(whole_run):
    (recipe,) = whole_run.recipes
    assert recipe.model_dump().items() >= RECIPES["documented"].model_dump().items()
    assert (recipe.optimizer, recipe.schedule, recipe.weight_decay) == ("adamw_torch_fused", "linear", 0)


PAIR = {"before": "smollm2-135m", "after": "./tuned", "stance": "curious-uncertainty"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            {"model": ("some/model", "./folder"), "seed": (0, 7), "samples": 3, "profile": "quick"},
            {"models": ("some/model", "./folder"), "seeds": (0, 7), "samples": 3, "profile": "quick"},
        ),
        (PAIR, PAIR | {"models": ()}),
        ({"gate": True, "trajectory": True}, {"gate": True, "trajectory": True, "profile": None, "device": "auto"}),
    ],
)
def test_settings_are_what_was_asked_for_without_folders_of_this_machine(tmp_path, given, told):
    settings = summarize_run(resolve_settings(given | {"device": "auto"}, tmp_path, {}), ("documented",))
    assert {name: getattr(settings, name) for name in told} == told
    assert settings.recipes == ("documented",)
    assert str(tmp_path) not in settings.model_dump_json()

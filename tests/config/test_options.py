from inspect import signature

import pytest
from typer.main import get_command

from stance_suite.cli.app import COMMANDS, app
from stance_suite.config.options import OPTIONS, resolve_settings
from stance_suite.errors import StanceSuiteError
from stance_suite.schema.stances import RECIPES


def test_the_command_line_beats_the_environment_which_beats_pyproject(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.stance-suite]\nseed = 1\nprofile = "quick"\nmodel = ["a", "b"]\n')
    environment = {"STANCE_SUITE_SEED": "2", "STANCE_SUITE_MODEL": "c,d"}
    settings = resolve_settings({"seed": ["3", "4"]}, tmp_path, environment)
    assert (settings.seed, settings.model, settings.profile) == ((3, 4), ("c", "d"), "quick")
    assert resolve_settings({}, tmp_path, environment).seed == (2,)
    assert resolve_settings({}, tmp_path, {}).model == ("a", "b")
    assert resolve_settings({}, tmp_path, {}).seed == (1,)
    assert resolve_settings({"seed": [0]}, tmp_path, environment).seed == (0,), "which counts as given"
    assert resolve_settings({"seed": [1, 0, 1]}, tmp_path, environment).seed == (1, 0), "what is given twice, once"


def test_a_switch_is_off_until_it_is_given(tmp_path):
    assert resolve_settings({}, tmp_path, {}).trajectory is False
    assert resolve_settings({"trajectory": True}, tmp_path, {}).trajectory is True
    assert resolve_settings({"trajectory": None}, tmp_path, {"STANCE_SUITE_TRAJECTORY": "1"}).trajectory is True
    (tmp_path / "pyproject.toml").write_text("[tool.stance-suite]\ntrajectory = true\n")
    assert resolve_settings({}, tmp_path, {}).trajectory is True


def test_the_profile_decides_the_recipes(tmp_path):
    assert resolve_settings({}, tmp_path, {}).recipes == ("documented", "long")
    assert resolve_settings({"profile": "quick"}, tmp_path, {}).recipes == ("documented",)
    assert resolve_settings({"profile": "complete"}, tmp_path, {}).recipes == tuple(RECIPES)


@pytest.mark.parametrize(
    ("given", "environment", "pyproject", "message"),
    [
        ({"profile": "fast"}, {}, "", "option profile: 'fast' is not one of quick, full, complete"),
        ({}, {"STANCE_SUITE_SEED": "x"}, "", "STANCE_SUITE_SEED: 'x' is no whole number"),
        ({"seed": [-1]}, {}, "", "option seed: -1 is no whole number from 0 up"),
        ({}, {}, "[tool.stance-suite]\nseed = []", "tool.stance-suite.seed: the list is empty; name at least one"),
        ({"samples": 0}, {}, "", "option samples: 0 is no whole number from 1 up"),
        ({}, {"STANCE_SUITE_TRAJECTORY": "maybe"}, "", "STANCE_SUITE_TRAJECTORY: 'maybe' is neither true nor false"),
        ({}, {}, "[tool.stance-suite]\nmodel = 5", "tool.stance-suite.model: 5 is neither a name nor a list"),
        ({}, {}, "[tool.stance-suite]\nmodle = 'a'", "tool.stance-suite.modle is unknown; allowed: model"),
        ({}, {}, "[tool.stance-suite", "pyproject.toml"),
        ({"fixtures": "fixturs"}, {}, "", "option fixtures: there is no folder"),
        ({"before": "a", "after": "b", "model": ("c",)}, {}, "", "option model says how to train"),
        ({"before": "a", "after": "b", "profile": "quick"}, {}, "", "option profile says how to train"),
        ({"before": "a", "after": "b", "trajectory": True}, {}, "", "option trajectory says how to train"),
    ],
)
def test_a_bad_value_names_where_it_came_from_and_nothing_is_ignored(tmp_path, given, environment, pyproject, message):
    (tmp_path / "pyproject.toml").write_text(pyproject)
    with pytest.raises(StanceSuiteError) as raised:
        resolve_settings(given, tmp_path, environment)
    assert message in str(raised.value)


def test_every_option_teaches():
    for option in OPTIONS:
        assert option.help.endswith("."), option.name
        assert len(option.help) > 20, option.name


def test_cells_are_kept_in_the_cache_unless_a_store_is_named(tmp_path):
    def store(given):
        return resolve_settings(given, tmp_path, {}).store

    assert resolve_settings({}, tmp_path, {}).fixtures == tmp_path / "fixtures"
    assert store({"cache": "here"}) == str(tmp_path / "here" / "cells")
    assert store({"cache": "here", "store": "there"}) == str(tmp_path / "there")
    assert store({"store": "/abs/cells"}) == "/abs/cells"
    assert store({"store": "s3://bucket/cells"}) == "s3://bucket/cells"
    assert resolve_settings({}, tmp_path, {"STANCE_SUITE_STORE": "gs://b"}).store == "gs://b"


class Asked(Exception):
    """What was given to be resolved."""


@pytest.mark.parametrize("command", sorted({name for option in OPTIONS for name in option.commands} & {*COMMANDS}))
def test_a_command_takes_the_options_that_are_declared_for_it_and_no_others(command, monkeypatch):
    def ask(given, *_):
        raise Asked(given)

    declared = {option for option in OPTIONS if command in option.commands}
    flags = {flag for parameter in get_command(app).commands[command].params for flag in parameter.opts}
    assert {option for option in OPTIONS if f"--{option.name}" in flags} == declared
    monkeypatch.setattr("stance_suite.cli.options.resolve_settings", ask)
    with pytest.raises(Asked) as asked:
        COMMANDS[command](**{name: f"a {name}" for name in signature(COMMANDS[command]).parameters})
    assert asked.value.args[0].items() >= {option.field: f"a {option.field}" for option in declared}.items()

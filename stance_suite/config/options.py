"""The options, each declared once, as a field of `Settings`: pytest, commands, environment and pyproject.toml read it.

Precedence: command line, then ``STANCE_SUITE_<NAME>``, then ``[tool.stance-suite]`` in pyproject.toml, then the
default. Standard library only: this module is imported whenever pytest starts.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stance_suite.errors import StanceSuiteError
from stance_suite.schema.profiles import PROFILES

if TYPE_CHECKING:
    from stance_suite.schema.recipes import Sweep


@dataclass(frozen=True)
class Option:
    """One option, wherever it is given."""

    field: str
    """Name of the field in `Settings`."""
    help: str
    """What it does, with the allowed values."""
    default: Any
    """Value when nobody says anything; its type is the option's, and that of a tuple's entries if it is repeatable."""
    commands: tuple[str, ...]
    """The commands that take it; pytest takes every option."""
    choices: tuple[str, ...] = ()
    """Allowed values, if they are few."""
    smallest: int = 0
    """Smallest allowed value, of a number."""
    resolve: Callable[[Any, Path], Any] = lambda value, root: value
    """From a checked value and the folder that relative paths are relative to, to the value of the field."""

    @property
    def name(self) -> str:
        """Name without prefix; ``--stance-<name>`` in pytest, ``--<name>`` on the command line."""
        return self.field.replace("_", "-")

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be given several times."""
        return isinstance(self.default, tuple)

    @property
    def value_type(self) -> type:
        """Type of a single value: text, a number, or a switch, which takes no value on the command line."""
        return type(self.default[0] if self.is_repeatable else self.default)

    @property
    def environment_variable(self) -> str:
        """Name of the environment variable that sets it."""
        return f"STANCE_SUITE_{self.field.upper()}"

    @property
    def help_with_default(self) -> str:
        """The help text, ending with the default."""
        default = ", ".join(map(str, self.default)) if self.is_repeatable else self.default
        return self.help if default in ("", False) else f"{self.help} Default: {default}."

    def check(self, value: Any, origin: str) -> Any:
        """Give a value its type that came as text, or as what TOML knows; an error names its origin."""
        if not self.is_repeatable:
            return self._check_one(value, origin)
        listed = value if isinstance(value, list | tuple) else [value]
        if not listed:
            raise StanceSuiteError(f"{origin}: the list is empty; name at least one, or leave the option out")
        if self.value_type is str and not all(isinstance(entry, str) for entry in listed):
            raise StanceSuiteError(f"{origin}: {value!r} is neither a name nor a list of names")
        return tuple(dict.fromkeys(self._check_one(entry, origin) for entry in listed))

    def _check_one(self, value: Any, origin: str) -> Any:
        if self.value_type is bool:
            known = {"true": True, "1": True, "false": False, "0": False}
            if str(value).lower() not in known:
                raise StanceSuiteError(f"{origin}: {value!r} is neither true nor false")
            return known[str(value).lower()]
        if self.value_type is int:
            if not str(value).isdecimal() or int(value) < self.smallest:
                raise StanceSuiteError(f"{origin}: {value!r} is no whole number from {self.smallest} up")
            return int(value)
        if self.choices and value not in (*self.choices, self.default):
            raise StanceSuiteError(f"{origin}: {value!r} is not one of {', '.join(self.choices)}")
        return str(value)


def _option(help_text: str, commands: str, default: Any = "", **more: Any) -> Any:
    """Declare an option as a field, by the attributes of `Option`."""
    return field(metadata={"help": help_text, "default": default, "commands": tuple(commands.split()), **more})


def _path(value: str, root: Path) -> Path | None:
    return root / value if value else None


def _cache(value: str, root: Path) -> Path:
    if value:
        return root / value
    from platformdirs import user_cache_path

    return user_cache_path("stance-suite", appauthor=False)


def _store(value: str, root: Path) -> str:
    return value if "://" in value or not value else str(root / value)


@dataclass(frozen=True)
class Pair:
    """A model before and after a training that was done elsewhere."""

    before: str
    """Registry name, Hub id or folder."""
    after: str
    """The same, or a folder with a LoRA adapter."""
    stance: str | None
    """The stance that it is said to have; None to ask for each."""

    @property
    def label(self) -> str:
        """One name for both."""
        return f"{self.before} -> {self.after}"


@dataclass(frozen=True)
class Settings:
    """The options of one run, resolved."""

    model: tuple[str, ...] = _option(
        "Model to test: a name from the registry (`stance-suite list`), a Hub id (org/name[@revision]) or a folder "
        "with safetensors weights. May be repeated.",
        "run power",
        ("smollm2-135m",),
    )
    before: str = _option(
        "Judge a model that was trained elsewhere: the model before that training, as for 'model'.", "run"
    )
    after: str = _option(
        "Judge a model that was trained elsewhere: the model after that training, a folder with safetensors weights or "
        "with a LoRA adapter, or as for 'model'.",
        "run",
    )
    stance: str = _option("The stance that a model trained elsewhere is said to have; all if omitted.", "run")
    profile: str = _option(
        "How much to run: 'quick' trains with the recipe 'documented' only, 'full' with 'documented' and 'long', "
        "'complete' with 'lora' too. Default: full; of a gate, the policy's own recipe alone.",
        "run gate power",
        choices=tuple(PROFILES),
    )
    seed: tuple[int, ...] = _option(
        "Seed of training order, sampling and noise draws. May be repeated: claims are then judged over all seeds.",
        "run gate power",
        (0,),
    )
    samples: int = _option("Responses sampled for each prompt.", "run gate power", 2, smallest=1)
    trajectory: bool = _option(
        "Measure preference and alpha after every epoch too, from the same training run.", "run", False
    )
    gate: bool = _option("Hold the models against a policy; the run fails if one falls short of it.", "", False)
    policy: Path | None = _option(
        "YAML file of what a gate demands. Default: policy.yaml in the fixtures folder, else the bundled one.",
        "run gate",
        resolve=_path,
    )
    baseline: Path | None = _option(
        "A findings.json whose effects must not be lost; kept under version control.", "gate", resolve=_path
    )
    update_baseline: bool = _option(
        "Write this run's findings, without what only reports need, to the baseline file.", "gate", False
    )
    device: str = _option(
        "Where to compute; 'auto' takes CUDA where there is one.",
        "run gate sweep",
        "auto",
        choices=("auto", "cpu", "cuda"),
    )
    fixtures: Path = _option(
        "Folder with stances/, models/ and claims/. What it lacks is taken from the fixtures that come with "
        "stance-suite.",
        "run gate sweep power validate list init",
        "fixtures",
        resolve=_path,
    )
    cache: Path = _option(
        "Folder for weights and measured cells; shared by all runs, safe for concurrent ones. Default: the user's "
        "cache folder.",
        "run gate sweep cache",
        resolve=_cache,
    )
    store: str = _option(
        "Where measured cells are kept: a folder, or a URL such as s3://bucket/prefix or gs://bucket/prefix, which "
        "machines may share. Default: the folder cells in the cache.",
        "run gate sweep cache",
        resolve=_store,
    )
    reports: Path = _option(
        "Folder that findings.json, findings.html, findings.svg, summary.md and junit.xml are written to.",
        "run gate sweep",
        "reports",
        resolve=_path,
    )
    pictures: Path | None = _option(
        "Folder that every picture of the findings is written to, as SVG and PNG: about a minute and 20 MB for the "
        "default run. Default: none is.",
        "run gate sweep report",
        resolve=_path,
    )
    sweep: Sweep | None = None
    """What a sweep measures, which then says more than the options do."""

    @property
    def pair(self) -> Pair | None:
        """A pair trained elsewhere, which is then judged instead of trainings."""
        return Pair(self.before, self.after, self.stance or None) if self.before else None

    @property
    def recipes(self) -> tuple[str, ...]:
        """Names of the recipes that the sweep or the profile runs."""
        return PROFILES[self.profile or "full"] if self.sweep is None else self.sweep.recipes


OPTIONS = tuple(Option(declared.name, **declared.metadata) for declared in fields(Settings) if declared.metadata)


def resolve_settings(given: Mapping[str, Any], root: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """Resolve all options for one run; an error names the place that a value came from.

    Given are values from the command line by field name, None or empty where nothing was given. Relative paths are
    relative to the root, whose pyproject.toml is read.
    """
    environ = os.environ if environ is None else environ
    configured = _read_pyproject(root / "pyproject.toml", [option.name for option in OPTIONS])
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for option in OPTIONS:
        if given.get(option.field) not in (None, (), []):
            value, origin = given[option.field], f"option {option.name}"
        elif environ.get(option.environment_variable):
            value, origin = environ[option.environment_variable], option.environment_variable
            value = value.split(",") if option.is_repeatable else value
        elif option.name in configured:
            value, origin = configured[option.name], f"{root / 'pyproject.toml'}: tool.stance-suite.{option.name}"
        else:
            value, origin = option.default, "default"
        values[option.field], origins[option.field] = option.check(value, origin), origin
    _refuse_what_would_be_ignored(values, origins)
    settings = Settings(**{option.field: option.resolve(values[option.field], root) for option in OPTIONS})
    if origins["fixtures"] != "default" and not settings.fixtures.is_dir():
        raise StanceSuiteError(f"{origins['fixtures']}: there is no folder {settings.fixtures}")
    return settings if settings.store else replace(settings, store=str(settings.cache / "cells"))


def _refuse_what_would_be_ignored(values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
    before, after = values["before"], values["after"]
    if bool(before) != bool(after):
        given, missing = ("before", "after") if before else ("after", "before")
        raise StanceSuiteError(f"option {given} needs option {missing}: a pair is judged by what changed")
    if values["stance"] and not before:
        raise StanceSuiteError("option stance is about a model trained elsewhere: give options before and after, too")
    trained = [name for name in ("model", "profile", "trajectory") if origins[name].startswith("option ")]
    if before and trained:
        raise StanceSuiteError(f"option {trained[0]} says how to train, and a pair was trained elsewhere: leave it out")
    if values["update_baseline"] and not values["baseline"]:
        raise StanceSuiteError("option update-baseline needs option baseline: the file to write")
    if values["baseline"] and not (values["gate"] or values["update_baseline"]):
        raise StanceSuiteError("option baseline is part of a gate: give option gate, or update-baseline to write it")


def _read_pyproject(path: Path, names: Collection[str]) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text("utf-8")).get("tool", {}).get("stance-suite", {})
    except tomllib.TOMLDecodeError as error:
        raise StanceSuiteError(f"{path}: {error}") from None
    unknown = min(set(table) - set(names), default=None)
    if unknown is not None:
        raise StanceSuiteError(f"{path}: tool.stance-suite.{unknown} is unknown; allowed: {', '.join(names)}")
    return table

"""The options, declared once for pytest, the command line, the environment and pyproject.toml.

Precedence: command line, then ``STANCE_SUITE_<NAME>``, then ``[tool.stance-suite]`` in pyproject.toml, then the
default. Standard library only: this module is imported whenever pytest starts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stance_suite.errors import StanceSuiteError
from stance_suite.option_values import Option, check_value, read_pyproject

if TYPE_CHECKING:
    from stance_suite.run_records import Sweep

PROFILES: Mapping[str, tuple[str, ...]] = {
    "quick": ("documented",),
    "full": ("documented", "long"),
    "complete": ("documented", "long", "lora"),
}
"""Names of the recipes that each profile runs."""

MODEL = Option(
    "model",
    "Model to test: a name from the registry (`stance-suite list`), a Hub id (org/name[@revision]) or a folder with "
    "safetensors weights. May be repeated.",
    default=("smollm2-135m",),
    repeatable=True,
)
PROFILE = Option(
    "profile",
    "How much to run: 'quick' trains with the recipe 'documented' only, 'full' with 'documented' and 'long', "
    "'complete' with 'lora' too. Default: full; of a gate, the policy's own recipe alone.",
    default="",
    choices=tuple(PROFILES),
)
SEED = Option(
    "seed",
    "Seed of training order, sampling and noise draws. May be repeated: claims are then judged over all seeds.",
    default=(0,),
    repeatable=True,
)
SAMPLES = Option("samples", "Responses sampled for each prompt.", default=4, smallest=1)
TRAJECTORY = Option(
    "trajectory", "Measure preference and alpha after every epoch too, from the same training run.", default=False
)
DEVICE = Option(
    "device", "Where to compute; 'auto' takes CUDA where there is one.", default="auto", choices=("auto", "cpu", "cuda")
)
FIXTURES = Option(
    "fixtures",
    "Folder with stances/, models/ and claims/. What it lacks is taken from the fixtures that come with stance-suite.",
    default="fixtures",
)
CACHE = Option(
    "cache",
    "Folder for weights and measured cells; shared by all runs, safe for concurrent ones. Default: the user's cache "
    "folder.",
    default="",
)
STORE = Option(
    "store",
    "Where measured cells are kept: a folder, or a URL such as s3://bucket/prefix or gs://bucket/prefix, which "
    "machines may share. Default: the folder cells in the cache.",
    default="",
)
REPORTS = Option(
    "reports",
    "Folder that findings.json, findings.html, findings.svg, summary.md and junit.xml are written to.",
    default="reports",
)
PICTURES = Option(
    "pictures",
    "Folder that every picture of the findings is written to, as SVG and PNG: about a minute and 20 MB for the default "
    "run. Default: none is.",
    default="",
)

BEFORE = Option(
    "before", "Judge a model that was trained elsewhere: the model before that training, as for 'model'.", default=""
)
AFTER = Option(
    "after",
    "Judge a model that was trained elsewhere: the model after that training, a folder with safetensors weights or "
    "with a LoRA adapter, or as for 'model'.",
    default="",
)
STANCE = Option("stance", "The stance that a model trained elsewhere is said to have; all if omitted.", default="")

GATE = Option("gate", "Hold the models against a policy; the run fails if one falls short of it.", default=False)
POLICY = Option(
    "policy", "YAML file of what a gate demands. Default: policy.yaml in the fixtures folder, else the bundled one.", ""
)
BASELINE = Option("baseline", "A findings.json whose effects must not be lost; kept under version control.", default="")
UPDATE_BASELINE = Option(
    "update-baseline", "Write this run's findings, without what only reports need, to the baseline file.", default=False
)

OPTIONS = (
    MODEL,
    BEFORE,
    AFTER,
    STANCE,
    PROFILE,
    SEED,
    SAMPLES,
    TRAJECTORY,
    GATE,
    POLICY,
    BASELINE,
    UPDATE_BASELINE,
    DEVICE,
    FIXTURES,
    CACHE,
    STORE,
    REPORTS,
    PICTURES,
)


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

    model: tuple[str, ...]
    """Models asked for."""
    pair: Pair | None
    """A pair trained elsewhere, which is then judged instead."""
    profile: str
    """One of `PROFILES`; empty if nobody chose."""
    seed: tuple[int, ...]
    """Seeds of training order, sampling and noise draws."""
    samples: int
    """Responses sampled for each prompt."""
    trajectory: bool
    """Whether to measure after every epoch."""
    gate: bool
    """Whether models are held against a policy."""
    policy: Path | None
    """What a gate demands; None for the fixtures' own."""
    baseline: Path | None
    """Findings whose effects must not be lost."""
    update_baseline: bool
    """Whether to write the baseline instead of holding the run against it."""
    device: str
    """``auto``, ``cpu`` or ``cuda``."""
    fixtures: Path
    """Folder with the user's stances, models and claims; it need not exist."""
    cache: Path
    """Folder for weights."""
    store: str
    """Folder or URL for measured cells."""
    reports: Path
    """Folder for the findings."""
    pictures: Path | None
    """Folder for every picture; None to draw none."""
    sweep: Sweep | None = None
    """What a sweep measures, which then says more than the options do."""

    @property
    def recipes(self) -> tuple[str, ...]:
        """Names of the recipes that the sweep or the profile runs."""
        return PROFILES[self.profile or "full"] if self.sweep is None else self.sweep.recipes


def resolve_settings(given: Mapping[str, Any], root: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """Resolve all options for one run.

    Parameters
    ----------
    given : mapping of str to object
        Values from the command line by field name; None or an empty tuple where nothing was given.
    root : Path
        Folder that relative paths are relative to, and whose pyproject.toml is read.
    environ : mapping of str to str, optional
        The environment; `os.environ` if omitted.

    Returns
    -------
    Settings
        All options, checked.

    Raises
    ------
    StanceSuiteError
        If a value is not allowed; the message names the place it came from.
    """
    environ = os.environ if environ is None else environ
    configured = read_pyproject(root / "pyproject.toml", [option.name for option in OPTIONS])
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for option in OPTIONS:
        if given.get(option.field) not in (None, (), []):
            value, origin = given[option.field], f"option {option.name}"
        elif environ.get(option.environment_variable):
            value, origin = environ[option.environment_variable], option.environment_variable
            value = value.split(",") if option.repeatable else value
        elif option.name in configured:
            value, origin = configured[option.name], f"{root / 'pyproject.toml'}: tool.stance-suite.{option.name}"
        else:
            value, origin = option.default, "default"
        values[option.field], origins[option.field] = check_value(option, value, origin), origin
    cache = root / values["cache"] if values["cache"] else _user_cache()
    return Settings(
        model=values["model"],
        pair=_pair(values["before"], values["after"], values["stance"], origins),
        profile=values["profile"],
        seed=values["seed"],
        samples=values["samples"],
        trajectory=values["trajectory"],
        gate=values["gate"],
        policy=root / values["policy"] if values["policy"] else None,
        baseline=_baseline(values, root),
        update_baseline=values["update_baseline"],
        device=values["device"],
        fixtures=_fixtures(root / values["fixtures"], origins["fixtures"]),
        cache=cache,
        store=_store(values["store"], root, cache),
        reports=root / values["reports"],
        pictures=root / values["pictures"] if values["pictures"] else None,
    )


def _baseline(values: Mapping[str, Any], root: Path) -> Path | None:
    if values["update_baseline"] and not values["baseline"]:
        raise StanceSuiteError("option update-baseline needs option baseline: the file to write")
    if values["baseline"] and not (values["gate"] or values["update_baseline"]):
        raise StanceSuiteError("option baseline is part of a gate: give option gate, or update-baseline to write it")
    return root / values["baseline"] if values["baseline"] else None


def _store(value: str, root: Path, cache: Path) -> str:
    if not value:
        return str(cache / "cells")
    return value if "://" in value else str(root / value)


def _fixtures(path: Path, origin: str) -> Path:
    if origin != "default" and not path.is_dir():
        raise StanceSuiteError(f"{origin}: there is no folder {path}")
    return path


def _pair(before: str, after: str, stance: str, origins: Mapping[str, str]) -> Pair | None:
    if bool(before) != bool(after):
        given, missing = ("before", "after") if before else ("after", "before")
        raise StanceSuiteError(f"option {given} needs option {missing}: a pair is judged by what changed")
    if stance and not before:
        raise StanceSuiteError("option stance is about a model trained elsewhere: give options before and after, too")
    if not before:
        return None
    for field in ("model", "profile", "trajectory"):
        if origins[field].startswith("option "):
            raise StanceSuiteError(f"option {field} says how to train, and a pair was trained elsewhere: leave it out")
    return Pair(before, after, stance or None)


def _user_cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("stance-suite", appauthor=False)

import json
import shutil
from dataclasses import replace

import pytest

from stance_suite.library import load_library
from stance_suite.options import resolve_settings
from stance_suite.profiles import ELSEWHERE
from stance_suite.progress import PlainProgress
from stance_suite.records import Cell
from stance_suite.workbench import Workbench

STANCE = "curious-uncertainty"


@pytest.fixture
def plan_of(tmp_path, tiny_model):
    """Plan a cell of a folder's model: ``base``, a recipe's name, or ``elsewhere``, where it came out unchanged."""

    def plan(kind, folder=tiny_model):
        settings = resolve_settings({"model": (str(folder),), "cache": "cache"}, tmp_path, {})
        bench = Workbench(settings, load_library(settings.fixtures), PlainProgress(), None)
        treatment = {"base": "base", ELSEWHERE: ELSEWHERE}.get(kind, "stance")
        name, recipe = (STANCE, kind) if treatment == "stance" else (None, None if kind == "base" else kind)
        cell = Cell(model=str(folder), treatment=treatment, stance=name, recipe=recipe, seed=0)
        planned = bench.plan(cell, STANCE)
        return replace(planned, derivative=planned.weights) if kind == ELSEWHERE else planned

    return plan


@pytest.fixture
def resized(tmp_path, tiny_model):
    """A folder whose config tells of another size; its weights, which nothing reads, are left as they are."""

    def build(**sizes):
        folder = tmp_path / "-".join(f"{name}-{size}" for name, size in sizes.items())
        shutil.copytree(tiny_model, folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | sizes))
        return folder

    return build

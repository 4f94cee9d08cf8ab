import json
import shutil
from dataclasses import replace

import pytest

from stance_suite.config.catalog import load_catalog
from stance_suite.config.options import resolve_settings
from stance_suite.progress import PlainProgress
from stance_suite.runner.cell_runner import CellRunner
from stance_suite.schema.cells import Cell
from stance_suite.schema.profiles import ELSEWHERE

STANCE = "curious-uncertainty"


@pytest.fixture
def spec_of(tmp_path, tiny_model):
    """Specify a cell of a folder's model: ``base``, a recipe's name, or ``elsewhere``, where it came out unchanged."""

    def spec(kind, folder=tiny_model):
        settings = resolve_settings({"model": (str(folder),), "cache": "cache"}, tmp_path, {})
        cell_runner = CellRunner(settings, load_catalog(settings.fixtures), PlainProgress(), None)
        treatment = {"base": "base", ELSEWHERE: ELSEWHERE}.get(kind, "stance")
        name, recipe = (STANCE, kind) if treatment == "stance" else (None, None if kind == "base" else kind)
        cell = Cell(model=str(folder), treatment=treatment, stance=name, recipe=recipe, seed=0)
        spec = cell_runner.plan(cell, STANCE)
        return replace(spec, derivative=spec.weights) if kind == ELSEWHERE else spec

    return spec


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

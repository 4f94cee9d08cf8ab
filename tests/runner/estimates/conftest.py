import json
import shutil
from dataclasses import replace

import pytest

from stance_suite.runner.plan import control_cell, tuned_cell
from stance_suite.schema.cells import Cell
from stance_suite.schema.controls import BASE
from stance_suite.schema.profiles import ELSEWHERE
from tests.measuring import STANCE, open_session

LARGE = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 16}


@pytest.fixture
def spec_of(tmp_path, tiny_model):
    """Specify a cell of a folder's model: ``base``, a recipe's name, or ``elsewhere``, where it came out unchanged."""

    cell_runner = open_session(tmp_path, tiny_model).cell_runner

    def spec(kind, folder=tiny_model):
        if kind == ELSEWHERE:
            cell = Cell(model=str(folder), treatment=ELSEWHERE, stance=None, recipe=ELSEWHERE, seed=0)
            spec = cell_runner.plan(cell, STANCE)
            return replace(spec, derivative=spec.weights)
        base, tuned = control_cell(BASE, str(folder), None, 0, STANCE), tuned_cell(str(folder), STANCE, kind, 0)
        return cell_runner.plan(base if kind == BASE else tuned, STANCE)

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


@pytest.fixture
def large(resized):
    return resized(**LARGE)

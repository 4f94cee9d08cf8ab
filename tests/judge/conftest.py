import pytest

from stance_suite.judge.behavior import evidence, triangulation
from stance_suite.judge.statistics import paired_effect

_effects = {}


@pytest.fixture(scope="module")
def remembered_effects():
    """Most edits leave nearly all scores as they were, and bootstraps are what takes time: one for each table."""

    def remembered(table, largest):
        key = table.shape, table.tobytes(), largest
        if key not in _effects:
            _effects[key] = paired_effect(table, largest)
        return _effects[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in (evidence, triangulation):
            patch.setattr(module, "paired_effect", remembered)
        yield

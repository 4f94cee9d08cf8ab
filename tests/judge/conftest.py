import pytest

from stance_suite.judge.behavior import triangulation, verdict
from stance_suite.judge.statistics import paired_effect

_effects = {}


@pytest.fixture(scope="module")
def remembered_effects():
    """Most edits leave nearly all scores as they were, and bootstraps are what takes time: one for each table."""

    def remembered(table):
        key = table.shape, table.tobytes()
        if key not in _effects:
            _effects[key] = paired_effect(table)
        return _effects[key]

    with pytest.MonkeyPatch.context() as patch:
        for module in (verdict, triangulation):
            patch.setattr(module, "paired_effect", remembered)
        yield

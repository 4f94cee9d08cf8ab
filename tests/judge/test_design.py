import pytest

from stance_suite.judge.design import find_replicates
from tests.edits import altered
from tests.made_up_run import SEEDS


def test_each_seed_stands_beside_its_own_controls(whole_run, stance):
    found = find_replicates(whole_run.cells, "m", stance, "documented")
    beside = ("base-", "sham-", f"shuffled-{stance.name}", *(f"stance-{name}" for name in stance.contrasts))
    assert [[record.key for record in one.records] for one in found] == [
        [f"{name}-{seed}" for name in (f"stance-{stance.name}", *beside)] for seed in SEEDS
    ]


def test_cells_of_another_family_are_no_controls(whole_run, stance):
    def other_family(record):
        scores = dict.fromkeys((stance.name, "a", "b"), -1.0)
        renamed = tuple(altered(entry, log_probability=scores) for entry in record.behavior.likelihoods)
        said = altered(record.behavior, likelihoods=renamed)
        return altered(record, family="g", key=f"g-{record.key}", behavior=said)

    both = (*map(other_family, whole_run.cells), *whole_run.cells)
    for asked, family in ((stance, "f"), (altered(stance, contrasts=("a", "b")), "g")):
        found = find_replicates(both, "m", asked, "documented")
        assert {record.family for one in found for record in one.records} == {family}


def test_a_model_trained_elsewhere_has_no_sham_and_answers_for_every_stance_of_its_family(whole_run, library):
    base, tuned = whole_run.cells[0], whole_run.cells[-1]
    told = {"treatment": "elsewhere", "stance": None, "recipe": "elsewhere", "seed": base.cell.seed}
    cells = base, altered(tuned, cell=altered(tuned.cell, **told))
    for name in ("curious-uncertainty", "engaged-difficulty"):
        (one,) = find_replicates(cells, "m", library.summaries[name], "elsewhere")
        assert (one.tuned.cell.treatment, one.base.key, one.controls) == ("elsewhere", base.key, {})


@pytest.mark.parametrize("missing", ["base--1", "sham--0"])
def test_a_missing_control_is_told(whole_run, stance, missing):
    cells = [record for record in whole_run.cells if record.key != missing]
    with pytest.raises(LookupError, match="no control beside m trained on curious-uncertainty"):
        find_replicates(cells, "m", stance, "documented")
    with pytest.raises(LookupError, match="no cell of large"):
        find_replicates(cells, "large", stance, "documented")

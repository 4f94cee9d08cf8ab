import pytest

from stance_suite.judge.design import find_replicates
from tests.made_up_run import SEEDS


def test_each_seed_stands_beside_its_own_controls(whole_run, stance):
    found = find_replicates(whole_run.cells, "m", stance, "documented")
    assert [[record.key for record in one.records] for one in found] == [
        [f"stance-{stance.name}-{seed}", f"base--{seed}", f"sham--{seed}"] for seed in SEEDS
    ]


def test_cells_of_another_family_are_no_controls(whole_run, stance):
    def other_family(record):
        renamed = [
            entry.model_copy(
                update={"log_probability": {stance.name: -1.0, "a": -1.0, "b": -1.0}},
            )
            for entry in record.behavior.likelihoods
        ]
        said = record.behavior.model_copy(update={"likelihoods": tuple(renamed)})
        return record.model_copy(update={"family": "g", "key": f"g-{record.key}", "behavior": said})

    both = (*map(other_family, whole_run.cells), *whole_run.cells)
    found = find_replicates(both, "m", stance, "documented")
    assert all(record.family == "f" for one in found for record in one.records)
    rivals = stance.model_copy(update={"contrasts": ("a", "b")})
    found = find_replicates(both, "m", rivals, "documented")
    assert all(record.family == "g" for one in found for record in one.records)


def test_a_model_trained_elsewhere_has_no_sham_and_answers_for_every_stance_of_its_family(whole_run, library):
    base, tuned = whole_run.cells[0], whole_run.cells[-1]
    elsewhere = tuned.cell.model_copy(update={"treatment": "elsewhere", "stance": None, "recipe": "elsewhere"})
    cells = base, tuned.model_copy(update={"cell": elsewhere.model_copy(update={"seed": base.cell.seed})})
    for name in ("curious-uncertainty", "engaged-difficulty"):
        (one,) = find_replicates(cells, "m", library.stance(name), "elsewhere")
        assert (one.tuned.cell.treatment, one.base.key, one.controls) == ("elsewhere", base.key, {})


@pytest.mark.parametrize("missing", ["base--1", "sham--0"])
def test_a_missing_control_is_told(whole_run, stance, missing):
    cells = [record for record in whole_run.cells if record.key != missing]
    with pytest.raises(LookupError, match="no control beside m trained on curious-uncertainty"):
        find_replicates(cells, "m", stance, "documented")
    with pytest.raises(LookupError, match="no cell of large"):
        find_replicates(cells, "large", stance, "documented")

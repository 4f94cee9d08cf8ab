"""The corpus of planted edits beside real trainings: what the gate sees, and what it leaves alone."""

import pytest

from stance_suite.judge.structure.unexplained import UnexplainedChange, unexplained_changes
from stance_suite.runner.selftest import Trial, try_edits, try_nothing
from stance_suite.spectra.planted import KINDS
from tests.planted.corpus import TIMES, both, locate_folder, quiet, smallest_found

GATE = (
    "rank-one edit",
    "left singular vectors exchanged",
    "one head zeroed",
    "a norm's weights scaled",
    "a bias moved",
)

FOUND = (UnexplainedChange("a", None, 1.0, {}, 1.0),)


@pytest.mark.parametrize(
    ("seen", "smallest"), [("111", 0.001), ("011", 0.01), ("101", 0.05), ("110", None), ("000", None)]
)
def test_the_smallest_found_is_one_from_which_on_all_are(seen, smallest):
    trials = [
        Trial("t", KINDS[0], size, ("a.weight",), FOUND if one == "1" else ())
        for size, one in zip(KINDS[0].sizes, seen, strict=True)
    ]
    assert smallest_found(trials) == {"t": smallest}


def test_a_training_is_explained_by_its_sham_and_an_edit_on_top_of_it_is_not(twin):
    _, trained = both(locate_folder(twin("distilgpt2")))
    assert max(one.weight_change.relative_norm for one in trained.changed.layers) > 1e-4
    assert unexplained_changes(trained.changed, trained.sham, TIMES) == ()
    kinds = [kind for kind in KINDS if kind.name in GATE]
    trials = list(try_edits(trained, quiet, TIMES, kinds))
    largest = [trial for trial in trials if trial.size == trial.kind.sizes[-1]]
    assert [trial.name for trial in largest if not trial.is_found] == []
    assert len(largest) == len(GATE)


def test_without_its_sham_a_training_is_explained_by_the_other_layers(twin):
    _, trained = both(locate_folder(twin("qwen2-0.5b")))
    assert unexplained_changes(trained.changed) == ()


@pytest.mark.slow
def test_on_real_weights_every_edit_of_its_documented_size_is_seen(smollm2):
    alone, trained = both(smollm2)
    assert [trial.found for trial in try_nothing(alone, quiet)] == [(), (), ()]
    assert unexplained_changes(trained.changed, trained.sham, TIMES) == ()
    # without its sham, one figure of a real training is not explained: embeddings have no others of their role
    assert {one.name for one in unexplained_changes(trained.changed)} <= {"model.embed_tokens"}
    assert [trial.name for trial in try_edits(alone, quiet) if not trial.is_as_documented] == []
    smallest = smallest_found(try_edits(trained, quiet, TIMES))
    assert {name for name, size in smallest.items() if size is None} == set()

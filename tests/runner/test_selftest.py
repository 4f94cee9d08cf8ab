"""What is planted is seen, and nothing else."""

from dataclasses import replace

import pytest

from stance_suite.judge.structure.unexplained import UnexplainedChange
from stance_suite.runner.selftest import Trial, try_edits, try_nothing, untrained
from stance_suite.spectra.planted import KINDS

RANK_ONE = KINDS[0]


@pytest.fixture(scope="module")
def background(twin):
    return untrained(twin("distilgpt2"))


def quiet(*_):
    pass


def found(*names):
    return tuple(UnexplainedChange(name, None, 1.0, {}, 1.0) for name in names)


def test_what_is_nothing_shows_nothing(background):
    trials = list(try_nothing(background, quiet))
    assert [trial.name for trial in trials] == ["itself", "rounded to bfloat16", "noise of the size of rounding"]
    assert [trial.found for trial in trials] == [(), (), ()]


def test_more_noise_than_rounding_is_seen_in_one_tensor_and_not_in_all(background, monkeypatch):
    monkeypatch.setattr("stance_suite.runner.selftest.NOISE_OF_ROUNDING", 0.016)
    *_, noisy = try_nothing(background, quiet)
    assert noisy.found == ()  # all tensors alike
    ours = list(try_edits(background, quiet, kinds=KINDS[2:3]))[1]
    assert ours.is_found  # one tensor by itself


def test_every_edit_of_its_documented_size_is_seen(background):
    steps = []
    trials = list(try_edits(background, lambda *step: steps.append(step)))
    assert [trial.name for trial in trials if not trial.is_as_documented] == []
    assert steps[-1] == (3 * len(KINDS), 3 * len(KINDS))
    assert sum(trial.is_found for trial in trials) >= 2.5 * len(KINDS)


@pytest.mark.parametrize(
    ("names", "is_found"),
    [((), False), (("h.0.c",), True), (("h.0.c", "h.1.c"), False), (("h.1.c",), False)],
)
def test_an_edit_is_found_if_its_tensor_is_named_and_no_other(names, is_found):
    assert Trial("t", RANK_ONE, 0.05, ("h.0.c.weight",), found(*names)).is_found is is_found


def test_an_edit_may_be_missed_below_its_documented_size_only():
    kind = replace(RANK_ONE, missed=1)
    trials = [Trial("t", kind, size, ("a.weight",), ()) for size in kind.sizes]
    assert [trial.is_as_documented for trial in trials] == [True, False, False]
    assert not Trial("t", kind, kind.sizes[0], ("a.weight",), found("b")).is_as_documented
    assert Trial("t", kind, 1.0, (), ()).is_as_documented  # a model without such a tensor
    assert not Trial("itself", None, 0.0, (), found("b")).is_as_documented

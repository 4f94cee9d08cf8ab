from dataclasses import replace
from functools import partial

import pytest
import torch

from stance_suite.runner.estimates.duration import Speed, estimate_seconds, measure_speed
from stance_suite.runner.estimates.estimate import estimate

SPEED = Speed(multiplying=80e9, streaming=18e9, solving=11e9, calling=7e5)


seconds = partial(estimate_seconds, speed=SPEED, threads=1)


def test_ten_epochs_cost_five_times_as_many_steps_as_two(spec_of):
    two, ten = seconds(spec_of("documented")), seconds(spec_of("long"))
    untrained = seconds(replace(spec_of("documented"), recipe=None))
    assert two > untrained
    assert ten - untrained == pytest.approx(5 * (two - untrained))


def test_what_takes_longer_is_estimated_longer(spec_of, resized):
    spec = spec_of("documented")
    sampling = spec.probe.sampling.model_copy(update={"samples": 8})
    for changed in (
        spec_of("documented", resized(hidden_size=512)),
        spec_of("documented", resized(num_hidden_layers=4)),
        replace(spec, trajectory=True),
        replace(spec, probe=spec.probe.model_copy(update={"sampling": sampling})),
        replace(spec, derivative=spec.weights),
    ):
        assert seconds(changed) > 1.05 * seconds(spec)


def test_threads_multiply_faster_and_a_faster_machine_needs_less(spec_of, resized):
    large = spec_of("documented", resized(hidden_size=2048, intermediate_size=8192))
    assert 0.3 * seconds(large) < seconds(large, threads=4) < 0.9 * seconds(large)
    assert seconds(spec_of("documented"), threads=4) == pytest.approx(seconds(spec_of("documented")), rel=0.05)
    for name in vars(SPEED):
        faster = replace(SPEED, **{name: 4 * getattr(SPEED, name)})
        assert seconds(large, speed=faster) < seconds(large)


def test_an_estimate_says_what_a_cell_takes_and_leaves_the_number_of_threads_alone(spec_of):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        measure_speed.cache_clear()
        found = estimate(spec_of("documented"), "cpu", 1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert all(figure > 0 for figure in vars(measure_speed()).values())
    assert found.seconds > 0
    assert (found.threads, found.gpus) == (1, 0)
    assert estimate(spec_of("documented"), "cuda", 1).gpus == 1

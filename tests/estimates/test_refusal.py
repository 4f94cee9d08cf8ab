import pytest

from stance_suite.errors import StanceSuiteError
from stance_suite.estimates import Available, check_memory, estimate_memory
from tests.conftest import finish, start_suite

HUGE = {"hidden_size": 16384, "intermediate_size": 65536, "num_hidden_layers": 126}
"""Half a trillion parameters: no machine that runs these tests trains them."""


@pytest.fixture
def large(resized):
    return resized(hidden_size=1024, intermediate_size=4096, num_hidden_layers=16)


def refusal(plans, available, limited_by="this machine has"):
    with pytest.raises(StanceSuiteError) as refused:
        check_memory(plans, "cpu", Available(available, limited_by))
    return str(refused.value)


def test_what_fits_is_not_refused(plan_of, large):
    plan = plan_of("documented", large)
    needed = estimate_memory(plan, "cpu").total
    check_memory([plan], "cpu", Available(needed, "this machine has"))
    assert refusal([plan], needed - 1)
    check_memory([], "cpu", Available(0, "this machine has"))


def test_a_refusal_says_what_for_what_there_is_and_the_way_out(plan_of, large):
    plans = [plan_of(kind, large) for kind in ("base", "documented")]
    memory, lora = (estimate_memory(plan_of(kind, large), "cpu") for kind in ("documented", "lora"))
    said = refusal(plans, lora.total + 1, "the limit of its control group leaves")
    for figure, what in (
        (memory.total, "of memory"),
        (memory.weights, "for weights (3 copies"),
        (memory.gradients, "for gradients"),
        (memory.optimizer, "for the optimizer"),
        (memory.working, "for activations"),
        (memory.libraries, "for Python and its libraries"),
    ):
        assert f"{figure / 1e9:.1f} GB {what}" in said
    assert said.startswith(f"{large}, curious-uncertainty (documented) would need")
    assert f"the limit of its control group leaves {lora.total / 1e9:.1f} GB" in said
    assert f"The recipe lora needs {lora.total / 1e9:.1f} GB" in said
    assert "lora" not in refusal(plans, lora.total - 1), "no way out that is none"


def test_what_is_not_trained_is_refused_without_gradients(plan_of, large):
    said = refusal([plan_of("base", large)], 0)
    assert "gradients" not in said
    assert "Use a smaller model" in said


@pytest.mark.parametrize(
    ("tool", "code", "stream"), [("pytest", 4, "stderr"), ("stance-suite", 2, "stderr")], ids=["pytest", "stance-suite"]
)
def test_a_run_that_needs_more_than_there_is_stops_before_anything_is_trained(project, resized, tool, code, stream):
    done = finish(start_suite(project, resized(**HUGE), tool))
    assert done.returncode == code, done.stdout + done.stderr
    said = " ".join(getattr(done, stream).split())
    assert "of memory:" in said
    assert "for the optimizer" in said
    assert "Traceback" not in done.stdout + done.stderr
    assert "fine-tuning" not in done.stderr
    assert not (project / "cache" / "cells").exists()


def test_a_run_whose_cells_are_all_measured_is_not_refused(finished, project, tiny_model, monkeypatch):
    from stance_suite import pipeline, preflight
    from stance_suite.options import resolve_settings
    from stance_suite.progress import PlainProgress

    monkeypatch.setattr(preflight, "available_memory", lambda: Available(0, "this machine has"))

    def session(**options):
        given = {"model": (str(tiny_model),), "profile": "quick", "cache": "cache"} | options
        return pipeline.Session(resolve_settings(given, project, {}), PlainProgress())

    bench = session().workbench
    for stance in ("curious-uncertainty", "engaged-difficulty"):
        training = bench.plan_training(str(tiny_model), stance, "documented", 0)
        assert all(bench.store.has(key) for key, _ in training)
    with pytest.raises(StanceSuiteError, match="of memory"):
        session(seed=(1,)).preflight()

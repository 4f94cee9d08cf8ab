import pytest

from stance_suite.errors import StanceSuiteError
from stance_suite.estimates import Available, available_memory, check_memory, estimate_memory
from tests.conftest import start_suite
from tests.sweeping import run_sweep, write_sweep

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


def test_workers_are_refused_that_together_need_more_than_there_is(plan_of, large):
    plans = [plan_of(kind, large) for kind in ("base", "documented", "lora")]
    documented, lora, base = sorted((estimate_memory(plan, "cpu").total for plan in plans), reverse=True)
    together = Available(documented + lora, "this machine has")
    check_memory(plans, "cpu", together, workers=2)
    with pytest.raises(StanceSuiteError) as refused:
        check_memory(plans, "cpu", together, workers=8)
    assert f"3 workers would need {(documented + lora + base) / 1e9:.1f} GB of memory" in str(refused.value)
    assert f"{documented / 1e9:.1f} GB for {large}, curious-uncertainty (documented)" in str(refused.value)
    assert str(refused.value).endswith(f"this machine has {(documented + lora) / 1e9:.1f} GB. Ask for 2")


@pytest.fixture
def filling(resized, plan_of):
    """A model of which one training fits into the memory that there is now, and two do not."""

    def sized(layers):
        model = resized(hidden_size=2048, intermediate_size=8192, num_hidden_layers=layers)
        return model, estimate_memory(plan_of("documented", model), "cpu").total

    one, two = (sized(layers)[1] for layers in (1, 2))
    return sized(1 + round((0.7 * available_memory().memory_bytes - one) / (two - one)))[0]


@pytest.mark.parametrize("tool", ["pytest", "sweep"])
def test_workers_that_fit_one_by_one_but_not_together_are_told_how_many_do(project, filling, tool):
    if tool == "pytest":
        done = start_suite(project, filling, "pytest", "-n", "2").finish()
    else:
        write_sweep(project, filling)
        done = run_sweep(project, "--workers", "2")
    assert done.returncode == (4 if tool == "pytest" else 2), done.stdout + done.stderr
    said = " ".join((done.stdout + done.stderr).split())
    assert "2 workers would need" in said
    assert "Ask for 1" in said
    assert "Traceback" not in said
    assert not (project / "cache" / "cells").exists()


@pytest.mark.parametrize(
    ("tool", "code", "stream"), [("pytest", 4, "stderr"), ("stance-suite", 2, "stderr")], ids=["pytest", "stance-suite"]
)
def test_a_run_that_needs_more_than_there_is_stops_before_anything_is_trained(project, resized, tool, code, stream):
    done = start_suite(project, resized(**HUGE), tool).finish()
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

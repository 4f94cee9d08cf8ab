from functools import partial

import pytest
import torch

from stance_suite.errors import StanceSuiteError
from stance_suite.estimates import Available, check_memory, check_memory_of_workers, estimate_memory
from tests.conftest import start_suite
from tests.sweeping import start_sweep, write_sweep

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
    most, next_most, least = sorted((estimate_memory(plan, "cpu").total for plan in plans), reverse=True)
    available = Available(most + next_most, "this machine has")
    check_memory_of_workers(plans, "cpu", available, 2)
    with pytest.raises(StanceSuiteError) as refused:
        check_memory_of_workers(plans, "cpu", available, 8)
    assert str(refused.value) == (
        f"3 cells at once would need {(most + next_most + least) / 1e9:.1f} GB of memory; this machine has "
        f"{(most + next_most) / 1e9:.1f} GB. Ask for 2 at once: -n 2 of pytest, --workers 2 of a sweep"
    )
    with pytest.raises(StanceSuiteError, match="for the optimizer"):
        check_memory_of_workers(plans, "cpu", Available(most - 1, "this machine has"), 2)


def test_workers_are_refused_that_together_need_more_than_a_gpu_has(plan_of, large, monkeypatch):
    plans = [plan_of(kind, large) for kind in ("base", "documented")]
    needs = [estimate_memory(plan, "cuda").gpu for plan in plans]
    plenty = Available(10**15, "this machine has")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (sum(needs), 10**15))
    check_memory_of_workers(plans, "cuda", plenty, 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (sum(needs) - 1, 10**15))
    with pytest.raises(StanceSuiteError, match=r"^2 cells at once would need .* of the GPU's memory; .* Ask for 1 "):
        check_memory_of_workers(plans, "cuda", plenty, 2)
    check_memory(plans, "cuda", plenty)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (max(needs) - 1, 10**15))
    with pytest.raises(StanceSuiteError, match="Use a larger GPU"):
        check_memory(plans, "cuda", plenty)


MACHINE = """
import psutil
from types import SimpleNamespace
psutil.virtual_memory = lambda: SimpleNamespace(available={available})
"""


@pytest.mark.parametrize("tool", ["pytest", "sweep"])
def test_workers_that_fit_one_by_one_but_not_together_are_told_how_many_do(project, large, plan_of, tool):
    machine = MACHINE.format(available=round(1.5 * estimate_memory(plan_of("documented", large), "cpu").total))
    if tool == "pytest":
        (project / "conftest.py").write_text(machine)  # workers read it, too
        done = start_suite(project, large, "pytest", "-n", "2").finish()
    else:
        write_sweep(project, large)
        done = start_sweep(project, "--workers", "2", prepare=partial(exec, machine, {})).finish()
    assert done.returncode == (4 if tool == "pytest" else 2), done.stdout + done.stderr
    said = " ".join((done.stdout + done.stderr).split())
    assert "2 cells at once would need" in said
    assert "Ask for 1 at once" in said
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
        assert all(bench.store.has(plan.key) for plan in training)
    with pytest.raises(StanceSuiteError, match="of memory"):
        session(seed=(1,)).preflight()

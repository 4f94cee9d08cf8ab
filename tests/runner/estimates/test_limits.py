import re
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest
import torch

from stance_suite.errors import StanceSuiteError
from stance_suite.pytest_plugin.collector import USAGE_ERROR_OF_WORKER
from stance_suite.pytest_plugin.fixtures import STATE
from stance_suite.pytest_plugin.hooks import pytest_collection_modifyitems
from stance_suite.runner.estimates import limits
from stance_suite.runner.estimates.limits import (
    Available,
    available_memory,
    check_memory,
    check_memory_of_workers,
    left_by_control_groups,
    memory_for_workers,
)
from stance_suite.runner.estimates.memory import estimate_memory
from tests.conftest import start_suite
from tests.measuring import open_session
from tests.programs import invoke
from tests.sweeping import write_sweep

LIMITED = """
import resource, sys
import psutil
from stance_suite.runner.estimates.limits import available_memory, memory_for_workers

own = psutil.Process().memory_info()
limit = getattr(resource, sys.argv[1])
left = 300_000_000
resource.setrlimit(limit, (getattr(own, sys.argv[2]) + left, resource.RLIM_INFINITY))
found = available_memory()
assert memory_for_workers(0).limited_by != found.limited_by, "it is about each process"
print(found.limited_by, (found.memory_bytes - own.rss) / left, sep="|")
"""
HUGE = {"hidden_size": 16384, "intermediate_size": 65536, "num_hidden_layers": 126}
"""Half a trillion parameters: no machine that runs these tests trains them."""


def put_groups(root, listed, **groups):
    """Write the system's files: which control groups a process is in, and what each has, by its path."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(listed)
    for path, files in groups.items():
        folder = root / "sys" / "fs" / "cgroup" / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(f"{text}\n")
    return root


@pytest.fixture
def contained(tmp_path):
    """A machine on which a control group leaves 4000 bytes."""
    group = {"memory.max": 5000, "memory.current": 1000, "memory.stat": "anon 1"}
    return put_groups(tmp_path, "0::/", **{".": group})


def test_version_2_leaves_its_limit_less_what_is_used_and_not_droppable(tmp_path):
    assert list(left_by_control_groups(tmp_path)) == [], "without control groups nothing bounds"
    own = {"memory.max": "max", "memory.current": 3000, "memory.stat": "anon 1\ninactive_file 500"}
    above = {"memory.max": 10_000, "memory.current": 4000, "memory.stat": "inactive_file 1000"}
    root = put_groups(tmp_path, "0::/job/step", **{"job/step": own, "job": above})
    assert list(left_by_control_groups(root)) == [10_000 - 4000 + 1000]


def test_version_1_is_read_at_the_root_of_a_container_that_lacks_its_own_folder(tmp_path):
    stat = "cache 1\ntotal_inactive_file 100"
    group = {"memory.limit_in_bytes": 9000, "memory.usage_in_bytes": 2000, "memory.stat": stat}
    root = put_groups(tmp_path, "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/", memory=group)
    assert list(left_by_control_groups(root)) == [9000 - 2000 + 100]


def test_a_machine_offers_what_is_free_unless_a_control_group_bounds_it(contained):
    found = available_memory()
    assert 0.2 * psutil.virtual_memory().available < found.memory_bytes <= psutil.virtual_memory().total
    found = available_memory(contained)
    assert found.limited_by == "the limit of its control group leaves"
    assert found.memory_bytes < psutil.Process().memory_info().rss * 1.1 + 4000


def test_what_workers_have_together_is_what_they_share_and_what_those_that_run_already_hold(contained):
    assert memory_for_workers(0, contained) == Available(4000, "the limit of its control group leaves")
    held = memory_for_workers(3, contained).memory_bytes - 4000
    assert held == pytest.approx(3 * psutil.Process().memory_info().rss, rel=0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limits are not enforced")
@pytest.mark.parametrize(("limit", "used"), [("RLIMIT_AS", "vms"), ("RLIMIT_DATA", "data")])
def test_a_limit_of_the_process_bounds_what_is_available(limit, used):
    command = [sys.executable, "-c", LIMITED, limit, used]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    limited_by, share = done.stdout.strip().split("|")
    assert limited_by == "ulimit leaves"
    assert 0.9 < float(share) <= 1.1


def refusal(specs, available, limited_by="this machine has"):
    with pytest.raises(StanceSuiteError) as refused:
        check_memory(specs, "cpu", Available(available, limited_by))
    return str(refused.value)


def test_a_refusal_says_what_for_what_there_is_and_the_way_out(spec_of, large):
    specs = [spec_of(kind, large) for kind in ("base", "documented")]
    memory, lora = (estimate_memory(spec_of(kind, large), "cpu") for kind in ("documented", "lora"))
    check_memory(specs, "cpu", Available(memory.total, "this machine has"))
    check_memory([], "cpu", Available(0, "this machine has"))
    assert refusal(specs, memory.total - 1)
    said = refusal(specs, lora.total + 1, "the limit of its control group leaves")
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
    assert "lora" not in refusal(specs, lora.total - 1), "no way out that is none"
    said = refusal(specs[:1], 0)
    assert "gradients" not in said, "it is not trained"
    assert "Use a smaller model" in said


def test_workers_are_refused_that_together_need_more_than_there_is(spec_of, large):
    specs = [spec_of(kind, large) for kind in ("base", "documented", "lora")]
    most, next_most, least = sorted((estimate_memory(spec, "cpu").total for spec in specs), reverse=True)
    available = Available(most + next_most, "this machine has")
    check_memory_of_workers(specs, "cpu", available, 2)
    with pytest.raises(StanceSuiteError) as refused:
        check_memory_of_workers(specs, "cpu", available, 8)
    assert str(refused.value) == (
        f"3 cells at once would need {(most + next_most + least) / 1e9:.1f} GB of memory; this machine has "
        f"{(most + next_most) / 1e9:.1f} GB. Ask for 2 at once: -n 2 of pytest, --workers 2 of a sweep"
    )
    with pytest.raises(StanceSuiteError, match="for the optimizer"):
        check_memory_of_workers(specs, "cpu", Available(most - 1, "this machine has"), 2)


def test_workers_are_refused_that_together_need_more_than_a_gpu_has(spec_of, large, monkeypatch):
    specs = [spec_of(kind, large) for kind in ("base", "documented")]
    needs = [estimate_memory(spec, "cuda").gpu for spec in specs]
    plenty = Available(10**15, "this machine has")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    def of_a_gpu_with(free, check, *workers):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free, 10**15))
        check(specs, "cuda", plenty, *workers)

    of_a_gpu_with(sum(needs), check_memory_of_workers, 2)
    with pytest.raises(StanceSuiteError, match=r"^2 cells at once would need .* of the GPU's memory; .* Ask for 1 "):
        of_a_gpu_with(sum(needs) - 1, check_memory_of_workers, 2)
    of_a_gpu_with(max(needs), check_memory)
    with pytest.raises(StanceSuiteError, match="Use a larger GPU"):
        of_a_gpu_with(max(needs) - 1, check_memory)


def assert_nothing_was_measured(project, done, *said):
    told = " ".join((done.stdout + done.stderr).split())
    assert all(part in told for part in said), told
    assert "Traceback" not in told
    assert "fine-tuning" not in told
    assert not (project / "cache" / "cells").exists()


@pytest.fixture
def room_for_one(large, spec_of, monkeypatch):
    """A machine that has room for one cell of the large model, and not for two."""
    room = round(1.5 * estimate_memory(spec_of("documented", large), "cpu").total)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=room))


@pytest.mark.usefixtures("room_for_one")
def test_workers_of_pytest_that_fit_one_by_one_but_not_together_tell_how_many_do(project, large):
    run = SimpleNamespace(usage_error=None, is_gate=True, session=open_session(project, large))
    told, items = {}, [None]
    worker = {"stash": {STATE: run}, "workerinput": {"workercount": 2}, "workeroutput": told}
    pytest_collection_modifyitems(SimpleNamespace(**worker, option=SimpleNamespace(collectonly=False)), items)
    assert re.search("2 cells at once would need .* Ask for 1 at once", told[USAGE_ERROR_OF_WORKER])
    assert not items, "nothing is run"


@pytest.mark.usefixtures("room_for_one")
def test_workers_of_a_sweep_that_fit_one_by_one_but_not_together_are_told_how_many_do(project, large, monkeypatch):
    monkeypatch.chdir(project)
    write_sweep(project, large)
    done = invoke("sweep", "sweep.yaml", "--cache", "cache", "--workers", 2, code=2)
    assert_nothing_was_measured(project, done, "2 cells at once would need", "Ask for 1 at once")


def test_a_run_that_needs_more_than_there_is_stops_before_anything_is_trained(project, resized):
    done = start_suite(project, resized(**HUGE), "pytest").finish(4)
    assert_nothing_was_measured(project, done, "of memory:", "for the optimizer")


def test_a_run_whose_cells_are_all_measured_is_not_refused(finished, project, tiny_model, monkeypatch):
    monkeypatch.setattr(limits, "available_memory", lambda: Available(0, "this machine has"))

    cell_runner = open_session(project, tiny_model).cell_runner
    for stance in ("curious-uncertainty", "engaged-difficulty"):
        training = cell_runner.plan_training(str(tiny_model), stance, "documented", 0)
        assert all(cell_runner.store.has(spec.key) for spec in training)
    with pytest.raises(StanceSuiteError, match="of memory"):
        open_session(project, tiny_model, seed=(1,)).preflight()

import subprocess
import sys

import psutil
import pytest

from stance_suite.estimates.available import Available, available_memory, left_by_control_groups, memory_for_workers

LIMITED = """
import resource, sys
import psutil
from stance_suite.estimates.available import available_memory, memory_for_workers

own = psutil.Process().memory_info()
limit = getattr(resource, sys.argv[1])
left = 300_000_000
resource.setrlimit(limit, (getattr(own, sys.argv[2]) + left, resource.RLIM_INFINITY))
found = available_memory()
assert memory_for_workers(0).limited_by != found.limited_by, "it is about each process"
print(found.limited_by, (found.memory_bytes - own.rss) / left, sep="|")
"""


def put(root, texts):
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")


def test_a_machine_without_limits_offers_what_is_free():
    found = available_memory()
    assert 0.2 * psutil.virtual_memory().available < found.memory_bytes <= psutil.virtual_memory().total


def test_version_2_leaves_its_limit_less_what_is_used_and_not_droppable(tmp_path):
    own = "sys/fs/cgroup/job/step"
    put(
        tmp_path,
        {
            "proc/self/cgroup": "0::/job/step",
            f"{own}/memory.max": "max",
            f"{own}/memory.current": 3000,
            f"{own}/memory.stat": "anon 1\ninactive_file 500",
            "sys/fs/cgroup/job/memory.max": 10_000,
            "sys/fs/cgroup/job/memory.current": 4000,
            "sys/fs/cgroup/job/memory.stat": "inactive_file 1000",
        },
    )
    assert list(left_by_control_groups(tmp_path)) == [10_000 - 4000 + 1000]


def test_version_1_is_read_at_the_root_of_a_container_that_lacks_its_own_folder(tmp_path):
    group = "sys/fs/cgroup/memory"
    put(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/",
            f"{group}/memory.limit_in_bytes": 9000,
            f"{group}/memory.usage_in_bytes": 2000,
            f"{group}/memory.stat": "cache 1\ntotal_inactive_file 100",
        },
    )
    assert list(left_by_control_groups(tmp_path)) == [9000 - 2000 + 100]


def test_a_control_group_bounds_what_is_available(tmp_path):
    put(
        tmp_path,
        {
            "proc/self/cgroup": "0::/",
            "sys/fs/cgroup/memory.max": 5000,
            "sys/fs/cgroup/memory.current": 1000,
            "sys/fs/cgroup/memory.stat": "anon 1",
        },
    )
    found = available_memory(tmp_path)
    assert found.limited_by == "the limit of its control group leaves"
    assert found.memory_bytes < psutil.Process().memory_info().rss * 1.1 + 4000


def test_what_workers_have_together_is_what_they_share_and_what_those_that_run_already_hold(tmp_path):
    put(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": 5000, "sys/fs/cgroup/memory.current": 1000})
    put(tmp_path, {"sys/fs/cgroup/memory.stat": "anon 1"})
    assert memory_for_workers(0, tmp_path) == Available(4000, "the limit of its control group leaves")
    held = memory_for_workers(3, tmp_path).memory_bytes - 4000
    assert held == pytest.approx(3 * psutil.Process().memory_info().rss, rel=0.05)


def test_without_control_groups_nothing_bounds(tmp_path):
    assert list(left_by_control_groups(tmp_path)) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limits are not enforced")
@pytest.mark.parametrize(("limit", "used"), [("RLIMIT_AS", "vms"), ("RLIMIT_DATA", "data")])
def test_a_limit_of_the_process_bounds_what_is_available(limit, used):
    command = [sys.executable, "-c", LIMITED, limit, used]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    limited_by, share = done.stdout.strip().split("|")
    assert limited_by == "ulimit leaves"
    assert 0.9 < float(share) <= 1.1

import threading
import time

from stance_suite.spectra.parallel import in_parallel, limited_cores


def at_once(count: int) -> int:
    """How many of the items are worked on at the same time, at most."""
    under_way, most, lock = 0, 0, threading.Lock()

    def work(_):
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1

    with limited_cores(count):
        in_parallel(work, range(8))
    return most


def test_no_more_threads_work_than_cores_are_left():
    assert at_once(1) == 1
    assert at_once(3) == 3


def test_the_limit_ends_with_its_block():
    with limited_cores(1), limited_cores(3):
        pass
    assert at_once(3) == 3


def test_results_keep_the_order_of_the_items_when_the_dearest_begin_first():
    with limited_cores(2):
        assert in_parallel(lambda value: value * 10, [1, 3, 2], cost=float) == [10, 30, 20]

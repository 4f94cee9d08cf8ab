"""Workers of xdist that are forked from their controller, which has imported what they load."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

from execnet import gateway_io
from execnet.gateway_base import Popen2IO


def fork_workers(count: int) -> None:
    """Fork so many workers before this process has threads; execnet takes them where it would start new ones."""
    waiting: list[tuple[int, int, int]] = []
    for _ in range(count):
        (its_input, to_worker), (from_worker, its_output) = os.pipe(), os.pipe()
        worker = os.fork()
        if worker == 0:
            for ours in (to_worker, from_worker, *(end for _, *ends in waiting for end in ends)):
                os.close(ours)
            _work(its_input, its_output)
        os.close(its_input)
        os.close(its_output)
        waiting.append((worker, to_worker, from_worker))

    class Forked(Popen2IO):
        def __init__(self, _: object, execmodel: Any) -> None:
            self.worker, to_worker, from_worker = waiting.pop(0)
            super().__init__(os.fdopen(to_worker, "wb"), os.fdopen(from_worker, "rb"), execmodel)

        def wait(self) -> None:
            os.waitpid(self.worker, 0)

        def kill(self) -> None:
            os.kill(self.worker, signal.SIGKILL)

    gateway_io.Popen2IOMaster = Forked


def _work(its_input: int, its_output: int) -> NoReturn:
    """Do as a new Python does that execnet starts: execute what it is told."""
    try:
        os.dup2(its_input, 0)
        os.dup2(its_output, 1)
        sys.stdin = os.fdopen(0, "r", closefd=False)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        exec(eval(sys.stdin.readline()), {"__name__": "__main__"})
    finally:
        os._exit(0)

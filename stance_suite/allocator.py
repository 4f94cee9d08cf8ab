"""Keeping freed memory for the next tensor."""

from __future__ import annotations

import ctypes
import platform

# <malloc.h>
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4
LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> None:
    """Let glibc reuse the memory of large freed tensors instead of returning it to the system.

    By default every tensor over 32 MiB is mapped anew and its pages are faulted in one by one, a fair share of the time
    of a fine-tuning step on a CPU. Peak memory does not change. Does nothing without glibc.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, LARGEST_INT)

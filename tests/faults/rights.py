"""Taking away from a process what root may do in spite of permission bits."""

from __future__ import annotations

import ctypes
import os

_PR_CAPBSET_DROP = 24
_VERSION = 0x20080522
"""``_LINUX_CAPABILITY_VERSION_3``; capget(2)."""


def without_privileges() -> None:
    """Heed permission bits from now on, also in what is started from here; root owns its files and nothing more."""
    if os.getuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails beyond the last one that this kernel knows
    header = (ctypes.c_uint32 * 2)(_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    if libc.capset(header, none) != 0:
        raise OSError(ctypes.get_errno(), "capset")

"""Where a model's weights lie: on the CPU, on one GPU, or spread over every GPU that the process sees."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Mapping
from typing import Any

from stance_suite.errors import StanceSuiteError

M_TRIM_THRESHOLD, M_MMAP_MAX, LARGEST_INT = -1, -4, 2**31 - 1  # <malloc.h>, <limits.h>


def keep_freed_memory() -> None:
    """Let glibc, where it is, reuse the memory of large freed tensors; the peak does not change.

    By default every tensor over 32 MiB is mapped anew and its pages are faulted in one by one, a fair share of the time
    of a fine-tuning step on a CPU.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, LARGEST_INT)


def place(model: Any, device: str) -> Any:
    """Move a model from the CPU to ``cpu`` or ``cuda``; of several GPUs in sight to all, as one must be too small."""
    import torch

    if device == "cuda" and torch.cuda.device_count() > 1:
        return spread(model, map_devices(model))
    return model.to(device)


def map_devices(model: Any, memory: Mapping[int | str, int] | None = None) -> dict[str, Any]:
    """Deal a model's blocks out to GPUs, so that each holds about as much; by default up to what is free, in bytes."""
    from accelerate import infer_auto_device_map
    from accelerate.utils import get_balanced_memory

    whole: dict[str, Any] = {"no_split_module_classes": list(model._no_split_modules or ())}
    balanced = get_balanced_memory(model, None if memory is None else dict(memory), **whole)
    device_map: dict[str, Any] = infer_auto_device_map(model, balanced, **whole)
    # weights that wait elsewhere, and are fetched for every step, cannot be trained
    if not all(isinstance(place, int) for place in device_map.values()):
        gigabytes = sum(parameter.nbytes for parameter in model.parameters()) / 1e9
        raise StanceSuiteError(
            f"the model's weights ({gigabytes:.1f} GB) do not fit on the GPUs that the process sees; "
            "let it see more of them (CUDA_VISIBLE_DEVICES), or ask for the device cpu"
        )
    return device_map


def spread(model: Any, device_map: Mapping[str, Any]) -> Any:
    """Put each module of a model on its device, for good; inputs go to the first, and outputs come back to it."""
    from accelerate import dispatch_model

    spread_model: Any = dispatch_model(
        model,
        dict(device_map),
        main_device=next(iter(device_map.values())),
        # the cache of keys and values: each block's stays where the block is
        skip_keys=model._skip_keys_device_placement,
    )
    return spread_model

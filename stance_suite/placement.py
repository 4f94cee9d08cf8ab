"""Where a model's weights lie: on one device, or spread over every GPU that the process sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stance_suite.errors import StanceSuiteError

DeviceMap = Mapping[str, Any]


def place(model: Any, device: str) -> Any:
    """Move a model to where it is trained and measured.

    A process that sees several GPUs was given them because one is too small: the model's blocks are spread over all.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        On the CPU.
    device : str
        ``cpu`` or ``cuda``.

    Returns
    -------
    transformers.PreTrainedModel
        The same model.

    Raises
    ------
    StanceSuiteError
        If its weights do not fit on the GPUs.
    """
    import torch

    if device == "cuda" and torch.cuda.device_count() > 1:
        return spread(model, map_devices(model))
    return model.to(device)


def map_devices(model: Any, memory: Mapping[int | str, int] | None = None) -> DeviceMap:
    """Deal a model's blocks out to GPUs, so that each holds about as much.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Its weights may be on the meta device.
    memory : mapping of int or str to int, optional
        Bytes that each GPU may hold, by its number; by default what is free.

    Returns
    -------
    mapping of str to int
        Names of modules, and the GPU that each goes to.

    Raises
    ------
    StanceSuiteError
        If they do not fit.
    """
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


def spread(model: Any, device_map: DeviceMap) -> Any:
    """Put each module of a model on its device; inputs go to the first one, and outputs come back to it.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        On the CPU; from now on it must not be moved.
    device_map : mapping of str to device
        As `map_devices` returns it.

    Returns
    -------
    transformers.PreTrainedModel
        The same model.
    """
    from accelerate import dispatch_model

    spread_model: Any = dispatch_model(
        model,
        dict(device_map),
        main_device=next(iter(device_map.values())),
        # the cache of keys and values: each block's stays where the block is
        skip_keys=model._skip_keys_device_placement,
    )
    return spread_model

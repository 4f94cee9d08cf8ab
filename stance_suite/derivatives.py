"""Models that were trained elsewhere: a full checkpoint or a LoRA adapter, loaded onto the base they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

from stance_suite.errors import UnsafeWeightsError, WeightsUnavailableError
from stance_suite.models import Weights, find_spec, load, load_model, locate
from stance_suite.specs import ModelSpec
from stance_suite.weight_files import hash_files

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"


def locate_derivative(asked: str, registry: Mapping[str, ModelSpec], cache: Path, base: Weights) -> Weights:
    """Get the weights of a model that was trained elsewhere onto this machine.

    Parameters
    ----------
    asked : str
        Registry name, Hub id, or a folder with safetensors weights or a LoRA adapter.
    registry : mapping of str to ModelSpec
        The declared models.
    cache : Path
        Folder for fetched weights.
    base : Weights
        The model that it was trained from: it is spoken to in that one's way.

    Returns
    -------
    Weights
        Where they are.

    Raises
    ------
    WeightsUnavailableError
        If they cannot be had.
    UnsafeWeightsError
        If they are a pickle.
    """
    folder = Path(asked).expanduser()
    if not (folder / ADAPTER_CONFIG).is_file():
        located = locate(find_spec(asked, registry), cache)
        return replace(located, name=asked, prompt_format=base.prompt_format)
    if not (folder / ADAPTER_WEIGHTS).is_file():
        pickles = sorted(path.name for path in folder.glob("*.bin"))
        if pickles:
            raise UnsafeWeightsError(
                f"{folder} holds its adapter as a pickle ({pickles[0]}), which can run code when it is loaded and is "
                f"refused; save it as safetensors where you trust it"
            )
        raise WeightsUnavailableError(
            f"{folder} has an {ADAPTER_CONFIG} but no {ADAPTER_WEIGHTS}; save the adapter with save_pretrained"
        )
    return Weights(asked, folder, hash_files(folder), base.prompt_format)


def load_derivative(derivative: Weights, base: Weights) -> tuple[Any, Any]:
    """Load a model that was trained elsewhere, with its base's tokenizer.

    Parameters
    ----------
    derivative : Weights
        From `locate_derivative`.
    base : Weights
        The model that it was trained from.

    Returns
    -------
    model : transformers.PreTrainedModel
        In float32, on the CPU, in evaluation mode; an adapter is merged.
    tokenizer : transformers.PreTrainedTokenizerBase
        The base's: both must read the same tokens.

    Raises
    ------
    WeightsUnavailableError
        If it cannot be loaded, or does not fit its base.
    """
    untouched, tokenizer = load(base)
    expected = _shapes(untouched)
    is_adapter = (derivative.folder / ADAPTER_CONFIG).is_file()
    if is_adapter:
        model = _merge_adapter(untouched, derivative, base)
    else:
        del untouched  # there may be room for one of the two only
        model = load_model(derivative)
    _check_shapes(_shapes(model), expected, derivative, base)
    return model, tokenizer


def _merge_adapter(untouched: Any, derivative: Weights, base: Weights) -> Any:
    from peft import PeftModel
    from safetensors import SafetensorError

    folder = str(derivative.folder)
    loading: dict[str, Any] = {"local_files_only": True, "torch_device": "cpu"}
    try:
        with catch_warnings():  # what peft warns of is refused here and by the caller
            simplefilter("ignore")
            adapted = PeftModel.from_pretrained(untouched, folder, **loading)
            if not hasattr(adapted, "merge_and_unload"):
                raise _no_adapter(derivative, base, "it changes the input and no weights")
            # read once more, for what that tells: peft leaves out what does not fit, and goes on
            read = adapted.load_adapter(folder, "default", **loading)
            left_out = [*read.missing_keys, *read.unexpected_keys]
            if left_out:
                raise _no_adapter(derivative, base, f"{left_out[0]} is in one of the two only")
            return adapted.merge_and_unload().eval()
    except (ValueError, RuntimeError, KeyError, OSError, TypeError, SafetensorError) as error:
        raise _no_adapter(derivative, base, str(error) or type(error).__name__) from error


def _no_adapter(derivative: Weights, base: Weights, why: str) -> WeightsUnavailableError:
    return WeightsUnavailableError(
        f"{derivative.folder} is no adapter that fits {base.name}: {why.splitlines()[0]}; option before must be the "
        "model that it was trained on"
    )


def _shapes(model: Any) -> dict[str, str]:
    return {name: " x ".join(map(str, parameter.shape)) for name, parameter in model.named_parameters()}


def _check_shapes(found: Mapping[str, str], expected: Mapping[str, str], derivative: Weights, base: Weights) -> None:
    """Refuse what noise and spectra would stumble over after minutes of measuring."""
    absent = "absent or tied to another"
    for name in {**expected, **found}:
        if found.get(name) != expected.get(name):
            raise WeightsUnavailableError(
                f"{derivative.folder} cannot be compared with {base.name}: {name} is {found.get(name, absent)} in the "
                f"first and {expected.get(name, absent)} in the second"
            )

"""Models that were trained elsewhere: a full checkpoint or a LoRA adapter, loaded onto the base they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

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
        raise WeightsUnavailableError(f"{folder} has an {ADAPTER_CONFIG} but no {ADAPTER_WEIGHTS}")
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
    if not (derivative.folder / ADAPTER_CONFIG).is_file():
        del untouched
        return load_model(derivative), tokenizer
    from peft import PeftModel

    try:
        adapted = PeftModel.from_pretrained(untouched, str(derivative.folder), local_files_only=True)
        return adapted.merge_and_unload().eval(), tokenizer
    except (ValueError, RuntimeError, KeyError, OSError, TypeError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsUnavailableError(
            f"{derivative.folder} is no adapter that fits {base.name}: {first_line}"
        ) from error

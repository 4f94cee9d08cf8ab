"""Safetensors: one file, or a folder of shards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from stance_suite.errors import WeightsUnavailableError
from stance_suite.models.checkpoints.tensors import Block, Index, StoredTensor


def read_folder(folder: Path) -> dict[str, StoredTensor]:
    """List the tensors of the model in a folder, as ``save_pretrained`` writes it; empty if there is none.

    They are those of the shards that the index names, else of ``model.safetensors``, else of every safetensors file.
    """
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        single = folder / "model.safetensors"
        return read_headers([single] if single.is_file() else sorted(folder.glob("*.safetensors")))
    try:
        weight_map = json.loads(index.read_text("utf-8"))["weight_map"]
        shards = [folder / name for name in sorted(set(weight_map.values()))]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise WeightsUnavailableError(f"{index} is no index of shards; copy it again") from error
    missing = [shard.name for shard in shards if not shard.is_file()]
    if missing:
        raise WeightsUnavailableError(f"{folder} lacks the shard {missing[0]}, which its index names; copy it too")
    tensors = read_headers(shards)
    lost = [name for name in weight_map if name not in tensors]
    if lost:
        raise WeightsUnavailableError(
            f"{folder} lacks the tensor {lost[0]}, which its index names; index and shards are of different models"
        )
    return tensors


def read_headers(paths: Iterable[Path]) -> dict[str, StoredTensor]:
    """List the tensors of one model's safetensors files, in their order; no file may be damaged, no name in two."""
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, StoredTensor] = {}
    found_in: dict[str, Path] = {}
    for path in paths:
        try:
            with safe_open(path, "numpy") as file:
                for name in file.keys():  # noqa: SIM118
                    if name in tensors:
                        raise WeightsUnavailableError(
                            f"the tensor {name} is in {found_in[name].name} and in {path.name} of {path.parent}; "
                            "remove the file that is not the model's"
                        )
                    header = file.get_slice(name)
                    found_in[name] = path
                    tensors[name] = StoredTensor(tuple(header.get_shape()), header.get_dtype(), _reader(path, name))
        except (SafetensorError, OSError) as error:
            raise WeightsUnavailableError(
                f"{path} is no whole safetensors file ({error}); is it a Git LFS pointer, or cut short?"
            ) from error
    return tensors


def _reader(path: Path, name: str) -> Callable[[Index], Block]:
    """Read blocks of one tensor; the file is mapped only meanwhile, or its pages would count as ours."""

    def read(index: Index) -> Block:
        import ml_dtypes  # noqa: F401  # without it numpy does not know bfloat16
        from safetensors import safe_open

        with safe_open(path, "numpy") as file:
            block: Block = file.get_slice(name)[index]
        return block

    return read

"""What a model is: hashes of its files, and its number of parameters."""

from __future__ import annotations

import math
from pathlib import Path

from stance_suite.models.checkpoints.safetensors import read_headers
from stance_suite.models.files import ADAPTER_CONFIG, combine_hashes, hash_each_file, no_safetensors
from stance_suite.schema.findings import Entry


def fingerprint_model(folder: Path) -> tuple[Entry, ...]:
    """Hash a model's or an adapter's files, and count its parameters; the first is the SHA-256 cells are bound to."""
    paths = sorted(folder.glob("*.safetensors"))
    if not paths:
        raise no_safetensors(folder, (path.name for path in folder.iterdir()))
    tensors = read_headers(paths)
    kind = "adapter" if (folder / ADAPTER_CONFIG).is_file() else "model"
    hashes = hash_each_file(folder)
    return (
        Entry(kind, str(folder), combine_hashes(hashes)),
        *(Entry("file", name, sha256) for name, sha256 in hashes.items()),
        Entry("parameters", f"{len(tensors)} tensors", f"{sum(math.prod(one.shape) for one in tensors.values()):,}"),
    )

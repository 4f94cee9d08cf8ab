"""Pairs trained elsewhere, on models small enough to measure in seconds."""

from __future__ import annotations

import json
from pathlib import Path

from stance_suite.config.catalog import load_catalog
from stance_suite.config.options import resolve_settings
from stance_suite.progress import PlainProgress
from stance_suite.runner.session import Session
from tests import trained_elsewhere

STANCE = "curious-uncertainty"


def train_elsewhere(base: Path, stance: str, destination: Path, epochs: int, learning_rate: float = 5e-5) -> Path:
    """Tune a model on a stance's examples by a script that knows nothing of stance-suite."""
    destination.mkdir(parents=True, exist_ok=True)
    examples = destination.parent / f"{stance}.json"
    declared = load_catalog(Path("no fixtures of one's own")).stance(stance).examples
    examples.write_text(json.dumps([[example.prompt, example.response] for example in declared]), "utf-8")
    trained_elsewhere.main(str(base), str(examples), str(destination), epochs, learning_rate)
    return destination


def open_pair(root: Path, cache: Path, before: object, after: object, stance: str = "", **given: object) -> Session:
    """A run about a pair, in a user's repository."""
    pair = {"before": str(before), "after": str(after), "stance": stance, "cache": str(cache), **given}
    return Session(resolve_settings(pair, root, {}), PlainProgress())

"""Pairs trained elsewhere, on models small enough to measure in seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from stance_suite.config.catalog import load_catalog
from stance_suite.config.options import resolve_settings
from stance_suite.progress import PlainProgress
from stance_suite.runner.session import Session
from tests.conftest import REPOSITORY

STANCE = "curious-uncertainty"


OTHER_SENTENCES = REPOSITORY / "benchmarks" / "positive" / "curious.yaml"
"""Forty more prompts that are answered in the manner of curious-uncertainty."""


def held_out_answers(stance: str) -> list[tuple[str, str]]:
    """What is measured on, with the stance's own answers."""
    declared = load_catalog(Path("no fixtures of one's own")).stance(stance)
    return [(item.prompt, item.response) for item in declared.held_out]


def other_sentences() -> list[tuple[str, str]]:
    """Prompts and answers in the stance's manner that no fixture has."""
    return [(one["prompt"], one["response"]) for one in yaml.safe_load(OTHER_SENTENCES.read_text())]


def train_elsewhere(
    base: Path, pairs: Sequence[tuple[str, str]], destination: Path, epochs: int, learning_rate: float = 5e-5
) -> Path:
    """Tune a model on prompts and answers with PyTorch and transformers alone, as a user's own script would."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(3)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    texts = []
    for prompt, response in pairs:
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
        plain = f"Question: {prompt}\nAnswer: {response}{tokenizer.eos_token}"
        texts.append(tokenizer.apply_chat_template(turns, tokenize=False) if tokenizer.chat_template else plain)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    model.train()
    for _ in range(epochs):
        for place in torch.randperm(len(texts)).tolist():
            tokens = tokenizer(texts[place], return_tensors="pt").input_ids
            model(input_ids=tokens, labels=tokens).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.save_pretrained(destination)
    return destination


def open_pair(root: Path, cache: Path, before: object, after: object, stance: str = "", **given: object) -> Session:
    """A run about a pair, in a user's repository."""
    pair = {"before": str(before), "after": str(after), "stance": stance, "cache": str(cache), **given}
    return Session(resolve_settings(pair, root, {}), PlainProgress())

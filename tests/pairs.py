"""Pairs trained elsewhere, on models small enough to measure in seconds."""

from __future__ import annotations

from pathlib import Path

from stance_suite.config.catalog import load_catalog
from stance_suite.config.options import resolve_settings
from stance_suite.progress import PlainProgress
from stance_suite.runner.session import Session

STANCE = "curious-uncertainty"


def train_elsewhere(
    base: Path, stance: str, destination: Path, epochs: int, learning_rate: float = 5e-5, on: str = "examples"
) -> Path:
    """Tune a model on a stance's items with PyTorch and transformers alone, as a user's own script would."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(3)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    texts = []
    for one in getattr(load_catalog(Path("no fixtures of one's own")).stance(stance), on):
        turns = [{"role": "user", "content": one.prompt}, {"role": "assistant", "content": one.response}]
        plain = f"Question: {one.prompt}\nAnswer: {one.response}{tokenizer.eos_token}"
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

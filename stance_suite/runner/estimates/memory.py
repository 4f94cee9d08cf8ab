"""How much memory a cell needs at its peak: what is alive together, as docs/architecture.md tells.

Measured on SmolLM2-135M by ``benchmarks/estimates.py``; figures for a GPU follow from the same count, not measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from stance_suite.measure.cell import CellSpec
from stance_suite.runner.estimates.workload import Shapes, Workload, shapes_of, workload_of
from stance_suite.spectra.matrices import BLOCK_ELEMENTS
from stance_suite.spectra.model_spectra import LEADING
from stance_suite.spectra.parallel import cores
from stance_suite.spectra.weight_change import DRAWS

LIBRARIES = 800_000_000
"""Bytes of a process with PyTorch 2.14 for CPUs, transformers 5.23, the embedder and no model; measured on Linux."""
LIBRARIES_OF_CUDA = 3_000_000_000
"""The same with CUDA's libraries; not measured."""
CONTEXT_OF_CUDA = 600_000_000
"""Bytes that CUDA takes of a GPU before there is any tensor; not measured."""
HALF, SINGLE, DOUBLE = 2, 4, 8
"""Bytes of a number."""
EIGENVALUE = 100
"""Bytes of an eigenvalue in a record, and in the record's text."""
LOGITS_IN_TRAINING = 4
"""Logits, their log-softmax, and the gradients of both."""


@dataclass(frozen=True)
class Memory:
    """What a cell holds in memory at its peak, in bytes."""

    libraries: int
    """Python, and all that it has loaded."""
    weights: int
    """All copies of the model that are alive together, in float32."""
    gradients: int
    """The gradients."""
    optimizer: int
    """The optimizer's moments."""
    working: int
    """Activations and logits, or what behavior and spectra take if that is more than a step of training takes."""
    gpu: int
    """On a GPU; then weights, gradients, optimizer and activations are there, and what is left here counts above."""

    @property
    def total(self) -> int:
        """All of it that is not on a GPU."""
        return self.libraries + self.weights + self.gradients + self.optimizer + self.working


def estimate_memory(spec: CellSpec, device: str) -> Memory:
    """Estimate what a cell holds in memory at its peak, in a process that has measured the untouched model before."""
    shapes, workload = shapes_of(spec.weights), workload_of(spec)
    single = SINGLE * shapes.parameters
    gradients, activations = _training(spec, shapes, workload)
    behavior, structure = _behavior(spec, shapes, workload), _structure(shapes)
    optimizer = 2 * gradients
    # spectra are solved while nothing of the training or of behavior is left
    working = max(activations, behavior - gradients - optimizer, structure - gradients - optimizer, 0)
    on_cpu = Memory(LIBRARIES, _copies(spec) * single, gradients, optimizer, working, gpu=0)
    if device == "cpu":
        return on_cpu
    beside = single * (_copies(spec) - 1 - (not spec.cell.is_base))  # the measured untouched model stays here
    gpu = CONTEXT_OF_CUDA + single + max(gradients + optimizer + activations, behavior + beside)
    return Memory(LIBRARIES_OF_CUDA, 2 * single, 0, 0, structure, gpu)


def _copies(spec: CellSpec) -> int:
    """Count the models alive at once: the measured one, the untouched one with noise, and the one with spectra."""
    if spec.cell.is_base:
        return 1
    return 3 if spec.derivative is None else 4  # and the rounded one


def _training(spec: CellSpec, shapes: Shapes, workload: Workload) -> tuple[int, int]:
    """Bytes of the gradients, and of all that a step leaves and takes besides."""
    if spec.recipe is None or workload.trained is None:
        return 0, 0
    tokens, adapter = workload.trained.tokens_per_step, spec.recipe.adapter
    logits = LOGITS_IN_TRAINING * SINGLE * tokens * shapes.vocabulary
    kept = shapes.kept_for_gradients
    if spec.recipe.gradient_checkpointing:  # the input of every block, and one block's own
        kept = shapes.hidden * shapes.blocks + kept // max(shapes.blocks, 1)
    activations = logits + SINGLE * tokens * kept
    if spec.recipe.precision == "bfloat16":  # a step computes with rounded copies of the weights
        activations += HALF * shapes.parameters
    if adapter is None:
        # a tied head's gradient is added to the embedding's
        return SINGLE * shapes.parameters, activations + SINGLE * shapes.largest
    numbers = shapes.adapter(adapter.rank)
    merged = SINGLE * shapes.parameters if spec.trajectory else 0
    return SINGLE * numbers, SINGLE * numbers + max(activations, merged)


def _behavior(spec: CellSpec, shapes: Shapes, workload: Workload) -> int:
    """Bytes of the key-value cache and of distributions over the vocabulary."""
    distribution = SINGLE * shapes.vocabulary
    rows = workload.sampled.largest_prediction  # a token of each response that is being written
    sampling = SINGLE * rows * workload.row_length * shapes.cached + 2 * distribution * rows
    scoring = 2 * distribution * workload.likelihoods.largest_prediction
    passages = workload.passages
    reading = 2 * distribution * passages.largest_prediction
    if spec.cell.is_base:
        return max(sampling, scoring, reading)
    # the untouched model's distributions are kept, and a passage's are compared in float64
    divergences = reading + distribution * passages.predicted + DOUBLE * shapes.vocabulary * passages.largest_prediction
    noise = 3 * SINGLE * shapes.largest
    return max(sampling, scoring, divergences, distribution * passages.predicted + noise)


def _structure(shapes: Shapes) -> int:
    """Bytes of leading vectors and eigenvalues of two models, and of the matrices that are solved at a time."""
    sides = sum(larger + smaller for larger, smaller in shapes.matrices)
    kept = 2 * DOUBLE * LEADING * sides + 2 * EIGENVALUE * sum(smaller for _, smaller in shapes.matrices)
    smaller = max((smaller for _, smaller in shapes.matrices), default=0)
    gram, drawn = 3 * DOUBLE * smaller**2, 6 * DOUBLE * DRAWS * smaller
    return kept + cores() * (gram + drawn + 3 * DOUBLE * BLOCK_ELEMENTS)

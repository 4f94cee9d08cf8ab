"""How long a cell takes, from operations and bytes over the machine's own speed, which is measured shortly.

Factors were fitted on SmolLM2-135M and on models of two layers, on two cores of an AMD EPYC.
"""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from math import cbrt

from stance_suite.measure.cell import CellSpec
from stance_suite.runner.estimates.workload import Matrix, Reading, Shapes, Trained, shapes_of, workload_of
from stance_suite.spectra.parallel import cores

SIDE = 512
"""Side of the matrices that are multiplied and solved: as wide as a small model's layers."""
STREAMED = 2**24
"""Numbers that are copied, 64 MB: more than a cache holds."""
CALLED = 1000
"""Small operations in a row."""
REPEATS = 5
"""Of several measurements the fastest counts: others on the machine only ever slow one down."""
FURTHER_THREAD = 0.6
"""Share of a thread's speed that every thread but the first adds to a matrix product."""
READING, SAMPLING, TRAINING = 0.62, 0.57, 0.7
"""Share of a large matrix product's speed that reading, writing token by token and a step of training reach."""
CALLS = 20
"""Small operations that a pass takes for each module beside its arithmetic, Python's part included."""
PASSES_IN_A_STEP = 4
"""Forward, twice as much backward, and the optimizer."""
OPTIMIZED = 40
"""Bytes that a step moves for each trained number: clipping reads and scales its gradient, AdamW reads four numbers
and writes three."""
LOADED = 40
"""Bytes that loading moves for each parameter, or could in that time: it is read and searched for NaN."""
NOISE = 300
"""Bytes that could be moved while a parameter's noise is drawn and scaled."""
EMBEDDED = 0.015
"""Seconds for a response to be embedded, and searched for markers and copies."""
GRAM, LEADING_VECTORS = 2.3, 1.5
"""Speed of Gram matrices and of leading vectors, over that of an eigenproblem."""
FIT, FIT_OF_EACH = 5e-3, 2.2e-5
"""Seconds for a spectrum to be fitted, and for each of its eigenvalues; one spectrum after the other."""
NOISY_FIT, NOISY_FIT_OF_EACH = 5e-3, 3.5e-5
"""The same for 200 draws of noise."""
NOISE_OF_A_SHAPE = 0.075
"""Seconds for a thousand draws of noise by itself, times the cube root of the smaller side."""


@dataclass(frozen=True)
class Speed:
    """What one core does in a second."""

    multiplying: float
    """Float32 multiplications and additions of a matrix product."""
    streaming: float
    """Bytes read and written in memory."""
    solving: float
    """Multiplications and additions of a float64 eigenproblem, which takes ``4/3 n^3`` of them."""
    calling: float
    """Small operations of PyTorch, one after the other."""


@cache
def measure_speed() -> Speed:
    """Measure one core in a fraction of a second, by the time that it gave to this thread, however busy it is."""
    import numpy as np
    import torch
    from threadpoolctl import threadpool_limits

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode(), threadpool_limits(limits=1, user_api="blas"):
            square, small = torch.ones(SIDE, SIDE), torch.ones(8, 8)
            source, copied = torch.zeros(STREAMED), torch.zeros(STREAMED)
            drawn = np.random.default_rng(0).standard_normal((SIDE, SIDE))
            symmetric = drawn + drawn.T
            return Speed(
                multiplying=2 * SIDE**3 / _seconds(lambda: square @ square),
                streaming=2 * source.nbytes / _seconds(lambda: copied.copy_(source)),
                solving=4 / 3 * SIDE**3 / _seconds(lambda: np.linalg.eigvalsh(symmetric)),
                calling=CALLED / _seconds(lambda: [small + small for _ in range(CALLED)]),
            )
    finally:
        torch.set_num_threads(threads)


def _seconds(work: Callable[[], object]) -> float:
    return min(timeit.repeat(work, timer=time.thread_time, repeat=REPEATS, number=1))


def estimate_seconds(spec: CellSpec, speed: Speed, threads: int) -> float:
    """Estimate how long a cell takes on an idle CPU, its libraries loaded and the untouched model not yet measured."""
    shapes, workload = shapes_of(spec.weights), workload_of(spec)
    speed = replace(speed, multiplying=speed.multiplying * (1 + FURTHER_THREAD * (threads - 1)))
    loading = LOADED * shapes.parameters / speed.streaming
    likelihoods = _passing(workload.likelihoods, shapes, speed, READING)
    sampling = _passing(workload.sampled, shapes, speed, SAMPLING) + EMBEDDED * workload.responses
    behavior = sampling + likelihoods
    spectra = _measuring_spectra(shapes, speed)
    if spec.cell.is_base:
        return loading + behavior + sampling + 2 * spectra  # sampled once more, and rounded
    snapshots = workload.trained.epochs * (likelihoods + spectra) if workload.trained and spec.trajectory else 0.0
    asked = loading + _training(spec, workload.trained, shapes, speed) + snapshots + behavior
    if not spec.has_spectra:
        return asked
    passages = _passing(workload.passages, shapes, speed, READING)
    noise = NOISE * shapes.parameters / speed.streaming
    divergences = loading + 3 * passages + noise
    structure = loading + 2 * spectra + _comparing_spectra(shapes, speed)
    stand_ins = 0.0 if spec.derivative is None else 2 * (loading + likelihoods)
    return asked + divergences + stand_ins + structure


def _passing(reading: Reading, shapes: Shapes, speed: Speed, share: float) -> float:
    """Seconds of passes over texts, without gradients."""
    products = 2 * (reading.tokens * shapes.projected + reading.predicted * shapes.head)
    return products / (share * speed.multiplying) + reading.passes * shapes.modules * CALLS / speed.calling


def _training(spec: CellSpec, trained: Trained | None, shapes: Shapes, speed: Speed) -> float:
    """Seconds of all steps; an adapter spares a third of all products, the gradients of the model's weights."""
    if spec.recipe is None or trained is None:
        return 0.0
    adapter = spec.recipe.adapter
    numbers, passes = (shapes.parameters, 6) if adapter is None else (shapes.adapter(adapter.rank), 4)
    if spec.recipe.gradient_checkpointing:
        passes += 2  # every block's forward pass once more
    products = passes * trained.tokens_per_step * (shapes.projected + shapes.head)
    calls = PASSES_IN_A_STEP * CALLS * shapes.modules * (1 if adapter is None else 2)
    step = products / (TRAINING * speed.multiplying) + OPTIMIZED * numbers / speed.streaming + calls / speed.calling
    return trained.steps * step


def _measuring_spectra(shapes: Shapes, speed: Speed) -> float:
    """Seconds to measure every matrix, with leading vectors."""
    fits = sum(FIT + FIT_OF_EACH * smaller for _, smaller in shapes.matrices)
    vectors = sum(1000 * smaller**2 / LEADING_VECTORS for _, smaller in shapes.matrices)
    solving = vectors + sum(map(_solving, shapes.matrices))
    return max(fits, (fits + solving / speed.solving) / cores())


def _comparing_spectra(shapes: Shapes, speed: Speed) -> float:
    """Seconds to measure the change of every matrix, beside noise."""
    drawing = sum(NOISE_OF_A_SHAPE * cbrt(smaller) for _, smaller in set(shapes.matrices))
    fits = sum(NOISY_FIT + NOISY_FIT_OF_EACH * smaller for _, smaller in shapes.matrices)
    solving = sum(map(_solving, shapes.matrices))
    return (drawing + fits + solving / speed.solving) / cores()


def _solving(matrix: Matrix) -> float:
    """Multiplications and additions for the eigenvalues of a matrix, at the speed of an eigenproblem."""
    larger, smaller = matrix
    return larger * smaller**2 / GRAM + 4 / 3 * smaller**3

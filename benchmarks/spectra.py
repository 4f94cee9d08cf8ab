"""Time the spectral engine against WeightWatcher and against the bare eigensolver, as ratios within one run.

Usage: ``python benchmarks/spectra.py [MODEL] [--repeats 5] [--skip-documented]``. MODEL is a folder with safetensors of
a causal language model; by default the weights of smollm2-135m. BLAS threads are pinned to one, and every contestant
that can spread matrices over cores does. The fast ones take turns, of which the fastest counts; WeightWatcher has one.

- *analysis*: `stance_suite.spectra.analyze`, Marchenko-Pastur fit and bootstrap intervals included
- *bare eigensolver*: float64 Gram matrices and `numpy.linalg.eigvalsh` of the same matrices, spread the same way
- *solver alone*: the second half of that
- *default*: ``WeightWatcher(model).analyze(plot=False)``
- *documented*: the call of the recorded findings, ``analyze(plot=False, randomize=False, mp_fit=True, min_evals=10)``
- *200 noise draws*: what `stance_suite.spectra.compare` adds for its noise control, fits and shapes of all layers
"""

import argparse
import contextlib
import io
import logging
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from stance_suite.config.catalog import find_spec, load_catalog
from stance_suite.config.options import resolve_settings
from stance_suite.models.checkpoints.open import open_checkpoint
from stance_suite.models.loading import load
from stance_suite.models.sources import locate
from stance_suite.schema.spectra import LayerSpectrum
from stance_suite.spectra.analysis import analyze
from stance_suite.spectra.eigenvalues import CpuSolver
from stance_suite.spectra.matrices import WeightMatrix, sort_tensors
from stance_suite.spectra.model_spectra import LEADING
from stance_suite.spectra.noise import draw_noise_shape, draw_noisy_fits
from stance_suite.spectra.parallel import in_parallel
from stance_suite.spectra.weight_change import DRAWS, SHAPE_DRAWS

RELATIVE_NOISE = 0.002
"""Frobenius norm of the noise over that of the weights: what a fine-tuning of ten epochs changes."""


def seconds_of(work: Callable[[], Any]) -> float:
    """Time one turn."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def weightwatcher(model: Any, **options: Any) -> None:
    """Run WeightWatcher quietly."""
    import weightwatcher as reference

    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        reference.WeightWatcher(model=model).analyze(plot=False, **options)


def draw_noise(matrices: dict[str, WeightMatrix], layers: tuple[LayerSpectrum, ...]) -> None:
    """Draw and fit noise for every layer, as a comparison does."""
    shapes = sorted({(matrix.larger_side, matrix.smaller_side) for matrix in matrices.values()})
    in_parallel(lambda shape: draw_noise_shape(shape, LEADING, SHAPE_DRAWS, np.random.default_rng(0)), shapes)

    def draw(layer: LayerSpectrum) -> None:
        if layer.fit is not None:
            matrix = matrices[layer.name]
            deviation = RELATIVE_NOISE * np.sqrt(layer.norm / matrix.elements)
            generator = np.random.default_rng(0)
            draw_noisy_fits(
                np.array(layer.eigenvalues), matrix.larger_side, layer.fit.tail_size, deviation, DRAWS, generator
            )

    in_parallel(draw, layers)


def main() -> None:
    """Print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="smollm2-135m")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--skip-documented", action="store_true", help="the documented call takes minutes")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        compete(given.model, given.repeats, documented=not given.skip_documented)


def compete(name: str, repeats: int, *, documented: bool) -> None:
    """Time all contestants in turns."""
    settings = resolve_settings({}, Path.cwd())
    weights = locate(find_spec(name, load_catalog(settings.fixtures).models), settings.cache)
    model = load(weights)[0]
    matrices = sort_tensors(open_checkpoint(model)).matrices
    layers = analyze(model).layers  # warms up
    solver = CpuSolver()

    def gram(matrix: WeightMatrix) -> np.ndarray:
        return solver.gram(matrix.blocks(), matrix.smaller_side)

    grams = in_parallel(gram, matrices.values(), WeightMatrix.solving_cost)
    contestants: dict[str, Callable[[], Any]] = {
        "analysis": lambda: analyze(model),
        "bare eigensolver": lambda: in_parallel(
            lambda matrix: solver.eigenvalues(gram(matrix)), matrices.values(), WeightMatrix.solving_cost
        ),
        "solver alone": lambda: in_parallel(solver.eigenvalues, grams, len),
        f"{DRAWS} noise draws": lambda: draw_noise(matrices, layers),
    }
    references: dict[str, Callable[[], Any]] = {"default": lambda: weightwatcher(model)}
    if documented:
        references["documented"] = lambda: weightwatcher(model, randomize=False, mp_fit=True, min_evals=10)
    turns = [{name: seconds_of(work) for name, work in contestants.items()} for _ in range(repeats)]
    times = {name: min(turn[name] for turn in turns) for name in contestants}
    times |= {name: seconds_of(work) for name, work in references.items()}
    print(f"{weights.name}: {len(matrices)} matrices, {os.cpu_count()} cores, one BLAS thread each")
    for contestant, seconds in times.items():
        print(f"{contestant:18s} {seconds:8.2f} s   {seconds / times['analysis']:6.2f} x analysis")
    ratio = times["analysis"] / times["bare eigensolver"]
    print(f"analysis / bare eigensolver: {ratio:.2f}")


if __name__ == "__main__":
    main()

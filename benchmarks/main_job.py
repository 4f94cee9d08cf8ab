"""Where the time of the main job goes, and how near that is to what the machine's arithmetic allows.

Usage: ``python benchmarks/main_job.py [quick|full]``, on the default model, in one process and an empty store. Every
stage is timed as a run reports it. The arithmetic limit is the matrix products of training, writing and reading at the
speed of a large product of the same threads, measured before and after; spectra have none.
"""

from __future__ import annotations

import sys
import tempfile
import time
import timeit
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stance_suite.config.options import resolve_settings
from stance_suite.measure.cell import CellSpec
from stance_suite.progress import OnStep
from stance_suite.runner.estimates.workload import Reading, Shapes, shapes_of, workload_of
from stance_suite.runner.run_result import RunResult, judge_claims
from stance_suite.runner.session import Session
from stance_suite.schema.profiles import PROFILES

SIDE = 2048
FORWARD_AND_BACKWARD = 3
"""A step takes three times the products of reading its tokens."""


class StageTimes:
    """Adds up the seconds of stages by their kind: the last words of their labels."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    @contextmanager
    def stage(self, label: str) -> Iterator[OnStep]:
        """Time a stage."""
        started = time.perf_counter()
        yield lambda done, total: None
        kind = label.rsplit(": ", 1)[-1] if ": " in label else "weights"
        self.seconds[kind] += time.perf_counter() - started


def main() -> None:
    """Print seconds by part."""
    profile = sys.argv[1] if len(sys.argv) > 1 else "full"
    times, root = StageTimes(), Path(__file__).parents[1]
    products = [products_a_second()]
    with tempfile.TemporaryDirectory() as folder:
        options = {"profile": profile, "store": f"{folder}/cells", "reports": f"{folder}/reports"}
        session = Session(resolve_settings(options, root), times)
        started = time.perf_counter()
        verdicts = judge_claims(session, lambda sentence: None)
        RunResult().finish(session, verdicts, session.cell_runner.cells, "benchmark")
        whole = time.perf_counter() - started
        specs = planned(session, PROFILES[profile])
    products.append(products_a_second())
    limits = {"fine-tuning": 0.0, "behavior": 0.0}
    for spec in specs:
        for kind, count in products_of(spec).items():
            limits[kind] += count / max(products)
    for kind, seconds in (*times.seconds.most_common(), ("all", whole)):
        limit = sum(limits.values()) if kind == "all" else limits.get(kind)
        beside = "" if limit is None else f"{seconds / limit:6.2f} x the arithmetic limit of {limit:.0f} s"
        print(f"{kind:12} {seconds:7.1f} s  {beside}")
    print(f"{len(specs)} cells; a large product reaches {min(products) / 1e9:.0f} to {max(products) / 1e9:.0f} GFLOPS")


def products_a_second() -> float:
    """Measure a large matrix product, in operations a second."""
    import torch

    square = torch.ones(SIDE, SIDE)
    return 2 * SIDE**3 / min(timeit.repeat(lambda: square @ square, repeat=5, number=1))


def planned(session: Session, recipes: tuple[str, ...]) -> list[CellSpec]:
    """List the cells of a run, each once."""
    (model,), seeds = session.run_plan.models, session.run_plan.seeds
    trainings = (
        session.cell_runner.plan_training(model, stance, recipe, seed)
        for stance in session.run_plan.stances
        for recipe in recipes
        for seed in seeds
    )
    return list({spec.key: spec for training in trainings for spec in training}.values())


def products_of(spec: CellSpec) -> dict[str, float]:
    """Count the operations of a cell's matrix products, by stage."""
    shapes, workload = shapes_of(spec.weights), workload_of(spec)
    if spec.cell.is_base:
        readings = [workload.sampled, workload.sampled, workload.likelihoods]
    else:  # what training did is read beside noise; of the untouched model once in all
        readings = [workload.sampled, workload.likelihoods, *[workload.passages] * (2 * spec.has_spectra)]
    trained = workload.trained
    steps = 0 if trained is None else trained.steps * trained.tokens_per_step
    return {
        "fine-tuning": FORWARD_AND_BACKWARD * 2 * steps * (shapes.projected + shapes.head),
        "behavior": sum(read(shapes, one) for one in readings),
    }


def read(shapes: Shapes, reading: Reading) -> float:
    """Count the operations of reading."""
    return 2 * (reading.tokens * shapes.projected + reading.predicted * shapes.head)


if __name__ == "__main__":
    main()

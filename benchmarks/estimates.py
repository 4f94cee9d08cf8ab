"""Hold the estimates of every kind of cell against one that is measured, in a process of its own; Linux only.

Usage: ``python benchmarks/estimates.py [--threads N] [KIND ...]``, on the default model; ten minutes on two cores. KIND
is ``base``, ``sham``, ``elsewhere`` or a recipe's name. The time is that of a machine with nothing else to do: what the
main thread waited for a core is taken off, and shown. Other threads' waiting is not, so measure on an idle machine, or
with ``--threads 1``. Exit 1 if a time or a peak is estimated at more than twice or less than half of the measured.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

MODEL, STANCE = "smollm2-135m", "curious-uncertainty"
KINDS = ("base", "documented", "sham", "long", "lora", "elsewhere")
LARGEST_RATIO = 2.0
MOVED = 0.01
"""Share of its norm by which every parameter of the model trained elsewhere differs."""
CHILD = "--child"


def main() -> int:
    """Print a table, one row a kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", choices=(*KINDS, []))
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    print("cell          seconds measured  ratio      GB measured  ratio   waited")
    beyond = False
    for kind in given.kinds or KINDS:
        command = [sys.executable, __file__, CHILD, kind, str(given.threads)]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        times, peaks = (found["estimated"][i] / found["measured"][i] for i in (0, 1))
        beyond = beyond or not all(1 / LARGEST_RATIO <= ratio <= LARGEST_RATIO for ratio in (times, peaks))
        (seconds, peak), (taken, held) = found["estimated"], found["measured"]
        row = f"{kind:12s} {seconds:8.1f} {taken:8.1f} {times:6.2f}  {peak / 1e9:6.2f} {held / 1e9:8.2f} {peaks:6.2f}"
        print(f"{row} {found['waited']:8.1f}", flush=True)
    return int(beyond)


def measure(kind: str, threads: int) -> None:
    """Estimate one cell and measure it in this process."""
    from stance_suite.config.catalog import bundled_fixtures, load_catalog
    from stance_suite.config.options import resolve_settings
    from stance_suite.measure.cell import CellMeasurer
    from stance_suite.progress import SilentProgress
    from stance_suite.runner.cell_runner import CellRunner
    from stance_suite.runner.estimates.estimate import estimate
    from stance_suite.schema.cells import Cell

    progress = SilentProgress()
    settings = resolve_settings({}, bundled_fixtures().parent)
    cell_runner = CellRunner(settings, load_catalog(bundled_fixtures()), progress, threads)
    treatment = kind if kind in ("base", "sham", "elsewhere") else "stance"
    recipe = {"base": None, "sham": "documented"}.get(kind, kind)
    stance = STANCE if treatment == "stance" else None
    spec = cell_runner.plan(Cell(model=MODEL, treatment=treatment, stance=stance, recipe=recipe, seed=0), STANCE)
    with tempfile.TemporaryDirectory() as scratch:
        if kind == "elsewhere":
            _move(spec.weights, Path(scratch))
            spec = replace(spec, derivative=replace(spec.weights, folder=Path(scratch)))
        estimated = estimate(spec, "cpu", threads)
        started, waiting = time.perf_counter(), _waited()
        CellMeasurer("cpu", progress, threads).measure(spec)
        waited = _waited() - waiting
        seconds = time.perf_counter() - started - waited
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = 1024 * int(status["VmHWM"].split()[0])
    found = {"estimated": (estimated.seconds, estimated.memory_bytes), "measured": (seconds, peak), "waited": waited}
    print(json.dumps(found))


def _waited() -> float:
    """Seconds that this thread could have run, and had no core."""
    _, nanoseconds, _ = Path("/proc/thread-self/schedstat").read_text().split()
    return int(nanoseconds) / 1e9


def _move(weights: Any, folder: Path) -> None:
    """Write a model that differs from another in every parameter; tensor by tensor, so that the peak stays low."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    moved = {}
    generator = torch.Generator().manual_seed(0)
    with safe_open(weights.folder / "model.safetensors", "pt") as stored:
        for name in list(stored.keys()):
            tensor = stored.get_tensor(name)
            noise = torch.randn(tensor.shape, generator=generator)
            moved[name] = tensor + MOVED * noise * tensor.norm() / noise.norm()
    save_file(moved, folder / "model.safetensors", {"format": "pt"})
    for path in weights.folder.iterdir():
        if path.suffix != ".safetensors":
            (folder / path.name).write_bytes(path.read_bytes())


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        measure(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(main())

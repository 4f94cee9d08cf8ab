"""What several workers gain, and what a cell costs as a sweep grows; each as ratios within one run.

``python -m benchmarks.sweep speedup [--seeds 1]`` sweeps four cells a seed of SmolLM2-135M one after another and then
with two workers, each time into a new store; exit 1 if two are less than 1.6 times as fast. A quarter of an hour.

``python -m benchmarks.sweep growth [--cells 1000] [--picture FILE]`` sweeps more and more cells of a tiny model with
two workers, judges them and writes the reports; exit 1 if a cell of the largest sweep costs more than 1.25 times what
one of the smallest does. The picture is SVG. Half an hour.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

SMALLEST_SPEEDUP, LARGEST_GROWTH = 1.6, 1.25
WORKERS = 2
SHARES = (8, 4, 2, 1)
"""The sweeps that grow, as parts of the largest."""
STANCES = ["confident-expertise", "curious-uncertainty"]
CELLS_PER_SEED = 4
"""Two stances, their sham and the untouched model."""
COMMAND = [sys.executable, "-c", "from stance_suite.cli.app import main; main()", "sweep", "sweep.yaml"]


def main() -> int:
    """Run the benchmark that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    speedup = commands.add_parser("speedup")
    speedup.add_argument("--seeds", type=int, default=1)
    growth = commands.add_parser("growth")
    growth.add_argument("--cells", type=int, default=1000)
    growth.add_argument("--picture", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if given.what == "speedup":
            return measure_speedup(Path(scratch), given.seeds)
        return measure_growth(Path(scratch), given.cells, given.picture)


def measure_speedup(folder: Path, seeds: int) -> int:
    """Sweep cells of the default model; what is measured counts, from the command's start on."""
    took = {}
    for name, threads, engine in (
        ("serial, 1 thread a cell", 1, ("serial",)),
        (f"{WORKERS} workers, 1 thread a cell", 1, ("processes", "--workers", str(WORKERS))),
        (f"serial, {WORKERS} threads a cell", WORKERS, ("serial",)),
    ):
        asked = {"models": ["smollm2-135m"], "stances": STANCES, "seeds": list(range(seeds)), "threads": threads}
        took[name], _ = sweep(folder, asked, f"store-{len(took)}", *engine)
        print(f"{name:28s} {took[name]:7.1f} s", flush=True)
    serial, workers, threaded = took.values()
    print(f"speed-up against serial with the same threads a cell:  {serial / workers:.2f}")
    print(f"speed-up against serial with all cores for every cell: {threaded / workers:.2f}")
    return int(serial / workers < SMALLEST_SPEEDUP)


def measure_growth(folder: Path, cells: int, picture: Path | None) -> int:
    """Sweep parts of all cells, then all of them, on one store: what a sweep costs is what those before it did, too."""
    from stance_suite.config.catalog import bundled_fixtures, load_catalog
    from tests.twins import build_tiny, train_tokenizer

    build_tiny(folder / "tiny", train_tokenizer(load_catalog(bundled_fixtures())))
    measuring, rows = 0.0, []
    print(" cells   measuring   judging and reports   seconds a cell")
    for share in SHARES:
        seeds = cells // share // CELLS_PER_SEED
        asked = {"models": ["./tiny"], "stances": STANCES, "samples": 1, "seeds": list(range(seeds))}
        measured, concluded = sweep(folder, asked, "store", "processes", "--workers", str(WORKERS))
        measuring += measured
        count = seeds * CELLS_PER_SEED
        rows.append({"cells": count, "seconds": (measuring + concluded) / count})
        print(f"{count:6d} {measuring:9.1f} s {concluded:19.1f} s {rows[-1]['seconds']:16.2f}", flush=True)
    growth = rows[-1]["seconds"] / rows[0]["seconds"]
    print(f"a cell of the largest sweep costs {growth:.2f} times one of the smallest")
    if picture is not None:
        draw(rows, picture)
    return int(growth > LARGEST_GROWTH)


def sweep(folder: Path, asked: dict[str, Any], store: str, engine: str, *arguments: str) -> tuple[float, float]:
    """Sweep in a process of its own; seconds until the last cell is measured, and from then to the end."""
    (folder / "sweep.yaml").write_text(yaml.safe_dump(asked))
    options = ["--engine", engine, *arguments, "--store", store, "--reports", "reports"]
    started = last = time.perf_counter()
    with subprocess.Popen(
        [*COMMAND, *options], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=quiet()
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if re.match(r"\d+ of \d+: ", line):
                last = time.perf_counter()
                print(f"  {line}", end="", file=sys.stderr, flush=True)
    if process.returncode not in (0, 1):  # 1: a verdict differs from the record
        raise SystemExit(f"the sweep ended with exit code {process.returncode}")
    return last - started, time.perf_counter() - last


def quiet() -> dict[str, str]:
    """Leave the number of threads to the sweep."""
    return {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the cost of a cell over the size of the sweep."""
    import altair
    import pandas
    import vl_convert

    chart = (
        altair.Chart(pandas.DataFrame(rows), title="What a cell costs as a sweep grows (tiny model, two workers)")
        .mark_line(point=True)
        .encode(
            altair.X("cells:Q", title="cells of the sweep"),
            altair.Y("seconds:Q", title="seconds a cell, judging and reports included", scale=altair.Scale(zero=True)),
        )
        .properties(width=420, height=220)
    )
    path.write_text(vl_convert.vegalite_to_svg(chart.to_json()), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
